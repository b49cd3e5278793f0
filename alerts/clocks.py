"""What the rules about a job's clocks read alike: its schedule, its last start and end, how long it usually takes.

A schedule that somebody set is a promise; one that was learned is a guess, and only "did not start" reads it. Most
products write one log a run, at its end: so nothing is heard of a start before the run has taken its usual time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median_low

from alerts.facts import JobFacts, MachineClass
from msp.backups.schedule import BadSchedule, Schedule, parse_schedule

NOT_ACTIVE = "The job is no longer active."

#: Machines that are on whenever their schedule says so.
ALWAYS_ON: frozenset[MachineClass] = frozenset({"server", "cloud", "other"})

#: From so many durations on, the second longest stands for the longest: one odd night is no habit.
ENOUGH = 10


def read_schedule(text: str) -> Schedule | None:
    """None for none, and for a stored one that cannot be read any more: it must not silence the job."""
    try:
        return parse_schedule(text) if text else None
    except BadSchedule:
        return None


def set_schedule(facts: JobFacts) -> Schedule | None:
    """The schedule that somebody set for the job."""
    return read_schedule(facts.schedule)


def last_start(facts: JobFacts) -> datetime | None:
    """The newest start that was heard of; the end of a run that tells no start stands in for it."""
    told = [facts.last_started_at, facts.running_since]
    if facts.history:
        told.append(facts.history[-1].started_at or facts.history[-1].ended_at)
    elif facts.last_started_at is None:
        told += [facts.last_good_at, facts.last_failure_at]
    return max((moment for moment in told if moment is not None), default=None)


def last_end(facts: JobFacts) -> datetime | None:
    """When the newest backup ended, of whatever outcome."""
    told = [facts.last_good_at, facts.last_failure_at, facts.history[-1].ended_at if facts.history else None]
    return max((moment for moment in told if moment is not None), default=None)


def longest_usual(facts: JobFacts) -> timedelta:
    """How long the longest runs of the history take, without one odd one; nothing where no duration is told."""
    seconds = durations(facts)
    if not seconds:
        return timedelta()
    return timedelta(seconds=seconds[-2] if len(seconds) >= ENOUGH else seconds[-1])


def usual_duration(facts: JobFacts) -> timedelta | None:
    """The median duration of the history; None where none is told."""
    seconds = durations(facts)
    return timedelta(seconds=median_low(seconds)) if seconds else None


def durations(facts: JobFacts) -> list[int]:
    """How many seconds the runs of the history took, shortest first; a run that failed early tells nothing of it."""
    return sorted(
        point.duration_seconds
        for point in facts.history
        if point.duration_seconds is not None and point.outcome in ("success", "warning")
    )
