"""One parameter for many jobs or clients at once: chosen by a filter, tried on the last 90 days, then saved."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from alerts.bulk_configuring import BulkChange, Choice, TooMany, Touched, choose_jobs, find_touched, store_bulk
from alerts.params import BadParams
from alerts.preview_loading import PreviewJob, load_jobs
from alerts.previewing import Proposal, Reachable, preview
from alerts.rules import RULES
from alerts.wording import count_words
from msp.dashboard.forms import BadField, Field, fields_of_params
from msp.dashboard.permits import OPERATE, needs
from msp.dashboard.scope import StaffRequest
from msp.dashboard.typing_in import read_one, read_typed, refill_typed
from msp.dashboard.views.settings_trying import chart_of, patience
from msp.estate.models import BackupServer, Client
from msp.tenants.models import Reseller

ANY = (("", "any"),)
CLASSES = ("server", "laptop", "seasonal", "occasional", "cloud", "other")
#: Jobs are chosen among at most so many.
MOST_JOBS = 100_000
_SHOWN = 20


@dataclass(frozen=True)
class Typed:
    """What was asked for: the change and the filter."""

    change: BulkChange
    choice: Choice


@needs(OPERATE)
def edit_bulk(request: StaffRequest) -> HttpResponse:
    """The form; "Try" shows what it would do, "Save" does it."""
    jobs = _jobs(request)
    inputs = _fields(request, jobs)
    if request.method != "POST":
        return render(request, "settings/bulk.html", {"fields": inputs})
    try:
        typed = _read(inputs, request)
        chosen = choose_jobs(request.scope.tenant, jobs, typed.change, typed.choice)
        touched = find_touched(request.scope.tenant, chosen, typed.change)
        if request.POST.get("do") == "save":
            return _save(request, typed.change, touched)
    except (BadField, BadParams, TooMany) as refusal:
        name = refusal.field if isinstance(refusal, BadField) else "value"
        shown = refill_typed(inputs, request.POST, error=BadField(name, refusal.reason))
        return render(request, "settings/bulk.html", {"fields": shown}, status=422)
    return _show(request, inputs, typed.change, chosen, touched)


def _save(request: StaffRequest, change: BulkChange, touched: list[Touched]) -> HttpResponse:
    tenant = request.scope.tenant
    number = store_bulk(tenant, change, touched, actor=request.scope.actor, now=request.now) if touched else 0
    messages.success(request, f"Set on {count_words(number, change.level)}; everything is looked at again.")
    return redirect("rules-bulk")


def _show(
    request: StaffRequest,
    inputs: tuple[Field, ...],
    change: BulkChange,
    chosen: list[PreviewJob],
    touched: list[Touched],
) -> HttpResponse:
    """What the change touches, and what it would have flagged."""
    reach = Reachable(
        tenant_id=request.scope.tenant.pk,
        scope_kind=change.level,
        scope_ids=frozenset(one.scope_id for one in touched),
    )
    proposal = Proposal(kind=change.kind, settings=tuple(one.setting for one in touched))
    shown = preview(reach, proposal, now=request.now, keep_going=patience()) if touched else None
    context = {
        "fields": refill_typed(inputs, request.POST),
        "asked": True,
        "jobs": len(chosen),
        "level": change.level,
        "touched": touched[:_SHOWN],
        "touched_total": len(touched),
        "preview": shown,
        "chart": chart_of(shown) if shown else "",
    }
    return render(request, "settings/bulk.html", context)


def _jobs(request: StaffRequest) -> tuple[PreviewJob, ...]:
    tenant_id = request.scope.tenant.pk
    whole = frozenset({tenant_id})
    return load_jobs(tenant_id, scope_kind="tenant", scope_ids=whole, reseller_ids=None, most=MOST_JOBS)


def _read(inputs: tuple[Field, ...], request: StaffRequest) -> Typed:
    typed = read_typed(inputs, request.POST)
    kind, _, parameter = typed["what"].partition(".")
    change = BulkChange(
        kind=kind, parameter=parameter, value=_value(request, kind, parameter, "value"), level=typed["level"]
    )
    return Typed(
        change,
        Choice(
            client_uid=uuid.UUID(typed["client"]) if typed["client"] else None,
            reseller_id=_number(typed["reseller"]),
            server_id=_number(typed["server"]),
            product=typed["product"] or "",
            machine_class=typed["machine_class"] or "",
            current=_value(request, kind, parameter, "current"),
        ),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _value(request: StaffRequest, kind: str, parameter: str, name: str) -> Any:
    """The typed value as the rule's own form would read it; None for nothing typed. Raises BadField."""
    rule = RULES[kind]
    field = next(field for field in fields_of_params(rule.Params, {}) if field.name == parameter)
    return read_one(replace(field, name=name, minimum=None, maximum=None), request.POST)


def _fields(request: StaffRequest, jobs: Iterable[PreviewJob]) -> tuple[Field, ...]:
    tenant = request.scope.tenant
    clients = Client.objects.of(tenant).exclude(state="deleted").order_by("name")
    servers = BackupServer.objects.of(tenant).filter(state="active").order_by("name")
    resellers = Reseller.objects.of(tenant).order_by("name")
    products = sorted({job.product for job in jobs if job.product})
    return (
        Field("what", "Set", kind="choice", choices=tuple(_parameters()), required=True,
              value=request.GET.get("what", "no_recent_backup.tolerance_hours")),
        Field("value", "To", help="In the unit named above; yes or no for a switch. Empty: leave it to other levels."),
        Field("level", "On each", kind="choice", choices=(("job", "job"), ("client", "client")), value="job",
              required=True, help="A client's setting holds for all its jobs, also those the filter leaves out."),
        Field("client", "Client", kind="choice", choices=(*ANY, *((str(row.uid), row.name) for row in clients))),
        Field("reseller", "Reseller", kind="choice", choices=(*ANY, *((str(row.pk), row.name) for row in resellers))),
        Field("server", "Backup server", kind="choice", choices=(*ANY, *((str(row.pk), row.name) for row in servers))),
        Field("product", "Product", kind="choice", choices=(*ANY, *((name, name) for name in products))),
        Field("machine_class", "Machine", kind="choice", choices=(*ANY, *((name, name) for name in CLASSES))),
        Field("current", "Value now", help="Only jobs for which this value holds today. Empty: whatever holds."),
    )  # fmt: skip


def _parameters() -> Iterable[tuple[str, str]]:
    """Every parameter of the rules about jobs, with its unit."""
    for kind, rule in RULES.items():
        for field in fields(rule.Params) if rule.SUBJECT == "job" else ():
            unit = f", in {field.metadata['unit']}" if field.metadata["unit"] else ""
            yield f"{kind}.{field.name}", f"{rule.LABEL}: {field.metadata['label']}{unit}"
