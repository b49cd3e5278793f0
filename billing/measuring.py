"""Which job measures a selection and how it counts; a change of either bills nothing until a person approves it here.

The choices are dated and only added to, so an earlier month reads the same after a change as before it.
"""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction

from billing.models import MeasuringChoice
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
    since: date,
    reason: str = "",
) -> MeasuringChoice:
    """Bill this selection by this job, counted this way, from the local day ``since`` on. Locks the selection.

    Days before ``since`` keep the choice that held for them. Raises Refused if the job never belonged to the selection.
    """
    locked = Selection.objects.of(tenant).select_for_update().get(pk=selection.pk)
    if job.tenant_id != tenant.pk or not _protects(tenant, job, locked):
        raise Refused(f"Job {job.name} does not protect {locked.name}: it cannot measure it.")
    before = {"job": locked.measuring_job_id, "basis": locked.basis}
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


def _protects(tenant: Tenant, job: BackupJob, selection: Selection) -> bool:
    if job.selection_id == selection.pk:
        return True
    return bool(JobSelectionSpan.objects.of(tenant).filter(job=job, selection=selection).exists())
