"""Reads receipts again: puts them back on the queue, where the line replaces what it knew of them.

Called by the inbox and the command ``replay``. Runs are facts as last read: the line keeps their old values as
revisions, reverses their usage and folds the states of their jobs again. A receipt whose bytes are no longer kept stays
as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from msp.backups.models import JobRun
from msp.ingest.models import Assignment, Receipt
from msp.tenants import audit
from msp.tenants.models import Tenant

#: What is compared of a run before and after.
RUN_COLUMNS = ("job_id", "run_key", "operation", "outcome", "good", "ended_at", "protected_bytes", "transferred_bytes",
               "stored_bytes", "revision")  # fmt: skip


@dataclass(frozen=True)
class Queued:
    """Which receipts will be read again, and which cannot be: their bytes are no longer kept."""

    receipt_ids: tuple[int, ...]
    lost_ids: tuple[int, ...]


@dataclass(frozen=True)
class Shown:
    """What is known of a receipt; ``runs`` by their place in it."""

    state: str
    format: str
    reason: str
    error: str
    runs: Mapping[int, Mapping[str, Any]]


# The moment of queueing is that of the wish to replay: an old receipt must not look as if it had waited ever since.
REQUEUE = """
WITH wanted AS (
    SELECT receipt.id, EXISTS (
        SELECT 1 FROM ingest_body body WHERE body.tenant_id = receipt.tenant_id AND body.id = receipt.body_id
        AND body.day = receipt.body_day) AS kept
    FROM ingest_receipt receipt WHERE receipt.tenant_id = %(tenant)s AND receipt.id = ANY(%(ids)s)
), queued AS (
    INSERT INTO ingest_receiptqueue (receipt_id, tenant_id, received_at, attempts)
    SELECT id, %(tenant)s, %(now)s, 0 FROM wanted WHERE kept ORDER BY id
    ON CONFLICT (receipt_id) DO UPDATE SET attempts = 0
)
SELECT id, kept FROM wanted ORDER BY id
"""

MARK = "UPDATE ingest_receipt SET state = 'waiting' WHERE tenant_id = %s AND id = ANY(%s)"


def requeue(tenant_id: int, receipt_ids: Collection[int], *, now: datetime) -> Queued:
    """Put these receipts on the queue, in the caller's transaction. Those of other tenants are not found.

    Locks queue rows, then receipts, as the line does: one that is in hand is waited for, then read again.
    """
    with connection.cursor() as cursor:
        cursor.execute(REQUEUE, {"tenant": tenant_id, "ids": sorted(set(receipt_ids)), "now": now})
        rows = cursor.fetchall()
        queued = Queued(tuple(row[0] for row in rows if row[1]), tuple(row[0] for row in rows if not row[1]))
        cursor.execute(MARK, [tenant_id, list(queued.receipt_ids)])
    return queued


def replay_receipts(
    tenant: Tenant,
    receipt_ids: Collection[int],
    *,
    actor: str,
    now: datetime,
    actor_id: int | None = None,
    reason: str = "",
) -> Queued:
    """The same, with its audit entry."""
    queued = requeue(tenant.pk, receipt_ids, now=now)
    audit.record(
        tenant,
        actor=actor,
        actor_id=actor_id,
        action="receipts replayed",
        subject_kind="receipt",
        subject_id=queued.receipt_ids[0] if len(queued.receipt_ids) == 1 else None,
        subject=f"{len(queued.receipt_ids)} receipts",
        after={"receipts": len(queued.receipt_ids), "bytes_no_longer_kept": len(queued.lost_ids)},
        reason=reason,
        now=now,
    )
    return queued


def find_receipts(
    tenant: Tenant,
    *,
    uids: Collection[str] = (),
    since: datetime | None = None,
    format: str = "",
    in_inbox: bool = False,
    server_id: int | None = None,
    rule_id: int | None = None,
) -> QuerySet[Any]:
    """Receipts that meet all that is asked, oldest first.

    What a person put away, and a conflict that nobody has let through, are found by their uid only: reading many
    receipts again must not bill what was held back on purpose.
    """
    rows = Receipt.objects.of(tenant)
    held_back = Q(state="dismissed") | Q(reason="conflict")
    rows = rows.filter(uid__in=list(uids)) if uids else rows.exclude(held_back)
    if since is not None:
        rows = rows.filter(received_at__gte=since)
    if format:
        rows = rows.filter(format=format)
    if server_id is not None:
        rows = rows.filter(server_id=server_id)
    if rule_id is not None:
        jobs = Assignment.objects.of(tenant).filter(rule_id=rule_id).values("job_id")
        rows = rows.filter(pk__in=JobRun.objects.of(tenant).filter(job_id__in=jobs).values("receipt_id"))
    if in_inbox:
        rows = rows.filter(state="inbox")
    return rows.order_by("received_at", "id")


def show_receipts(tenant_id: int, receipt_ids: Collection[int]) -> dict[int, Shown]:
    """What is known of each receipt now, for telling what a replay changed: two statements."""
    runs: dict[int, dict[int, dict[str, Any]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT receipt_id, place, {', '.join(RUN_COLUMNS)} FROM backups_jobrun "  # noqa: S608
            "WHERE tenant_id = %s AND receipt_id = ANY(%s)",
            [tenant_id, list(receipt_ids)],
        )
        for receipt_id, place, *values in cursor.fetchall():
            runs.setdefault(receipt_id, {})[place] = dict(zip(RUN_COLUMNS, values, strict=True))
    rows = Receipt.objects.of(tenant_id).filter(pk__in=list(receipt_ids))
    return {row.pk: Shown(row.state, row.format, row.reason, row.error, runs.get(row.pk, {})) for row in rows}


def tell_changes(before: Shown, after: Shown) -> Iterator[str]:
    """What a replay changed of one receipt, as sentences; nothing where nothing changed."""
    if (before.format, before.reason, before.error) != (after.format, after.reason, after.error):
        yield f"was {describe(before)}, is {describe(after)}"
    for place in sorted(before.runs.keys() | after.runs.keys()):
        old, new = before.runs.get(place), after.runs.get(place)
        if old is None and new is not None:
            yield f"run {place}: new, {new['operation']} {new['outcome']}"
        elif new is None and old is not None:
            yield f"run {place}: gone, it was {old['operation']} {old['outcome']}"
        elif old is not None and new is not None and old != new:
            changed = [f"{name} {old[name]} -> {new[name]}" for name in RUN_COLUMNS if old[name] != new[name]]
            yield f"run {place}: {', '.join(changed)}"


def describe(shown: Shown) -> str:
    if shown.reason:
        return f"{shown.format or 'no format'} ({shown.reason}: {shown.error})"
    return shown.format or shown.state
