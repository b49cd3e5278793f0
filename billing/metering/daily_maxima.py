"""Average of daily maxima: the largest figure of each day, added up and divided by the number of days that count.

Where several runs a day measure a selection, what was there at noon and gone in the evening counts for that day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, average_of, measure_by
from billing.taking import Takes

LABEL = "Average of daily maxima"
HELP = "The average of the largest figure of each billable day. With one run a day it is the daily average."
TAKES: Takes = "largest"
WHOLE = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set but a person's decision about missing days."""

    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The average of the days, which come by their largest figures, in the unit."""
    return measure_by(average_of, days, unit=unit, accept_missing=params.accept_missing)
