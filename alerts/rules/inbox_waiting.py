"""Inbox waiting: logs of unknown jobs, or logs that cannot be read, wait for a person.

What waits there is watched by no rule: an unknown job may fail every night unseen. All of it is one incident of the
tenant, counted by reason; it closes when nothing waits for longer than the hours set.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, Finding, Severity, SubjectKind, Tells, TenantFacts
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, moment_words

KIND = "inbox_waiting"
LABEL = "Inbox waiting"
SUBJECT: SubjectKind = "tenant"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False

#: What each reason of the inbox means.
REASONS = {
    "unassigned": "of a job nobody knows",
    "ambiguous": "that fit several jobs",
    "refused": "of unknown jobs of a server that takes none",
    "unrecognised": "of an unknown format",
    "unreadable": "that cannot be read",
    "conflict": "that came twice with different content",
    "failed": "that could not be processed",
}


@dataclass(frozen=True)
class Params:
    """How long something may wait in the inbox."""

    hours: int = whole_number(
        24, label="Waiting for", unit="hours", at_least=1, at_most=8784,
        help="How long the oldest item of the inbox may wait for a person.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: TenantFacts, params: Params, now: datetime) -> Answer:
    """A finding once the oldest item of the inbox has waited for the hours set."""
    oldest = _oldest(facts)
    if not facts.active or oldest is None or now < oldest + timedelta(hours=params.hours):
        return None
    number = sum(facts.inbox.values())
    verb = "waits" if number == 1 else "wait"
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=(
            f"{count_words(number, 'log')} {verb} in the inbox for a person, the oldest since "
            f"{moment_words(oldest, facts.zone)}: {_count_words(facts)}."
        ),
        since=oldest,
        occurrence=oldest.isoformat(),
        deadline=oldest + timedelta(hours=params.hours),
        evidence={
            "waiting": dict(sorted(facts.inbox.items())),
            "oldest": {reason: at.isoformat() for reason, at in sorted(facts.inbox_since.items())},
            "hours": params.hours,
        },
    )


def check_after(facts: TenantFacts, params: Params, now: datetime) -> datetime | None:
    """When the oldest item will have waited too long; of what comes in from now on, none can before that time."""
    if not facts.active:
        return None
    deadline = (_oldest(facts) or now) + timedelta(hours=params.hours)
    return deadline if now < deadline else None


def closing_words(facts: TenantFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The account is no longer active."
    if _oldest(facts) is None:
        return "The inbox is empty."
    return f"Nothing has waited in the inbox for more than {count_words(params.hours, 'hour')}."


def _oldest(facts: TenantFacts) -> datetime | None:
    return min(facts.inbox_since.values(), default=None)


def _count_words(facts: TenantFacts) -> str:
    counted = sorted(facts.inbox.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{number} {REASONS.get(reason, reason)}" for reason, number in counted)
