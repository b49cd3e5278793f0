"""The words of the mail that stands in for tickets which a destination does not take. Pure: values in, text out.

Subjects of tickets come from outside (names of clients and jobs) and are escaped in HTML.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from alerts.facts import Severity
from alerts.wording import count_words, moment_words

#: A mail names so many tickets; the page has all.
MOST_SHOWN = 200

Words = tuple[str, str, str]


@dataclass(frozen=True)
class Held:
    """A ticket that is held back. ``is_new``: something happened to it of which no mail has told yet.

    ``stuck`` and ``reason``: it was refused, and why; else its destination is paused. ``held_since``: last tried.
    """

    ticket_id: int
    subject: str
    uid: uuid.UUID
    severity: Severity
    opened_at: datetime
    last_seq: int
    is_new: bool
    stuck: bool
    reason: str
    held_since: datetime


def held_mail(
    name: str,
    *,
    since: datetime | None,
    reason: str,
    held: Sequence[Held],
    fresh: Sequence[Held],
    zone: str,
    base_url: str,
) -> Words:
    """Subject, text and HTML of the mail about what is held back."""
    lead = f"{name} does not take {count_words(len(fresh), 'ticket')} of ours."
    if since is not None:
        lead = f"{name} has taken no ticket since {moment_words(since, zone)}. {reason}".rstrip()
    told = [lead, "What is not solved by then becomes a ticket as soon as it takes them again; you need not repeat it."]
    earlier = len(held) - len(fresh)
    if earlier:
        told.append(f"{count_words(earlier, 'ticket')} of earlier mails still {'waits' if earlier == 1 else 'wait'}.")
    subject = f"{count_words(len(fresh), 'ticket')} could not be told to {name}"
    lines = [(_line(one, zone=zone), f"{base_url}/tickets/{one.uid}/") for one in fresh[:MOST_SHOWN]]
    if len(fresh) > MOST_SHOWN:
        lines.append((f"and {len(fresh) - MOST_SHOWN:,} more", f"{base_url}/tickets/?standing=untold"))
    return subject, _text(told, lines), _html(told, lines)


def again_mail(name: str, *, base_url: str) -> Words:
    """Subject, text and HTML of the mail that says it is over."""
    told = [f"{name} takes tickets again. Nothing that was mailed instead is held back any more."]
    lines = [("All tickets", f"{base_url}/tickets/")]
    return f"{name} takes tickets again", _text(told, lines), _html(told, lines)


def _line(one: Held, *, zone: str) -> str:
    words = f"{one.severity.capitalize()}: {one.subject} (since {moment_words(one.opened_at, zone)})"
    return f"{words}. {one.reason}" if one.stuck and one.reason else words


def _text(told: Sequence[str], lines: Sequence[tuple[str, str]]) -> str:
    return "\n\n".join([*told, *(f"{words}\n{address}" for words, address in lines)]) + "\n"


def _html(told: Sequence[str], lines: Sequence[tuple[str, str]]) -> str:
    items = "".join(f'<li><a href="{escape(address)}">{escape(words)}</a></li>' for words, address in lines)
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in told) + f"<ul>{items}</ul>"
