"""A delivery with runs of two clients: neither a reseller of the one nor a stranger sees a line of the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from msp import pipeline
from msp.api.queries import find_receipt
from msp.backups.models import JobRun
from msp.backups.queries import RunDetail, find_run
from msp.dashboard.receipts import WINDOW_CHARACTERS, Delivered, Line, read_delivered, show_log
from msp.estate.queries import Reach
from msp.ingest.models import Assignment, InboxItem, Receipt
from msp.ingest.storing import Incoming, store
from tests.world import World, make_job

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
OURS, THEIRS = "bakery", "dental"


@pytest.fixture
def shared(world: World) -> World:
    """One log of one server: a run of the reseller's client, then a run of a client that is not its own."""
    clients = {OURS: world.resold_client, THEIRS: world.client}
    for item, client in clients.items():
        job = make_job(world.tenant, world.server, client, item)
        Assignment.objects.of(world.tenant).filter(job=job).update(source_job="nightly", item=item)
    post(world, OURS, THEIRS)
    return world


def post(world: World, *items: str, name: str = "1") -> None:
    runs = [{"operation": "backup", "outcome": "success", "item": item, "job": "nightly"} for item in items]
    content = json.dumps({"backledger": 1, "runs": runs}, indent=1).encode()
    store(world.tenant.pk, [Incoming("http", name, content, NOW, world.server.pk)], now=NOW)
    pipeline.process_waiting(now=lambda: NOW)


def send(world: World, name: str, *runs: dict[str, str]) -> None:
    told = [{"operation": "backup", "outcome": "success", "job": "nightly", **run} for run in runs]
    content = json.dumps({"backledger": 1, "runs": told}, indent=1).encode()
    store(world.tenant.pk, [Incoming("http", name, content, NOW, world.server.pk)], now=NOW)
    pipeline.process_waiting(now=lambda: NOW)


def reseller(world: World) -> Reach:
    return Reach(world.tenant.pk, frozenset({world.reseller.pk}))


def run_of(world: World, item: str, *, reach: Reach) -> RunDetail | None:
    client = world.resold_client if item == OURS else world.client
    run = JobRun.objects.of(world.tenant).filter(client_id=client.pk).order_by("id").last()
    assert run is not None
    return find_run(reach, run.uid, month=run.filed_month)


def seen(world: World, item: str, *, reach: Reach) -> Delivered:
    run = run_of(world, item, reach=reach)
    assert run is not None
    delivered = read_delivered(reach, run)
    assert delivered is not None
    return delivered


def test_staff_see_the_whole_delivery(shared: World) -> None:
    delivered = seen(shared, OURS, reach=Reach(shared.tenant.pk))
    assert delivered.whole
    assert THEIRS in "".join(line.text for line in delivered.lines)


def test_a_reseller_sees_the_lines_of_its_run_and_none_where_they_are_not_known(shared: World) -> None:
    hidden = seen(shared, OURS, reach=reseller(shared))
    assert (hidden.whole, hidden.lines) == (False, ())
    text = seen(shared, OURS, reach=Reach(shared.tenant.pk)).lines
    first = next(line.number for line in text if OURS in line.text)
    JobRun.objects.of(shared.tenant).filter(client_id=shared.resold_client.pk).update(
        first_line=first - 1, last_line=first
    )
    lines = seen(shared, OURS, reach=reseller(shared)).lines
    assert [line.number for line in lines] == [first - 1, first]
    assert THEIRS not in "".join(line.text for line in lines)
    assert run_of(shared, THEIRS, reach=reseller(shared)) is None


def test_a_reseller_sees_the_whole_of_a_delivery_that_is_its_own(shared: World) -> None:
    post(shared, OURS, name="2")
    assert seen(shared, OURS, reach=reseller(shared)).whole


def test_a_run_that_nobody_placed_hides_the_delivery_too(shared: World) -> None:
    shared.server.new_jobs = "hold"
    shared.server.save()
    post(shared, OURS, "nobody's", name="2")
    assert InboxItem.objects.of(shared.tenant).count() == 1
    assert not seen(shared, OURS, reach=reseller(shared)).whole


def test_a_delivery_stays_shared_when_a_later_log_tells_the_others_run_anew(shared: World) -> None:
    started = {"run_id": "t1", "started_at": "2026-11-20T04:00:00Z"}
    send(shared, "2", {"item": OURS, "run_id": "o1"}, {"item": THEIRS, "outcome": "running", **started})
    send(shared, "3", {"item": THEIRS, "ended_at": "2026-11-20T05:00:00Z", **started})
    delivered = seen(shared, OURS, reach=reseller(shared))
    assert not delivered.whole
    assert THEIRS not in "".join(line.text for line in delivered.lines)


def test_the_api_tells_no_reason_that_may_be_anothers(shared: World) -> None:
    shared.server.new_jobs = "hold"
    shared.server.save()
    post(shared, OURS, "nobody's", name="2")
    receipt = Receipt.objects.of(shared.tenant).get(delivery_id="2")
    for reach, whole in ((reseller(shared), False), (Reach(shared.tenant.pk), True)):
        shown = find_receipt(reach, receipt.uid)
        assert shown is not None
        assert shown.whole is whole


def test_a_page_of_long_lines_is_cut_and_the_next_begins_where_it_ended(shared: World) -> None:
    run = run_of(shared, OURS, reach=Reach(shared.tenant.pk))
    assert run is not None
    lines = [Line(number, "x" * 20_000) for number in range(1, 101)]
    start: int | None = 1
    numbers: list[int] = []
    while start is not None:
        page = show_log(lines, run, whole=True, start=start)
        assert 0 < sum(len(line.text) for line in page.lines) <= WINDOW_CHARACTERS
        numbers += [line.number for line in page.lines]
        start = page.next_start
    assert numbers == list(range(1, 101))
    assert len(show_log([Line(1, "x" * (WINDOW_CHARACTERS + 1))], run, whole=True).lines) == 1


def test_a_stranger_finds_neither(shared: World) -> None:
    for reach in (Reach(shared.other.pk), Reach(shared.other.pk, frozenset({shared.reseller.pk}))):
        assert run_of(shared, OURS, reach=reach) is None
        assert run_of(shared, THEIRS, reach=reach) is None
