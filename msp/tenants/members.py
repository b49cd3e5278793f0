"""The people of a tenant who may be given something to do. Called by the dashboard and the API."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from msp.tenants.models import Membership


@dataclass(frozen=True)
class Member:
    """A person by name and uid."""

    uid: uuid.UUID
    name: str


def list_assignable(tenant_id: int) -> tuple[Member, ...]:
    """By name; a reseller's staff is not of the company, and whoever was shut out has nothing to do."""
    rows = Membership.objects.of(tenant_id).select_related("user").exclude(role="reseller")
    people = [row.user for row in rows.filter(user__is_active=True)]
    return tuple(sorted((Member(one.uid, str(one)) for one in people), key=lambda one: one.name.lower()))
