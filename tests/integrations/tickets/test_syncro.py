"""What is special to Syncro: the reference at the subject's end, a search that may be blind, a customer for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure
from integrations.tickets import Thread, TicketText, syncro
from tests.doubles.desk import Bench
from tests.doubles.desks.syncro import Syncro, bench
from tests.doubles.http_server import RunningServer
from tests.integrations.tickets.configs import TICKET, a_call
from tests.integrations.tickets.odd_answers import fixed, outcomes

OURS = replace(TICKET, company="17")
FINAL = TicketText(TICKET.text.subject, "A good run ended.\nAt 21:00.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> Syncro:
    assert isinstance(made.desk, Syncro)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(OURS.reference, syncro.create(made.config, OURS, call=a_call()).external_id)


def test_the_reference_is_never_cut_off_the_subject(made: Bench, desk: Syncro) -> None:
    syncro.create(made.config, replace(OURS, text=TicketText("x" * 400, "y")), call=a_call())
    assert len(desk.tickets[0].subject) == 255
    assert desk.tickets[0].subject.endswith("x… [BL-1a2b3c4d]")


def test_a_blind_search_is_followed_by_a_look_at_recent_tickets(made: Bench, desk: Syncro) -> None:
    for number in range(5):
        syncro.create(made.config, replace(OURS, reference=f"BL-000000000{number}"), call=a_call())
    desk.search_is_blind = True
    found = syncro.find(made.config, "BL-0000000004", call=a_call())
    assert found is not None
    assert found.external_id == desk.tickets[4].id
    assert "created_after=2026-11-20" in desk.log[-1].target


def test_a_reference_that_begins_like_another_is_not_taken_for_it(made: Bench) -> None:
    opened(made)
    assert syncro.find(made.config, OURS.reference[:-2], call=a_call()) is None


def test_more_tickets_than_can_be_looked_through_are_no_answer(made: Bench, desk: Syncro) -> None:
    for number in range(45):
        syncro.create(made.config, replace(OURS, reference=f"BL-00000000{number:02}"), call=a_call())
    desk.ignore_filters = True
    with pytest.raises(PermanentFailure, match="look there by hand"):
        syncro.find(made.config, OURS.reference, call=a_call(seconds=30))


def test_without_a_customer_nothing_is_opened(made: Bench, desk: Syncro) -> None:
    for company, words in (("", "has no company in Syncro"), ("4711", "is gone"), ("x/../y", "choose the company")):
        with pytest.raises(PermanentFailure, match=words):
            syncro.create(made.config, replace(OURS, company=company), call=a_call())
    assert desk.tickets == []
    syncro.create(replace(made.config, default_company="18"), replace(OURS, company=""), call=a_call())
    assert desk.tickets[0].company == "18"


def test_messages_are_hidden_and_not_mailed_unless_set(made: Bench, desk: Syncro) -> None:
    thread = opened(made)
    syncro.comment(replace(made.config, public=True), thread, FINAL, sequence=1, call=a_call())
    first, second = desk.tickets[0].fields["comments"]
    assert (first["hidden"], first["do_not_email"]) == (True, True)
    assert (second["hidden"], second["do_not_email"]) == (False, False)


def test_a_closing_that_left_the_status_is_told_and_its_words_are_said_once(made: Bench, desk: Syncro) -> None:
    thread = opened(made)
    desk.frozen = True
    for _ in range(2):
        with pytest.raises(PermanentFailure, match="left the ticket"):
            syncro.close(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.frozen = False
    syncro.close(made.config, thread, FINAL, sequence=1, call=a_call())
    assert desk.arrived().count(FINAL.body) == 1
    assert desk.tickets[0].status == "Resolved"


def test_a_status_that_is_not_there_is_a_problem(made: Bench) -> None:
    problems = syncro.check(replace(made.config, new_status="Fresh"), call=a_call())
    assert problems == ("Syncro has no status 'Fresh'.",)


def test_open_and_closed_cannot_be_the_same_status(made: Bench) -> None:
    for changes in ({"closed_status": "New"}, {"reopened_status": "resolved"}, {"new_status": "Resolved"}):
        with pytest.raises(BadConfig) as caught:
            config_from_json(syncro.Config, dict(made.stored) | changes)
        assert caught.value.field == "closed_status"


@pytest.mark.parametrize(
    "document", [[], {}, None, "no", {"ticket": []}, {"ticket": {"id": {}}}, {"tickets": [1]}, {"user_id": 1}]
)
def test_odd_answers_are_failures_or_nothing(made: Bench, document: object) -> None:
    with RunningServer(fixed(document)) as server:
        config = replace(made.config, url=server.url)
        found = outcomes(syncro, config, external_id="1001", looked_up="new_status")
    assert isinstance(found[1], OutcomeUnknown)
    assert all(isinstance(one, OutcomeUnknown | PermanentFailure) for one in found[:4])
