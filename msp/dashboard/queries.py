"""What screens read across packages: the fleet, the inbox, the numbers beside the navigation.

Each function makes a fixed number of queries, whatever the number of clients. Answers are frozen dataclasses.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q

from alerts.models import Incident
from alerts.queries import ClientTrouble, missed_days, trouble_by_client
from msp.backups.queries import DayMark, JobTotals, days_of_clients, totals_by_client
from msp.estate.queries import ClientRow, Reach, StateSpan, list_clients, state_spans, within
from msp.ingest.models import InboxItem, Receipt

#: Days that a fleet row and a job's bar show, today included.
DAYS = 28

#: Sorts before every real moment.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

SORTS = ("trouble", "name", "size", "last")
_SEVERITY_WEIGHT = {"critical": 3, "warning": 2, "info": 1}
_MARK_WEIGHT = {"failure": 4, "missed": 4, "warning": 1}


@dataclass(frozen=True)
class FleetRow:
    """One client and its days, oldest first; a day is (day, mark)."""

    client: ClientRow
    totals: JobTotals
    trouble: ClientTrouble | None
    days: tuple[tuple[date, DayMark], ...]

    @property
    def weight(self) -> tuple[int, int, int]:
        """How much this client needs somebody: severity, open incidents, bad days of the last week."""
        recent = sum(_MARK_WEIGHT.get(mark.mark, 0) for _, mark in self.days[-7:] if not mark.mended)
        if self.trouble is None:
            return (0, 0, recent)
        return (_SEVERITY_WEIGHT[self.trouble.severity], self.trouble.open, recent)


@dataclass(frozen=True)
class Fleet:
    """A page of the fleet, the days above its columns and how many clients match."""

    rows: tuple[FleetRow, ...]
    first_day: date
    last_day: date
    total: int
    newest_run: datetime | None


@dataclass(frozen=True)
class FleetFilter:
    """Which clients the fleet shows and in which order."""

    text: str = ""
    state: str = ""
    reseller: uuid.UUID | None = None
    sort: str = "trouble"


def read_fleet(reach: Reach, wanted: FleetFilter, *, zone: str, now: datetime, limit: int, offset: int = 0) -> Fleet:
    """Clients x days, five queries."""
    last_day = now.astimezone(ZoneInfo(zone)).date()
    first_day = last_day - timedelta(days=DAYS - 1)
    states = (wanted.state,) if wanted.state else ()
    clients = list_clients(reach, text=wanted.text, states=states, reseller=wanted.reseller)
    window = {"first_day": first_day, "last_day": last_day}
    marks = days_of_clients(reach, **window, zone=zone)
    missed = missed_days(reach, first_day=first_day, last_day=last_day, zone=zone, now=now)
    spans, totals, trouble = state_spans(reach, **window), totals_by_client(reach), trouble_by_client(reach)
    days = [first_day + timedelta(days=step) for step in range(DAYS)]
    rows = [
        FleetRow(
            client=client,
            totals=totals.get(client.id, JobTotals()),
            trouble=trouble.get(client.id),
            days=mark_days(days, marks.get(client.id, {}), missed.get(client.id, set()), spans.get(client.id)),
        )
        for client in clients
    ]
    newest = max((row.totals.last_run_at for row in rows if row.totals.last_run_at), default=None)
    shown = sort_fleet(rows, wanted.sort)[offset : offset + limit]
    return Fleet(tuple(shown), first_day, last_day, len(rows), newest)


def mark_days(
    days: Iterable[date], marks: Mapping[date, DayMark], missed: set[date], spans: tuple[StateSpan, ...] | None
) -> tuple[tuple[date, DayMark], ...]:
    """What each day shows: failure, missed, warning, good, unknown, none; retired where the client was not active."""
    return tuple((day, _mark_day(day, marks.get(day), day in missed, spans)) for day in days)


def _mark_day(day: date, mark: DayMark | None, missed: bool, spans: tuple[StateSpan, ...] | None) -> DayMark:
    if mark is not None and mark.mark == "failure":
        return mark
    if missed:
        return DayMark("missed", mark.runs if mark else 0)
    if mark is not None:
        return mark
    covered = spans is None or any(_covers(span, day) for span in spans)
    return DayMark("none" if covered else "retired", 0)


def _covers(span: StateSpan, day: date) -> bool:
    return span.state in ("trial", "active") and span.since <= day and (span.until is None or day < span.until)


def sort_fleet(rows: list[FleetRow], sort: str) -> list[FleetRow]:
    """Rows arrive by name, and names break every tie."""
    if sort == "size":
        return sorted(rows, key=lambda row: -(row.totals.protected_bytes or 0))
    if sort == "last":
        return sorted(rows, key=lambda row: row.totals.last_run_at or NEVER)
    if sort == "name":
        return sorted(rows, key=lambda row: row.client.name.casefold())
    return sorted(rows, key=lambda row: tuple(-part for part in row.weight))


@dataclass(frozen=True)
class NavCounts:
    """The numbers beside the navigation."""

    incidents: int
    critical: int
    inbox: int


def read_nav(reach: Reach) -> NavCounts:
    """Two queries; a reseller has no inbox."""
    rows = within(Incident.objects.of(reach.tenant_id), reach, client="client").filter(state="open")
    severities = list(rows.values_list("severity", flat=True))
    inbox = InboxItem.objects.of(reach.tenant_id).filter(state="open").count() if reach.whole_tenant else 0
    return NavCounts(incidents=len(severities), critical=severities.count("critical"), inbox=inbox)


@dataclass(frozen=True)
class InboxRow:
    """Something a person must look at. ``place`` is the run in the receipt, -1 for the whole receipt."""

    id: int
    uid: uuid.UUID
    reason: str
    detail: str
    line: int | None
    server: str
    server_client: str
    source_job: str
    item: str
    host: str
    format: str
    state: str
    opened_at: datetime
    settled_at: datetime | None
    settled_by: str
    receipt_id: int
    receipt_uid: uuid.UUID | None
    place: int
    door: str
    received_at: datetime | None
    size_bytes: int


@dataclass(frozen=True)
class InboxList:
    """A page of the inbox and how many items match."""

    rows: tuple[InboxRow, ...]
    total: int


def list_inbox(
    reach: Reach, *, state: str = "open", reason: str = "", text: str = "", limit: int, offset: int = 0
) -> InboxList:
    """Newest first; nothing for a reseller, since what is not assigned may be anybody's."""
    if not reach.whole_tenant:
        return InboxList((), 0)
    rows = InboxItem.objects.of(reach.tenant_id).filter(state=state)
    if reason:
        rows = rows.filter(reason=reason)
    if text:
        rows = rows.filter(
            Q(source_job__icontains=text) | Q(item__icontains=text) | Q(host__icontains=text)
            | Q(server__name__icontains=text) | Q(detail__icontains=text)
        )  # fmt: skip
    found = rows.select_related("server", "server__client").order_by("-opened_at", "-id")[offset : offset + limit]
    return InboxList(_inbox_rows(reach, found), rows.count())


def find_inbox_item(reach: Reach, uid: uuid.UUID) -> InboxRow | None:
    """One item, None when there is none that may be seen."""
    if not reach.whole_tenant:
        return None
    rows = InboxItem.objects.of(reach.tenant_id).select_related("server", "server__client").filter(uid=uid)
    return next(iter(_inbox_rows(reach, rows)), None)


def inbox_of_client(reach: Reach, client_id: int) -> tuple[InboxRow, ...]:
    """Open items from servers that serve this client alone."""
    if not reach.whole_tenant:
        return ()
    rows = InboxItem.objects.of(reach.tenant_id).filter(state="open", server__client_id=client_id)
    return _inbox_rows(reach, rows.select_related("server", "server__client").order_by("-opened_at")[:20])


def _inbox_rows(reach: Reach, items: Iterable[InboxItem]) -> tuple[InboxRow, ...]:
    listed = list(items)
    receipts = Receipt.objects.of(reach.tenant_id).in_bulk({item.receipt_id for item in listed})
    return tuple(_inbox_row(item, receipts.get(item.receipt_id)) for item in listed)


def _inbox_row(item: InboxItem, receipt: Receipt | None) -> InboxRow:
    same = (
        "id", "uid", "reason", "detail", "line", "source_job", "item", "host", "format", "state", "opened_at",
        "settled_at", "settled_by", "receipt_id", "place",
    )  # fmt: skip
    return InboxRow(
        server=item.server.name if item.server else "",
        server_client=item.server.client.name if item.server and item.server.client else "",
        receipt_uid=receipt.uid if receipt else None,
        door=receipt.door if receipt else "",
        received_at=receipt.received_at if receipt else None,
        size_bytes=receipt.body_length if receipt else 0,
        **{name: getattr(item, name) for name in same},
    )
