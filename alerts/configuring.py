"""Stores and removes settings of rules at one level: tenant, reseller, client, selection or job.

Called by the API and the dashboard. Values are checked by the rule's own ``Params``; after a change everything in its
reach is evaluated anew. A repeat of the same setting changes nothing and is not written twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db import transaction

from alerts.acting import settings_changed
from alerts.agreeing import check_agreement
from alerts.evaluating import mark_due
from alerts.facts import SEVERITIES, Severity, Tells
from alerts.inheritance import OWN, ScopeKind, Setting
from alerts.models import SCOPES, TELLS, RuleSetting
from alerts.params import BadParams, read_params
from alerts.rules import RULES
from msp.estate.models import Client
from msp.tenants import audit
from msp.tenants.models import Tenant

#: What every rule has besides its severity: label, unit and the greatest value.
TIMES: Mapping[str, tuple[str, str, int]] = {
    "hold_minutes": ("Hold", "minutes", 10_080),
    "escalate_hours": ("Escalate after", "hours", 8_784),
}


@dataclass(frozen=True)
class RuleScope:
    """Where a setting stands; the caller has found the row with this id within the tenant."""

    kind: str
    id: int
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class RuleValues:
    """What a setting says; None, empty and absent ones are left to farther levels. ``escalate_hours`` 0: never."""

    parameters: Mapping[str, Any]
    enabled: bool | None = None
    severity: str = ""
    hold_minutes: int | None = None
    escalate_hours: int | None = None
    tells: str = ""


def put_setting(
    tenant: Tenant, kind: str, scope: RuleScope, values: RuleValues, *, actor: str, now: datetime
) -> RuleSetting:
    """Replace what this level says of the rule. Raises BadParams, also where it contradicts what is set above or below;
    KeyError for an unknown rule.
    """
    check_setting(tenant, kind, scope, values)
    wanted = _record(values)
    with transaction.atomic():
        before = _lock(tenant, kind, scope)
        if before is not None and _record(before) == wanted:
            return before
        setting: RuleSetting
        setting, _ = RuleSetting.objects.of(tenant).update_or_create(
            kind=kind, scope_kind=scope.kind, scope_id=scope.id, defaults=wanted | {"updated_at": now}
        )
        told = None if before is None else _record(before)
        _audit(tenant, kind, scope, before=told, after=wanted, actor=actor, now=now)
    look_anew(tenant, kind, scope, now=now)
    return setting


def check_setting(tenant: Tenant, kind: str, scope: RuleScope, values: RuleValues) -> Setting:
    """The row as it would be stored. Raises BadParams, also where it contradicts what is set above or below."""
    _check(kind, scope, values)
    setting = _as_setting(kind, scope, values)
    check_agreement(tenant, setting)
    return setting


def remove_setting(tenant: Tenant, kind: str, scope: RuleScope, *, actor: str, now: datetime) -> bool:
    """Leave the rule to farther levels again; False when nothing was set here."""
    with transaction.atomic():
        setting = _lock(tenant, kind, scope)
        if setting is None:
            return False
        RuleSetting.objects.of(tenant).filter(pk=setting.pk).delete()
        _audit(tenant, kind, scope, before=_record(setting), after=None, actor=actor, now=now)
    look_anew(tenant, kind, scope, now=now)
    return True


def look_anew(tenant: Tenant, kind: str, scope: RuleScope, *, now: datetime) -> None:
    """Make due what the change concerns: jobs, tellings, and clients for a rule about clients.

    After the change's own transaction and each by itself: clocks of different kinds are locked by the line in an order
    of its own, which one transaction over all of them could not keep.
    """
    settings_changed(tenant, now=now)
    if RULES[kind].SUBJECT == "client":
        mark_due(tenant.pk, "client", _clients_below(tenant, scope), now=now)


def _check(kind: str, scope: RuleScope, values: RuleValues) -> None:
    read_params(RULES[kind].Params, values.parameters)
    if scope.kind not in SCOPES:
        raise ValueError(f"{scope.kind} is no level of settings")
    if values.severity and values.severity not in SEVERITIES:
        raise BadParams("severity", f"A severity is {', '.join(SEVERITIES)} or empty, not {values.severity!r}.")
    if values.tells and values.tells not in TELLS:
        raise BadParams("tells", f"It tells {' or '.join(TELLS)} or is empty, not {values.tells!r}.")
    for name, (label, unit, most) in TIMES.items():
        told = getattr(values, name)
        if told is not None and not 0 <= told <= most:
            raise BadParams(name, f"{label} must be from 0 to {most:,} {unit}, not {told}.")


def _as_setting(kind: str, scope: RuleScope, values: RuleValues) -> Setting:
    return Setting(
        kind=kind,
        scope=cast(ScopeKind, scope.kind),
        scope_id=scope.id,
        scope_name=scope.name,
        parameters=values.parameters,
        enabled=values.enabled,
        severity=cast(Severity, values.severity) if values.severity else None,
        hold_minutes=values.hold_minutes,
        escalate_hours=values.escalate_hours,
        tells=cast(Tells, values.tells) if values.tells else None,
    )


def _lock(tenant: Tenant, kind: str, scope: RuleScope) -> RuleSetting | None:
    rows = RuleSetting.objects.of(tenant).select_for_update()
    found: RuleSetting | None = rows.filter(kind=kind, scope_kind=scope.kind, scope_id=scope.id).first()
    return found


def _record(told: RuleSetting | RuleValues) -> dict[str, Any]:
    return {"parameters": dict(told.parameters), **{name: getattr(told, name) for name in OWN}}


def _audit(
    tenant: Tenant,
    kind: str,
    scope: RuleScope,
    *,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    actor: str,
    now: datetime,
) -> None:
    audit.record(
        tenant,
        actor=actor,
        action="rule set" if after else "rule setting removed",
        subject_kind=scope.kind,
        subject_id=scope.id,
        subject=f"{RULES[kind].LABEL}: {scope.name or scope.kind}",
        before=before,
        after=after,
        now=now,
    )


def _clients_below(tenant: Tenant, scope: RuleScope) -> list[int]:
    rows = Client.objects.of(tenant).exclude(state="deleted")
    if scope.kind in ("reseller", "client"):
        rows = rows.filter(**{"reseller_id" if scope.kind == "reseller" else "pk": scope.id})
    return list(rows.order_by("pk").values_list("pk", flat=True))
