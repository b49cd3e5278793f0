"""API keys of programs: made with their scopes, shown once, revoked."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from msp.dashboard.form_pages import FormPage, show, show_refused
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OWN, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import read_typed
from msp.dashboard.views.settings_servers import show_key
from msp.tenants.keys import end_key, issue_key
from msp.tenants.models import ApiKey, Reseller

SCOPES = (
    ("read", "read: clients, jobs, runs, incidents"),
    ("write", "write: change them"),
    ("billing", "billing: invoices and prices"),
    ("ingest", "ingest: send logs"),
)


@needs(OWN)
def list_keys(request: StaffRequest) -> HttpResponse:
    """Keys of programs; those of servers stand with their servers."""
    rows = ApiKey.objects.of(request.scope.tenant).filter(server_id=None).select_related("reseller").order_by("-pk")
    return render(request, "settings/keys.html", {"keys": rows[:200]})


@needs(OWN)
def new_key(request: StaffRequest) -> HttpResponse:
    """Make one; the page that answers shows it."""
    fields = _fields(request)
    page = FormPage(
        title="New API key", back=reverse("keys"), submit="Make the key", crumbs=(("API keys", reverse("keys")),)
    )
    if request.method != "POST":
        return show(request, page, fields)
    try:
        values = read_typed(fields, request.POST)
        issued = issue_key(
            request.scope.tenant,
            name=values["name"],
            scopes=_scopes(values),
            actor=request.scope.actor,
            now=request.now,
            reseller=_reseller(request, values["reseller"]),
            expires_at=_end(request, values),
        )
    except BadField as bad:
        return show_refused(request, page, fields, bad)
    return show_key(request, issued)


@action(OWN)
def revoke(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """End it at once."""
    rows = ApiKey.objects.of(request.scope.tenant).filter(server_id=None)
    row: ApiKey = found(rows.filter(uid=uid).first(), "key")
    if row.revoked_at is None:
        end_key(request.scope.tenant, row, ends_at=request.now, actor=request.scope.actor, now=request.now)
    messages.success(request, f"The key {row.name} is revoked.")
    return redirect("keys")


def _fields(request: StaffRequest) -> tuple[Field, ...]:
    rows = Reseller.objects.of(request.scope.tenant).order_by("name")
    resellers = (("", "the whole tenant"), *((str(row.uid), row.name) for row in rows))
    return (
        Field("name", "Name", required=True, maximum=120, help="What uses it, such as: reports."),
        Field("scopes", "May", kind="many", choices=SCOPES, value="read"),
        Field("reseller", "Sees", kind="choice", choices=resellers),
        Field("ends_on", "Ends after", kind="date", help="Empty: it works until it is revoked."),
    )


def _scopes(values: dict[str, Any]) -> list[str]:
    if not values["scopes"]:
        raise BadField("scopes", "Tick at least one thing that the key may do.")
    scopes: list[str] = values["scopes"]
    return scopes


def _end(request: StaffRequest, values: dict[str, Any]) -> datetime | None:
    """The end of the day in the tenant's zone."""
    if values["ends_on"] is None:
        return None
    zone = ZoneInfo(request.scope.tenant.timezone)
    ends_at = datetime.combine(values["ends_on"], time.max, tzinfo=zone).astimezone(UTC)
    if ends_at <= request.now:
        raise BadField("ends_on", "This day is over already.")
    return ends_at


def _reseller(request: StaffRequest, uid: str | None) -> Reseller | None:
    return Reseller.objects.of(request.scope.tenant).get(uid=uid) if uid else None
