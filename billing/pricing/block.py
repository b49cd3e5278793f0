"""Block: whole packages; a package that is begun is charged in full."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from billing.params import BadParams, require_not_negative, told
from billing.pricing.priced import Charge
from billing.working import Ref, Steps, Term

LABEL = "Block"
HELP = "Whole packages of a fixed size; a package that is begun is charged in full."
COUNTS = False


@dataclass(frozen=True, kw_only=True)
class Params:
    """Size and price of a package."""

    block_size: Decimal = field(metadata=told("Units in one package."))
    block_price: Decimal = field(metadata=told("Price of one package, for a whole billing period."))

    def __post_init__(self) -> None:
        if self.block_size <= 0:
            raise BadParams("block_size", f"a package must hold more than nothing, but this is {self.block_size}")
        require_not_negative(self.block_price, field="block_price", what="a price")


def price(steps: Steps, *, charge: Charge, params: Params) -> str:
    """Packages, rounded up, times the price of one."""
    size = Term(params.block_size, charge.unit)
    label = f"Packages of {params.block_size:f} {charge.unit}"
    steps.add("packages", "packages", Ref(charge.key), size, label=label, unit="packages")
    each = Term(params.block_price, charge.currency)
    steps.add("price", "multiply", Ref("packages"), each, label="Price of each package", unit=charge.currency)
    return "price"
