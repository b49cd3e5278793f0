"""Settle: receipts become done or wait in the inbox, and leave the queue; the last step of a batch's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import orjson
from django.db import connection

from integrations.logs.bytes_to_text import clean
from msp.ingest.assigning import Assigned, InboxNote
from msp.ingest.normalising import NormalisedReceipt


def settle(tenant_id: int, normalised: Sequence[NormalisedReceipt], assigned: Assigned, *, now: datetime) -> None:
    """Write what became of each receipt, open its inbox items, take it off the queue; a fixed number of statements."""
    reasons = {note.receipt_id: note for note in reversed(assigned.notes)}
    runs = Counter(run.receipt_id for run in assigned.runs)
    rows = []
    for one in normalised:
        note = reasons.get(one.receipt.id)
        rows.append(
            {
                "id": one.receipt.id,
                "state": "inbox" if note else "done",
                "format": (one.reading.format or "")[:60],
                "reason": note.reason if note else "",
                "error": note.detail if note else "",
                "error_line": note.line if note else None,
                "runs": runs[one.receipt.id],
            }
        )
    write_receipts(tenant_id, rows, now=now)
    write_notes(tenant_id, assigned.notes, [one.receipt.id for one in normalised], now=now)
    leave_queue(tenant_id, [one.receipt.id for one in normalised])
    queue_again(tenant_id, assigned.made_on, now=now)


def settle_failed(tenant_id: int, receipt_id: int, *, error: Exception | str, now: datetime) -> None:
    """A receipt that fails by itself: kept, shown with its error, replayed once the cause is mended.

    Runs that an earlier reading found stay as they are.
    """
    words = clean(error if isinstance(error, str) else f"{type(error).__name__}: {error}", 500)
    note = InboxNote(receipt_id=receipt_id, place=-1, reason="failed", detail=f"Processing failed: {words}")
    row = {"id": receipt_id, "state": "inbox", "format": "", "reason": "failed", "error": note.detail,
           "error_line": None, "runs": None}  # fmt: skip
    write_receipts(tenant_id, [row], now=now)
    write_notes(tenant_id, [note], [receipt_id], now=now)
    leave_queue(tenant_id, [receipt_id])


def write_receipts(tenant_id: int, rows: Sequence[Mapping[str, object]], *, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingest_receipt receipt SET state = new.state, format = new.format, reason = new.reason, "
            "error = new.error, error_line = new.error_line, runs = coalesce(new.runs, receipt.runs), "
            "processed_at = %s "
            "FROM jsonb_to_recordset(%s::jsonb) AS new(id bigint, state text, format text, reason text, error text, "
            "error_line int, runs int) WHERE receipt.tenant_id = %s AND receipt.id = new.id",
            [now, orjson.dumps(rows).decode(), tenant_id],
        )


def write_notes(tenant_id: int, notes: Sequence[InboxNote], receipt_ids: Sequence[int], *, now: datetime) -> None:
    """Items of these receipts that no longer apply (after a replay) are settled, the others opened or renewed."""
    rows = [asdict(note) for note in notes]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingest_inboxitem item SET state = 'settled', settled_at = %s, settled_by = 'replay' "
            "WHERE item.tenant_id = %s AND item.receipt_id = ANY(%s) AND item.state = 'open' AND NOT EXISTS ("
            "SELECT 1 FROM jsonb_to_recordset(%s::jsonb) AS new(receipt_id bigint, place int) "
            "WHERE new.receipt_id = item.receipt_id AND new.place = item.place)",
            [now, tenant_id, list(receipt_ids), orjson.dumps(rows).decode()],
        )
        if not rows:
            return
        cursor.execute(
            "INSERT INTO ingest_inboxitem (uid, tenant_id, receipt_id, place, reason, detail, line, server_id, "
            "source_job, item, host, format, told, state, opened_at, settled_by) "
            "SELECT gen_random_uuid(), %s, receipt_id, place, reason, detail, line, server_id, source_job, "
            "item, left(host, 255), format, told, 'open', %s, '' "
            "FROM jsonb_to_recordset(%s::jsonb) AS new(receipt_id bigint, place int, reason text, detail text, "
            "line int, server_id bigint, source_job text, item text, host text, format text, told jsonb) "
            "ON CONFLICT (tenant_id, receipt_id, place) DO UPDATE SET reason = excluded.reason, "
            "detail = excluded.detail, line = excluded.line, format = excluded.format, told = excluded.told, "
            "state = 'open', settled_at = NULL, settled_by = '' "
            "WHERE ingest_inboxitem.state <> 'dismissed' RETURNING receipt_id, place",
            [tenant_id, now, orjson.dumps(rows).decode()],
        )
        opened = set(cursor.fetchall())
    dismissed = {note.receipt_id for note in notes if (note.receipt_id, note.place) not in opened}
    if dismissed:
        close_dismissed(tenant_id, dismissed)


def close_dismissed(tenant_id: int, receipt_ids: Collection[int]) -> None:
    """Receipts that were read again and hold nothing open but what a person had dismissed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingest_receipt receipt SET state = CASE WHEN runs > 0 THEN 'done' ELSE 'dismissed' END "
            "WHERE tenant_id = %s AND id = ANY(%s) AND state = 'inbox' "
            "AND NOT EXISTS (SELECT 1 FROM ingest_inboxitem item WHERE item.state = 'open' "
            "AND item.tenant_id = receipt.tenant_id AND item.receipt_id = receipt.id)",
            [tenant_id, sorted(receipt_ids)],
        )


def queue_again(tenant_id: int, server_ids: Collection[int], *, now: datetime) -> None:
    """New jobs may be what waiting runs of their server looked for (a check that came before the first backup).

    They wait from now on: with the day of their arrival the queue would look as if it had stood still since.
    """
    if not server_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_receiptqueue (receipt_id, tenant_id, received_at, attempts) "
            "SELECT receipt.id, receipt.tenant_id, %(now)s, 0 FROM ingest_receipt receipt "
            "WHERE receipt.tenant_id = %(tenant)s AND receipt.id IN (SELECT item.receipt_id FROM ingest_inboxitem item "
            "WHERE item.tenant_id = %(tenant)s AND item.server_id = ANY(%(servers)s) AND item.state = 'open' "
            "AND item.reason = 'unassigned') ON CONFLICT (receipt_id) DO NOTHING",
            {"tenant": tenant_id, "servers": sorted(server_ids), "now": now},
        )


def leave_queue(tenant_id: int, receipt_ids: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM ingest_receiptqueue WHERE tenant_id = %s AND receipt_id = ANY(%s)",
            [tenant_id, list(receipt_ids)],
        )
