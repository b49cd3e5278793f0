"""The daily verdict of every job: what its night came to, once the night is over, and again where a late log came.

Called by the task ``judge_nights``. A fixed number of statements a tenant and night; judging a night again changes only
what has changed, and keeps the former verdict. A run belongs to the night in which it started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction

from alerts.models import DailyVerdict, ReportSettings, Silence
from alerts.planning import recurrence_of
from alerts.recurring import windows_of
from alerts.reports.nights import Night, night_at, night_of
from msp.backups.schedule import BadSchedule, Every, expected_after, parse_schedule
from msp.partitions import month_of, next_month
from msp.tenants.models import Tenant

#: Late logs change the verdicts of so many nights back.
LOOK_BACK = 7
#: After noon the newest logs of the night are given this long to be read.
PATIENCE = timedelta(hours=1)
#: So many nights are made up for in one pass after a long interruption.
MOST_NIGHTS = 62
#: An interval is at most a year long: its last start is looked for in so many months back.
LONGEST_INTERVAL = 13

#: Not "did not start": by a learned schedule that is a guess, and by one that is set the verdict sees for itself.
SILENT_KINDS = ("no_recent_backup", "never_backed_up")
CHANNEL_KINDS = ("channel_silent", "channel_unreadable")


@dataclass(frozen=True)
class JobNight:
    """What is known of one job's night. ``counted_from``: the last start before a night without runs, which an interval
    counts from; the registration where there was none.
    """

    job_id: int
    client_id: int
    selection_id: int
    server_id: int
    schedule: str
    zone: str
    paused: bool
    runs: int
    good_runs: int
    failed_runs: int
    newest_good: bool | None
    first_started_at: datetime | None
    last_ended_at: datetime | None
    protected_bytes: int | None
    missed: bool
    unheard: bool
    silenced: bool
    counted_from: datetime


def judge_nights(*, now: datetime) -> int:
    """Write the verdicts that are due for every tenant; answers how many rows were written or changed."""
    return sum(judge_tenant(tenant, now=now) for tenant in Tenant.objects.filter(state="active").order_by("pk"))


def judge_tenant(tenant: Tenant, *, now: datetime) -> int:
    """The nights that ended since the last pass, and those before them that a late log may have changed."""
    first_open = night_at(now - PATIENCE, tenant.timezone)
    settings, _ = ReportSettings.objects.of(tenant).get_or_create()
    begun = settings.judged_until or first_open - timedelta(days=1)
    day = max(begun, first_open - timedelta(days=MOST_NIGHTS)) - timedelta(days=LOOK_BACK)
    written = 0
    while day < first_open:
        written += judge_night(tenant, day, now=now)
        day += timedelta(days=1)
    if settings.judged_until != first_open:
        ReportSettings.objects.of(tenant).filter(pk=settings.pk).update(judged_until=first_open)
    return written


def judge_night(tenant: Tenant, day: date, *, now: datetime) -> int:
    """Judge one night of all jobs that were there at its end. One transaction."""
    night = night_of(day, tenant.timezone)
    with transaction.atomic():
        rows = [verdict_row(one, night) for one in load_job_nights(tenant, night)]
        return store_verdicts(tenant.pk, day, rows, now=now)


def verdict_of(one: JobNight, night: Night) -> str:
    """The newest finished run decides; an earlier good one leaves a warning. Without a run: missed, not heard, not due.

    An unknown end is neither good nor failed.
    """
    if one.runs:
        if one.newest_good:
            return "good"
        if one.good_runs:
            return "warning"
        return "failed" if one.failed_runs else "unknown"
    if one.paused:
        return "not due"
    if one.unheard:
        return "not heard"
    return "missed" if one.missed or was_due(one, night) else "not due"


def was_due(one: JobNight, night: Night) -> bool:
    """Whether the job's own schedule names a start within the night, or an interval has passed by its end."""
    if not one.schedule:
        return False
    try:
        schedule = parse_schedule(one.schedule)
    except BadSchedule:
        return False
    if isinstance(schedule, Every):
        return expected_after(schedule, one.counted_from, one.zone) < night.ends
    return expected_after(schedule, night.begins - timedelta(seconds=1), one.zone) < night.ends


def verdict_row(one: JobNight, night: Night) -> dict[str, Any]:
    return {
        "job_id": one.job_id,
        "client_id": one.client_id,
        "selection_id": one.selection_id,
        "server_id": one.server_id,
        "verdict": verdict_of(one, night),
        "silenced": one.silenced,
        "runs": one.runs,
        "good_runs": one.good_runs,
        "failed_runs": one.failed_runs,
        "first_started_at": one.first_started_at,
        "last_ended_at": one.last_ended_at,
        "protected_bytes": one.protected_bytes,
    }


JOB_NIGHTS = """
WITH ran AS (
    SELECT run.job_id, count(*) AS runs, count(*) FILTER (WHERE run.good) AS good_runs,
           count(*) FILTER (WHERE run.outcome IN ('failure', 'missed')) AS failed_runs,
           (array_agg(run.good ORDER BY run.ended_at DESC, run.run_key DESC))[1] AS newest_good,
           min(coalesce(run.started_at, run.ended_at)) AS first_started_at, max(run.ended_at) AS last_ended_at,
           (array_agg(run.protected_bytes ORDER BY run.ended_at DESC, run.run_key DESC)
               FILTER (WHERE run.measurable AND run.protected_bytes IS NOT NULL))[1] AS protected_bytes
    FROM backups_jobrun run
    WHERE run.tenant_id = %(tenant)s AND run.filed_month = ANY(%(months)s) AND run.operation IN ('backup', 'copy')
          AND run.outcome NOT IN ('running', 'skipped') AND run.problems = '[]'::jsonb
          AND coalesce(run.started_at, run.ended_at) >= %(begins)s
          AND coalesce(run.started_at, run.ended_at) < %(ends)s
    GROUP BY run.job_id
), troubled AS (
    SELECT incident.job_id FROM alerts_incident incident
    WHERE incident.tenant_id = %(tenant)s AND incident.kind = ANY(%(silent)s) AND incident.job_id IS NOT NULL
          AND incident.since < %(ends)s AND (incident.closed_at IS NULL OR incident.closed_at >= %(ends)s)
), deaf AS (
    SELECT incident.subject_id AS channel_id FROM alerts_incident incident
    WHERE incident.tenant_id = %(tenant)s AND incident.kind = ANY(%(channels)s)
          AND incident.since < %(ends)s AND (incident.closed_at IS NULL OR incident.closed_at >= %(ends)s)
)
SELECT job.id, selection.client_id, job.selection_id, job.server_id, job.schedule,
       coalesce(nullif(job.timezone, ''), nullif(client.timezone, ''), %(zone)s),
       job.state = 'paused' OR selection.state <> 'active' OR client.state IN ('suspended', 'deleted'),
       coalesce(ran.runs, 0), coalesce(ran.good_runs, 0), coalesce(ran.failed_runs, 0), ran.newest_good,
       ran.first_started_at, ran.last_ended_at, ran.protected_bytes,
       job.id IN (SELECT job_id FROM troubled),
       EXISTS (SELECT 1 FROM deaf WHERE state.channel_ids @> to_jsonb(deaf.channel_id)),
       EXISTS (SELECT 1 FROM alerts_silence silence
               WHERE silence.tenant_id = %(tenant)s AND silence.id = ANY(%(silences)s)
                     AND (silence.scope_kind, silence.scope_id) IN (
                         ('tenant', %(tenant)s), ('client', selection.client_id), ('site', server.site_id),
                         ('server', job.server_id), ('volume', job.volume_id), ('selection', job.selection_id),
                         ('job', job.id))),
       coalesce(former.started_at, job.registered_at)
FROM backups_backupjob job
JOIN estate_selection selection ON selection.id = job.selection_id
JOIN estate_client client ON client.id = selection.client_id
JOIN estate_backupserver server ON server.id = job.server_id
LEFT JOIN backups_jobstate state ON state.job_id = job.id
LEFT JOIN ran ON ran.job_id = job.id
LEFT JOIN LATERAL (
    SELECT coalesce(run.started_at, run.ended_at) AS started_at
    FROM backups_jobrun run
    WHERE run.tenant_id = %(tenant)s AND run.job_id = job.id AND run.filed_month = ANY(%(earlier)s)
          AND run.operation IN ('backup', 'copy') AND run.outcome NOT IN ('running', 'skipped')
          AND run.problems = '[]'::jsonb AND coalesce(run.started_at, run.ended_at) < %(begins)s
    ORDER BY run.ended_at DESC LIMIT 1
) former ON ran.job_id IS NULL AND job.schedule ILIKE '%%every%%'
WHERE job.tenant_id = %(tenant)s AND job.state <> 'retired' AND job.registered_at < %(ends)s
ORDER BY job.id
"""


def load_job_nights(tenant: Tenant, night: Night) -> list[JobNight]:
    """Every job that was there, with its runs of the night, in two queries."""
    month = month_of(night.day)
    values: dict[str, Any] = {
        "tenant": tenant.pk,
        "zone": tenant.timezone,
        "begins": night.begins,
        "ends": night.ends,
        "months": [next_month(month, steps=step) for step in (-1, 0, 1, 2)],
        "earlier": [next_month(month, steps=step) for step in range(-LONGEST_INTERVAL, 2)],
        "silences": silences_within(tenant.pk, night),
        "silent": list(SILENT_KINDS),
        "channels": list(CHANNEL_KINDS),
    }
    with connection.cursor() as cursor:
        cursor.execute(JOB_NIGHTS, values)
        return [JobNight(*row) for row in cursor.fetchall()]


def silences_within(tenant_id: int, night: Night) -> list[int]:
    """The silences with a window in the night, once or recurring; in one query."""
    rows = Silence.objects.of(tenant_id).filter(starts_at__lt=night.ends, ends_at__gt=night.begins)
    return [
        row.pk
        for row in rows
        if any(
            window.starts_at < night.ends and (window.ends_at is None or window.ends_at > night.begins)
            for window in windows_of(recurrence_of(row), now=night.begins)
        )
    ]


STORE = """
INSERT INTO alerts_dailyverdict AS kept (tenant_id, night, job_id, client_id, selection_id, server_id, verdict,
    silenced, runs, good_runs, failed_runs, first_started_at, last_ended_at, protected_bytes, written_at)
SELECT %(tenant)s, %(night)s, job_id, client_id, selection_id, server_id, verdict, silenced, runs, good_runs,
       failed_runs, first_started_at, last_ended_at, protected_bytes, %(now)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS new(job_id bigint, client_id bigint, selection_id bigint,
    server_id bigint, verdict text, silenced boolean, runs int, good_runs int, failed_runs int,
    first_started_at timestamptz, last_ended_at timestamptz, protected_bytes bigint)
ON CONFLICT (tenant_id, job_id, night) DO UPDATE SET
    verdict = excluded.verdict, runs = excluded.runs, good_runs = excluded.good_runs,
    failed_runs = excluded.failed_runs, first_started_at = excluded.first_started_at,
    last_ended_at = excluded.last_ended_at, protected_bytes = excluded.protected_bytes,
    written_at = excluded.written_at,
    former = CASE WHEN kept.verdict <> excluded.verdict THEN kept.verdict ELSE kept.former END
WHERE excluded.runs <> kept.runs OR excluded.good_runs <> kept.good_runs OR excluded.failed_runs <> kept.failed_runs
      OR excluded.last_ended_at IS DISTINCT FROM kept.last_ended_at
      OR excluded.protected_bytes IS DISTINCT FROM kept.protected_bytes
"""


def store_verdicts(tenant_id: int, day: date, rows: list[dict[str, Any]], *, now: datetime) -> int:
    """Insert the new; of those that stand, change only what other runs say. What nobody could know that night stays."""
    if not rows:
        return 0
    values: Mapping[str, Any] = {
        "tenant": tenant_id,
        "night": day,
        "rows": orjson.dumps(rows).decode(),
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(STORE, values)
        return int(cursor.rowcount)


def forget_old(*, now: datetime) -> int:
    """Delete verdicts that are older than the tenant's legal term, in chunks; answers how many."""
    gone = 0
    for tenant in Tenant.objects.order_by("pk"):
        settings = ReportSettings.objects.of(tenant).first()
        years = settings.keep_years if settings else ReportSettings._meta.get_field("keep_years").default
        last = night_at(now, tenant.timezone)
        before = last.replace(year=last.year - years, day=min(last.day, 28))  # every February has a 28th
        gone += forget_before(tenant, before)
    return gone


def forget_before(tenant: Tenant, before: date, *, chunk: int = 10_000) -> int:
    gone = 0
    while True:
        ids = list(DailyVerdict.objects.of(tenant).filter(night__lt=before).values_list("pk", flat=True)[:chunk])
        if not ids:
            return gone
        gone += DailyVerdict.objects.of(tenant).filter(pk__in=ids).delete()[0]
