"""What is Redmine's own: success that changes nothing, fields that are dropped, and lists for administrators only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from integrations.errors import PermanentFailure
from integrations.tickets import Thread, TicketText, config_from_json, redmine
from tests.doubles.desk import Bench
from tests.doubles.desks.redmine import Redmine, bench
from tests.integrations.tickets.configs import TICKET, a_call

WORDS = TicketText(TICKET.text.subject, "Solved.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


def changed(made: Bench, **values: object) -> redmine.Config:
    config: redmine.Config = config_from_json(redmine.Config, dict(made.stored) | values)
    return config


def opened(made: Bench) -> Thread:
    return Thread(TICKET.reference, redmine.create(made.config, TICKET, call=a_call()).external_id)


@pytest.mark.parametrize("status", ["99", "3"], ids=["unknown", "one that closes nothing"])
def test_a_status_that_does_not_close_is_no_closing(made: Bench, status: str) -> None:
    thread = opened(made)
    with pytest.raises(PermanentFailure, match="left the issue 1001 open"):
        redmine.close(changed(made, status_closed=status), thread, WORDS, sequence=1, call=a_call())


def test_a_status_that_does_not_open_is_no_reopening(made: Bench) -> None:
    thread = opened(made)
    redmine.close(made.config, thread, WORDS, sequence=1, call=a_call())
    with pytest.raises(PermanentFailure, match="left the issue 1001 closed"):
        redmine.reopen(changed(made, status_reopened="6"), thread, WORDS, sequence=2, call=a_call())


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"reference_field": "7"}, "The project backups has no custom field 7 of issues that is used as a filter, or "
                                   "our user may not see it."),
        ({"tracker": "9"}, "The project backups has no tracker 9."),
        ({"priority_high": "9"}, "Redmine has no priority 9."),
        ({"status_closed": "99"}, "Redmine has no status 99."),
        ({"status_closed": "3"}, "The status 3 does not close an issue: choose another."),
        ({"status_reopened": "6"}, "The status 6 closes an issue: choose another."),
        ({"project": "gone"}, "There is no project gone, or our user may not see it."),
        ({"private": True}, "Our user may not set notes as private, so that everybody would see them: give its role "
                            "this right."),
    ],
)  # fmt: skip
def test_what_redmine_does_not_have_is_told_before_the_first_ticket(
    made: Bench, values: dict[str, object], problem: str
) -> None:
    assert redmine.check(changed(made, **values), call=a_call()) == (problem,)


def test_a_user_who_may_set_notes_as_private_is_good(made: Bench) -> None:
    desk = made.desk
    assert isinstance(desk, Redmine)
    desk.rights.append("set_notes_private")
    assert redmine.check(changed(made, private=True), call=a_call()) == ()


def test_a_reference_that_was_dropped_is_not_taken_for_an_issue_that_is_not_there(made: Bench) -> None:
    desk = made.desk
    assert isinstance(desk, Redmine)
    desk.drops_fields = True
    opened(made)
    with pytest.raises(PermanentFailure, match="Our issue 1001 bears no reference"):
        redmine.find(made.config, TICKET.reference, call=a_call())
    (problem,) = redmine.check(made.config, call=a_call())
    assert "Our issue 1001 bears no reference" in problem
    desk.ignore_filters = True
    with pytest.raises(PermanentFailure, match="ignores the filter"):
        redmine.find(made.config, TICKET.reference, call=a_call())


def test_a_version_that_does_not_say_what_closes_is_read_by_our_status(made: Bench) -> None:
    assert redmine._is_closed(made.config, {"status": {"id": 5, "name": "Closed"}})
    assert not redmine._is_closed(made.config, {"status": {"id": 3, "name": "Resolved"}})


def test_only_fields_of_issues_are_offered(made: Bench) -> None:
    (field,) = redmine.choices(made.config, "reference_field", call=a_call())
    assert (field.value, field.label) == ("1", "External key")


def test_others_than_administrators_are_offered_the_fields_that_issues_show(made: Bench) -> None:
    desk = made.desk
    assert isinstance(desk, Redmine)
    desk.is_administrator = False
    with pytest.raises(PermanentFailure, match="type the field's number"):
        redmine.choices(made.config, "reference_field", call=a_call())
    opened(made)
    (field,) = redmine.choices(made.config, "reference_field", call=a_call())
    assert (field.value, field.label) == ("1", "External key")
