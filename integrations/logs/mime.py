"""The parts of a mail by where they lie in it: nothing is copied before it is wanted, and every count is limited.

Used by ``mail``. The standard library reads the headers of a part; the rest of its parser keeps a mail in memory many
times over, so that parts are found here. A broken mail gives what can be found of it; one that breaks a limit is
refused as a whole.
"""

from __future__ import annotations

import binascii
import codecs
import quopri
import re
from dataclasses import dataclass, field
from email import policy
from email.message import Message
from email.parser import BytesParser

MAX_DEPTH = 20
MAX_PARTS = 100
MAX_MAIL = 64 * 1024 * 1024
MAX_HEAD = 256 * 1024
#: Of a header with parameters no more is read: the library takes time with the square of it. No real one is so long.
MAX_PARAMETERS = 4096
#: One part is decoded to at most this; a text is longer than any log that is read here.
MAX_DECODED = 16 * 1024 * 1024

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = 1024 * 1024


class BadMail(ValueError):
    """The message is a mail but breaks a limit or cannot be taken apart."""


@dataclass(frozen=True)
class Leaf:
    """A part that holds no parts: its headers, where its content lies, and which of the mail's messages it is of."""

    headers: Message
    start: int
    end: int
    message: int

    @property
    def kind(self) -> str:
        return self.headers.get_content_type()

    @property
    def is_attached(self) -> bool:
        return self.headers.get_filename() is not None or not self.kind.startswith("text/")


@dataclass
class Mail:
    """A message and those within it: ``messages`` are their headers, the whole mail's first.

    ``parents`` names for each the message it lies in, -1 for the mail itself."""

    content: bytes
    messages: list[Message] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    parts: int = 0


def take_apart(content: bytes) -> Mail:
    """Find all parts. Raises BadMail where there are too many, or too deep within each other."""
    if len(content) > MAX_MAIL:
        raise BadMail(f"a mail of more than {MAX_MAIL // 2**20} MiB")
    mail = Mail(content)
    _read_message(mail, 0, len(content), depth=0, parent=-1)
    return mail


def _read_message(mail: Mail, start: int, end: int, *, depth: int, parent: int) -> None:
    headers, body = _head(mail.content, start, end)
    mail.messages.append(headers)
    mail.parents.append(parent)
    _read_part(mail, headers, body, end, depth=depth, message=len(mail.messages) - 1)


def _read_part(mail: Mail, headers: Message, start: int, end: int, *, depth: int, message: int) -> None:
    mail.parts += 1
    if depth > MAX_DEPTH:
        raise BadMail(f"a mail with more than {MAX_DEPTH} parts nested in each other")
    if mail.parts > MAX_PARTS:
        raise BadMail(f"a mail with more than {MAX_PARTS} parts")
    boundary = str(headers.get_boundary() or "").encode("utf-8", "surrogateescape")
    if headers.get_content_maintype() == "multipart" and boundary:
        for part_start, part_end in _between(mail.content, boundary, start, end):
            inner, body = _head(mail.content, part_start, part_end)
            _read_part(mail, inner, body, part_end, depth=depth + 1, message=message)
    elif headers.get_content_type() == "message/rfc822" and _is_plain(headers):
        _read_message(mail, start, end, depth=depth + 1, parent=message)
    else:
        mail.leaves.append(Leaf(headers, start, end, message))


def _is_plain(headers: Message) -> bool:
    return str(headers.get("Content-Transfer-Encoding", "7bit")).strip().lower() in ("7bit", "8bit", "binary")


def _head(content: bytes, start: int, end: int) -> tuple[Message, int]:
    """The headers of a part and where its content begins."""
    parser = BytesParser(policy=policy.compat32)
    if content[start : start + 1] == b"\n":
        return parser.parsebytes(b""), start + 1
    if content[start : start + 2] == b"\r\n":
        return parser.parsebytes(b""), start + 2
    found = _HEAD_END.search(content, start, min(end, start + MAX_HEAD))
    if found is None:
        if end - start > MAX_HEAD:
            raise BadMail(f"a mail with headers of more than {MAX_HEAD // 1024} KiB")
        return _shortened(parser.parsebytes(content[start:end], headersonly=True)), end
    return _shortened(parser.parsebytes(content[start : found.end()], headersonly=True)), found.end()


def _shortened(headers: Message) -> Message:
    """The same headers; of those whose parameters will be read the beginning."""
    for name in ("Content-Type", "Content-Disposition"):
        value = str(headers.get(name, ""))
        if len(value) > MAX_PARAMETERS:
            headers.replace_header(name, value[:MAX_PARAMETERS])
    return headers


def _between(content: bytes, boundary: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Where the parts between these boundary lines lie; the last may lack its end."""
    found: list[tuple[int, int]] = []
    begun: int | None = None
    for line_start, line_end, is_last in _boundary_lines(content, b"--" + boundary, start, end):
        if begun is not None:
            found.append((begun, max(begun, _without_line_end(content, line_start))))
        begun = None if is_last else line_end
        if is_last:
            break
        if len(found) > MAX_PARTS:
            raise BadMail(f"a mail with more than {MAX_PARTS} parts")
    if begun is not None:
        found.append((begun, end))
    return found


def _boundary_lines(content: bytes, mark: bytes, start: int, end: int) -> list[tuple[int, int, bool]]:
    """(start, end, whether it is the last) of each line that is this mark, a few more than are allowed at most."""
    found: list[tuple[int, int, bool]] = []
    at = content.find(mark, start, end)
    while at != -1 and len(found) < MAX_PARTS * 3:
        line_end = content.find(b"\n", at, end)
        line_end = end if line_end == -1 else line_end + 1
        rest = content[at + len(mark) : min(line_end, at + len(mark) + 200)].strip()
        if (at == start or content[at - 1 : at] == b"\n") and rest in (b"", b"--"):
            found.append((at, line_end, rest == b"--"))
        at = content.find(mark, max(line_end, at + 1), end)
    return found


def _without_line_end(content: bytes, at: int) -> int:
    if content[at - 1 : at] == b"\n":
        at -= 1
    return at - 1 if content[at - 1 : at] == b"\r" else at


def payload_of(mail: Mail, leaf: Leaf) -> bytes:
    """A part's content, its transfer encoding undone. Raises BadMail where it is larger than is read."""
    coded = str(leaf.headers.get("Content-Transfer-Encoding", "")).strip().lower()
    size = leaf.end - leaf.start
    if size > (MAX_DECODED * 3 // 2 if coded == "base64" else MAX_DECODED):
        raise BadMail(f"a part of more than {MAX_DECODED // 2**20} MiB")
    raw = mail.content[leaf.start : leaf.end]
    if coded == "quoted-printable":
        return quopri.decodestring(raw)
    if coded == "base64":
        try:
            return binascii.a2b_base64(raw)
        except binascii.Error:
            return _as_much_as_possible(raw)
    return raw


def _as_much_as_possible(raw: bytes) -> bytes:
    """Base64 that was cut off."""
    digits = re.sub(rb"[^A-Za-z0-9+/]+", b"", raw)
    return binascii.a2b_base64(digits[: len(digits) // 4 * 4])


def text_of(mail: Mail, leaf: Leaf) -> bytes:
    """A part's text as UTF-8, whatever its character set; piece by piece, as texts of 4 bytes a character are large."""
    raw = payload_of(mail, leaf)
    charset = str(leaf.headers.get_content_charset() or "utf-8").lower()
    if charset in ("utf-8", "us-ascii", "ascii"):
        return raw
    try:
        decoder = codecs.getincrementaldecoder(charset)("backslashreplace")
        pieces = [
            decoder.decode(raw[at : at + _CHUNK], final=at + _CHUNK >= len(raw)).encode("utf-8", "backslashreplace")
            for at in range(0, len(raw), _CHUNK)
        ]
    except (LookupError, ValueError, TypeError, AttributeError):
        return raw
    return b"".join(pieces)
