"""Loads what the rules about machines and volumes read: expectation, waivers and cover; how full, and since when.

Called by ``alerts.subjects`` for any number of rows of one tenant, always in the same number of statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts.group_facts import GroupFacts, MachineFacts
from alerts.job_loading import QUIET_CLIENT_STATES
from alerts.selection_loading import rows_of, waiver_end

#: How far back readings of a volume are looked at.
FILL_DAYS = timedelta(days=90)

# A selection in which nothing is watched covers nothing; a proposed job runs, and only waits for a decision.
MACHINES = """
SELECT machine.id, machine.client_id, client.reseller_id, tenant.name, client.name, machine.name,
       machine.machine_class, machine.expectation,
       coalesce(nullif(site.timezone, ''), nullif(client.timezone, ''), tenant.timezone),
       machine.state = 'active' AND tenant.state = 'active' AND client.state <> ALL(%(quiet)s),
       NOT client.tickets_enabled, machine.registered_at, cover.jobs, cover.heard_at,
       waiver.signed, waiver.endless, waiver.ends_on
FROM estate_machine machine
JOIN estate_client client ON client.id = machine.client_id
JOIN tenants_tenant tenant ON tenant.id = machine.tenant_id
LEFT JOIN estate_site site ON site.id = machine.site_id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE job.state IN ('active', 'proposed') AND selection.state IN ('active', 'seeding')
                            AND server.state = 'active') AS jobs,
           max(coalesce(state.heard_at, state.last_run_at)) AS heard_at
    FROM estate_selection selection
    JOIN backups_backupjob job ON job.tenant_id = selection.tenant_id AND job.selection_id = selection.id
    JOIN estate_backupserver server ON server.id = job.server_id
    LEFT JOIN backups_jobstate state ON state.job_id = job.id
    WHERE selection.tenant_id = machine.tenant_id AND selection.client_id = machine.client_id
      AND selection.machine_id = machine.id
) AS cover
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS signed, coalesce(bool_or(waived.ends_on IS NULL), false) AS endless,
           max(waived.ends_on) AS ends_on
    FROM estate_waiver waived
    WHERE waived.tenant_id = machine.tenant_id AND (
        (waived.subject_kind = 'machine' AND waived.subject_id = machine.id AND machine.expectation = 'waived')
        OR (waived.subject_kind = 'client' AND waived.subject_id = machine.client_id))
) AS waiver
WHERE machine.tenant_id = %(tenant)s AND machine.id = ANY(%(ids)s)
ORDER BY machine.id
"""

VOLUMES = """
SELECT volume.id, volume.name, server.id, server.name, server.client_id, client.reseller_id, tenant.name,
       coalesce(nullif(client.timezone, ''), tenant.timezone),
       server.state = 'active' AND tenant.state = 'active', server.registered_at,
       volume.capacity_bytes, volume.used_bytes, volume.measured_at
FROM estate_volume volume
JOIN estate_backupserver server ON server.id = volume.server_id
JOIN tenants_tenant tenant ON tenant.id = volume.tenant_id
LEFT JOIN estate_client client ON client.id = server.client_id
WHERE volume.tenant_id = %(tenant)s AND volume.id = ANY(%(ids)s)
ORDER BY volume.id
"""

READINGS = """
SELECT volume_id, measured_at, used_bytes FROM estate_volumereading
WHERE tenant_id = %(tenant)s AND volume_id = ANY(%(ids)s) AND day >= %(first)s
ORDER BY volume_id, day
"""


def load_machine_facts(tenant_id: int, ids: Collection[int], now: datetime) -> tuple[MachineFacts, ...]:
    """Facts of these machines in one statement."""
    wanted = {"tenant": tenant_id, "ids": sorted(ids), "quiet": list(QUIET_CLIENT_STATES)}
    return tuple(_machine_facts(tenant_id, row) for row in rows_of(MACHINES, wanted))


def load_volume_facts(tenant_id: int, ids: Collection[int], now: datetime) -> tuple[GroupFacts, ...]:
    """Facts of these volumes, with what their readings told, in two statements."""
    wanted = {"tenant": tenant_id, "ids": sorted(ids)}
    fill = load_fill(tenant_id, ids, now)
    return tuple(_volume_facts(tenant_id, row, fill.get(row[0], ())) for row in rows_of(VOLUMES, wanted))


def load_fill(tenant_id: int, ids: Collection[int], now: datetime) -> dict[int, tuple[tuple[datetime, int], ...]]:
    """The readings of the last weeks by volume, one a day, oldest first."""
    wanted = {"tenant": tenant_id, "ids": sorted(ids), "first": (now - FILL_DAYS).date()}
    told: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
    for volume_id, at, used in rows_of(READINGS, wanted):
        told[volume_id].append((at, used))
    return {volume_id: tuple(rows) for volume_id, rows in told.items()}


def _machine_facts(tenant_id: int, row: Sequence[Any]) -> MachineFacts:
    return MachineFacts(
        tenant_id=tenant_id,
        machine_id=row[0],
        client_id=row[1],
        reseller_id=row[2],
        tenant=row[3],
        client=row[4],
        machine=row[5],
        machine_class=row[6],
        expectation=row[7],
        zone=row[8],
        active=row[9],
        observed=row[10],
        registered_at=row[11],
        jobs=row[12],
        last_covered_at=row[13],
        waived_until=waiver_end(signed=row[14], endless=row[15], ends_on=row[16], zone=row[8]),
    )


def _volume_facts(tenant_id: int, row: Sequence[Any], fill: tuple[tuple[datetime, int], ...]) -> GroupFacts:
    return GroupFacts(
        kind="volume",
        group_id=row[0],
        name=f"{row[1]} on {row[3]}",
        tenant_id=tenant_id,
        server_id=row[2],
        client_id=row[4],
        reseller_id=row[5],
        tenant=row[6],
        zone=row[7],
        active=row[8],
        registered_at=row[9],
        capacity_bytes=row[10],
        used_bytes=row[11],
        measured_at=row[12],
        fill=fill,
    )
