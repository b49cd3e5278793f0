"""Opening a mail: from the message as sent to the log inside it.

Used by ``opening`` before any format looks. Quoted-printable, base64 and character sets are undone, HTML is turned
into text when there is no plain part, attachments are listed. Depth, number of parts and sizes are limited before
the standard library's parser sees the message, so that a hostile mail costs linear time.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from email import policy
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser

from integrations.logs.bytes_to_text import clean
from integrations.logs.joblog import Attachment

MAX_MULTIPARTS = 20
MAX_PARTS = 100
MAX_MAIL = 64 * 1024 * 1024
MAX_HTML = 4 * 1024 * 1024

_HEADER = re.compile(rb"^[A-Za-z][A-Za-z0-9-]{0,60}:[ \t]?[^\r\n]*\r?$")
_TELLING = frozenset({
    b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"received", b"return-path", b"delivered-to",
    b"content-type", b"x-mailer", b"reply-to",
})  # fmt: skip
_NESTED = re.compile(rb"^content-type:[ \t]*(?:multipart|message)/", re.I | re.M)

_BOUNDARY = re.compile(rb"\bboundary[ \t]*=[ \t]*\"?([^\"\r\n;]{1,200})", re.I)


class BadMail(ValueError):
    """The message is a mail but breaks a limit or cannot be taken apart."""


@dataclass(frozen=True)
class OpenedMail:
    """The log that a mail carries, as UTF-8, with what its headers say."""

    body: bytes
    subject: str
    sender: str
    attachments: tuple[Attachment, ...]


def is_mail(body: bytes, content_type: str = "") -> bool:
    """True for a message as sent: its first lines are headers, among them some that only mails have."""
    if content_type.lower().startswith("message/rfc822"):
        return True
    seen: set[bytes] = set()
    for line in body[:16384].split(b"\n")[:200]:
        if not line.strip():
            break
        if line[:1] in (b" ", b"\t") and seen:
            continue
        if line.startswith(b"From ") and not seen:
            continue
        if not _HEADER.match(line):
            return False
        seen.add(line.split(b":", 1)[0].lower())
    return b"from" in seen and len(seen & _TELLING) >= 3


def open_mail(body: bytes) -> OpenedMail:
    """The text of a mail and its attachments. Raises BadMail where it breaks a limit."""
    _check_limits(body)
    try:
        message = BytesParser(policy=policy.compat32).parsebytes(body)
        parts = _leaves(message)
        return OpenedMail(
            body=_best_text(parts),
            subject=_header(message, "Subject"),
            sender=_header(message, "From"),
            attachments=tuple(_attachment(part, at) for at, part in enumerate(parts) if _is_attachment(part)),
        )
    except BadMail:
        raise
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError, KeyError) as error:
        raise BadMail(f"this mail cannot be taken apart ({type(error).__name__})") from None


def _check_limits(body: bytes) -> None:
    if len(body) > MAX_MAIL:
        raise BadMail(f"a mail of more than {MAX_MAIL // 2**20} MiB")
    nested = sum(1 for _ in zip(_NESTED.finditer(body), range(MAX_MULTIPARTS + 1), strict=False))
    if nested > MAX_MULTIPARTS:
        raise BadMail(f"a mail with more than {MAX_MULTIPARTS} nested parts")
    boundaries = {match.group(1) for match, _ in zip(_BOUNDARY.finditer(body), range(MAX_PARTS), strict=False)}
    if sum(body.count(b"\n--" + boundary) for boundary in boundaries) > MAX_PARTS + 2 * MAX_MULTIPARTS:
        raise BadMail(f"a mail with more than {MAX_PARTS} parts")


def _leaves(message: Message) -> list[Message]:
    found: list[Message] = []
    for part in message.walk():
        if len(found) >= MAX_PARTS:
            raise BadMail(f"a mail with more than {MAX_PARTS} parts")
        if not part.is_multipart():
            found.append(part)
    return found


def _header(message: Message, name: str) -> str:
    raw = str(message.get(name, ""))[:2000]
    try:
        pieces = decode_header(raw)
        text = "".join(p if isinstance(p, str) else _decoded(p, charset or "utf-8") for p, charset in pieces)
    except (ValueError, LookupError):
        text = raw
    return clean(" ".join(text.split()))


def _decoded(raw: bytes, charset: str) -> str:
    try:
        return raw.decode(charset, "backslashreplace")
    except (LookupError, ValueError):
        return raw.decode("utf-8", "backslashreplace")


def _is_attachment(part: Message) -> bool:
    return part.get_filename() is not None or not part.get_content_type().startswith("text/")


def _attachment(part: Message, at: int) -> Attachment:
    name = clean(str(part.get_filename() or f"part-{at + 1}"), 200)
    return Attachment(name=name, content=_payload(part), content_type=part.get_content_type())


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _as_utf8(part: Message) -> bytes:
    raw = _payload(part)
    charset = (part.get_content_charset() or "utf-8").lower()
    if charset in ("utf-8", "us-ascii", "ascii"):
        return raw
    return _decoded(raw, charset).encode("utf-8", "backslashreplace")


def _best_text(parts: list[Message]) -> bytes:
    shown = [part for part in parts if not _is_attachment(part)]
    plain = [text for part in shown if part.get_content_type() != "text/html" and (text := _as_utf8(part)).strip()]
    if plain:
        return b"\n".join(plain)
    pages = [part for part in shown if part.get_content_type() == "text/html"]
    return b"\n".join(html_to_text(_as_utf8(part).decode("utf-8", "backslashreplace")).encode() for part in pages)


_BREAKS = re.compile(r"<(?:br|p|/p|div|/div|tr|/tr|li|/li|h[1-6]|/h[1-6]|hr|pre|/pre|table|/table)\b[^<>]*>", re.I)
_CELLS = re.compile(r"</t[dh]\b[^<>]*>", re.I)
_TAGS = re.compile(r"<[a-zA-Z/!?][^<>]*>")
_UNSHOWN = re.compile(r"<(/?)(?:script|style|head|title)\b[^<>]*>", re.I)


def html_to_text(page: str) -> str:
    """The text of an HTML page: block ends become line ends, cells tabs. Linear, whatever the page."""
    shown = "".join(_outside_unshown(page[:MAX_HTML]))
    shown = "\n".join(line.strip() for line in shown.split("\n")) if "<pre" not in shown.lower() else shown
    text = _TAGS.sub("", _CELLS.sub("\t", _BREAKS.sub("\n", shown)))
    return html.unescape(text).replace("\u00a0", " ")


def _outside_unshown(page: str) -> list[str]:
    kept: list[str] = []
    at, hidden = 0, 0
    for match in _UNSHOWN.finditer(page):
        if hidden == 0:
            kept.append(page[at : match.start()])
        hidden = max(0, hidden - 1) if match.group(1) else hidden + 1
        at = match.end()
    if hidden == 0:
        kept.append(page[at:])
    return kept
