"""Flat: one fee for the billing period, whatever the quantity."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from billing.params import require_not_negative, told
from billing.pricing.priced import Charge
from billing.working import Steps, Term

LABEL = "Flat"
HELP = "One fee for the billing period, whatever the quantity."
COUNTS = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """The fee."""

    fee: Decimal = field(metadata=told("Fee for a whole billing period."))

    def __post_init__(self) -> None:
        require_not_negative(self.fee, field="fee", what="a fee")


def price(steps: Steps, *, charge: Charge, params: Params) -> str:
    """The fee, also for a quantity of zero."""
    steps.add("price", "add", Term(params.fee, charge.currency), label="Flat fee", unit=charge.currency)
    return "price"
