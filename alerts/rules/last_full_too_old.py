"""Last full too old: backups go on, but for N days none of them was a full copy.

It speaks only after a good run that came later than those days: a job that does not run at all is the matter of "no
recent backup". Products whose copies each stand alone, or that do not tell of full copies, cannot be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, CannotCheck, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, duration_words, moment_words

KIND = "last_full_too_old"
LABEL = "Last full too old"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "info"
HOLD_MINUTES: int | None = None
TELLS: Tells = "report"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How old the newest full copy may be."""

    days: int = whole_number(
        35, label="Full copy within", unit="days", at_least=1, at_most=3660,
        help="How old the newest full copy may be while backups go on.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding once a good run has come later than the days set after the newest full copy."""
    if not facts.active:
        return None
    if facts.last_full_at is None:
        reason = f"{facts.job or 'This job'} does not tell when it last made a full copy."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    due = facts.last_full_at + timedelta(days=params.days)
    if facts.chain_length == 1 or facts.last_good_at is None or facts.last_good_at < due:
        return None
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, params, full=facts.last_full_at, newest=facts.last_good_at),
        since=due,
        occurrence=facts.last_full_at.isoformat(),
        evidence={
            "last_full_at": facts.last_full_at.isoformat(),
            "last_good_at": facts.last_good_at.isoformat(),
            "chain_length": facts.chain_length,
            "days": params.days,
        },
    )


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    if facts.chain_length == 1:
        return "The newest copy is a full one."
    if facts.last_full_at is None:
        return "It is no longer told when the last full copy was made."
    return f"A full copy was made on {moment_words(facts.last_full_at, facts.zone)}."


def _summary(facts: JobFacts, params: Params, *, full: datetime, newest: datetime) -> str:
    age = duration_words(newest - full)
    return (
        f"The last full copy was made on {moment_words(full, facts.zone)}, {age} before the last good backup; "
        f"one is expected at least every {count_words(params.days, 'day')}."
    )
