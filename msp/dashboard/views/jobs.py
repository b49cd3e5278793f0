"""A job: its state and clock in words, its history, its sizes, the settings that won."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime

from alerts.guessing import find_guess
from alerts.queries import (
    explain_clocks,
    list_incidents,
    missed_days,
    settings_of_scopes,
)
from alerts.rules_here import rules_here
from alerts.standings import IncidentFilter
from msp.backups.models import OUTCOMES, BackupJob
from msp.backups.queries import days_of_jobs, find_job, runs_of_job, size_trend
from msp.backups.selection_queries import sizes_of_selections
from msp.dashboard.queries import DAYS, mark_days
from msp.dashboard.scope import StaffRequest, found, staff_page
from msp.dashboard.until import SNOOZES
from msp.dashboard.views.clients import TREND_DAYS

RUNS_PAGE = 20
#: What the page says of the job besides its row: whether it has left, and whether it is only observed.
ABOUT = ("gone_at", "gone_because", "observed", "selection__client__tickets_enabled")


@staff_page
def show_job(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One job."""
    reach, zone = request.scope.reach, request.scope.tenant.timezone
    job = found(find_job(reach, uid), "job")
    today = request.now.astimezone(ZoneInfo(zone)).date()
    first_day = today - timedelta(days=DAYS - 1)
    window = {"first_day": first_day, "last_day": today}
    marks = days_of_jobs(reach, [job.id], **window, zone=zone).get(job.id, {})
    missed = missed_days(reach, **window, zone=zone, now=request.now, job_ids=[job.id]).get(job.id, set())
    settings = settings_of_scopes(reach, [job])
    outcome = request.GET.get("outcome", "")
    context = {
        "job": job,
        "gone": BackupJob.objects.of(reach.tenant_id).values(*ABOUT).get(pk=job.id),
        "clock": explain_clocks(reach, [job], settings, now=request.now)[job.id],
        "guess": find_guess(reach.tenant_id, job.id),
        "rules": rules_here(reach.tenant_id, job.id, settings[job.id], now=request.now),
        "days": mark_days([first_day + timedelta(days=step) for step in range(DAYS)], marks, missed, None),
        "trend": size_trend(reach, [job.id], first_day=today - timedelta(days=TREND_DAYS), last_day=today, zone=zone),
        "incidents": list_incidents(reach, IncidentFilter(standing="all", job_id=job.id), now=request.now, limit=5),
        "outcome": outcome if outcome in OUTCOMES else "",
        "outcomes": ("success", "warning", "failure"),
        "runs": runs_of_job(
            reach,
            job.id,
            now=request.now,
            before=asked_moment(request, "before"),
            outcome=outcome if outcome in OUTCOMES else "",
            limit=RUNS_PAGE,
        ),
        "sizes": sizes_of_selections(reach, [job.selection_id]),
        "snoozes": SNOOZES,
    }
    return render(request, "job.html", context)


def asked_moment(request: StaffRequest, name: str) -> datetime | None:
    """A moment in the address, None when there is none or it has no zone."""
    try:
        moment = parse_datetime(request.GET.get(name, ""))
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
