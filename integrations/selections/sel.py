"""Reads ``.SEL`` selection files: sections by weekday, lines that select and deselect, expressions that leave out.

On a day all its sections apply together; of the lines about a file or the folders above it the deepest decides, at the
same depth a deselection wins. What is protected is the union of the days. Windows compares paths without regard to
case, and so does this. Errors name the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from integrations.selections.definition import Definition, Judge
from integrations.selections.expressions import ExpressionSet
from integrations.selections.paths import MAX_PATH, PathTree, parts_of, plain
from integrations.selections.refusals import BadDefinition
from integrations.selections.text import expand_windows, meaningful_lines, read_text

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "everyday": DAYS,
    "weekdays": DAYS[1:6],
    "weekend": (DAYS[0], DAYS[6]),
    **{day: (day,) for day in DAYS},
}
#: What stands for a path where nobody says otherwise: the folders of a Windows that was installed as usual.
USUAL_VARIABLES: Mapping[str, str] = {
    "USERS": "C:\\Users", "SystemDrive": "C:", "SystemRoot": "C:\\Windows", "windir": "C:\\Windows",
    "ProgramData": "C:\\ProgramData", "ALLUSERSPROFILE": "C:\\ProgramData", "PUBLIC": "C:\\Users\\Public",
    "ProgramFiles": "C:\\Program Files", "ProgramFiles(x86)": "C:\\Program Files (x86)",
}  # fmt: skip
_EXCLUDES = re.compile(r"\s+-\s+(?=<)")
_LONG_FORM = re.compile(r"^\^?\\\\\\\\\\?\\\\")


@dataclass(frozen=True)
class Line:
    """One line: what it selects or deselects. ``path`` is plain and in small letters; ``own`` is about the one file."""

    number: int
    selects: bool
    path: str
    deep: bool
    own: bool
    excludes: ExpressionSet | None
    days: tuple[str, ...]


@dataclass
class _Day:
    """The lines that apply on one day, by their paths."""

    folders: PathTree[Line] = field(default_factory=PathTree)
    files: dict[str, list[Line]] = field(default_factory=dict)


def read_sel(content: bytes, *, variables: Mapping[str, str] | None = None) -> Definition:
    """The selection that a ``.SEL`` file describes. Raises BadDefinition."""
    known = {name.upper(): value for name, value in {**USUAL_VARIABLES, **(variables or {})}.items()}
    days, shown, lines = SECTIONS["everyday"], {}, []
    for number, text in meaningful_lines(read_text(content)):
        if text.startswith("["):
            days = _section(text, line=number)
        else:
            lines.append(_read_line(text, number=number, days=days, variables=known))
            shown[number] = text
    roots = tuple(line.number for line in lines if line.selects)
    if not roots:
        raise BadDefinition(0, "the file selects nothing: no line begins with +.")
    return Definition("sel", _Week(lines).look, shown, roots, tuple(_notes(lines)))


def _section(text: str, *, line: int) -> tuple[str, ...]:
    name = text[1:].partition("]")[0].strip().lower()
    if name not in SECTIONS or not text.rstrip().endswith("]"):
        told = "Everyday, Sunday to Saturday, Weekdays, Weekend"
        raise BadDefinition(line, f"{text[:60]!r} is no section; there are {told}.")
    return SECTIONS[name]


def _read_line(text: str, *, number: int, days: tuple[str, ...], variables: Mapping[str, str]) -> Line:
    sign, rest = text[0], text[1:].strip()
    if sign not in "+-" or not rest:
        raise BadDefinition(number, "a line begins with +, - or #, and + and - are followed by a path.")
    told, excludes = _path_and_excludes(rest, number=number)
    deep = told.endswith((" /s", " /S", '"/s', '"/S'))
    path = expand_windows(_unquoted(told[:-2] if deep else told, line=number), variables, line=number)
    _refuse_odd(path, line=number)
    compared = plain(path.replace("/", "\\")).lower()
    folder = path.endswith("\\") or deep
    return Line(
        number=number,
        selects=sign == "+",
        path="/".join(parts_of(compared)),
        deep=deep or sign == "-",
        own=not folder,
        excludes=excludes,
        days=days,
    )


def _path_and_excludes(text: str, *, number: int) -> tuple[str, ExpressionSet | None]:
    told, *expressions = _EXCLUDES.split(text)
    if not expressions:
        if "<" in told:
            raise BadDefinition(number, "expressions are written ' - <expression>' behind the path.")
        return told.strip(), None
    found = []
    for expression in expressions:
        expression = expression.strip()
        if not expression.endswith(">"):
            raise BadDefinition(number, f"the expression {expression[:60]!r} does not end with '>'.")
        found.append((number, _LONG_FORM.sub("", expression[1:-1])))
    return told.strip(), ExpressionSet(found, whole=True, ignore_case=True)


def _unquoted(text: str, *, line: int) -> str:
    text = text.strip()
    if text.startswith('"'):
        if len(text) < 2 or not text.endswith('"'):
            raise BadDefinition(line, "the quotation mark is not closed.")
        text = text[1:-1].strip()
    return text


def _refuse_odd(path: str, *, line: int) -> None:
    bare = path[4:] if path.startswith("\\\\?\\") else path
    if len(path) > MAX_PATH:
        raise BadDefinition(line, f"the path is longer than {MAX_PATH:,} signs.")
    if any(sign in bare for sign in '*?"<>|'):
        raise BadDefinition(line, 'a path holds none of * ? " < > |: name a folder, and leave out by expressions.')
    if not (bare[1:2] == ":" or bare.startswith(("\\\\", "//")) or bare[:4].upper() == "UNC\\"):
        raise BadDefinition(line, f"{path[:80]!r} is no full path: begin with a drive or a share.")


def _notes(lines: Iterable[Line]) -> Iterable[str]:
    for line in lines:
        if line.selects and not line.own and not line.deep and line.excludes is not None:
            yield f"Line {line.number} has no /s: only files directly in the folder are selected, and then left out."


class _Week:
    """The lines of all days that differ from each other."""

    def __init__(self, lines: Iterable[Line]) -> None:
        days: dict[tuple[int, ...], _Day] = {}
        lines = list(lines)
        for name in DAYS:
            todays = [line for line in lines if name in line.days]
            key = tuple(line.number for line in todays)
            if todays and key not in days:
                days[key] = _day_of(todays)
        self._days = tuple(days.values())

    def look(self, folder: str) -> Judge:
        """The judge of the files in a folder (a plain path)."""
        compared = folder.lower()
        verdicts = {tuple(_deciding(day.folders, compared)): None for day in self._days}
        named = [day.files for day in self._days if day.files]
        single = next(iter(verdicts)) if len(verdicts) == 1 and not named else None
        if single is not None and not any(line.excludes for line in single):
            fixed = _verdict(single, "")
            return lambda _path: fixed

        def judge(path: str) -> int:
            outside = path.replace("/", "\\")
            if not named:
                return _best(_verdict(lines, outside) for lines in verdicts)
            own = "/".join(parts_of(path.lower()))
            return _best(
                _verdict(day.files.get(own) or _deciding(day.folders, compared), outside) for day in self._days
            )

        return judge


def _day_of(lines: Iterable[Line]) -> _Day:
    day = _Day()
    for line in lines:
        if line.own:
            day.files.setdefault(line.path, []).append(line)
        if not line.own or not line.selects:  # a deselection without a "\" at its end may be a file or a folder
            day.folders.add(line.path, line)
    return day


def _deciding(tree: PathTree[Line], folder: str) -> list[Line]:
    """The lines at the deepest place at or above a folder that say something of the files in it."""
    best: list[Line] = []
    for is_itself, lines in tree.along(folder):
        applying = lines if is_itself else [line for line in lines if line.deep]
        if applying:
            best = applying
    return best


def _verdict(lines: Iterable[Line], path: str) -> int:
    """The number of the line that selects, minus that of the one that leaves out, 0 if there is none."""
    selecting = left_out = 0
    for line in lines:
        if not line.selects:
            return -line.number
        if line.excludes is not None and line.excludes.matches(path):
            left_out = left_out or -line.number
        else:
            selecting = selecting or line.number
    return selecting or left_out


def _best(verdicts: Iterable[int]) -> int:
    """What holds over the days: selected on any, else left out on any."""
    left_out = 0
    for verdict in verdicts:
        if verdict > 0:
            return verdict
        left_out = left_out or verdict
    return left_out
