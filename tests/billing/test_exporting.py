"""Exports for accounting: amounts arrive as they were invoiced, hostile names stay text, nothing is booked twice."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from billing.exporting import EXPORTS, ExportFile, Span
from billing.exporting.contract import read_tax_words
from billing.exporting.documents import ExportedDocument, exact_price, exported
from billing.finalising import finalise, void_and_replace
from billing.models import BillTo, ExportSettings
from billing.params import BadParams, params_from_json
from billing.refusals import Refused
from billing.taxes import tax_totals, taxes_record
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, NOVEMBER
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.world import World

SPAN = Span(date(2026, 11, 1), date(2026, 12, 1), NOVEMBER)
TAXES = "S 19 = 19% USt, S 7 = 7% USt, AE = Reverse Charge, Z = Steuerfrei"
DATEV = {"consultant": 29098, "client": 55003}


def document(
    *lines: tuple[str, str, str, str],
    number: str = "2026-00017",
    name: str = "Müller & Söhne GmbH",
    currency: str = "EUR",
    issued_on: str = "2026-11-02",
    kind: str = "regular",
    customer_number: str = "10042",
    **values: Any,
) -> ExportedDocument:
    """A document of lines (quantity, amount, tax category, tax rate), with the taxes that they come to."""
    written: list[dict[str, Any]] = [
        {
            "description": f"Backup {place}", "client": "Acme", "quantity": quantity, "unit": "GB", "amount": amount,
            "tax_category": category, "tax_rate": rate,
            "evidence": [{"client_name": "Acme", "name": "server: files", "metric": "protected", "days": [
                {"day": "2026-10-01", "state": "measured", "quantity": 5, "note": "", "basis": "logical-once"}]}],
        }
        for place, (quantity, amount, category, rate) in enumerate(lines, start=1)
    ]  # fmt: skip
    taxes = tax_totals([_Line(each) for each in written], currency=currency)
    net = sum((each.net for each in taxes), Decimal(0))
    tax = sum((each.tax for each in taxes), Decimal(0))
    bill_to = {"legal_name": name, "email": "pay@acme.example", "address": "Main St 5\n20457 Hamburg", "country": "DE",
               "order_number": "PO-7"}  # fmt: skip
    snapshot = {
        "number": number, "kind": kind, "currency": currency, "issued_on": issued_on, "due_on": "2026-11-16",
        "first_day": "2026-10-01", "last_day": "2026-11-01", "bill_to": bill_to | values, "lines": written,
        "taxes": taxes_record(taxes), "tax_rate": "0.19", "net": str(net), "tax": str(tax), "total": str(net + tax),
    }  # fmt: skip
    return exported(snapshot, void=False, customer_number=customer_number)


class _Line:
    def __init__(self, line: dict[str, Any]) -> None:
        self.amount, self.tax_rate = Decimal(line["amount"]), Decimal(line["tax_rate"])
        self.tax_category = line["tax_category"]


def made(exporter: str, *documents: ExportedDocument, **params: Any) -> ExportFile:
    module = EXPORTS[exporter]
    return module.export(documents, params=params_from_json(module.Params, params), span=SPAN)


def rows_of(file: ExportFile) -> list[dict[str, str]]:
    text = file.content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


# ---- amounts -----------------------------------------------------------------------------------------------------


def test_a_short_unit_price_is_kept_and_a_long_one_becomes_one_piece() -> None:
    whole = document(("400", "34.00", "S", "0.19")).lines[0]
    endless = document(("7", "1.00", "S", "0.19")).lines[0]
    assert exact_price(whole) == (Decimal(400), Decimal("0.085"))
    assert exact_price(endless) == (Decimal(1), Decimal("1.00"))


def test_a_quantity_of_nothing_is_one_piece_of_its_amount() -> None:
    assert exact_price(document(("0", "49.00", "S", "0.19")).lines[0]) == (Decimal(1), Decimal("49.00"))


@pytest.mark.parametrize("exporter", ["xero", "quickbooks"])
def test_quantity_times_price_is_the_net_amount_of_every_line(exporter: str) -> None:
    lines = [("400", "34.00"), ("7", "1.00"), ("121.123", "6.06"), ("3", "-2.00"), ("0.333", "0.01")]
    invoice = document(*[(quantity, amount, "S", "0.19") for quantity, amount in lines])
    names = {"xero": ("*Quantity", "*UnitAmount"), "quickbooks": ("ItemQuantity", "ItemRate")}[exporter]
    setting = {"xero": "tax_types", "quickbooks": "tax_codes"}[exporter]
    rows = rows_of(made(exporter, invoice, **{setting: TAXES}))[: len(lines)]
    products = [Decimal(row[names[0]]) * Decimal(row[names[1]]) for row in rows]
    assert products == [Decimal(amount) for _, amount in lines]


def test_the_words_keep_the_quantity_that_the_price_lost() -> None:
    (row,) = rows_of(made("xero", document(("7", "1.00", "S", "0.19")), tax_types=TAXES))
    assert row["*Description"] == "Backup 1: 7 GB, 1.00 EUR"


def test_xero_gets_a_line_for_the_cent_that_tax_by_the_line_makes() -> None:
    """0.03 at 19 % is 0.0057, so 0.01 each and 0.02 by the line; 0.06 at 19 % is 0.0114, so 0.01 on the invoice."""
    invoice = document(("1", "0.03", "S", "0.19"), ("1", "0.03", "S", "0.19"))
    rows = rows_of(made("xero", invoice, tax_types=TAXES))
    assert [row["*UnitAmount"] for row in rows] == ["0.03", "0.03", "-0.01"]
    assert rows[-1]["*TaxType"] == "Steuerfrei"
    assert sum(Decimal(row["*UnitAmount"]) + Decimal(row["TaxAmount"]) for row in rows) == invoice.total


def test_quickbooks_taxes_of_the_lines_add_up_to_the_invoice() -> None:
    invoice = document(("1", "0.03", "S", "0.19"), ("1", "0.03", "S", "0.19"), ("1", "10.00", "S", "0.07"))
    rows = rows_of(made("quickbooks", invoice, tax_codes=TAXES))
    assert sum(Decimal(row["ItemTaxAmount"]) for row in rows) == invoice.tax == Decimal("0.71")


def test_a_tax_without_a_name_is_refused_with_what_is_missing() -> None:
    with pytest.raises(Refused, match="tax category K at 0 %"):
        made("xero", document(("1", "5.00", "K", "0")), tax_types=TAXES)


def test_a_file_says_its_dates_as_the_company_writes_them() -> None:
    (row,) = rows_of(made("quickbooks", document(("1", "5.00", "Z", "0")), tax_codes=TAXES, dates="MM/DD/YYYY"))
    assert (row["*InvoiceDate"], row["*DueDate"]) == ("11/02/2026", "11/16/2026")


@pytest.mark.parametrize("exporter", ["xero", "quickbooks", "csv", "usage"])
def test_a_name_that_is_a_formula_stays_text(exporter: str) -> None:
    setting = {"xero": {"tax_types": TAXES}, "quickbooks": {"tax_codes": TAXES}}.get(exporter, {})
    file = made(exporter, document(("1", "5.00", "Z", "0"), name='=HYPERLINK("http://evil")'), **setting)
    assert "'=HYPERLINK" in file.content.decode()


def test_usage_tells_no_money() -> None:
    text = made("usage", document(("7", "123.45", "S", "0.19"))).content.decode()
    assert "server: files" in text
    assert "123.45" not in text
    assert "EUR" not in text


# ---- DATEV -------------------------------------------------------------------------------------------------------


def test_a_stack_of_bookings_is_what_datev_reads() -> None:
    invoice = document(("400", "100.00", "S", "0.19"), ("1", "10.00", "S", "0.07"), ("1", "5.00", "AE", "0"))
    header, columns, *bookings = made("datev", invoice, **DATEV).content.decode("cp1252").split("\r\n")
    fields = header.split(";")
    assert fields[:5] == ['"EXTF"', "700", "21", '"Buchungsstapel"', "13"]
    assert len(fields) == 31
    assert fields[10:16] == ["29098", "55003", "20260101", "4", "20261102", "20261102"]
    assert columns.startswith("Umsatz (ohne Soll/Haben-Kz);Soll/Haben-Kennzeichen;WKZ Umsatz;")
    assert bookings == [
        '5,00;"S";"EUR";;;"";10042;8337;"";0211;"2026-00017";"161126";;"Müller & Söhne GmbH"',
        '119,00;"S";"EUR";;;"";10042;8400;"";0211;"2026-00017";"161126";;"Müller & Söhne GmbH"',
        '10,70;"S";"EUR";;;"";10042;8300;"";0211;"2026-00017";"161126";;"Müller & Söhne GmbH"',
        "",
    ]


def test_a_credit_is_booked_on_the_other_side_with_a_positive_amount() -> None:
    credit = document(("1", "-100.00", "S", "0.19"), kind="credit")
    assert made("datev", credit, **DATEV).content.decode("cp1252").split("\r\n")[2].startswith('119,00;"H";')


def test_a_key_goes_with_an_account_that_is_not_automatic() -> None:
    invoice = document(("1", "100.00", "S", "0.19"), customer_number="")
    row = made("datev", invoice, revenue="S 19 = 4400 BU 3", **DATEV).content.decode("cp1252").split("\r\n")[2]
    assert row.split(";")[6:9] == ["10000", "4400", '"3"']


def test_quotes_and_line_ends_in_a_name_stay_in_their_field() -> None:
    hostile = document(("1", "1.00", "S", "0.19"), name='A"; "S"\r\n1,00;"H"', number="RE 2026/1;x")
    lines = made("datev", hostile, **DATEV).content.decode("cp1252").split("\r\n")
    (cells,) = csv.reader([lines[2]], delimiter=";")
    assert len(lines) == 4
    assert len(cells) == 14
    assert cells[10] == "RE-2026/1-x"
    assert cells[13] == 'A"; "S" 1,00;"H"'


@pytest.mark.parametrize(
    ("documents", "params", "sentence"),
    [
        ([document(("1", "1.00", "S", "0.19"), currency="USD")], DATEV, "is in USD"),
        ([document(("1", "1.00", "S", "0.19"))], {}, "numbers of tax adviser and client"),
        (
            [
                document(("1", "1.00", "S", "0.19"), issued_on="2026-12-31"),
                document(("1", "1.00", "S", "0.19"), issued_on="2027-01-01"),
            ],
            DATEV,
            "two fiscal years",
        ),
    ],
)
def test_what_one_stack_cannot_hold_is_refused(
    documents: list[ExportedDocument], params: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        made("datev", *documents, **params)


def test_a_fiscal_year_may_begin_in_july() -> None:
    invoice = document(("1", "1.00", "S", "0.19"), issued_on="2027-03-01")
    header = made("datev", invoice, year_begins=7, **DATEV).content.decode("cp1252").split("\r\n")[0]
    assert header.split(";")[12] == "20260701"


# ---- settings ----------------------------------------------------------------------------------------------------


def test_names_of_taxes_are_read_with_their_rates() -> None:
    assert read_tax_words("S 19 = 20% (VAT on Income), AE=RC", field="x") == {
        ("S", Decimal("0.19")): "20% (VAT on Income)",
        ("AE", None): "RC",
    }


@pytest.mark.parametrize("text", ["S19", "Q = x", "S 19 =", "S 19 = a, S 19 = b", "S 119 = a"])
def test_names_of_taxes_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(BadParams):
        read_tax_words(text, field="tax_types")


@pytest.mark.parametrize(
    "given", [{"revenue": "S 19 = abc"}, {"account_length": 9}, {"year_begins": 13}, {"client": -1}]
)
def test_settings_of_datev_that_cannot_be_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadParams):
        params_from_json(EXPORTS["datev"].Params, given)


# ---- the page and the command ------------------------------------------------------------------------------------


@pytest.fixture
def books(world: World) -> Books:
    kept = keep_books(world)
    finalise(world.tenant, kept.acme.uid, actor=ACTOR, now=datetime.now(UTC))
    return kept


def asked(books: Books, exporter: str) -> dict[str, str]:
    today = datetime.now(UTC).date()
    return {
        "seller": str(books.seller.uid),
        "exporter": exporter,
        "first_day": (today - timedelta(days=2)).isoformat(),
        "until": (today + timedelta(days=2)).isoformat(),
    }


def test_the_page_gives_the_final_documents_and_writes_who_took_them(books: Books) -> None:
    BillTo.objects.of(books.world.tenant).filter(pk=books.acme.bill_to_id).update(customer_number="10077")
    response = browser_of(books.world.billing).post(reverse("exports"), asked(books, "csv"))
    assert response["Content-Disposition"].startswith('attachment; filename="invoices-')
    (row,) = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))
    acme = books.fresh(books.acme)
    assert (row["number"], row["customer_number"], row["bill_to"]) == (acme.number, "10077", "Acme Dental Ltd")
    assert (Decimal(row["net"]), Decimal(row["document_total"])) == (acme.net, acme.total)
    entry = AuditEntry.objects.of(books.world.tenant).get(action="invoices.exported")
    assert entry.after["documents"] == 1


def test_a_void_document_is_not_booked(books: Books) -> None:
    void_and_replace(books.world.tenant, books.acme.uid, actor=ACTOR, reason="wrong", now=datetime.now(UTC))
    browser = browser_of(books.world.billing)
    (row,) = csv.DictReader(
        io.StringIO(browser.post(reverse("exports"), asked(books, "csv")).content.decode("utf-8-sig"))
    )
    assert row["state"] == "void"
    usage = browser.post(reverse("exports"), asked(books, "usage")).content.decode("utf-8-sig")
    assert len(usage.splitlines()) == 1


def test_usage_of_a_real_document_names_each_day(books: Books) -> None:
    response = browser_of(books.world.billing).post(reverse("exports"), asked(books, "usage"))
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    acme = books.fresh(books.acme)
    assert len(rows) == (acme.last_day - acme.first_day).days
    assert {row["quantity"] for row in rows} == {"250000000000"}


def test_settings_are_stored_and_used(books: Books) -> None:
    browser = browser_of(books.world.billing)
    address = reverse("export-settings", args=[books.seller.uid, "xero"])
    refused = browser.post(address, {"account_code": "200", "tax_types": "nonsense", "rounding_account": "860"})
    assert refused.status_code == 422
    assert "cannot be read" in refused.content.decode()
    assert not ExportSettings.objects.of(books.world.tenant).exists()
    browser.post(address, {"account_code": "4711", "tax_types": TAXES, "rounding_account": "860"})
    response = browser.post(reverse("exports"), asked(books, "xero"))
    (row,) = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))
    assert (row["*AccountCode"], row["*TaxType"]) == ("4711", "19% USt")


def test_what_is_missing_is_said_on_the_page(books: Books) -> None:
    response = browser_of(books.world.billing).post(reverse("exports"), asked(books, "datev"))
    assert response.status_code == 422
    assert "DATEV needs the numbers of tax adviser and client" in response.content.decode()
    none = asked(books, "csv") | {"first_day": "2020-01-01", "until": "2020-01-31"}
    assert "issued no document" in browser_of(books.world.billing).post(reverse("exports"), none).content.decode()
    turned = asked(books, "csv") | {"first_day": "2026-02-01", "until": "2026-01-01"}
    assert "a later one" in browser_of(books.world.billing).post(reverse("exports"), turned).content.decode()


def test_only_money_people_of_this_tenant_get_an_export(books: Books) -> None:
    for person in (books.world.technician, books.world.reseller_staff):
        assert browser_of(person).post(reverse("exports"), asked(books, "csv")).status_code in (403, 404)
    stranger = browser_of(books.world.stranger)
    assert stranger.get(reverse("export-settings", args=[books.seller.uid, "xero"])).status_code == 404
    assert "Content-Disposition" not in stranger.post(reverse("exports"), asked(books, "csv"))


def test_the_command_writes_the_file(books: Books, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    days = {"first_day": today - timedelta(days=2), "until": today + timedelta(days=2)}
    call_command("export_invoices", "csv", tenant=books.world.tenant.slug, into=str(tmp_path), **days)
    (file,) = tmp_path.iterdir()
    assert books.fresh(books.acme).number in file.read_text()
    with pytest.raises(CommandError, match="DATEV needs"):
        call_command("export_invoices", "datev", tenant=books.world.tenant.slug, into=str(tmp_path), **days)
