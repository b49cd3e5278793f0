"""The settings' front page: what there is, for those who may open it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from msp.dashboard.permits import SETTINGS, needs
from msp.dashboard.scope import StaffRequest


@needs(SETTINGS)
def show_hub(request: StaffRequest) -> HttpResponse:
    """Links only."""
    return render(request, "settings/hub.html")
