"""Peak day: the largest size that any billable day had (high-water mark)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, day_operands, measure_by
from billing.working import Steps

LABEL = "Peak day"
HELP = "The largest size of any billable day. One large day decides the whole period."


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set but a person's decision about missing days."""

    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The largest size of a day in the unit."""
    return measure_by(_peak, days, unit=unit, accept_missing=params.accept_missing)


def _peak(steps: Steps, keys: Sequence[str], counted: str) -> str:
    label = f"Largest size of {len(keys)} days"
    steps.add("peak", "larger", *day_operands(keys), label=label, unit=counted)
    return "peak"
