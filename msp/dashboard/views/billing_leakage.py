"""Where money leaks in a month: one page, each finding with its amount and what to do about it."""

from __future__ import annotations

from datetime import date

from django.http import HttpResponse
from django.shortcuts import render

from billing.days import Period
from billing.periods import month_from
from msp.dashboard import money
from msp.dashboard.leakage import grouped, leaks_of
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest

#: Findings of a kind that are shown; the largest come first.
SHOWN = 100


@needs(MONEY)
def show(request: StaffRequest) -> HttpResponse:
    """The last month that is over, or the one asked for."""
    months = money.months_over(request.scope, now=request.now)
    chosen = request.GET.get("month", "")
    chosen = chosen if chosen in dict(months) else months[0][0]
    period: Period = month_from(date.fromisoformat(chosen))
    leaks = leaks_of(request.scope.tenant, period=period, now=request.now)
    context = {
        "months": months,
        "chosen": chosen,
        "first_day": period.first_day,
        "groups": grouped(leaks),
        "count": len(leaks),
        "shown": SHOWN,
    }
    return render(request, "billing/leakage.html", context)
