"""Quiet hours of a route: when nobody is to be told of what can wait until people are back.

Times are of the tenant's own clock, each night anew, so that they keep their meaning when clocks change. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from alerts.facts import Severity, is_at_least
from alerts.telling import SilenceWindow

#: Windows are worked out so far ahead: whatever is to be told later is looked at again before.
AHEAD = timedelta(days=9)
SATURDAY = 5
WEEKEND = timedelta(days=2)


@dataclass(frozen=True, kw_only=True)
class QuietHours:
    """From ``begins`` up to ``ends`` of each day in ``zone`` (over midnight where that is earlier), both or neither.

    ``weekends``: all of Saturday and Sunday too. What is at least ``unless`` is told all the same; None: nothing is.
    """

    zone: str
    begins: time | None = None
    ends: time | None = None
    weekends: bool = False
    unless: Severity | None = "critical"

    def holds_for(self, severity: Severity) -> bool:
        """Whether an incident of this severity has to wait."""
        return self.unless is None or not is_at_least(severity, self.unless)


@lru_cache(maxsize=64)
def quiet_windows(quiet: QuietHours, *, now: datetime) -> tuple[SilenceWindow, ...]:
    """The quiet hours that are not over yet, in order, as windows in which nobody is told."""
    zone = ZoneInfo(quiet.zone)
    today = now.astimezone(zone).date()
    windows = []
    for day in (today + timedelta(days=step) for step in range(-2, AHEAD.days)):
        if quiet.begins is not None and quiet.ends is not None:
            last = day if quiet.begins < quiet.ends else day + timedelta(days=1)
            windows.append(_window(_moment(day, quiet.begins, zone), _moment(last, quiet.ends, zone)))
        if quiet.weekends and day.weekday() == SATURDAY:
            windows.append(_window(_moment(day, time(), zone), _moment(day + WEEKEND, time(), zone)))
    return tuple(sorted((one for one in windows if one.ends_at and one.ends_at > now), key=lambda one: one.starts_at))


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """An hour that the change of clocks leaves out is the moment after it; of one that comes twice the first."""
    return datetime.combine(day, at, zone).astimezone(UTC)


def _window(starts_at: datetime, ends_at: datetime) -> SilenceWindow:
    return SilenceWindow(starts_at=starts_at, ends_at=ends_at, what="The route's quiet hours last")
