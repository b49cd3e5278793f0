"""The timed pass: finds what is due by its clock and enters the line at *evaluate*.

Each batch is one transaction of one tenant: it claims due rows by one UPDATE with SKIP LOCKED, evaluates them, and
moves their clocks on, so that sweeps may run side by side and one that dies leaves nothing behind. A batch that fails
on data is halved until the bad row stands alone; that one is put off for a while and logged, the rest land.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction

from alerts.evaluating import evaluate_clients, evaluate_jobs, evaluate_tenant
from alerts.heartbeats import beat
from alerts.incidents import look_again
from alerts.marking import mark_groups_of_due_jobs
from alerts.subjects import CAUSES_FIRST, LOADERS, evaluate_kind

log = logging.getLogger(__name__)

BATCH = 500
#: How long a row that cannot be evaluated is left alone.
PUT_OFF = timedelta(minutes=15)
#: Receipts waiting longer than this make their tenant due.
WAITING = timedelta(minutes=5)


@dataclass(frozen=True)
class Due:
    """One kind of clock: how due rows of one tenant are claimed, and what is done with them."""

    name: str
    claim: str
    put_off: str
    work: Callable[[int, Sequence[int], datetime], None]


def evaluate_due_tenant(tenant_id: int, ids: Sequence[int], now: datetime) -> None:
    evaluate_tenant(tenant_id, now=now)


def due_work(kind: str) -> Callable[[int, Sequence[int], datetime], None]:
    """What is done with due subjects of a kind of ``alerts.subjects``."""
    return lambda tenant_id, ids, now: evaluate_kind(kind, tenant_id, ids, now=now)


# ANY(ARRAY(..)) has the inner query done once. With IN the planner may do it again for each row, and claim far more.
# The order is that of the index on clocks: by any other the planner may read every row of a tenant to find none due.
# It need not be that of the line's locks, as what is locked is passed over and never waited for.
def due_subjects(kind: str, work: Callable[[int, Sequence[int], datetime], None]) -> Due:
    """The clocks of one kind of subject that is no job."""
    return Due(
        name=f"{kind}s",
        claim=f"""
            UPDATE alerts_subjectstate SET check_after = %(later)s WHERE id = ANY(ARRAY(
                SELECT id FROM alerts_subjectstate WHERE check_after <= %(now)s AND subject_kind = '{kind}'
                AND tenant_id = (SELECT tenant_id FROM alerts_subjectstate
                    WHERE check_after <= %(now)s AND subject_kind = '{kind}'
                    ORDER BY check_after LIMIT 1 FOR UPDATE SKIP LOCKED)
                ORDER BY check_after LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
            RETURNING tenant_id, subject_id""",  # noqa: S608  (kind is one of those of this program)
        put_off="UPDATE alerts_subjectstate SET check_after = %(later)s WHERE tenant_id = %(tenant)s "  # noqa: S608
        f"AND subject_kind = '{kind}' AND subject_id = ANY(%(ids)s)",
        work=work,
    )


DUE_INCIDENTS = Due(
    name="incidents",
    claim="""
            UPDATE alerts_incident SET check_after = %(later)s WHERE id = ANY(ARRAY(
                SELECT id FROM alerts_incident WHERE check_after <= %(now)s AND state = 'open' AND tenant_id = (
                    SELECT tenant_id FROM alerts_incident WHERE check_after <= %(now)s AND state = 'open'
                    ORDER BY check_after LIMIT 1 FOR UPDATE SKIP LOCKED)
                ORDER BY check_after LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
            RETURNING tenant_id, id""",
    put_off="UPDATE alerts_incident SET check_after = %(later)s WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)",
    work=lambda tenant_id, ids, now: look_again(tenant_id, ids, now=now),
)
DUE_JOBS = Due(
    name="jobs",
    claim="""
            UPDATE backups_jobstate SET check_after = %(later)s WHERE job_id = ANY(ARRAY(
                SELECT job_id FROM backups_jobstate WHERE check_after <= %(now)s AND tenant_id = (
                    SELECT tenant_id FROM backups_jobstate WHERE check_after <= %(now)s
                    ORDER BY check_after LIMIT 1 FOR UPDATE SKIP LOCKED)
                ORDER BY check_after LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
            RETURNING tenant_id, job_id""",
    put_off="UPDATE backups_jobstate SET check_after = %(later)s "
    "WHERE tenant_id = %(tenant)s AND job_id = ANY(%(ids)s)",
    work=lambda tenant_id, ids, now: evaluate_jobs(tenant_id, ids, now=now),
)
DUES = (
    *(due_subjects(kind, due_work(kind)) for kind in CAUSES_FIRST),
    DUE_INCIDENTS,
    DUE_JOBS,
    due_subjects("client", lambda tenant_id, ids, now: evaluate_clients(tenant_id, ids, now=now)),
    due_subjects("tenant", evaluate_due_tenant),
    *(due_subjects(kind, due_work(kind)) for kind in LOADERS if kind not in CAUSES_FIRST),
)


def sweep(*, now: datetime, is_time_up: Callable[[], bool] = lambda: False) -> int:
    """Evaluate everything that is due at ``now``; answers how many rows. Stops early when ``is_time_up``."""
    beat(now=now)
    mark_waiting_tenants(now=now)
    mark_groups_of_due_jobs(now=now)
    done = 0
    for due in DUES:
        if due is DUE_INCIDENTS:
            wait_for_causes(now=now)
        while not is_time_up():
            number = sweep_batch(due, now=now)
            done += number
            if number == 0:
                break
    return done


def wait_for_causes(*, now: datetime) -> None:
    """Until groups that another sweep claimed are judged: their jobs come after them here, too. No lock is held."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id FROM alerts_subjectstate WHERE check_after <= %s AND subject_kind = ANY(%s) "
            "ORDER BY tenant_id, subject_kind, subject_id FOR SHARE",
            [now, list(CAUSES_FIRST)],
        )


def sweep_batch(due: Due, *, now: datetime, limit: int = BATCH) -> int:
    """One batch in one transaction. If it fails on data, its rows are done again in halves."""
    ids: list[int] = []
    tenant_id = 0
    try:
        with transaction.atomic():
            tenant_id, ids = claim(due, now=now, limit=limit)
            if ids:
                due.work(tenant_id, ids, now)
    except Exception as error:
        raise_if_lost(error)
        log.exception("sweep of %s failed for tenant %s", due.name, tenant_id)
        halve(due, tenant_id, ids, now=now)
    return len(ids)


def raise_if_lost(error: Exception) -> None:
    """Only a lost database ends the sweep. A deadlock, a timeout or a limit met by some rows is theirs alone: the
    oldest due row always comes first, so it would otherwise end every sweep, for every tenant.
    """
    if isinstance(error, InterfaceError) or (isinstance(error, OperationalError) and not connection.is_usable()):
        raise error


def halve(due: Due, tenant_id: int, ids: Sequence[int], *, now: datetime) -> None:
    """Do the rows in halves until the one that fails stands alone: it is put off."""
    for part in (ids[: len(ids) // 2], ids[len(ids) // 2 :]) if len(ids) > 1 else (ids,):
        try:
            with transaction.atomic():
                put_off(due, tenant_id, part, now=now)
                if len(ids) > 1:
                    due.work(tenant_id, part, now)
        except Exception as error:
            raise_if_lost(error)
            if len(ids) > 1:
                halve(due, tenant_id, part, now=now)


def claim(due: Due, *, now: datetime, limit: int) -> tuple[int, list[int]]:
    """Lock due rows of the tenant that has waited longest; the clocks are moved at once, evaluating sets them right."""
    with connection.cursor() as cursor:
        cursor.execute(due.claim, {"now": now, "later": now + PUT_OFF, "limit": limit})
        rows = cursor.fetchall()
    return (rows[0][0], sorted(row[1] for row in rows)) if rows else (0, [])


def put_off(due: Due, tenant_id: int, ids: Sequence[int], *, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(due.put_off, {"later": now + PUT_OFF, "tenant": tenant_id, "ids": list(ids)})


def mark_waiting_tenants(*, now: datetime) -> None:
    """A tenant whose receipts wait is due; so is one with an open incident about that."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_subjectstate (tenant_id, subject_kind, subject_id, check_after) "
            "SELECT DISTINCT tenant_id, 'tenant', tenant_id, %(now)s FROM ingest_receiptqueue "
            "WHERE received_at < %(waiting)s "
            "UNION SELECT tenant.id, 'tenant', tenant.id, %(now)s FROM tenants_tenant tenant "
            "JOIN alerts_incident incident ON incident.tenant_id = tenant.id AND incident.state = 'open' "
            "AND incident.fingerprint = 'processing_delayed:tenant:' || tenant.id "
            "ON CONFLICT (tenant_id, subject_kind, subject_id) DO UPDATE SET check_after = excluded.check_after",
            {"now": now, "waiting": now - WAITING},
        )
