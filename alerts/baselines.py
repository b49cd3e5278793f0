"""What is usual in a small history of figures, and which newest ones are far from it; explained in words.

Rules about sizes and speed ask here. The usual is a band: the median with five times the median deviation around it,
at least three fifths of what was seen and never wider than that, so that neither one odd run nor slow growth moves it
far. A figure is far when it lies beyond the band by a share and by an amount. A level that a person accepted, or that
has held long enough, becomes the new usual. Pure; figures are whole numbers of any unit, readings come oldest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

from alerts.facts import RunPoint

#: So many of the newest usual readings make the band: four weeks of a nightly job.
WINDOW = 28
#: The band reaches so many median deviations from the median; 5 of them are 3.4 standard deviations.
REACH = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One figure of one run; ``weekday`` is the local day on which the run started, 0 is Monday."""

    at: datetime
    value: int
    weekday: int = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What is far: beyond the band by a share of its nearer edge (0: never into that direction) and by ``floor``.

    ``samples`` readings are learned from before any is judged; ``settle`` readings in a row at a new level make it the
    usual one (0: never by itself).
    """

    shrink_percent: int = 0
    grow_percent: int = 0
    floor: int = 0
    samples: int = 7
    settle: int = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """The band of usual figures, both edges included, and how many readings it rests on."""

    lower: int
    upper: int
    samples: int

    def words(self, told: Callable[[int], str]) -> str:
        """ "usually between 410.0 GB and 430.0 GB over 28 runs"."""
        runs = f"over {self.samples} runs" if self.samples != 1 else "in 1 run"
        low, high = told(self.lower), told(self.upper)
        return f"usually {low} {runs}" if low == high else f"usually between {low} and {high} {runs}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """The newest readings lie far from the usual: ``first`` began the level they are at, ``left`` was the first
    that was far at all; ``times`` counts those at this level, ``away`` all since ``left``.
    """

    usual: Usual
    left: Reading
    first: Reading
    newest: Reading
    times: int
    away: int

    @property
    def grew(self) -> bool:
        """Whether it is more than usual; else it is less."""
        return self.newest.value > self.usual.upper

    @property
    def percent(self) -> int | None:
        """By how much, as a share of the nearer edge of the band, cut; None where that edge is 0."""
        edge = self.usual.upper if self.grew else self.usual.lower
        return abs(self.newest.value - edge) * 100 // edge if edge else None

    def share_words(self) -> str:
        """ "97 % less", "150 % more"; without a share "more"."""
        than = "more" if self.grew else "less"
        return than if self.percent is None else f"{self.percent:,} % {than}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A history as read: ``usual`` None while there are too few readings; ``shift`` None while the newest is usual."""

    usual: Usual | None
    shift: Shift | None = None


def readings_of(
    history: Sequence[RunPoint], figure: Callable[[RunPoint], int | None], *, zone: str
) -> tuple[Reading, ...]:
    """The runs that tell a figure, with the local weekday of their start."""
    local = ZoneInfo(zone)
    return tuple(
        Reading(
            at=point.ended_at, value=value, weekday=(point.started_at or point.ended_at).astimezone(local).weekday()
        )
        for point in history
        if (value := figure(point)) is not None
    )


def usual_of(values: Sequence[int]) -> Usual:
    """The band of these values; at least one."""
    ordered = sorted(values)
    middle, fifth = _middle(ordered), len(ordered) // 5
    reach = REACH * _middle(sorted(abs(value - middle) for value in ordered))
    # figures that come in two kinds have no deviation if one kind is more than half: a fifth of them is usual as well
    return Usual(
        lower=min(max(ordered[0], middle - reach), ordered[fifth]),
        upper=max(min(ordered[-1], middle + reach), ordered[-1 - fifth]),
        samples=len(ordered),
    )


def is_far(value: int, usual: Usual, limits: Limits) -> bool:
    """Whether a value lies beyond the band by the share and by the amount that the limits set."""
    if value < usual.lower:
        share = limits.shrink_percent and value * 100 <= usual.lower * (100 - limits.shrink_percent)
        return bool(share) and usual.lower - value >= limits.floor
    if value > usual.upper:
        share = limits.grow_percent and value * 100 >= usual.upper * (100 + limits.grow_percent)
        return bool(share) and value - usual.upper >= limits.floor
    return False


def cannot_be_far(values: Sequence[int], limits: Limits) -> bool:
    """Whether the newest value is near all others, so that nothing needs to be read closely. Cheap."""
    newest = values[-1]
    return not is_far(newest, _only(max(values)), limits) and not is_far(newest, _only(min(values)), limits)


def read_series(readings: Sequence[Reading], limits: Limits, *, accepted_at: datetime | None = None) -> Series:
    """What is usual after these readings, and how far the newest are from it.

    ``accepted_at`` is when a person accepted the level of that moment: it is the usual one from there on.
    """
    reader = _Reader(limits)
    accepted = accepted_at is None
    for reading in readings:
        if not accepted and accepted_at is not None and reading.at > accepted_at:
            reader.accept()
            accepted = True
        reader.take(reading)
    if not accepted:
        reader.accept()
    return reader.series()


class _Reader:
    """Takes readings one by one; ``norm`` are the usual ones, ``away`` those of a level that is far from them,
    ``far`` counts all since the last usual one.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.learned = False
        self.norm: list[Reading] = []
        self.away: list[Reading] = []
        self.left: Reading | None = None
        self.far = 0
        self.usual: Usual | None = None

    def take(self, reading: Reading) -> None:
        if self.usual is None or not self._is_unusual(reading, self.usual):
            self._learn([*self.norm, reading])
            return
        self.left, self.far = self.left or reading, self.far + 1
        if self.away and is_far(reading.value, usual_of([one.value for one in self.away]), self.limits):
            self.away = []  # a further shift, of its own
        self.away.append(reading)
        if self.limits.settle and len(self.away) >= self.limits.settle:
            self.accept()

    def accept(self) -> None:
        """The level of now becomes the usual one: that away from the usual, or what the newest has in common with those
        before it where the history begins so late that little else is known.
        """
        if self.away or 0 < len(self.norm) <= self.limits.samples:
            self.learned = True
            self._learn(self.away or self._like_the_newest())

    def series(self) -> Series:
        if self.usual is None or self.left is None:
            return Series(usual=self.usual)
        shift = Shift(
            usual=self.usual,
            left=self.left,
            first=self.away[0],
            newest=self.away[-1],
            times=len(self.away),
            away=self.far,
        )
        return Series(usual=self.usual, shift=shift)

    def _learn(self, norm: list[Reading]) -> None:
        self.norm, self.away, self.left, self.far = norm[-WINDOW:], [], None, 0
        self.learned = self.learned or len(self.norm) >= self.limits.samples
        self.usual = usual_of([one.value for one in self.norm]) if self.learned else None

    def _like_the_newest(self) -> list[Reading]:
        newest = self.norm[-1].value
        like = takewhile(lambda one: not is_far(newest, _only(one.value), self.limits), reversed(self.norm))
        return list(like)[::-1]

    def _is_unusual(self, reading: Reading, usual: Usual) -> bool:
        """Far from the band, and from what was seen on the same weekday: a weekly full backup is no surprise."""
        if not is_far(reading.value, usual, self.limits):
            return False
        same_day = [one.value for one in self.norm if one.weekday == reading.weekday >= 0]
        return all(is_far(reading.value, _only(one), self.limits) for one in same_day)


def _only(value: int) -> Usual:
    """The band of a single value."""
    return Usual(lower=value, upper=value, samples=1)


def _middle(ordered: Sequence[int]) -> int:
    """The lower median: always one of the values, so that nothing is lost to rounding."""
    return ordered[(len(ordered) - 1) // 2]
