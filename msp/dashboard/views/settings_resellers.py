"""Resellers, and the basics of branding: what clients see in place of our name."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.db.models import Count, OuterRef, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from msp.dashboard.changes.recording import store
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OWN, needs
from msp.dashboard.scope import StaffRequest, found
from msp.estate.models import Client
from msp.tenants.models import Branding, Reseller

STATES = (("active", "active"), ("suspended", "suspended"))
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@needs(OWN)
def list_resellers(request: StaffRequest) -> HttpResponse:
    """All of them with the number of their clients; one query."""
    tenant = request.scope.tenant
    clients = Client.objects.of(tenant).filter(reseller=OuterRef("pk")).order_by().values("reseller")
    rows = Reseller.objects.of(tenant).annotate(clients=Subquery(clients.annotate(n=Count("pk")).values("n")))
    return render(request, "settings/resellers.html", {"resellers": rows.order_by("name")})


@needs(OWN)
def edit_reseller(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """A new one, or one that is there."""
    tenant = request.scope.tenant
    row = Reseller(tenant=tenant, created_at=request.now)
    if uid is not None:
        row = found(Reseller.objects.of(tenant).filter(uid=uid).first(), "reseller")
    fields = (
        Field("name", "Name", value=row.name, required=True, maximum=200),
        Field("code", "Code", value=row.code, required=True, maximum=60, help="Short and unique, such as harbour."),
        Field("state", "State", kind="choice", choices=STATES, value=row.state, required=True),
    )

    def apply(values: dict[str, Any]) -> str:
        store(request, row, values, kind="reseller", unique=("code", "This code belongs to another reseller."))
        return reverse("resellers")

    crumbs = (("Resellers", reverse("resellers")),)
    page = FormPage(title=row.name or "New reseller", back=reverse("resellers"), crumbs=crumbs,
                    template="settings/reseller.html", more={"reseller": row if row.pk else None})  # fmt: skip
    return edit(request, page, fields, apply=apply, done="The reseller is stored.")


@needs(OWN)
def edit_branding(request: StaffRequest) -> HttpResponse:
    """The tenant's own branding, or with ``?reseller=<id>`` a reseller's."""
    tenant, reseller = request.scope.tenant, _asked_reseller(request)
    row = Branding.objects.of(tenant).filter(reseller=reseller).first() or Branding(tenant=tenant, reseller=reseller)
    fields = (
        Field("title", "Name shown", value=row.title, maximum=120),
        Field("colour", "Colour", value=row.colour, maximum=7, placeholder="#1d4fd0", help="As #rrggbb."),
        Field("help_url", "Where to get help", value=row.help_url, maximum=200, help="An https address."),
        Field("sender_address", "Sender of mails", value=row.sender_address, maximum=200),
        Field("licence_text", "Line at the foot", kind="long", value=row.licence_text, maximum=1000),
    )

    def apply(values: dict[str, Any]) -> str:
        texts = {name: value or "" for name, value in values.items()}
        _check(texts)
        store(request, row, texts, kind="branding")
        return request.get_full_path()

    whose = reseller.name if reseller else tenant.name
    back = reverse("reseller", args=[reseller.uid]) if reseller else reverse("settings")
    page = FormPage(title=f"Branding of {whose}", back=back, crumbs=(("Settings", reverse("settings")),))
    return edit(request, page, fields, apply=apply, done="The branding is stored.")


def _check(texts: dict[str, str]) -> None:
    if texts["colour"] and not _COLOUR.fullmatch(texts["colour"]):
        raise BadField("colour", "A colour is a # and six digits from 0 to f, such as #1d4fd0.")
    try:
        if texts["help_url"]:
            URLValidator(schemes=["https", "http"])(texts["help_url"])
    except ValidationError as error:
        raise BadField("help_url", "This is no address that a browser can open.") from error
    try:
        if texts["sender_address"]:
            validate_email(texts["sender_address"])
    except ValidationError as error:
        raise BadField("sender_address", "This is no email address.") from error


def _asked_reseller(request: StaffRequest) -> Reseller | None:
    asked = request.GET.get("reseller", "")
    if not asked:
        return None
    try:
        wanted = uuid.UUID(asked)
    except ValueError:
        wanted = uuid.UUID(int=0)
    row: Reseller = found(Reseller.objects.of(request.scope.tenant).filter(uid=wanted).first(), "reseller")
    return row
