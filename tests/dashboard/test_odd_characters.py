"""Texts that no database keeps, such as a NUL: searches and notes leave them out instead of failing."""

from __future__ import annotations

from datetime import date

import pytest

from alerts.models import Incident, IncidentEvent
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of

SEARCHES = (
    "/incidents/?text=", "/tickets/?text=", "/inbox/?text=", "/search/?text=", "/fleet/?text=",
    "/settings/audit/?text=", "/settings/servers/connect/?text=", "/inbox/jobs/?job_text=",
    "/billing/subscriptions/?text=",
)  # fmt: skip


@pytest.mark.parametrize("address", SEARCHES)
def test_a_search_leaves_out_what_no_text_holds(stage: Stage, address: str) -> None:
    assert browser_of(stage.world.owner).get(f"{address}a%00b%0B").status_code == 200


def test_a_log_and_an_item_are_searched(stage: Stage) -> None:
    browser = browser_of(stage.world.owner)
    assert browser.get(f"{stage.addresses()['run']}?text=a%00b").status_code == 200
    assert browser.get(f"/inbox/{stage.item.uid}/?job=a%00b").status_code == 200


@pytest.mark.parametrize(
    ("action", "name", "more"),
    [("acknowledge", "note", {}), ("snooze", "note", {"until": "1h"}), ("close", "reason", {})],
)
def test_a_note_is_kept_without_them(stage: Stage, action: str, name: str, more: dict[str, str]) -> None:
    incident = scene.make_incident(stage.world.job)
    browser = browser_of(stage.world.technician)
    answer = browser.post(f"/incidents/{incident.uid}/{action}/", {name: "the disk\x00 is\x0b full", **more})
    assert answer.status_code == 302
    told = IncidentEvent.objects.of(stage.world.tenant).filter(incident=incident).order_by("seq").last()
    assert told is not None
    assert told.text.endswith("the disk is full")


def test_so_it_is_with_several_at_once(stage: Stage) -> None:
    incident = scene.make_incident(stage.world.job)
    values = {"do": "close", "note": "known\x00", "item": [str(incident.uid)]}
    assert browser_of(stage.world.technician).post("/incidents/several/", values).status_code == 302
    assert Incident.objects.of(stage.world.tenant).get(pk=incident.pk).close_reason.endswith(": known")


def test_a_list_is_signed_and_an_item_dismissed(stage: Stage) -> None:
    browser = browser_of(stage.world.technician)
    page = browser.get("/morning/")
    day: date = page.context["day"]
    assert browser.post("/morning/sign/", {"day": day.isoformat(), "note": "left\x00 to me"}).status_code == 302
    values = {"do": "dismiss", "note": "a test\x00", "item": [str(stage.item.uid)]}
    assert browser.post("/inbox/settle/", values).status_code == 302
