"""A thousand incidents through a real django-helpdesk, while workers, Redis and the desk itself are killed at random.

In the end each group of problems has exactly one open ticket or none, no ticket there is unknown here, each bears its
own reference, stands as its problems do, and names every problem that lasts. Set CHAOS_SEED to repeat a plan of kills.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import close_old_connections
from django.db.models import F
from django.utils import timezone

from alerts.models import Destination, Incident, Route, Ticket
from launch.places import make_places
from launch.processes import end_leftovers
from launch.redis import start_redis
from launch.server import Server
from msp.backups.models import BackupJob
from msp.ingest.models import ReceiptQueue
from msp.outbox.models import Lane, LaneAttempt
from tests.desks import django_helpdesk
from tests.desks.django_helpdesk import CLOSED, DjangoHelpdesk
from tests.journeys.raging import Chaos
from tests.journeys.running_product import RunningProduct, wait_until
from tests.journeys.senders import Job, Senders
from tests.world import START, World, make_world

pytestmark = [
    pytest.mark.journey, pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200),
]  # fmt: skip

CLIENTS, JOBS = 50, 20
#: The first clients have one ticket for all their jobs, the others one for each job.
GROUPED = 40
#: Jobs fail in so many waves; some are good with the next wave, and some of those fail again with the one after it.
WAVES = 3
#: Tickets that people close there while their problems last, and how many of those problems are solved thereafter.
BY_HAND, CURED = 12, 4
#: A call lasts seconds. A claim so much older than its lease allows for is a dead worker's: its end need not be waited
#: for, once the killing is over.
GONE = timedelta(seconds=90)
PATIENCE = 600.0


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
def seed() -> int:
    chosen = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"CHAOS_SEED={chosen}")  # shown when the test fails
    return chosen


def test_a_thousand_incidents_have_one_ticket_each_whatever_is_killed(
    transactional_db: None, redis: Server, desk: DjangoHelpdesk, seed: int
) -> None:
    world, chance = make_world(), random.Random(seed)
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(state="retired")  # nobody sends its logs
    names = ("web", "line", "delivery", "polling", "beat")
    with RunningProduct(names=names, redis_url=redis.url) as product:
        senders = Senders(world, product, clients=CLIENTS)
        route_all(world, senders, desk)
        chaos = Chaos(product, redis, desk, chance=random.Random(seed + 1), done=lambda: delivered(world))
        with chaos.raging():
            failing = fail_and_recover(world, senders, chance)
        wait_until(lambda: is_settled(world), what="everything to be told", seconds=PATIENCE)
        compare(world, desk, failing=failing)

        lasting, cured = close_some_by_hand(world, desk, chance)
        with chaos.raging():
            failing = go_on(
                senders, failing, cured=problems(world, cured), kept=problems(world, lasting), chance=chance
            )
            wait_until(lambda: all_seen_closed(world, lasting), what="the closings to be seen", seconds=PATIENCE)
            end_acknowledgements(world, lasting)
            time.sleep(chance.uniform(5, 10))
        wait_until(lambda: is_settled(world) and are_reopened(world, lasting), what="the rest", seconds=PATIENCE)
        compare(world, desk, failing=failing)
        assert min(chaos.kills[name] for name in chaos.means) >= 2
        tell_figures(world, desk, chaos)


# --- what happens -----------------------------------------------------------------------------------------------------


def route_all(world: World, senders: Senders, desk: DjangoHelpdesk) -> None:
    made = Destination.objects.of(world.tenant).create(
        name="Desk", gateway="django-helpdesk", config=desk.stored, created_at=START, calls_per_minute=60_000
    )
    some = [client.pk for client in senders.clients[:GROUPED]]
    routes = Route.objects.of(world.tenant)
    routes.create(position=1, destination=made, hold_minutes=0, grouping="client", client_ids=some)
    routes.create(position=2, destination=made, hold_minutes=0, grouping="job")


def fail_and_recover(world: World, senders: Senders, chance: random.Random) -> set[Job]:
    """A thousand failures, most of them solved, some of those back; answers the jobs that are failing in the end. Each
    wave is read before the next, for what fails and is good again in one batch opens no incident.
    """
    everyone = [(client, job) for client in range(CLIENTS) for job in range(JOBS)]
    wave = {job: chance.randrange(WAVES) for job in everyone}
    solved = {job for job in everyone if chance.random() < 0.6}
    back = {job for job in solved if chance.random() < 0.3}
    begin = timezone.now() - timedelta(hours=3)
    for step in range(WAVES + 2):
        ended_at = begin + timedelta(minutes=20 * step)
        senders.send(step, {job for job in everyone if wave[job] == step}, good=False, ended_at=ended_at)
        senders.send(step, {job for job in solved if wave[job] == step - 1}, good=True, ended_at=ended_at)
        senders.send(step, {job for job in back if wave[job] == step - 2}, good=False, ended_at=ended_at)
        time.sleep(chance.uniform(0, 5))
        wait_until(lambda: is_read(world), what="the logs to be read", seconds=PATIENCE)
    return (set(everyone) - solved) | back


def close_some_by_hand(world: World, desk: DjangoHelpdesk, chance: random.Random) -> tuple[list[int], list[int]]:
    """A person closes a few tickets there, though their problems last; answers the ids here of those that are to be
    opened again, and of those whose problems will be solved.
    """
    rows = list(Ticket.objects.of(world.tenant).filter(wanted_state="open").order_by("pk"))
    chosen = chance.sample(rows, BY_HAND)
    for row in chosen:
        desk.close_there(row.external_id)
    ids = [row.pk for row in chosen]
    Ticket.objects.of(world.tenant).filter(pk__in=ids).update(check_after=timezone.now())
    return ids[CURED:], ids[:CURED]


def go_on(senders: Senders, failing: set[Job], *, cured: set[Job], kept: set[Job], chance: random.Random) -> set[Job]:
    """Good runs of the cured jobs and of some others but the kept ones, failures of some that were good (of clients
    whose tickets nobody touched: a new problem would open those again at once); answers the jobs that fail now.
    """
    everyone = {(client, job) for client in range(CLIENTS) for job in range(JOBS)}
    solved = cured | {job for job in sorted(failing - kept) if chance.random() < 0.3}
    touched = {client for client, _ in kept | cured}
    broken = {job for job in sorted(everyone - failing) if job[0] not in touched and chance.random() < 0.15}
    ended_at = timezone.now() - timedelta(minutes=10)
    senders.send(WAVES + 2, solved, good=True, ended_at=ended_at)
    senders.send(WAVES + 2, broken, good=False, ended_at=ended_at)
    return (failing - solved) | broken


def problems(world: World, tickets: list[int] | None = None) -> set[Job]:
    """The jobs with an open incident of errors, on these tickets or on any."""
    incidents = Incident.objects.of(world.tenant).filter(state="open", kind="errors").select_related("client")
    jobs = BackupJob.objects.of(world.tenant).in_bulk()
    return {
        (int(one.client.name.split()[1]), int(jobs[one.job_id].name.split()[1]))
        for one in incidents
        if tickets is None or one.ticket_id in tickets
    }


def end_acknowledgements(world: World, tickets: list[int]) -> None:
    """The day that a closing there is believed for is over."""
    rows = Incident.objects.of(world.tenant).filter(ticket__in=tickets, state="open")
    assert rows.filter(acknowledged_until__isnull=False).exists()
    rows.update(acknowledged_until=timezone.now(), check_after=timezone.now())


# --- what is waited for -----------------------------------------------------------------------------------------------


def is_read(world: World) -> bool:
    close_old_connections()
    return not ReceiptQueue.objects.of(world.tenant).exists()


def is_settled(world: World) -> bool:
    """Everything was read and told. Claims of workers that are gone for sure are given back."""
    lanes = Lane.objects.of(world.tenant).filter(kind="ticket")
    given = lanes.filter(claim_token__isnull=False, lease_until__lt=timezone.now() + GONE)
    given.update(next_attempt_at=timezone.now())
    return is_read(world) and not any(lane.wanted > lane.confirmed and not lane.stuck for lane in lanes)


def delivered(world: World) -> int | None:
    """How many calls were made; None when no ticket waits for one."""
    lanes = Lane.objects.of(world.tenant).filter(kind="ticket", wanted__gt=F("confirmed"))
    return LaneAttempt.objects.of(world.tenant).count() if lanes.exists() else None


def all_seen_closed(world: World, tickets: list[int]) -> bool:
    """A look that failed because the desk was away is repeated in half an hour: that is not waited for."""
    close_old_connections()
    rows = Ticket.objects.of(world.tenant).filter(pk__in=tickets, confirmed_state="open")
    rows.filter(check_after__gt=timezone.now()).update(check_after=timezone.now())
    return not rows.exists()


def are_reopened(world: World, tickets: list[int]) -> bool:
    return not Ticket.objects.of(world.tenant).filter(pk__in=tickets).exclude(confirmed_state="open").exists()


# --- what must be so --------------------------------------------------------------------------------------------------


def compare(world: World, desk: DjangoHelpdesk, *, failing: set[Job]) -> None:
    """Every ticket there against ours, and both against the problems."""
    assert list(Lane.objects.of(world.tenant).filter(stuck=True).values_list("last_error", flat=True)) == []
    assert problems(world) == failing
    compare_one_to_one(world, desk)
    compare_groups(world, desk, failing=failing)
    compare_words(world, desk)
    assert Incident.objects.of(world.tenant).filter(kind="errors").count() >= CLIENTS * JOBS


def compare_one_to_one(world: World, desk: DjangoHelpdesk) -> None:
    """Each ticket there is one of ours, with its reference and its state; ours without one there was over too soon."""
    rows = list(Ticket.objects.of(world.tenant))
    there = {ticket.id: ticket.status == str(CLOSED) for ticket in desk.tickets()}
    references = {id_: said[0].rstrip().rsplit("\n", 1)[-1] for id_, said in desk.said().items()}
    twice = {reference: count for reference, count in Counter(references.values()).items() if count > 1}
    assert twice == {}
    ours = {row.external_id: row for row in rows if row.external_id}
    assert references == {id_: f"[{row.reference}]" for id_, row in ours.items()}
    assert there == {id_: row.wanted_state == "closed" for id_, row in ours.items()}
    assert all(row.wanted_state == "closed" for row in rows if not row.external_id)
    assert all(row.wanted_state == row.confirmed_state for row in rows)


def compare_groups(world: World, desk: DjangoHelpdesk, *, failing: set[Job]) -> None:
    """One open ticket for each client of the first, and for each job of the others, with a problem; none besides."""
    groups = {job if job[0] >= GROUPED else job[0] for job in failing}
    rows = Ticket.objects.of(world.tenant).filter(wanted_state="open")
    assert len({row.group_key for row in rows}) == len(rows) == len(groups)
    assert sum(ticket.status != str(CLOSED) for ticket in desk.tickets()) == len(groups)


def compare_words(world: World, desk: DjangoHelpdesk) -> None:
    """Each failure that lasts was told, on an open ticket that names its job."""
    said = desk.said()
    jobs = BackupJob.objects.of(world.tenant).in_bulk()
    for incident in Incident.objects.of(world.tenant).filter(state="open", kind="errors").select_related("ticket"):
        ticket = incident.ticket
        assert ticket is not None, incident.untold_reason
        assert ticket.wanted_state == "open"
        assert incident.told_at is not None, incident.untold_reason
        assert ticket.told_seq == ticket.last_seq
        assert jobs[incident.job_id].name in "\n".join(said[ticket.external_id]), ticket.reference


def tell_figures(world: World, desk: DjangoHelpdesk, chaos: Chaos) -> None:
    """For who wants to know what it went through (pytest -s)."""
    said = desk.said().values()
    repeated = sum(len(words) - len(set(words)) - 1 for words in said)  # the first message is the description again
    attempts = Counter(LaneAttempt.objects.of(world.tenant).values_list("action", "outcome"))
    kinds = Counter(Incident.objects.of(world.tenant).values_list("kind", "state"))
    print(f"incidents: { {' '.join(key): count for key, count in sorted(kinds.items())} }")
    print(f"kills: {dict(chaos.kills)}", f"tickets: {len(said)}", f"messages said twice: {repeated}", sep="; ")
    print(f"attempts: { {' '.join(key): count for key, count in sorted(attempts.items())} }")
