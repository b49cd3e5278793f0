"""Correcting a day on its page, late corrections with their button, approving how a selection is counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse

from billing.models import Invoice, InvoiceLine, MeasuringChoice
from tests.billing.months import GB
from tests.dashboard.books import ACME_GB, Books, keep_books, measure_by_runs
from tests.dashboard.scene import browser_of
from tests.dashboard.test_billing_pages import XSS, text_of
from tests.world import World, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def books(world: World) -> Books:
    return keep_books(world)


@pytest.fixture
def cashier(books: Books) -> Browser:
    return browser_of(books.world.billing)


def day_page(books: Books, *, invoice: Invoice | None = None, place: int = 11) -> str:
    invoice = invoice or books.acme
    line = InvoiceLine.objects.of(books.world.tenant).get(invoice=invoice)
    day = books.first_day + timedelta(days=place)
    return reverse("wrong-day", args=[invoice.uid, line.uid, line.evidence[0]["selection"], day.isoformat()])


def typed(books: Books, **values: str) -> dict[str, str]:
    line = InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme)
    source = line.evidence[0]["days"][11]["source"]
    return {"source": source, "do": "enter", "size": "219", "unit": "GB", "reason": "a copied folder"} | values


def test_a_wrong_day_of_a_draft_is_corrected_where_it_is_listed(books: Books, cashier: Browser) -> None:
    line = InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme)
    address = day_page(books)
    assert address in cashier.get(reverse("invoice-line", args=[books.acme.uid, line.uid])).content.decode()
    shown = text_of(cashier.get(address))
    assert "250,000,000,000" in shown
    assert "the day is charged by this" in shown
    days = (books.acme.last_day - books.first_day).days
    answer = cashier.post(address, typed(books, size=str(ACME_GB - days), reason=f"a copied folder {XSS}"))
    assert answer.status_code == 302
    assert answer["Location"] == reverse("invoice", args=[books.acme.uid])
    assert str(books.fresh(books.acme).net) == "21.9200"  # 249 GB: 10.00 + 149 x 0.08
    page = cashier.get(answer["Location"]).content.decode()
    assert XSS not in page
    assert "corrected: a copied folder" in page
    assert "replaced by a later word" in text_of(cashier.get(address.replace(str(line.uid), _line_uid(books))))


def _line_uid(books: Books) -> str:
    return str(InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme).uid)


def test_a_wrong_day_of_a_final_invoice_voids_and_replaces_it(books: Books, cashier: Browser) -> None:
    cashier.post(reverse("invoice-finalise", args=[books.acme.uid]))
    address = day_page(books)
    assert "It becomes void" in text_of(cashier.get(address))
    answer = cashier.post(address, typed(books))
    replacement = Invoice.objects.of(books.world.tenant).get(replaces=books.acme)
    assert answer["Location"] == reverse("invoice", args=[replacement.uid])
    assert books.fresh(books.acme).state == "void"
    assert "a copied folder" in books.fresh(books.acme).void_reason
    assert replacement.net == 22 - 31 * Decimal("0.08") / (books.acme.last_day - books.first_day).days


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"size": ""}, "Enter the right figure"),
        ({"size": "-1"}, "at least 0"),
        ({"size": "0.5", "unit": "byte"}, "whole number of bytes"),
        ({"size": "250"}, "what stands"),
        ({"reason": ""}, "Reason is missing"),
        ({"unit": "acres"}, "cannot be"),
        ({"source": "run:1:other"}, "cannot be"),
        ({"source": "own", "do": "withdraw"}, "no figure to withdraw"),
        ({"size": "99999999999999"}, "less than nine billion"),
    ],
)
def test_a_figure_that_cannot_be_changes_nothing(
    books: Books, cashier: Browser, values: dict[str, str], sentence: str
) -> None:
    cashier.post(reverse("invoice-finalise", args=[books.acme.uid]))
    answer = cashier.post(day_page(books), typed(books, **values))
    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert books.fresh(books.acme).state == "final"


def test_late_corrections_are_listed_with_their_days_and_replaced_by_a_button(books: Books, cashier: Browser) -> None:
    assert "Nothing to correct" in text_of(cashier.get(reverse("corrections")))
    cashier.post(reverse("invoice-finalise", args=[books.acme.uid]))
    number = books.fresh(books.acme).number
    books.month.measure(books.world.job, {books.first_day: 281 * GB}, run_key="zz")
    page = cashier.get(reverse("corrections"))
    assert "281,000,000,000" in text_of(page)
    assert number in text_of(page)
    assert reverse("invoice-void", args=[books.acme.uid]) in page.content.decode()
    assert cashier.post(reverse("invoice-void", args=[books.acme.uid]), {"reason": "late log"}).status_code == 302
    assert "Nothing to correct" in text_of(cashier.get(reverse("corrections"), {"since": "nonsense"}))


def test_another_way_of_counting_is_approved_from_its_page(books: Books, cashier: Browser) -> None:
    assert "Nothing waits" in text_of(cashier.get(reverse("measuring")))
    middle = books.first_day + timedelta(days=14)
    measure_by_runs(books.world.job, middle, middle + timedelta(days=2), 300 * GB, basis="logical-each")
    listed = cashier.get(reverse("measuring"))
    assert "logical-each" in text_of(listed)
    selection = books.world.job.selection
    address = f"{reverse('measuring-approve')}?selection={selection.uid}&job={books.world.job.uid}&basis=logical-each"
    assert address.replace("&", "&amp;") in listed.content.decode()
    assert middle.isoformat() in cashier.get(address).content.decode()
    assert cashier.post(address, {"since": "soon", "reason": "x"}).status_code == 422
    assert cashier.post(address, {"since": middle.isoformat(), "reason": ""}).status_code == 422
    assert cashier.post(address, {"since": middle.isoformat(), "reason": "new version"}).status_code == 302
    choice = MeasuringChoice.objects.of(books.world.tenant).filter(selection=selection).latest("pk")
    assert (choice.basis, choice.since, choice.reason) == ("logical-each", middle, "new version")
    assert cashier.get(address).status_code == 404


@pytest.mark.parametrize("role", ["technician", "reseller_staff", "stranger", "reader"])
def test_only_money_people_of_the_tenant_see_and_correct(books: Books, role: str) -> None:
    reader = make_person(books.world.tenant, "reader@northwind.example", role="reader") if role == "reader" else None
    browser = browser_of(reader or getattr(books.world, role))
    page = day_page(books)
    refused = {403} if role in ("technician", "reader") else {404}
    assert browser.get(page).status_code in refused
    assert browser.post(page, typed(books)).status_code in refused
    if role != "stranger":
        assert browser.get(reverse("corrections")).status_code in refused
        assert browser.get(reverse("measuring")).status_code in refused
    assert str(books.fresh(books.acme).net) == "22.0000"
