"""Proposed jobs: what looks like a second way to a selection that is there, until a person says what it is.

Assigning makes them (``making.propose_second_ways``). They are watched like others and measure nothing. "Yes": a copy
of that selection. "No": a selection of its own, dated from its first run, whose logs are read again so that what they
measured is theirs. Called by the dashboard and the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
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


@dataclass(frozen=True)
class Proposal:
    """A proposed job beside the job that measures the selection: what each of them last found, in bytes."""

    job: BackupJob
    protected_bytes: int | None
    protected_at: datetime | None
    measuring: BackupJob | None
    measured_bytes: int | None
    measured_at: datetime | None

    @property
    def is_apart(self) -> bool:
        """Whether the two figures differ by more than a tenth: hardly the same thing twice."""
        if self.protected_bytes is None or self.measured_bytes is None:
            return False
        return abs(self.protected_bytes - self.measured_bytes) * 10 > max(self.protected_bytes, self.measured_bytes)


def read_proposals(reach: Reach, *, limit: int) -> tuple[Proposal, ...]:
    """The proposed jobs with both figures side by side, oldest first; three queries."""
    jobs = list(list_proposed(reach)[:limit])
    measuring_ids = {job.selection.measuring_job_id for job in jobs if job.selection.measuring_job_id}
    measuring = {job.pk: job for job in BackupJob.objects.of(reach.tenant_id).filter(pk__in=measuring_ids)}
    ids = {job.pk for job in jobs} | set(measuring)
    states = {state.job_id: state for state in JobState.objects.of(reach.tenant_id).filter(job_id__in=ids)}
    return tuple(_proposal(job, measuring.get(job.selection.measuring_job_id or 0), states) for job in jobs)


def _proposal(job: BackupJob, measuring: BackupJob | None, states: Mapping[int, JobState]) -> Proposal:
    own, other = states.get(job.pk), states.get(measuring.pk) if measuring else None
    return Proposal(
        job=job,
        protected_bytes=own.protected_bytes if own else None,
        protected_at=own.protected_at if own else None,
        measuring=measuring,
        measured_bytes=other.protected_bytes if other else None,
        measured_at=other.protected_at if other else None,
    )


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
