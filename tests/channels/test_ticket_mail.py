"""Mail about tickets finds its way by addresses of our own making, apart from logs: by a real listener and a real IMAP
server, kept once, and refused where the address proves nothing.
"""

from __future__ import annotations

import dataclasses
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from django.conf import settings as configured

from msp.channels.addressing import make_address, written
from msp.channels.listening import Limits
from msp.channels.ticket_mail import (
    SOURCE,
    AnswerTo,
    destination_address,
    is_about_ticket,
    read_address,
    ticket_address,
)
from msp.estate.spans import Actor
from msp.ingest.models import Receipt
from msp.outbox.models import InboundEvent
from tests.channels.letters import letter
from tests.channels.running_listener import RunningListener
from tests.channels.test_mailboxes import make_mailbox, poll
from tests.doubles.imap_server import ImapServer
from tests.world import START, World

pytestmark = pytest.mark.django_db(transaction=True)
REFERENCE = "BL-00112233AA"
TOKENS = iter(range(10_000))


@pytest.fixture(scope="module")
def server() -> Iterator[ImapServer]:
    with ImapServer() as running:
        yield running


@pytest.fixture
def folder(server: ImapServer) -> str:
    name = f"Answers {next(TOKENS)}"
    server.make_folder(f'"{name}"')
    return name


def address_of(world: World, **values: Any) -> str:
    return ticket_address(world.tenant.pk, REFERENCE, domain="mx.test", **values)


def answer(*, to: str, message_id: str = "<a-1@desk.example>", **headers: str) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Message-ID"] = "Tina <tina@desk.example>", to, message_id
    message["Subject"], message["Date"] = "Re: Acme Dental", "Sun, 22 Nov 2026 22:05:00 +0000"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("We look at it.")
    return message.as_bytes()


def kept(world: World) -> list[InboundEvent]:
    return list(InboundEvent.objects.of(world.tenant).filter(source=SOURCE).order_by("id"))


def receipts(world: World) -> int:
    return int(Receipt.objects.of(world.tenant).count())


# --- addresses -----------------------------------------------------------------------------------------------------


def test_an_address_names_its_ticket_or_destination_whatever_stands_around_it(world: World) -> None:
    address = address_of(world)
    tenant_id = world.tenant.pk
    assert read_address(address) == AnswerTo(tenant_id, REFERENCE)
    assert read_address(address.upper()) == AnswerTo(tenant_id, REFERENCE), "servers may change the case"
    assert read_address(address_of(world, local="backups")) == AnswerTo(tenant_id, REFERENCE)
    assert read_address(destination_address(tenant_id, 7, domain="mx.test")) == AnswerTo(tenant_id, "", 7)
    assert len(address.partition("@")[0]) <= 64


def test_a_proof_holds_for_its_ticket_and_tenant_alone(world: World) -> None:
    address = address_of(world)
    assert read_address(address.replace("aa.", "ab.")) is None
    assert read_address(address.replace(f".{world.tenant.pk}.", f".{world.other.pk}.")) is None
    assert read_address(address.replace("bl-00112233aa", "d7")) is None
    local, _, domain = address.partition("@")
    wrong = local[:-1] + ("a" if local[-1] != "a" else "b")
    assert read_address(f"{wrong}@{domain}") is None
    assert read_address("reply@mx.test") is None


def test_an_address_outlives_a_change_of_keys(world: World, settings: Any) -> None:
    address = address_of(world)
    fresh = "c" * 43 + "="
    keys = (fresh, *configured.BACKLEDGER.encryption_keys)
    settings.BACKLEDGER = dataclasses.replace(configured.BACKLEDGER, encryption_keys=keys)
    assert read_address(address) is not None
    assert address_of(world) != address
    settings.BACKLEDGER = dataclasses.replace(configured.BACKLEDGER, encryption_keys=(fresh,))
    assert read_address(address) is None


# --- by the listener -----------------------------------------------------------------------------------------------


def test_an_answer_is_kept_once_before_it_is_answered_and_is_no_log(world: World) -> None:
    address = address_of(world)
    with RunningListener() as listener:
        listener.send(answer(to=address), address)
        listener.send(answer(to=address), address)
        woken = listener.woken, listener.woken_for_answers
    [event] = kept(world)
    assert (event.external_id, event.state) == ("id:a-1@desk.example", "waiting")
    assert (event.headers["tickets"], event.headers["way"]) == ([REFERENCE], "smtp")
    assert b"We look at it." in bytes(event.body)
    assert receipts(world) == 0
    assert woken == (0, 2)


def test_a_log_is_no_answer(world: World) -> None:
    address = written(make_address(world.tenant, world.server, actor=Actor(name="T", now=START)), domain="mx.test")
    with RunningListener() as listener:
        listener.send(letter(to=address), address)
    assert (receipts(world), kept(world)) == (1, [])


def test_a_mail_to_a_server_and_a_ticket_is_both(world: World) -> None:
    server = written(make_address(world.tenant, world.server, actor=Actor(name="T", now=START)), domain="mx.test")
    with RunningListener() as listener:
        listener.send(letter(to=server), server, address_of(world))
    assert (receipts(world), len(kept(world))) == (1, 1)


def test_our_own_mail_to_the_address_of_a_server_makes_no_log(world: World) -> None:
    """Else a ticket about the log that could not be read would be mailed there again, and so on."""
    server = written(make_address(world.tenant, world.server, actor=Actor(name="T", now=START)), domain="mx.test")
    with RunningListener() as listener:
        listener.send(answer(to=server, X_Backledger_Reference=REFERENCE), server)
    assert (receipts(world), len(kept(world))) == (0, 1)


def test_an_unproven_address_is_refused_as_an_unknown_one_and_counts_as_a_guess(world: World) -> None:
    wrong = address_of(world).replace(REFERENCE.lower(), "bl-00112233ab")
    with RunningListener(limits=Limits(unknown=2)) as listener, listener.client() as client:
        client.ehlo()
        client.mail("tina@desk.example")
        assert [client.rcpt(wrong)[0] for _ in range(3)] == [550, 550, 451]
    assert kept(world) == []


def test_a_suspended_tenant_takes_no_answers(world: World) -> None:
    world.tenant.state = "suspended"
    world.tenant.save()
    with RunningListener() as listener, pytest.raises(smtplib.SMTPRecipientsRefused):
        listener.send(answer(to=address_of(world)), address_of(world))


def test_an_answer_to_two_tenants_is_kept_by_each_with_its_own_ticket(world: World) -> None:
    theirs = ticket_address(world.other.pk, "BL-FFFFFFFFFF", domain="mx.test")
    with RunningListener() as listener:
        listener.send(answer(to=f"{address_of(world)}, {theirs}"), address_of(world), theirs)
    [ours] = kept(world)
    assert ours.headers["tickets"] == [REFERENCE]
    other = InboundEvent.objects.of(world.other).get(source=SOURCE)
    assert other.headers["tickets"] == ["BL-FFFFFFFFFF"]


def test_the_null_sender_is_kept_and_of_a_large_mail_only_its_beginning(world: World) -> None:
    content = answer(to=address_of(world)) + b"x" * 10_000_000 + b"\r\n"
    with RunningListener() as listener:
        listener.send(content, address_of(world), sender="<>")
    [event] = kept(world)
    assert event.headers["envelope_sender"] == ""
    assert (event.headers["bytes"], len(event.body)) == (len(content), 1024 * 1024)


# --- by a mailbox --------------------------------------------------------------------------------------------------


def test_a_mailbox_gives_logs_to_servers_and_answers_to_tickets(world: World, server: ImapServer, folder: str) -> None:
    to_ticket = answer(to=address_of(world, local="backups"))
    by_id = answer(to="backups@msp.example", message_id="<a-2@x>", In_Reply_To=f"<{REFERENCE}.0.create@msp.example>")
    server.put(f'"{folder}"', to_ticket, letter(), by_id)
    row = poll(make_mailbox(world, server, folder=folder))
    assert row.last_error == ""
    assert receipts(world) == 1
    assert [event.headers["tickets"] for event in kept(world)] == [[REFERENCE], []]
    assert {event.headers["way"] for event in kept(world)} == {"imap"}
    assert poll(row).last_uid == row.last_uid
    assert len(kept(world)) == 2


def test_an_address_of_another_tenant_in_a_mailbox_names_nothing_here(
    world: World, server: ImapServer, folder: str
) -> None:
    theirs = ticket_address(world.other.pk, REFERENCE, domain="msp.example", local="backups")
    server.put(f'"{folder}"', answer(to=theirs))
    poll(make_mailbox(world, server, folder=folder))
    assert (kept(world), receipts(world)) == ([], 1)
    assert not InboundEvent.objects.of(world.other).exists()


@pytest.mark.parametrize("to", ["(" * 10_000, "a:" * 5_000, "a@b.example," * 5_000])
def test_a_header_that_would_break_its_reading_stops_neither_mailbox_nor_listener(
    world: World, server: ImapServer, folder: str, to: str
) -> None:
    hostile = f"From: x@y.example\r\nTo: {to}\r\nMessage-ID: <h@y.example>\r\n\r\nHi".encode()
    server.put(f'"{folder}"', hostile, letter())
    assert poll(make_mailbox(world, server, folder=folder)).last_error == ""
    assert receipts(world) == 2
    with RunningListener() as listener:
        listener.send(hostile, address_of(world))
    assert len(kept(world)) == 1


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({b"subject": b"Re: [BL-00112233AA] Acme Dental: no backup"}, b"", True),
        ({b"subject": b"=?utf-8?B?W0JMLTAwMTEyMjMzQUFdIGFjbWU=?="}, b"", True),
        ({b"subject": b"Backup of BL-00112233AA done"}, b"", False),
        ({b"subject": b"=?utf-9?B?%%%?= \xff\xfe"}, b"", False),
        ({b"references": b"<x@y> <BL-00112233AA.3.comment@msp.example>"}, b"", True),
        ({b"in-reply-to": b"<BL-00112233AA.3.forged>"}, b"", False),
        ({b"x-backledger-reference": b"BL-00112233AA"}, b"", True),
        ({b"content-type": b"multipart/report; x"}, b"Message-ID: <BL-00112233AA.0.create@msp.example>", True),
        ({b"content-type": b"text/plain"}, b"Message-ID: <BL-00112233AA.0.create@msp.example>", False),
    ],
)
def test_what_speaks_of_a_ticket(headers: dict[bytes, bytes], body: bytes, expected: bool) -> None:
    assert is_about_ticket(body, headers) is expected
