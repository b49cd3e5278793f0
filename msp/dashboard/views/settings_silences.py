"""Silences: planned windows in which incidents open but nobody is told."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from alerts.incidents import recheck_tellings
from alerts.models import Silence
from msp.backups.models import BackupJob
from msp.dashboard.changes.recording import record, told
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OPERATE, SETTINGS, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.estate.models import BackupServer, Client

PAST_SHOWN = 20
LONGEST = timedelta(days=366)
KINDS: dict[str, Any] = {"client": Client, "server": BackupServer, "job": BackupJob}


@needs(SETTINGS)
def list_silences(request: StaffRequest) -> HttpResponse:
    """Open ones, those to come, and the last that are over; as many queries however many there are."""
    rows = Silence.objects.of(request.scope.tenant)
    now = request.now
    open_rows = list(rows.filter(ends_at__gt=now).order_by("starts_at", "pk"))
    past = list(rows.filter(ends_at__lte=now).order_by("-ends_at", "-pk")[:PAST_SHOWN])
    names = _names(request, [*open_rows, *past])
    context = {
        "present": [_described(row, names) for row in open_rows if row.starts_at <= now],
        "coming": [_described(row, names) for row in open_rows if row.starts_at > now],
        "past": [_described(row, names) for row in past],
        "may_change": OPERATE.holds(request.scope),
    }
    return render(request, "settings/silences.html", context)


@needs(OPERATE)
def new_silence(request: StaffRequest) -> HttpResponse:
    """A window for the tenant, a client, a server or a job (``?about=job:<id>``)."""
    fields = _fields(request)

    def apply(values: dict[str, Any]) -> str:
        _store(request, values)
        return reverse("silences")

    page = FormPage(
        title="New silence",
        back=reverse("silences"),
        submit="Silence",
        lead="Incidents still open and are shown; nobody is told before the window ends.",
        crumbs=(("Silences", reverse("silences")),),
    )
    return edit(request, page, fields, apply=apply, done="The silence is set.")


@action(OPERATE)
def end_silence(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """End an open window now; one that has not begun is taken away."""
    row: Silence = found(Silence.objects.of(request.scope.tenant).filter(uid=uid).first(), "silence")
    if row.ends_at > request.now:
        with transaction.atomic():
            record(request, "silence ended", row, kind="silence", before=_audited(row))
            if row.starts_at < request.now:
                row.ends_at = request.now
                row.save(update_fields=["ends_at"])
            else:
                Silence.objects.of(request.scope.tenant).filter(pk=row.pk).delete()
            recheck_tellings(request.scope.tenant.pk, now=request.now)
    messages.success(request, "The silence is over; what is still open is told again.")
    return redirect("silences")


def _store(request: StaffRequest, values: dict[str, Any]) -> None:
    scope_kind, scope_id = _subject(request, values["about"])
    starts_at, ends_at = values["starts_at"], values["ends_at"]
    if ends_at <= starts_at:
        raise BadField("ends_at", "A silence ends after it begins.")
    if ends_at <= request.now:
        raise BadField("ends_at", "This window is over already.")
    if ends_at - starts_at > LONGEST:
        raise BadField("ends_at", "A silence lasts at most a year: pause or retire what is to be quiet for longer.")
    with transaction.atomic():
        row = Silence.objects.of(request.scope.tenant).create(
            scope_kind=scope_kind,
            scope_id=scope_id,
            starts_at=starts_at,
            ends_at=ends_at,
            reason=values["reason"],
            created_by=request.scope.actor,
        )
        record(request, "silence set", row, kind="silence", after=_audited(row), reason=values["reason"])
        recheck_tellings(request.scope.tenant.pk, now=request.now)


def _fields(request: StaffRequest) -> tuple[Field, ...]:
    start = timezone.localtime(request.now).replace(second=0, microsecond=0)
    form = "%Y-%m-%dT%H:%M"
    zone = request.scope.tenant.timezone
    return (
        Field("about", "What is quiet", kind="choice", choices=_subjects(request), required=True,
              value=request.GET.get("about", "tenant")),
        Field("starts_at", "From", kind="moment", value=start.strftime(form), required=True, help=f"In {zone}."),
        Field("ends_at", "Until", kind="moment", value=(start + timedelta(hours=4)).strftime(form), required=True,
              help=f"In {zone}."),
        Field("reason", "Reason", kind="long", required=True, maximum=2000),
    )  # fmt: skip


def _subjects(request: StaffRequest) -> tuple[tuple[str, str], ...]:
    tenant = request.scope.tenant
    clients = Client.objects.of(tenant).exclude(state="deleted").order_by("name")
    servers = BackupServer.objects.of(tenant).filter(state="active").order_by("name")
    return (
        ("tenant", "Everything"),
        *((f"client:{row.uid}", f"Client {row.name}") for row in clients),
        *((f"server:{row.uid}", f"Server {row.name}") for row in servers),
        *_asked_job(request),
    )


def _asked_job(request: StaffRequest) -> tuple[tuple[str, str], ...]:
    """The one job that the address or the form names: a list of all would be long."""
    asked = request.POST.get("about") or request.GET.get("about", "")
    kind, _, uid = asked.partition(":")
    try:
        wanted = uuid.UUID(uid)
    except ValueError:
        return ()
    row = BackupJob.objects.of(request.scope.tenant).filter(uid=wanted).first() if kind == "job" else None
    return () if row is None else ((f"job:{row.uid}", f"Job {row.name}"),)


def _subject(request: StaffRequest, about: str) -> tuple[str, int]:
    kind, _, uid = about.partition(":")
    if kind == "tenant":
        return "tenant", request.scope.tenant.pk
    return kind, KINDS[kind].objects.of(request.scope.tenant).get(uid=uid).pk


def _names(request: StaffRequest, rows: list[Silence]) -> dict[tuple[str, int], str]:
    """Names of what the windows are about; one query a kind."""
    names = {("tenant", request.scope.tenant.pk): "Everything"}
    for kind, model in KINDS.items():
        wanted = {row.scope_id for row in rows if row.scope_kind == kind}
        found_rows = model.objects.of(request.scope.tenant).filter(pk__in=wanted).values_list("pk", "name")
        names |= {(kind, pk): f"{kind.capitalize()} {name}" for pk, name in found_rows}
    return names


def _described(row: Silence, names: dict[tuple[str, int], str]) -> dict[str, Any]:
    return {"row": row, "about": names.get((row.scope_kind, row.scope_id), row.scope_kind)}


def _audited(row: Silence) -> dict[str, Any]:
    names = ("scope_kind", "scope_id", "starts_at", "ends_at")
    return {name: told(getattr(row, name)) for name in names}
