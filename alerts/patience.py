"""How long a finding about silence is delayed, because what would refute it may be on its way or cannot arrive.

Every rule that reads a missed deadline asks here: a log that came in before and is unread, an interruption of ours,
a channel that is silent or unreadable. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from alerts.facts import PROCESSING_PATIENCE, Subject, Unheard, Waiting

#: While the channel is silent, this often is asked again.
UNHEARD_RECHECK = timedelta(minutes=15)
#: While logs wait, the answer may change each time one is read.
UNREAD_RECHECK = timedelta(minutes=1)
#: After an interruption of ours many jobs wait, and for longer.
DRAINING_RECHECK = timedelta(minutes=5)
#: How long after an interruption of ours logs may still come in that it held up; how long they may take to be read.
CATCHING_UP, DRAINING = timedelta(hours=1), timedelta(hours=3)


class Delayed(Protocol):
    """What facts tell of our own delays."""

    @property
    def subject(self) -> Subject: ...
    @property
    def awaiting_since(self) -> datetime | None: ...
    @property
    def resumed_at(self) -> datetime | None: ...
    @property
    def unheard(self) -> Unheard | None: ...


def waiting_for(kind: str, facts: Delayed, *, deadline: datetime, now: datetime) -> Waiting | None:
    """The answer of a rule whose deadline has passed but cannot be judged yet; None once it can."""
    until = patient_until(facts, deadline=deadline)
    if until is not None and now < until:
        reason = "It looks overdue, but logs that came in earlier are still being read."
        return Waiting(kind=kind, subject=facts.subject, reason=reason, until=until)
    if facts.unheard is not None and facts.unheard.covers(deadline, now):
        until = facts.unheard.until or now + UNHEARD_RECHECK
        return Waiting(kind=kind, subject=facts.subject, reason=f"Not heard: {facts.unheard.what}", until=until)
    return None


def ask_again_at(facts: Delayed, *, deadline: datetime, now: datetime) -> datetime | None:
    """When a rule with this deadline is asked again: at the deadline, then while it waits, then only upon a log."""
    if now < deadline:
        return deadline
    unread_until = patient_until(facts, deadline=deadline)
    if unread_until is not None and now < unread_until:
        if facts.awaiting_since is None:
            return unread_until
        is_short = unread_until - deadline <= PROCESSING_PATIENCE
        return min(unread_until, now + (UNREAD_RECHECK if is_short else DRAINING_RECHECK))
    waiting = waiting_for("", facts, deadline=deadline, now=now)
    return None if waiting is None else waiting.until


def patient_until(facts: Delayed, *, deadline: datetime) -> datetime | None:
    """Until when unread logs delay the finding; None if none of them can matter."""
    if facts.resumed_at is not None and deadline <= facts.resumed_at + CATCHING_UP:
        return _patient_after_interruption(facts.resumed_at, facts.awaiting_since)
    if facts.awaiting_since is None or facts.awaiting_since > deadline:
        return None
    return deadline + PROCESSING_PATIENCE


def _patient_after_interruption(resumed_at: datetime, awaiting: datetime | None) -> datetime:
    """Logs that our own interruption held up wait outside, where no queue shows them, and come in after it.

    As long as one of that time is unread it may be the one that is missed; but no queue that is stuck delays a finding
    for longer than ``DRAINING``.
    """
    caught_up = resumed_at + CATCHING_UP
    return resumed_at + DRAINING if awaiting is not None and awaiting <= caught_up else caught_up
