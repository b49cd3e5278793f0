"""The end of a month in a real browser: make a plan, subscribe, draft, look into the working, finalise."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from billing.models import Invoice, Plan
from tests.browser.conftest import OpenPage
from tests.dashboard.books import keep_books, last_month, measure_by_runs
from tests.world import World, make_client, make_job

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = (
    "/billing/", "/billing/months/", "/billing/plans/", "/billing/plans/new/", "/billing/subscriptions/",
    "/billing/parties/", "/settings/", "/settings/rules/", "/settings/routes/", "/settings/routes/new/",
    "/settings/destinations/new/email/", "/settings/silences/", "/settings/servers/", "/settings/people/",
    "/settings/audit/",
)  # fmt: skip


def test_from_a_plan_to_a_final_invoice(world: World, open_page: OpenPage) -> None:
    books = keep_books(world)
    fresh = make_client(world.tenant, "Corner Café")
    measure_by_runs(make_job(world.tenant, world.server, fresh, "till"), *last_month(), 121 * 10**9)
    page = open_page(world.billing, "/billing/plans/new/")
    page.get_by_label("Code").fill("bands")
    page.get_by_label("Name on the invoice").fill("Banded")
    page.get_by_label("Unit price").first.fill("0.05")
    page.get_by_label("Unit price").last.fill("0.04")
    expect(page.locator("#preview .price")).to_contain_text("5.84")
    page.get_by_role("button", name="Add a row").click()
    expect(page.get_by_label("Unit price")).to_have_count(3)
    page.get_by_role("button", name="Drop row 3").click()
    expect(page.get_by_label("Unit price")).to_have_count(2)
    page.get_by_role("button", name="Store the plan").click()
    expect(page.get_by_text("Banded, version 1, is stored.")).to_be_visible()

    page.goto("/billing/subscriptions/new/")
    page.get_by_label("Who is charged for").select_option(label="Corner Café (all its selections)")
    page.get_by_label("Plan", exact=False).select_option(value=str(Plan.objects.of(world.tenant).get(code="bands").uid))
    page.get_by_label("Agreement").select_option(value=str(books.agreement.uid))
    page.get_by_label("From").fill(books.first_day.isoformat())
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("The subscription is started.")).to_be_visible()

    page.goto("/billing/months/")
    page.get_by_role("button", name="Draft").click()
    page.get_by_role("link", name="Acme Dental Ltd").first.click()
    expect(page.locator(".sums .total")).to_contain_text("33.13")  # (22.00 + 5.84) x 1.19
    page.get_by_text("How this amount is reached").last.click()
    working = page.locator(".working").last
    expect(working).to_contain_text("21 GB x 0.04 EUR")
    expect(working.locator(".days tbody tr").first).to_contain_text("121,000,000,000")
    page.get_by_text("Finalise", exact=True).click()
    page.get_by_role("button", name="Finalise").click()
    expect(page.get_by_text("is final.")).to_be_visible()
    page.get_by_role("link", name="Verify").click()
    expect(page.get_by_text("Recomputed to the cent.")).to_be_visible()
    assert Invoice.objects.of(world.tenant).get(bill_to__legal_name="Acme Dental Ltd").state == "final"


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_a_phone(world: World, open_page: OpenPage, dark: bool) -> None:
    books = keep_books(world)
    page = open_page(world.owner, f"/billing/invoices/{books.acme.uid}/", width=390, dark=dark)
    page.get_by_text("How this amount is reached").first.click()
    widths = {"invoice": page.evaluate("document.documentElement.scrollWidth")}
    for address in (*PAGES, f"/billing/months/{books.run.uid}/"):
        page.goto(address)
        widths[address] = page.evaluate("document.documentElement.scrollWidth")
    assert {name: width for name, width in widths.items() if width > 390} == {}
