"""A person connects a real ticket system in the browser, tries it, and sees here what is done to a ticket there.

The ticket systems are the real django-helpdesk and Roundup; the line, delivery and the look at tickets are the
product's own functions, called as its workers call them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from alerts import looking
from alerts.models import Destination, Route, Ticket
from integrations.tickets import GATEWAYS
from tests.alerts.test_ticket_flow import Play
from tests.browser.conftest import OpenPage
from tests.dashboard import scene
from tests.desks import django_helpdesk, roundup
from tests.desks.running import RealDesk
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=["roundup", "django-helpdesk"])
def desk(request: pytest.FixtureRequest) -> Iterator[RealDesk]:
    start: Any = {"roundup": roundup.start, "django-helpdesk": django_helpdesk.start}[request.param]
    with start() as started:
        yield started


@pytest.fixture
def world(transactional_db: None, settings: Any) -> World:
    """The operator of this installation permits ticket systems on its own network."""
    settings.BACKLEDGER = replace(settings.BACKLEDGER, allow_private_destinations=True)
    return make_world()


def connect(page: Page, desk: RealDesk) -> None:
    """By the form, as a person fills it in."""
    gateway = GATEWAYS[desk.name]
    page.get_by_text("New destination").click()
    page.get_by_role("link", name=gateway.LABEL, exact=True).click()
    page.locator("[name=name]").fill("Our desk")
    for name, value in desk.stored.items():
        if isinstance(value, str):
            page.locator(f"[name={name}]").fill(value)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The destination is stored. Test it before you rely on it.")).to_be_visible()


def test_connect_try_see_a_ticket_closed_there_change_here(world: World, desk: RealDesk, open_page: OpenPage) -> None:
    page = open_page(world.owner, "/settings/destinations/")
    connect(page, desk)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("Our desk answers and takes this configuration.")).to_be_visible()
    page.get_by_role("button", name="Read its values").click()
    expect(page.get_by_text("The values of Our desk stand in the lists below.")).to_be_visible()
    assert page.locator("select[name=status_closed] option").count() >= 2
    page.get_by_role("button", name="Send test ticket").click()
    expect(page.get_by_text("was opened there and closed again")).to_be_visible()
    assert [seen.subject for seen in desk.tickets() if "Test ticket of Northwind MSP" in seen.subject]

    row = Destination.objects.of(world.tenant).get(name="Our desk")
    Route.objects.of(world.tenant).create(destination=row, position=1, hold_minutes=0)
    play = Play(world)
    play.now = scene.now()
    play.run("failure")
    play.deliver()
    ticket = play.ticket()
    assert ticket.confirmed_state == "open"
    there = [seen for seen in desk.tickets() if seen.id == ticket.external_id]
    assert len(there) == 1

    incident = play.incident()
    page.goto(f"/incidents/{incident.uid}/")
    expect(page.get_by_role("link", name=ticket.external_id).first).to_be_visible()
    desk.say_there(ticket.external_id, "Replaced the cable.")
    desk.close_there(ticket.external_id)
    Ticket.objects.of(world.tenant).filter(pk=ticket.pk).update(check_after=scene.now())
    assert looking.look_due(now=lambda: scene.now() + timedelta(seconds=5)) == 1

    page.reload()
    expect(page.get_by_text("The ticket was closed there.").first).to_be_visible()
    expect(page.get_by_text("Replaced the cable.").first).to_be_visible()
    page.goto(f"/tickets/{ticket.uid}/")
    expect(page.get_by_role("heading", name="Written there")).to_be_visible()
    expect(page.locator("section", has_text="Written there").get_by_text("Replaced the cable.").first).to_be_visible()
    incident.refresh_from_db()
    assert (incident.state, incident.acknowledged_by) == ("open", "Our desk")


def test_on_a_phone_the_page_of_a_destination_fits(world: World, desk: RealDesk, open_page: OpenPage) -> None:
    page = open_page(world.owner, "/settings/destinations/", width=390, height=844)
    connect(page, desk)
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert not wide
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("Our desk answers and takes this configuration.")).to_be_visible()
