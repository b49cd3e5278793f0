"""One search over clients, jobs, incidents and tickets."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from alerts.queries import list_incidents, list_tickets
from alerts.standings import IncidentFilter
from msp.backups.queries import search_jobs
from msp.dashboard.scope import StaffRequest, staff_page
from msp.dashboard.typing_in import free_text
from msp.estate.queries import list_clients

EACH = 15


@staff_page
def show_search(request: StaffRequest) -> HttpResponse:
    """What holds the text, a few of each kind."""
    text, reach = free_text(request.GET, "text", most=100), request.scope.reach
    context: dict[str, object] = {"text": text, "each": EACH}
    if text:
        wanted = IncidentFilter(standing="all", text=text)
        context |= {
            "clients": list_clients(reach, text=text, states=("trial", "active", "suspended", "deleted"))[:EACH],
            "jobs": search_jobs(reach, text, limit=EACH),
            "incidents": list_incidents(reach, wanted, now=request.now, limit=EACH).rows,
            "tickets": list_tickets(reach, standing="all", text=text, limit=EACH).rows,
        }
    return render(request, "search.html", context)
