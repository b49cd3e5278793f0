"""Peak day: the largest size that any billable day had (high-water mark)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, largest_of, measure_by
from billing.taking import Takes

LABEL = "Peak day"
HELP = "The largest size of any billable day. One large day decides the whole period."
TAKES: Takes = "last"
WHOLE = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set but a person's decision about missing days."""

    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The largest size of a day in the unit."""
    return measure_by(largest_of, days, unit=unit, accept_missing=params.accept_missing)
