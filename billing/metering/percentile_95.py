"""95th percentile by nearest rank: of the days' sizes in rising order the one at 95 % of their number, rounded up.

It is always the size of a real day: of 31 days the 30th (0.95 x 31 = 29.45), so the largest day of a month is not
charged, and of 19 days or fewer it is the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, day_operands, measure_by
from billing.taking import Takes
from billing.working import Ref, Steps, Term

LABEL = "95th percentile"
HELP = "The size that 95 % of the billable days do not exceed (nearest rank): one or two large days are not charged."
TAKES: Takes = "last"
WHOLE = False
SHARE = Decimal("0.95")


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set but a person's decision about missing days."""

    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """The size of the day at the rank, in the unit."""
    return measure_by(_at_rank, days, unit=unit, accept_missing=params.accept_missing)


def _at_rank(steps: Steps, keys: Sequence[str], counted: str) -> str:
    steps.add("rank_exact", "multiply", Term(len(keys), "days"), Term(SHARE), label="95 % of the days that count")
    steps.add("rank", "round_up", Ref("rank_exact"), Term(0), label="Rank: rounded up to a whole day")
    label = f"The size at that rank of {len(keys)} days, the smallest first"
    steps.add("percentile", "ranked", Ref("rank"), *day_operands(keys), label=label, unit=counted)
    return "percentile"
