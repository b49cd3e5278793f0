"""What other meters would have billed, on the pages of a line and of a document, and in the API's explanation."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.urls import reverse

from billing.metering import METERS
from billing.models import InvoiceLine, Seller
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.dashboard.test_billing_pages import text_of
from tests.world import World, make_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def books(world: World) -> Books:
    return keep_books(world)


def line_of(books: Books) -> InvoiceLine:
    line: InvoiceLine = InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme)
    return line


def test_a_lines_page_compares_every_meter(books: Books) -> None:
    address = reverse("invoice-line", args=[books.acme.uid, line_of(books).uid])
    page = text_of(browser_of(books.world.billing).get(address))
    assert "What would other meters have billed?" in page
    for meter in METERS.values():
        assert meter.LABEL in page
    # 250 GB on every day: each meter comes to the same 22.00; the number of selections has no price by the GB
    assert page.count("22.00 EUR") >= 6
    assert "1 each no price for it in this plan" in page
    assert "Daily average as billed" in page


def test_the_working_alone_is_not_compared(books: Books) -> None:
    address = reverse("invoice-line", args=[books.acme.uid, line_of(books).uid])
    page = browser_of(books.world.billing).get(address, HTTP_HX_REQUEST="true").content.decode()
    assert "Steps, in order" in page
    assert "What would other meters" not in page


def test_a_documents_page_adds_each_meter_up(books: Books) -> None:
    browser = browser_of(books.world.billing)
    address = reverse("invoice-meters", args=[books.acme.uid])
    assert address in browser.get(reverse("invoice", args=[books.acme.uid])).content.decode()
    page = text_of(browser.get(address))
    assert "Billed net: 22.00 EUR" in page
    assert "The whole document, net" in page
    assert line_of(books).description in page


@pytest.mark.parametrize("role", ["technician", "stranger"])
def test_others_see_none_of_it(books: Books, role: str) -> None:
    response = browser_of(getattr(books.world, role)).get(reverse("invoice-meters", args=[books.acme.uid]))
    assert response.status_code == (403 if role == "technician" else 404)
    assert "22.00" not in response.content.decode()


def test_a_resellers_staff_compares_documents_of_its_own_seller_alone(books: Books) -> None:
    staff = browser_of(books.world.reseller_staff)
    address = reverse("invoice-meters", args=[books.acme.uid])
    assert staff.get(address).status_code == 404
    Seller.objects.of(books.world.tenant).update(reseller=books.world.reseller)
    assert staff.get(address).status_code == 200


def test_the_api_explains_a_line_with_every_meter(books: Books) -> None:
    key = make_key(books.world.tenant, "books", scopes=["billing"])
    address = f"/api/v1/invoice-lines/{line_of(books).uid}/explain"
    told = Browser().get(address, HTTP_AUTHORIZATION=f"Bearer {key}").json()
    meters = {each["meter"]: each for each in told["meters"]}
    assert set(meters) == set(METERS)
    assert (meters["peak_day"]["amount"], meters["peak_day"]["difference"]) == ("22.0000", "0.0000")
    assert meters["daily_average"]["is_used"] is True
    assert meters["count"]["amount"] is None
