"""Pull sources from running doubles of their products: runs in the database, none lost, none doubled, failures told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from integrations.pulling import CONNECTORS, Pulled
from msp import pipeline, tasks
from msp.backups.models import JobRun
from msp.channels import claiming, polling, pulling
from msp.channels.models import PullSource
from msp.channels.pulling import check_source, columns_of, poll_source
from msp.ingest.models import InboxItem, Receipt
from tests.integrations.pulling.benches import Bench, open_bench
from tests.world import START, World

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(params=sorted(CONNECTORS))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """At the present: what was stored is compared with the arrival."""
    with open_bench(request.param) as opened:
        opened.server.clock = now().replace(microsecond=0)
        yield opened


@pytest.fixture
def comet() -> Iterator[Bench]:
    with open_bench("comet") as opened:
        opened.server.clock = now().replace(microsecond=0)
        yield opened


def make_source(world: World, bench: Bench, **values: Any) -> PullSource:
    """A source that asks this double and is due since long."""
    changed = values.pop("changed", {})
    given: dict[str, Any] = {
        "server": world.server, "name": f"Our {bench.kind}", "kind": bench.kind, "check_after": START,
        "created_at": now(), "every_minutes": 10, **columns_of(bench.config(**changed)),
    }  # fmt: skip
    row: PullSource = PullSource.objects.of(world.tenant).create(**given | values)
    return row


def poll(row: PullSource) -> PullSource:
    """Poll it at once; answers the row afterwards."""
    rows = PullSource.objects.of(row.tenant_id).filter(pk=row.pk)
    rows.update(check_after=START)
    polling.poll_due({PullSource: poll_source}, now=now, is_time_up=lambda: False)
    fresh: PullSource = rows.get()
    return fresh


def receipts(world: World) -> list[Receipt]:
    return list(Receipt.objects.of(world.tenant).order_by("pk"))


# --- what is fetched ---------------------------------------------------------------------------------------------


def test_a_job_there_becomes_a_run_here(world: World, bench: Bench) -> None:
    ended = bench.server.clock - HOUR
    bench.end_job(ended)
    row = make_source(world, bench)
    assert tasks.poll() == 1
    row = PullSource.objects.of(world.tenant).get(pk=row.pk)
    assert (row.last_error, row.failures, row.claim_token) == ("", 0, None)
    assert row.last_success_at is not None
    assert row.check_after > now()
    pipeline.process_waiting(now=now)
    [run] = JobRun.objects.of(world.tenant)
    assert (run.outcome, run.operation, run.ended_at) == ("success", "backup", ended)
    [receipt] = receipts(world)
    assert (receipt.door, receipt.state, receipt.format) == ("pull", "done", bench.connector.FORMATS[0])


def test_asking_again_makes_nothing_double(world: World, bench: Bench) -> None:
    for minutes in (50, 40, 30):
        bench.end_job(bench.server.clock - timedelta(minutes=minutes))
    row = poll(poll(make_source(world, bench)))
    assert (len(receipts(world)), row.last_error) == (3, "")
    PullSource.objects.of(world.tenant).update(cursor={})
    poll(row)
    assert len(receipts(world)) == 3
    assert not InboxItem.objects.of(world.tenant).filter(reason="conflict").exists()


def test_a_run_that_was_fetched_running_is_one_run_when_it_has_ended(world: World, bench: Bench) -> None:
    handle = bench.start_job(bench.server.clock - 3 * HOUR)
    row = poll(make_source(world, bench))
    pipeline.process_waiting(now=now)
    bench.finish(handle, bench.server.clock)
    poll(row)
    pipeline.process_waiting(now=now)
    [run] = JobRun.objects.of(world.tenant)
    assert (run.outcome, run.ended_at) == ("success", bench.server.clock)


def test_more_than_one_fetch_holds_is_fetched_in_one_go(world: World, bench: Bench) -> None:
    for _ in range(bench.most):
        bench.end_job(bench.server.clock - HOUR)
    row = poll(make_source(world, bench))
    assert (len(receipts(world)), row.last_error) == (bench.most, "")


def test_the_time_being_up_the_rest_follows_at_once(world: World, comet: Bench) -> None:
    for _ in range(230):
        comet.end_job(comet.server.clock - HOUR)
    row = make_source(world, comet)
    asked = iter([False, True])
    polling.poll_due({PullSource: poll_source}, now=now, is_time_up=lambda: next(asked, True))
    assert len(receipts(world)) < 230
    row = PullSource.objects.of(world.tenant).get(pk=row.pk)
    assert row.check_after <= now()
    poll(row)
    assert len(receipts(world)) == 230


def test_one_source_serves_many_clients(world: World, comet: Bench) -> None:
    """Each protected item is a job of its own, whoever it belongs to."""
    at = comet.server.clock - HOUR
    comet.server.add(started=at, ended=at, Username="contoso", SourceGUID="source-of-contoso")
    comet.server.add(started=at, ended=at, Username="fabrikam", SourceGUID="source-of-fabrikam")
    poll(make_source(world, comet))
    pipeline.process_waiting(now=now)
    assert len({run.job_id for run in JobRun.objects.of(world.tenant)}) == 2


# --- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_refused_login_is_told_without_the_secret_and_tried_later(world: World, bench: Bench) -> None:
    row = poll(make_source(world, bench, changed=bench.wrong))
    assert "login" in row.last_error.lower()
    assert not any(str(secret) in row.last_error for secret in bench.wrong.values())
    assert (row.failures, row.claim_token) == (1, None)
    assert row.check_after > now() + timedelta(seconds=30)


def test_it_comes_back_when_it_is_told_to(world: World, bench: Bench) -> None:
    bench.server.fail_next("too many requests")
    row = poll(make_source(world, bench))
    assert timedelta(seconds=80) < row.check_after - now() <= timedelta(seconds=90)
    bench.end_job(bench.server.clock - HOUR)
    row = poll(row)
    assert (row.failures, row.last_error, len(receipts(world))) == (0, "", 1)


def test_a_private_address_is_not_dialled_unless_allowed(world: World, bench: Bench, settings: Any) -> None:
    settings.BACKLEDGER = settings.BACKLEDGER.__class__(
        **{**settings.BACKLEDGER.__dict__, "allow_private_destinations": False}
    )
    row = poll(make_source(world, bench))
    assert "must not be called" in row.last_error
    assert bench.server.asked == []


def test_a_product_that_this_release_does_not_know_is_told(world: World, comet: Bench) -> None:
    row = poll(make_source(world, comet, kind="nothing-like-it"))
    assert row.last_error == "There is no connector called nothing-like-it in this release."


def test_one_source_that_fails_stops_no_other(world: World, bench: Bench) -> None:
    make_source(world, bench, changed=bench.wrong, name="wrong")
    bench.end_job(bench.server.clock - HOUR)
    row = poll(make_source(world, bench))
    assert (row.last_error, len(receipts(world))) == ("", 1)


def test_a_paused_source_is_left_alone(world: World, bench: Bench) -> None:
    bench.end_job(bench.server.clock - HOUR)
    poll(make_source(world, bench, state="paused"))
    assert (bench.server.asked, receipts(world)) == ([], [])


def test_secrets_are_sealed_in_the_database(world: World, bench: Bench) -> None:
    make_source(world, bench)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(source)::text FROM channels_pullsource source")
        stored = cursor.fetchone()[0]
    for secret in columns_of(bench.config())["secrets"].values():
        assert str(secret) not in stored


# --- killed, and two at once -------------------------------------------------------------------------------------


def test_killed_between_storing_and_the_cursor_nothing_is_lost_or_doubled(
    world: World, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are one transaction: what was stored without its cursor was never stored."""
    bench.end_job(bench.server.clock - HOUR)
    row = make_source(world, bench)
    real = claiming.progress

    def killed(*told: Any, **values: Any) -> bool:
        raise RuntimeError("killed")

    monkeypatch.setattr(claiming, "progress", killed)
    row = poll(row)
    assert (receipts(world), row.cursor, row.failures) == ([], {}, 1)
    monkeypatch.setattr(claiming, "progress", real)
    row = poll(row)
    assert (len(receipts(world)), row.failures) == (1, 0)
    assert row.cursor


def test_of_two_workers_one_asks(world: World, bench: Bench) -> None:
    bench.end_job(bench.server.clock - HOUR)
    make_source(world, bench)
    assert len(claiming.claim(PullSource, now=now(), limit=5)) == 1
    assert claiming.claim(PullSource, now=now(), limit=5) == ()


def test_a_worker_that_lost_its_claim_stores_nothing(
    world: World, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ended while it asked, and another took over."""
    bench.end_job(bench.server.clock - HOUR)
    row = make_source(world, bench)
    (first,) = claiming.claim(PullSource, now=now(), limit=1)
    PullSource.objects.of(world.tenant).filter(pk=row.pk).update(check_after=START)
    (second,) = claiming.claim(PullSource, now=now(), limit=1)
    deliveries, cursor = bench.pull_all()
    pulled = Pulled(tuple(deliveries), cursor)
    with pytest.raises(pulling.ClaimLost):
        pulling.keep(first, row, pulled, now=now())
    assert receipts(world) == []
    assert pulling.keep(second, row, pulled, now=now()) == len(pulled.deliveries)
    assert len(receipts(world)) == 1


def test_two_sources_of_the_same_product_do_not_mistake_each_others_runs(world: World, comet: Bench) -> None:
    comet.end_job(comet.server.clock - HOUR)
    poll(make_source(world, comet, name="one"))
    poll(make_source(world, comet, name="two"))
    assert len(receipts(world)) == 2


# --- the wall, and trying ----------------------------------------------------------------------------------------


def test_what_is_fetched_belongs_to_the_tenant_of_the_source(world: World, bench: Bench) -> None:
    bench.end_job(bench.server.clock - HOUR)
    make_source(world, bench)
    tasks.poll()
    assert Receipt.objects.of(world.other).count() == 0
    assert [receipt.server_id for receipt in receipts(world)] == [world.server.pk]


def test_the_check_answers_in_a_sentence_and_stores_nothing(world: World, bench: Bench) -> None:
    bench.end_job(bench.server.clock - HOUR)
    row = make_source(world, bench)
    good, told = check_source(row)
    assert (good, told.endswith("."), receipts(world), row.cursor) == (True, True, [], {})
    bad, told = check_source(make_source(world, bench, changed=bench.wrong, name="wrong"))
    assert (bad, "login" in told.lower()) == (False, True)
