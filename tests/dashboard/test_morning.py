"""The morning's page: its parts, the grid of last night, the signature, and who may see and sign."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.models import Review
from alerts.reports.reviewing import is_intact
from msp.tenants.models import AuditEntry
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.world import World, make_job


def today(world: World) -> str:
    with timezone.override(world.tenant.timezone):
        return timezone.localdate().isoformat()


def test_the_page_tells_what_is_new_open_closed_silenced_and_waiting(stage: Stage) -> None:
    world, now = stage.world, scene.now()
    at = now - timedelta(days=3)
    scene.make_incident(world.job, kind="size_drift", summary="An old one.", since=at)
    scene.make_incident(world.job, kind="quota", summary="A quiet one.", since=at, silenced_until=now + timedelta(1))
    scene.make_incident(
        world.job, kind="zeros", summary="A gone one.", since=at, state="closed", closed_at=now, close_reason="It ran."
    )
    scene.make_incident(
        world.job, kind="zeros", summary="Long gone.", since=at, state="closed", closed_at=at, close_reason="It ran."
    )
    page = scene.browser_of(world.technician).get("/morning/").content.decode()
    for words in (">New<", ">Still open<", ">Silenced<", ">Closed<", "An old one.", "A quiet one.", "A gone one.",
                  "Closed: It ran.", "1 waiting in the inbox", "2 jobs watched", "nobody told"):  # fmt: skip
        assert words in page
    assert "Long gone." not in page


def test_an_empty_morning_says_what_was_watched(world: World) -> None:
    page = scene.browser_of(world.technician).get("/morning/").content.decode()
    assert "Nothing is open" in page
    assert "1 job watched, 0 runs received" in page


def test_the_grid_shows_the_night_so_far(stage: Stage) -> None:
    page = scene.browser_of(stage.world.technician).get("/morning/").content.decode()
    assert "as far as it has come" in page


def test_a_reseller_sees_its_own_clients_and_neither_inbox_nor_signature(stage: Stage) -> None:
    world = stage.world
    page = scene.browser_of(world.reseller_staff).get("/morning/").content.decode()
    assert str(stage.resold_incident.uid) in page
    assert str(stage.incident.uid) not in page
    assert world.client.name not in page
    assert "inbox" not in page
    assert "Sign" not in page
    assert scene.browser_of(world.reseller_staff).get("/morning/reviews/").status_code == 404


def test_signing_keeps_the_list_as_it_was(stage: Stage) -> None:
    world = stage.world
    browser = scene.browser_of(world.technician)
    assert browser.post("/morning/sign/", {"day": today(world), "left": "nothing"}).status_code == 302
    review = Review.objects.of(world.tenant).get()
    assert {line["uid"] for line in review.listed} == {str(stage.incident.uid), str(stage.resold_incident.uid)}
    assert review.nothing_left
    assert review.signed_by == world.technician.email
    assert is_intact(review)
    review.note = "another"
    assert not is_intact(review)
    assert AuditEntry.objects.of(world.tenant).get(action="morning reviewed").after["digest"] == review.digest
    assert review.digest[:12] in browser.get("/morning/reviews/").content.decode()
    assert world.technician.email in browser.get("/morning/").content.decode()


def test_what_is_left_needs_a_note(stage: Stage) -> None:
    browser = scene.browser_of(stage.world.technician)
    answer = browser.post("/morning/sign/", {"day": today(stage.world), "left": "something", "note": "  "})
    assert answer.status_code == 422
    assert "Say what is left" in answer.content.decode()
    assert not Review.objects.of(stage.world.tenant).exists()


def test_a_list_of_another_day_is_not_signed(stage: Stage) -> None:
    answer = scene.browser_of(stage.world.technician).post("/morning/sign/", {"day": "2026-01-01", "left": "nothing"})
    assert answer.status_code == 409
    assert not Review.objects.of(stage.world.tenant).exists()


@pytest.mark.parametrize("person", ["billing", "reseller_staff", "stranger"])
def test_only_technicians_of_the_tenant_sign(stage: Stage, person: str) -> None:
    browser = scene.browser_of(getattr(stage.world, person))
    browser.post("/morning/sign/", {"day": today(stage.world), "left": "nothing"})
    assert not Review.objects.of(stage.world.tenant).exists()


def test_as_many_queries_however_many_incidents(stage: Stage) -> None:
    browser = scene.browser_of(stage.world.technician)
    browser.get("/morning/")
    with CaptureQueriesContext(connection) as few:
        browser.get("/morning/")
    for number in range(12):
        job = make_job(stage.world.tenant, stage.world.server, stage.world.client, f"more {number}")
        scene.make_incident(job)
    with CaptureQueriesContext(connection) as many:
        browser.get("/morning/")
    assert len(many) == len(few)


@pytest.mark.parametrize("day", ["nonsense", "2026-02-30", "9999-12-31", "0001-01-01", ""])
def test_what_is_no_day_is_today(stage: Stage, day: str) -> None:
    page = scene.browser_of(stage.world.technician).get("/morning/", {"day": day})
    assert "This morning" in page.content.decode()
