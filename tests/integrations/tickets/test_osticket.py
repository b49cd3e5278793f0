"""What is osTicket's own: an API that opens tickets and takes mails, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest

from integrations.errors import PermanentFailure
from integrations.tickets import BadConfig, Thread, TicketText, config_from_json, osticket
from tests.doubles.desk import Bench
from tests.doubles.desks.osticket import bench
from tests.integrations.tickets.configs import TICKET, a_call

WORDS = TicketText("Größe ✓ of\r\nX-Evil: 1", "Still failing: 50 % é\n.dot first")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


def opened(made: Bench) -> Thread:
    return Thread(TICKET.reference, osticket.create(made.config, TICKET, call=a_call()).external_id)


def test_a_message_is_a_mail_of_the_submitter_that_names_the_ticket(made: Bench) -> None:
    thread = opened(made)
    osticket.comment(made.config, thread, WORDS, sequence=3, call=a_call())
    mail = message_from_bytes(made.desk.log[-1].body, policy=default)
    assert str(mail["From"]) == "Backledger <backups@msp.example>"
    assert str(mail["Subject"]) == f"Re: [#{thread.external_id}] Größe ✓ of X-Evil: 1"
    assert mail["Message-ID"] == f"<{TICKET.reference}.3@msp.example>"
    assert mail["X-Evil"] is None
    assert mail.get_content().replace("\r\n", "\n") == WORDS.body + "\n"
    assert len(made.desk.tickets) == 1


def test_the_last_words_say_that_a_person_can_close_it(made: Bench) -> None:
    osticket.close(made.config, opened(made), WORDS, sequence=1, call=a_call())
    assert "This ticket can be closed." in made.desk.tickets[0].messages[-1].text


def test_a_message_that_made_a_ticket_of_its_own_is_told(made: Bench) -> None:
    stranger = replace(made.config, email="somebody@else.example")
    with pytest.raises(PermanentFailure, match="made a ticket 1002 of what was meant for 1001"):
        osticket.comment(stranger, opened(made), WORDS, sequence=1, call=a_call())


def test_what_the_api_cannot_do_is_said(made: Bench) -> None:
    thread = opened(made)
    assert osticket.abilities(made.config) == frozenset()
    assert osticket.find_after(made.config) is None
    for ask in (
        lambda: osticket.read(made.config, thread, call=a_call()),
        lambda: osticket.reopen(made.config, thread, WORDS, sequence=1, call=a_call()),
        lambda: osticket.companies(made.config, "", call=a_call()),
    ):
        with pytest.raises(PermanentFailure):
            ask()


def test_a_wrong_key_is_told_with_what_to_look_at(made: Bench) -> None:
    config = config_from_json(osticket.Config, dict(made.stored) | {"api_key": "another"})
    (problem,) = osticket.check(config, call=a_call())
    assert "the address of ours that it belongs to" in problem


@pytest.mark.parametrize("email", ["a@b\r\nBcc: x@y.example", "Tina <t@msp.example>", "nobody"])
def test_what_is_no_plain_address_is_refused(made: Bench, email: str) -> None:
    with pytest.raises(BadConfig):
        config_from_json(osticket.Config, dict(made.stored) | {"email": email})


def test_a_number_in_the_subject_is_not_taken_for_the_tickets(made: Bench) -> None:
    words = TicketText("Disk #3 failed", "Still failing.")
    osticket.comment(made.config, opened(made), words, sequence=1, call=a_call())
    assert len(made.desk.tickets) == 1
