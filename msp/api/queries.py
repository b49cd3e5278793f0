"""What the API reads, always within a ``Reach``; rows that the packages' own queries give are taken from there.

Every function answers a queryset to be paged or the rows of one page dressed with what belongs to them, in a fixed
number of queries. A run's own client decides who sees it, since a job may have moved.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from alerts.models import RuleSetting
from alerts.queries import Clock, explain_clocks, incidents_within, settings_of_scopes, tickets_within
from billing.models import Collection, Invoice, InvoiceLine
from billing.queries import UsageDay, usage_days
from msp.backups.models import BackupJob, JobRun, JobState
from msp.backups.queries import JobRow, jobs_within, with_states
from msp.estate.models import BackupServer, Client, Selection
from msp.estate.queries import Reach, clients_within, within
from msp.ingest.models import InboxItem, Receipt
from msp.ingest.queries import may_see_whole
from msp.partitions import MONTHS_BACK, month_of, next_month
from msp.tenants.models import ApiKey, Reseller, Tenant

Filters = Mapping[str, Any]


def matching(rows: QuerySet[Any], filters: Filters, **paths: str) -> QuerySet[Any]:
    """Rows narrowed by those filters that were given; ``paths`` says which column each one means."""
    return rows.filter(**{path: filters[name] for name, path in paths.items() if name in filters})


# --- estate --------------------------------------------------------------------------------------------------------


def clients(reach: Reach, filters: Filters) -> QuerySet[Any]:
    """Clients with their resellers; deleted ones only when asked for by state."""
    rows: QuerySet[Any] = clients_within(reach).select_related("reseller")
    rows = matching(rows, filters, state="state", code="code", reseller="reseller__uid")
    if "state" not in filters:
        rows = rows.exclude(state="deleted")
    if text := filters.get("q"):
        rows = rows.filter(Q(name__icontains=text) | Q(code__icontains=text))
    return rows


def find_client(reach: Reach, uid: uuid.UUID) -> Client | None:
    row: Client | None = clients_within(reach).select_related("reseller").filter(uid=uid).first()
    return row


def find_reseller(reach: Reach, uid: uuid.UUID) -> Reseller | None:
    """A reseller that may be named by whoever has this reach."""
    rows = Reseller.objects.of(reach.tenant_id).filter(uid=uid)
    if reach.reseller_ids is not None:
        rows = rows.filter(pk__in=sorted(reach.reseller_ids))
    row: Reseller | None = rows.first()
    return row


def servers(reach: Reach, filters: Filters) -> QuerySet[Any]:
    """Backup servers; a reseller sees those that serve one of its clients by name."""
    rows = within(BackupServer.objects.of(reach.tenant_id), reach, client="client").select_related("client")
    return matching(rows, filters, state="state", client="client__uid", name="name")


def keys_of_server(reach: Reach, server_id: int) -> tuple[ApiKey, ...]:
    """The keys of a server that are not revoked, newest first; the caller has found the server within its reach."""
    rows = ApiKey.objects.of(reach.tenant_id).filter(server_id=server_id, revoked_at__isnull=True)
    return tuple(rows.order_by("-created_at", "-pk"))


# --- jobs, runs, receipts ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JobShown:
    """A job, its state and until when it counts as protected."""

    job: JobRow
    clock: Clock


def jobs(reach: Reach, filters: Filters) -> QuerySet[Any]:
    """Jobs; ``outcome`` is that of the last run."""
    rows: QuerySet[Any] = matching(
        jobs_within(reach), filters, state="state", client="selection__client__uid", server="server__uid", name="name"
    )
    if "outcome" in filters:
        ended = JobState.objects.of(reach.tenant_id).filter(last_outcome=filters["outcome"])
        rows = rows.filter(pk__in=ended.values("job_id"))
    return rows


def show_jobs(reach: Reach, rows: Iterable[Any], *, now: datetime) -> list[JobShown]:
    """Jobs of ``jobs`` with states and clocks."""
    listed = with_states(reach, rows)
    if not listed:
        return []
    clocks = explain_clocks(reach, listed, settings_of_scopes(reach, listed), now=now)
    return [JobShown(job, clocks[job.id]) for job in listed]


def find_job(reach: Reach, uid: uuid.UUID) -> Any:
    """The job's row, None when there is none that may be seen."""
    return jobs_within(reach).filter(uid=uid).first()


def runs_within(reach: Reach) -> QuerySet[Any]:
    """Runs of clients that may be seen, with the UUIDs of what they name."""
    rows: QuerySet[Any] = JobRun.objects.of(reach.tenant_id)
    if reach.reseller_ids is not None:
        rows = rows.filter(client_id__in=clients_within(reach).values("pk"))
    shown: QuerySet[Any] = rows.annotate(
        job_uid=_uid(BackupJob, reach, "job_id"),
        client_uid=_uid(Client, reach, "client_id"),
        receipt_uid=_uid(Receipt, reach, "receipt_id"),
    )
    return shown


def runs_of_job(reach: Reach, job_id: int, filters: Filters, *, now: datetime) -> QuerySet[Any]:
    """A job's runs in the months that are kept; the caller has found the job within its reach."""
    rows = runs_within(reach).filter(job_id=job_id, filed_month__range=kept_months(now.date()))
    return matching(
        rows, filters, outcome="outcome", operation="operation", since="ended_at__gte", until="ended_at__lt"
    )


def kept_months(today: date) -> tuple[date, date]:
    """The first and last month that has partitions; runs a little ahead of us are filed in the next."""
    return next_month(month_of(today), steps=-MONTHS_BACK), next_month(month_of(today))


def find_run(reach: Reach, uid: uuid.UUID, *, month: date) -> Any:
    """The run of that month, None when there is none that may be seen."""
    return runs_within(reach).filter(uid=uid, filed_month=month).first()


@dataclass(frozen=True)
class ReceiptShown:
    """A delivery and those of its runs that may be seen; ``whole``: the caller sees all that is known of it."""

    receipt: Receipt
    runs: tuple[Any, ...]
    whole: bool


def find_receipt(reach: Reach, uid: uuid.UUID) -> ReceiptShown | None:
    """A reseller sees a delivery once a run in it is its own, and no reason that may quote another's lines."""
    receipt = Receipt.objects.of(reach.tenant_id).filter(uid=uid).first()
    if receipt is None:
        return None
    first, last = kept_months(receipt.received_at.date())
    runs = runs_within(reach).filter(receipt_id=receipt.pk, filed_month__range=(first, last)).order_by("place", "id")
    shown = tuple(runs)
    if not reach.whole_tenant and not shown:
        return None
    return ReceiptShown(receipt, shown, whole=may_see_whole(reach, receipt))


def inbox(reach: Reach, filters: Filters) -> QuerySet[Any]:
    """What waits for a person; nothing for a reseller, since what is not assigned may be anybody's."""
    rows: QuerySet[Any] = InboxItem.objects.of(reach.tenant_id).select_related("server")
    if not reach.whole_tenant:
        return rows.none()
    rows = matching(rows, {"state": "open", **filters}, state="state", reason="reason", server="server__uid")
    shown: QuerySet[Any] = rows.annotate(receipt_uid=_uid(Receipt, reach, "receipt_id"))
    return shown


def _uid(model: Any, reach: Reach, path: str) -> Subquery:
    """The UUID of the row of ``model`` whose id stands in ``path``."""
    return Subquery(model.objects.of(reach.tenant_id).filter(pk=OuterRef(path)).values("uid")[:1])


# --- alerts --------------------------------------------------------------------------------------------------------


def incidents(reach: Reach, filters: Filters) -> QuerySet[Any]:
    """Incidents with the UUIDs of what they are about."""
    rows = incidents_within(reach).select_related("client", "ticket", "assigned_to", "cause")
    names = BackupServer.objects.of(reach.tenant_id).filter(pk=OuterRef("server_id")).values("name")
    rows = rows.annotate(
        job_uid=_uid(BackupJob, reach, "job_id"),
        selection_uid=_uid(Selection, reach, "selection_id"),
        server_name=Subquery(names[:1]),
    )
    rows = matching(rows, filters, state="state", kind="kind", severity="severity", client="client__uid")
    if "job" in filters:
        rows = rows.filter(job_id__in=BackupJob.objects.of(reach.tenant_id).filter(uid=filters["job"]).values("pk"))
    return matching(rows, filters, since="opened_at__gte")


def tickets(reach: Reach, filters: Filters) -> QuerySet[Any]:
    """Tickets with their lanes."""
    return matching(
        tickets_within(reach), filters, state="wanted_state", client="client__uid", external_id="external_id"
    )


@dataclass(frozen=True)
class SettingShown:
    """A rule's setting and the level it stands at, by UUID and name."""

    row: RuleSetting
    scope_uid: uuid.UUID | None
    scope_name: str


def rule_settings(reach: Reach, filters: Filters) -> QuerySet[Any]:
    """Settings at levels within reach; the tenant's own are not a reseller's to see."""
    rows = RuleSetting.objects.of(reach.tenant_id)
    if not reach.whole_tenant:
        levels = Q()
        for kind in ("reseller", "client", "selection", "job"):
            levels |= Q(scope_kind=kind, scope_id__in=scope_rows(reach, kind).values("pk"))
        rows = rows.filter(levels)
    return matching(rows, filters, kind="kind", scope="scope_kind")


def scope_rows(reach: Reach, kind: str) -> QuerySet[Any]:
    """The rows that can be a level of this kind, within reach."""
    if kind == "tenant":
        return Tenant.objects.filter(pk=reach.tenant_id) if reach.whole_tenant else Tenant.objects.none()
    if kind == "reseller":
        rows = Reseller.objects.of(reach.tenant_id)
        return rows if reach.reseller_ids is None else rows.filter(pk__in=sorted(reach.reseller_ids))
    if kind == "client":
        return clients_within(reach)
    if kind == "selection":
        return within(Selection.objects.of(reach.tenant_id), reach, client="client")
    return jobs_within(reach).select_related(None)


def show_settings(reach: Reach, rows: Iterable[RuleSetting]) -> list[SettingShown]:
    """Settings with their levels; one query for each kind of level that occurs."""
    listed = list(rows)
    levels: dict[tuple[str, int], Any] = {}
    for kind in {row.scope_kind for row in listed}:
        ids = {row.scope_id for row in listed if row.scope_kind == kind}
        levels |= {(kind, level.pk): level for level in scope_rows(reach, kind).filter(pk__in=ids)}
    shown = [(row, levels.get((row.scope_kind, row.scope_id))) for row in listed]
    return [SettingShown(row, level.uid if level else None, str(level or "")) for row, level in shown]


# --- billing -------------------------------------------------------------------------------------------------------


def invoices(reach: Reach, filters: Filters) -> QuerySet[Any]:
    """Documents; a reseller sees those of its own sellers, so never what the tenant charges itself or others."""
    rows = Invoice.objects.of(reach.tenant_id).select_related("seller", "bill_to")
    if reach.reseller_ids is not None:
        rows = rows.filter(seller__reseller_id__in=sorted(reach.reseller_ids))
    paid = Collection.objects.of(reach.tenant_id).filter(confirmed_state="paid", invoice_id=OuterRef("pk"))
    rows = rows.defer("snapshot", "decisions").annotate(paid_id=Subquery(paid.values("pk")[:1]))
    return matching(rows, filters, state="state", month="first_day", number="number", currency="currency")


def has_line(reach: Reach, uid: uuid.UUID) -> bool:
    """Whether there is such an invoice line that may be seen."""
    rows = InvoiceLine.objects.of(reach.tenant_id).filter(uid=uid)
    if reach.reseller_ids is not None:
        rows = rows.filter(invoice__seller__reseller_id__in=sorted(reach.reseller_ids))
    return bool(rows.exists())


@dataclass(frozen=True)
class UsageShown:
    """What was measured of a selection on a day, in bytes."""

    selection_uid: uuid.UUID
    selection: str
    day: date
    quantity_bytes: int


def usage(tenant: Tenant, client: Client, *, month: date, metric: str) -> list[UsageShown]:
    """A client's measurements of a month by selection and day; two queries."""
    measured = usage_days(tenant, client.pk, first_day=month, last_day=next_month(month), metric=metric)
    ids = {day.selection_id for day in measured}
    uids = dict(Selection.objects.of(tenant).filter(pk__in=ids).values_list("pk", "uid"))
    return [_usage_shown(day, uids[day.selection_id]) for day in measured]


def _usage_shown(day: UsageDay, uid: uuid.UUID) -> UsageShown:
    return UsageShown(selection_uid=uid, selection=day.selection, day=day.day, quantity_bytes=day.quantity)
