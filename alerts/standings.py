"""How an incident stands for the person who works through the list: what needs somebody, and what is quiet and why.

Queries for screens narrow their rows by it. Nothing is hidden: an incident that tells nobody stands in the list of open
ones, and in the list of its reason (silenced, kept under another, only observed, put off).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from msp.backups.models import BackupJob

#: By standing: its name in the list. "" is every open one.
STANDINGS: Mapping[str, str] = {
    "needs": "Needs somebody",
    "": "Open",
    "mine": "Mine",
    "nobody": "Nobody's",
    "silenced": "Silenced",
    "under": "Kept under",
    "observed": "Only observed",
    "untold": "Not told yet",
    "acknowledged": "Acknowledged",
    "snoozed": "Put off",
    "closed": "Closed",
    "all": "All",
}


@dataclass(frozen=True)
class IncidentFilter:
    """Which incidents a list shows; empty fields match everything, ``standing`` "" means all open ones.

    ``person_id`` is whose they are, for the standing "mine".
    """

    standing: str = ""
    kind: str = ""
    severity: str = ""
    text: str = ""
    client: uuid.UUID | None = None
    client_id: int | None = None
    job_id: int | None = None
    ticket_id: int | None = None
    person_id: int | None = None


@dataclass(frozen=True)
class QuietCounts:
    """Open incidents that tell nobody, by reason, and since when the oldest that is only observed has been open."""

    silenced: int = 0
    under: int = 0
    observed: int = 0
    observed_since: datetime | None = None
    to_accept: int = 0


def narrowed(rows: QuerySet[Any], wanted: IncidentFilter, *, tenant_id: int, now: datetime) -> QuerySet[Any]:
    """The tenant's incidents that the filter asks for."""
    rows = of_standing(rows, wanted, tenant_id=tenant_id, now=now)
    if wanted.text:
        rows = rows.filter(Q(summary__icontains=wanted.text) | Q(client__name__icontains=wanted.text))
    exact = {
        "kind": wanted.kind or None,
        "severity": wanted.severity or None,
        "client__uid": wanted.client,
        "client_id": wanted.client_id,
        "job_id": wanted.job_id,
        "ticket_id": wanted.ticket_id,
    }
    return rows.filter(**{name: value for name, value in exact.items() if value is not None})


def of_standing(rows: QuerySet[Any], wanted: IncidentFilter, *, tenant_id: int, now: datetime) -> QuerySet[Any]:
    """Those that stand so."""
    if wanted.standing == "all":
        return rows
    if wanted.standing == "closed":
        return rows.filter(state="closed")
    if wanted.standing == "mine":
        return rows.filter(state="open", assigned_to_id=wanted.person_id or 0)
    conditions: dict[str, Callable[[], Q]] = {
        "needs": lambda: needs_somebody(now),
        "nobody": lambda: Q(assigned_to__isnull=True),
        "silenced": lambda: Q(silenced_until__gt=now),
        "under": lambda: Q(cause__isnull=False),
        "observed": lambda: is_observed(tenant_id),
        "untold": lambda: Q(told_at__isnull=True),
        "acknowledged": lambda: Q(acknowledged_at__isnull=False),
        "snoozed": lambda: Q(snoozed_until__gt=now),
    }
    rows = rows.filter(state="open")
    return rows.filter(conditions[wanted.standing]()) if wanted.standing in conditions else rows


def needs_somebody(now: datetime) -> Q:
    """Not in hand, not put off, not silenced, not kept under another, and not gone for now. What waits to be accepted
    does need somebody, and so does what is only observed.
    """
    awake = Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=now)
    heard = Q(silenced_until__isnull=True) | Q(silenced_until__lte=now)
    return awake & heard & Q(acknowledged_at__isnull=True, cause__isnull=True, calm_since__isnull=True)


def is_observed(tenant_id: int) -> Q:
    """Its tenant, client or job tells nobody until it is enabled."""
    job = BackupJob.objects.of(tenant_id).filter(pk=OuterRef("job_id"), observed=True)
    return Q(tenant__tickets_enabled=False) | Q(client__tickets_enabled=False) | Q(Exists(job))


def count_quiet(rows: QuerySet[Any], *, tenant_id: int, now: datetime) -> QuietCounts:
    """Of the tenant's incidents, the open ones that tell nobody; one query."""
    observed = is_observed(tenant_id)
    found = rows.filter(state="open").aggregate(
        silenced=Count("id", filter=Q(silenced_until__gt=now)),
        under=Count("id", filter=Q(cause__isnull=False)),
        observed=Count("id", filter=observed),
        observed_since=Min("opened_at", filter=observed),
        to_accept=Count("id", filter=Q(clear_proposed_at__isnull=False)),
    )
    return QuietCounts(**found)
