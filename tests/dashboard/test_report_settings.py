"""The pages that set morning reports: what is refused, who may, and sending one now."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.models import Destination, MorningReport
from msp.outbox.models import Lane
from msp.tenants.models import AuditEntry
from tests.dashboard import scene
from tests.integrations.tickets.configs import email_json
from tests.world import World


def typed(world: World, **changes: Any) -> dict[str, Any]:
    destination, _ = Destination.objects.of(world.tenant).get_or_create(
        name="Mail", gateway="email", defaults={"config": email_json(25), "created_at": scene.now()}
    )
    return {
        "name": "Team", "recipients": "team@msp.example", "destination": str(destination.uid),
        "schedule": "weekdays 07:30", "timezone": "Europe/Berlin", "clients": [str(world.client.uid)], "enabled": "yes",
    } | changes  # fmt: skip


def test_a_report_is_set_changed_and_sent_now(world: World) -> None:
    browser = scene.browser_of(world.owner)
    assert browser.post("/settings/reports/new/", typed(world)).status_code == 302
    row = MorningReport.objects.of(world.tenant).get()
    assert row.client_ids == [world.client.pk]
    assert row.check_after > scene.now()
    browser.post(f"/settings/reports/{row.uid}/", typed(world, name="Day team", clients=[]))
    row.refresh_from_db()
    assert (row.name, row.client_ids) == ("Day team", [])
    assert AuditEntry.objects.of(world.tenant).filter(action="morning report set").count() == 2
    assert browser.post(f"/settings/reports/{row.uid}/send/").status_code == 302
    assert Lane.objects.of(world.tenant).get(kind="mail").object_id == row.pk
    row.refresh_from_db()
    assert row.content["jobs"] == 1
    page = browser.get("/settings/reports/").content.decode()
    assert "Day team" in page
    assert 'value="Day team"' in browser.get(f"/settings/reports/{row.uid}/").content.decode()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recipients": "nobody"}, "is not a mail address"),
        ({"recipients": ",".join(f"p{number}@msp.example" for number in range(21))}, "at most 20 addresses"),
        ({"schedule": "every 5m"}, "at most once an hour"),
        ({"schedule": "sometimes"}, "field"),
        ({"timezone": "Mars/Base"}, "is no time zone"),
        ({"destination": "00000000-0000-4000-8000-000000000000"}, "Sent through"),
    ],
)
def test_what_cannot_work_is_refused(world: World, changes: dict[str, Any], sentence: str) -> None:
    answer = scene.browser_of(world.owner).post("/settings/reports/new/", typed(world, **changes))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not MorningReport.objects.of(world.tenant).exists()


def test_a_name_is_given_once(world: World) -> None:
    browser = scene.browser_of(world.owner)
    browser.post("/settings/reports/new/", typed(world))
    answer = browser.post("/settings/reports/new/", typed(world))
    assert answer.status_code == 422
    assert "a report of this name already" in answer.content.decode()


@pytest.mark.parametrize("person", ["technician", "billing", "reseller_staff"])
def test_only_an_owner_sets_reports(world: World, person: str) -> None:
    scene.browser_of(world.owner).post("/settings/reports/new/", typed(world))
    row = MorningReport.objects.of(world.tenant).get()
    browser = scene.browser_of(getattr(world, person))
    for address in ("/settings/reports/new/", f"/settings/reports/{row.uid}/", f"/settings/reports/{row.uid}/send/"):
        assert browser.post(address, typed(world, name="Mine")).status_code in (403, 404)
    assert MorningReport.objects.of(world.tenant).get().name == "Team"
    assert not Lane.objects.of(world.tenant).filter(kind="mail").exists()


def test_an_owner_of_another_tenant_finds_none(world: World) -> None:
    scene.browser_of(world.owner).post("/settings/reports/new/", typed(world))
    row = MorningReport.objects.of(world.tenant).get()
    browser = scene.browser_of(world.stranger)
    for address in (f"/settings/reports/{row.uid}/", f"/settings/reports/{row.uid}/send/"):
        assert browser.post(address, typed(world, name="Mine")).status_code == 404
    browser.post("/settings/reports/new/", typed(world, name="Theirs"))
    assert not MorningReport.objects.of(world.other).exists()
