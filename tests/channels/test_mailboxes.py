"""Mailboxes read by IMAP from a real server: mails become runs, none is lost, none is doubled, failures are told."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.http import Answer
from msp import pipeline, tasks
from msp.backups.models import JobRun
from msp.channels import mailboxes, polling
from msp.channels.addressing import make_address, written
from msp.channels.mailboxes import check_mailbox, poll_mailbox
from msp.channels.models import Mailbox
from msp.estate.spans import Actor
from msp.ingest.models import InboxItem, Receipt
from tests.channels.letters import letter
from tests.channels.running_listener import RunningListener
from tests.doubles.imap_server import PASSWORD, USER, ImapServer, Script, ScriptedImap
from tests.world import START, World

pytestmark = pytest.mark.django_db(transaction=True)
TOKENS = iter(range(10_000))


@pytest.fixture(scope="module")
def server() -> Iterator[ImapServer]:
    with ImapServer() as running:
        yield running


@pytest.fixture
def folder(server: ImapServer) -> str:
    name = f"Backups {next(TOKENS)}"
    server.make_folder(f'"{name}"')
    return name


def make_mailbox(world: World, host: Any, **values: Any) -> Mailbox:
    """A mailbox on this server that is due since long."""
    given: dict[str, Any] = {
        "server": world.server, "host": host.host, "port": host.port, "security": "none", "username": USER,
        "secrets": {"password": PASSWORD}, "check_after": START, "created_at": now(),
    }  # fmt: skip
    mailbox: Mailbox = Mailbox.objects.of(world.tenant).create(**given | values)
    return mailbox


def now() -> datetime:
    return datetime.now(UTC)


def poll(mailbox: Mailbox) -> Mailbox:
    """Poll it at once; answers the row afterwards."""
    rows = Mailbox.objects.of(mailbox.tenant_id).filter(pk=mailbox.pk)
    rows.update(check_after=START)
    polling.poll_due({Mailbox: poll_mailbox}, now=now, is_time_up=lambda: False)
    row: Mailbox = rows.get()
    return row


def receipts(world: World) -> list[Receipt]:
    return list(Receipt.objects.of(world.tenant).order_by("pk"))


def nightly(number: int, **values: Any) -> bytes:
    return letter(message_id=f"<night-{number}@client.example>", **values)


# --- what is read ------------------------------------------------------------------------------------------------


def test_a_mail_in_a_mailbox_becomes_a_run(world: World, server: ImapServer, folder: str) -> None:
    server.put(f'"{folder}"', letter())
    mailbox = make_mailbox(world, server, folder=folder)
    stored = tasks.poll()
    assert (Mailbox.objects.of(world.tenant).get().last_error, stored) == ("", 1)
    pipeline.process_waiting(now=now)
    [run] = JobRun.objects.of(world.tenant)
    assert (run.job_id, run.outcome, run.protected_bytes) == (world.job.pk, "success", 48318382080)
    mailbox = Mailbox.objects.of(world.tenant).get(pk=mailbox.pk)
    assert (mailbox.last_error, mailbox.failures, mailbox.claim_token) == ("", 0, None)
    assert mailbox.last_success_at is not None
    assert mailbox.check_after > now()


def test_only_new_mails_are_read_and_nothing_changes_there(world: World, server: ImapServer, folder: str) -> None:
    server.put(f'"{folder}"', nightly(1), nightly(2))
    mailbox = poll(make_mailbox(world, server, folder=folder))
    server.put(f'"{folder}"', nightly(3))
    seen_to = mailbox.last_uid
    mailbox = poll(poll(mailbox))
    assert len(receipts(world)) == 3
    assert mailbox.last_uid == seen_to + 1
    assert ["Seen" in flags for flags in server.flags(f'"{folder}"')] == [False] * 3


def test_many_mails_are_read_in_one_go(world: World, server: ImapServer, folder: str) -> None:
    server.put(f'"{folder}"', *(nightly(number) for number in range(45)))
    poll(make_mailbox(world, server, folder=folder))
    assert len(receipts(world)) == 45


def test_the_time_being_up_the_rest_follows_at_once(world: World, server: ImapServer, folder: str) -> None:
    server.put(f'"{folder}"', *(nightly(number) for number in range(30)))
    mailbox = make_mailbox(world, server, folder=folder)
    asked = iter([False, False, True, True, True, True])
    polling.poll_due({Mailbox: poll_mailbox}, now=now, is_time_up=lambda: next(asked))
    assert len(receipts(world)) == 20
    row = Mailbox.objects.of(world.tenant).get(pk=mailbox.pk)
    assert row.check_after <= now()
    poll(row)
    assert len(receipts(world)) == 30


def test_seen_moved_or_deleted_when_stored(world: World, server: ImapServer, folder: str) -> None:
    server.make_folder(f'"{folder} done"')
    for after in ("seen", "move", "delete"):
        server.put(f'"{folder}"', nightly(1), nightly(2))
        mailbox = make_mailbox(world, server, folder=folder, after=after, move_to=f"{folder} done")
        row = poll(mailbox)
        assert row.last_error == ""
        if after == "seen":
            assert ["\\Seen" in flags for flags in server.flags(f'"{folder}"')] == [True, True]
            mailbox.delete()
            continue
        assert server.count(f'"{folder}"') == 0
        mailbox.delete()
    assert server.count(f'"{folder} done"') == 4
    assert len(receipts(world)) == 2


def test_a_folder_that_mails_cannot_be_moved_to_is_told_and_mails_are_still_read(
    world: World, server: ImapServer, folder: str
) -> None:
    server.put(f'"{folder}"', letter())
    row = poll(make_mailbox(world, server, folder=folder, after="move", move_to="Not there"))
    assert row.last_error.startswith("The mails are read, but: 127.0.0.1 refused to move mails to Not there")
    assert (len(receipts(world)), row.failures, server.count(f'"{folder}"')) == (1, 1, 1)


def test_the_same_mail_by_listener_and_mailbox_is_one_delivery(world: World, server: ImapServer, folder: str) -> None:
    address = written(make_address(world.tenant, world.server, actor=Actor(name="T", now=START)), domain="mx.test")
    with RunningListener() as listener:
        listener.send(letter(), address)
    server.put(f'"{folder}"', b"Return-Path: <backup@client.example>\r\nReceived: from a by b; now\r\n" + letter())
    poll(make_mailbox(world, server, folder=folder))
    assert [each.door for each in receipts(world)] == ["mail"]


def test_a_mailbox_of_no_server_finds_it_by_the_address_a_mail_was_for(
    world: World, server: ImapServer, folder: str
) -> None:
    row = make_address(world.tenant, world.server, actor=Actor(name="T", now=START))
    elsewhere = make_address(world.other, world.other_server, actor=Actor(name="T", now=START))
    server.put(
        f'"{folder}"',
        nightly(1, to=written(row, domain="msp.example", plus="backup")),
        nightly(2, to=written(elsewhere, domain="msp.example", plus="backup")),
        nightly(3),
    )
    poll(make_mailbox(world, server, folder=folder, server=None))
    assert [each.server_id for each in receipts(world)] == [world.server.pk, None, None]


def test_a_mail_that_is_too_large_leaves_a_note_in_the_inbox(
    world: World, server: ImapServer, folder: str, settings: Any
) -> None:
    settings.BACKLEDGER = dataclasses.replace(settings.BACKLEDGER, max_body_bytes=2000)
    server.put(f'"{folder}"', letter("x" * 3000, subject="Night of Acme"), nightly(2))
    poll(make_mailbox(world, server, folder=folder, after="delete"))
    pipeline.process_waiting(now=now)
    large, small = receipts(world)
    assert (large.state, small.state) == ("inbox", "done")
    assert InboxItem.objects.of(world.tenant).get().receipt_id == large.pk


def test_the_time_of_a_log_without_one_is_when_its_mail_was_sent(world: World, server: ImapServer, folder: str) -> None:
    sent = now() - timedelta(hours=20)
    told = {"operation": "backup", "outcome": "success", "job": "files", "complete": True}
    text = json.dumps({"backledger": 1, "runs": [told]})
    server.put(f'"{folder}"', letter(text, date=sent.strftime("%a, %d %b %Y %H:%M:%S +0000")))
    poll(make_mailbox(world, server, folder=folder))
    pipeline.process_waiting(now=now)
    [run] = JobRun.objects.of(world.tenant)
    assert run.ended_at == sent.replace(microsecond=0)


# --- failures ----------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_without_it_and_tried_later(world: World, server: ImapServer) -> None:
    row = poll(make_mailbox(world, server, secrets={"password": "s3cret-but-wrong"}))
    assert row.last_error.startswith("127.0.0.1 refused the user name or password: ")
    assert "s3cret" not in row.last_error
    assert (row.failures, row.last_success_at) == (1, None)
    assert row.check_after > now()
    assert check_mailbox(row, now=now())[0].startswith("127.0.0.1 refused the user name")


def test_a_folder_that_is_not_there_and_a_server_that_is_not_are_told(world: World, server: ImapServer) -> None:
    assert "folder Nothing" in poll(make_mailbox(world, server, folder="Nothing")).last_error
    away = make_mailbox(world, server, port=1)
    assert poll(away).last_error == "127.0.0.1 refused the connection."


def test_a_private_address_is_not_dialled_unless_allowed(world: World, server: ImapServer, settings: Any) -> None:
    settings.BACKLEDGER = dataclasses.replace(settings.BACKLEDGER, allow_private_destinations=False)
    assert "must not be called" in poll(make_mailbox(world, server)).last_error


def test_one_mailbox_that_fails_stops_no_other(world: World, server: ImapServer, folder: str) -> None:
    server.put(f'"{folder}"', letter())
    broken = make_mailbox(world, server, port=1, check_after=START - timedelta(days=1))
    poll(make_mailbox(world, server, folder=folder))
    assert len(receipts(world)) == 1
    assert Mailbox.objects.of(world.tenant).get(pk=broken.pk).failures == 1


def test_a_paused_mailbox_is_left_alone(world: World, server: ImapServer, folder: str) -> None:
    server.put(f'"{folder}"', letter())
    poll(make_mailbox(world, server, folder=folder, state="paused"))
    assert receipts(world) == []


def test_a_good_mailbox_passes_the_check(world: World, server: ImapServer, folder: str) -> None:
    assert check_mailbox(make_mailbox(world, server, folder=folder), now=now()) == ()
    moving = make_mailbox(world, server, folder="Sent", after="move", move_to="Nowhere")
    assert "Nowhere" in check_mailbox(moving, now=now())[0]


# --- breaking off, and what no server does -----------------------------------------------------------------------


def scripted(world: World, host: ScriptedImap, **values: Any) -> Mailbox:
    oauth = {"grant": "refresh_token", "token_url": "https://login.example/token", "client_id": "app", "scope": ""}
    later = (now() + timedelta(hours=1)).isoformat()
    secrets = {"refresh_token": "refresh-1", "access_token": "token-1", "expires_at": later}
    return make_mailbox(world, host, **{"auth": "oauth2", "oauth": oauth, "secrets": secrets} | values)


@pytest.mark.parametrize("place", ["UID FETCH 5 (UID BODY", "UID STORE", "UID FETCH 5,6", "EXAMINE", "LOGOUT"])
def test_wherever_it_breaks_off_each_mail_is_stored_once(world: World, place: str) -> None:
    script = Script(mails={5: nightly(5), 6: nightly(6)}, break_off_at=place)
    with ScriptedImap(script) as host:
        row = poll(scripted(world, host, after="seen" if place == "UID STORE" else "keep"))
        if place != "LOGOUT":
            assert row.last_error.startswith("127.0.0.1 ")
            assert row.last_uid < 5
        script.break_off_at = ""
        row = poll(row)
    assert (row.last_error, row.last_uid, len(receipts(world))) == ("", 6, 2)


def test_another_uid_validity_reads_again_and_doubles_nothing(world: World) -> None:
    script = Script(mails={5: nightly(5)})
    with ScriptedImap(script) as host:
        row = poll(scripted(world, host))
        script.uid_validity, script.mails = 2, {1: nightly(5), 2: nightly(6)}
        row = poll(row)
    assert (row.uid_validity, row.last_uid, len(receipts(world))) == (2, 2, 2)


def test_a_length_that_is_a_lie_costs_no_memory(world: World) -> None:
    with ScriptedImap(Script(mails={5: nightly(5)}, claimed_size=8 * 10**9)) as host:
        row = poll(scripted(world, host))
    assert "more than was asked for" in row.last_error
    assert receipts(world) == []


def test_a_claim_that_was_lost_writes_nothing_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(mails={5: nightly(5)})
    with ScriptedImap(script) as host:
        mailbox = scripted(world, host, uid_validity=1, last_uid=4)
        real = mailboxes.store_group

        def taken_over(*args: Any) -> int:
            Mailbox.objects.of(world.tenant).update(claim_token=None)
            return real(*args)

        monkeypatch.setattr(mailboxes, "store_group", taken_over)
        row = poll(mailbox)
    assert (row.last_uid, len(receipts(world))) == (4, 1)


# --- OAuth 2.0 ---------------------------------------------------------------------------------------------------


class TokenServer:
    """Stands for the HTTP door: answers with tokens that count up, and keeps what was sent."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, status: int = 200, answer: dict[str, Any] | None = None
    ) -> None:
        self.sent: list[str] = []
        self._status, self._given = status, answer
        monkeypatch.setattr("integrations.oauth.exchange", self._exchange)

    def _exchange(self, method: str, url: str, *, body: bytes, **values: Any) -> Answer:
        self.sent.append(body.decode())
        number = len(self.sent) + 1
        answer = {"access_token": f"token-{number}", "refresh_token": f"refresh-{number}", "expires_in": 3600}
        return Answer(self._status, {}, json.dumps(self._given or answer).encode())


def test_a_token_that_ended_is_refreshed_and_the_next_one_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = TokenServer(monkeypatch)
    with ScriptedImap(Script(mails={5: nightly(5)}, bearer="token-2")) as host:
        mailbox = scripted(world, host)
        ended = {**mailbox.secrets, "expires_at": now().isoformat()}
        Mailbox.objects.of(world.tenant).update(secrets=ended)
        row = poll(poll(mailbox))
    assert tokens.sent == ["grant_type=refresh_token&client_id=app&refresh_token=refresh-1"]
    assert (row.last_error, row.secrets["access_token"], row.secrets["refresh_token"]) == ("", "token-2", "refresh-2")
    assert len(receipts(world)) == 1


def test_an_application_gets_in_by_its_own_secret(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = TokenServer(monkeypatch)
    oauth = {
        "grant": "client_credentials",
        "token_url": "https://login.example/t",
        "client_id": "app",
        "scope": "https://outlook.office365.com/.default",
    }
    with ScriptedImap(Script(mails={5: nightly(5)}, bearer="token-2")) as host:
        row = poll(scripted(world, host, oauth=oauth, secrets={"client_secret": "hush"}))
    assert "client_secret=hush" in tokens.sent[0]
    assert "refresh_token" not in tokens.sent[0]
    assert row.last_error == ""


def test_a_refused_token_is_told_in_the_others_words_without_secrets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"error": "invalid_grant", "error_description": "AADSTS70008: refresh-1 has expired."}
    TokenServer(monkeypatch, status=400, answer=refused)
    with ScriptedImap(Script()) as host:
        mailbox = scripted(world, host, secrets={"refresh_token": "refresh-1"})
        row = poll(mailbox)
        assert row.last_error == "No access token was given: AADSTS70008: *** has expired."
        assert check_mailbox(row, now=now()) == (row.last_error,)


def test_a_token_the_mailbox_refuses_is_told(world: World) -> None:
    with ScriptedImap(Script(bearer="another")) as host:
        row = poll(scripted(world, host))
    assert row.last_error == "127.0.0.1 refused the access token: AUTHENTICATE failed."
