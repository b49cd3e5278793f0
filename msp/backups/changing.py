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
from msp.estate.models import Selection
from msp.estate.spans import Actor, BadChange, begin_span, checked_zone, record_change
from msp.tenants.models import Tenant

JOB_VALUES = ("schedule", "timezone", "state")
#: Proposed is what a log makes of a job nobody knows; people decide it, they do not go back to it.
CHOSEN_STATES = ("active", "paused", "retired")


def change_job(tenant: Tenant, job_id: int, values: Mapping[str, Any], *, actor: Actor) -> BackupJob:
    """Set some of JOB_VALUES; "" takes schedule or zone away. Raises BadChange."""
    for name, value in values.items():
        _check(name, value)
    with transaction.atomic():
        _lock_clock(tenant, job_id)
        job: BackupJob = BackupJob.objects.of(tenant).select_for_update(no_key=True).get(pk=job_id)
        before = {name: getattr(job, name) for name in values if getattr(job, name) != values[name]}
        for name in before:
            setattr(job, name, values[name])
        if before:
            job.save(update_fields=sorted(before))
            after = {name: values[name] for name in before}
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


def _check(name: str, value: str) -> None:
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
