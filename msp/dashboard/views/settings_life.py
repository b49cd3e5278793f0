"""How incidents live, as settings: reopening, coming and going, the grace after a cause."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from alerts.life_settings import LIFE, find_life_settings, put_life_settings
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field
from msp.dashboard.permits import OPERATE, needs
from msp.dashboard.scope import StaffRequest
from msp.dashboard.views.settings_servers import actor_of


@needs(OPERATE)
def edit_life(request: StaffRequest) -> HttpResponse:
    """Four numbers."""
    row = find_life_settings(request.scope.tenant)
    fields = [
        Field(name, label, kind="number", unit=unit, value=str(getattr(row, name)), help=does, required=True,
              minimum=0, maximum=most)
        for name, (label, unit, most, does) in LIFE.items()
    ]  # fmt: skip

    def apply(values: dict[str, Any]) -> str:
        put_life_settings(request.scope.tenant, values, actor=actor_of(request))
        return reverse("settings")

    page = FormPage(
        title="The life of an incident",
        back=reverse("settings"),
        lead="When an incident is reopened, when one that comes and goes is closed, and when symptoms speak up.",
        crumbs=(("Settings", reverse("settings")),),
    )
    return edit(request, page, fields, apply=apply, done="Stored. Every open incident is looked at anew.")
