"""How a tenant's incidents live: read and stored, for the dashboard and the API.

A tenant that never set anything has the defaults. After a change every open incident is looked at anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from alerts.incidents import recheck_tellings
from alerts.models import AlertSettings
from alerts.params import BadParams
from msp.estate.spans import Actor
from msp.tenants import audit
from msp.tenants.models import Tenant

#: By name: label, unit, the greatest value, and what it does.
LIFE: Mapping[str, tuple[str, str, int, str]] = {
    "reopen_hours": (
        "Reopen within", "hours", 8_784, "A problem that returns so soon reopens its incident; no other is opened."
    ),
    "flap_count": (
        "Comes and goes after", "returns", 1_000,
        "An incident that came back so often is watched for a while before it closes. 0: never.",
    ),
    "calm_hours": (
        "Watched for", "hours", 744, "For so long the problem must stay away before such an incident closes."
    ),
    "grace_minutes": (
        "Grace after a cause", "minutes", 10_080,
        "When a server, volume or site is back, what was kept under it speaks up after so long if it is still there.",
    ),
}  # fmt: skip


def find_life_settings(tenant: Tenant) -> AlertSettings:
    """The stored row, or one with the defaults that is not stored."""
    row: AlertSettings | None = AlertSettings.objects.of(tenant).first()
    return row or AlertSettings(tenant=tenant)


def put_life_settings(tenant: Tenant, values: Mapping[str, int], *, actor: Actor) -> AlertSettings:
    """Store all four. The same again changes nothing. Raises BadParams."""
    for name, (label, unit, most, _) in LIFE.items():
        if not 0 <= values[name] <= most:
            raise BadParams(name, f"{label} must be from 0 to {most:,} {unit}, not {values[name]}.")
    wanted = {name: values[name] for name in LIFE}
    with transaction.atomic():
        before = told(find_life_settings(tenant))
        row: AlertSettings
        row, _ = AlertSettings.objects.of(tenant).update_or_create(defaults=wanted)
        if before == wanted:
            return row
        audit.record(
            tenant,
            actor=actor.name,
            action="incident settings changed",
            subject_kind="tenant",
            subject_id=tenant.pk,
            subject=tenant.name,
            before=before,
            after=wanted,
            now=actor.now,
        )
        recheck_tellings(tenant.pk, now=actor.now)
    return row


def told(row: AlertSettings) -> dict[str, Any]:
    """Its four values."""
    return {name: getattr(row, name) for name in LIFE}
