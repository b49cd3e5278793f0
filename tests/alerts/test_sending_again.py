"""A person has a ticket sent again: tried now, or its last words repeated; no second ticket, nothing after closing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from alerts.models import Destination, Ticket, TicketUpdate
from alerts.sending_again import NotNow, send_again
from msp.outbox.models import Lane
from msp.tenants.models import AuditEntry
from tests.alerts.test_ticket_flow import FAILED, Play
from tests.doubles.ticket_server import TicketServer
from tests.world import make_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk() -> Iterator[TicketServer]:
    with TicketServer() as server:
        yield server


@pytest.fixture
def play(transactional_db: None, desk: TicketServer) -> Play:
    made = Play(make_world())
    made.to_desk(desk)
    return made


def again(play: Play, *, seen_seq: int | None = None) -> str:
    return send_again(play.world.tenant, play.ticket().pk, seen_seq=seen_seq, actor="Tina", actor_id=None, now=play.now)


def audited(play: Play) -> list[str]:
    rows = AuditEntry.objects.of(play.world.tenant).filter(subject_kind="ticket").order_by("id")
    return [f"{row.actor}: {row.action}" for row in rows]


def test_one_that_waits_after_a_failure_is_tried_now(play: Play, desk: TicketServer) -> None:
    desk.fail_next("too many requests")
    play.run("failure", **FAILED)
    play.deliver()
    play.wait(seconds=5)
    assert play.deliver() == 0, "it was asked to wait for 17 seconds"
    assert again(play) == "hurry"
    with pytest.raises(NotNow, match="within seconds"):
        again(play)
    assert play.deliver() == 1
    assert (len(desk.tickets), play.ticket().confirmed_state) == (1, "open")
    assert audited(play) == ["Tina: ticket tried at once"]


def test_one_whose_creation_may_have_worked_is_looked_up_and_not_doubled(play: Play, desk: TicketServer) -> None:
    desk.fail_next("answer lost after commit")
    play.run("failure", **FAILED)
    play.deliver()
    assert len(desk.tickets) == 1
    play.wait(seconds=5)
    assert again(play) == "hurry"
    for _ in range(5):
        play.deliver()
        play.wait(minutes=2)
    assert len(desk.tickets) == 1
    assert play.ticket().confirmed_state == "open"


def test_a_stuck_one_is_freed(play: Play, desk: TicketServer) -> None:
    desk.fail_next("refused")
    play.run("failure", **FAILED)
    play.deliver()
    assert play.lane().stuck
    assert again(play) == "free"
    play.deliver()
    assert len(desk.tickets) == 1
    assert audited(play) == ["Tina: ticket sent again"]


def test_the_last_words_are_repeated_in_the_same_ticket_once_confirmed(play: Play, desk: TicketServer) -> None:
    play.run("failure", **FAILED)
    play.deliver()
    (ticket,) = desk.tickets
    with pytest.raises(NotNow, match="confirm"):
        again(play)
    seen = play.ticket().last_seq
    assert again(play, seen_seq=seen) == "repeat"
    with pytest.raises(NotNow, match="within seconds"):
        again(play, seen_seq=seen)
    play.deliver()
    assert len(desk.tickets) == 1
    *_, note = ticket.notes
    assert len(ticket.notes) == 2
    assert "disk full" in note
    with pytest.raises(NotNow, match="meanwhile"):
        again(play, seen_seq=seen)
    assert play.lane().confirmed == play.lane().wanted
    assert TicketUpdate.objects.of(play.world.tenant).filter(kind="reminder").count() == 1
    assert audited(play) == ["Tina: last words of a ticket repeated"]


def test_after_the_closing_nothing_is_said(play: Play, desk: TicketServer) -> None:
    play.run("failure", **FAILED)
    play.deliver()
    play.wait(hours=1)
    play.run("success")
    play.deliver()
    assert desk.tickets[0].status == "closed"
    said = list(desk.log)
    with pytest.raises(NotNow, match="open it again"):
        again(play, seen_seq=play.ticket().last_seq)
    Ticket.objects.of(play.world.tenant).update(wanted_state="open")
    with pytest.raises(NotNow, match="open it again"):
        again(play, seen_seq=play.ticket().last_seq)
    play.deliver()
    assert (desk.log, audited(play)) == (said, [])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"enabled": False}, "switched off"),
        ({"dry_run": True}, "without sending"),
        ({"pause_reason": "holidays", "paused_at": "now"}, "paused by a person"),
    ],
)
def test_where_nothing_can_be_sent_it_says_why(play: Play, values: dict[str, object], said: str) -> None:
    play.run("failure", **FAILED)
    changes = {name: play.now if value == "now" else value for name, value in values.items()}
    Destination.objects.of(play.world.tenant).update(**changes)
    with pytest.raises(NotNow, match=said):
        again(play)


def test_a_destination_that_paused_itself_is_tried_with_it(play: Play, desk: TicketServer) -> None:
    desk.fail_next("unavailable")
    play.run("failure", **FAILED)
    play.deliver()
    Destination.objects.of(play.world.tenant).update(
        paused_at=play.now, failing_since=play.now, failures=9, probe_after=play.now + timedelta(hours=1)
    )
    play.wait(seconds=1)
    assert again(play) == "hurry"
    play.deliver()
    assert len(desk.tickets) == 1
    assert Destination.objects.of(play.world.tenant).get().paused_at is None


def test_while_it_is_being_sent_nothing_is_begun(play: Play) -> None:
    play.run("failure", **FAILED)
    Lane.objects.of(play.world.tenant).update(
        claim_token="0b9f3a52-4f5e-4a53-9c55-2a1c6b7f8d90", lease_until=play.now + timedelta(minutes=1)
    )
    with pytest.raises(NotNow, match="at this moment"):
        again(play)
