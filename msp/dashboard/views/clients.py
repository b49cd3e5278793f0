"""Clients: the list, and one client with its jobs, sizes and open questions."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render

from alerts.queries import explain_clocks, list_incidents, missed_days, settings_of_scopes
from alerts.standings import IncidentFilter
from msp.backups.models import BackupJob
from msp.backups.queries import days_of_jobs, jobs_of_client, measuring_jobs, size_trend, totals_by_client
from msp.backups.selection_queries import sizes_of_selections
from msp.dashboard.paging import asked_page
from msp.dashboard.queries import DAYS, inbox_of_client, mark_days, read_fleet
from msp.dashboard.scope import StaffRequest, found, staff_page
from msp.dashboard.until import SNOOZES
from msp.dashboard.views.overview import FLEET_PAGE, asked_fleet
from msp.estate.models import CLIENT_STATES
from msp.estate.queries import find_client, list_resellers

TREND_DAYS = 90


@staff_page
def list_all(request: StaffRequest) -> HttpResponse:
    """Every client with state, size, quota and days."""
    page, wanted = asked_page(request, size=FLEET_PAGE), asked_fleet(request)
    if "sort" not in request.GET:
        wanted = replace(wanted, sort="name")
    fleet = read_fleet(
        request.scope.reach,
        wanted,
        zone=request.scope.tenant.timezone,
        now=request.now,
        limit=page.size,
        offset=page.offset,
    )
    context = {
        "fleet": fleet,
        "page": replace(page, total=fleet.total),
        "wanted": wanted,
        "resellers": list_resellers(request.scope.reach),
        "states": CLIENT_STATES,
    }
    return render(request, "parts/client_rows.html" if request.htmx else "clients.html", context)


@staff_page
def show_client(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One client: its jobs and their clocks, what it protects, what is open."""
    reach, zone = request.scope.reach, request.scope.tenant.timezone
    client = found(find_client(reach, uid), "client")
    jobs = jobs_of_client(reach, client.id)
    today = request.now.astimezone(ZoneInfo(zone)).date()
    first_day, ids = today - timedelta(days=DAYS - 1), [job.id for job in jobs]
    marks = days_of_jobs(reach, ids, first_day=first_day, last_day=today, zone=zone)
    missed = missed_days(reach, first_day=first_day, last_day=today, zone=zone, now=request.now, job_ids=ids)
    days = [first_day + timedelta(days=step) for step in range(DAYS)]
    clocks = explain_clocks(reach, jobs, settings_of_scopes(reach, jobs), now=request.now)
    rows = [
        {
            "job": job,
            "clock": clocks[job.id],
            "days": mark_days(days, marks.get(job.id, {}), missed.get(job.id, set()), None),
        }
        for job in jobs
    ]
    trend = size_trend(
        reach, measuring_jobs(jobs), first_day=today - timedelta(days=TREND_DAYS), last_day=today, zone=zone
    )
    context = {
        "client": client,
        "rows": rows,
        "observed_jobs": BackupJob.objects.of(reach.tenant_id).filter(pk__in=ids, observed=True).count(),
        "totals": totals_by_client(reach).get(client.id),
        "trend": trend,
        "incidents": list_incidents(reach, IncidentFilter(client_id=client.id), now=request.now, limit=50),
        "inbox": inbox_of_client(reach, client.id),
        "sizes": sizes_of_selections(reach, {job.selection_id for job in jobs}),
        "snoozes": SNOOZES,
    }
    return render(request, "client.html", context)
