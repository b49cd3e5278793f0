"""Incidents by the API: assign, take back, accept; how incidents live; who may, and what a repeat does."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.models import AlertSettings, Incident, IncidentEvent
from msp.tenants.models import AuditEntry
from tests.api.conftest import Caller, Callers
from tests.api.things import Things
from tests.world import World

LIFE = {"reopen_hours": 48, "flap_count": 0, "calm_hours": 12, "grace_minutes": 30}


def test_assigning_twice_is_told_once(world: World, api: Caller, things: Things) -> None:
    path = f"/incidents/{things.own.incident.uid}"
    for _ in range(2):
        answer = api.post(f"{path}/assign", {"person": "Tech@northwind.example"})
        assert (answer.status_code, answer.json()["assigned_to"]) == (200, "tech@northwind.example")
    assert IncidentEvent.objects.of(world.tenant).filter(kind="assigned").count() == 1
    for _ in range(2):
        assert api.post(f"{path}/unassign").json()["assigned_to"] is None
    assert IncidentEvent.objects.of(world.tenant).filter(kind="unassigned").count() == 1


@pytest.mark.parametrize("person", ["stranger@other.example", "staff@harbour.example", "nobody@nowhere.example"])
def test_only_members_of_the_company_are_given_incidents(api: Caller, things: Things, person: str) -> None:
    assert api.post(f"/incidents/{things.own.incident.uid}/assign", {"person": person}).status_code == 409
    things.own.incident.refresh_from_db()
    assert things.own.incident.assigned_to is None


def test_accepting_is_for_what_waits_for_a_person(world: World, api: Caller, things: Things) -> None:
    path = f"/incidents/{things.own.incident.uid}/accept"
    assert api.post(path, {"reason": "Fine."}).status_code == 409
    Incident.objects.of(world.tenant).update(sticky=True)
    assert api.post(path, {"reason": ""}).status_code == 422
    for _ in range(2):
        answer = api.post(path, {"reason": "The archive moved."}).json()
        assert (answer["state"], answer["sticky"]) == ("closed", True)
        assert answer["close_reason"].startswith("Accepted by ")
    assert IncidentEvent.objects.of(world.tenant).filter(kind="closed").count() == 1


@pytest.mark.parametrize("action", ["assign", "unassign", "accept"])
def test_who_may_not_act(world: World, callers: Callers, things: Things, action: str) -> None:
    Incident.objects.of(world.tenant).update(sticky=True)
    body = {"assign": {"person": "tech@northwind.example"}, "unassign": {}, "accept": {"reason": "Fine."}}[action]
    path = f"/incidents/{things.own.incident.uid}/{action}"
    for caller, status in ((callers.reader, 403), (callers.reseller, 404), (callers.stranger, 404)):
        assert caller.post(path, body).status_code == status
    things.own.incident.refresh_from_db()
    assert (things.own.incident.state, things.own.incident.assigned_to) == ("open", None)


def test_the_cause_is_named(world: World, api: Caller, things: Things) -> None:
    Incident.objects.of(world.tenant).filter(pk=things.own.incident.pk).update(cause=things.resold.incident)
    shown = api.get(f"/incidents/{things.own.incident.uid}").json()
    assert shown["cause"] == str(things.resold.incident.uid)


def test_how_incidents_live_is_set_and_told(world: World, api: Caller) -> None:
    assert api.get("/alert-settings").json() == {
        "reopen_hours": 24, "flap_count": 3, "calm_hours": 24, "grace_minutes": 60,
    }  # fmt: skip
    for _ in range(2):
        assert api.put("/alert-settings", LIFE).json() == LIFE
    assert api.get("/alert-settings").json() == LIFE
    assert AlertSettings.objects.of(world.tenant).count() == 1
    entry = AuditEntry.objects.of(world.tenant).get(action="incident settings changed")
    assert (entry.before["flap_count"], entry.after["flap_count"]) == (3, 0)


@pytest.mark.parametrize("changes", [{"flap_count": -1}, {"reopen_hours": 10**6}, {"calm_hours": None}, {"x": 1}])
def test_impossible_lives_are_refused(world: World, api: Caller, changes: dict[str, Any]) -> None:
    assert api.put("/alert-settings", LIFE | changes).status_code == 422
    assert not AlertSettings.objects.of(world.tenant).exists()


def test_others_do_not_set_how_our_incidents_live(world: World, callers: Callers) -> None:
    assert callers.reader.put("/alert-settings", LIFE).status_code == 403
    assert callers.reseller.put("/alert-settings", LIFE).status_code == 404
    assert callers.reseller.get("/alert-settings").status_code == 404
    assert callers.stranger.put("/alert-settings", LIFE).status_code == 200
    assert not AlertSettings.objects.of(world.tenant).exists()
    assert AlertSettings.objects.of(world.other).count() == 1
