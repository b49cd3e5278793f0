"""No recent backup: the last good run of a job is older than its schedule or tolerance allows, or there never was one.

With a schedule the job is overdue once an expected start plus grace has passed without a good run; without one, once
the tolerance plus grace has. A log that came in before the deadline and is still unread delays the finding by at most
15 minutes: it may hold the good run. So does an interruption of ours, counted from when processing resumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.patience import waiting_for
from alerts.wording import duration_words, moment_words
from msp.backups.schedule import BadSchedule, Schedule, overdue_after, parse_schedule

KIND = "no_recent_backup"
LABEL = "No recent backup"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = True
CAUSE = False

#: While logs wait, the answer may change each time one is read.
_RECHECK = timedelta(minutes=1)


@dataclass(frozen=True)
class Params:
    """How old the last good backup may be."""

    tolerance_hours: int = whole_number(
        26, label="Tolerance", unit="hours", at_least=1, at_most=8784,
        help="How old the last good backup may be. Only for jobs without a schedule.",
    )  # fmt: skip
    grace_minutes: int = whole_number(
        60, label="Grace", unit="minutes", at_least=0, at_most=10080,
        help="Extra time after the expected start (or after the tolerance) before the backup counts as missed.",
    )  # fmt: skip
    critical_after_hours: int = whole_number(
        48, label="Critical after", unit="hours", at_least=0, at_most=8784,
        help="How long a job may be overdue before the severity becomes critical; 0 keeps it a warning.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding once the job is overdue; Waiting while an older log is unread."""
    deadline = overdue_at(facts, params)
    if not facts.active or now < deadline:
        return None
    return waiting_for(KIND, facts, deadline=deadline, now=now) or _finding(facts, params, deadline=deadline, now=now)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """The deadline; while logs wait, a minute on; once overdue, the moment at which it becomes critical."""
    deadline = overdue_at(facts, params)
    if not facts.active:
        return None
    if now < deadline:
        return deadline
    waiting = waiting_for(KIND, facts, deadline=deadline, now=now)
    if waiting is not None:
        return min(waiting.until, now + _RECHECK)
    critical_at = _critical_at(params, deadline=deadline)
    return critical_at if critical_at is not None and now < critical_at else None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    if facts.last_good_at is None:
        return f"A first backup is not due before {moment_words(overdue_at(facts, params), facts.zone)}."
    return f"The last good backup ended on {moment_words(facts.last_good_at, facts.zone)}."


def overdue_at(facts: JobFacts, params: Params) -> datetime:
    """The moment from which the job is overdue; worked out once where ``check_subject`` has put it into the facts."""
    return facts.overdue_at or overdue_after(
        _schedule(facts),
        tolerance=_tolerance(facts, params),
        grace=_grace(facts, params),
        last_good=facts.last_good_at,
        registered_at=facts.registered_at,
        zone=facts.zone,
    )


def _schedule(facts: JobFacts) -> Schedule | None:
    """A stored schedule that cannot be read any more must not silence the job: its tolerance counts instead."""
    try:
        return parse_schedule(facts.schedule) if facts.schedule else None
    except BadSchedule:
        return None


def _tolerance(facts: JobFacts, params: Params) -> timedelta:
    return timedelta(hours=params.tolerance_hours) if facts.tolerance is None else facts.tolerance


def _grace(facts: JobFacts, params: Params) -> timedelta:
    return timedelta(minutes=params.grace_minutes) if facts.grace is None else facts.grace


def _critical_at(params: Params, *, deadline: datetime) -> datetime | None:
    return deadline + timedelta(hours=params.critical_after_hours) if params.critical_after_hours else None


def _finding(facts: JobFacts, params: Params, *, deadline: datetime, now: datetime) -> Finding:
    critical_at = _critical_at(params, deadline=deadline)
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="critical" if critical_at is not None and now >= critical_at else SEVERITY,
        summary=_summary(facts, params, deadline=deadline),
        since=deadline,
        occurrence=deadline.isoformat(),
        deadline=deadline,
        evidence=_evidence(facts, params, deadline=deadline),
        lines=facts.last_errors,
    )


def _summary(facts: JobFacts, params: Params, *, deadline: datetime) -> str:
    if facts.last_good_at is None:
        start = f"No good backup since the job was registered on {moment_words(facts.registered_at, facts.zone)}"
    else:
        start = f"No good backup since {moment_words(facts.last_good_at, facts.zone)}"
    schedule = _schedule(facts)
    expected = (
        f"at most {duration_words(_tolerance(facts, params))} between two"
        if schedule is None
        else f'by the schedule "{schedule}"'
    )
    return f"{start}; one was due {expected}, and is overdue since {moment_words(deadline, facts.zone)}."


def _evidence(facts: JobFacts, params: Params, *, deadline: datetime) -> dict[str, object]:
    return {
        "last_good_at": facts.last_good_at.isoformat() if facts.last_good_at else None,
        "last_run_at": facts.last_run_at.isoformat() if facts.last_run_at else None,
        "last_outcome": facts.last_outcome,
        "registered_at": facts.registered_at.isoformat(),
        "overdue_since": deadline.isoformat(),
        "schedule": facts.schedule,
        "zone": facts.zone,
        "tolerance_seconds": int(_tolerance(facts, params).total_seconds()),
        "grace_seconds": int(_grace(facts, params).total_seconds()),
    }
