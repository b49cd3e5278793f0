"""What arrived from a backup server, by whatever door, and what became of it: for whoever watches a first log come in.

Called by the live part of the connection page, every few seconds, and by a server's own page. A fixed number of
queries, narrow by time, since receipts are found by their arrival. What to do about an inbox item is said in words.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from integrations.logs import FORMATS
from msp.backups.models import BackupJob, JobRun
from msp.channels.models import Mailbox, PullSource
from msp.estate.models import BackupServer
from msp.ingest.models import InboxItem, Receipt
from msp.partitions import MONTHS_BACK, month_of, next_month
from msp.tenants.models import Tenant

SHOWN = 5
#: Of a log with more runs or items than these the rest is counted.
PARTS = 6
#: A server's page looks so far back, and through so many deliveries of the tenant.
RECENT, MOST_RECENT = timedelta(days=3), 50_000

#: How a receipt came in, as people say it.
DOORS = {
    "http": "HTTP", "batch": "HTTP, in a batch", "command": "the command line", "mail": "mail", "folder": "file drop",
    "wrapper": "the wrapper", "pull": "pull", "demo": "the demo",
}  # fmt: skip
#: What the link to an inbox item invites to, by its reason.
MENDING = {
    "unassigned": "Say whose it is",
    "ambiguous": "Say which job it is",
    "refused": "Look at it, or let the server make new jobs",
    "unrecognised": "Look at what came in",
    "unreadable": "Look at the line",
    "conflict": "Look at both",
    "failed": "Look at it",
}


@dataclass(frozen=True)
class ArrivedRun:
    """One run of a delivery; ``is_new``: its job was made for it, ``is_observed``: it gets no tickets yet."""

    uid: uuid.UUID
    month: date
    job: str
    job_uid: uuid.UUID
    client: str
    is_new: bool
    is_observed: bool
    operation: str
    outcome: str
    good: bool
    protected_bytes: int | None
    ended_at: datetime
    time_told: bool


@dataclass(frozen=True)
class ArrivedItem:
    """What waits in the inbox, why, and what the link to it is called."""

    uid: uuid.UUID
    named: str
    detail: str
    line: int | None
    mending: str


@dataclass(frozen=True)
class Arrival:
    """One delivery. ``doubts`` are sentences about what was said with it, or picked for it, and does not fit.

    ``is_retold``: its runs stand with another delivery, which told of the same ones.
    """

    uid: uuid.UUID
    received_at: datetime
    door: str
    state: str
    product: str
    size_bytes: int
    error: str
    runs: tuple[ArrivedRun, ...]
    items: tuple[ArrivedItem, ...]
    more: int
    doubts: tuple[str, ...]
    is_retold: bool


def read_arrivals(tenant: Tenant, server: BackupServer, *, since: datetime, picked: str = "") -> tuple[Arrival, ...]:
    """The newest deliveries of the server since then, newest first; ``picked`` is the format they are expected in."""
    rows = Receipt.objects.of(tenant).filter(server_id=server.pk, received_at__gte=since)
    return _with_parts(tenant, list(rows.order_by("-received_at", "-id")[:SHOWN]), picked=picked)


def read_recent(tenant: Tenant, server: BackupServer, *, now: datetime, limit: int = 10) -> tuple[Arrival, ...]:
    """The newest deliveries of the last days; of a tenant with very many, among its newest ones."""
    newest = Receipt.objects.of(tenant).filter(received_at__gte=now - RECENT).order_by("-received_at")
    rows = Receipt.objects.of(tenant).filter(server_id=server.pk, pk__in=newest.values("pk")[:MOST_RECENT])
    return _with_parts(tenant, list(rows.order_by("-received_at", "-id")[:limit]), picked="")


def troubles_of(tenant: Tenant, server: BackupServer) -> tuple[str, ...]:
    """What keeps a mailbox or another system from being asked for this server's logs, as sentences."""
    asked = [
        *PullSource.objects.of(tenant).filter(server=server).exclude(last_error="").defer("secrets"),
        *Mailbox.objects.of(tenant).filter(server=server).exclude(last_error="").defer("secrets"),
    ]
    return tuple(f"{row} cannot be read: {row.last_error}" for row in asked)


def formats_of(tenant: Tenant, server: BackupServer) -> tuple[str, ...]:
    """The formats whose logs its jobs were made of, by their labels."""
    jobs = BackupJob.objects.of(tenant).filter(server=server).exclude(state="retired")
    products = set(jobs.values_list("product", flat=True).distinct())
    return tuple(sorted((name for name in products if name in FORMATS), key=lambda name: label_of(name).casefold()))


def _with_parts(tenant: Tenant, receipts: list[Receipt], *, picked: str) -> tuple[Arrival, ...]:
    if not receipts:
        return ()
    runs, items = _runs(tenant, receipts), _items(tenant, receipts)
    jobs = BackupJob.objects.of(tenant).select_related("selection__client").in_bulk(
        {run.job_id for found in runs.values() for run in found}
    )  # fmt: skip
    return tuple(
        _arrival(receipt, runs.get(receipt.pk, []), items.get(receipt.pk, []), jobs, picked=picked)
        for receipt in receipts
    )


def _runs(tenant: Tenant, receipts: list[Receipt]) -> Mapping[int, list[JobRun]]:
    """By receipt, in the months that runs of these can be filed in."""
    first, last = min(row.received_at for row in receipts), max(row.received_at for row in receipts)
    months = (next_month(month_of(first.date()), steps=-MONTHS_BACK), next_month(month_of(last.date())))
    rows = JobRun.objects.of(tenant).filter(receipt_id__in=[row.pk for row in receipts], filed_month__range=months)
    found: dict[int, list[JobRun]] = defaultdict(list)
    for run in rows.order_by("place", "id").defer("errors", "components", "files"):
        found[run.receipt_id].append(run)
    return found


def _items(tenant: Tenant, receipts: list[Receipt]) -> Mapping[int, list[InboxItem]]:
    rows = InboxItem.objects.of(tenant).filter(receipt_id__in=[row.pk for row in receipts], state="open")
    found: dict[int, list[InboxItem]] = defaultdict(list)
    for item in rows.order_by("place", "id"):
        found[item.receipt_id].append(item)
    return found


def _arrival(
    receipt: Receipt, runs: list[JobRun], items: list[InboxItem], jobs: Mapping[int, BackupJob], *, picked: str
) -> Arrival:
    return Arrival(
        uid=receipt.uid,
        received_at=receipt.received_at,
        door=DOORS.get(receipt.door, receipt.door),
        state=receipt.state,
        product=label_of(receipt.format),
        size_bytes=receipt.body_length,
        error=receipt.error,
        runs=tuple(_run(run, jobs[run.job_id], receipt) for run in runs[:PARTS]),
        items=tuple(_item(item) for item in items[:PARTS]),
        more=max(0, len(runs) - PARTS) + max(0, len(items) - PARTS),
        is_retold=receipt.state == "done" and receipt.runs > 0 and not runs,
        doubts=tuple(dict.fromkeys((*_other_format(receipt, picked), *_problems(runs)))),
    )


def _run(run: JobRun, job: BackupJob, receipt: Receipt) -> ArrivedRun:
    return ArrivedRun(
        uid=run.uid,
        month=run.filed_month,
        job=job.name,
        job_uid=job.uid,
        client=job.selection.client.name,
        is_new=job.registered_at >= receipt.received_at,
        is_observed=job.observed or not job.selection.client.tickets_enabled,
        operation=run.operation,
        outcome=run.outcome,
        good=run.good,
        protected_bytes=run.protected_bytes,
        ended_at=run.ended_at,
        time_told=run.time_told,
    )


def _item(item: InboxItem) -> ArrivedItem:
    named = item.source_job or item.item or item.host
    return ArrivedItem(item.uid, named, item.detail, item.line, MENDING[item.reason])


def label_of(name: str) -> str:
    """What a format is called on screens; "" for none."""
    return FORMATS[name].LABEL if name in FORMATS else name


def _other_format(receipt: Receipt, picked: str) -> Iterable[str]:
    if picked and receipt.format and receipt.format != picked:
        yield (
            f"This is a log of {label_of(receipt.format)}, not of {label_of(picked)}: it is read all the same. "
            "If it should not be one, look at the command behind the snippet."
        )


def _problems(runs: Iterable[JobRun]) -> Iterable[str]:
    """What the sender said and we could not use: an unknown time zone, an end before the start."""
    return (str(problem) for run in runs for problem in run.problems)
