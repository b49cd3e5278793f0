"""Move: a job that is known on one server of a group is the same job on another, never a second one.

Accounts are balanced or moved among the servers of a group. A named key that nobody decided, and that the other servers
of the group know as exactly one job, is that job: it moves by itself, with an audit entry; its runs, clocks and history
stay. A job that comes back is followed, too. Nothing is asked where no server of the batch has a group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson
from django.db import connection

from msp.estate.models import BackupServer
from msp.ingest.known import Found, Key, Known, Wanted, sorted_keys
from msp.ingest.making import remember_jobs
from msp.tenants.models import AuditEntry

ACTOR = "a log from another server of the group"

# min = max: exactly one job is meant, on however many servers of the group it has been.
ELSEWHERE = """
SELECT wanted.server_id, wanted.source_job, wanted.item, min(job.id)
FROM jsonb_to_recordset(%s::jsonb) AS wanted(server_id bigint, source_job text, item text)
JOIN estate_backupserver here ON here.tenant_id = %s AND here.id = wanted.server_id AND here."group" <> ''
JOIN estate_backupserver there ON there.tenant_id = here.tenant_id AND there."group" = here."group"
    AND there.id <> here.id
JOIN ingest_assignment known ON known.tenant_id = here.tenant_id AND known.server_id = there.id
    AND known.source_job = wanted.source_job AND known.item = wanted.item
JOIN backups_backupjob job ON job.id = known.job_id AND job.state <> 'retired'
GROUP BY 1, 2, 3 HAVING min(job.id) = max(job.id)
"""

# The jobs are locked by the recording anyway; their own rows in order of id here.
FOLLOW = """
WITH wanted AS (
    SELECT DISTINCT ON (job_id) job_id, server_id
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS new(job_id bigint, server_id bigint) ORDER BY job_id
), locked AS MATERIALIZED (
    SELECT job.id, job.name, job.server_id AS old_id, old.name AS old_name, here.id AS new_id, here.name AS new_name
    FROM wanted JOIN backups_backupjob job ON job.tenant_id = %(tenant)s AND job.id = wanted.job_id
    JOIN estate_backupserver old ON old.id = job.server_id
    JOIN estate_backupserver here ON here.tenant_id = %(tenant)s AND here.id = wanted.server_id
    WHERE here.id <> old.id AND here."group" = old."group" AND here."group" <> ''
    ORDER BY job.id FOR NO KEY UPDATE OF job
)
UPDATE backups_backupjob job SET server_id = locked.new_id, volume_id = NULL FROM locked WHERE job.id = locked.id
RETURNING job.id, job.name, locked.old_name, locked.new_name
"""


def follow_moves(tenant_id: int, wanted: Sequence[Wanted], known: Known, *, now: datetime) -> None:
    """Find keys on other servers of their group, and let jobs stand where their last log came from."""
    grouped = {pk: server for pk, server in known.servers.items() if server.group}
    if not grouped:
        return
    missing = {one.key for one in wanted if one.key not in known.jobs and is_named(one.key, grouped)}
    if missing:
        jobs = find_elsewhere(tenant_id, missing)
        if jobs:
            known.jobs.update(remember_jobs(tenant_id, jobs, origin="move", now=now))
    moved = newest_servers(wanted, known.jobs, grouped)
    if moved:
        move_jobs(tenant_id, moved, now=now)


def is_named(key: Key, grouped: Mapping[int, BackupServer]) -> bool:
    """A key without a name is one of many: it says nothing about which job it was elsewhere."""
    return key[0] in grouped and bool(key[1] or key[2])


def find_elsewhere(tenant_id: int, keys: set[Key]) -> dict[Key, tuple[int, int | None]]:
    rows = [{"server_id": server, "source_job": job, "item": item} for server, job, item in sorted_keys(keys)]
    with connection.cursor() as cursor:
        cursor.execute(ELSEWHERE, [orjson.dumps(rows).decode(), tenant_id])
        return {(row[0], row[1], row[2]): (row[3], None) for row in cursor.fetchall()}


def newest_servers(
    wanted: Sequence[Wanted], jobs: Mapping[Key, Found], grouped: Mapping[int, BackupServer]
) -> dict[int, int]:
    """By job, the server whose log of it came last, where that is another one than it stands on."""
    newest: dict[int, tuple[datetime, int, int | None]] = {}
    for one in wanted:
        found, receipt = jobs.get(one.key), one.receipt.receipt
        if found is None or one.key[0] not in grouped or receipt.replayed:
            continue
        last = newest.get(found.job_id)
        if last is None or receipt.received_at >= last[0]:
            newest[found.job_id] = (receipt.received_at, one.key[0] or 0, found.server_id)
    return {job_id: server for job_id, (_, server, stands_on) in newest.items() if server != stands_on}


def move_jobs(tenant_id: int, servers: Mapping[int, int], *, now: datetime) -> None:
    """Each job to its server, with an audit entry; one whose servers share no group stays where it is."""
    rows = [{"job_id": job_id, "server_id": server_id} for job_id, server_id in sorted(servers.items())]
    with connection.cursor() as cursor:
        cursor.execute(FOLLOW, {"rows": orjson.dumps(rows).decode(), "tenant": tenant_id})
        moved = cursor.fetchall()
    AuditEntry.objects.of(tenant_id).bulk_create(
        AuditEntry(
            at=now,
            actor=ACTOR,
            action="job moved to another server",
            subject_kind="backupjob",
            subject_id=job_id,
            subject=name[:200],
            before={"server": old},
            after={"server": new},
        )
        for job_id, name, old, new in sorted(moved)
    )
