"""Makes and revokes API keys: a key is shown once, its hash alone is kept; ``LookupKey`` leads from it to its tenant.

Called by whatever gives somebody a key: the API, the dashboard, commands. Each change is one transaction with its audit
entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from msp.tenants import audit
from msp.tenants.models import SCOPES, ApiKey, LookupKey, Reseller, Tenant
from msp.tenants.secrets import key_hash, new_key

PREFIX = "bl"
#: So many characters of a key are kept in the clear, for people to tell keys apart.
HINT_LENGTH = 8


@dataclass(frozen=True)
class IssuedKey:
    """A fresh key: ``secret`` is what its owner sends, known to nobody afterwards."""

    row: ApiKey
    secret: str


def issue_key(
    tenant: Tenant,
    *,
    name: str,
    scopes: Iterable[str],
    actor: str,
    now: datetime,
    server_id: int | None = None,
    reseller: Reseller | None = None,
    expires_at: datetime | None = None,
) -> IssuedKey:
    """A new key with these scopes, of a backup server or narrowed to a reseller if one is given."""
    wanted = sorted(set(scopes))
    if not wanted or not set(wanted) <= set(SCOPES):
        raise ValueError(f"scopes are some of {', '.join(SCOPES)}, not {wanted}")
    secret = new_key(PREFIX)
    with transaction.atomic():
        row = ApiKey.objects.of(tenant).create(
            name=name[:120],
            scopes=wanted,
            server_id=server_id,
            reseller=reseller,
            hint=secret[:HINT_LENGTH],
            created_at=now,
            expires_at=expires_at,
        )
        LookupKey.objects.create(kind="key", value=key_hash(secret), tenant=tenant, object_id=row.pk)
        _audit(tenant, row, "key issued", actor=actor, now=now)
    return IssuedKey(row, secret)


def replace_server_key(
    tenant: Tenant, server_id: int, *, name: str, actor: str, ends_at: datetime, now: datetime
) -> IssuedKey:
    """A new ingest key for a server; its present ones end at ``ends_at`` (``now``: at once), if not sooner."""
    with transaction.atomic():
        usable = ApiKey.objects.of(tenant).select_for_update().filter(server_id=server_id, revoked_at__isnull=True)
        for old in usable.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=ends_at)).order_by("pk"):
            end_key(tenant, old, ends_at=ends_at, actor=actor, now=now)
        return issue_key(tenant, name=name, scopes=["ingest"], server_id=server_id, actor=actor, now=now)


def end_key(tenant: Tenant, row: ApiKey, *, ends_at: datetime, actor: str, now: datetime) -> None:
    """Revoke a key at once, or let it expire at a later moment."""
    if ends_at <= now:
        row.revoked_at = now
    else:
        row.expires_at = ends_at
    with transaction.atomic():
        row.save(update_fields=["revoked_at", "expires_at"])
        _audit(tenant, row, "key revoked" if row.revoked_at else "key set to expire", actor=actor, now=now)


def _audit(tenant: Tenant, row: ApiKey, action: str, *, actor: str, now: datetime) -> None:
    ends = row.revoked_at or row.expires_at
    audit.record(
        tenant,
        actor=actor,
        action=action,
        subject_kind="key",
        subject_id=row.pk,
        subject=f"{row.name} ({row.hint}…)",
        after={"scopes": row.scopes, "ends_at": ends.isoformat() if ends else None},
        now=now,
    )
