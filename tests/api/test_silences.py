"""Silences by the API: set, previewed, shown, ended; refused with a sentence; a reseller and a stranger find none."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.models import Silence
from tests.api.conftest import Caller, Callers
from tests.api.things import Things
from tests.world import World


def body(world: World, **changes: Any) -> dict[str, Any]:
    base = {
        "scope": "server", "scope_uid": str(world.server.uid), "starts_at": "2026-11-23T08:00:00Z",
        "ends_at": "2027-11-23T08:00:00Z", "schedule": "sun 02:00", "minutes": 240, "timezone": "Europe/Berlin",
        "reason": "Updates.",
    }  # fmt: skip
    return base | changes


def test_a_silence_is_previewed_set_shown_and_ended(world: World, api: Caller) -> None:
    shown = api.post("/silences/preview", body(world)).json()
    assert shown["windows"][0] == {"starts_at": "2026-11-29T01:00:00Z", "ends_at": "2026-11-29T05:00:00Z"}
    assert len(shown["windows"]) == 5
    assert not Silence.objects.of(world.tenant).exists()
    made = api.post("/silences", body(world))
    assert made.status_code == 201
    silence = made.json()
    assert (silence["scope_uid"], silence["quiet_now"]) == (str(world.server.uid), False)
    assert api.get("/silences").json()["items"] == [silence]
    assert api.get("/silences?scope=job").json()["items"] == []
    ended = api.post(f"/silences/{silence['uid']}/end").json()
    assert ended["ends_at"] < silence["ends_at"]
    assert api.post(f"/silences/{silence['uid']}/end").json() == ended, "ending it again changes nothing"


def test_one_that_has_not_begun_is_taken_away(world: World, api: Caller) -> None:
    later = body(world, scope="tenant", scope_uid=None, starts_at="2026-12-01T08:00:00Z")
    uid = api.post("/silences", later).json()["uid"]
    assert api.post(f"/silences/{uid}/end").status_code == 204
    assert api.get(f"/silences/{uid}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schedule": "sun 25:00"}, "schedule"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": None}, "minutes"),
        ({"ends_at": "2026-11-01T08:00:00Z"}, "ends_at"),
        ({"scope_uid": None}, "scope_uid"),
        ({"scope": "job"}, "scope_uid"),
    ],
)
def test_what_cannot_be_is_refused(world: World, api: Caller, changes: dict[str, Any], field: str) -> None:
    for path in ("/silences", "/silences/preview"):
        answer = api.post(path, body(world, **changes))
        assert answer.status_code == 422, answer.content
        assert field in answer.content.decode()
    assert not Silence.objects.of(world.tenant).exists()


def test_others_find_none(world: World, callers: Callers, things: Things) -> None:
    uid = callers.owner.post("/silences", body(world)).json()["uid"]
    for caller in (callers.reseller, callers.stranger):
        assert caller.get("/silences").json()["items"] == []
        assert caller.get(f"/silences/{uid}").status_code == 404
        assert caller.post(f"/silences/{uid}/end").status_code == 404
    assert callers.reseller.post("/silences", body(world)).status_code == 404
    assert callers.stranger.post("/silences", body(world)).status_code == 422
    assert callers.reader.post("/silences", body(world)).status_code == 403
    assert Silence.objects.of(world.tenant).count() == 1
