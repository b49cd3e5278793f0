"""When a schedule expects the next starts, or why it cannot be: shown beside a schedule before it is stored.

Pure; called by the settings page of a job and by the API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from msp.backups.schedule import BadSchedule, Every, expected_after, parse_schedule
from msp.estate.spans import BadChange, checked_zone

#: So many starts show a pattern of weekdays.
NUMBER = 5


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """The next starts in the zone, none for no schedule; ``problem`` is a sentence where there can be none.

    ``from_runs``: the schedule counts from the last run, so that these are only right if one begins now.
    """

    schedule: str
    zone: str
    starts: tuple[datetime, ...] = ()
    from_runs: bool = False
    problem: str = ""


def tell_upcoming(text: str, *, zone: str, now: datetime) -> Upcoming:
    """What a person needs to see of a typed schedule in a typed zone."""
    text, zone = text.strip(), zone.strip()
    try:
        checked_zone(zone)
        if not text:
            return Upcoming(schedule="", zone=zone)
        schedule = parse_schedule(text)
        starts, moment = [], now
        for _ in range(NUMBER):
            moment = expected_after(schedule, moment, zone)
            starts.append(moment.astimezone(ZoneInfo(zone)))
    except (BadSchedule, BadChange) as refused:
        return Upcoming(schedule=text, zone=zone, problem=refused.reason)
    return Upcoming(schedule=text, zone=zone, starts=tuple(starts), from_runs=isinstance(schedule, Every))
