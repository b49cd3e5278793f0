"""What waits for a second person: asked for by one, approved or declined with a reason by another."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from billing.approving import approve, ask, decline, open_requests
from billing.crediting import CreditedLine
from billing.refusals import NotFound
from billing.refusals import Refused as BillingRefused
from billing.second_person import NeedsSecondPerson, is_same
from msp.dashboard.permits import MONEY, action, needs
from msp.dashboard.scope import Refused, StaffRequest
from msp.dashboard.typing_in import free_text


@needs(MONEY)
def list_approvals(request: StaffRequest) -> HttpResponse:
    """The oldest request first."""
    return _list(request)


@action(MONEY)
def decide(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Approve, which does it at once, or decline."""
    reason = free_text(request.POST, "reason", most=2000)
    tenant, actor, now = request.scope.tenant, request.scope.actor, request.now
    try:
        if request.POST.get("do") == "approve":
            approve(tenant, uid, actor=actor, now=now, reason=reason)
            messages.success(request, "Approved and done.")
        else:
            decline(tenant, uid, actor=actor, now=now, reason=reason)
            messages.success(request, "Declined.")
    except NotFound as missing:
        raise Refused(missing.reason, status=404) from missing
    except BillingRefused as refusal:
        return _list(request, problem=refusal.reason)
    return redirect("approvals")


def ask_second_person(
    request: StaffRequest,
    uid: uuid.UUID,
    needed: NeedsSecondPerson,
    *,
    action: str,
    reason: str = "",
    lines: Sequence[CreditedLine] = (),
) -> str:
    """Keep the request and say so; answers the document's uid, to go on there."""
    ask(
        request.scope.tenant, uid, action=action, actor=request.scope.actor, now=request.now, reason=reason, lines=lines
    )
    messages.success(request, f"{needed.reason} It is asked for on the page Approvals.")
    return str(uid)


def _list(request: StaffRequest, *, problem: str = "") -> HttpResponse:
    rows = [(row, is_same(row.asked_by, request.scope.actor)) for row in open_requests(request.scope.tenant)]
    return render(request, "billing/approvals.html", {"rows": rows, "problem": problem}, status=409 if problem else 200)
