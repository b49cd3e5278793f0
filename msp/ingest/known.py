"""What is known when runs look for their jobs: the keys they are known by, the jobs of those, and their servers.

Read by assigning, making and moving in a fixed number of statements, however many runs. A key is (server, source job,
item); what a person or a rule decided about one stands in ``Assignment``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from django.db import connection

from integrations.logs.joblog import JobLog
from msp.backups.folding import BACKUP_OPERATIONS
from msp.estate.models import BackupServer
from msp.ingest.matching import Match
from msp.ingest.normalising import NormalisedReceipt

Key = tuple[int | None, str, str]


@dataclass(frozen=True)
class Found:
    """A job as runs are assigned to it; ``server_id`` is where it runs now."""

    job_id: int
    selection_id: int
    client_id: int
    server_id: int | None = None


@dataclass(frozen=True)
class Wanted:
    """One run that looks for its job."""

    receipt: NormalisedReceipt
    place: int
    log: JobLog
    key: Key

    @property
    def host(self) -> str:
        return self.log.host or self.receipt.host


@dataclass
class Known:
    """What is known when a batch is assigned: jobs by key, the servers, the jobs of those that have one or two, and
    the rules that keys nobody decided fall under."""

    jobs: dict[Key, Found]
    servers: dict[int, BackupServer]
    nameless: Mapping[int, tuple[Found, ...]] = field(default_factory=dict)
    matches: Mapping[Key, Match] = field(default_factory=dict)
    made_on: frozenset[int] = frozenset()


def load_known(tenant_id: int, wanted: Sequence[Wanted]) -> Known:
    server_ids = {one.key[0] for one in wanted if one.key[0] is not None}
    servers = {
        row.pk: row for row in BackupServer.objects.of(tenant_id).filter(pk__in=server_ids).select_related("client")
    }
    jobs = load_jobs(tenant_id, {one.key for one in wanted})
    others = {one.key[0] for one in wanted if one.log.operation not in BACKUP_OPERATIONS and one.key not in jobs}
    return Known(jobs, servers, load_few_jobs(tenant_id, {server for server in others if server is not None}))


def load_jobs(tenant_id: int, keys: Iterable[Key]) -> dict[Key, Found]:
    rows = [{"server_id": server, "source_job": job, "item": item} for server, job, item in sorted_keys(keys)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT wanted.server_id, wanted.source_job, wanted.item, job.id, job.selection_id, selection.client_id, "
            "job.server_id FROM jsonb_to_recordset(%s::jsonb) AS wanted(server_id bigint, source_job text, item text) "
            "JOIN ingest_assignment known ON known.tenant_id = %s AND known.source_job = wanted.source_job "
            "AND known.item = wanted.item AND known.server_id IS NOT DISTINCT FROM wanted.server_id "
            "JOIN backups_backupjob job ON job.id = known.job_id "
            "JOIN estate_selection selection ON selection.id = job.selection_id",
            [orjson.dumps(rows).decode(), tenant_id],
        )
        return {(row[0], row[1], row[2]): Found(*row[3:]) for row in cursor.fetchall()}


def sorted_keys(keys: Iterable[Key]) -> list[Key]:
    return sorted(set(keys), key=lambda key: (key[0] or 0, key[1], key[2]))


def load_few_jobs(tenant_id: int, server_ids: set[int]) -> dict[int, tuple[Found, ...]]:
    """One or two jobs of each server that are not retired: enough to tell "the only one" from "one of several"."""
    if not server_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT server.id, job.id, job.selection_id, job.client_id FROM unnest(%s::bigint[]) AS server(id) "
            "CROSS JOIN LATERAL (SELECT job.id, job.selection_id, selection.client_id FROM backups_backupjob job "
            "JOIN estate_selection selection ON selection.id = job.selection_id WHERE job.tenant_id = %s "
            "AND job.server_id = server.id AND job.state <> 'retired' ORDER BY job.id LIMIT 2) AS job",
            [sorted(server_ids), tenant_id],
        )
        few: dict[int, tuple[Found, ...]] = {}
        for server_id, job_id, selection_id, client_id in cursor.fetchall():
            found = Found(job_id, selection_id, client_id, server_id)
            few[server_id] = (*few.get(server_id, ()), found)
        return few
