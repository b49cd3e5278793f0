"""Mail addresses of backup servers: made, revoked, and found again by what a mail is addressed to.

An address is ``token@domain``, or ``anything+token@domain`` for those whose mail is handed on to us or read from a
mailbox. The token is random and decides alone, whatever the domain: we take mail for nobody else and relay none.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import getaddresses
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from msp.channels.models import MailAddress
from msp.estate.models import BackupServer
from msp.estate.spans import Actor
from msp.tenants import audit
from msp.tenants.models import LookupKey, Tenant

TOKEN = re.compile(r"[a-z2-7]{20}", re.ASCII)
USED_EVERY = timedelta(hours=1)
#: Where a mail says whom it was for, most telling first.
RECIPIENT_HEADERS = (b"x-original-to", b"delivered-to", b"envelope-to", b"x-forwarded-to", b"to", b"cc", b"bcc")
MOST_RECIPIENTS = 50

FIND = """
WITH found AS (
    SELECT lookup.value, address.id, address.tenant_id, address.server_id, address.last_used_at
    FROM tenants_lookupkey lookup
    JOIN tenants_tenant tenant ON tenant.id = lookup.tenant_id AND tenant.state = 'active'
    JOIN channels_mailaddress address ON address.tenant_id = lookup.tenant_id AND address.id = lookup.object_id
    WHERE lookup.kind = 'mail' AND lookup.value = ANY(%(tokens)s) AND address.revoked_at IS NULL
      AND (%(tenant)s::bigint IS NULL OR address.tenant_id = %(tenant)s)
), used AS (
    UPDATE channels_mailaddress address SET last_used_at = %(now)s FROM found
    WHERE address.id = found.id AND address.tenant_id = found.tenant_id
      AND (found.last_used_at IS NULL OR found.last_used_at < %(late)s)
)
SELECT value, tenant_id, server_id FROM found
"""


@dataclass(frozen=True)
class Recipient:
    """Whose mail it is."""

    tenant_id: int
    server_id: int


def make_address(tenant: Tenant, server: BackupServer, *, actor: Actor) -> MailAddress:
    """A further address of this server."""
    token = base64.b32encode(secrets.token_bytes(13)).decode().lower()[:20]
    with transaction.atomic():
        row: MailAddress = MailAddress.objects.of(tenant).create(server=server, token=token, created_at=actor.now)
        LookupKey.objects.create(kind="mail", value=token, tenant=tenant, object_id=row.pk)
        _audit(tenant, row, "mail address made", actor=actor)
    return row


def revoke_address(tenant: Tenant, row: MailAddress, *, actor: Actor) -> None:
    """Mail to it is refused from now on; a second time changes nothing."""
    with transaction.atomic():
        still = MailAddress.objects.of(tenant).filter(pk=row.pk, revoked_at__isnull=True)
        if still.update(revoked_at=actor.now):
            LookupKey.objects.filter(kind="mail", value=row.token, tenant=tenant).delete()
            _audit(tenant, row, "mail address revoked", actor=actor)


def written(row: MailAddress, *, domain: str, plus: str = "") -> str:
    """The address as people write it; ``plus`` is what stands before the plus sign."""
    return f"{plus}+{row.token}@{domain}" if plus else f"{row.token}@{domain}"


def token_of(address: str) -> str | None:
    """The token in an address, None if it has the shape of none of ours."""
    local = address.strip().strip("<>").rpartition("@")[0] or address
    wanted = local.rpartition("+")[2].strip('"').lower()
    return wanted if TOKEN.fullmatch(wanted) else None


def find_recipients(tokens: Iterable[str], *, now: datetime, tenant_id: int | None = None) -> dict[str, Recipient]:
    """By token whose it is (of one tenant alone, if given); those of nobody are absent. Notes the use, to the hour."""
    wanted = sorted(set(tokens))
    if not wanted:
        return {}
    values: dict[str, Any] = {"tokens": wanted, "now": now, "late": now - USED_EVERY, "tenant": tenant_id}
    with connection.cursor() as cursor:
        cursor.execute(FIND, values)
        return {token: Recipient(tenant, server) for token, tenant, server in cursor.fetchall()}


def tokens_named(head: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """The tokens of addresses that a mail's headers name, most telling first."""
    found: dict[str, None] = {}
    for name in RECIPIENT_HEADERS:
        for address in addresses_in(head.get(name, b"")):
            token = token_of(address)
            if token is not None:
                found[token] = None
    return tuple(found)


def addresses_in(value: bytes) -> list[str]:
    """The addresses that a header names. The library reads comments and groups by a recursion: a header in which they
    lie deeper within each other than anybody writes names none.
    """
    try:
        return [address for _, address in getaddresses([value[:20_000].decode("ascii", "replace")])[:MOST_RECIPIENTS]]
    except RecursionError:
        return []


def addresses_of(tenant: Tenant, server: BackupServer) -> list[MailAddress]:
    """Those that work, oldest first."""
    rows = MailAddress.objects.of(tenant).filter(Q(server=server, revoked_at__isnull=True))
    return list(rows.order_by("pk"))


def _audit(tenant: Tenant, row: MailAddress, action: str, *, actor: Actor) -> None:
    audit.record(
        tenant,
        actor=actor.name,
        actor_id=actor.id,
        action=action,
        subject_kind="mail address",
        subject_id=row.pk,
        subject=f"{row.server.name} ({row.token[:4]}…)",
        now=actor.now,
    )
