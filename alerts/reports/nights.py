"""A night: from noon to noon in the tenant's zone, named by the day on which it begins.

Pure. Backups that start in the evening and those that start after midnight are of the same night; a day on which the
clocks change is as long as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NOON = time(12)


@dataclass(frozen=True)
class Night:
    """``begins`` is within, ``ends`` is not; both UTC."""

    day: date
    begins: datetime
    ends: datetime


def night_of(day: date, zone: str) -> Night:
    """The night that begins on this local day."""
    return Night(day, noon_of(day, zone), noon_of(day + timedelta(days=1), zone))


def noon_of(day: date, zone: str) -> datetime:
    return datetime.combine(day, NOON, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def night_at(moment: datetime, zone: str) -> date:
    """The night in which this moment lies."""
    local = moment.astimezone(ZoneInfo(zone))
    return local.date() if local.time() >= NOON else local.date() - timedelta(days=1)
