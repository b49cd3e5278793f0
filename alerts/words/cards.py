"""What letters are made of: a card for each incident, and the updates of a ticket. Pure: values in, values out.

Everything from a log or from another system is hostile: whoever puts it into a letter makes one line of it and cuts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Severity

LINE_LENGTH = 300


@dataclass(frozen=True, kw_only=True)
class Card:
    """What letters may say of one incident. ``subject``: the name of what it is about, where that has one of its own.

    ``zone`` is that of the client, in which its moments are written; the languages are what client and tenant chose.
    """

    kind: str
    severity: Severity
    is_open: bool
    summary: str
    since: datetime
    lines: tuple[str, ...]
    close_reason: str
    client: str
    server: str
    job: str
    machine: str
    last_good_at: datetime | None
    uid: str
    zone: str
    product: str = ""
    subject: str = ""
    client_language: str = ""
    tenant_language: str = ""


@dataclass(frozen=True)
class Update:
    """One thing that happened to a ticket on our side; ``kind`` as in TicketUpdate."""

    kind: str
    text: str
    at: datetime
    card: Card | None


def one_line(text: str, *, length: int = LINE_LENGTH) -> str:
    """Text without line breaks and control characters, cut to ``length``."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= length else f"{clean[: length - 1]}…"


def collapse(updates: Sequence[Update]) -> list[Update]:
    """What is still true of several untold updates: an incident that came and went is told once, as solved."""
    last: dict[str, int] = {}
    for index, update in enumerate(updates):
        if update.card is not None:
            last[update.card.uid] = index
    return [update for index, update in enumerate(updates) if update.card is None or last[update.card.uid] == index]
