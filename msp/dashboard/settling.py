"""What a person does to inbox items: assign, dismiss, read again; each in one transaction with its audit entry.

Called by the inbox pages. Items come from ``msp.dashboard.queries``, so they are within reach.
Assigning is remembered for the next log of the same source. Reading again puts the receipt back on the queue: the
pipeline replaces what it knew of it, settles the items that no longer apply and opens again those that still do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from django.db import transaction

from msp import tasks
from msp.backups.models import BackupJob, JobSelectionSpan, JobState
from msp.dashboard.queries import InboxRow
from msp.dashboard.scope import Refused, Scope
from msp.estate.models import Client, Selection, SelectionClientSpan
from msp.estate.spans import today_of
from msp.ingest.models import Assignment, InboxItem, Receipt, ReceiptQueue
from msp.tenants import audit

#: Reasons that another job cannot mend: the log itself could not be read, or is not to be trusted.
NOT_ASSIGNABLE = frozenset({"unrecognised", "unreadable", "conflict", "failed"})


def is_assignable(item: InboxRow) -> bool:
    """Whether saying whose log it is would help."""
    return item.state == "open" and item.reason not in NOT_ASSIGNABLE


def assign_to_job(scope: Scope, item: InboxRow, job: BackupJob, *, now: datetime) -> None:
    """Runs of the item's (server, source job, item) belong to this job from now on; the log is read again."""
    _refuse_unassignable(item)
    with transaction.atomic():
        stored = _lock_open(scope, [item])[0]
        _remember(scope, stored, job, now=now)
        _settle(scope, [stored], state="settled", now=now)
        _queue(scope, [stored])
        _audit(scope, "inbox item assigned", [stored], after={"job": job.name, "job_id": job.pk}, now=now)


def assign_to_new_job(scope: Scope, item: InboxRow, client: Client, *, name: str, now: datetime) -> BackupJob:
    """The same with a new job, and a new selection of its own, of this client; on the item's server."""
    _refuse_unassignable(item)
    if not name.strip():
        raise Refused("Give the new job a name.")
    with transaction.atomic():
        stored = _lock_open(scope, [item])[0]
        job = _make_job(scope, stored, client, name=name.strip()[:300], now=now)
        _remember(scope, stored, job, now=now)
        _settle(scope, [stored], state="settled", now=now)
        _queue(scope, [stored])
        _audit(scope, "job made from inbox", [stored], after={"job": job.name, "client": client.name}, now=now)
    return job


def dismiss(scope: Scope, items: Sequence[InboxRow], *, reason: str, now: datetime) -> None:
    """Put items away; a receipt without another open item is dismissed with them. Nothing is deleted."""
    with transaction.atomic():
        stored = _lock_open(scope, items)
        _settle(scope, stored, state="dismissed", now=now)
        receipts = {item.receipt_id for item in stored}
        still_open = InboxItem.objects.of(scope.tenant).filter(receipt_id__in=receipts, state="open")
        done = receipts - set(still_open.values_list("receipt_id", flat=True))
        Receipt.objects.of(scope.tenant).filter(pk__in=done, state="inbox").update(state="dismissed")
        _audit(scope, "inbox item dismissed", stored, after={"state": "dismissed"}, now=now, reason=reason)


def read_again(scope: Scope, items: Sequence[InboxRow], *, now: datetime) -> None:
    """Put the receipts back on the queue, after the cause was mended."""
    with transaction.atomic():
        stored = _lock_open(scope, items)
        _queue(scope, stored)
        _audit(scope, "inbox item read again", stored, after={"state": "queued"}, now=now)


def _refuse_unassignable(item: InboxRow) -> None:
    if item.reason in NOT_ASSIGNABLE:
        raise Refused("This log could not be read, so a job does not help: mend the cause and read it again.")


def _lock_open(scope: Scope, items: Sequence[InboxRow]) -> list[InboxItem]:
    """The items by id, locked; raises Refused when one was settled meanwhile."""
    wanted = sorted({item.id for item in items})
    rows = InboxItem.objects.of(scope.tenant).select_for_update().filter(pk__in=wanted, state="open")
    stored = list(rows.order_by("pk"))
    if len(stored) < len(wanted):
        raise Refused("Somebody has settled this already: load the inbox again.")
    return stored


def _remember(scope: Scope, item: InboxItem, job: BackupJob, *, now: datetime) -> None:
    Assignment.objects.of(scope.tenant).update_or_create(
        server_id=item.server_id,
        source_job=item.source_job,
        item=item.item,
        defaults={"job": job, "origin": "person"},
        create_defaults={"job": job, "origin": "person", "created_at": now},
    )


def _make_job(scope: Scope, item: InboxItem, client: Client, *, name: str, now: datetime) -> BackupJob:
    if item.server is None:
        raise Refused("This log came without a backup server: assign it to a job that is there.")
    since = today_of(scope.tenant, now)
    selection = _make_selection(scope, item, client, name=name, since=since, now=now)
    job: BackupJob = BackupJob.objects.of(scope.tenant).create(
        server=item.server, selection=selection, name=name, registered_at=now
    )
    JobSelectionSpan.objects.of(scope.tenant).create(job=job, selection=selection, since=since)
    JobState.objects.of(scope.tenant).create(job=job, check_after=now)
    return job


def _make_selection(
    scope: Scope, item: InboxItem, client: Client, *, name: str, since: date, now: datetime
) -> Selection:
    label = f"{item.server.name}: {name}"[:200] if item.server else name[:200]
    if Selection.objects.of(scope.tenant).filter(client=client, name=label).exists():
        raise Refused(f"{client.name} has a selection “{label}” already: choose another name, or assign to its job.")
    selection: Selection = Selection.objects.of(scope.tenant).create(client=client, name=label, registered_at=now)
    SelectionClientSpan.objects.of(scope.tenant).create(selection=selection, client=client, since=since)
    return selection


def _settle(scope: Scope, items: Sequence[InboxItem], *, state: str, now: datetime) -> None:
    rows = InboxItem.objects.of(scope.tenant).filter(pk__in=[item.pk for item in items])
    rows.update(state=state, settled_at=now, settled_by=scope.actor)


def _queue(scope: Scope, items: Sequence[InboxItem]) -> None:
    receipts = Receipt.objects.of(scope.tenant).filter(pk__in={item.receipt_id for item in items})
    waiting = [ReceiptQueue(receipt_id=receipt.pk, received_at=receipt.received_at) for receipt in receipts]
    ReceiptQueue.objects.of(scope.tenant).bulk_create(waiting, ignore_conflicts=True)
    transaction.on_commit(tasks.wake_processing)


def _audit(
    scope: Scope,
    action: str,
    items: Sequence[InboxItem],
    *,
    after: dict[str, object],
    now: datetime,
    reason: str = "",
) -> None:
    for item in items:
        audit.record(
            scope.tenant,
            actor=scope.actor,
            actor_id=scope.actor_id,
            action=action,
            subject_kind="inboxitem",
            subject_id=item.pk,
            subject=item.source_job or item.host,
            before={"state": "open"},
            after=after,
            reason=reason,
            now=now,
        )
