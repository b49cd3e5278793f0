"""What is Request Tracker's own: sentences instead of errors, queries made of text, tickets deleted by their status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from integrations.errors import PermanentFailure
from integrations.tickets import BadConfig, Thread, TicketText, config_from_json, request_tracker
from tests.doubles.desk import Bench
from tests.doubles.desks.request_tracker import bench
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
