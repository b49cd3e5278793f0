"""What is special to Freshservice: departments, workspaces, the agent known by address, tags that may be hidden."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure
from integrations.tickets import Thread, TicketText, freshservice
from tests.doubles.desk import Bench
from tests.doubles.desks.freshdesk import SECRET
from tests.doubles.desks.freshservice import Freshservice, bench
from tests.doubles.http_server import RunningServer
from tests.integrations.tickets.configs import TICKET, a_call
from tests.integrations.tickets.odd_answers import fixed, outcomes

OURS = replace(TICKET, company="17")
NOTE = TicketText(TICKET.text.subject, "Still failing.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> Freshservice:
    assert isinstance(made.desk, Freshservice)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(OURS.reference, freshservice.create(made.config, OURS, call=a_call()).external_id)


def test_our_messages_are_known_by_the_address_of_the_agent(made: Bench, desk: Freshservice) -> None:
    thread = opened(made)
    freshservice.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    desk.say_there(thread.external_id, "Tina Tech", "Looking.")
    standing = freshservice.read(made.config, thread, call=a_call())
    assert standing is not None
    assert [(one.text, one.ours) for one in standing.remarks] == [("Still failing.", True), ("Looking.", False)]


def test_an_address_of_no_agent_is_a_problem(made: Bench) -> None:
    problems = freshservice.check(replace(made.config, agent=""), call=a_call())
    assert problems
    assert "No agent of" in problems[0]


def test_a_ticket_is_opened_and_found_in_its_workspace(made: Bench, desk: Freshservice) -> None:
    config = replace(made.config, workspace="4")
    created = freshservice.create(config, OURS, call=a_call())
    assert desk.tickets[0].fields["workspace"] == 4
    assert freshservice.find(config, OURS.reference, call=a_call()) == created
    assert freshservice.find(made.config, OURS.reference, call=a_call()) is None


def test_without_tags_in_the_answer_nobody_says_that_there_is_no_ticket(made: Bench, desk: Freshservice) -> None:
    opened(made)
    desk.hides_tags = True
    with pytest.raises(PermanentFailure, match="shows no tags"):
        freshservice.find(made.config, OURS.reference, call=a_call())


def test_the_person_and_a_status_of_their_own_have_their_names(made: Bench, desk: Freshservice) -> None:
    thread = opened(made)
    desk.assign_there(thread.external_id, "Tina Tech")
    desk.set_status_there(thread.external_id, "waiting on parts")
    standing = freshservice.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.assignee, standing.status, standing.closed) == ("Tina Tech", "Waiting on Parts", False)


def test_a_number_with_its_prefix_names_the_ticket(made: Bench) -> None:
    headers = {"x-backledger-secret": SECRET}
    (event,) = freshservice.read_webhook(made.config, headers, b'{"ticket_id": "INC-1001"}', call=a_call())
    assert event.external_id == "1001"
    for body in (b'{"ticket_id": "../1"}', b'{"ticket_id": "INC-"}', b'{"ticket_id": [1]}'):
        with pytest.raises(PermanentFailure):
            freshservice.read_webhook(made.config, headers, body, call=a_call())


def test_a_workspace_that_is_no_number_is_refused(made: Bench) -> None:
    with pytest.raises(BadConfig) as caught:
        config_from_json(freshservice.Config, dict(made.stored) | {"workspace": "IT"})
    assert caught.value.field == "workspace"


@pytest.mark.parametrize("document", [[], {}, None, "no", {"ticket": []}, {"ticket": {"id": {}}}, {"agents": [1]}])
def test_odd_answers_are_failures_or_nothing(made: Bench, document: object) -> None:
    with RunningServer(fixed(document)) as server:
        config = replace(made.config, url=server.url)
        found = outcomes(freshservice, config, external_id="1001", looked_up="group")
    assert isinstance(found[0], OutcomeUnknown)
    assert all(isinstance(one, OutcomeUnknown | PermanentFailure) for one in found[1:4])
