"""Changes a backup job by hand: its schedule, zone and state, and, dated, the selection it protects.

Called by the API and the dashboard, which then let ``alerts.acting.settings_changed`` look at everything anew. A change
makes the job's clock due, whatever its state was: a paused job's incidents close at the next sweep. Each change locks
its row and writes its audit entry in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import transaction

from msp.backups.models import BackupJob, JobSelectionSpan, JobState
from msp.backups.schedule import BadSchedule, parse_schedule
from msp.estate.models import BackupServer, Selection, Volume
from msp.estate.spans import Actor, BadChange, begin_span, checked_zone, record_change
from msp.tenants.models import Tenant

JOB_VALUES = ("schedule", "timezone", "state", "volume", "observed")
#: Proposed is what a log makes of a job nobody knows; people decide it, they do not go back to it.
CHOSEN_STATES = ("active", "paused", "retired")


def change_job(tenant: Tenant, job_id: int, values: Mapping[str, Any], *, actor: Actor) -> BackupJob:
    """Set some of JOB_VALUES; "" takes schedule or zone away, None the volume. Raises BadChange.

    A job that moves to another volume of its server is the same job: nothing else changes.
    """
    for name, value in values.items():
        _check(name, value)
    with transaction.atomic():
        _lock_clock(tenant, job_id)
        job: BackupJob = BackupJob.objects.of(tenant).select_for_update(no_key=True).get(pk=job_id)
        _check_volume(job, values.get("volume"))
        before = {name: getattr(job, name) for name in values if getattr(job, name) != values[name]}
        for name in before:
            setattr(job, name, values[name])
        if before:
            job.save(update_fields=sorted(before))
            after = {name: _told(values[name]) for name in before}
            before = {name: _told(value) for name, value in before.items()}
            record_change(tenant, job, "job changed", before, after, actor=actor)
            _make_due(tenant, job_id, actor=actor)
    return job


def move_job_selection(tenant: Tenant, job_id: int, *, selection: Selection, on: date, actor: Actor) -> BackupJob:
    """From that day on the job protects this selection. Raises BadChange."""
    with transaction.atomic():
        _lock_clock(tenant, job_id)
        job: BackupJob = BackupJob.objects.of(tenant).select_for_update(no_key=True).get(pk=job_id)
        wanted = Selection.objects.of(tenant).get(pk=selection.pk)
        if job.selection_id == wanted.pk:
            return job
        begin_span(tenant, JobSelectionSpan, {"job_id": job.pk}, {"selection_id": wanted.pk}, on=on, now=actor.now)
        before, job.selection = job.selection_id, wanted
        job.save(update_fields=["selection"])
        after = {"selection_id": wanted.pk, "on": str(on)}
        record_change(tenant, job, "job moved", {"selection_id": before}, after, actor=actor)
        _make_due(tenant, job_id, actor=actor)
    return job


def move_job_server(tenant: Tenant, job_id: int, *, server: BackupServer, actor: Actor) -> BackupJob:
    """The job runs on this server from now on: the same job, with its runs and clocks; its old volume is not there."""
    with transaction.atomic():
        _lock_clock(tenant, job_id)
        rows = BackupJob.objects.of(tenant).select_for_update(of=("self",), no_key=True).select_related("server")
        job: BackupJob = rows.get(pk=job_id)
        here: BackupServer = BackupServer.objects.of(tenant).get(pk=server.pk)
        if job.server_id == here.pk:
            return job
        before, job.server, job.volume = job.server.name, here, None
        job.save(update_fields=["server", "volume"])
        action, after = "job moved to another server", {"server": here.name}
        record_change(tenant, job, action, {"server": before}, after, actor=actor)
        _make_due(tenant, job_id, actor=actor)
    return job


def _told(value: Any) -> Any:
    return value.name if isinstance(value, Volume) else value


def _check_volume(job: BackupJob, volume: Volume | None) -> None:
    if volume is not None and (volume.tenant_id, volume.server_id) != (job.tenant_id, job.server_id):
        raise BadChange("volume", f'The volume "{volume.name}" is on another server than the job.')


def _check(name: str, value: Any) -> None:
    if name not in JOB_VALUES:
        raise TypeError(f"not to be changed here: {name}")
    if name == "state" and value not in CHOSEN_STATES:
        raise BadChange("state", f'A job is set to active, paused or retired, not "{value}".')
    if name == "timezone" and value:
        checked_zone(value)
    if name == "schedule" and value:
        _check_schedule(value)


def _check_schedule(text: str) -> None:
    try:
        parse_schedule(text)
    except BadSchedule as refused:
        raise BadChange("schedule", refused.reason) from refused


def _lock_clock(tenant: Tenant, job_id: int) -> None:
    """State rows are locked first: so no batch of logs is in between."""
    JobState.objects.of(tenant).select_for_update().filter(job_id=job_id).first()


def _make_due(tenant: Tenant, job_id: int, *, actor: Actor) -> None:
    JobState.objects.of(tenant).update_or_create(job_id=job_id, defaults={"check_after": actor.now})
