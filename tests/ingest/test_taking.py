"""Taking receipts off the queue: oldest first, within memory, fair to every tenant, suspects alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection, transaction

from msp import pipeline
from msp.ingest import taking
from msp.ingest.models import Body, InboxItem, Receipt, ReceiptQueue
from msp.ingest.storing import SHARED_BYTES, SMALL_BYTES, Incoming, store
from msp.ingest.taking import LostBody, pick, take_batch
from tests.world import World, make_world

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def put(world: World, *contents: bytes, tenant_id: int | None = None, name: str = "") -> list[int]:
    incoming = [
        Incoming("http", f"{name}{number}", content, NOW + timedelta(seconds=number))
        for number, content in enumerate(contents)
    ]
    return [kept.receipt_id for kept in store(tenant_id or world.tenant.pk, incoming, now=NOW)]


def attempts(world: World) -> list[int]:
    rows = ReceiptQueue.objects.of(world.tenant).order_by("received_at", "receipt_id")
    return list(rows.values_list("attempts", flat=True))


def test_the_oldest_are_picked_first_and_their_attempt_is_counted(world: World) -> None:
    ids = put(world, b"1", b"2", b"3")
    picked = pick(2)
    assert picked is not None
    assert (picked.tenant_id, picked.receipt_ids, picked.hopeless) == (world.tenant.pk, tuple(ids[:2]), ())
    assert attempts(world) == [1, 1, 0]


def test_what_does_not_fit_in_memory_together_is_not_tried_and_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MOST_BYTES", 100)
    ids = put(world, b"x" * 60, b"x" * 40, b"x" * 1, b"x" * 500)
    for expected in ([ids[0], ids[1]], [ids[2]], [ids[3]]):
        picked = pick(500)
        assert picked is not None
        assert list(picked.receipt_ids) == expected
        ReceiptQueue.objects.of(world.tenant).filter(receipt_id__in=expected).delete()
    assert pick(500) is None


def test_a_suspect_at_the_head_is_tried_alone_and_one_behind_waits_its_turn(world: World) -> None:
    ids = put(world, b"1", b"2", b"3")
    queue = ReceiptQueue.objects.of(world.tenant)
    queue.filter(receipt_id=ids[1]).update(attempts=taking.SUSPECT_AFTER)
    picked = pick(500)
    assert picked is not None
    assert picked.receipt_ids == (ids[0], ids[2])
    queue.filter(receipt_id__in=[ids[0], ids[2]]).delete()
    late = put(world, b"4", name="late")
    queue.filter(receipt_id=late[0]).update(received_at=NOW + timedelta(hours=1))
    alone = pick(500)
    assert alone is not None
    assert alone.receipt_ids == (ids[1],)
    assert queue.get(receipt_id=ids[1]).attempts == taking.SUSPECT_AFTER + 1
    assert queue.get(receipt_id=late[0]).attempts == 0


def test_a_hopeless_receipt_goes_to_the_inbox_and_the_rest_land(world: World) -> None:
    ids = put(world, b"1", b"2")
    ReceiptQueue.objects.of(world.tenant).filter(receipt_id=ids[0]).update(attempts=taking.MOST_ATTEMPTS)
    assert pipeline.process_waiting(now=lambda: NOW) == 2
    assert list(Receipt.objects.of(world.tenant).order_by("id").values_list("reason", flat=True)) == [
        "failed",
        "unrecognised",
    ]
    assert InboxItem.objects.of(world.tenant).count() == 2


def test_no_tenant_starves(world: World) -> None:
    put(world, *[b"x%d" % number for number in range(50)])
    put(world, b"y", tenant_id=world.other.pk)
    seen = set()
    for _ in range(40):
        picked = pick(1)
        assert picked is not None
        seen.add(picked.tenant_id)
        ReceiptQueue.unwalled.update(attempts=0)
    assert seen == {world.tenant.pk, world.other.pk}


@pytest.mark.django_db(transaction=True)
def test_what_another_worker_has_in_hand_is_passed_over_and_another_tenant_found() -> None:
    world = make_world()
    held = put(world, b"1", b"2")
    put(world, b"y", tenant_id=world.other.pk)
    settings = connection.settings_dict
    address = {"host": settings["HOST"], "port": settings["PORT"], "user": settings["USER"]}
    with psycopg.connect(**address, dbname=settings["NAME"], password=settings["PASSWORD"] or None) as worker:
        worker.execute("SELECT 1 FROM ingest_receiptqueue WHERE receipt_id = ANY(%s) FOR UPDATE", [held])
        for _ in range(5):
            picked = pick(10)
            assert picked is not None
            assert picked.tenant_id == world.other.pk
        with transaction.atomic():
            assert take_batch(world.tenant.pk, held) is None
    with transaction.atomic():
        batch = take_batch(world.tenant.pk, held)
    assert batch is not None
    assert [receipt.content for receipt in batch.receipts] == [b"1", b"2"]


def test_receipts_of_another_tenant_are_never_taken(world: World) -> None:
    ids = put(world, b"1")
    assert take_batch(world.other.pk, ids) is None


def test_small_logs_share_bodies_large_ones_do_not_and_each_gets_its_own_bytes(world: World) -> None:
    contents = [b"%d" % number * (SMALL_BYTES // 20) for number in range(10, 50)] + [b"L" * (SMALL_BYTES + 1), b"tail"]
    # each in a call of its own is a request of its own only at the door: there requests are packed together
    ids = [put(world, content, name=str(number))[0] for number, content in enumerate(contents)]
    batch = take_batch(world.tenant.pk, ids)
    assert batch is not None
    assert {receipt.id: receipt.content for receipt in batch.receipts} == dict(zip(ids, contents, strict=True))
    assert all(body.size <= SHARED_BYTES for body in Body.objects.of(world.tenant))


def test_a_receipt_whose_bytes_are_gone_says_so_and_stops_nobody(world: World) -> None:
    ids = put(world, b"1") + put(world, b"2", name="b")
    first = Receipt.objects.of(world.tenant).get(pk=ids[0])
    Body.objects.of(world.tenant).filter(pk=first.body_id).delete()
    with pytest.raises(LostBody):
        take_batch(world.tenant.pk, ids)
    pipeline.process_waiting(now=lambda: NOW)
    first.refresh_from_db()
    assert (first.state, first.reason) == ("inbox", "failed")
    assert "no longer kept" in first.error
    assert Receipt.objects.of(world.tenant).get(pk=ids[1]).reason == "unrecognised"
