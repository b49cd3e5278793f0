"""What measures otherwise than approved: figures in the ledger that nobody is billed by until a person approves them.

Read for the page that approves; one query. A change of basis of the measuring job, or another job that measured days on
which the measuring job brought nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection

from msp.tenants.models import Tenant


@dataclass(frozen=True, kw_only=True)
class Unapproved:
    """Figures of one job and basis of a selection; sizes in bytes, of the last such day and of the last billed one.

    ``same_job``: the measuring job itself, counting another way.
    """

    selection_uid: UUID
    selection: str
    client: str
    job_uid: UUID
    job: str
    basis: str
    approved_job: str
    approved_basis: str
    first_day: date
    last_day: date
    days: int
    last_bytes: int
    approved_bytes: int | None

    @property
    def same_job(self) -> bool:
        return self.job == self.approved_job


UNAPPROVED = """
WITH effective AS (
    SELECT e.* FROM billing_usageentry e
    WHERE e.tenant_id = %(tenant)s AND e.metric = 'protected' AND e.local_day >= %(since)s
      AND e.quantity IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM billing_usageentry n WHERE n.tenant_id = e.tenant_id AND n.source = e.source
          AND n.metric = e.metric AND n.revision > e.revision)
), otherwise AS (
    SELECT s.id, s.uid, s.name, c.name AS client, e.job_id, e.basis, s.measuring_job_id, s.basis AS approved_basis,
           min(e.local_day) AS first_day, max(e.local_day) AS last_day, count(DISTINCT e.local_day) AS days,
           (array_agg(e.quantity ORDER BY e.measured_at DESC, e.run_key DESC))[1] AS last_bytes
    FROM effective e
    JOIN estate_selection s ON s.tenant_id = e.tenant_id AND s.id = e.selection_id
    JOIN estate_client c ON c.tenant_id = s.tenant_id AND c.id = s.client_id
    LEFT JOIN LATERAL (SELECT m.since FROM billing_measuringchoice m
        WHERE m.tenant_id = s.tenant_id AND m.selection_id = s.id
        ORDER BY m.decided_at DESC, m.id DESC LIMIT 1) m ON true
    WHERE s.measuring_job_id IS NOT NULL AND e.job_id IS NOT NULL AND e.local_day >= coalesce(m.since, e.local_day)
      AND CASE WHEN e.job_id = s.measuring_job_id THEN s.basis <> '' AND e.basis <> s.basis
          ELSE NOT EXISTS (SELECT 1 FROM effective o WHERE o.selection_id = s.id AND o.local_day = e.local_day
            AND (o.job_id IS NULL OR o.job_id = s.measuring_job_id)) END
    GROUP BY s.id, s.uid, s.name, c.name, e.job_id, e.basis, s.measuring_job_id, s.basis
)
SELECT o.uid, o.name, o.client, j.uid, j.name, o.basis, a.name, o.approved_basis, o.first_day, o.last_day, o.days,
       o.last_bytes, (SELECT e.quantity FROM effective e WHERE e.selection_id = o.id AND e.job_id = o.measuring_job_id
         AND (o.approved_basis = '' OR e.basis = o.approved_basis) ORDER BY e.measured_at DESC, e.run_key DESC LIMIT 1)
FROM otherwise o
JOIN backups_backupjob j ON j.tenant_id = %(tenant)s AND j.id = o.job_id
JOIN backups_backupjob a ON a.tenant_id = %(tenant)s AND a.id = o.measuring_job_id
ORDER BY o.client, o.name, j.name, o.basis
LIMIT %(limit)s
"""
NAMES = (
    "selection_uid", "selection", "client", "job_uid", "job", "basis", "approved_job", "approved_basis", "first_day",
    "last_day", "days", "last_bytes", "approved_bytes",
)  # fmt: skip


def unapproved_figures(tenant: Tenant, *, since: date, limit: int = 200) -> tuple[Unapproved, ...]:
    """Figures from ``since`` on that wait for an approval, by client and selection."""
    values: dict[str, Any] = {"tenant": tenant.pk, "since": since, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(UNAPPROVED, values)
        return tuple(Unapproved(**dict(zip(NAMES, row, strict=True))) for row in cursor.fetchall())
