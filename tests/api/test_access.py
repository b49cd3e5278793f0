"""Who may see what: each resource by an owner's key, a reseller's, a stranger's, one without the scope, and none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msp.tenants.models import ApiKey, LookupKey, Reseller, Tenant
from tests.api.conftest import Caller, Callers
from tests.api.things import MONTH, RAW_REASON, Some, Things
from tests.world import World, make_key


@dataclass(frozen=True)
class Resource:
    """One object's address. ``lists`` is the list it stands in, "" if in none."""

    path: Callable[[Some], str]
    lists: str = ""
    scope: str = "read"


RESOURCES = {
    "client": Resource(lambda some: f"/clients/{some.client.uid}", "/clients"),
    "job": Resource(lambda some: f"/jobs/{some.job.uid}", "/jobs"),
    "run": Resource(lambda some: f"/runs/{MONTH}/{some.run.uid}"),
    "runs": Resource(lambda some: f"/jobs/{some.job.uid}/runs"),
    "receipt": Resource(lambda some: f"/receipts/{some.receipt.uid}"),
    "incident": Resource(lambda some: f"/incidents/{some.incident.uid}", "/incidents"),
    "ticket": Resource(lambda some: f"/tickets/{some.ticket.uid}", "/tickets"),
    "invoice": Resource(lambda some: f"/invoices/{some.invoice.uid}", "/invoices", "billing"),
    "line": Resource(lambda some: f"/invoice-lines/{some.line.uid}/explain", scope="billing"),
    "line change": Resource(lambda some: f"/invoice-lines/{some.line.uid}/change", scope="billing"),
    "invoice change": Resource(lambda some: f"/invoices/{some.invoice.uid}/change", scope="billing"),
    "usage": Resource(lambda some: f"/usage?client={some.client.uid}&month=2026-10"),
}
LISTS = {name: resource for name, resource in RESOURCES.items() if resource.lists}


@pytest.mark.parametrize("name", RESOURCES)
def test_an_object_is_seen_by_its_own_people_only(name: str, callers: Callers, things: Things) -> None:
    resource = RESOURCES[name]
    own, resold = resource.path(things.own), resource.path(things.resold)
    assert callers.owner.get(own).status_code == 200
    assert callers.owner.get(resold).status_code == 200
    assert callers.reseller.get(resold).status_code == 200
    assert callers.reseller.get(own).status_code == 404
    assert callers.stranger.get(own).status_code == 404
    assert callers.nobody.get(own).status_code == 401


@pytest.mark.parametrize("name", RESOURCES)
def test_a_foreign_object_is_exactly_like_a_missing_one(name: str, callers: Callers, things: Things) -> None:
    path = RESOURCES[name].path(things.own)
    missing = "00000000-0000-4000-8000-000000000000"
    uid = next(part for part in path.replace("=", "/").replace("&", "/").split("/") if len(part) == 36)
    foreign, absent = callers.stranger.get(path), callers.stranger.get(path.replace(uid, missing))
    assert (foreign.status_code, foreign.content) == (absent.status_code, absent.content)
    assert foreign.status_code == 404


@pytest.mark.parametrize("name", RESOURCES)
def test_a_missing_scope_is_named(name: str, callers: Callers, things: Things) -> None:
    resource = RESOURCES[name]
    lacking = callers.biller if resource.scope == "read" else callers.reader
    answer = lacking.get(resource.path(things.own))
    assert answer.status_code == 403
    assert answer.json()["scope"] == resource.scope
    assert resource.scope in answer.json()["detail"]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_holds_what_its_caller_may_see(name: str, callers: Callers, things: Things) -> None:
    resource = RESOURCES[name]
    own, resold = (str(uid_in(resource.path(some))) for some in (things.own, things.resold))

    def listed(caller: Caller) -> set[str]:
        return {item["uid"] for item in caller.get(resource.lists).json()["items"]} & {own, resold}

    assert listed(callers.owner) == {own, resold}
    assert listed(callers.reseller) == {resold}
    assert listed(callers.stranger) == set()


def uid_in(path: str) -> str:
    return next(part for part in path.split("/") if len(part) == 36)


def test_a_server_is_seen_by_the_reseller_whose_client_it_serves(callers: Callers, world: World) -> None:
    path = f"/servers/{world.server.uid}"
    assert callers.owner.get(path).status_code == 200
    assert callers.reseller.get(path).status_code == 404
    assert callers.stranger.get(path).status_code == 404
    world.server.client = world.resold_client
    world.server.save()
    assert callers.reseller.get(path).status_code == 200


def test_the_inbox_is_empty_for_a_reseller(callers: Callers, things: Things) -> None:
    assert [item["uid"] for item in callers.owner.get("/inbox").json()["items"]] == [str(things.item.uid)]
    assert callers.reseller.get("/inbox").json()["items"] == []
    assert callers.stranger.get("/inbox").json()["items"] == []
    assert callers.biller.get("/inbox").status_code == 403


def test_a_receipt_of_two_clients_shows_a_reseller_its_own_run_and_no_reason(callers: Callers, things: Things) -> None:
    path = f"/receipts/{things.shared_receipt.uid}"
    whole, part = callers.owner.get(path).json(), callers.reseller.get(path).json()
    assert len(whole["runs"]) == 2
    assert whole["detail"] == RAW_REASON
    assert [run["client"] for run in part["runs"]] == [str(things.resold.client.uid)]
    assert RAW_REASON not in str(part)
    assert str(things.own.client.uid) not in str(part)


def test_a_reseller_never_sees_wholesale_or_the_tenants_documents(callers: Callers, things: Things) -> None:
    shown = callers.reseller.get("/invoices").json()["items"]
    assert [invoice["seller"] for invoice in shown] == ["Harbour IT Ltd"]


def test_settings_of_the_tenant_are_not_a_resellers(callers: Callers, things: Things, world: World) -> None:
    callers.owner.put(f"/rule-settings/errors/tenant/{world.tenant.uid}", {"enabled": True})
    scopes = [item["scope"] for item in callers.owner.get("/rule-settings").json()["items"]]
    assert sorted(scopes) == ["client", "client", "tenant"]
    seen = callers.reseller.get("/rule-settings").json()["items"]
    assert [item["scope_uid"] for item in seen] == [str(things.resold.client.uid)]
    assert callers.stranger.get("/rule-settings").json()["items"] == []


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/clients", {"name": "New", "code": "new"}),
    ("PATCH", "/clients/{client}", {"notes": "x"}),
    ("POST", "/servers", {"name": "new"}),
    ("PATCH", "/servers/{server}", {"timezone": "UTC"}),
    ("POST", "/servers/{server}/keys", {}),
    ("PATCH", "/jobs/{job}", {"schedule": "daily 22:00"}),
    ("POST", "/incidents/{incident}/acknowledge", {}),
    ("POST", "/incidents/{incident}/unacknowledge", {}),
    ("POST", "/incidents/{incident}/snooze", {"until": "2099-01-01T00:00:00Z"}),
    ("POST", "/incidents/{incident}/close", {"reason": "x"}),
    ("PUT", "/rule-settings/errors/client/{client}", {}),
    ("DELETE", "/rule-settings/errors/client/{client}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_changing_needs_the_scope_write(
    method: str, path: str, body: Any, callers: Callers, things: Things, world: World
) -> None:
    some = things.own
    address = path.format(client=some.client.uid, server=world.server.uid, job=some.job.uid, incident=some.incident.uid)
    refused = callers.reader.send(method, address, body=body)
    assert (refused.status_code, refused.json()["scope"]) == (403, "write")
    assert callers.nobody.send(method, address, body=body).status_code == 401
    if "{" in path:
        assert callers.stranger.send(method, address, body=body).status_code == 404
        assert callers.reseller.send(method, address, body=body).status_code == 404


def test_me_tells_any_key_about_itself(callers: Callers, world: World) -> None:
    me = callers.server.get("/me").json()
    assert me["tenant"]["name"] == "Northwind MSP"
    assert me["scopes"] == ["ingest"]
    assert callers.reseller.get("/me").json()["reseller"]["name"] == "Harbour IT"
    assert callers.nobody.get("/me").status_code == 401


class TestKeys:
    """What makes a key useless."""

    def test_unknown_and_malformed(self, world: World) -> None:
        for header in ("Bearer bl_unknown", "Bearer", "Basic abc", f"Bearer {'x' * 500}", "Bearer a b", "bl_unknown"):
            answer = Caller().get("/me", headers={"Authorization": header})
            assert answer.status_code == 401, header
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="backledger"'

    def test_revoked(self, world: World) -> None:
        key = make_key(world.tenant, "old", scopes=["read"], revoked_at=datetime.now(UTC))
        assert Caller(key).get("/me").json()["detail"] == "This key was revoked."

    def test_expired(self, world: World) -> None:
        now = datetime.now(UTC)
        expired = make_key(world.tenant, "old", scopes=["read"], expires_at=now - timedelta(seconds=1))
        assert Caller(expired).get("/me").status_code == 401
        expiring = make_key(world.tenant, "new", scopes=["read"], expires_at=now + timedelta(minutes=5))
        assert Caller(expiring).get("/me").status_code == 200

    def test_of_a_suspended_tenant(self, world: World) -> None:
        Tenant.objects.filter(pk=world.tenant.pk).update(state="suspended")
        assert Caller(world.api_key).get("/clients").status_code == 401

    def test_of_a_suspended_reseller(self, world: World, callers: Callers) -> None:
        Reseller.objects.of(world.tenant).update(state="suspended")
        assert callers.reseller.get("/clients").status_code == 401
        assert callers.owner.get("/clients").status_code == 200

    def test_whose_row_is_gone(self, world: World) -> None:
        LookupKey.objects.filter(tenant=world.tenant).update(object_id=0)
        assert Caller(world.api_key).get("/me").status_code == 401

    def test_last_use_is_noted_at_most_once_an_hour(self, world: World, callers: Callers) -> None:
        def used() -> datetime | None:
            moment: datetime | None = ApiKey.objects.of(world.tenant).get(name="program").last_used_at
            return moment

        callers.owner.get("/me")
        first = used()
        assert first is not None
        callers.owner.get("/me")
        assert used() == first
        early = first - timedelta(minutes=61)
        ApiKey.objects.of(world.tenant).filter(name="program").update(last_used_at=early)
        callers.owner.get("/me")
        assert used() != early
