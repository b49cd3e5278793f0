"""What is special to django-helpdesk: lists without a search, comments as templates, numbers for names, callbacks."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure
from integrations.tickets import Call, Standing, Thread, TicketText, django_helpdesk
from tests.doubles.desk import Bench
from tests.doubles.desks.django_helpdesk import SECRET, DjangoHelpdesk, bench, rendered
from tests.doubles.http_server import Response, RunningServer
from tests.integrations.tickets.configs import NOW, TICKET, a_call
from tests.integrations.tickets.odd_answers import fixed, outcomes

NOTE = TicketText(TICKET.text.subject, "Still failing.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> DjangoHelpdesk:
    assert isinstance(made.desk, DjangoHelpdesk)
    return made.desk


def opened(made: Bench) -> Thread:
    return Thread(TICKET.reference, django_helpdesk.create(made.config, TICKET, call=a_call()).external_id)


def read(made: Bench, thread: Thread) -> Standing:
    standing = django_helpdesk.read(made.config, thread, call=a_call())
    assert standing is not None
    return standing


def strangers(desk: DjangoHelpdesk, count: int) -> None:
    for _ in range(count):
        ticket = desk.new_ticket(subject="x", reference="", status="1", priority=3, fields={"description": "x"})
        desk.say_there(ticket.id, "Tina Tech", "x")


def without_its_status(follow_up: Callable[[DjangoHelpdesk, dict[str, Any]], Response]) -> Any:
    """As a desk that takes a message and keeps the status to itself."""
    return lambda desk, given: follow_up(desk, {name: value for name, value in given.items() if name != "new_status"})


def pages_asked(desk: DjangoHelpdesk) -> int:
    return sum(request.method == "GET" and "page=" in request.target for request in desk.log)


# --- finding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("later", "pages"), [(0, 1), (24, 1), (25, 2), (60, 3)])
def test_a_ticket_is_found_from_the_end(made: Bench, desk: DjangoHelpdesk, later: int, pages: int) -> None:
    thread = opened(made)
    strangers(desk, later)
    found = django_helpdesk.find(made.config, TICKET.reference, call=a_call())
    assert found is not None
    assert found.external_id == thread.external_id
    assert pages_asked(desk) == pages


def test_a_list_that_was_read_to_its_start_is_certain(made: Bench, desk: DjangoHelpdesk) -> None:
    strangers(desk, 1000)
    assert django_helpdesk.find(made.config, TICKET.reference, call=a_call(seconds=60)) is None
    assert pages_asked(desk) == 40


def test_more_tickets_than_are_looked_through_leave_a_person_to_decide(made: Bench, desk: DjangoHelpdesk) -> None:
    strangers(desk, 1001)
    with pytest.raises(PermanentFailure, match="look for ours by hand"):
        django_helpdesk.find(made.config, TICKET.reference, call=a_call(seconds=60))
    assert pages_asked(desk) == 40


def test_tickets_older_than_a_month_end_the_search(made: Bench, desk: DjangoHelpdesk) -> None:
    strangers(desk, 1001)
    later = Call(NOW + timedelta(days=31), 60, "k-1", allow_private=True)
    assert django_helpdesk.find(made.config, TICKET.reference, call=later) is None
    assert pages_asked(desk) == 1


def test_only_a_last_line_of_its_own_is_our_reference(made: Bench, desk: DjangoHelpdesk) -> None:
    for description in (f"like [{TICKET.reference}]", f"[{TICKET.reference}]\nas a quote", f"[{TICKET.reference}0]"):
        desk.new_ticket(subject="x", reference="", status="1", priority=3, fields={"description": description})
    assert django_helpdesk.find(made.config, TICKET.reference, call=a_call()) is None
    found = f"moved here\r\n\r\n[{TICKET.reference}]\r\n"
    desk.new_ticket(subject="x", reference="", status="1", priority=3, fields={"description": found})
    assert django_helpdesk.find(made.config, TICKET.reference, call=a_call()) is not None


# --- texts and people -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["{{ ticket.title }}", "{% x", "%} x {%", "{{{{", "}}}}", "{# gone #}", "{%%}", "{ } %", "{{ a b }}"]
)
def test_comments_arrive_though_they_are_templates_there(made: Bench, desk: DjangoHelpdesk, text: str) -> None:
    assert rendered("plain") == "plain"
    django_helpdesk.comment(made.config, opened(made), TicketText("s", text), sequence=1, call=a_call())
    assert desk.arrived()[-1] == text


def test_a_message_renames_nothing_and_points_to_no_other_ticket(made: Bench, desk: DjangoHelpdesk) -> None:
    ticket = replace(TICKET, text=replace(TICKET.text, body="Run #12 of &#39;x&#39;, # 13"))
    thread = Thread(TICKET.reference, django_helpdesk.create(made.config, ticket, call=a_call()).external_id)
    django_helpdesk.comment(made.config, thread, TicketText("Another subject", "#7"), sequence=1, call=a_call())
    assert desk.ticket(thread.external_id).subject == TICKET.text.subject
    joined = "\N{WORD JOINER}"
    assert desk.arrived() == [
        f"Run #{joined}12 of &#{joined}39;x&#{joined}39;, # 13\n\n[{TICKET.reference}]",
        f"#{joined}7",
    ]


def test_messages_are_ours_by_the_user_who_opened_the_ticket(made: Bench, desk: DjangoHelpdesk) -> None:
    thread = opened(made)
    django_helpdesk.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    desk.say_there(thread.external_id, "Tina Tech", "Replaced the disk.")
    assert [(one.author, one.ours) for one in read(made, thread).remarks] == [
        ("user 3", True), ("user 3", True), ("Tina Tech", False),
    ]  # fmt: skip
    desk.ticket(thread.external_id).messages[0].text = "Changed by a person."
    assert not any(remark.ours for remark in read(made, thread).remarks), "then nobody can tell"


def test_a_status_of_the_tenants_own_has_its_own_word(made: Bench, desk: DjangoHelpdesk) -> None:
    thread = opened(made)
    desk.set_status_there(thread.external_id, "6")
    standing = read(made, thread)
    assert (standing.status, standing.closed) == ("Waiting for parts", False)
    desk.set_status_there(thread.external_id, "5")
    standing = read(made, thread)
    assert (standing.status, standing.closed) == ("Duplicate", True)


def test_name_and_password_go_where_there_are_no_tokens(made: Bench, desk: DjangoHelpdesk) -> None:
    config = config_from_json(django_helpdesk.Config, dict(made.stored) | {"user": "robot", "token": "pa55word-long"})
    problems = django_helpdesk.check(config, call=a_call())
    assert "Check the token" in problems[0]
    sent = desk.log[-1].headers["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"robot:pa55word-long"


def test_a_status_that_was_not_set_is_told(made: Bench, desk: DjangoHelpdesk, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = opened(made)
    monkeypatch.setattr(DjangoHelpdesk, "follow_up", without_its_status(DjangoHelpdesk.follow_up))
    with pytest.raises(PermanentFailure, match="but not the status 4"):
        django_helpdesk.close(made.config, thread, NOTE, sequence=1, call=a_call())


def test_a_closing_that_is_not_confirmed_may_have_worked(made: Bench, desk: DjangoHelpdesk) -> None:
    thread = opened(made)
    desk.fail_next("no id")
    with pytest.raises(OutcomeUnknown):
        django_helpdesk.close(made.config, thread, NOTE, sequence=1, call=a_call())


# --- configuration and callbacks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "desk.example.com"), ("queue", "Backups"), ("priority_high", "high"), ("status_closed", ""),
        ("status_reopened", "3"), ("requester", "nobody"), ("people", ["Tina"]), ("people", {"7": 7}),
        ("webhook_secret", "too-short"), ("webhook_secret", "has:a/colon@and-a-slash"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(made: Bench, field: str, value: object) -> None:
    with pytest.raises(BadConfig) as caught:
        config_from_json(django_helpdesk.Config, dict(made.stored) | {field: value})
    assert caught.value.field == field


def test_a_queue_that_is_not_there_is_told_and_nothing_opened(made: Bench, desk: DjangoHelpdesk) -> None:
    config = config_from_json(django_helpdesk.Config, dict(made.stored) | {"queue": "2", "status_closed": "8"})
    assert django_helpdesk.check(config, call=a_call()) == (
        "django-helpdesk has no status 8.", "django-helpdesk has no queue 2, or our user may not see it.",
    )  # fmt: skip
    assert desk.tickets == []


def test_an_old_callback_is_refused_and_one_without_a_comment_too(made: Bench, desk: DjangoHelpdesk) -> None:
    thread = opened(made)
    headers, body = desk.callback(thread.external_id, event="ev-1", at=(NOW - timedelta(minutes=6)).isoformat())
    with pytest.raises(PermanentFailure, match="five minutes"):
        django_helpdesk.read_webhook(made.config, headers, body, call=a_call())
    bare = json.dumps({"ticket": {"id": int(thread.external_id), "status": 4}}).encode()
    with pytest.raises(PermanentFailure, match="when it was sent"):
        django_helpdesk.read_webhook(made.config, headers, bare, call=a_call())


def test_another_password_or_user_is_refused(made: Bench, desk: DjangoHelpdesk) -> None:
    _, body = desk.callback(opened(made).external_id, event="ev-1", at=NOW.isoformat())
    for words in (f"backledger:{SECRET}x", f"x:{SECRET}", SECRET, ":", "ünicode:" + SECRET):
        headers = {"authorization": "Basic " + base64.b64encode(words.encode()).decode()}
        with pytest.raises(PermanentFailure, match="signature"):
            django_helpdesk.read_webhook(made.config, headers, body, call=a_call())


SELF = {
    "id": 7,
    "merged_to": 7,
    "status": "?",
    "description": 5,
    "followup_set": [1, {"id": "x"}, {"id": 2, "date": 5}],
}


@pytest.mark.parametrize(
    "document",
    [
        None, 0, "text", [], [1], {}, {"results": None}, {"results": [1]}, {"results": [{}]}, {"id": {}, "results": []},
        SELF | {"results": [SELF], "count": 1}, {"results": [SELF], "previous": "http://x/?page=../1"},
        {"results": [SELF], "previous": 99}, {"results": [], "previous": "http://[x/?page=2"},
        {"actions": {"POST": {"status": {"choices": [{"value": []}, {}]}, "priority": []}}},
    ],
)  # fmt: skip
def test_odd_answers_are_failures_and_never_crash(document: object) -> None:
    with RunningServer(fixed(document)) as server:
        stored = {"url": server.url, "token": "dh-s3cret-token", "queue": "1"}
        config = config_from_json(django_helpdesk.Config, stored)
        found = outcomes(django_helpdesk, config, external_id="7", looked_up="status_closed")
    assert isinstance(found[2], DeliveryFailure | None)
    assert isinstance(found[3], DeliveryFailure), "it cannot have been reopened"
    assert found[7], "such a desk is not good"
