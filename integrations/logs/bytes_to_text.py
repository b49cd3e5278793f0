"""Hostile bytes become text that is safe to store and to show.

Called by everything in this package that looks into a body. Invalid UTF-8 is shown as ``\\xe9``, never lost and never
an error; control and escape characters are dropped, so that no text can drive a terminal, break a page or be refused
by the database. Lines are handed out one by one: a body of any size costs linear time and one line of memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from integrations.logs.joblog import MAX_TEXT, UnreadableLog

MAX_LINE = 64 * 1024  # bytes of one line that a text pattern may see; JSON is read whole

MAX_LINES = 2_000_000  # more than a log of the largest accepted body has, at twelve bytes a line

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]{0,40}[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"))


@dataclass(frozen=True)
class Line:
    """One line of a log: its 1-based number in its stream, cleaned text, and which stream it stood in."""

    number: int
    text: str
    stream: str = "stdout"


def decode(raw: bytes) -> str:
    """UTF-8 text; what is not UTF-8 is shown as ``\\xNN``."""
    return raw.decode("utf-8", "backslashreplace")


def without_byte_order_mark(body: bytes) -> bytes:
    """The body as UTF-8: Windows PowerShell redirects into UTF-16, editors leave a mark at the start."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            rest = body[len(mark) :]
            return rest if encoding == "utf-8" else rest.decode(encoding, "backslashreplace").encode("utf-8", "replace")
    return body


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """The text without control and escape characters, lone surrogates as ``\\xNN``, at most ``limit`` characters."""
    text = text[: limit * 4]
    text = _ESCAPES.sub("", text) if "\x1b" in text else text
    text = _SURROGATE.sub(_show_surrogate, text)
    text = _CONTROL.sub("", text.replace("\r", " "))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _show_surrogate(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def clean_line(raw: bytes) -> str:
    """One line of bytes as cleaned text, cut to MAX_LINE; tabs stay, blanks at the end go."""
    return clean(decode(raw[:MAX_LINE]), MAX_LINE).rstrip()


def raw_lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their ends. What a carriage return overwrote comes as lines of the same number.

    Of blank lines that follow each other only the first comes, so that a body of line ends costs next to nothing.
    Raises UnreadableLog where more lines hold something than any log of this length has.
    """
    most = left = max(MAX_LINES, len(body) // 12)
    blank = False
    for number, raw in enumerate(BytesIO(body), start=1):
        stripped = raw.rstrip(b"\r\n")
        if not stripped:
            if not blank:
                yield number, stripped
            blank = True
            continue
        blank = False
        left -= 1
        if left < 0:
            raise UnreadableLog(f"this log has more than {most:,} lines", number)
        if b"\r" in stripped:
            yield from ((number, piece) for piece in stripped.split(b"\r") if piece)
        else:
            yield number, stripped


def log_lines(stdout: bytes, stderr: bytes = b"") -> Iterator[Line]:
    """Cleaned lines of both streams, standard output first."""
    for stream, body in (("stdout", stdout), ("stderr", stderr)):
        for number, raw in raw_lines(body):
            yield Line(number, clean_line(raw), stream)
