"""The mail listener, spoken to by a real SMTP client: what it takes is stored and becomes a run."""

from __future__ import annotations

import base64
import gzip
import os
import re
import smtplib
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.urls import reverse

from msp import pipeline
from msp.backups.models import JobRun
from msp.channels import listening
from msp.channels.addressing import make_address, revoke_address, written
from msp.channels.listening import Certificate, Limits
from msp.channels.models import MailAddress
from msp.estate.spans import Actor
from msp.ingest.models import InboxItem, Receipt
from tests.channels.letters import letter
from tests.channels.running_listener import RunningListener
from tests.dashboard.scene import browser_of
from tests.doubles.raw_server import certificate_for
from tests.world import START, World

pytestmark = pytest.mark.django_db(transaction=True)
ACTOR = Actor(name="Tech", now=START)


@pytest.fixture
def address(world: World) -> str:
    return written(make_address(world.tenant, world.server, actor=ACTOR), domain="mx.test")


def receipts(world: World) -> list[Receipt]:
    return list(Receipt.objects.of(world.tenant).order_by("pk"))


def process() -> None:
    pipeline.process_waiting(now=lambda: datetime.now(UTC))


def runs(world: World) -> list[JobRun]:
    return list(JobRun.objects.of(world.tenant))


def test_a_mail_becomes_a_run(world: World, address: str) -> None:
    with RunningListener() as listener:
        listener.send(letter(), address)
        assert listener.woken == 1
    [receipt] = receipts(world)
    assert (receipt.door, receipt.server_id, receipt.state) == ("mail", world.server.pk, "waiting")
    process()
    [run] = runs(world)
    assert (run.job_id, run.outcome, run.protected_bytes) == (world.job.pk, "success", 48318382080)
    [row] = MailAddress.objects.of(world.tenant)
    assert row.last_used_at is not None


def test_plus_addressing_and_capitals_lead_to_the_same_server(world: World, address: str) -> None:
    token = address.partition("@")[0]
    with RunningListener() as listener:
        listener.send(letter(message_id="<1@x>"), f"backup+{token}@any.example")
        listener.send(letter(message_id="<2@x>"), f"{token.upper()}@mx.test")
    assert [each.server_id for each in receipts(world)] == [world.server.pk] * 2


def test_the_same_mail_twice_is_one_delivery_whatever_its_way_added(world: World, address: str) -> None:
    with RunningListener() as listener:
        listener.send(letter(), address)
        listener.send(
            b"Received: from relay.example by mx.test; Sun, 22 Nov 2026 22:05:01 +0000\r\n" + letter(), address
        )
    assert len(receipts(world)) == 1


def test_a_known_id_with_another_body_is_kept_and_shown(world: World, address: str) -> None:
    with RunningListener() as listener:
        listener.send(letter(), address)
        listener.send(letter("another text"), address)
        listener.send(letter("another text"), address)
    assert [each.reason for each in receipts(world)] == ["", "conflict"]
    assert InboxItem.objects.of(world.tenant).filter(reason="conflict").count() == 1


def test_mails_without_an_id_are_told_apart_by_what_they_say(world: World, address: str) -> None:
    monday, tuesday = "Mon, 23 Nov 2026 22:05:00 +0000", "Tue, 24 Nov 2026 22:05:00 +0000"
    with RunningListener() as listener:
        for date in (monday, monday, tuesday):
            listener.send(letter(message_id=None, date=date), address)
        for _ in range(2):
            listener.send(letter(message_id=None, date=None), address)
    assert len(receipts(world)) == 3


HEAD = b"From: a@b.example\r\nTo: c@d.example\r\nDate: Sun, 22 Nov 2026 22:05:00 +0000\r\n"
HOSTILE = {
    "ten thousand parts": b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + b"--B\r\n\r\nx\r\n" * 10_000,
    "nested without end": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number) for number in range(500)
    ),
    "a header in the subject": b"Subject: =?utf-8?q?x=0D=0ABcc:_all=40x?=\r\nMessage-ID: <a\0b@x>\r\n\r\nx\r\n",
    "bytes of any kind": b"Subject: \xff\0\x1b[2J\r\nMessage-ID: <\xff\0>\r\n\r\n" + bytes(range(256)) * 40 + b"\r\n",
    "a bomb": b"Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(gzip.compress(bytes(64 * 1024 * 1024))).replace(b"\n", b"\r\n"),
    "no headers at all": b"\r\nnothing\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail_is_kept_waits_in_the_inbox_and_holds_up_nobody(world: World, address: str, name: str) -> None:
    with RunningListener() as listener:
        listener.send(HEAD + HOSTILE[name], address)
        listener.send(letter(), address)
    process()
    assert [each.state for each in receipts(world)] == ["inbox", "done"]
    assert len(runs(world)) == 1
    page = browser_of(world.technician).get(reverse("inbox"))
    assert page.status_code == 200


def test_unknown_and_revoked_addresses_are_refused(world: World, address: str) -> None:
    gone = make_address(world.tenant, world.server, actor=ACTOR)
    revoke_address(world.tenant, gone, actor=ACTOR)
    with RunningListener() as listener:
        for unknown in ("postmaster@mx.test", "a" * 20 + "@mx.test", written(gone, domain="mx.test")):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                listener.send(letter(), unknown)
            assert [code for code, _ in refused.value.recipients.values()] == [550]
        listener.send(letter(), address)
    assert len(receipts(world)) == 1


def test_a_suspended_tenant_gets_no_mail(world: World, address: str) -> None:
    world.tenant.state = "suspended"
    world.tenant.save()
    with RunningListener() as listener, pytest.raises(smtplib.SMTPRecipientsRefused):
        listener.send(letter(), address)


def test_one_mail_to_servers_of_two_tenants_is_a_delivery_of_each(world: World, address: str) -> None:
    elsewhere = written(make_address(world.other, world.other_server, actor=ACTOR), domain="mx.test")
    with RunningListener() as listener:
        listener.send(letter(), address, elsewhere)
    assert [each.server_id for each in receipts(world)] == [world.server.pk]
    assert [each.server_id for each in Receipt.objects.of(world.other)] == [world.other_server.pk]


def test_while_the_database_is_away_the_sender_keeps_the_mail(
    world: World, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **values: Any) -> None:
        raise OperationalError("the connection is closed")

    with RunningListener() as listener:
        with monkeypatch.context() as patch:
            patch.setattr(listening, "store", away)
            with pytest.raises(smtplib.SMTPDataError) as put_off:
                listener.send(letter(), address)
            assert put_off.value.smtp_code == 451
            patch.setattr(listening, "find_recipients", away)
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                listener.send(letter(), address)
            assert refused.value.recipients[address][0] == 451
        assert (receipts(world), listener.woken) == ([], 0)
        listener.send(letter(), address)
    assert len(receipts(world)) == 1


def test_a_mail_that_is_too_large_is_refused_and_the_connection_goes_on(world: World, address: str) -> None:
    with RunningListener(limits=Limits(mail_bytes=20_000)) as listener, listener.client() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "20000"
        client.mail("a@b.example")
        client.rcpt(address)
        code, _ = client.data(letter("x" * 30_000))
        assert code == 552
        client.sendmail("a@b.example", [address], letter())
    assert len(receipts(world)) == 1


def test_lines_of_any_length_and_bytes_of_any_kind_are_kept(world: World, address: str) -> None:
    body = b"From: a@b.example\r\nSubject: x\r\nMessage-ID: <long@x>\r\n\r\n" + b"y" * 200_000 + b"\0\xff\r\n..dots\r\n"
    with RunningListener() as listener:
        listener.send(body, address)
    [receipt] = receipts(world)
    assert receipt.body_length == len(body)


def talk(listener: RunningListener, *lines: bytes) -> bytes:
    """Send these bytes, each after an answer; all that was answered."""
    with socket.create_connection((listener.host, listener.port), timeout=20) as peer:
        answered = whole_answer(peer)
        for line in lines:
            peer.sendall(line)
            answered += whole_answer(peer)
        return answered


def whole_answer(peer: socket.socket) -> bytes:
    """All lines of one answer: the last has a blank behind its number."""
    answer = b""
    while not re.search(rb"(?m)^\d{3} [^\r\n]*\r\n\Z", answer):
        answer += peer.recv(4000)
    return answer


def test_a_second_mail_cannot_be_smuggled_into_the_first(world: World, address: str) -> None:
    smuggled = (
        b"Message-ID: <a@x>\r\n\r\none\n.\nMAIL FROM:<x@y>\r\n\n.\r\nRCPT TO:<" + address.encode() + b">\r\n.\r\n"
    )
    with RunningListener() as listener:
        answered = talk(
            listener, b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<" + address.encode() + b">\r\n",
            b"DATA\r\n", smuggled,
        )  # fmt: skip
    assert answered.count(b"250 2.0.0 Stored") == 1
    assert len(receipts(world)) == 1


def test_commands_out_of_order_are_refused(world: World, address: str) -> None:
    with RunningListener() as listener:
        answered = talk(listener, b"DATA\r\n", b"EHLO x\r\n", b"DATA\r\n", b"MAIL FROM:<a@b.example>\r\n", b"DATA\r\n")
    assert answered.count(b"503") == 3
    assert b"AUTH" not in answered


def test_guessing_addresses_ends_soon(world: World, address: str) -> None:
    with RunningListener(limits=Limits(unknown=3)) as listener, listener.client() as client:
        client.ehlo()
        client.mail("a@b.example")
        assert [client.rcpt(f"{'b' * 19}{letter}@x.example")[0] for letter in "abcd"] == [550, 550, 550, 451]
        assert client.rcpt(address)[0] == 451


def test_recipients_and_connections_are_limited(world: World, address: str) -> None:
    with RunningListener(limits=Limits(recipients=1, connections_a_peer=1)) as listener:
        with listener.client() as client:
            client.ehlo()
            client.mail("a@b.example")
            assert [client.rcpt(address)[0] for _ in range(2)] == [250, 452]
            with pytest.raises(smtplib.SMTPConnectError) as refused:
                listener.client()
            assert refused.value.smtp_code == 421
        with listener.client() as again:
            assert again.noop()[0] == 250


def test_a_place_for_mails_is_waited_for_and_then_refused(world: World, address: str) -> None:
    limits = Limits(mails=1, mails_wait_seconds=0.2)
    with RunningListener(limits=limits) as listener, listener.client() as slow:
        slow.ehlo()
        slow.mail("a@b.example")
        slow.rcpt(address)
        assert slow.docmd("DATA")[0] == 354
        with pytest.raises(smtplib.SMTPDataError) as busy:
            listener.send(letter(), address)
        assert busy.value.smtp_code == 451
        slow.send(letter() + b"\r\n.\r\n")
        assert slow.getreply()[0] == 250


def test_a_mail_that_takes_too_long_ends(world: World, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MAIL_SECONDS", 0.3)
    with RunningListener() as listener, listener.client() as slow:
        slow.ehlo()
        slow.mail("a@b.example")
        slow.rcpt(address)
        slow.docmd("DATA")
        slow.send(b"Subject: x\r\n")
        assert slow.getreply()[0] == 451
        with pytest.raises(smtplib.SMTPServerDisconnected):
            slow.noop()
    assert receipts(world) == []


def test_starttls_is_offered_with_a_certificate_only(world: World, address: str, tmp_path: Path) -> None:
    authority, certificate = certificate_files(tmp_path)
    with RunningListener() as listener, listener.client() as client:
        client.ehlo()
        assert not client.has_extn("starttls")
    with RunningListener(certificate=certificate) as listener, listener.client() as client:
        client._host = "localhost"  # type: ignore[attr-defined]  # whose certificate is wanted
        client.starttls(context=ssl.create_default_context(cafile=authority))
        client.sendmail("a@b.example", [address], letter())
    assert len(receipts(world)) == 1


def test_a_certificate_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError), RunningListener(certificate=Certificate(tmp_path / "none.pem", tmp_path / "none.pem")):
        raise AssertionError("it listens")


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    _, certificate = certificate_files(tmp_path)
    first = certificate.context()
    assert certificate.context() is first
    touch(tmp_path, seconds=60)
    renewed = certificate.context()
    assert renewed is not first
    (tmp_path / "certificate.pem").write_text("broken")
    touch(tmp_path, seconds=120)
    assert certificate.context() is renewed


def touch(folder: Path, *, seconds: int) -> None:
    later = (datetime.now(UTC) + timedelta(seconds=seconds)).timestamp()
    os.utime(folder / "certificate.pem", (later, later))


def certificate_files(folder: Path) -> tuple[Path, Certificate]:
    """A certificate for "localhost": what a client trusts, and what the listener shows."""
    authority, _ = certificate_for("localhost", folder)
    return authority, Certificate(folder / "certificate.pem", folder / "key.pem")
