"""What people do to tickets in the other system reaches incidents here: by looking, on a schedule or once called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from alerts import looking, their_side
from alerts.callback_addresses import address_of, give_address
from alerts.models import Destination, Incident, IncidentEvent, Route, Ticket, TicketRemark
from alerts.their_side import take_over
from integrations.tickets import Standing
from msp.outbox.models import InboundEvent, LaneAttempt
from tests.alerts.test_ticket_flow import Play
from tests.doubles.desks.zendesk import Zendesk, bench
from tests.world import World, make_job, make_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(settings: Any) -> Iterator[Zendesk]:
    with ExitStack() as stack:
        made = bench(stack).desk
        assert isinstance(made, Zendesk)
        yield made


@pytest.fixture
def play(transactional_db: None, desk: Zendesk) -> Play:
    return Play(make_world())


class Desk:
    """One failing job with its ticket in Zendesk, and what happens to it there."""

    def __init__(self, play: Play, desk: Zendesk, **destination: Any) -> None:
        self.play, self.desk = play, desk
        config = {"url": desk.url, "email": "robot@msp.example", "token": "zd-s3cret-token",
                  "webhook_secret": "zd-signing-s3cret"}  # fmt: skip
        self.row = play.destination("zendesk", config)
        Destination.objects.of(play.world.tenant).filter(pk=self.row.pk).update(**destination)
        play.run("failure")
        play.deliver()

    @property
    def there(self) -> Any:
        return self.desk.tickets[-1]

    def look(self) -> int:
        self.play.wait(hours=2)
        return looking.look_due(now=lambda: self.play.now)

    def incident(self) -> Incident:
        return self.play.incident()

    def events(self) -> list[str]:
        rows = IncidentEvent.objects.of(self.play.world.tenant).filter(incident=self.incident()).order_by("seq")
        return [f"{row.kind}: {row.text}" for row in rows]


def test_a_ticket_is_looked_at_within_its_time_and_nothing_new_changes_nothing(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    assert looking.look_due(now=lambda: play.now) == 0, "not before its time"
    before = at.events()
    assert at.look() == 1
    assert at.look() == 1
    assert at.events() == before, "our own messages come back and are no news"
    assert play.ticket().their_status == "new"


def test_status_person_and_messages_reach_the_incident_once(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    at.look()
    desk.set_status_there(at.there.id, "pending")
    desk.assign_there(at.there.id, "Tina Tech")
    desk.say_there(at.there.id, "Tina Tech", "Replaced the disk.\nWatching <b>it</b>.")
    at.look()
    at.look()
    told = at.events()
    assert told.count("ticket_status: zendesk: the ticket is now pending.") == 1
    assert told.count("ticket_person: zendesk: Tina Tech has the ticket.") == 1
    assert told.count("ticket_message: Tina Tech wrote in zendesk: Replaced the disk. Watching <b>it</b>.") == 1
    remark = TicketRemark.objects.of(play.world.tenant).get()
    assert (remark.author, remark.text) == ("Tina Tech", "Replaced the disk.\nWatching <b>it</b>.")
    assert at.incident().state == "open"
    assert at.incident().acknowledged_at is None


def test_closing_there_acknowledges_here_and_nothing_is_sent(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    desk.set_status_there(at.there.id, "solved")
    at.look()
    incident = at.incident()
    assert (incident.state, incident.acknowledged_by) == ("open", "zendesk")
    assert incident.acknowledged_until == play.now + timedelta(hours=24)
    assert play.ticket().confirmed_state == "closed"
    play.run("failure")
    play.deliver()
    assert at.there.status == "solved", "a person took it for done: it is not opened again at the next failure"
    assert len(desk.tickets) == 1


def test_a_good_run_after_that_closes_all_without_another_word(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    desk.set_status_there(at.there.id, "solved")
    at.look()
    said = list(desk.arrived())
    play.run("success")
    play.deliver()
    assert at.incident().state == "closed"
    assert desk.arrived() == said, "a message after the closing would open it again"
    assert play.lane().confirmed == play.lane().wanted


def test_a_problem_that_persists_opens_the_same_ticket_again(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk, persist_hours=6)
    desk.set_status_there(at.there.id, "solved")
    at.look()
    play.wait(hours=7)
    play.sweep()
    play.deliver()
    assert at.there.status == "open"
    assert len(desk.tickets) == 1
    assert "Not solved" in desk.arrived()[-1]
    assert play.ticket().confirmed_state == "open"
    assert any(one.startswith("ack_ended") for one in at.events())
    play.run("success")
    play.deliver()
    assert at.there.status == "solved"


@pytest.mark.parametrize("how", ["new", "closed for good", "deleted"])
def test_where_it_cannot_be_reopened_a_new_ticket_names_the_old(play: Play, desk: Zendesk, how: str) -> None:
    at = Desk(play, desk, **({"on_persist": "new"} if how == "new" else {}))
    old, reference = at.there, play.ticket().reference
    if how == "deleted":
        desk.delete_there(old.id)
    else:
        desk.set_status_there(old.id, "solved" if how == "new" else "closed")
    at.look()
    play.wait(hours=25)
    play.sweep()
    play.deliver()
    assert len(desk.tickets) == 2
    assert f"This continues ticket {old.id}" in desk.arrived()[-1]
    assert at.there.reference == play.ticket().reference != reference
    play.run("success")
    play.deliver()
    assert at.there.status == "solved"


def test_where_it_is_left_to_people_nothing_speaks_up(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk, on_persist="nothing", persist_hours=1)
    desk.set_status_there(at.there.id, "solved")
    at.look()
    assert at.incident().acknowledged_at is not None
    assert at.incident().acknowledged_until is None
    play.wait(hours=3)
    play.sweep()
    play.deliver()
    assert at.there.status == "solved"


def test_another_problem_of_the_same_group_opens_the_closed_ticket_again(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    Route.objects.of(play.world.tenant).update(grouping="client")
    other = make_job(play.world.tenant, play.world.server, play.world.client, name="other")
    play.run("failure", job=other)
    play.deliver()
    tickets = Ticket.objects.of(play.world.tenant).count()
    desk.set_status_there(at.there.id, "solved")
    at.look()
    third = make_job(play.world.tenant, play.world.server, play.world.client, name="third")
    play.run("failure", job=third)
    play.deliver()
    assert Ticket.objects.of(play.world.tenant).count() == tickets
    assert at.there.status == "open"


def test_people_who_open_it_again_there_are_followed(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    desk.set_status_there(at.there.id, "solved")
    at.look()
    desk.set_status_there(at.there.id, "open")
    at.look()
    assert play.ticket().confirmed_state == "open"
    assert "ticket_status: zendesk: the ticket was opened again." in at.events()


def test_an_answer_older_than_our_own_change_is_not_taken(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    stale = Standing(at.there.id, "solved", closed=True)
    assert take_over(play.world.tenant.pk, play.ticket().pk, stale, confirmed_at=None, now=play.now) is None
    assert at.incident().acknowledged_at is None


def test_a_ticket_opened_again_while_it_is_looked_at_is_not_taken_for_closed_there(
    play: Play, desk: Zendesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivery began before the look and ended after the look had its answer."""
    at = Desk(play, desk, persist_hours=1)
    desk.set_status_there(at.there.id, "solved")
    at.look()
    play.wait(hours=2)
    play.sweep()
    real = their_side.take_over

    def instead(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr("alerts.looking.take_over", real)
        play.wait(seconds=-1)
        play.deliver()
        play.wait(seconds=1)
        return real(*args, **options)

    monkeypatch.setattr("alerts.looking.take_over", instead)
    at.look()
    assert at.there.status == "open"
    assert play.ticket().confirmed_state == "open"
    assert at.incident().acknowledged_at is None


def test_a_ticket_that_bears_anothers_reference_is_not_believed(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    at.there.reference = "BL-SOMEBODYS"
    at.there.status = "solved"
    at.look()
    assert at.incident().acknowledged_at is None
    assert play.ticket().confirmed_state == "open"


def test_a_system_that_cannot_be_read_now_is_asked_again_later(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    desk.fail_next("server error", on="any")
    at.look()
    assert play.ticket().check_after == play.now + looking.AFTER_FAILURE
    desk.set_status_there(at.there.id, "solved")
    at.look()
    assert play.ticket().confirmed_state == "closed"


# --- callbacks --------------------------------------------------------------------------------------------------------


def call(at: Desk, event: str = "ev-1", **changes: str) -> Any:
    give_address(at.row)
    address = address_of(at.row, base_url="http://testserver")
    headers, body = at.desk.callback(at.there.id, event=event, at=datetime.now(UTC).isoformat())
    return Browser().post(
        address.removeprefix("http://testserver"), body, content_type="application/json", headers={**headers, **changes}
    )


def test_a_callback_has_the_ticket_looked_at_at_once(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    desk.set_status_there(at.there.id, "solved")
    assert call(at).status_code == 202
    due = play.ticket().check_after
    assert due is not None
    assert looking.look_due(now=lambda: due + timedelta(seconds=1)) == 1
    assert play.ticket().confirmed_state == "closed"


def test_the_body_is_not_believed(play: Play, desk: Zendesk) -> None:
    """It says that something changed; what is true is fetched."""
    at = Desk(play, desk)
    call(at)
    due = play.ticket().check_after
    assert due is not None
    assert looking.look_due(now=lambda: due + timedelta(seconds=1)) == 1
    assert play.ticket().confirmed_state == "open"
    assert at.incident().acknowledged_at is None


def test_the_same_delivery_twice_is_kept_once(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    assert [call(at).status_code, call(at).status_code] == [202, 202]
    assert InboundEvent.objects.of(play.world.tenant).count() == 1


def test_what_is_not_proven_is_refused_counted_and_tells_nothing(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    before = play.ticket().check_after
    forged = call(at, **{"X-Zendesk-Webhook-Signature": "AAAA"})
    late = call(at, **{"X-Zendesk-Webhook-Signature-Timestamp": "2026-01-01T00:00:00Z"})
    assert [forged.status_code, late.status_code] == [401, 401]
    assert "secret" not in json.dumps(forged.json())
    row = Destination.objects.of(play.world.tenant).get(pk=at.row.pk)
    assert row.callbacks_refused == 2
    assert "five minutes" in row.last_refusal
    assert play.ticket().check_after == before
    assert InboundEvent.objects.of(play.world.tenant).count() == 0


def test_an_address_nobody_gave_and_a_reading_call_are_refused(db: None) -> None:
    assert Browser().post("/hooks/no-such-key/", b"{}", content_type="application/json").status_code == 404
    assert Browser().get("/hooks/no-such-key/").status_code == 405


def test_a_callback_of_another_tenants_destination_touches_nothing_here(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    other: World = play.world
    theirs = Destination.objects.of(other.other).create(
        name="theirs", gateway="zendesk", config=at.row.config, created_at=play.now
    )
    before = play.ticket().check_after
    mine, at.row = at.row, theirs
    assert call(at).status_code == 202
    at.row = mine
    assert play.ticket().check_after == before


# --- pace -------------------------------------------------------------------------------------------------------------


def test_calls_keep_to_their_share_and_what_waits_is_spread_over_time(play: Play, desk: Zendesk) -> None:
    Desk(play, desk, calls_per_minute=6)
    for number in range(30):
        job = make_job(play.world.tenant, play.world.server, play.world.client, name=f"j{number}")
        play.run("failure", job=job)
    begin = play.now
    play.deliver()
    first = len(desk.tickets)
    assert first <= 12, "a short burst, then the pace"
    while len(desk.tickets) < 31 and play.now < begin + timedelta(minutes=30):
        play.wait(seconds=5)
        play.deliver()
    minutes = (play.now - begin) / timedelta(minutes=1)
    assert len(desk.tickets) == 31
    assert (31 - first) / 6 * 0.9 <= minutes <= (31 - first) / 6 / 0.9 + 0.5
    tried = LaneAttempt.objects.of(play.world.tenant).filter(outcome="temporary").count()
    assert tried == 0, "waiting for its turn is no failure"
