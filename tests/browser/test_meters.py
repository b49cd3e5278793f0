"""Meters and prices in a real browser: settings appear as one chooses; other meters are compared, on a phone too."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from billing.models import InvoiceLine, Plan
from tests.browser.conftest import OpenPage
from tests.dashboard.books import keep_books
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_settings_of_a_meter_and_a_price_appear_when_they_are_chosen(world: World, open_page: OpenPage) -> None:
    keep_books(world)
    page = open_page(world.billing, "/billing/plans/new/")
    page.get_by_label("Code").fill("machines")
    page.get_by_label("Name on the invoice").fill("Machines")
    page.locator("#f-meter").select_option("count")
    page.locator("#f-meter-things").select_option("machines")
    page.locator("#f-meter-days").select_option("peak")
    page.locator("#f-unit").select_option("each")
    page.locator("#f-price").select_option("committed")
    page.get_by_label("Committed quantity").fill("5")
    page.get_by_label("Unit price").fill("9.90")
    page.get_by_label("Overage price").fill("12")
    page.locator("#preview-size").fill("7")
    expect(page.locator("#preview .price")).to_contain_text("73.50")  # 5 x 9.90 + 2 x 12
    page.get_by_role("button", name="Store the plan").click()
    expect(page.get_by_text("Machines, version 1, is stored.")).to_be_visible()
    plan = Plan.objects.of(world.tenant).get(code="machines")
    assert (plan.meter_params, plan.price) == ({"things": "machines", "days": "peak"}, "committed")


@pytest.mark.parametrize("dark", [False, True])
def test_other_meters_are_compared_and_nothing_is_wider_than_a_phone(
    world: World, open_page: OpenPage, dark: bool
) -> None:
    books = keep_books(world)
    line = InvoiceLine.objects.of(world.tenant).get(invoice=books.acme)
    page = open_page(world.billing, reverse("invoice", args=[books.acme.uid]), width=390, dark=dark)
    page.get_by_role("link", name="By other meters").click()
    expect(page.get_by_text("The whole document, net")).to_be_visible()
    expect(page.locator("tr", has_text="95th percentile").first).to_contain_text("22.00")
    widths = {"document": page.evaluate("document.documentElement.scrollWidth")}
    page.goto(reverse("invoice-line", args=[books.acme.uid, line.uid]))
    expect(page.locator("#meters")).to_contain_text("Cumulative unique")
    widths["line"] = page.evaluate("document.documentElement.scrollWidth")
    assert {name: width for name, width in widths.items() if width > 390} == {}
