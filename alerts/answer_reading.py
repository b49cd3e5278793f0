"""A mail about a ticket as values: who wrote it, what they wrote anew, whether a machine did, whether it came back.

Pure: bytes in, an ``Answer`` out, whatever the bytes are. Attachments are never opened; quoted text and signatures are
cut off line by line in time linear to the text, since what is cut is a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from integrations.logs.mime import Leaf, Mail, payload_of, take_apart, text_of
from integrations.logs.page_text import html_to_text

#: Of a mail's text so much is looked at, in characters.
LONGEST_TEXT = 20_000
LONGEST_HEADER = 4000
MAX_PART = 500_000  # bytes

OUR_HEADER = "x-backledger-reference"
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,400}>")
_ITS_MESSAGE_ID = re.compile(r"(?im)^message-id:\s{0,3}(<[^<>\s]{3,400}>)")
_BULK = frozenset({"bulk", "junk", "list", "auto_reply", "auto-reply"})
_ROBOTS = frozenset({"mailer-daemon", "postmaster"})
#: Headers that no program for people writes.
_ROBOT_HEADERS = ("x-auto-response-suppress", "x-autoreply", "x-autorespond", "x-autoresponder", "x-loop")

_WROTE = re.compile(
    r"(?:On|Am|Le|El|Il|Op) [^\n]{3,400}?"
    r"(?:wrote|schrieb[^\n:]{0,200}|a écrit|escribió|ha scritto|schreef[^\n:]{0,200})\s?:"
)
_ORIGINAL = re.compile(
    r"[-_]{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d['’]origine|Mensaje original) ?[-_]{2,}", re.I
)
_FROM_LINE = re.compile(r"\*?(?:From|Von|De|Da|Van)\s?:\*? \S")
_SENT_LINE = re.compile(r"\*?(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado|Enviado el|Fecha|Inviato|Verzonden)\s?:\*? \S")
_SENT_FROM = re.compile(
    r"(?:Sent from my |Get Outlook for |Von meinem \S.{0,40} gesendet|Envoyé de mon |Enviado desde mi )"
)
_RULE = re.compile(r"[_-]{20,}")
_MARKER = re.compile(r"##-? .{0,200} -?##")


@dataclass(frozen=True)
class Answer:
    """One mail. ``text`` is what was written anew. ``answers``: the Message-IDs it says to answer. ``automatic``: it
    bears the marks of a machine. ``ours``: it is one of our own. ``returned``: the recipients that a report of failed
    delivery names, with the server's reason; None for any other mail. ``is_report``: it is a report of any kind, then
    ``about`` are the Message-IDs of the mails that stand in it, not of those which these answer.
    """

    sender: str
    name: str
    subject: str
    text: str
    written_at: datetime | None
    answers: tuple[str, ...]
    automatic: bool
    robot_reply: bool
    ours: bool
    is_report: bool
    returned: tuple[tuple[str, str], ...] | None
    about: tuple[str, ...]
    headers: Mapping[str, str]


def read_answer(content: bytes, *, envelope_sender: str | None) -> Answer:
    """Raises BadMail for one that breaks a limit. ``envelope_sender`` "": the null sender, None: not known."""
    mail = take_apart(content)
    headers = headers_of(mail.messages[0])
    name, address = writer_of(mail.messages[0])
    is_report = mail.messages[0].get_content_type() == "multipart/report"
    return Answer(
        sender=address.lower()[:320],
        name=name[:200],
        subject=headers.get("subject", "")[:1000],
        text=written_anew(text_in(mail)),
        written_at=date_of(headers.get("date", "")),
        answers=tuple(_MESSAGE_ID.findall(f"{headers.get('in-reply-to', '')} {headers.get('references', '')}")),
        automatic=is_automatic(headers, envelope_sender=envelope_sender, sender=address),
        robot_reply=said(headers, "auto-submitted").startswith("auto-replied"),
        ours=OUR_HEADER in headers,
        is_report=is_report,
        returned=failures_in(mail) if is_report else None,
        about=tuple(_ITS_MESSAGE_ID.findall(content.decode("latin-1"))) if is_report else (),
        headers=headers,
    )


def writer_of(message: Message) -> tuple[str, str]:
    """Name and address in From, taken apart before it is decoded; ("", "") unless it names exactly one."""
    try:
        told = getaddresses([str(value)[:LONGEST_HEADER] for value in message.get_all("From", [])[:2]])
    except RecursionError:  # comments or groups deep within each other
        return "", ""
    return (decoded(told[0][0]), decoded(told[0][1])) if len(told) == 1 else ("", "")


def headers_of(message: Message) -> dict[str, str]:
    """The first of each name, names in lower case, decoded and on one line."""
    found: dict[str, str] = {}
    for name, value in message.items():
        found.setdefault(name.lower(), decoded(str(value)[:LONGEST_HEADER]))
    return found


def decoded(raw: str) -> str:
    """RFC 2047 undone where it can be; printable, on one line."""
    try:
        pieces = decode_header(raw)
        text = "".join(one if isinstance(one, str) else one.decode(code or "utf-8", "replace") for one, code in pieces)
    except (HeaderParseError, ValueError, LookupError):
        text = raw
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def said(headers: Mapping[str, str], name: str) -> str:
    """A header's keyword: without parameters and comments."""
    return re.split(r"[;(]", headers.get(name, ""), maxsplit=1)[0].strip().lower()


def is_automatic(headers: Mapping[str, str], *, envelope_sender: str | None, sender: str) -> bool:
    """RFC 3834, and what older programs write instead of it."""
    if said(headers, "auto-submitted") not in ("", "no") or said(headers, "precedence") in _BULK:
        return True
    if any(name in headers for name in _ROBOT_HEADERS):
        return True
    return envelope_sender == "" or sender.partition("@")[0].lower() in _ROBOTS


def date_of(text: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(text[:200])
        return told.astimezone(UTC) if told.tzinfo is not None else told.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def failures_in(mail: Mail) -> tuple[tuple[str, str], ...]:
    """(recipient, reason) for each that a delivery report (RFC 3464) calls failed for good."""
    found: list[tuple[str, str]] = []
    for leaf in mail.leaves:
        if leaf.kind == "message/delivery-status":
            for block in re.split(r"\n\s*\n", as_text(payload_of(mail, leaf))[:LONGEST_TEXT]):
                fields = dict(re.findall(r"(?m)^([A-Za-z-]{1,60}):[ \t]*(.{0,1000}(?:\n[ \t].{0,500})*)", block))
                told = {name.lower(): " ".join(value.split()) for name, value in fields.items()}
                if told.get("action", "").lower() == "failed":
                    recipient = told.get("original-recipient") or told.get("final-recipient", "")
                    reason = told.get("diagnostic-code") or told.get("status", "")
                    found.append((recipient.rpartition(";")[2].strip()[:320], reason.rpartition(";")[2].strip()[:300]))
    return tuple(found)


# --- text ----------------------------------------------------------------------------------------------------------


def text_in(mail: Mail) -> str:
    """The text of the mail itself: its plain part, else its page as text. Mails within it are another's words."""
    shown = [leaf for leaf in mail.leaves if leaf.message == 0 and not leaf.is_attached]
    plain = next((text for leaf in shown if leaf.kind == "text/plain" and (text := part(mail, leaf)).strip()), None)
    if plain is not None:
        return plain[:LONGEST_TEXT]
    pages = (part(mail, leaf) for leaf in shown if leaf.kind == "text/html")
    return next((html_to_text(page)[:LONGEST_TEXT] for page in pages if page.strip()), "")


def part(mail: Mail, leaf: Leaf) -> str:
    return as_text(text_of(mail, leaf)[:MAX_PART])


def as_text(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    return "".join(each for each in text if each.isprintable() or each in "\n\t")


def written_anew(text: str) -> str:
    """The text without what it quotes, without its signature, and without what ticket systems put around it."""
    lines = [line.strip() for line in text.split("\n")]
    kept: list[str] = []
    for at, line in enumerate(lines):
        if begins_the_rest(lines, at) or (_RULE.fullmatch(line) and any(kept)):
            break
        if not line.startswith(">") and not _MARKER.fullmatch(line):
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def begins_the_rest(lines: list[str], at: int) -> bool:
    """Whether a signature or an older mail begins at this line. A line that announces a quotation may be broken."""
    line = lines[at]
    if line in ("--", "—") or _SENT_FROM.match(line) or _ORIGINAL.fullmatch(line):
        return True
    if any(_WROTE.fullmatch(" ".join(lines[at : at + count])) for count in (1, 2, 3)):
        return True
    return _FROM_LINE.match(line) is not None and any(_SENT_LINE.match(each) for each in lines[at + 1 : at + 4])
