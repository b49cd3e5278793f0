"""Pull sources: systems that are asked for what their jobs did. Secrets go in and never come out."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from integrations.configuration import describe
from integrations.pulling import CONNECTORS
from msp import tasks
from msp.channels.models import PullSource
from msp.channels.pull_sources import (
    EVERY_MINUTES,
    LONGEST_EVERY,
    LONGEST_NAME,
    Wanted,
    ask_now,
    remove_source,
    set_paused,
    store_source,
)
from msp.channels.pulling import check_source
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field, fields_of_config
from msp.dashboard.permits import OWN, SETTINGS, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import BackupServer


@needs(SETTINGS)
def list_sources(request: StaffRequest) -> HttpResponse:
    """All of them, with their last success and what went wrong last."""
    rows = PullSource.objects.of(request.scope.tenant).select_related("server").defer("secrets", "cursor")
    context = {
        "sources": [{"row": row, "label": label_of(row.kind)} for row in rows.order_by("name", "pk")],
        "connectors": [(kind, connector.LABEL) for kind, connector in CONNECTORS.items()],
        "may_change": OWN.holds(request.scope),
    }
    return render(request, "settings/pull_sources.html", context)


@needs(OWN)
def new_source(request: StaffRequest, kind: str) -> HttpResponse:
    """The form of a product."""
    found(CONNECTORS.get(kind), "kind of pull source")
    return _edit(request, None, kind)


@needs(OWN)
def edit_source(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    row = _source(request, uid)
    found(CONNECTORS.get(row.kind), "kind of pull source")
    return _edit(request, row, row.kind)


@action(OWN)
def check(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Try the stored settings: log in and look, store nothing."""
    good, told = check_source(_source(request, uid))
    (messages.success if good else messages.error)(request, told)
    return redirect("pull-source", uid)


@action(OWN)
def change(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Pull now, pause, go on, or remove it."""
    row, tenant, actor = _source(request, uid), request.scope.tenant, actor_of(request)
    wanted = request.POST.get("do")
    if wanted == "remove":
        remove_source(tenant, row, actor=actor)
        messages.success(request, f"{row} is asked no more. What was fetched stays.")
        return redirect("pull-sources")
    if wanted == "now":
        _pull_now(request, row)
    elif wanted in ("pause", "resume"):
        set_paused(tenant, row, paused=wanted == "pause", actor=actor)
        messages.success(request, f"{row} is paused." if wanted == "pause" else f"{row} is asked again.")
    return redirect("pull-source", uid)


def _pull_now(request: StaffRequest, row: PullSource) -> None:
    if ask_now(request.scope.tenant, row, actor=actor_of(request)):
        tasks.wake_polling()
        messages.success(request, f"{row} is asked now.")
    else:
        messages.error(request, f"{row} is paused, or is being asked at this moment.")


def _edit(request: StaffRequest, row: PullSource | None, kind: str) -> HttpResponse:
    names = [item.name for item in describe(CONNECTORS[kind].Config)]

    def apply(values: dict[str, Any]) -> str:
        wanted = Wanted(
            name=values["name"],
            values={name: values.get(name) for name in names},
            server=BackupServer.objects.of(request.scope.tenant).get(uid=values["server"]),
            every_minutes=values["every_minutes"],
        )
        stored = store_source(request.scope.tenant, row, kind, wanted, actor=actor_of(request))
        tasks.wake_polling()
        return reverse("pull-source", args=[stored.uid])

    page = FormPage(
        title=str(row) if row else f"New pull source: {label_of(kind)}",
        lead=label_of(kind) if row else "",
        back=reverse("pull-sources"),
        crumbs=(("Pull sources", reverse("pull-sources")),),
        template="settings/pull_source.html",
        more={"source": row},
    )
    return edit(request, page, _fields(request, row, kind), apply=apply, done="The pull source is stored and is asked.")


def _fields(request: StaffRequest, row: PullSource | None, kind: str) -> tuple[Field, ...]:
    servers = BackupServer.objects.of(request.scope.tenant).filter(state="active").order_by("name")
    choices = tuple((str(each.uid), each.name) for each in servers)
    values = {} if row is None else {**row.config, **row.secrets}
    return (
        Field("name", "Name", value=row.name if row else label_of(kind), required=True, maximum=LONGEST_NAME),
        *fields_of_config(CONNECTORS[kind].Config, values),
        Field("server", "What it tells is of the server", kind="choice", choices=choices, required=True,
              value=str(row.server.uid) if row else "",
              help="New jobs are made, held or refused as that server says; it may hold jobs of many clients."),
        Field("every_minutes", "Ask every", kind="number", unit="minutes", minimum=1, maximum=LONGEST_EVERY,
              value=str(row.every_minutes if row else EVERY_MINUTES), required=True),
    )  # fmt: skip


def label_of(kind: str) -> str:
    return CONNECTORS[kind].LABEL if kind in CONNECTORS else kind


def _source(request: StaffRequest, uid: uuid.UUID) -> PullSource:
    rows = PullSource.objects.of(request.scope.tenant).select_related("server").filter(uid=uid)
    row: PullSource = found(rows.first(), "pull source")
    return row
