"""The address that a ticket system calls: one hard to guess key a destination, kept where no tenant is known yet."""

from __future__ import annotations

import secrets

from alerts.models import Destination
from msp.tenants.models import LookupKey


def give_address(destination: Destination) -> None:
    """Make the key of a new destination, in the caller's transaction."""
    key = secrets.token_urlsafe(32)
    LookupKey.objects.create(kind="hook", value=key, tenant_id=destination.tenant_id, object_id=destination.pk)


def address_of(destination: Destination, *, base_url: str) -> str:
    """The whole address, "" for a destination that was made without one."""
    rows = LookupKey.objects.filter(kind="hook", tenant=destination.tenant_id, object_id=destination.pk)
    key = rows.values_list("value", flat=True).first()
    return f"{base_url.rstrip('/')}/hooks/{key}/" if key else ""
