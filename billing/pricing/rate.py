"""Rating: from a measured size to the amount of an invoice line, on the terms of a plan.

In this order, each a step of the working: round the quantity as the plan states, take off the allowances, price the
rest, raise to the minimum, cut at the maximum, prorate, round once. Proration comes last and takes the whole charge:
price, fee, allowance, minimum and maximum are all meant for a whole period, and a charge of 16 of 31 days is 16/31 of
it. A percentage of other lines is rated from these lines instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol, get_args

from billing.exact import ROUNDINGS, Rounding, number_text, rounded
from billing.money import currency_of
from billing.params import BadParams, require_not_negative, told
from billing.pricing import PRICES, Charge
from billing.pricing.priced import ONE_OF_EACH, Covering, Thing, add_number_of, finish
from billing.units import UNITS
from billing.working import Operand, Ref, Steps, Term, Working, round_step


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
    allowance_each: Decimal = field(
        default=Decimal(0), metadata=told("Quantity included for each selection or machine; all of it is one pool.")
    )
    allowance_per: Thing = field(default="selection", metadata=told("What that quantity is included for."))
    minimum: Decimal = field(default=Decimal(0), metadata=told("The least that is charged for a whole period."))
    maximum: Decimal = field(
        default=Decimal(0), metadata=told("The most that is charged for a whole period; 0 if there is no such limit.")
    )

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
        if self.allowance_per not in get_args(Thing):
            raise BadParams("allowance_per", f"this must be one of: {', '.join(get_args(Thing))}")
        require_not_negative(self.allowance, field="allowance", what="an allowance")
        require_not_negative(self.allowance_each, field="allowance_each", what="an allowance")
        require_not_negative(self.minimum, field="minimum", what="a minimum")
        require_not_negative(self.maximum, field="maximum", what="a maximum")
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if self.maximum and self.maximum < self.minimum:
            raise BadParams("maximum", f"{self.maximum} is less than the minimum, which is {self.minimum}")
        for name in ("allowance", "allowance_each"):
            if self.is_percentage and getattr(self, name):
                raise BadParams(name, "a percentage of other lines includes no quantity free of charge")

    @property
    def is_percentage(self) -> bool:
        """Whether it charges a share of other lines, and no size."""
        return self.price == "percentage"

    @property
    def counts(self) -> bool:
        """Whether the numbers of covered selections and machines are needed."""
        return bool(self.allowance_each) or PRICES[self.price].COUNTS


@dataclass(frozen=True, kw_only=True)
class Base:
    """A line that a percentage is taken of: what it is called, its amount, and the share of its days that count."""

    name: str
    amount: Decimal
    share: Fraction = Fraction(1)


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


def rate(
    measured: MeasuredSize,
    *,
    terms: PlanTerms,
    currency: str,
    proration: Fraction | None = None,
    covering: Covering = ONE_OF_EACH,
) -> Rated:
    """The amount of a measured size on the terms of a plan.

    ``proration`` is billable days over days in the period (``billing.days.billable_share``), from 0 to 1; None for a
    whole period. Raises ValueError if the unit is not the plan's or the size is negative, and UnknownCurrency.
    """
    _check(measured, terms=terms, currency=currency, proration=proration)
    steps = Steps(days=measured.working["days"], steps=measured.working["steps"])
    charge = _charged_quantity(steps, terms, currency=currency, covering=covering)
    last = PRICES[terms.price].price(steps, charge=charge, params=terms.price_params)
    last = _within_limits(steps, last, terms=terms, currency=currency)
    last = _prorated(steps, last, currency=currency, proration=proration)
    priced = finish(steps, key=last, currency=currency)
    return Rated(
        quantity=_placed(steps, "quantity", terms),
        charged_quantity=_placed(steps, charge.key, terms),
        unit=terms.unit,
        amount=priced.amount,
        working={**measured.working, **priced.working},
    )


def rate_percentage(
    bases: Sequence[Base], *, terms: PlanTerms, currency: str, proration: Fraction | None = None
) -> Rated:
    """The amount of a percentage of these lines. ``quantity`` is the percent and ``unit`` "%".

    A line counts by its share of days; minimum and maximum by ``proration``. Raises ValueError without any line.
    """
    if not terms.is_percentage or not bases:
        raise ValueError("a percentage is taken of at least one line, on the terms of a plan of that price")
    steps = Steps()
    parts: list[Operand] = [_base(steps, base, place, currency=currency) for place, base in enumerate(bases, start=1)]
    total = steps.add("lines", "add", *parts, label="Lines added up", unit=currency)
    charge = Charge(key="lines", quantity=total, unit=currency, currency=currency)
    last = PRICES[terms.price].price(steps, charge=charge, params=terms.price_params)
    last = _within_limits(steps, last, terms=terms, currency=currency, proration=proration)
    priced = finish(steps, key=last, currency=currency)
    percent = terms.price_params.percent
    return Rated(
        quantity=percent,
        charged_quantity=percent,
        unit="%",
        amount=priced.amount,
        working={"days": []} | priced.working,
    )


def _base(steps: Steps, base: Base, place: int, *, currency: str) -> Ref:
    key = f"line_{place}"
    steps.add(key, "add", Term(base.amount, currency), label=base.name, unit=currency)
    if base.share == 1:
        return Ref(key)
    label = f"For {base.share} of its days"
    steps.add(f"{key}_share", "multiply", Ref(key), Term(base.share), label=label, unit=currency)
    return Ref(f"{key}_share")


def _check(measured: MeasuredSize, *, terms: PlanTerms, currency: str, proration: Fraction | None) -> None:
    currency_of(currency)
    if terms.is_percentage:
        raise ValueError("a percentage is taken of other lines, not of a size")
    if measured.unit != terms.unit:
        raise ValueError(f"the plan charges {terms.unit}, but the size is measured in {measured.unit}")
    if measured.exact < 0:
        raise ValueError(f"a measured size cannot be negative: {number_text(measured.exact)} {measured.unit}")
    if proration is not None and not 0 <= proration <= 1:
        raise ValueError(f"a share of a period lies between 0 and 1, not {proration}")


def _charged_quantity(steps: Steps, terms: PlanTerms, *, currency: str, covering: Covering) -> Charge:
    """Round the measured size once, then take off what the plan includes."""
    label = f"Rounded to {terms.quantity_places} places as the plan states"
    rounding = round_step(terms.quantity_rounding)
    key, places = "quantity", Term(terms.quantity_places)
    quantity = steps.add(key, rounding, Ref("measured"), places, label=label, unit=terms.unit)
    included = _included(steps, terms, covering)
    if included is not None:
        key = "charged_quantity"
        quantity = steps.add(key, "excess", Ref("quantity"), included, label="Less what is included", unit=terms.unit)
    return Charge(key=key, quantity=quantity, unit=terms.unit, currency=currency, covering=covering)


def _included(steps: Steps, terms: PlanTerms, covering: Covering) -> Operand | None:
    """What is free of charge: the plan's allowance, and one for each thing that is covered; None if there is none."""
    whole = Term(terms.allowance, terms.unit)
    if not terms.allowance_each:
        return whole if terms.allowance else None
    number = add_number_of(steps, terms.allowance_per, covering)
    each = Term(terms.allowance_each, terms.unit)
    label = f"Included for each {terms.allowance_per}"
    steps.add("allowance_each", "multiply", Ref(number), each, label=label, unit=terms.unit)
    if not terms.allowance:
        return Ref("allowance_each")
    label = "Included altogether"
    steps.add("included", "add", whole, Ref("allowance_each"), label=label, unit=terms.unit)
    return Ref("included")


def _within_limits(
    steps: Steps, last: str, *, terms: PlanTerms, currency: str, proration: Fraction | None = None
) -> str:
    """Raise to the minimum, then cut at the maximum; both are for a whole period, so by ``proration`` if given."""
    if terms.minimum:
        least = _limit(steps, "minimum", terms.minimum, currency=currency, proration=proration)
        steps.add("minimum", "larger", Ref(last), least, label="At least the agreed minimum", unit=currency)
        last = "minimum"
    if terms.maximum:
        most = _limit(steps, "maximum", terms.maximum, currency=currency, proration=proration)
        steps.add("maximum", "smaller", Ref(last), most, label="At most the agreed maximum", unit=currency)
        last = "maximum"
    return last


def _limit(steps: Steps, name: str, amount: Decimal, *, currency: str, proration: Fraction | None) -> Operand:
    if proration is None or proration == 1:
        return Term(amount, currency)
    label = f"The {name} for {proration} of the days of the period"
    steps.add(f"{name}_share", "multiply", Term(amount, currency), Term(proration), label=label, unit=currency)
    return Ref(f"{name}_share")


def _prorated(steps: Steps, last: str, *, currency: str, proration: Fraction | None) -> str:
    if proration is None or proration == 1:
        return last
    label = f"For {proration} of the days of the period"
    steps.add("prorated", "multiply", Ref(last), Term(proration), label=label, unit=currency)
    return "prorated"


def _placed(steps: Steps, key: str, terms: PlanTerms) -> Decimal:
    return rounded(steps.value(key), places=places_of(terms))


def places_of(terms: PlanTerms) -> int:
    """The places of a quantity on a line: the plan's, or the allowance's where that has more."""
    exponent = terms.allowance.as_tuple().exponent
    finer = -exponent if isinstance(exponent, int) else 0
    return max(terms.quantity_places, finer)
