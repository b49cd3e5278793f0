"""QuickBooks Online: invoices as the CSV file that its import takes; quantity times rate is the net amount exactly.

The columns are those that its import maps by itself. Tax amounts stand beside each line; tax is not in the amounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from billing.exporting.contract import (
    ExportFile,
    Span,
    TaxKey,
    csv_file,
    file_name,
    living,
    read_tax_words,
    word_of,
)
from billing.exporting.documents import ExportedDocument, described, exact_price
from billing.money import share
from billing.params import BadParams, told

LABEL = "QuickBooks Online"
HELP = "Invoices for QuickBooks Online: Settings, Import data, Invoices. Amounts are without tax."
COLUMNS = (
    "*InvoiceNo", "*Customer", "*InvoiceDate", "*DueDate", "Terms", "Location", "Memo", "Item(Product/Service)",
    "ItemDescription", "ItemQuantity", "ItemRate", "*ItemAmount", "*ItemTaxCode", "ItemTaxAmount", "Currency",
    "Service Date",
)  # fmt: skip
DATES = {"DD/MM/YYYY": "%d/%m/%Y", "MM/DD/YYYY": "%m/%d/%Y", "YYYY-MM-DD": "%Y-%m-%d"}


@dataclass(frozen=True, kw_only=True)
class Params:
    """The product and the tax codes as they stand in QuickBooks."""

    item: str = field(default="Backup", metadata=told("Product or service that the lines are sales of."))
    tax_codes: str = field(
        default="", metadata=told("Tax codes in QuickBooks, such as: S 20 = 20.0% S, AE = 0.0% RC, Z = 0.0% Z.")
    )
    dates: Literal["DD/MM/YYYY", "MM/DD/YYYY", "YYYY-MM-DD"] = field(
        default="DD/MM/YYYY", metadata=told("How the company writes dates.")
    )

    def __post_init__(self) -> None:
        if not self.item.strip():
            raise BadParams("item", "a product or service is needed, such as Backup")
        read_tax_words(self.tax_codes, field="tax_codes")


def export(documents: Sequence[ExportedDocument], *, params: Params, span: Span) -> ExportFile:
    """One row a line."""
    words = read_tax_words(params.tax_codes, field="tax_codes")
    rows = [row for document in living(documents) for row in _rows(document, params, words)]
    return csv_file(file_name("quickbooks", span, "csv"), [COLUMNS, *rows])


def _rows(document: ExportedDocument, params: Params, words: Mapping[TaxKey, str]) -> Iterable[list[str]]:
    taxes = _tax_by_line(document)
    for place, line in enumerate(document.lines):
        quantity, rate = exact_price(line)
        yield [
            document.number, document.bill_to["legal_name"], _date(document.issued_on, params),
            _date(document.due_on, params), "", "", document.bill_to["order_number"], params.item,
            described(line, document.currency), f"{quantity:f}", f"{rate:f}", f"{line.amount:f}",
            word_of(line, words, what="tax code"), taxes[place], document.currency,
            _date(document.first_day, params),
        ]  # fmt: skip


def _tax_by_line(document: ExportedDocument) -> dict[int, str]:
    """The tax of each sum shared among its lines, so that the lines' taxes add up to the document's to the cent."""
    shared: dict[int, str] = {}
    for tax in document.taxes:
        places = [
            place
            for place, line in enumerate(document.lines)
            if (line.tax_category, line.tax_rate) == (tax.category, tax.rate)
        ]
        weights = [abs(document.lines[place].amount) for place in places]
        if tax.tax and any(weights):
            parts = share(tax.tax, weights, currency=document.currency)
        else:
            parts = tuple(tax.tax * 0 for _ in places)
        shared |= {place: f"{part:f}" for place, part in zip(places, parts, strict=True)}
    return shared


def _date(day: object, params: Params) -> str:
    return format(day, DATES[params.dates])
