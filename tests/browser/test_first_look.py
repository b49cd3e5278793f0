"""What a technician does in the morning, in a real browser: look, acknowledge, read the log; by keyboard, by phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.dashboard import scene
from tests.dashboard.conftest import Stage, run_address, stage
from tests.world import World, make_client, make_job

__all__ = ["stage"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def fleet(world: World, stage: Stage) -> Stage:
    """Names as long as people make them, so that a narrow page is put to the test."""
    client = make_client(world.tenant, "Donaudampfschifffahrtselektrizitätenhauptwerkbau GmbH & Co")
    job = make_job(world.tenant, world.server, client, "/srv/with/a/very/long/path/without/any/space/in/it/at/all")
    for day in range(1, 29):
        scene.make_run(job, at=scene.now() - timedelta(days=day), protected_bytes=10**11 + day * 10**9)
    scene.make_incident(job, kind="no_recent_backup", summary="No good backup since " + "x" * 90 + ".")
    return stage


def test_log_in_look_and_acknowledge(fleet: Stage, open_page: OpenPage) -> None:
    page = open_page(fleet.world.technician, "/")
    expect(page.get_by_role("heading", name="need somebody")).to_be_visible()
    row = page.locator(f"#incident-{fleet.incident.uid}")
    row.get_by_role("button", name="Acknowledge").click()
    expect(row.get_by_text("tech@northwind.example")).to_be_visible()
    expect(row.get_by_role("button", name="Give back")).to_be_visible()
    fleet.incident.refresh_from_db()
    assert fleet.incident.acknowledged_by == "tech@northwind.example"


def test_putting_off_from_the_menu(fleet: Stage, open_page: OpenPage) -> None:
    page = open_page(fleet.world.technician, "/")
    row = page.locator(f"#incident-{fleet.incident.uid}")
    row.locator("summary").click()
    row.get_by_role("button", name="4 hours").click()
    expect(row.get_by_text("put off")).to_be_visible()
    fleet.incident.refresh_from_db()
    assert fleet.incident.snoozed_until is not None
    assert fleet.incident.snoozed_until > scene.now() + timedelta(hours=3)


def test_the_fleet_is_filtered_while_typing(fleet: Stage, open_page: OpenPage) -> None:
    page = open_page(fleet.world.technician, "/")
    rows = page.locator("#fleet tbody tr")
    expect(rows).to_have_count(3)
    page.locator("#fleet-text").press_sequentially("acme")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Acme Dental")


def test_the_log_viewer_shows_the_telling_line(fleet: Stage, open_page: OpenPage) -> None:
    page = open_page(fleet.world.technician, run_address(fleet.run))
    telling = page.locator(".log .telling")
    expect(telling).to_have_count(1)
    expect(telling).to_contain_text("input/output error")
    page.get_by_label("Search in the log").fill("snapshot")
    page.get_by_label("Search in the log").press("Enter")
    expect(page.locator(".log mark")).to_have_text("snapshot")


def test_the_keyboard_is_enough(fleet: Stage, open_page: OpenPage) -> None:
    page = open_page(fleet.world.technician, "/")
    page.keyboard.press("j")
    expect(page.locator("[data-row].at")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("acme")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="“acme”")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page.get_by_role("heading", name="Incidents", exact=True)).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="History")).to_be_visible()


def test_the_first_tab_stop_skips_to_the_content(fleet: Stage, open_page: OpenPage) -> None:
    page = open_page(fleet.world.technician, "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_page_scrolls_sideways_on_a_phone(fleet: Stage, open_page: OpenPage, width: int) -> None:
    page = open_page(fleet.world.technician, "/", width=width, height=844)
    lists = ("/", "/clients/", "/incidents/", "/tickets/", "/inbox/", "/search/?text=e", f"/inbox/{fleet.item.uid}/")
    for address in (*lists, *(one for one in fleet.addresses().values() if not one.endswith("txt"))):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    assert page.locator(".bottom-nav").is_visible() == (width <= 820)


def test_dark_is_dark_and_the_choice_stays(fleet: Stage, open_page: OpenPage) -> None:
    page = open_page(fleet.world.technician, "/", dark=True)
    assert brightness(page) < 60
    assert len(page.screenshot()) > 10_000
    page.get_by_role("button", name="Light or dark").first.click()
    assert brightness(page) > 200
    page.reload()
    assert brightness(page) > 200


def brightness(page: Page) -> float:
    """Of the page's ground, 0 to 255."""
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    parts = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    return sum(parts) / 3
