"""What a command line of tar says: mode, archive, roots, and whether the archive is only a part of the selection.

tar is silent when all is well, so that the command line is often all there is. Understands bundles (``-czf``, ``czf``),
long options and ``-C``; GNU tar, bsdtar and ``busybox tar``.
"""

from __future__ import annotations

from dataclasses import dataclass

from integrations.logs.command_line import Invocation, invocations
from integrations.logs.joblog import Operation

NAMES = ("tar", "gtar", "bsdtar", "busybox")
_MODES = {"c": "create", "r": "append", "u": "update", "x": "extract", "t": "list", "d": "compare", "A": "concatenate"}
_LONG = {
    "--create": "create", "--append": "append", "--update": "update", "--extract": "extract", "--get": "extract",
    "--list": "list", "--diff": "compare", "--compare": "compare", "--concatenate": "concatenate",
    "--catenate": "concatenate", "--delete": "delete", "--test-label": "list",
}  # fmt: skip
_VALUED = "fCbgTXHIKLNVF"
_LONG_VALUED = (
    "--file", "--directory", "--exclude", "--exclude-from", "--files-from", "--listed-incremental", "--level",
    "--format", "--transform", "--owner", "--group", "--mode", "--newer", "--mtime", "--label",
    "--use-compress-program",
)  # fmt: skip
_PARTIAL = ("--listed-incremental", "--newer", "--after-date", "--newer-mtime", "--incremental", "--newer-than")
OPERATIONS: dict[str, tuple[Operation, str]] = {
    "create": ("backup", ""),
    "append": ("backup", ""),
    "update": ("backup", ""),
    "concatenate": ("copy", ""),
    "extract": ("restore", ""),
    "list": ("inventory", "list"),
    "compare": ("verify", ""),
    "delete": ("prune", ""),
}


@dataclass(frozen=True)
class TarCall:
    """One call. ``partial``: an incremental or appended archive, whose size is not that of the selection."""

    mode: str
    archive: str
    folder: str
    roots: tuple[str, ...]
    partial: bool
    totals: bool
    masked: bool


def tar_calls(command: str) -> tuple[TarCall, ...]:
    """Every call of tar that a command line makes, in order; those without a mode (``--version``) are none."""
    if "tar" not in command:
        return ()
    calls = (_call(found) for found in invocations(command, NAMES))
    return tuple(call for call in calls if call is not None)


@dataclass
class _Words:
    mode: str = ""
    archive: str = ""
    folder: str = ""
    partial: bool = False
    totals: bool = False


def _call(found: Invocation) -> TarCall | None:
    arguments = list(found.arguments)
    if arguments[:1] == ["tar"]:  # busybox tar
        del arguments[0]
    seen, roots = _Words(), []
    if arguments and not arguments[0].startswith("-"):
        arguments[0] = "-" + arguments[0]
        waiting = _old_style(arguments[0][1:], seen)
        del arguments[0]
        for letter in waiting:
            if arguments:
                _take(letter, arguments.pop(0), seen)
    while arguments:
        word = arguments.pop(0)
        if word.startswith("--"):
            _long(word, arguments, seen)
        elif word.startswith("-") and len(word) > 1:
            _bundle(word[1:], arguments, seen)
        else:
            roots.append(_joined(seen.folder, word))
    if not seen.mode:
        return None
    partial = seen.partial or seen.mode != "create"
    return TarCall(seen.mode, seen.archive, seen.folder, tuple(roots), partial, seen.totals, found.masked)


def _old_style(letters: str, seen: _Words) -> list[str]:
    for letter in letters:
        seen.mode = seen.mode or _MODES.get(letter, "")
    return [letter for letter in letters if letter in _VALUED]


def _bundle(letters: str, rest: list[str], seen: _Words) -> None:
    for at, letter in enumerate(letters):
        if letter in _VALUED:
            value = letters[at + 1 :] or (rest.pop(0) if rest else "")
            return _take(letter, value, seen)
        seen.mode = seen.mode or _MODES.get(letter, "")
        seen.partial = seen.partial or letter == "G"
    return None


def _take(letter: str, value: str, seen: _Words) -> None:
    if letter == "f":
        seen.archive = value
    elif letter == "C":
        seen.folder = _joined(seen.folder, value)
    elif letter in "gN":
        seen.partial = True


def _long(word: str, rest: list[str], seen: _Words) -> None:
    name, sign, value = word.partition("=")
    if not sign and name in _LONG_VALUED and rest:
        value = rest.pop(0)
    seen.mode = seen.mode or _LONG.get(name, "")
    seen.totals = seen.totals or name == "--totals"
    seen.partial = seen.partial or name in _PARTIAL
    if name == "--file":
        seen.archive = value
    elif name in ("--directory", "--cd"):
        seen.folder = _joined(seen.folder, value)


def _joined(folder: str, path: str) -> str:
    return path if not folder or path.startswith("/") else f"{folder.rstrip('/')}/{path}"
