"""Pull sources as a person sets them up: stored, paused, asked now, removed; each change with its audit entry.

Called by the dashboard and the API. A secret that is not given stays, but never goes along to another address: whoever
may change the address of a source must not learn its password by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from integrations.configuration import BadConfig, config_from_json, describe
from integrations.errors import PermanentFailure
from msp.channels.models import PullSource
from msp.channels.pulling import columns_of, connector_of
from msp.estate.models import BackupServer
from msp.estate.spans import Actor, Taken
from msp.tenants import audit
from msp.tenants.models import Tenant

EVERY_MINUTES, LONGEST_EVERY = 10, 10_080
LONGEST_NAME = 200
#: Who is sent the secrets: with another one they must be given again, and reading begins anew.
SENT_TO = ("url", "fingerprint")


@dataclass(frozen=True)
class Wanted:
    """A source as it is to be; ``values`` are those of its connector's ``Config`` that were given."""

    name: str
    values: Mapping[str, Any]
    server: BackupServer
    every_minutes: int = EVERY_MINUTES


def store_source(tenant: Tenant, row: PullSource | None, kind: str, wanted: Wanted, *, actor: Actor) -> PullSource:
    """A new source (no row) of this kind, or a changed one; asked at once. Raises BadConfig, Taken."""
    check_wanted(kind, wanted)
    before = told_of(row) if row is not None else None
    columns = columns_of(checked_config(kind, wanted.values, row))
    values: dict[str, Any] = {
        **columns,
        "name": wanted.name.strip(),
        "server": wanted.server,
        "every_minutes": wanted.every_minutes,
        "check_after": actor.now,
        "failures": 0,
        "last_error": "",
        "claim_token": None,
    }
    is_new = row is None
    if row is None:
        row = PullSource(tenant=tenant, kind=kind, created_at=actor.now)
    elif row.config.get("url") != columns["config"].get("url"):
        values["cursor"] = {}
    for name, value in values.items():
        setattr(row, name, value)
    try:
        with transaction.atomic():
            row.save() if is_new else row.save(update_fields=list(values))
            _audit(tenant, row, "pull source added" if is_new else "pull source changed", actor=actor, before=before)
    except IntegrityError:
        existing = PullSource.objects.of(tenant).get(name=values["name"])
        raise Taken("Another pull source has this name.", existing.uid) from None
    return row


def check_wanted(kind: str, wanted: Wanted) -> None:
    """Raises BadConfig."""
    try:
        connector_of(kind)
    except PermanentFailure as failure:
        raise BadConfig("kind", failure.reason) from None
    if not 1 <= wanted.every_minutes <= LONGEST_EVERY:
        raise BadConfig("every_minutes", f"A source is asked every 1 to {LONGEST_EVERY} minutes.")
    if not 1 <= len(wanted.name.strip()) <= LONGEST_NAME:
        raise BadConfig("name", f"The source needs a name of at most {LONGEST_NAME} characters.")


def checked_config(kind: str, values: Mapping[str, Any], row: PullSource | None) -> Any:
    """The settings, with stored secrets where none are given. Raises BadConfig."""
    config_class = connector_of(kind).Config
    names = {item.name for item in describe(config_class)}
    for name in values:
        if name not in names:
            raise BadConfig(name, f"There is no such setting; known are {', '.join(sorted(names))}.")
    given = {name: value for name, value in values.items() if value not in (None, "")}
    stored = {} if row is None else row.secrets
    kept = {name: secret for name, secret in stored.items() if name not in given and name in names}
    if row is not None and kept and any((given.get(name) or "") != row.config.get(name, "") for name in SENT_TO):
        raise BadConfig(next(iter(kept)), "The address or its certificate is another one: give the secret again.")
    return config_from_json(config_class, kept | given)


def set_paused(tenant: Tenant, row: PullSource, *, paused: bool, actor: Actor) -> None:
    """Stop asking, or ask again at once."""
    row.state, row.check_after = ("paused" if paused else "active"), actor.now
    with transaction.atomic():
        row.save(update_fields=["state", "check_after"])
        _audit(tenant, row, "pull source paused" if paused else "pull source resumed", actor=actor)


def ask_now(tenant: Tenant, row: PullSource, *, actor: Actor) -> bool:
    """Make it due, unless it is paused or being asked this moment; answers whether it is due now."""
    due = PullSource.objects.of(tenant).filter(pk=row.pk, state="active", claim_token__isnull=True)
    return bool(due.update(check_after=actor.now))


def remove_source(tenant: Tenant, row: PullSource, *, actor: Actor) -> None:
    """Ask it no more. What was fetched stays."""
    with transaction.atomic():
        _audit(tenant, row, "pull source removed", actor=actor, before=told_of(row))
        row.delete()


def told_of(row: PullSource) -> dict[str, Any]:
    """The source as the audit trail may keep it."""
    shown = {"name": row.name, "kind": row.kind, "server": row.server.name, "every_minutes": row.every_minutes}
    return {**shown, **row.config, **dict.fromkeys(row.secrets, "set")}


def _audit(
    tenant: Tenant, row: PullSource, action: str, *, actor: Actor, before: Mapping[str, Any] | None = None
) -> None:
    audit.record(
        tenant,
        actor=actor.name,
        actor_id=actor.id,
        action=action,
        subject_kind="pull source",
        subject_id=row.pk,
        subject=str(row),
        before=before,
        after=None if action == "pull source removed" else {**told_of(row), "state": row.state},
        now=actor.now,
    )
