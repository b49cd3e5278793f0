"""What is special to ConnectWise PSA: keys of callbacks, notes before the status, boards, merged tickets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.errors import OutcomeUnknown, PermanentFailure
from integrations.tickets import Thread, TicketText, connectwise
from tests.doubles.desk import Bench
from tests.doubles.desks.connectwise import COMPANY, KEY_PATH, ConnectWise, bench
from tests.doubles.http_server import RunningServer
from tests.integrations.tickets.configs import TICKET, a_call
from tests.integrations.tickets.odd_answers import fixed, outcomes

OURS = replace(TICKET, company="17")
FINAL = TicketText(TICKET.text.subject, "A good run ended\nat 21:00 UTC.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> ConnectWise:
    assert isinstance(made.desk, ConnectWise)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(OURS.reference, connectwise.create(made.config, OURS, call=a_call()).external_id)


def test_a_key_on_another_host_is_never_fetched(made: Bench, desk: ConnectWise) -> None:
    asked: list[str] = []

    def note(request: object) -> object:
        asked.append("key")
        return fixed({"signing_key": "of-an-attacker-who-signs"})(request)

    with RunningServer(note) as other:  # type: ignore[arg-type]
        for url in (
            other.url + KEY_PATH, "http://169.254.169.254/latest", desk.url.replace("127.0.0.1", "[::1]") + KEY_PATH,
            desk.url.replace("//", "//user:word@") + KEY_PATH, "file:///etc/passwd", "http://[", "",
        ):  # fmt: skip
            document = {"Type": "ticket", "ID": 1001, "CompanyId": COMPANY, "Metadata": {"key_url": url}}
            headers, body = desk.signed(document)
            with pytest.raises(PermanentFailure, match="not on the configured"):
                connectwise.read_webhook(made.config, headers, body, call=a_call())
    assert asked == []
    assert desk.log == []


def test_the_key_is_fetched_without_our_credentials(made: Bench, desk: ConnectWise) -> None:
    headers, body = desk.callback("1001", event="ev-1", at="")
    (event,) = connectwise.read_webhook(made.config, headers, body, call=a_call())
    assert (event.event_id, event.external_id) == ("ev-1", "1001")
    assert [request.target for request in desk.log] == [KEY_PATH]
    assert "authorization" not in desk.log[0].headers
    assert "clientid" not in desk.log[0].headers


@pytest.mark.parametrize("change", [{"CompanyId": "another-msp"}, {"Type": "company"}, {"ID": "x/../y"}, {"ID": None}])
def test_a_signed_callback_about_something_else_is_refused(
    made: Bench, desk: ConnectWise, change: dict[str, object]
) -> None:
    good = {"Type": "ticket", "ID": 1001, "CompanyId": COMPANY, "Metadata": {"key_url": desk.url + KEY_PATH}}
    with pytest.raises(PermanentFailure):
        connectwise.read_webhook(made.config, *desk.signed(good | change), call=a_call())


def test_a_key_that_cannot_be_fetched_is_no_proof(made: Bench, desk: ConnectWise) -> None:
    headers, body = desk.callback("1001", event="ev-1", at="")
    desk.fail_next("server error", on="any")
    with pytest.raises(PermanentFailure, match="could not be fetched"):
        connectwise.read_webhook(made.config, headers, body, call=a_call())


def test_a_closing_that_failed_after_the_note_says_it_once(made: Bench, desk: ConnectWise) -> None:
    thread = opened(made)
    connectwise.comment(made.config, thread, FINAL, sequence=1, call=a_call())
    connectwise.close(made.config, thread, FINAL, sequence=1, call=a_call())
    assert [text for text in desk.arrived() if text == FINAL.body] == [FINAL.body]
    assert desk.ticket(thread.external_id).status == "Closed"


def test_a_status_that_does_not_close_is_said_by_closing_and_by_the_check(made: Bench) -> None:
    thread = opened(made)
    config = replace(made.config, closed_status="In Progress", reopened_status="Solved")
    with pytest.raises(PermanentFailure, match="does not count as closed"):
        connectwise.close(config, thread, FINAL, sequence=1, call=a_call())
    first, second = connectwise.check(config, call=a_call())
    assert "does not close" in first
    assert "no status of this board" in second


def test_a_change_that_was_ignored_is_no_closing_and_no_reopening(made: Bench, desk: ConnectWise) -> None:
    thread = opened(made)
    desk.frozen = True
    with pytest.raises(PermanentFailure, match="was not closed"):
        connectwise.close(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.set_status_there(thread.external_id, "Closed")
    with pytest.raises(PermanentFailure, match="was not reopened"):
        connectwise.reopen(made.config, thread, FINAL, sequence=2, call=a_call())


def test_a_merged_ticket_is_followed_and_not_reopened(made: Bench, desk: ConnectWise) -> None:
    thread = opened(made)
    parent = connectwise.create(made.config, replace(OURS, reference="BL-0000000002"), call=a_call())
    desk.set_status_there(thread.external_id, ">Merged")
    desk.merged[thread.external_id] = parent.external_id
    standing = connectwise.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.external_id, standing.closed, standing.reference) == (parent.external_id, False, "")
    with pytest.raises(PermanentFailure, match="merged"):
        connectwise.reopen(made.config, thread, FINAL, sequence=1, call=a_call())


def test_our_notes_are_ours_and_priorities_are_the_tenants(made: Bench, desk: ConnectWise) -> None:
    thread = opened(made)
    assert desk.ticket(thread.external_id).priority == 2
    desk.say_there(thread.external_id, "ttech", "Looking.")
    standing = connectwise.read(made.config, thread, call=a_call())
    assert standing is not None
    assert [(remark.author, remark.ours) for remark in standing.remarks] == [("backledger", True), ("ttech", False)]


def test_messages_are_internal_unless_they_are_to_be_shown(made: Bench, desk: ConnectWise) -> None:
    thread = opened(made)
    for public, kind in ((False, "internalAnalysisFlag"), (True, "detailDescriptionFlag")):
        connectwise.comment(replace(made.config, public=public), thread, FINAL, sequence=1, call=a_call())
        assert desk.ticket(thread.external_id).fields["note kind"] == kind


@pytest.mark.parametrize("reference", ['BL" or id>0 or summary="', "", "BL 1"])
def test_a_reference_that_would_change_the_question_is_not_asked(
    made: Bench, desk: ConnectWise, reference: str
) -> None:
    with pytest.raises(PermanentFailure, match="cannot be searched"):
        connectwise.find(made.config, reference, call=a_call())
    assert desk.log == []


def test_a_client_without_a_company_waits_and_says_so(made: Bench, desk: ConnectWise) -> None:
    with pytest.raises(PermanentFailure, match="Acme Dental has no company in ConnectWise"):
        connectwise.create(made.config, TICKET, call=a_call())
    assert desk.log == []


@pytest.mark.parametrize("document", [[], {}, [[]], [{}], {"id": {}}, {"id": 0}, None, 7, "x", [{"id": 5}]])
def test_odd_answers_are_failures_and_never_a_crash(made: Bench, document: object) -> None:
    with RunningServer(fixed(document)) as server:
        config = replace(made.config, url=server.url, default_company="17")
        found = outcomes(connectwise, config, external_id="1001", looked_up="board")
    assert isinstance(found[0], OutcomeUnknown)
    assert isinstance(found[1], OutcomeUnknown)
    assert all(isinstance(found[at], PermanentFailure) for at in (2, 3, 5))
