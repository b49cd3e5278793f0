"""What a command line says: which tools it calls, with which arguments, and whether its exit code is theirs.

Parsers read from it what a log leaves out (the operation, the roots of the selection, units). A command line is as
hostile as a log: what cannot be split is no command, and nothing here ever runs anything.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass

MAX_COMMAND = 8192  # characters; a longer command line is not looked at
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "su"})
_CONTAINERS = frozenset({"docker", "podman", "kubectl", "docker-compose", "nerdctl", "lxc", "wsl"})
_WRAPPERS = frozenset(
    [
        "sudo",
        "doas",
        "env",
        "timeout",
        "gtimeout",
        "nice",
        "ionice",
        "nohup",
        "time",
        "chronic",
        "chrt",
        "taskset",
        "setsid",
        "flock",
        "systemd-inhibit",
        "systemd-run",
        "caffeinate",
        "stdbuf",
        "unbuffer",
        "exec",
        "command",
        "eval",
        "then",
        "do",
        "else",
        "if",
        "while",
        "!",
        "{",
        "cpulimit",
        "setpriv",
        "runuser",
    ]
)
_ASSIGNMENT = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*=")
_WINDOWS = re.compile(r"(?:^|[\s\"'])[A-Za-z]:\\|\.exe\b")
_DURATION = re.compile(r"^[0-9.]+[smhd]?$")
_VALUED = frozenset({"-n", "-c", "-u", "-g", "-p", "-k", "-s", "-w", "-E", "-C", "-l", "-S", "-h"})
_SEPARATORS = frozenset(";|&()")


@dataclass(frozen=True)
class Invocation:
    """One call of a tool: its arguments without its name; ``masked``: an exit code of 0 need not be its own."""

    arguments: tuple[str, ...]
    masked: bool = False


@dataclass(frozen=True)
class _Simple:
    words: tuple[str, ...]
    ended_by: str
    last: bool


def invocations(command: str, names: Collection[str]) -> tuple[Invocation, ...]:
    """Every call of one of these tools in a shell command line, in order; none where it cannot be split."""
    return tuple(_found(command, names, depth=0))


def _found(command: str, names: Collection[str], *, depth: int) -> Iterator[Invocation]:
    if not command or len(command) > MAX_COMMAND or depth > 3:
        return
    kept_exit = "pipefail" in command
    for simple in _simple_commands(command):
        masked = (
            not simple.last
            and simple.ended_by in ("|", "||", ";", "&", "|&")
            and not (kept_exit and simple.ended_by in ("|", "|&"))
        )
        arguments = _arguments_of(simple.words, names)
        if arguments is not None:
            yield Invocation(arguments, masked)
        for script in _scripts_in(simple.words):
            for inner in _found(script, names, depth=depth + 1):
                yield Invocation(inner.arguments, inner.masked or masked)


def _tokens(command: str) -> list[str]:
    lexer = shlex.shlex(command.replace("\n", " ; "), posix=True, punctuation_chars=";|&()<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    if _WINDOWS.search(command):
        lexer.escape = ""  # backslashes part folders there
    try:
        return list(lexer)
    except ValueError:  # an open quotation mark
        return command.split()


def _simple_commands(command: str) -> list[_Simple]:
    found: list[tuple[list[str], str]] = []
    words: list[str] = []
    skip_next = False
    for token in _tokens(command):
        if skip_next:
            skip_next = False
        elif token and set(token) <= {"<", ">", "&"} and token[0] in "<>":
            skip_next = True
            if words and words[-1] in ("1", "2"):
                words.pop()  # the stream of ``2>&1``
        elif token and set(token) <= _SEPARATORS:
            found.append((words, token))
            words = []
        else:
            words.append(token)
    found.append((words, ""))
    filled = [(part, end) for part, end in found if part]
    return [_Simple(tuple(part), end, at == len(filled) - 1) for at, (part, end) in enumerate(filled)]


def tool_name(word: str) -> str:
    """``/usr/local/bin/restic_0.17.3_linux_amd64`` and ``C:\\restic.exe`` are both ``restic``."""
    base = re.split(r"[/\\]", word.lower())[-1]
    return re.split(r"[_.]|-[0-9v]", base.removesuffix(".exe"))[0]


def _arguments_of(words: tuple[str, ...], names: Collection[str]) -> tuple[str, ...] | None:
    at = 0
    while at < len(words):
        word = words[at]
        if _ASSIGNMENT.match(word):
            at += 1
        elif tool_name(word) in names:
            return words[at + 1 :]
        elif tool_name(word) in _CONTAINERS:
            return _after_tool(words[at + 1 :], names)
        elif tool_name(word) in _WRAPPERS:
            at = _past_wrapper(words, at + 1, names)
        else:
            return None
    return None


def _after_tool(words: tuple[str, ...], names: Collection[str]) -> tuple[str, ...] | None:
    for at in range(len(words) - 1, -1, -1):
        if tool_name(words[at]) in names and not words[at].startswith("-") and (at == 0 or "=" not in words[at]):
            return words[at + 1 :]
    return None


def _past_wrapper(words: tuple[str, ...], at: int, names: Collection[str]) -> int:
    while at < len(words):
        word = words[at]
        if word in _VALUED and at + 1 < len(words) and tool_name(words[at + 1]) not in names:
            at += 2
        elif word.startswith("-") or _DURATION.match(word) or _ASSIGNMENT.match(word):
            at += 1
        else:
            break
    return at


def _scripts_in(words: tuple[str, ...]) -> Iterator[str]:
    """What shells are told to run by ``-c``, also as an argument of another tool (``borg with-lock .. sh -c ..``)."""
    for at, word in enumerate(words[:-1]):
        if word.startswith("-") and word.endswith("c") and any(tool_name(w) in _SHELLS for w in words[:at]):
            yield words[at + 1]


def first_words(command: str) -> tuple[str, ...]:
    """Names of the programs that a command line calls, wrappers included."""
    if not command or len(command) > MAX_COMMAND:
        return ()
    simple = (next((w for w in one.words if not _ASSIGNMENT.match(w)), "") for one in _simple_commands(command))
    return tuple(tool_name(word) for word in simple if word)


def positional(arguments: tuple[str, ...], valued: Collection[str]) -> tuple[str, ...]:
    """Arguments that are no options; ``valued`` are options whose value is the next word."""
    found: list[str] = []
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if word == "--":
            return (*found, *arguments[at + 1 :])
        if word in valued:
            at += 1
        elif not word.startswith("-") or word == "-":
            found.append(word)
        elif not word.startswith("--") and len(word) > 2 and "-" + word[-1] in valued and "-" + word[1] not in valued:
            at += 1
        at += 1
    return tuple(found)
