"""Assign: who each run is about, by (server, source job, item); one log may hold runs of several clients.

What a person decided stands in ``Assignment`` and holds for the next time. An unknown backup job is made by itself
where its server says so (``new_jobs`` auto), else the run waits in the inbox. A run that is no backup (a check, a
prune, a restore) never makes a job: it belongs to the job of its key, else to the server's only job, else it waits. A
fixed number of statements, however many runs; servers that make jobs are locked, so that two workers make one job, not
two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django.db import connection

from integrations.logs.joblog import JobLog
from msp.backups.folding import BACKUP_OPERATIONS
from msp.backups.runs import AssignedRun
from msp.estate.models import BackupServer
from msp.ingest.normalising import NormalisedReceipt
from msp.tenants.models import Tenant

Key = tuple[int | None, str, str]


@dataclass(frozen=True)
class InboxNote:
    """Why a person must look: at a whole receipt (``place`` -1) or at one run in it."""

    receipt_id: int
    place: int
    reason: str
    detail: str
    line: int | None = None
    server_id: int | None = None
    source_job: str = ""
    item: str = ""
    host: str = ""
    format: str = ""


@dataclass(frozen=True)
class Assigned:
    """The runs whose job is known, what waits for a person, and the servers on which jobs were made."""

    runs: tuple[AssignedRun, ...]
    notes: tuple[InboxNote, ...]
    made_on: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Found:
    """A job as runs are assigned to it."""

    job_id: int
    selection_id: int
    client_id: int
    state: str = "active"


@dataclass(frozen=True)
class Wanted:
    """One run that looks for its job."""

    receipt: NormalisedReceipt
    place: int
    log: JobLog
    key: Key


@dataclass
class Known:
    """What is known when a batch is assigned: jobs by key, the servers, and the job of those that have just one."""

    jobs: dict[Key, Found]
    servers: Mapping[int, BackupServer]
    nameless: Mapping[int, tuple[Found, ...]] = field(default_factory=dict)
    made_on: frozenset[int] = frozenset()


def assign(tenant_id: int, normalised: Sequence[NormalisedReceipt], *, now: datetime) -> Assigned:
    """Find or make the job of every run in the batch, in the caller's transaction."""
    notes = [note for one in normalised for note in notes_of_reading(one)]
    wanted = [Wanted(one, place, log, key_of(one, log)) for one in normalised for place, log in enumerate(one.runs)]
    if not wanted:
        return Assigned((), tuple(notes))
    known = load_known(tenant_id, wanted)
    missing = [one for one in wanted if one.key not in known.jobs and may_make(one, known)]
    if missing:
        known = make_jobs(tenant_id, missing, known, now=now)
    runs: list[AssignedRun] = []
    for one in wanted:
        found = known.jobs.get(one.key) or stand_in(one, known)
        if found is None:
            notes.append(note_of_run(one, known))
        else:
            runs.append(assigned_run(one, found))
    return Assigned(tuple(runs), tuple(notes), known.made_on)


def key_of(one: NormalisedReceipt, log: JobLog) -> Key:
    """What a run is known by: its server, the job as the sender (else the log) names it, the item in the log.

    A delivery without a server that names no job is known by the host it speaks of.
    """
    named = one.job or log.source_job
    if not named and one.receipt.server_id is None:
        named = log.host or one.host
    return one.receipt.server_id, named[:300], log.item[:300]


def assigned_run(one: Wanted, found: Found) -> AssignedRun:
    receipt = one.receipt.receipt
    return AssignedRun(
        job_id=found.job_id,
        selection_id=found.selection_id,
        client_id=found.client_id,
        receipt_id=receipt.id,
        place=one.place,
        delivery_key=f"{receipt.door}/{receipt.delivery_id}",
        received_at=receipt.received_at,
        log=one.log,
        told_start=one.receipt.told_start,
        told_end=one.receipt.told_end,
    )


def may_make(one: Wanted, known: Known) -> bool:
    server = known.servers.get(one.key[0] or 0)
    return (
        server is not None
        and server.new_jobs == "auto"
        and server.client_id is not None
        and one.log.operation in BACKUP_OPERATIONS
    )


def stand_in(one: Wanted, known: Known) -> Found | None:
    """A run that is no backup and names no known job belongs to the only job of its server."""
    if one.log.operation in BACKUP_OPERATIONS or one.key[1]:
        return None
    jobs = known.nameless.get(one.key[0] or 0, ())
    return jobs[0] if len(jobs) == 1 else None


# --- reading -----------------------------------------------------------------------------------------------------


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
            "job.state FROM jsonb_to_recordset(%s::jsonb) AS wanted(server_id bigint, source_job text, item text) "
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
        for server_id, *values in cursor.fetchall():
            few[server_id] = (*few.get(server_id, ()), Found(*values))
        return few


# --- making jobs -------------------------------------------------------------------------------------------------

MAKE = """
WITH wanted AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS new(
        server_id bigint, client_id bigint, source_job text, item text, name text, selection text, product text, since
        date)
), named AS (
    INSERT INTO estate_selection (uid, tenant_id, client_id, name, roots, state, basis, registered_at)
    SELECT gen_random_uuid(), %(tenant)s, client_id, selection, '[]', 'active', '', %(now)s FROM wanted
    ON CONFLICT (tenant_id, client_id, name) DO UPDATE SET name = excluded.name RETURNING id, client_id, name
), owned AS (
    INSERT INTO estate_selectionclientspan (uid, tenant_id, selection_id, client_id, since)
    SELECT DISTINCT gen_random_uuid(), %(tenant)s, named.id, named.client_id, wanted.since
    FROM named JOIN wanted ON wanted.client_id = named.client_id AND wanted.selection = named.name
    ON CONFLICT DO NOTHING
), jobs AS (
    INSERT INTO backups_backupjob (uid, tenant_id, server_id, selection_id, name, product, role, state, schedule,
        timezone, registered_at)
    SELECT gen_random_uuid(), %(tenant)s, wanted.server_id, named.id, wanted.name, wanted.product, 'primary', 'active',
        '', '', %(now)s
    FROM wanted JOIN named ON wanted.client_id = named.client_id AND wanted.selection = named.name
    RETURNING id, server_id, selection_id, name
), spans AS (
    INSERT INTO backups_jobselectionspan (uid, tenant_id, job_id, selection_id, since)
    SELECT gen_random_uuid(), %(tenant)s, jobs.id, jobs.selection_id, (SELECT min(since) FROM wanted) FROM jobs
)
INSERT INTO ingest_assignment (uid, tenant_id, server_id, source_job, item, job_id, origin, created_at)
SELECT gen_random_uuid(), %(tenant)s, wanted.server_id, wanted.source_job, wanted.item, jobs.id, 'auto', %(now)s
FROM wanted
JOIN named ON wanted.client_id = named.client_id AND wanted.selection = named.name
JOIN jobs ON jobs.server_id = wanted.server_id AND jobs.selection_id = named.id AND jobs.name = wanted.name
"""


def make_jobs(tenant_id: int, missing: Sequence[Wanted], known: Known, *, now: datetime) -> Known:
    """Make the jobs of these runs, each with a selection of its own; their servers are locked in id order first."""
    server_ids = sorted({one.key[0] for one in missing if one.key[0] is not None})
    list(BackupServer.objects.of(tenant_id).filter(pk__in=server_ids).order_by("pk").select_for_update())
    made_meanwhile = load_jobs(tenant_id, {one.key for one in missing})
    known.jobs.update(made_meanwhile)
    first = {one.key: one for one in reversed(missing) if one.key not in made_meanwhile}
    if first:
        zone = ZoneInfo(Tenant.objects.get(pk=tenant_id).timezone)
        rows = tell_apart([new_job(one, known.servers, zone=zone, now=now) for one in first.values()])
        with connection.cursor() as cursor:
            cursor.execute(MAKE, {"rows": orjson.dumps(rows).decode(), "tenant": tenant_id, "now": now})
        known.jobs.update(load_jobs(tenant_id, first))
        known.made_on = frozenset(server_ids)
    return known


def new_job(one: Wanted, servers: Mapping[int, BackupServer], *, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    """The names of a job and its selection: what the sender calls it, else its host and product; never two alike.

    What is protected has been the client's since it became one: logs that come in late belong to their own day.
    """
    server = servers[one.key[0] or 0]
    began = server.client.registered_at if server.client is not None else now
    name = " / ".join(part for part in (one.key[1], one.key[2]) if part)
    name = name or " ".join(part for part in (one.log.product, "on", one.log.host or server.name) if part)
    return {
        "server_id": server.pk,
        "client_id": server.client_id,
        "source_job": one.key[1],
        "item": one.key[2],
        "name": name[:300],
        "selection": shortened(f"{server.name}: {name}", 200),
        "product": one.log.product[:60],
        "since": began.astimezone(zone).date(),
    }


def shortened(name: str, limit: int) -> str:
    """The name, or its beginning with a mark of the whole: two long names that begin alike stay two."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 10]} #{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def tell_apart(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose selections would bear the same name ("a / b" with "c", "a" with "b / c") get a mark of their key."""
    seen: set[tuple[Any, Any]] = set()
    for row in rows:
        if (row["client_id"], row["selection"]) in seen:
            mark = hashlib.sha256(f"{row['source_job']}\0{row['item']}".encode()).hexdigest()[:8]
            row["selection"] = f"{row['selection'][:190]} #{mark}"
        seen.add((row["client_id"], row["selection"]))
    return rows


# --- what waits for a person -------------------------------------------------------------------------------------


def notes_of_reading(one: NormalisedReceipt) -> list[InboxNote]:
    """A log that nobody recognises or that cannot be read."""
    if one.reading.error is None:
        return []
    return [
        InboxNote(
            receipt_id=one.receipt.id,
            place=-1,
            reason="unrecognised" if one.reading.format is None else "unreadable",
            detail=one.reading.error,
            line=one.reading.line,
            server_id=one.receipt.server_id,
            host=one.host,
            format=one.reading.format or "",
        )
    ]


def note_of_run(one: Wanted, known: Known) -> InboxNote:
    server = known.servers.get(one.key[0] or 0)
    named = one.key[1] or one.key[2]
    what = f'the job "{named}"' if named else f"a {one.log.operation} by {one.log.product}"
    if server is not None and server.new_jobs == "refuse":
        reason, detail = "refused", f"{server.name} takes no new jobs, and {what} is not known."
    elif len(known.nameless.get(one.key[0] or 0, ())) > 1 and not one.key[1]:
        reason, detail = "ambiguous", f"It names no job, and {what} may belong to any of several on its server."
    elif server is None:
        reason, detail = "unassigned", f"It came without a server's key, and {what} is not known."
    else:
        reason, detail = "unassigned", f"On {server.name}, {what} belongs to no known job."
    return InboxNote(
        receipt_id=one.receipt.receipt.id,
        place=one.place,
        reason=reason,
        detail=detail,
        line=one.log.lines[0] if one.log.lines else None,
        server_id=one.key[0],
        source_job=one.key[1],
        item=one.key[2],
        host=one.log.host or one.receipt.host,
        format=one.receipt.reading.format or "",
    )
