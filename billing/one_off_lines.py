"""Composes the lines of one-off charges and credits: quantity times price, rounded once. Nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing.deciding_days import Held
from billing.exact import number_text
from billing.lines import ComposedLine
from billing.models_adjusting import OneOff
from billing.pricing.priced import finish
from billing.taxes import category_for
from billing.taxing import LineTax, Taxation, tax_of
from billing.working import Steps, Term


@dataclass(frozen=True)
class Charged:
    """The lines of a document with its one-offs among them, and what is held about their tax."""

    lines: tuple[ComposedLine, ...]
    held: tuple[Held, ...]


def with_one_offs(
    lines: Sequence[ComposedLine], one_offs: Sequence[OneOff], taxation: Taxation, *, on: date
) -> Charged:
    """The lines and, after the last one of its client, each one-off; those for no client of the document at the end.

    A one-off bears the payer's standard tax on the day, unless it was entered with a rate of its own.
    """
    placed, held = list(lines), []
    for one_off in sorted(one_offs, key=lambda each: each.pk):
        tax = _tax(one_off, taxation, on=on)
        line = compose_one_off(one_off, tax)
        of_client = [at for at, other in enumerate(placed) if line.client_id and other.client_id == line.client_id]
        placed.insert(of_client[-1] + 1 if of_client else len(placed), line)
        held += [Held(tax.problem, (f"tax:one-off:{one_off.pk}",))] if tax.problem else []
    return Charged(tuple(placed), tuple(held))


def _tax(one_off: OneOff, taxation: Taxation, *, on: date) -> LineTax:
    if one_off.tax_rate is not None:
        return LineTax(category_for(one_off.tax_rate), one_off.tax_rate.normalize())
    agreement = one_off.agreement
    return tax_of(agreement.bill_to, "standard", taxation, seller_id=agreement.seller_id, on=on)


def compose_one_off(one_off: OneOff, tax: LineTax) -> ComposedLine:
    """Its line. A credit has a negative quantity, so that the price stays the one that was agreed."""
    quantity = one_off.quantity if one_off.kind == "charge" else -one_off.quantity
    steps, currency = Steps(), one_off.currency
    price, unit = Term(one_off.unit_price, currency), "" if one_off.unit == "each" else one_off.unit
    label = "Charged once" if one_off.kind == "charge" else "Credited once"
    steps.add("price", "multiply", Term(quantity, unit), price, label=label, unit=currency)
    priced = finish(steps, key="price", currency=currency)
    return ComposedLine(
        subscription_id=None,
        client_id=one_off.client_id,
        kind=one_off.kind,
        description=one_off.description,
        quantity=Decimal(number_text(quantity)),
        unit=one_off.unit,
        amount=priced.amount,
        tax_category=tax.category,
        tax_rate=tax.rate,
        working={
            "days": [],
            "plan": {},
            **priced.working,
            "about": str(one_off.uid),
            "agreement": one_off.agreement.number,
            "entered_by": one_off.created_by,
        },
        evidence=[],
    )
