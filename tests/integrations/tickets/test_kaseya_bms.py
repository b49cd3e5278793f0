"""What is special to Kaseya BMS: a reference in the title, a refusal with 200, the closing in a note, its locations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.errors import DeliveryFailure, PermanentFailure, TemporaryFailure
from integrations.tickets import Thread, TicketText, kaseya_bms
from tests.doubles.desk import Bench, Fault
from tests.doubles.desks.kaseya_bms import KaseyaBms, bench
from tests.doubles.http_server import RunningServer
from tests.integrations.tickets.configs import TICKET, a_call
from tests.integrations.tickets.odd_answers import fixed, outcomes

OURS = replace(TICKET, company="17")
FINAL = TicketText(TICKET.text.subject, "A good run <ended>\nat 21:00.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> KaseyaBms:
    assert isinstance(made.desk, KaseyaBms)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(OURS.reference, kaseya_bms.create(made.config, OURS, call=a_call()).external_id)


@pytest.mark.parametrize(
    ("fault", "failure"),
    [("answer lost after commit", TemporaryFailure), ("server error", TemporaryFailure), ("html", PermanentFailure)],
)
def test_a_failed_log_in_never_leaves_the_outcome_unknown(
    made: Bench, desk: KaseyaBms, fault: Fault, failure: type[DeliveryFailure]
) -> None:
    desk.fail_next(fault, on="any")
    with pytest.raises(failure):
        kaseya_bms.create(made.config, OURS, call=a_call())
    assert desk.tickets == []


def test_the_reference_stands_in_the_title_however_long_the_subject_is(made: Bench, desk: KaseyaBms) -> None:
    long = replace(OURS, text=TicketText("x" * 400, "words"))
    ticket = desk.ticket(kaseya_bms.create(made.config, long, call=a_call()).external_id)
    assert len(ticket.subject) == 200
    assert ticket.subject.endswith("x… [BL-1a2b3c4d]")


def test_a_ticket_goes_to_the_main_location_of_its_account(made: Bench, desk: KaseyaBms) -> None:
    assert desk.ticket(opened(made).external_id).fields["LocationId"] == 170


def test_a_refusal_with_200_is_a_refusal(made: Bench, desk: KaseyaBms) -> None:
    thread = opened(made)
    with pytest.raises(PermanentFailure, match="The note is not valid"):
        kaseya_bms.comment(replace(made.config, note_type="9"), thread, FINAL, sequence=1, call=a_call())
    assert desk.arrived()[1:] == []


def test_a_change_that_a_workflow_undid_is_told(made: Bench, desk: KaseyaBms) -> None:
    thread = opened(made)
    desk.frozen = True
    with pytest.raises(PermanentFailure, match="was not closed: its status is 'New'"):
        kaseya_bms.close(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.set_status_there(thread.external_id, "19")
    with pytest.raises(PermanentFailure, match="was not reopened: its status is 'Closed'"):
        kaseya_bms.reopen(made.config, thread, FINAL, sequence=2, call=a_call())


def test_notes_are_internal_unless_they_are_to_be_shown(made: Bench, desk: KaseyaBms) -> None:
    thread = opened(made)
    for public in (False, True):
        kaseya_bms.comment(replace(made.config, public=public), thread, FINAL, sequence=1, call=a_call())
        assert desk.ticket(thread.external_id).fields["internal"] is not public


def test_only_notes_that_name_their_author_are_mirrored(made: Bench, desk: KaseyaBms) -> None:
    thread = opened(made)
    kaseya_bms.comment(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.say_there(thread.external_id, "Tina Tech", "Looking.")
    standing = kaseya_bms.read(made.config, thread, call=a_call())
    assert standing is not None
    assert [(one.text, one.ours) for one in standing.remarks] == [(FINAL.body, True), ("Looking.", False)]
    desk.names_authors = False
    standing = kaseya_bms.read(made.config, thread, call=a_call())
    assert standing is not None
    assert standing.remarks == ()


def test_a_title_that_lost_our_reference_is_not_said_to_bear_it(made: Bench, desk: KaseyaBms) -> None:
    thread = opened(made)
    desk.ticket(thread.external_id).subject = "Renamed"
    standing = kaseya_bms.read(made.config, thread, call=a_call())
    assert standing is not None
    assert standing.reference == ""


def test_field_names_in_capitals_are_read_as_well(made: Bench) -> None:
    result = {"AccessToken": "t0ken-in-capitals", "Id": 1001, "StatusId": 11, "StatusName": "New", "Title": "x"}
    with RunningServer(fixed({"Success": True, "Result": result})) as server:
        config = replace(made.config, url=server.url)
        api = kaseya_bms._api(config, a_call())
        assert kaseya_bms._ticket(api, "1001") == {name.casefold(): value for name, value in result.items()}


@pytest.mark.parametrize(
    "document", [{}, [], {"result": []}, {"result": [[]]}, {"result": {"id": {}}}, {"success": False}, 7, None]
)
def test_odd_answers_are_failures_and_never_a_crash(made: Bench, document: object) -> None:
    token = {"accessToken": "bms-access-t0ken"}
    with RunningServer(fixed(token | document if isinstance(document, dict) else document)) as server:
        config = replace(made.config, url=server.url, default_company="17")
        found = outcomes(kaseya_bms, config, external_id="1001", looked_up="queue")
    assert all(isinstance(found[at], DeliveryFailure) for at in (0, 2, 3, 5))
