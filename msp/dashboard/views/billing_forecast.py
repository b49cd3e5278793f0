"""The running month before it is billed: what is certain, what it may come to, and which boundaries are near."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from billing.forecasting import forecast
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest

#: Subscriptions that are shown; the dearest come first.
SHOWN = 300


@needs(MONEY)
def show(request: StaffRequest) -> HttpResponse:
    """Every subscription of this month; notices above, the nearest first."""
    told = forecast(request.scope.tenant, now=request.now)
    notices = [(notice, line) for line in told.lines for notice in line.notices]
    context = {
        "told": told,
        "shown": told.lines[:SHOWN],
        "notices": sorted(notices, key=lambda pair: (pair[0].day, pair[1].who))[:SHOWN],
    }
    return render(request, "billing/forecast.html", context)
