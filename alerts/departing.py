"""What a person says of a job that its product lists no more: it has left, or it is still there.

Called by the dashboard and the API. Once it has left, its job is retired and everything that only a person may close is
closed with the same reason; otherwise only the incident about the list is.
"""

from __future__ import annotations

import contextlib
from uuid import UUID

from alerts.acting import CannotAct, close_by_hand
from alerts.evaluating import mark_due
from alerts.models import Incident
from alerts.rules import machine_gone
from msp.backups.models import BackupJob
from msp.estate.spans import Actor, BadChange
from msp.ingest.leaving import confirm_left, say_still_there
from msp.tenants.models import Tenant


def settle_departure(tenant: Tenant, job: BackupJob, *, left: bool, actor: Actor) -> None:
    """Store the decision with its reason, and close what it settles. Raises BadChange."""
    if not actor.reason.strip():
        raise BadChange("reason", "Say how you know: the reason is kept with the job and its incident.")
    decide = confirm_left if left else say_still_there
    decide(tenant, job.pk, actor=actor)
    said = "It has left" if left else "It is still there"
    for uid in _open_incidents(tenant, job, left=left):
        with contextlib.suppress(CannotAct):  # closed meanwhile: nothing is left to do
            close_by_hand(tenant, uid, actor=actor.name, reason=f"{said}: {actor.reason.strip()}", now=actor.now)
    mark_due(tenant.pk, "selection", [job.selection_id], now=actor.now)
    machine_id = job.selection.machine_id
    mark_due(tenant.pk, "machine", [machine_id] if machine_id else [], now=actor.now)


def _open_incidents(tenant: Tenant, job: BackupJob, *, left: bool) -> list[UUID]:
    rows = Incident.objects.of(tenant).filter(state="open", subject_kind="job", subject_id=job.pk, sticky=True)
    if not left:
        rows = rows.filter(kind=machine_gone.KIND)
    return list(rows.order_by("pk").values_list("uid", flat=True))
