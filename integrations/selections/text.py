"""The text of a definition: UTF-8 or UTF-16 bytes into numbered lines, and variables in them into what they stand for.

Variables are given as a mapping, names without regard to case on Windows; an unknown one is refused with its line,
since a path that is not known cannot be measured.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping

from integrations.selections.refusals import BadDefinition

#: Bytes and lines of a definition.
MAX_DEFINITION, MAX_LINES = 4 * 1024 * 1024, 20_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WINDOWS_VARIABLE = re.compile(r"%([^%\\/:*?\"<>|]{1,100})%")
_UNIX_VARIABLE = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]{0,99})|\{([A-Za-z_][A-Za-z0-9_]{0,99})\})")


def read_text(content: bytes) -> str:
    """A definition's text, in whichever Unicode it was saved. Raises BadDefinition."""
    if len(content) > MAX_DEFINITION:
        raise BadDefinition(0, f"the definition is larger than {MAX_DEFINITION // 2**20} MiB.")
    encoding, start = _encoding(content)
    try:
        text = content[start:].decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadDefinition(line, "the text is neither UTF-8 nor UTF-16: save it as Unicode.") from error
    if "\0" in text:
        raise BadDefinition(text.count("\n", 0, text.index("\0")) + 1, "holds a NUL: this is no text.")
    return text


def _encoding(content: bytes) -> tuple[str, int]:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding, len(mark)
    sample = content[:400]
    if sample[1::2].count(0) > len(sample) // 4:
        return "utf-16-le", 0
    return ("utf-16-be", 0) if sample[0::2].count(0) > len(sample) // 4 else ("utf-8", 0)


def meaningful_lines(text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of what is neither empty nor a comment. Raises BadDefinition when there are too many."""
    for number, line in enumerate(text.split("\n"), 1):
        if number > MAX_LINES:
            raise BadDefinition(number, f"more than {MAX_LINES:,} lines.")
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def expand_windows(text: str, variables: Mapping[str, str], *, line: int) -> str:
    """``%NAME%`` as what it stands for. Raises BadDefinition for a name nobody gave."""
    known = {name.upper(): value for name, value in variables.items()}

    def value(found: re.Match[str]) -> str:
        told = known.get(found.group(1).upper())
        if told is None:
            raise BadDefinition(line, f"what %{found.group(1)}% stands for is not known: give it with the definition.")
        return told

    return _WINDOWS_VARIABLE.sub(value, text)


def expand_unix(text: str, variables: Mapping[str, str], *, line: int) -> str:
    """``$NAME`` and ``${NAME}`` as what they stand for, ``$$`` as one ``$``. Raises BadDefinition."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        if name is None:
            return "$"
        if name not in variables:
            raise BadDefinition(line, f"what ${name} stands for is not known: give it with the definition.")
        return variables[name]

    return _UNIX_VARIABLE.sub(value, text)
