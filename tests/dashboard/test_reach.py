"""Every page for every role: who sees what, and what lies beyond the wall is not there."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.world import make_person

LISTS = (
    "/", "/fleet/", "/clients/", "/incidents/", "/incidents/?standing=all", "/tickets/", "/tickets/?standing=stuck",
    "/search/?text=acme",
)  # fmt: skip
OBJECTS = ("client", "job", "run", "log", "incident", "ticket")


@pytest.mark.parametrize("role", ["owner", "technician", "billing"])
@pytest.mark.parametrize("address", [*LISTS, "/inbox/"])
def test_staff_see_the_lists(stage: Stage, role: str, address: str) -> None:
    response = browser_of(getattr(stage.world, role)).get(address)
    assert response.status_code == 200
    assert response["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")


@pytest.mark.parametrize("role", ["owner", "technician", "billing"])
@pytest.mark.parametrize("name", OBJECTS)
def test_staff_see_each_page(stage: Stage, role: str, name: str) -> None:
    assert browser_of(getattr(stage.world, role)).get(stage.addresses()[name]).status_code == 200


@pytest.mark.parametrize("name", OBJECTS)
def test_a_reseller_sees_its_own(stage: Stage, name: str) -> None:
    assert browser_of(stage.world.reseller_staff).get(stage.resold_addresses()[name]).status_code == 200


@pytest.mark.parametrize("name", OBJECTS)
def test_a_reseller_does_not_find_what_is_of_others(stage: Stage, name: str) -> None:
    response = browser_of(stage.world.reseller_staff).get(stage.addresses()[name])
    assert response.status_code == 404
    assert "or it is not yours to see" in response.content.decode()


@pytest.mark.parametrize("address", LISTS)
def test_a_resellers_lists_hold_its_clients_only(stage: Stage, address: str) -> None:
    page = browser_of(stage.world.reseller_staff).get(address).content.decode()
    assert stage.world.client.name not in page
    assert str(stage.incident.uid) not in page
    assert str(stage.ticket.uid) not in page


def test_a_resellers_overview_shows_its_client_and_incident(stage: Stage) -> None:
    page = browser_of(stage.world.reseller_staff).get("/").content.decode()
    assert stage.world.resold_client.name in page
    assert str(stage.resold_incident.uid) in page


@pytest.mark.parametrize("address", ["/inbox/", "item"])
def test_a_reseller_has_no_inbox(stage: Stage, address: str) -> None:
    address = f"/inbox/{stage.item.uid}/" if address == "item" else address
    assert browser_of(stage.world.reseller_staff).get(address).status_code == 404


@pytest.mark.parametrize("name", OBJECTS)
def test_a_stranger_finds_nothing(stage: Stage, name: str) -> None:
    assert browser_of(stage.world.stranger).get(stage.addresses()[name]).status_code == 404


def test_a_strangers_inbox_item_is_not_found_and_lists_are_empty(stage: Stage) -> None:
    browser = browser_of(stage.world.stranger)
    assert browser.get(f"/inbox/{stage.item.uid}/").status_code == 404
    for address in (*LISTS, "/inbox/"):
        page = browser.get(address).content.decode()
        assert stage.world.client.name not in page
        assert "Bay Bakery" not in page


@pytest.mark.parametrize("address", [*LISTS, "/inbox/"])
def test_who_is_not_logged_in_is_sent_to_the_login(stage: Stage, address: str) -> None:
    response = Browser().get(address)
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=/")


ACTIONS = ("acknowledge", "unacknowledge", "snooze", "close")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", ["billing", "reader", "reseller"])
def test_who_may_not_write_changes_nothing(stage: Stage, role: str, action: str) -> None:
    world = stage.world
    people = {"billing": world.billing, "reseller": world.reseller_staff}
    person = people.get(role) or make_person(world.tenant, "reader@northwind.example", role="reader")
    incident = stage.resold_incident
    values = {"until": "1h", "reason": "done"}
    response = browser_of(person).post(f"/incidents/{incident.uid}/{action}/", values)
    assert response.status_code == 403
    assert "may look at this but not change it" in response.content.decode()
    incident.refresh_from_db()
    assert (incident.state, incident.acknowledged_at, incident.snoozed_until) == ("open", None, None)


@pytest.mark.parametrize("role", ["billing", "reader", "reseller"])
def test_who_may_not_write_is_offered_nothing_to_write(stage: Stage, role: str) -> None:
    world = stage.world
    people = {"billing": world.billing, "reseller": world.reseller_staff}
    person = people.get(role) or make_person(world.tenant, "reader@northwind.example", role="reader")
    browser = browser_of(person)
    for address in ("/", f"/incidents/{stage.resold_incident.uid}/", f"/tickets/{stage.resold_ticket.uid}/"):
        assert "/acknowledge/" not in browser.get(address).content.decode()


@pytest.mark.parametrize("action", ACTIONS)
def test_a_stranger_cannot_act(stage: Stage, action: str) -> None:
    values = {"until": "1h", "reason": "done"}
    response = browser_of(stage.world.stranger).post(f"/incidents/{stage.incident.uid}/{action}/", values)
    assert response.status_code == 404


@pytest.mark.parametrize("action", ACTIONS)
def test_reading_an_action_is_refused(stage: Stage, action: str) -> None:
    response = browser_of(stage.world.technician).get(f"/incidents/{stage.incident.uid}/{action}/")
    assert response.status_code == 405
