"""Last day: the size on the last billable day that counts (a snapshot at the end of the period)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, last_of, measure_by
from billing.taking import Takes

LABEL = "Last day"
HELP = "The size on the last billable day. What was deleted before it is not charged."
TAKES: Takes = "last"
WHOLE = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set but a person's decision about missing days."""

    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The size of the last day in the unit."""
    return measure_by(last_of, days, unit=unit, accept_missing=params.accept_missing)
