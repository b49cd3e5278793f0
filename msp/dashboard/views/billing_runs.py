"""Invoice runs: the months, and one month under review: drafts, what is held and why, what changed, who is unbilled."""

from __future__ import annotations

import uuid
from datetime import date

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from alerts.wording import count_words
from billing import finalising, invoicing
from billing.models import InvoiceRun, Seller
from billing.queries import run_rows
from billing.refusals import Refused as BillingRefused
from billing.reviewing import compare_with_last_month, unbilled
from msp.dashboard import money
from msp.dashboard.form_pages import REFUSALS, as_bad_field
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import read_typed, refill_typed

CHANGES_SHOWN = 40
UNBILLED_SHOWN = 40


@needs(MONEY)
def list_runs(request: StaffRequest) -> HttpResponse:
    """The months of every seller, and the form that starts one."""
    return _show_runs(request, _start_fields(request))


@action(MONEY)
def start_run(request: StaffRequest) -> HttpResponse:
    """Draft a month of a seller; a month that was drafted already is drafted again."""
    fields = _start_fields(request)
    try:
        values = read_typed(fields, request.POST)
        seller: Seller = found(Seller.objects.of(request.scope.tenant).filter(uid=values["seller"]).first(), "seller")
        run = invoicing.draft_run(
            request.scope.tenant,
            seller,
            first_day=date.fromisoformat(values["month"]),
            actor=request.scope.actor,
            now=request.now,
        )
    except (BadField, *REFUSALS) as refusal:
        bad = as_bad_field(refusal)
        shown = refill_typed(fields, request.POST, error=bad)
        return _show_runs(request, shown, problem="" if bad.field else bad.reason)
    messages.success(request, f"{run.first_day:%B %Y} is drafted: look at what is held and what changed.")
    return redirect("invoice-run", run.uid)


@needs(MONEY)
def show_run(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The review of one run."""
    return _show_run(request, money.run_of(request.scope, uid))


@action(MONEY)
def redraft(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Draft the month again as known now."""
    run = money.run_of(request.scope, uid)
    before = run.cut_off
    try:
        run = invoicing.redraft(request.scope.tenant, run, now=request.now)
    except BillingRefused as refusal:
        return _show_run(request, run, problem=refusal.reason)
    changed = run.cut_off != before
    messages.success(request, "Drafted again as known now." if changed else "Drafted again: nothing has changed.")
    return redirect("invoice-run", uid)


@action(MONEY)
def finalise_ready(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Make every draft final that nothing holds; the others are named with the reason."""
    run = money.run_of(request.scope, uid)
    uids = [document.uid for document in money.ready_of(money.documents_of(run))]
    done, refusals = finalising.finalise_many(request.scope.tenant, uids, actor=request.scope.actor, now=request.now)
    if refusals:
        return _show_run(request, run, problem=" ".join(refusals))
    messages.success(request, f"{count_words(len(done), 'invoice')} finalised.")
    return redirect("invoice-run", uid)


def _show_runs(request: StaffRequest, fields: tuple[Field, ...], *, problem: str = "") -> HttpResponse:
    context = {
        "runs": run_rows(request.scope.tenant),
        "fields": fields,
        "problem": problem,
        "has_seller": bool(fields[0].choices),
    }
    return render(request, "billing/runs.html", context, status=422 if request.method == "POST" else 200)


def _start_fields(request: StaffRequest) -> tuple[Field, ...]:
    months = money.months_over(request.scope, now=request.now)
    month = Field(name="month", label="Month", kind="choice", choices=months, value=months[0][0], required=True)
    return money.seller_field(request.scope), month


def _show_run(request: StaffRequest, run: InvoiceRun, *, problem: str = "") -> HttpResponse:
    documents = money.documents_of(run)
    changes = compare_with_last_month(request.scope.tenant, run)
    without_plan = unbilled(request.scope.tenant, run)
    ready = money.ready_of(documents)
    context = {
        "run": run,
        "documents": documents,
        "totals": money.totals_of(documents),
        "ready": ready,
        "ready_totals": money.totals_of(ready),
        "held": [each for each in documents if each.held and each.state == "draft"],
        "has_final": any(each.state == "final" for each in documents),
        "has_drafts": any(each.state == "draft" for each in documents),
        "changes": [change for change in changes if change.difference or change.reason in ("new", "gone")][
            :CHANGES_SHOWN
        ],
        "unchanged": sum(not change.difference for change in changes),
        "unbilled": without_plan[:UNBILLED_SHOWN],
        "unbilled_total": len(without_plan),
        "problem": problem,
    }
    return render(request, "billing/run.html", context, status=409 if problem else 200)
