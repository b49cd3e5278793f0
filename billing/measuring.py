"""Which job measures a selection and how it counts; a change of either bills nothing until a person approves it here.

The choices are dated and only added to, so an earlier month reads the same after a change as before it.
"""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction
from django.db.models import Min

from billing.models import MeasuringChoice, UsageEntry
from billing.periods import local_day
from billing.refusals import Refused
from msp.backups.models import BackupJob, JobSelectionSpan
from msp.estate.models import Selection
from msp.tenants import audit
from msp.tenants.models import Tenant


@transaction.atomic
def approve_basis(
    tenant: Tenant,
    selection: Selection,
    job: BackupJob,
    basis: str,
    *,
    actor: str,
    now: datetime,
    since: date | None = None,
    reason: str = "",
) -> MeasuringChoice:
    """Bill this selection by this job, counted this way, from the local day ``since`` on. Locks the selection.

    Without ``since``: from the first day on which this job counted this way and that was not billed so. Days before
    ``since`` keep the choice that held for them. Raises Refused if the job never belonged to the selection.
    """
    locked = Selection.objects.of(tenant).select_for_update().get(pk=selection.pk)
    if job.tenant_id != tenant.pk or not _protects(tenant, job, locked):
        raise Refused(f"Job {job.name} does not protect {locked.name}: it cannot measure it.")
    before = {"job": locked.measuring_job_id, "basis": locked.basis}
    since = since or _first_counted_so(tenant, locked, job, basis) or local_day(now, zone=tenant.timezone)
    choice: MeasuringChoice = MeasuringChoice.objects.of(tenant).create(
        selection=locked, job_id=job.pk, basis=basis, since=since, decided_at=now, actor=actor, reason=reason
    )
    locked.measuring_job_id, locked.basis = job.pk, basis
    locked.save(update_fields=["measuring_job_id", "basis"])
    audit.record(
        tenant,
        actor=actor,
        action="measuring.approved",
        subject_kind="selection",
        subject_id=locked.pk,
        subject=locked.name,
        before=before,
        after={"job": job.pk, "basis": basis, "since": since.isoformat()},
        reason=reason,
        now=now,
    )
    return choice


def _first_counted_so(tenant: Tenant, selection: Selection, job: BackupJob, basis: str) -> date | None:
    """The first day with such a figure since the choice in force began."""
    choices = MeasuringChoice.objects.of(tenant).filter(selection=selection)
    in_force = choices.order_by("-decided_at", "-pk").values_list("since", flat=True).first()
    entries = UsageEntry.objects.of(tenant).filter(
        selection_id=selection.pk, job_id=job.pk, metric="protected", basis=basis, quantity__isnull=False
    )
    if in_force is not None:
        entries = entries.filter(local_day__gte=in_force)
    first: date | None = entries.aggregate(first=Min("local_day"))["first"]
    return first


def _protects(tenant: Tenant, job: BackupJob, selection: Selection) -> bool:
    if job.selection_id == selection.pk:
        return True
    return bool(JobSelectionSpan.objects.of(tenant).filter(job=job, selection=selection).exists())
