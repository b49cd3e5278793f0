"""Plans: every version with its terms, the form of a new one, and what it would charge."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render

from billing import plans
from billing.models import Plan
from billing.params import BadParams
from billing.queries import plan_rows
from billing.refusals import Refused as BillingRefused
from msp.dashboard import plan_forms
from msp.dashboard.forms import BadField
from msp.dashboard.permits import MONEY, action, needs
from msp.dashboard.scope import StaffRequest, found


@needs(MONEY)
def list_plans(request: StaffRequest) -> HttpResponse:
    """The plans; older versions below the newest."""
    return render(request, "billing/plans.html", {"plans": plan_rows(request.scope.tenant)})


@needs(MONEY)
def new_plan(request: StaffRequest) -> HttpResponse:
    """The form of a new plan."""
    if request.method != "POST":
        return _show(request, None, plan_forms.start_typed(None, currency=request.scope.tenant.currency))
    return _change(request, None)


@needs(MONEY)
def new_version(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The form of a plan's next version, beginning with what this one says."""
    plan: Plan = found(Plan.objects.of(request.scope.tenant).filter(uid=uid).first(), "plan")
    if request.method != "POST":
        return _show(request, plan, plan_forms.start_typed(plan, currency=plan.currency))
    return _change(request, plan)


@action(MONEY)
def preview(request: StaffRequest) -> HttpResponse:
    """What the plan as typed would charge; nothing is stored."""
    shown = plan_forms.preview(request.POST, is_new="code" in request.POST)
    return render(request, "billing/plan_preview.html", {"preview": shown})


def _change(request: StaffRequest, plan: Plan | None) -> HttpResponse:
    is_new = plan is None
    if request.POST.get("do", "save") != "save":
        return _show(request, plan, plan_forms.press(request.POST))
    try:
        made = _store(request, plan)
    except BadParams as refusal:
        bad = plan_forms.field_of_params(refusal)
    except BillingRefused as refusal:
        bad = BadField("code" if is_new else "", refusal.reason)
    except BadField as refusal:
        bad = refusal
    else:
        messages.success(request, f"{made.name}, version {made.version}, is stored.")
        return redirect("plans")
    return _show(request, plan, request.POST, error=bad)


def _store(request: StaffRequest, plan: Plan | None) -> Plan:
    code, draft = plan_forms.read_plan(request.POST, is_new=plan is None)
    actor, now = request.scope.actor, request.now
    if plan is None:
        return plans.make_plan(request.scope.tenant, code=code, draft=draft, actor=actor, now=now)
    return plans.new_version(request.scope.tenant, code=plan.code, draft=draft, actor=actor, now=now)


def _show(request: StaffRequest, plan: Plan | None, typed: QueryDict, *, error: BadField | None = None) -> HttpResponse:
    context = {
        "form": plan_forms.build_form(typed, is_new=plan is None, error=error),
        "plan": plan,
        "preview": plan_forms.preview(typed, is_new=plan is None),
        "preview_size": typed.get("preview_size", ""),
    }
    template = "billing/plan_inputs.html" if request.htmx else "billing/plan_form.html"
    return render(request, template, context, status=422 if error else 200)
