"""What is special to ServiceNow: what it ignores without a word, OAuth, and incidents that are closed for good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import Thread, TicketText, servicenow
from tests.doubles.desk import Bench
from tests.doubles.desks.servicenow import CLIENT, CLIENT_SECRET, ServiceNow, bench
from tests.integrations.tickets.configs import TICKET, a_call

NOTE = TicketText(TICKET.text.subject, "Still failing. [code]<b>bold</b>[/CODE]")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> ServiceNow:
    assert isinstance(made.desk, ServiceNow)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(TICKET.reference, servicenow.create(made.config, TICKET, call=a_call()).external_id)


def test_oauth_signs_in_first_and_sends_no_password_with_the_calls(made: Bench, desk: ServiceNow) -> None:
    config = replace(made.config, client_id=CLIENT, client_secret=CLIENT_SECRET)
    created = servicenow.create(config, TICKET, call=a_call())
    assert desk.ticket(created.external_id).reference == TICKET.reference
    assert [request.target for request in desk.log] == ["/oauth_token.do", "/api/now/table/incident"]
    assert desk.log[1].headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("fault", "failure"),
    [("answer lost after commit", TemporaryFailure), ("server error", TemporaryFailure), ("html", PermanentFailure)],
)
def test_a_failed_log_in_never_leaves_the_outcome_unknown(
    made: Bench, desk: ServiceNow, fault: str, failure: type[DeliveryFailure]
) -> None:
    desk.fail_next(fault, on="any")  # type: ignore[arg-type]
    with pytest.raises(failure):
        servicenow.create(replace(made.config, client_id=CLIENT, client_secret=CLIENT_SECRET), TICKET, call=a_call())
    assert desk.tickets == []


def test_a_wrong_oauth_client_says_to_check_the_credentials(made: Bench) -> None:
    config = replace(made.config, client_id=CLIENT, client_secret="wr0ng-secret")
    with pytest.raises(PermanentFailure, match="check the credentials") as caught:
        servicenow.create(config, TICKET, call=a_call())
    assert "wr0ng" not in caught.value.reason


def test_a_change_that_was_ignored_is_no_closing_and_no_reopening(made: Bench, desk: ServiceNow) -> None:
    thread = opened(made)
    desk.frozen_fields = {"state"}
    with pytest.raises(PermanentFailure, match="was not resolved"):
        servicenow.close(made.config, thread, NOTE, sequence=1, call=a_call())
    desk.set_status_there(thread.external_id, "6")
    with pytest.raises(PermanentFailure, match="was not reopened"):
        servicenow.reopen(made.config, thread, NOTE, sequence=1, call=a_call())


@pytest.mark.parametrize("state", ["7", "8"])
def test_what_is_closed_or_cancelled_stays_so(made: Bench, desk: ServiceNow, state: str) -> None:
    thread = opened(made)
    desk.set_status_there(thread.external_id, state)
    standing = servicenow.read(made.config, thread, call=a_call())
    assert standing is not None
    assert standing.closed
    with pytest.raises(PermanentFailure, match="closed for good"):
        servicenow.reopen(made.config, thread, NOTE, sequence=1, call=a_call())


def test_reopening_what_is_open_only_says_it(made: Bench, desk: ServiceNow) -> None:
    thread = opened(made)
    servicenow.reopen(made.config, thread, NOTE, sequence=1, call=a_call())
    assert desk.ticket(thread.external_id).status == "1"
    assert len(desk.arrived()) == 2


def test_messages_are_work_notes_unless_shown_and_hold_no_html(made: Bench, desk: ServiceNow) -> None:
    thread = opened(made)
    for public, field in ((False, "work_notes"), (True, "comments")):
        servicenow.comment(replace(made.config, public=public), thread, NOTE, sequence=1, call=a_call())
        assert desk.ticket(thread.external_id).fields[field] == "Still failing. (code)<b>bold</b>(/CODE)"


@pytest.mark.parametrize("company", ["nobody", "17^ORactive=true", "../sys_user"])
def test_a_company_that_is_none_is_refused_before_anything_is_opened(
    made: Bench, desk: ServiceNow, company: str
) -> None:
    with pytest.raises(PermanentFailure, match="choose the client's company again"):
        servicenow.create(made.config, replace(TICKET, company=company), call=a_call())
    assert desk.tickets == []


def test_searches_cannot_be_widened(made: Bench, desk: ServiceNow) -> None:
    with pytest.raises(PermanentFailure):
        servicenow.find(made.config, "x^ORactive=true", call=a_call())
    assert servicenow.companies(made.config, "Acme^ORnameLIKEBright", call=a_call()) == ()
    assert len(servicenow.companies(made.config, "acme", call=a_call())) == 2
    assert len(desk.log) == 2


def test_an_instance_that_hides_the_journal_still_shows_the_state(made: Bench, desk: ServiceNow) -> None:
    thread = opened(made)
    servicenow.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    shown = servicenow.read(made.config, thread, call=a_call())
    assert shown is not None
    assert [remark.ours for remark in shown.remarks] == [True]
    desk.hidden = {"sys_journal_field"}
    standing = servicenow.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.status, standing.remarks) == ("New", ())
    (problem,) = servicenow.check(made.config, call=a_call())
    assert "sys_journal_field" in problem


def test_checking_says_which_state_or_code_is_unknown(made: Bench) -> None:
    for name, value in (("resolved_state", "99"), ("close_code", "Magic")):
        (problem,) = servicenow.check(replace(made.config, **{name: value}), call=a_call())
        assert value in problem


def test_a_callback_must_tell_the_count_of_changes(made: Bench, desk: ServiceNow) -> None:
    headers, _ = desk.callback("a" * 32, event="3", at="")
    with pytest.raises(PermanentFailure, match="sys_mod_count"):
        servicenow.read_webhook(made.config, headers, json.dumps({"sys_id": "a" * 32}).encode(), call=a_call())
    with pytest.raises(PermanentFailure, match="does not match"):
        servicenow.read_webhook(made.config, {"X-Backledger-Secret": "é"}, b"{}", call=a_call())


@pytest.mark.parametrize("field", ["url", "default_company", "resolved_state", "client_secret", "webhook_secret"])
def test_settings_that_cannot_work_are_refused(made: Bench, field: str) -> None:
    values = {"webhook_secret": "short", "client_secret": "alone"}
    with pytest.raises(BadConfig) as caught:
        config_from_json(servicenow.Config, dict(made.stored) | {field: values.get(field, "not this")})
    assert caught.value.field == field


@pytest.mark.parametrize("answer", ["[]", "{}", '{"result": 3}', '{"result": {"sys_id": {}, "state": []}}'])
def test_odd_answers_are_failures(made: Bench, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    thread = opened(made)
    monkeypatch.setattr("integrations.tickets.json_api.decode", lambda body: json.loads(answer))
    with pytest.raises(OutcomeUnknown):
        servicenow.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    with pytest.raises(PermanentFailure):
        servicenow.read(made.config, thread, call=a_call())
    with pytest.raises(PermanentFailure):
        servicenow.find(made.config, TICKET.reference, call=a_call())
    assert servicenow.check(made.config, call=a_call())
