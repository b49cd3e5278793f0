"""How the days of some metrics differ from those of a size that stands until the next one.

The largest protected size of a day is the largest of the period so far. Called by ``billing.deciding_days`` once the
days are filled; the rules are those of the size contract. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from billing.days import DayValue


def largest_so_far(days: Sequence[DayValue]) -> tuple[DayValue, ...]:
    """Each charged day by the largest figure that the days up to it were charged by; it names that figure's source."""
    return tuple(_risen(days))


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
