"""Pull sources by the API: what keys may do, what comes out, and what never does."""

from __future__ import annotations

from typing import Any

import pytest

from msp.channels.models import PullSource
from msp.tenants.models import AuditEntry
from tests.api.conftest import Caller, Callers
from tests.integrations.pulling.benches import open_bench
from tests.world import START, World

CONFIG = {"url": "https://comet.example.com", "username": "backledger", "password": "s3cret-pass"}


def make(api: Caller, world: World, **values: Any) -> Any:
    given = {"name": "Comet", "kind": "comet", "server": str(world.server.uid), "config": CONFIG}
    answer = api.post("/pull-sources", given | values)
    assert answer.status_code == 201, answer.content
    return answer.json()


def row_of(world: World) -> PullSource:
    row: PullSource = PullSource.objects.of(world.tenant).get()
    return row


def test_a_source_is_made_changed_and_removed_without_showing_its_secret(api: Caller, world: World) -> None:
    made = make(api, world)
    assert made["config"] == {"url": CONFIG["url"], "username": "backledger", "fingerprint": ""}
    path = f"/pull-sources/{made['uid']}"
    change = {"every_minutes": 30, "config": {"username": "other"}}
    answers = [api.get(path), api.get("/pull-sources"), api.patch(path, change)]
    assert all("s3cret" not in answer.content.decode() for answer in answers)
    row = row_of(world)
    assert (row.every_minutes, row.config["username"], row.secrets) == (30, "other", {"password": "s3cret-pass"})
    assert api.patch(path, {"state": "paused"}).json()["state"] == "paused"
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    told = AuditEntry.objects.of(world.tenant).filter(subject_kind="pull source").order_by("pk")
    assert [entry.action.removeprefix("pull source ") for entry in told] == ["added", "changed", "paused", "removed"]
    assert "s3cret" not in str([(entry.before, entry.after) for entry in told])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"config": {"url": "https://evil.example"}}, "password"),
        ({"config": {"fingerprint": "ab" * 32}}, "password"),
        ({"config": {"url": "evil"}}, "password"),
        ({"config": {"url": "evil", "password": "x"}}, "url"),
        ({"config": {"pasword": "x"}}, "pasword"),
        ({"config": {"username": ""}}, "username"),
        ({"config": {"username": 7}}, "username"),
        ({"every_minutes": 0}, "every_minutes"),
        ({"name": "  "}, "name"),
        ({"kind": "urbackup"}, "kind"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(api: Caller, world: World, change: dict[str, Any], field: str) -> None:
    made = make(api, world)
    refused = api.patch(f"/pull-sources/{made['uid']}", change)
    assert refused.status_code == 422
    assert list(refused.json()["errors"]) == [field]
    assert (row_of(world).config["url"], row_of(world).secrets) == (CONFIG["url"], {"password": "s3cret-pass"})


def test_a_product_that_is_not_known_is_refused(api: Caller, world: World) -> None:
    given = {"name": "x", "kind": "acme", "server": str(world.server.uid), "config": {}}
    assert list(api.post("/pull-sources", given).json()["errors"]) == ["kind"]


def test_a_second_one_of_the_same_name_is_in_the_way(api: Caller, world: World) -> None:
    made = make(api, world)
    given = {"name": "Comet", "kind": "comet", "server": str(world.server.uid), "config": CONFIG}
    answer = api.post("/pull-sources", given)
    assert (answer.status_code, answer.json()["existing"]) == (409, made["uid"])


def test_another_address_begins_anew(api: Caller, world: World) -> None:
    made = make(api, world)
    PullSource.objects.of(world.tenant).update(cursor={"until": 5}, failures=3, last_error="x")
    path = f"/pull-sources/{made['uid']}"
    api.patch(path, {"every_minutes": 5})
    assert (row_of(world).cursor, row_of(world).failures, row_of(world).last_error) == ({"until": 5}, 0, "")
    api.patch(path, {"config": {"url": "https://new.example.com", "password": "n3w-secret"}})
    assert (row_of(world).cursor, row_of(world).secrets) == ({}, {"password": "n3w-secret"})


def test_trying_a_source_tells_who_answers_or_what_is_wrong(api: Caller, world: World) -> None:
    with open_bench("comet") as bench:
        good = make(api, world, config=dict(bench.values))
        told = api.post(f"/pull-sources/{good['uid']}/check").json()
        assert (told["good"], "Comet Server 24.9.3 answers" in told["told"]) == (True, True)
        bad = make(api, world, name="bad", config={**bench.values, **bench.wrong})
        told = api.post(f"/pull-sources/{bad['uid']}/check").json()
        assert (told["good"], "login" in told["told"], "wrong-pass" in told["told"]) == (False, True, False)


def test_pull_now_makes_it_due_unless_it_is_paused(api: Caller, world: World) -> None:
    made = make(api, world)
    late = START.replace(year=2050)
    for state, is_due in (("active", True), ("paused", False)):
        PullSource.objects.of(world.tenant).update(check_after=late, state=state)
        assert api.post(f"/pull-sources/{made['uid']}/pull").status_code == 200
        assert (row_of(world).check_after < late) is is_due


def test_others_find_nothing(callers: Callers, world: World) -> None:
    made = make(callers.owner, world)
    path = f"/pull-sources/{made['uid']}"
    for caller in (callers.reseller, callers.stranger):
        assert caller.get("/pull-sources").json()["items"] == []
        assert caller.get(path).status_code == 404
        assert caller.delete(path).status_code in (403, 404)
        assert caller.post(f"{path}/check").status_code in (403, 404)
        assert caller.post(f"{path}/pull").status_code in (403, 404)
    assert callers.reader.post("/pull-sources", {}).status_code == 403
    assert callers.nobody.get("/pull-sources").status_code == 401
    other = callers.stranger.post(
        "/pull-sources", {"name": "x", "kind": "comet", "server": str(world.server.uid), "config": CONFIG}
    )
    assert other.status_code in (403, 404)
    assert PullSource.objects.of(world.tenant).count() == 1
