"""Stores deliveries as received, before anything looks inside them: bodies, a receipt each, the queue; one transaction.

``storing`` is the one way in, whatever the door: a generator that yields statements and is sent their rows, so that the
HTTP door runs it on its own asynchronous connection and ``store`` on Django's. A delivery is unique by (tenant, door,
delivery id): the same again is answered with the first receipt, the same id with other bytes is kept as a conflict in
the inbox. Deliveries of one call may belong to many tenants; small bodies of one tenant share a row.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import orjson
from django.db import connection, transaction

from msp.ingest.packing import Packer

#: A bare post of the same bytes within this bucket is the same delivery.
BUCKET = timedelta(minutes=5)
LONGEST_ID = 200
#: Requests up to this size share a body row; a shared row grows to this many raw bytes, so that reading one is cheap.
SMALL_BYTES, SHARED_BYTES = 64 * 1024, 1024 * 1024

BARE = re.compile(r"([^:]*:bare:[0-9a-f]{64})@(\d+)")

What = Literal["new", "repeat", "conflict"]
Key = tuple[int, str, str]

CONFLICT = "A delivery with this id came before, with other contents. Both are kept; the first was processed."


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
    def earlier_id(self) -> str:
        """The id that the same bare bytes had one bucket ago, "" for a delivery with an id of its own."""
        bare = BARE.fullmatch(self.delivery_id)
        return f"{bare[1]}@{int(bare[2]) - 1}" if bare else ""

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Parcel:
    """What one request brought for one tenant: its bytes, and where in them each of its deliveries begins."""

    tenant_id: int
    content: bytes
    incoming: tuple[Incoming, ...]
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, tenant_id: int, incoming: Sequence[Incoming]) -> Parcel:
        """Deliveries of one tenant, one after the other."""
        offsets, at = [], 0
        for one in incoming:
            offsets.append(at)
            at += len(one.content)
        return cls(tenant_id, b"".join(one.content for one in incoming), tuple(incoming), tuple(offsets))


@dataclass(frozen=True)
class Kept:
    """What became of a delivery: ``uid`` is its receipt's, for a repeat that of the first."""

    what: What
    uid: str
    receipt_id: int


@dataclass(frozen=True)
class Ask:
    """A statement whose rows are wanted."""

    sql: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class SaveBodies:
    """Body rows to compress and copy: id, tenant, raw content. Nothing is sent back."""

    day: Any
    bodies: tuple[tuple[int, int, bytes], ...]

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as they are copied; compressing is the costly part of storing."""
        packer = Packer()
        return [
            (body_id, tenant_id, self.day, len(content), *packer.pack(content))
            for body_id, tenant_id, content in self.bodies
        ]

    @property
    def size(self) -> int:
        return sum(len(content) for _, _, content in self.bodies)


Step = Ask | SaveBodies
Storing = Generator[Step, list[Any], tuple[tuple[Kept, ...], ...]]

COPY_BODIES = "COPY ingest_body (id, tenant_id, day, size, codec, content) FROM STDIN (FORMAT BINARY)"
BODY_TYPES = ("int8", "int8", "date", "int4", "varchar", "bytea")

# Rows go in by the order of their key, so that two writers which bring the same deliveries never wait for each other.
RECEIPTS = """
WITH new AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS post(uid uuid, tenant_id bigint, slot int, door text,
        delivery_id text, earlier_id text, digest text, server_id bigint, body_offset int, body_length int, meta jsonb,
        received_at timestamptz)
), bodies AS MATERIALIZED (
    SELECT slot, nextval(pg_get_serial_sequence('ingest_body', 'id')) AS id
    FROM generate_series(0, %(bodies)s - 1) AS slot
), made AS (
    INSERT INTO ingest_receipt (uid, tenant_id, door, delivery_id, digest, server_id, body_id, body_day, body_offset,
        body_length, meta, state, format, reason, error, runs, received_at)
    SELECT new.uid, new.tenant_id, new.door, new.delivery_id, new.digest, new.server_id, bodies.id, %(day)s,
        new.body_offset, new.body_length, new.meta, 'waiting', '', '', '', 0, new.received_at
    FROM new JOIN bodies USING (slot)
    WHERE NOT EXISTS (
        SELECT 1 FROM ingest_receipt earlier WHERE new.earlier_id <> '' AND earlier.tenant_id = new.tenant_id
        AND earlier.door = new.door AND earlier.delivery_id = new.earlier_id
        AND earlier.received_at > new.received_at - %(bucket)s)
    ORDER BY new.tenant_id, new.door, new.delivery_id, new.received_at
    ON CONFLICT (tenant_id, door, delivery_id) DO NOTHING RETURNING id, uid, tenant_id, body_id, received_at
), queued AS (
    INSERT INTO ingest_receiptqueue (receipt_id, tenant_id, received_at, attempts)
    SELECT id, tenant_id, received_at, 0 FROM made
)
SELECT uid::text, id, body_id FROM made
"""

KNOWN = """
SELECT post.tenant_id, post.door, post.delivery_id, receipt.id, receipt.uid::text, receipt.digest
FROM jsonb_to_recordset(%(rows)s::jsonb) AS post(tenant_id bigint, door text, delivery_id text, earlier_id text,
    received_at timestamptz)
JOIN ingest_receipt receipt ON receipt.tenant_id = post.tenant_id AND receipt.door = post.door
 AND receipt.delivery_id = ANY(ARRAY[post.delivery_id, post.earlier_id])
 AND (receipt.delivery_id = post.delivery_id OR receipt.received_at > post.received_at - %(bucket)s)
ORDER BY receipt.delivery_id = post.delivery_id
"""

TO_INBOX = """
WITH gone AS (
    DELETE FROM ingest_receiptqueue WHERE receipt_id = ANY(%(ids)s)
), told AS (
    UPDATE ingest_receipt SET state = 'inbox', reason = 'conflict', error = %(words)s, processed_at = %(now)s
    WHERE id = ANY(%(ids)s) RETURNING id, tenant_id, server_id
)
INSERT INTO ingest_inboxitem (uid, tenant_id, receipt_id, place, reason, detail, server_id, source_job, item, host,
    format, state, opened_at, settled_by)
SELECT gen_random_uuid(), tenant_id, id, -1, 'conflict', %(words)s, server_id, '', '', '', '', 'open', %(now)s, ''
FROM told ON CONFLICT (tenant_id, receipt_id, place) DO NOTHING RETURNING receipt_id
"""


def bare_delivery_id(content: bytes, read: Mapping[str, Any], *, received_at: datetime) -> str:
    """The id of a delivery that brings none: its bytes, what we read beside them, and a five-minute bucket.

    Put behind ``SERVER:``. The bucket before is looked at, too, so that a repeat within five minutes is always one.
    """
    bucket = int(received_at.timestamp()) // int(BUCKET.total_seconds())
    told = orjson.dumps(dict(read), option=orjson.OPT_SORT_KEYS, default=str)
    digest = hashlib.sha256(content + b"\0" + told).hexdigest()
    return f"bare:{digest}@{bucket}"


# --- running the steps on Django's connection --------------------------------------------------------------------


def store(tenant_id: int, incoming: Sequence[Incoming], *, now: datetime) -> tuple[Kept, ...]:
    """Store deliveries of one tenant in one transaction; answers what became of each, in order."""
    if not incoming:
        return ()
    steps = storing([Parcel.of(tenant_id, incoming)], now=now)
    with transaction.atomic(), connection.cursor() as cursor:
        answer: list[Any] | None = None
        while True:
            try:
                step = steps.send(answer)  # type: ignore[arg-type]  # a generator is started by None
            except StopIteration as end:
                kept: tuple[tuple[Kept, ...], ...] = end.value
                return kept[0]
            answer = run_step(cursor, step)


def run_step(cursor: Any, step: Step) -> list[Any]:
    if isinstance(step, Ask):
        cursor.execute(step.sql, step.values)
        return list(cursor.fetchall())
    with cursor.copy(COPY_BODIES) as copy:
        copy.set_types(BODY_TYPES)
        for row in step.rows():
            copy.write_row(row)
    return []


# --- the steps ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placed:
    """A delivery with its future receipt: which body row (``slot``) holds it, and where."""

    uid: str
    tenant_id: int
    incoming: Incoming
    slot: int
    offset: int

    @property
    def key(self) -> Key:
        return self.tenant_id, self.incoming.door, self.incoming.delivery_id[:LONGEST_ID]

    def row(self) -> dict[str, Any]:
        one = self.incoming
        return {
            "uid": self.uid,
            "tenant_id": self.tenant_id,
            "slot": self.slot,
            "door": one.door,
            "delivery_id": self.key[2],
            "earlier_id": one.earlier_id,
            "digest": one.digest,
            "server_id": one.server_id,
            "body_offset": self.offset,
            "body_length": len(one.content),
            "meta": dict(one.meta),
            "received_at": one.received_at,
        }


@dataclass
class Slot:
    """A body row in the making."""

    tenant_id: int
    pieces: list[bytes]
    size: int


Stored = tuple[int, str, str]


def storing(parcels: Sequence[Parcel], *, now: datetime) -> Storing:
    """Store all parcels in the caller's transaction; answers what became of each delivery, by parcel, in order."""
    placed, slots = pack(parcels)
    first = {(one.key, one.incoming.digest): one for one in reversed(placed)}
    saved: dict[int, int] = {}
    made = yield from insert(tuple(first.values()), slots, saved, now=now)
    known: dict[Key, Stored] = {}
    if len(made) < len(placed):
        known = yield from load_known(first.values())
    conflicts = [one for one in first.values() if one.uid not in made and known[one.key][2] != one.incoming.digest]
    kept_apart: dict[str, Stored] = {}
    if conflicts:
        kept_apart = yield from keep_conflicts(conflicts, slots, saved, now=now)
    if saved:
        yield SaveBodies(now.date(), tuple(body_rows(slots, saved)))
    answers = iter([judge(one, first=first, made=made, known=known, kept_apart=kept_apart) for one in placed])
    return tuple(tuple(next(answers) for _ in parcel.incoming) for parcel in parcels)


def pack(parcels: Sequence[Parcel]) -> tuple[list[Placed], list[Slot]]:
    """Choose the body row of every parcel: its own if it is large, else one shared with others of its tenant."""
    placed: list[Placed] = []
    slots: list[Slot] = []
    shared: dict[int, int] = {}
    for parcel in parcels:
        small = len(parcel.content) <= SMALL_BYTES
        slot = shared.get(parcel.tenant_id) if small else None
        if slot is None or slots[slot].size + len(parcel.content) > SHARED_BYTES:
            slot = len(slots)
            slots.append(Slot(parcel.tenant_id, [], 0))
        if small:
            shared[parcel.tenant_id] = slot
        base = slots[slot].size
        slots[slot].pieces.append(parcel.content)
        slots[slot].size += len(parcel.content)
        for one, offset in zip(parcel.incoming, parcel.offsets, strict=True):
            placed.append(Placed(str(uuid.uuid4()), parcel.tenant_id, one, slot, base + offset))
    return placed, slots


def insert(
    placed: Sequence[Placed], slots: Sequence[Slot], saved: dict[int, int], *, now: datetime
) -> Generator[Step, list[Any], dict[str, int]]:
    """Receipts and queue rows; answers the ids of the new ones by uid; ``saved`` notes which bodies they need."""
    rows = orjson.dumps([one.row() for one in placed]).decode()
    answer = yield Ask(RECEIPTS, {"rows": rows, "bodies": len(slots), "day": now.date(), "bucket": BUCKET})
    slot_of = {one.uid: one.slot for one in placed}
    for uid, _, body_id in answer:
        saved[body_id] = slot_of[uid]
    return {uid: receipt_id for uid, receipt_id, _ in answer}


def load_known(placed: Any) -> Generator[Step, list[Any], dict[Key, Stored]]:
    """The stored receipt of each key: its id, uid and digest."""
    wanted = ("tenant_id", "door", "delivery_id", "earlier_id", "received_at")
    rows = [{name: row[name] for name in wanted} for row in (one.row() for one in placed)]
    answer = yield Ask(KNOWN, {"rows": orjson.dumps(rows).decode(), "bucket": BUCKET})
    return {(row[0], row[1], row[2]): (row[3], row[4], row[5]) for row in answer}


def keep_conflicts(
    conflicts: Sequence[Placed], slots: Sequence[Slot], saved: dict[int, int], *, now: datetime
) -> Generator[Step, list[Any], dict[str, Stored]]:
    """A known id with other bytes: kept under an id of its own, in the inbox, processed only on a person's word."""
    renamed = [renamed_conflict(one) for one in conflicts]
    made = yield from insert(renamed, slots, saved, now=now)
    if made:
        yield Ask(TO_INBOX, {"ids": sorted(made.values()), "words": CONFLICT, "now": now})
    known = yield from load_known(renamed)
    return {one.uid: known[one.key] for one in renamed}


def renamed_conflict(one: Placed) -> Placed:
    """The same bytes under an id that their digest makes their own; the same conflict again is the same receipt."""
    given = one.incoming
    return Placed(
        uid=one.uid,
        tenant_id=one.tenant_id,
        slot=one.slot,
        offset=one.offset,
        incoming=Incoming(
            door=given.door,
            delivery_id=f"{given.delivery_id[:120]}#{given.digest}",
            content=given.content,
            received_at=given.received_at,
            server_id=given.server_id,
            meta={**given.meta, "conflicts_with": one.key[2]},
        ),
    )


def body_rows(slots: Sequence[Slot], saved: Mapping[int, int]) -> Iterator[tuple[int, int, bytes]]:
    for body_id, slot in saved.items():
        pieces = slots[slot].pieces
        yield body_id, slots[slot].tenant_id, pieces[0] if len(pieces) == 1 else b"".join(pieces)


def judge(
    one: Placed,
    *,
    first: Mapping[tuple[Key, str], Placed],
    made: Mapping[str, int],
    known: Mapping[Key, Stored],
    kept_apart: Mapping[str, Stored],
) -> Kept:
    """New, repeat or conflict. Of equal ones in one call the first is new."""
    chosen = first[one.key, one.incoming.digest]
    if chosen.uid in made:
        return Kept("new" if chosen is one else "repeat", chosen.uid, made[chosen.uid])
    if chosen.uid in kept_apart:
        receipt_id, uid, _ = kept_apart[chosen.uid]
        return Kept("conflict", uid, receipt_id)
    receipt_id, uid, _ = known[one.key]
    return Kept("repeat", uid, receipt_id)
