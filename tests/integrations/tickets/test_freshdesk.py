"""What is special to Freshdesk: the reference as a tag, words said once, a status believed only when it comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure
from integrations.tickets import Thread, TicketText, freshdesk
from tests.doubles.desk import Bench
from tests.doubles.desks.freshdesk import Freshdesk, bench
from tests.doubles.http_server import RunningServer
from tests.integrations.tickets.configs import TICKET, a_call
from tests.integrations.tickets.odd_answers import fixed, outcomes

OURS = replace(TICKET, company="17")
FINAL = TicketText(TICKET.text.subject, "A good run <ended>\nat 21:00 & closed.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> Freshdesk:
    assert isinstance(made.desk, Freshdesk)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(OURS.reference, freshdesk.create(made.config, OURS, call=a_call()).external_id)


def test_text_is_html_and_private_unless_set(made: Bench, desk: Freshdesk) -> None:
    thread = opened(made)
    freshdesk.comment(made.config, thread, FINAL, sequence=1, call=a_call())
    assert desk.arrived()[-1] == "A good run &lt;ended&gt;<br>\nat 21:00 &amp; closed."
    assert desk.ticket(thread.external_id).fields["private"] is True
    freshdesk.comment(replace(made.config, public=True), thread, FINAL, sequence=2, call=a_call())
    assert desk.ticket(thread.external_id).fields["private"] is False


def test_a_closing_that_left_the_status_is_told_and_its_words_are_said_once(made: Bench, desk: Freshdesk) -> None:
    thread = opened(made)
    desk.frozen = True
    text = TicketText(TICKET.text.subject, "A good run ended at 21:00.")
    for _ in range(2):
        with pytest.raises(PermanentFailure, match="left the ticket"):
            freshdesk.close(made.config, thread, text, sequence=1, call=a_call())
    desk.frozen = False
    freshdesk.close(made.config, thread, text, sequence=1, call=a_call())
    assert desk.arrived().count(text.body) == 1
    assert desk.ticket(thread.external_id).status == "closed"


def test_it_closes_with_the_status_that_is_set(made: Bench, desk: Freshdesk) -> None:
    thread = opened(made)
    freshdesk.close(replace(made.config, close_as="4"), thread, FINAL, sequence=1, call=a_call())
    assert desk.ticket(thread.external_id).status == "resolved"


def test_a_status_of_their_own_has_its_name(made: Bench, desk: Freshdesk) -> None:
    thread = opened(made)
    desk.set_status_there(thread.external_id, "waiting on parts")
    standing = freshdesk.read(made.config, thread, call=a_call())
    assert standing is not None
    assert standing.status == "Waiting on Parts"


def test_the_search_is_followed_over_its_pages(made: Bench, desk: Freshdesk) -> None:
    for number in range(5):
        freshdesk.create(made.config, replace(OURS, reference=f"BL-000000000{number}"), call=a_call())
    desk.ignore_filters = True
    found = freshdesk.find(made.config, "BL-0000000004", call=a_call())
    assert found is not None
    assert found.external_id == desk.tickets[4].id


def test_a_reference_that_is_no_word_reaches_no_query(made: Bench, desk: Freshdesk) -> None:
    with pytest.raises(PermanentFailure, match="cannot be a tag"):
        freshdesk.find(made.config, "x' OR status:2 OR tag:'y", call=a_call())
    assert desk.log == []


def test_without_companies_none_is_sent_or_listed(made: Bench, desk: Freshdesk) -> None:
    config = replace(made.config, file_under_company=False)
    created = freshdesk.create(config, OURS, call=a_call())
    assert desk.ticket(created.external_id).company == ""
    assert "companies" not in freshdesk.abilities(config)
    with pytest.raises(PermanentFailure):
        freshdesk.companies(config, "", call=a_call())


def test_more_messages_than_a_page_has_are_read(made: Bench, desk: Freshdesk) -> None:
    thread = opened(made)
    for number in range(120):
        desk.say_there(thread.external_id, "Tina Tech", f"note {number}")
    standing = freshdesk.read(made.config, thread, call=a_call())
    assert standing is not None
    assert len(standing.remarks) == 120


def test_a_short_secret_and_an_id_that_is_none_are_refused(made: Bench) -> None:
    for field, value in (("webhook_secret", "short"), ("group", "Backups"), ("default_company", "1 OR 1")):
        with pytest.raises(BadConfig) as caught:
            config_from_json(freshdesk.Config, dict(made.stored) | {field: value})
        assert caught.value.field == field


@pytest.mark.parametrize("document", [[], {}, None, "no", {"id": {}}, [1], {"results": [{"id": 1, "tags": "x"}]}])
def test_odd_answers_are_failures_or_nothing(made: Bench, document: object) -> None:
    with RunningServer(fixed(document)) as server:
        config = replace(made.config, url=server.url)
        found = outcomes(freshdesk, config, external_id="1001", looked_up="group")
    assert isinstance(found[0], OutcomeUnknown)
    assert all(isinstance(one, OutcomeUnknown | PermanentFailure) for one in found[1:4])
