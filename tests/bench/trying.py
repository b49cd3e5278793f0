"""Measures the preview of a rule: ninety days of runs of many jobs, loaded and worked out by both settings.

The jobs ran each night; one night in 37 failed, so that both sides find incidents on most jobs. Half of them have a
schedule. Older runs than the period are there as well, as they would be.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from alerts.inheritance import Setting
from alerts.previewing import DAYS, Preview, Proposal, Reachable, preview
from msp.partitions import ensure_partitions
from tests.bench.estate import JOBS, make_routed_tenant
from tests.world import START, make_client, make_server

NIGHTS = 105


@dataclass(frozen=True)
class Tried:
    """``runs`` of the period, of ``jobs``; ``differ`` is on how many of them both settings flag differently."""

    rule: str
    jobs: int
    runs: int
    differ: int
    seconds: float


RUNS = """
INSERT INTO backups_jobrun (uid, tenant_id, filed_month, job_id, selection_id, client_id, receipt_id, place, run_key,
    revision, operation, action, outcome, good, measurable, started_at, ended_at, time_told, duration_seconds,
    protected_bytes, transferred_bytes, sources, basis, product, product_version, host, archive, files, errors,
    errors_total, components, problems, notes, recorded_at)
SELECT gen_random_uuid(), job.tenant_id, date_trunc('month', run.at AT TIME ZONE 'UTC')::date, job.id, job.selection_id,
    %(client)s, night, 0, 'night ' || night, 0, 'backup', '', CASE WHEN run.bad THEN 'failure' ELSE 'success' END,
    NOT run.bad, NOT run.bad, run.at - interval '20 minutes', run.at, true, 1200, 1000000000 + night * 1000000,
    50000000, '{}', 'logical', 'restic', '', '', '', '{}', '[]', 0, '[]', '[]', '[]', run.at
FROM generate_series(%(nights)s, 1, -1) AS night, backups_backupjob job, LATERAL (
    SELECT date_trunc('day', %(now)s::timestamptz)
               - make_interval(days => night, secs => -78000 - job.id %% 3000) AS at,
           (job.id * 7 + night * 13) %% 37 = 0 AS bad) AS run
WHERE job.tenant_id = %(tenant)s
"""


def run_previews(*, jobs: int) -> tuple[Tried, ...]:
    """Two rules: one by its deadlines, one by its rows of failures."""
    now = datetime.now(UTC)
    tenant_id = make_history(jobs=jobs, now=now)
    return (
        try_rule(tenant_id, "no_recent_backup", {"tolerance_hours": 50}, jobs=jobs, now=now),
        try_rule(tenant_id, "errors", {"failures": 2}, jobs=jobs, now=now),
    )


def make_history(*, jobs: int, now: datetime) -> int:
    """Jobs in a tenant of their own, with their nights."""
    for days in range(0, NIGHTS + 31, 28):
        ensure_partitions(now - timedelta(days=days))
    tenant = make_routed_tenant("Bench preview")
    client = make_client(tenant, "Client")
    server, _ = make_server(tenant, "backup00", client=client)
    scope: dict[str, Any] = {"tenant": tenant.pk, "client": client.pk, "server": server.pk, "start": START, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(JOBS, scope | {"number": jobs, "last": now, "check": now + timedelta(days=1)})
        cursor.execute(
            "UPDATE backups_backupjob SET schedule = 'daily 21:30' WHERE tenant_id = %s AND id %% 2 = 0", [tenant.pk]
        )
        cursor.execute(RUNS, scope | {"nights": NIGHTS})
        cursor.execute("ANALYZE")
    return int(tenant.pk)


def try_rule(tenant_id: int, kind: str, parameters: dict[str, int], *, jobs: int, now: datetime) -> Tried:
    """Time one preview. Raises RuntimeError when a job was not counted."""
    setting = Setting(kind=kind, scope="tenant", scope_id=tenant_id, parameters=parameters)
    reach = Reachable(tenant_id=tenant_id, scope_kind="tenant", scope_ids=frozenset({tenant_id}))
    begin = time.perf_counter()
    shown: Preview = preview(reach, Proposal(kind=kind, settings=(setting,)), now=now, keep_going=lambda: True)
    seconds = time.perf_counter() - begin
    if shown.counted != jobs:
        raise RuntimeError(f"{jobs:,} jobs were to be tried and {shown.counted:,} were counted")
    return Tried(shown.label, jobs, jobs * DAYS, shown.jobs_differ, seconds)
