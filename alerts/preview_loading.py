"""What a preview reads: the jobs below a level, how they are set up, and their runs in a few narrow columns.

Called by ``alerts.previewing``. A fixed number of statements whatever the number of jobs; each names the tenant and the
months. Runs that hold values which cannot be true are left out, as everywhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection

from alerts.facts import JobFacts
from alerts.job_loading import QUIET_CLIENT_STATES, learned
from alerts.spans import Track
from msp.backups.folding import COMPONENT_TROUBLE
from msp.partitions import month_of, next_month

#: How far back the newest good run of a job is looked for that had none shortly before the period.
OLDEST_GOOD = timedelta(days=400)


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewJob:
    """A job in the reach of a preview; ``facts`` is how it is set up today."""

    uid: uuid.UUID
    client_uid: uuid.UUID
    facts: JobFacts
    product: str = ""


JOBS = """
SELECT job.id, job.uid, job.name, job.server_id, server.name, job.selection_id, selection.name, selection.client_id,
       client.uid, client.name, client.reseller_id, job.registered_at, tenant.timezone,
       coalesce(nullif(job.timezone, ''), nullif(client.timezone, ''), tenant.timezone), job.schedule, job.role,
       coalesce(machine.machine_class, 'server'), policy.recovery_point_hours, history.learned,
       job.product
FROM backups_backupjob job
JOIN estate_selection selection ON selection.id = job.selection_id
JOIN estate_client client ON client.id = selection.client_id
JOIN estate_backupserver server ON server.id = job.server_id
JOIN tenants_tenant tenant ON tenant.id = job.tenant_id
LEFT JOIN estate_machine machine ON machine.id = selection.machine_id
LEFT JOIN backups_jobhistory history ON history.job_id = job.id
LEFT JOIN LATERAL (
    SELECT chosen.recovery_point_hours FROM estate_policyassignment assigned
    JOIN estate_policy chosen ON chosen.id = assigned.policy_id
    WHERE assigned.tenant_id = job.tenant_id AND (assigned.scope_kind, assigned.scope_id) IN (
        ('job', job.id), ('selection', selection.id), ('client', client.id), ('reseller', client.reseller_id),
        ('tenant', job.tenant_id))
    ORDER BY array_position(ARRAY['job', 'selection', 'client', 'reseller', 'tenant'], assigned.scope_kind::text)
    LIMIT 1
) AS policy ON true
WHERE job.tenant_id = %(tenant)s AND job.state IN ('active', 'proposed') AND selection.state = 'active'
      AND server.state = 'active' AND client.state <> ALL(%(quiet)s) AND {scope}
      AND (%(resellers)s::bigint[] IS NULL OR client.reseller_id = ANY(%(resellers)s))
ORDER BY client.name, job.name, job.id
LIMIT %(most)s
"""
SCOPE_COLUMNS = {
    "tenant": "job.tenant_id",
    "reseller": "client.reseller_id",
    "client": "client.id",
    "selection": "selection.id",
    "job": "job.id",
}


def load_jobs(
    tenant_id: int, *, scope_kind: str, scope_ids: Collection[int], reseller_ids: Collection[int] | None, most: int
) -> tuple[PreviewJob, ...]:
    """The jobs with a clock below these levels of one kind, by client and name; at most ``most``."""
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "quiet": list(QUIET_CLIENT_STATES),
        "ids": sorted(scope_ids),
        "resellers": None if reseller_ids is None else sorted(reseller_ids),
        "most": most,
    }
    with connection.cursor() as cursor:
        cursor.execute(JOBS.format(scope=f"{SCOPE_COLUMNS[scope_kind]} = ANY(%(ids)s)"), values)
        return tuple(_job(tenant_id, row) for row in cursor.fetchall())


def _job(tenant_id: int, row: Sequence[Any]) -> PreviewJob:
    facts = JobFacts(
        tenant_id=tenant_id,
        job_id=row[0],
        job=row[2],
        server_id=row[3],
        server=row[4],
        selection_id=row[5],
        selection=row[6],
        client_id=row[7],
        client=row[9],
        reseller_id=row[10],
        registered_at=row[11],
        tenant_zone=row[12],
        zone=row[13],
        schedule=row[14],
        role=row[15],
        machine_class=row[16],
        learned=None if row[14] else learned(row[18]),
        tolerance=None if row[17] is None else timedelta(hours=row[17]),
    )
    return PreviewJob(uid=row[1], client_uid=row[8], facts=facts, product=row[19])


#: How long a run took, as its log tells it, else from its start to its end.
_SECONDS = "coalesce(duration_seconds, date_part('epoch', ended_at - started_at))::int8"
#: As ``_SECONDS``, of the runs that came to their end: one that broke off tells nothing of how long one takes.
_WHOLE = "FILTER (WHERE outcome IN ('success', 'warning'))"
_SPEED = f"FILTER (WHERE transferred_bytes > 0 AND {_SECONDS} >= 60)"
_ORDER = "ORDER BY ended_at, run_key"
_TROUBLE = " || ".join(f'@.outcome == "{outcome}"' for outcome in COMPONENT_TROUBLE)


def _extremes(figure: str, only: str = "") -> str:
    return f"ARRAY[min({figure}) {only}, max({figure}) {only}]::int8[]"


#: Each column of a Track, as one list, text or pair a job.
_COLUMNS = {
    "good": "array_agg(floor(date_part('epoch', ended_at))::int8 ORDER BY ended_at) FILTER (WHERE good)",
    "ended": f"array_agg(floor(date_part('epoch', ended_at))::int8 {_ORDER})",
    "started": f"array_agg(floor(date_part('epoch', coalesce(started_at, ended_at)))::int8 {_ORDER})",
    "lasted": "array_agg(CASE WHEN outcome = 'running' THEN -2 WHEN outcome IN ('success', 'warning') "
    f"THEN coalesce({_SECONDS}, -1) ELSE -1 END {_ORDER})",
    "marks": "string_agg(CASE WHEN good THEN 'g' WHEN outcome IN ('failure', 'missed') THEN 'f' "
    "WHEN outcome = 'warning' THEN 'w' WHEN outcome = 'success' THEN 's' WHEN outcome = 'running' THEN 'r' "
    f"ELSE 'o' END, '' {_ORDER})",
    "data": "string_agg(CASE WHEN outcome = 'running' OR coalesce(protected_bytes, transferred_bytes) IS NULL THEN 'n' "
    "WHEN outcome IN ('success', 'warning') AND protected_bytes IS DISTINCT FROM 0 "
    f"AND transferred_bytes IS DISTINCT FROM 0 THEN 'd' ELSE 'z' END, '' {_ORDER})",
    "protected": _extremes("protected_bytes", "FILTER (WHERE measurable)"),
    "changed": _extremes("changed_bytes"),
    "transferred": _extremes("transferred_bytes"),
    "seconds": _extremes(_SECONDS, _WHOLE),
    "speed": _extremes(f"transferred_bytes / nullif({_SECONDS}, 0)", _SPEED),
    "chain": _extremes("chain_length"),
    "troubled": f"bool_or(components @? '$[*] ? ({_TROUBLE})')",
}
_RUNS = (
    "FROM backups_jobrun WHERE tenant_id = %(tenant)s AND filed_month = ANY(%(months)s) AND job_id = ANY(%(jobs)s) "
    "AND operation IN ('backup', 'copy') AND problems = '[]' AND ended_at >= %(first)s AND ended_at <= %(last)s "
)


def load_tracks(
    tenant_id: int, job_ids: Collection[int], columns: Iterable[str], *, first: datetime, last: datetime
) -> dict[int, Track]:
    """The runs of these jobs that ended in this time, one row a job; jobs without any are left out."""
    asked = sorted(columns)
    only_good = "AND good " if asked == ["good"] else ""
    statement = f"SELECT job_id, {', '.join(_COLUMNS[name] for name in asked)} {_RUNS}{only_good}GROUP BY job_id"
    with connection.cursor() as cursor:
        cursor.execute(statement, _values(tenant_id, job_ids, first=first, last=last))
        return {row[0]: _track(dict(zip(asked, row[1:], strict=True))) for row in cursor.fetchall()}


def _track(values: Mapping[str, Any]) -> Track:
    return Track(**{name: value for name, value in values.items() if value is not None})


def load_last_good(tenant_id: int, job_ids: Collection[int], *, before: datetime) -> dict[int, int]:
    """The newest good run before a moment, for the few jobs that had none shortly before."""
    if not job_ids:
        return {}
    statement = f"SELECT job_id, max(floor(date_part('epoch', ended_at))::int8) {_RUNS}AND good GROUP BY job_id"
    with connection.cursor() as cursor:
        cursor.execute(statement, _values(tenant_id, job_ids, first=before - OLDEST_GOOD, last=before))
        return dict(cursor.fetchall())


def _values(tenant_id: int, job_ids: Collection[int], *, first: datetime, last: datetime) -> dict[str, Any]:
    months = months_between(first, last)
    return {"tenant": tenant_id, "months": months, "jobs": sorted(job_ids), "first": first, "last": last}


def months_between(first: datetime, last: datetime) -> list[date]:
    """The months in which such runs may be filed: those of arrival too, which may come a month later."""
    month, months = month_of(first.astimezone(UTC).date()), []
    while month <= next_month(month_of(last.astimezone(UTC).date())):
        months.append(month)
        month = next_month(month)
    return months
