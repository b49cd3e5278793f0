"""Did not start: a run was expected by the schedule, and nothing was heard of it.

A run that started, is running, failed or ended counts as started: a scheduler that died shows within the grace, while
"no recent backup" still waits. By the schedule that somebody set, else by a learned one that is sure enough: a guess,
and told as one. Most products write only at the end of a run: the time that the job usually takes is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.clocks import ALWAYS_ON, NOT_ACTIVE, last_end, last_start, longest_usual, read_schedule, set_schedule
from alerts.facts import Answer, Finding, JobFacts, Learned, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number, yes_no
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import count_words, duration_words, moment_words
from msp.backups.schedule import EARLY, Every, Schedule, expected_after

KIND = "did_not_start"
LABEL = "Did not start"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "report"
SYMPTOM = True
CAUSE = False

#: Habits are less exact than schedules: a start this much before its learned time is that start, and it may be as late
#: as the learning lets it be, or a fifth of an interval.
_HABIT_EARLY, _HABIT_LATE, _INTERVAL_LATE = timedelta(minutes=30), timedelta(hours=3), 5


#: Until a run was ever heard of nobody knows how long one takes, and the first, which copies everything, takes longest.
_FIRST_RUN = timedelta(hours=12)


@dataclass(frozen=True)
class Params:
    """How late a start may be, and which schedules and machines count."""

    start_grace_minutes: int = whole_number(
        60, label="Start grace", unit="minutes", at_least=5, at_most=10080,
        help="How long after an expected start something must be heard of it, beside the time the job usually takes.",
    )  # fmt: skip
    learned_confidence: int = whole_number(
        90, label="Learned schedules from", unit="percent", at_least=0, at_most=100,
        help="From this confidence on a learned schedule counts where none is set; 0 leaves learned ones aside.",
    )  # fmt: skip
    always_on_only: bool = yes_no(
        True, label="Only machines that are always on",
        help="Whether laptops, seasonal machines and those not always on are left out.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class _Expected:
    """The start that is expected next, from when its silence is a finding, and by which schedule."""

    start: datetime
    deadline: datetime
    schedule: Schedule
    learned: Learned | None


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding once the grace of an expected start is over; Waiting while an older log is unread."""
    expected = _expect(facts, params)
    if expected is None or now < expected.deadline:
        return None
    waiting = waiting_for(KIND, facts, deadline=expected.deadline, now=now)
    return waiting or _finding(facts, expected)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """The end of the grace; while logs wait, a minute on."""
    expected = _expect(facts, params)
    return None if expected is None else ask_again_at(facts, deadline=expected.deadline, now=now)


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return NOT_ACTIVE
    if facts.running_since is not None:
        return f"A run has started: it is running since {moment_words(facts.running_since, facts.zone)}."
    expected, started = _expect(facts, params), last_start(facts)
    if expected is None:
        return "No start is expected of this job at a certain time any more."
    if started is not None and now < expected.deadline:
        return f"A run was heard of: {moment_words(started, facts.zone)}."
    return f"The next start is not expected before {moment_words(expected.start, facts.zone)}."


def _expect(facts: JobFacts, params: Params) -> _Expected | None:
    """None where no start is expected at a certain time, or a run is on its way."""
    if not facts.active or facts.running_since is not None:
        return None
    if params.always_on_only and facts.machine_class not in ALWAYS_ON:
        return None
    grace = timedelta(minutes=params.start_grace_minutes)
    schedule, learned = set_schedule(facts), None
    if schedule is None:
        learned = _sure_enough(facts, params)
        schedule = None if learned is None else read_schedule(learned.schedule)
    if schedule is None:
        return None
    start = _next_start(schedule, facts, early=_HABIT_EARLY if learned else EARLY)
    late = _habitually_late(schedule) if learned else timedelta()
    takes = longest_usual(facts) if last_start(facts) else _FIRST_RUN
    return _Expected(start, start + grace + late + takes, schedule, learned)


def _sure_enough(facts: JobFacts, params: Params) -> Learned | None:
    if facts.schedule or facts.learned is None or not params.learned_confidence:
        return None
    return facts.learned if facts.learned.confidence >= params.learned_confidence else None


def _habitually_late(schedule: Schedule) -> timedelta:
    return schedule.interval / _INTERVAL_LATE if isinstance(schedule, Every) else _HABIT_LATE


def _next_start(schedule: Schedule, facts: JobFacts, *, early: timedelta) -> datetime:
    """The first start that must still be heard of. A start up to ``early`` before its time is that start."""
    started, ended = last_start(facts) or facts.registered_at, last_end(facts) or facts.registered_at
    if isinstance(schedule, Every):
        return max(expected_after(schedule, started, facts.zone), ended)  # a run longer than its interval delays it
    latest = max(started, ended)
    return expected_after(schedule, latest if last_start(facts) is None else latest + early, facts.zone)


def _finding(facts: JobFacts, expected: _Expected) -> Finding:
    started = last_start(facts)
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="info" if expected.learned else SEVERITY,
        summary=_summary(facts, expected),
        since=expected.start,
        occurrence=expected.start.isoformat(),
        deadline=expected.deadline,
        evidence={
            "expected_at": expected.start.isoformat(),
            "flagged_from": expected.deadline.isoformat(),
            "last_started_at": started.isoformat() if started else None,
            "schedule": str(expected.schedule),
            "learned": expected.learned is not None,
            "confidence": expected.learned.confidence if expected.learned else None,
            "zone": facts.zone,
        },
    )


def _summary(facts: JobFacts, expected: _Expected) -> str:
    due, started = moment_words(expected.start, facts.zone), last_start(facts)
    waited = duration_words(expected.deadline - expected.start)
    last = (
        f"the last start was on {moment_words(started, facts.zone)}"
        if started
        else f"no run was heard of since the job was registered on {moment_words(facts.registered_at, facts.zone)}"
    )
    return (
        f"A run was due on {due} by {_schedule_words(expected)}, and nothing was heard of it within {waited}; {last}."
    )


def _schedule_words(expected: _Expected) -> str:
    if expected.learned is None:
        return f'the schedule "{expected.schedule}"'
    runs = count_words(expected.learned.samples, "run")
    sure = f"{expected.learned.confidence} % of them keep it"
    return f'the schedule "{expected.schedule}" learned from {runs} (a guess: {sure})'
