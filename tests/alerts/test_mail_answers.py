"""Answers to our mails come back: by a real SMTP conversation with our listener, sent by whoever the test plays.

A ticket is mailed to a real SMTP server; what it says about answers is used as a ticket system or a person would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from alerts import mail_answers
from msp.channels.ticket_mail import Arrived, keep, ticket_address
from msp.outbox.models import InboundEvent
from tests.alerts.post import DESK, Post
from tests.alerts.test_ticket_flow import FAILED
from tests.channels.running_listener import RunningListener
from tests.doubles.mailbox import Mailbox

pytestmark = pytest.mark.django_db(transaction=True)
RECORDED = Path(__file__).parents[1] / "fixtures" / "ticket_mails"


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
    return Post(mailbox, listener)


@pytest.fixture
def obeying(mailbox: Mailbox, listener: RunningListener) -> Post:
    return Post(mailbox, listener, reply_commands=True, reply_senders=["@tickets.example"])


# --- words ---------------------------------------------------------------------------------------------------------


def test_our_mails_ask_for_answers_to_the_tickets_own_address(post: Post) -> None:
    ticket = post.play.ticket()
    assert post.secret == ticket_address(post.tenant.pk, ticket.reference, domain="localhost")
    post.play.run("success")
    post.play.deliver()
    assert str(post.mailbox.messages()[-1]["Reply-To"]) == post.secret


def test_an_answer_becomes_a_remark_of_the_ticket_once(post: Post) -> None:
    text = (
        "Disk replaced.\n\nOn Sun, 22 Nov 2026 at 22:05, Backups <robot@msp.example> wrote:\n> It failed.\n> Again.\n"
    )
    post.answer(text, Message_ID="<one@tickets.example>")
    post.answer(text, Message_ID="<one@tickets.example>")
    assert post.remarks() == ["Help Desk: Disk replaced."]
    assert "ticket_message: Help Desk wrote in email: Disk replaced." in post.events()
    event = InboundEvent.objects.of(post.tenant).get()
    assert (event.state, bytes(event.body), event.headers["taken"]) == ("done", b"", "answer")


def test_an_answer_has_nothing_sent(post: Post) -> None:
    assert post.sent_after(lambda: post.answer("Please?")) == 0


def test_a_stranger_who_has_the_address_is_refused_and_counted(post: Post) -> None:
    post.answer(sender="Mallory <mallory@evil.example>")
    post.answer(sender="desk@tickets.example.evil.example")
    assert post.remarks() == []
    assert post.refusals() == (2, "desk@tickets.example.evil.example is not among those who may answer.")


def test_a_destination_that_takes_no_answers_refuses_them(post: Post) -> None:
    secret = post.secret
    config = {**post.row.config, "replies": "none"}
    post.row.config = config
    post.row.save()
    post.answer(to=secret)
    assert post.remarks() == []
    assert post.refusals() == (1, "The destination takes no answers.")


def test_an_answer_at_another_tenants_address_touches_nothing_here(post: Post) -> None:
    theirs = ticket_address(post.play.world.other.pk, post.play.ticket().reference, domain="localhost")
    post.answer(to=theirs)
    assert post.remarks() == []
    event = InboundEvent.objects.of(post.play.world.other).get()
    assert (event.state, event.error) == ("refused", "It names no ticket that is known here.")


def test_a_mail_to_the_destinations_address_finds_its_ticket_by_what_it_answers_or_its_subject(post: Post) -> None:
    ours = str(post.first["Message-ID"])
    post.answer("By answer.", to=post.system_address, Subject="Re: x", In_Reply_To=ours)
    post.answer("By subject.", to=post.system_address)
    post.answer("By nothing.", to=post.system_address, Subject="Re: x")
    assert post.remarks() == ["Help Desk: By answer.", "Help Desk: By subject."]
    assert post.refusals() == (1, "It came to the destination's address, but names no ticket of it.")


def test_a_flood_of_answers_ends_at_its_limit(post: Post) -> None:
    for number in range(mail_answers.MOST_AN_HOUR + 5):
        post.play.now -= timedelta(minutes=1)
        post.answer(f"Number {number}.")
    assert len(post.remarks()) == mail_answers.MOST_AN_HOUR
    assert post.refusals()[0] == 5


def test_a_mail_that_breaks_something_stops_no_other(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.listener.send(b"From: desk@tickets.example\r\nMessage-ID: <bad@x>\r\n\r\nBad", post.secret)
    monkeypatch.setattr(mail_answers, "read_answer", lambda *_, **__: 1 / 0)
    post.take()
    monkeypatch.undo()
    post.answer("Good.")
    assert post.remarks() == ["Help Desk: Good."]
    event = InboundEvent.objects.of(post.tenant).get(state="refused")
    assert event.error == "It could not be read; the log tells why."
    assert bytes(event.body).endswith(b"Bad\r\n"), "kept, to be looked at"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe\r\n\r\n\x00",
        b"From: =?utf-9?Q?%%?= <desk@tickets.example>\r\nSubject: =?utf-8?B?/////?=\r\n\r\nhi\x00there\xff",
        b'From: desk@tickets.example\r\nContent-Type: text/plain; charset="no-such\x00"\r\n\r\nhi',
        b"From: desk@tickets.example\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n" * 500,
        b"From: desk@tickets.example\r\n" + b"X: y\r\n" * 60_000 + b"\r\nhi",
        b"From: desk@tickets.example\r\nDate: Sun, 99 Foo 99999 99:99:99 +9999\r\n\r\nhi",
        b"From: desk@tickets.example\r\nContent-Transfer-Encoding: base64\r\n\r\n====A",
        b"From: desk@tickets.example\r\nContent-Type: multipart/report\r\n\r\nAction: failed",
        b"From: desk@tickets.example\r\n\r\n" + b"On a b " * 5000,
    ],
)
def test_hostile_mails_are_taken_or_refused_but_break_nothing(post: Post, content: bytes) -> None:
    post.send(content)
    event = InboundEvent.objects.of(post.tenant).get()
    assert event.state in ("done", "refused")
    assert event.error != "It could not be read; the log tells why."


# --- loops ---------------------------------------------------------------------------------------------------------

AUTOMATIC = [
    {"Auto_Submitted": "auto-replied"},
    {"Auto_Submitted": "auto-generated; x=y"},
    {"Precedence": "bulk"},
    {"Precedence": "junk"},
    {"Precedence": "list"},
    {"X_Auto_Response_Suppress": "All"},
    {"X_Loop": "desk"},
    {"X_Autoreply": "yes"},
]


@pytest.mark.parametrize("headers", AUTOMATIC)
def test_automatic_answers_are_shown_once_and_cause_no_mail(obeying: Post, headers: dict[str, str]) -> None:
    """A machine that answers every mail of ours: the loop stops after its first answer."""
    for _ in range(3):
        assert obeying.sent_after(lambda: obeying.answer("#close I am on holiday.", **headers)) == 0
    assert obeying.remarks() == ["Help Desk (automatic answer): #close I am on holiday."]
    assert obeying.play.incident().state == "open"
    taken = InboundEvent.objects.of(obeying.tenant).order_by("id").values_list("headers__taken", flat=True)
    assert list(taken) == ["automatic answer", *["automatic answer, not shown again"] * 2]


def test_the_null_sender_is_a_machine(obeying: Post) -> None:
    content = f"From: {DESK}\r\nTo: {obeying.secret}\r\n\r\n#ack".encode()
    obeying.send(content, envelope="<>")
    assert obeying.remarks() == ["Help Desk (automatic answer): #ack"]
    assert obeying.play.incident().acknowledged_at is None


def test_a_person_is_no_machine(obeying: Post) -> None:
    obeying.answer("Seen.", Auto_Submitted="no")
    assert obeying.remarks() == ["Help Desk: Seen."]


def test_our_own_mail_back_is_dropped_and_counted(post: Post) -> None:
    ours = post.mailbox.kept[0].content
    post.send(ours)
    stripped = re.sub(rb"(?im)^X-Backledger-Reference:[^\n]*\n", b"", ours)
    assert stripped != ours
    post.send(stripped.replace(b"Date:", b"X-Date:"), to=post.system_address)
    assert post.remarks() == []
    count, reason = post.refusals()
    assert (count, reason) == (1, "A mail of our own came back: it was dropped.")
    assert post.sent_after(lambda: post.take()) == 0


# --- numbers and status --------------------------------------------------------------------------------------------


def recorded(name: str, post: Post, *, old: str) -> bytes:
    """A recorded mail of a real system, about our ticket and from the address of its queue."""
    content = (RECORDED / name).read_bytes().replace(b"\r\n", b"\n")
    reference = post.play.ticket().reference
    content = content.replace(old.encode(), f"[{reference}] {old}".encode())
    return content.replace(b"\n", b"\r\n")


def desk_for(mailbox: Mailbox, listener: RunningListener, system: str, sender: str) -> Post:
    return Post(mailbox, listener, system=system, reply_senders=[sender])


def test_rt_tells_its_number_a_comment_and_the_closing(mailbox: Mailbox, listener: RunningListener) -> None:
    post = desk_for(mailbox, listener, "rt", "backups@rt.test")
    old = "Acme Dental: no successful backup"
    post.send(recorded("rt-auto-reply.eml", post, old=old), to=post.system_address)
    ticket = post.play.ticket()
    assert (ticket.their_number, ticket.external_id) == ("rt.test #1", str(post.first["Message-ID"]))
    assert len(post.remarks()) == 1
    assert post.remarks()[0].startswith("Backups via RT (automatic answer): Greetings,")
    post.send(recorded("rt-comment.eml", post, old=old), to=post.system_address)
    assert post.remarks()[-1] == "backledger via RT: We are looking at the backup of SRV-DC01."
    assert post.play.incident().acknowledged_at is None
    post.send(recorded("rt-resolved.eml", post, old=old), to=post.system_address)
    ticket = post.play.ticket()
    assert (ticket.confirmed_state, ticket.their_status) == ("closed", "resolved")
    incident = post.play.incident()
    assert (incident.state, incident.acknowledged_by) == ("open", "email")


def test_the_number_stands_in_the_subject_of_our_later_mails(mailbox: Mailbox, listener: RunningListener) -> None:
    """RT and Redmine add a mail to a ticket by that alone."""
    post = desk_for(mailbox, listener, "rt", "backups@rt.test")
    post.send(recorded("rt-auto-reply.eml", post, old="Acme Dental: no successful backup"), to=post.system_address)
    post.play.run("success")
    post.play.deliver()
    reference = post.play.ticket().reference
    assert str(post.mailbox.messages()[-1]["Subject"]).startswith(f"[rt.test #1] [{reference}] ")


def test_roundup_tells_number_and_status(mailbox: Mailbox, listener: RunningListener) -> None:
    post = desk_for(mailbox, listener, "roundup", "issue_tracker@desk.test")
    content = recorded("roundup-new.eml", post, old="Acme Dental: no successful backup")
    post.send(content, to=post.system_address)
    assert (post.play.ticket().their_number, post.play.ticket().their_status) == ("issue1", "chatting")
    assert "Run 2026-11-22T02:00Z ended in error 0x80070070." in post.remarks()[0]
    closed = content.replace(b"issue-status: chatting", b"issue-status: resolved").replace(b"VMQAP3XB7", b"OTHER")
    post.send(closed, to=post.system_address)
    assert post.play.ticket().confirmed_state == "closed"
    assert "ticket_status: email: the ticket is now resolved." in post.events()


def test_django_helpdesk_tells_number_and_the_resolution(mailbox: Mailbox, listener: RunningListener) -> None:
    post = desk_for(mailbox, listener, "django-helpdesk", "backups@desk.test")
    post.send(recorded("helpdesk-opened.eml", post, old="Acme Dental: no successful backup"), to=post.system_address)
    assert post.play.ticket().their_number == "backups-1"
    assert post.play.ticket().confirmed_state == "open"
    post.send((RECORDED / "helpdesk-resolved.eml").read_bytes(), to=post.system_address)
    assert (post.play.ticket().confirmed_state, post.play.ticket().their_status) == ("closed", "Resolved")


def test_no_status_is_read_from_free_text_or_from_another_systems_marks(post: Post) -> None:
    post.answer("Resolved. Closed. Status: Closed", Subject=f"[rt.test #1] Resolved: {post.first['Subject']} (Closed)")
    ticket = post.play.ticket()
    assert (ticket.their_number, ticket.their_status, ticket.confirmed_state) == ("", "", "open")


def test_a_closing_needs_an_address_that_others_do_not_know(mailbox: Mailbox, listener: RunningListener) -> None:
    """By a reference alone, which stands in every subject, a mail is only shown."""
    post = desk_for(mailbox, listener, "rt", "backups@rt.test")
    content = recorded("rt-resolved.eml", post, old="Acme Dental: no successful backup")
    keep(post.tenant.pk, Arrived(content, post.play.now, "imap"), (), now=post.play.now)
    post.take()
    assert len(post.remarks()) == 1
    assert (post.play.ticket().confirmed_state, post.play.ticket().their_number) == ("open", "rt.test #1")


def test_a_closing_older_than_our_last_word_is_not_taken(mailbox: Mailbox, listener: RunningListener) -> None:
    post = desk_for(mailbox, listener, "rt", "backups@rt.test")
    content = recorded("rt-resolved.eml", post, old="Acme Dental: no successful backup")
    post.listener.send(content, post.system_address)
    InboundEvent.objects.of(post.tenant).update(received_at=post.play.now - timedelta(minutes=5))
    mail_answers.take_waiting(now=lambda: post.play.now)
    assert post.play.ticket().confirmed_state == "open"
    assert len(post.remarks()) == 1


def test_a_problem_that_lasts_after_a_closing_by_mail_speaks_up_again(
    mailbox: Mailbox, listener: RunningListener
) -> None:
    post = desk_for(mailbox, listener, "rt", "backups@rt.test")
    post.send(recorded("rt-resolved.eml", post, old="Acme Dental: no successful backup"), to=post.system_address)
    assert post.sent_after(lambda: post.play.run("failure", **FAILED)) == 0
    assert post.sent_after(lambda: post.play.wait(hours=25)) == 1
    assert "Not solved" in str(post.mailbox.messages()[-1])
    assert post.play.ticket().confirmed_state == "open"
