"""When a silence is in force: once, or again and again by a schedule within its begin and end. Pure.

A recurring window is so many minutes long from each start that the schedule names in its zone, elapsed time: on the
day of the change of clocks it is as long as on any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.telling import SilenceWindow
from msp.backups.schedule import BadSchedule, Every, expected_after, parse_schedule

#: How far ahead windows are worked out, and how many at most: telling looks again before.
AHEAD, MOST = timedelta(days=35), 100


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """A silence as stored; ``schedule`` empty is one window from ``starts_at`` to ``ends_at``."""

    starts_at: datetime
    ends_at: datetime
    schedule: str = ""
    minutes: int = 0
    zone: str = "UTC"
    reason: str = ""


def windows_of(silence: Recurrence, *, now: datetime) -> list[SilenceWindow]:
    """The windows that are in force now or come within the next weeks, earliest first."""
    if not silence.schedule:
        return [SilenceWindow(starts_at=silence.starts_at, ends_at=silence.ends_at, reason=silence.reason)]
    return [
        SilenceWindow(starts_at=start, ends_at=end, reason=silence.reason)
        for start, end in _spans(silence, now=now)
        if end > now
    ][:MOST]


def _spans(silence: Recurrence, *, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each start within the silence's own begin and end; a window is cut where the silence ends."""
    length = timedelta(minutes=silence.minutes)
    try:
        schedule = parse_schedule(silence.schedule)
    except BadSchedule:  # stored before, and no longer read: it silences nothing
        return
    moment = max(silence.starts_at, now - length) - timedelta(seconds=1)
    if isinstance(schedule, Every):
        passed = max(moment - silence.starts_at, timedelta())
        moment = silence.starts_at + schedule.interval * (passed // schedule.interval) - schedule.interval
    latest = min(silence.ends_at, now + AHEAD)
    for _ in range(MOST * 2):
        start = expected_after(schedule, moment, silence.zone)
        if start >= latest:
            return
        moment = start
        if start >= silence.starts_at:
            yield start, min(start + length, silence.ends_at)
