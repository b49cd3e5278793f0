"""Proposed jobs: what looks like a second way to a selection that is there, until a person says what it is.

Assigning makes them (``making.propose_second_ways``). They are watched like others and measure nothing. "Yes": a copy
of that selection. "No": a selection of its own, dated from its first run, whose logs are read again so that what they
measured is theirs. Called by the dashboard and the API.
"""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from msp.backups.models import BackupJob, JobRun, JobSelectionSpan, JobState
from msp.backups.queries import jobs_within
from msp.estate.models import Selection, SelectionClientSpan
from msp.estate.queries import Reach
from msp.estate.spans import Actor, BadChange, record_change
from msp.ingest.making import shortened
from msp.ingest.replaying import requeue
from msp.tenants.models import Tenant


def list_proposed(reach: Reach) -> QuerySet[BackupJob]:
    """Jobs that wait for a decision, oldest first."""
    rows: QuerySet[BackupJob] = jobs_within(reach).filter(state="proposed")
    return rows.select_related("server", "selection", "selection__client").order_by("registered_at", "pk")


def accept_second_way(tenant: Tenant, job_id: int, *, actor: Actor) -> BackupJob:
    """It is a copy of the selection it was proposed for. Raises BadChange when it is decided already."""
    with transaction.atomic():
        job = _lock_proposed(tenant, job_id)
        job.state, job.role = "active", "copy"
        job.save(update_fields=["state", "role"])
        after = {"state": "active", "role": "copy", "selection": job.selection.name}
        record_change(tenant, job, "second way accepted", {"state": "proposed"}, after, actor=actor)
        _make_due(tenant, job, actor=actor)
    return job


def give_own_selection(tenant: Tenant, job_id: int, *, actor: Actor) -> BackupJob:
    """It protects something of its own, since its first run. Raises BadChange when it is decided already."""
    with transaction.atomic():
        job = _lock_proposed(tenant, job_id)
        runs = JobRun.objects.of(tenant).filter(job_id=job.pk)
        first = runs.order_by("ended_at").values_list("ended_at", flat=True).first()
        zone = ZoneInfo(tenant.timezone)
        since = (first or actor.now).astimezone(zone).date()
        before, job.selection = job.selection, _own_selection(tenant, job, since=since, actor=actor)
        job.state = "active"
        job.save(update_fields=["state", "selection"])
        JobSelectionSpan.objects.of(tenant).filter(job=job).delete()
        JobSelectionSpan.objects.of(tenant).create(job=job, selection=job.selection, since=since)
        after = {"state": "active", "selection": job.selection.name, "since": str(since)}
        before_told = {"state": "proposed", "selection": before.name}
        record_change(tenant, job, "second way declined", before_told, after, actor=actor)
        _make_due(tenant, job, actor=actor)
        requeue(tenant.pk, set(runs.values_list("receipt_id", flat=True)), now=actor.now)
    return job


def _own_selection(tenant: Tenant, job: BackupJob, *, since: date, actor: Actor) -> Selection:
    client, name = job.selection.client, f"{job.server.name}: {job.name}"
    label = shortened(name, 200)
    if Selection.objects.of(tenant).filter(client=client, name=label).exists():
        label = f"{label[:180]} #{str(job.uid)[:8]}"
    try:
        with transaction.atomic():
            selection: Selection = Selection.objects.of(tenant).create(
                client=client, name=label, host=job.selection.host, roots=job.selection.roots, registered_at=actor.now
            )
    except IntegrityError as error:
        raise BadChange("name", f'{client.name} has a selection "{label}" already.') from error
    SelectionClientSpan.objects.of(tenant).create(selection=selection, client=client, since=since)
    return selection


def _lock_proposed(tenant: Tenant, job_id: int) -> BackupJob:
    """State rows are locked first: so no batch of logs is in between."""
    JobState.objects.of(tenant).select_for_update().filter(job_id=job_id).first()
    rows = BackupJob.objects.of(tenant).select_related("server", "selection", "selection__client")
    job: BackupJob | None = rows.select_for_update(of=("self",), no_key=True).filter(pk=job_id).first()
    if job is None or job.state != "proposed":
        raise BadChange("state", "Somebody has decided about this job already.")
    return job


def _make_due(tenant: Tenant, job: BackupJob, *, actor: Actor) -> None:
    JobState.objects.of(tenant).update_or_create(job_id=job.pk, defaults={"check_after": actor.now})
