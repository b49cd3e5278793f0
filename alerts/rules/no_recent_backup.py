"""No recent backup: the last good run of a job is older than its schedule or tolerance allows.

With a schedule the job is overdue once an expected start, the time that runs usually take and the grace have passed
without a good run; without one, once the tolerance plus grace has: the policy's, else that of the class of machine,
else that of the rule. A job that never had a good run is the matter of "never backed up" alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.clocks import NOT_ACTIVE, longest_usual, set_schedule
from alerts.facts import Answer, Finding, JobFacts, MachineClass, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import duration_words, moment_words
from msp.backups.schedule import Every, Schedule, overdue_after

KIND = "no_recent_backup"
LABEL = "No recent backup"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = True
CAUSE = False

#: The classes of machines with a tolerance of their own: the parameter that holds it in days, and their name.
_CLASSES: dict[MachineClass, tuple[str, str]] = {
    "laptop": ("laptop_days", "laptops"),
    "occasional": ("occasional_days", "machines that are not always on"),
    "seasonal": ("seasonal_days", "seasonal machines"),
}


@dataclass(frozen=True)
class Params:
    """How old the last good backup may be."""

    tolerance_hours: int = whole_number(
        26, label="Tolerance", unit="hours", at_least=1, at_most=8784,
        help="How old the last good backup may be. Only for jobs without a schedule.",
    )  # fmt: skip
    laptop_days: int = whole_number(
        14, label="Tolerance of laptops", unit="days", at_least=1, at_most=366,
        help="The same for laptops. A schedule or a policy of the job wins over it.",
    )  # fmt: skip
    occasional_days: int = whole_number(
        30, label="Tolerance of machines not always on", unit="days", at_least=1, at_most=366,
        help="The same for machines that are not always on. A schedule or a policy of the job wins over it.",
    )  # fmt: skip
    seasonal_days: int = whole_number(
        0, label="Tolerance of seasonal machines", unit="days", at_least=0, at_most=366,
        help="The same for seasonal machines; 0 gives them no clock at all. A schedule or a policy of the job wins.",
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


@dataclass(frozen=True)
class Allowed:
    """What the job is held to: a schedule, else a tolerance. ``source`` names who says so ("schedule", "policy", the
    class of machine, "rule"), ``parameter`` the parameter of this rule that holds it, "" where none does.
    """

    source: str
    parameter: str = ""
    schedule: Schedule | None = None
    tolerance: timedelta | None = None

    def words(self) -> str:
        """How it goes on after "one was due": the rhythm, and where it comes from."""
        if self.schedule is not None:
            return f'by the schedule "{self.schedule}"'
        by = ", as its policy says" if self.source == "policy" else self.class_words()
        return f"at most {duration_words(self.tolerance or timedelta())} between two{by}"

    def class_words(self) -> str:
        """ ", as set for laptops"; nothing where the class of machine does not matter."""
        name = next((name for parameter, name in _CLASSES.values() if parameter == self.parameter), "")
        return f", as set for {name}" if name else ""


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding once the job is overdue; Waiting while an older log is unread."""
    deadline = _deadline(facts, params)
    if deadline is None or now < deadline:
        return None
    return waiting_for(KIND, facts, deadline=deadline, now=now) or _finding(facts, params, deadline=deadline, now=now)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """The deadline; while logs wait, a minute on; once overdue, the moment at which it becomes critical."""
    deadline = _deadline(facts, params)
    if deadline is None:
        return None
    again = ask_again_at(facts, deadline=deadline, now=now)
    if again is not None:
        return again
    critical_at = _critical_at(params, deadline=deadline)
    return critical_at if critical_at is not None and now < critical_at else None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return NOT_ACTIVE
    if facts.last_good_at is None:
        return 'No backup of this job was ever good: that is the matter of "Never backed up".'
    if overdue_at(facts, params) is None:
        return "Seasonal machines have no clock here."
    return f"The last good backup ended on {moment_words(facts.last_good_at, facts.zone)}."


def overdue_at(facts: JobFacts, params: Params) -> datetime | None:
    """The moment from which a good backup is overdue, of a job that never had one too; None for a job without a clock.

    Worked out once where ``check_subject`` has put it into the facts.
    """
    if facts.overdue_at is not None:
        return facts.overdue_at
    allowed = allowed_to(facts, params)
    if allowed is None:
        return None
    deadline = overdue_after(
        allowed.schedule,
        tolerance=allowed.tolerance or timedelta(),
        grace=_grace(facts, params),
        last_good=facts.last_good_at,
        registered_at=facts.registered_at,
        zone=facts.zone,
    )
    return deadline + _usual(allowed, facts)


def _usual(allowed: Allowed, facts: JobFacts) -> timedelta:
    """A start says nothing of its end: a job that runs for three hours is not late an hour after it began. An interval
    and a tolerance count from end to end, and have the duration in them.
    """
    return timedelta() if isinstance(allowed.schedule, Every | None) else longest_usual(facts)


def _deadline(facts: JobFacts, params: Params) -> datetime | None:
    """When this rule speaks; None where it has nothing to say."""
    return overdue_at(facts, params) if facts.active and facts.last_good_at is not None else None


def allowed_to(facts: JobFacts, params: Params) -> Allowed | None:
    """The nearest promise: a schedule that somebody set, the policy, the class of machine, this rule."""
    schedule = set_schedule(facts)
    if schedule is not None:
        return Allowed("schedule", schedule=schedule)
    if facts.tolerance is not None:
        return Allowed("policy", tolerance=facts.tolerance)
    if facts.machine_class not in _CLASSES:
        return Allowed("rule", "tolerance_hours", tolerance=timedelta(hours=params.tolerance_hours))
    parameter, _ = _CLASSES[facts.machine_class]
    days: int = getattr(params, parameter)
    return Allowed(facts.machine_class, parameter, tolerance=timedelta(days=days)) if days else None


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
    last_good = moment_words(facts.last_good_at or facts.registered_at, facts.zone)
    allowed = allowed_to(facts, params)
    expected = f"; one was due {allowed.words()}, and" if allowed else ", and it"
    return f"No good backup since {last_good}{expected} is overdue since {moment_words(deadline, facts.zone)}."


def _evidence(facts: JobFacts, params: Params, *, deadline: datetime) -> dict[str, object]:
    allowed = allowed_to(facts, params)
    tolerance = allowed.tolerance if allowed else None
    return {
        "last_good_at": facts.last_good_at.isoformat() if facts.last_good_at else None,
        "last_run_at": facts.last_run_at.isoformat() if facts.last_run_at else None,
        "last_outcome": facts.last_outcome,
        "registered_at": facts.registered_at.isoformat(),
        "overdue_since": deadline.isoformat(),
        "clock": allowed.source if allowed else None,
        "machine_class": facts.machine_class,
        "schedule": facts.schedule,
        "zone": facts.zone,
        "tolerance_seconds": None if tolerance is None else int(tolerance.total_seconds()),
        "grace_seconds": int(_grace(facts, params).total_seconds()),
    }
