"""Restore tests that people record, and the month's verdicts as CSV."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from alerts.models import DailyVerdict, RestoreTest, SubjectState
from alerts.selection_loading import load_selection_facts
from tests.dashboard import scene
from tests.world import World


def typed(**changes: Any) -> dict[str, Any]:
    at = scene.now() - timedelta(hours=5)
    return {
        "tested_by": "Ada", "tested_at": at.strftime("%Y-%m-%dT%H:%M"), "what": "The ledger, on a spare machine.",
        "result": "good", "minutes": "12", "gigabytes": "1.5", "proof": "<b>seen</b>",
    } | changes  # fmt: skip


def address(world: World) -> str:
    return f"/selections/{world.job.selection.uid}/restore-test/"


def test_a_test_is_kept_shown_and_known_to_the_rules(world: World) -> None:
    selection_id, now = world.job.selection_id, scene.now()
    later = now + timedelta(days=9)
    SubjectState.objects.of(world.tenant).update_or_create(
        tenant=world.tenant, subject_kind="selection", subject_id=selection_id, defaults={"check_after": later}
    )
    browser = scene.browser_of(world.technician)
    assert browser.post(address(world), typed()).status_code == 302
    row = RestoreTest.objects.of(world.tenant).get()
    assert (row.seconds, row.restored_bytes, row.recorded_by) == (720, 1_500_000_000, world.technician.email)
    (facts,) = load_selection_facts(world.tenant.pk, [selection_id], now)
    assert facts.restore.good_at == row.tested_at
    assert facts.restore.seconds == 720
    clock = SubjectState.objects.of(world.tenant).get(subject_kind="selection", subject_id=selection_id)
    assert clock.check_after < later
    page = browser.get(f"/selections/{world.job.selection.uid}/").content.decode()
    assert "The ledger, on a spare machine." in page
    assert "<b>seen" not in page


@pytest.mark.parametrize(
    "changes", [{"result": "splendid"}, {"tested_at": "2099-01-01T00:00"}, {"what": ""}, {"minutes": "-1"}]
)
def test_what_cannot_be_is_refused(world: World, changes: dict[str, str]) -> None:
    assert scene.browser_of(world.technician).post(address(world), typed(**changes)).status_code == 400
    assert not RestoreTest.objects.of(world.tenant).exists()


@pytest.mark.parametrize("person", ["billing", "reseller_staff", "stranger"])
def test_only_technicians_of_the_tenant_record_one(world: World, person: str) -> None:
    answer = scene.browser_of(getattr(world, person)).post(address(world), typed())
    assert answer.status_code in (403, 404)
    assert not RestoreTest.objects.of(world.tenant).exists()


def make_verdict(world: World, night: date, *, client_id: int) -> None:
    DailyVerdict.objects.of(world.tenant).create(
        job_id=world.job.pk, night=night, client_id=client_id, selection_id=world.job.selection_id,
        server_id=world.server.pk, verdict="good", runs=1, written_at=datetime.fromisoformat("2026-11-30T00:00:00Z"),
    )  # fmt: skip


def test_the_export_holds_the_month_and_no_formula(world: World) -> None:
    world.client.name = "=1+1"
    world.client.save()
    for night in (date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30)):
        make_verdict(world, night, client_id=world.client.pk)
    answer = scene.browser_of(world.technician).get("/morning/verdicts.csv?month=2026-11")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("night,client,server,job,verdict")
    assert [line.split(",")[:2] for line in lines[1:]] == [["2026-11-01", "'=1+1"], ["2026-11-30", "'=1+1"]]
    others = scene.browser_of(world.reseller_staff).get("/morning/verdicts.csv?month=2026-11")
    assert len(others.content.decode().splitlines()) == 1
    assert scene.browser_of(world.technician).get("/morning/verdicts.csv?month=x").status_code == 404
