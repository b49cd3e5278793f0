"""What is Request Tracker's own: sentences instead of errors, queries made of text, tickets deleted by their status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from integrations.errors import PermanentFailure
from integrations.tickets import BadConfig, Thread, TicketText, config_from_json, request_tracker
from tests.doubles.desk import Bench
from tests.doubles.desks.request_tracker import RequestTracker, bench
from tests.integrations.tickets.configs import TICKET, a_call

WORDS = TicketText(TICKET.text.subject, "Solved.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


def changed(made: Bench, **values: object) -> request_tracker.Config:
    config: request_tracker.Config = config_from_json(request_tracker.Config, dict(made.stored) | values)
    return config


def opened(made: Bench) -> Thread:
    return Thread(TICKET.reference, request_tracker.create(made.config, TICKET, call=a_call()).external_id)


def test_a_status_that_rt_does_not_take_is_no_closing(made: Bench) -> None:
    thread = opened(made)
    with pytest.raises(PermanentFailure, match="stayed 'open'"):
        request_tracker.close(changed(made, status_closed="bogus"), thread, WORDS, sequence=1, call=a_call())


def test_the_last_words_go_before_the_status(made: Bench) -> None:
    thread = opened(made)
    request_tracker.close(made.config, thread, WORDS, sequence=1, call=a_call())
    writes = [request.target.rsplit("/", 1)[-1] for request in made.desk.log if request.method != "GET"]
    assert writes == ["ticket", "comment", thread.external_id]


def test_a_reference_that_was_dropped_is_not_taken_for_a_ticket_that_is_not_there(made: Bench) -> None:
    desk = made.desk
    assert isinstance(desk, RequestTracker)
    desk.drops_fields = True
    opened(made)
    with pytest.raises(PermanentFailure, match="Our ticket 1001 bears no reference"):
        request_tracker.find(made.config, TICKET.reference, call=a_call())
    (problem,) = request_tracker.check(made.config, call=a_call())
    assert "Our ticket 1001 bears no reference" in problem


def test_a_ticket_that_was_merged_into_another_of_ours_is_no_strangers(made: Bench) -> None:
    desk, thread = made.desk, opened(made)
    assert isinstance(desk, RequestTracker)
    other = request_tracker.create(made.config, replace(TICKET, reference="BL-0000000002"), call=a_call())
    desk.merged[thread.external_id] = other.external_id
    standing = request_tracker.read(made.config, thread, call=a_call())
    assert standing is not None
    assert (standing.external_id, standing.reference) == (other.external_id, "")


def test_the_name_of_a_queue_is_data_in_a_query(made: Bench) -> None:
    config = changed(made, queue="Tom's \\ desk")
    request_tracker.find(config, TICKET.reference, call=a_call())
    (query,) = parse_qs(urlsplit(made.desk.log[-1].target).query)["query"]
    assert query == "Queue = 'Tom\\'s \\\\ desk' AND Creator = '__CurrentUser__'"


@pytest.mark.parametrize("reference", ["BL-1' OR id > 0", "", "BL 1", "x" * 200])
def test_what_is_no_reference_goes_into_no_query(made: Bench, reference: str) -> None:
    with pytest.raises(PermanentFailure, match="no reference of ours"):
        request_tracker.find(made.config, reference, call=a_call())
    assert made.desk.log == []


@pytest.mark.parametrize("name", ["a} = 'x' OR CF.{b", "", "x\ny"])
def test_what_is_no_name_of_a_field_is_refused(made: Bench, name: str) -> None:
    with pytest.raises(BadConfig):
        changed(made, reference_field=name)


def test_messages_are_mailed_to_the_requestor_only_if_asked_for(made: Bench) -> None:
    thread = opened(made)
    request_tracker.comment(changed(made, public=True), thread, WORDS, sequence=1, call=a_call())
    assert made.desk.log[-1].target.endswith("/correspond")


def test_what_is_missing_is_told_before_the_first_ticket(made: Bench) -> None:
    (problem,) = request_tracker.check(changed(made, reference_field="Other"), call=a_call())
    assert "has no custom field Other" in problem
    (problem,) = request_tracker.check(changed(made, queue="Elsewhere"), call=a_call())
    assert problem == "There is no queue Elsewhere, or our user may not see it."
