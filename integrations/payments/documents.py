"""A final invoice as a payment service gets it: finished amounts, our number, nothing left to calculate.

Made by ``billing`` from a final Invoice and handed to a module of this folder. Amounts are exact Decimals in the
currency's own decimals; a tax is a line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from integrations.errors import PermanentFailure

ZERO_DECIMAL = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
THREE_DECIMAL = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))


@dataclass(frozen=True)
class PostalAddress:
    """Where the bill-to is. ``country`` is ISO 3166 alpha-2."""

    line1: str = ""
    line2: str = ""
    postal_code: str = ""
    city: str = ""
    state: str = ""
    country: str = ""


@dataclass(frozen=True)
class PayingParty:
    """The bill-to. ``bill_to_id`` is our lasting id, by which it is found again there."""

    bill_to_id: str
    name: str
    email: str = ""
    address: PostalAddress = PostalAddress()


@dataclass(frozen=True)
class FinishedLine:
    """One line: ``line_id`` is our lasting id of it; the days are both inclusive; a negative amount is a reduction."""

    line_id: str
    description: str
    amount: Decimal
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True)
class FinishedInvoice:
    """A final document. ``content_hash`` is of everything in it: one id with two hashes is refused."""

    invoice_id: str
    number: str
    content_hash: str
    currency: str
    issued_on: date
    due_on: date
    paying: PayingParty
    lines: tuple[FinishedLine, ...]
    total: Decimal
    order_number: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class FinishedCreditNote:
    """A final credit note on one final invoice; ``total`` is positive: what is taken back.

    ``money_back`` says what becomes of money that was paid already: ``refund`` sends it back the way it came,
    ``balance`` keeps it for the payer's next invoice there, ``outside`` means that it is paid back by other means.
    """

    credit_id: str
    number: str
    content_hash: str
    invoice_id: str
    invoice_number: str
    currency: str
    issued_on: date
    total: Decimal
    money_back: Literal["refund", "balance", "outside"] = "refund"


def to_minor_units(amount: Decimal, *, currency: str) -> int:
    """An amount as the integer Stripe takes; raises PermanentFailure for what it cannot express.

    Source: docs.stripe.com/currencies: no decimals for some currencies; three-decimal amounts must end in 0; the
    Icelandic krona keeps two decimals that must be 0. About the Ugandan shilling (UGX) the page says both, so it is
    refused: a guess would be wrong by a factor of 100.
    """
    code = currency.upper()
    if code == "UGX":
        raise PermanentFailure("Invoices in UGX cannot be sent to Stripe: its documentation of the unit is ambiguous.")
    places = 0 if code in ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2
    minor = amount.scaleb(places)
    step = 10 if places == 3 else 100 if code == "ISK" else 1
    if minor % step != 0:
        raise PermanentFailure(f"Stripe cannot take {amount} {code}: it must be a multiple of {_unit(step, places)}.")
    return int(minor)


def from_minor_units(minor: int, *, currency: str) -> Decimal:
    """The amount of an integer as Stripe gives it, with as many decimals as Stripe reckons with."""
    code = currency.upper()
    places = 0 if code in ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2
    return Decimal(minor).scaleb(-places)


def _unit(step: int, places: int) -> Decimal:
    return Decimal(step).scaleb(-places)
