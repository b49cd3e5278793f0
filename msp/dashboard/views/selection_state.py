"""The state of a selection from a day on: active, seeding, suspended or retired. Bills and expectations follow it."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from alerts.acting import settings_changed
from msp.backups.selection_queries import find_selection
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field
from msp.dashboard.permits import OPERATE, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import SELECTION_STATES
from msp.estate.spans import set_selection_state, today_of

LEAD = "A plan says whether suspended and seeding days are charged; a retired selection is charged to the day before."


@needs(OPERATE)
def change_state(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The form, or the change."""
    selection = found(find_selection(request.scope.reach, uid), "selection")
    today = today_of(request.scope.tenant, request.now).isoformat()
    states = tuple((state, state) for state in SELECTION_STATES)
    fields = (
        Field("state", "State", kind="choice", choices=states, value=selection.state, required=True),
        Field("on", "From", kind="date", value=today, required=True, help="Today or earlier; bills follow this day."),
    )
    back = reverse("selection", args=[uid])

    def apply(values: dict[str, Any]) -> str:
        actor = actor_of(request)
        set_selection_state(request.scope.tenant, selection.pk, state=values["state"], on=values["on"], actor=actor)
        settings_changed(request.scope.tenant, now=request.now)
        return back

    page = FormPage(
        title=f"State of {selection.name}", back=back, submit="Change", lead=LEAD, crumbs=((selection.name, back),)
    )
    return edit(request, page, fields, apply=apply, done="The state is changed.")
