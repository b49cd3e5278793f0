"""Sets or unsets one parameter of a rule for many jobs or clients at once, chosen by a filter.

Called by the dashboard's bulk page: it shows what would be touched and what it would have flagged, then stores it. A
fixed number of statements however many levels; each level that changes has its own audit entry. Other things that a
level sets of the rule stay as they are.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db import transaction

from alerts.acting import settings_changed
from alerts.agreeing import check_agreement
from alerts.evaluating import TenantSettings, load_settings
from alerts.facts import Severity, Tells
from alerts.inheritance import Setting
from alerts.models import RuleSetting
from alerts.params import read_params
from alerts.preview_loading import PreviewJob
from alerts.rules import RULES
from msp.tenants.models import AuditEntry, Tenant

#: A change of more levels than this is refused: one at the tenant or a reseller says it better.
MOST_LEVELS = 5_000


class TooMany(ValueError):
    """More levels than one change may touch; ``reason`` is a sentence."""

    def __init__(self, number: int) -> None:
        self.reason = f"{number:,} levels are too many for one change: at most {MOST_LEVELS:,}. Narrow the filter."
        super().__init__(self.reason)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which jobs: each condition that is set must hold. ``current`` is the value of the parameter that holds now."""

    client_uid: uuid.UUID | None = None
    reseller_id: int | None = None
    server_id: int | None = None
    product: str = ""
    machine_class: str = ""
    current: Any = None


@dataclass(frozen=True, kw_only=True)
class BulkChange:
    """``value`` None unsets the parameter. ``level`` is "job", or "client": then each client of a chosen job."""

    kind: str
    parameter: str
    value: Any
    level: str


@dataclass(frozen=True, kw_only=True)
class Touched:
    """One level that would change: what it sets of the parameter before and after, None for nothing."""

    scope_id: int
    name: str
    before: Any
    after: Any
    setting: Setting


def choose_jobs(tenant: Tenant, jobs: Sequence[PreviewJob], change: BulkChange, choice: Choice) -> list[PreviewJob]:
    """Those of the jobs that the filter leaves."""
    stored = load_settings(tenant.pk)
    return [job for job in jobs if _fits(job, choice) and _holds(job, change, choice, stored)]


def _fits(job: PreviewJob, choice: Choice) -> bool:
    facts = job.facts
    return (
        choice.client_uid in (None, job.client_uid)
        and choice.reseller_id in (None, facts.reseller_id)
        and choice.server_id in (None, facts.server_id)
        and choice.product in ("", job.product)
        and choice.machine_class in ("", facts.machine_class)
    )


def _holds(job: PreviewJob, change: BulkChange, choice: Choice, stored: TenantSettings) -> bool:
    if choice.current is None:
        return True
    return bool(getattr(stored.of_job(job.facts)[change.kind].params, change.parameter) == choice.current)


def find_touched(tenant: Tenant, jobs: Sequence[PreviewJob], change: BulkChange) -> list[Touched]:
    """The levels of these jobs that the change would alter, by name. Raises BadParams, TooMany."""
    levels = {
        (job.facts.job_id if change.level == "job" else job.facts.client_id): (
            f"{job.facts.client}: {job.facts.job}" if change.level == "job" else job.facts.client
        )
        for job in jobs
    }
    if len(levels) > MOST_LEVELS:
        raise TooMany(len(levels))
    rows = RuleSetting.objects.of(tenant).filter(kind=change.kind, scope_kind=change.level, scope_id__in=levels)
    known = {row.scope_id: row for row in rows}
    told = [_touched(scope_id, name, known.get(scope_id), change) for scope_id, name in levels.items()]
    return sorted((one for one in told if one.before != one.after), key=lambda one: one.name)


def _touched(scope_id: int, name: str, row: RuleSetting | None, change: BulkChange) -> Touched:
    parameters = dict(row.parameters) if row is not None else {}
    before = parameters.pop(change.parameter, None)
    if change.value is not None:
        parameters[change.parameter] = change.value
    read_params(RULES[change.kind].Params, parameters)
    setting = Setting(
        kind=change.kind,
        scope=change.level,  # type: ignore[arg-type]  # "job" or "client", both levels
        scope_id=scope_id,
        scope_name=name,
        parameters=parameters,
        enabled=row.enabled if row else None,
        severity=cast(Severity, row.severity) if row and row.severity else None,
        hold_minutes=row.hold_minutes if row else None,
        escalate_hours=row.escalate_hours if row else None,
        tells=cast(Tells, row.tells) if row and row.tells else None,
    )
    return Touched(scope_id=scope_id, name=name, before=before, after=change.value, setting=setting)


def store_bulk(tenant: Tenant, change: BulkChange, touched: Sequence[Touched], *, actor: str, now: datetime) -> int:
    """Store what was found, as it stands now, and look at everything anew; how many levels changed. Raises BadParams
    where one contradicts what is set above or below it.
    """
    for one in touched if hasattr(RULES[change.kind].Params, "check_together") else ():
        check_agreement(tenant, one.setting)
    names = {one.scope_id: one.name for one in touched}
    with transaction.atomic():
        changed = _store(tenant, change, names, now=now)
        AuditEntry.objects.of(tenant).bulk_create(
            [
                _entry(tenant, change, names[scope_id], scope_id, pair, actor=actor, now=now)
                for scope_id, pair in changed
            ]
        )
    settings_changed(tenant, now=now)
    return len(changed)


def _store(
    tenant: Tenant, change: BulkChange, names: Mapping[int, str], *, now: datetime
) -> list[tuple[int, tuple[Any, Any]]]:
    """Lock what is there in order, then write, add and drop; (level, (parameters before, after)) of each."""
    rows = RuleSetting.objects.of(tenant).select_for_update().order_by("scope_id")
    known = {row.scope_id: row for row in rows.filter(kind=change.kind, scope_kind=change.level, scope_id__in=names)}
    changed: list[tuple[int, tuple[Any, Any]]] = []
    written: list[RuleSetting] = []
    dropped: list[RuleSetting] = []
    for scope_id in sorted(names):
        row = known.get(scope_id) or RuleSetting(
            tenant=tenant, kind=change.kind, scope_kind=change.level, scope_id=scope_id, parameters={}
        )
        before = dict(row.parameters)
        row.parameters = {name: value for name, value in before.items() if name != change.parameter}
        if change.value is not None:
            row.parameters[change.parameter] = change.value
        row.updated_at = now
        if row.parameters == before:
            continue
        changed.append((scope_id, (before, row.parameters)))
        (dropped if _says_nothing(row) else written).append(row)
    RuleSetting.objects.of(tenant).filter(pk__in=[row.pk for row in dropped]).delete()
    RuleSetting.objects.of(tenant).bulk_create(
        written,
        update_conflicts=True,
        update_fields=["parameters", "updated_at"],
        unique_fields=["tenant", "kind", "scope_kind", "scope_id"],
    )
    return changed


def _says_nothing(row: RuleSetting) -> bool:
    own = (row.enabled, row.severity or None, row.hold_minutes, row.escalate_hours, row.tells or None)
    return not row.parameters and all(value is None for value in own)


def _entry(
    tenant: Tenant,
    change: BulkChange,
    name: str,
    scope_id: int,
    parameters: tuple[Any, Any],
    *,
    actor: str,
    now: datetime,
) -> AuditEntry:
    before, after = parameters
    return AuditEntry(
        tenant=tenant,
        at=now,
        actor=actor[:200],
        action="rule set",
        subject_kind=change.level,
        subject_id=scope_id,
        subject=f"{RULES[change.kind].LABEL}: {name}"[:200],
        before={"parameters": before},
        after={"parameters": after},
        reason="bulk edit",
    )
