"""What is Opsgenie's own: requests that are worked through later, and alerts named by us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.errors import OutcomeUnknown, PermanentFailure
from integrations.tickets import Thread, TicketText, config_from_json, opsgenie
from tests.doubles.desk import Bench
from tests.doubles.desks.opsgenie import Opsgenie, bench
from tests.doubles.http_server import Response
from tests.integrations.tickets.configs import TICKET, a_call

WORDS = TicketText(TICKET.text.subject, "Solved.")
THREAD = Thread(TICKET.reference, TICKET.reference)


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


def desk_of(made: Bench) -> Opsgenie:
    assert isinstance(made.desk, Opsgenie)
    return made.desk


def test_a_request_that_is_never_worked_through_leaves_the_outcome_open(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opsgenie, "PAUSE_SECONDS", 0)
    desk_of(made).outcome = lambda number: Response(404, b"{}", {})  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match="not worked it through yet"):
        opsgenie.create(made.config, TICKET, call=a_call())


def test_a_request_that_failed_is_a_failure_with_its_words(made: Bench) -> None:
    with pytest.raises(PermanentFailure, match="The note was not added: Alert does not exist"):
        opsgenie.comment(made.config, THREAD, WORDS, sequence=1, call=a_call())


def test_the_same_creation_twice_is_one_alert_and_after_its_end_another(made: Bench) -> None:
    for _ in range(2):
        opsgenie.create(made.config, TICKET, call=a_call())
    assert len(made.desk.tickets) == 1
    opsgenie.close(made.config, THREAD, WORDS, sequence=1, call=a_call())
    opsgenie.create(made.config, TICKET, call=a_call())
    assert [one.status for one in made.desk.tickets] == ["closed", "open"]
    standing = opsgenie.read(made.config, THREAD, call=a_call())
    assert standing is not None
    assert not standing.closed, "the newest alert of the alias counts"


def test_a_team_that_is_not_there_is_told(made: Bench) -> None:
    config = config_from_json(opsgenie.Config, dict(made.stored) | {"team": "Nobody"})
    assert opsgenie.check(config, call=a_call()) == ("There is no team Nobody, or the key may not see it.",)


def test_a_long_subject_is_cut_to_what_opsgenie_takes(made: Bench) -> None:
    long = replace(TICKET, text=TicketText("x" * 400, "y" * 40_000))
    opsgenie.create(made.config, long, call=a_call())
    assert len(made.desk.tickets[0].subject) == 130
    assert len(made.desk.tickets[0].messages[0].text) == 15_000


def test_what_is_no_reference_goes_into_no_query(made: Bench) -> None:
    with pytest.raises(PermanentFailure, match="no reference of ours"):
        opsgenie.find(made.config, 'x" OR status: open', call=a_call())


def test_an_alert_that_the_search_does_not_show_yet_is_closed_all_the_same(made: Bench) -> None:
    opsgenie.create(made.config, TICKET, call=a_call())
    desk_of(made).found = lambda query: []  # type: ignore[method-assign]
    opsgenie.close(made.config, THREAD, WORDS, sequence=1, call=a_call())
    assert [one.status for one in made.desk.tickets] == ["closed"]


def test_an_alert_that_people_closed_is_read_as_closed_and_not_as_deleted(made: Bench) -> None:
    opsgenie.create(made.config, TICKET, call=a_call())
    made.desk.set_status_there(TICKET.reference, "closed")
    standing = opsgenie.read(made.config, THREAD, call=a_call())
    assert standing is not None
    assert standing.closed
