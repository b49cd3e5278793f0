"""No data sent: runs succeed, but for N days nothing was selected or nothing was sent.

Such a job looks green and protects nothing. It speaks only after a good run that came later than the last data: a job
that does not run at all is the matter of "no recent backup". Products that report no sizes cannot be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.clocks import NOT_ACTIVE
from alerts.facts import Answer, CannotCheck, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import count_words, moment_words, size_words

KIND = "no_data_sent"
LABEL = "No data sent"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False

#: So many good runs without data in a row at least.
_RUNS = 2


@dataclass(frozen=True)
class Params:
    """How long a job may succeed without data."""

    days: int = whole_number(
        7, label="Days without data", unit="days", at_least=1, at_most=366,
        help="How long backups may succeed with nothing selected or nothing sent.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding once good runs have brought no data for the days set."""
    if not facts.active:
        return None
    if not facts.reports_data:
        reason = "No run of this job has reported a protected or transferred size."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    deadline = _deadline(facts, params)
    if not _ran_without_data(facts) or now < deadline:
        return None
    return waiting_for(KIND, facts, deadline=deadline, now=now) or _finding(facts, params)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """The end of the days set, where good runs have already come without data; else only a log changes the answer."""
    if not facts.active or not facts.reports_data or not _ran_without_data(facts):
        return None
    return ask_again_at(facts, deadline=_deadline(facts, params), now=now)


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return NOT_ACTIVE
    if facts.last_data_at is not None and (facts.last_good_at is None or facts.last_good_at <= facts.last_data_at):
        return f"The run of {moment_words(facts.last_data_at, facts.zone)} brought data again."
    if not _ran_without_data(facts):
        return "Too few good runs came without data to tell."
    return f"Data is not expected before {moment_words(_deadline(facts, params), facts.zone)}."


def _quiet_since(facts: JobFacts) -> datetime:
    return facts.last_data_at or facts.registered_at


def _deadline(facts: JobFacts, params: Params) -> datetime:
    return _quiet_since(facts) + timedelta(days=params.days)


def _ran_without_data(facts: JobFacts) -> bool:
    """One good run without data proves little where runs are rarer than the days set: the history must show two."""
    if facts.last_good_at is None or (facts.last_data_at is not None and facts.last_good_at <= facts.last_data_at):
        return False
    since = _quiet_since(facts)
    told = [point for point in facts.history if point.good]
    return not told or sum(point.ended_at > since for point in told) >= _RUNS


def _finding(facts: JobFacts, params: Params) -> Finding:
    deadline = _deadline(facts, params)
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, params),
        since=_quiet_since(facts),
        occurrence=_quiet_since(facts).isoformat(),
        deadline=deadline,
        evidence={
            "last_data_at": facts.last_data_at.isoformat() if facts.last_data_at else None,
            "last_good_at": facts.last_good_at.isoformat() if facts.last_good_at else None,
            "last_protected_bytes": facts.last_protected_bytes,
            "last_transferred_bytes": facts.last_transferred_bytes,
            "days": params.days,
        },
    )


def _summary(facts: JobFacts, params: Params) -> str:
    since = moment_words(_quiet_since(facts), facts.zone)
    start = f"Backups succeed, but no data came since {since}"
    if facts.last_data_at is None:
        start = f"Backups succeed, but no data came since the job was registered on {since}"
    sizes = (("selected", facts.last_protected_bytes), ("sent", facts.last_transferred_bytes))
    told = [f"{size_words(size)} {word}" for word, size in sizes if size is not None]
    last = f" (last figures: {', '.join(told)})" if told else ""
    return f"{start}{last}; expected at least once in {count_words(params.days, 'day')}."
