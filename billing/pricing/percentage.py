"""Percentage: a share of what other plans' lines come to, such as support at 15 % of the backup lines.

The quantity it is given is the sum of those lines (``billing.percentage_lines``), not a size. A percentage of a
percentage is refused where plans are made, so the order of the lines never matters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from billing.params import BadParams, told
from billing.pricing.priced import Charge
from billing.working import Ref, Steps, Term

LABEL = "Percentage of other lines"
HELP = "A share of the lines that other plans make for the same client (or reseller) on the same invoice."
COUNTS = False
MOST_PERCENT = 1000


@dataclass(frozen=True, kw_only=True)
class PlanCode:
    """One of the plans."""

    code: str = field(metadata=told("Code of a plan, such as backup-gb; all of its versions count."))

    def __post_init__(self) -> None:
        if not self.code.strip():
            raise BadParams("code", "name the plan by its code")


@dataclass(frozen=True, kw_only=True)
class Params:
    """The share, and of which plans' lines."""

    percent: Decimal = field(metadata=told("Percent of the lines' sum: 15 is 15 %."))
    plans: tuple[PlanCode, ...] = field(metadata=told("The plans whose lines count, by their codes."))

    def __post_init__(self) -> None:
        if not 0 < self.percent <= MOST_PERCENT:
            raise BadParams("percent", f"this must be above 0 and at most {MOST_PERCENT}, not {self.percent}")
        codes = [plan.code for plan in self.plans]
        if not codes:
            raise BadParams("plans", "name at least one plan")
        twice = next((code for place, code in enumerate(codes) if code in codes[:place]), None)
        if twice is not None:
            raise BadParams("plans", f"the plan {twice} is named twice")


def price(steps: Steps, *, charge: Charge, params: Params) -> str:
    """So many percent of the sum."""
    share = Term(params.percent.scaleb(-2))
    steps.add("price", "multiply", Ref(charge.key), share, label=f"{params.percent:f} % of it", unit=charge.currency)
    return "price"
