"""One log's way through the running product: posted over HTTP, worked on by real Celery workers, told by real SMTP."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from alerts.models import Destination, Incident, Route, Ticket
from msp.backups.models import BackupJob, JobRun, JobState
from msp.ingest.models import InboxItem, Receipt, ReceiptQueue
from msp.outbox.models import Lane
from tests.doubles.mailbox import Mailbox
from tests.doubles.ticket_server import TicketServer
from tests.integrations.tickets.configs import email_json, rest_json
from tests.journeys.running_product import RunningProduct, wait_until
from tests.world import START, World, make_world

pytestmark = [pytest.mark.journey, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

RESTIC = Path(__file__).parents[1] / "fixtures" / "logs" / "restic"
FAILED = (RESTIC / "backup-disk-full-json" / "stdout.log").read_bytes() + (
    RESTIC / "backup-disk-full-json" / "stderr.log"
).read_bytes()


def good_log(*, snapshot: str) -> bytes:
    """A restic summary as the tool writes it, ending now."""
    return (
        b'{"message_type":"summary","files_new":0,"files_changed":1,"files_unmodified":125,"dirs_new":0,'
        b'"dirs_changed":1,"dirs_unmodified":9,"data_blobs":1,"tree_blobs":2,"data_added":5000,'
        b'"total_files_processed":126,"total_bytes_processed":26343567,"total_duration":1.5,'
        b'"snapshot_id":"' + snapshot.encode() + b'"}\n'
    )


@pytest.fixture
def world(transactional_db: None) -> World:
    made = make_world()
    recently = timezone.now() - timedelta(hours=1)
    BackupJob.objects.of(made.tenant).update(registered_at=recently)
    BackupJob.objects.of(made.other).update(registered_at=recently)
    return made


@pytest.fixture
def product(world: World) -> Iterator[RunningProduct]:
    with RunningProduct() as running:
        yield running


def send_tickets_to(world: World, gateway: str, config: dict[str, object]) -> None:
    made = Destination.objects.of(world.tenant).create(name=gateway, gateway=gateway, config=config, created_at=START)
    Route.objects.of(world.tenant).create(position=1, destination=made, hold_minutes=0)


def settled(world: World) -> bool:
    lanes = Lane.objects.of(world.tenant)
    return not ReceiptQueue.objects.of(world.tenant).exists() and not any(
        lane.wanted > lane.confirmed for lane in lanes
    )


def test_a_failed_log_opens_one_ticket_by_mail_and_the_next_good_one_closes_it(
    world: World, product: RunningProduct
) -> None:
    with Mailbox() as mailbox:
        send_tickets_to(world, "email", email_json(mailbox.port))
        first = product.post(FAILED, key=world.server_key, exit_code=1, job="files")
        assert first.status_code == 202
        wait_until(lambda: len(mailbox.kept) == 1, what="the ticket's mail", poke=product.look)
        ticket = Ticket.objects.of(world.tenant).get()
        message = mailbox.messages()[0]
        assert f"[{ticket.reference}]" in message["Subject"]
        assert "no space left on device" in message.get_body(("plain",)).get_content()  # type: ignore[union-attr]

        time.sleep(0.01)
        good = product.post(good_log(snapshot="aa11bb22"), key=world.server_key, exit_code=0, job="files")
        assert good.status_code == 202
        wait_until(lambda: len(mailbox.kept) == 2, what="the closing mail", poke=product.look)
        wait_until(lambda: Ticket.objects.of(world.tenant).get().confirmed_state == "closed", what="the closed ticket")

        again = [
            product.post(FAILED, key=world.server_key, exit_code=1, job="files"),
            product.post(good_log(snapshot="aa11bb22"), key=world.server_key, exit_code=0, job="files"),
        ]
        assert [answer.status_code for answer in again] == [200, 200]
        assert again[0].json()["receipt"] == first.json()["receipt"]
        product.look()
        time.sleep(3)
        assert settled(world)
        assert len(mailbox.kept) == 2
        assert JobRun.objects.of(world.tenant).count() == 2
        assert Incident.objects.of(world.tenant).get(kind="errors").state == "closed"


def test_workers_killed_again_and_again_lose_nothing_and_double_nothing(world: World, product: RunningProduct) -> None:
    """Forty jobs fail and recover while line and delivery workers are killed at random moments."""
    chance, jobs = random.Random(7), 20
    with TicketServer() as desk:
        send_tickets_to(world, "rest", rest_json(desk.url))
        for number in range(jobs):
            product.post(FAILED + str(number).encode(), key=world.server_key, exit_code=1, job=f"job {number}")
            if number % 5 == 4:
                time.sleep(chance.random() * 0.7)
                for name in ("line", "delivery"):
                    product.kill(name)
                    product.start(name)
        wait_until(
            lambda: ReceiptQueue.objects.of(world.tenant).count() == 0, what="the queue", seconds=90, poke=product.look
        )
        product.kill("delivery")  # leaves claims behind; they run out and are looked up
        Lane.objects.of(world.tenant).filter(claim_token__isnull=False).update(next_attempt_at=timezone.now())
        product.start("delivery")
        wait_until(lambda: len(desk.tickets) >= jobs, what="the tickets", seconds=90, poke=product.look)
        for number in range(jobs):
            product.post(good_log(snapshot=f"{number:08x}"), key=world.server_key, exit_code=0, job=f"job {number}")
        wait_until(lambda: release_and_check(world), what="everything closed", seconds=90, poke=product.look)

    references = [ticket.reference for ticket in desk.tickets]
    assert len(references) == len(set(references)) == jobs
    assert {ticket.status for ticket in desk.tickets} == {"closed"}
    assert Receipt.objects.of(world.tenant).filter(state="done").count() == 2 * jobs
    assert JobRun.objects.of(world.tenant).count() == 2 * jobs
    assert not InboxItem.objects.of(world.tenant).exists()
    told = Incident.objects.of(world.tenant).filter(tells="ticket")
    assert set(told.values_list("state", flat=True)) == {"closed"}
    assert JobState.objects.of(world.tenant).filter(failures_in_row__gt=0).count() == 0


def release_and_check(world: World) -> bool:
    """Leases of killed workers would run out by themselves after two minutes: do not wait for that here."""
    Lane.objects.of(world.tenant).filter(
        claim_token__isnull=False, lease_until__lt=timezone.now() + timedelta(seconds=115)
    ).update(next_attempt_at=timezone.now())
    Lane.objects.of(world.tenant).filter(next_attempt_at__gt=timezone.now(), claim_token__isnull=True).update(
        next_attempt_at=timezone.now()
    )
    tickets = Ticket.objects.of(world.tenant)
    return settled(world) and tickets.exists() and all(ticket.confirmed_state == "closed" for ticket in tickets)


def test_a_log_posted_to_one_tenant_is_unknown_to_the_other(world: World, product: RunningProduct) -> None:
    product.post(FAILED, key=world.other_server_key, exit_code=1)
    wait_until(lambda: JobRun.objects.of(world.other).exists(), what="the other tenant's run", poke=product.look)
    assert not JobRun.objects.of(world.tenant).exists()
    assert not Incident.objects.of(world.tenant).exists()
