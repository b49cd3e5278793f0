"""What is special to Autotask: refusals by HTTP 500, picklists, operators it ignores, signatures by HMAC-SHA1."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure
from integrations.tickets import Thread, TicketText, autotask
from tests.doubles.desk import Bench
from tests.doubles.desks.autotask import SECRET, Autotask, bench, signed
from tests.doubles.http_server import Request, Response, RunningServer
from tests.integrations.tickets.configs import TICKET, a_call
from tests.integrations.tickets.odd_answers import fixed, outcomes

OURS = replace(TICKET, company="17")
FINAL = TicketText(TICKET.text.subject, "A good run ended\nat 21:00 UTC.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> Autotask:
    assert isinstance(made.desk, Autotask)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(OURS.reference, autotask.create(made.config, OURS, call=a_call()).external_id)


def test_a_refusal_that_comes_as_500_is_no_unknown_outcome(made: Bench, desk: Autotask) -> None:
    with pytest.raises(PermanentFailure, match="companyID of type: Company does not exist"):
        autotask.create(made.config, replace(OURS, company="999"), call=a_call())
    with pytest.raises(PermanentFailure, match="picklist value for queueID"):
        autotask.create(replace(made.config, queue="4711"), OURS, call=a_call())
    assert desk.tickets == []


def test_any_other_500_stays_an_unknown_outcome(made: Bench) -> None:
    def broken(request: Request) -> Response:
        return Response(500, b'{"errors": ["Deadlock."]}', {"Content-Type": "application/json"})

    with RunningServer(broken) as server, pytest.raises(OutcomeUnknown):
        autotask.create(replace(made.config, url=server.url), OURS, call=a_call())


def test_what_autotask_demands_is_sent(made: Bench, desk: Autotask) -> None:
    config = replace(made.config, category="3", source="8", due_hours=48)
    fields = desk.ticket(autotask.create(config, OURS, call=a_call()).external_id).fields
    assert fields["dueDateTime"] == "2026-11-24T22:00:00Z"
    assert (fields["priority"], fields["status"], fields["queueID"]) == (1, 1, 29683)
    assert (fields["ticketCategory"], fields["source"]) == (3, 8)


def test_a_change_that_a_workflow_undid_is_no_closing_and_no_reopening(made: Bench, desk: Autotask) -> None:
    thread = opened(made)
    desk.frozen = True
    with pytest.raises(PermanentFailure, match="was not closed: its status is 1"):
        autotask.close(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.set_status_there(thread.external_id, "5")
    with pytest.raises(PermanentFailure, match="was not reopened: its status is 5"):
        autotask.reopen(made.config, thread, FINAL, sequence=2, call=a_call())


def test_a_closing_that_failed_after_the_note_says_it_once(made: Bench, desk: Autotask) -> None:
    thread = opened(made)
    desk.frozen = True
    for frozen in (True, False):
        desk.frozen = frozen
        try:
            autotask.close(made.config, thread, FINAL, sequence=1, call=a_call())
        except PermanentFailure:
            assert frozen
    assert desk.ticket(thread.external_id).status == "5"
    assert desk.arrived().count(FINAL.body) == 1


def test_status_people_and_our_own_notes_have_their_names(made: Bench, desk: Autotask) -> None:
    thread = opened(made)
    autotask.comment(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.say_there(thread.external_id, "Tina Tech", "Looking.")
    desk.assign_there(thread.external_id, "Tina Tech")
    standing = autotask.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.status, standing.assignee) == ("New", "Tina Tech")
    assert [(one.author, one.ours) for one in standing.remarks] == [("Backup Robot", True), ("Tina Tech", False)]


def test_companies_are_read_page_by_page(made: Bench, desk: Autotask) -> None:
    desk.companies = {str(number): f"Client {number}" for number in range(1, 8)}
    assert len(autotask.companies(made.config, "", call=a_call())) == 7


def test_retired_values_are_no_choices_and_wrong_ones_are_told(made: Bench) -> None:
    values = {choice.value for choice in autotask.choices(made.config, "new_status", call=a_call())}
    assert values == {"1", "5", "7", "8"}
    problems = autotask.check(replace(made.config, closed_status="99", publish="7"), call=a_call())
    assert problems == (
        "99 is no closed status of this Autotask: choose another.",
        "7 is no publish of this Autotask: choose another.",
    )


def test_the_signature_is_that_of_the_developer_help(made: Bench, desk: Autotask) -> None:
    headers, body = desk.callback("1001", event="ev-1", at="2026-11-22T22:00:00Z")
    digest = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha1)).decode()
    assert headers == {"X-Hook-Signature": f"sha1={digest}"}
    (event,) = autotask.read_webhook(made.config, headers, body, call=a_call())
    assert (event.event_id, event.external_id) == ("0e4f9a3c.1", "1001")
    with pytest.raises(PermanentFailure):
        autotask.read_webhook(made.config, {"X-Hook-Signature": digest}, body, call=a_call())


@pytest.mark.parametrize("document", [{"EntityType": "Company", "Id": 3}, {"EntityType": "Ticket", "Id": "../3"}, {}])
def test_a_signed_callback_about_no_ticket_is_refused(made: Bench, document: dict[str, object]) -> None:
    with pytest.raises(PermanentFailure, match="names no ticket"):
        autotask.read_webhook(made.config, *signed(document), call=a_call())


@pytest.mark.parametrize("change", [{"webhook_secret": "short"}, {"due_hours": 0}, {"category": "x"}, {"queue": ""}])
def test_settings_that_cannot_work_are_refused(made: Bench, change: dict[str, object]) -> None:
    with pytest.raises(BadConfig):
        config_from_json(autotask.Config, dict(made.stored) | change)


@pytest.mark.parametrize(
    "document",
    [[], {}, None, 7, "x", {"items": [[]]}, {"items": [{}]}, {"item": []}, {"item": {"id": 1001}}, {"fields": [{}]}],
)
def test_odd_answers_are_failures_and_never_a_crash(made: Bench, document: object) -> None:
    with RunningServer(fixed(document)) as server:
        config = replace(made.config, url=server.url, default_company="17")
        found = outcomes(autotask, config, external_id="1001", looked_up="queue")
    assert isinstance(found[0], OutcomeUnknown)
    assert isinstance(found[1], OutcomeUnknown)
    assert all(isinstance(found[at], PermanentFailure) for at in (2, 3, 5))
