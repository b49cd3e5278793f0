"""Count: how many selections or machines were protected, day by day, then averaged, at most, or on the last day.

The days come as things (``billing.taking.as_things``): 1 where a thing was billable and a figure stood for it, so a day
without one is missing and held like any other. Of pooled things a day is their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from billing.days import DayValue
from billing.metering.measured import (
    ACCEPT_MISSING,
    AcceptMissing,
    Measured,
    MeterSteps,
    average_of,
    largest_of,
    last_of,
    measure_by,
)
from billing.params import told
from billing.taking import Takes

LABEL = "Count"
HELP = "The number of selections or machines, not their size; the unit is each."
TAKES: Takes = "things"
WHOLE = False
_STEPS: dict[str, MeterSteps] = {"average": average_of, "peak": largest_of, "last": last_of}


@dataclass(frozen=True, kw_only=True)
class Params:
    """What is counted, and which day's number counts."""

    things: Literal["selections", "machines"] = field(
        default="selections",
        metadata=told("What is counted. A selection on no machine counts as a machine of its own."),
    )
    days: Literal["average", "peak", "last"] = field(
        default="average", metadata=told("The average of all days, the day with most, or the last day.")
    )
    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The number of things in the unit, which is each."""
    return measure_by(_STEPS[params.days], days, unit=unit, accept_missing=params.accept_missing)
