"""What a day brings into a meter: its last figure, its largest one, or the things that were there.

``fill_days`` decides the days by their last figures. What a meter takes instead is put in their place here, before
anything is pooled: so the parts of a day still add up to it, and a day still names the run that its figure came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Literal

from billing.days import DAY_STATES, DayValue, Measurement

Takes = Literal["last", "largest", "things"]


def largest_by_day(measurements: Iterable[Measurement]) -> dict[date, Measurement]:
    """Of each day the largest figure; of equal ones the latest by (measured_at, run_key)."""
    largest: dict[date, Measurement] = {}
    for measurement in measurements:
        known = largest.get(measurement.day)
        if known is None or _size(measurement) > _size(known):
            largest[measurement.day] = measurement
    return largest


def by_largest(days: Sequence[DayValue], measurements: Iterable[Measurement]) -> tuple[DayValue, ...]:
    """The days by the largest figure measured on them; a day without a figure of its own keeps the one it carries."""
    largest = largest_by_day(measurements)
    return tuple(_raised(day, largest.get(day.day)) for day in days)


def as_things(
    selections: Mapping[str, Sequence[DayValue]], *, thing_of: Mapping[str, str]
) -> dict[str, tuple[DayValue, ...]]:
    """The days of each thing (a selection, or a machine with all of its selections): 1 where it was there.

    ``thing_of`` names the thing of each selection. A thing of several selections is as well known on a day as the best
    known of them: a machine counts once any of its selections is measured.
    """
    parts: dict[str, list[Sequence[DayValue]]] = {}
    for name in sorted(selections):
        parts.setdefault(thing_of[name], []).append(selections[name])
    return {thing: tuple(_there(row) for row in zip(*days, strict=True)) for thing, days in parts.items()}


def thing_days(things: Mapping[str, Sequence[DayValue]]) -> int:
    """On how many days each thing was billable, added up."""
    return sum(day.state != "not_billable" for days in things.values() for day in days)


def _raised(day: DayValue, figure: Measurement | None) -> DayValue:
    if day.state != "measured" or day.quantity is None or figure is None or figure.quantity <= day.quantity:
        return day
    return replace(
        day,
        quantity=figure.quantity,
        source=figure.source,
        measured_at=figure.measured_at,
        basis=figure.basis,
        note=f"Largest figure of the day; the last one was {day.quantity}",
        last_quantity=figure.quantity,
    )


def _there(parts: Sequence[DayValue]) -> DayValue:
    billed = [part for part in parts if part.state != "not_billable"]
    if not billed:
        return DayValue(day=parts[0].day, state="not_billable", quantity=None, note="Not billable")
    best = min(billed, key=lambda part: DAY_STATES.index(part.state))
    is_known = any(part.last_quantity is not None for part in billed)
    return DayValue(
        day=best.day,
        state=best.state,
        quantity=None if best.quantity is None else 1,
        source=best.source,
        measured_at=best.measured_at,
        note=best.note,
        last_quantity=1 if is_known else None,
    )


def _size(measurement: Measurement) -> tuple[int, datetime, str, str]:
    # moment, run and source come after the size so that equal figures are told apart alike in any order
    return measurement.quantity, measurement.measured_at, measurement.run_key, measurement.source or ""
