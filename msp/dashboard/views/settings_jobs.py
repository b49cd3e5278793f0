"""A job as settings: its schedule, the zone it is in, and its state."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from alerts.acting import settings_changed
from alerts.guessing import find_guess
from msp.backups.changing import CHOSEN_STATES, change_job
from msp.backups.models import BackupJob
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field
from msp.dashboard.permits import OPERATE, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.views.settings_servers import actor_of
from msp.dashboard.views.settings_trying import tell_starts, upcoming_of


@needs(OPERATE)
def edit_job(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The form; a change is felt at once."""
    rows = BackupJob.objects.of(request.scope.tenant).select_related("selection__client")
    job: BackupJob = found(rows.filter(uid=uid).first(), "job")

    def apply(values: dict[str, Any]) -> str:
        texts = {name: value or "" for name, value in values.items() if value or name != "state"}
        change_job(request.scope.tenant, job.pk, texts, actor=actor_of(request))
        settings_changed(request.scope.tenant, now=request.now)
        return reverse("job", args=[uid])

    back = reverse("job", args=[uid])
    typed = request.POST if request.method == "POST" else {"schedule": job.schedule, "timezone": job.timezone}
    page = FormPage(
        title=f"Schedule of {job.name}",
        back=back,
        crumbs=(("Clients", reverse("clients")), (job.name, back)),
        template="settings/job.html",
        more={"job": job, "guess": find_guess(job.tenant_id, job.pk), **tell_starts(upcoming_of(request, job, typed))},
    )
    return edit(request, page, _fields(job), apply=apply, done="The job is stored; its clock is set anew.")


def _fields(job: BackupJob) -> tuple[Field, ...]:
    client = job.selection.client
    states = tuple((state, state) for state in CHOSEN_STATES)
    if job.state not in CHOSEN_STATES:
        states = (("", f"{job.state}, to be decided"), *states)
    return (
        Field("schedule", "Schedule", value=job.schedule, maximum=120,
              help="Such as: daily 22:00, weekdays 20:30, every 6h, mon,thu 03:00, or five fields of cron."
              " Empty: the rules' tolerance alone says when it is overdue."),
        Field("timezone", "Time zone", value=job.timezone, maximum=64, placeholder=client.timezone,
              help=f"Empty: that of {client.name}, {client.timezone}."),
        Field("state", "State", kind="choice", choices=states,
              value=job.state if job.state in CHOSEN_STATES else "", help="A paused or retired job is not watched."),
    )  # fmt: skip
