"""The grid of one night: each client's jobs by verdict, worst first.

A night that is over and judged shows what is stored. One that is not is judged as far as it has come: a job without a
run counts as missed only where an incident says so, else as not due.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from alerts.models import DailyVerdict
from alerts.reports.morning import MorningScope
from alerts.reports.nights import night_of
from alerts.reports.verdicts import load_job_nights, verdict_of
from msp.estate.queries import Reach, clients_within
from msp.tenants.models import Tenant

#: Worst first.
ORDER = ("failed", "missed", "not heard", "unknown", "warning", "good", "not due")


@dataclass(frozen=True)
class GridRow:
    """A client's night: ``worst`` verdict, and how many jobs came to each, as (verdict, jobs), worst first."""

    uid: UUID
    client: str
    worst: str
    verdicts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Grid:
    """``stored``: the night is over and judged; otherwise it is told as far as it has come."""

    night: date
    rows: tuple[GridRow, ...]
    stored: bool


def read_grid(tenant: Tenant, reach: Reach, scope: MorningScope, *, night: date, now: datetime) -> Grid:
    """At most three statements, however many clients."""
    stored = DailyVerdict.objects.of(tenant).filter(night=night)
    pairs: list[tuple[int, str]] = list(stored.values_list("client_id", "verdict"))
    is_stored = bool(pairs)
    counted: dict[int, Counter[str]] = defaultdict(Counter)
    for client_id, verdict in pairs if is_stored else judged_so_far(tenant, night, now=now):
        counted[client_id][verdict] += 1
    clients = clients_within(reach)
    rows = [
        _row(client.uid, client.name, counted[client.pk])
        for client in clients.order_by("name", "pk")
        if client.pk in counted and _is_within(client.pk, client.reseller_id, scope)
    ]
    rows.sort(key=lambda row: ORDER.index(row.worst))
    return Grid(night, tuple(rows), is_stored)


def judged_so_far(tenant: Tenant, day: date, *, now: datetime) -> Iterable[tuple[int, str]]:
    """Each job's client and verdict of a night that has not been judged yet; nothing where it has not begun."""
    night = night_of(day, tenant.timezone)
    if night.begins >= now:
        return
    night = replace(night, ends=min(night.ends, now))
    for one in load_job_nights(tenant, night):
        yield one.client_id, verdict_of(replace(one, schedule=""), night)


def _is_within(client_id: int, reseller_id: int | None, scope: MorningScope) -> bool:
    return scope.everything or client_id in scope.client_ids or reseller_id in scope.reseller_ids


def _row(uid: UUID, name: str, verdicts: Counter[str]) -> GridRow:
    ordered = tuple((verdict, verdicts[verdict]) for verdict in ORDER if verdicts[verdict])
    return GridRow(uid, name, ordered[0][0], ordered)
