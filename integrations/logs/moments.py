"""Times as tools print them, turned into aware UTC.

A time with an offset is certain; a local one needs the zone of the delivery, and without it the answer is None: a time
is never guessed. Where a clock goes back an hour the later reading is taken if the earlier would end before the start.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_ISO = re.compile(
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]{1,12}))? ?(Z|[+-][0-9]{2}:?[0-9]{2})?$"
)


def zone_named(name: str) -> ZoneInfo | None:
    """The zone of an IANA name, or None where the name is none (also for paths and other trickery)."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return None


def iso(text: str, zone: tzinfo | None) -> datetime | None:
    """UTC of an ISO 8601 time with up to 12 digits of fraction; local ones are read in ``zone``."""
    match = _ISO.match(text.strip())
    if match is None:
        return None
    day, clock, fraction, offset = match.groups()
    micros = ((fraction or "") + "000000")[:6]
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{micros}{(offset or '').replace('Z', '+00:00')}")
        return to_utc(moment, zone)
    except (ValueError, OverflowError):
        return None


def to_utc(moment: datetime, zone: tzinfo | None) -> datetime | None:
    """UTC of a moment; None for a local one when the zone is not known."""
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        return moment.replace(tzinfo=zone).astimezone(UTC) if zone is not None else None
    except (ValueError, OverflowError):
        return None


def is_local(text: str) -> bool:
    """True for an ISO time that names no offset."""
    match = _ISO.match(text.strip())
    return match is not None and match.group(4) is None


def unix(seconds: float | None) -> datetime | None:
    """UTC of Unix seconds, or None where no such moment exists."""
    try:
        return None if seconds is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def local_pair(start: str, end: str, zone: tzinfo | None) -> tuple[datetime | None, datetime | None]:
    """Start and end of a run printed as local ISO times, the end read as the later hour when a clock went back."""
    started, ended = iso(start, zone), iso(end, zone)
    if started and ended and ended < started and zone is not None and is_local(end):
        later = _second_reading(end, zone)
        ended = later if later is not None and later >= started else ended
    return started, ended


def _second_reading(text: str, zone: tzinfo) -> datetime | None:
    match = _ISO.match(text.strip())
    if match is None:
        return None
    moment = datetime.fromisoformat(f"{match.group(1)}T{match.group(2)}").replace(tzinfo=zone, fold=1)
    return moment.astimezone(UTC)
