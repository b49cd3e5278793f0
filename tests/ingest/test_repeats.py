"""A bare post again: within five minutes it is the same delivery, on both sides of the clock's edge; later another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from msp.ingest.models import Receipt
from msp.ingest.storing import Incoming, Kept, bare_delivery_id, store
from tests.world import World

#: A moment at which a bucket of five minutes begins.
EDGE = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def post(world: World, at: datetime, *, content: bytes = b"Number of files: 1", server: int | None = None) -> Kept:
    server_id = server or world.server.pk
    named = f"{server_id}:{bare_delivery_id(content, {'job': 'x'}, received_at=at)}"
    return store(world.tenant.pk, [Incoming("http", named, content, at, server_id)], now=at)[0]


@pytest.mark.parametrize("seconds", [1, 60, 299])
@pytest.mark.parametrize("start", [EDGE, EDGE - timedelta(seconds=1), EDGE + timedelta(seconds=150)])
def test_a_repeat_within_five_minutes_is_the_same_delivery(world: World, start: datetime, seconds: int) -> None:
    first = post(world, start)
    again = post(world, start + timedelta(seconds=seconds))
    assert (again.what, again.uid) == ("repeat", first.uid)
    assert Receipt.objects.of(world.tenant).count() == 1


@pytest.mark.parametrize("wait", [timedelta(minutes=10), timedelta(days=1)])
def test_the_same_bytes_later_are_another_delivery(world: World, wait: timedelta) -> None:
    post(world, EDGE)
    assert post(world, EDGE + wait).what == "new"


def test_other_bytes_or_another_server_are_another_delivery(world: World) -> None:
    post(world, EDGE - timedelta(seconds=1))
    assert post(world, EDGE, content=b"Number of files: 2").what == "new"
    assert post(world, EDGE, server=world.server.pk + 1).what == "new"
