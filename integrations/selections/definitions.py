"""Which kind of definition a text is, and its reading: the one door for those who keep definitions of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from integrations.selections.definition import Definition
from integrations.selections.lists import read_borg, read_paths, read_restic
from integrations.selections.refusals import BadDefinition
from integrations.selections.sel import SECTIONS, read_sel
from integrations.selections.text import meaningful_lines, read_text

#: Kind and its name for people.
KINDS: Mapping[str, str] = {
    "sel": "selection file (.SEL)",
    "restic": "restic exclude file",
    "restic-i": "restic exclude file, without regard to case (iexclude)",
    "borg": "borg patterns",
    "borg-exclude": "borg exclude file",
    "paths": "list of paths",
}


def read_definition(
    content: bytes, *, kind: str, roots: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> Definition:
    """The definition in these bytes; ``roots`` are used by kinds that name none themselves. Raises BadDefinition."""
    if kind == "sel":
        return read_sel(content, variables=variables)
    if kind in ("restic", "restic-i"):
        return read_restic(content, roots=roots, variables=variables, ignore_case=kind == "restic-i")
    if kind in ("borg", "borg-exclude"):
        excluding = kind == "borg-exclude"
        return read_borg(content, roots=roots, style="fm" if excluding else "sh", excluding=excluding)
    if kind == "paths":
        return read_paths(content)
    raise BadDefinition(0, f"{kind[:40]!r} is no kind of definition; there are {', '.join(KINDS)}.")


def likely_kind(content: bytes) -> str:
    """The kind that a text without a name most likely is. Raises BadDefinition when it is no text."""
    lines = [line for _, line in meaningful_lines(read_text(content))]
    if any(line.startswith("[") and line[1:-1].strip().lower() in SECTIONS for line in lines):
        return "sel"
    signs = {line[0] for line in lines if line[1:2] == " "}
    if signs & {"R", "P"}:
        return "borg"
    selecting = [line for line in lines if line.startswith("+")]
    if any(line[1:].strip().lstrip('"')[1:2] == ":" or "\\\\" in line for line in selecting):
        return "sel"
    return "paths" if all(line[:1] in "/+-" or line[1:3] == ":\\" for line in lines) else "restic"
