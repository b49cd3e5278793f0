"""When a good backup is due: schedules read from text, and the moments that follow from them.

Rules ask when a job is overdue, metering asks on which local days a run was due. A schedule is wall-clock time in a
zone: in the spring gap a run is due at the first moment after it, in the repeated autumn hour at the first pass.
Intervals and tolerances are elapsed time: six hours are six hours on every day. Pure: the moment and the zone are
always given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

#: A good run that ended this shortly before its start was due is that run: two clocks rarely agree to the minute.
EARLY = timedelta(minutes=5)

#: Where intervals longer than a day are counted from, when no better anchor is given.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ALIASES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0"}
_ALIASES |= {"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}
_DAY_SETS = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_SHORTEST, _LONGEST = timedelta(minutes=5), timedelta(days=366)
_PROOF = datetime(2024, 1, 1, tzinfo=UTC)


class BadSchedule(ValueError):
    """A schedule cannot be read or never comes; ``reason`` is a sentence for the person who typed it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Cron:
    """Five fields of cron, in the zone that the caller gives."""

    expression: str

    def __str__(self) -> str:
        return self.expression


@dataclass(frozen=True)
class Every:
    """A run is due this long after the last one."""

    interval: timedelta

    def __str__(self) -> str:
        unit = next(unit for unit in "wdhm" if not self.interval % _UNITS[unit])
        return f"every {self.interval // _UNITS[unit]}{unit}"


@dataclass(frozen=True)
class Weekly:
    """On these weekdays (0 is Monday) at this local time."""

    weekdays: frozenset[int]
    at: time

    @property
    def expression(self) -> str:
        """The same as cron, where Monday is 1 and Sunday 0."""
        days = ",".join(str((day + 1) % 7) for day in sorted(self.weekdays))
        return f"{self.at.minute} {self.at.hour} * * {days if len(self.weekdays) < 7 else '*'}"

    def __str__(self) -> str:
        names = {frozenset(days): name for name, days in _DAY_SETS.items()}
        listed = ",".join(DAY_NAMES[day] for day in sorted(self.weekdays))
        return f"{names.get(self.weekdays, listed)} {self.at:%H:%M}"


Schedule = Cron | Every | Weekly


@lru_cache(maxsize=4096)
def parse_schedule(text: str) -> Schedule:
    """Read "0 22 * * 1-5", "@daily", "every 6h", "daily 22:00", "weekdays 22:00" or "mon,thu 06:30".

    Raises BadSchedule. ``str()`` of the answer is text that reads back as the same schedule.
    """
    words = text.strip().lower().split()
    if not words:
        raise BadSchedule("The schedule is empty.")
    if words[0] == "every":
        return _read_interval("".join(words[1:]))
    if len(words) == 2:
        return Weekly(_read_weekdays(words[0]), _read_time(words[1]))
    return _read_cron(" ".join(_ALIASES.get(words[0], words[0]).split() + words[1:]))


@lru_cache(maxsize=4096)
def expected_after(schedule: Schedule, moment: datetime, zone: str) -> datetime:
    """The first expected start that is later than the moment, in UTC. An interval counts from the moment itself."""
    if isinstance(schedule, Every):
        return (moment + schedule.interval).astimezone(UTC)
    for start in CronSim(schedule.expression, moment.astimezone(ZoneInfo(zone))):
        # In the repeated hour of autumn cronsim answers with the first pass, which may already be over.
        if start.astimezone(UTC) > moment:
            return start.astimezone(UTC)
    raise BadSchedule(f"The schedule {schedule} never comes again.")


def overdue_after(
    schedule: Schedule | None,
    *,
    tolerance: timedelta,
    grace: timedelta,
    last_good: datetime | None,
    registered_at: datetime,
    zone: str,
) -> datetime:
    """The moment from which the job is overdue, in UTC; at that very moment it is.

    With a schedule: the first expected start after the last good run ended, plus grace. Without one: the last good run
    plus tolerance plus grace. A job that never had a good run counts from its registration. A later good run never
    makes a job overdue earlier.
    """
    if schedule is None:
        return ((last_good or registered_at) + tolerance + grace).astimezone(UTC)
    if last_good is None:
        return expected_after(schedule, registered_at, zone) + grace
    early = timedelta() if isinstance(schedule, Every) else EARLY
    return expected_after(schedule, last_good + early, zone) + grace


def due_days(schedule: Schedule, *, first_day: date, last_day: date, zone: str, anchor: datetime = EPOCH) -> set[date]:
    """The local days from the first to the last, both included, on which at least one run was due.

    An interval of more than a day counts from ``anchor``, so that two periods side by side agree.
    """
    days: set[date] = set()
    tz = ZoneInfo(zone)
    day = first_day
    while day <= last_day:
        start = _start_at_or_after(schedule, _midnight(day, tz), zone=zone, anchor=anchor)
        day = start.astimezone(tz).date()
        if day <= last_day:
            days.add(day)
        day += timedelta(days=1)
    return days


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=tz).astimezone(UTC)


def _start_at_or_after(schedule: Schedule, moment: datetime, *, zone: str, anchor: datetime) -> datetime:
    if not isinstance(schedule, Every):
        return expected_after(schedule, moment - timedelta(seconds=1), zone)
    whole = -((anchor - moment) // schedule.interval)
    return anchor + schedule.interval * whole


def _read_interval(text: str) -> Every:
    match = re.fullmatch(r"(\d{1,6})(m|min|minutes?|h|hours?|d|days?|w|weeks?)", text)
    if match is None:
        raise BadSchedule(f'"every {text}" is not an interval; write "every 6h", "every 30m" or "every 2d".')
    interval = int(match[1]) * _UNITS[match[2][0]]
    if not _SHORTEST <= interval <= _LONGEST:
        raise BadSchedule("An interval must be from five minutes to 366 days.")
    return Every(interval)


def _read_weekdays(text: str) -> frozenset[int]:
    if text in _DAY_SETS:
        return frozenset(_DAY_SETS[text])
    days: set[int] = set()
    for name in text.split(","):
        short = name[:3]
        if short not in DAY_NAMES or name not in (short, f"{short}s", *_long_names(short)):
            raise BadSchedule(f'"{name}" is no day; write daily, weekdays, weekends or days such as mon,thu.')
        days.add(DAY_NAMES.index(short))
    return frozenset(days)


def _long_names(short: str) -> tuple[str, str]:
    endings = {"mon": "day", "tue": "sday", "wed": "nesday", "thu": "rsday", "fri": "day", "sat": "urday", "sun": "day"}
    return short + endings[short], short + endings[short] + "s"


def _read_time(text: str) -> time:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise BadSchedule(f'"{text}" is no time of day; write it as 22:00.')
    return time(int(match[1]), int(match[2]))


def _read_cron(expression: str) -> Cron:
    fields = expression.split()
    if len(fields) != 5:
        raise BadSchedule(
            f'"{expression}" is no schedule; write "daily 22:00", "weekdays 22:00", "every 6h" or five fields of cron.'
        )
    try:
        next(CronSim(expression, _PROOF))
    except CronSimError as error:
        raise BadSchedule(_cron_sentence(fields, str(error))) from error
    except StopIteration as error:
        raise BadSchedule(f'"{expression}" never comes: no year has such a day.') from error
    return Cron(expression)


def _cron_sentence(fields: list[str], complaint: str) -> str:
    """cronsim names the field; say what stands in it, and tell a day that no month has from a bad one."""
    names = ("minute", "hour", "day-of-month", "month", "day-of-week")
    name = next((name for name in names if complaint.endswith(name)), "")
    if name == "day-of-month" and fields[2].isdecimal() and 1 <= int(fields[2]) <= 31:
        return f"There is no day {fields[2]} in month {fields[3]}, so this schedule would never come."
    if name:
        return f'The {name} field of the schedule cannot be "{fields[names.index(name)]}".'
    return f"The schedule cannot be read: {complaint}."
