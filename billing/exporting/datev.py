"""DATEV: bookings of invoices as a Buchungsstapel (EXTF, format 700, category 21, version 13).

One booking for each tax of a document: its gross amount, from the customer's account to the revenue account of that
tax. Windows-1252, semicolons, decimal commas. The trailing columns that nothing is said in are left out, as the
format allows. Not tried with DATEV itself: have the tax adviser import one month first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from billing.exporting.contract import ExportFile, Span, TaxKey, file_name, living, read_tax_words, word_of
from billing.exporting.documents import ExportedDocument
from billing.params import BadParams, told
from billing.refusals import Refused
from billing.taxes import TaxTotal

LABEL = "DATEV"
HELP = "Bookings for DATEV accounting (EXTF Buchungsstapel), with the accounts your tax adviser gave you."
COLUMNS = (
    "Umsatz (ohne Soll/Haben-Kz)", "Soll/Haben-Kennzeichen", "WKZ Umsatz", "Kurs", "Basis-Umsatz", "WKZ Basis-Umsatz",
    "Konto", "Gegenkonto (ohne BU-Schlüssel)", "BU-Schlüssel", "Belegdatum", "Belegfeld 1", "Belegfeld 2", "Skonto",
    "Buchungstext",
)  # fmt: skip
ACCOUNT = re.compile(r"([0-9]{3,9})(?: +BU +([0-9]{1,4}))?")
#: What Belegfeld 1 takes; everything else would be refused on import.
NUMBER_LETTERS = re.compile(r"[^A-Za-z0-9$&%*+/-]")


@dataclass(frozen=True, kw_only=True)
class Params:
    """The numbers of the tax adviser and the client, and the accounts."""

    consultant: int = field(default=0, metadata=told("Number of the tax adviser (Beraternummer)."))
    client: int = field(default=0, metadata=told("Number of the client there (Mandantennummer)."))
    year_begins: int = field(default=1, metadata=told("Month in which the fiscal year begins, 1 to 12."))
    account_length: int = field(default=4, metadata=told("Digits of a general ledger account, 4 to 8."))
    revenue: str = field(
        default="S 19 = 8400, S 7 = 8300, AE = 8337, K = 8125, G = 8120, E = 8200, Z = 8200, O = 8200",
        metadata=told("Revenue account of each tax; BU and a key behind it where the account is not automatic."),
    )
    customers: int = field(
        default=10000, metadata=told("Account of customers who have no number of their own in the books.")
    )

    def __post_init__(self) -> None:
        _check_between(self.consultant, 0, 9_999_999, field="consultant")
        _check_between(self.client, 0, 99_999, field="client")
        _check_between(self.year_begins, 1, 12, field="year_begins")
        _check_between(self.account_length, 4, 8, field="account_length")
        _check_between(self.customers, 1, 999_999_999, field="customers")
        for account in read_tax_words(self.revenue, field="revenue").values():
            if not ACCOUNT.fullmatch(account):
                raise BadParams("revenue", f"{account!r} is not an account; write it as 8400, or 8400 BU 3")


def export(documents: Sequence[ExportedDocument], *, params: Params, span: Span) -> ExportFile:
    """One stack of bookings. Raises Refused for what one stack cannot hold."""
    if params.consultant < 1001 or params.client < 1:
        raise Refused("DATEV needs the numbers of tax adviser and client: add them to the settings of the export.")
    booked = living(documents)
    _refuse_two_years(booked, params)
    accounts = read_tax_words(params.revenue, field="revenue")
    rows = [_header(booked, params, span), ";".join(COLUMNS)]
    rows += [";".join(row) for document in booked for row in _bookings(document, params, accounts)]
    content = "".join(f"{row}\r\n" for row in rows).encode("cp1252", errors="replace")
    return ExportFile(file_name("EXTF_datev", span, "csv"), "text/csv; charset=windows-1252", content)


def _header(documents: Sequence[ExportedDocument], params: Params, span: Span) -> str:
    days = [document.issued_on for document in documents] or [span.first_day]
    first, last = min(days), max(days)
    fields = [
        '"EXTF"', "700", "21", '"Buchungsstapel"', "13", f"{span.now:%Y%m%d%H%M%S}000", "", '"BL"', '""', '""',
        str(params.consultant), str(params.client), _year_of(first, params), str(params.account_length),
        f"{first:%Y%m%d}", f"{last:%Y%m%d}", _text(f"Rechnungen {first:%m/%Y}", 30), '""', "1", "0", "0", '"EUR"',
        "", '""', "", "", '""', "", "", '""', '""',
    ]  # fmt: skip
    return ";".join(fields)


def _bookings(document: ExportedDocument, params: Params, accounts: Mapping[TaxKey, str]) -> Iterable[tuple[str, ...]]:
    if document.currency != "EUR":
        raise Refused(f"{document.number} is in {document.currency}: a stack of bookings in EUR cannot hold it.")
    for tax in document.taxes:
        gross = tax.net + tax.tax
        if gross:
            yield _booking(document, tax, gross, params, accounts)


def _booking(
    document: ExportedDocument, tax: TaxTotal, gross: Decimal, params: Params, accounts: Mapping[TaxKey, str]
) -> tuple[str, ...]:
    match = ACCOUNT.fullmatch(word_of(tax, accounts, what="revenue account"))
    if match is None:
        raise AssertionError("the settings were checked when they were stored")
    debit = "S" if gross > 0 else "H"
    return (
        f"{abs(gross):.2f}".replace(".", ","), f'"{debit}"', '"EUR"', "", "", '""', _customer(document, params),
        match[1], f'"{match[2] or ""}"', f"{document.issued_on:%d%m}", _text(_number(document.number), 36),
        _text(f"{document.due_on:%d%m%y}", 12), "", _text(document.bill_to["legal_name"], 60),
    )  # fmt: skip


def _customer(document: ExportedDocument, params: Params) -> str:
    number = document.customer_number.strip()
    return number if number.isascii() and number.isdigit() else str(params.customers)


def _number(text: str) -> str:
    return NUMBER_LETTERS.sub("-", text)


def _text(text: str, most: int) -> str:
    """Quoted; line ends and quotes cannot break out."""
    plain = " ".join(text.split())[:most]
    return '"' + plain.replace('"', '""') + '"'


def _year_of(day: object, params: Params) -> str:
    """The first day of the fiscal year of a day."""
    year, month = int(format(day, "%Y")), int(format(day, "%m"))
    return f"{year if month >= params.year_begins else year - 1}{params.year_begins:02d}01"


def _refuse_two_years(documents: Sequence[ExportedDocument], params: Params) -> None:
    if len({_year_of(document.issued_on, params) for document in documents}) > 1:
        raise Refused("These documents lie in two fiscal years: export each of them by itself.")


def _check_between(value: int, least: int, most: int, *, field: str) -> None:
    if not least <= value <= most:
        raise BadParams(field, f"this must lie between {least} and {most}")
