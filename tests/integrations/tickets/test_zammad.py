"""What is special to Zammad: customers of organizations, merged tickets, states of one's own, and its signature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure
from integrations.tickets import Thread, TicketText, zammad
from tests.doubles.desk import Bench
from tests.doubles.desks.zammad import CUSTOMER, Zammad, bench
from tests.integrations.tickets.configs import NOW, TICKET, a_call

NOTE = TicketText(TICKET.text.subject, "Still failing.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> Zammad:
    assert isinstance(made.desk, Zammad)
    return made.desk


def opened(made: Bench, reference: str = TICKET.reference) -> Thread:
    ticket = replace(TICKET, reference=reference)
    return Thread(reference, zammad.create(made.config, ticket, call=a_call()).external_id)


def test_each_organization_has_one_customer_of_ours_without_an_address(made: Bench, desk: Zammad) -> None:
    for company in ("17", "17", "18", ""):
        zammad.create(made.config, replace(TICKET, company=company), call=a_call())
    assert [ticket.company for ticket in desk.tickets] == ["17", "17", "18", ""]
    assert set(desk.customers) == {"backledger-organization-17", "backledger-organization-18", CUSTOMER}
    assert "email" not in desk.customers["backledger-organization-17"]


@pytest.mark.parametrize("company", ["999", "17/../18", "x"])
def test_an_organization_that_is_none_is_refused_before_anything_is_opened(
    made: Bench, desk: Zammad, company: str
) -> None:
    with pytest.raises(PermanentFailure, match="choose the client's company again"):
        zammad.create(made.config, replace(TICKET, company=company), call=a_call())
    assert desk.tickets == []


def test_a_merged_ticket_is_followed_and_neither_closed_nor_reopened(made: Bench, desk: Zammad) -> None:
    first, second = opened(made), opened(made, "BL-0000000002")
    desk.say_there(second.external_id, "Tina Tech", "One disk for both &amp; <b>all</b>")
    desk.merge_there(first.external_id, second.external_id)
    standing = zammad.read(made.config, first, call=a_call())
    assert standing is not None
    assert (standing.external_id, standing.status, standing.closed) == (second.external_id, "new", False)
    assert standing.reference == "BL-0000000002"
    assert [remark.text for remark in standing.remarks if not remark.ours] == ["One disk for both & all"]
    before = desk.arrived()
    zammad.close(made.config, first, NOTE, sequence=1, call=a_call())
    with pytest.raises(PermanentFailure, match="was merged"):
        zammad.reopen(made.config, first, NOTE, sequence=1, call=a_call())
    assert desk.arrived() == before


@pytest.mark.parametrize("links", [[], ["1001", "1002"], ["1001"]])
def test_merging_that_cannot_be_followed_ends(made: Bench, desk: Zammad, links: list[str]) -> None:
    thread = opened(made)
    desk.set_status_there(thread.external_id, "merged")
    desk.links[thread.external_id] = links
    standing = zammad.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.status, standing.closed) == ("merged", True)


def test_a_state_of_their_own_counts_by_its_type(made: Bench, desk: Zammad) -> None:
    thread = opened(made)
    for state, closed in (("solved", True), ("waiting for parts", False)):
        desk.set_status_there(thread.external_id, state)
        standing = zammad.read(made.config, thread, call=a_call())
        assert standing is not None
        assert standing.closed is closed
    config = replace(made.config, closed_state="solved")
    zammad.close(config, thread, NOTE, sequence=1, call=a_call())
    assert desk.ticket(thread.external_id).status == "solved"


def test_a_state_that_did_not_change_is_a_failure(made: Bench, desk: Zammad) -> None:
    thread = opened(made)
    desk.stuck = True
    with pytest.raises(PermanentFailure, match="instead of 'closed'"):
        zammad.close(made.config, thread, NOTE, sequence=1, call=a_call())


def test_a_ticket_that_is_gone_cannot_be_reopened(made: Bench, desk: Zammad) -> None:
    thread = opened(made)
    desk.delete_there(thread.external_id)
    with pytest.raises(PermanentFailure, match="not in Zammad any more"):
        zammad.reopen(made.config, thread, NOTE, sequence=1, call=a_call())


def test_notes_are_internal_unless_shown_and_html_is_said_to_be_html(made: Bench, desk: Zammad) -> None:
    thread = opened(made)
    zammad.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    plain = desk.ticket(thread.external_id).fields["article"]
    assert (plain["internal"], plain["content_type"], plain["type"]) == (True, "text/plain", "note")
    words = replace(NOTE, html="<p>Still failing.</p>")
    zammad.comment(replace(made.config, public=True), thread, words, sequence=2, call=a_call())
    shown = desk.ticket(thread.external_id).fields["article"]
    assert (shown["internal"], shown["content_type"], shown["body"]) == (False, "text/html", words.html)


def test_checking_says_what_does_not_exist(made: Bench, desk: Zammad) -> None:
    wrong = {
        "group": "Nobody",
        "closed_state": "open",
        "reopened_state": "closed",
        "priority_low": "9",
        "default_company": "99",
    }
    for name, value in wrong.items():
        (problem,) = zammad.check(replace(made.config, **{name: value}), call=a_call())
        assert value in problem
    desk.ignore_filters = True
    opened(made)
    assert any("ignores the search" in problem for problem in zammad.check(made.config, call=a_call()))


def test_a_search_cannot_be_widened(made: Bench, desk: Zammad) -> None:
    with pytest.raises(PermanentFailure):
        zammad.find(made.config, "x&condition[ticket.id][operator]=is", call=a_call())
    assert desk.log == []


def test_a_delivery_id_that_is_not_signed_makes_no_new_event(made: Bench, desk: Zammad) -> None:
    headers, body = desk.callback("1001", event="e", at=NOW.isoformat())
    first = zammad.read_webhook(made.config, headers, body, call=a_call())
    replayed = headers | {"X-Zammad-Delivery": "another"}
    assert zammad.read_webhook(made.config, replayed, body, call=a_call()) == first


@pytest.mark.parametrize("field", ["url", "default_company", "webhook_secret"])
def test_settings_that_cannot_work_are_refused(made: Bench, field: str) -> None:
    with pytest.raises(BadConfig) as caught:
        config_from_json(zammad.Config, dict(made.stored) | {field: "not this"})
    assert caught.value.field == field


@pytest.mark.parametrize("answer", ["{}", '{"records": [3]}', '[{"id": {}, "note": []}]', '{"id": true}', "7"])
def test_odd_answers_are_failures(made: Bench, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    thread = opened(made)
    monkeypatch.setattr("integrations.tickets.json_api.decode", lambda body: json.loads(answer))
    with pytest.raises(OutcomeUnknown):
        zammad.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    with pytest.raises(PermanentFailure):
        zammad.close(made.config, thread, NOTE, sequence=1, call=a_call())
    with pytest.raises(PermanentFailure):
        zammad.read(made.config, thread, call=a_call())
    with pytest.raises(PermanentFailure):
        zammad.find(made.config, TICKET.reference, call=a_call())
    assert zammad.check(made.config, call=a_call())
