"""The page of an incident names its cause and what is kept under it, and only what the reader may see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import Client as Browser

from alerts.kept_under import find_family
from alerts.models import Destination, Incident
from msp.estate.queries import Reach
from tests.dashboard import scene
from tests.dashboard.scene import browser_of
from tests.world import START, World


def make_incident(world: World, kind: str, subject_kind: str, subject_id: int, **values: Any) -> Incident:
    at = scene.now() - timedelta(hours=2)
    made: Incident = Incident.objects.of(world.tenant).create(
        kind=kind, subject_kind=subject_kind, subject_id=subject_id, fingerprint=f"{kind}:{subject_kind}:{subject_id}",
        severity="critical", summary=f"{kind} of {subject_id}.", since=at, opened_at=at, last_seen_at=at, **values,
    )  # fmt: skip
    return made


def browser(world: World) -> Browser:
    return browser_of(world.technician)


def test_a_cause_lists_its_symptoms_and_each_of_them_leads_back(world: World) -> None:
    cause = make_incident(world, "server_silent", "server", world.server.pk, server_id=world.server.pk)
    symptom = make_incident(
        world, "no_recent_backup", "job", world.job.pk, job_id=world.job.pk, client=world.client, cause=cause
    )
    page = browser(world).get(f"/incidents/{cause.uid}/").content.decode()
    assert "1 incident kept under this one" in page
    assert f"/incidents/{symptom.uid}/" in page
    page = browser(world).get(f"/incidents/{symptom.uid}/").content.decode()
    assert "Kept under" in page
    assert f"/incidents/{cause.uid}/" in page
    assert "kept under this one" not in page


def test_closed_ones_and_those_of_others_are_not_listed(world: World) -> None:
    cause = make_incident(world, "server_silent", "server", world.server.pk)
    at = scene.now()
    make_incident(world, "no_recent_backup", "job", 1, cause=cause, state="closed", closed_at=at, client=world.client)
    make_incident(world, "no_recent_backup", "job", 2, cause=cause, client=world.client)
    mine = make_incident(world, "no_recent_backup", "job", 3, cause=cause, client=world.resold_client)
    assert find_family(Reach(world.tenant.pk), cause.pk).number == 2
    seen = find_family(Reach(world.tenant.pk, reseller_ids=frozenset({world.reseller.pk})), cause.pk)
    assert [one.uid for one in seen.symptoms] == [mine.uid]
    assert find_family(Reach(world.tenant.pk, reseller_ids=frozenset({world.reseller.pk})), mine.pk).cause is None


def test_a_failing_destination_is_named_to_the_tenants_own_people_only(world: World) -> None:
    desk = Destination.objects.of(world.tenant).create(name="The Desk", gateway="rest", config={}, created_at=START)
    incident = make_incident(world, "destination_failing", "destination", desk.pk)
    address = f"/incidents/{incident.uid}/"
    for page in (browser(world).get(address), browser(world).get("/incidents/"), browser(world).get("/morning/")):
        assert "The Desk" in page.content.decode()
    assert browser_of(world.reseller_staff).get(address).status_code == 404
