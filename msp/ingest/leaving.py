"""Jobs that their product no longer lists: noted when a whole list lacks them, taken back when they are heard again.

``note_listing`` is called by the polling of pull sources where a product told all of its jobs, ``note_heard`` by the
pipeline. What a person decides (``confirm_left``, ``say_still_there``) is stored with an audit entry; the caller then
closes the incident and looks at everything anew. A retired job keeps its selection, its runs and its bills.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import connection, transaction

from msp.backups.changing import change_job
from msp.backups.models import BackupJob, JobState
from msp.estate.spans import Actor, BadChange, record_change
from msp.tenants.models import Tenant

#: What the source calls a job, and the part of it that is one client's.
Name = tuple[str, str]

# A job that has one name on the list is there, whatever other names it had.
TOLD = """
SELECT job.id, bool_or(told.there) FROM unnest(%(jobs)s::text[], %(items)s::text[], %(there)s::boolean[])
    AS told(source_job, item, there)
JOIN ingest_assignment assigned ON assigned.tenant_id = %(tenant)s AND assigned.server_id = %(server)s
    AND assigned.source_job = told.source_job AND assigned.item = told.item
JOIN backups_backupjob job ON job.tenant_id = assigned.tenant_id AND job.id = assigned.job_id
WHERE job.server_id = %(server)s AND job.state IN ('active', 'proposed') GROUP BY job.id
"""

HEARD = """
UPDATE backups_backupjob job SET gone_at = NULL, gone_because = '' FROM backups_jobstate state
WHERE job.tenant_id = %(tenant)s AND job.id = ANY(%(jobs)s) AND job.gone_at IS NOT NULL
  AND state.job_id = job.id AND state.last_run_at > job.gone_at
"""


def note_listing(
    tenant_id: int, server_id: int, *, there: Iterable[Name], gone: Iterable[Name], because: str, now: datetime
) -> int:
    """Note which jobs of a whole list are there and which that it told before are not; answers how many changed.

    Inside the caller's transaction. Locks JobState rows in job order, as the pipeline does, before the jobs' own rows.
    """
    names = [(*name, True) for name in there] + [(*name, False) for name in gone]
    if not names:
        return 0
    jobs, items, listed = (list(column) for column in zip(*names, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(TOLD, {"tenant": tenant_id, "server": server_id, "jobs": jobs, "items": items, "there": listed})
        told: dict[int, bool] = dict(cursor.fetchall())
    wrong = BackupJob.objects.of(tenant_id).filter(pk__in=[pk for pk, is_there in told.items() if is_there])
    back = set(wrong.filter(gone_at__isnull=False).values_list("pk", flat=True))
    missed = BackupJob.objects.of(tenant_id).filter(pk__in=[pk for pk, is_there in told.items() if not is_there])
    left = set(missed.filter(gone_at__isnull=True).values_list("pk", flat=True))
    if not back | left:
        return 0
    _make_due(tenant_id, back | left, now=now)
    BackupJob.objects.of(tenant_id).filter(pk__in=back).update(gone_at=None, gone_because="")
    BackupJob.objects.of(tenant_id).filter(pk__in=left).update(gone_at=now, gone_because=because[:300])
    return len(back | left)


def note_heard(tenant_id: int, job_ids: Collection[int]) -> None:
    """Jobs with a run that ended after they were missed are there again. Their JobState rows are locked."""
    if job_ids:
        with connection.cursor() as cursor:
            cursor.execute(HEARD, {"tenant": tenant_id, "jobs": sorted(job_ids)})


def confirm_left(tenant: Tenant, job_id: int, *, actor: Actor) -> None:
    """It has left: the job is retired. Raises BadChange for one that nobody misses."""
    with transaction.atomic():
        _find_it(tenant, job_id, action="job has left", actor=actor)
        change_job(tenant, job_id, {"state": "retired"}, actor=actor)


def say_still_there(tenant: Tenant, job_id: int, *, actor: Actor) -> None:
    """It is a mistake: the job goes on. Raises BadChange for one that nobody misses."""
    with transaction.atomic():
        _find_it(tenant, job_id, action="job is still there", actor=actor)


def _find_it(tenant: Tenant, job_id: int, *, action: str, actor: Actor) -> None:
    """Take the note back, with the reason that the person gave."""
    _make_due(tenant.pk, {job_id}, now=actor.now)
    job: BackupJob = BackupJob.objects.of(tenant).select_for_update(no_key=True).get(pk=job_id)
    if job.gone_at is None:
        raise BadChange("state", "Its product lists this job: there is nothing to confirm.")
    before = {"gone_at": job.gone_at.isoformat(), "gone_because": job.gone_because}
    job.gone_at, job.gone_because = None, ""
    job.save(update_fields=["gone_at", "gone_because"])
    record_change(tenant, job, action, before, {"gone_at": "", "gone_because": ""}, actor=actor)


def _make_due(tenant_id: int, job_ids: Collection[int], *, now: datetime) -> None:
    states = JobState.objects.of(tenant_id).filter(job_id__in=job_ids)
    list(states.select_for_update().order_by("job_id").values_list("job_id", flat=True))
    states.update(check_after=now)
