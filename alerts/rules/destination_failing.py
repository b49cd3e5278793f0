"""Destination failing: a ticket system takes no tickets, or refused some that only a person can mend.

What happens then is told by mail instead and waits here; this incident stands for all of it. It closes when the
destination takes tickets again and none is left that was refused. It is never told to the destination it is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import DestinationFacts
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, moment_words

KIND = "destination_failing"
LABEL = "Destination failing"
SUBJECT: SubjectKind = "destination"
ENABLED = True
SEVERITY: Severity = "critical"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False

#: While it lasts it is looked at again so often.
RECHECK = timedelta(minutes=15)


@dataclass(frozen=True)
class Params:
    """How long a refused ticket may lie."""

    refused_minutes: int = whole_number(
        10, label="Refused for", unit="minutes", at_least=0, at_most=10080,
        help="How long a ticket that was refused may wait for a person before this is flagged.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: DestinationFacts, params: Params, now: datetime) -> Answer:
    """A finding while its failures keep it paused, or once a ticket that it refused has lain for so long."""
    if not facts.active:
        return None
    if facts.paused_at is not None:
        return _finding(facts, since=facts.failing_since or facts.paused_at, words=_failing_words(facts))
    deadline = _deadline(facts, params)
    if deadline is None or now < deadline:
        return None
    return _finding(facts, since=facts.refused_since or deadline, words=_refused_words(facts))


def check_after(facts: DestinationFacts, params: Params, now: datetime) -> datetime | None:
    """Every few minutes while anything is held back."""
    if not facts.active or (facts.paused_at is None and not facts.refused):
        return None
    deadline = _deadline(facts, params)
    return deadline if deadline is not None and deadline > now else now + RECHECK


def closing_words(facts: DestinationFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    return f"{facts.name} takes tickets again." if facts.active else f"{facts.name} is no longer in use."


def _deadline(facts: DestinationFacts, params: Params) -> datetime | None:
    if not facts.refused or facts.refused_since is None:
        return None
    return facts.refused_since + timedelta(minutes=params.refused_minutes)


def _failing_words(facts: DestinationFacts) -> str:
    since = moment_words(facts.failing_since, facts.zone) if facts.failing_since else "a while"
    held = f" {count_words(facts.waiting, 'ticket')} held back." if facts.waiting else ""
    return f"{facts.name} has taken no ticket since {since}. {facts.error.rstrip('.') or 'No reason was given'}.{held}"


def _refused_words(facts: DestinationFacts) -> str:
    since = moment_words(facts.refused_since, facts.zone) if facts.refused_since else "a while"
    reason = facts.error.rstrip(".") or "No reason was given"
    return f"{facts.name} refused {count_words(facts.refused, 'ticket')}, the first on {since}. The last: {reason}."


def _finding(facts: DestinationFacts, *, since: datetime, words: str) -> Finding:
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=words,
        since=since,
        occurrence=since.isoformat(),
        deadline=since,
        evidence={"waiting": facts.waiting, "refused": facts.refused, "error": facts.error},
        lines=(facts.error,) if facts.error else (),
    )
