"""Credit notes and proformas on the pages: written line by line, refused with a sentence, for people who see money."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse

from billing.finalising import finalise
from billing.models import Invoice, InvoiceLine
from tests.billing.months import ACTOR
from tests.dashboard import scene
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.world import World

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script>"


@pytest.fixture
def books(world: World) -> Books:
    books = keep_books(world)
    finalise(world.tenant, books.acme.uid, actor=ACTOR, now=scene.now())
    return books


@pytest.fixture
def cashier(books: Books) -> Browser:
    return browser_of(books.world.billing)


def test_a_line_is_credited_and_both_documents_name_each_other(books: Books, cashier: Browser) -> None:
    address = reverse("invoice-credit", args=[books.acme.uid])
    line = InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme)
    assert f"amount-{line.uid}" in cashier.get(address).content.decode()
    answer = cashier.post(address, {f"amount-{line.uid}": "2.00", "reason": XSS, "what": "typed"})
    note = Invoice.objects.of(books.world.tenant).get(kind="credit")
    assert answer.headers["Location"] == reverse("invoice", args=[note.uid])
    # 2.00 + 19 %
    assert (note.number[:3], note.total, note.finalised_by) == ("CN-", Decimal("-2.38"), books.world.billing.email)
    shown = cashier.get(answer.headers["Location"]).content.decode()
    assert "Takes back" in shown
    assert books.fresh(books.acme).number in shown
    assert XSS not in shown
    assert reverse("invoice-credit", args=[note.uid]) not in shown
    invoice = cashier.get(reverse("invoice", args=[books.acme.uid])).content.decode()
    assert note.number in invoice
    assert XSS not in invoice
    assert "Recomputed to the cent" in cashier.get(reverse("invoice", args=[note.uid]) + "?verify=1").content.decode()


def test_all_that_is_left(books: Books, cashier: Browser) -> None:
    answer = cashier.post(reverse("invoice-credit", args=[books.acme.uid]), {"reason": "all", "what": "all"})
    assert answer.status_code == 302
    assert Invoice.objects.of(books.world.tenant).get(kind="credit").total == -books.fresh(books.acme).total


@pytest.mark.parametrize(
    "typed, reason, sentence",
    [
        ("1e9", "r", "write a number such as 12.50"),
        ("-1", "r", "write a number such as 12.50"),
        ("999999", "r", "that is left of it"),
        ("", "r", "Type an amount or a quantity"),
        ("1", " ", "needs a reason"),
    ],
)
def test_what_is_refused_is_shown_with_what_was_typed(
    books: Books, cashier: Browser, typed: str, reason: str, sentence: str
) -> None:
    line = InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme)
    answer = cashier.post(
        reverse("invoice-credit", args=[books.acme.uid]),
        {f"amount-{line.uid}": typed, "reason": reason, "what": "typed"},
    )
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert f'value="{typed}"' in answer.content.decode()
    assert not Invoice.objects.of(books.world.tenant).filter(kind="credit").exists()


def test_a_draft_has_a_proforma_and_no_credit_note(books: Books, cashier: Browser) -> None:
    shown = cashier.get(reverse("invoice-proforma", args=[books.bakery.uid]))
    assert "Proforma invoice" in shown.content.decode()
    assert "please do not pay by it" in shown.content.decode()
    assert cashier.get(reverse("invoice-credit", args=[books.bakery.uid])).status_code == 409
    assert cashier.get(reverse("invoice-proforma", args=[books.acme.uid])).status_code == 409


def test_nobody_else_credits(books: Books) -> None:
    address = reverse("invoice-credit", args=[books.acme.uid])
    world = books.world
    for person, code in ((world.technician, 403), (world.reseller_staff, 404), (world.stranger, 404)):
        browser = browser_of(person)
        assert browser.get(address).status_code == code
        assert browser.post(address, {"reason": "mine", "what": "all"}).status_code == code
    assert not Invoice.objects.of(world.tenant).filter(kind="credit").exists()
