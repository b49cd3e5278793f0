"""Per unit: every unit costs the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from billing.params import require_not_negative, told
from billing.pricing.priced import Charge
from billing.working import Ref, Steps, Term

LABEL = "Per unit"
HELP = "Every unit costs the same."
COUNTS = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """The price of one unit."""

    unit_price: Decimal = field(metadata=told("Price of one unit, for a whole billing period."))

    def __post_init__(self) -> None:
        require_not_negative(self.unit_price, field="unit_price", what="a price")


def price(steps: Steps, *, charge: Charge, params: Params) -> str:
    """Quantity times unit price."""
    each = Term(params.unit_price, charge.currency)
    steps.add("price", "multiply", Ref(charge.key), each, label=f"Price of each {charge.unit}", unit=charge.currency)
    return "price"
