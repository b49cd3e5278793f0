"""Opening a mail: from the message as sent to the log inside it.

Used by ``opening`` before any format looks. Transfer encodings and character sets are undone, a page becomes text when
there is no plain part, a forwarded mail gives way to the original in it, archives are unpacked. Depth, number of parts
and sizes are limited, so that a hostile mail costs linear time and little memory; what is left closed is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime

from integrations.logs.bytes_to_text import clean, without_byte_order_mark
from integrations.logs.forwarding import undo_forwarding
from integrations.logs.joblog import Attachment
from integrations.logs.mime import BadMail, Leaf, Mail, payload_of, take_apart, text_of
from integrations.logs.page_text import html_to_text
from integrations.logs.unpacking import Unpacking

__all__ = ["BadMail", "OpenedMail", "html_to_text", "is_mail", "open_mail"]

#: Attachments of one mail are decoded to so many bytes together.
MAX_ATTACHED = 16 * 1024 * 1024

_HEADER = re.compile(rb"^[A-Za-z][A-Za-z0-9-]{0,60}:[ \t]?[^\r\n]*\r?$")
_TELLING = frozenset({
    b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"received", b"return-path", b"delivered-to",
    b"content-type", b"x-mailer", b"reply-to",
})  # fmt: skip
_OUTLOOK = ("application/ms-tnef", "application/vnd.ms-tnef")
WINMAIL = "The attachment winmail.dat holds what only Outlook reads and was left out: send plain text or HTML."


@dataclass(frozen=True)
class OpenedMail:
    """The log that a mail carries, as UTF-8, with what its headers say; of a forwarded one what the original's say.

    ``problems`` tell what could not be read, ``notes`` what was left out and is no loss.
    """

    body: bytes
    subject: str
    sender: str
    sent_at: datetime | None
    attachments: tuple[Attachment, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
    try:
        return _open(take_apart(body))
    except BadMail:
        raise
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError, KeyError) as error:
        raise BadMail(f"this mail cannot be taken apart ({type(error).__name__})") from None


def _open(mail: Mail) -> OpenedMail:
    chosen = _original(mail)
    text = _best_text(mail, [leaf for leaf in mail.leaves if leaf.message == chosen])
    if not text.strip() and chosen:
        text = _best_text(mail, mail.leaves)
    headers = mail.messages[chosen]
    subject, sender = _header(headers, "Subject"), _header(headers, "From")
    original = undo_forwarding(text, subject=subject, sender=sender)
    opened = OpenedMail(
        body=original.text,
        subject=clean(original.subject) if original.is_forwarded else subject,
        sender=clean(original.sender) if original.is_forwarded else sender,
        sent_at=_sent_at(headers),
        attachments=(),
    )
    return _with_attachments(opened, mail, chosen)


def _original(mail: Mail) -> int:
    """Which message is meant: the one within, as forwarded mails are, however often; not the one a bounce returns."""
    chosen = 0
    while mail.messages[chosen].get_content_type() != "multipart/report" and chosen in mail.parents:
        chosen = mail.parents.index(chosen)
    return chosen


def _with_attachments(opened: OpenedMail, mail: Mail, chosen: int) -> OpenedMail:
    unpacking = Unpacking()
    problems, notes, left = [], [], MAX_ATTACHED
    for at, leaf in enumerate(mail.leaves):
        if not leaf.is_attached:
            continue
        if leaf.kind in _OUTLOOK or str(leaf.headers.get_filename()).lower() == "winmail.dat":
            notes.append(WINMAIL)
            continue
        try:
            content = text_of(mail, leaf) if leaf.kind.startswith("text/") else payload_of(mail, leaf)
        except BadMail as refused:
            problems.append(f"An attachment was left closed: {refused}.")
            continue
        left -= len(content)
        if left < 0:
            problems.append(f"Attachments of more than {MAX_ATTACHED // 2**20} MiB: the rest was left closed.")
            break
        unpacking.take(_attachment(leaf, content, at))
    beside = mail.parents.count(mail.parents[chosen])
    if beside > 1:
        problems.append(f"This mail holds {beside} mails, of which the first alone is read: forward them singly.")
    return replace(
        opened,
        attachments=tuple(replace(file, content=without_byte_order_mark(file.content)) for file in unpacking.files),
        problems=(*problems, *unpacking.problems),
        notes=tuple(dict.fromkeys(notes)),
    )


def _header(message: Message, name: str) -> str:
    return _header_text(str(message.get(name, ""))[:2000])


def _header_text(raw: str) -> str:
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


def _sent_at(headers: Message) -> datetime | None:
    """The Date header in UTC; None unless it names its zone."""
    try:
        said = parsedate_to_datetime(str(headers.get("Date", ""))[:200])
        return said.astimezone(UTC) if said.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _attachment(leaf: Leaf, content: bytes, at: int) -> Attachment:
    name = clean(_header_text(str(leaf.headers.get_filename() or f"part-{at + 1}")), 200)
    return Attachment(name=name, content=content, content_type=leaf.kind)


def _best_text(mail: Mail, leaves: list[Leaf]) -> bytes:
    shown = [leaf for leaf in leaves if not leaf.is_attached]
    plain = [text for leaf in shown if leaf.kind != "text/html" and (text := _text(mail, leaf)).strip()]
    if plain:
        return b"\n".join(plain)
    pages = [leaf for leaf in shown if leaf.kind == "text/html"]
    return b"\n".join(html_to_text(_text(mail, leaf).decode("utf-8", "backslashreplace")).encode() for leaf in pages)


def _text(mail: Mail, leaf: Leaf) -> bytes:
    return without_byte_order_mark(text_of(mail, leaf))
