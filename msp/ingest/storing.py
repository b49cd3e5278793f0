"""Stores deliveries as received, before anything looks inside them: one body for many, a receipt each, the queue.

Used by the commands and the demonstration; the HTTP door's writer uses the same statements on its own connection. A
delivery is unique by (tenant, door, delivery id): the same again is answered with the first receipt, the same id with
other bytes is kept as a conflict in the inbox.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
import zstandard
from django.db import connection, transaction

from msp.ingest.models import InboxItem

#: A bare post of the same bytes within this bucket is the same delivery.
BUCKET = timedelta(minutes=5)
LEVEL = 3

What = Literal["new", "repeat", "conflict"]


@dataclass(frozen=True)
class Incoming:
    """One delivery. ``meta`` is what the door knows besides its bytes; see ``msp.ingest.normalising`` for its keys."""

    door: str
    delivery_id: str
    content: bytes
    received_at: datetime
    server_id: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Kept:
    """What became of a delivery: ``uid`` is its receipt's, for a repeat that of the first."""

    what: What
    uid: str
    receipt_id: int


def bare_delivery_id(content: bytes, read: Mapping[str, Any], *, received_at: datetime) -> str:
    """The id of a delivery that brings none: its bytes, what we read beside them, and a five-minute bucket."""
    bucket = int(received_at.timestamp()) // int(BUCKET.total_seconds())
    told = orjson.dumps(dict(read), option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(content + b"\0" + told + b"\0" + str(bucket).encode()).hexdigest()


RECEIPTS = """
INSERT INTO ingest_receipt (uid, tenant_id, door, delivery_id, digest, server_id, body_id, body_day, body_offset,
    body_length, meta, state, format, reason, error, runs, received_at)
SELECT uid, %(tenant)s, door, delivery_id, digest, server_id, %(body)s, %(day)s, body_offset, body_length, meta,
    'waiting', '', '', '', 0, received_at
FROM jsonb_to_recordset(%(rows)s::jsonb) AS new(uid uuid, door text, delivery_id text, digest text, server_id bigint,
    body_offset int, body_length int, meta jsonb, received_at timestamptz)
ON CONFLICT (tenant_id, door, delivery_id) DO NOTHING RETURNING id, uid
"""


def store(tenant_id: int, incoming: Sequence[Incoming], *, now: datetime) -> tuple[Kept, ...]:
    """Store deliveries of one tenant in one transaction; answers what became of each, in order."""
    if not incoming:
        return ()
    with transaction.atomic():
        new = insert_receipts(tenant_id, incoming, now=now)
        known = load_known(tenant_id, incoming)
        kept, conflicts = judge(incoming, new=new, known=known)
        for index, uid in keep_conflicts(tenant_id, incoming, conflicts, now=now).items():
            kept[index] = Kept("conflict", *uid)
    return tuple(kept[index] for index in range(len(incoming)))


def insert_receipts(tenant_id: int, incoming: Sequence[Incoming], *, now: datetime) -> dict[str, int]:
    """Body, receipts and queue rows; answers the ids of the new receipts by uid."""
    rows, offset = [], 0
    for one in incoming:
        rows.append(receipt_row(one, offset=offset))
        offset += len(one.content)
    body_id = insert_body(tenant_id, b"".join(one.content for one in incoming), now=now)
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "body": body_id,
        "day": now.date(),
        "rows": orjson.dumps(rows).decode(),
    }
    with connection.cursor() as cursor:
        cursor.execute(RECEIPTS, values)
        made = {str(uid): receipt_id for receipt_id, uid in cursor.fetchall()}
        cursor.execute(
            "INSERT INTO ingest_receiptqueue (receipt_id, tenant_id, received_at, attempts) "
            "SELECT id, tenant_id, received_at, 0 FROM ingest_receipt WHERE tenant_id = %s AND id = ANY(%s)",
            [tenant_id, list(made.values())],
        )
    return made


def receipt_row(one: Incoming, *, offset: int) -> dict[str, Any]:
    return {
        "uid": str(uuid.uuid4()),
        "door": one.door,
        "delivery_id": one.delivery_id[:200],
        "digest": one.digest,
        "server_id": one.server_id,
        "body_offset": offset,
        "body_length": len(one.content),
        "meta": dict(one.meta),
        "received_at": one.received_at,
    }


def insert_body(tenant_id: int, content: bytes, *, now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_body (tenant_id, day, size, codec, content) "
            "VALUES (%s, %s, %s, 'zstd', %s) RETURNING id",
            [tenant_id, now.date(), len(content), zstandard.ZstdCompressor(level=LEVEL).compress(content)],
        )
        return int(cursor.fetchone()[0])


def load_known(tenant_id: int, incoming: Sequence[Incoming]) -> dict[tuple[str, str], tuple[int, str, str]]:
    """The stored receipt of each (door, delivery id): its id, uid and digest."""
    wanted = [{"door": one.door, "delivery_id": one.delivery_id[:200]} for one in incoming]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT receipt.door, receipt.delivery_id, receipt.id, receipt.uid, receipt.digest "
            "FROM jsonb_to_recordset(%s::jsonb) AS wanted(door text, delivery_id text) JOIN ingest_receipt receipt "
            "ON receipt.tenant_id = %s AND receipt.door = wanted.door AND receipt.delivery_id = wanted.delivery_id",
            [orjson.dumps(wanted).decode(), tenant_id],
        )
        return {(door, delivery): (receipt, str(uid), digest) for door, delivery, receipt, uid, digest in cursor}


def judge(
    incoming: Sequence[Incoming], *, new: Mapping[str, int], known: Mapping[tuple[str, str], tuple[int, str, str]]
) -> tuple[dict[int, Kept], list[int]]:
    """New, repeat, or (by index) conflict. Of equal ones in one call the first is new."""
    kept: dict[int, Kept] = {}
    conflicts: list[int] = []
    unseen = set(new)
    for index, one in enumerate(incoming):
        receipt_id, uid, digest = known[one.door, one.delivery_id[:200]]
        if digest != one.digest:
            conflicts.append(index)
        elif uid in unseen:
            unseen.discard(uid)
            kept[index] = Kept("new", uid, receipt_id)
        else:
            kept[index] = Kept("repeat", uid, receipt_id)
    return kept, conflicts


def keep_conflicts(
    tenant_id: int, incoming: Sequence[Incoming], conflicts: Sequence[int], *, now: datetime
) -> dict[int, tuple[str, int]]:
    """A known id with other bytes: kept under an id of its own, in the inbox, processed only on a person's word."""
    if not conflicts:
        return {}
    renamed = [
        Incoming(
            door=incoming[index].door,
            delivery_id=f"{incoming[index].delivery_id[:120]}#{incoming[index].digest}",
            content=incoming[index].content,
            received_at=incoming[index].received_at,
            server_id=incoming[index].server_id,
            meta={**incoming[index].meta, "conflicts_with": incoming[index].delivery_id[:200]},
        )
        for index in conflicts
    ]
    made = insert_receipts(tenant_id, renamed, now=now)
    known = load_known(tenant_id, renamed)
    ids = list(made.values())
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM ingest_receiptqueue WHERE tenant_id = %s AND receipt_id = ANY(%s)", [tenant_id, ids]
        )
        cursor.execute(
            "UPDATE ingest_receipt SET state = 'inbox', reason = 'conflict', error = %s, processed_at = %s "
            "WHERE tenant_id = %s AND id = ANY(%s)",
            [CONFLICT, now, tenant_id, ids],
        )
    InboxItem.objects.of(tenant_id).bulk_create(
        [InboxItem(receipt_id=receipt_id, reason="conflict", detail=CONFLICT, opened_at=now) for receipt_id in ids],
        ignore_conflicts=True,
    )
    found = {one.delivery_id: known[one.door, one.delivery_id] for one in renamed}
    return {
        index: (found[one.delivery_id][1], found[one.delivery_id][0])
        for index, one in zip(conflicts, renamed, strict=True)
    }


CONFLICT = "A delivery with this id came before, with other contents. Both are kept; the first was processed."
