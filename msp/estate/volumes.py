"""Keeps how full a server's volumes are: the newest figures on the volume, one reading a day beside it.

Called by the API and by the polling of pull sources, which then make the volume's clock due. A volume is made when it
is told of first. A reading that is older than the newest known changes that day's row at most, never the volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from msp.estate.models import BackupServer, Volume, VolumeReading
from msp.estate.spans import BadChange
from msp.tenants.models import Tenant

#: Sizes fit the database's eight bytes.
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Fill:
    """How full one volume of a server was; ``capacity_bytes`` None where it is not told."""

    name: str
    used_bytes: int
    capacity_bytes: int | None
    measured_at: datetime


def keep_readings(tenant: Tenant, server: BackupServer, readings: Sequence[Fill], *, now: datetime) -> list[Volume]:
    """Store these readings; answers their volumes. Raises BadChange, then nothing is stored."""
    for one in readings:
        _check(one, now=now)
    with transaction.atomic():
        return [_keep(tenant, server, one) for one in sorted(readings, key=lambda one: (one.name, one.measured_at))]


def _keep(tenant: Tenant, server: BackupServer, one: Fill) -> Volume:
    volume, _ = Volume.objects.of(tenant).get_or_create(server=server, name=one.name)
    locked: Volume = Volume.objects.of(tenant).select_for_update().get(pk=volume.pk)
    if locked.measured_at is None or locked.measured_at <= one.measured_at:
        locked.used_bytes, locked.measured_at = one.used_bytes, one.measured_at
        locked.capacity_bytes = one.capacity_bytes if one.capacity_bytes is not None else locked.capacity_bytes
        locked.save(update_fields=["used_bytes", "measured_at", "capacity_bytes"])
    day = one.measured_at.astimezone(ZoneInfo(tenant.timezone)).date()
    values = {"measured_at": one.measured_at, "used_bytes": one.used_bytes, "capacity_bytes": one.capacity_bytes}
    reading, made = VolumeReading.objects.of(tenant).get_or_create(volume=locked, day=day, defaults=values)
    if not made and reading.measured_at <= one.measured_at:
        VolumeReading.objects.of(tenant).filter(pk=reading.pk).update(**values)
    return locked


def _check(one: Fill, *, now: datetime) -> None:
    if not one.name.strip() or len(one.name) > 200:
        raise BadChange("name", "A volume has a name of at most 200 letters.")
    if not 0 <= one.used_bytes <= LARGEST:
        raise BadChange("used_bytes", "What is used is a whole number of bytes, 0 or more.")
    if one.capacity_bytes is not None and not 0 < one.capacity_bytes <= LARGEST:
        raise BadChange(
            "capacity_bytes", "A capacity is a whole number of bytes, more than 0; leave it out if unknown."
        )
    if one.measured_at > now:
        raise BadChange("measured_at", "The reading lies in the future: check the clock of whoever sent it.")
