"""Committed: a quantity is paid whether it is used or not; what is above it has a price of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from billing.params import BadParams, require_not_negative, told
from billing.pricing.priced import Charge
from billing.working import Ref, Steps, Term

LABEL = "Committed"
HELP = "A committed quantity is paid in full, used or not; every unit above it costs the overage price."
COUNTS = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """The commitment, the price of its units, and the price of what goes beyond."""

    committed_quantity: Decimal = field(metadata=told("Units that are paid whether they are used or not."))
    unit_price: Decimal = field(metadata=told("Price of one committed unit, for a whole billing period."))
    overage_price: Decimal = field(metadata=told("Price of one unit above the commitment."))

    def __post_init__(self) -> None:
        if self.committed_quantity <= 0:
            reason = f"a commitment must be more than nothing, but this is {self.committed_quantity}"
            raise BadParams("committed_quantity", reason)
        require_not_negative(self.unit_price, field="unit_price", what="a price")
        require_not_negative(self.overage_price, field="overage_price", what="a price")


def price(steps: Steps, *, charge: Charge, params: Params) -> str:
    """The whole commitment at its price, and what is above it at the overage price."""
    committed, unit, currency = Term(params.committed_quantity, charge.unit), charge.unit, charge.currency
    each = Term(params.unit_price, currency)
    steps.add("commitment", "multiply", committed, each, label="Committed quantity", unit=currency)
    steps.add("overage_quantity", "excess", Ref(charge.key), committed, label="Above the commitment", unit=unit)
    each = Term(params.overage_price, currency)
    steps.add("overage", "multiply", Ref("overage_quantity"), each, label="Overage", unit=currency)
    label = "Commitment and overage added up"
    steps.add("price", "add", Ref("commitment"), Ref("overage"), label=label, unit=currency)
    return "price"
