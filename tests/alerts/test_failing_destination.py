"""A destination that keeps failing: paused by itself, told by mail, an incident of its own, and no noise afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from alerts.delivering import deliver_ticket
from alerts.failing import try_again
from alerts.falling_back import LANE, deliver_fallback
from alerts.models import Destination, Incident, MorningReport, Route, Ticket
from msp.backups.models import BackupJob
from msp.outbox import lanes
from msp.outbox.delivering import deliver_due
from msp.outbox.models import Lane, LaneAttempt
from tests.alerts.test_ticket_flow import FAILED, NOW, Play
from tests.doubles.mailbox import Mailbox
from tests.doubles.ticket_server import TicketServer
from tests.integrations.tickets.configs import email_json, rest_json
from tests.world import START, make_job, make_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        yield server


@pytest.fixture
def desk() -> Iterator[TicketServer]:
    with TicketServer() as server:
        yield server


class Failing(Play):
    """A desk, and a mailbox that is no route's destination."""

    def __init__(self, desk: TicketServer, mailbox: Mailbox | None) -> None:
        super().__init__(make_world())
        self.desk = desk
        self.to_desk(desk)
        if mailbox is not None:
            Destination.objects.of(self.world.tenant).create(
                name="People", gateway="email", config=email_json(mailbox.port), created_at=START
            )

    @property
    def row(self) -> Destination:
        found: Destination = Destination.objects.of(self.world.tenant).get(gateway="rest")
        return found

    def is_paused(self) -> bool:
        return self.row.paused_at is not None

    def job(self, name: str) -> BackupJob:
        world = self.world
        return make_job(world.tenant, world.server, world.client, name, registered_at=NOW - timedelta(hours=1))

    def deliver(self) -> int:
        return deliver_due({"ticket": deliver_ticket, "fallback": deliver_fallback}, now=lambda: self.now)

    def pass_time(self, *, minutes: int, fault: Any = None) -> None:
        """Minute by minute; with a fault every call to the desk fails so."""
        for _ in range(minutes):
            if fault:
                self.desk._faults.clear()
                for _ in range(20):
                    self.desk.fail_next(fault)
            self.deliver()
            self.sweep()
            self.wait(minutes=1)
        self.desk._faults.clear()

    def failing_incident(self) -> Incident | None:
        return Incident.objects.of(self.world.tenant).filter(kind="destination_failing", state="open").first()


@pytest.fixture
def failing(transactional_db: None, desk: TicketServer, mailbox: Mailbox) -> Failing:
    return Failing(desk, mailbox)


def text_of(message: Any) -> str:
    return str(message.get_body(("plain",)).get_content())


def test_it_is_paused_by_itself_mailed_and_an_incident_and_tells_what_is_still_true(
    failing: Failing, mailbox: Mailbox
) -> None:
    failing.run("failure", **FAILED)
    failing.run("failure", job=failing.job("databases"), **FAILED)
    failing.pass_time(minutes=14, fault="unavailable")
    assert not failing.is_paused()
    assert mailbox.kept == []

    failing.pass_time(minutes=10, fault="unavailable")
    assert failing.is_paused()
    incident = failing.failing_incident()
    assert incident is not None
    assert "has taken no ticket since" in incident.summary
    assert "2 tickets held back" in incident.summary
    assert incident.ticket is None  # the only route leads to the desk itself
    assert incident.untold_reason == "No route matches this incident."
    (mail,) = mailbox.messages()
    assert "2 tickets could not be told to rest" in mail["Subject"]
    assert "databases" in text_of(mail)

    asked = len(failing.desk.log)
    failing.pass_time(minutes=60, fault="unavailable")
    assert len(failing.desk.log) - asked <= 13  # one try every five minutes
    assert len(mailbox.kept) == 1  # nothing new to tell

    failing.run("success")  # one is solved meanwhile
    failing.pass_time(minutes=8)
    assert [ticket.title for ticket in failing.desk.tickets if "databases" in ticket.title]
    assert len(failing.desk.tickets) == 1
    assert not failing.is_paused()
    failing.pass_time(minutes=31)
    assert failing.failing_incident() is None
    assert [str(one["Subject"]) for one in mailbox.messages()][1:] == ["rest takes tickets again"]
    failing.pass_time(minutes=40)
    assert len(mailbox.kept) == 2
    assert not Lane.objects.of(failing.world.tenant).filter(kind=LANE, next_attempt_at__isnull=False).exists()


def test_what_comes_while_it_is_paused_is_mailed_within_half_an_hour(failing: Failing, mailbox: Mailbox) -> None:
    failing.run("failure", **FAILED)
    failing.pass_time(minutes=25, fault="unavailable")
    failing.run("failure", job=failing.job("afterwards"), **FAILED)
    failing.pass_time(minutes=35, fault="unavailable")
    first, second = mailbox.messages()
    assert "afterwards" not in text_of(first)
    assert "afterwards" in text_of(second)
    assert "1 ticket of earlier mails still waits" in text_of(second)


def test_one_refused_ticket_is_mailed_and_pauses_nothing(failing: Failing, mailbox: Mailbox) -> None:
    failing.desk.fail_next("refused")
    failing.run("failure", **FAILED)
    failing.deliver()
    failing.run("failure", job=failing.job("fine"), **FAILED)
    failing.deliver()
    assert len(failing.desk.tickets) == 1
    failing.pass_time(minutes=4)
    assert mailbox.kept == []
    failing.pass_time(minutes=9)
    (mail,) = mailbox.messages()
    assert "1 ticket could not be told to rest" in mail["Subject"]
    assert not failing.is_paused()
    incident = failing.failing_incident()
    assert incident is not None
    assert "refused 1 ticket" in incident.summary

    stuck = Lane.objects.of(failing.world.tenant).filter(stuck=True)
    lanes.free(failing.world.tenant.pk, stuck.values_list("pk", flat=True), now=failing.now)
    failing.pass_time(minutes=45)
    assert len(failing.desk.tickets) == 2
    assert failing.failing_incident() is None
    assert len(mailbox.kept) == 2


def test_wrong_credentials_pause_it_and_new_ones_deliver_what_was_refused(failing: Failing, mailbox: Mailbox) -> None:
    config = rest_json(failing.desk.url)
    row = failing.row
    row.config = {**config, "headers": {"Authorization": "Token wrong"}} if "headers" in config else config
    row.config = {**config, "authorization": "Token wrong"}
    row.save()
    for number in range(6):
        failing.run("failure", job=failing.job(f"job {number}"), **FAILED)
        failing.pass_time(minutes=4)
    assert failing.is_paused()
    assert not Lane.objects.of(failing.world.tenant).filter(stuck=True, kind="ticket").exists()

    row = failing.row
    row.config = config
    row.save()
    try_again(row, now=failing.now)
    failing.pass_time(minutes=2)
    assert len(failing.desk.tickets) == 6
    assert not failing.is_paused()


def test_a_success_between_failures_starts_the_count_anew(failing: Failing) -> None:
    failing.run("failure", **FAILED)
    for number in range(8):
        failing.desk.fail_next("unavailable")
        failing.deliver()
        failing.wait(minutes=10)
        failing.deliver()  # this one works
        failing.run("failure", job=failing.job(f"job {number}"), **FAILED)
        failing.wait(minutes=1)
    assert not failing.is_paused()


def test_a_pause_by_a_person_is_left_alone(failing: Failing, mailbox: Mailbox) -> None:
    Destination.objects.of(failing.world.tenant).filter(gateway="rest").update(
        paused_at=failing.now, pause_reason="They migrate."
    )
    failing.run("failure", **FAILED)
    failing.pass_time(minutes=90)
    assert failing.desk.log == []
    assert mailbox.kept == []
    assert failing.failing_incident() is None


def test_the_incident_goes_by_another_destination_where_a_route_leads_there(failing: Failing, mailbox: Mailbox) -> None:
    people = Destination.objects.of(failing.world.tenant).get(gateway="email")
    Route.objects.of(failing.world.tenant).create(position=2, destination=people, hold_minutes=0)
    failing.run("failure", **FAILED)
    failing.pass_time(minutes=40, fault="unavailable")
    subjects = sorted(str(one["Subject"]) for one in mailbox.messages())
    assert len(subjects) == 2
    assert any("could not be told" in one for one in subjects)
    assert any("destination failing" in one for one in subjects)
    gateways = Ticket.objects.of(failing.world.tenant).values_list("destination__gateway", flat=True)
    assert set(gateways) == {"rest", "email"}


def test_the_mail_goes_to_whom_the_morning_report_reaches_or_the_chosen_mailbox(
    failing: Failing, mailbox: Mailbox
) -> None:
    tenant = failing.world.tenant
    people = Destination.objects.of(tenant).get(gateway="email")
    MorningReport.objects.of(tenant).create(
        name="Morning", destination=people, recipients=["lead@msp.example"], schedule="daily 07:00", timezone="UTC",
        created_at=START,
    )  # fmt: skip
    failing.run("failure", **FAILED)
    failing.pass_time(minutes=25, fault="unavailable")
    assert mailbox.messages()[0]["To"] == "lead@msp.example"
    Destination.objects.of(tenant).filter(gateway="rest").update(fallback=people)
    failing.run("failure", job=failing.job("afterwards"), **FAILED)
    failing.pass_time(minutes=35, fault="unavailable")
    assert mailbox.messages()[1]["To"] != "lead@msp.example"


def test_without_any_mailbox_it_is_said_and_nothing_is_lost(transactional_db: None, desk: TicketServer) -> None:
    failing = Failing(desk, None)
    failing.run("failure", **FAILED)
    failing.pass_time(minutes=25, fault="unavailable")
    said = LaneAttempt.objects.of(failing.world.tenant).filter(detail__contains="no mailbox to tell it to")
    assert said.count() == 1
    failing.pass_time(minutes=10)
    assert len(desk.tickets) == 1


def test_a_mail_server_that_fails_too_is_tried_until_it_works(failing: Failing, mailbox: Mailbox) -> None:
    people = Destination.objects.of(failing.world.tenant).get(gateway="email")
    good = people.config
    people.config = {**good, "port": 1}
    people.save()
    failing.run("failure", **FAILED)
    failing.pass_time(minutes=25, fault="unavailable")
    assert mailbox.kept == []
    people.config = good
    people.save()
    failing.pass_time(minutes=31, fault="unavailable")
    assert len(mailbox.kept) == 1
