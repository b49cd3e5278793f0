"""A mail as a delivery: what makes two arrivals of it the same one, and when it was sent.

Called by the listener and by the polling of mailboxes. The same mail takes other ways and gathers other lines on them
(Received, Delivered-To): so a mail is known by its Message-ID and compared by what its sender wrote. A mail without a
Message-ID is known by that comparison alone; one without a Date too, within the five minutes of any bare delivery.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from msp.ingest.storing import Incoming, bare_delivery_id

DOOR = "mail"
#: So much of a mail's beginning is searched for its headers.
LONGEST_HEAD = 256 * 1024
LONGEST_MESSAGE_ID = 120
#: What the sender of a mail wrote at its top; everything else may be added or changed on the way.
TELLING = (b"from", b"subject", b"date")
#: A Date further back than this is taken for a clock that is wrong.
OLDEST_DATE = timedelta(days=30)

_END = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]")
_MESSAGE_ID = re.compile(rb"<([\x21-\x3b\x3d\x3f-\x7e]{3,400})>")


@dataclass(frozen=True)
class IncomingMail(Incoming):
    """A delivery whose digest leaves out what servers on the way may add or change."""

    @cached_property
    def digest(self) -> str:
        return essence_of(self.content)


def incoming_mail(content: bytes, *, server_id: int | None, arrived_at: datetime, now: datetime, way: str) -> Incoming:
    """The delivery of a mail that arrived (at our listener or in the mailbox) at ``arrived_at``.

    ``way`` ("smtp", "imap") is kept for people. Two servers that get the same mail have a delivery each.
    """
    head = headers_of(content)
    sent_at = date_of(head, arrived_at=min(arrived_at, now))
    meta: dict[str, Any] = {"content_type": "message/rfc822", "way": way, "sent_at": sent_at.isoformat()}
    named = f"{server_id or 'nobody'}:{name_of(content, head, arrived_at=arrived_at)}"
    return IncomingMail(DOOR, named, content, now, server_id, meta)


def name_of(content: bytes, head: dict[bytes, bytes], *, arrived_at: datetime) -> str:
    """The id of a mail; only letters, digits and what Message-IDs are made of."""
    match = _MESSAGE_ID.search(head.get(b"message-id", b""))
    if match is not None:
        given = match.group(1).decode("ascii")
        return f"id:{given if len(given) <= LONGEST_MESSAGE_ID else hashlib.sha256(match.group(1)).hexdigest()}"
    if head.get(b"date"):
        return f"hash:{essence_of(content)}"
    return bare_delivery_id(essence_of(content).encode(), {}, received_at=arrived_at)


def headers_of(content: bytes) -> dict[bytes, bytes]:
    """The first header of each name (lower case), unfolded; whatever the bytes."""
    top = content[:LONGEST_HEAD]
    end = _END.search(top)
    found: dict[bytes, bytes] = {}
    for line in _FOLD.sub(b" ", top[: end.start()] if end else top).split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            found.setdefault(name.strip().lower(), b" ".join(value.split()))
    return found


def essence_of(content: bytes) -> str:
    """SHA-256 of sender, subject, date and body, without regard to line ends."""
    head = headers_of(content)
    end = _END.search(content[:LONGEST_HEAD])
    digest = hashlib.sha256(b"\n".join(head.get(name, b"") for name in TELLING))
    digest.update(b"\0")
    digest.update(content[end.end() if end else 0 :].replace(b"\r\n", b"\n").rstrip())
    return digest.hexdigest()


def date_of(head: dict[bytes, bytes], *, arrived_at: datetime) -> datetime:
    """When the mail was sent, in UTC: its Date, unless that is missing, later than its arrival, or long before."""
    try:
        said = parsedate_to_datetime(head.get(b"date", b"").decode("ascii", "replace"))
        said = said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return arrived_at
    return said if arrived_at - OLDEST_DATE <= said <= arrived_at else arrived_at
