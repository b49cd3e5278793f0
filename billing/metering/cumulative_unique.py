"""Cumulative unique: every selection that was billable and measured at any time in the period, each counted whole.

What was removed in the middle of the month counts as if it had stayed, by its last or its largest size. Selections are
measured one by one, whatever the plan says of pooling, and no selection is reduced to its share of the days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from billing.days import DayValue
from billing.metering.measured import ACCEPT_MISSING, AcceptMissing, Measured, largest_of, last_of, measure_by
from billing.params import told
from billing.taking import Takes

LABEL = "Cumulative unique"
HELP = "Every selection that was protected at any time in the period counts whole, also one removed on the second day."
TAKES: Takes = "last"
WHOLE = True


@dataclass(frozen=True, kw_only=True)
class Params:
    """Which of a selection's sizes counts."""

    figure: Literal["last", "largest"] = field(
        default="last", metadata=told("Which size of each selection counts: that of its last day, or its largest.")
    )
    accept_missing: AcceptMissing | None = field(default=None, metadata=ACCEPT_MISSING)


def measure(days: Sequence[DayValue], *, unit: str, params: Params) -> Measured:
    """One selection's size in the unit; ``measure_selections`` adds the selections up."""
    steps = last_of if params.figure == "last" else largest_of
    return measure_by(steps, days, unit=unit, accept_missing=params.accept_missing)
