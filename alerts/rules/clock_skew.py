"""Clock skew: the newest log of the job tells of times that lie in the future.

Such a run is shown and moves no clock, so the job looks overdue although it runs: this says why. It closes with the
first log that is right again. Rules read the moment at which the logs came in, which is our own clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.clocks import NOT_ACTIVE
from alerts.facts import Answer, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import duration_words, moment_words

KIND = "clock_skew"
LABEL = "Clock skew"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How far ahead a clock may be."""

    minutes: int = whole_number(
        10, label="Ahead by more than", unit="minutes", at_least=10, at_most=525_600,
        help="How far in the future the times of a log may lie. A run more than ten minutes ahead never counts.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding while the newest log is one from the future."""
    if not facts.active or facts.skewed_at is None or _was_right_since(facts, facts.skewed_at):
        return None
    if facts.skew_seconds <= params.minutes * 60:
        return None
    return _finding(facts, params, at=facts.skewed_at)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return NOT_ACTIVE
    if facts.skewed_at is not None and facts.heard_at is not None and _was_right_since(facts, facts.skewed_at):
        return f"The clock is right again in the log that came on {moment_words(facts.heard_at, facts.zone)}."
    return "No log of this job is as far ahead any more as this rule asks for."


def _was_right_since(facts: JobFacts, skewed_at: datetime) -> bool:
    return facts.heard_at is not None and facts.heard_at > skewed_at


def _finding(facts: JobFacts, params: Params, *, at: datetime) -> Finding:
    ahead = duration_words(timedelta(seconds=facts.skew_seconds))
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=(
            f"The log that came on {moment_words(at, facts.zone)} tells of times {ahead} in the future: the clock of "
            f"{facts.server or 'the server'} is ahead or its time zone is wrong. Such runs do not count as backups."
        ),
        since=at,
        since_first_seen=True,
        occurrence=at.isoformat(),
        evidence={"skewed_at": at.isoformat(), "skew_seconds": facts.skew_seconds, "minutes": params.minutes},
    )
