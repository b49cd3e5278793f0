"""Who a run is about: jobs that are made by themselves, names that do not collide, runs that nobody can place."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from msp import pipeline
from msp.backups.models import BackupJob, JobRun, JobSelectionSpan
from msp.estate.models import Client, Selection, SelectionClientSpan
from msp.ingest.assigning import Assigned, assign
from msp.ingest.models import Assignment, InboxItem, Receipt
from msp.ingest.normalising import NormalisedReceipt, normalise_one, open_receipt
from msp.ingest.storing import Incoming, store
from msp.ingest.taking import TakenReceipt
from msp.tenants.models import Tenant
from tests.world import World, make_job, make_server, make_world

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def log(*runs: dict[str, Any]) -> bytes:
    return json.dumps(
        {"backledger": 1, "runs": [{"operation": "backup", "outcome": "success", **run} for run in runs]}
    ).encode()


def post(server: Any, content: bytes, *, name: str = "1", **meta: Any) -> int:
    (kept,) = store(server.tenant_id, [Incoming("http", name, content, NOW, server.pk, meta)], now=NOW)
    return kept.receipt_id


def process() -> None:
    pipeline.process_waiting(now=lambda: NOW)


def items(world: World) -> list[tuple[str, str]]:
    return list(InboxItem.objects.of(world.tenant).order_by("id").values_list("reason", "source_job"))


def read(server: Any, content: bytes, *, receipt_id: int = 1) -> NormalisedReceipt:
    return normalise_one(
        TakenReceipt(
            id=receipt_id, uid="", door="http", delivery_id=str(receipt_id), server_id=server.pk,
            server_timezone=server.timezone, meta={}, received_at=NOW, replayed=False, content=content,
        )
    )  # fmt: skip


def test_a_job_is_made_once_with_its_selection_and_spans(world: World) -> None:
    for name in ("1", "2"):
        post(world.server, log({"job": "db", "item": "shop", "run_id": name}), name=name)
    process()
    job = BackupJob.objects.of(world.tenant).get(name="db / shop")
    assert (job.selection.name, job.selection.client_id) == ("backup01: db / shop", world.client.pk)
    assert JobRun.objects.of(world.tenant).filter(job_id=job.pk).count() == 2
    assert JobSelectionSpan.objects.of(world.tenant).get(job=job).selection_id == job.selection_id
    since = SelectionClientSpan.objects.of(world.tenant).get(selection=job.selection).since
    assert since == world.client.registered_at.date()
    known = Assignment.objects.of(world.tenant).get(job=job)
    assert (known.source_job, known.item, known.origin) == ("db", "shop", "auto")


def test_names_that_look_alike_make_jobs_of_their_own(world: World) -> None:
    long = "x" * 299
    post(world.server, log({"job": "a", "item": "b / c"}, {"job": "a / b", "item": "c"}))
    post(world.server, log({"job": long + "1"}, {"job": long + "2"}), name="2")
    process()
    made = BackupJob.objects.of(world.tenant).exclude(pk=world.job.pk)
    assert made.count() == 4
    assert len({job.selection_id for job in made}) == 4
    assert all(len(selection.name) <= 200 for selection in Selection.objects.of(world.tenant))


def test_one_batch_of_a_hundred_new_jobs_takes_as_many_statements_as_one_of_two(
    world: World, django_assert_max_num_queries: Any
) -> None:
    def batch(start: int, number: int) -> tuple[NormalisedReceipt, ...]:
        content = log(*({"job": f"job {at}"} for at in range(start, start + number)))
        return (read(world.server, content),)

    with django_assert_max_num_queries(50) as small:
        assert len(assign(world.tenant.pk, batch(0, 2), now=NOW).runs) == 2
    with django_assert_max_num_queries(50) as large:
        assert len(assign(world.tenant.pk, batch(10, 100), now=NOW).runs) == 100
    assert len(small.captured_queries) == len(large.captured_queries) < 12


def test_what_is_no_backup_makes_no_job(world: World) -> None:
    lonely, _ = make_server(world.tenant, "lonely", client=world.client)
    post(lonely, log({"operation": "verify"}, {"operation": "prune", "job": "named"}))
    process()
    assert items(world) == [("unassigned", ""), ("unassigned", "named")]
    assert not BackupJob.objects.of(world.tenant).filter(server=lonely).exists()


def test_a_check_that_may_belong_to_several_jobs_is_ambiguous(world: World) -> None:
    post(world.server, log({"operation": "verify"}))
    process()
    assert JobRun.objects.of(world.tenant).get().job_id == world.job.pk
    make_job(world.tenant, world.server, world.client, "second")
    post(world.server, log({"operation": "verify"}), name="2")
    process()
    assert items(world) == [("ambiguous", "")]
    BackupJob.objects.of(world.tenant).filter(name="second").update(state="retired")
    post(world.server, log({"operation": "verify"}), name="3")
    process()
    assert JobRun.objects.of(world.tenant).filter(operation="verify").count() == 2


def test_what_the_sender_says_goes_before_what_the_log_says(world: World) -> None:
    post(world.server, log({"job": "as the log has it"}), job="files")
    process()
    assert JobRun.objects.of(world.tenant).get().job_id == world.job.pk


def test_a_job_of_another_tenant_is_never_found(world: World) -> None:
    make_job(world.other, world.other_server, world.other_server.client, "secret")  # type: ignore[arg-type]
    server, _ = make_server(world.tenant, "holding")
    post(server, log({"job": "secret"}))
    process()
    assert items(world) == [("unassigned", "secret")]
    Assignment.objects.of(world.other).create(server=None, source_job="mail", job_id=world.job.pk, created_at=NOW)
    store(world.tenant.pk, [Incoming("command", "m", log({"job": "mail"}), NOW)], now=NOW)
    process()
    assert items(world)[1] == ("unassigned", "mail")


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_see_the_same_new_job_make_it_once() -> None:
    world = make_world()
    both_ready = threading.Barrier(2)
    results: list[Assigned | Exception] = []

    def work(receipt_id: int) -> None:
        try:
            one = read(world.server, log({"job": "new", "run_id": str(receipt_id)}), receipt_id=receipt_id)
            both_ready.wait(10)
            with transaction.atomic():
                results.append(assign(world.tenant.pk, [one], now=NOW))
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    jobs = [run.job_id for result in results if isinstance(result, Assigned) for run in result.runs]
    assert len(jobs) == 2, results
    assert len(set(jobs)) == 1
    assert BackupJob.objects.of(world.tenant).filter(name="new").count() == 1


def test_an_envelope_is_filled_in_by_what_was_said_beside_it() -> None:
    envelope = json.dumps({"stdout": "x", "host": "inside"}).encode()
    said = {"envelope": True, "host": "beside", "job": "j", "timezone": "Europe/Berlin", "exit_code": 3}
    delivery = open_receipt(envelope, said)
    assert (delivery.host, delivery.job, delivery.timezone, delivery.exit_code) == ("inside", "j", "Europe/Berlin", 3)
    zoned = json.dumps({"stdout": "x", "timezone": "Mars/Base"}).encode()
    kept = open_receipt(zoned, said)
    assert kept.timezone is None
    assert len(kept.problems) == 1


def test_an_envelope_that_cannot_be_opened_is_kept_with_the_reason(world: World) -> None:
    receipt_id = post(world.server, b'{"stdout": 3}', envelope=True)
    process()
    receipt = Receipt.objects.of(world.tenant).get(pk=receipt_id)
    assert (receipt.state, receipt.reason) == ("inbox", "unrecognised")
    assert "stdout" in receipt.error


@pytest.mark.parametrize(("observe_new", "enabled", "observed"), [
    (True, True, True), (True, False, False), (False, True, False),
])  # fmt: skip
def test_a_new_job_of_an_enabled_client_is_observed_where_the_tenant_wants_it(
    world: World, observe_new: bool, enabled: bool, observed: bool
) -> None:
    Tenant.objects.filter(pk=world.tenant.pk).update(observe_new=observe_new)
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(tickets_enabled=enabled)
    post(world.server, log({"job": "db"}))
    process()
    assert BackupJob.objects.of(world.tenant).get(name="db").observed is observed
    assert not BackupJob.objects.of(world.tenant).get(pk=world.job.pk).observed, "known jobs stay as they are"
