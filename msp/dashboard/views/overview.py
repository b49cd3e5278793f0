"""The overview: what needs somebody now, whether the silence can be believed, and the fleet as clients x days."""

from __future__ import annotations

import uuid
from dataclasses import replace

from django.http import HttpResponse
from django.shortcuts import render

from alerts.queries import count_open, count_quiet_within, list_incidents
from alerts.standings import IncidentFilter
from msp.dashboard.paging import Page, asked_page
from msp.dashboard.pulse import read_pulse
from msp.dashboard.queries import SORTS, Fleet, FleetFilter, read_fleet
from msp.dashboard.scope import StaffRequest, staff_page
from msp.dashboard.typing_in import free_text
from msp.dashboard.until import SNOOZES
from msp.estate.models import CLIENT_STATES
from msp.estate.queries import list_resellers

FLEET_PAGE = 100
NEEDING = 12


@staff_page
def show_overview(request: StaffRequest) -> HttpResponse:
    """The first page of the morning."""
    reach = request.scope.reach
    fleet, page = _fleet(request)
    context = {
        "needing": list_incidents(reach, IncidentFilter(standing="needs"), now=request.now, limit=NEEDING),
        "counts": count_open(reach, now=request.now),
        "quiet": count_quiet_within(reach, now=request.now),
        "pulse": read_pulse(reach, now=request.now, newest_run=fleet.newest_run),
        "fleet": fleet,
        "page": page,
        "wanted": asked_fleet(request),
        "resellers": list_resellers(reach),
        "states": CLIENT_STATES,
        "snoozes": SNOOZES,
    }
    return render(request, "overview.html", context)


@staff_page
def show_fleet(request: StaffRequest) -> HttpResponse:
    """The fleet alone, for the filter above it."""
    fleet, page = _fleet(request)
    return render(request, "parts/fleet.html", {"fleet": fleet, "page": page, "wanted": asked_fleet(request)})


def _fleet(request: StaffRequest) -> tuple[Fleet, Page]:
    page = asked_page(request, size=FLEET_PAGE)
    fleet = read_fleet(
        request.scope.reach,
        asked_fleet(request),
        zone=request.scope.tenant.timezone,
        now=request.now,
        limit=page.size,
        offset=page.offset,
    )
    return fleet, replace(page, total=fleet.total)


def asked_fleet(request: StaffRequest) -> FleetFilter:
    """The filter in the address; what is no choice is no filter."""
    state, sort = request.GET.get("state", ""), request.GET.get("sort", "")
    return FleetFilter(
        text=free_text(request.GET, "text", most=100),
        state=state if state in CLIENT_STATES else "",
        reseller=asked_uid(request, "reseller"),
        sort=sort if sort in SORTS else "trouble",
    )


def asked_uid(request: StaffRequest, name: str) -> uuid.UUID | None:
    """An id in the address, None when there is none or it is no id."""
    try:
        return uuid.UUID(request.GET.get(name, ""))
    except ValueError:
        return None
