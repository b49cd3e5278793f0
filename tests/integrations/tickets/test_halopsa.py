"""What is special to HaloPSA: log-in first, clients that do not exist, our reference in the details alone, batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, PermanentFailure, TemporaryFailure
from integrations.tickets import Thread, TicketText, halopsa
from tests.doubles.desk import Bench, Fault
from tests.doubles.desks.halopsa import HaloPSA, bench, signed
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
def desk(made: Bench) -> HaloPSA:
    assert isinstance(made.desk, HaloPSA)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(OURS.reference, halopsa.create(made.config, OURS, call=a_call()).external_id)


@pytest.mark.parametrize(
    ("fault", "failure"),
    [("answer lost after commit", TemporaryFailure), ("server error", TemporaryFailure), ("html", PermanentFailure)],
)
def test_a_failed_log_in_never_leaves_the_outcome_unknown(
    made: Bench, desk: HaloPSA, fault: Fault, failure: type[DeliveryFailure]
) -> None:
    desk.fail_next(fault, on="any")
    with pytest.raises(failure):
        halopsa.create(made.config, OURS, call=a_call())
    assert desk.tickets == []


def test_a_wrong_secret_says_to_check_the_credentials(made: Bench) -> None:
    with pytest.raises(PermanentFailure, match="check the credentials"):
        halopsa.create(replace(made.config, client_secret="wr0ng-secret"), OURS, call=a_call())


def test_the_tenant_travels_with_the_log_in(made: Bench, desk: HaloPSA) -> None:
    halopsa.create(replace(made.config, tenant="my msp&x"), OURS, call=a_call())
    assert desk.tenants == ["my msp&x"]


def test_a_client_that_is_gone_is_refused_where_halo_would_take_it(made: Bench, desk: HaloPSA) -> None:
    for company in ("4711", "x/../y"):
        with pytest.raises(PermanentFailure, match="choose the"):
            halopsa.create(made.config, replace(OURS, company=company), call=a_call())
    assert desk.tickets == []


def test_text_is_html_and_holds_none_of_its_own(made: Bench, desk: HaloPSA) -> None:
    thread = opened(made)
    halopsa.comment(made.config, thread, FINAL, sequence=1, call=a_call())
    assert b"A good run &lt;ended&gt;<br>\\nat 21:00 &amp; closed." in desk.log[-1].body
    assert desk.arrived()[-1] == FINAL.body
    assert desk.ticket(thread.external_id).fields["hidden"] is True
    halopsa.comment(replace(made.config, public=True), thread, FINAL, sequence=2, call=a_call())
    assert desk.ticket(thread.external_id).fields["hidden"] is False


def test_a_change_that_a_workflow_undid_is_told_and_the_words_are_said_once(made: Bench, desk: HaloPSA) -> None:
    thread = opened(made)
    desk.frozen = True
    with pytest.raises(PermanentFailure, match="was not closed: its status is 1"):
        halopsa.close(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.frozen = False
    halopsa.close(made.config, thread, FINAL, sequence=1, call=a_call())
    assert desk.arrived().count(FINAL.body) == 1
    assert desk.ticket(thread.external_id).status == "9"
    desk.frozen = True
    with pytest.raises(PermanentFailure, match="was not reopened: its status is 9"):
        halopsa.reopen(made.config, thread, FINAL, sequence=2, call=a_call())


def test_status_people_and_our_own_messages_have_their_names(made: Bench, desk: HaloPSA) -> None:
    thread = opened(made)
    halopsa.comment(made.config, thread, FINAL, sequence=1, call=a_call())
    desk.say_there(thread.external_id, "Tina Tech", "Looking.")
    desk.assign_there(thread.external_id, "Tina Tech")
    standing = halopsa.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.status, standing.assignee, standing.reference) == ("New", "Tina Tech", OURS.reference)
    assert [(one.author, one.ours) for one in standing.remarks] == [("Backup Robot", True), ("Tina Tech", False)]


def test_clients_are_read_page_by_page(made: Bench, desk: HaloPSA) -> None:
    desk.companies = {str(number): f"Client {number}" for number in range(1, 8)}
    assert len(halopsa.companies(made.config, "", call=a_call())) == 7


def test_a_batch_holds_many_events_and_says_each_once(made: Bench) -> None:
    first, second = ({"id": name, "ticket": {"id": number}} for name, number in (("a", 5), ("b", 6)))
    events = halopsa.read_webhook(made.config, *signed([first, second, first, {"ticket": []}, 7]), call=a_call())
    assert [event.external_id for event in events] == ["5", "6"]
    with pytest.raises(PermanentFailure, match="names no ticket"):
        halopsa.read_webhook(made.config, *signed([{"ticket": {"id": "../5"}}, 7]), call=a_call())


def test_values_that_halo_does_not_list_are_told(made: Bench) -> None:
    problems = halopsa.check(replace(made.config, closed_status="77", team="Nobody"), call=a_call())
    assert problems == (
        "Nobody is no team of this Halo: choose another.",
        "77 is no closed status of this Halo: choose another.",
    )


@pytest.mark.parametrize("change", [{"webhook_secret": "short"}, {"closed_status": ""}, {"priority_low": "low"}])
def test_settings_that_cannot_work_are_refused(made: Bench, change: dict[str, object]) -> None:
    with pytest.raises(BadConfig):
        config_from_json(halopsa.Config, dict(made.stored) | change)


@pytest.mark.parametrize(
    "document", [{}, [], {"id": 1001}, {"tickets": [[]]}, {"tickets": [{}]}, {"actions": 5}, {"id": {}}, {"name": []}]
)
def test_odd_answers_are_failures_and_never_a_crash(made: Bench, document: object) -> None:
    token = {"access_token": "halo-access-t0ken"}
    with RunningServer(fixed(token | document if isinstance(document, dict) else document)) as server:
        config = replace(made.config, url=server.url, default_company="17")
        found = outcomes(halopsa, config, external_id="1001", looked_up="team")
    assert all(isinstance(one, DeliveryFailure) for one in found[2:7])
