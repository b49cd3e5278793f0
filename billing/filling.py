"""How the days of some metrics differ from those of a size that stands until the next one.

The largest protected size of a day is the largest of the period so far; what was sent on a day is not carried to the
next. Called by ``billing.deciding_days``; the rules are those of the size contract. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from billing.days import DayValue, Measurement, Period, latest_by_day


def largest_so_far(days: Sequence[DayValue]) -> tuple[DayValue, ...]:
    """Each charged day by the largest figure that the days up to it were charged by; it names that figure's source."""
    return tuple(_risen(days))


def fill_flow(
    measurements: Iterable[Measurement], *, period: Period, billable: Collection[date], due: Collection[date]
) -> tuple[DayValue, ...]:
    """The days of what flows: a day is what was measured on it and nothing is carried to the next.

    A day without a figure is 0 if no run was due, else missing: nobody knows what a run that did not report has sent.
    """
    latest = latest_by_day(measurements)
    return tuple(_flowed(day, latest, billable=billable, due=due) for day in period.days())


def _flowed(
    day: date, latest: Mapping[date, Measurement], *, billable: Collection[date], due: Collection[date]
) -> DayValue:
    if day not in billable:
        return DayValue(day=day, state="not_billable", quantity=None, note="Not billable")
    found = latest.get(day)
    if found is None and day in due:
        return DayValue(day=day, state="missing", quantity=None, last_quantity=0, note="A run was due, none measured")
    if found is None:
        return DayValue(day=day, state="not_due", quantity=0, last_quantity=0, note="No run was due: nothing was sent")
    return DayValue(
        day=day,
        state="measured",
        quantity=found.quantity,
        source=found.source,
        measured_at=found.measured_at,
        basis=found.basis,
        last_quantity=found.quantity,
    )


def _risen(days: Sequence[DayValue]) -> Iterable[DayValue]:
    largest: DayValue | None = None
    for day in days:
        if day.quantity is not None and (largest is None or day.quantity >= (largest.quantity or 0)):
            largest = day
        yield day if largest is None else _held_up(day, largest)


def _held_up(day: DayValue, largest: DayValue) -> DayValue:
    if day.state == "not_billable" or day is largest:
        return day
    if day.quantity is None:
        return replace(day, last_quantity=largest.quantity)
    note = f"Largest of the period so far, of {largest.day}; this day alone: {day.quantity} bytes"
    return replace(
        day,
        quantity=largest.quantity,
        source=largest.source,
        measured_at=largest.measured_at,
        basis=largest.basis,
        last_quantity=largest.quantity,
        note=". ".join(text for text in (day.note, note) if text),
    )
