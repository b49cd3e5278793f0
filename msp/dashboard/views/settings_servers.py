"""Backup servers: what they are, how they send, what came last, and their keys; connecting has pages of its own."""

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
from msp.channels.addressing import addresses_of
from msp.dashboard.arrivals import formats_of, label_of, read_recent, troubles_of
from msp.dashboard.filling import volumes_of
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field
from msp.dashboard.permits import OPERATE, SETTINGS, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.sending import filling_of, ways_of
from msp.estate.changing import change_server, server_key_name
from msp.estate.models import BackupServer, Client
from msp.estate.spans import Actor
from msp.tenants.keys import IssuedKey, end_key, replace_server_key
from msp.tenants.models import ApiKey

NEW_JOBS = (
    ("auto", "make them for its client"),
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
        values["group"] = values["group"] or ""
        change_server(request.scope.tenant, row.pk, values, actor=actor_of(request))
        settings_changed(request.scope.tenant, now=request.now)
        return reverse("servers")

    page = _page(row.name, template="settings/server.html", more=_about(request, row))
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


def _about(request: StaffRequest, row: BackupServer) -> dict[str, Any]:
    """What stands below the form: how it sends, what came last, its keys and addresses."""
    tenant = request.scope.tenant
    addresses = addresses_of(tenant, row)
    filling = filling_of(row, address=addresses[-1] if addresses else None)
    sent = formats_of(tenant, row)
    return {
        "server": row,
        "keys": _keys(request).filter(server_id=row.pk),
        "graces": GRACES,
        "arrivals": read_recent(tenant, row, now=request.now),
        "troubles": troubles_of(tenant, row),
        "products": [{"name": name, "label": label_of(name), "tabs": ways_of(name, filling)} for name in sent],
        "volumes": volumes_of(row, now=request.now),
        "address": filling.address,
        "listens": settings.BACKLEDGER.smtp_port != 0,
    }


def _fields(request: StaffRequest, row: BackupServer) -> tuple[Field, ...]:
    clients = Client.objects.of(request.scope.tenant).exclude(state="deleted").order_by("name")
    choices = (("", "of no single client"), *((str(each.uid), each.name) for each in clients))
    return (
        Field("name", "Name", value=row.name, required=True, maximum=200),
        Field("timezone", "Time zone", value=row.timezone, maximum=64,
              help="Of times in its logs that name none, such as Europe/Berlin."),
        Field("client", "Client", kind="choice", choices=choices,
              value=str(row.client.uid) if row.client else ""),
        Field("group", "Group", value=row.group, maximum=80,
              help="Servers of one group share accounts: a job known on one has moved when another tells of it."),
        Field("new_jobs", "Jobs nobody knows yet", kind="choice", choices=NEW_JOBS, value=row.new_jobs,
              required=True),
    )  # fmt: skip


def _client(request: StaffRequest, uid: str | None) -> Client | None:
    return Client.objects.of(request.scope.tenant).get(uid=uid) if uid else None


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
