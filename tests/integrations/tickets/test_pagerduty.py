"""What is PagerDuty's own: alerts named by us, no way back for a resolved one, and a life without a REST API key."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from integrations.errors import OutcomeUnknown, PermanentFailure
from integrations.tickets import Thread, TicketText, config_from_json, pagerduty
from tests.doubles.desk import Bench
from tests.doubles.desks.pagerduty import PagerDuty, bench
from tests.integrations.tickets.configs import NOW, TICKET, a_call


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


def without_key(made: Bench) -> pagerduty.Config:
    config: pagerduty.Config = config_from_json(pagerduty.Config, dict(made.stored) | {"api_key": ""})
    return config


def test_the_same_creation_twice_is_one_alert_and_after_the_end_another(made: Bench) -> None:
    for _ in range(2):
        pagerduty.create(made.config, TICKET, call=a_call())
    assert [one.id for one in made.desk.tickets] == [TICKET.reference]
    thread = Thread(TICKET.reference, TICKET.reference)
    pagerduty.close(made.config, thread, TicketText("s", "Solved."), sequence=1, call=a_call())
    pagerduty.create(made.config, TICKET, call=a_call())
    assert [one.status for one in made.desk.tickets] == ["resolved", "triggered"]
    standing = pagerduty.read(made.config, thread, call=a_call())
    assert standing is not None
    assert not standing.closed, "the newest of the alert's incidents counts"


def test_without_a_key_alerts_are_opened_and_ended_and_nothing_is_read(made: Bench) -> None:
    config = without_key(made)
    assert pagerduty.abilities(config) == frozenset()
    assert pagerduty.find_after(config) is None
    created = pagerduty.create(config, TICKET, call=a_call())
    assert created.external_id == pagerduty.presumed_id(config, TICKET.reference)
    thread = Thread(TICKET.reference, created.external_id)
    pagerduty.close(config, thread, TicketText("s", "Solved."), sequence=1, call=a_call())
    assert made.desk.tickets[0].status == "resolved"
    assert pagerduty.check(config, call=a_call()) == ()
    for ask in (
        lambda: pagerduty.read(config, thread, call=a_call()),
        lambda: pagerduty.find(config, TICKET.reference, call=a_call()),
        lambda: pagerduty.read_webhook(
            config, *made.desk.callback(TICKET.reference, event="e", at=NOW.isoformat()), call=a_call()
        ),
    ):
        with pytest.raises(PermanentFailure, match="REST API key"):
            ask()


def test_an_incident_that_is_not_shown_yet_is_ended_all_the_same(made: Bench) -> None:
    """It takes seconds until an event is an incident: an empty answer is no reason to leave the alert open."""
    created = pagerduty.create(made.config, TICKET, call=a_call())
    desk = made.desk
    assert isinstance(desk, PagerDuty)
    desk.found = lambda key: []  # type: ignore[method-assign]
    thread = Thread(TICKET.reference, created.external_id)
    pagerduty.close(made.config, thread, TicketText("s", "Solved."), sequence=1, call=a_call())
    assert desk.tickets[0].status == "resolved"


def test_a_key_that_reads_nothing_is_named(made: Bench) -> None:
    config = config_from_json(pagerduty.Config, dict(made.stored) | {"api_key": "another"})
    (problem,) = pagerduty.check(config, call=a_call())
    assert "Incidents cannot be read" in problem
    assert "another" not in problem


def test_an_answer_about_another_alert_leaves_the_outcome_open(made: Bench) -> None:
    made.desk.fail_next("no id")
    with pytest.raises(OutcomeUnknown):
        pagerduty.create(made.config, TICKET, call=a_call())


def test_a_test_event_of_the_subscription_is_no_ticket(made: Bench) -> None:
    """PagerDuty sends a ping without an incident when a subscription is tried."""
    pagerduty.create(made.config, TICKET, call=a_call())
    _, body = made.desk.callback(TICKET.reference, event="e", at=NOW.isoformat())
    document = json.loads(body)
    document["event"]["data"] = {"message": "Hello from your friend Pagey!", "type": "ping"}
    ping = json.dumps(document).encode()
    good = hmac.new(b"pd-signing-s3cret", ping, hashlib.sha256).hexdigest()
    with pytest.raises(PermanentFailure, match="which incident"):
        pagerduty.read_webhook(made.config, {"X-PagerDuty-Signature": f"v1={good}"}, ping, call=a_call())


def test_a_link_that_is_not_of_our_alphabet_is_not_asked_for(made: Bench) -> None:
    with pytest.raises(PermanentFailure, match="no reference of ours"):
        pagerduty.find(made.config, "BL-1&statuses[]=x", call=a_call())


def test_words_for_an_incident_that_people_resolved_page_nobody_again(made: Bench) -> None:
    created = pagerduty.create(made.config, TICKET, call=a_call())
    made.desk.set_status_there(created.external_id, "resolved")
    thread = Thread(TICKET.reference, created.external_id)
    pagerduty.comment(made.config, thread, TicketText("s", "Still failing."), sequence=1, call=a_call())
    assert [one.status for one in made.desk.tickets] == ["resolved"], "a trigger would have made another incident"
