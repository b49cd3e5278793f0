"""What accounting programs need of a final document, read from its frozen snapshot; and quantities that come out exact.

Pure: no clock, no settings, no database. Credit notes come with the sign that their snapshot gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.exact import decimal_of
from billing.money import money_text
from billing.taxes import TaxTotal, read_taxes, tax_totals

#: Decimals that Xero and QuickBooks keep of a unit price.
UNIT_PRICE_PLACES = 4


@dataclass(frozen=True, kw_only=True)
class ExportedLine:
    """One line; ``amount`` is net, ``tax_rate`` a share (0.19)."""

    description: str
    client: str
    quantity: Decimal
    unit: str
    amount: Decimal
    tax_category: str
    tax_rate: Decimal


@dataclass(frozen=True, kw_only=True)
class ExportedDocument:
    """A final or void document. ``customer_number`` is the bill-to's number in the books, "" if it has none."""

    number: str
    kind: str
    void: bool
    currency: str
    issued_on: date
    due_on: date
    first_day: date
    last_day: date
    bill_to: Mapping[str, Any]
    customer_number: str
    lines: tuple[ExportedLine, ...]
    taxes: tuple[TaxTotal, ...]
    net: Decimal
    tax: Decimal
    total: Decimal
    evidence: tuple[Mapping[str, Any], ...]


def exported(snapshot: Mapping[str, Any], *, void: bool, customer_number: str) -> ExportedDocument:
    """The document of a snapshot; those of the first version had one tax rate for all lines."""
    lines = tuple(_line(line, snapshot) for line in snapshot["lines"])
    currency = snapshot["currency"]
    taxes = read_taxes(snapshot["taxes"]) if "taxes" in snapshot else tax_totals(lines, currency=currency)
    return ExportedDocument(
        number=snapshot["number"],
        kind=snapshot["kind"],
        void=void,
        currency=currency,
        issued_on=date.fromisoformat(snapshot["issued_on"]),
        due_on=date.fromisoformat(snapshot["due_on"]),
        first_day=date.fromisoformat(snapshot["first_day"]),
        last_day=date.fromisoformat(snapshot["last_day"]),
        bill_to=snapshot["bill_to"],
        customer_number=customer_number,
        lines=lines,
        taxes=taxes,
        net=Decimal(snapshot["net"]),
        tax=Decimal(snapshot["tax"]),
        total=Decimal(snapshot["total"]),
        evidence=tuple(proof for line in snapshot["lines"] for proof in line["evidence"]),
    )


def exact_price(line: ExportedLine) -> tuple[Decimal, Decimal]:
    """(quantity, unit price) whose product is the net amount exactly; (1, amount) where no short price gives it.

    Programs that reckon the amount anew from a rounded unit price would book another one than was invoiced.
    """
    if line.quantity > 0:
        price = decimal_of(Fraction(line.amount) / Fraction(line.quantity))
        if price is not None and _places(price) <= UNIT_PRICE_PLACES:
            return line.quantity.normalize(), price
    return Decimal(1), line.amount


def described(line: ExportedLine, currency: str) -> str:
    """The line's words, with its quantity where the price alone stands for the amount."""
    if exact_price(line)[0] == line.quantity.normalize() or not line.unit:
        return line.description
    return f"{line.description}: {line.quantity.normalize():f} {line.unit}, {money_text(line.amount, currency)}"


def _line(line: Mapping[str, Any], snapshot: Mapping[str, Any]) -> ExportedLine:
    rate = Decimal(line.get("tax_rate", snapshot["tax_rate"]))
    return ExportedLine(
        description=line["description"],
        client=line["client"],
        quantity=Decimal(line["quantity"]),
        unit=line["unit"],
        amount=Decimal(line["amount"]),
        tax_category=line.get("tax_category", "S" if rate else "Z"),
        tax_rate=rate,
    )


def _places(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
