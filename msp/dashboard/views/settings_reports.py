"""Morning reports: who gets the morning list by mail, when, and about which clients."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts.models import Destination, MorningReport
from alerts.reports.mailing import LANE, send_now
from alerts.reports.setting import ReportValues, set_report
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OWN, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import Client
from msp.outbox.models import Lane
from msp.tasks import wake_delivery
from msp.tenants.models import Reseller


@needs(OWN)
def list_reports(request: StaffRequest) -> HttpResponse:
    """Every report, when its next is due, and why the last could not be sent."""
    tenant = request.scope.tenant
    lanes = {lane.object_id: lane for lane in Lane.objects.of(tenant).filter(kind=LANE)}
    rows = MorningReport.objects.of(tenant).select_related("destination").order_by("name", "pk")
    reports = [{"row": row, "lane": lanes.get(row.pk)} for row in rows]
    return render(request, "settings/reports.html", {"reports": reports})


@needs(OWN)
def edit_report(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """A new one, or one that is there."""
    row = found(_find(request, uid), "report") if uid else None

    def apply(values: dict[str, Any]) -> str:
        try:
            with transaction.atomic():
                set_report(request.scope.tenant, row, _asked(request, values), actor=actor_of(request))
        except IntegrityError as error:
            raise BadField("name", "There is a report of this name already.") from error
        return reverse("reports")

    page = FormPage(
        title=row.name if row else "New morning report",
        back=reverse("reports"),
        lead="The morning list by mail: new, still open, closed, silenced, and how much was watched.",
        crumbs=((("Settings"), reverse("settings")), ("Morning reports", reverse("reports"))),
    )
    return edit(request, page, _fields(request, row), apply=apply, done="The report is saved.")


@action(OWN)
def send_one(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Write and send one besides the schedule."""
    row = found(_find(request, uid), "report")
    if not row.enabled:
        raise Refused("This report is switched off.", status=409)
    send_now(row, now=request.now)
    wake_delivery()
    messages.success(request, "One is on its way.")
    return redirect("reports")


def _find(request: StaffRequest, uid: uuid.UUID | None) -> MorningReport | None:
    row: MorningReport | None = MorningReport.objects.of(request.scope.tenant).filter(uid=uid).first()
    return row


def _asked(request: StaffRequest, values: dict[str, Any]) -> ReportValues:
    tenant = request.scope.tenant
    clients = Client.objects.of(tenant).filter(uid__in=values["clients"])
    resellers = Reseller.objects.of(tenant).filter(uid__in=values["resellers"])
    return ReportValues(
        name=values["name"],
        recipients=tuple(values["recipients"]),
        destination=Destination.objects.of(tenant).get(uid=values["destination"]),
        schedule=values["schedule"],
        zone=values["timezone"],
        client_ids=tuple(clients.order_by("pk").values_list("pk", flat=True)),
        reseller_ids=tuple(resellers.order_by("pk").values_list("pk", flat=True)),
        enabled=values["enabled"],
    )


def _fields(request: StaffRequest, row: MorningReport | None) -> tuple[Field, ...]:
    tenant = request.scope.tenant
    servers = Destination.objects.of(tenant).filter(gateway="email", enabled=True).order_by("name")
    clients = list(Client.objects.of(tenant).exclude(state="deleted").order_by("name"))
    resellers = list(Reseller.objects.of(tenant).order_by("name"))
    fields = (
        Field("name", "Name", required=True, maximum=120, help="Stands in the subject."),
        Field("recipients", "To", kind="list", required=True, help="One or more addresses."),
        Field("destination", "Sent through", kind="choice", required=True,
              choices=tuple((str(one.uid), one.name) for one in servers),
              help="The mail server of a destination of the kind Email that is in use."),
        Field("schedule", "When", required=True, maximum=120, value="weekdays 07:30",
              help="Such as weekdays 07:30, daily 06:00, mon,thu 08:00, or five fields of cron; at most hourly."),
        Field("timezone", "Time zone", required=True, maximum=64, value=tenant.timezone),
        Field("clients", "Clients", kind="many", choices=tuple((str(one.uid), one.name) for one in clients),
              help="None ticked, and no reseller: every client."),
        Field("resellers", "Resellers", kind="many", choices=tuple((str(one.uid), one.name) for one in resellers)),
        Field("enabled", "In use", kind="switch", value="yes"),
    )  # fmt: skip
    if row is None:
        return fields
    shown = {
        "name": row.name,
        "recipients": ", ".join(row.recipients),
        "destination": next((str(one.uid) for one in servers if one.pk == row.destination_id), ""),
        "schedule": row.schedule,
        "timezone": row.timezone,
        "clients": " ".join(str(one.uid) for one in clients if one.pk in row.client_ids),
        "resellers": " ".join(str(one.uid) for one in resellers if one.pk in row.reseller_ids),
        "enabled": "yes" if row.enabled else "no",
    }
    return tuple(replace(field, value=shown[field.name]) for field in fields)
