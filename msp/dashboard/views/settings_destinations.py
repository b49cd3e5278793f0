"""Destinations: ticket systems and mailboxes; their secrets go in and never come out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts.answer_routes import address_for_system
from alerts.callback_addresses import address_of
from alerts.models import Destination
from integrations.tickets import GATEWAYS, BadConfig, Choice, Gateway, config_from_json, describe, email
from msp.dashboard.changes import destinations as changes
from msp.dashboard.changes.companies import keeps_companies
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field, fields_of_config
from msp.dashboard.permits import OWN, SETTINGS, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import free_text
from msp.tenants import audit

PERSISTING = (
    ("reopen", "open the ticket again"),
    ("new", "open a new ticket"),
    ("nothing", "leave it to people"),
)


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
    changes.set_paused(request, row, paused=paused, reason=free_text(request.POST, "reason", most=2000))
    messages.success(request, f"{row.name} is paused." if paused else f"{row.name} takes tickets again.")
    return redirect("destination", uid)


@action(OWN)
def read_values(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The form with what the system itself offers for boards, queues, priorities and the like."""
    row = _find(request, uid)
    offered, tried = changes.read_choices(row, now=request.now)
    return _edit(request, row, title=row.name, tried=tried, offered=offered)


def _edit(
    request: StaffRequest,
    row: Destination,
    *,
    title: str,
    tried: changes.Tried | None = None,
    offered: Mapping[str, tuple[Choice, ...]] | None = None,
) -> HttpResponse:
    gateway = GATEWAYS[row.gateway]
    config_fields = fields_of_config(gateway.Config, row.config if row.pk else {})
    fields = (*_switches(row), *(_with_choices(each, (offered or {}).get(each.name)) for each in config_fields))

    def apply(values: dict[str, Any]) -> str:
        stored = changes.store_destination(request, row, values)
        return reverse("destination", args=[stored.uid])

    page = FormPage(
        title=title,
        back=reverse("destinations"),
        crumbs=(("Destinations", reverse("destinations")),),
        template="settings/destination.html",
        more={"destination": row if row.pk else None, "tried": tried, **_about(row)},
    )
    if tried is not None:
        return render(request, page.template, {**page.more, "form_page": page, "fields": fields})
    return edit(request, page, fields, apply=apply, done="The destination is stored. Test it before you rely on it.")


def _about(row: Destination) -> dict[str, Any]:
    """What the page says beside the form: the address to call, and what can be read from the system."""
    gateway = GATEWAYS[row.gateway]
    if not row.pk:
        return {"verified": gateway.VERIFIED, "gateway_label": gateway.LABEL}
    return {
        "verified": gateway.VERIFIED,
        "gateway_label": gateway.LABEL,
        "offers_values": any(item.looked_up for item in describe(gateway.Config)),
        "keeps_companies": keeps_companies(row),
        "callback_address": address_of(row, base_url=settings.BACKLEDGER.base_url) if _takes_calls(gateway) else "",
        "answers": _answers(row),
    }


def _answers(row: Destination) -> str | None:
    """The address for a ticket system's answers, "" where none are wanted; None where they do not come by mail."""
    if row.gateway != "email":
        return None
    try:
        return address_for_system(row, config_from_json(email.Config, row.config))
    except BadConfig:
        return ""


def _takes_calls(gateway: Gateway) -> bool:
    """Whether callbacks are possible at all, once their secret is set."""
    return any(item.name == "webhook_secret" for item in describe(gateway.Config))


def _with_choices(field: Field, offered: tuple[Choice, ...] | None) -> Field:
    """A field with what the system offers; what is stored stays choosable."""
    if offered is None:
        return field
    known = {choice.value for choice in offered}
    kept = (
        ((field.value, f"{field.value} (no more offered there)"),) if field.value and field.value not in known else ()
    )
    empty = () if field.required else (("", "-"),)
    return replace(field, kind="choice", choices=(*empty, *((one.value, one.label) for one in offered), *kept))


def _switches(row: Destination) -> tuple[Field, ...]:
    return (
        Field("name", "Name", value=row.name, required=True, maximum=120),
        Field("enabled", "In use", kind="switch", value="yes" if row.enabled else "",
              help="Switched off, it takes nothing; the next matching route does."),
        Field("dry_run", "Dry run", kind="switch", value="yes" if row.dry_run else "",
              help="Tickets are kept here as they would be sent, and nothing is sent."),
        Field("calls_per_minute", "Calls a minute", kind="number", minimum=1, maximum=6000,
              value=str(row.calls_per_minute or ""), inherited=str(GATEWAYS[row.gateway].CALLS_PER_MINUTE),
              help="Our share of what the system allows all of your tools together."),
        Field("tickets_per_hour", "New tickets an hour", kind="number", minimum=1, maximum=10000,
              value=str(row.tickets_per_hour or "") if row.pk else "60",
              help="Beyond that, further problems share one ticket. Empty: any number."),
        Field("fallback", "If it fails, mail by", kind="choice", value=_fallback(row), choices=_fallbacks(row),
              help="Who hears of problems while it takes no tickets."),
        Field("on_persist", "Closed there, problem not solved", kind="choice", value=row.on_persist,
              choices=PERSISTING, help="When people close a ticket in the other system while its problem lasts."),
        Field("persist_hours", "Ask again after", kind="number", unit="hours", minimum=1, maximum=8760,
              value=str(row.persist_hours)),
    )  # fmt: skip


def _fallback(row: Destination) -> str:
    return "" if row.fallback is None else str(row.fallback.uid)


def _fallbacks(row: Destination) -> tuple[tuple[str, str], ...]:
    mailboxes = Destination.objects.of(row.tenant_id).filter(gateway="email").exclude(pk=row.pk).order_by("name")
    return (("", "whoever gets the morning report, else any mailbox"), *((str(one.uid), one.name) for one in mailboxes))


def _label(gateway: str) -> str:
    return GATEWAYS[gateway].LABEL if gateway in GATEWAYS else gateway


def _find(request: StaffRequest, uid: uuid.UUID) -> Destination:
    row: Destination = found(Destination.objects.of(request.scope.tenant).filter(uid=uid).first(), "destination")
    return row
