"""What a person does in the inbox: assign (remembered), make a job, dismiss, replay; never across tenants."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from alerts.models import Incident
from msp import pipeline
from msp.backups.models import BackupJob, JobRun
from msp.estate.models import SelectionClientSpan
from msp.estate.spans import Actor
from msp.ingest.inbox import (
    CannotSettle,
    NotFound,
    assign_items,
    assign_to_new_job,
    dismiss_items,
    find_open,
    replay_items,
)
from msp.ingest.models import Assignment, Body, InboxItem, Receipt, ReceiptQueue
from msp.ingest.replaying import find_receipts, replay_receipts, requeue
from msp.ingest.storing import Incoming, Kept, store
from msp.tenants.models import AuditEntry
from tests.world import World, make_job, make_server, make_world

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PERSON = Actor(name="tech@northwind.example", now=LATER, id=7, reason="told by the client")


def log(*jobs: str, **values: Any) -> bytes:
    """A log in our own JSON with a run of each of these jobs."""
    run = {"operation": "backup", "outcome": "success", "complete": True, "protected_bytes": 1000,
           "ended_at": "2026-11-20T05:00:00Z", **values}  # fmt: skip
    return json.dumps({"backledger": 1, "runs": [{**run, "job": job} for job in jobs]}).encode()


@pytest.fixture
def holding(world: World) -> Any:
    """A server that holds logs of unknown jobs."""
    server, _ = make_server(world.tenant, "holding")
    return server


def post(server: Any, content: bytes, *, name: str = "1", at: datetime = NOW, **meta: Any) -> Kept:
    (kept,) = store(server.tenant_id, [Incoming("http", name, content, at, server.pk, meta)], now=at)
    return kept


def process(at: datetime = NOW) -> None:
    pipeline.process_waiting(now=lambda: at)


def items(world: World, **values: Any) -> list[InboxItem]:
    return list(InboxItem.objects.of(world.tenant).filter(**values).order_by("id"))


def receipt(world: World, kept: Kept) -> Receipt:
    found: Receipt = Receipt.objects.of(world.tenant).get(pk=kept.receipt_id)
    return found


def test_an_assignment_settles_every_log_like_it_and_is_remembered(world: World, holding: Any) -> None:
    first, second = post(holding, log("nightly")), post(holding, log("nightly", run_id="2"), name="2")
    other = post(holding, log("weekly"), name="3")
    process()
    chosen = items(world, receipt_id=first.receipt_id)[0]
    assert (chosen.reason, chosen.source_job, chosen.place) == ("unassigned", "nightly", 0)
    assert assign_items(world.tenant, [chosen.pk], job_id=world.job.pk, actor=PERSON) == 2
    process(LATER)
    runs = JobRun.objects.of(world.tenant).filter(job_id=world.job.pk)
    assert {run.receipt_id for run in runs} == {first.receipt_id, second.receipt_id}
    assert [receipt(world, kept).state for kept in (first, second, other)] == ["done", "done", "inbox"]
    assert [(item.state, item.settled_by) for item in items(world, source_job="nightly")] == [
        ("settled", PERSON.name)
    ] * 2
    post(holding, log("nightly", run_id="3"), name="4")
    process(LATER)
    assert JobRun.objects.of(world.tenant).filter(job_id=world.job.pk).count() == 3
    entry = AuditEntry.objects.of(world.tenant).get(action="inbox item assigned")
    assert (entry.actor, entry.actor_id, entry.reason, entry.subject_id) == (PERSON.name, 7, PERSON.reason, chosen.pk)


def test_assigning_again_changes_what_is_remembered(world: World, holding: Any) -> None:
    second_job = make_job(world.tenant, world.server, world.client, "second")
    Assignment.objects.of(world.tenant).create(
        server=holding, source_job="moved", item="", job=world.job, created_at=NOW
    )
    post(holding, log("nightly"))
    process()
    InboxItem.objects.of(world.tenant).update(source_job="moved")
    assign_items(world.tenant, [items(world)[0].pk], job_id=second_job.pk, actor=PERSON)
    known = Assignment.objects.of(world.tenant).get(server=holding, source_job="moved")
    assert (known.job_id, known.origin) == (second_job.pk, "person")


def test_a_new_job_has_its_own_selection_since_its_client_began(world: World, holding: Any) -> None:
    kept = post(holding, log("nightly"))
    process()
    job = assign_to_new_job(
        world.tenant, [items(world)[0].pk], client_id=world.client.pk, name=" Nightly ", actor=PERSON
    )
    process(LATER)
    assert (job.name, job.server_id, job.selection.client_id) == ("Nightly", holding.pk, world.client.pk)
    assert JobRun.objects.of(world.tenant).get(job_id=job.pk).receipt_id == kept.receipt_id
    span = SelectionClientSpan.objects.of(world.tenant).get(selection=job.selection)
    assert span.since == world.client.registered_at.date()
    post(holding, log("weekly"), name="2")
    process(LATER)
    open_item = items(world, state="open")[0]
    for name, word in (("", "name"), ("x" * 300, "long"), ("Nightly", "already")):
        with pytest.raises(CannotSettle, match=word):
            assign_to_new_job(world.tenant, [open_item.pk], client_id=world.client.pk, name=name, actor=PERSON)
    assert BackupJob.objects.of(world.tenant).filter(server=holding).count() == 1


def test_a_receipt_stays_in_the_inbox_until_all_its_runs_are_settled(world: World, holding: Any) -> None:
    kept = post(holding, log("a", "b", "c"))
    process()
    assert [item.place for item in items(world)] == [0, 1, 2]
    assign_items(world.tenant, [items(world)[0].pk], job_id=world.job.pk, actor=PERSON)
    process(LATER)
    assert (receipt(world, kept).state, receipt(world, kept).runs) == ("inbox", 1)
    assert [item.state for item in items(world)] == ["settled", "open", "open"]
    dismiss_items(world.tenant, [item.pk for item in items(world, state="open")], actor=PERSON)
    assert receipt(world, kept).state == "done"
    assert JobRun.objects.of(world.tenant).get().receipt_id == kept.receipt_id


def test_what_was_dismissed_stays_so_when_it_is_read_again(world: World, holding: Any) -> None:
    kept = post(holding, b"no format knows this")
    process()
    (item,) = items(world)
    with pytest.raises(CannotSettle, match="why"):
        dismiss_items(world.tenant, [item.pk], actor=replace(PERSON, reason=" "))
    dismiss_items(world.tenant, [item.pk], actor=PERSON)
    assert receipt(world, kept).state == "dismissed"
    requeue(world.tenant.pk, [kept.receipt_id], now=LATER)
    process(LATER)
    assert (items(world)[0].state, receipt(world, kept).state) == ("dismissed", "dismissed")


def test_replaying_after_the_cause_was_mended_settles_the_item(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("integrations.logs.own.parse", lambda body, context: 1 / 0)
        kept = post(world.server, log("files"))
        process()
    assert (receipt(world, kept).state, receipt(world, kept).reason) == ("inbox", "unreadable")
    assert replay_items(world.tenant, [items(world)[0].pk], actor=PERSON) == 1
    assert receipt(world, kept).state == "waiting"
    process(LATER)
    assert (receipt(world, kept).state, receipt(world, kept).error) == ("done", "")
    assert items(world)[0].state == "settled"
    assert JobRun.objects.of(world.tenant).get().job_id == world.job.pk
    assert AuditEntry.objects.of(world.tenant).filter(action="inbox item replayed").count() == 1


def test_a_conflict_is_processed_on_a_persons_word_only(world: World) -> None:
    post(world.server, log("files", run_id="1"))
    kept = post(world.server, log("files", run_id="2"))
    process()
    assert kept.what == "conflict"
    assert JobRun.objects.of(world.tenant).count() == 1
    (item,) = items(world)
    with pytest.raises(CannotSettle, match="job does not help"):
        assign_items(world.tenant, [item.pk], job_id=world.job.pk, actor=PERSON)
    replay_items(world.tenant, [item.pk], actor=PERSON)
    process(LATER)
    assert JobRun.objects.of(world.tenant).count() == 2
    assert items(world)[0].state == "settled"


def test_reading_many_again_lets_no_conflict_through_and_nothing_that_was_put_away(world: World) -> None:
    post(world.server, log("files", run_id="1"))
    conflict = post(world.server, log("files", run_id="2"))
    away = post(world.server, b"no format knows this", name="2")
    process()
    dismiss_items(world.tenant, [items(world, reason="unrecognised")[0].pk], actor=PERSON)
    for asked in ({"since": NOW - timedelta(days=1)}, {"in_inbox": True}, {"since": NOW, "format": "own"}):
        found = set(find_receipts(world.tenant, **asked).values_list("pk", flat=True))
        assert found.isdisjoint({conflict.receipt_id, away.receipt_id}), asked
    replay_receipts(
        world.tenant, find_receipts(world.tenant, since=NOW).values_list("pk", flat=True), actor="x", now=NOW
    )
    process(LATER)
    assert JobRun.objects.of(world.tenant).count() == 1
    named = find_receipts(world.tenant, uids=[conflict.uid, away.uid])
    assert set(named.values_list("pk", flat=True)) == {conflict.receipt_id, away.receipt_id}


def test_replaying_twice_changes_nothing_and_an_old_receipt_does_not_look_late(world: World) -> None:
    kept = post(world.server, log("files", outcome="failure", errors=[{"message": "disk full"}]))
    process()
    before = list(JobRun.objects.of(world.tenant).values())
    incidents = sorted(Incident.objects.of(world.tenant).values_list("fingerprint", "state", "reopened_count"))
    assert incidents
    for _ in range(2):
        replay_receipts(world.tenant, [kept.receipt_id], actor=PERSON.name, now=LATER)
        assert ReceiptQueue.objects.of(world.tenant).get().received_at == LATER
        process(LATER)
    assert list(JobRun.objects.of(world.tenant).values()) == before
    assert incidents == sorted(Incident.objects.of(world.tenant).values_list("fingerprint", "state", "reopened_count"))


def test_bytes_that_are_gone_cannot_be_read_again_and_nothing_known_is_lost(world: World, holding: Any) -> None:
    kept = post(world.server, log("files"))
    process()
    Body.objects.of(world.tenant).filter(pk=receipt(world, kept).body_id).delete()
    queued = requeue(world.tenant.pk, [kept.receipt_id], now=LATER)
    assert (queued.receipt_ids, queued.lost_ids) == ((), (kept.receipt_id,))
    assert (receipt(world, kept).state, JobRun.objects.of(world.tenant).count()) == ("done", 1)
    lost = post(holding, log("nightly"), name="2")
    process()
    Body.objects.of(world.tenant).filter(pk=receipt(world, lost).body_id).delete()
    with pytest.raises(CannotSettle, match="no longer kept"):
        replay_items(world.tenant, [items(world)[0].pk], actor=PERSON)


def test_a_replay_that_fails_keeps_the_runs_of_the_reading_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = post(world.server, log("files"))
    process()
    requeue(world.tenant.pk, [kept.receipt_id], now=LATER)
    with monkeypatch.context() as broken:
        broken.setattr("msp.pipeline.record_runs", lambda *given, **named: 1 / 0)
        process(LATER)
    after = receipt(world, kept)
    assert (after.state, after.reason, after.runs) == ("inbox", "failed", 1)
    assert JobRun.objects.of(world.tenant).count() == 1


def test_nothing_of_another_tenant_is_found(world: World, holding: Any) -> None:
    kept = post(holding, log("nightly"))
    process()
    (item,) = items(world)
    stranger = replace(PERSON, name="stranger@other.example")
    foreign_client = world.other_server.client
    assert foreign_client is not None
    foreign_job = make_job(world.other, world.other_server, foreign_client, "theirs")
    for act in (
        lambda: assign_items(world.other, [item.pk], job_id=foreign_job.pk, actor=stranger),
        lambda: assign_to_new_job(world.other, [item.pk], client_id=foreign_client.pk, name="x", actor=stranger),
        lambda: dismiss_items(world.other, [item.pk], actor=stranger),
        lambda: replay_items(world.other, [item.pk], actor=stranger),
        lambda: assign_items(world.tenant, [item.pk], job_id=foreign_job.pk, actor=PERSON),
        lambda: assign_to_new_job(world.tenant, [item.pk], client_id=foreign_client.pk, name="x", actor=PERSON),
        lambda: dismiss_items(world.tenant, [], actor=PERSON),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            act()
    assert requeue(world.other.pk, [kept.receipt_id], now=LATER).receipt_ids == ()
    assert items(world)[0].state == "open"
    assert not Assignment.objects.of(world.other).filter(source_job="nightly").exists()


def test_what_was_settled_meanwhile_is_not_settled_again(world: World, holding: Any) -> None:
    post(holding, log("nightly"))
    process()
    (item,) = items(world)
    dismiss_items(world.tenant, [item.pk], actor=PERSON)
    for again in (dismiss_items, replay_items):
        with pytest.raises(NotFound, match="settled"):
            again(world.tenant, [item.pk], actor=PERSON)


@pytest.mark.parametrize("names", [("nightly", "nightly"), ("nightly", "every night")])
@pytest.mark.django_db(transaction=True)
def test_of_two_who_make_a_job_at_once_one_is_told_and_leaves_nothing(names: tuple[str, str]) -> None:
    world = make_world()
    server, _ = make_server(world.tenant, "holding")
    post(server, log("nightly"))
    process()
    (item,) = items(world)
    both_ready = threading.Barrier(2)
    results: list[BackupJob | Exception] = []

    def work(name: str) -> None:
        try:
            with transaction.atomic():
                find_open(world.tenant, [item.pk])  # both see it open
                both_ready.wait(10)
                results.append(
                    assign_to_new_job(world.tenant, [item.pk], client_id=world.client.pk, name=name, actor=PERSON)
                )
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(name,)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    made = [result for result in results if isinstance(result, BackupJob)]
    assert len(results) == 2
    assert len(made) == 1, results
    assert all(isinstance(result, BackupJob | NotFound | CannotSettle) for result in results), results
    assert BackupJob.objects.of(world.tenant).get(server=server) == made[0]
    assert Assignment.objects.of(world.tenant).get(server=server).job_id == made[0].pk
    process(LATER)
    assert JobRun.objects.of(world.tenant).get().job_id == made[0].pk


def test_a_log_without_a_server_is_known_by_its_host_and_one_without_that_cannot_be_remembered(world: World) -> None:
    def put(name: str, content: bytes) -> Kept:
        return store(world.tenant.pk, [Incoming("command", name, content, NOW)], now=NOW)[0]

    run = {"operation": "backup", "outcome": "success"}
    put("1", json.dumps({"backledger": 1, "runs": [{**run, "host": "files01"}]}).encode())
    put("2", json.dumps({"backledger": 1, "runs": [run]}).encode())
    process()
    named, nameless = items(world)
    assert (named.server_id, named.source_job, nameless.source_job) == (None, "files01", "")
    assign_items(world.tenant, [named.pk], job_id=world.job.pk, actor=PERSON)
    with pytest.raises(CannotSettle, match="neither a server nor a job"):
        assign_items(world.tenant, [nameless.pk], job_id=world.job.pk, actor=PERSON)
    with pytest.raises(CannotSettle, match="one backup server"):
        assign_to_new_job(world.tenant, [nameless_with_job(world)], client_id=world.client.pk, name="n", actor=PERSON)
    process(LATER)
    assert JobRun.objects.of(world.tenant).filter(job_id=world.job.pk).count() == 1


def nameless_with_job(world: World) -> int:
    """An open item of a log that names a job but came without a server."""
    content = json.dumps({"backledger": 1, "runs": [{"operation": "backup", "outcome": "success", "job": "j"}]})
    store(world.tenant.pk, [Incoming("command", "4", content.encode(), NOW)], now=NOW)
    process()
    return int(InboxItem.objects.of(world.tenant).get(source_job="j").pk)
