"""Counts what must not be: jobs without a clock, open incidents nobody was told of, runs without a partition, orphans.

``manage.py census`` shows the numbers of all tenants to whoever runs the service, API and dashboard those within reach
of whoever asks. All but the waiting receipts must be zero; a receipt that waits for long is an alarm of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from alerts.job_loading import QUIET_CLIENT_STATES
from alerts.marking import SUBJECTS
from msp.estate.queries import Reach
from msp.partitions import month_of, next_month

#: Telling is decided in the transaction that opens an incident, delivered within minutes.
TELLING_TAKES = timedelta(minutes=15)
#: A receipt that waits longer than this holds back overdue jobs no more.
WAITS_TOO_LONG = timedelta(minutes=15)


@dataclass(frozen=True)
class Census:
    """The numbers of one tenant or of all. None: rows without a client, which a reseller does not see."""

    jobs_without_clock: int
    subjects_without_clock: int
    untold_incidents: int
    stray_rows: int | None
    waiting_receipts: int | None
    oldest_waiting_at: datetime | None

    def faults(self, now: datetime) -> tuple[str, ...]:
        """A sentence for each number that must be zero and is not, and for a receipt that waits too long."""
        counted = (
            (self.jobs_without_clock, "active jobs have no clock: nobody would notice if they stopped"),
            (self.subjects_without_clock, "selections, machines, volumes or accounts have no clock"),
            (self.untold_incidents, "open incidents were told to nobody, and no window or hold explains why"),
            (self.stray_rows or 0, "rows found no partition of their own"),
        )
        faults = [f"{number} {words}." for number, words in counted if number]
        if self.oldest_waiting_at is not None and self.oldest_waiting_at < now - WAITS_TOO_LONG:
            faults.append(f"A log waits to be read since {self.oldest_waiting_at:%Y-%m-%d %H:%M} UTC.")
        return tuple(faults)


# Both are the definitions that evaluating uses: a job is active with all that it belongs to; telling has a reason.
WITHIN_CLIENTS = f"""
SELECT
    (SELECT count(*) FROM backups_backupjob job
     JOIN estate_selection selection ON selection.id = job.selection_id
     JOIN estate_client client ON client.id = selection.client_id
     JOIN estate_backupserver server ON server.id = job.server_id
     JOIN tenants_tenant tenant ON tenant.id = job.tenant_id
     LEFT JOIN backups_jobstate state ON state.job_id = job.id
     WHERE job.state = 'active' AND selection.state = 'active' AND server.state = 'active' AND tenant.state = 'active'
       AND client.state <> ALL(%(quiet)s) AND state.check_after IS NULL
       AND (%(tenant)s::bigint IS NULL OR job.tenant_id = %(tenant)s)
       AND (%(resellers)s::bigint[] IS NULL OR client.reseller_id = ANY(%(resellers)s))),
    (SELECT count(*) FROM alerts_incident incident
     LEFT JOIN estate_client client ON client.id = incident.client_id
     WHERE incident.state = 'open' AND incident.told_at IS NULL AND incident.opened_at <= %(late)s
       AND (incident.tell_after <= %(late)s OR (incident.tell_after IS NULL AND incident.untold_reason = ''))
       AND (%(tenant)s::bigint IS NULL OR incident.tenant_id = %(tenant)s)
       AND (%(resellers)s::bigint[] IS NULL OR client.reseller_id = ANY(%(resellers)s))),
    (SELECT count(*) FROM ({SUBJECTS}) AS subject
     LEFT JOIN estate_client client ON client.id = subject.client_id
     LEFT JOIN alerts_subjectstate clock ON clock.tenant_id = subject.tenant_id AND clock.subject_kind = subject.kind
         AND clock.subject_id = subject.id
     WHERE subject.active AND clock.check_after IS NULL AND subject.registered_at <= %(late)s
       AND (%(tenant)s::bigint IS NULL OR subject.tenant_id = %(tenant)s)
       AND (%(resellers)s::bigint[] IS NULL OR client.reseller_id = ANY(%(resellers)s)))
"""  # noqa: S608  (put together of constants)

WITHOUT_CLIENTS = """
SELECT (SELECT count(*) FROM backups_jobrun_default WHERE %(tenant)s::bigint IS NULL OR tenant_id = %(tenant)s)
     + (SELECT count(*) FROM ingest_body_default WHERE %(tenant)s::bigint IS NULL OR tenant_id = %(tenant)s),
       count(*), min(received_at)
FROM ingest_receiptqueue WHERE %(tenant)s::bigint IS NULL OR tenant_id = %(tenant)s
"""

ORPHANS = """
SELECT
    (SELECT count(*) FROM backups_jobrun run WHERE run.filed_month BETWEEN %(first)s AND %(last)s AND NOT EXISTS (
        SELECT 1 FROM backups_backupjob job WHERE job.tenant_id = run.tenant_id AND job.id = run.job_id)),
    (SELECT count(*) FROM ingest_receiptqueue queued WHERE NOT EXISTS (
        SELECT 1 FROM ingest_receipt receipt
        WHERE receipt.tenant_id = queued.tenant_id AND receipt.id = queued.receipt_id))
"""


@dataclass(frozen=True)
class Orphans:
    """Rows whose other half is gone: runs of no job, filed this month or last; queued receipts that are none."""

    runs: int
    queued: int


def take_census(reach: Reach | None, *, now: datetime) -> Census:
    """The numbers within somebody's reach, of all tenants without one. Two statements, one for a reseller."""
    tenant = None if reach is None else reach.tenant_id
    resellers = None if reach is None or reach.reseller_ids is None else sorted(reach.reseller_ids)
    values = {"tenant": tenant, "resellers": resellers, "late": now - TELLING_TAKES}
    jobs, untold, subjects = _row(WITHIN_CLIENTS, values | {"quiet": list(QUIET_CLIENT_STATES)})
    if resellers is not None:
        return Census(jobs, subjects, untold, None, None, None)
    return Census(jobs, subjects, untold, *_row(WITHOUT_CLIENTS, {"tenant": tenant}))


def count_orphans(today: date) -> Orphans:
    """Of all tenants; reads two months of runs, so it is for the command alone."""
    month = month_of(today)
    return Orphans(*_row(ORPHANS, {"first": next_month(month, steps=-1), "last": month}))


def _row(statement: str, values: dict[str, Any]) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return tuple(cursor.fetchone())
