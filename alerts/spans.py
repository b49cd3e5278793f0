"""The quick way to a preview: when a rule would have been open for one job, worked out from its runs in one go.

For rules whose answer follows from a few figures of each run; many thousand jobs take a second. Each answers exactly
what ``alerts.replaying`` does for the same runs (the tests compare the two), or None where only that can tell. Pure;
moments are whole seconds since 1970, because nothing else is as quick to compare.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from alerts.baselines import Limits, Usual, is_far
from alerts.clocks import ALWAYS_ON, ENOUGH, read_schedule, set_schedule
from alerts.facts import JobFacts
from alerts.replaying import HISTORY
from alerts.rules import (
    chain_too_long,
    component_failed,
    did_not_start,
    errors,
    implausible_zero,
    never_backed_up,
    no_data_sent,
    no_recent_backup,
    size_anomaly,
    slow,
    unstable,
)
from msp.backups.schedule import EARLY, BadSchedule, Every, Schedule, expected_after

#: (opened, closed): ``closed`` None for what is open at the end.
Times = tuple[int, int | None]
#: (least, greatest)
Extremes = tuple[int | None, int | None]

_MINUTE, _DAY, _MB = 60, 86_400, 10**6
#: How far ahead starts are looked for at once: a yearly schedule still has one.
_AHEAD = timedelta(days=400)
_NEVER = 1 << 60
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """The finished and running backups of a job, oldest first; only the columns that a rule asks for are filled.

    ``marks`` has one letter a run: g good, f failed or missed, w with warnings, s success that was not good, r running,
    o any other. ``data`` has one a run: d brought data, z told sizes and brought none, n told no size. ``good`` are the
    ends of the good runs, ``started`` the starts, or the ends of those that tell none. ``lasted`` has the seconds of
    those that came to their end, -1 where none are told or it did not, -2 for one that is running. The others are the
    least and the greatest figure, None where none is told; ``troubled`` whether any component was.
    """

    ended: Sequence[int] = ()
    marks: str = ""
    data: str = ""
    good: Sequence[int] = ()
    started: Sequence[int] = ()
    lasted: Sequence[int] = ()
    protected: Extremes = (None, None)
    changed: Extremes = (None, None)
    transferred: Extremes = (None, None)
    seconds: Extremes = (None, None)
    speed: Extremes = (None, None)
    chain: Extremes = (None, None)
    troubled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """From when to when a preview looks, both included."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Quick:
    """How one rule is answered quickly, and from which columns of a Track; ``habits``: it learns from older runs."""

    spans: Callable[[Track, JobFacts, Any, Period], list[Times] | None]
    columns: frozenset[str] = field(default_factory=frozenset)
    habits: bool = False


def seconds_of(moment: datetime) -> int:
    """A moment as the tracks hold it; parts of a second are cut."""
    return int(moment.timestamp())


def moment_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# --- no recent backup


def _no_recent_backup(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    allowed = no_recent_backup.allowed_to(facts, params)
    if allowed is None or not track.good:
        return []
    grace = params.grace_minutes * _MINUTE if facts.grace is None else int(facts.grace.total_seconds())
    if allowed.schedule is None:
        within = int((allowed.tolerance or timedelta()).total_seconds()) + grace
        return _gaps(track.good, within, period)
    if isinstance(allowed.schedule, Every):
        return _gaps(track.good, int(allowed.schedule.interval.total_seconds()) + grace, period)
    return _scheduled_gaps(track, allowed.schedule, zone=facts.zone, grace=grace, period=period)


def _gaps(good: Sequence[int], within: int, period: Period) -> list[Times]:
    """Open from ``within`` after a good run until the next."""
    found = [(a + within, b) for a, b in pairwise(good) if b - a > within]
    return _within([*found, (good[-1] + within, _NEVER)], period)


def _scheduled_gaps(track: Track, schedule: Schedule, *, zone: str, grace: int, period: Period) -> list[Times] | None:
    """Open from an expected start, the grace and the usual duration after a good run until the next good one."""
    starts = starts_of(schedule, zone, track.good[0], period.end)
    if starts is None:
        return None
    early, number, shortest = int(EARLY.total_seconds()), len(starts), track.seconds[0] or 0
    found: list[tuple[int, int]] = []
    for a, b in pairwise((*track.good, _NEVER)):
        place = bisect_right(starts, a + early)
        if place >= number or starts[place] + grace + shortest >= b:
            continue
        gap = _gap(track, a, b, due=starts[place] + grace)
        if gap is None:
            return None
        found += gap
    return _within(found, period)


def _gap(track: Track, a: int, b: int, *, due: int) -> list[tuple[int, int]] | None:
    """From ``due`` and the usual duration, as it was known then, to the next good run. None where a run between the two
    came to its end without being good: it changes what is usual.
    """
    last = bisect_right(track.ended, a) - 1
    between = bisect_left(track.ended, b)
    if any(lasted >= 0 for lasted in track.lasted[last + 1 : between]):
        return None
    for newest in range(last, between):
        deadline = due + _usual(track.lasted, newest)
        if deadline < (track.ended[newest + 1] if newest + 1 < between else b):
            return [(max(deadline, track.ended[newest]), b)]
    return []


def _usual(lasted: Sequence[int], newest: int) -> int:
    """What ``alerts.clocks.longest_usual`` says after this run; -1 stands for none told, -2 for one not finished."""
    finished = [seconds for seconds in lasted[: newest + 1] if seconds > -2][-HISTORY:]
    told = sorted(seconds for seconds in finished if seconds >= 0)
    if not told:
        return 0
    return told[-2] if len(told) >= ENOUGH else told[-1]


def starts_of(schedule: Schedule, zone: str, first: int, last: int) -> Sequence[int] | None:
    """All expected starts from a moment to another; None where one cannot be told."""
    begin = first - first % (30 * _DAY)  # so that jobs that began about the same time share one list
    return _starts(schedule, zone, begin, last)


@lru_cache(maxsize=512)
def _starts(schedule: Schedule, zone: str, first: int, last: int) -> Sequence[int] | None:
    starts: list[int] = []
    moment, end = moment_of(first), moment_of(last)
    try:
        while moment <= end:
            moment = expected_after(schedule, moment, zone)
            starts.append(seconds_of(moment))
    except BadSchedule:
        return None
    return starts


# --- never backed up


def _never_backed_up(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    deadline = never_backed_up.check_after(facts, params, _LONG_AGO)
    if deadline is None:
        return []
    return _within([(seconds_of(deadline), track.good[0] if track.good else _NEVER)], period)


# --- no data sent

#: So many good runs without data prove that none comes.
_PROOF = 2


def _no_data_sent(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    """Open from the days set after the last data, but not before a good run without any, until data comes again."""
    told = next((place for place, letter in enumerate(track.data) if letter != "n"), None)
    if told is None:
        return []
    if len(track.marks) - track.marks.count("g") + _PROOF > HISTORY:
        return None  # good runs may have fallen out of the history
    since = track.ended[told]
    brought = [at for at, letter in zip(track.ended, track.data, strict=True) if letter == "d"]
    days = params.days * _DAY
    gaps = [(seconds_of(facts.registered_at), brought[0] if brought else _NEVER)]
    gaps += [(a, b) for a, b in pairwise((*brought, _NEVER)) if b - a > days]
    good = [at for at, mark in zip(track.ended, track.marks, strict=True) if mark == "g"]
    found = []
    for quiet_since, until in gaps:
        place = bisect_right(good, quiet_since) + _PROOF - 1
        if place < len(good) and good[place] < until:
            found.append((max(quiet_since + days, good[place], since), until))
    return _within(found, period)


# --- errors

_BAD_STRETCH = re.compile("[^g]*[fw][^g]*")


def _errors(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    """Rows of bad runs; the share of the last runs and errors that repeat are a matter of the whole history."""
    if params.share_percent or params.only_repeating:
        return None
    found = []
    for stretch in _BAD_STRETCH.finditer(track.marks):
        place = _enough(track.marks, stretch.start(), stretch.end(), params)
        if place is not None:
            closed = track.ended[stretch.end()] if stretch.end() < len(track.ended) else _NEVER
            found.append((track.ended[place], closed))
    return _within(found, period)


def _enough(marks: str, first: int, last: int, params: Any) -> int | None:
    """The place of the run with which a row has as many failures or warnings as the rule asks for."""
    failures = warnings = 0
    for place in range(first, last):
        failures += marks[place] == "f"
        warnings += marks[place] == "w"
        if failures >= params.failures or (params.warnings and warnings >= params.warnings):
            return place
    return None


# --- unstable


def _unstable(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    """Nothing where the changes never come close enough together; what does is played again."""
    telling = [(at, mark == "g") for at, mark in zip(track.ended, track.marks, strict=True) if mark in "gfws"]
    turned = [after[0] for before, after in pairwise(telling) if before[1] != after[1]]
    firsts = zip(turned, turned[params.changes - 1 :], strict=False)
    return None if any(last - first < params.days * _DAY for first, last in firsts) else []


# --- nothing can be there: what is not as plain is played again


def _did_not_start(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    """Nothing where each run ended before the start after the one before it, and the grace, were over."""
    schedule, early = _start_schedule(facts, params)
    if schedule is None or (params.always_on_only and facts.machine_class not in ALWAYS_ON):
        return []
    if not track.ended or track.ended[0] > period.start:
        return None
    starts = () if isinstance(schedule, Every) else starts_of(schedule, facts.zone, track.ended[0], period.end)
    if starts is None:
        return None
    grace = params.start_grace_minutes * _MINUTE + (track.seconds[0] or 0)
    for place, after in enumerate((*track.ended[1:], period.end + 1)):
        if isinstance(schedule, Every):
            due = max(track.started[place] + int(schedule.interval.total_seconds()), track.ended[place])
        else:
            number = bisect_right(starts, track.ended[place] + early)
            due = starts[number] if number < len(starts) else _NEVER
        if due + grace < after:
            return None
    return []


def _start_schedule(facts: JobFacts, params: Any) -> tuple[Schedule | None, int]:
    """The schedule that starts are expected by, and by how many seconds one may come too soon."""
    schedule, learned = set_schedule(facts), facts.learned
    if schedule is None and learned is not None and 0 < params.learned_confidence <= learned.confidence:
        return read_schedule(learned.schedule), params.start_grace_minutes * _MINUTE
    return schedule, int(EARLY.total_seconds())


def _size_anomaly(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    """Nothing where even the least and the greatest size are near each other, and no run changed much."""
    limits = Limits(
        shrink_percent=params.shrink_percent, grow_percent=params.grow_percent, floor=params.floor_megabytes * _MB
    )
    if _far_apart(track.protected, limits):
        return None
    least = track.protected[0]
    if not params.change_factor or least is None:
        return []
    for low, high in (track.changed, track.transferred):
        if low is None or high is None or high <= 2 * low or high < params.floor_megabytes * _MB:
            continue
        if high * 100 >= least * params.change_percent:
            return None
    return []


def _slow(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    """Nothing where even the shortest and the longest run, the slowest and the fastest, are near each other."""
    if params.window_hours or (params.keeps_up and track.changed[1]):
        return None
    longest = track.seconds[1]
    if longest is None:
        return []
    longer = Limits(grow_percent=params.factor_percent - 100, floor=params.minutes * _MINUTE)
    slower = Limits(shrink_percent=100 - 10_000 // params.factor_percent)
    if _far_apart(track.seconds, longer) or (longest >= params.minutes * _MINUTE and _far_apart(track.speed, slower)):
        return None
    return []


def _far_apart(extremes: Extremes, limits: Limits) -> bool:
    low, high = extremes
    if low is None or high is None:
        return False
    return is_far(low, Usual(lower=high, upper=high, samples=1), limits) or is_far(
        high, Usual(lower=low, upper=low, samples=1), limits
    )


def _implausible_zero(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    return None if 0 in (track.protected[0], track.seconds[0]) else []


def _component_failed(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    return None if track.troubled else []


def _chain_too_long(track: Track, facts: JobFacts, params: Any, period: Period) -> list[Times] | None:
    return None if (track.chain[1] or 0) > params.max_length else []


# --- what they share


def _within(found: Iterable[tuple[int, int]], period: Period) -> list[Times]:
    """Cut to the period: what was open before it opens with it; what ends after it is open."""
    cut: list[Times] = []
    for opened, closed in found:
        opened = max(opened, period.start)
        if opened > period.end or closed <= opened:
            continue
        if cut and cut[-1][1] == opened:  # two that meet in one moment were never apart
            opened = cut.pop()[0]
        cut.append((opened, closed if closed <= period.end else None))
    return cut


QUICK: Mapping[str, Quick] = {
    no_recent_backup.KIND: Quick(
        spans=_no_recent_backup, columns=frozenset({"good", "ended", "lasted", "seconds"}), habits=True
    ),
    never_backed_up.KIND: Quick(spans=_never_backed_up, columns=frozenset({"good"})),
    no_data_sent.KIND: Quick(spans=_no_data_sent, columns=frozenset({"ended", "marks", "data"})),
    errors.KIND: Quick(spans=_errors, columns=frozenset({"ended", "marks"})),
    unstable.KIND: Quick(spans=_unstable, columns=frozenset({"ended", "marks"})),
    did_not_start.KIND: Quick(spans=_did_not_start, columns=frozenset({"ended", "started", "seconds"})),
    size_anomaly.KIND: Quick(
        spans=_size_anomaly, columns=frozenset({"protected", "changed", "transferred"}), habits=True
    ),
    slow.KIND: Quick(spans=_slow, columns=frozenset({"seconds", "speed", "changed"}), habits=True),
    implausible_zero.KIND: Quick(spans=_implausible_zero, columns=frozenset({"protected", "seconds"}), habits=True),
    component_failed.KIND: Quick(spans=_component_failed, columns=frozenset({"troubled"}), habits=True),
    chain_too_long.KIND: Quick(spans=_chain_too_long, columns=frozenset({"chain"}), habits=True),
}
