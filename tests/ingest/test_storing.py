"""Storing many parcels at once: which share a body, and what becomes of equal ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connection

from msp.ingest.models import Body, InboxItem, Receipt, ReceiptQueue
from msp.ingest.storing import SHARED_BYTES, SMALL_BYTES, Incoming, Kept, Parcel, pack, run_step, storing
from msp.ingest.taking import take_batch
from tests.world import World

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def parcel(tenant_id: int, content: bytes, *, name: str) -> Parcel:
    return Parcel.of(tenant_id, [Incoming("http", name, content, NOW)])


def store_all(*parcels: Parcel) -> list[Kept]:
    steps = storing(parcels, now=NOW)
    answer: Any = None
    with connection.cursor() as cursor:
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return [kept for of_parcel in end.value for kept in of_parcel]
            answer = run_step(cursor, step)


def test_requests_of_many_tenants_are_stored_together_each_behind_its_wall(world: World) -> None:
    ours, theirs = world.tenant.pk, world.other.pk
    kept = store_all(parcel(ours, b"one", name="1"), parcel(theirs, b"two", name="1"), parcel(ours, b"three", name="2"))
    assert [one.what for one in kept] == ["new"] * 3
    assert Body.objects.of(world.tenant).count() == Body.objects.of(world.other).count() == 1
    batch = take_batch(ours, [one.receipt_id for one in kept])
    assert batch is not None
    assert [receipt.content for receipt in batch.receipts] == [b"one", b"three"]


def test_a_large_request_has_a_body_of_its_own_and_small_ones_share_up_to_a_limit() -> None:
    small = [parcel(1, b"s" * SMALL_BYTES, name=str(number)) for number in range(SHARED_BYTES // SMALL_BYTES + 1)]
    placed, slots = pack([small[0], parcel(1, b"L" * (SMALL_BYTES + 1), name="large"), *small[1:]])
    assert [one.slot for one in placed[:3]] == [0, 1, 0]
    assert [slot.size for slot in slots] == [SHARED_BYTES, SMALL_BYTES + 1, SMALL_BYTES]


def test_new_repeat_and_conflict_in_one_call(world: World) -> None:
    ours = world.tenant.pk
    (first,) = store_all(parcel(ours, b"a", name="1"))
    kept = store_all(
        parcel(ours, b"a", name="1"), parcel(ours, b"b", name="1"), parcel(ours, b"c", name="2"),
        parcel(ours, b"c", name="2"), parcel(ours, b"b", name="1"),
    )  # fmt: skip
    assert [one.what for one in kept] == ["repeat", "conflict", "new", "repeat", "conflict"]
    assert kept[0].uid == first.uid
    assert kept[2].uid == kept[3].uid
    assert kept[1].uid == kept[4].uid
    assert Receipt.objects.of(world.tenant).count() == 3
    assert InboxItem.objects.of(world.tenant).get().receipt_id == kept[1].receipt_id
    assert ReceiptQueue.objects.of(world.tenant).count() == 2
    (again,) = store_all(parcel(ours, b"b", name="1"))
    assert (again.what, again.uid) == ("conflict", kept[1].uid)
