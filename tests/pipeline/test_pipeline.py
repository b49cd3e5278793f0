"""The line itself: batches, repeats, crashes between steps, poison, the number of statements."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from alerts.models import Incident
from billing.models import UsageEntry
from msp import pipeline
from msp.backups.models import BackupJob, JobRun, JobState
from msp.backups.recording import record_runs
from msp.ingest import taking
from msp.ingest.models import InboxItem, Receipt, ReceiptQueue
from msp.ingest.storing import Incoming, Kept, store
from tests.world import World, make_client, make_server

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
SAMPLES = Path(__file__).parent.parent / "fixtures" / "logs"
STEPS = ["normalise", "assign", "record_runs", "enter_usage", "evaluate_jobs", "mark_due", "settle"]


@pytest.fixture
def world(transactional_db: None) -> World:
    from tests.world import make_world

    return make_world()


def sample(name: str, file: str = "stdout.log") -> bytes:
    return (SAMPLES / name / file).read_bytes()


def post(world: World, content: bytes, *, name: str, server: Any = None, at: datetime = NOW, **meta: Any) -> Kept:
    server = server or world.server
    incoming = Incoming("http", name, content, at, server.pk, meta)
    return store(server.tenant_id, [incoming], now=at)[0]


def process(at: datetime = NOW) -> int:
    return pipeline.process_waiting(now=lambda: at)


def everything(world: World) -> dict[str, Any]:
    """The end state, without what differs from run to run (ids and the like)."""
    tenant = world.tenant
    return {
        "runs": sorted(JobRun.objects.of(tenant).values_list("run_key", "outcome", "good", "protected_bytes")),
        "states": sorted(
            JobState.objects.of(tenant).values_list("last_outcome", "last_good_at", "failures_in_row", "runs_seen")
        , key=str),
        "incidents": sorted(Incident.objects.of(tenant).values_list("kind", "state", "summary", "seen_count")),
        "usage": sorted(UsageEntry.objects.of(tenant).values_list("metric", "quantity", "local_day", "revision")),
        "inbox": sorted(InboxItem.objects.of(tenant).values_list("reason", "detail", "state")),
        "jobs": BackupJob.objects.of(tenant).count(),
        "queue": ReceiptQueue.objects.of(tenant).count(),
    }  # fmt: skip


def envelope(**values: Any) -> bytes:
    return json.dumps(values).encode()


def test_a_real_log_becomes_a_run_of_a_job_that_is_made_by_itself(world: World) -> None:
    post(world, sample("restic/backup-first-json"), name="a", exit_code=0)
    assert process() == 1
    run = JobRun.objects.of(world.tenant).get()
    expected = json.loads(sample("restic/backup-first-json", "expected.json"))
    assert (run.outcome, run.protected_bytes) == (expected["outcome"], expected["protected_bytes"])
    job = BackupJob.objects.of(world.tenant).get(pk=run.job_id)
    assert (job.product, job.selection.client_id) == ("restic", world.client.pk)
    assert Receipt.objects.of(world.tenant).get().state == "done"
    assert UsageEntry.objects.of(world.tenant).filter(metric="protected").get().quantity == expected["protected_bytes"]
    assert not ReceiptQueue.objects.of(world.tenant).exists()


def test_the_same_delivery_is_one_and_another_body_under_its_id_is_kept_apart(world: World) -> None:
    log = sample("restic/backup-first-json")
    first, again = post(world, log, name="a"), post(world, log, name="a")
    assert (first.what, again.what, first.uid == again.uid) == ("new", "repeat", True)
    other = post(world, log + b"\n", name="a")
    assert other.what == "conflict"
    process()
    assert JobRun.objects.of(world.tenant).count() == 1
    assert InboxItem.objects.of(world.tenant).get().reason == "conflict"
    assert Receipt.objects.of(world.tenant).count() == 2


def test_the_same_silent_bytes_on_thirty_nights_are_thirty_runs(world: World) -> None:
    silent = sample("rsync/first-stats")
    for night in range(30):
        at = NOW + timedelta(days=night)
        post(world, silent, name=f"night {night}", at=at, exit_code=0, job="files")
        process(at)
    assert JobRun.objects.of(world.tenant).count() == 30
    assert JobState.objects.of(world.tenant).get(job=world.job).last_good_at == NOW + timedelta(days=29)


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(
    world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(world, sample("restic/backup-first-json"), name="a", exit_code=0)
    post(world, sample("restic/backup-disk-full-json"), name="b", exit_code=1)

    def die(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise OperationalError("the server closed the connection")

    real = getattr(pipeline, step)
    monkeypatch.setattr(pipeline, step, die)
    with pytest.raises(OperationalError):
        process()
    assert everything(world)["runs"] == []
    assert everything(world)["queue"] == 2
    monkeypatch.setattr(pipeline, step, real)
    process()
    after = everything(world)
    assert (len(after["runs"]), after["queue"]) == (2, 0)
    process()
    assert everything(world) == after


def test_twice_and_in_any_order_ends_the_same(world: World) -> None:
    names = ["backup-first-json", "backup-incremental-text", "check-ok-text", "forget-prune-json"]
    ends: list[dict[str, Any]] = []
    for order in (names, names[::-1], [*names, *names]):
        server, _ = make_server(world.tenant, f"s{len(ends)}", client=world.client)
        for number, name in enumerate(order):
            delivery = f"{len(ends)} {name}"
            post(world, sample(f"restic/{name}"), name=delivery, server=server, exit_code=0, job="order")
            if number % 2:
                process()
        process()
        job = BackupJob.objects.of(world.tenant).get(server=server)
        ends.append(JobState.objects.of(world.tenant).filter(job=job).values().get())
    shapes = [{k: v for k, v in end.items() if k not in ("job_id", "check_after", "last_run_key")} for end in ends]
    assert shapes[0] == shapes[1] == shapes[2]


def test_a_log_that_nobody_recognises_waits_with_its_reason(world: World) -> None:
    post(world, b"hello", name="a")
    post(world, b"", name="b", format="own")
    process()
    items = InboxItem.objects.of(world.tenant).order_by("id")
    assert {item.reason for item in items} <= {"unrecognised", "unreadable"}
    assert items.count() == 2
    assert all(item.detail for item in items)


@pytest.mark.parametrize(("policy", "reason"), [("hold", "unassigned"), ("refuse", "refused")])
def test_an_unknown_job_waits_where_its_server_says_so(world: World, policy: str, reason: str) -> None:
    server, _ = make_server(world.tenant, "s2", new_jobs=policy)
    post(world, sample("restic/backup-first-json"), name="a", server=server, job="nightly")
    process()
    item = InboxItem.objects.of(world.tenant).get()
    assert (item.reason, item.source_job, item.place) == (reason, "nightly", 0)
    assert not JobRun.objects.of(world.tenant).exists()


def test_a_check_without_a_job_name_belongs_to_the_only_job_of_its_server(world: World) -> None:
    post(world, sample("restic/check-ok-text"), name="a", exit_code=0)
    process()
    run = JobRun.objects.of(world.tenant).get()
    assert (run.job_id, run.operation) == (world.job.pk, "verify")
    assert JobState.objects.of(world.tenant).get(job=world.job).last_good_at is None


def test_one_bad_receipt_stands_alone_and_the_rest_land(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [post(world, sample("rsync/first-stats"), name=str(n), exit_code=0, job="files") for n in range(9)]
    bad = post(world, sample("rsync/first-stats"), name="bad", exit_code=0, job="files")
    real = record_runs

    def record(tenant_id: int, runs: Any, **options: Any) -> Any:
        if any(run.receipt_id == bad.receipt_id for run in runs):
            raise ValueError("a value that the database refuses")
        return real(tenant_id, runs, **options)

    monkeypatch.setattr(pipeline, "record_runs", record)
    process()
    assert JobRun.objects.of(world.tenant).count() == len(good)
    item = InboxItem.objects.of(world.tenant).get()
    assert (item.receipt_id, item.reason) == (bad.receipt_id, "failed")
    assert "a value that the database refuses" in item.detail


def test_a_receipt_that_kills_its_worker_is_isolated_and_then_set_aside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is killed rolls its transaction back, but the attempt it had counted stays."""
    poison = post(world, sample("rsync/first-stats"), name="poison", exit_code=0, job="files")
    other = post(world, sample("rsync/first-stats"), name="other", exit_code=0, job="files")

    class Killed(BaseException):
        pass

    real = pipeline.carry

    def carry(batch: taking.Batch, **options: Any) -> None:
        if any(receipt.id == poison.receipt_id for receipt in batch.receipts):
            raise Killed
        real(batch, **options)

    monkeypatch.setattr(pipeline, "carry", carry)
    kills = 0
    for _ in range(20):
        try:
            process()
            break
        except Killed:
            kills += 1
    assert kills == taking.MOST_ATTEMPTS
    assert JobRun.objects.of(world.tenant).get().receipt_id == other.receipt_id
    assert InboxItem.objects.of(world.tenant).get().reason == "failed"
    assert not ReceiptQueue.objects.of(world.tenant).exists()


def test_a_batch_takes_a_fixed_number_of_statements(world: World) -> None:
    def statements(size: int, offset: int) -> int:
        for number in range(size):
            at = NOW + timedelta(seconds=offset + number)
            log = {"backledger": 1, "runs": [{"operation": "backup", "outcome": "failure" if number % 2 else "success",
                   "ended_at": at.isoformat(), "protected_bytes": 1000 + number}]}  # fmt: skip
            post(world, json.dumps(log).encode(), name=f"{offset} {number}", at=at, job=f"job {number}")
        with CaptureQueriesContext(connection) as queries:
            assert pipeline.process_batch(now=NOW + timedelta(hours=1), limit=500) == size
        return len(queries)

    for warm in range(2):  # the first makes the jobs
        statements(40, warm * 1000)
    small, large = statements(2, 5000), statements(40, 6000)
    assert small <= large <= small + 2  # two more learn a schedule, where a job has runs enough and it is a new day
    assert large < 52  # histories, channels and causes take a dozen between them


def test_tenants_do_not_mix(world: World) -> None:
    post(world, sample("restic/backup-first-json"), name="a", exit_code=0)
    post(world, sample("restic/backup-first-json"), name="a", exit_code=0, server=world.other_server)
    process()
    mine, theirs = JobRun.objects.of(world.tenant).get(), JobRun.objects.of(world.other).get()
    assert mine.client_id == world.client.pk
    assert theirs.client_id != mine.client_id
    assert mine.run_key == theirs.run_key


def test_one_receipt_may_hold_runs_of_two_clients(world: World) -> None:
    from msp.ingest.models import Assignment
    from tests.world import make_job

    second = make_client(world.tenant, "Second Ltd")
    for client, item in ((world.client, "vm-1"), (second, "vm-2")):
        job = make_job(world.tenant, world.server, client, item)
        Assignment.objects.of(world.tenant).filter(job=job).update(source_job="nightly", item=item)
    runs = [{"operation": "backup", "outcome": "success", "item": item} for item in ("vm-1", "vm-2")]
    post(world, json.dumps({"backledger": 1, "runs": runs}).encode(), name="a", job="nightly")
    process()
    assert set(JobRun.objects.of(world.tenant).values_list("client_id", "place")) == {
        (world.client.pk, 0),
        (second.pk, 1),
    }


def test_an_unknown_zone_is_kept_and_shown_but_moves_no_clock(world: World) -> None:
    post(world, envelope(stdout=sample("borg/create-first-json").decode(), timezone="Mars/Base", exit_code=0),
         name="a", envelope=True, job="files")  # fmt: skip
    process()
    run = JobRun.objects.of(world.tenant).get()
    assert run.problems
    assert not run.good
    assert not UsageEntry.objects.of(world.tenant).exists()
