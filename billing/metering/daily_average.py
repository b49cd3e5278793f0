"""Daily average: the sizes of the days added up and divided by the number of billable days that count.

The default meter: what is protected for half of the days counts for half, and no single day decides a month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, day_operands, measure_by
from billing.working import Ref, Steps, Term

LABEL = "Daily average"
HELP = "The average of the sizes of all billable days. A single large or small day changes little."


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set but a person's decision about missing days."""

    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The average size of the days in the unit."""
    return measure_by(_average, days, unit=unit, accept_missing=params.accept_missing)


def _average(steps: Steps, keys: Sequence[str], counted: str) -> str:
    steps.add("sum", "add", *day_operands(keys), label=f"Sizes of {len(keys)} days added up", unit=counted)
    label = "Divided by the number of these days"
    steps.add("average", "divide", Ref("sum"), Term(len(keys), "days"), label=label, unit=counted)
    return "average"
