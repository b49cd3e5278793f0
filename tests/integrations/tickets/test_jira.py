"""What is special to Jira: two kinds of it, statuses by transitions alone, and strangers who are told nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, PermanentFailure
from integrations.tickets import Thread, TicketText, jira, jira_text
from tests.doubles.desk import Bench
from tests.doubles.desks.jira import Jira, bench, stored_for
from tests.integrations.tickets.configs import NOW, TICKET, a_call

FINAL = TicketText(TICKET.text.subject, "A good run ended.\n\nPath: C:\\Backup {code} *star*")


@pytest.fixture(params=["cloud", "data-center"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Bench, Jira]]:
    with ExitStack() as stack:
        made = bench(stack, cloud=request.param == "cloud")
        assert isinstance(made.desk, Jira)
        yield made, made.desk


def opened(made: Bench) -> Thread:
    ticket = replace(TICKET, company="17")
    return Thread(TICKET.reference, jira.create(made.config, ticket, call=a_call()).external_id)


def test_both_kinds_open_close_reopen_and_find(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    thread = opened(made)
    jira.comment(made.config, thread, FINAL, sequence=1, call=a_call())
    jira.close(made.config, thread, FINAL, sequence=2, call=a_call())
    assert desk.ticket(thread.external_id).status == "Done"
    jira.reopen(made.config, thread, FINAL, sequence=3, call=a_call())
    standing = jira.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.status, standing.closed, standing.reference) == ("In Progress", False, TICKET.reference)
    assert standing.url == f"{desk.url}/browse/OPS-{thread.external_id}"
    assert all(remark.ours for remark in standing.remarks)
    assert jira.find(made.config, TICKET.reference, call=a_call()) is not None
    assert jira.check(made.config, call=a_call()) == ()
    assert [choice.value for choice in jira.choices(made.config, "project", call=a_call())] == ["OPS", "DEV"]


def test_data_center_gets_text_that_no_markup_is_read_into(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    jira.comment(made.config, opened(made), FINAL, sequence=1, call=a_call())
    written = desk.arrived()[-1]
    assert FINAL.body in written
    assert written.startswith("{noformat}") == (not desk.cloud)


def test_a_closing_that_broke_off_after_its_message_says_it_once(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    thread = opened(made)
    desk.stuck = True
    with pytest.raises(PermanentFailure, match="is still 'Open'"):
        jira.close(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.stuck = False
    jira.close(made.config, thread, FINAL, sequence=1, call=a_call())
    assert len([text for text in desk.arrived() if "A good run ended" in text]) == 1
    assert desk.ticket(thread.external_id).status == "Done"


def test_the_first_status_that_is_done_closes_where_none_is_chosen(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    thread = opened(made)
    config = replace(made.config, closed_status="")
    jira.close(config, thread, FINAL, sequence=1, call=a_call())
    assert desk.ticket(thread.external_id).status == "Won't do"


def test_where_no_transition_leads_nothing_is_said(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    thread = opened(made)
    before = desk.arrived()
    with pytest.raises(PermanentFailure, match="No transition leads from Open to the status Resolved"):
        jira.close(replace(made.config, closed_status="Resolved"), thread, FINAL, sequence=1, call=a_call())
    assert desk.arrived() == before


def test_a_stranger_does_not_take_an_empty_answer_for_no_such_issue(place: tuple[Bench, Jira]) -> None:
    made, _ = place
    thread = opened(made)
    stranger = replace(made.config, token="wr0ng")
    with pytest.raises(PermanentFailure, match="401"):
        jira.find(stranger, TICKET.reference, call=a_call())
    with pytest.raises(PermanentFailure, match="401"):
        jira.read(stranger, thread, call=a_call())


def test_checking_says_which_permission_type_status_and_project_are_wrong(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    desk.may = False
    assert any("may not transition issues" in problem for problem in jira.check(made.config, call=a_call()))
    desk.may = True
    wrong = {"issue_type": "Epic", "closed_status": "In Progress", "reopened_status": "Done", "project": "NONE"}
    for name, value in wrong.items():
        problems = jira.check(replace(made.config, **{name: value}), call=a_call())
        assert len(problems) == 1
        assert value in problems[0]


def test_further_fields_and_priorities_are_sent_as_they_are_set(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    config = replace(made.config, fields={"customfield_10010": "25", "summary": "not this"}, priority_high="")
    created = jira.create(config, TICKET, call=a_call())
    asked = desk.ticket(created.external_id).fields["asked"]
    assert asked["customfield_10010"] == "25"
    assert asked["summary"] == TICKET.text.subject
    assert "priority" not in asked


def test_messages_are_internal_unless_they_are_shown(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    thread = opened(made)
    for public, properties in ((False, [{"key": "sd.public.comment", "value": {"internal": True}}]), (True, None)):
        jira.comment(replace(made.config, public=public), thread, FINAL, sequence=1, call=a_call())
        assert desk.ticket(thread.external_id).fields["properties"] == properties


def test_a_late_callback_is_refused_and_a_header_makes_no_new_event(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    late = desk.callback("1001", event="e", at=(NOW - timedelta(minutes=6)).isoformat())
    with pytest.raises(PermanentFailure, match="five minutes"):
        jira.read_webhook(made.config, *late, call=a_call())
    headers, body = desk.callback("1001", event="e", at=NOW.isoformat())
    replayed = headers | {"X-Atlassian-Webhook-Identifier": "another"}
    first = jira.read_webhook(made.config, headers, body, call=a_call())
    assert jira.read_webhook(made.config, replayed, body, call=a_call()) == first


def test_a_reference_that_could_break_the_query_is_refused(place: tuple[Bench, Jira]) -> None:
    made, desk = place
    with pytest.raises(PermanentFailure):
        jira.find(made.config, 'x" OR project = "OPS', call=a_call())
    assert desk.log == []


@pytest.mark.parametrize("field", ["email", "organization_field", "default_company", "fields", "webhook_secret", "url"])
def test_settings_that_cannot_work_are_refused(field: str) -> None:
    values: dict[str, object] = {"fields": [1], "webhook_secret": "short"}
    with ExitStack() as stack:
        stored = stored_for(stack.enter_context(Jira()))
    with pytest.raises(BadConfig) as caught:
        config_from_json(jira.Config, stored | {field: values.get(field, "nonsense")})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "answer", ["[]", "{}", '{"fields": []}', '{"id": "1", "fields": {"status": "x", "labels": 3}}']
)
def test_odd_answers_are_failures(place: tuple[Bench, Jira], monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    made, _ = place
    thread = opened(made)
    monkeypatch.setattr("integrations.tickets.json_api.decode", lambda body: json.loads(answer))
    for act in (lambda: jira.read(made.config, thread, call=a_call()),
                lambda: jira.find(made.config, TICKET.reference, call=a_call()),
                lambda: jira.companies(made.config, "", call=a_call())):  # fmt: skip
        with pytest.raises(DeliveryFailure):
            act()
    assert jira.check(made.config, call=a_call())


def test_the_words_of_a_hostile_document_end() -> None:
    node: object = {"type": "text", "text": "deep"}
    for _ in range(200):
        node = {"type": "paragraph", "content": [node, None, 7]}
    assert jira_text.plain(node) == ""
    assert jira_text.plain({"type": "doc", "content": [{"type": "mention", "attrs": {"text": "@Tina"}}]}) == "@Tina"
    assert jira_text.plain(["no", "document"]) == ""
