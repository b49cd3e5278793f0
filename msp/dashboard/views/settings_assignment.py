"""Assignment rules in their order, tried on what waits while they are typed; and jobs that wait for a decision."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from alerts.wording import count_words
from integrations.logs import FORMATS
from msp import tasks
from msp.backups.models import BackupJob
from msp.dashboard.form_pages import REFUSALS, FormPage, as_bad_field, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OPERATE, SETTINGS, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.typing_in import read_typed
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import BackupServer, Client
from msp.estate.spans import BadChange
from msp.ingest.inbox import CannotSettle, NotFound
from msp.ingest.matching import CLIENT, FIELDS, LONGEST_PATTERN
from msp.ingest.models import AssignmentRule
from msp.ingest.previewing import preview_rule, read_waiting
from msp.ingest.proposing import accept_second_way, give_own_selection, list_proposed, read_proposals
from msp.ingest.rule_changing import delete_rule, move_rule, rule_of, store_rule

ACTIONS = (
    ("new_job", "make a job for it"),
    ("job", "it belongs to one job"),
    ("hold", "hold it in the inbox"),
    ("refuse", "refuse it (kept in the inbox)"),
)
LEAD = (
    "For logs of jobs that nobody decided yet: the first rule whose conditions all hold decides. In patterns * is any "
    f"text, ? one character, and {CLIENT} the code of the client whose it is."
)


@needs(SETTINGS)
def list_rules(request: StaffRequest) -> HttpResponse:
    """The rules in order."""
    rows = AssignmentRule.objects.of(request.scope.tenant).select_related("server", "client", "job", "make_on")
    context = {
        "rules": [
            {"row": row, "conditions": _conditions(row), "does": _does(row)} for row in rows.order_by("position")
        ],
        "may_change": OPERATE.holds(request.scope),
        "proposed": list_proposed(request.scope.reach).count(),
    }
    return render(request, "settings/assignment.html", context)


@needs(OPERATE)
def edit_rule(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """A new rule at the end, or one that is there, with what it would do as typed."""
    row = None if uid is None else _find(request, uid)
    stored: list[AssignmentRule] = []

    def apply(values: dict[str, Any]) -> str:
        stored.append(store_rule(request.scope.tenant, row, _stored(request, values), actor=actor_of(request)))
        return reverse("assignment-rule", args=[stored[0].uid])

    title = "New assignment rule" if row is None else f"Rule {row.name}"
    preview = None if row is None else preview_rule(request.scope.tenant, row, now=request.now)
    page = FormPage(
        title=title,
        back=reverse("assignment-rules"),
        lead=LEAD,
        crumbs=(("Assignment", reverse("assignment-rules")),),
        template="settings/assignment_rule.html",
        more={"row": row, "preview": preview, "preview_at": _preview_at(row)},
    )
    done = "The rule is stored. Logs that wait can be read again with it, below."
    return edit(request, page, _fields(request, row), apply=apply, done=done)


@require_POST
@needs(OPERATE)
def preview(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """What the rule would do as it is typed; nothing is stored."""
    row = None if uid is None else _find(request, uid)
    try:
        values = read_typed(_fields(request, row), request.POST)
        rule = rule_of(request.scope.tenant, row, _stored(request, values))
    except (BadField, *REFUSALS) as refusal:
        return render(request, "settings/assignment_preview.html", {"reason": as_bad_field(refusal).reason})
    shown = preview_rule(request.scope.tenant, rule, now=request.now)
    return render(request, "settings/assignment_preview.html", {"preview": shown, "typed": True})


@action(OPERATE)
def read_again(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Read the waiting logs that fall under it again."""
    try:
        number = read_waiting(request.scope.tenant, _find(request, uid), actor=actor_of(request))
    except (NotFound, CannotSettle) as error:
        raise Refused(error.reason) from error
    tasks.wake_processing()
    messages.success(request, f"{count_words(number, 'log')} will be read again now.")
    return redirect("assignment-rule", uid)


@action(OPERATE)
def move(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Up or down by one."""
    up = request.POST.get("to") == "up"
    move_rule(request.scope.tenant, _find(request, uid), up=up, actor=actor_of(request))
    return redirect("assignment-rules")


@action(OPERATE)
def delete(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Take it away; what it decided stays."""
    delete_rule(request.scope.tenant, _find(request, uid), actor=actor_of(request))
    messages.success(request, "The rule is gone; what it decided stays.")
    return redirect("assignment-rules")


@needs(SETTINGS)
def show_proposed(request: StaffRequest) -> HttpResponse:
    """Jobs that look like a second way to a selection, with the reason."""
    context = {
        "proposals": read_proposals(request.scope.reach, limit=200),
        "may_change": OPERATE.holds(request.scope),
    }
    return render(request, "settings/proposed.html", context)


@action(OPERATE)
def decide_proposed(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Yes, a second way; or no, a selection of its own."""
    job = found(list_proposed(request.scope.reach).filter(uid=uid).first(), "proposed job")
    decide = accept_second_way if request.POST.get("do") == "yes" else give_own_selection
    try:
        decide(request.scope.tenant, job.pk, actor=actor_of(request))
    except BadChange as refused:
        raise Refused(refused.reason) from refused
    tasks.wake_processing()
    second = decide is accept_second_way
    messages.success(request, f"{job.name} is {'a second way' if second else 'a job with a selection of its own'}.")
    return redirect("proposed-jobs")


# --- the form --------------------------------------------------------------------------------------------------------


def _fields(request: StaffRequest, row: AssignmentRule | None) -> tuple[Field, ...]:
    shown, tenant = row or AssignmentRule(), request.scope.tenant
    servers = tuple((str(e.uid), e.name) for e in BackupServer.objects.of(tenant).order_by("name"))
    clients = Client.objects.of(tenant).exclude(state="deleted").order_by("name")
    formats = tuple(
        sorted(((name, module.LABEL) for name, module in FORMATS.items()), key=lambda each: each[1].lower())
    )
    return (
        Field("name", "Name", value=shown.name, maximum=120, required=True, help="It stands wherever it decides."),
        Field("server", "Only from", kind="choice", choices=(("", "any server, or none"), *servers),
              value=str(shown.server.uid) if shown.server else ""),
        Field("format", "Only logs of", kind="choice", choices=(("", "any product"), *formats), value=shown.format),
        *(Field(f"pattern_{name}", f"{words.capitalize()} fits", value=shown.patterns.get(name, ""),
                maximum=LONGEST_PATTERN, placeholder="anything") for name, words in FIELDS.items()),
        Field("action", "Then", kind="choice", choices=ACTIONS, value=shown.action, required=True),
        Field("client", "New jobs are of", kind="choice", value=str(shown.client.uid) if shown.client else "",
              choices=(("", f"the client whose code stands at {CLIENT}"), *((str(e.uid), e.name) for e in clients))),
        Field("name_template", "Name of new jobs", value=shown.name_template, maximum=200,
              placeholder="as the log has it", help="Text with {job}, {item}, {host} and {account}."),
        Field("make_on", "Without a server, make it on", kind="choice", choices=(("", "hold it instead"), *servers),
              value=str(shown.make_on.uid) if shown.make_on else ""),
        Field("job", "The one job", value=str(shown.job.uid) if shown.job else "", maximum=36,
              help="Its id, as it stands in the address of the job's page."),
        Field("enabled", "In use", kind="switch", value="yes" if shown.enabled else ""),
    )  # fmt: skip


def _stored(request: StaffRequest, values: dict[str, Any]) -> dict[str, Any]:
    tenant = request.scope.tenant
    action_taken = values["action"]
    makes = action_taken == "new_job"
    return {
        "name": values["name"],
        "enabled": values["enabled"],
        "server": _one(BackupServer, tenant, values["server"]),
        "format": values["format"] or "",
        "patterns": {name: values[f"pattern_{name}"] or "" for name in FIELDS},
        "action": action_taken,
        "client": _one(Client, tenant, values["client"]) if makes else None,
        "job": _job(request, values["job"]) if action_taken == "job" else None,
        "make_on": _one(BackupServer, tenant, values["make_on"]) if makes else None,
        "name_template": (values["name_template"] or "") if makes else "",
    }


def _one(model: Any, tenant: Any, uid: str | None) -> Any:
    return model.objects.of(tenant).get(uid=uid) if uid else None


def _job(request: StaffRequest, typed: str | None) -> BackupJob:
    try:
        job = BackupJob.objects.of(request.scope.tenant).filter(uid=uuid.UUID(typed or "")).first()
    except ValueError as error:
        raise BadField("job", "That is no id of a job.") from error
    if job is None:
        raise BadField("job", "There is no such job.")
    found_job: BackupJob = job
    return found_job


def _find(request: StaffRequest, uid: uuid.UUID) -> AssignmentRule:
    rows = AssignmentRule.objects.of(request.scope.tenant).select_related("server", "client", "job", "make_on")
    row: AssignmentRule = found(rows.filter(uid=uid).first(), "assignment rule")
    return row


def _preview_at(row: AssignmentRule | None) -> str:
    return reverse("assignment-preview-new") if row is None else reverse("assignment-preview", args=[row.uid])


def _conditions(row: AssignmentRule) -> list[str]:
    """Its conditions in words."""
    told = [f"from {row.server.name}"] if row.server else []
    told += [f"logs of {FORMATS[row.format].LABEL}"] if row.format in FORMATS else []
    return told + [f"{words} fits {row.patterns[name]}" for name, words in FIELDS.items() if row.patterns.get(name)]


def _does(row: AssignmentRule) -> str:
    if row.action == "job":
        return f"belongs to {row.job.name if row.job else 'a job that is gone'}"
    if row.action == "new_job":
        return f"a new job of {row.client.name if row.client else f'the client at {CLIENT}'}"
    return "held in the inbox" if row.action == "hold" else "refused"
