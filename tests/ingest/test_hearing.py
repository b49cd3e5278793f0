"""Hearing: channels and what they brought, when a job was last heard of; deliveries late, twice and replayed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from alerts.models import SubjectState
from msp import pipeline
from msp.backups.models import JobState
from msp.ingest.hearing import DAYS_KEPT, GAPS_KEPT, RECENT_KEPT, Arrival, with_arrivals
from msp.ingest.models import Channel, Receipt, ReceiptQueue
from msp.ingest.storing import Incoming, store
from tests.world import World

NOW = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def world(transactional_db: None) -> World:
    from tests.world import make_world

    return make_world()


def log(ended_at: datetime, **values: Any) -> bytes:
    run = {"operation": "backup", "outcome": "success", "ended_at": ended_at.isoformat(), **values}
    return json.dumps({"backledger": 1, "runs": [run]}).encode()


def take(world: World, content: bytes, *, at: datetime, door: str = "mail", name: str = "", **meta: Any) -> None:
    told = {"job": "files", **({"way": "imap", "channel": "7"} if door == "mail" else {}), **meta}
    store(world.tenant.pk, [Incoming(door, name or at.isoformat(), content, at, world.server.pk, told)], now=at)
    pipeline.process_waiting(now=lambda: at)


def channel(world: World, kind: str = "mailbox") -> Channel:
    found: Channel = Channel.objects.of(world.tenant).get(kind=kind)
    return found


def state(world: World) -> JobState:
    found: JobState = JobState.objects.of(world.tenant).get(job=world.job)
    return found


def test_a_delivery_is_counted_for_its_mailbox_and_its_format_and_heard_of_its_job(world: World) -> None:
    take(world, log(NOW), at=NOW)
    take(world, log(NOW + 2 * HOUR), at=NOW + 2 * HOUR)
    mailbox, form = channel(world), channel(world, "format")
    assert (mailbox.first_received_at, mailbox.last_received_at) == (NOW, NOW + 2 * HOUR)
    assert mailbox.last_read_at == NOW + 2 * HOUR
    assert mailbox.days == {"2026-11-20": [1, 0], "2026-11-21": [1, 0]}
    assert (mailbox.gaps, form.gaps) == ([7200], [7200])
    assert [readable for _, readable in mailbox.recent] == [True, True]
    assert state(world).heard_at == NOW + 2 * HOUR
    assert state(world).channel_ids == sorted([mailbox.pk, form.pk])


def test_what_cannot_be_read_counts_as_such_and_is_looked_at(world: World) -> None:
    take(world, log(NOW), at=NOW)
    SubjectState.objects.of(world.tenant).filter(subject_kind="channel").delete()
    take(world, b"\xff\x00 nothing of ours", at=NOW + timedelta(minutes=5))
    mailbox = channel(world)
    assert mailbox.days == {"2026-11-20": [2, 1]}
    assert mailbox.last_read_at == NOW
    assert [readable for _, readable in mailbox.recent] == [True, False]
    assert channel(world, "format").days == {"2026-11-20": [1, 0]}, "nobody knows what format it was"
    looked = SubjectState.objects.of(world.tenant).filter(subject_kind="channel").values_list("subject_id", flat=True)
    assert list(looked) == [mailbox.pk]
    assert state(world).heard_at == NOW, "it says nothing of the job"


def test_days_are_those_of_the_tenant(world: World) -> None:
    world.tenant.timezone = "Europe/Berlin"
    world.tenant.save()
    take(world, log(NOW), at=NOW)
    assert channel(world).days == {"2026-11-21": [1, 0]}


@pytest.mark.parametrize(
    ("door", "meta", "kinds"),
    [
        ("http", {}, ["format"]),
        ("http", {"channel": "7", "way": "imap"}, ["format"]),
        ("pull", {"channel": "3"}, ["format", "pull"]),
        ("pull", {}, ["format"]),
        ("mail", {"way": "smtp", "channel": ""}, ["format", "mail"]),
        ("folder", {}, ["folder", "format"]),
    ],
)
def test_only_ways_that_many_jobs_share_are_channels(
    world: World, door: str, meta: dict[str, Any], kinds: list[str]
) -> None:
    take(world, log(NOW), at=NOW, door=door, **meta)
    assert sorted(Channel.objects.of(world.tenant).values_list("kind", flat=True)) == kinds


def test_a_replay_is_no_new_delivery_and_hears_nothing_newer(world: World) -> None:
    take(world, log(NOW), at=NOW)
    take(world, log(NOW + HOUR), at=NOW + HOUR)
    before = Channel.objects.of(world.tenant).order_by("id").values("days", "recent", "gaps", "last_received_at")
    kept, heard = list(before), state(world).heard_at
    first = Receipt.objects.of(world.tenant).order_by("received_at")[0]
    ReceiptQueue.objects.of(world.tenant).create(receipt_id=first.pk, received_at=NOW, attempts=0)
    pipeline.process_waiting(now=lambda: NOW + 5 * HOUR)
    assert list(before.all()) == kept
    assert state(world).heard_at == heard


def test_channels_of_another_tenant_are_not_touched(world: World) -> None:
    other = Channel.objects.of(world.other).create(
        kind="mailbox", key="7", name="theirs", first_received_at=NOW, last_received_at=NOW
    )
    take(world, log(NOW + HOUR), at=NOW + HOUR)
    other.refresh_from_db()
    assert (other.last_received_at, other.days) == (NOW, {})
    assert channel(world).pk != other.pk


def test_hearing_takes_as_many_statements_for_many_as_for_few(world: World) -> None:
    def statements(size: int, start: datetime) -> int:
        for number in range(size):
            at = start + timedelta(seconds=number)
            incoming = Incoming("mail", at.isoformat(), log(at), at, world.server.pk,
                                {"way": "imap", "channel": str(number % 5), "job": f"job {number}"})  # fmt: skip
            store(world.tenant.pk, [incoming], now=at)
        with CaptureQueriesContext(connection) as queries:
            pipeline.process_batch(now=start + HOUR, limit=500)
        return sum("ingest_channel" in one["sql"] or "AS heard(" in one["sql"] for one in queries)

    statements(20, NOW)
    assert statements(2, NOW + HOUR / 2) == statements(20, NOW + HOUR) == 4


# --- what a channel keeps


def empty(**values: Any) -> dict[str, Any]:
    return {"id": 1, "first_received_at": NOW, "last_received_at": NOW, "last_read_at": None, "days": {},
            "recent": [], "gaps": [], "timezone": "UTC", **values}  # fmt: skip


def test_what_is_kept_is_bounded() -> None:
    start = int(NOW.timestamp())
    arrivals = [Arrival(start + number * 43200, number % 3 > 0) for number in range(200)]
    row = with_arrivals(empty(), arrivals)
    assert (len(row["days"]), len(row["recent"]), len(row["gaps"])) == (DAYS_KEPT, RECENT_KEPT, GAPS_KEPT)
    assert row["recent"][-1] == [start + 199 * 43200, True]
    assert set(row["gaps"]) == {43200}
    assert max(row["days"]) == row["last_received_at"].date().isoformat()


@given(st.lists(st.tuples(st.integers(0, 40 * 86400), st.booleans()), min_size=1, max_size=20), st.data())
def test_counts_and_newest_do_not_depend_on_the_order_of_arrival(
    told: list[tuple[int, bool]], data: st.DataObject
) -> None:
    arrivals = [Arrival(int(NOW.timestamp()) + at, readable) for at, readable in told]
    at_once = with_arrivals(empty(), arrivals)
    row = empty()
    for arrival in data.draw(st.permutations(arrivals)):
        row = empty(**with_arrivals(row, [arrival]))
    for name in ("recent", "first_received_at", "last_received_at", "last_read_at"):
        assert row[name] == at_once[name]
    if len(at_once["days"]) < DAYS_KEPT:
        assert row["days"] == at_once["days"]
    assert all(gap >= 0 for gap in row["gaps"])
