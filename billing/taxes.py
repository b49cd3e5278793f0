"""Tax of a document: the lines of each category and rate added up, the tax of each sum rounded once, half up.

That is how EN 16931 reckons (BR-CO-17): from the sum of the lines, never line by line. Pure: no clock, no settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

from billing.money import round_money

#: UNCL 5305 as EN 16931 uses it: standard, zero rated, exempt, reverse charge, within the EU, export, not subject.
TAX_CATEGORIES = ("S", "Z", "E", "AE", "K", "G", "O")


#: Each in words, as forms and documents say it.
CATEGORY_WORDS = {
    "S": "Standard",
    "Z": "Zero rated",
    "E": "Exempt",
    "AE": "Reverse charge",
    "K": "Supply within the EU",
    "G": "Export outside the EU",
    "O": "Not subject to tax",
}
#: The tax is the recipient's to pay: the authorities know both by their VAT numbers.
NEEDS_BOTH_NUMBERS = frozenset({"AE", "K"})
#: What a plan says of the tax on it; what is exempt is so in every country and has no rate.
TaxClass = Literal["standard", "reduced", "exempt"]
TAX_CLASSES: tuple[TaxClass, ...] = ("standard", "reduced", "exempt")
RATED_CLASSES = ("standard", "reduced")
EXEMPT: TaxClass = "exempt"


class TaxedLine(Protocol):
    """What the tax of a line is reckoned from."""

    @property
    def amount(self) -> Decimal: ...

    @property
    def tax_category(self) -> str: ...

    @property
    def tax_rate(self) -> Decimal: ...


@dataclass(frozen=True, kw_only=True)
class TaxTotal:
    """One category and rate of a document: ``rate`` is a share (0.19), ``net`` the lines' sum, ``tax`` rounded once."""

    category: str
    rate: Decimal
    net: Decimal
    tax: Decimal


def category_for(rate: Decimal) -> str:
    """The category of a line of which nothing else is said: standard, or zero rated at a rate of 0."""
    return "S" if rate else "Z"


def tax_totals(lines: Iterable[TaxedLine], *, currency: str) -> tuple[TaxTotal, ...]:
    """The tax of each category and rate, in the order of category and falling rate."""
    sums: dict[tuple[str, Decimal], Decimal] = {}
    for line in lines:
        key = (line.tax_category, line.tax_rate.normalize())
        sums[key] = sums.get(key, Decimal(0)) + line.amount
    return tuple(
        TaxTotal(
            category=category,
            rate=rate,
            net=round_money(net, currency),
            tax=round_money(net * rate, currency),
        )
        for (category, rate), net in sorted(sums.items(), key=lambda item: (item[0][0], -item[0][1]))
    )


def taxes_record(taxes: Iterable[TaxTotal]) -> list[dict[str, str]]:
    """The totals as JSON, numbers as exact text."""
    return [
        {
            "category": each.category,
            "rate": format(each.rate, "f"),
            "net": format(each.net, "f"),
            "tax": format(each.tax, "f"),
        }
        for each in taxes
    ]


def read_taxes(record: Iterable[Mapping[str, Any]]) -> tuple[TaxTotal, ...]:
    """What ``taxes_record`` wrote."""
    return tuple(
        TaxTotal(
            category=each["category"],
            rate=Decimal(each["rate"]),
            net=Decimal(each["net"]),
            tax=Decimal(each["tax"]),
        )
        for each in record
    )
