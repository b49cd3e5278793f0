"""What a person's first line brings about, and what a mail that came back does: by real SMTP both ways."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from alerts.models import Incident
from alerts.tickets_by_hand import free_ticket_lane
from msp.outbox.models import InboundEvent, LaneAttempt
from msp.tenants.models import AuditEntry
from tests.alerts.post import Post
from tests.alerts.test_ticket_flow import FAILED
from tests.channels.running_listener import RunningListener
from tests.doubles.mailbox import Mailbox
from tests.world import make_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        yield server


@pytest.fixture
def listener(transactional_db: None) -> Iterator[RunningListener]:
    with RunningListener() as running:
        yield running


@pytest.fixture
def post(mailbox: Mailbox, listener: RunningListener) -> Post:
    return Post(mailbox, listener, reply_commands=True, reply_senders=["@tickets.example"])


def test_ack_puts_the_incident_in_the_senders_hand(post: Post) -> None:
    post.answer("#ack the disk is ordered\n\nTina", sender="tina@tickets.example")
    incident = post.play.incident()
    assert (incident.acknowledged_by, incident.acknowledged_note) == (
        "tina@tickets.example by mail", "the disk is ordered",
    )  # fmt: skip
    assert incident.acknowledged_until is None
    entry = AuditEntry.objects.of(post.tenant).get(action="incident acknowledged")
    assert entry.actor == "tina@tickets.example by mail"
    assert post.remarks() == ["tina@tickets.example: #ack the disk is ordered\n\nTina"]


@pytest.mark.parametrize(
    ("line", "hours"), [("#snooze 4h", 4), ("#Snooze: 2 d until Monday", 48), ("#snooze 90min", 1.5), ("#ack 1w", 168)]
)
def test_a_time_ends_what_was_asked_for(post: Post, line: str, hours: float) -> None:
    post.answer(line)
    incident = post.play.incident()
    until = incident.acknowledged_until if "ack" in line else incident.snoozed_until
    assert until == post.play.now + timedelta(hours=hours)


def test_close_closes_with_its_reason_and_the_ticket_follows_by_one_mail(post: Post) -> None:
    assert post.sent_after(lambda: post.answer("#close the job was retired")) == 1
    incident = post.play.incident()
    assert (incident.state, incident.closed_by_hand) == ("closed", True)
    assert "the job was retired" in incident.close_reason
    assert post.play.ticket().confirmed_state == "closed"


def test_the_same_command_twice_is_one(post: Post) -> None:
    content = post.written("#close it is done")
    post.send(content)
    post.play.deliver()
    post.play.run("failure", **FAILED)
    post.send(content)
    assert post.play.incident().state == "open", "the repeat must not close what came back"
    assert AuditEntry.objects.of(post.tenant).filter(action="incident closed").count() == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("#snooze", "Say for how long"),
        ("#snooze 0h", "more than nothing and at most 90 days"),
        ("#snooze 9999w", "more than nothing and at most 90 days"),
        ("#snooze soon", "Say for how long"),
    ],
)
def test_a_command_that_cannot_be_followed_says_so_in_the_history(post: Post, line: str, why: str) -> None:
    post.answer(line)
    assert post.play.incident().snoozed_until is None
    assert any("was not followed." in one and why in one for one in post.events())
    assert post.remarks() == [f"Help Desk: {line}"]


@pytest.mark.parametrize("text", ["Please #close it", "#123 is the number", "#closed", "> #close", "# ack"])
def test_other_words_are_no_commands(post: Post, text: str) -> None:
    post.answer(text)
    incident = post.play.incident()
    assert (incident.state, incident.acknowledged_at) == ("open", None)
    assert not any("not followed" in one for one in post.events())


def test_a_command_at_the_systems_address_is_shown_and_not_followed(post: Post) -> None:
    """The secret of the ticket is missing: subject and From can be written by anybody."""
    post.answer("#close now", to=post.system_address)
    assert post.play.incident().state == "open"
    assert post.remarks() == ["Help Desk: #close now"]
    assert any("did not come to the ticket's own address" in one for one in post.events())


def test_a_command_of_somebody_else_does_nothing_even_with_the_secret(post: Post) -> None:
    post.answer("#close now", sender="mallory@evil.example")
    assert post.play.incident().state == "open"
    assert post.refusals() == (1, "mallory@evil.example is not among those who may answer.")


def test_a_destination_that_follows_no_commands_shows_them(mailbox: Mailbox, listener: RunningListener) -> None:
    post = Post(mailbox, listener)
    post.answer("#close now")
    assert post.play.incident().state == "open"
    assert any("The destination follows no commands." in one for one in post.events())


def test_a_command_acts_on_the_tickets_own_incidents_alone(post: Post) -> None:
    world, ticket = post.play.world, post.play.ticket()
    other = make_job(world.tenant, world.server, world.client, name="other")
    post.play.run("failure", job=other, **FAILED)
    post.play.deliver()
    post.answer("#close done")
    closed = Incident.objects.of(world.tenant).filter(state="closed")
    assert {incident.ticket_id for incident in closed} == {ticket.pk}
    assert Incident.objects.of(world.tenant).filter(state="open", job_id=other.pk).exists()


# --- mails that came back ------------------------------------------------------------------------------------------


def returned(mail: EmailMessage, *, action: str = "failed", recipient: str = "desk@tickets.example") -> bytes:
    """A report of failed delivery as Postfix writes it, with the headers of our mail in it."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in mail.items())
    return (
        "From: MAILER-DAEMON@mx.tickets.example (Mail Delivery System)\r\n"
        f"To: robot@msp.example\r\nMessage-ID: <20261123.{action}@mx.tickets.example>\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b1"\r\n\r\n'
        "--b1\r\nContent-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        "This is the mail system. I'm sorry to have to inform you that your message could not be delivered.\r\n\r\n"
        "--b1\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.tickets.example\r\nArrival-Date: Mon, 23 Nov 2026 06:00:00 +0000 (UTC)\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n    here\r\n\r\n"
        f"--b1\r\nContent-Type: text/rfc822-headers\r\n\r\n{headers}\r\n--b1--\r\n"
    ).encode()


def test_a_mail_that_came_back_stops_the_ticket_and_says_what_to_do(post: Post) -> None:
    post.send(returned(post.first), to=post.system_address, envelope="<>")
    lane = post.play.lane()
    assert (lane.stuck, lane.next_attempt_at) == (True, None)
    assert lane.last_error == (
        "Our mail came back: it could not be delivered to desk@tickets.example (550 5.1.1 no such user here). Mend the "
        "address in the destination or at the mail server, then send again."
    )
    attempt = LaneAttempt.objects.of(post.tenant).order_by("-id")[0]
    assert (attempt.action, attempt.outcome) == ("returned", "permanent")
    assert post.remarks() == []
    assert post.sent_after(lambda: None) == 0, "nothing is sent by itself to an address that does not exist"


def test_sending_again_begins_with_the_first_mail(post: Post) -> None:
    post.send(returned(post.first), to=post.system_address, envelope="<>")
    assert post.play.ticket().confirmed_state == "none"

    def send_again() -> None:
        free_ticket_lane(post.tenant, post.play.ticket().pk, now=post.play.now)

    assert post.sent_after(send_again) == 1
    again = post.mailbox.messages()[-1]
    assert again["Message-ID"] == post.first["Message-ID"]
    assert again["In-Reply-To"] is None
    assert (post.play.ticket().confirmed_state, post.play.lane().stuck) == ("open", False)


def test_a_later_mail_that_came_back_leaves_the_ticket_there(post: Post) -> None:
    post.play.run("failure", **FAILED)
    post.play.run("failure", **FAILED)
    post.play.deliver()
    later = post.mailbox.messages()[-1]
    assert later["In-Reply-To"] == post.first["Message-ID"]
    post.send(returned(later), to=post.system_address, envelope="<>")
    assert post.play.lane().stuck
    assert post.play.ticket().confirmed_state == "open"


def test_a_report_of_a_delay_changes_nothing(post: Post) -> None:
    post.send(returned(post.first, action="delayed"), to=post.system_address, envelope="<>")
    assert not post.play.lane().stuck
    assert InboundEvent.objects.of(post.tenant).get().headers["taken"] == "report without a failure"


@pytest.mark.parametrize("where", ["nothing of ours", "another tenant's"])
def test_a_report_that_is_about_no_ticket_of_the_destination_is_refused(post: Post, where: str, mailbox: Any) -> None:
    content = returned(post.first)
    reference = post.play.ticket().reference
    content = content.replace(reference.encode(), b"BL-FFFFFFFFFF" if where == "another tenant's" else b"something")
    post.send(content, to=post.system_address, envelope="<>")
    assert not post.play.lane().stuck
    assert post.refusals()[0] == 1
