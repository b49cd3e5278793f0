"""Payments on the pages: a bank's file, matching by a person, a payment by hand; for people who see money alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.urls import reverse

from billing.finalising import finalise
from billing.models import Payment, PaymentAllocation
from billing.owing import owed_of
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
    books.acme = finalise(world.tenant, books.acme.uid, actor=ACTOR, now=scene.now())
    return books


@pytest.fixture
def cashier(books: Books) -> Browser:
    return browser_of(books.world.billing)


def send(books: Books, browser: Browser, content: str, **values: str) -> Any:
    file = SimpleUploadedFile("bank.csv", content.encode())
    return browser.post(reverse("payments-upload"), {"file": file, "seller": str(books.seller.uid), **values})


def test_a_file_settles_what_it_names_and_a_person_matches_the_rest(books: Books, cashier: Browser) -> None:
    invoice = books.acme
    assert send(books, cashier, f"date,amount,reference\n2026-11-03,{invoice.total:.2f},{XSS}\n").status_code == 302
    shown = cashier.get(reverse("payments") + "?waiting=1").content.decode()
    assert XSS not in shown
    payment = Payment.objects.of(books.world.tenant).get()
    address = reverse("payment", args=[payment.uid])
    assert "exactly" in cashier.get(address).content.decode()
    settle = reverse("payment-settle", args=[payment.uid])
    too_much = cashier.post(settle, {"do": "allocate", "invoice": str(invoice.uid), "amount": "99999"})
    assert (too_much.status_code, "of this payment is left" in too_much.content.decode()) == (409, True)
    assert cashier.post(settle, {"do": "allocate", "invoice": "x"}).status_code == 409
    assert cashier.post(settle, {"do": "allocate", "invoice": str(invoice.uid)}).status_code == 302
    page = cashier.get(reverse("invoice", args=[invoice.uid])).content.decode()
    assert "Nothing is open" in page
    assert "paid</span>" in page
    assert cashier.post(settle, {"do": "take_off", "invoice": str(invoice.uid)}).status_code == 302
    assert cashier.post(settle, {"do": "withdraw", "reason": "typed twice"}).status_code == 302
    assert "Withdrawn." in cashier.get(address).content.decode()


def test_a_payment_by_hand_is_recorded_once(books: Books, cashier: Browser) -> None:
    address = reverse("invoice-pay", args=[books.acme.uid])
    assert address in cashier.get(reverse("invoice", args=[books.acme.uid])).content.decode()
    typed = {"amount": "5.00", "received_on": "2026-11-03", "method": "cash", "key": "one"}
    for _ in range(2):
        assert cashier.post(address, typed).status_code == 302
    assert Payment.objects.of(books.world.tenant).count() == 1
    assert owed_of(books.world.tenant, [books.acme.pk])[books.acme.pk].paid == Decimal(5)
    for bad in ({"amount": "0"}, {"amount": "x"}, {"method": "stripe"}, {"received_on": "31.10.2026"}, {"key": ""}):
        assert cashier.post(address, typed | {"key": "two"} | bad).status_code == 409
    draft = cashier.post(reverse("invoice-pay", args=[books.bakery.uid]), typed | {"key": "three"})
    assert draft.status_code == 409
    assert Payment.objects.of(books.world.tenant).count() == 1


@pytest.mark.parametrize(
    "content, values, sentence",
    [
        ("date,amount\n", {}, "no column for the reference"),
        ("date,amount,reference\n2026-11-03,1,x\n", {"dates": "???"}, "Choose how days"),
        ("date,amount,reference\n2026-11-03,1,x\n", {"column-date": XSS}, "no column for the date named"),
        ("date,amount,reference\n2026-11-03,1,x\n", {"seller": "x"}, "Choose one from the list"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", {}, "declares a DTD"),
    ],
)
def test_a_bad_file_is_refused(
    books: Books, cashier: Browser, content: str, values: dict[str, str], sentence: str
) -> None:
    answer = send(books, cashier, content, **values)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert XSS not in answer.content.decode()
    assert not Payment.objects.of(books.world.tenant).exists()


def test_nobody_else_sees_or_enters_payments(books: Books, cashier: Browser) -> None:
    send(books, cashier, "date,amount,reference\n2026-11-03,1,x\n")
    payment = Payment.objects.of(books.world.tenant).get()
    world = books.world
    for person, codes in (
        (world.technician, (403, 403)), (world.reseller_staff, (404, 404)), (world.stranger, (200, 404)),
    ):  # fmt: skip
        browser = browser_of(person)
        shown = [browser.get(reverse("payments")), browser.get(reverse("payment", args=[payment.uid]))]
        assert tuple(each.status_code for each in shown) == codes
        assert b"2026-11-03" not in shown[0].content
        for address in (reverse("payment-settle", args=[payment.uid]), reverse("invoice-pay", args=[books.acme.uid])):
            typed = {"do": "withdraw", "reason": "mine", "amount": "1", "received_on": "2026-11-03", "key": "k"}
            assert browser.post(address, typed | {"method": "cash"}).status_code in (403, 404)
    assert Payment.objects.of(world.tenant).get().withdrawn_at is None
    assert not PaymentAllocation.objects.of(world.tenant).exists()
