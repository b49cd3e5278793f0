"""Moments, durations and sizes in words, for the sentences of findings and incidents.

Rules and deciding call it; the words are English whatever the locale of the machine, the moments in the zone given.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SIZES = ((10**15, "PB"), (10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def moment_words(moment: datetime, zone: str) -> str:
    """A moment as a person in the zone reads it: "Tue 3 Mar 2026 22:00 CET"."""
    local = moment.astimezone(ZoneInfo(zone))
    day = f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local.year}"
    return f"{day} {local:%H:%M} {local.tzname()}"


def duration_words(duration: timedelta) -> str:
    """A duration in its two largest units: "1 day 2 hours"; "0 minutes" for less than one."""
    minutes = int(duration.total_seconds()) // 60
    parts = [(minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute")]
    told = [count_words(count, name) for count, name in parts if count]
    return " ".join(told[:2]) or "0 minutes"


def count_words(count: int, name: str) -> str:
    """A number and its noun: "1 day", "3 days"."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def size_words(size: int) -> str:
    """Bytes in decimal units with one place, cut and never rounded up: "512.3 GB"."""
    for unit, name in _SIZES:
        if abs(size) >= unit:
            return f"{size * 10 // unit / 10:,.1f} {name}"
    return count_words(size, "byte")
