"""Who may see the raw body of a delivery that holds, held or may come to hold what is somebody else's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from msp import pipeline
from msp.estate.queries import Reach
from msp.estate.spans import Actor
from msp.ingest.inbox import assign_items, dismiss_items
from msp.ingest.models import Assignment, InboxItem, Receipt
from msp.ingest.queries import may_see_whole
from msp.ingest.replaying import requeue
from msp.ingest.storing import Incoming, store
from tests.world import World, make_job

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
PERSON = Actor(name="tech@northwind.example", now=NOW, reason="told by the client")
OURS, THEIRS = "bakery", "dental"


@pytest.fixture
def shared(world: World) -> World:
    """A server that backs up a client of the reseller and one that is not its own, and holds what is unknown."""
    for item, client in ((OURS, world.resold_client), (THEIRS, world.client)):
        job = make_job(world.tenant, world.server, client, item)
        Assignment.objects.of(world.tenant).filter(job=job).update(source_job="nightly", item=item)
    world.server.new_jobs = "hold"
    world.server.save()
    return world


def run(item: str, **values: Any) -> dict[str, Any]:
    return {"operation": "backup", "outcome": "success", "item": item, "job": "nightly", "run_id": item, **values}


def post(world: World, *runs: dict[str, Any], name: str = "1") -> int:
    content = json.dumps({"backledger": 1, "runs": runs}).encode()
    (kept,) = store(world.tenant.pk, [Incoming("http", name, content, NOW, world.server.pk)], now=NOW)
    process()
    return kept.receipt_id


def process() -> None:
    pipeline.process_waiting(now=lambda: NOW)


def sees(world: World, receipt_id: int, *, reach: Reach | None = None) -> bool:
    """Whether the reseller (or who is given) may see all of this receipt."""
    receipt = Receipt.objects.of(world.tenant).get(pk=receipt_id)
    return may_see_whole(reach or Reach(world.tenant.pk, frozenset({world.reseller.pk})), receipt)


def test_a_delivery_of_ones_own_runs_is_seen_whole(shared: World) -> None:
    receipt = post(shared, run(OURS), run(OURS, run_id="2"))
    assert sees(shared, receipt)
    nobody = Reach(shared.tenant.pk, frozenset())
    assert not sees(shared, receipt, reach=nobody)


def test_a_delivery_that_is_shared_is_seen_whole_by_staff_only(shared: World) -> None:
    receipt = post(shared, run(OURS), run(THEIRS))
    assert not sees(shared, receipt)
    assert sees(shared, receipt, reach=Reach(shared.tenant.pk))


def test_it_stays_shared_when_a_later_log_tells_the_others_run_anew(shared: World) -> None:
    started = "2026-11-20T04:00:00Z"
    receipt = post(shared, run(OURS), run(THEIRS, outcome="running", started_at=started))
    later = post(shared, run(THEIRS, started_at=started, ended_at="2026-11-20T05:00:00Z"), name="2")
    runs = {row.pk: row.runs for row in Receipt.objects.of(shared.tenant)}
    assert runs == {receipt: 2, later: 1}
    assert not sees(shared, receipt)
    assert not sees(shared, later)


def test_what_nobody_has_placed_may_be_anybodys(shared: World) -> None:
    receipt = post(shared, run(OURS), run("nobody's"))
    assert not sees(shared, receipt)
    dismiss_items(shared.tenant, [InboxItem.objects.of(shared.tenant).get().pk], actor=PERSON)
    assert Receipt.objects.of(shared.tenant).get(pk=receipt).state == "done"
    assert not sees(shared, receipt)


@pytest.mark.parametrize(("job_of", "whole"), [(OURS, True), (THEIRS, False)])
def test_once_placed_it_is_seen_as_soon_as_it_was_read_again_and_not_before(
    shared: World, job_of: str, whole: bool
) -> None:
    receipt = post(shared, run(OURS), run("nobody's"))
    job = Assignment.objects.of(shared.tenant).get(source_job="nightly", item=job_of).job
    assign_items(shared.tenant, [InboxItem.objects.of(shared.tenant).get().pk], job_id=job.pk, actor=PERSON)
    assert not sees(shared, receipt)
    process()
    assert sees(shared, receipt) is whole


def test_while_it_waits_to_be_read_again_it_is_not_seen(shared: World) -> None:
    receipt = post(shared, run(OURS))
    requeue(shared.tenant.pk, [receipt], now=NOW)
    assert not sees(shared, receipt)
    process()
    assert sees(shared, receipt)


def test_a_log_that_could_not_be_read_and_one_of_another_tenant_are_not_seen(shared: World) -> None:
    unread = post(shared, {"operation": "nonsense"})
    assert Receipt.objects.of(shared.tenant).get(pk=unread).runs == 0
    assert not sees(shared, unread)
    own = post(shared, run(OURS), name="2")
    for reach in (Reach(shared.other.pk), Reach(shared.other.pk, frozenset({shared.reseller.pk}))):
        assert not sees(shared, own, reach=reach)
