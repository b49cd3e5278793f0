"""Answers that come to a mailbox: mailed by a real SMTP server's client, read from a real IMAP server by the worker."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from alerts.models import Destination, Ticket, TicketRemark
from msp import tasks
from msp.ingest.models import Receipt
from msp.outbox.models import InboundEvent
from tests.alerts.test_ticket_flow import FAILED, Play
from tests.channels.letters import letter
from tests.channels.test_mailboxes import make_mailbox, poll
from tests.doubles.imap_server import ImapServer
from tests.doubles.mailbox import Mailbox
from tests.integrations.tickets.configs import email_json
from tests.world import make_world

pytestmark = pytest.mark.django_db(transaction=True)
FOLDERS = iter(range(10_000))


@pytest.fixture(scope="module")
def server() -> Iterator[ImapServer]:
    with ImapServer() as running:
        yield running


@pytest.fixture
def folder(server: ImapServer) -> str:
    name = f"Tickets {next(FOLDERS)}"
    server.make_folder(f'"{name}"')
    return name


@pytest.fixture
def smtp() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


def mailed(smtp: Mailbox, **config: Any) -> tuple[Play, EmailMessage]:
    """A failing job's ticket, with the mail that opened it."""
    play = Play(make_world())
    given = {"replies": "mailbox", "reply_mailbox": "Backups <backups@msp.example>", "reply_commands": True} | config
    play.destination("email", email_json(smtp.port, **given))
    play.run("failure", **FAILED)
    play.deliver()
    return play, smtp.messages()[0]


def answer(text: str, **headers: str) -> bytes:
    message = EmailMessage(policy=SMTP)
    for name, value in {"From": "desk@tickets.example", "To": "backups@msp.example", **headers}.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def read(play: Play, server: ImapServer, folder: str) -> Ticket:
    poll(make_mailbox(play.world, server, folder=folder))
    tasks.look()
    return play.ticket()


def words(play: Play) -> list[str]:
    return list(TicketRemark.objects.of(play.world.tenant).order_by("id").values_list("text", flat=True))


def test_an_answer_to_the_plus_address_is_taken_with_its_command(
    transactional_db: None, smtp: Mailbox, server: ImapServer, folder: str
) -> None:
    play, first = mailed(smtp)
    secret = str(first["Reply-To"])
    assert secret.startswith("backups+bl-")
    assert secret.endswith("@msp.example")
    content = answer("#ack on it", To=secret, Message_ID="<1@tickets.example>")
    server.put(f'"{folder}"', content, letter(), content)
    read(play, server, folder)
    assert words(play) == ["#ack on it"]
    assert play.incident().acknowledged_by == "desk@tickets.example by mail"
    assert Receipt.objects.of(play.world.tenant).count() == 1, "the log beside it is a log"


def test_an_answer_to_the_plain_mailbox_is_shown_but_moves_nothing(
    transactional_db: None, smtp: Mailbox, server: ImapServer, folder: str
) -> None:
    """Whoever has seen a subject could write it."""
    play, first = mailed(smtp, system="django-helpdesk")
    subject = f"[backups-7] {first['Subject']} (Closed)"
    server.put(
        f'"{folder}"',
        answer("Done.", Subject=subject, Message_ID="<2@tickets.example>"),
        answer("#close", In_Reply_To=str(first["Message-ID"]), Message_ID="<3@tickets.example>"),
    )
    ticket = read(play, server, folder)
    assert words(play) == ["Done.", "#close"]
    assert (ticket.their_number, ticket.confirmed_state, play.incident().state) == ("backups-7", "open", "open")


def test_a_plain_mailbox_takes_a_machine_by_its_return_path(
    transactional_db: None, smtp: Mailbox, server: ImapServer, folder: str
) -> None:
    play, first = mailed(smtp)
    server.put(f'"{folder}"', answer("#ack", Return_Path="<>", To=str(first["Reply-To"])))
    read(play, server, folder)
    assert TicketRemark.objects.of(play.world.tenant).get().author == "desk@tickets.example (automatic answer)"
    assert play.incident().acknowledged_at is None


def test_our_own_mail_in_the_mailbox_is_dropped_and_is_no_log(
    transactional_db: None, smtp: Mailbox, server: ImapServer, folder: str
) -> None:
    play, _ = mailed(smtp)
    server.put(f'"{folder}"', smtp.kept[0].content)
    read(play, server, folder)
    assert (words(play), Receipt.objects.of(play.world.tenant).count()) == ([], 0)
    row = Destination.objects.of(play.world.tenant).get()
    assert (row.callbacks_refused, row.last_refusal) == (1, "A mail of our own came back: it was dropped.")


def test_the_task_has_nothing_left_to_do_afterwards(
    transactional_db: None, smtp: Mailbox, server: ImapServer, folder: str
) -> None:
    play, first = mailed(smtp)
    server.put(f'"{folder}"', answer("Yes.", To=str(first["Reply-To"]), Message_ID="<4@tickets.example>"))
    read(play, server, folder)
    assert tasks.look() == 0
    assert not InboundEvent.objects.of(play.world.tenant).filter(state="waiting").exists()
