"""Backup servers and their ingest keys: a key is shown once, with the command that sends a first log."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts.acting import settings_changed
from msp.dashboard.form_pages import REFUSALS, FormPage, edit, show_refused
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OPERATE, SETTINGS, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.typing_in import read_typed
from msp.estate.changing import change_server, register_server, server_key_name
from msp.estate.models import BackupServer, Client
from msp.estate.spans import Actor, Taken
from msp.tenants.keys import IssuedKey, end_key, replace_server_key
from msp.tenants.models import ApiKey

NEW_JOBS = (
    ("auto", "make them for the client below"),
    ("hold", "hold them in the inbox"),
    ("refuse", "refuse them (kept in the inbox)"),
)
GRACES = (
    ("0", "end at once"),
    ("1", "work for another hour"),
    ("24", "work for another day"),
    ("168", "work for another week"),
)


@needs(SETTINGS)
def list_servers(request: StaffRequest) -> HttpResponse:
    """Servers with their keys; two queries."""
    servers = BackupServer.objects.of(request.scope.tenant).select_related("client").order_by("name")
    keys: dict[int, list[ApiKey]] = defaultdict(list)
    for key in _keys(request).exclude(server_id=None):
        keys[key.server_id or 0].append(key)
    context = {
        "servers": [{"row": row, "keys": keys[row.pk]} for row in servers],
        "may_change": OPERATE.holds(request.scope),
    }
    return render(request, "settings/servers.html", context)


@needs(OPERATE)
def new_server(request: StaffRequest) -> HttpResponse:
    """Register one; its key is shown on the page that answers, and never again."""
    fields = _fields(request, None)
    page = _page("New backup server", submit="Register")
    if request.method != "POST":
        return edit(request, page, fields, apply=lambda values: "", done="")
    try:
        values = _read(request, fields)
        made = register_server(request.scope.tenant, actor=actor_of(request), **values)
    except (BadField, *REFUSALS) as refusal:
        return show_refused(request, page, fields, _as_field(refusal))
    return show_key(request, made.key, server=made.server)


@needs(OPERATE)
def edit_server(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Name, zone, habits and state; its keys below."""
    row = _find(request, uid)
    fields = (
        *_fields(request, row),
        Field("state", "State", kind="choice", choices=(("active", "active"), ("retired", "retired")),
              value=row.state, required=True),
    )  # fmt: skip

    def apply(values: dict[str, Any]) -> str:
        values["client"] = _client(request, values["client"])
        values["timezone"] = values["timezone"] or request.scope.tenant.timezone
        change_server(request.scope.tenant, row.pk, values, actor=actor_of(request))
        settings_changed(request.scope.tenant, now=request.now)
        return reverse("servers")

    more = {"server": row, "keys": _keys(request).filter(server_id=row.pk), "graces": GRACES}
    page = _page(row.name, template="settings/server.html", more=more)
    return edit(request, page, fields, apply=apply, done="The server is stored.")


@action(OPERATE)
def rotate_key(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """A new key, the old ones ending after a while; or an end to one key."""
    row = _find(request, uid)
    tenant, actor = request.scope.tenant, request.scope.actor
    if request.POST.get("revoke"):
        end_key(tenant, _key(request, row), ends_at=request.now, actor=actor, now=request.now)
        return redirect("server", uid)
    grace = request.POST.get("grace", "0")
    if grace not in dict(GRACES):
        raise Refused("Choose how long the present key goes on working.")
    ends_at = request.now + timedelta(hours=int(grace))
    name = server_key_name(row.name)
    issued = replace_server_key(tenant, row.pk, name=name, actor=actor, ends_at=ends_at, now=request.now)
    return show_key(request, issued, server=row)


def show_key(request: StaffRequest, issued: IssuedKey, *, server: BackupServer | None = None) -> HttpResponse:
    """The one page that ever shows a key."""
    context = {
        "issued": issued,
        "server": server,
        "address": f"{settings.BACKLEDGER.base_url}/api/v1/logs",
        "back": reverse("server", args=[server.uid]) if server else reverse("keys"),
    }
    return render(request, "settings/key_once.html", context)


def actor_of(request: StaffRequest) -> Actor:
    """The person of this request, as the estate's functions take it."""
    return Actor(name=request.scope.actor, now=request.now, id=request.scope.actor_id)


def _fields(request: StaffRequest, row: BackupServer | None) -> tuple[Field, ...]:
    clients = Client.objects.of(request.scope.tenant).exclude(state="deleted").order_by("name")
    choices = (("", "of no single client"), *((str(each.uid), each.name) for each in clients))
    shown = row or BackupServer(timezone=request.scope.tenant.timezone)
    return (
        Field("name", "Name", value=shown.name, required=True, maximum=200),
        Field("timezone", "Time zone", value=shown.timezone, maximum=64,
              help="Of times in its logs that name none, such as Europe/Berlin."),
        Field("client", "Client", kind="choice", choices=choices,
              value=str(row.client.uid) if row and row.client else ""),
        Field("new_jobs", "Jobs nobody knows yet", kind="choice", choices=NEW_JOBS, value=shown.new_jobs,
              required=True),
    )  # fmt: skip


def _read(request: StaffRequest, fields: tuple[Field, ...]) -> dict[str, Any]:
    values = read_typed(fields, request.POST)
    return values | {"client": _client(request, values["client"]), "timezone": values["timezone"] or ""}


def _client(request: StaffRequest, uid: str | None) -> Client | None:
    return Client.objects.of(request.scope.tenant).get(uid=uid) if uid else None


def _as_field(refusal: Exception) -> Exception:
    """A name that is taken belongs to the field of the name."""
    return BadField("name", refusal.reason) if isinstance(refusal, Taken) else refusal


def _page(title: str, **values: Any) -> FormPage:
    return FormPage(title=title, back=reverse("servers"), crumbs=(("Servers", reverse("servers")),), **values)


def _find(request: StaffRequest, uid: uuid.UUID) -> BackupServer:
    rows = BackupServer.objects.of(request.scope.tenant).select_related("client")
    row: BackupServer = found(rows.filter(uid=uid).first(), "server")
    return row


def _keys(request: StaffRequest) -> Any:
    return ApiKey.objects.of(request.scope.tenant).filter(revoked_at__isnull=True).order_by("pk")


def _key(request: StaffRequest, row: BackupServer) -> ApiKey:
    try:
        wanted = uuid.UUID(request.POST["revoke"])
    except ValueError as error:
        raise Refused("There is no such key.", status=404) from error
    key: ApiKey = found(_keys(request).filter(server_id=row.pk, uid=wanted).first(), "key")
    return key
