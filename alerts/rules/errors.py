"""Errors: the job failed or was missed, or N runs in a row ended with warnings; only a good run clears it.

Unknown, skipped and cancelled runs neither count nor clear. The finding's deadline is the moment at which the job
becomes overdue: a failure may be held back from people only as long as a good run can still come in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Answer, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, moment_words

KIND = "errors"
LABEL = "Errors"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How many failures and warnings make an incident."""

    failures: int = whole_number(
        1, label="Failures", unit="runs", at_least=1, at_most=100,
        help="So many failed or missed runs since the last good one make an incident.",
    )  # fmt: skip
    critical_failures: int = whole_number(
        3, label="Critical failures", unit="runs", at_least=0, at_most=100,
        help="So many failed or missed runs since the last good one make it critical; 0 keeps it a warning.",
    )  # fmt: skip
    warnings: int = whole_number(
        3, label="Warnings in a row", unit="runs", at_least=0, at_most=100,
        help="So many runs with warnings that the policy does not tolerate make an incident; 0 ignores warnings.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding from the failures or warnings since the last good run."""
    if not facts.active:
        return None
    if facts.failures_in_row >= params.failures:
        return _finding(facts, summary=_failure_summary(facts), since=_failing_since(facts), params=params)
    if params.warnings and facts.warnings_in_row >= params.warnings:
        since = facts.last_good_at or facts.registered_at
        return _finding(facts, summary=_warning_summary(facts, since=since), since=since, params=params)
    return None


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    if facts.last_good_at is not None and not facts.failures_in_row and not facts.warnings_in_row:
        return f"A good run ended on {moment_words(facts.last_good_at, facts.zone)}."
    return "There are fewer failures and warnings since the last good run than this rule asks for."


def _failing_since(facts: JobFacts) -> datetime:
    return facts.first_failure_at or facts.last_failure_at or facts.registered_at


def _finding(facts: JobFacts, *, summary: str, since: datetime, params: Params) -> Finding:
    critical = 0 < params.critical_failures <= facts.failures_in_row
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="critical" if critical else SEVERITY,
        summary=summary,
        since=since,
        occurrence=f"{since.isoformat()} +{facts.failures_in_row} +{facts.warnings_in_row}",
        repeats=facts.failures_in_row + facts.warnings_in_row,
        deadline=facts.overdue_at,
        evidence={
            "last_outcome": facts.last_outcome,
            "failures_in_row": facts.failures_in_row,
            "warnings_in_row": facts.warnings_in_row,
            "first_failure_at": facts.first_failure_at.isoformat() if facts.first_failure_at else None,
            "last_failure_at": facts.last_failure_at.isoformat() if facts.last_failure_at else None,
            "last_good_at": facts.last_good_at.isoformat() if facts.last_good_at else None,
        },
        lines=facts.last_errors,
    )


def _failure_summary(facts: JobFacts) -> str:
    since = moment_words(_failing_since(facts), facts.zone)
    word = "was missed" if facts.last_outcome == "missed" else "failed"
    if facts.failures_in_row == 1:
        return f"The backup of {since} {word}; {_last_good_words(facts)}."
    return f"{facts.failures_in_row} backups failed or were missed since {since}; {_last_good_words(facts)}."


def _warning_summary(facts: JobFacts, *, since: datetime) -> str:
    runs = count_words(facts.warnings_in_row, "run")
    return f"{runs} ended with warnings since {moment_words(since, facts.zone)}; {_last_good_words(facts)}."


def _last_good_words(facts: JobFacts) -> str:
    if facts.last_good_at is None:
        return "no backup was ever good"
    return f"the last good one ended on {moment_words(facts.last_good_at, facts.zone)}"
