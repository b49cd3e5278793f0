"""Incidents: the list, one incident, and what people do to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from alerts import acting
from alerts.kept_under import find_family
from alerts.models import Incident
from alerts.queries import (
    STANDINGS,
    IncidentFilter,
    count_open,
    find_incident,
    find_incident_row,
    list_incidents,
)
from alerts.rules import RULES
from alerts.wording import count_words
from msp.dashboard.paging import asked_page
from msp.dashboard.scope import Refused, StaffRequest, found, staff_action, staff_page
from msp.dashboard.until import HOLDS, SNOOZES, moment_chosen
from msp.dashboard.views.overview import asked_uid
from msp.estate.queries import find_client

PAGE = 50


@staff_page
def list_all(request: StaffRequest) -> HttpResponse:
    """Incidents by standing, kind, severity and client."""
    page, wanted = asked_page(request, size=PAGE), asked_incidents(request)
    reach = request.scope.reach
    found_rows = list_incidents(reach, wanted, now=request.now, limit=page.size, offset=page.offset)
    context = {
        "incidents": found_rows,
        "page": replace(page, total=found_rows.total),
        "wanted": wanted,
        "client": find_client(reach, wanted.client) if wanted.client else None,
        "counts": count_open(reach, now=request.now),
        "kinds": [(kind, rule.LABEL) for kind, rule in RULES.items()],
        "snoozes": SNOOZES,
    }
    return render(request, "incidents.html", context)


def asked_incidents(request: StaffRequest) -> IncidentFilter:
    """The filter in the address; what is no choice is no filter."""
    standing, kind = request.GET.get("standing", ""), request.GET.get("kind", "")
    severity = request.GET.get("severity", "")
    return IncidentFilter(
        standing=standing if standing in (*STANDINGS, "all") and standing != "open" else "",
        kind=kind if kind in RULES else "",
        severity=severity if severity in ("critical", "warning", "info") else "",
        text=request.GET.get("text", "").strip()[:100],
        client=asked_uid(request, "client"),
    )


@staff_page
def show_incident(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One incident with its history."""
    incident = found(find_incident(request.scope.reach, uid), "incident")
    family = find_family(request.scope.reach, incident.row.id)
    return render(
        request, "incident.html", {"incident": incident, "family": family, "snoozes": SNOOZES, "holds": HOLDS}
    )


@staff_action
def acknowledge(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Takes it in hand."""
    until = moment_chosen(request.POST.get("until", ""), now=request.now, zone=request.scope.tenant.timezone)
    return _act(request, uid, acting.acknowledge, note=request.POST.get("note", "")[:2000], until=until)


@staff_action
def unacknowledge(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Gives it back."""
    return _act(request, uid, acting.unacknowledge)


@staff_action
def snooze(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Puts it off."""
    found(find_incident_row(request.scope.reach, uid), "incident")
    until = moment_chosen(request.POST.get("until", ""), now=request.now, zone=request.scope.tenant.timezone)
    if until is None:
        raise Refused("Choose until when it is put off.")
    return _act(request, uid, acting.snooze, until=until, note=request.POST.get("note", "")[:2000])


@staff_action
def close(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Closes it by hand, with a reason."""
    return _act(request, uid, acting.close_by_hand, reason=request.POST.get("reason", "")[:2000])


def _act(request: StaffRequest, uid: uuid.UUID, action: Callable[..., None], **values: Any) -> HttpResponse:
    """Do it to an incident within reach; answer the changed row to htmx, else the page one came from."""
    found(find_incident_row(request.scope.reach, uid), "incident")
    try:
        action(request.scope.tenant, uid, actor=request.scope.actor, now=request.now, **values)
    except acting.CannotAct as refusal:
        raise Refused(str(refusal)) from refusal
    if request.htmx:
        row = find_incident_row(request.scope.reach, uid)
        return render(request, "parts/incident_row.html", {"incident": row, "snoozes": SNOOZES})
    return redirect(safe_back(request, "incident", uid))


@staff_action
def acknowledge_several(request: StaffRequest) -> HttpResponse:
    """Takes all ticked incidents in hand; those that closed meanwhile are passed over."""
    done = 0
    for uid in ticked(request):
        if find_incident_row(request.scope.reach, uid) is None:
            continue
        try:
            acting.acknowledge(
                request.scope.tenant, uid, actor=request.scope.actor, note=request.POST.get("note", ""), now=request.now
            )
        except (acting.CannotAct, Incident.DoesNotExist):
            continue
        done += 1
    messages.success(request, f"{count_words(done, 'incident')} acknowledged.")
    return redirect(safe_back(request, "incidents"))


def ticked(request: StaffRequest) -> list[uuid.UUID]:
    """The ids of the ticked rows; at most 200, what is no id is passed over."""
    uids = []
    for typed in request.POST.getlist("item")[:200]:
        try:
            uids.append(uuid.UUID(typed))
        except ValueError:
            continue
    return uids


def safe_back(request: StaffRequest, name: str, *args: Any) -> str:
    """Where a form was sent from, if it is a page of ours; else the named page."""
    back = request.POST.get("back", "")
    ours = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return back if ours else reverse(name, args=args)
