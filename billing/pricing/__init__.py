"""Prices: each turns a quantity into an amount. One file each, listed in ``PRICES``.

A price module appends its steps to a working (``price``); ``price_quantity`` prices a bare quantity with it, and
``billing.pricing.rate`` prices a measured size on the terms of a plan. Amounts are rounded once a line, half-up.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from billing.params import BadParams, params_from_json
from billing.pricing import block, committed, flat, machine_and_size, per_unit, percentage, tiered, volume
from billing.pricing.priced import Band, Charge, Priced, finish
from billing.working import Steps, Term

__all__ = ["PRICES", "Band", "Charge", "Price", "Priced", "price_quantity", "read_price_params"]


class Price(Protocol):
    """What a module of this folder has; ``params`` is an instance of its ``Params``.

    ``COUNTS``: it needs the numbers of covered selections and machines (``Charge.covering``).
    """

    @property
    def COUNTS(self) -> bool: ...  # noqa: N802

    @property
    def LABEL(self) -> str: ...  # noqa: N802

    @property
    def HELP(self) -> str: ...  # noqa: N802

    @property
    def Params(self) -> type[Any]: ...  # noqa: N802

    def price(self, steps: Steps, *, charge: Charge, params: Any) -> str:
        """Write the steps from the quantity to the exact amount of a whole period; answer the last one's key."""
        ...


PRICES: dict[str, Price] = {
    "per_unit": per_unit,
    "tiered": tiered,
    "volume": volume,
    "block": block,
    "flat": flat,
    "committed": committed,
    "machine_and_size": machine_and_size,
    "percentage": percentage,
}


def read_price_params(price: str, mapping: object) -> Any:
    """The ``Params`` of a plan's price. Raises BadParams."""
    if price not in PRICES:
        raise BadParams("price", f"there is no price {price!r}; there are: {', '.join(PRICES)}")
    return params_from_json(PRICES[price].Params, mapping)


def price_quantity(price: str, quantity: Decimal | int, *, unit: str, currency: str, params: Any) -> Priced:
    """What this quantity costs by the price alone: no allowance, minimum or proration. Raises ValueError below zero."""
    if quantity < 0:
        raise ValueError(f"a quantity cannot be negative: {quantity}")
    steps = Steps()
    steps.add("quantity", "add", Term(quantity, unit), label="Quantity", unit=unit)
    charge = Charge(key="quantity", quantity=Fraction(quantity), unit=unit, currency=currency)
    return finish(steps, key=PRICES[price].price(steps, charge=charge, params=params), currency=currency)
