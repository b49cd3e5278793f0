"""The monthly reports of a client: the list, one month as page and PDF, making it, the client's sign-off."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from alerts.models import ClientReport
from alerts.reports.client_month import NoSuchMonth, make_report, newest_reports, sign_report
from alerts.reports.client_pdf import draw_report
from msp.backups.queries import SizePoint
from msp.dashboard.permits import OPERATE, require
from msp.dashboard.scope import Refused, StaffRequest, found, staff_action, staff_page
from msp.dashboard.typing_in import free_text
from msp.estate.models import Client
from msp.estate.queries import find_client


@staff_page
def list_reports(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The months that were reported, newest first."""
    client = client_of(request, uid)
    reports = newest_reports(request.scope.tenant, client)
    return render(request, "client_reports.html", {"client": client, "reports": reports})


@staff_page
def show_report(request: StaffRequest, uid: uuid.UUID, month: str) -> HttpResponse:
    """A month as it was reported last, or as version ``?version=``."""
    client = client_of(request, uid)
    report = report_of(request, client, month)
    versions = ClientReport.objects.of(request.scope.tenant).filter(client=client, month=report.month)
    context = {
        "client": client,
        "report": report,
        "values": in_moments(report.values),
        "series": [SizePoint(day=date.fromisoformat(day), size_bytes=size) for day, size in report.values["sizes"]],
        "versions": versions.order_by("-version"),
    }
    return render(request, "client_report.html", context)


@staff_page
def download_report(request: StaffRequest, uid: uuid.UUID, month: str) -> HttpResponse:
    """The same values as a PDF."""
    client = client_of(request, uid)
    report = report_of(request, client, month)
    signed = (report.signed_by, report.signed_at) if report.signed_at else None
    content = draw_report(report.values, version=report.version, made_at=report.made_at, signed=signed)
    name = f"backup-report-{report.month:%Y-%m}-v{report.version}.pdf"
    return HttpResponse(
        content,
        content_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"},
    )


@staff_action
def make(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Make or renew the month that was asked for."""
    require(request, OPERATE)
    client = client_of(request, uid)
    month = read_month(request.POST.get("month", ""))
    try:
        report = make_report(request.scope.tenant, client, month, actor=request.scope.actor, now=request.now)
    except NoSuchMonth as refused:
        raise Refused(str(refused)) from refused
    return HttpResponseRedirect(reverse("client-report", args=[uid, f"{report.month:%Y-%m}"]))


@staff_action
def sign(request: StaffRequest, uid: uuid.UUID, month: str) -> HttpResponse:
    """Record who signed for the client."""
    require(request, OPERATE)
    client = client_of(request, uid)
    report = report_of(request, client, month)
    signed_by = free_text(request.POST, "signed_by", most=200)
    try:
        sign_report(request.scope.tenant, report, signed_by=signed_by, actor=request.scope.actor, now=request.now)
    except ValueError as refused:
        raise Refused(str(refused)) from refused
    return HttpResponseRedirect(reverse("client-report", args=[uid, month]))


def client_of(request: StaffRequest, uid: uuid.UUID) -> Client:
    """The client, if it is within reach; else 404."""
    row = found(find_client(request.scope.reach, uid), "client")
    client: Client = Client.objects.of(request.scope.tenant).get(pk=row.id)
    return client


def report_of(request: StaffRequest, client: Client, month: str) -> ClientReport:
    reports = ClientReport.objects.of(request.scope.tenant).filter(client=client, month=read_month(month))
    version = request.GET.get("version", "")
    if version.isdecimal() and len(version) < 9:
        reports = reports.filter(version=int(version))
    report: ClientReport = found(reports.order_by("-version").first(), "report")
    return report


def read_month(text: str) -> date:
    """The first day of "2026-10"; refused with a sentence for anything else."""
    try:
        return datetime.strptime(text.strip(), "%Y-%m").date()  # noqa: DTZ007  (a month has no zone)
    except ValueError as error:
        raise Refused("Write the month as 2026-10.", status=400) from error


def in_moments(values: dict[str, Any]) -> dict[str, Any]:
    """The stored values with moments for the page instead of their texts."""
    shown = dict(values)
    for name in ("incidents", "restores", "waivers", "silences", "rule_changes"):
        rows = [{key: as_moment(key, value) for key, value in row.items()} for row in values[name]["rows"]]
        shown[name] = {"total": values[name]["total"], "rows": rows}
    return shown


def as_moment(key: str, value: Any) -> Any:
    is_moment = key in ("at", "opened_at", "closed_at", "signed_at", "from", "to") and isinstance(value, str) and value
    return datetime.fromisoformat(value) if is_moment else value
