"""Registers backup servers and changes what is not dated: a client's terms, a server's name, zone and habits.

Called by the API and the dashboard; what is dated (state, reseller, ownership) is changed by ``msp.estate.spans``. Each
change locks its row and writes its audit entry in the same transaction. Nothing is written when nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from msp.estate.models import NEW_JOBS, BackupServer, Client
from msp.estate.spans import Actor, BadChange, Taken, checked_zone, record_change
from msp.tenants.keys import IssuedKey, issue_key
from msp.tenants.models import Tenant

CLIENT_TERMS = ("name", "timezone", "quota_bytes", "tickets_enabled", "language", "notes")
SERVER_VALUES = ("name", "timezone", "state", "new_jobs", "client", "group")


@dataclass(frozen=True)
class RegisteredServer:
    """A new server and the key it posts its logs with, shown this once."""

    server: BackupServer
    key: IssuedKey


def change_client(tenant: Tenant, client_id: int, values: Mapping[str, Any], *, actor: Actor) -> Client:
    """Set some of CLIENT_TERMS. Raises BadChange."""
    _only(values, CLIENT_TERMS)
    if "timezone" in values:
        checked_zone(values["timezone"])
    quota = values.get("quota_bytes")
    if quota is not None and quota <= 0:
        raise BadChange("quota_bytes", "A quota is more than 0 bytes; leave it empty where none is agreed.")
    with transaction.atomic():
        client: Client = Client.objects.of(tenant).select_for_update(no_key=True).get(pk=client_id)
        _set(tenant, client, values, action="client changed", actor=actor)
    return client


def register_server(
    tenant: Tenant,
    *,
    name: str,
    actor: Actor,
    timezone: str = "",
    new_jobs: str = "hold",
    client: Client | None = None,
) -> RegisteredServer:
    """A new backup server with its ingest key. Raises Taken when the name is in use, BadChange."""
    zone = checked_zone(timezone or tenant.timezone)
    _check_new_jobs(new_jobs, client)
    try:
        with transaction.atomic():
            server = BackupServer.objects.of(tenant).create(
                name=name, timezone=zone, new_jobs=new_jobs, client=client, registered_at=actor.now
            )
            record_change(tenant, server, "server registered", {}, {"name": name, "new_jobs": new_jobs}, actor=actor)
            key = issue_key(
                tenant,
                name=server_key_name(name),
                scopes=["ingest"],
                server_id=server.pk,
                actor=actor.name,
                now=actor.now,
            )
    except IntegrityError:
        raise _taken(tenant, name) from None
    return RegisteredServer(server, key)


def change_server(tenant: Tenant, server_id: int, values: Mapping[str, Any], *, actor: Actor) -> BackupServer:
    """Set some of SERVER_VALUES. Raises BadChange, Taken."""
    _only(values, SERVER_VALUES)
    if "timezone" in values:
        checked_zone(values["timezone"])
    try:
        with transaction.atomic():
            server: BackupServer = (
                BackupServer.objects.of(tenant).select_for_update(of=("self",), no_key=True).get(pk=server_id)
            )
            _check_new_jobs(values.get("new_jobs", server.new_jobs), values.get("client", server.client))
            _set(tenant, server, values, action="server changed", actor=actor)
    except IntegrityError:
        raise _taken(tenant, values.get("name", "")) from None
    return server


def server_key_name(server: str) -> str:
    """What a server's own key is called in lists of keys."""
    return f"Server {server}"[:120]


def _set(tenant: Tenant, row: Any, values: Mapping[str, Any], *, action: str, actor: Actor) -> None:
    before = {name: getattr(row, name) for name in values}
    changed = [name for name, value in values.items() if before[name] != value]
    if not changed:
        return
    for name in changed:
        setattr(row, name, values[name])
    row.save(update_fields=changed)
    told = {name: _told(before[name]) for name in changed}, {name: _told(values[name]) for name in changed}
    record_change(tenant, row, action, *told, actor=actor)


def _told(value: Any) -> Any:
    """A value as the audit entry keeps it: rows by their names."""
    return value if isinstance(value, str | int | bool | None) else str(value)


def _only(values: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TypeError(f"not to be changed here: {', '.join(unknown)}")


def _check_new_jobs(new_jobs: str, client: Client | None) -> None:
    if new_jobs not in NEW_JOBS:
        raise BadChange("new_jobs", f"New jobs are dealt with by one of {', '.join(NEW_JOBS)}.")
    if new_jobs == "auto" and client is None:
        raise BadChange("client", "New jobs can only be made by themselves for a client: name it.")


def _taken(tenant: Tenant, name: str) -> Taken:
    existing = BackupServer.objects.of(tenant).get(name=name)
    return Taken(f'There is a backup server named "{name}" already.', existing.uid)
