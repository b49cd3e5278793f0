"""Tickets between two steps: closed, back, joined or switched while a call is on its way, unknown or stuck."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from alerts import delivering
from alerts.delivering import deliver_ticket
from alerts.evaluating import evaluate_jobs
from alerts.incidents import recheck_tellings
from alerts.models import Destination, Incident, IncidentEvent, Route, Ticket, TicketUpdate
from alerts.tickets_by_hand import answer_unknown
from integrations.logs.joblog import LogError
from msp.backups.models import BackupJob, JobState
from msp.census import take_census
from msp.outbox import lanes
from msp.outbox.models import Lane, LaneAttempt
from tests.alerts.test_ticket_flow import FAILED, NOW, Play
from tests.doubles.mailbox import Mailbox
from tests.doubles.ticket_server import TicketServer
from tests.integrations.tickets.configs import rest_json
from tests.world import START, World, make_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        yield server


@pytest.fixture
def desk() -> Iterator[TicketServer]:
    with TicketServer() as server:
        yield server


@pytest.fixture
def play(transactional_db: None) -> Play:
    from tests.world import make_world

    return Play(make_world())


def another_job(world: World, name: str) -> BackupJob:
    return make_job(world.tenant, world.server, world.client, name, registered_at=NOW - timedelta(hours=1))


def untold(play: Play) -> int:
    return take_census(None, now=play.now).untold_incidents


def during(monkeypatch: pytest.MonkeyPatch, step: str, happens: Callable[[], Any]) -> None:
    """Once, just after delivery has made the call of this step and before it stores what came of it."""
    real = getattr(delivering, step)

    def instead(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(delivering, step, real)
        happens()
        return real(*args, **options)

    monkeypatch.setattr(delivering, step, instead)


# --- incidents that change while a call is on its way --------------------------------------------------------------


def test_an_incident_that_closes_while_its_ticket_is_created_closes_it_right_after(
    play: Play, desk: TicketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    during(monkeypatch, "confirm_created", lambda: play.run("success"))
    play.deliver()
    assert [ticket.status for ticket in desk.tickets] == ["closed"]
    assert play.lane().wanted == play.lane().confirmed


def test_an_incident_that_joins_while_the_ticket_is_created_is_told_in_a_comment(
    play: Play, desk: TicketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    play.to_desk(desk, grouping="client")
    other = another_job(play.world, "databases")
    play.run("failure", **FAILED)
    during(monkeypatch, "confirm_created", lambda: play.run("failure", job=other, **FAILED))
    play.deliver()
    (ticket,) = desk.tickets
    assert "databases" in ticket.notes[-1]
    assert Incident.objects.of(play.world.tenant).filter(told_at=NOW).count() == 2


def test_an_incident_that_is_back_before_its_old_ticket_was_closed_is_told_anew(play: Play, mailbox: Mailbox) -> None:
    """The closing speaks of the earlier round: it must not count as the telling of the new one, which is held."""
    play.to_mail(mailbox, hold_minutes=60)
    play.run("failure", **FAILED)
    play.wait(minutes=61)
    play.sweep()
    play.deliver()
    play.run("success")
    play.wait(minutes=5)
    play.run("failure", **FAILED)
    assert (play.incident().reopened_count, play.incident().told_at) == (1, None)
    play.deliver()  # the closing of the first ticket
    assert play.incident().told_at is None
    play.wait(minutes=61)
    play.sweep()
    play.deliver()
    assert len(mailbox.kept) == 3
    assert play.incident().told_at == play.now
    assert [ticket.confirmed_state for ticket in Ticket.objects.of(play.world.tenant).order_by("id")] == [
        "closed", "open",
    ]  # fmt: skip


def test_an_incident_back_while_its_ticket_waits_for_the_closing_gets_a_ticket_of_its_own(
    play: Play, desk: TicketServer
) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    play.deliver()
    desk.fail_next("unavailable")
    play.run("success")
    play.deliver()
    play.wait(minutes=1)
    play.run("failure", **FAILED)
    play.deliver()
    play.wait(hours=1)
    play.deliver()
    assert [ticket.status for ticket in desk.tickets] == ["closed", "new"]


# --- outcome unknown -----------------------------------------------------------------------------------------------


def test_a_found_ticket_has_told_what_its_creation_said_and_no_more(
    play: Play, desk: TicketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What joined between reading and calling bears an earlier time than the call, and was in none of its words."""
    play.to_desk(desk, grouping="client")
    other = another_job(play.world, "databases")
    play.run("failure", **FAILED)
    desk.fail_next("answer lost after commit", method="POST")
    during(monkeypatch, "settle_unknown", lambda: play.run("failure", job=other, **FAILED))
    play.deliver()
    play.wait(minutes=5)
    told_when_found: list[int] = []
    real = delivering.comment

    def comment(*args: Any, **options: Any) -> None:
        told_when_found.append(Incident.objects.of(play.world.tenant).exclude(told_at=None).count())
        real(*args, **options)

    monkeypatch.setitem(delivering.ACTIONS, "comment", comment)
    play.deliver()
    (ticket,) = desk.tickets
    assert told_when_found == [1]
    assert "databases" in ticket.notes[-1]
    assert not Incident.objects.of(play.world.tenant).filter(told_at=None).exists()


def test_a_ticket_that_a_person_found_is_closed_if_its_problem_ended_meanwhile(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    mailbox.fail_next("drop after mail")
    play.run("failure", **FAILED)
    for _ in range(2):
        play.deliver()
        play.wait(minutes=10)
    play.run("success")
    answer_unknown(play.world.tenant, str(play.ticket().uid), exists=True, external_id="", actor="tech", now=play.now)
    play.deliver()
    assert (len(mailbox.kept), play.ticket().confirmed_state) == (2, "closed")


def test_what_joined_a_ticket_of_unknown_outcome_is_told_once_a_person_found_it(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox, grouping="client")
    other = another_job(play.world, "databases")
    mailbox.fail_next("drop after mail")
    play.run("failure", **FAILED)
    play.deliver()
    play.wait(minutes=10)
    play.deliver()
    play.run("failure", job=other, **FAILED)
    answer_unknown(play.world.tenant, str(play.ticket().uid), exists=True, external_id="", actor="tech", now=play.now)
    assert Incident.objects.of(play.world.tenant).filter(told_at=None).get().job_id == other.pk
    play.deliver()
    body = mailbox.messages()[1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "databases" in body
    assert not Incident.objects.of(play.world.tenant).filter(told_at=None).exists()


def test_a_ticket_that_does_not_exist_is_created_again_or_forgotten(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    mailbox.fail_next("drop after mail")
    play.run("failure", **FAILED)
    play.deliver()
    play.wait(minutes=10)
    play.deliver()
    answer_unknown(play.world.tenant, str(play.ticket().uid), exists=False, external_id="", actor="tech", now=play.now)
    play.deliver()
    assert play.ticket().confirmed_state == "open"
    assert len(mailbox.kept) == 2  # the person had said that the first one is not there


def test_a_worker_whose_claim_was_taken_over_writes_nothing(
    play: Play, desk: TicketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was frozen in its call until the lease had ended; the other one has told more meanwhile."""
    play.to_desk(desk, grouping="client")
    play.run("failure", **FAILED)
    play.deliver()
    play.run("failure", job=another_job(play.world, "databases"), **FAILED)

    def taken_over() -> None:
        play.wait(minutes=3)
        play.run("failure", job=another_job(play.world, "mail"), **FAILED)
        play.deliver()

    (claim,) = lanes.claim("ticket", now=play.now, limit=1)
    during(monkeypatch, "confirm_told", taken_over)
    deliver_ticket(claim, now=play.now)
    ticket = play.ticket()
    assert ticket.told_seq == ticket.last_seq == 3
    assert ticket.thread["sequence"] == "1"
    play.deliver()
    assert sum("mail" in note for note in desk.tickets[0].notes) == 1


# --- destinations that are switched --------------------------------------------------------------------------------


def test_what_a_dry_run_has_shown_is_told_once_the_destination_is_in_earnest(play: Play, desk: TicketServer) -> None:
    destination = play.to_desk(desk)
    Destination.objects.of(play.world.tenant).update(dry_run=True)
    play.run("failure", **FAILED)
    for _ in range(4):
        play.deliver()
        play.wait(minutes=20)
    assert desk.tickets == []
    assert play.incident().told_at is None
    assert untold(play) == 1
    assert [attempt.action for attempt in LaneAttempt.objects.of(play.world.tenant)] == ["dry run"]
    Destination.objects.of(play.world.tenant).filter(pk=destination.pk).update(dry_run=False)
    recheck_tellings(play.world.tenant.pk, now=play.now)
    play.sweep()
    play.deliver()
    (ticket,) = desk.tickets
    assert "disk full" in ticket.notes[0]
    assert (play.incident().told_at, untold(play)) == (play.now, 0)


def test_a_ticket_that_ended_in_a_dry_run_is_closed_there_afterwards(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    play.deliver()
    Destination.objects.of(play.world.tenant).update(dry_run=True)
    play.run("success")
    play.deliver()
    assert desk.tickets[0].status == "new"
    Destination.objects.of(play.world.tenant).update(dry_run=False)
    play.wait(minutes=20)
    play.deliver()
    assert desk.tickets[0].status == "closed"


def test_a_ticket_never_made_is_forgotten_in_a_dry_run_too(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    Destination.objects.of(play.world.tenant).update(dry_run=True)
    play.run("failure", **FAILED)
    play.deliver()
    play.run("success")
    play.wait(minutes=20)
    play.deliver()
    Destination.objects.of(play.world.tenant).update(dry_run=False)
    play.wait(minutes=20)
    assert play.deliver() == 0
    assert desk.tickets == []


@pytest.mark.parametrize(
    "switched", [{"paused_at": NOW, "pause_reason": "They migrate."}, {"enabled": False}], ids=["paused", "off"]
)
def test_a_destination_that_is_held_back_is_told_of_what_is_still_true(
    play: Play, desk: TicketServer, switched: dict[str, Any]
) -> None:
    play.to_desk(desk)
    other = another_job(play.world, "databases")
    play.run("failure", **FAILED)
    play.run("failure", job=other, **FAILED)
    Destination.objects.of(play.world.tenant).update(**switched)
    play.deliver()
    play.run("success")
    play.wait(minutes=20)
    play.deliver()
    assert desk.tickets == []
    assert untold(play) == 1
    Destination.objects.of(play.world.tenant).update(paused_at=None, enabled=True)
    play.wait(minutes=20)
    play.deliver()
    assert [ticket.title for ticket in desk.tickets if "databases" in ticket.title] == [desk.tickets[0].title]
    assert len(desk.tickets) == 1
    assert untold(play) == 0


def test_a_route_changed_while_its_ticket_is_open_leaves_the_ticket_where_it_is(
    play: Play, desk: TicketServer, mailbox: Mailbox
) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    play.deliver()
    Route.objects.of(play.world.tenant).all().delete()
    play.to_mail(mailbox)
    recheck_tellings(play.world.tenant.pk, now=play.now)
    play.sweep()
    play.deliver()
    assert mailbox.kept == []
    play.run("success")
    play.deliver()
    assert [ticket.status for ticket in desk.tickets] == ["closed"]


# --- who was told of nothing ---------------------------------------------------------------------------------------


def test_the_census_finds_each_way_in_which_nobody_was_told(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    assert untold(play) == 0, "it may take some minutes"
    desk.fail_next("refused")
    play.deliver()
    play.wait(minutes=16)
    play.sweep()
    assert (play.lane().stuck, untold(play)) == (True, 1)

    lanes.free(play.world.tenant.pk, [play.lane().pk], now=play.now)
    play.deliver()
    assert untold(play) == 0


def test_the_census_finds_an_incident_that_no_route_wants_but_not_one_kept_quiet_on_purpose(play: Play) -> None:
    play.run("failure", **FAILED)
    play.wait(hours=2)
    play.sweep()
    assert play.incident().untold_reason == "No route matches this incident."
    assert untold(play) == 1
    Route.objects.of(play.world.tenant).create(position=1, destination=None, name="test clients")
    recheck_tellings(play.world.tenant.pk, now=play.now)
    play.sweep()
    assert untold(play) == 0
    assert "test clients" in play.incident().untold_reason


def test_an_incident_in_its_hold_is_explained(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, hold_minutes=240)
    play.run("failure", **FAILED)
    play.wait(minutes=30)
    assert untold(play) == 0


# --- many at once --------------------------------------------------------------------------------------------------


def test_a_destination_that_fails_is_left_alone_for_a_moment_and_starves_nobody(play: Play, desk: TicketServer) -> None:
    """Twenty tickets of one dead destination, and one of another tenant behind them: its turn comes in the first round,
    not after twenty deadlines.
    """
    tenant, other = play.world.tenant, play.world.other
    play.to_desk(desk)
    Destination.objects.of(tenant).update(config=rest_json("http://127.0.0.1:9"))
    for number in range(20):
        play.run("failure", job=another_job(play.world, f"j{number}"), **FAILED)
    play.wait(seconds=1)
    theirs = Destination.objects.of(other).create(
        name="desk", gateway="rest", config=rest_json(desk.url), created_at=START
    )
    Route.objects.of(other).create(destination=theirs, position=1, hold_minutes=0)
    stranger = make_job(other, play.world.other_server, play.world.other_server.client, "x")  # type: ignore[arg-type]
    JobState.objects.of(other).filter(job=stranger).update(failures_in_row=1, last_failure_at=play.now)
    BackupJob.objects.of(other).update(registered_at=play.now)
    evaluate_jobs(other.pk, [stranger.pk], now=play.now)
    assert Lane.objects.of(other).count() == 1
    play.deliver()
    assert len(desk.tickets) == 1
    assert LaneAttempt.objects.of(tenant).count() <= 4
    waiting = Lane.objects.of(tenant).filter(next_attempt_at__lte=play.now + timedelta(minutes=1))
    assert waiting.count() == 20


def test_a_ticket_of_two_hundred_problems_is_one_message_of_bearable_size(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, grouping="client")
    jobs = [another_job(play.world, f"job {number:03}") for number in range(230)]
    JobState.objects.of(play.world.tenant).filter(job__in=jobs).update(
        failures_in_row=1, last_failure_at=NOW, last_errors=["x" * 1000] * 5
    )
    evaluate_jobs(play.world.tenant.pk, [job.pk for job in jobs], now=NOW)
    play.deliver()
    (ticket,) = desk.tickets
    body = ticket.notes[0]
    assert len(body) < 100_000
    assert body.count("Details: ") == 20
    assert body.count("- Acme Dental - job ") == 200
    assert "- and 10 more" in body
    assert Incident.objects.of(play.world.tenant).filter(told_at=NOW).count() == 230
    JobState.objects.of(play.world.tenant).filter(job__in=jobs).update(failures_in_row=0)
    evaluate_jobs(play.world.tenant.pk, [job.pk for job in jobs], now=NOW + timedelta(minutes=5))
    play.wait(minutes=6)
    play.deliver()
    assert ticket.status == "closed"
    assert len(ticket.notes) == 2
    assert len(ticket.notes[1]) < 50_000


def test_forty_updates_during_an_outage_are_one_comment(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, grouping="client", repeat_hours=1)
    jobs = [another_job(play.world, f"j{number}") for number in range(10)]
    play.run("failure", **FAILED)
    play.deliver()
    desk.fail_next("unavailable")
    for _ in range(2):  # more often, and they would be flapping: watched, and not solved at once
        for job in jobs:
            play.run("failure", job=job, **FAILED)
        play.deliver()
        play.sweep()
        play.wait(seconds=1)
        for job in jobs:
            play.run("success", job=job)
        play.wait(seconds=1)
    for job in jobs[:3]:
        play.run("failure", job=job, **FAILED)
    play.wait(hours=2)
    play.deliver()
    (ticket,) = desk.tickets
    assert len(ticket.notes) == 2
    assert ticket.notes[1].count("Also: ") == 3
    assert ticket.notes[1].count("Solved: ") == 7


def test_reminders_do_not_pile_up_while_nothing_gets_through(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, repeat_hours=1)
    play.run("failure", **FAILED)
    play.deliver()
    Destination.objects.of(play.world.tenant).update(paused_at=play.now)
    for _ in range(10):
        play.wait(hours=2)
        play.sweep()
        play.deliver()
    reminders = TicketUpdate.objects.of(play.world.tenant).filter(kind="reminder")
    assert reminders.count() == 1
    Destination.objects.of(play.world.tenant).update(paused_at=None)
    play.wait(hours=1)
    play.deliver()
    assert sum("Still open" in note for note in desk.tickets[0].notes) == 1


def test_evaluating_twice_writes_nothing_twice(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    play.deliver()
    before = (IncidentEvent.objects.of(play.world.tenant).count(), play.lane().wanted)
    for _ in range(3):
        evaluate_jobs(play.world.tenant.pk, [play.world.job.pk], now=play.now)
        recheck_tellings(play.world.tenant.pk, now=play.now)
        play.sweep()
        play.deliver()
    assert (IncidentEvent.objects.of(play.world.tenant).count(), play.lane().wanted) == before
    assert len(desk.tickets[0].notes) == 1


def test_hostile_words_stay_words(play: Play, mailbox: Mailbox) -> None:
    """Names and lines from outside: no header, no control character, no turned-round text, no megabytes."""
    evil = "x\r\nBcc: victim@example.org\r\n\r\n\x1b[31m\x07\u202egpj.exe " + "A" * 100_000
    play.to_mail(mailbox)
    play.world.client.name = f"Acme\r\nBcc: v@example.org \u202e{'n' * 150}"
    play.world.client.save()
    BackupJob.objects.of(play.world.tenant).filter(pk=play.world.job.pk).update(
        name=("files\nX-Evil: 1\x7f" * 20)[:300]
    )
    play.run("failure", errors=(LogError(evil),) * 50)
    play.deliver()
    (message,) = mailbox.messages()
    assert message["Bcc"] is None
    assert message["X-Evil"] is None
    assert len(message["Subject"]) < 220
    body = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert len(body) < 10_000
    for text in (body, str(message["Subject"])):
        assert not {"\x1b", "\x07", "\u202e", "\x7f"} & set(text)
    assert not [line for line in body.splitlines() if line.startswith("Bcc:")]
    assert play.incident().told_at == NOW
