"""Learns a schedule from the starts of a job's backups, where nobody set one: a guess with its confidence and why.

Two readings are tried: fixed times of the local day (one or several, on some weekdays), which daylight saving does not
move, and a steady interval. Runs that fit neither (made by hand, tests, repeats after a failure) count against the
guess; below a confidence of 80 none is made. A guess stays while it still fits, so that it changes slowly. Pure.
"""

from __future__ import annotations

from calendar import day_name
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from statistics import median_high
from zoneinfo import ZoneInfo

from msp.backups.points import Point
from msp.backups.schedule import BadSchedule, Every, Weekly, parse_schedule

#: No guess is told below this share of 100; one that was made is kept down to the next.
LEAST_CONFIDENCE, STILL_FITS = 80, 50
#: So many runs over so many days, or of a weekly job so many over three weeks.
LEAST_SAMPLES, LEAST_DAYS, LEAST_WEEKLY, WEEKLY_DAYS = 7, 5, 4, 21

_DAY, _HOUR = 1440, 60  # minutes
#: The runs of how many days are looked at: a month, all, and the newest where a habit has just changed.
_WINDOWS = (28, 120, 10)
#: How far apart starts at one time of day may lie, in minutes; the narrowest that explains them is taken.
_WIDTHS = (20, 60, 180)
#: A clock may be this many minutes early, and a guess from ends is this much earlier than they are.
_SLACK, _BEFORE_END = 10, 15
_MOST_SLOTS = 12
#: Of the days of a weekday so many in a hundred must have a run, and of all days so many for a further time of day.
_WEEKDAY_SHARE, _SLOT_SHARE = 50, 60
#: Runs within this time after the registration are tests.
_FIRST_TRIES = 3600
#: A run within this time after one that was not good may be a repeat of it.
_TRIED_AGAIN = 3 * 3600
#: Moments outside are no times of backups: 1970 to 2242, in epoch seconds.
_LAST_MOMENT = 2**33


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """``schedule`` is text for ``parse_schedule``, ``confidence`` a share of 100 of the runs and of the times due.

    ``since`` is the oldest run it rests on, in epoch seconds; not ``ripe`` until it has held for five days.
    """

    schedule: str
    confidence: int
    samples: int
    because: str
    since: int
    ripe: bool = True


@dataclass(frozen=True, slots=True)
class _Start:
    """``at`` in epoch seconds, ``wall`` in minutes of the local calendar since its first day."""

    at: int
    wall: int


@dataclass(frozen=True, slots=True)
class _Times:
    """Fixed times: minutes of the day, ascending, on these weekdays (0 is Monday)."""

    minutes: tuple[int, ...]
    weekdays: frozenset[int]

    def slot_of(self, wall: int) -> tuple[int, int]:
        """The newest time due at a moment, as minutes of the calendar, and how many minutes ago that was."""
        due = max(day * _DAY + minute for minute in self.minutes for day in ((wall + _SLACK - minute) // _DAY,))
        return due, wall - due

    def fits(self, wall: int, *, width: int) -> bool:
        due, late = self.slot_of(wall)
        return late <= width and _weekday(due // _DAY) in self.weekdays


def learn(
    points: Sequence[Point], *, zone: str, registered_at: datetime, previous: Guess | None = None
) -> Guess | None:
    """The schedule that these runs keep, oldest first; None where they keep none. Never raises."""
    starts, told = _starts_of(points, zone=_zone_of(zone), registered_at=registered_at)
    if not starts:
        return None
    if previous is not None and _still_fits(previous, starts):
        return _ripened(previous, starts)
    windows = [[start for start in starts if starts[-1].at - start.at <= days * 86400] for days in _WINDOWS]
    for reading in (_in_steps, _fixed, _in_days):
        for recent in windows:
            guess = reading(recent, told=told)
            if guess is not None:
                return _ripened(guess, starts)
    return None


def needs_learning(guess: Guess | None, *, newest: datetime, before: datetime | None, zone: str) -> bool:
    """Whether the newest start, or the pause before it, is not what the guess says. Cheap: asked of every run."""
    pattern = _read(guess.schedule) if guess is not None else None
    if guess is None or pattern is None or not guess.ripe or before is None:
        return True
    pause = newest - before
    if isinstance(pattern, Every):
        return not _gap_fits(pause.total_seconds(), pattern.interval.total_seconds())
    wall = _wall(newest.astimezone(_zone_of(zone)))
    return pause > _longest_pause(pattern.weekdays) or not pattern.fits(wall, width=_WIDTHS[-1])


# --- reading -----------------------------------------------------------------------------------------------------


def _zone_of(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _wall(moment: datetime) -> int:
    return moment.toordinal() * _DAY + moment.hour * _HOUR + moment.minute


def _weekday(day: int) -> int:
    """Of a day counted as ``date.toordinal`` does."""
    return (day + 6) % 7


def _starts_of(points: Iterable[Point], *, zone: tzinfo, registered_at: datetime) -> tuple[list[_Start], bool]:
    """The telling starts, oldest first, and whether they are starts; where logs tell none, ends."""
    began = registered_at.timestamp()
    ran = [one for one in points if one.outcome != "missed" and 0 < one.ended < _LAST_MOMENT]
    told = bool(ran) and all(one.started is not None and 0 < one.started < _LAST_MOMENT for one in ran)
    runs = sorted(((one.started if told else one.ended) or 0, one.good) for one in ran)
    runs = [run for run in runs if not began <= run[0] < began + _FIRST_TRIES]
    moments = _without_repeats(runs)
    return [_Start(at, _wall(datetime.fromtimestamp(at, zone))) for at in moments], told


def _without_repeats(runs: Sequence[tuple[int, bool]]) -> list[int]:
    """Without those that came soon after a run that was not good, and much sooner than usual: it was tried again."""
    gaps = sorted(after[0] - before[0] for before, after in pairwise(runs))
    usual = gaps[len(gaps) * 3 // 4] if gaps else 0
    kept: list[int] = []
    for place, (at, _) in enumerate(runs):
        gap = at - runs[place - 1][0]
        if place and not runs[place - 1][1] and gap <= _TRIED_AGAIN and gap * 2 < usual:
            continue
        kept.append(at)
    return kept


@lru_cache(maxsize=4096)
def _read(schedule: str) -> _Times | Every | None:
    """A schedule that was learned; None for text that this module does not write."""
    try:
        parsed = parse_schedule(schedule)
    except BadSchedule:
        return None
    if isinstance(parsed, Every):
        return parsed
    if isinstance(parsed, Weekly):
        return _Times((parsed.at.hour * _HOUR + parsed.at.minute,), parsed.weekdays)
    minute, hours, _, _, days = parsed.expression.split()
    if not minute.isdecimal() or not hours.replace(",", "").isdecimal():
        return None
    weekdays = range(7) if days == "*" else [(int(day) + 6) % 7 for day in days.split(",") if day.isdecimal()]
    return _Times(tuple(sorted(int(hour) * _HOUR + int(minute) for hour in hours.split(","))), frozenset(weekdays))


# --- an older guess ----------------------------------------------------------------------------------------------


def _still_fits(guess: Guess, starts: Sequence[_Start]) -> bool:
    """Whether most of the newest runs keep it, and at least half of what it asks for has come."""
    pattern = _read(guess.schedule)
    recent = [start for start in starts if starts[-1].at - start.at <= _WINDOWS[0] * 86400]
    if pattern is None or len(recent) < 2:
        return pattern is not None
    if isinstance(pattern, Every):
        fitting, missed, extra = _walk(recent, int(pattern.interval.total_seconds()))
        return min(_percent(fitting, fitting + extra), _percent(fitting, fitting + missed)) >= STILL_FITS
    newest = recent[-LEAST_SAMPLES:]
    kept = sum(pattern.fits(start.wall, width=_WIDTHS[-1]) for start in newest)
    present, expected = _kept(pattern, recent, width=_WIDTHS[-1])
    return _percent(kept, len(newest)) >= STILL_FITS and _percent(present, expected) >= STILL_FITS


def _ripened(guess: Guess, starts: Sequence[_Start]) -> Guess:
    ripe = guess.ripe or starts[-1].at - guess.since >= LEAST_DAYS * 86400
    return guess if ripe == guess.ripe else replace(guess, ripe=ripe)


@lru_cache(maxsize=128)
def _longest_pause(weekdays: frozenset[int]) -> timedelta:
    """Half as much again as the longest time from one day due to the next."""
    days = sorted(weekdays)
    gaps = [(after - before - 1) % 7 + 1 for before, after in zip(days, days[1:] + days[:1], strict=True)]
    return timedelta(days=1.5 * max(gaps))


# --- a new guess -------------------------------------------------------------------------------------------------


def _in_steps(starts: Sequence[_Start], *, told: bool) -> Guess | None:
    """Steps well under a day."""
    step = _step_of(starts)
    return _steady(starts, step, told=told) if step is not None and step < 20 * 3600 else None


def _in_days(starts: Sequence[_Start], *, told: bool) -> Guess | None:
    """Every so many days, where no weekday is kept; each day at another time is no habit, but one that just changes."""
    step = _step_of(starts)
    return _steady(starts, step, told=told) if step is not None and step >= 36 * 3600 else None


def _percent(part: int, whole: int) -> int:
    return part * 100 // whole if whole else 0


def _span_words(starts: Sequence[_Start]) -> str:
    first, last = (date.fromordinal(start.wall // _DAY) for start in (starts[0], starts[-1]))
    return f"from {first.day} {first:%B %Y} to {last.day} {last:%B %Y}"


# --- a steady interval


def _step_of(starts: Sequence[_Start]) -> int | None:
    if len(starts) < LEAST_WEEKLY:
        return None
    return _rounded(median_high([after.at - before.at for before, after in pairwise(starts)]))


def _steady(starts: Sequence[_Start], step: int, *, told: bool) -> Guess | None:
    fitting, missed, extra = _walk(starts, step)
    confidence = min(_percent(fitting, fitting + extra), _percent(fitting, fitting + missed))
    span = (starts[-1].at - starts[0].at) // 86400
    enough = fitting >= LEAST_WEEKLY and span >= WEEKLY_DAYS if step >= 7 * 86400 else fitting >= LEAST_SAMPLES
    if confidence < LEAST_CONFIDENCE or not enough:
        return None
    verb, words = "began" if told else "ended", _interval_words(step)
    return Guess(
        schedule=str(Every(timedelta(seconds=step))),
        confidence=confidence,
        samples=fitting,
        because=f"{fitting} of {len(starts)} runs {verb} about {words} after the one before, {_span_words(starts)}.",
        since=starts[0].at,
        ripe=span >= LEAST_DAYS,
    )


def _rounded(seconds: int) -> int | None:
    """A step as somebody would set it: whole five minutes, half hours, hours or days; None if there is none near."""
    unit = 300 if seconds < 3300 else 1800 if seconds < 4 * 3600 else 3600 if seconds < 3 * 86400 else 86400
    step = round(seconds / unit) * unit
    return step if step and _gap_fits(seconds, step) and step <= 366 * 86400 else None


def _gap_fits(seconds: float, step: float) -> bool:
    return abs(seconds - step) <= max(90, step / 5)


def _walk(starts: Sequence[_Start], step: int) -> tuple[int, int, int]:
    """From start to start: how many came a step after the one before, how many are missing, how many were extra."""
    fitting, missed, extra = 1, 0, 0
    before = starts[0].at
    for start in starts[1:]:
        gap = start.at - before
        steps = round(gap / step)
        if gap < step and not _gap_fits(gap, step):
            extra += 1
            continue
        if steps == 1 and not _gap_fits(gap, step):
            extra += 1
        else:
            fitting += 1
            missed += max(0, steps - 1)
        before = start.at
    return fitting, missed, extra


def _interval_words(seconds: int) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if not seconds % unit:
            number = seconds // unit
            return f"{number} {name}" if number == 1 else f"{number} {name}s"
    return f"{seconds} seconds"


# --- fixed times of the day


def _fixed(starts: Sequence[_Start], *, told: bool) -> Guess | None:
    """The times of day that explain the most runs; of several equally good the narrowest."""
    guesses = [_fixed_within(starts, width=width, told=told) for width in _WIDTHS]
    return max((one for one in guesses if one is not None), key=lambda one: one.confidence, default=None)


def _fixed_within(starts: Sequence[_Start], *, width: int, told: bool) -> Guess | None:
    times = _times_of(starts, width=width, told=told)
    pattern = None if times is None else _read(_schedule_of(times))
    if times is None or not isinstance(pattern, _Times):
        return None
    # Of several times of day with different minutes the text holds the earliest minute only.
    reach = width + _SLACK + _BEFORE_END + (_HOUR if len(times.minutes) > 1 else 0)
    present, expected = _kept(pattern, starts, width=reach)
    confidence = min(_percent(present, len(starts)), _percent(present, expected))
    weekly = len(pattern.weekdays) == len(pattern.minutes) == 1
    days = starts[-1].wall // _DAY - starts[0].wall // _DAY + 1
    enough = present >= LEAST_WEEKLY and days > WEEKLY_DAYS if weekly else present >= LEAST_SAMPLES and days >= 7
    if confidence < LEAST_CONFIDENCE or not enough:
        return None
    because = _fixed_words(times, starts, present=present, reach=reach, told=told)
    return Guess(
        schedule=_schedule_of(times), confidence=confidence, samples=present, because=because, since=starts[0].at
    )


def _times_of(starts: Sequence[_Start], *, width: int, told: bool) -> _Times | None:
    """The times of day with the most runs, as far as they are kept on the same weekdays as the first of them."""
    left = [start.wall for start in starts]
    minutes: list[int] = []
    weekdays: frozenset[int] = frozenset()
    for _ in range(_MOST_SLOTS):
        if len(left) < max(3, len(starts) // 20):
            break
        minute = _early(left, _densest(left, width=width), width=width, told=told)
        slot = _Times((minute,), frozenset(range(7)))
        inside = [wall for wall in left if slot.fits(wall, width=width + _SLACK + _BEFORE_END)]
        kept = _weekdays_of(slot, inside, starts)
        share = _percent(*_kept(_Times((minute,), kept), starts, width=width + _SLACK + _BEFORE_END))
        if kept and kept == (weekdays or kept) and share >= _SLOT_SHARE:
            minutes, weekdays = [*minutes, minute], kept
        elif not minutes:
            return None
        left = [wall for wall in left if wall not in set(inside)]
    return _Times(tuple(sorted(minutes)), weekdays) if minutes else None


def _densest(walls: Sequence[int], *, width: int) -> int:
    """The minute of the day from which on the most starts lie within the width."""
    minutes = sorted(wall % _DAY for wall in walls)
    around = minutes + [minute + _DAY for minute in minutes]
    best, most, end = minutes[0], 0, 0
    for place, minute in enumerate(minutes):
        while end < place + len(minutes) and around[end] <= minute + width:
            end += 1
        if end - place > most:
            best, most = minute, end - place
    return best


def _early(walls: Sequence[int], minute: int, *, width: int, told: bool) -> int:
    """When it is due: the earliest of its starts, of many the second, on whole five minutes."""
    since = minute - 2 * _SLACK
    late = sorted((wall - since) % _DAY for wall in walls if (wall - since) % _DAY <= width + 2 * _SLACK)
    due = since + late[1 if len(late) >= 10 else 0] - (0 if told else _BEFORE_END)
    return due // 5 * 5 % _DAY


def _weekdays_of(slot: _Times, inside: Iterable[int], starts: Sequence[_Start]) -> frozenset[int]:
    """The weekdays on at least half of which, between the first run and the last, it ran at this time."""
    present = {slot.slot_of(wall)[0] // _DAY for wall in inside}
    days = _days_of(slot.minutes[0], starts)
    seen, ran = Counter(map(_weekday, days)), Counter(map(_weekday, present.intersection(days)))
    return frozenset(day for day in ran if _percent(ran[day], seen[day]) >= _WEEKDAY_SHARE)


def _days_of(minute: int, starts: Sequence[_Start]) -> range:
    """The days on which this time came between the first start and the last; a little late or early counts."""
    first = -((minute + 3 * _HOUR - starts[0].wall) // _DAY)
    return range(first, (starts[-1].wall + _SLACK - minute) // _DAY + 1)


def _kept(times: _Times, starts: Sequence[_Start], *, width: int) -> tuple[int, int]:
    """How many of the times due had a run, and how many were due between the first start and the last."""
    due = {
        day * _DAY + minute
        for minute in times.minutes
        for day in _days_of(minute, starts)
        if _weekday(day) in times.weekdays
    }
    told = (times.slot_of(start.wall) for start in starts)
    return len({moment for moment, late in told if late <= width and moment in due}), len(due)


def _schedule_of(times: _Times) -> str:
    """One time of day as a person would write it, several as cron, which has one minute for all: the earliest."""
    if len(times.minutes) == 1:
        minute = times.minutes[0]
        return str(Weekly(times.weekdays, time(minute // _HOUR, minute % _HOUR)))
    minute = min(one % _HOUR for one in times.minutes)
    hours = ",".join(map(str, sorted({one // _HOUR for one in times.minutes})))
    days = ",".join(map(str, sorted((day + 1) % 7 for day in times.weekdays))) if len(times.weekdays) < 7 else "*"
    return f"{minute} {hours} * * {days}"


def _fixed_words(times: _Times, starts: Sequence[_Start], *, present: int, reach: int, told: bool) -> str:
    """ "20 of 21 runs began between 22:00 and 22:40 on weekdays, from 2 November 2026 to 28 November 2026." """
    when = "at about " + _and(map(_clock, times.minutes))
    if len(times.minutes) == 1:
        late = [late for _, late in (times.slot_of(start.wall) for start in starts) if late <= reach]
        first, last = (_clock(times.minutes[0] + minutes) for minutes in (min(late), max(late)))
        when = f"between {first} and {last}" if first != last else f"at {first}"
    verb = "began" if told else "ended"
    return f"{present} of {len(starts)} runs {verb} {when}{_days_words(times.weekdays)}, {_span_words(starts)}."


def _clock(minute: int) -> str:
    return f"{minute // _HOUR % 24:02}:{minute % _HOUR:02}"


def _days_words(weekdays: frozenset[int]) -> str:
    if len(weekdays) == 7:
        return ""
    names = [f"{day_name[day]}s" for day in sorted(weekdays)]
    known = {frozenset(range(5)): "weekdays", frozenset((5, 6)): "weekends"}
    return f" on {known.get(weekdays) or _and(names)}"


def _and(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
