"""Reads include and exclude lists: restic's exclude files, borg's patterns, and plain lists of paths.

Restic: of the patterns that match a path the last decides, ``!`` takes back; what is below a folder that is left out
stays out. Borg: the first decides, ``!`` closes a folder to all that follows. Where a list names no roots, those of the
inventory or the caller are used. Errors name the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from integrations.selections.definition import Definition, Judge, not_selected
from integrations.selections.expressions import ExpressionSet, glob, quoted
from integrations.selections.paths import PathTree, parts_of, plain
from integrations.selections.refusals import BadDefinition
from integrations.selections.text import expand_unix, meaningful_lines, read_text

STYLES = ("fm", "sh", "re", "pp", "pf")
_DRIVE = re.compile(r"^[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class Pattern:
    """``sign``: "+" selects, "-" leaves out, "!" leaves out and closes the folder."""

    line: int
    sign: str
    expression: str


@dataclass
class _Given:
    """What was read so far: roots and patterns, and every line's text by its number."""

    roots: list[tuple[int, str]]
    patterns: list[Pattern]
    lines: dict[int, str]


def read_restic(
    content: bytes, *, roots: Sequence[str], variables: Mapping[str, str] | None = None, ignore_case: bool = False
) -> Definition:
    """restic's ``--exclude-file`` (``ignore_case``: ``--iexclude-file``) over these roots. Raises BadDefinition."""
    given = _Given([], [], {})
    for number, text in meaningful_lines(read_text(content)):
        told = expand_unix(text, variables or {}, line=number)
        sign, told = ("+", told[1:].strip()) if told.startswith("!") else ("-", told)
        given.lines[number] = text
        given.patterns.append(Pattern(number, sign, _restic_expression(told, line=number)))
    return _definition("restic", given, roots, first=False, ignore_case=ignore_case)


def _restic_expression(pattern: str, *, line: int) -> str:
    """Parts in a row anywhere in a path, from its beginning when the pattern is absolute; all below matches, too."""
    pattern = pattern.replace("\\", "/") if _DRIVE.match(pattern) else pattern
    parts = [part for part in pattern.split("/") if part]
    if not parts:
        raise BadDefinition(line, "a pattern without any name.")
    absolute = pattern.startswith("/") or bool(_DRIVE.match(pattern))
    told = "^/*" if absolute else "(?:^|/)"
    for place, part in enumerate(parts):
        told += _restic_part(part, last=place == len(parts) - 1)
    return told


def _restic_part(part: str, *, last: bool) -> str:
    if part == "**":
        return "(?:.*)$" if last else "(?:[^/]+/)*"
    return glob(part) + ("(?:/|$)" if last else "/")


def read_borg(content: bytes, *, roots: Sequence[str], style: str = "sh", excluding: bool = False) -> Definition:
    """borg's ``--patterns-from``; with ``excluding`` its ``--exclude-from`` (style fm unless named). Raises
    BadDefinition."""
    given = _Given([], [], {})
    for number, text in meaningful_lines(read_text(content)):
        given.lines[number] = text
        if excluding:
            given.patterns.append(_borg_pattern("!", text, style=style, line=number))
            continue
        sign, rest = text[0], text[1:].strip()
        if sign not in "RP+-!" or not rest:
            raise BadDefinition(number, "a line begins with R, P, +, -, ! or #.")
        if sign == "R":
            given.roots.append((number, rest))
        elif sign == "P":
            style = _style(rest, line=number)
        else:
            given.patterns.append(_borg_pattern(sign, rest, style=style, line=number))
    return _definition("borg", given, roots, first=True, ignore_case=False)


def _style(name: str, *, line: int) -> str:
    if name not in STYLES:
        raise BadDefinition(line, f"{name[:40]!r} is no style; there are {', '.join(STYLES)}.")
    return name


def _borg_pattern(sign: str, text: str, *, style: str, line: int) -> Pattern:
    named, colon, rest = text.partition(":")
    if colon and len(named) == 2 and named in STYLES:
        style, text = named, rest
    return Pattern(line, sign, _borg_expression(style, text))


def _borg_expression(style: str, text: str) -> str:
    """About a path without its first "/", as borg has it."""
    if style == "re":
        return text
    below_only = text.endswith("/") and style in ("fm", "sh")
    body = "/".join(parts_of(text))
    inner = quoted(body) if style in ("pp", "pf") else glob(body, crossing=style == "fm")
    if not body:
        return "^"
    return "^" + inner + ("$" if style == "pf" else "/." if below_only else "(?:/|$)")


def read_paths(content: bytes) -> Definition:
    """A plain list: a path a line (``+ `` before it is fine), ``- `` before one that is left out with all below it."""
    given = _Given([], [], {})
    for number, text in meaningful_lines(read_text(content)):
        given.lines[number] = text
        sign, path = (text[0], text[2:].strip()) if text[:2] in ("+ ", "- ", "R ", "! ") else ("+", text)
        path = plain(path)
        if not (path.startswith("/") or _DRIVE.match(path)):
            raise BadDefinition(number, f"{path[:80]!r} is no full path.")
        if sign in "+R":
            given.roots.append((number, path))
        else:
            given.patterns.append(Pattern(number, "!", "^" + quoted("/".join(parts_of(path))) + "(?:/|$)"))
    if not given.roots:
        raise BadDefinition(0, "the list names no path.")
    return _definition("paths", given, (), first=True, ignore_case=False)


def roots_only(roots: Sequence[str], *, kind: str = "roots") -> Definition:
    """All that is below these roots: the definition of an inventory that comes alone."""
    return _definition(kind, _Given([], [], {}), roots, first=True, ignore_case=False)


def _definition(kind: str, given: _Given, roots: Sequence[str], *, first: bool, ignore_case: bool) -> Definition:
    if not given.roots:
        start = max(given.lines, default=0) + 1
        given.roots = list(enumerate(roots, start))
        given.lines.update(dict(given.roots))
    if not given.roots:
        raise BadDefinition(0, "no root is named, neither in the list nor beside it.")
    lists = _Lists(given, first=first, keep_slash=kind == "restic", ignore_case=ignore_case)
    return Definition(kind, lists.look, given.lines, tuple(number for number, _ in given.roots))


class _Lists:
    """Roots in a tree, patterns in one automaton."""

    def __init__(self, given: _Given, *, first: bool, keep_slash: bool, ignore_case: bool) -> None:
        self._roots: PathTree[int] = PathTree()
        self._files: dict[str, int] = {}
        self._depth = {number: len(parts_of(plain(path))) for number, path in given.roots}
        for number, path in given.roots:
            self._roots.add(plain(path), number)
            self._files.setdefault("/".join(parts_of(plain(path))), number)
        self._patterns = given.patterns
        expressions = [(each.line, each.expression) for each in given.patterns]
        self._set = ExpressionSet(expressions, ignore_case=ignore_case)
        self._choose: Callable[[Iterable[int]], int] = min if first else max
        self._keep_slash = keep_slash
        # only where a folder's verdict can differ from that of a file in it must the folders be asked
        signs = {each.sign for each in given.patterns}
        self._asks_folders = "+" in signs and signs != {"+"}

    def look(self, folder: str) -> Judge:
        """The judge of the files in a folder (a plain path)."""
        root, depth = self._root_of(folder)
        if not root:
            return self._single
        closed = self._closed(folder, depth) if self._asks_folders else 0
        if closed:
            return lambda _path: closed
        if not self._patterns:
            return lambda _path: root
        return lambda path: self._verdict(self._text(path)) or root

    def _single(self, path: str) -> int:
        """A file that is itself a root."""
        root = self._files.get("/".join(parts_of(path)), 0)
        return (self._verdict(self._text(path)) or root) if root else not_selected(path)

    def _root_of(self, folder: str) -> tuple[int, int]:
        """The outermost root at or above a folder, and how many parts it has."""
        for _, numbers in self._roots.along(folder):
            number = numbers[0]
            return number, self._depth[number]
        return 0, 0

    def _closed(self, folder: str, depth: int) -> int:
        """Minus the line that leaves out the folder or one above it, from the root on; 0 if none does."""
        parts = parts_of(folder)
        for length in range(max(depth, 1), len(parts) + 1):
            verdict = self._verdict(self._text("/" + "/".join(parts[:length])), closing=True)
            if verdict < 0:
                return verdict
        return 0

    def _text(self, path: str) -> str:
        return path if self._keep_slash else path.lstrip("/")

    def _verdict(self, text: str, *, closing: bool = False) -> int:
        """Minus the line of the pattern that leaves a path out; 0 when none does, or one that selects decides."""
        places = self._set.matches(text)
        if not places:
            return 0
        chosen = self._patterns[self._choose(places)]
        if chosen.sign == "+" or (closing and chosen.sign == "-" and not self._keep_slash):
            return 0
        return -chosen.line
