"""Trying a setting of a rule by the API: bounded by the caller's reach, with the read scope, storing nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.models import RuleSetting
from msp.backups.models import BackupJob
from tests.api.conftest import NOW, Caller
from tests.dashboard.scene import make_run
from tests.world import World, make_job, make_key

PATH = "/rules/no_recent_backup/preview"


@pytest.fixture
def gapped(world: World) -> BackupJob:
    """A good run each night at 22:00, but none on 24 and 25 October."""
    for day in range(1, 70):
        if day not in (29, 30):
            make_run(world.job, at=(NOW - timedelta(days=day)).replace(hour=22))
    return world.job


def sent(world: World, **values: Any) -> dict[str, Any]:
    return {"scope": "client", "scope_uid": str(world.client.uid), **values}


def test_both_sides_and_each_difference_are_told(api: Caller, world: World, gapped: BackupJob) -> None:
    told = api.post(PATH, sent(world, parameters={"tolerance_hours": 80})).json()
    assert (told["jobs"], told["counted"], told["note"]) == (1, 1, "")
    assert told["today"] == {"opened": 1, "closed": 1, "open_now": 0, "jobs": 1, "clients": 1}
    assert told["proposed"] == {"opened": 0, "closed": 0, "open_now": 0, "jobs": 0, "clients": 0}
    (one,) = told["differences"]
    assert (one["job_uid"], one["flagged"]) == (str(gapped.uid), False)
    assert (one["opened_at"], one["closed_at"]) == ("2026-10-25T01:00:00Z", "2026-10-26T22:00:00Z")
    assert one["because"].startswith("No good backup since Fri 23 Oct 2026")
    assert len(told["days"]) == 91
    assert not RuleSetting.objects.of(world.tenant).exists()


def test_a_key_that_may_only_read_may_try(world: World, gapped: BackupJob) -> None:
    reader = Caller(make_key(world.tenant, "reader", scopes=["read"]))
    assert reader.post(PATH, sent(world)).status_code == 200
    assert Caller(make_key(world.tenant, "sender", scopes=["ingest"])).post(PATH, sent(world)).status_code == 403


def test_a_reseller_tries_its_own_clients_and_a_stranger_none(world: World) -> None:
    make_job(world.tenant, world.server, world.resold_client, "mail")
    reseller = Caller(make_key(world.tenant, "harbour", scopes=["read"], reseller=world.reseller))
    stranger = Caller(make_key(world.other, "stranger", scopes=["read"]))
    tenant = {"scope": "tenant", "scope_uid": str(world.tenant.uid)}
    assert reseller.post(PATH, sent(world)).status_code == reseller.post(PATH, tenant).status_code == 404
    own = reseller.post(PATH, sent(world, scope_uid=str(world.resold_client.uid)))
    assert (own.status_code, own.json()["jobs"]) == (200, 1)
    assert stranger.post(PATH, sent(world)).status_code == stranger.post(PATH, tenant).status_code == 404


def test_what_cannot_be_tried_says_why(api: Caller, world: World) -> None:
    told = api.post("/rules/quota_overrun/preview", sent(world)).json()
    assert (told["counted"], told["days"]) == (0, [])
    assert "cannot be tried on the past: it is about a client" in told["note"]


def test_bad_values_and_unknown_rules_are_refused(api: Caller, world: World) -> None:
    refused = api.post(PATH, sent(world, parameters={"tolerance_hours": 0}))
    assert refused.status_code == 422
    assert "from 1 to 8784 hours" in refused.json()["errors"]["parameters"]["tolerance_hours"][0]
    assert api.post("/rules/weather/preview", sent(world)).status_code == 404
