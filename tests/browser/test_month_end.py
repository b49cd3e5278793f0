"""A whole month end in a real browser: from a plan to a surprising line, its reason, its correction, and what is sent.

With ``SCREENSHOTS`` set to a folder, each station is also kept there as a picture, desktop and phone, light and dark.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from billing.mailing import deliver_document
from billing.models import Invoice, Plan
from billing.money import round_money
from msp.outbox.delivering import deliver_due
from tests.billing.months import GB
from tests.browser.conftest import OpenPage
from tests.dashboard.books import keep_books, last_month, measure_by_runs
from tests.doubles.mailbox import Mailbox
from tests.world import World, make_client, make_job

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SIZES = (("desktop", 1440), ("phone", 390))


def keep_picture(page: Page, name: str) -> None:
    """A picture of the page as it is, in every width and colour; nothing unless a folder is named."""
    folder = os.environ.get("SCREENSHOTS")
    if not folder:
        return
    for size, width in SIZES:
        for colour in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme="dark" if colour == "dark" else "light")
            page.screenshot(path=Path(folder) / f"{name}-{size}-{colour}.png", full_page=True)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")


def test_from_a_plan_to_the_replacement_of_a_surprising_line(world: World, open_page: OpenPage) -> None:
    books = keep_books(world)
    first_day, end = last_month()
    middle = first_day.replace(day=12)
    shop = make_client(world.tenant, "Corner Shop")
    job = make_job(world.tenant, world.server, shop, "till")
    before = (first_day - timedelta(days=1)).replace(day=1)
    measure_by_runs(job, before, middle, 100 * GB)
    measure_by_runs(job, middle, middle.replace(day=13), 850 * GB)
    measure_by_runs(job, middle.replace(day=13), end, 100 * GB)
    books.seller.mail = {"host": "127.0.0.1", "sender": "pay@msp.example"}
    books.seller.save()
    page = open_page(world.billing, "/billing/plans/new/")

    # a plan, and the shop on it
    page.get_by_label("Code").fill("per-gb")
    page.get_by_label("Name on the invoice").fill("Backup per GB")
    page.get_by_label("Unit price").first.fill("0.10")
    page.get_by_label("Unit price").last.fill("0.10")
    page.get_by_role("button", name="Store the plan").click()
    page.goto("/billing/subscriptions/new/")
    page.get_by_label("Who is charged for").select_option(label="Corner Shop (all its selections)")
    plan = Plan.objects.of(world.tenant).get(code="per-gb")
    page.get_by_label("Plan", exact=False).select_option(value=str(plan.uid))
    page.get_by_label("Agreement").select_option(value=str(books.agreement.uid))
    page.get_by_label("From").fill(before.isoformat())
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("The subscription is started.")).to_be_visible()

    # the month, after the one before it
    page.goto("/billing/months/")
    page.get_by_label("Month", exact=False).first.select_option(value=before.isoformat())
    page.get_by_role("button", name="Draft").click()
    expect(page.get_by_text("is drafted")).to_be_visible()
    page.goto("/billing/months/")
    page.get_by_role("button", name="Draft").click()
    expect(page.get_by_text("is drafted")).to_be_visible()
    keep_picture(page, "1-month")
    page.get_by_role("link", name="Acme Dental Ltd").first.click()
    page.get_by_text("Finalise", exact=True).click()
    page.get_by_role("button", name="Finalise").click()
    expect(page.get_by_text("is final.")).to_be_visible()
    number = page.locator("h1").inner_text().split(" · ")[0]
    keep_picture(page, "2-invoice")

    # the surprising line, and the reason
    page.get_by_text("How this amount is reached").last.click()
    working = page.locator(".working").last
    expect(working.locator(".days tbody tr").nth(11)).to_contain_text("850,000,000,000")
    working.get_by_role("link", name="Why did it change").click()
    expect(page.locator(".reasons")).to_contain_text("the largest step on 12")
    expect(page.locator("figure.two-months svg")).to_be_visible()
    keep_picture(page, "3-why")
    page.get_by_role("link", name="Working").click()
    keep_picture(page, "4-line")

    # the correction
    page.locator(".days tbody tr").nth(11).get_by_role("link", name="wrong?").click()
    expect(page.get_by_text("the day is charged by this")).to_be_visible()
    keep_picture(page, "5-wrong-day")
    page.get_by_label("The right figure").fill("100")
    page.get_by_label("Reason").fill("A copied folder was counted once more")
    page.get_by_role("button", name="void the invoice").click()
    expect(page.get_by_text("Corrected; the invoice is drafted as known now.")).to_be_visible()
    expect(page.locator(".sheet-parties")).to_contain_text(number)
    page.get_by_text("How this amount is reached").last.click()
    expect(page.locator(".working").last).to_contain_text("corrected: A copied folder was counted once more")
    keep_picture(page, "6-replacement-draft")

    # the replacement
    page.get_by_text("Finalise", exact=True).click()
    page.get_by_role("button", name="Finalise").click()
    expect(page.get_by_text("is final.")).to_be_visible()
    page.get_by_role("link", name="Verify").click()
    expect(page.get_by_text("Recomputed to the cent.")).to_be_visible()
    keep_picture(page, "7-replacement")
    replaced = Invoice.objects.of(world.tenant).get(number=number)
    final = Invoice.objects.of(world.tenant).get(replaces=replaced)
    assert (replaced.state, final.state) == ("void", "final")
    # 750 GB too much on one day of the month, at 0.10: 2.42 of 31 days, 2.50 of 30, 2.68 of 28
    assert replaced.net - final.net == round_money(Decimal(75) / (end - first_day).days, "EUR")
    assert str(final.net) == "32.0000"

    # sent
    page.goto(f"/billing/invoices/{final.uid}/")
    page.locator("#recipient").fill("books@acme.example")
    page.get_by_role("button", name="Send by mail").click()
    expect(page.get_by_text("On its way to books@acme.example")).to_be_visible()
    with Mailbox() as mailbox:
        books.seller.mail = {
            "host": mailbox.host, "port": mailbox.port, "security": "none", "sender": "Northwind <pay@msp.example>",
        }  # fmt: skip
        books.seller.save()
        in_a_minute = datetime.now(UTC) + timedelta(minutes=1)
        deliver_due({"document": partial(deliver_document, allow_private=True)}, now=lambda: in_a_minute)
        (sent,) = mailbox.messages()
    assert sent["Subject"] == f"Invoice {final.number} of Northwind MSP GmbH"
    page.reload()
    expect(page.get_by_text("taken by the server")).to_be_visible()

    # nothing is left to correct, and nothing waits
    page.goto("/billing/corrections/")
    expect(page.get_by_text("Nothing to correct")).to_be_visible()
    keep_picture(page, "8-corrections")
    page.goto("/billing/measuring/")
    keep_picture(page, "9-measuring")
