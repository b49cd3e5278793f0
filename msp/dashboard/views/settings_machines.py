"""Machines as settings: what is protected, what is expected of it and what lies on it; waivers; jobs that have left."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts.departing import settle_departure
from alerts.evaluating import mark_due
from msp.backups.models import BackupJob
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OPERATE, SETTINGS, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.typing_in import MANY, free_text
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.machines import (
    CLASSES,
    EXPECTED,
    STATES,
    change_machine,
    place_selection,
    register_machine,
    waive_machine,
)
from msp.estate.models import Client, Machine, Selection, Site, Waiver
from msp.estate.spans import Actor, BadChange

CLASS_CHOICES = tuple((one, {"occasional": "not always on"}.get(one, one)) for one in CLASSES)
EXPECTATIONS = (("protected", "it is protected"), ("unknown", "nobody has said"))


@needs(SETTINGS)
def list_machines(request: StaffRequest) -> HttpResponse:
    """All of them with the number of active jobs that cover each, and the last day of a waiver; two queries."""
    tenant = request.scope.tenant
    covering = Q(selection__machine__isnull=False, state__in=("active", "proposed"))
    jobs = BackupJob.objects.of(tenant).filter(covering).order_by().values("selection__machine")
    covered = dict(jobs.annotate(number=Count("pk")).values_list("selection__machine", "number"))
    waivers: dict[int, Waiver] = {}
    for waiver in Waiver.objects.of(tenant).filter(subject_kind="machine").order_by("signed_at", "pk"):
        waivers[waiver.subject_id] = waiver
    rows = Machine.objects.of(tenant).select_related("client", "site").order_by("client__name", "name")
    context = {
        "machines": [{"row": row, "jobs": covered.get(row.pk, 0), "waiver": waivers.get(row.pk)} for row in rows],
        "may_change": OPERATE.holds(request.scope),
    }
    return render(request, "settings/machines.html", context)


@needs(OPERATE)
def new_machine(request: StaffRequest) -> HttpResponse:
    """Register one; what is expected of it counts from now on."""
    clients = Client.objects.of(request.scope.tenant).exclude(state="deleted").order_by("name")
    choices = tuple((str(each.uid), each.name) for each in clients)
    client = Field("client", "Client", kind="choice", choices=choices, required=True)
    fields = (client, *_fields(Machine(expectation="protected")))

    def apply(values: dict[str, Any]) -> str:
        of = clients.get(uid=values.pop("client"))
        machine = register_machine(request.scope.tenant, client=of, actor=actor_of(request), **values)
        mark_due(request.scope.tenant.pk, "machine", [machine.pk], now=request.now)
        return reverse("machine", args=[machine.uid])

    return edit(request, _page("New machine"), fields, apply=apply, done="The machine is registered.")


@needs(OPERATE)
def edit_machine(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Name, class, what is expected, site, state, and which selections lie on it; its waivers below."""
    machine = _find(request, uid)
    selections = Selection.objects.of(request.scope.tenant).filter(client_id=machine.client_id).order_by("name")
    fields = (*_fields(machine), _site_field(request, machine), _state_field(machine), _on_it(machine, selections))

    def apply(values: dict[str, Any]) -> str:
        tenant, actor = request.scope.tenant, actor_of(request)
        here = set(values.pop("selections"))
        values["site"] = _site(request, machine, values["site"])
        if values["expectation"] is None:
            values.pop("expectation")
        change_machine(tenant, machine.pk, values, actor=actor)
        for selection in selections:
            if (str(selection.uid) in here) != (selection.machine_id == machine.pk):
                wanted = machine if str(selection.uid) in here else None
                place_selection(tenant, selection.pk, machine=wanted, actor=actor)
        machines = {machine.pk, *(each.machine_id for each in selections if each.machine_id)}
        mark_due(tenant.pk, "machine", machines, now=request.now)
        return reverse("machine", args=[uid])

    waivers = Waiver.objects.of(request.scope.tenant).filter(subject_kind="machine", subject_id=machine.pk)
    more = {"machine": machine, "waivers": waivers.order_by("-signed_at", "-pk")}
    page = _page(machine.name, template="settings/machine.html", more=more)
    return edit(request, page, fields, apply=apply, done="The machine is stored.")


@needs(OPERATE)
def waive(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """It is not protected, and somebody signed that."""
    machine = _find(request, uid)
    fields = (
        Field("reason", "Why", kind="long", required=True, maximum=2000, help="It goes into the client's report."),
        Field("signed_by", "Signed by", required=True, maximum=200),
        Field("ends_on", "Last day", kind="date", help="Empty: no end. After it the machine is expected again."),
    )

    def apply(values: dict[str, Any]) -> str:
        actor = Actor(**{**vars(actor_of(request)), "reason": values["reason"]})
        waive_machine(request.scope.tenant, machine.pk, actor=actor, **values)
        mark_due(request.scope.tenant.pk, "machine", [machine.pk], now=request.now)
        return reverse("machine", args=[uid])

    page = _page(f"Waive {machine.name}", submit="Waive")
    return edit(request, page, fields, apply=apply, done="The machine is waived.")


@action(OPERATE)
def settle(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """A job that its product lists no more: it has left and is retired, or it is still there."""
    rows = BackupJob.objects.of(request.scope.tenant).select_related("selection")
    job: BackupJob = found(rows.filter(uid=uid).first(), "job")
    said = request.POST.get("said", "")
    if said not in ("left", "there"):
        raise Refused("Say whether it has left or is still there.")
    actor = Actor(**{**vars(actor_of(request)), "reason": free_text(request.POST, "reason", most=2000)})
    try:
        settle_departure(request.scope.tenant, job, left=said == "left", actor=actor)
    except BadChange as refused:
        raise Refused(refused.reason) from refused
    messages.success(request, "The job is retired; its bills stay." if said == "left" else "The job goes on.")
    return redirect("job", uid)


def _fields(machine: Machine) -> tuple[Field, ...]:
    waived = (("", "waived: see below"),) if machine.expectation == "waived" else ()
    return (
        Field("name", "Name", value=machine.name, required=True, maximum=200),
        Field("machine_class", "Class", kind="choice", choices=CLASS_CHOICES,
              value=machine.machine_class, required=True, help="It chooses how long may pass without a backup."),
        Field("expectation", "What is expected", kind="choice", choices=(*waived, *EXPECTATIONS), required=not waived,
              value=machine.expectation if machine.expectation in EXPECTED else "",
              help="Protected: an incident opens while no active job covers it."),
    )  # fmt: skip


def _site_field(request: StaffRequest, machine: Machine) -> Field:
    sites = Site.objects.of(request.scope.tenant).filter(client_id=machine.client_id).order_by("name")
    choices = (("", "none that is known"), *((str(each.uid), each.name) for each in sites))
    return Field("site", "Site", kind="choice", choices=choices, value=str(machine.site.uid) if machine.site else "")


def _state_field(machine: Machine) -> Field:
    choices = tuple((one, one) for one in STATES)
    return Field("state", "State", kind="choice", choices=choices, value=machine.state, required=True,
                 help="A retired machine is watched no more.")  # fmt: skip


def _on_it(machine: Machine, selections: Any) -> Field:
    choices = tuple((str(each.uid), each.name) for each in selections)
    value = MANY.join(str(each.uid) for each in selections if each.machine_id == machine.pk)
    return Field("selections", "What lies on it", kind="many", choices=choices, value=value,
                 help="An active job of any of these covers the machine.")  # fmt: skip


def _site(request: StaffRequest, machine: Machine, uid: str | None) -> Site | None:
    if not uid:
        return None
    site: Site | None = Site.objects.of(request.scope.tenant).filter(client_id=machine.client_id, uid=uid).first()
    if site is None:
        raise BadField("site", "This client has no such site.")
    return site


def _page(title: str, **values: Any) -> FormPage:
    return FormPage(title=title, back=reverse("machines"), crumbs=(("Machines", reverse("machines")),), **values)


def _find(request: StaffRequest, uid: uuid.UUID) -> Machine:
    rows = Machine.objects.of(request.scope.tenant).select_related("client", "site")
    machine: Machine = found(rows.filter(uid=uid).first(), "machine")
    return machine
