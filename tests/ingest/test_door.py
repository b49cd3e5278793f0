"""The ingest door over real HTTP: durable before the answer, repeats, refusals, bombs, concurrency."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import requests
import zstandard
from django.db import connection

from msp.ingest import door_keys, door_requests
from msp.ingest.door_bodies import Budget
from msp.ingest.door_keys import KeyRing
from msp.ingest.models import Body, InboxItem, Receipt, ReceiptQueue
from msp.ingest.packing import unpack
from msp.ingest.storing import bare_delivery_id
from msp.tenants.models import ApiKey, Tenant
from tests.ingest.running_door import RunningDoor
from tests.world import START, World, make_key, make_server, make_world

LOGS, BATCH = "/api/v1/logs", "/api/v1/logs/batch"
ENVELOPE = {"Content-Type": "application/vnd.backledger.envelope+json"}


@pytest.fixture
def world(transactional_db: None) -> World:
    return make_world()


@pytest.fixture
def door(world: World) -> Iterator[RunningDoor]:
    with RunningDoor() as running:
        yield running


def receipts(world: World) -> list[Receipt]:
    return list(Receipt.objects.of(world.tenant).order_by("id"))


def test_a_log_is_stored_as_it_came_before_the_answer(world: World, door: RunningDoor) -> None:
    answer = door.post(f"{LOGS}?job=nightly&exit_code=3&timezone=Europe/Berlin", b"a log \xff", key=world.server_key)
    assert answer.status_code == 202
    (receipt,) = receipts(world)
    assert answer.json() == {"receipt": str(receipt.uid), "repeat": False}
    assert (receipt.server_id, receipt.state) == (world.server.pk, "waiting")
    assert (receipt.meta["job"], receipt.meta["exit_code"]) == ("nightly", 3)
    body = Body.objects.of(world.tenant).get(pk=receipt.body_id)
    raw = unpack(body.codec, body.size, bytes(body.content))
    assert raw[receipt.body_offset : receipt.body_offset + receipt.body_length] == b"a log \xff"
    assert ReceiptQueue.objects.of(world.tenant).get().receipt_id == receipt.pk
    assert door.woken_in_the_end() == 1  # the answer does not wait for it


def test_the_same_delivery_is_one_and_answers_with_the_first_receipt(world: World, door: RunningDoor) -> None:
    keyed = {"Idempotency-Key": "night 1"}
    first = door.post(LOGS, b"a", key=world.server_key, headers=keyed)
    again = door.post(LOGS, b"a", key=world.server_key, headers=keyed)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == {"receipt": first.json()["receipt"], "repeat": True}
    other = door.post(LOGS, b"b", key=world.server_key, headers=keyed)
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    kept = Receipt.objects.of(world.tenant).get(uid=other.json()["receipt"])
    assert (kept.state, kept.reason) == ("inbox", "conflict")
    assert InboxItem.objects.of(world.tenant).get().receipt_id == kept.pk
    once_more = door.post(LOGS, b"b", key=world.server_key, headers=keyed)
    assert once_more.status_code == 409
    assert len(receipts(world)) == 2


def test_fifty_equal_posts_at_once_are_one_receipt(world: World, door: RunningDoor) -> None:
    def post(_: int) -> int:
        headers = {"Idempotency-Key": "same"}
        return door.post(LOGS, b"same", key=world.server_key, headers=headers).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(post, range(50)))
    assert sorted(statuses) == [200] * 49 + [202]
    assert len(receipts(world)) == 1


def test_bare_posts_of_equal_bytes_are_one_within_five_minutes_and_two_on_two_nights() -> None:
    at = datetime(2026, 11, 20, 6, 0, 10, tzinfo=UTC)
    told = {"job": "x"}
    same = bare_delivery_id(b"log", told, received_at=at)
    assert same == bare_delivery_id(b"log", told, received_at=at + timedelta(minutes=4))
    assert same != bare_delivery_id(b"log", told, received_at=at + timedelta(minutes=5))
    assert same != bare_delivery_id(b"log", {"job": "y"}, received_at=at)
    assert same != bare_delivery_id(b"log2", told, received_at=at)


def test_two_servers_that_send_the_same_bytes_do_not_meet(world: World, door: RunningDoor) -> None:
    _, second_key = make_server(world.tenant, "backup02", client=world.client)
    for key in (world.server_key, second_key):
        for headers in ({}, {"Idempotency-Key": "1"}):
            assert door.post(LOGS, b"silent", key=key, headers=headers).status_code == 202
    assert len(receipts(world)) == 4


def test_an_envelope_is_checked_and_its_run_id_names_the_delivery(world: World, door: RunningDoor) -> None:
    body = json.dumps({"stdout": "x", "exit_code": 0, "run_id": "r-1"})
    assert door.post(LOGS, body, key=world.server_key, headers=ENVELOPE).status_code == 202
    assert door.post(LOGS, body, key=world.server_key, headers=ENVELOPE).status_code == 200
    for bad, word in (
        (b"{", "JSON"), (b"[]", "object"), (b'{"stdot": "x"}', "stdout"), (b'{"stdout": 3}', "stdout"),
        (b'{"stdout": "x", "exit_code": "many"}', "exit_code"), (b"[" * 100_000, "JSON"),
    ):  # fmt: skip
        answer = door.post(LOGS, bad, key=world.server_key, headers=ENVELOPE)
        assert answer.status_code == 400, bad[:40]
        assert word in answer.json()["detail"]
    zone = json.dumps({"stdout": "x", "timezone": "Mars/Base"})
    assert door.post(LOGS, zone, key=world.server_key, headers=ENVELOPE).status_code == 202


def test_a_plain_json_body_is_a_log_whatever_it_holds(world: World, door: RunningDoor) -> None:
    headers = {"Content-Type": "application/json"}
    assert door.post(LOGS, b"{not json", key=world.server_key, headers=headers).status_code == 202


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic x"}, {"X-Api-Key": "bl_" + "x" * 43}])
def test_a_wrong_key_is_refused(world: World, door: RunningDoor, headers: dict[str, str]) -> None:
    answer = requests.post(f"{door.url}{LOGS}", data=b"x", headers=headers, timeout=10)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 401
    assert not receipts(world)


def test_keys_that_are_revoked_expired_or_for_other_things_are_refused(world: World, door: RunningDoor) -> None:
    def status(key: str) -> int:
        return door.post(LOGS, b"x", key=key).status_code

    revoked = make_key(world.tenant, "revoked", scopes=["ingest"], revoked_at=START)
    expired = make_key(world.tenant, "expired", scopes=["ingest"], expires_at=START)
    assert [status(key) for key in (revoked, expired, world.api_key)] == [401, 401, 403]
    Tenant.objects.filter(pk=world.other.pk).update(state="suspended")
    assert status(world.other_server_key) == 401
    by_query = requests.post(f"{door.url}{LOGS}?key={world.server_key}", data=b"x", timeout=10)
    assert by_query.status_code == 202
    assert ApiKey.objects.of(world.tenant).get(server_id=world.server.pk).last_used_at is not None


def test_a_key_brings_logs_of_its_own_tenant_only(world: World, door: RunningDoor) -> None:
    door.post(LOGS, b"x", key=world.other_server_key, headers={"Idempotency-Key": "1"})
    door.post(LOGS, b"y", key=world.server_key, headers={"Idempotency-Key": "1"})
    assert (len(receipts(world)), Receipt.objects.of(world.other).count()) == (1, 1)


def compressed(encoding: str, body: bytes) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body)
    return zlib.compress(body) if encoding == "deflate" else zstandard.compress(body)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_compressed_bodies_are_unpacked_and_bombs_are_not(world: World, door: RunningDoor, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    assert door.post(LOGS, compressed(encoding, b"x" * 1000), key=world.server_key, headers=headers).status_code == 202
    assert receipts(world)[0].body_length == 1000
    bomb = compressed(encoding, b"\0" * 200_000_000)
    assert len(bomb) < 1_000_000
    answer = door.post(LOGS, bomb, key=world.server_key, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
    broken = door.post(LOGS, b"not compressed", key=world.server_key, headers=headers)
    assert broken.status_code == 400
    assert len(receipts(world)) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_batch_may_be_compressed_and_is_held_to_the_same_limit(
    world: World, door: RunningDoor, encoding: str
) -> None:
    headers = {"Content-Encoding": encoding}
    lines = b"".join(b'{"stdout": "log %d"}\n' % number for number in range(20))
    answer = door.post(BATCH, compressed(encoding, lines), key=world.server_key, headers=headers)
    assert (answer.status_code, len(answer.text.splitlines()), len(receipts(world))) == (202, 20, 20)
    bomb = compressed(encoding, b'{"stdout": "' + b"x" * 200_000_000 + b'"}\n')
    assert door.post(BATCH, bomb, key=world.server_key, headers=headers).status_code == 413
    torn = compressed(encoding, lines)[:-4]
    assert door.post(BATCH, torn, key=world.server_key, headers=headers).status_code == 400
    assert len(receipts(world)) == 20


def test_too_large_empty_and_unknown_are_refused_with_a_sentence(world: World, door: RunningDoor) -> None:
    key = world.server_key

    def status(path: str = LOGS, body: Any = b"x", **headers: str) -> int:
        answer = door.post(path, body, key=key, headers={k.replace("_", "-"): v for k, v in headers.items()})
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.json()["detail"]) > 20
        return answer.status_code

    assert status(body=b"x" * 1_000_001) == 413
    assert status(body=iter([b"x" * 400_000] * 4)) == 413
    assert status(body=b"") == 400
    assert status(path=f"{LOGS}?exitcode=1") == 400
    assert status(path=f"{LOGS}?exit_code=one") == 400
    assert status(Content_Encoding="br") == 415
    assert status(Idempotency_Key="x" * 200) == 400
    assert requests.get(f"{door.url}{LOGS}", timeout=10).status_code == 405
    assert requests.get(f"{door.url}/elsewhere", timeout=10).text == "behind the door"
    assert not receipts(world)


def test_hostile_parameters_are_cleaned(world: World, door: RunningDoor) -> None:
    path = f"{LOGS}?job=a%00b%0d%0a%1b[31m&host=%ff%ed%a0%80"
    assert door.post(path, b"x", key=world.server_key).status_code == 202
    meta = receipts(world)[0].meta
    assert meta["job"] == "ab"
    assert meta["host"].isprintable()


def test_a_batch_answers_each_line_and_a_bad_line_fails_alone(world: World, door: RunningDoor) -> None:
    lines = [b'{"stdout": "one", "run_id": "1"}', b"{bad", b'{"stdout": "two", "run_id": "2"}', b'{"nonsense": 1}',
             b'{"stdout": "one", "run_id": "1"}']  # fmt: skip
    answer = door.post(BATCH, b"\n".join(lines), key=world.server_key)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["status"] for one in told] == [202, 400, 202, 400, 200]
    assert [one["index"] for one in told] == [0, 1, 2, 3, 4]
    assert told[4]["receipt"] == told[0]["receipt"]
    assert len({receipt.body_id for receipt in receipts(world)}) == 1
    too_many = b"\n".join([b'{"stdout": "x"}'] * 1001)
    assert door.post(BATCH, too_many, key=world.server_key).status_code == 413


def test_equal_lines_of_one_batch_are_different_logs_and_the_batch_again_is_the_same(
    world: World, door: RunningDoor
) -> None:
    body = b"\n\n".join([b'{"stdout": "", "exit_code": 0, "command": "rsync -a /a /b"}'] * 3) + b"\n"
    first = [json.loads(line) for line in door.post(BATCH, body, key=world.server_key).text.splitlines()]
    assert [(one["index"], one["status"]) for one in first] == [(0, 202), (2, 202), (4, 202)]
    again = [json.loads(line) for line in door.post(BATCH, body, key=world.server_key).text.splitlines()]
    assert [one["status"] for one in again] == [200, 200, 200]
    assert [one["receipt"] for one in again] == [one["receipt"] for one in first]
    assert len(receipts(world)) == 3
    assert receipts(world)[0].received_at != receipts(world)[1].received_at


def test_a_batch_tells_by_its_status_whether_every_line_landed(world: World, door: RunningDoor) -> None:
    good, bad = b'{"stdout": "x", "run_id": "1"}', b"{"
    assert door.post(BATCH, good, key=world.server_key).status_code == 202
    answer = door.post(BATCH, bad + b"\n" + good, key=world.server_key)
    assert (answer.status_code, answer.headers["content-type"]) == (207, "application/x-ndjson")
    assert door.post(BATCH, b"\n \n", key=world.server_key).status_code == 400
    conflict = door.post(BATCH, b'{"stdout": "other", "run_id": "1"}', key=world.server_key)
    assert (conflict.status_code, json.loads(conflict.text)["status"]) == (207, 409)


def test_a_batch_may_name_itself_and_its_lines_then_follow(world: World, door: RunningDoor) -> None:
    headers = {"Idempotency-Key": "spool 7"}
    body = b'{"stdout": "a"}\n{"stdout": "b", "run_id": "r"}'
    door.post(BATCH, body, key=world.server_key, headers=headers)
    ids = [receipt.delivery_id.split(":", 1)[1] for receipt in receipts(world)]
    assert sorted(ids) == ["key:spool 7/0", "run:r"]


def test_an_envelope_may_be_posted_as_plain_json(world: World, door: RunningDoor) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert door.post(LOGS, b'{"stdout": "x", "exit_code": 0}', key=world.server_key, headers=headers).ok
    assert door.post(LOGS, b'{"Data": {"ParsedResult": "Success"}}', key=world.server_key, headers=headers).ok
    first, second = receipts(world)
    assert first.meta == {"envelope": True}
    assert second.meta == {"content_type": "application/json; charset=utf-8"}


def test_members_of_a_compressed_body_follow_each_other_and_a_torn_one_is_refused(
    world: World, door: RunningDoor
) -> None:
    def post(encoding: str, body: bytes) -> requests.Response:
        headers = {"Content-Encoding": encoding, "Idempotency-Key": encoding}
        return door.post(LOGS, body, key=world.server_key, headers=headers)

    bare = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(b"one") + gzip.compress(b"two"),
        "zstd": zstandard.compress(b"one") + zstandard.compress(b"two"),
        "deflate": bare.compress(b"onetwo") + bare.flush(),
    }
    for encoding, body in packed.items():
        assert post(encoding, body).status_code == 202, encoding
        assert post(encoding, body[:-3]).status_code == 400, encoding
    assert [receipt.body_length for receipt in receipts(world)] == [6, 6, 6]


def test_a_large_log_is_worked_on_apart_and_stored_whole(world: World, door: RunningDoor) -> None:
    log = b"".join(b"%d line\n" % number for number in range(80_000))
    assert len(log) > 512 * 1024
    headers = {"Content-Encoding": "gzip"}
    assert door.post(LOGS, gzip.compress(log), key=world.server_key, headers=headers).status_code == 202
    (receipt,) = receipts(world)
    body = Body.objects.of(world.tenant).get(pk=receipt.body_id)
    assert unpack(body.codec, body.size, bytes(body.content)) == log


def test_repeats_do_not_fill_the_store(world: World, door: RunningDoor) -> None:
    for _ in range(3):
        door.post(LOGS, b"same", key=world.server_key, headers={"Idempotency-Key": "1"})
    assert Body.objects.of(world.tenant).count() == 1


def key_ring(door: RunningDoor) -> KeyRing:
    """There is one after the first request."""
    assert door.door._parts is not None
    return door.door._parts[0]


def test_a_revoked_key_stops_once_it_is_no_longer_remembered(
    world: World, door: RunningDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_keys, "FOUND_SECONDS", 3600)
    assert door.post(LOGS, b"1", key=world.server_key).status_code == 202
    ApiKey.objects.of(world.tenant).filter(server_id=world.server.pk).update(revoked_at=START)
    assert door.post(LOGS, b"2", key=world.server_key).status_code == 202
    remembered = key_ring(door)._remembered
    remembered.update({digest: (time.monotonic(), sender) for digest, (_, sender) in remembered.items()})
    assert door.post(LOGS, b"3", key=world.server_key).status_code == 401


def test_a_remembered_key_stops_at_the_moment_it_expires(world: World, door: RunningDoor) -> None:
    key = make_key(world.tenant, "short", scopes=["ingest"], expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert door.post(LOGS, b"1", key=key).status_code == 202
    key_ring(door)._now = lambda: datetime.now(UTC) + timedelta(hours=1)
    assert door.post(LOGS, b"2", key=key).status_code == 401


def test_guessing_fills_no_memory(world: World, door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_keys, "MOST_REMEMBERED", 5)
    for number in range(12):
        assert door.post(LOGS, b"x", key=f"bl_guess{number:030}").status_code == 401
    assert door.post(LOGS, b"x", key=world.server_key).status_code == 202
    assert len(key_ring(door)._remembered) == 5


@contextmanager
def nobody_can_write(world: World) -> Iterator[None]:
    """Another connection holds the table, so that no commit ends."""
    settings = connection.settings_dict
    with psycopg.connect(
        host=settings["HOST"], port=settings["PORT"], user=settings["USER"], dbname=settings["NAME"],
        password=settings["PASSWORD"] or None,
    ) as holding:  # fmt: skip
        holding.execute("LOCK TABLE ingest_receipt IN EXCLUSIVE MODE")
        yield
        holding.rollback()


def wait_for_waiting(door: RunningDoor, number: int) -> None:
    """Until so many deliveries are in hand; 20 seconds at most, for the senders themselves wait 30."""
    assert door.door._parts is not None
    deadline = time.monotonic() + 20
    while door.door._parts[1]._waiting < number:
        assert time.monotonic() < deadline, "the deliveries did not reach the queue"
        time.sleep(0.02)


def test_a_full_queue_asks_for_patience_and_stores_nothing_of_it(world: World) -> None:
    with RunningDoor(queue_size=3) as door, ThreadPoolExecutor(5) as pool:
        assert door.post(LOGS, b"before", key=world.server_key).status_code == 202
        with nobody_can_write(world):
            waiting = [pool.submit(door.post, LOGS, b"%d" % number, key=world.server_key) for number in range(3)]
            wait_for_waiting(door, 3)
            refused = door.post(LOGS, b"too many", key=world.server_key)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
            assert refused.headers["content-type"] == "application/problem+json"
            assert not any(one.done() for one in waiting)
        assert [one.result().status_code for one in waiting] == [202, 202, 202]
        assert door.post(LOGS, b"after", key=world.server_key).status_code == 202
    assert len(receipts(world)) == 5


def test_what_requests_hold_together_is_bounded(world: World, door: RunningDoor) -> None:
    door.door._budget = Budget(100)
    assert door.post(LOGS, b"x" * 101, key=world.server_key).status_code == 429
    for _ in range(3):
        assert door.post(LOGS, b"x" * 99, key=world.server_key).status_code in (200, 202)


def test_stopping_writes_what_waits_first(world: World) -> None:
    with ThreadPoolExecutor(1) as pool:
        with RunningDoor() as door:
            assert door.post(LOGS, b"before", key=world.server_key).status_code == 202
            with nobody_can_write(world):
                waiting = pool.submit(door.post, LOGS, b"late", key=world.server_key)
                time.sleep(0.5)
                door.begin_stop()
                time.sleep(0.5)
                assert not waiting.done()
        assert waiting.result().status_code == 202
    assert len(receipts(world)) == 2


def test_nothing_is_acknowledged_while_the_database_is_away_and_it_recovers(world: World, door: RunningDoor) -> None:
    assert door.post(LOGS, b"before", key=world.server_key).status_code == 202
    parts = door.door._parts
    assert parts is not None
    database = parts[1]._database
    good = dict(database._parameters)
    end_other_connections()
    database._parameters = {**good, "port": 1}
    answer = door.post(LOGS, b"during", key=world.server_key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert answer.headers["content-type"] == "application/problem+json"
    database._parameters = good
    assert door.post(LOGS, b"after", key=world.server_key).status_code == 202
    assert [receipt.body_length for receipt in receipts(world)] == [6, 5]


def test_a_connection_that_was_lost_is_replaced_without_a_word(world: World, door: RunningDoor) -> None:
    assert door.post(LOGS, b"before", key=world.server_key).status_code == 202
    end_other_connections()
    assert door.post(LOGS, b"after", key=world.server_key).status_code == 202


def end_other_connections() -> None:
    """What a restart of the database server does to the door's connections."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'backledger door' "
            "AND datname = current_database()"
        )


def test_what_the_database_refuses_fails_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # lets a NUL through, as an unknown fault would
    monkeypatch.setattr(door_requests, "clean", lambda text, limit=1000: text)
    lines = [b'{"stdout": "a", "run_id": "1"}', b'{"stdout": "b", "run_id": "2"}']
    with RunningDoor() as door, ThreadPoolExecutor(4) as pool:
        assert door.post(LOGS, b"before", key=world.server_key).status_code == 202
        with nobody_can_write(world):
            first = pool.submit(door.post, LOGS, b"first", key=world.server_key)
            time.sleep(0.3)
            bad = pool.submit(door.post, f"{LOGS}?job=%00", b"x", key=world.server_key)
            good = pool.submit(door.post, BATCH, b"\n".join(lines), key=world.server_key)
            time.sleep(0.7)
        assert (first.result().status_code, bad.result().status_code, good.result().status_code) == (202, 500, 202)
    assert len(receipts(world)) == 4


def test_two_deliveries_of_one_id_with_different_bytes_at_once_are_one_and_a_conflict(world: World) -> None:
    headers = {"Idempotency-Key": "same"}
    with RunningDoor() as door, ThreadPoolExecutor(4) as pool:
        assert door.post(LOGS, b"before", key=world.server_key).status_code == 202
        with nobody_can_write(world):
            blocker = pool.submit(door.post, LOGS, b"blocker", key=world.server_key)
            time.sleep(0.3)
            both = [pool.submit(door.post, LOGS, body, key=world.server_key, headers=headers) for body in (b"a", b"b")]
            time.sleep(0.7)
        assert blocker.result().status_code == 202
        assert sorted(one.result().status_code for one in both) == [202, 409]
    assert sorted(receipt.state for receipt in receipts(world)) == ["inbox", "waiting", "waiting", "waiting"]
    assert ReceiptQueue.objects.of(world.tenant).count() == 3


def test_two_writers_that_bring_the_same_in_other_orders_do_not_block_each_other(world: World) -> None:
    names = [f"run-{number:03}" for number in range(200)]
    forth = b"\n".join(json.dumps({"stdout": "x", "run_id": name}).encode() for name in names)
    back = b"\n".join(json.dumps({"stdout": "x", "run_id": name}).encode() for name in reversed(names))
    with RunningDoor() as one, RunningDoor() as two, ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(door.post, BATCH, body, key=world.server_key)
            for _ in range(3)
            for door, body in ((one, forth), (two, back))
        ]
        assert [answer.result().status_code for answer in answers] == [202] * 6
    assert len(receipts(world)) == 200
