"""The pages about mail, for every role: addresses are made and revoked, mailboxes set up, tried, paused."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from msp.channels.addressing import find_recipients, make_address
from msp.channels.models import MailAddress, Mailbox
from msp.dashboard.views import settings_mail
from msp.estate.spans import Actor
from msp.tenants.models import AuditEntry
from tests.dashboard.scene import browser_of
from tests.world import START, World

pytestmark = pytest.mark.django_db
ACTOR = Actor(name="Tech", now=START)
TYPED: dict[str, Any] = {
    "host": "imap.example", "username": "backups@msp.example", "port": "993", "security": "tls", "auth": "password",
    "password": "s3cret-pass", "grant": "refresh_token", "folder": "INBOX", "after": "keep", "server": "",
    "every_minutes": "10",
}  # fmt: skip


def mailbox(world: World) -> Mailbox:
    browser = browser_of(world.owner)
    answer = browser.post(reverse("mailbox-new"), TYPED | {"server": str(world.server.uid)})
    row: Mailbox = Mailbox.objects.of(world.tenant).get()
    assert answer["Location"] == reverse("mailbox", args=[row.uid])
    return row


def test_an_address_is_made_shown_and_revoked(world: World) -> None:
    browser, page = browser_of(world.technician), reverse("mail-addresses", args=[world.server.uid])
    change = reverse("mail-addresses-change", args=[world.server.uid])
    assert browser.post(change)["Location"] == page
    [row] = MailAddress.objects.of(world.tenant)
    assert f"{row.token}@localhost" in browser.get(page).content.decode()
    assert find_recipients([row.token], now=START)[row.token].server_id == world.server.pk
    browser.post(change, {"revoke": row.token})
    assert row.token not in browser.get(page).content.decode()
    assert find_recipients([row.token], now=START) == {}
    told = AuditEntry.objects.of(world.tenant).filter(subject_kind="mail address").order_by("pk")
    assert [entry.action for entry in told] == ["mail address made", "mail address revoked"]
    assert row.token not in str([entry.subject for entry in told])


def test_a_mailbox_is_set_up_and_its_password_never_comes_back(world: World) -> None:
    row = mailbox(world)
    assert (row.server_id, row.every_minutes, row.secrets) == (world.server.pk, 10, {"password": "s3cret-pass"})
    browser = browser_of(world.owner)
    for name in ("mailbox", "mailboxes"):
        page = browser.get(reverse(name, args=[row.uid] if name == "mailbox" else [])).content.decode()
        assert "s3cret-pass" not in page
        assert "backups@msp.example" in page
    entry = AuditEntry.objects.of(world.tenant).get(action="mailbox added")
    assert entry.after["password"] == "set"
    assert "s3cret" not in str(entry.after)


def test_an_empty_password_stays_but_goes_to_no_other_server(world: World) -> None:
    row, browser = mailbox(world), browser_of(world.owner)
    Mailbox.objects.of(world.tenant).update(uid_validity=7, last_uid=70, failures=3, last_error="x")
    address = reverse("mailbox", args=[row.uid])
    assert browser.post(address, TYPED | {"password": "", "after": "seen"}).status_code == 302
    kept = Mailbox.objects.of(world.tenant).get()
    assert (kept.secrets["password"], kept.after, kept.last_uid, kept.last_error) == ("s3cret-pass", "seen", 70, "")
    for change in ({"host": "evil.example"}, {"port": "1993"}):
        refused = browser.post(address, TYPED | {"password": ""} | change)
        assert refused.status_code == 422
        assert "give the password or secret again" in refused.content.decode()
    browser.post(address, TYPED | {"folder": "Backups"})
    moved = Mailbox.objects.of(world.tenant).get()
    assert (moved.uid_validity, moved.last_uid) == (None, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": ""}, "The password is required"),
        ({"host": "not a host"}, "host name or an IP address"),
        ({"after": "move"}, "Name another folder"),
        ({"auth": "oauth2"}, "begins with https://"),
        ({"auth": "oauth2", "token_url": "https://l.example/t", "client_id": "a"}, "refresh token is required"),
        ({"every_minutes": "0"}, "at least 1"),
        ({"username": "a\r\nb"}, "single line"),
    ],
)
def test_what_cannot_work_is_refused_at_its_field(world: World, change: dict[str, str], words: str) -> None:
    refused = browser_of(world.owner).post(reverse("mailbox-new"), TYPED | change)
    assert refused.status_code == 422
    assert words in refused.content.decode()
    assert not Mailbox.objects.of(world.tenant).exists()


def test_the_same_folder_is_read_by_one_mailbox(world: World) -> None:
    mailbox(world)
    refused = browser_of(world.owner).post(reverse("mailbox-new"), TYPED)
    assert "is read already" in refused.content.decode()


def test_a_mailbox_is_paused_resumed_and_removed(world: World) -> None:
    row, browser = mailbox(world), browser_of(world.owner)
    address = reverse("mailbox-pause", args=[row.uid])
    for do, state in (("pause", "paused"), ("resume", "active")):
        browser.post(address, {"do": do})
        assert Mailbox.objects.of(world.tenant).get().state == state
    browser.post(address, {"do": "remove"})
    assert not Mailbox.objects.of(world.tenant).exists()


def test_a_connection_is_tried_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row, browser = mailbox(world), browser_of(world.owner)
    for problems, words in (((), "can be read"), (("imap.example refused the password.",), "refused the password")):
        monkeypatch.setattr(settings_mail, "check_mailbox", lambda row, now, told=problems: told)
        answer = browser.post(reverse("mailbox-check", args=[row.uid]), follow=True)
        assert words in answer.content.decode()


def test_who_may_do_what(world: World) -> None:
    row = mailbox(world)
    address = make_address(world.tenant, world.server, actor=ACTOR)
    pages = {
        "mail-addresses": (reverse("mail-addresses", args=[world.server.uid]), (200, 200, 404, 404)),
        "mailboxes": (reverse("mailboxes"), (200, 200, 404, 200)),
        "mailbox": (reverse("mailbox", args=[row.uid]), (200, 403, 404, 404)),
        "mailbox-new": (reverse("mailbox-new"), (200, 403, 404, 200)),
    }
    for page, statuses in pages.values():
        assert tuple(one.get(page).status_code for one in people(world)) == statuses
    for one in people(world)[2:]:
        one.post(reverse("mail-addresses-change", args=[world.server.uid]), {"revoke": address.token})
        one.post(reverse("mailbox-pause", args=[row.uid]), {"do": "remove"})
    assert Mailbox.objects.of(world.tenant).exists()
    assert MailAddress.objects.of(world.tenant).get().revoked_at is None
    assert "backups@msp.example" not in browser_of(world.stranger).get(reverse("mailboxes")).content.decode()


def people(world: World) -> list[Browser]:
    return [browser_of(each) for each in (world.owner, world.technician, world.reseller_staff, world.stranger)]
