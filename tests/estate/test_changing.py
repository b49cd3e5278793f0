"""Servers and their keys, and what of a client is not dated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from msp.estate.changing import change_client, change_server, register_server, server_key_name
from msp.estate.models import BackupServer
from msp.estate.spans import Actor, BadChange, Taken
from msp.tenants.keys import issue_key, replace_server_key
from msp.tenants.models import ApiKey, AuditEntry, LookupKey
from msp.tenants.secrets import key_hash
from tests.world import World

NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
ACTOR = Actor(name="tech@northwind.example", now=NOW)

pytestmark = pytest.mark.django_db


def test_a_server_comes_with_a_key_that_leads_to_it(world: World) -> None:
    made = register_server(world.tenant, name="nas", actor=ACTOR)
    found = LookupKey.objects.get(kind="key", value=key_hash(made.key.secret))
    assert (found.tenant_id, found.object_id) == (world.tenant.pk, made.key.row.pk)
    assert (made.key.row.server_id, made.key.row.scopes) == (made.server.pk, ["ingest"])
    assert made.key.secret.startswith(made.key.row.hint)
    assert len(made.key.row.hint) < 10


def test_a_name_in_use_makes_neither_server_nor_key(world: World) -> None:
    before = ApiKey.objects.of(world.tenant).count()
    with pytest.raises(Taken) as taken:
        register_server(world.tenant, name="backup01", actor=ACTOR)
    assert taken.value.uid == world.server.uid
    assert ApiKey.objects.of(world.tenant).count() == before


def test_a_server_that_makes_jobs_has_a_client(world: World) -> None:
    with pytest.raises(BadChange, match="name it"):
        register_server(world.tenant, name="nas", new_jobs="auto", actor=ACTOR)
    with pytest.raises(BadChange):
        change_server(world.tenant, world.server.pk, {"client": None}, actor=ACTOR)
    with pytest.raises(BadChange):
        change_server(world.tenant, world.server.pk, {"new_jobs": "guess"}, actor=ACTOR)
    changed = change_server(world.tenant, world.server.pk, {"client": None, "new_jobs": "hold"}, actor=ACTOR)
    assert (changed.client_id, changed.new_jobs) == (None, "hold")


def test_only_what_differs_is_written_and_audited(world: World) -> None:
    change_server(world.tenant, world.server.pk, {"name": "backup01", "timezone": "Europe/Vienna"}, actor=ACTOR)
    entry = AuditEntry.objects.of(world.tenant).get()
    assert (entry.before, entry.after) == ({"timezone": "UTC"}, {"timezone": "Europe/Vienna"})
    change_server(world.tenant, world.server.pk, {"timezone": "Europe/Vienna"}, actor=ACTOR)
    assert AuditEntry.objects.of(world.tenant).count() == 1
    assert BackupServer.objects.of(world.tenant).get().timezone == "Europe/Vienna"


def test_a_replaced_key_ends_when_said_and_never_later_than_it_would(world: World) -> None:
    soon = NOW + timedelta(hours=2)
    short = issue_key(
        world.tenant, name="short", scopes=["ingest"], server_id=world.server.pk, expires_at=soon, actor="x", now=NOW
    )
    fresh = replace_server_key(
        world.tenant, world.server.pk, name="new", actor="x", ends_at=NOW + timedelta(days=1), now=NOW
    )
    ends = dict(ApiKey.objects.of(world.tenant).filter(server_id=world.server.pk).values_list("name", "expires_at"))
    assert ends == {"key of backup01": NOW + timedelta(days=1), "short": soon, "new": None}
    replace_server_key(world.tenant, world.server.pk, name="newer", actor="x", ends_at=NOW, now=NOW)
    usable = ApiKey.objects.of(world.tenant).filter(server_id=world.server.pk, revoked_at__isnull=True)
    assert [key.name for key in usable] == ["newer"]
    assert {short.row.pk, fresh.row.pk} <= set(
        ApiKey.objects.of(world.tenant).filter(revoked_at=NOW).values_list("pk", flat=True)
    )
    assert not ApiKey.objects.of(world.other).filter(revoked_at__isnull=False).exists()


def test_a_key_has_scopes_we_know(world: World) -> None:
    for scopes in ([], ["everything"], ["read", "root"]):
        with pytest.raises(ValueError, match="scopes"):
            issue_key(world.tenant, name="x", scopes=scopes, actor="x", now=NOW)


def test_no_secret_is_kept(world: World) -> None:
    secret = register_server(world.tenant, name="nas", actor=ACTOR).key.secret
    kept = str([list(model.objects.of(world.tenant).values()) for model in (ApiKey, AuditEntry)])
    assert secret not in kept + str(list(LookupKey.objects.values()))


def test_a_clients_terms(world: World) -> None:
    change_client(world.tenant, world.client.pk, {"quota_bytes": 5, "tickets_enabled": False}, actor=ACTOR)
    world.client.refresh_from_db()
    assert (world.client.quota_bytes, world.client.tickets_enabled) == (5, False)
    with pytest.raises(BadChange):
        change_client(world.tenant, world.client.pk, {"quota_bytes": 0}, actor=ACTOR)
    with pytest.raises(BadChange):
        change_client(world.tenant, world.client.pk, {"timezone": "Mars/Olympus"}, actor=ACTOR)


def test_dated_values_are_not_changed_here(world: World) -> None:
    with pytest.raises(TypeError, match="state"):
        change_client(world.tenant, world.client.pk, {"state": "deleted"}, actor=ACTOR)


def test_the_name_of_a_servers_key_fits(world: World) -> None:
    made = register_server(world.tenant, name="n" * 200, actor=ACTOR)
    assert made.key.row.name == server_key_name("n" * 200)
