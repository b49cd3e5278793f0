"""The words of a ticket: its subject, its first message, its further ones and its last. Pure: values in, text out.

A reader must be able to act on it: the client, the machine, what failed, since when, the last good backup, the log's
telling lines, a link, and what to try. Everything from a log is hostile: one line each, cut, never a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Severity
from alerts.routing import SHARED
from alerts.wording import moment_words

MOST_LINES = 10
#: Cards that one message tells in full; of further ones it names only what they are about.
MOST_CARDS = 20
MOST_NAMES = 200
LINE_LENGTH = 300

#: What to try first, by rule.
HINTS = {
    "no_recent_backup": "Check that the machine is on and reachable, that the backup service or its schedule still "
    "runs, and that its logs still reach us.",
    "did_not_start": "Check that the machine is on and that the backup product's own scheduler runs and still holds "
    "this job; if it starts at another time now, set its schedule.",
    "never_backed_up": "Run the job once by hand and read its log; if it is not needed any more, retire it.",
    "still_running": "Look in the product whether the run still moves data. If it hangs, stop it and start it anew; "
    "its end closes this by itself.",
    "unstable": "Compare the nights that were good with those that were not: the time of day, the line, what else ran.",
    "implausible_zero": "Check that the share, disk or database behind the selection is mounted and readable for the "
    "backup's own user.",
    "clock_skew": "Set the clock and the time zone of the machine, and let it follow a time server; the next log "
    "closes this by itself.",
    "no_data_sent": "Check that the selection still points at existing folders or databases, and that the disk or "
    "share behind it is mounted.",
    "errors": "Read the lines above, mend their cause and run the job again; a good run closes this by itself.",
    "quota_overrun": "Look at what grew (the client's page shows each selection), then agree on a higher quota or take "
    "something out of the selection.",
    "size_anomaly": "Look at what the selection holds now and what it held before: a share that is no longer mounted, "
    "a folder that was moved, files that were encrypted. If the new size is right, accept it with a reason: it is the "
    "usual one from then on.",
    "component_failed": "Look at the component on the machine itself (vssadmin list writers, the database's own log), "
    "restart it and run the job again.",
    "slow": "Look at the line, at the disks at both ends, and at what else runs at the same time; then give the job "
    "more time, another start or less to carry.",
    "chain_too_long": "Make a new full copy, or have the product merge old copies, so that a restore needs fewer.",
    "last_full_too_old": "Make a new full copy; or switch this off where copies are meant to be incremental for ever.",
    "processing_delayed": "Check that the workers run and that the database answers.",
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """What letters may say of one incident."""

    kind: str
    label: str
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


def ticket_subject(card: Card, *, group_key: str) -> str:
    """The subject that a ticket keeps for its whole life."""
    if group_key.startswith("client:"):
        day = group_key.split(":")[2:]
        return one_line(f"{card.client}: backup problems{f' of {day[0]}' if day else ''}", length=150)
    if group_key == SHARED:
        return "Further backup problems beyond the tickets of an hour"
    if group_key.startswith("server:"):
        return one_line(f"{card.server}: backup problems", length=150)
    owner = card.client or card.server or "Backup service"
    about = f" - {card.job}" if card.job else ""
    where = f" on {card.machine or card.server}" if card.machine or card.server else ""
    return one_line(f"{owner}: {card.label.lower()}{about}{where}", length=150)


def first_letter(cards: Sequence[Card], *, base_url: str) -> str:
    """The message that opens a ticket."""
    return "\n\n".join(
        filter(None, (*(card_text(card, base_url=base_url) for card in cards[:MOST_CARDS]), names(cards[MOST_CARDS:])))
    )


def names(cards: Sequence[Card]) -> str:
    """One line each, so that a ticket of hundreds of problems stays a size that ticket systems take."""
    if not cards:
        return ""
    lines = [f"- {where(card)}" for card in cards[:MOST_NAMES]]
    if len(cards) > MOST_NAMES:
        lines.append(f"- and {len(cards) - MOST_NAMES} more")
    return "\n".join([f"Further ones ({len(cards)}):", *lines])


def where(card: Card) -> str:
    return one_line(" - ".join(part for part in (card.client, card.job, card.label) if part))


def card_text(card: Card, *, base_url: str) -> str:
    facts = [
        ("Client", card.client),
        ("Machine", card.machine),
        ("Server", card.server),
        ("Job", card.job),
        ("Product", card.product),
        ("Severity", card.severity),
        ("Since", moment_words(card.since, card.zone)),
        ("Last good backup", moment_words(card.last_good_at, card.zone) if card.last_good_at else ""),
    ]
    parts = [one_line(card.summary, length=500), ""]
    parts += [f"{name}: {one_line(value)}" for name, value in facts if value]
    if card.lines:
        parts += ["", "From the log:", *(f"  {one_line(line)}" for line in card.lines[:MOST_LINES])]
    if card.kind in HINTS:
        parts += ["", f"What to try: {HINTS[card.kind]}"]
    parts += ["", f"Details: {base_url}/incidents/{card.uid}"]
    return "\n".join(parts)


def update_letter(updates: Sequence[Update], *, base_url: str) -> str:
    """A further message: what happened since the last one, told once and in order."""
    told = collapse(updates)
    texts = [update_text(update, base_url=base_url) for update in told[:MOST_CARDS]]
    further = [update_line(update) for update in told[MOST_CARDS:]]
    if len(further) > MOST_NAMES:
        further = [*further[: MOST_NAMES - 1], f"- and {len(further) - MOST_NAMES + 1} more"]
    return "\n\n".join(filter(None, (*texts, "\n".join(further))))


def collapse(updates: Sequence[Update]) -> list[Update]:
    """What is still true of several untold updates: an incident that came and went is told once, as solved."""
    last: dict[str, int] = {}
    for index, update in enumerate(updates):
        if update.card is not None:
            last[update.card.uid] = index
    return [update for index, update in enumerate(updates) if update.card is None or last[update.card.uid] == index]


#: How an update begins, by its kind.
BEGINNINGS = {"left": "Solved", "opened": "Also", "joined": "Also", "reminder": "Still open", "persists": "Not solved"}


def update_line(update: Update) -> str:
    """The update in one line."""
    if update.kind == "closed" or update.card is None:
        return one_line(update.text, length=500)
    return f"{BEGINNINGS.get(update.kind, 'Changed')}: {where(update.card)}"


def update_text(update: Update, *, base_url: str) -> str:
    """The update in full."""
    if update.kind == "closed" or update.card is None:
        return update_line(update)
    if update.kind in ("opened", "joined", "reminder", "persists"):
        return f"{update_line(update)}\n{card_text(update.card, base_url=base_url)}"
    return f"{update_line(update)}\n{one_line(update.text, length=500)}"
