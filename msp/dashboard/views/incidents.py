"""Incidents: the list, one incident, and what people do to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from alerts import acting
from alerts.kept_under import find_family
from alerts.life_loading import load_life
from alerts.queries import (
    count_open,
    count_quiet_within,
    find_incident,
    find_incident_row,
    list_incidents,
)
from alerts.rules import KINDS
from alerts.standings import STANDINGS, IncidentFilter
from alerts.why_flagged import won_for
from msp.dashboard.paging import asked_page
from msp.dashboard.scope import Refused, StaffRequest, found, staff_action, staff_page
from msp.dashboard.typing_in import free_text
from msp.dashboard.until import HOLDS, SNOOZES, moment_chosen
from msp.dashboard.views.overview import asked_uid
from msp.estate.queries import find_client
from msp.tenants.members import list_assignable

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
        "quiet": count_quiet_within(reach, now=request.now),
        "standings": STANDINGS,
        "kinds": [(kind, rule.LABEL) for kind, rule in KINDS.items()],
        "snoozes": SNOOZES,
    }
    return render(request, "incidents.html", context)


def asked_incidents(request: StaffRequest) -> IncidentFilter:
    """The filter in the address; what is no choice is no filter."""
    standing, kind = request.GET.get("standing", ""), request.GET.get("kind", "")
    severity = request.GET.get("severity", "")
    return IncidentFilter(
        standing=standing if standing in STANDINGS else "",
        kind=kind if kind in KINDS else "",
        severity=severity if severity in ("critical", "warning", "info") else "",
        text=free_text(request.GET, "text", most=100),
        client=asked_uid(request, "client"),
        person_id=request.scope.actor_id,
    )


@staff_page
def show_incident(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One incident with its history."""
    reach = request.scope.reach
    incident = found(find_incident(reach, uid), "incident")
    family = find_family(reach, incident.row.id)
    context = {
        "incident": incident,
        "family": family,
        "life": load_life(reach.tenant_id),
        "won": won_for(reach, incident.row.id),
        "members": list_assignable(reach.tenant_id) if request.scope.whole_tenant else (),
        "snoozes": SNOOZES,
        "holds": HOLDS,
    }
    return render(request, "incident.html", context)


@staff_action
def acknowledge(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Takes it in hand."""
    until = moment_chosen(request.POST.get("until", ""), now=request.now, zone=request.scope.tenant.timezone)
    return _act(request, uid, acting.acknowledge, note=free_text(request.POST, "note", most=2000), until=until)


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
    return _act(request, uid, acting.snooze, until=until, note=free_text(request.POST, "note", most=2000))


@staff_action
def accept(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Accepts what no rule may close, with a reason."""
    return _act(request, uid, acting.accept, reason=free_text(request.POST, "reason", most=2000))


@staff_action
def assign(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Gives it to the chosen person, or to oneself when nobody is chosen."""
    typed = request.POST.get("person", "")
    try:
        person = uuid.UUID(typed) if typed else request.membership.user.uid
    except ValueError as error:
        raise Refused("Choose who takes it.") from error
    return _act(request, uid, acting.assign, person=person)


@staff_action
def unassign(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Nobody in particular has it any more."""
    return _act(request, uid, acting.unassign)


@staff_action
def close(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Closes it by hand, with a reason."""
    return _act(request, uid, acting.close_by_hand, reason=free_text(request.POST, "reason", most=2000))


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


def safe_back(request: StaffRequest, name: str, *args: Any) -> str:
    """Where a form was sent from, if it is a page of ours; else the named page."""
    back = request.POST.get("back", "")
    ours = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return back if ours else reverse(name, args=args)
