"""Still running: a run began and has not ended by the next expected start, or in far more time than runs take.

A silent run is never marked as failed: after some days it counts as abandoned and the severity goes up, and a log of
its end, however late, revives it and closes the incident. The time is that of the job's own history where there is
enough of it, else a number of hours. Laptops fall asleep in the middle of a run: their history is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.clocks import ALWAYS_ON, NOT_ACTIVE, durations, set_schedule, usual_duration
from alerts.facts import Answer, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import count_words, duration_words, moment_words
from msp.backups.schedule import EARLY, Every, expected_after

KIND = "still_running"
LABEL = "Still running"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False

#: So many durations make a history, and no run is called long before this.
_SAMPLES = 7
_FLOOR = timedelta(hours=1)


@dataclass(frozen=True)
class Params:
    """How long a run may take, and from when it counts as abandoned."""

    hours: int = whole_number(
        24, label="Longest run", unit="hours", at_least=1, at_most=8784,
        help="How long a run may take where its history does not tell what is usual.",
    )  # fmt: skip
    times_usual: int = whole_number(
        3, label="Times its usual duration", unit="times", at_least=0, at_most=100,
        help="So many times the median and longer than any run of the history is too long; 0 takes the hours.",
    )  # fmt: skip
    abandoned_days: int = whole_number(
        3, label="Abandoned after", unit="days", at_least=0, at_most=366,
        help="After so many days without an end the run counts as abandoned and becomes critical; 0 never.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, order=True)
class _Limit:
    """When the run should have ended, and why then."""

    at: datetime
    because: str


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding once the run should have ended; Waiting while an older log is unread."""
    if not facts.active or facts.running_since is None:
        return None
    limit = _limit(facts, params, since=facts.running_since)
    if now < limit.at:
        return None
    waiting = waiting_for(KIND, facts, deadline=limit.at, now=now)
    return waiting or _finding(facts, params, limit, since=facts.running_since, now=now)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """When the run should have ended; while logs wait, a minute on; then the moment at which it counts as abandoned."""
    if not facts.active or facts.running_since is None:
        return None
    again = ask_again_at(facts, deadline=_limit(facts, params, since=facts.running_since).at, now=now)
    if again is not None:
        return again
    abandoned_at = _abandoned_at(params, since=facts.running_since)
    return abandoned_at if abandoned_at is not None and now < abandoned_at else None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return NOT_ACTIVE
    if facts.running_since is not None:
        limit = _limit(facts, params, since=facts.running_since)
        return f"A newer run is on its way, and is not late before {moment_words(limit.at, facts.zone)}."
    if facts.history:
        newest = facts.history[-1]
        return f"It ended after all, on {moment_words(newest.ended_at, facts.zone)}, as {newest.outcome}."
    if facts.last_run_at is not None:
        return f"It ended after all, on {moment_words(facts.last_run_at, facts.zone)}."
    return "No run of this job is under way any more."


def _limit(facts: JobFacts, params: Params, *, since: datetime) -> _Limit:
    """The earliest moment at which the run should have ended."""
    limits = [_longest(facts, params, since=since)]
    schedule = set_schedule(facts)
    if schedule is not None:
        early = timedelta() if isinstance(schedule, Every) else EARLY
        due = expected_after(schedule, since + early, facts.zone)
        limits.append(_Limit(due, f'the next start was due by the schedule "{schedule}"'))
    return min(limits)


def _longest(facts: JobFacts, params: Params, *, since: datetime) -> _Limit:
    told, usual = durations(facts), usual_duration(facts)
    known = usual is not None and len(told) >= _SAMPLES and facts.machine_class in ALWAYS_ON
    if usual is None or not known or not params.times_usual:
        return _Limit(since + timedelta(hours=params.hours), f"a run may take {count_words(params.hours, 'hour')}")
    longest = timedelta(seconds=told[-1])
    most = max(params.times_usual * usual, longest, _FLOOR)
    words = f"a run usually takes {duration_words(usual)} and never took more than {duration_words(longest)}"
    return _Limit(since + most, words)


def _abandoned_at(params: Params, *, since: datetime) -> datetime | None:
    return since + timedelta(days=params.abandoned_days) if params.abandoned_days else None


def _finding(facts: JobFacts, params: Params, limit: _Limit, *, since: datetime, now: datetime) -> Finding:
    abandoned_at = _abandoned_at(params, since=since)
    abandoned = abandoned_at is not None and now >= abandoned_at
    usual = usual_duration(facts)
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="critical" if abandoned else SEVERITY,
        summary=_summary(facts, params, limit, since=since, abandoned=abandoned),
        since=since,
        occurrence=since.isoformat(),
        deadline=limit.at,
        evidence={
            "running_since": since.isoformat(),
            "expected_end": limit.at.isoformat(),
            "because": limit.because,
            "abandoned": abandoned,
            "usual_seconds": None if usual is None else int(usual.total_seconds()),
            "schedule": facts.schedule,
            "zone": facts.zone,
        },
    )


def _summary(facts: JobFacts, params: Params, limit: _Limit, *, since: datetime, abandoned: bool) -> str:
    start = f"A run is under way since {moment_words(since, facts.zone)}"
    late = f"it should have ended by {moment_words(limit.at, facts.zone)}: {limit.because}"
    if not abandoned:
        return f"{start}; {late}."
    days = count_words(params.abandoned_days, "day")
    return f"{start} and counts as abandoned after {days} without an end; {late}."
