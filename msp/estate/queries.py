"""What screens read about clients, and ``Reach``: which rows of a tenant somebody may see at all.

Every query for a screen takes a ``Reach`` and narrows its rows with ``within``: that is the one place that keeps a
reseller to its own clients, whatever the page. Answers are frozen dataclasses; nothing here writes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q, QuerySet

from msp.estate.models import Client, ClientStateSpan
from msp.tenants.models import Reseller


@dataclass(frozen=True)
class Reach:
    """Rows of one tenant; with ``reseller_ids`` only those that belong to clients of these resellers."""

    tenant_id: int
    reseller_ids: frozenset[int] | None = None

    @property
    def whole_tenant(self) -> bool:
        """Whether rows without a client (servers, the tenant itself) may be seen too."""
        return self.reseller_ids is None


@dataclass(frozen=True)
class ClientRow:
    """A client as lists show it; ``quota_bytes`` is None where no quota is agreed."""

    id: int
    uid: uuid.UUID
    name: str
    code: str
    state: str
    reseller_id: int | None
    reseller: str
    timezone: str
    quota_bytes: int | None
    tickets_enabled: bool
    notes: str
    registered_at: datetime


@dataclass(frozen=True)
class ResellerRow:
    """A reseller as a filter offers it."""

    uid: uuid.UUID
    name: str


@dataclass(frozen=True)
class StateSpan:
    """A client was in this state from ``since`` up to, not including, ``until`` (None: still)."""

    state: str
    since: date
    until: date | None


def within(rows: QuerySet[Any], reach: Reach, *, client: str) -> QuerySet[Any]:
    """``rows`` of the tenant, narrowed to what may be seen; ``client`` is the path to its client ("": it is one)."""
    if reach.reseller_ids is None:
        return rows
    path = f"{client}__reseller_id__in" if client else "reseller_id__in"
    return rows.filter(**{path: sorted(reach.reseller_ids)})


def clients_within(reach: Reach) -> QuerySet[Client]:
    """The clients that may be seen."""
    return within(Client.objects.of(reach.tenant_id), reach, client="")


def list_clients(
    reach: Reach, *, text: str = "", states: Iterable[str] = (), reseller: uuid.UUID | None = None
) -> tuple[ClientRow, ...]:
    """Clients by name; ``text`` is looked for in name and code, ``states`` empty means all but deleted."""
    rows = clients_within(reach)
    if text:
        rows = rows.filter(Q(name__icontains=text) | Q(code__icontains=text))
    wanted = tuple(states)
    rows = rows.filter(state__in=wanted) if wanted else rows.exclude(state="deleted")
    if reseller is not None:
        rows = rows.filter(reseller__uid=reseller)
    return tuple(_client_row(row) for row in rows.select_related("reseller").order_by("name", "id"))


def find_client(reach: Reach, uid: uuid.UUID) -> ClientRow | None:
    """One client, None when there is none that may be seen."""
    row = clients_within(reach).select_related("reseller").filter(uid=uid).first()
    return None if row is None else _client_row(row)


def list_resellers(reach: Reach) -> tuple[ResellerRow, ...]:
    """The tenant's resellers, as far as they may be seen."""
    rows = Reseller.objects.of(reach.tenant_id)
    if reach.reseller_ids is not None:
        rows = rows.filter(pk__in=sorted(reach.reseller_ids))
    return tuple(ResellerRow(uid=row.uid, name=row.name) for row in rows.order_by("name"))


def state_spans(reach: Reach, *, first_day: date, last_day: date) -> dict[int, tuple[StateSpan, ...]]:
    """By client id, the state intervals that touch these local days, both included."""
    rows = within(ClientStateSpan.objects.of(reach.tenant_id), reach, client="client")
    rows = rows.filter(since__lte=last_day).filter(Q(until__isnull=True) | Q(until__gt=first_day))
    spans: dict[int, tuple[StateSpan, ...]] = {}
    for client_id, state, since, until in rows.order_by("since").values_list("client_id", "state", "since", "until"):
        spans[client_id] = (*spans.get(client_id, ()), StateSpan(state, since, until))
    return spans


def _client_row(row: Client) -> ClientRow:
    return ClientRow(
        id=row.pk,
        uid=row.uid,
        name=row.name,
        code=row.code,
        state=row.state,
        reseller_id=row.reseller_id,
        reseller=row.reseller.name if row.reseller else "",
        timezone=row.timezone,
        quota_bytes=row.quota_bytes,
        tickets_enabled=row.tickets_enabled,
        notes=row.notes,
        registered_at=row.registered_at,
    )
