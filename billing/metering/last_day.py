"""Last day: the size on the last billable day that counts (a snapshot at the end of the period)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, day_operands, measure_by
from billing.working import Steps

LABEL = "Last day"
HELP = "The size on the last billable day. What was deleted before it is not charged."


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set but a person's decision about missing days."""

    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The size of the last day in the unit."""
    return measure_by(_last, days, unit=unit, accept_missing=params.accept_missing)


def _last(steps: Steps, keys: Sequence[str], counted: str) -> str:
    label = f"Size on the last day that counts, {keys[-1]}"
    steps.add("last", "add", *day_operands(keys[-1:]), label=label, unit=counted)
    return "last"
