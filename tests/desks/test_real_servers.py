"""The gateways against the real thing: django-helpdesk, Roundup, Request Tracker and Redmine, started for these tests.

Every ticket of a test bears a reference of its own, for the desks keep their tickets from test to test.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from integrations.configuration import config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import GATEWAYS, Call, Created, Gateway, NewTicket, Standing, Thread, TicketText
from tests.desks import django_helpdesk, redmine, request_tracker, roundup, running
from tests.desks.django_helpdesk import DjangoHelpdesk
from tests.desks.redmine import Redmine
from tests.desks.request_tracker import RequestTracker
from tests.desks.roundup import Roundup
from tests.desks.running import RealDesk
from tests.doubles.http_server import DROPPED, Request, Response, RunningServer

pytestmark = pytest.mark.slow

SECRET = "dh-callback-s3cret-1"
#: What trips templates, markup, cross-references and encodings.
ODD = "{{ ticket.title }} {% x {# y #} {{ a b }} %} }} #1 <b>& \\ 'é' ✓ {"
NUMBERS = itertools.count(1)


class Heard:
    """What a desk called us with; it is told the address before it starts."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.server = RunningServer(self._answer)

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200)

    @property
    def url(self) -> str:
        return f"{self.server.url.replace('://', f'://backledger:{SECRET}@')}/hook"


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    listening = Heard()
    with listening.server:
        yield listening


@pytest.fixture(scope="module")
def helpdesk(heard: Heard) -> Iterator[DjangoHelpdesk]:
    with django_helpdesk.start(webhook=heard.url) as started:
        yield started


@pytest.fixture(scope="module")
def tracker() -> Iterator[Roundup]:
    with roundup.start() as started:
        yield started


@pytest.fixture(scope="module")
def rt() -> Iterator[RequestTracker]:
    with request_tracker.start() as started:
        yield started


@pytest.fixture(scope="module")
def issues() -> Iterator[Redmine]:
    with redmine.start() as started:
        yield started


@pytest.fixture(params=["helpdesk", "tracker", "rt", "issues"])
def desk(request: pytest.FixtureRequest) -> RealDesk:
    started: RealDesk = request.getfixturevalue(request.param)
    return started


def a_call(seconds: float = 20.0) -> Call:
    return Call(datetime.now(UTC), seconds, "k-1", allow_private=True)


def gateway_of(desk: RealDesk) -> Gateway:
    return GATEWAYS[desk.name]


def config_of(desk: RealDesk, **changes: object) -> Any:
    return config_from_json(gateway_of(desk).Config, desk.stored | changes)


def a_ticket(body: str = "Last good run 2026-11-19 02:10 UTC.") -> NewTicket:
    reference = f"BL-{next(NUMBERS):06}{threading.get_native_id():x}"
    return NewTicket(reference, TicketText(f"Acme Dental: no good backup ({reference})", body), priority="high")


def opened(desk: RealDesk, ticket: NewTicket | None = None) -> Thread:
    ticket = ticket or a_ticket()
    return Thread(ticket.reference, gateway_of(desk).create(config_of(desk), ticket, call=a_call()).external_id)


def read(desk: RealDesk, thread: Thread) -> Standing:
    standing = gateway_of(desk).read(config_of(desk), thread, call=a_call())
    assert standing is not None
    return standing


def words(body: str) -> TicketText:
    return TicketText("the subject of the creation", body)


def subjects(desk: RealDesk, reference: str) -> list[str]:
    return [seen.subject for seen in desk.tickets() if reference in seen.subject]


def test_the_configuration_is_good_and_a_wrong_one_is_told(desk: RealDesk) -> None:
    gateway, before = gateway_of(desk), desk.tickets()
    assert gateway.check(config_of(desk), call=a_call()) == ()
    problems = gateway.check(config_of(desk, **desk.wrong_credentials), call=a_call())
    assert len(problems) == 1
    assert "answered 401" in problems[0]
    assert "Check the" in problems[0]
    assert "wr0ng" not in problems[0]
    with pytest.raises(PermanentFailure, match="answered 401"):
        gateway.create(config_of(desk, **desk.wrong_credentials), a_ticket(), call=a_call())
    assert desk.tickets() == before


def test_the_life_of_a_ticket(desk: RealDesk) -> None:
    gateway, config, ticket = gateway_of(desk), config_of(desk), a_ticket()
    thread = opened(desk, ticket)
    gateway.comment(config, thread, words("Still failing: error 0x80070070."), sequence=1, call=a_call())
    standing = read(desk, thread)
    assert (standing.closed, standing.reference) == (False, ticket.reference)
    assert (standing.external_id, standing.assignee) == (thread.external_id, "")
    gateway.close(config, thread, words("A good run ended at 21:00 UTC."), sequence=2, call=a_call())
    assert read(desk, thread).closed
    gateway.close(config, thread, words("Closed a second time."), sequence=3, call=a_call())
    gateway.reopen(config, thread, words("It failed again at 23:00 UTC."), sequence=4, call=a_call())
    standing = read(desk, thread)
    assert not standing.closed
    said = [remark.text for remark in standing.remarks]
    assert said[0].startswith("Last good run 2026-11-19 02:10 UTC.")
    assert said[1:] == [
        "Still failing: error 0x80070070.", "A good run ended at 21:00 UTC.", "It failed again at 23:00 UTC.",
    ]  # fmt: skip
    assert all(remark.ours and remark.at is not None for remark in standing.remarks)
    assert subjects(desk, ticket.reference) == [ticket.text.subject], "no message renames the ticket"
    assert standing.url is not None
    assert requests.get(standing.url, timeout=20).ok


def test_odd_letters_arrive_as_they_are(desk: RealDesk) -> None:
    reference = a_ticket().reference
    thread = opened(desk, NewTicket(reference, TicketText("Größe\r\n✓ " + "x" * 400, ODD)))
    gateway_of(desk).comment(config_of(desk), thread, words(ODD), sequence=1, call=a_call())
    gateway_of(desk).close(config_of(desk), thread, words(ODD), sequence=2, call=a_call())
    said = [remark.text.replace("\N{WORD JOINER}", "") for remark in read(desk, thread).remarks]
    assert len(said) == 3
    assert said[0].startswith(ODD)
    assert said[1:] == [ODD, ODD]
    (subject,) = (seen.subject for seen in desk.tickets() if seen.id == thread.external_id)
    assert subject.startswith("Größe ✓ xxx")


def test_what_people_do_there_is_seen(desk: RealDesk) -> None:
    thread = opened(desk)
    desk.assign_there(thread.external_id)
    desk.say_there(thread.external_id, "Replaced the disk.")
    standing = read(desk, thread)
    assert (standing.assignee, standing.closed) == ("Tina Tech", False)
    assert [(remark.text, remark.ours) for remark in standing.remarks][1:] == [("Replaced the disk.", False)]
    assert standing.remarks[1].author == "Tina Tech"
    desk.close_there(thread.external_id)
    standing = read(desk, thread)
    assert standing.closed
    gateway_of(desk).close(config_of(desk), thread, words("Ours comes too late."), sequence=1, call=a_call())
    assert read(desk, thread) == standing, "a closed ticket gets no message"


def test_a_deleted_ticket_is_gone_and_closing_it_is_done(desk: RealDesk) -> None:
    gateway, config, thread = gateway_of(desk), config_of(desk), opened(desk)
    desk.delete_there(thread.external_id)
    assert gateway.read(config, thread, call=a_call()) is None
    assert gateway.find(config, thread.reference, call=a_call()) is None
    gateway.close(config, thread, words("Good again."), sequence=1, call=a_call())
    assert subjects(desk, thread.reference) == []


def test_a_ticket_whose_answer_was_lost_is_found_once(desk: RealDesk) -> None:
    gateway, ticket = gateway_of(desk), a_ticket()
    others = [opened(desk) for _ in range(2)]
    with breaking_off(desk) as url, pytest.raises(OutcomeUnknown):
        gateway.create(config_of(desk, url=url), ticket, call=a_call())
    found = gateway.find(config_of(desk), ticket.reference, call=a_call())
    assert found is not None
    assert found.external_id not in {one.external_id for one in others}
    assert subjects(desk, ticket.reference) == [ticket.text.subject]
    gateway.close(
        config_of(desk), Thread(ticket.reference, found.external_id), words("Good."), sequence=1, call=a_call()
    )
    assert gateway.find(config_of(desk), ticket.reference, call=a_call()) == found, "a closed one is found too"
    assert gateway.find(config_of(desk), a_ticket().reference, call=a_call()) is None


def test_a_repeated_message_whose_answer_was_lost_is_there_once_in_roundup(tracker: Roundup) -> None:
    gateway, thread = gateway_of(tracker), opened(tracker)
    with breaking_off(tracker, method="PATCH") as url, pytest.raises(OutcomeUnknown):
        gateway.comment(config_of(tracker, url=url), thread, words("Still failing."), sequence=1, call=a_call())
    gateway.comment(config_of(tracker), thread, words("Still failing."), sequence=1, call=a_call())
    assert [remark.text for remark in read(tracker, thread).remarks][1:] == ["Still failing."]


def test_two_workers_and_a_person_at_once_lose_no_message(desk: RealDesk) -> None:
    gateway, config, thread = gateway_of(desk), config_of(desk), opened(desk)

    def write(number: int) -> None:
        gateway.comment(config, thread, words(f"Message {number}."), sequence=number, call=a_call())

    workers = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    said = sorted(remark.text for remark in read(desk, thread).remarks[1:])
    assert said == ["Message 1.", "Message 2."]


def test_a_desk_that_is_down_is_temporary_and_knows_its_tickets_afterwards(desk: RealDesk) -> None:
    gateway, thread = gateway_of(desk), opened(desk)
    desk.kill()
    try:
        with pytest.raises(TemporaryFailure):
            gateway.create(config_of(desk), a_ticket(), call=a_call())
        with pytest.raises(TemporaryFailure):
            gateway.read(config_of(desk), thread, call=a_call())
    finally:
        desk.start()
    assert gateway.find(config_of(desk), thread.reference, call=a_call()) == Created(
        thread.external_id, read(desk, thread).url
    )


def test_every_setting_that_is_looked_up_offers_what_is_there(helpdesk: DjangoHelpdesk, tracker: Roundup) -> None:
    def offered(desk: RealDesk, name: str) -> list[tuple[str, str]]:
        found = gateway_of(desk).choices(config_of(desk), name, call=a_call())
        return [(choice.value, choice.label) for choice in found]

    assert offered(helpdesk, "status_closed")[:4] == [
        ("1", "Open"), ("2", "Reopened"), ("3", "Resolved"), ("4", "Closed"),
    ]  # fmt: skip
    assert offered(helpdesk, "priority_low")[0] == ("1", "1. Critical")
    assert ("resolved", "resolved") in offered(tracker, "status_closed")
    assert offered(tracker, "priority_high")[1] == ("urgent", "urgent")
    assert offered(tracker, "keyword") == []


def test_names_and_numbers_that_are_not_there_are_told(helpdesk: DjangoHelpdesk, tracker: Roundup) -> None:
    def problems(desk: RealDesk, **changes: object) -> tuple[str, ...]:
        return gateway_of(desk).check(config_of(desk, **changes), call=a_call())

    assert problems(helpdesk, queue="77") == ("django-helpdesk has no queue 77, or our user may not see it.",)
    assert problems(helpdesk, status_closed="9") == ("django-helpdesk has no status 9.",)
    assert problems(tracker, priority_high="high") == ("The tracker has no priority 'high'.",)
    by_another_name = str(tracker.url).replace("127.0.0.1", "localhost")
    assert "The address must be the one" in problems(tracker, url=by_another_name)[0]
    with pytest.raises(PermanentFailure, match="queue"):
        gateway_of(helpdesk).create(config_of(helpdesk, queue="77"), a_ticket(), call=a_call())


def test_a_merged_ticket_leads_to_the_one_that_stands_for_it(helpdesk: DjangoHelpdesk, tracker: Roundup) -> None:
    first, second = opened(helpdesk), opened(helpdesk)
    helpdesk.merge_there(first.external_id, into=second.external_id)
    helpdesk.assign_there(second.external_id)
    standing = read(helpdesk, first)
    assert (standing.external_id, standing.closed, standing.assignee) == (second.external_id, False, "Tina Tech")
    assert standing.reference == first.reference
    first, second = opened(tracker), opened(tracker)
    tracker.supersede_there(first.external_id, by=second.external_id)
    tracker.close_there(second.external_id)
    standing = read(tracker, first)
    assert (standing.external_id, standing.closed, standing.status) == (second.external_id, True, "resolved")


def test_what_request_tracker_merges_and_refuses_is_told(rt: RequestTracker) -> None:
    gateway, first, second = gateway_of(rt), opened(rt), opened(rt)
    rt.merge_there(first.external_id, into=second.external_id)
    standing = read(rt, first)
    assert (standing.external_id, standing.reference) == (second.external_id, "")
    without_field = config_of(rt, reference_field="Other")
    with pytest.raises(PermanentFailure, match="bears no reference"):
        gateway.find(without_field, second.reference, call=a_call())
    assert [one.label for one in gateway.choices(config_of(rt), "queue", call=a_call())] == ["Backups"]
    (problem,) = gateway.check(config_of(rt, reference_field="Other"), call=a_call())
    assert "has no custom field Other" in problem
    (problem,) = gateway.check(config_of(rt, queue="Elsewhere"), call=a_call())
    assert problem == "There is no queue Elsewhere, or our user may not see it."
    with pytest.raises(PermanentFailure, match="stayed 'new'"):
        gateway.close(config_of(rt, status_closed="bogus"), second, words("Good."), sequence=1, call=a_call())


def test_what_redmine_drops_in_silence_is_told(issues: Redmine) -> None:
    def problems(**changes: object) -> tuple[str, ...]:
        return gateway_of(issues).check(config_of(issues, **changes), call=a_call())

    gateway, thread = gateway_of(issues), opened(issues)
    offered = gateway.choices(config_of(issues), "reference_field", call=a_call())
    assert [(one.value, one.label) for one in offered] == [(redmine.REFERENCE_FIELD, "External key")]
    assert [one.label for one in gateway.choices(config_of(issues), "project", call=a_call())] == ["Backups"]
    assert problems(tracker="9") == ("The project backups has no tracker 9.",)
    assert "has no custom field 99" in problems(reference_field="99")[0]
    assert problems(project="gone") == ("There is no project gone, or our user may not see it.",)
    assert "Our user may not set notes as private" in problems(private=True)[0]
    other_trackers = config_of(issues, reference_field=redmine.BUGS_ONLY)
    for reference in (thread.reference, a_ticket().reference):
        with pytest.raises(PermanentFailure, match="bears no reference"):
            gateway.find(other_trackers, reference, call=a_call())
    with pytest.raises(PermanentFailure, match="left the issue"):
        gateway.close(config_of(issues, status_closed="99"), thread, words("Good."), sequence=1, call=a_call())


def test_the_callback_of_django_helpdesk_bears_the_password_of_its_address(
    helpdesk: DjangoHelpdesk, heard: Heard
) -> None:
    gateway, thread = gateway_of(helpdesk), opened(helpdesk)
    heard.requests.clear()
    helpdesk.close_there(thread.external_id)
    (request,) = heard.requests
    config = config_of(helpdesk, webhook_secret=SECRET)
    (event,) = gateway.read_webhook(config, request.headers, request.body, call=a_call())
    assert (event.external_id, event.status, event.closed) == (thread.external_id, "Closed", True)
    comments = helpdesk.ticket(thread.external_id)["followup_set"]
    assert event.event_id == f"{thread.external_id}-{comments[-1]['id']}"
    assert abs(event.occurred_at - datetime.now(UTC)) < timedelta(minutes=1)
    other = config_of(helpdesk, webhook_secret="another-s3cret-of-ours")
    with pytest.raises(PermanentFailure, match="signature"):
        gateway.read_webhook(other, request.headers, request.body, call=a_call())
    later = Call(datetime.now(UTC) + timedelta(minutes=6), 5.0, allow_private=True)
    with pytest.raises(PermanentFailure, match="five minutes"):
        gateway.read_webhook(config, request.headers, request.body, call=later)


def test_texts_leave_no_note_on_tickets_that_they_do_not_mean(helpdesk: DjangoHelpdesk) -> None:
    stranger = opened(helpdesk)
    before = len(read(helpdesk, stranger).remarks)
    thread = opened(helpdesk, a_ticket(f"Run #{stranger.external_id} failed."))
    gateway_of(helpdesk).comment(
        config_of(helpdesk), thread, words(f"Run #{stranger.external_id} again."), sequence=1, call=a_call()
    )
    assert len(read(helpdesk, stranger).remarks) == before


def test_a_desk_that_is_not_installed_is_told_and_fails_where_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "python_of", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="the real roundup is not installed"):
        roundup.start()
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="the real roundup is not installed"):
        roundup.start()


@contextmanager
def breaking_off(desk: RealDesk, *, method: str = "POST") -> Iterator[str]:
    """The address of a proxy that passes everything on and breaks off before the answer to a write to a ticket."""
    parts = urlsplit(desk.url)
    real = f"{parts.scheme}://{parts.netloc}"

    def answer(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "connection")}
        if "origin" in headers:
            headers["origin"] = real
        done = requests.request(request.method, real + request.target, headers=headers, data=request.body, timeout=20)
        assert done.ok, done.text
        place = urlsplit(request.target).path
        if request.method == method and ("/issue" in place or place.endswith(("/tickets/", "/ticket"))):
            return DROPPED
        return Response(done.status_code, done.content, {"Content-Type": done.headers.get("Content-Type", "")})

    with RunningServer(answer) as proxy:
        yield proxy.url + parts.path
