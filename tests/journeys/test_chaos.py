"""A thousand incidents through a real django-helpdesk, while workers, Redis and the desk itself are killed at random.

Nothing is helped along but time: the scheduler's own beats find what is left over. In the end each group of problems
has exactly one open ticket or none, no ticket there is unknown here, and each stands as its problems do.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import close_old_connections
from django.utils import timezone

from alerts.models import Destination, Incident, Route, Ticket
from launch.places import make_places
from launch.processes import end_leftovers
from launch.redis import start_redis
from launch.server import Server
from msp.backups.models import BackupJob
from msp.ingest.models import ReceiptQueue
from msp.outbox.models import Lane
from tests.desks import django_helpdesk
from tests.desks.django_helpdesk import CLOSED, DjangoHelpdesk
from tests.journeys.running_product import RunningProduct, wait_until
from tests.world import START, World, make_client, make_server, make_world

pytestmark = [
    pytest.mark.journey, pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200),
]  # fmt: skip

RESTIC = Path(__file__).parents[1] / "fixtures" / "logs" / "restic" / "backup-disk-full-json"
STDOUT, STDERR = (RESTIC / "stdout.log").read_text(), (RESTIC / "stderr.log").read_text()
CLIENTS, JOBS = 50, 20
#: The first clients have one ticket for all their jobs, the others one for each job.
GROUPED = 30
#: A worker that was killed so long ago has no call under way any more: its claims need not wait for their lease's end.
GONE = timedelta(seconds=90)
PATIENCE = 600.0

Job = tuple[int, int]


class Chaos:
    """What runs, and the thread that kills it: each part at least once, and started again before the raging ends."""

    def __init__(self, product: RunningProduct, redis: Server, desk: DjangoHelpdesk, chance: random.Random) -> None:
        self.product, self.redis, self.desk, self.chance = product, redis, desk, chance
        self.kills: Counter[str] = Counter()
        self._over = threading.Event()

    @contextmanager
    def raging(self) -> Iterator[None]:
        self._over.clear()
        thread = threading.Thread(target=self._rage)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _rage(self) -> None:
        means: dict[str, Callable[[], None]] = {
            "line": lambda: self._worker("line"),
            "delivery": lambda: self._worker("delivery"),
            "polling": lambda: self._worker("polling"),
            "redis": self._redis,
            "desk": self._desk,
        }
        deck: list[str] = []
        while deck or not self._over.is_set():
            deck = deck or self.chance.sample([*means, "delivery", "desk"], k=len(means) + 2)
            time.sleep(self.chance.uniform(0.5, 4))
            name = deck.pop()
            means[name]()
            self.kills[name] += 1

    def _pause(self) -> None:
        time.sleep(self.chance.uniform(0, 2))

    def _worker(self, name: str) -> None:
        self.product.kill(name)
        self._pause()
        self.product.start(name)

    def _redis(self) -> None:
        self.redis.process.kill()
        self.redis.process.wait()
        self._pause()
        self.redis = self.redis.restart()

    def _desk(self) -> None:
        self.desk.kill()
        self._pause()
        self.desk.start()


@pytest.fixture
def redis() -> Iterator[Server]:
    """A Redis of our own to kill; the tests' own serves others meanwhile."""
    with tempfile.TemporaryDirectory(prefix="backledger-chaos-") as folder:
        Path(folder).chmod(0o711)  # as root the data of servers must be within everybody's reach
        places = make_places(Path(folder), is_root=os.geteuid() == 0)
        yield start_redis(places, password="chaos")
        end_leftovers(places.processes)


@pytest.fixture
def desk() -> Iterator[DjangoHelpdesk]:
    with django_helpdesk.start() as started:
        yield started


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"CHAOS_SEED={seed}")  # shown when the test fails
    return random.Random(seed)


class Senders:
    """Clients with a backup server each, whose jobs make themselves when their first log comes."""

    def __init__(self, world: World, product: RunningProduct) -> None:
        self.product = product
        self.clients = [make_client(world.tenant, f"Client {number:02}") for number in range(CLIENTS)]
        self.keys = [
            make_server(world.tenant, f"server-{number:02}", client=client)[1]
            for number, client in enumerate(self.clients)
        ]

    def send(self, round_: int, jobs: set[Job], *, good: bool, ended_at: datetime) -> None:
        """One batch for each server."""
        for client in range(CLIENTS):
            mine = sorted(job for owner, job in jobs if owner == client)
            lines = [json.dumps(envelope(job, round_, good=good, ended_at=ended_at)) for job in mine]
            if lines:
                body = "\n".join(lines).encode()
                answer = self.product.post(body, key=self.keys[client], path="/api/v1/logs/batch")
                assert answer.status_code == 202, answer.text


def envelope(job: int, round_: int, *, good: bool, ended_at: datetime) -> dict[str, object]:
    summary = {
        "message_type": "summary", "files_new": 0, "files_changed": 1, "files_unmodified": 125, "dirs_new": 0,
        "dirs_changed": 1, "dirs_unmodified": 9, "data_blobs": 1, "tree_blobs": 2, "data_added": 5000,
        "total_files_processed": 126, "total_bytes_processed": 26343567, "total_duration": 1.5,
        "snapshot_id": f"{round_:02x}{job:06x}",
    }  # fmt: skip
    words = {"stdout": json.dumps(summary) + "\n"} if good else {"stdout": STDOUT, "stderr": STDERR}
    return {
        **words, "exit_code": 0 if good else 1, "job": f"job {job:02}", "run_id": f"{job}-{round_}",
        "ended_at": ended_at.isoformat(),
    }  # fmt: skip


def route_all(world: World, senders: Senders, desk: DjangoHelpdesk) -> None:
    made = Destination.objects.of(world.tenant).create(
        name="Desk", gateway="django-helpdesk", config=desk.stored, created_at=START, calls_per_minute=60_000
    )
    some = [client.pk for client in senders.clients[:GROUPED]]
    routes = Route.objects.of(world.tenant)
    routes.create(position=1, destination=made, hold_minutes=0, grouping="client", client_ids=some)
    routes.create(position=2, destination=made, hold_minutes=0, grouping="job")


def is_settled(world: World) -> bool:
    """Everything was read and told. Claims of workers that are gone for sure are given back."""
    close_old_connections()
    lanes = Lane.objects.of(world.tenant).filter(kind="ticket")
    given = lanes.filter(claim_token__isnull=False, lease_until__lt=timezone.now() + GONE)
    given.update(next_attempt_at=timezone.now())
    if ReceiptQueue.objects.of(world.tenant).exists():
        return False
    return not any(lane.wanted > lane.confirmed for lane in lanes.only("wanted", "confirmed"))


def stuck(world: World) -> list[str]:
    return list(Lane.objects.of(world.tenant).filter(stuck=True).values_list("last_error", flat=True))


def test_a_thousand_incidents_have_one_ticket_each_whatever_is_killed(
    transactional_db: None, redis: Server, desk: DjangoHelpdesk, chance: random.Random
) -> None:
    world = make_world()
    names = ("web", "line", "delivery", "polling", "beat")
    with RunningProduct(names=names, redis_url=redis.url) as product:
        senders = Senders(world, product)
        route_all(world, senders, desk)
        chaos = Chaos(product, redis, desk, chance)
        everyone = {(client, job) for client in range(CLIENTS) for job in range(JOBS)}
        solved = {job for job in everyone if chance.random() < 0.6}
        back = {job for job in solved if chance.random() < 0.3}
        begin = timezone.now() - timedelta(hours=3)
        with chaos.raging():
            for round_, (jobs, good) in enumerate(((everyone, False), (solved, True), (back, False))):
                senders.send(round_, jobs, good=good, ended_at=begin + timedelta(minutes=30 * round_))
                time.sleep(chance.uniform(5, 15))
        wait_until(lambda: is_settled(world), what="everything to be told", seconds=PATIENCE)
        compare(world, desk, failing=(everyone - solved) | back)

        closed = close_some_by_hand(world, desk, chance)
        with chaos.raging():
            wait_until(lambda: all_acknowledged(world, closed), what="the closings to be seen", seconds=PATIENCE)
            end_acknowledgements(world, closed)
            time.sleep(chance.uniform(5, 10))
        wait_until(lambda: is_settled(world) and told_to_persist(world, closed), what="the rest", seconds=PATIENCE)
        compare(world, desk, failing=(everyone - solved) | back)
        assert min(chaos.kills[name] for name in ("line", "delivery", "polling", "redis", "desk")) >= 2


def compare(world: World, desk: DjangoHelpdesk, *, failing: set[Job]) -> None:
    """Every ticket there against ours, and ours against the problems."""
    assert stuck(world) == []
    rows = list(Ticket.objects.of(world.tenant).select_related("client"))
    there = {ticket.id: ticket.status for ticket in desk.tickets()}
    assert Counter(row.external_id for row in rows if row.external_id) == Counter(there.keys())
    for row in rows:
        if row.external_id:
            is_closed = there[row.external_id] == str(CLOSED)
            assert (row.wanted_state == "closed") == is_closed, row.reference
    open_rows = [row for row in rows if row.wanted_state == "open"]
    assert max(Counter(row.group_key for row in open_rows).values()) == 1
    assert all(row.told_seq == row.last_seq for row in rows)

    incidents = Incident.objects.of(world.tenant).select_related("ticket", "client")
    names = BackupJob.objects.of(world.tenant).in_bulk()
    broken = {
        (int(one.client.name.split()[1]), int(names[one.job_id].name.split()[1]))
        for one in incidents.filter(state="open", kind="errors")
    }
    assert broken == failing
    for one in incidents.filter(state="open"):
        assert one.told_at is not None, one.untold_reason
        assert one.ticket is not None
        assert one.ticket.wanted_state == "open"


def close_some_by_hand(world: World, desk: DjangoHelpdesk, chance: random.Random) -> list[int]:
    """A person closes a few tickets there, though their problems last; answers the tickets' ids here."""
    rows = list(Ticket.objects.of(world.tenant).filter(wanted_state="open").order_by("pk"))
    chosen = chance.sample(rows, 10)
    for row in chosen:
        desk.close_there(row.external_id)
    ids = [row.pk for row in chosen]
    Ticket.objects.of(world.tenant).filter(pk__in=ids).update(check_after=timezone.now())
    return ids


def all_acknowledged(world: World, tickets: list[int]) -> bool:
    """The look that failed because the desk was away is repeated in half an hour: that is not waited for."""
    close_old_connections()
    rows = Ticket.objects.of(world.tenant).filter(pk__in=tickets)
    rows.filter(confirmed_state="open", check_after__gt=timezone.now()).update(check_after=timezone.now())
    return not rows.filter(confirmed_state="open").exists()


def end_acknowledgements(world: World, tickets: list[int]) -> None:
    """The day that a closing there is believed for is over."""
    rows = Incident.objects.of(world.tenant).filter(ticket__in=tickets, state="open")
    assert rows.filter(acknowledged_until__isnull=False).exists()
    rows.update(acknowledged_until=timezone.now(), check_after=timezone.now())


def told_to_persist(world: World, tickets: list[int]) -> bool:
    return not Ticket.objects.of(world.tenant).filter(pk__in=tickets).exclude(confirmed_state="open").exists()
