"""Rules at any level: what holds, where each value comes from, and the form that changes it here or leaves it again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from alerts.configuring import TIMES, RuleScope, RuleValues, put_setting, remove_setting
from alerts.facts import SEVERITIES
from alerts.inheritance import OWN, Resolved, Setting, resolve
from alerts.models import RuleSetting
from alerts.params import BadParams, value_words
from alerts.rules import RULES, Rule
from msp.backups.models import BackupJob
from msp.dashboard.form_pages import as_bad_field
from msp.dashboard.forms import BadField, Field, fields_of_params
from msp.dashboard.permits import OPERATE, SETTINGS, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.typing_in import read_typed, refill_typed
from msp.estate.models import Client, Selection
from msp.tenants.models import Reseller

#: Which rules make sense at a level, by what they are about.
SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "tenant": ("job", "client", "tenant"),
    "reseller": ("job", "client"),
    "client": ("job", "client"),
    "selection": ("job",),
    "job": ("job",),
}
TELLS_CHOICES = (("", "as inherited"), ("ticket", "a ticket, by the routes"), ("report", "only lists and reports"))
ENABLED = (("", "as inherited"), ("yes", "yes"), ("no", "no"))


@dataclass(frozen=True)
class Level:
    """A level of settings; ``chain`` are its scopes, itself last."""

    kind: str
    uid: uuid.UUID
    scope: RuleScope
    chain: tuple[RuleScope, ...]


@dataclass(frozen=True)
class RuleForm:
    """One rule at a level: what holds, whether something is set here, and the inputs."""

    kind: str
    label: str
    enabled: bool
    set_here: bool
    summary: tuple[tuple[str, str, str], ...]
    fields: tuple[Field, ...]
    problem: str = ""


@needs(SETTINGS)
def show_tenant_rules(request: StaffRequest) -> HttpResponse:
    """The rules as they hold for everything that sets nothing else."""
    return _show(request, find_level(request, "tenant", request.scope.tenant.uid))


@needs(SETTINGS)
def show_rules(request: StaffRequest, level: str, uid: uuid.UUID) -> HttpResponse:
    """The rules of one reseller, client, selection or job."""
    return _show(request, find_level(request, level, uid))


@action(OPERATE)
def change_rule(request: StaffRequest, level: str, uid: uuid.UUID, kind: str) -> HttpResponse:
    """Set what was typed at this level, or leave the rule to the levels above."""
    place = find_level(request, level, uid)
    rule = found(next((rule for rule in rules_at(place) if kind == rule.KIND), None), "rule")
    if request.POST.get("do") == "reset":
        remove_setting(request.scope.tenant, kind, place.scope, actor=request.scope.actor, now=request.now)
        messages.success(request, f"{rule.LABEL}: nothing is set here any more.")
        return redirect("rules-of", level, uid)
    inputs = form_of(rule, place, settings_at(request, place)).fields
    try:
        values = read_values(rule, inputs, request)
        put_setting(request.scope.tenant, kind, place.scope, values, actor=request.scope.actor, now=request.now)
    except (BadField, BadParams) as refusal:
        bad = as_bad_field(refusal)
        if isinstance(refusal, BadParams):
            bad = BadField(_input_name(kind, refusal.field), bad.reason)
        return _show(request, place, refused=(kind, bad))
    messages.success(request, f"{rule.LABEL} is set; everything it concerns is looked at again.")
    return redirect("rules-of", level, uid)


def _show(request: StaffRequest, place: Level, *, refused: tuple[str, BadField] | None = None) -> HttpResponse:
    settings = settings_at(request, place)
    forms = [form_of(rule, place, settings) for rule in rules_at(place)]
    if refused is not None:
        kind, bad = refused
        forms = [_refused(form, bad, request) if form.kind == kind else form for form in forms]
    context = {
        "place": place,
        "forms": forms,
        "may_change": OPERATE.holds(request.scope),
        "opened": refused[0] if refused else request.GET.get("rule", ""),
    }
    return render(request, "settings/rules.html", context, status=422 if refused else 200)


def _refused(form: RuleForm, bad: BadField, request: StaffRequest) -> RuleForm:
    at_field = bad.field in {each.name for each in form.fields}
    shown = refill_typed(form.fields, request.POST, error=bad)
    return replace(form, fields=shown, problem="" if at_field else bad.reason)


def rules_at(place: Level) -> list[Rule]:
    return [rule for rule in RULES.values() if rule.SUBJECT in SUBJECTS[place.kind]]


def read_values(rule: Rule, inputs: Iterable[Field], request: StaffRequest) -> RuleValues:
    typed = read_typed(tuple(inputs), request.POST)
    named = {field.name: typed[_input_name(rule.KIND, field.name)] for field in fields(rule.Params)}
    return RuleValues(
        parameters={name: value for name, value in named.items() if value is not None},
        enabled=typed[_input_name(rule.KIND, "enabled")],
        severity=typed[_input_name(rule.KIND, "severity")] or "",
        hold_minutes=typed[_input_name(rule.KIND, "hold_minutes")],
        escalate_hours=typed[_input_name(rule.KIND, "escalate_hours")],
        tells=typed[_input_name(rule.KIND, "tells")] or "",
    )


def _input_name(kind: str, name: str) -> str:
    """Several rules' inputs stand on one page."""
    return f"{kind}-{name}"


def form_of(rule: Rule, place: Level, settings: list[Setting]) -> RuleForm:
    here = next((row for row in settings if row.kind == rule.KIND and row.scope == place.scope.kind), None)
    holds = resolve(rule.KIND, settings)
    above = resolve(rule.KIND, [row for row in settings if row.scope != place.scope.kind])
    own = dict(here.parameters) if here else {}
    own |= {name: getattr(here, name) for name in OWN} if here else {}
    inputs = (*_switches(rule, above, own), *_parameters(rule, above, own), *_tellings(rule, above, own))
    return RuleForm(rule.KIND, rule.LABEL, holds.enabled, here is not None, _summary(rule, holds), inputs)


def _switches(rule: Rule, above: Resolved, own: Mapping[str, Any]) -> tuple[Field, Field]:
    enabled, severity = own.get("enabled"), own.get("severity")
    on = "on" if above.enabled else "off"
    usual = above.severity or f"{rule.SEVERITY} (the rule's own)"
    severities = (("", "as inherited"), *((each, each) for each in SEVERITIES))
    return (
        Field(
            name=_input_name(rule.KIND, "enabled"),
            label="Watch for this",
            kind="choice",
            choices=ENABLED,
            value="" if enabled is None else "yes" if enabled else "no",
            help=f"Inherited: {on}, from {_source(above, 'enabled')}.",
        ),
        Field(
            name=_input_name(rule.KIND, "severity"),
            label="Severity",
            kind="choice",
            choices=severities,
            value=severity or "",
            help=f"Inherited: {usual}, from {_source(above, 'severity')}.",
        ),
    )


def _tellings(rule: Rule, above: Resolved, own: Mapping[str, Any]) -> Iterable[Field]:
    """Whether it opens a ticket, how long it is held back, and after which time it grows more severe."""
    yield Field(
        name=_input_name(rule.KIND, "tells"),
        label="Whom it tells",
        kind="choice",
        choices=TELLS_CHOICES,
        value=own.get("tells") or "",
        help=f"Inherited: {dict(TELLS_CHOICES)[above.tells]}, from {_source(above, 'tells')}.",
    )
    helps = {
        "hold_minutes": "How long nobody is told, unless a deadline passes; it goes before the route's hold.",
        "escalate_hours": "Its severity rises a step each time it has been open for so long; 0: never.",
    }
    for name, (label, unit, _) in TIMES.items():
        yield Field(
            name=_input_name(rule.KIND, name),
            label=label,
            kind="number",
            unit=unit,
            value="" if own.get(name) is None else str(own[name]),
            help=f"{helps[name]} Inherited: {_time_words(above, name)}, from {_source(above, name)}.",
        )


def _time_words(resolved: Resolved, name: str) -> str:
    value = getattr(resolved, name)
    if value is None:
        return "as the route says"
    return "never" if name == "escalate_hours" and not value else f"{value} {TIMES[name][1]}"


def _parameters(rule: Rule, above: Resolved, own: Mapping[str, Any]) -> Iterable[Field]:
    for field, declared in zip(fields_of_params(rule.Params, own), fields(rule.Params), strict=True):
        inherited = value_words(declared, getattr(above.params, declared.name), with_unit=False)
        value = value_words(declared, getattr(above.params, declared.name))
        told = f"{field.help} Inherited: {value}, from {_source(above, declared.name)}."
        # the limits are the rule's to check: its sentence names them
        yield replace(
            field,
            name=_input_name(rule.KIND, field.name),
            help=told.strip(),
            inherited=inherited,
            minimum=None,
            maximum=None,
        )


def _summary(rule: Rule, holds: Resolved) -> tuple[tuple[str, str, str], ...]:
    """(label, value, where it comes from) of everything that holds."""
    rows = [
        (
            str(field.metadata["label"]),
            value_words(field, getattr(holds.params, field.name)),
            _source(holds, field.name),
        )
        for field in fields(rule.Params)
    ]
    own = [(TIMES[name][0], _time_words(holds, name), _source(holds, name)) for name in TIMES]
    tells = ("Whom it tells", dict(TELLS_CHOICES)[holds.tells], _source(holds, "tells"))
    return (("Severity", holds.severity or rule.SEVERITY, _source(holds, "severity")), *rows, tells, *own)


def _source(resolved: Resolved, name: str) -> str:
    source = resolved.sources[name]
    return "the rule itself" if source.scope == "default" else str(source)


def settings_at(request: StaffRequest, place: Level) -> list[Setting]:
    """The stored rows of the level and those above it; one query."""
    names = {(scope.kind, scope.id): scope.name for scope in place.chain}
    rows = RuleSetting.objects.of(request.scope.tenant).filter(scope_id__in=[scope.id for scope in place.chain])
    return [
        Setting(
            kind=row.kind,
            scope=row.scope_kind,
            scope_id=row.scope_id,
            scope_name=names[row.scope_kind, row.scope_id],
            parameters=row.parameters,
            enabled=row.enabled,
            severity=row.severity or None,
            hold_minutes=row.hold_minutes,
            escalate_hours=row.escalate_hours,
            tells=row.tells or None,
        )
        for row in rows
        if (row.scope_kind, row.scope_id) in names
    ]


def find_level(request: StaffRequest, kind: str, uid: uuid.UUID) -> Level:
    """The level of this kind and id in the tenant, with those above it. Raises Refused with 404."""
    tenant = request.scope.tenant
    if kind not in SUBJECTS or (kind == "tenant" and uid != tenant.uid):
        raise Refused("There is no such level of settings, or it is not yours to see.", status=404)
    chain = (RuleScope("tenant", tenant.pk, tenant.name), *_CHAINS[kind](request, uid))
    return Level(kind, uid, chain[-1], chain)


def _reseller_chain(request: StaffRequest, uid: uuid.UUID) -> tuple[RuleScope, ...]:
    row = found(Reseller.objects.of(request.scope.tenant).filter(uid=uid).first(), "reseller")
    return (RuleScope("reseller", row.pk, row.name),)


def _client_chain(request: StaffRequest, uid: uuid.UUID) -> tuple[RuleScope, ...]:
    rows = Client.objects.of(request.scope.tenant).select_related("reseller")
    return _of_client(found(rows.filter(uid=uid).first(), "client"))


def _selection_chain(request: StaffRequest, uid: uuid.UUID) -> tuple[RuleScope, ...]:
    rows = Selection.objects.of(request.scope.tenant).select_related("client__reseller")
    row = found(rows.filter(uid=uid).first(), "selection")
    return (*_of_client(row.client), RuleScope("selection", row.pk, row.name))


def _job_chain(request: StaffRequest, uid: uuid.UUID) -> tuple[RuleScope, ...]:
    rows = BackupJob.objects.of(request.scope.tenant).select_related("selection__client__reseller")
    row = found(rows.filter(uid=uid).first(), "job")
    selection = RuleScope("selection", row.selection.pk, row.selection.name)
    return (*_of_client(row.selection.client), selection, RuleScope("job", row.pk, row.name))


def _of_client(client: Client) -> tuple[RuleScope, ...]:
    reseller = client.reseller
    above = () if reseller is None else (RuleScope("reseller", reseller.pk, reseller.name),)
    return (*above, RuleScope("client", client.pk, client.name))


_CHAINS: Mapping[str, Any] = {
    "tenant": lambda request, uid: (),
    "reseller": _reseller_chain,
    "client": _client_chain,
    "selection": _selection_chain,
    "job": _job_chain,
}
