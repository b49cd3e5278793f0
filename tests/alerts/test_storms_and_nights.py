"""Quiet hours of a route and the limit of new tickets of a destination, through incidents, tickets and deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest

from alerts.models import Incident, Route, Ticket
from msp.backups.models import BackupJob
from tests.alerts.test_ticket_flow import FAILED, NOW, Play
from tests.doubles.ticket_server import TicketServer
from tests.world import make_client, make_job, make_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk() -> Iterator[TicketServer]:
    with TicketServer() as server:
        yield server


@pytest.fixture
def play(transactional_db: None) -> Play:
    return Play(make_world())


def jobs(play: Play, count: int) -> list[BackupJob]:
    world = play.world
    return [
        make_job(world.tenant, world.server, world.client, f"job {number}", registered_at=NOW - timedelta(hours=1))
        for number in range(count)
    ]


def quiet_now(play: Play, **more: object) -> dict[str, object]:
    """Quiet from an hour before the play's beginning until two hours after it."""
    play.world.tenant.timezone = "UTC"
    play.world.tenant.save()
    return {
        "quiet_from": (play.now - timedelta(hours=1)).time(),
        "quiet_until": (play.now + timedelta(hours=2)).time(),
        **more,
    }


def deliver_all(play: Play) -> None:
    """Within the pace that the destination allows."""
    for _ in range(5):
        play.deliver()
        play.wait(minutes=1)


def test_in_quiet_hours_nobody_is_told_until_they_end(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, **quiet_now(play))
    play.run("failure", **FAILED)
    assert play.deliver() == 0
    incident = play.incident()
    assert incident.severity == "warning"
    assert "quiet hours last until" in incident.untold_reason
    play.wait(hours=1)
    play.sweep()
    assert play.deliver() == 0
    play.wait(hours=1)
    play.sweep()
    play.deliver()
    assert len(desk.tickets) == 1
    assert play.incident().told_at == play.now


def test_what_is_solved_in_quiet_hours_is_never_told(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, **quiet_now(play))
    play.run("failure", **FAILED)
    play.wait(hours=1)
    play.run("success")
    play.wait(hours=2)
    play.sweep()
    play.deliver()
    assert desk.tickets == []


def test_what_becomes_critical_goes_through_unless_nothing_does(play: Play, desk: TicketServer) -> None:
    made = play.to_desk(desk, **quiet_now(play))
    for _ in range(3):  # the third failure is critical
        play.run("failure", **FAILED)
        play.wait(minutes=1)
    play.deliver()
    assert [ticket.status for ticket in desk.tickets] == ["new"]
    Route.objects.of(play.world.tenant).filter(destination=made).update(quiet_unless="")
    (other,) = jobs(play, 1)
    for _ in range(3):
        play.run("failure", job=other, **FAILED)
        play.wait(minutes=1)
    play.deliver()
    assert len(desk.tickets) == 1


def test_a_closing_does_not_wait_for_the_morning(play: Play, desk: TicketServer) -> None:
    play.world.tenant.timezone = "UTC"
    play.world.tenant.save()
    play.to_desk(desk, quiet_from=time(23), quiet_until=time(6))
    play.now = datetime(2026, 11, 23, 22, 50, tzinfo=UTC)
    play.run("failure", **FAILED)
    play.deliver()
    play.wait(minutes=30)
    play.run("success")
    play.deliver()
    assert [ticket.status for ticket in desk.tickets] == ["closed"]


def test_beyond_the_limit_of_an_hour_further_problems_share_one_ticket(play: Play, desk: TicketServer) -> None:
    made = play.to_desk(desk)
    made.tickets_per_hour = 3
    made.save()
    many = jobs(play, 8)
    for job in many:
        play.run("failure", job=job, **FAILED)
    deliver_all(play)
    titles = [ticket.title for ticket in desk.tickets]
    assert len(titles) == 4
    assert sum("Further backup problems" in title for title in titles) == 1
    assert Incident.objects.of(play.world.tenant).filter(told_at__isnull=False).count() == 8
    shared = Ticket.objects.of(play.world.tenant).get(group_key="further")
    assert shared.client_id is None
    told = "\n".join(next(ticket.notes for ticket in desk.tickets if "Further" in ticket.title))
    assert all(f"job {number}" in told for number in range(3, 8))

    for job in many:
        play.run("success", job=job)
    deliver_all(play)
    assert {ticket.status for ticket in desk.tickets} == {"closed"}

    play.wait(hours=2)
    play.run("failure", job=many[0], **FAILED)
    play.deliver()
    assert len(desk.tickets) == 5
    assert "Further" not in desk.tickets[-1].title


def test_a_storm_in_one_batch_gives_the_worst_problems_their_own_tickets(play: Play, desk: TicketServer) -> None:
    made = play.to_desk(desk, hold_minutes=60)
    made.tickets_per_hour = 2
    made.save()
    many = jobs(play, 6)
    for job in many:
        play.run("failure", job=job, **FAILED)
    Incident.objects.of(play.world.tenant).filter(job_id__in=[many[4].pk, many[5].pk]).update(severity="critical")
    play.wait(minutes=61)
    play.sweep()
    own = Ticket.objects.of(play.world.tenant).exclude(group_key="further")
    assert {ticket.group_key for ticket in own} == {f"job:{many[4].pk}", f"job:{many[5].pk}"}


def test_a_limit_is_of_one_destination_and_open_tickets_still_take_what_joins_them(
    play: Play, desk: TicketServer
) -> None:
    made = play.to_desk(desk, grouping="client")
    made.tickets_per_hour = 1
    made.save()
    first, second = jobs(play, 2)
    play.run("failure", job=first, **FAILED)
    play.run("failure", job=second, **FAILED)
    play.deliver()
    assert Ticket.objects.of(play.world.tenant).count() == 1


def test_a_ticket_about_a_shared_server_is_of_no_client(play: Play, desk: TicketServer) -> None:
    """Its first incident's client would be charged with the others' problems, and see them."""
    world = play.world
    play.to_desk(desk, grouping="server")
    other = make_client(world.tenant, "Another")
    job = make_job(world.tenant, world.server, other, "theirs", registered_at=NOW - timedelta(hours=1))
    play.run("failure", **FAILED)
    play.run("failure", job=job, **FAILED)
    ticket = Ticket.objects.of(world.tenant).get()
    assert ticket.client_id == world.server.client_id
