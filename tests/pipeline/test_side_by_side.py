"""Workers side by side on the same rows, each with a connection of its own: no deadlock, no double, nobody starved.

Each test brings about one interleaving on purpose: a second session waits for a lock until PostgreSQL shows it waiting.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from alerts import sweeping, ticketing
from alerts.acting import settings_changed
from alerts.delivering import deliver_ticket
from alerts.errands import tickets_of
from alerts.evaluating import evaluate_clients, evaluate_jobs, mark_due
from alerts.models import Destination, Incident, Route, SubjectState, Ticket
from alerts.sweeping import sweep
from msp import pipeline, tasks
from msp.backups.models import BackupJob, JobRun, JobState
from msp.ingest.models import InboxItem, ReceiptQueue
from msp.ingest.storing import Incoming, store
from msp.outbox import lanes
from tests.doubles.ticket_server import TicketServer
from tests.integrations.tickets.configs import rest_json
from tests.world import START, World, make_client, make_job, make_server

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


@pytest.fixture
def world(transactional_db: None) -> World:
    from tests.world import make_world

    made = make_world()
    JobState.unwalled.update(check_after=None)
    BackupJob.unwalled.update(registered_at=NOW - timedelta(hours=1))
    return made


@pytest.fixture
def desk() -> Iterator[TicketServer]:
    with TicketServer() as server:
        yield server


class Session(threading.Thread):
    """Work in a thread with a connection of its own; ``finish`` raises what it raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.work, self.answer = work, None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.work()
        except BaseException as error:  # handed to the test
            self.error = error
        finally:
            connections.close_all()

    def finish(self, *, seconds: float = 20) -> Any:
        self.join(seconds)
        assert not self.is_alive(), "it still waits"
        if self.error is not None:
            raise self.error
        return self.answer


def until_somebody_waits() -> None:
    """Until PostgreSQL shows a session of this database that waits for a lock."""
    for _ in range(400):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


def fail(world: World, *jobs: BackupJob, at: datetime = NOW, outcome: str = "failure", name: str = "") -> None:
    """One delivery for each job; they wait on the queue."""
    for job in jobs:
        run = {"operation": "backup", "outcome": outcome, "ended_at": at.isoformat(), "protected_bytes": 10**9}
        body = json.dumps({"backledger": 1, "runs": [run]}).encode()
        delivery = f"{name}{job.pk} {outcome} {at}"
        store(job.tenant_id, [Incoming("http", delivery, body, at, job.server_id, {"job": job.name})], now=at)


def process(at: datetime = NOW) -> None:
    pipeline.process_waiting(now=lambda: at)


def make_route(world: World, desk: TicketServer, **values: Any) -> Destination:
    made: Destination = Destination.objects.of(world.tenant).create(
        name="desk", gateway="rest", config=rest_json(desk.url), created_at=START
    )
    Route.objects.of(world.tenant).create(
        destination=made, **({"position": 1, "hold_minutes": 0, "repeat_hours": 0} | values)
    )
    return made


def deliver(at: datetime) -> None:
    for claim in lanes.claim("ticket", now=at, limit=10):
        deliver_ticket(claim, now=at)


def test_many_workers_and_sweeps_on_the_same_jobs_end_as_one_would(world: World, desk: TicketServer) -> None:
    """Ingest, sweep, a person's change and delivery at once: every run once, one incident a job, one ticket each."""
    make_route(world, desk, grouping="client")
    jobs = [world.job, *(make_job(world.tenant, world.server, world.client, f"j{n}") for n in range(11))]
    BackupJob.unwalled.update(registered_at=NOW - timedelta(hours=1))
    world.client.quota_bytes = 10
    world.client.save()
    for minute in range(6):
        fail(world, *jobs, at=NOW + timedelta(minutes=minute), outcome="success" if minute == 5 else "failure")
    later = NOW + timedelta(minutes=10)

    def line() -> None:
        for _ in range(40):
            pipeline.process_batch(now=later, limit=7)

    def sweeps() -> None:
        for _ in range(8):
            sweep(now=later)

    def changes() -> None:
        for _ in range(8):
            settings_changed(world.tenant, now=later)

    def deliveries() -> None:
        for _ in range(12):
            deliver(later)

    sessions = [Session(work) for work in (line, line, sweeps, sweeps, changes, deliveries)]
    for session in sessions:
        session.finish()
    process(later)
    sweep(now=later)
    deliver(later)
    assert JobRun.objects.of(world.tenant).count() == 6 * len(jobs)
    assert not InboxItem.objects.of(world.tenant).exists()
    assert not ReceiptQueue.objects.of(world.tenant).exists()
    states = JobState.objects.of(world.tenant)
    assert set(states.values_list("runs_seen", "failures_in_row", "last_outcome")) == {(6, 0, "success")}
    assert Incident.objects.of(world.tenant).filter(kind="errors", state="open").count() == 0
    assert Incident.objects.of(world.tenant).filter(kind="quota_overrun").count() == 1
    open_there = [ticket for ticket in desk.tickets if ticket.status != "closed"]
    assert len(open_there) == Ticket.objects.of(world.tenant).filter(wanted_state="open").count() == 1
    assert len({ticket.reference for ticket in desk.tickets}) == len(desk.tickets)


def test_two_workers_that_meet_an_unknown_job_at_once_make_one(world: World) -> None:
    server, _ = make_server(world.tenant, "new01", client=world.client)
    for number in range(12):
        body = json.dumps({"backledger": 1, "runs": [{"operation": "backup", "outcome": "failure"}]}).encode()
        meta = {"job": f"job {number % 3}"}
        store(world.tenant.pk, [Incoming("http", str(number), body, NOW, server.pk, meta)], now=NOW)
    sessions = [Session(lambda: [pipeline.process_batch(now=NOW, limit=2) for _ in range(12)]) for _ in range(3)]
    for session in sessions:
        session.finish()
    process()
    assert BackupJob.objects.of(world.tenant).filter(server=server).count() == 3
    assert JobRun.objects.of(world.tenant).count() == 12
    assert Incident.objects.of(world.tenant).filter(state="open").count() == 3
    clocks = JobState.objects.of(world.tenant).filter(job__server=server)
    assert clocks.filter(check_after__gt=NOW).count() == 3


def test_ingest_and_the_sweep_of_a_client_on_one_ticket_do_not_deadlock(
    world: World, desk: TicketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both want the client's state row and its ticket: the state row comes first for both."""
    make_route(world, desk, grouping="client")
    world.client.quota_bytes = 10
    world.client.save()
    JobState.objects.of(world.tenant).filter(job=world.job).update(protected_bytes=99, protected_at=NOW)
    mark_due(world.tenant.pk, "client", [world.client.pk], now=NOW)
    fail(world, world.job)
    has_ticket = threading.Event()
    real = ticketing.follow

    def follow(*args: Any, **options: Any) -> None:
        real(*args, **options)
        has_ticket.set()
        time.sleep(0.5)  # the sweep takes the client's state row meanwhile, if it can

    monkeypatch.setattr(ticketing, "follow", follow)
    ingest = Session(process)
    assert has_ticket.wait(10)
    monkeypatch.setattr(ticketing, "follow", real)
    swept = Session(lambda: sweep(now=NOW))
    ingest.finish()
    swept.finish()
    sweep(now=NOW)
    kinds = Incident.objects.of(world.tenant).filter(state="open").exclude(subject_kind="selection")
    assert set(kinds.values_list("kind", flat=True)) == {"errors", "quota_overrun"}
    assert not InboxItem.objects.of(world.tenant).exists()
    assert Ticket.objects.of(world.tenant).get().last_seq == 2


def test_a_delivery_and_the_line_lock_incident_and_ticket_in_the_same_order(
    world: World, desk: TicketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line holds the incident and wants its ticket; a delivery that held the ticket and wanted the incident would
    be thrown out, and its mail would wait for a person.
    """
    make_route(world, desk)
    fail(world, world.job)
    process()
    (claim,) = lanes.claim("ticket", now=NOW, limit=1)
    incident = Incident.objects.of(world.tenant).get()
    real = tickets_of

    def slow(errand: Any) -> Any:
        found = real(errand)
        time.sleep(0.2)
        return found

    monkeypatch.setattr("alerts.confirming.tickets_of", slow)
    with transaction.atomic():
        list(Incident.objects.of(world.tenant).filter(pk=incident.pk).select_for_update())
        session = Session(lambda: deliver_ticket(claim, now=NOW))
        until_somebody_waits()
        list(Ticket.objects.of(world.tenant).select_for_update())  # nobody may hold it while waiting for the incident
    session.finish()
    incident.refresh_from_db()
    assert incident.told_at == NOW
    assert len(desk.tickets) == 1


def test_a_change_of_settings_locks_clocks_in_the_order_of_the_line(world: World) -> None:
    """The rows' order on disk is not that of their ids: an update as it comes would deadlock with a batch of logs."""

    def change() -> None:
        with connection.cursor() as cursor:  # as the planner does it for many rows
            cursor.execute("SET enable_indexscan = off; SET enable_nestloop = off; SET enable_mergejoin = off")
        settings_changed(world.tenant, now=NOW)

    last = make_job(world.tenant, world.server, world.client, "last")
    JobState.objects.of(world.tenant).filter(job=world.job).update(runs_seen=1)  # moves the first row behind
    first = JobState.objects.of(world.tenant).filter(job=world.job)
    second = JobState.objects.of(world.tenant).filter(job=last)
    with transaction.atomic():
        list(first.select_for_update())
        session = Session(change)
        until_somebody_waits()
        list(second.select_for_update())
    session.finish()
    assert set(JobState.objects.of(world.tenant).values_list("check_after", flat=True)) == {NOW}


def test_an_incident_that_joins_a_ticket_just_closing_gets_another(
    world: World, desk: TicketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line saw the ticket open, and had its lock only after it began to close."""
    make_route(world, desk, grouping="client")
    other = make_job(world.tenant, world.server, world.client, "other", registered_at=NOW - timedelta(hours=1))
    fail(world, world.job)
    process()
    ticket = Ticket.objects.of(world.tenant).get()
    fail(world, other)
    with transaction.atomic():
        list(Ticket.objects.of(world.tenant).filter(pk=ticket.pk).select_for_update())
        session = Session(process)
        until_somebody_waits()
        Incident.objects.of(world.tenant).filter(ticket=ticket).update(state="closed", closed_at=NOW)
        Ticket.objects.of(world.tenant).filter(pk=ticket.pk).update(wanted_state="closed", closed_at=NOW)
    session.finish()
    assert not InboxItem.objects.of(world.tenant).exists(), "the log must not wait for a person because of this"
    joined = Incident.objects.of(world.tenant).get(state="open").ticket
    assert joined is not None
    assert joined.pk != ticket.pk


def test_a_hung_batch_of_one_tenant_does_not_stop_the_sweep_of_the_others(world: World) -> None:
    theirs = make_job(world.other, world.other_server, make_client(world.other, "Third Ltd"), "files")
    JobState.objects.of(world.tenant).update(check_after=NOW - timedelta(hours=9))
    JobState.objects.of(world.other).update(check_after=NOW - timedelta(hours=1))
    BackupJob.unwalled.update(registered_at=START)
    with transaction.atomic():
        list(JobState.objects.of(world.tenant).select_for_update())
        Session(lambda: sweep(now=NOW)).finish()
    assert Incident.objects.of(world.other).filter(job_id=theirs.pk, kind="never_backed_up").exists()
    assert not Incident.objects.of(world.tenant).exists()


def test_a_row_that_the_database_refuses_each_time_does_not_end_every_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timeout is an OperationalError, like a lost connection; the oldest due row comes first in every sweep."""
    jobs = [make_job(world.tenant, world.server, world.client, f"j{n}") for n in range(3)]
    theirs = make_job(world.other, world.other_server, make_client(world.other, "Third Ltd"), "files")
    BackupJob.unwalled.update(registered_at=START)
    JobState.objects.of(world.tenant).update(check_after=NOW - timedelta(hours=9))
    JobState.objects.of(world.other).update(check_after=NOW - timedelta(hours=1))
    real = evaluate_jobs

    def evaluate(tenant_id: int, ids: Any, *, now: datetime) -> None:
        if jobs[1].pk in ids:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 1")
                cursor.execute("SELECT pg_sleep(1)")
        real(tenant_id, ids, now=now)

    monkeypatch.setattr(sweeping, "evaluate_jobs", evaluate)
    sweep(now=NOW)
    flagged = set(Incident.unwalled.filter(kind="never_backed_up").values_list("job_id", flat=True))
    assert flagged >= {world.job.pk, jobs[0].pk, jobs[2].pk, theirs.pk}
    assert jobs[1].pk not in flagged


def test_a_clock_set_while_the_sweep_holds_its_row_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    JobState.objects.of(world.tenant).filter(job=world.job).update(check_after=NOW)
    entered, go_on = threading.Event(), threading.Event()
    real = evaluate_jobs

    def evaluate(tenant_id: int, ids: Any, *, now: datetime) -> None:
        real(tenant_id, ids, now=now)
        entered.set()
        go_on.wait(10)

    monkeypatch.setattr(sweeping, "evaluate_jobs", evaluate)
    swept = Session(lambda: sweep(now=NOW))
    assert entered.wait(10)
    changed = Session(lambda: settings_changed(world.tenant, now=NOW + timedelta(seconds=1)))
    until_somebody_waits()
    go_on.set()
    swept.finish()
    changed.finish()
    assert JobState.objects.of(world.tenant).get(job=world.job).check_after == NOW + timedelta(seconds=1)


def test_a_client_marked_due_while_it_is_evaluated_stays_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mark_due(world.tenant.pk, "client", [world.client.pk], now=NOW)
    entered, go_on = threading.Event(), threading.Event()
    real = evaluate_clients

    def evaluate(tenant_id: int, ids: Any, *, now: datetime) -> None:
        real(tenant_id, ids, now=now)
        entered.set()
        go_on.wait(10)

    monkeypatch.setattr(sweeping, "evaluate_clients", evaluate)
    swept = Session(lambda: sweep(now=NOW))
    assert entered.wait(10)
    marked = Session(lambda: mark_due(world.tenant.pk, "client", [world.client.pk], now=NOW + timedelta(seconds=1)))
    until_somebody_waits()
    go_on.set()
    swept.finish()
    marked.finish()
    assert SubjectState.objects.of(world.tenant).get(subject_kind="client").check_after == NOW + timedelta(seconds=1)


def test_a_database_that_restarts_in_the_middle_of_a_batch_costs_one_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's thread gets a new connection for a later task, as soon as the pool has one; the log is read once."""
    fail(world, world.job)
    entered, go_on = threading.Event(), threading.Event()
    real = pipeline.carry

    def carry(*args: Any, **options: Any) -> None:
        real(*args, **options)
        entered.set()
        go_on.wait(10)

    def work() -> list[Any]:
        answers: list[Any] = []
        while 1 not in answers and len(answers) < 5:
            try:
                answers.append(tasks.process_receipts())
            except OperationalError:
                answers.append("lost")
        return answers

    monkeypatch.setattr(pipeline, "carry", carry)
    monkeypatch.setattr(tasks, "wake", lambda task: None)
    session = Session(work)
    assert entered.wait(10)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    go_on.set()
    answers = session.finish(seconds=100)
    assert (answers[0], answers[-1]) == ("lost", 1)
    assert JobRun.objects.of(world.tenant).count() == 1
    assert not ReceiptQueue.objects.of(world.tenant).exists()
    assert not InboxItem.objects.of(world.tenant).exists()


def test_two_sweeps_at_once_find_one_cause_and_no_deadlock(world: World, desk: TicketServer, caplog: Any) -> None:
    make_route(world, desk, hold_minutes=0, grouping="incident")
    jobs = [make_job(world.tenant, world.server, world.client, f"dead {number}") for number in range(60)]
    good = NOW - timedelta(hours=27, minutes=1)
    sweep(now=NOW - timedelta(minutes=4))
    JobState.objects.of(world.tenant).filter(job__in=jobs).update(
        last_good_at=good, heard_at=good, overdue_at=good + timedelta(hours=27), check_after=NOW
    )
    both = [Session(lambda: sweep(now=NOW)) for _ in range(2)]
    for one in both:
        one.finish()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    found = Incident.objects.of(world.tenant).filter(state="open")
    cause = found.get(kind="server_silent")
    assert set(found.filter(kind="no_recent_backup").values_list("cause_id", flat=True)) == {cause.pk}
    told = found.filter(server_id=world.server.pk, ticket__isnull=False).values_list("kind", flat=True)
    assert [kind for kind in told if kind in ("server_silent", "no_recent_backup")] == ["server_silent"]
