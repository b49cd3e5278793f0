"""Which job measures a selection and how it counts: what waits for an approval, and the form that approves it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from billing.measuring import approve_basis
from billing.measuring_queries import Unapproved, unapproved_figures
from msp.backups.models import BackupJob
from msp.dashboard import money
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest, found
from msp.estate.models import Selection

SHOWN = 200


@needs(MONEY)
def list_unapproved(request: StaffRequest) -> HttpResponse:
    """Figures of this month and the one before that nobody is billed by."""
    since = _since(request)
    rows = unapproved_figures(request.scope.tenant, since=since, limit=SHOWN)
    return render(request, "billing/measuring.html", {"rows": rows, "since": since, "limit": SHOWN})


@needs(MONEY, to_change=MONEY)
def approve(request: StaffRequest) -> HttpResponse:
    """Bill a selection by this job and basis from a day on."""
    rows = unapproved_figures(request.scope.tenant, since=_since(request), limit=10_000)
    row = found(next((each for each in rows if _is_asked(each, request)), None), "figure that waits for an approval")
    selection = Selection.objects.of(request.scope.tenant).get(uid=row.selection_uid)
    job = BackupJob.objects.of(request.scope.tenant).get(uid=row.job_uid)

    def apply(values: dict[str, Any]) -> str:
        approve_basis(
            request.scope.tenant,
            selection,
            job,
            row.basis,
            since=values["since"],
            reason=values["reason"],
            actor=request.scope.actor,
            now=request.now,
        )
        return reverse("measuring")

    return edit(request, _page(row), _fields(row), apply=apply, done="Approved; draft the month again to bill by it.")


def _is_asked(row: Unapproved, request: StaffRequest) -> bool:
    asked = (request.GET.get("selection"), request.GET.get("job"), request.GET.get("basis", ""))
    return (str(row.selection_uid), str(row.job_uid), row.basis) == asked


def _since(request: StaffRequest) -> date:
    today = money.today_of(request.scope, now=request.now)
    return (today.replace(day=1) - timedelta(days=1)).replace(day=1)


def _fields(row: Unapproved) -> tuple[Field, ...]:
    return (
        Field(
            name="since",
            label="Bill by it from",
            kind="date",
            value=row.first_day.isoformat(),
            required=True,
            help="Days before keep what held for them.",
        ),
        Field(name="reason", label="Reason", kind="long", required=True, maximum=2000, help="Kept with the choice."),
    )


def _page(row: Unapproved) -> FormPage:
    return FormPage(
        title=f"Approve for {row.selection}",
        back=reverse("measuring"),
        submit="Approve",
        crumbs=(("Measuring", reverse("measuring")),),
        template="billing/measuring_approve.html",
        more={"row": row},
    )
