"""E-invoices: every kind of document passes schema and rules in both syntaxes, and a broken one fails."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import facturx
import pytest
from django.urls import reverse
from lxml import etree

from billing.einvoicing import SYNTAXES, NotPossible, Syntax, business_terms, einvoice
from billing.finalising import finalise
from billing.models import BillTo, Seller
from billing.taxes import tax_totals, taxes_record
from tests.billing.months import ACTOR
from tests.billing.parties import buyer_for, seller_named
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.einvoices import faults
from tests.world import World

SELLER = seller_named("Northwind MSP GmbH")
BUYER = buyer_for("S")
FRENCH = buyer_for("AE")
STANDARD = ("S", "0.19")


class _Line:
    def __init__(self, amount: str, category: str, rate: str) -> None:
        self.amount, self.tax_category, self.tax_rate = Decimal(amount), category, Decimal(rate)


def snapshot(*lines: tuple[str, str, str, str], **values: Any) -> dict[str, Any]:
    """A final document of lines (quantity, amount, tax category, tax rate) with the taxes that they come to."""
    currency = values.get("currency", "EUR")
    taxes = tax_totals([_Line(*line[1:]) for line in lines], currency=currency)
    net, tax = sum((each.net for each in taxes), Decimal(0)), sum((each.tax for each in taxes), Decimal(0))
    written = [
        {
            "description": f"Acme: Backup & <Archive> {place}", "client": "Acme", "quantity": quantity, "unit": "GB",
            "amount": amount, "tax_category": category, "tax_rate": rate, "size_contract": "1", "evidence": [],
        }
        for place, (quantity, amount, category, rate) in enumerate(lines, start=1)
    ]  # fmt: skip
    document = {
        "number": "2026-00017", "kind": "regular", "currency": currency, "issued_on": "2026-11-02",
        "due_on": "2026-11-16", "first_day": "2026-10-01", "last_day": "2026-11-01", "seller": SELLER,
        "bill_to": BUYER, "lines": written, "taxes": taxes_record(taxes), "tax_rate": "0.19", "net": str(net),
        "tax": str(tax), "total": str(net + tax), "replaces": "",
    }  # fmt: skip
    return document | values


def units(name: str) -> dict[str, Any]:
    document = snapshot(("7", "0.35", *STANDARD))
    document["lines"][0]["unit"] = name
    return document


DOCUMENTS: dict[str, dict[str, Any]] = {
    "one rate": snapshot(("121", "6.05", *STANDARD)),
    "several rates": snapshot(("121", "6.05", *STANDARD), ("3", "21.00", "S", "0.07"), ("1", "5.00", "Z", "0")),
    "a price that never ends": snapshot(("7", "1.00", *STANDARD)),
    "six places": snapshot(("0.333333", "0.01", *STANDARD)),
    "nothing to pay": snapshot(("0", "0.00", *STANDARD)),
    "something taken off": snapshot(("121", "60.50", *STANDARD), ("1", "-10.00", *STANDARD)),
    "a cent by the line": snapshot(("1", "0.03", *STANDARD), ("1", "0.03", *STANDARD)),
    "exempt": snapshot(("1", "100.00", "E", "0"), bill_to=BUYER | {"tax_note": "Exempt by § 4 UStG"}),
    "zero rated": snapshot(("1", "100.00", "Z", "0")),
    "reverse charge": snapshot(("121", "6.05", "AE", "0"), bill_to=FRENCH),
    "within the EU": snapshot(("121", "6.05", "K", "0"), bill_to=FRENCH),
    "export": snapshot(("121", "6.05", "G", "0"), bill_to=BUYER | {"country": "CH", "tax_id": ""}),
    "not subject": snapshot(("121", "6.05", "O", "0"), bill_to=BUYER | {"tax_id": ""}),
    "credit note": snapshot(("121", "-6.05", *STANDARD), ("2", "-1.00", "S", "0.07"), kind="credit"),
    "invoice below zero": snapshot(("1", "5.00", *STANDARD), ("1", "-20.00", *STANDARD)),
    "yen": snapshot(("121", "1210", "S", "0.10"), currency="JPY"),
    "francs": snapshot(("121", "6.05", "S", "0.081"), currency="CHF"),
    "a hundred lines": snapshot(*[("121", "6.05", *STANDARD)] * 100),
    "a replacement": snapshot(("121", "6.05", *STANDARD), replaces="2026-00011"),
    "a seller without VAT number": snapshot(
        ("1", "5.00", "Z", "0"), seller=SELLER | {"tax_id": "22/815/08154", "bank": "", "email": ""}
    ),
    "no IBAN": snapshot(("1", "5.00", *STANDARD), seller=SELLER | {"bank": "see our letter, DE00 1234"}),
    "old snapshot": {
        name: value
        for name, value in (snapshot(("121", "6.05", *STANDARD)) | {"tax": "1.15", "total": "7.20"}).items()
        if name != "taxes"
    },
    **{f"in {unit}": units(unit) for unit in ("byte", "MB", "MiB", "GiB", "TB", "TiB", "each", "?")},
}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_passes_schema_and_rules(name: str, syntax: Syntax) -> None:
    assert faults(einvoice(DOCUMENTS[name], syntax=syntax), syntax) == []


BROKEN: dict[str, dict[str, Any]] = {
    "a sum that is wrong": {"BT-106": "6.06", "BT-109": "6.06"},
    "a tax that is wrong": {"BT-110": "9.99", "BT-112": "16.04", "BT-115": "16.04"},
    "a total that is wrong": {"BT-112": "8.00"},
    "something else to pay": {"BT-115": "1.00"},
    "no country of the seller": {"BG-4": {"name": "Northwind", "vat_identifier": "DE123456788"}},
    "no way to name the seller": {"BG-4": {"name": "Northwind", "country_code": "DE"}},
    "an unknown currency": {"BT-5": "XYZ"},
    "an unknown kind of document": {"BT-3": "999"},
    "a rate of nothing in the standard category": {
        "BG-23": [{"BT-116": "6.05", "BT-117": "0.00", "BT-118": "S", "BT-119": "0"}]
    },
}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_document_fails(name: str, syntax: Syntax, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a document that passes above has really been looked at."""
    terms = business_terms(DOCUMENTS["one rate"]) | BROKEN[name]
    monkeypatch.setattr("billing.einvoicing.writing.business_terms", lambda snapshot: terms)
    try:
        xml = einvoice({}, syntax=syntax)
    except Exception:
        return  # the library's own check of the schema, or its list of currencies
    assert faults(xml, syntax) != []


MISSING: dict[str, tuple[dict[str, Any], str]] = {
    "three decimals": ({"currency": "KWD"}, "KWD has three decimals"),
    "no country": ({"bill_to": BUYER | {"country": ""}}, "the payer has no country"),
    "no tax number": ({"seller": SELLER | {"tax_id": " "}}, "the seller has no tax number"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_said(name: str) -> None:
    values, sentence = MISSING[name]
    with pytest.raises(NotPossible, match=sentence):
        business_terms(snapshot(("121", "6.05", *STANDARD), **values))


def test_everything_that_is_missing_is_said_at_once() -> None:
    parties = {"seller": SELLER | {"country": "", "tax_id": ""}, "bill_to": BUYER | {"tax_id": ""}}
    with pytest.raises(NotPossible) as refused:
        business_terms(snapshot(("1", "1.00", "AE", "0"), **parties))
    for part in ("the seller has no country", "the seller has no tax number", "VAT number of seller and payer"):
        assert part in refused.value.reason


def test_what_is_not_subject_stands_alone() -> None:
    with pytest.raises(NotPossible, match="cannot stand beside"):
        business_terms(snapshot(("1", "1.00", "O", "0"), ("1", "1.00", *STANDARD)))


def test_a_name_stays_a_name() -> None:
    root = etree.fromstring(einvoice(DOCUMENTS["one rate"], syntax="ubl"))
    assert BUYER["legal_name"] in [each.text for each in root.iter("{*}RegistrationName")]
    hostile = snapshot(("1", "1.00", *STANDARD), bill_to=BUYER | {"legal_name": "A\x00B\x1f\ufffe\nC"})
    root = etree.fromstring(einvoice(hostile, syntax="cii"))
    assert "AB C" in [each.text for each in root.iter("{*}Name")]


def test_the_account_is_found_in_the_bank_details() -> None:
    assert business_terms(DOCUMENTS["one rate"])["BT-84"] == "DE89370400440532013000"
    assert "BT-84" not in business_terms(DOCUMENTS["no IBAN"])
    wrong = snapshot(("1", "1.00", *STANDARD), seller=SELLER | {"bank": "DE88 3704 0044 0532 0130 00"})
    assert "BT-84" not in business_terms(wrong)


@pytest.mark.parametrize("name", ["one rate", "a price that never ends", "something taken off", "credit note"])
def test_quantity_times_price_is_the_amount_of_the_line(name: str) -> None:
    for line in business_terms(DOCUMENTS[name])["BG-25"]:
        assert Decimal(line["BT-129"]) * Decimal(line["BT-146"]) == Decimal(line["BT-131"])


def test_a_credit_note_says_positive_amounts() -> None:
    terms = business_terms(DOCUMENTS["credit note"])
    assert (terms["BT-3"], terms["BT-112"]) == ("381", "8.27")
    assert business_terms(DOCUMENTS["invoice below zero"])["BT-3"] == "381"


# ---- the page ----------------------------------------------------------------------------------------------------


@pytest.fixture
def books(world: World) -> Books:
    kept = keep_books(world)
    values = {"country": "DE", "tax_id": "DE123456788"}
    Seller.objects.of(world.tenant).filter(pk=kept.seller.pk).update(**values)
    BillTo.objects.of(world.tenant).filter(pk=kept.acme.bill_to_id).update(country="DE")
    finalise(world.tenant, kept.acme.uid, actor=ACTOR, now=datetime.now(UTC))
    return kept


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_final_invoice_is_downloaded_as_a_good_einvoice(books: Books, syntax: Syntax) -> None:
    response = browser_of(books.world.billing).get(reverse("invoice-xml", args=[books.acme.uid, syntax]))
    number = books.fresh(books.acme).number
    assert response["Content-Disposition"] == f'attachment; filename="{number}-{syntax}.xml"'
    assert faults(response.content, syntax) == []
    assert number.encode() in response.content


def test_the_hybrid_pdf_holds_the_same_einvoice(books: Books) -> None:
    browser = browser_of(books.world.billing)
    hybrid = browser.get(reverse("invoice-factur-x", args=[books.acme.uid]))
    assert (hybrid.status_code, hybrid["Content-Type"]) == (200, "application/pdf")
    name, xml = facturx.get_xml_from_pdf(hybrid.content, check_xsd=True, check_schematron=False)
    assert name == "factur-x.xml"
    assert faults(xml, "cii") == []
    assert xml == browser.get(reverse("invoice-xml", args=[books.acme.uid, "cii"])).content
    draft = browser.get(reverse("invoice-factur-x", args=[books.bakery.uid]))
    assert draft.status_code == 409
    assert "A draft is not final" in draft.content.decode()


def test_what_is_no_einvoice_says_why_on_the_page(books: Books) -> None:
    browser = browser_of(books.world.billing)
    draft = browser.get(reverse("invoice-xml", args=[books.bakery.uid, "ubl"]))
    assert "A draft is not final" in draft.content.decode()
    finalise(books.world.tenant, books.bakery.uid, actor=ACTOR, now=datetime.now(UTC))
    lacking = browser.get(reverse("invoice-xml", args=[books.bakery.uid, "ubl"]))
    assert lacking.status_code == 409
    assert "the payer has no country" in lacking.content.decode()
    assert browser.get(reverse("invoice-xml", args=[books.acme.uid, "pdf"])).status_code == 404


def test_only_its_own_people_download_it(books: Books) -> None:
    address = reverse("invoice-xml", args=[books.acme.uid, "ubl"])
    assert browser_of(books.world.stranger).get(address).status_code == 404
    assert browser_of(books.world.reseller_staff).get(address).status_code == 404
    assert browser_of(books.world.technician).get(address).status_code == 403
