"""How full a server's volumes are, and when each is full as it has filled so far: what a server's page shows.

The estimate is that of the rule "volume nearly full", from the same readings. Two statements for any number of volumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.estate_loading import load_volume_facts
from alerts.group_facts import GroupFacts
from alerts.rules.volume_full import read_fill
from alerts.wording import count_words
from msp.estate.models import BackupServer, Volume


@dataclass(frozen=True)
class VolumeShown:
    """A volume on its server's page; ``estimate`` is a day, or why there is none."""

    name: str
    used_bytes: int | None
    capacity_bytes: int | None
    free_percent: int | None
    estimate: str
    measured_at: datetime | None


def volumes_of(server: BackupServer, *, now: datetime) -> list[VolumeShown]:
    """The server's volumes by name."""
    names = dict(Volume.objects.of(server.tenant_id).filter(server=server).values_list("pk", "name"))
    facts = load_volume_facts(server.tenant_id, list(names), now) if names else ()
    return sorted((_shown(one, name=names[one.group_id]) for one in facts), key=lambda one: one.name)


def _shown(facts: GroupFacts, *, name: str) -> VolumeShown:
    fill = read_fill(facts)
    return VolumeShown(
        name=name,
        used_bytes=facts.used_bytes,
        capacity_bytes=facts.capacity_bytes,
        free_percent=None if fill is None else fill.free * 100 // fill.capacity,
        estimate=_estimate(facts),
        measured_at=facts.measured_at,
    )


def _estimate(facts: GroupFacts) -> str:
    fill = read_fill(facts)
    if fill is None:
        return "nobody tells its capacity"
    if fill.bytes_a_day is None:
        return "too few readings yet"
    full_on, left = fill.full_on(), fill.days_left()
    if full_on is None or left is None:
        return "it does not grow"
    return f"{full_on:%Y-%m-%d}, in {count_words(left, 'day')}"
