"""What a meter answers, and the part all meters share: which days count, which are held, and how that is written down.

A missing day is held until a person accepts it for this invoice: left out, or charged by the last figure known. A day
for which there is no figure to carry stays held. Quantities stay exact fractions; the rate rounds them once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

from billing.days import DayValue, billable_days
from billing.exact import rounded
from billing.params import told
from billing.units import base_unit, size_of
from billing.working import Day, Ref, Steps, Term, Working

#: What a person decided about the missing days of one invoice; None until somebody has.
AcceptMissing = Literal["exclude", "carry"]
#: Decimals of a quantity shown before the plan's rounding.
SHOWN_PLACES = 9
#: What the setting that every meter has tells of itself.
ACCEPT_MISSING = told(
    "What was decided about days without a figure: leave them out (exclude) or charge the last figure known (carry)."
    " Empty until a person has decided: the invoice is held.",
    per_invoice=True,
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A measured size. ``exact`` is in ``unit`` and unrounded; ``held_days`` is not empty while a person must decide.

    ``working`` has ``steps`` (the last one is the size in ``unit``), ``days`` (each with state, figure, source, note),
    ``unit``, ``held_days``, ``billable_days``.
    """

    exact: Fraction
    unit: str
    working: Working
    held_days: tuple[date, ...]
    billable_days: int

    @property
    def quantity(self) -> Decimal:
        """The size for showing, to nine places; charges round ``exact`` by the plan's places instead."""
        return rounded(self.exact, places=SHOWN_PLACES)


@dataclass(frozen=True, kw_only=True)
class ChargedDay:
    """A day and the figure it enters the meter with: None if it does not. ``held``: a person must decide first."""

    day: DayValue
    charged: int | None
    held: bool = False
    decision: str = ""


#: Writes a meter's steps on the charged days, given their keys, and names the key of the size in bytes.
MeterSteps = Callable[[Steps, Sequence[str], str], str]


def measure_by(
    meter_steps: MeterSteps, days: Sequence[DayValue], *, unit: str, accept_missing: AcceptMissing | None
) -> Measured:
    """The frame of every meter: decide the days, let the meter write its steps, convert to the unit."""
    _require_order(days)
    counted = base_unit(unit)
    decided = [_charge(day, accept_missing) for day in days]
    entries = [_day_entry(each, counted) for each in decided]
    steps = Steps(days=entries)
    charged = [entry["key"] for entry in entries if entry["charged"] is not None]
    size = meter_steps(steps, charged, counted) if charged else _nothing(steps, counted)
    label = "Number" if unit == "each" else f"Size in {unit}"
    exact = steps.add("measured", "divide", Ref(size), Term(size_of(unit)), label=label, unit=unit)
    held = tuple(each.day.day for each in decided if each.held)
    working = working_of(steps, entries, unit=unit, held=held, billable=billable_days(days))
    return Measured(exact=exact, unit=unit, working=working, held_days=held, billable_days=billable_days(days))


def working_of(
    steps: Steps, entries: Sequence[dict[str, Any]], *, unit: str, held: Sequence[date], billable: int
) -> Working:
    """The working of a measured size as JSON."""
    return {
        "unit": unit,
        "billable_days": billable,
        "held_days": [day.isoformat() for day in held],
        "days": list(entries),
        "steps": steps.written(),
    }


def average_of(steps: Steps, keys: Sequence[str], counted: str) -> str:
    """The days added up and divided by their number."""
    steps.add(
        "sum", "add", *day_operands(keys), label=f"{_figures(counted)} of {len(keys)} days added up", unit=counted
    )
    label = "Divided by the number of these days"
    steps.add("average", "divide", Ref("sum"), Term(len(keys), "days"), label=label, unit=counted)
    return "average"


def largest_of(steps: Steps, keys: Sequence[str], counted: str) -> str:
    """The largest of the days."""
    label = f"Largest {_figures(counted)[:-1].lower()} of {len(keys)} days"
    steps.add("peak", "larger", *day_operands(keys), label=label, unit=counted)
    return "peak"


def last_of(steps: Steps, keys: Sequence[str], counted: str) -> str:
    """The last of the days."""
    label = f"{_figures(counted)[:-1]} on the last day that counts, {keys[-1]}"
    steps.add("last", "add", *day_operands(keys[-1:]), label=label, unit=counted)
    return "last"


def day_operands(keys: Sequence[str]) -> list[Day]:
    """Operands that refer to the days by their keys."""
    return [Day(key) for key in keys]


def _figures(counted: str) -> str:
    return "Numbers" if counted == "each" else "Sizes"


def _require_order(days: Sequence[DayValue]) -> None:
    if any(later.day <= earlier.day for earlier, later in pairwise(days)):
        raise ValueError("a meter takes each day of a period once, in order, as fill_days gives them")


def _charge(day: DayValue, accept_missing: AcceptMissing | None) -> ChargedDay:
    if day.state == "not_billable":
        return ChargedDay(day=day, charged=None)
    if day.state != "missing":
        return ChargedDay(day=day, charged=day.quantity)
    if accept_missing == "exclude":
        return ChargedDay(day=day, charged=None, decision="Left out as decided")
    if accept_missing == "carry" and day.last_quantity is not None:
        return ChargedDay(day=day, charged=day.last_quantity, decision="Charged by the last figure known, as decided")
    return ChargedDay(day=day, charged=None, held=True, decision="Held: a person must decide")


def _day_entry(each: ChargedDay, counted: str) -> dict[str, Any]:
    day = each.day
    return {
        "key": day.day.isoformat(),
        "state": day.state,
        "charged": None if each.charged is None else str(each.charged),
        "unit": counted,
        "source": day.source,
        "measured_at": None if day.measured_at is None else day.measured_at.isoformat(),
        "basis": day.basis,
        "note": ". ".join(text for text in (day.note, each.decision) if text),
        "parts": {name: None if part is None else str(part) for name, part in day.parts},
    }


def _nothing(steps: Steps, counted: str) -> str:
    steps.add("nothing", "add", Term(0, counted), label="No day counts", unit=counted)
    return "nothing"
