"""A new backup server as it is connected: with its key, the mail address it may need, and the client it may be for.

Called by the page that connects a server. All or nothing: a name that is in use leaves no new client behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.utils.text import slugify

from msp.channels.addressing import make_address
from msp.channels.models import MailAddress
from msp.estate.changing import register_server, server_key_name
from msp.estate.models import BackupServer, Client
from msp.estate.spans import Actor, BadChange, Taken, register_client
from msp.tenants.keys import IssuedKey, replace_server_key
from msp.tenants.models import ApiKey, Tenant

LONGEST_CODE = 60
#: How long a key that was used goes on working beside a new one.
GRACE = timedelta(hours=24)


@dataclass(frozen=True)
class Wanted:
    """A server as it is to be. ``new_client`` names one to be registered; ``new_jobs`` empty: as its client allows."""

    name: str
    timezone: str
    client: Client | None = None
    new_client: str = ""
    new_jobs: str = ""
    needs_address: bool = False


@dataclass(frozen=True)
class Connected:
    """The server, and its key this once."""

    server: BackupServer
    secret: str = field(repr=False)
    address: MailAddress | None


def connect_server(tenant: Tenant, wanted: Wanted, *, actor: Actor) -> Connected:
    """Raises Taken when the server's name is in use, BadChange."""
    with transaction.atomic():
        client = wanted.client or _new_client(tenant, wanted, actor=actor)
        new_jobs = wanted.new_jobs or ("auto" if client else "hold")
        made = register_server(
            tenant, name=wanted.name, timezone=wanted.timezone, new_jobs=new_jobs, client=client, actor=actor
        )
        address = make_address(tenant, made.server, actor=actor) if wanted.needs_address else None
    return Connected(made.server, made.key.secret, address)


def _new_client(tenant: Tenant, wanted: Wanted, *, actor: Actor) -> Client | None:
    """The client to be registered, its code made of its name; None where none is wanted."""
    if not wanted.new_client:
        return None
    code = slugify(wanted.new_client, allow_unicode=True)[:LONGEST_CODE].strip("-")
    if not code:
        raise BadChange("new_client", "The name of a client has at least one letter or digit.")
    try:
        return register_client(tenant, name=wanted.new_client, code=code, timezone=wanted.timezone, actor=actor)
    except Taken as taken:
        raise BadChange("new_client", f"{taken.reason} Choose it above.") from taken


def make_new_key(tenant: Tenant, server: BackupServer, *, actor: Actor) -> IssuedKey:
    """Another key, for one that was lost. Keys that were used go on working for a day, so that nothing is cut off."""
    keys = ApiKey.objects.of(tenant).filter(server_id=server.pk, revoked_at__isnull=True)
    in_use = keys.filter(last_used_at__isnull=False).exists()
    return replace_server_key(
        tenant,
        server.pk,
        name=server_key_name(server.name),
        actor=actor.name,
        ends_at=actor.now + GRACE if in_use else actor.now,
        now=actor.now,
    )
