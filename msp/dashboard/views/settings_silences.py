"""Silences: planned windows, once or recurring, in which incidents open but nobody is told."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from alerts.models import Silence
from alerts.params import BadParams
from alerts.silencing import (
    MODELS,
    MOST_MINUTES,
    SilenceValues,
    end_silence,
    preview_silence,
    set_silence,
    silenced_now,
)
from msp.dashboard.form_pages import FormPage, as_bad_field, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OPERATE, SETTINGS, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import read_typed
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import BackupServer, Client, Site, Volume

PAST_SHOWN = 20
#: What the form offers by name; selections and jobs are named by the address that leads to it.
NAMED_BY_ADDRESS = ("selection", "job")


@needs(SETTINGS)
def list_silences(request: StaffRequest) -> HttpResponse:
    """Open ones, those to come, and the last that are over; as many queries however many there are."""
    rows = Silence.objects.of(request.scope.tenant)
    now = request.now
    open_rows = list(rows.filter(ends_at__gt=now).order_by("starts_at", "pk"))
    past = list(rows.filter(ends_at__lte=now).order_by("-ends_at", "-pk")[:PAST_SHOWN])
    names = _names(request, [*open_rows, *past])
    quiet = silenced_now(request.scope.tenant.pk, open_rows, now=now)

    def described(row: Silence) -> dict[str, Any]:
        about = names.get((row.scope_kind, row.scope_id), row.scope_kind)
        return {"row": row, "about": about, "silences": quiet.get(row.pk)}

    context = {
        "present": [described(row) for row in open_rows if row.pk in quiet],
        "coming": [described(row) for row in open_rows if row.pk not in quiet],
        "past": [described(row) for row in past],
        "may_change": OPERATE.holds(request.scope),
    }
    return render(request, "settings/silences.html", context)


@needs(OPERATE)
def new_silence(request: StaffRequest) -> HttpResponse:
    """A window for the tenant, a client, site, server, volume, selection or job (``?about=job:<id>``)."""
    fields = _fields(request)

    def apply(values: dict[str, Any]) -> str:
        set_silence(request.scope.tenant, _asked(request, values), actor=actor_of(request))
        return reverse("silences")

    page = FormPage(
        title="New silence",
        back=reverse("silences"),
        submit="Silence",
        lead="Incidents still open and are shown; nobody is told before the window ends.",
        crumbs=(("Silences", reverse("silences")),),
        template="settings/silence.html",
    )
    return edit(request, page, fields, apply=apply, done="The silence is set.")


@action(OPERATE)
def preview(request: StaffRequest) -> HttpResponse:
    """The next windows of what is typed, or the sentence that says what is wrong with it."""
    context: dict[str, Any] = {}
    try:
        fields = [field for field in _fields(request) if field.name != "reason"]
        values = _asked(request, read_typed(fields, request.POST))
        context["preview"] = preview_silence(request.scope.tenant, values, now=request.now)
    except (BadField, BadParams) as refusal:
        context["problem"] = as_bad_field(refusal).reason
    return render(request, "settings/silence_preview.html", context)


@action(OPERATE)
def end(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """End an open window now; one that has not begun is taken away."""
    row: Silence = found(Silence.objects.of(request.scope.tenant).filter(uid=uid).first(), "silence")
    end_silence(request.scope.tenant, row, actor=actor_of(request))
    messages.success(request, "The silence is over; what is still open is told again.")
    return redirect("silences")


def _asked(request: StaffRequest, values: dict[str, Any]) -> SilenceValues:
    kind, scope_id = _subject(request, values["about"])
    return SilenceValues(
        scope_kind=kind,
        scope_id=scope_id,
        starts_at=values["starts_at"],
        ends_at=values["ends_at"],
        schedule=values["schedule"] or "",
        minutes=values["minutes"],
        zone=values["timezone"] or "",
        reason=values.get("reason") or "",
    )


def _fields(request: StaffRequest) -> tuple[Field, ...]:
    start = timezone.localtime(request.now).replace(second=0, microsecond=0)
    form = "%Y-%m-%dT%H:%M"
    zone = request.scope.tenant.timezone
    return (
        Field("about", "What is quiet", kind="choice", choices=_subjects(request), required=True,
              value=request.GET.get("about", "tenant")),
        Field("starts_at", "From", kind="moment", value=start.strftime(form), required=True, help=f"In {zone}."),
        Field("ends_at", "Until", kind="moment", value=(start + timedelta(hours=4)).strftime(form), required=True,
              help=f"In {zone}. With a schedule: after this no window begins."),
        Field("schedule", "Recurring", maximum=120, placeholder="sun 02:00",
              help="Empty: once, from begin to end. Else when each window begins: daily 22:00, weekdays 20:30,"
              " sat,sun 03:00, every 12h, or five fields of cron."),
        Field("minutes", "Each window lasts", kind="number", unit="minutes", maximum=MOST_MINUTES,
              help="Of a recurring silence only."),
        Field("timezone", "Zone of the schedule", maximum=64, placeholder=zone, help=f"Empty: {zone}."),
        Field("reason", "Reason", kind="long", required=True, maximum=2000),
    )  # fmt: skip


def _subjects(request: StaffRequest) -> tuple[tuple[str, str], ...]:
    tenant = request.scope.tenant
    clients = Client.objects.of(tenant).exclude(state="deleted").order_by("name")
    sites = Site.objects.of(tenant).select_related("client").order_by("client__name", "name")
    servers = BackupServer.objects.of(tenant).filter(state="active").order_by("name")
    volumes = Volume.objects.of(tenant).select_related("server").order_by("server__name", "name")
    return (
        ("tenant", "Everything"),
        *((f"client:{row.uid}", f"Client {row.name}") for row in clients),
        *((f"site:{row.uid}", f"Site {row.name} of {row.client.name}") for row in sites),
        *((f"server:{row.uid}", f"Server {row.name}") for row in servers),
        *((f"volume:{row.uid}", f"Volume {row.name} of {row.server.name}") for row in volumes),
        *_asked_by_address(request),
    )


def _asked_by_address(request: StaffRequest) -> tuple[tuple[str, str], ...]:
    """The one job or selection that the address or the form names: a list of all would be long."""
    asked = request.POST.get("about") or request.GET.get("about", "")
    kind, _, uid = asked.partition(":")
    try:
        wanted = uuid.UUID(uid)
    except ValueError:
        return ()
    if kind not in NAMED_BY_ADDRESS:
        return ()
    row = MODELS[kind].objects.of(request.scope.tenant).filter(uid=wanted).first()
    return () if row is None else ((f"{kind}:{row.uid}", f"{kind.capitalize()} {row.name}"),)


def _subject(request: StaffRequest, about: str) -> tuple[str, int]:
    kind, _, uid = about.partition(":")
    if kind == "tenant":
        return "tenant", request.scope.tenant.pk
    return kind, MODELS[kind].objects.of(request.scope.tenant).get(uid=uid).pk


def _names(request: StaffRequest, rows: list[Silence]) -> dict[tuple[str, int], str]:
    """Names of what the windows are about; one query a kind."""
    names = {("tenant", request.scope.tenant.pk): "Everything"}
    for kind, model in MODELS.items():
        wanted = {row.scope_id for row in rows if row.scope_kind == kind}
        found_rows = model.objects.of(request.scope.tenant).filter(pk__in=wanted).values_list("pk", "name")
        names |= {(kind, pk): f"{kind.capitalize()} {name}" for pk, name in found_rows}
    return names
