"""Measures the selection meter: paths a minute on one core, for a ``.SEL`` file, restic's and borg's lists.

The inventory is made on the way, piece by piece, as it would come over the wire; its making is timed apart and taken
off. Nothing here needs a database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from integrations.selections.definitions import read_definition
from integrations.selections.inventory import read_inventory
from integrations.selections.measuring import measure

HEADER = b'{"backledger_inventory": 1, "roots": ["%s"], "listed": true}\n'
SEL = rb"""[Everyday]
+ C:\Users\ /s - <.*\\Temp\\.*> - <.*\.iso>
- C:\Users\All Users\
[Weekend]
+ D:\SQL\ /s
"""
RESTIC = b"*.tmp\nnode_modules\n/srv/data/team-3/**\n!keep\n**/cache/*.bin\n"
BORG = b"R /srv\n- sh:**/*.tmp\n- fm:*/team-3/*\n- re:\\.iso$\n! pp:srv/closed\n"


@dataclass(frozen=True)
class Metered:
    """``paths`` by kind of definition in ``seconds`` of measuring alone."""

    kind: str
    paths: int
    seconds: float

    @property
    def paths_per_minute(self) -> float:
        return self.paths * 60 / self.seconds


def run_meter(*, paths: int) -> tuple[Metered, ...]:
    """Measure so many paths by each kind. Raises RuntimeError when one was lost on the way."""
    return (
        meter("sel", SEL, paths, pieces_of_windows),
        meter("restic", RESTIC, paths, pieces_of_unix),
        meter("borg", BORG, paths, pieces_of_unix),
    )


def meter(kind: str, text: bytes, paths: int, pieces: Callable[[int], Iterator[bytes]]) -> Metered:
    definition = read_definition(text, kind=kind, roots=("/srv",))
    begin = time.perf_counter()
    for _ in pieces(paths):
        pass
    made = time.perf_counter()
    found = measure(definition, read_inventory(pieces(paths)))
    seconds = time.perf_counter() - made - (made - begin)
    counted = found.files + found.elsewhere + found.repeated + sum(one.files for one in found.left_out)
    if counted != paths:
        raise RuntimeError(f"{paths:,} paths were listed and {counted:,} counted")
    return Metered(kind, paths, seconds)


def pieces_of_windows(paths: int) -> Iterator[bytes]:
    yield HEADER % b"C:"
    line = b"%d\t-\tC:\\\\Users\\\\user%d\\\\Documents\\\\Project %d\\\\file-%d.docx\n"
    for start in range(0, paths, 1000):
        yield b"".join(line % (at * 13, at % 17, at // 40, at) for at in range(start, min(start + 1000, paths)))


def pieces_of_unix(paths: int) -> Iterator[bytes]:
    yield HEADER % b"/srv"
    line = b"%d\t2049:%d:%d\t/srv/data/team-%d/project %d/file-%d.docx\n"
    for start in range(0, paths, 1000):
        rows = range(start, min(start + 1000, paths))
        yield b"".join(line % (at * 13, at, 1 + (at % 10 == 0), at % 17, at // 40, at) for at in rows)
