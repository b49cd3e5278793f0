"""Xero: sales invoices as the CSV file that its import takes; quantity times unit price is the net amount exactly.

The columns are those of Xero's template. Xero reckons tax itself, line by line, and adds it up: where that differs from
the invoice's tax by a cent, a line of its own in the export says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

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
from billing.exporting.documents import ExportedDocument, ExportedLine, described, exact_price
from billing.money import round_money
from billing.params import BadParams, told

LABEL = "Xero"
HELP = "Sales invoices for Xero's import: Business, Invoices, Import. Choose tax exclusive amounts there."
COLUMNS = (
    "*ContactName", "EmailAddress", "POAddressLine1", "POAddressLine2", "POAddressLine3", "POAddressLine4", "POCity",
    "PORegion", "POPostalCode", "POCountry", "*InvoiceNumber", "Reference", "*InvoiceDate", "*DueDate", "Total",
    "InventoryItemCode", "*Description", "*Quantity", "*UnitAmount", "Discount", "*AccountCode", "*TaxType",
    "TaxAmount", "TrackingName1", "TrackingOption1", "TrackingName2", "TrackingOption2", "Currency", "BrandingTheme",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Params:
    """Account and names of taxes as they stand in Xero."""

    account_code: str = field(default="200", metadata=told("Revenue account, by its code in Xero."))
    tax_types: str = field(
        default="",
        metadata=told("Names of tax rates in Xero, such as: S 20 = 20% (VAT on Income), AE = Reverse Charge."),
    )
    rounding_account: str = field(
        default="860", metadata=told("Account for a cent that Xero's rounding line by line makes.")
    )

    def __post_init__(self) -> None:
        if not self.account_code.strip():
            raise BadParams("account_code", "an account is needed, such as 200")
        read_tax_words(self.tax_types, field="tax_types")


def export(documents: Sequence[ExportedDocument], *, params: Params, span: Span) -> ExportFile:
    """One row a line."""
    words = read_tax_words(params.tax_types, field="tax_types")
    rows = [row for document in living(documents) for row in _rows(document, params, words)]
    return csv_file(file_name("xero", span, "csv"), [COLUMNS, *rows])


def _rows(document: ExportedDocument, params: Params, words: Mapping[TaxKey, str]) -> Iterable[list[str]]:
    for line in document.lines:
        quantity, price = exact_price(line)
        tax = round_money(line.amount * line.tax_rate, document.currency)
        tax_type = word_of(line, words, what="name of a tax rate")
        yield _row(document, described(line, document.currency), quantity, price, params.account_code, tax_type, tax)
    yield from _rounding(document, params, words)


def _rounding(document: ExportedDocument, params: Params, words: Mapping[TaxKey, str]) -> Iterable[list[str]]:
    """A line for what tax by the line comes to more or less than tax by the document."""
    by_line = sum((round_money(line.amount * line.tax_rate, document.currency) for line in document.lines), Decimal(0))
    difference = document.tax - by_line
    if not difference:
        return
    untaxed = [line for line in document.lines if not line.tax_rate]
    name = word_of(untaxed[0], words, what="name") if untaxed else _free_of_tax(words)
    words_of_it = "Rounding of tax: reckoned from the sum of the lines"
    yield _row(document, words_of_it, Decimal(1), difference, params.rounding_account, name, Decimal(0))


def _free_of_tax(words: Mapping[TaxKey, str]) -> str:
    """The name of a rate that adds no tax to the rounding line."""
    rest = ExportedLine(
        description="",
        client="",
        quantity=Decimal(0),
        unit="",
        amount=Decimal(0),
        tax_category="Z",
        tax_rate=Decimal(0),
    )
    return word_of(rest, words, what="name of a rate without tax (Z), which a rounding line needs,")


def _row(
    document: ExportedDocument, words: str, quantity: Decimal, price: Decimal, account: str, tax_type: str, tax: Decimal
) -> list[str]:
    address = [line.strip() for line in document.bill_to["address"].splitlines() if line.strip()]
    lines = [*address[:4], "", "", "", ""][:4]
    return [
        document.bill_to["legal_name"], document.bill_to["email"], *lines, "", "", "", document.bill_to["country"],
        document.number, document.bill_to["order_number"], f"{document.issued_on:%d/%m/%Y}",
        f"{document.due_on:%d/%m/%Y}", f"{document.total:f}", "", words, f"{quantity:f}", f"{price:f}", "", account,
        tax_type, f"{tax:f}", "", "", "", "", document.currency, "",
    ]  # fmt: skip
