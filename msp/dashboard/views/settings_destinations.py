"""Destinations: ticket systems and mailboxes; their secrets go in and never come out."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts.models import Destination
from integrations.tickets import GATEWAYS
from msp.dashboard.changes import destinations as changes
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field, fields_of_config
from msp.dashboard.permits import OWN, SETTINGS, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.tenants import audit


@needs(SETTINGS)
def list_destinations(request: StaffRequest) -> HttpResponse:
    """All of them; what they are configured to only an owner sees."""
    rows = Destination.objects.of(request.scope.tenant).defer("config").order_by("name")
    context = {
        "destinations": [{"row": row, "label": _label(row.gateway)} for row in rows],
        "gateways": [(kind, gateway.LABEL) for kind, gateway in GATEWAYS.items()],
        "may_change": OWN.holds(request.scope),
    }
    return render(request, "settings/destinations.html", context)


@needs(OWN)
def new_destination(request: StaffRequest, gateway: str) -> HttpResponse:
    """The form of a gateway."""
    found(GATEWAYS.get(gateway), "kind of destination")
    row = Destination(tenant=request.scope.tenant, gateway=gateway)
    return _edit(request, row, title=f"New destination: {_label(gateway)}")


@needs(OWN)
def edit_destination(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One that is there, with the buttons that try it."""
    row = _find(request, uid)
    return _edit(request, row, title=row.name)


@action(OWN)
def check(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Test the stored configuration."""
    row = _find(request, uid)
    return _edit(request, row, title=row.name, tried=changes.check_destination(row, now=request.now))


@action(OWN)
def send_test(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Open a test ticket there and close it again; the try is kept in the audit trail."""
    row, scope = _find(request, uid), request.scope
    tried = changes.send_test_ticket(row, tenant_name=scope.tenant.name, actor=scope.actor, now=request.now)
    audit.record(
        scope.tenant,
        actor=scope.actor,
        actor_id=scope.actor_id,
        action="test ticket sent",
        subject_kind="destination",
        subject_id=row.pk,
        subject=row.name,
        after={"good": tried.good, "told": list(tried.sentences)},
        now=request.now,
    )
    return _edit(request, row, title=row.name, tried=tried)


@action(OWN)
def pause(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Hold it back with a reason, or let it go on."""
    row = _find(request, uid)
    paused = request.POST.get("do") == "pause"
    changes.set_paused(request, row, paused=paused, reason=request.POST.get("reason", "").strip()[:2000])
    messages.success(request, f"{row.name} is paused." if paused else f"{row.name} takes tickets again.")
    return redirect("destination", uid)


def _edit(request: StaffRequest, row: Destination, *, title: str, tried: changes.Tried | None = None) -> HttpResponse:
    config_class = GATEWAYS[row.gateway].Config
    fields = (*_switches(row), *fields_of_config(config_class, row.config if row.pk else {}))

    def apply(values: dict[str, Any]) -> str:
        stored = changes.store_destination(request, row, values)
        return reverse("destination", args=[stored.uid])

    page = FormPage(
        title=title,
        back=reverse("destinations"),
        crumbs=(("Destinations", reverse("destinations")),),
        template="settings/destination.html",
        more={"destination": row if row.pk else None, "tried": tried},
    )
    if tried is not None:
        return render(request, page.template, {**page.more, "form_page": page, "fields": fields})
    return edit(request, page, fields, apply=apply, done="The destination is stored. Test it before you rely on it.")


def _switches(row: Destination) -> tuple[Field, ...]:
    return (
        Field("name", "Name", value=row.name, required=True, maximum=120),
        Field("enabled", "In use", kind="switch", value="yes" if row.enabled else "",
              help="Switched off, it takes nothing; the next matching route does."),
        Field("dry_run", "Dry run", kind="switch", value="yes" if row.dry_run else "",
              help="Tickets are kept here as they would be sent, and nothing is sent."),
    )  # fmt: skip


def _label(gateway: str) -> str:
    return GATEWAYS[gateway].LABEL if gateway in GATEWAYS else gateway


def _find(request: StaffRequest, uid: uuid.UUID) -> Destination:
    row: Destination = found(Destination.objects.of(request.scope.tenant).filter(uid=uid).first(), "destination")
    return row
