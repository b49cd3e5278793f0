"""Mailboxes as a person sets them up: stored, paused, removed; each change with its audit entry, of secrets only that.

Called by the dashboard and the API. A secret that is not given stays, but never goes along to another server: whoever
may change the address of a mailbox must not learn its password by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from integrations.configuration import BadConfig, config_from_json, describe
from integrations.imap import Config
from msp.channels.mailboxes import OAUTH, SECRETS, columns_of
from msp.channels.models import Mailbox
from msp.estate.models import BackupServer
from msp.estate.spans import Actor, Taken
from msp.tenants import audit
from msp.tenants.models import Tenant

EVERY_MINUTES, LONGEST_EVERY = 5, 10_080
#: Who is sent the secrets, and what is read: changes of them begin a reading anew.
SENT_TO = ("host", "port", "token_url")
PLACE = ("host", "username", "folder")


@dataclass(frozen=True)
class Wanted:
    """A mailbox as it is to be; ``values`` are those of ``integrations.imap.Config`` that were given."""

    values: Mapping[str, Any]
    server: BackupServer | None
    every_minutes: int = EVERY_MINUTES


def store_mailbox(tenant: Tenant, row: Mailbox | None, wanted: Wanted, *, actor: Actor) -> Mailbox:
    """A new mailbox (no row), or a changed one; asked at once. Raises BadConfig, Taken."""
    if not 1 <= wanted.every_minutes <= LONGEST_EVERY:
        raise BadConfig("every_minutes", f"A mailbox is asked every 1 to {LONGEST_EVERY} minutes.")
    before = told_of(row) if row is not None else None
    config = checked_config(wanted.values, row)
    values = {**columns_of(config), "server": wanted.server, "every_minutes": wanted.every_minutes}
    is_new = row is None
    row = row or Mailbox(tenant=tenant, created_at=actor.now)
    if any(getattr(row, name) != values[name] for name in PLACE):
        values |= {"uid_validity": None, "last_uid": 0}
    values |= {"check_after": actor.now, "failures": 0, "last_error": "", "claim_token": None}
    for name, value in values.items():
        setattr(row, name, value)
    try:
        with transaction.atomic():
            row.save() if is_new else row.save(update_fields=list(values))
            _audit(tenant, row, "mailbox added" if is_new else "mailbox changed", actor=actor, before=before)
    except IntegrityError:
        existing = Mailbox.objects.of(tenant).get(**{name: values[name] for name in PLACE})
        raise Taken("This folder of this mailbox is read already.", existing.uid) from None
    return row


def checked_config(values: Mapping[str, Any], row: Mailbox | None) -> Config:
    """The settings, with stored secrets where none are given. Raises BadConfig."""
    given = {item.name: values.get(item.name) for item in describe(Config)}
    given = {name: value for name, value in given.items() if value not in (None, "")}
    stored = {} if row is None else stored_values(row)
    kept = {name: stored[name] for name in SECRETS if stored.get(name) and name not in given}
    if kept and any(str(given.get(name, "")) != str(stored.get(name, "")) for name in SENT_TO):
        raise BadConfig(next(iter(kept)), "The server is another one: give the password or secret again.")
    return config_from_json(Config, kept | given)


def stored_values(row: Mailbox) -> dict[str, Any]:
    """A row as the values of a form; secrets are among them."""
    plain = {item.name: getattr(row, item.name) for item in describe(Config) if hasattr(row, item.name)}
    return {**config_defaults(), **plain, **row.oauth, **{name: row.secrets.get(name, "") for name in SECRETS}}


def config_defaults() -> dict[str, Any]:
    return {item.name: item.default for item in describe(Config) if not item.required}


def set_paused(tenant: Tenant, row: Mailbox, *, paused: bool, actor: Actor) -> None:
    """Stop asking, or ask again at once."""
    row.state, row.check_after = ("paused" if paused else "active"), actor.now
    with transaction.atomic():
        row.save(update_fields=["state", "check_after"])
        _audit(tenant, row, "mailbox paused" if paused else "mailbox resumed", actor=actor)


def remove_mailbox(tenant: Tenant, row: Mailbox, *, actor: Actor) -> None:
    """Read it no more. What was read of it stays."""
    with transaction.atomic():
        _audit(tenant, row, "mailbox removed", actor=actor, before=told_of(row))
        row.delete()


def told_of(row: Mailbox) -> dict[str, Any]:
    """The mailbox as the audit trail may keep it."""
    values = stored_values(row)
    told = {name: value for name, value in values.items() if name not in SECRETS}
    if row.auth == "password":
        told = {name: value for name, value in told.items() if name not in OAUTH}
    told |= {name: "set" for name in SECRETS if values.get(name)}
    return {**told, "server": row.server.name if row.server else None, "every_minutes": row.every_minutes}


def _audit(tenant: Tenant, row: Mailbox, action: str, *, actor: Actor, before: Mapping[str, Any] | None = None) -> None:
    audit.record(
        tenant,
        actor=actor.name,
        actor_id=actor.id,
        action=action,
        subject_kind="mailbox",
        subject_id=row.pk,
        subject=str(row),
        before=before,
        after=None if action == "mailbox removed" else {**told_of(row), "state": row.state},
        now=actor.now,
    )
