"""Why did it change: a line, or a whole document, against the month before, on a page."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.shortcuts import render

from billing.why_changed import why_document_changed, why_line_changed
from msp.dashboard import money
from msp.dashboard.change_chart import draw_two_months
from msp.dashboard.permits import INVOICES, needs
from msp.dashboard.scope import StaffRequest, found


@needs(INVOICES)
def show_line_change(request: StaffRequest, uid: uuid.UUID, line_uid: uuid.UUID) -> HttpResponse:
    """One line: the reasons with their amounts, the days of both months, the steps side by side."""
    page = money.page_of_invoice(request.scope, uid)
    line = found(next((each for each in page.lines if each.uid == line_uid), None), "line")
    change = why_line_changed(request.scope.tenant, line_uid)
    context = {"page": page, "line": line, "change": change, "chart": draw_two_months(change.days)}
    return render(request, "billing/line_change.html", context)


@needs(INVOICES)
def show_document_change(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """All lines of a document, the largest difference first."""
    page = money.page_of_invoice(request.scope, uid)
    change = why_document_changed(request.scope.tenant, uid)
    return render(request, "billing/document_change.html", {"page": page, "change": change})
