"""Daily average: the sizes of the days added up and divided by the number of billable days that count.

The default meter: what is protected for half of the days counts for half, and no single day decides a month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, average_of, measure_by
from billing.taking import Takes

LABEL = "Daily average"
HELP = "The average of the sizes of all billable days. A single large or small day changes little."
TAKES: Takes = "last"
WHOLE = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set but a person's decision about missing days."""

    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The average size of the days in the unit."""
    return measure_by(average_of, days, unit=unit, accept_missing=params.accept_missing)
