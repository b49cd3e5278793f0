"""Try before you save: what a rule, or another schedule, would have flagged in the last 90 days. Nothing is stored.

The buttons "Try" of the settings pages post what is typed here and show the answer beside the form.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from alerts.configuring import RuleValues, check_setting
from alerts.params import BadParams
from alerts.previewing import Preview, Proposal, Reachable, preview
from alerts.rules import no_recent_backup
from alerts.wording import moment_words
from msp.backups.models import BackupJob
from msp.backups.upcoming import Upcoming, tell_upcoming
from msp.dashboard.form_pages import as_bad_field
from msp.dashboard.forms import BadField
from msp.dashboard.permits import OPERATE, action
from msp.dashboard.preview_chart import draw_preview
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.views.settings_rules import find_level, form_of, read_values, rules_at, settings_at

#: Longer than this nobody waits for a preview; what was not reached by then is said.
SECONDS = 8.0


@action(OPERATE)
def try_rule(request: StaffRequest, level: str, uid: uuid.UUID, kind: str) -> HttpResponse:
    """What the typed setting of a rule at this level would have changed."""
    place = find_level(request, level, uid)
    rule = found(next((rule for rule in rules_at(place) if kind == rule.KIND), None), "rule")
    tenant = request.scope.tenant
    try:
        values: RuleValues = read_values(rule, form_of(rule, place, settings_at(request, place)).fields, request)
        setting = check_setting(tenant, kind, place.scope, values)
    except (BadField, BadParams) as refusal:
        return show_refusal(request, as_bad_field(refusal).reason)
    reach = Reachable(tenant_id=tenant.pk, scope_kind=place.kind, scope_ids=frozenset({place.scope.id}))
    return show_preview(request, reach, Proposal(kind=kind, settings=(setting,)))


@action(OPERATE)
def show_upcoming(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """When the typed schedule expects the next starts."""
    job = _find_job(request, uid)
    return render(request, "settings/upcoming.html", tell_starts(upcoming_of(request, job, request.POST)))


@action(OPERATE)
def try_schedule(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """What another schedule of a job would have changed, by the rule about recent backups."""
    job = _find_job(request, uid)
    upcoming = upcoming_of(request, job, request.POST)
    if upcoming.problem:
        return show_refusal(request, upcoming.problem)
    reach = Reachable(tenant_id=job.tenant_id, scope_kind="job", scope_ids=frozenset({job.pk}))
    proposal = Proposal(kind=no_recent_backup.KIND, schedule=upcoming.schedule, zone=upcoming.zone)
    return show_preview(request, reach, proposal)


def upcoming_of(request: StaffRequest, job: BackupJob, typed: Mapping[str, str]) -> Upcoming:
    """The next starts of a job by what is typed, in its zone or else the client's."""
    zone = typed.get("timezone", "").strip() or job.selection.client.timezone or request.scope.tenant.timezone
    return tell_upcoming(typed.get("schedule", ""), zone=zone, now=request.now)


def tell_starts(upcoming: Upcoming) -> dict[str, Any]:
    """What the piece about the next starts shows."""
    return {"upcoming": upcoming, "starts": [moment_words(start, upcoming.zone) for start in upcoming.starts]}


def _find_job(request: StaffRequest, uid: uuid.UUID) -> BackupJob:
    rows = BackupJob.objects.of(request.scope.tenant).select_related("selection__client")
    job: BackupJob = found(rows.filter(uid=uid).first(), "job")
    return job


def show_preview(request: StaffRequest, reach: Reachable, proposal: Proposal, **more: Any) -> HttpResponse:
    """The answer as a piece of a page."""
    shown = preview(reach, proposal, now=request.now, keep_going=patience())
    return render(request, "settings/preview.html", {"preview": shown, "chart": chart_of(shown), **more})


def show_refusal(request: StaffRequest, reason: str) -> HttpResponse:
    """A sentence in the place of the answer."""
    return render(request, "settings/preview.html", {"reason": reason})


def chart_of(shown: Preview) -> str:
    return draw_preview(shown.days, label=f"{shown.label}, open incidents a day")


def patience() -> Callable[[], bool]:
    """True until ``SECONDS`` from now."""
    end = time.monotonic() + SECONDS
    return lambda: time.monotonic() < end
