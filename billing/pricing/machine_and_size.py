"""Per machine plus size: a fee for each machine (or selection) that is covered, and a price for each unit of size."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from billing.params import require_not_negative, told
from billing.pricing.priced import Charge, Thing, add_number_of
from billing.working import Ref, Steps, Term

LABEL = "Per machine plus size"
HELP = "A fee for each covered machine or selection, and a price for each unit of size."
COUNTS = True


@dataclass(frozen=True, kw_only=True)
class Params:
    """The fee, what it is for, and the unit price."""

    fee: Decimal = field(metadata=told("Fee for each machine or selection, for a whole billing period."))
    unit_price: Decimal = field(metadata=told("Price of one unit, for a whole billing period."))
    per: Thing = field(
        default="machine",
        metadata=told("What the fee is for. A selection on no machine counts as a machine of its own."),
    )

    def __post_init__(self) -> None:
        require_not_negative(self.fee, field="fee", what="a fee")
        require_not_negative(self.unit_price, field="unit_price", what="a price")


def price(steps: Steps, *, charge: Charge, params: Params) -> str:
    """The number of machines, averaged over the days, times the fee; and the quantity times the unit price."""
    number = add_number_of(steps, params.per, charge.covering)
    fee, each = Term(params.fee, charge.currency), Term(params.unit_price, charge.currency)
    steps.add("fees", "multiply", Ref(number), fee, label=f"Fee for each {params.per}", unit=charge.currency)
    steps.add("units", "multiply", Ref(charge.key), each, label=f"Price of each {charge.unit}", unit=charge.currency)
    steps.add("price", "add", Ref("fees"), Ref("units"), label="Fees and size added up", unit=charge.currency)
    return "price"
