"""The page of charges and discounts: entered, refused at the field, withdrawn, ended; by whoever may see money."""

from __future__ import annotations

from datetime import date

import pytest
from django.test import Client as Browser
from django.urls import reverse

from billing.models import InvoiceLine
from billing.models_adjusting import Discount, OneOff
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.world import World

XSS = '<script>alert("x")</script>'


@pytest.fixture
def books(world: World) -> Books:
    return keep_books(world)


@pytest.fixture
def cashier(books: Books) -> Browser:
    return browser_of(books.world.billing)


def charge(books: Books, **changes: str) -> dict[str, str]:
    return {
        "kind": "charge", "agreement": str(books.agreement.uid), "client": str(books.world.client.uid),
        "description": XSS, "amount": "120.00", "quantity": "", "unit": "", "unit_price": "", "tax_percent": "7",
        "month": "",
    } | changes  # fmt: skip


def discount(books: Books, **changes: str) -> dict[str, str]:
    return {
        "name": "Loyalty", "on": "", "agreement": str(books.agreement.uid), "percent": "10", "amount": "",
        "starts_on": books.first_day.isoformat(), "ends_on": "", "position": "",
    } | changes  # fmt: skip


def test_a_charge_is_entered_and_stands_on_the_next_draft(books: Books, cashier: Browser) -> None:
    assert cashier.post(reverse("charge-new"), charge(books)).status_code == 302
    page = cashier.get(reverse("adjustments")).content.decode()
    assert XSS not in page
    assert "120.00" in page
    assert "next invoice" in page
    books.draft_again()
    line = InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme, kind="charge")
    assert (line.amount, line.tax_rate) == (120, line.tax_rate.__class__("0.07"))
    shown = cashier.get(reverse("invoice", args=[books.acme.uid])).content.decode()
    assert "Charged once" in shown
    assert XSS not in shown
    review = cashier.get(reverse("invoice-run", args=[books.run.uid])).content.decode()
    assert "charged or credited once" in review
    assert "a draft" in cashier.get(reverse("adjustments")).content.decode()


def test_what_cannot_be_charged_is_said_at_its_field(books: Books, cashier: Browser) -> None:
    answer = cashier.post(reverse("charge-new"), charge(books, amount="1.005"))
    assert answer.status_code == 422
    assert "1.005 is finer than EUR, which has 2 decimals." in answer.content.decode()
    answer = cashier.post(reverse("charge-new"), charge(books, tax_percent="100"))
    assert "A tax rate is less than 100 %." in answer.content.decode()
    assert not OneOff.objects.of(books.world.tenant).exists()


def test_a_charge_is_withdrawn_with_a_reason(books: Books, cashier: Browser) -> None:
    cashier.post(reverse("charge-new"), charge(books))
    address = reverse("charge-withdraw", args=[OneOff.objects.of(books.world.tenant).get().uid])
    assert cashier.get(address).status_code == 200
    assert cashier.post(address, {"reason": ""}).status_code == 422
    assert cashier.post(address, {"reason": "Entered twice"}).status_code == 302
    assert "Entered twice" in cashier.get(reverse("adjustments")).content.decode()


def test_a_discount_is_given_on_a_subscription_and_ended(books: Books, cashier: Browser) -> None:
    on = f"subscription:{books.subscription.uid}"
    assert cashier.post(reverse("discount-new"), discount(books, on=on)).status_code == 302
    given = Discount.objects.of(books.world.tenant).get()
    assert given.subscription == books.subscription
    books.draft_again()
    line = InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme, kind="discount")
    # 100 x 0.10 + 150 x 0.08 = 22.00, 10 % off
    assert str(line.amount) == "-2.2000"
    assert "Acme Dental on Backup" in cashier.get(reverse("adjustments")).content.decode()
    ended = cashier.post(reverse("discount-end", args=[given.uid]), {"on": date(2099, 1, 1).isoformat()})
    assert ended.status_code == 302
    given.refresh_from_db()
    assert given.ends_on == date(2099, 1, 1)


def test_more_than_all_of_it_is_refused(books: Books, cashier: Browser) -> None:
    answer = cashier.post(reverse("discount-new"), discount(books, percent="101"))
    assert "A discount is at most 100 %" in answer.content.decode()


def test_only_whoever_sees_money_comes_in(books: Books) -> None:
    world, browser = books.world, browser_of(books.world.billing)
    browser.post(reverse("charge-new"), charge(books))
    browser.post(reverse("discount-new"), discount(books))
    one_off, given = OneOff.objects.of(world.tenant).get(), Discount.objects.of(world.tenant).get()
    addresses = [
        reverse("adjustments"), reverse("charge-new"), reverse("discount-new"),
        reverse("charge-withdraw", args=[one_off.uid]), reverse("discount-end", args=[given.uid]),
    ]  # fmt: skip
    for person, status in ((world.owner, 200), (world.technician, 403), (world.reseller_staff, 404)):
        assert {browser_of(person).get(address).status_code for address in addresses} == {status}
    stranger = browser_of(world.stranger)
    assert {stranger.get(address).status_code for address in addresses[3:]} == {404}
    assert "120.00" not in stranger.get(addresses[0]).content.decode()


def seller_form(books: Books, **changes: str) -> dict[str, str]:
    return {
        "legal_name": "Northwind MSP GmbH", "country": "DE", "number_format": "{year}-{number:05d}", "grace_days": "5",
        "late_days": "90", "late_most": "12.50",
    } | changes  # fmt: skip


def test_a_seller_says_how_late_data_is_dealt_with(books: Books, cashier: Browser) -> None:
    address = reverse("seller", args=[books.seller.uid])
    assert cashier.post(address, seller_form(books)).status_code == 302
    books.seller.refresh_from_db()
    caps = (books.seller.grace_days, books.seller.late_days, str(books.seller.late_most))
    assert caps == (5, 90, "12.5000")
    for changes, sentence in (
        ({"late_most": "-1"}, "Corrections billed unasked must be at least 0."),
        ({"late_most": "0.00001"}, "at most 4 decimals"),
        ({"grace_days": "61"}, "Days of grace must be at most 60."),
    ):
        answer = cashier.post(address, seller_form(books, **changes))
        assert answer.status_code == 422
        assert sentence in answer.content.decode()


def test_only_an_owner_makes_a_month_final_within_the_days_of_grace(books: Books, cashier: Browser) -> None:
    books.seller.grace_days = 60
    books.seller.save(update_fields=["grace_days"])
    owner, address = browser_of(books.world.owner), reverse("invoice-finalise", args=[books.acme.uid])
    shown = reverse("invoice", args=[books.acme.uid])
    assert "only an owner may make it final before that" in cashier.get(shown).content.decode()
    assert "Why not wait" in owner.get(shown).content.decode()
    assert "the seller leaves 60 days for late logs" in cashier.post(address).content.decode()
    refused = cashier.post(address, {"early_reason": "Now"})
    assert "Only an owner may make a month final before its days of grace are over." in refused.content.decode()
    assert books.fresh(books.acme).state == "draft"
    assert owner.post(address, {"early_reason": "The client closes its books"}).status_code == 302
    assert books.fresh(books.acme).state == "final"
