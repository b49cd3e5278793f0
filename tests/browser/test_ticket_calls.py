"""What was sent and received about a ticket, in a real browser: folded up, opened by keyboard, at a phone's width."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.dashboard import scene
from tests.dashboard.test_ticket_calls import make_call
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("dark", [False, True])
def test_calls_open_and_fit_a_phone(world: World, open_page: OpenPage, dark: bool) -> None:
    scene.beat()
    ticket = scene.make_ticket(world.job)
    long = "x" * 900
    make_call(ticket, address=f"https://desk.example/{long}", request=long, answer=f'{{"title": "{long}"}}')
    page = open_page(world.technician, f"/tickets/{ticket.uid}/", width=390, dark=dark)
    calls = page.locator(".calls")
    expect(calls.locator("pre").first).to_be_hidden()
    summary = calls.locator("summary").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(calls.get_by_text("content-type: application/json")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
