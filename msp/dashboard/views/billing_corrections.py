"""Late corrections: final invoices that would be another today, each with its days and the button that replaces it."""

from __future__ import annotations

from datetime import date

from django.http import HttpResponse
from django.shortcuts import render

from billing.corrections import late_corrections
from msp.dashboard import money
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest

#: How many months back are looked at unless another is chosen.
MONTHS_BACK = 3
SHOWN, DAYS_SHOWN = 100, 40


@needs(MONEY)
def list_corrections(request: StaffRequest) -> HttpResponse:
    """Final documents from a month on that differ from what is known now, the largest difference first."""
    months = money.months_over(request.scope, now=request.now)
    chosen = request.GET.get("since", "")
    if chosen not in dict(months):
        chosen = months[MONTHS_BACK - 1][0]
    found = late_corrections(request.scope.tenant, since=date.fromisoformat(chosen), now=request.now)
    context = {
        "corrections": [(each, each.days[:DAYS_SHOWN]) for each in found[:SHOWN]],
        "total": len(found),
        "months": months,
        "chosen": chosen,
        "days_shown": DAYS_SHOWN,
    }
    return render(request, "billing/corrections.html", context)
