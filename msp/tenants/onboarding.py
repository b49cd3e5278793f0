"""Brings a tenant into being: the tenant, its branding and its first owner. Called by commands."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils.text import slugify

from msp.tenants import audit
from msp.tenants.models import Branding, Membership, Tenant, User


def onboard_tenant(
    name: str,
    *,
    owner_email: str,
    password: str,
    now: datetime,
    timezone: str = "UTC",
    currency: str = "EUR",
    observe_new: bool = True,
) -> Tenant:
    """Create the tenant and its owner; ``observe_new``: its clients and jobs start observed, until a person enables
    their tickets. Raises ZoneInfoNotFoundError for an unknown time zone.
    """
    ZoneInfo(timezone)
    with transaction.atomic():
        tenant = Tenant.objects.create(
            name=name,
            slug=free_slug(name),
            timezone=timezone,
            currency=currency,
            observe_new=observe_new,
            created_at=now,
        )
        Branding.objects.of(tenant).create(title=name)
        owner = User.objects.create_user(owner_email, password=password, name=owner_email.split("@")[0].title())
        Membership.objects.of(tenant).create(user=owner, role="owner", created_at=now)
        audit.record(tenant, actor="set-up", action="tenant created", subject_kind="tenant", subject=name, now=now)
    return tenant


def free_slug(name: str) -> str:
    """A slug of the name that no tenant has yet."""
    base = slugify(name)[:50] or "tenant"
    taken = set(Tenant.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return base if base not in taken else next(f"{base}-{n}" for n in range(2, 10_000) if f"{base}-{n}" not in taken)
