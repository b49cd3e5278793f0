"""A selection: what the product reports beside what we measured, its definition, and an inventory to measure it by."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render

from integrations.selections.definitions import KINDS
from integrations.selections.refusals import Unusable
from integrations.selections.text import MAX_DEFINITION
from msp.backups.selection_queries import (
    definition_in_force,
    find_selection,
    recent_measurements,
    sizes_of_selections,
)
from msp.backups.selection_sizes import measure_upload, set_definition
from msp.dashboard.permits import OPERATE, action
from msp.dashboard.scope import Refused, StaffRequest, found, staff_page
from msp.estate.models import Selection
from msp.estate.spans import Actor

MEASUREMENTS = 30
MAX_VARIABLES = 100


@staff_page
def show_selection(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One selection."""
    return page(request, found(find_selection(request.scope.reach, uid), "selection"))


@action(OPERATE)
def measure_selection(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Measure by the uploaded inventory."""
    selection = found(find_selection(request.scope.reach, uid), "selection")
    sent = request.FILES.get("inventory")
    if sent is None:
        return page(request, selection, problem="Choose the file with the inventory.")
    try:
        measure_upload(request.scope.tenant, selection, sent.chunks(), source="upload", now=request.now)
    except Unusable as refused:
        return page(request, selection, problem=f"The inventory cannot be used: {refused}")
    return redirect("selection", uid=selection.uid)


@action(OPERATE)
def define_selection(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Keep a further version of the definition."""
    selection = found(find_selection(request.scope.reach, uid), "selection")
    actor = Actor(name=request.scope.actor, now=request.now, id=request.scope.actor_id)
    try:
        set_definition(
            request.scope.tenant,
            selection,
            sent_definition(request),
            kind=chosen_kind(request),
            variables=sent_variables(request.POST.get("variables", "")),
            actor=actor,
        )
    except Unusable as refused:
        return page(request, selection, problem=f"The definition cannot be used: {refused}")
    return redirect("selection", uid=selection.uid)


def page(request: StaffRequest, selection: Selection, *, problem: str = "") -> HttpResponse:
    reach = request.scope.reach
    (row,) = sizes_of_selections(reach, [selection.pk])
    definition = definition_in_force(reach, selection.pk)
    context: dict[str, Any] = {
        "selection": selection,
        "row": row,
        "sizes": [row],
        "shares": [
            {"title": "Selected by", "lines": row.details.get("roots", ())},
            {"title": "Left out by", "lines": row.details.get("left_out", ())},
        ],
        "measurements": recent_measurements(reach, selection.pk, limit=MEASUREMENTS),
        "definition": definition,
        "variables": "\n".join(f"{name}={value}" for name, value in definition.variables.items()) if definition else "",
        "kinds": tuple(KINDS.items()),
        "problem": problem,
    }
    return render(request, "selection.html", context, status=400 if problem else 200)


def sent_definition(request: StaffRequest) -> bytes:
    """The file if there is one, else the text. Raises Refused when it is too large."""
    sent = request.FILES.get("file")
    if sent is None:
        return request.POST.get("content", "").encode("utf-8", "replace")
    if (sent.size or 0) > MAX_DEFINITION:
        raise Refused(f"A definition is at most {MAX_DEFINITION // 2**20} MiB.", status=409)
    return bytes(sent.read())


def chosen_kind(request: StaffRequest) -> str:
    kind = request.POST.get("kind", "")
    return kind if kind in KINDS else ""


def sent_variables(text: str) -> dict[str, str]:
    """``NAME=path`` lines; others mean nothing."""
    pairs = (line.partition("=") for line in text.splitlines()[:MAX_VARIABLES])
    return {name.strip()[:100]: value.strip()[:1000] for name, sign, value in pairs if sign and name.strip()}
