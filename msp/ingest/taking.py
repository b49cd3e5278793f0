"""Takes waiting receipts off the queue: one tenant's, oldest first, with their bytes.

``pick`` chooses and counts the attempt in a statement of its own, so that the count survives a crash; ``take_batch``
locks and reads them inside the transaction that also processes them, so that a crash gives them back. What was in hand
too often without an end is tried alone, and at last goes to the inbox: one poisonous log stops nobody else's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection, transaction

from msp.ingest.packing import unpack

#: A receipt that was in hand this often without an end is tried alone.
SUSPECT_AFTER = 3
#: One that was tried alone and still did not end is not tried again by itself.
MOST_ATTEMPTS = 6
#: Raw bytes of one batch, so that memory stays bounded; a single larger receipt is a batch of its own.
MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class TakenReceipt:
    """A receipt in hand, with its bytes."""

    id: int
    uid: str
    door: str
    delivery_id: str
    server_id: int | None
    server_timezone: str
    meta: dict[str, Any]
    received_at: datetime
    replayed: bool
    content: bytes


class Row(NamedTuple):
    """A receipt as ``READ`` answers it."""

    id: int
    uid: UUID
    door: str
    delivery_id: str
    server_id: int | None
    server_timezone: str
    meta: Any
    received_at: datetime
    processed: bool
    body_id: int
    body_day: date
    body_offset: int
    body_length: int


@dataclass(frozen=True)
class Batch:
    """Receipts of one tenant. ``replayed_ids`` are those that were processed before: their runs are replaced."""

    tenant_id: int
    receipts: tuple[TakenReceipt, ...]

    @property
    def replayed_ids(self) -> frozenset[int]:
        return frozenset(receipt.id for receipt in self.receipts if receipt.replayed)


@dataclass(frozen=True)
class Picked:
    """What to process next: receipts of one tenant; ``hopeless`` ones go to the inbox instead."""

    tenant_id: int
    receipt_ids: tuple[int, ...]
    hopeless: tuple[int, ...]


class LostBody(Exception):
    """The bytes of a receipt are no longer kept, so it cannot be read again."""


# Steps from tenant to tenant along the index: however many receipts wait, this reads one row a tenant.
TENANTS = """
WITH RECURSIVE waiting AS (
    (SELECT tenant_id FROM ingest_receiptqueue ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT queue.tenant_id FROM ingest_receiptqueue queue WHERE queue.tenant_id > waiting.tenant_id
            ORDER BY queue.tenant_id LIMIT 1)
    FROM waiting WHERE waiting.tenant_id IS NOT NULL
)
SELECT tenant_id FROM waiting WHERE tenant_id IS NOT NULL ORDER BY random()
"""

CHOOSE = """
SELECT queue.attempts, queue.receipt_id, coalesce(receipt.body_length, 0)
FROM ingest_receiptqueue queue LEFT JOIN ingest_receipt receipt ON receipt.id = queue.receipt_id
WHERE queue.tenant_id = %s ORDER BY queue.received_at, queue.receipt_id LIMIT %s FOR UPDATE OF queue SKIP LOCKED
"""

LOCK = """
SELECT receipt_id FROM ingest_receiptqueue WHERE tenant_id = %s AND receipt_id = ANY(%s)
ORDER BY received_at, receipt_id FOR UPDATE SKIP LOCKED
"""

READ = """
SELECT receipt.id, receipt.uid, receipt.door, receipt.delivery_id, receipt.server_id, coalesce(server.timezone, ''),
       receipt.meta, receipt.received_at, receipt.processed_at IS NOT NULL, receipt.body_id, receipt.body_day,
       receipt.body_offset, receipt.body_length
FROM ingest_receipt receipt LEFT JOIN estate_backupserver server ON server.id = receipt.server_id
WHERE receipt.tenant_id = %s AND receipt.id = ANY(%s) ORDER BY receipt.received_at, receipt.id
"""


def pick(limit: int) -> Picked | None:
    """Choose up to ``limit`` receipts of one tenant (chance decides whose, so that none starves the others)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TENANTS)
        for tenant_id in [row[0] for row in cursor.fetchall()]:
            cursor.execute(CHOOSE, [tenant_id, limit])
            picked = sort_out(cursor.fetchall(), tenant_id=tenant_id)
            if picked.receipt_ids or picked.hopeless:
                cursor.execute(
                    "UPDATE ingest_receiptqueue SET attempts = attempts + 1 WHERE receipt_id = ANY(%s)",
                    [list(picked.receipt_ids)],
                )
                return picked
    return None


def sort_out(waiting: Sequence[tuple[int, int, int]], *, tenant_id: int) -> Picked:
    """Of (attempts, receipt id, bytes), oldest first: what to try now, and the hopeless.

    The oldest decides: if it is a suspect it is tried alone, else all sound ones are that fit. So nobody overtakes for
    ever, and of many that were in hand with a poisonous one the others soon get through.
    """
    hopeless = tuple(receipt_id for tried, receipt_id, _ in waiting if tried >= MOST_ATTEMPTS)
    rest = [one for one in waiting if one[0] < MOST_ATTEMPTS]
    if rest and rest[0][0] >= SUSPECT_AFTER:
        return Picked(tenant_id, (rest[0][1],), hopeless)
    return Picked(tenant_id, within_bytes([one for one in rest if one[0] < SUSPECT_AFTER]), hopeless)


def within_bytes(sound: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """The ids of the oldest that fit together; always at least one."""
    fitting: list[int] = []
    total = 0
    for _, receipt_id, size in sound:
        total += size
        if fitting and total > MOST_BYTES:
            break
        fitting.append(receipt_id)
    return tuple(fitting)


def take_batch(tenant_id: int, receipt_ids: Collection[int]) -> Batch | None:
    """Lock and read these receipts, as far as they still wait and nobody else has them; None if none is left."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [tenant_id, sorted(receipt_ids)])
        locked = [row[0] for row in cursor.fetchall()]
        if not locked:
            return None
        cursor.execute(READ, [tenant_id, locked])
        rows = [Row(*row) for row in cursor.fetchall()]
    contents = read_contents(tenant_id, rows)
    return Batch(tenant_id, tuple(take(row, content=contents[row.id]) for row in rows))


def read_contents(tenant_id: int, rows: Sequence[Row]) -> dict[int, bytes]:
    """The bytes of each receipt by its id. Raises LostBody.

    Bodies that many share are decompressed one at a time and only cut from, so that memory holds what is wanted.
    """
    packed = read_bodies(tenant_id, {(row.body_id, row.body_day) for row in rows})
    sharing: dict[int, list[Row]] = {}
    for row in rows:
        sharing.setdefault(row.body_id, []).append(row)
    contents: dict[int, bytes] = {}
    for body_id, sharers in sharing.items():
        if body_id not in packed:
            raise LostBody("its bytes are no longer kept.")
        raw = unpack(*packed.pop(body_id))
        for row in sharers:
            contents[row.id] = raw[row.body_offset : row.body_offset + row.body_length]
    return contents


def read_bodies(tenant_id: int, keys: Collection[tuple[int, date]]) -> dict[int, tuple[str, int, bytes]]:
    """By id, the codec, the raw size and the packed bytes of each body. Days prune the partitions."""
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, codec, size, content FROM ingest_body WHERE tenant_id = %s AND id = ANY(%s) AND day = ANY(%s)",
            [tenant_id, sorted({key[0] for key in keys}), sorted({key[1] for key in keys})],
        )
        return {body_id: (codec, size, bytes(content)) for body_id, codec, size, content in cursor.fetchall()}


def take(row: Row, *, content: bytes) -> TakenReceipt:
    return TakenReceipt(
        id=row.id,
        uid=str(row.uid),
        door=row.door,
        delivery_id=row.delivery_id,
        server_id=row.server_id,
        server_timezone=row.server_timezone,
        meta=orjson.loads(row.meta) if isinstance(row.meta, str) else row.meta,
        received_at=row.received_at,
        replayed=row.processed,
        content=content,
    )
