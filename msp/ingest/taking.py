"""Takes waiting receipts off the queue: one tenant's, oldest first, with their bytes.

``pick`` chooses and counts the attempt in a statement of its own, so that the count survives a crash; ``take_batch``
locks and reads them inside the transaction that also processes them, so that a crash gives them back. What was in hand
too often without an end is tried alone, and at last goes to the inbox: one poisonous log stops nobody else's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import zstandard
from django.db import connection, transaction

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


CHOOSE = """
SELECT tenant_id, receipt_id, attempts FROM ingest_receiptqueue WHERE tenant_id = (
    SELECT tenant_id FROM (SELECT DISTINCT tenant_id FROM ingest_receiptqueue) AS waiting ORDER BY random() LIMIT 1)
ORDER BY received_at, receipt_id LIMIT %s FOR UPDATE SKIP LOCKED
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
        cursor.execute(CHOOSE, [limit])
        rows = cursor.fetchall()
        if not rows:
            return None
        picked = sort_out([(attempts, receipt_id) for _, receipt_id, attempts in rows], tenant_id=rows[0][0])
        cursor.execute(
            "UPDATE ingest_receiptqueue SET attempts = attempts + 1 WHERE receipt_id = ANY(%s)",
            [list(picked.receipt_ids)],
        )
    return picked


def sort_out(attempts: Sequence[tuple[int, int]], *, tenant_id: int) -> Picked:
    """Of (attempts, receipt id): the sound ones together, else the least tried suspect alone; and the hopeless."""
    hopeless = tuple(receipt_id for tried, receipt_id in attempts if tried >= MOST_ATTEMPTS)
    sound = tuple(receipt_id for tried, receipt_id in attempts if tried < SUSPECT_AFTER)
    suspects = sorted((tried, receipt_id) for tried, receipt_id in attempts if SUSPECT_AFTER <= tried < MOST_ATTEMPTS)
    return Picked(tenant_id, sound or tuple(receipt_id for _, receipt_id in suspects[:1]), hopeless)


def take_batch(tenant_id: int, receipt_ids: Collection[int]) -> Batch | None:
    """Lock and read these receipts, as far as they still wait and nobody else has them; None if none is left."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [tenant_id, sorted(receipt_ids)])
        locked = [row[0] for row in cursor.fetchall()]
        if not locked:
            return None
        cursor.execute(READ, [tenant_id, locked])
        rows = within_bytes(cursor.fetchall())
        bodies = read_bodies(tenant_id, {(row[9], row[10]) for row in rows})
    return Batch(tenant_id, tuple(take(row, bodies=bodies) for row in rows))


def within_bytes(rows: Sequence[Any]) -> list[Any]:
    """The oldest rows that fit; always at least one. The others stay queued (their lock ends with the transaction)."""
    fitting: list[Any] = []
    total = 0
    for row in rows:
        total += row[12]
        if fitting and total > MOST_BYTES:
            break
        fitting.append(row)
    return fitting


def read_bodies(tenant_id: int, keys: Collection[tuple[int, Any]]) -> dict[int, bytes]:
    """Decompressed bodies by id. Days prune the partitions."""
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, size, content FROM ingest_body WHERE tenant_id = %s AND id = ANY(%s) AND day = ANY(%s)",
            [tenant_id, sorted({key[0] for key in keys}), sorted({key[1] for key in keys})],
        )
        return {
            body_id: zstandard.ZstdDecompressor().decompress(bytes(content), max_output_size=size)
            for body_id, size, content in cursor.fetchall()
        }


def take(row: Any, *, bodies: dict[int, bytes]) -> TakenReceipt:
    meta = orjson.loads(row[6]) if isinstance(row[6], str) else row[6]
    return TakenReceipt(
        id=row[0],
        uid=str(row[1]),
        door=row[2],
        delivery_id=row[3],
        server_id=row[4],
        server_timezone=row[5],
        meta=meta,
        received_at=row[7],
        replayed=row[8],
        content=bodies[row[9]][row[11] : row[11] + row[12]],
    )
