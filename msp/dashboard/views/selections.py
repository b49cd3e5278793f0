"""A selection: what the product reports beside what we measured, its definition, and an inventory to measure it by."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from alerts.params import BadParams
from alerts.report_models import TEST_RESULTS
from alerts.reports.restore_tests import RestoreValues, newest_tests, record_restore_test
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
from msp.dashboard.form_pages import as_bad_field
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OPERATE, action
from msp.dashboard.scope import Refused, StaffRequest, found, staff_page
from msp.dashboard.typing_in import read_typed, refill_typed
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import Selection
from msp.estate.spans import Actor

MEASUREMENTS = 30
TESTS = 20
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


@action(OPERATE)
def record_test(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Keep what came of a restore that a person tried."""
    selection = found(find_selection(request.scope.reach, uid), "selection")
    fields = fields_of_test(request)
    try:
        values = read_typed(fields, request.POST)
        record_restore_test(request.scope.tenant, selection, RestoreValues(
            tested_by=values["tested_by"], tested_at=values["tested_at"], what=values["what"], result=values["result"],
            seconds=None if values["minutes"] is None else values["minutes"] * 60,
            restored_bytes=None if values["gigabytes"] is None else int(values["gigabytes"] * 10**9),
            proof=values["proof"] or "",
        ), actor=actor_of(request))  # fmt: skip
    except (BadField, BadParams) as refusal:
        bad = as_bad_field(refusal)
        return page(request, selection, problem=bad.reason, tests=refill_typed(fields, request.POST, error=bad))
    messages.success(request, "The restore test is kept.")
    return redirect("selection", uid=selection.uid)


def fields_of_test(request: StaffRequest) -> tuple[Field, ...]:
    at = timezone.localtime(request.now).strftime("%Y-%m-%dT%H:%M")
    return (
        Field("tested_by", "Who", required=True, maximum=200, value=request.scope.actor),
        Field("tested_at", "When", kind="moment", required=True, value=at),
        Field("what", "What was restored", kind="long", required=True, maximum=4000),
        Field("result", "Result", kind="choice", required=True,
              choices=tuple((name, name.capitalize()) for name in TEST_RESULTS)),
        Field("minutes", "How long", kind="number", unit="minutes", minimum=0, maximum=525_600),
        Field("gigabytes", "How much", kind="decimal", unit="GB", minimum=0, maximum=1_000_000),
        Field("proof", "Proof", kind="long", maximum=4000, help="Words, or a link to a picture or a log."),
    )  # fmt: skip


def page(
    request: StaffRequest, selection: Selection, *, problem: str = "", tests: Sequence[Field] = ()
) -> HttpResponse:
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
        "tests": newest_tests(request.scope.tenant.pk, selection.pk, limit=TESTS),
        "fields": tests or fields_of_test(request),
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
