"""Why an incident was flagged: the settings of its rule that hold for its subject, and where each comes from.

An incident's page shows it. The settings are those of now: a change since the incident opened is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from alerts.inheritance import Resolved, Setting, Source, resolve
from alerts.models import Incident, RuleSetting
from alerts.queries import WonParameter, WonSettings, won_of
from alerts.rules import RULES
from alerts.wording import count_words
from msp.backups.models import BackupJob
from msp.estate.models import Selection
from msp.estate.queries import Reach
from msp.tenants.models import Reseller


@dataclass(frozen=True)
class Flagged:
    """``won`` are the rule's own parameters, ``telling`` is what every rule has: severity, hold, age, whom it tells."""

    won: WonSettings
    telling: tuple[WonParameter, ...]


def won_for(reach: Reach, incident_id: int) -> Flagged | None:
    """The settings that hold for the incident's subject; None for a kind that has none."""
    incident = Incident.objects.of(reach.tenant_id).select_related("client", "tenant").get(pk=incident_id)
    if incident.kind not in RULES:
        return None
    resolved = resolve(incident.kind, _stored(incident))
    return Flagged(won_of(resolved), _telling(resolved))


def _stored(incident: Any) -> Iterable[Setting]:
    """What is set of the kind at the levels above the subject."""
    named = _scopes(incident)
    at_these = Q()
    for kind, scope_id in named:
        at_these |= Q(scope_kind=kind, scope_id=scope_id)
    for row in RuleSetting.objects.of(incident.tenant_id).filter(at_these, kind=incident.kind):
        yield Setting(
            kind=row.kind,
            scope=row.scope_kind,
            scope_id=row.scope_id,
            scope_name=named[row.scope_kind, row.scope_id],
            parameters=row.parameters,
            enabled=row.enabled,
            severity=row.severity or None,
            hold_minutes=row.hold_minutes,
            escalate_hours=row.escalate_hours,
            tells=row.tells or None,
        )


def _scopes(incident: Any) -> dict[tuple[str, int], str]:
    """The levels that the subject belongs to, with their names."""
    tenant_id, client = incident.tenant_id, incident.client
    scopes = {("tenant", tenant_id): incident.tenant.name}
    if client is not None:
        scopes["client", client.pk] = client.name
    places: tuple[tuple[str, Any, int | None], ...] = (
        ("reseller", Reseller, client.reseller_id if client else None),
        ("selection", Selection, incident.selection_id),
        ("job", BackupJob, incident.job_id),
    )
    for kind, model, pk in places:
        name = model.objects.of(tenant_id).filter(pk=pk).values_list("name", flat=True).first() if pk else None
        if pk and name is not None:
            scopes[kind, pk] = name
    return scopes


def _telling(resolved: Resolved) -> tuple[WonParameter, ...]:
    hours, hold = resolved.escalate_hours, resolved.hold_minutes
    told = "a ticket, as the routes say" if resolved.tells == "ticket" else "lists and reports only, no ticket"
    words = {
        "severity": ("Severity", resolved.severity or "as the rule finds it"),
        "hold_minutes": ("Hold", "as the route says" if hold is None else count_words(hold, "minute")),
        "escalate_hours": ("Raised with age", f"each {count_words(hours, 'hour')}" if hours else "never"),
        "tells": ("Tells", told),
    }
    return tuple(
        WonParameter(label, value, str(resolved.sources[name]), is_default=_is_default(resolved.sources[name]))
        for name, (label, value) in words.items()
    )


def _is_default(source: Source) -> bool:
    return source.scope == "default"
