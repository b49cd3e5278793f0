"""What a mail destination asks for in its mails, and whom it takes answers from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.tickets import NewTicket, Thread, TicketText, email
from tests.doubles.mailbox import Mailbox
from tests.integrations.tickets.configs import TICKET, a_call, email_json

NOTE = TicketText(TICKET.text.subject, "Still failing.")
SECRET = "reply+bl-0123456789.7.abcdefghijklmnopqrst@mx.example"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


def config(port: int = 25, **changes: Any) -> email.Config:
    return config_from_json(email.Config, email_json(port, **changes))


def test_every_mail_asks_for_answers_to_the_address_it_is_given(mailbox: Mailbox) -> None:
    new = NewTicket(TICKET.reference, TICKET.text, values={email.REPLY_TO: SECRET})
    made = email.create(config(mailbox.port), new, call=a_call())
    thread = Thread(TICKET.reference, made.external_id, {email.REPLY_TO: SECRET, email.NUMBER: "rt.test #7"})
    email.comment(config(mailbox.port), thread, NOTE, sequence=1, call=a_call())
    email.close(config(mailbox.port, close_subject="[status=resolved]"), thread, NOTE, sequence=2, call=a_call())
    assert [str(one["Reply-To"]) for one in mailbox.messages()] == [SECRET] * 3
    first, second, last = (str(one["Subject"]).strip() for one in mailbox.messages())
    assert first == f"[{TICKET.reference}] {TICKET.text.subject}"
    assert second == f"[rt.test #7] {first}"
    assert last == f"[rt.test #7] {first} [status=resolved]"
    assert {kept.sender for kept in mailbox.kept} == {"robot@msp.example"}, "the envelope stays the sender's own"


def test_without_one_no_mail_does(mailbox: Mailbox) -> None:
    email.create(config(mailbox.port), TICKET, call=a_call())
    assert mailbox.messages()[0]["Reply-To"] is None


@pytest.mark.parametrize(
    ("changes", "values", "expected"),
    [
        ({"readers": "intake", "system": "osticket"}, {email.REPLY_TO: SECRET}, None),
        ({"readers": "intake", "system": "osticket"}, {}, "All"),
        ({"readers": "intake"}, {email.REPLY_TO: SECRET}, "All"),
        ({"system": "osticket"}, {email.REPLY_TO: SECRET}, "All"),
    ],
)
def test_the_first_mail_alone_leaves_a_system_its_answer_where_the_number_is_read_from_it(
    mailbox: Mailbox, changes: dict[str, Any], values: dict[str, str], expected: str | None
) -> None:
    given = config(mailbox.port, **changes)
    made = email.create(given, NewTicket(TICKET.reference, TICKET.text, values=values), call=a_call())
    email.comment(given, Thread(TICKET.reference, made.external_id, values), NOTE, sequence=1, call=a_call())
    assert [one["X-Auto-Response-Suppress"] for one in mailbox.messages()] == [expected, "All"]


def test_a_number_that_holds_a_line_break_makes_no_header(mailbox: Mailbox) -> None:
    thread = Thread(TICKET.reference, "<BL-1a2b3c4d.0.create@msp.example>", {email.NUMBER: "7\r\nBcc: x@evil.example"})
    email.comment(config(mailbox.port), thread, NOTE, sequence=1, call=a_call())
    [message] = mailbox.messages()
    assert message["Bcc"] is None
    assert str(message["Subject"]).strip().startswith("[7 Bcc: x@evil.example] ")


@pytest.mark.parametrize(
    ("changes", "address", "expected"),
    [
        ({}, "desk@tickets.example", True),
        ({}, "DESK@Tickets.Example", True),
        ({}, "tina@tickets.example", False),
        ({"recipients": ["Desk <desk@tickets.example>"]}, "desk@tickets.example", True),
        ({"reply_senders": ["@tickets.example"]}, "tina@tickets.example", True),
        ({"reply_senders": ["@Tickets.Example"]}, "tina@tickets.example", True),
        ({"reply_senders": ["@tickets.example"]}, "tina@sub.tickets.example", False),
        ({"reply_senders": ["@tickets.example"]}, "tina@evil-tickets.example", False),
        ({"reply_senders": ["Tina <tina@x.example>"]}, "tina@x.example", True),
        ({"reply_senders": ["tina@x.example"]}, "desk@tickets.example", False),
        ({"reply_senders": ["@tickets.example"]}, "", False),
        ({}, "", False),
        ({}, "@", False),
    ],
)
def test_who_may_answer(changes: dict[str, Any], address: str, expected: bool) -> None:
    assert config(**changes).may_answer(address) is expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"replies": "mailbox"}, "reply_mailbox"),
        ({"replies": "mailbox", "reply_mailbox": "backups+x@msp.example"}, "reply_mailbox"),
        ({"replies": "pigeon"}, "replies"),
        ({"system": "none such"}, "system"),
        ({"reply_senders": ["@"]}, "reply_senders"),
        ({"reply_senders": ["tickets.example"]}, "reply_senders"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadConfig) as refused:
        config(**changes)
    assert refused.value.field == field
