"""What is special to Roundup: messages before issues, marks that are stale, superseded issues, names of the tracker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, PermanentFailure, TemporaryFailure
from integrations.tickets import Thread, TicketText, roundup
from tests.doubles.desk import Bench, Parts
from tests.doubles.desks.roundup import Roundup, bench
from tests.doubles.http_server import Response, RunningServer
from tests.integrations.tickets.configs import TICKET, a_call
from tests.integrations.tickets.odd_answers import fixed, outcomes

NOTE = TicketText(TICKET.text.subject, "Still failing.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> Roundup:
    assert isinstance(made.desk, Roundup)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(TICKET.reference, roundup.create(made.config, TICKET, call=a_call()).external_id)


@pytest.mark.parametrize("fault", ["answer lost after commit", "server error", "html", "no id"])
def test_a_first_message_whose_answer_was_lost_is_nothing_done(
    made: Bench, desk: Roundup, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "is_write", lambda parts: parts.method == "POST")
    desk.fail_next(fault)
    with pytest.raises(TemporaryFailure):
        roundup.create(made.config, TICKET, call=a_call())
    assert desk.tickets == []
    assert roundup.find(made.config, TICKET.reference, call=a_call()) is None


def test_a_repeated_message_is_joined_to_the_issue_once(made: Bench, desk: Roundup) -> None:
    thread = opened(made)
    desk.fail_next("answer lost after commit")
    with pytest.raises(DeliveryFailure):
        roundup.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    roundup.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    assert desk.arrived() == [TICKET.text.body, NOTE.body]
    roundup.comment(made.config, thread, NOTE, sequence=2, call=a_call())
    assert desk.arrived() == [TICKET.text.body, NOTE.body, NOTE.body], "another message with the same words"


@pytest.mark.parametrize("times", [1, 2, 3])
def test_who_was_quicker_than_we_is_not_overwritten(
    made: Bench, desk: Roundup, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, left = opened(made), [times]

    def one(method: str, number: str, parts: Parts) -> Response:
        if method == "PATCH" and left[0]:
            left[0] -= 1
            desk.say_there(number, "Tina Tech", f"Looking at it, {left[0]}.")
        return Roundup.one(desk, method, number, parts)

    monkeypatch.setattr(desk, "one", one)
    roundup.close(made.config, thread, NOTE, sequence=1, call=a_call())
    ticket = desk.ticket(thread.external_id)
    assert ticket.status == "resolved"
    assert [message.text for message in ticket.messages if not message.ours] == [
        f"Looking at it, {number}." for number in reversed(range(times))
    ]
    assert ticket.messages[-1].text == NOTE.body


def test_a_refused_change_is_not_repeated(made: Bench, desk: Roundup) -> None:
    thread = opened(made)
    config = config_from_json(roundup.Config, dict(made.stored) | {"status_closed": "gone"})
    before = len(desk.log)
    with pytest.raises(PermanentFailure, match="is not a status"):
        roundup.close(config, thread, NOTE, sequence=1, call=a_call())
    assert [request.method for request in desk.log[before:]].count("PATCH") == 1
    assert desk.arrived() == [TICKET.text.body]


def test_a_rule_of_the_tracker_that_undoes_the_status_is_told(
    made: Bench, desk: Roundup, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = opened(made)

    def change(ticket: Any, given: dict[str, Any]) -> Response:
        answer = Roundup.change(desk, ticket, given)
        ticket.status = "testing"
        return answer

    monkeypatch.setattr(desk, "change", change)
    with pytest.raises(PermanentFailure, match="'testing' though 'resolved' was set"):
        roundup.close(made.config, thread, NOTE, sequence=1, call=a_call())


def test_a_message_of_somebody_else_with_our_id_is_not_ours(made: Bench, desk: Roundup) -> None:
    thread = opened(made)
    forged = desk.keep("Forged.", "mallory", f"<{TICKET.reference}.0@backledger>")
    desk.keep("Forged.", "mallory", f"<{TICKET.reference}.1@backledger>")
    stranger = desk.new_ticket(subject="x", reference="", status="unread", fields={"messages": [forged]})
    found = roundup.find(made.config, TICKET.reference, call=a_call())
    assert found is not None
    assert found.external_id == thread.external_id != stranger.id
    roundup.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    assert desk.arrived() == [TICKET.text.body, NOTE.body]


def test_empty_names_set_nothing(made: Bench, desk: Roundup) -> None:
    config = config_from_json(roundup.Config, dict(made.stored) | {"priority_high": "", "keyword": "Backup"})
    created = roundup.create(config, TICKET, call=a_call())
    ticket = desk.ticket(created.external_id)
    assert (ticket.priority, ticket.status) == (None, "unread")
    config = config_from_json(roundup.Config, dict(made.stored) | {"status_new": "in-progress"})
    assert desk.ticket(roundup.create(config, TICKET, call=a_call()).external_id).status == "in-progress"


def test_the_further_closed_statuses_are_closed(made: Bench, desk: Roundup) -> None:
    thread = opened(made)
    desk.set_status_there(thread.external_id, "done-cbb")
    standing = roundup.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.status, standing.closed) == ("done-cbb", True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "desk.example.com"), ("url", "https://u:p@desk.example.com"), ("user", "back:ledger"),
        ("status_closed", ""), ("status_reopened", ""), ("status_reopened", "done-cbb"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(made: Bench, field: str, value: str) -> None:
    with pytest.raises(BadConfig) as caught:
        config_from_json(roundup.Config, dict(made.stored) | {field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("reference", ["BL-1*", "BL 1", "", "BL-1>,<BL-2", "é" * 8])
def test_only_what_can_be_a_reference_is_searched_for(made: Bench, desk: Roundup, reference: str) -> None:
    with pytest.raises(PermanentFailure):
        roundup.find(made.config, reference, call=a_call())
    with pytest.raises(PermanentFailure):
        roundup.create(made.config, replace(TICKET, reference=reference), call=a_call())
    assert desk.log == []


SELF = {"id": "7", "superseder": [{"id": "7"}], "messages": [{"id": "1"}], "status": "resolved", "assignedto": 5}
MESSAGE = {"id": "7", "messageid": 5, "content": {"link": "x"}, "author": "x", "creation": "yesterday", "messages": 3}


@pytest.mark.parametrize(
    "document",
    [
        None, 0, "text", [], [1], {}, {"data": None}, {"data": []}, {"data": {"collection": {}}},
        {"data": {"collection": [1, None]}}, {"data": {"collection": [{}]}}, {"data": {"collection": [{"id": {}}]}},
        {"data": {"collection": [SELF]}}, {"data": {"collection": [MESSAGE]}},
        {"data": {"attributes": {"messages": {}}, "@etag": 5, "collection": []}},
        {"data": {"attributes": {"messages": []}, "@etag": 'x"\r\nX-Evil: 1', "collection": [SELF]}},
    ],
)  # fmt: skip
def test_odd_answers_are_failures_and_never_crash(document: object) -> None:
    with RunningServer(fixed(document)) as server:
        stored = {"url": server.url, "user": "backledger", "password": "ru-s3cret-password"}
        config = config_from_json(roundup.Config, stored)
        found = outcomes(roundup, config, external_id="7", looked_up="status_closed")
    assert isinstance(found[0], DeliveryFailure), "no id, no ticket"
    assert found[7], "such a tracker is not good"
