"""What a definition says of one file: selected by which line, left out by which line, or not meant at all.

``sel`` and ``lists`` make a ``Definition``, ``measuring`` asks it. A file is judged in two steps: once for its folder
(``look``, kept for the next files in it), then by its own path. Paths are plain (see ``paths``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: The line that selects a file (above 0), that leaves it out (below 0), or 0: no line speaks of it.
Judge = Callable[[str], int]
#: From a folder to the judge of the files in it.
Look = Callable[[str], Judge]


@dataclass(frozen=True)
class Definition:
    """``lines`` are the rules as written, by number: also of those that came from elsewhere (roots of an inventory).

    ``roots`` are the lines that select; ``notes`` are sentences about what a reader might expect otherwise.
    """

    kind: str
    look: Look
    lines: Mapping[int, str]
    roots: tuple[int, ...]
    notes: tuple[str, ...] = field(default=())


def not_selected(_path: str) -> int:
    """The judge of a folder that nothing selects."""
    return 0
