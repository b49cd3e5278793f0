"""The day ledger of a billing period: what each day is charged by, and why.

A day is measured; or not due (no run was expected: the last figure stands); or late (a run was expected and brought no
figure: the last one is carried for a few days and shown as carried); or missing (held for a person); or not billable.
A day without a measurement is never zero and never carried in silence. Days are dates in the tenant's zone, fixed
before they get here, so clock changes do not exist in this module.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Literal

DayState = Literal["measured", "not_due", "late", "missing", "not_billable"]
Billable = Callable[[date], bool] | Collection[date]

#: Best known first; a pooled day is as bad as the worst of its parts.
DAY_STATES: tuple[DayState, ...] = ("not_billable", "measured", "not_due", "late", "missing")


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days from ``first_day`` to the day before ``last_day``: the last one is exclusive."""

    first_day: date
    last_day: date

    def __post_init__(self) -> None:
        if self.last_day <= self.first_day:
            raise ValueError(f"a period ends after it begins, not from {self.first_day} to {self.last_day}")

    def __len__(self) -> int:
        return (self.last_day - self.first_day).days

    def __contains__(self, day: date) -> bool:
        return self.first_day <= day < self.last_day

    def days(self) -> tuple[date, ...]:
        """Every day of the period in order."""
        return tuple(self.first_day + timedelta(days=offset) for offset in range(len(self)))


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure of one selection: bytes (or things) on a local day.

    ``measured_at`` is when it was true (the end of the run), ``run_key`` settles a tie; ``source`` is the ledger's name
    for it.
    """

    day: date
    quantity: int
    measured_at: datetime
    run_key: str = ""
    source: str | None = None
    basis: str = ""

    def __post_init__(self) -> None:
        if self.quantity < 0:
            raise ValueError(f"a size cannot be negative: {self.quantity} on {self.day}")


@dataclass(frozen=True, kw_only=True)
class DayValue:
    """A day of the ledger. ``quantity`` (bytes, things) is what it is charged by: None if missing or not billable.

    A carried day keeps source, time and basis of the figure it carries. ``last_quantity`` is the last figure known on a
    missing day, which a person may accept; None if there never was one. ``parts`` are what a pooled day is the sum of.
    """

    day: date
    state: DayState
    quantity: int | None
    source: str | None = None
    measured_at: datetime | None = None
    note: str = ""
    basis: str = ""
    last_quantity: int | None = None
    parts: tuple[tuple[str, int | None], ...] = ()


def month_of(year: int, month: int) -> Period:
    """The billing period that is this calendar month."""
    following = date(year + month // 12, month % 12 + 1, 1)
    return Period(first_day=date(year, month, 1), last_day=following)


def days_within(intervals: Iterable[tuple[date, date | None]]) -> Callable[[date], bool]:
    """For ``billable``: whether a day lies in one of the intervals (first day inclusive, None: open)."""
    fixed = tuple(intervals)
    return lambda day: any(first <= day and (last is None or day < last) for first, last in fixed)


def fill_days(
    measurements: Iterable[Measurement],
    *,
    period: Period,
    billable: Billable,
    due: Collection[date],
    carry_days: int,
    before: Measurement | None = None,
) -> tuple[DayValue, ...]:
    """Decide every day of the period, in order.

    ``due`` are the days on which the schedule expected a run; it must reach back to the day after ``before`` (the last
    measurement before the period), or days that were late already are not known to be. Once a due day brings nothing,
    the days after it are late too, due or not, until the next figure: ``carry_days`` calendar days, then missing.
    The order of the measurements does not matter; of several on a day the latest by (measured_at, run_key) counts.
    """
    if carry_days < 0:
        raise ValueError(f"days are carried 0 or more times, not {carry_days}")
    latest = latest_by_day(measurements if before is None else [before, *measurements])
    measured_days = sorted(latest)
    due_days = sorted(set(due))
    is_billable = billable if callable(billable) else set(billable).__contains__
    return tuple(
        _decide(day, _last_until(day, latest, measured_days), due_days, carry_days)
        if is_billable(day)
        else DayValue(day=day, state="not_billable", quantity=None, note="Not billable")
        for day in period.days()
    )


def latest_by_day(measurements: Iterable[Measurement]) -> dict[date, Measurement]:
    """Of each day the measurement that counts: the latest by (measured_at, run_key)."""
    latest: dict[date, Measurement] = {}
    for measurement in measurements:
        known = latest.get(measurement.day)
        if known is None or _rank(measurement) > _rank(known):
            latest[measurement.day] = measurement
    return latest


def billable_days(days: Sequence[DayValue]) -> int:
    """How many days are billable, missing ones included."""
    return sum(day.state != "not_billable" for day in days)


def billable_share(days: Sequence[DayValue]) -> Fraction:
    """Billable days over all days of the period: the proration of a charge for part of it."""
    return Fraction(billable_days(days), len(days))


def basis_changes(days: Sequence[DayValue]) -> tuple[tuple[date, str, str], ...]:
    """Days on which a figure was counted another way than the one before: (day, basis before, basis now)."""
    counted = [day for day in days if day.quantity is not None]
    pairs = pairwise(counted)
    return tuple((now.day, was.basis, now.basis) for was, now in pairs if was.basis != now.basis)


def pool_days(selections: Mapping[str, Sequence[DayValue]]) -> tuple[DayValue, ...]:
    """The days of several selections added up, day by day; keyed by the selection's name, which the parts keep.

    A pooled day is as bad as the worst of its parts: one missing part makes it missing. Raises ValueError if there is
    nothing to pool or the selections do not cover the same days.
    """
    if not selections:
        raise ValueError("there is no selection to pool")
    names = sorted(selections)
    covered = {tuple(day.day for day in selections[name]) for name in names}
    if len(covered) != 1:
        raise ValueError("selections can be pooled only over the same days")
    rows = zip(*(selections[name] for name in names), strict=True)
    return tuple(_pooled(list(zip(names, row, strict=True))) for row in rows)


def _rank(measurement: Measurement) -> tuple[datetime, str, str, int]:
    # source and quantity come last so that even equal runs are told apart the same way in any order
    return measurement.measured_at, measurement.run_key, measurement.source or "", measurement.quantity


def _last_until(day: date, latest: Mapping[date, Measurement], measured_days: Sequence[date]) -> Measurement | None:
    place = bisect_right(measured_days, day)
    return latest[measured_days[place - 1]] if place else None


def _decide(day: date, last: Measurement | None, due_days: Sequence[date], carry_days: int) -> DayValue:
    if last is None:
        return DayValue(day=day, state="missing", quantity=None, note="No measurement yet")
    if last.day == day:
        return _from(last, day, "measured", "")
    late_since = _first_due_after(last.day, due_days)
    if late_since is None or late_since > day:
        return _from(last, day, "not_due", f"Stands since {last.day}: no run was due")
    late = (day - late_since).days + 1
    if late <= carry_days:
        note = f"Carried from {last.day}: due on {late_since}, late day {late} of at most {carry_days}"
        return _from(last, day, "late", note)
    missing = _from(last, day, "missing", f"Due on {late_since}, nothing measured since {last.day}")
    return replace(missing, quantity=None, source=None, measured_at=None, basis="")


def _first_due_after(day: date, due_days: Sequence[date]) -> date | None:
    place = bisect_right(due_days, day)
    return due_days[place] if place < len(due_days) else None


def _from(last: Measurement, day: date, state: DayState, note: str) -> DayValue:
    return DayValue(
        day=day,
        state=state,
        quantity=last.quantity,
        source=last.source,
        measured_at=last.measured_at,
        note=note,
        basis=last.basis,
        last_quantity=last.quantity,
    )


def _pooled(parts: list[tuple[str, DayValue]]) -> DayValue:
    billed = [(name, part) for name, part in parts if part.state != "not_billable"]
    day = parts[0][1].day
    if not billed:
        return DayValue(day=day, state="not_billable", quantity=None, note="Not billable")
    worst = max((part.state for _, part in billed), key=DAY_STATES.index)
    return DayValue(
        day=day,
        state=worst,
        quantity=_sum_or_none(part.quantity for _, part in billed),
        note=_pool_note(billed),
        basis="+".join(sorted({part.basis for _, part in billed if part.basis})),
        last_quantity=_sum_or_none(part.last_quantity for _, part in billed),
        parts=tuple((name, part.quantity) for name, part in billed),
    )


def _pool_note(billed: list[tuple[str, DayValue]]) -> str:
    told = [f"{name}: {part.note}" for name, part in billed if part.note]
    return "; ".join([f"Sum of {len(billed)} selections", *told])


def _sum_or_none(quantities: Iterable[int | None]) -> int | None:
    known = list(quantities)
    return None if any(quantity is None for quantity in known) else sum(quantity or 0 for quantity in known)
