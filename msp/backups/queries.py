"""What screens read about jobs and their runs: days, states, histories, sizes.

Every query takes a ``Reach`` (``msp.estate.queries``) and names tenant and months, since ``JobRun`` is partitioned by
month. A day is a day of the tenant's zone. Answers are frozen dataclasses; nothing here writes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import F, Q, QuerySet

from msp.backups.models import BackupJob, JobRun, JobState
from msp.estate.models import Client
from msp.estate.queries import Reach, within
from msp.partitions import MONTHS_BACK, month_of, next_month

#: Worst last; the rank of a day is the highest of its runs.
MARKS = ("none", "unknown", "good", "warning", "failure")


@dataclass(frozen=True)
class DayMark:
    """The worst of a day. ``mended``: there was trouble, but the last run of each job that day was good."""

    mark: str
    runs: int
    mended: bool = False


@dataclass(frozen=True)
class JobTotals:
    """Of one client: how many jobs are active, what they protect (bytes, each selection once), the newest run."""

    jobs: int = 0
    protected_bytes: int | None = None
    last_run_at: datetime | None = None


@dataclass(frozen=True)
class JobRow:
    """A job and its state. ``zone`` is the zone of its schedule: its own, else its client's."""

    id: int
    uid: uuid.UUID
    name: str
    product: str
    role: str
    state: str
    schedule: str
    zone: str
    registered_at: datetime
    server_id: int
    server_uid: uuid.UUID
    server: str
    target: str
    observed: bool
    selection_id: int
    selection_uid: uuid.UUID
    selection: str
    selection_state: str
    selection_quota_bytes: int | None
    client_id: int
    client_uid: uuid.UUID
    client: str
    reseller_id: int | None
    last_run_at: datetime | None
    last_outcome: str
    last_good_at: datetime | None
    last_failure_at: datetime | None
    failures_in_row: int
    warnings_in_row: int
    last_data_at: datetime | None
    protected_bytes: int | None
    protected_at: datetime | None
    transferred_bytes: int | None
    stored_bytes: int | None
    running_since: datetime | None
    last_verify_at: datetime | None
    last_verify_outcome: str
    last_restore_at: datetime | None
    last_restore_outcome: str
    runs_seen: int
    check_after: datetime | None


@dataclass(frozen=True)
class RunRow:
    """One run as a history shows it; ``month`` belongs into its address. Sizes are bytes, None where not told."""

    uid: uuid.UUID
    month: date
    job_id: int
    operation: str
    outcome: str
    good: bool
    started_at: datetime | None
    ended_at: datetime
    duration_seconds: float | None
    protected_bytes: int | None
    transferred_bytes: int | None
    stored_bytes: int | None
    errors_total: int
    first_error: str


@dataclass(frozen=True)
class RunError:
    """One line of trouble that the log told."""

    message: str
    path: str = ""
    severity: str = "error"
    kind: str = ""


@dataclass(frozen=True)
class RunPart:
    """The result of one part of a run: a database, a disk, a guest."""

    type: str
    name: str
    outcome: str
    protected_bytes: int | None
    transferred_bytes: int | None
    stored_bytes: int | None
    message: str


@dataclass(frozen=True)
class RunDetail:
    """Everything kept of one run."""

    row: RunRow
    id: int
    client_id: int
    receipt_id: int
    place: int
    revision: int
    run_key: str
    action: str
    complete: bool | None
    measurable: bool
    time_told: bool
    changed_bytes: int | None
    restored_bytes: int | None
    freed_bytes: int | None
    sources: Mapping[str, Any]
    basis: str
    chain_length: int | None
    last_full_at: datetime | None
    checksum_ok: bool | None
    product: str
    product_version: str
    host: str
    archive: str
    files: Mapping[str, Any]
    files_failed: int | None
    exit_code: int | None
    first_line: int | None
    last_line: int | None
    recorded_at: datetime
    errors: tuple[RunError, ...] = ()
    parts: tuple[RunPart, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SizePoint:
    """A protected size in bytes at a moment or on a day."""

    day: date
    size_bytes: int


@dataclass(frozen=True)
class RunPage:
    """A page of a history; ``older_than`` is the cursor of the next page, None at the end."""

    rows: tuple[RunRow, ...]
    older_than: datetime | None = None


@dataclass(frozen=True)
class JobMatch:
    """A job as a search offers it."""

    id: int
    uid: uuid.UUID
    name: str
    server: str
    client: str
    state: str = field(default="active")


# One pass over the runs of the window: first a row per client, job and day with the worst mark and whether the last run
# was good, then the worst of each owner and day. %(owner)s columns are ours, never a user's.
DAYS = """
WITH runs AS (
    SELECT {owner} AS owner, job_id, (ended_at AT TIME ZONE %(zone)s)::date AS day, good, ended_at, run_key,
           CASE WHEN good THEN 2 WHEN outcome IN ('failure', 'missed', 'cancelled') THEN 4
                WHEN outcome IN ('warning', 'success') THEN 3 ELSE 1 END AS rank
    FROM backups_jobrun
    WHERE tenant_id = %(tenant)s AND filed_month BETWEEN %(first_month)s AND %(last_month)s
      AND ended_at >= %(since)s AND ended_at < %(until)s AND operation IN ('backup', 'copy')
      AND jsonb_array_length(problems) = 0 {narrowed}
), jobs AS (
    SELECT owner, job_id, day, max(rank) AS rank, count(*) AS runs,
           (array_agg(good ORDER BY ended_at DESC, run_key DESC))[1] AS ended_good
    FROM runs GROUP BY owner, job_id, day
)
SELECT owner, day, max(rank), sum(runs)::int, bool_and(ended_good) FROM jobs GROUP BY owner, day
"""


def days_of_clients(reach: Reach, *, first_day: date, last_day: date, zone: str) -> dict[int, dict[date, DayMark]]:
    """By client id and day, the worst that backups and copies came to; days without a run are absent."""
    narrowed, values = _narrowed_to_clients(reach)
    return _days("client_id", narrowed, values, reach, first_day=first_day, last_day=last_day, zone=zone)


def days_of_jobs(
    reach: Reach, job_ids: Iterable[int], *, first_day: date, last_day: date, zone: str
) -> dict[int, dict[date, DayMark]]:
    """The same by job id, for jobs that the caller may see."""
    narrowed, values = "AND job_id = ANY(%(jobs)s)", {"jobs": sorted(job_ids)}
    return _days("job_id", narrowed, values, reach, first_day=first_day, last_day=last_day, zone=zone)


def _days(
    owner: str, narrowed: str, values: dict[str, Any], reach: Reach, *, first_day: date, last_day: date, zone: str
) -> dict[int, dict[date, DayMark]]:
    since, until = day_bounds(first_day, last_day, zone)
    values |= {"tenant": reach.tenant_id, "zone": zone, "since": since, "until": until}
    values |= {"first_month": next_month(month_of(first_day), steps=-1), "last_month": next_month(month_of(last_day))}
    found: dict[int, dict[date, DayMark]] = {}
    with connection.cursor() as cursor:
        cursor.execute(DAYS.format(owner=owner, narrowed=narrowed), values)
        for owner_id, day, rank, runs, ended_good in cursor.fetchall():
            trouble = MARKS[rank] in ("warning", "failure")
            found.setdefault(owner_id, {})[day] = DayMark(MARKS[rank], runs, mended=trouble and ended_good)
    return found


def _narrowed_to_clients(reach: Reach) -> tuple[str, dict[str, Any]]:
    if reach.reseller_ids is None:
        return "", {}
    clients = "SELECT id FROM estate_client WHERE tenant_id = %(tenant)s AND reseller_id = ANY(%(resellers)s)"
    return f"AND client_id IN ({clients})", {"resellers": sorted(reach.reseller_ids)}


def day_bounds(first_day: date, last_day: date, zone: str) -> tuple[datetime, datetime]:
    """The moments in UTC between which these local days lie, the second not included."""
    tz = ZoneInfo(zone)
    start = datetime.combine(first_day, time(), tzinfo=tz)
    end = datetime.combine(last_day + timedelta(days=1), time(), tzinfo=tz)
    return start.astimezone(UTC), end.astimezone(UTC)


# Each selection counts once: its measuring job if it has one that was measured, else the newest measurement.
TOTALS = """
WITH jobs AS (
    SELECT sel.client_id, sel.id AS selection_id, state.protected_bytes, state.last_run_at,
           row_number() OVER (PARTITION BY sel.id ORDER BY state.protected_bytes IS NULL,
               (job.id = sel.measuring_job_id) IS TRUE DESC, state.protected_at DESC NULLS LAST, job.id) AS place,
           job.state = 'active' AS active
    FROM backups_backupjob job
    JOIN estate_selection sel ON sel.id = job.selection_id
    JOIN estate_client client ON client.id = sel.client_id
    LEFT JOIN backups_jobstate state ON state.job_id = job.id
    WHERE job.tenant_id = %(tenant)s AND job.state <> 'retired' AND sel.state <> 'retired'
      AND (%(resellers)s::bigint[] IS NULL OR client.reseller_id = ANY(%(resellers)s))
)
SELECT client_id, count(*) FILTER (WHERE active), sum(protected_bytes) FILTER (WHERE place = 1)::bigint,
       max(last_run_at)
FROM jobs GROUP BY client_id
"""


def totals_by_client(reach: Reach) -> dict[int, JobTotals]:
    """By client id; clients without a job are absent."""
    resellers = None if reach.reseller_ids is None else sorted(reach.reseller_ids)
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, {"tenant": reach.tenant_id, "resellers": resellers})
        return {client_id: JobTotals(*rest) for client_id, *rest in cursor.fetchall()}


def jobs_within(reach: Reach) -> QuerySet[Any]:
    """The jobs that may be seen, with what a row shows of them."""
    rows = within(BackupJob.objects.of(reach.tenant_id), reach, client="selection__client")
    return rows.select_related("server", "target", "selection", "selection__client")


def jobs_of_client(reach: Reach, client_id: int) -> tuple[JobRow, ...]:
    """A client's jobs: active ones first, then by selection and name."""
    rows = jobs_within(reach).filter(selection__client_id=client_id)
    return with_states(reach, rows.order_by(F("state").asc(), "selection__name", "name", "id"))


def find_job(reach: Reach, uid: uuid.UUID) -> JobRow | None:
    """One job, None when there is none that may be seen."""
    return next(iter(with_states(reach, jobs_within(reach).filter(uid=uid))), None)


def job_by_id(reach: Reach, job_id: int) -> JobRow | None:
    """One job by its id, None when there is none that may be seen."""
    return next(iter(with_states(reach, jobs_within(reach).filter(pk=job_id))), None)


def search_jobs(reach: Reach, text: str, *, limit: int) -> tuple[JobMatch, ...]:
    """Jobs whose name, server, selection or client holds the text."""
    holds = Q(name__icontains=text) | Q(server__name__icontains=text)
    holds |= Q(selection__name__icontains=text) | Q(selection__client__name__icontains=text)
    rows = jobs_within(reach).filter(holds).order_by("selection__client__name", "name", "id")[:limit]
    return tuple(
        JobMatch(row.pk, row.uid, row.name, row.server.name, row.selection.client.name, row.state) for row in rows
    )


def with_states(reach: Reach, rows: Iterable[Any]) -> tuple[JobRow, ...]:
    """Jobs of ``jobs_within`` with their states; one query more, however many."""
    jobs = list(rows)
    states = JobState.objects.of(reach.tenant_id).filter(job_id__in=[job.pk for job in jobs])
    by_job = {state.job_id: state for state in states}
    return tuple(_job_row(job, by_job.get(job.pk) or JobState()) for job in jobs)


_STATE_FIELDS = (
    "last_run_at", "last_outcome", "last_good_at", "last_failure_at", "failures_in_row", "warnings_in_row",
    "last_data_at", "protected_bytes", "protected_at", "transferred_bytes", "stored_bytes", "running_since",
    "last_verify_at", "last_verify_outcome", "last_restore_at", "last_restore_outcome", "runs_seen", "check_after",
)  # fmt: skip


def _job_row(job: Any, state: JobState) -> JobRow:
    client: Client = job.selection.client
    return JobRow(
        id=job.pk,
        uid=job.uid,
        name=job.name,
        product=job.product,
        role=job.role,
        state=job.state,
        schedule=job.schedule,
        zone=job.timezone or client.timezone,
        registered_at=job.registered_at,
        server_id=job.server_id,
        server_uid=job.server.uid,
        server=job.server.name,
        target=job.target.name if job.target else "",
        observed=job.observed,
        selection_id=job.selection_id,
        selection_uid=job.selection.uid,
        selection=job.selection.name,
        selection_state=job.selection.state,
        selection_quota_bytes=job.selection.quota_bytes,
        client_id=client.pk,
        client_uid=client.uid,
        client=client.name,
        reseller_id=client.reseller_id,
        **{name: getattr(state, name) for name in _STATE_FIELDS},
    )


def runs_of_job(
    reach: Reach, job_id: int, *, now: datetime, before: datetime | None = None, outcome: str = "", limit: int = 50
) -> RunPage:
    """A page of a job's runs, newest first; the caller has found the job within the same reach."""
    newest = before or now + timedelta(days=31)
    rows = JobRun.objects.of(reach.tenant_id).filter(
        job_id=job_id,
        filed_month__range=(next_month(month_of(now.date()), steps=-MONTHS_BACK), next_month(month_of(newest.date()))),
        ended_at__lt=newest,
    )
    if outcome:
        rows = rows.filter(outcome=outcome)
    found = list(rows.order_by("-ended_at", "-run_key")[: limit + 1])
    page, further = found[:limit], found[limit:]
    # The cursor is a moment: runs that end at the same one are not torn apart, or the next page would miss some.
    while further and len(page) > 1 and page[-1].ended_at == further[0].ended_at:
        page.pop()
    return RunPage(rows=tuple(_run_row(run) for run in page), older_than=page[-1].ended_at if further else None)


def find_run(reach: Reach, uid: uuid.UUID, *, month: date) -> RunDetail | None:
    """One run of the month in its address, None when there is none that may be seen."""
    run = _runs_within(reach).filter(uid=uid, filed_month=month).first()
    return None if run is None else _run_detail(run)


def runs_of_receipt(reach: Reach, receipt_id: int, *, around: date, limit: int) -> tuple[RunRow, ...]:
    """The first runs that may be seen of one delivery, filed in the months beside ``around``, in their order in the
    log.
    """
    months = (next_month(month_of(around), steps=-1), next_month(month_of(around)))
    rows = _runs_within(reach).filter(receipt_id=receipt_id, filed_month__range=months)
    return tuple(_run_row(run) for run in rows.order_by("place")[:limit])


def _runs_within(reach: Reach) -> QuerySet[Any]:
    rows = JobRun.objects.of(reach.tenant_id)
    if reach.reseller_ids is None:
        return rows
    clients = within(Client.objects.of(reach.tenant_id), reach, client="")
    return rows.filter(client_id__in=clients.values("pk"))


def size_trend(reach: Reach, job_ids: Sequence[int], *, first_day: date, last_day: date, zone: str) -> list[SizePoint]:
    """Per day the protected size of these jobs (one per selection), the last known size standing until the next.

    Days before the first measurement of any job are left out.
    """
    measured: dict[date, dict[int, int]] = {}
    for job_id, ended_at, size in _measured_sizes(reach, job_ids, first_day=first_day, last_day=last_day, zone=zone):
        measured.setdefault(ended_at.astimezone(ZoneInfo(zone)).date(), {})[job_id] = size
    standing: dict[int, int] = {}
    points = []
    for day in (first_day + timedelta(days=step) for step in range((last_day - first_day).days + 1)):
        standing |= measured.get(day, {})
        if standing:
            points.append(SizePoint(day, sum(standing.values())))
    return points


def _measured_sizes(
    reach: Reach, job_ids: Sequence[int], *, first_day: date, last_day: date, zone: str
) -> list[tuple[int, datetime, int]]:
    since, until = day_bounds(first_day, last_day, zone)
    rows = JobRun.objects.of(reach.tenant_id).filter(
        job_id__in=list(job_ids),
        filed_month__range=(next_month(month_of(first_day), steps=-1), next_month(month_of(last_day))),
        ended_at__gte=since,
        ended_at__lt=until,
        measurable=True,
        protected_bytes__isnull=False,
    )
    return list(rows.order_by("ended_at", "run_key").values_list("job_id", "ended_at", "protected_bytes"))


def measuring_jobs(jobs: Iterable[JobRow]) -> list[int]:
    """One job per selection: the newest measured, so that a selection counts once."""
    chosen: dict[int, JobRow] = {}
    for job in jobs:
        best = chosen.get(job.selection_id)
        if job.protected_at and (best is None or not best.protected_at or job.protected_at > best.protected_at):
            chosen[job.selection_id] = job
    return sorted(job.id for job in chosen.values())


def _run_row(run: Any) -> RunRow:
    errors = run.errors or []
    return RunRow(
        uid=run.uid,
        month=run.filed_month,
        job_id=run.job_id,
        operation=run.operation,
        outcome=run.outcome,
        good=run.good,
        started_at=run.started_at,
        ended_at=run.ended_at,
        duration_seconds=_duration(run),
        protected_bytes=run.protected_bytes,
        transferred_bytes=run.transferred_bytes,
        stored_bytes=run.stored_bytes,
        errors_total=run.errors_total,
        first_error=_read_error(errors[0]).message if errors else "",
    )


def _duration(run: Any) -> float | None:
    if run.duration_seconds is not None:
        return float(run.duration_seconds)
    return (run.ended_at - run.started_at).total_seconds() if run.started_at else None


def _run_detail(run: Any) -> RunDetail:
    same = (
        "id", "client_id", "receipt_id", "place", "revision", "run_key", "action", "complete", "measurable",
        "time_told", "changed_bytes", "restored_bytes", "freed_bytes", "basis", "chain_length",
        "last_full_at", "checksum_ok", "product", "product_version", "host",
        "archive", "files_failed", "exit_code", "first_line", "last_line", "recorded_at",
    )  # fmt: skip
    return RunDetail(
        row=_run_row(run),
        files=dict(run.files or {}),
        sources=dict(run.sources or {}),
        errors=tuple(_read_error(error) for error in run.errors or []),
        parts=tuple(_read_part(part) for part in run.components or []),
        problems=tuple(str(text) for text in run.problems or []),
        notes=tuple(str(text) for text in run.notes or []),
        **{name: getattr(run, name) for name in same},
    )


def _read_error(stored: Any) -> RunError:
    """Errors are kept as the parser's fields, or as a bare line by senders that tell no more."""
    if not isinstance(stored, dict):
        return RunError(message=str(stored))
    return RunError(
        message=str(stored.get("message", "")),
        path=str(stored.get("path") or ""),
        severity=str(stored.get("severity") or "error"),
        kind=str(stored.get("kind") or ""),
    )


def _read_part(stored: Mapping[str, Any]) -> RunPart:
    sizes = {name: stored.get(name) for name in ("protected_bytes", "transferred_bytes", "stored_bytes")}
    return RunPart(
        type=str(stored.get("type", "")),
        name=str(stored.get("name", "")),
        outcome=str(stored.get("outcome", "unknown")),
        message=str(stored.get("message", "")),
        **{name: size if isinstance(size, int) else None for name, size in sizes.items()},
    )
