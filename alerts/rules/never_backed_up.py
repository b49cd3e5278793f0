"""Never backed up: the job was registered days ago, and not one backup of it was ever good.

It speaks alone: "no recent backup" passes over a job that never had a good run. A job whose schedule says that its
first start comes later counts from that start. Seasonal machines have no clock unless the rule is told otherwise. A
proposed job is watched like any other: that nobody has decided on it yet does not mean that it may do without.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.clocks import NOT_ACTIVE, set_schedule
from alerts.facts import Answer, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number, yes_no
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import count_words, moment_words
from msp.backups.schedule import expected_after

KIND = "never_backed_up"
LABEL = "Never backed up"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = True
CAUSE = False

#: Classes of machines that may not be there for days after they were registered.
MAY_BE_AWAY = frozenset({"laptop", "occasional"})


@dataclass(frozen=True)
class Params:
    """How long a new job may do without a good backup."""

    days: int = whole_number(
        3, label="Days", unit="days", at_least=1, at_most=366,
        help="How long a job may stand without a first good backup, from its registration or its first expected start.",
    )  # fmt: skip
    laptop_days: int = whole_number(
        14, label="Days of laptops", unit="days", at_least=1, at_most=366,
        help="The same for laptops and other machines that are not always on: they may be away for a while.",
    )  # fmt: skip
    seasonal: bool = yes_no(
        False, label="Seasonal machines too",
        help="Whether a seasonal machine must have its first good backup in that time as well.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding once the days are over; Waiting while an older log is unread."""
    deadline = _deadline(facts, params)
    if deadline is None or now < deadline:
        return None
    return waiting_for(KIND, facts, deadline=deadline, now=now) or _finding(facts, params, deadline=deadline)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """The end of the days; while logs wait, a minute on."""
    deadline = _deadline(facts, params)
    return None if deadline is None else ask_again_at(facts, deadline=deadline, now=now)


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return NOT_ACTIVE
    if facts.last_good_at is not None:
        return f"A good backup ended on {moment_words(facts.last_good_at, facts.zone)}."
    deadline = _deadline(facts, params)
    if deadline is None:
        return "Seasonal machines have no clock here."
    return f"A first good backup is not asked for before {moment_words(deadline, facts.zone)}."


def _deadline(facts: JobFacts, params: Params) -> datetime | None:
    if not facts.active or facts.last_good_at is not None:
        return None
    if facts.machine_class == "seasonal" and not params.seasonal:
        return None
    return _counted_from(facts) + timedelta(days=_days(facts, params))


def _days(facts: JobFacts, params: Params) -> int:
    return max(params.days, params.laptop_days) if facts.machine_class in MAY_BE_AWAY else params.days


def _counted_from(facts: JobFacts) -> datetime:
    schedule = set_schedule(facts)
    return facts.registered_at if schedule is None else expected_after(schedule, facts.registered_at, facts.zone)


def _finding(facts: JobFacts, params: Params, *, deadline: datetime) -> Finding:
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, params),
        since=facts.registered_at,
        occurrence=facts.registered_at.isoformat(),
        deadline=deadline,
        evidence={
            "registered_at": facts.registered_at.isoformat(),
            "counted_from": _counted_from(facts).isoformat(),
            "last_run_at": facts.last_run_at.isoformat() if facts.last_run_at else None,
            "last_outcome": facts.last_outcome,
            "failures_in_row": facts.failures_in_row,
            "schedule": facts.schedule,
            "zone": facts.zone,
            "days": _days(facts, params),
        },
        lines=facts.last_errors,
    )


def _summary(facts: JobFacts, params: Params) -> str:
    registered = moment_words(facts.registered_at, facts.zone)
    if facts.last_outcome is None:
        tried = "and no run of it was heard of"
    else:
        ended = "" if facts.last_run_at is None else f" of {moment_words(facts.last_run_at, facts.zone)}"
        tried = f"the newest run{ended} ended as {facts.last_outcome}"
    counted = _counted_from(facts)
    since = "" if counted == facts.registered_at else f" of its first expected start on {_words(facts, counted)}"
    within = f"a first one is expected within {count_words(_days(facts, params), 'day')}{since}"
    return f"No backup was ever good since the job was registered on {registered}, {tried}; {within}."


def _words(facts: JobFacts, moment: datetime) -> str:
    return moment_words(moment, facts.zone)
