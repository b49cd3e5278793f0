"""Rating: from a measured size to the amount of an invoice line, on the terms of a plan.

In this order, each a step of the working: round the quantity to the plan's places, take off the allowance, price the
rest, raise to the minimum, prorate, round once. Proration comes last and takes the whole charge: price, fee, allowance
and minimum are all meant for a whole period, and a charge of 16 of 31 days is 16/31 of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from billing.exact import ROUNDINGS, Rounding, number_text, rounded
from billing.money import currency_of
from billing.params import BadParams, require_not_negative, told
from billing.pricing import PRICES, Charge
from billing.pricing.priced import finish
from billing.units import UNITS
from billing.working import Ref, Steps, Term, Working, round_step


class MeasuredSize(Protocol):
    """What rating needs of a measured size: ``billing.metering.Measured`` has it."""

    @property
    def exact(self) -> Fraction: ...

    @property
    def unit(self) -> str: ...

    @property
    def working(self) -> Working: ...


@dataclass(frozen=True, kw_only=True)
class PlanTerms:
    """What a plan charges for a whole period. ``price_params`` is an instance of the price's ``Params``.

    Raises BadParams for terms that cannot be.
    """

    price: str = field(metadata=told("Name of the price."))
    price_params: Any = field(metadata=told("Settings of the price."))
    unit: str = field(default="GB", metadata=told("Unit that the quantity is charged in."))
    quantity_places: int = field(default=3, metadata=told("Decimals of the charged quantity."))
    quantity_rounding: Rounding = field(default="half-up", metadata=told("How the quantity is rounded."))
    allowance: Decimal = field(default=Decimal(0), metadata=told("Quantity included in the plan, free of charge."))
    minimum: Decimal = field(default=Decimal(0), metadata=told("The least that is charged for a whole period."))

    def __post_init__(self) -> None:
        if self.price not in PRICES:
            raise BadParams("price", f"there is no price {self.price!r}; there are: {', '.join(PRICES)}")
        if not isinstance(self.price_params, PRICES[self.price].Params):
            raise BadParams("price_params", f"these are not the settings of the price {self.price!r}")
        if self.unit not in UNITS:
            raise BadParams("unit", f"{self.unit!r} is not a unit; choose one of {', '.join(UNITS)}")
        if not 0 <= self.quantity_places <= 6:
            raise BadParams("quantity_places", f"a quantity has 0 to 6 decimals, not {self.quantity_places}")
        if self.quantity_rounding not in ROUNDINGS:
            raise BadParams("quantity_rounding", f"this must be one of: {', '.join(ROUNDINGS)}")
        require_not_negative(self.allowance, field="allowance", what="an allowance")
        require_not_negative(self.minimum, field="minimum", what="a minimum")


@dataclass(frozen=True, kw_only=True)
class Rated:
    """An invoice line's figures: ``quantity`` as measured and rounded, ``charged_quantity`` less the allowance.

    ``amount`` is rounded to the currency, once; ``working`` leads from the days to it and recomputes to it.
    """

    quantity: Decimal
    charged_quantity: Decimal
    unit: str
    amount: Decimal
    working: Working


def rate(measured: MeasuredSize, *, terms: PlanTerms, currency: str, proration: Fraction | None = None) -> Rated:
    """The amount of a measured size on the terms of a plan.

    ``proration`` is billable days over days in the period (``billing.days.billable_share``), from 0 to 1; None for a
    whole period. Raises ValueError if the unit is not the plan's or the size is negative, and UnknownCurrency.
    """
    _check(measured, terms=terms, currency=currency, proration=proration)
    steps = Steps(days=measured.working["days"], steps=measured.working["steps"])
    charge = _charged_quantity(steps, terms, currency=currency)
    last = PRICES[terms.price].price(steps, charge=charge, params=terms.price_params)
    last = _raised_to_minimum(steps, last, terms=terms, currency=currency)
    last = _prorated(steps, last, currency=currency, proration=proration)
    priced = finish(steps, key=last, currency=currency)
    return Rated(
        quantity=_placed(steps, "quantity", terms),
        charged_quantity=_placed(steps, charge.key, terms),
        unit=terms.unit,
        amount=priced.amount,
        working={**measured.working, **priced.working},
    )


def _check(measured: MeasuredSize, *, terms: PlanTerms, currency: str, proration: Fraction | None) -> None:
    currency_of(currency)
    if measured.unit != terms.unit:
        raise ValueError(f"the plan charges {terms.unit}, but the size is measured in {measured.unit}")
    if measured.exact < 0:
        raise ValueError(f"a measured size cannot be negative: {number_text(measured.exact)} {measured.unit}")
    if proration is not None and not 0 <= proration <= 1:
        raise ValueError(f"a share of a period lies between 0 and 1, not {proration}")


def _charged_quantity(steps: Steps, terms: PlanTerms, *, currency: str) -> Charge:
    """Round the measured size once, then take off what the plan includes."""
    key = "quantity"
    label = f"Rounded to {terms.quantity_places} places as the plan states"
    rounding = round_step(terms.quantity_rounding)
    quantity = steps.add(key, rounding, Ref("measured"), Term(terms.quantity_places), label=label, unit=terms.unit)
    if terms.allowance:
        key = "charged_quantity"
        included = Term(terms.allowance, terms.unit)
        quantity = steps.add(key, "excess", Ref("quantity"), included, label="Less what is included", unit=terms.unit)
    return Charge(key=key, quantity=quantity, unit=terms.unit, currency=currency)


def _raised_to_minimum(steps: Steps, last: str, *, terms: PlanTerms, currency: str) -> str:
    if not terms.minimum:
        return last
    minimum = Term(terms.minimum, currency)
    steps.add("minimum", "larger", Ref(last), minimum, label="At least the agreed minimum", unit=currency)
    return "minimum"


def _prorated(steps: Steps, last: str, *, currency: str, proration: Fraction | None) -> str:
    if proration is None or proration == 1:
        return last
    label = f"For {proration} of the days of the period"
    steps.add("prorated", "multiply", Ref(last), Term(proration), label=label, unit=currency)
    return "prorated"


def _placed(steps: Steps, key: str, terms: PlanTerms) -> Decimal:
    """A step's quantity with the plan's places, or the allowance's where that has more."""
    exponent = terms.allowance.as_tuple().exponent
    finer = -exponent if isinstance(exponent, int) else 0
    return rounded(steps.value(key), places=max(terms.quantity_places, finer))
