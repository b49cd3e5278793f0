"""How a tenant's incidents live, as stored: what deciding, telling and causes read alike."""

from __future__ import annotations

from datetime import timedelta

from alerts.deciding import Life
from alerts.models import AlertSettings


def load_life(tenant_id: int) -> Life:
    """How the tenant's incidents live; the defaults where nothing is set."""
    row = AlertSettings.objects.of(tenant_id).first() or AlertSettings()
    return Life(
        reopen_within=timedelta(hours=row.reopen_hours),
        flaps=row.flap_count,
        calm=timedelta(hours=row.calm_hours),
        grace=timedelta(minutes=row.grace_minutes),
    )
