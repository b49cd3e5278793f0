"""The client portal: what a link opens, what it never opens, and how it ends."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse

from billing.crediting import CreditedLine, credit, creditable_lines
from billing.finalising import finalise
from billing.models import BillTo, Invoice, InvoiceLine, PortalLink, Seller
from billing.portal import make_link
from msp.tenants.models import AuditEntry, LookupKey
from tests.billing.months import ACTOR
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.world import World


@pytest.fixture
def books(world: World) -> Books:
    """Acme's invoice is final, the bakery's a draft."""
    kept = keep_books(world)
    finalise(world.tenant, kept.acme.uid, actor=ACTOR, now=datetime.now(UTC))
    return kept


def link_of(books: Books, invoice: Invoice) -> tuple[Browser, PortalLink]:
    """The browser of somebody who opened a link to what this invoice's payer was invoiced."""
    given = (books.world.tenant, books.seller, invoice.bill_to)
    fresh = make_link(*given, email="boss@acme.example", days=30, actor=ACTOR, now=datetime.now(UTC))
    browser = Browser()
    assert browser.get(reverse("portal-enter", args=[fresh.key])).status_code == 302
    return browser, fresh.row


def pages_of(invoice: Invoice) -> dict[str, str]:
    line = InvoiceLine.objects.of(invoice.tenant_id).filter(invoice=invoice).get()
    return {
        "document": reverse("portal-document", args=[invoice.uid]),
        "line": reverse("portal-line", args=[invoice.uid, line.uid]),
        "annex": reverse("portal-annex", args=[invoice.uid]),
        "pdf": reverse("portal-pdf", args=[invoice.uid]),
        "factur-x": reverse("portal-factur-x", args=[invoice.uid]),
        "ubl": reverse("portal-xml", args=[invoice.uid, "ubl"]),
    }


def test_a_payer_sees_its_final_invoice_and_how_the_amount_is_reached(books: Books) -> None:
    browser, link = link_of(books, books.acme)
    number = books.fresh(books.acme).number
    listed = browser.get(reverse("portal")).content.decode()
    assert number in listed
    shown = browser.get(pages_of(books.acme)["document"]).content.decode()
    assert "250 GB" in shown
    assert "Steps, in order" in shown
    assert "size contract, version 1" in shown
    assert reverse("portal-size-contract", args=["1"]) in shown
    annex = browser.get(pages_of(books.acme)["annex"]).content.decode()
    assert annex.count("protected") > 27
    link.refresh_from_db()
    assert link.last_used_at is not None


def test_no_page_of_the_portal_leads_to_one_of_the_staff(books: Books) -> None:
    browser, _ = link_of(books, books.acme)
    pages = pages_of(books.acme)
    contract = reverse("portal-size-contract", args=["1"])
    for address in (reverse("portal"), pages["document"], pages["line"], contract):
        text = browser.get(address).content.decode()
        targets = re.findall(r'(?:href|action|hx-get)="(/[^"]*)"', text)
        assert [each for each in targets if not each.startswith(("/portal/", "/static/"))] == [], address
        assert "Northwind MSP GmbH" in text


@pytest.mark.parametrize("name", ["document", "line", "annex", "pdf", "factur-x", "ubl"])
def test_drafts_and_documents_of_others_are_not_there(books: Books, name: str) -> None:
    browser, _ = link_of(books, books.acme)
    assert browser.get(pages_of(books.bakery)[name]).status_code == 404
    drafts, _ = link_of(books, books.bakery)
    assert drafts.get(pages_of(books.bakery)[name]).status_code == 404
    assert drafts.get(pages_of(books.acme)[name]).status_code == 404
    assert "No invoice yet" in drafts.get(reverse("portal")).content.decode()


def test_what_another_seller_invoiced_the_same_payer_is_not_there(books: Books) -> None:
    browser, link = link_of(books, books.acme)
    link.seller = Seller.objects.of(books.world.tenant).create(legal_name="Reseller AG")
    link.save()
    assert browser.get(pages_of(books.acme)["document"]).status_code == 404
    assert books.fresh(books.acme).number not in browser.get(reverse("portal")).content.decode()


@pytest.mark.parametrize("way", ["ended", "over", "suspended"])
def test_a_link_that_is_not_good_closes_what_is_open(books: Books, way: str) -> None:
    browser, link = link_of(books, books.acme)
    if way == "ended":
        address = reverse("portal-link-end", args=[books.acme.bill_to.uid, link.uid])
        assert browser_of(books.world.billing).post(address).status_code == 302
    elif way == "over":
        PortalLink.objects.of(books.world.tenant).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    else:
        books.world.tenant.state = "suspended"
        books.world.tenant.save()
    for address in (reverse("portal"), *pages_of(books.acme).values()):
        response = browser.get(address)
        assert response.status_code == 404
        assert "not good any more" in response.content.decode()
        assert "Acme" not in response.content.decode()


def test_a_key_that_nobody_made_opens_nothing(books: Books) -> None:
    browser = Browser()
    assert browser.get(reverse("portal-enter", args=["blp_guessed"])).status_code == 404
    assert browser.get(reverse("portal")).status_code == 404


def test_a_link_gives_no_way_into_the_dashboard_and_can_be_left(books: Books) -> None:
    browser, _ = link_of(books, books.acme)
    assert browser.get(reverse("invoices")).status_code == 302
    assert browser.post(reverse("portal-leave")).status_code == 200
    assert browser.get(reverse("portal")).status_code == 404


def test_a_person_makes_a_link_that_is_shown_once_and_kept_as_a_hash(books: Books) -> None:
    cashier = browser_of(books.world.billing)
    payer = books.acme.bill_to
    values = {"email": "boss@acme.example", "seller": str(books.seller.uid), "days": "90"}
    page = cashier.post(reverse("portal-link-new", args=[payer.uid]), values).content.decode()
    (key,) = re.findall(r"/portal/enter/(blp_[\w-]+)/", page)
    assert Browser().get(reverse("portal-enter", args=[key])).status_code == 302
    assert not LookupKey.objects.filter(value__contains=key).exists()
    listed = cashier.get(reverse("bill-to", args=[payer.uid])).content.decode()
    assert "boss@acme.example" in listed
    assert key not in listed
    entry = AuditEntry.objects.of(books.world.tenant).get(action="portal link made")
    assert key not in str(entry.after)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [({"email": "nobody"}, "an email address"), ({"days": "9999"}, "800"), ({"days": "0"}, "1"), ({"seller": "x"}, "")],
)
def test_a_link_that_cannot_be_is_refused_with_a_sentence(books: Books, typed: dict[str, str], sentence: str) -> None:
    values = {"email": "boss@acme.example", "seller": str(books.seller.uid), "days": "90", **typed}
    address = reverse("portal-link-new", args=[books.acme.bill_to.uid])
    response = browser_of(books.world.billing).post(address, values)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not PortalLink.objects.of(books.world.tenant).exists()


def test_a_payer_without_an_agreement_gets_no_link(books: Books) -> None:
    alone = BillTo.objects.of(books.world.tenant).create(legal_name="Nobody's")
    response = browser_of(books.world.billing).get(reverse("portal-link-new", args=[alone.uid]))
    assert response.status_code == 409
    assert "no agreement" in response.content.decode()


@pytest.mark.parametrize(("who", "status"), [("technician", 403), ("reseller_staff", 404), ("stranger", 404)])
def test_others_neither_make_nor_end_links(books: Books, who: str, status: int) -> None:
    _, link = link_of(books, books.acme)
    browser = browser_of(getattr(books.world, who))
    new = reverse("portal-link-new", args=[books.acme.bill_to.uid])
    assert browser.get(new).status_code == status
    end = reverse("portal-link-end", args=[books.acme.bill_to.uid, link.uid])
    assert browser.post(end).status_code == status
    link.refresh_from_db()
    assert link.ended_at is None


def test_a_credit_note_says_what_it_takes_back_and_the_invoice_what_is_left(books: Books) -> None:
    (line,) = creditable_lines(books.fresh(books.acme))
    taken = CreditedLine(line_uid=line.uid, amount=Decimal("1.00"), quantity=None)
    tenant, at = books.world.tenant, datetime.now(UTC)
    note = credit(tenant, books.acme.uid, lines=(taken,), reason="an outage", actor=ACTOR, now=at)
    browser, _ = link_of(books, books.acme)
    assert note.number in browser.get(pages_of(books.acme)["document"]).content.decode()
    shown = browser.get(reverse("portal-document", args=[note.uid])).content.decode()
    assert reverse("portal-document", args=[books.acme.uid]) in shown
    assert "an outage" in shown
