"""The address that Stripe calls for a seller: a key hard to guess, kept where no tenant is known yet."""

from __future__ import annotations

import secrets

from billing.models import Seller
from msp.tenants.models import LookupKey


def address_of(seller: Seller, *, base_url: str) -> str:
    """The whole address; its key is made the first time. The caller has stored the seller."""
    rows = LookupKey.objects.filter(kind="stripe", tenant=seller.tenant_id, object_id=seller.pk).order_by("pk")
    key = rows.values_list("value", flat=True).first()
    if key is None:
        key = secrets.token_urlsafe(32)
        LookupKey.objects.create(kind="stripe", value=key, tenant_id=seller.tenant_id, object_id=seller.pk)
    return f"{base_url.rstrip('/')}/hooks/stripe/{key}/"


def seller_at(key: str) -> Seller | None:
    """Whose address this is."""
    found = LookupKey.objects.filter(kind="stripe", value=key).first()
    if found is None:
        return None
    seller: Seller | None = Seller.objects.of(found.tenant_id).filter(pk=found.object_id).first()
    return seller
