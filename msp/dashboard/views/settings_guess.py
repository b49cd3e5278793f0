"""The two buttons beside a learned schedule: use it as the job's own, or leave guesses about this job aside."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from alerts.acting import settings_changed
from alerts.guessing import find_guess, leave_guess
from msp.backups.changing import change_job
from msp.backups.models import BackupJob
from msp.dashboard.permits import OPERATE, action
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.views.settings_servers import actor_of


@action(OPERATE)
def use_guess(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The guess as it was shown becomes the schedule; another one that was learned meanwhile is not taken unseen."""
    tenant, job = request.scope.tenant, _job(request, uid)
    guess = find_guess(tenant.pk, job.pk)
    if guess is None or guess.learned.schedule != request.POST.get("schedule"):
        raise Refused("This schedule is not what the runs keep any more: look at the page again.", status=409)
    change_job(tenant, job.pk, {"schedule": guess.learned.schedule}, actor=actor_of(request))
    settings_changed(tenant, now=request.now)
    messages.success(request, f'The schedule "{guess.learned.schedule}" is set.')
    return redirect("job", uid)


@action(OPERATE)
def refuse_guess(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """No guess counts for this job until its setting of "Did not start" is reset."""
    job = _job(request, uid)
    leave_guess(request.scope.tenant, job, actor=request.scope.actor, now=request.now)
    messages.success(request, 'Guesses are left aside for this job; its rules page has it under "Did not start".')
    return redirect("job", uid)


def _job(request: StaffRequest, uid: uuid.UUID) -> BackupJob:
    job: BackupJob = found(BackupJob.objects.of(request.scope.tenant).filter(uid=uid).first(), "job")
    return job
