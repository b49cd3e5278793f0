"""Usage that no log tells, from a CSV: uploaded, shown as differences to the ledger, entered by a person or dropped."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from billing import usage_imports
from billing.metrics import BY_NAME, ENTERED
from billing.models import UsageImport
from billing.refusals import Refused as BillingRefused
from billing.usage_files import BASES, COLUMNS, MOST_BYTES
from msp.dashboard.permits import MONEY, action, needs
from msp.dashboard.scope import StaffRequest, found

FILES_SHOWN = 100
LINES_SHOWN = 500


@needs(MONEY)
def list_files(request: StaffRequest) -> HttpResponse:
    """The files, the newest first, and the form that takes one."""
    return _list(request)


@action(MONEY)
def upload(request: StaffRequest) -> HttpResponse:
    """Read a file and keep it for a decision; of a file with a bad line nothing is kept."""
    sent = request.FILES.get("file")
    if sent is None:
        return _list(request, problems=("Choose the CSV file.",))
    if (sent.size or 0) > MOST_BYTES:
        return _list(request, problems=(f"The file has {sent.size:,} bytes; at most {MOST_BYTES:,} are read.",))
    try:
        kept = usage_imports.keep_usage_file(
            request.scope.tenant, sent.read(), name=sent.name or "", actor=request.scope.actor, now=request.now
        )
    except usage_imports.RefusedFile as refusal:
        return _list(request, problems=refusal.lines)
    except BillingRefused as refusal:
        return _list(request, problems=(refusal.reason,))
    return redirect("usage-file", kept.uid)


@needs(MONEY)
def show_file(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """What a file would do, line by line; or what became of it."""
    return _show(request, _found(request, uid))


@action(MONEY)
def settle_file(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Enter it, as it was shown, or drop it."""
    kept = _found(request, uid)
    values: dict[str, Any] = {"actor": request.scope.actor, "now": request.now}
    try:
        if request.POST.get("do") == "apply":
            seen = request.POST.get("seen", "")[:64]
            done = usage_imports.apply_usage_file(request.scope.tenant, uid, seen=seen or "unseen", **values)
            messages.success(request, f"Entered: {done.written} of {done.rows} lines changed the ledger.")
        else:
            usage_imports.drop_usage_file(request.scope.tenant, uid, **values)
            messages.success(request, "Dropped: nothing of it was entered.")
    except BillingRefused as refusal:
        return _show(request, kept, problem=refusal.reason)
    return redirect("usage-file", uid)


def _list(request: StaffRequest, *, problems: tuple[str, ...] = ()) -> HttpResponse:
    rows = UsageImport.objects.of(request.scope.tenant).defer("content").order_by("-uploaded_at", "-pk")
    context = {
        "files": rows[:FILES_SHOWN],
        "problems": problems,
        "columns": COLUMNS,
        "metrics": [(name, BY_NAME[name].label) for name in ENTERED],
        "bases": BASES,
    }
    return render(request, "billing/usage_files.html", context, status=422 if problems else 200)


def _show(request: StaffRequest, kept: UsageImport, *, problem: str = "") -> HttpResponse:
    checked = usage_imports.check_kept(kept, now=request.now) if kept.state == "checked" else None
    lines = checked.differences if checked else ()
    context = {
        "file": kept,
        "checked": checked,
        "lines": lines[:LINES_SHOWN],
        "hidden": max(0, len(lines) - LINES_SHOWN),
        "counts": usage_imports.figures_by_change(checked) if checked else {},
        "problem": problem,
    }
    return render(request, "billing/usage_file.html", context, status=409 if problem else 200)


def _found(request: StaffRequest, uid: uuid.UUID) -> UsageImport:
    rows = UsageImport.objects.of(request.scope.tenant).select_related("tenant")
    kept: UsageImport = found(rows.filter(uid=uid).first(), "file")
    return kept
