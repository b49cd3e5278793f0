"""The REST gateway against a real HTTP server with the habits of real ticket systems."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import Created, NewTicket, Thread, TicketText, rest, signatures
from tests.doubles.desk import Fault
from tests.doubles.ticket_server import TOKEN, TicketServer
from tests.integrations.tickets.configs import NOW, TICKET, a_call, rest_json

NOTE = TicketText(TICKET.text.subject, "Still failing.")
THREAD = Thread(TICKET.reference, "1")
SECRET = str(rest_json("")["webhook_secret"])


@pytest.fixture
def server() -> Iterator[TicketServer]:
    with TicketServer() as running:
        yield running


def config_for(server: TicketServer, **changes: object) -> rest.Config:
    return config_from_json(rest.Config, rest_json(server.url, **changes))


def create(server: TicketServer, ticket: NewTicket = TICKET, **changes: object) -> Created:
    return rest.create(config_for(server, **changes), ticket, call=a_call())


def test_a_ticket_is_created_as_the_template_says(server: TicketServer) -> None:
    assert create(server) == Created("1", "https://desk.example/t/1")
    (request,) = server.log
    assert json.loads(request.body) == {
        "title": TICKET.text.subject,
        "description": TICKET.text.body,
        "external_key": "BL-1a2b3c4d",
        "priority": 3,
    }
    assert request.headers["authorization"] == TOKEN
    assert request.headers["idempotency-key"] == "k-1"
    assert request.headers["content-type"] == "application/json"


def test_every_write_bears_the_idempotency_key_it_was_given(server: TicketServer) -> None:
    create(server)
    rest.comment(config_for(server), THREAD, NOTE, sequence=1, call=a_call(key="k-2"))
    rest.close(config_for(server), THREAD, NOTE, sequence=2, call=a_call(key="k-3"))
    assert [request.headers["idempotency-key"] for request in server.writes()] == ["k-1", "k-2", "k-3"]


def test_values_are_put_in_as_data_never_as_template_or_path(server: TicketServer) -> None:
    text = TicketText('"}, {{ external_id }} \\', "{{ body }} é\n")
    create(server, replace(TICKET, text=text))
    (ticket,) = server.tickets
    assert (ticket.title, ticket.notes) == (text.subject, [text.body])
    with pytest.raises(PermanentFailure, match="404"):
        rest.comment(config_for(server), Thread("BL-1", "1/../../admin?x=1#"), NOTE, sequence=1, call=a_call())
    assert server.log[-1].target == "/tickets/1%2F..%2F..%2Fadmin%3Fx%3D1%23/notes"


def test_free_values_numbers_and_further_headers(server: TicketServer) -> None:
    config = config_for(
        server,
        create_body={"title": "{{ subject }}", "description": "for {{ client }}", "external_key": "{{ reference }}",
                     "priority": "{{ values.company }}"},
        comment_body={"note": "no. {{ sequence }}", "ticket": "{{ external_number }}", "html": "{{ html }}"},
        headers={"X-Request-Id": "{{ idempotency_key }}", "Content-Type": "application/vnd.desk+json"},
        secret_header="X-API-Key", secret_value="an0ther-secret",
    )  # fmt: skip
    rest.create(config, replace(TICKET, values={"company": "acme-7"}), call=a_call())
    rest.comment(config, THREAD, TicketText("s", "a < b\nc"), sequence=4, call=a_call())
    assert server.tickets[0].priority == "acme-7"
    assert server.tickets[0].notes == ["for Acme Dental", "no. 4"]
    sent = json.loads(server.log[1].body)
    assert (sent["ticket"], sent["html"]) == (1, "a &lt; b<br>\nc")
    assert server.log[1].headers["x-request-id"] == "k-1"
    assert server.log[1].headers["content-type"] == "application/vnd.desk+json"
    assert server.log[1].headers["x-api-key"] == "an0ther-secret"


def test_a_value_that_is_missing_stops_before_anything_is_sent(server: TicketServer) -> None:
    body = {"title": "{{ subject }}", "key": "{{ reference }}", "company": "{{ values.company }}"}
    with pytest.raises(PermanentFailure, match=r"values\.company"):
        create(server, create_body=body)
    assert server.log == []


@pytest.mark.parametrize(
    "fault, failure",
    [
        ("answer lost after commit", OutcomeUnknown), ("server error", OutcomeUnknown),
        ("server error after commit", OutcomeUnknown), ("html", OutcomeUnknown), ("no id", OutcomeUnknown),
        ("huge answer", OutcomeUnknown), ("slow answer", OutcomeUnknown), ("too many requests", TemporaryFailure),
        ("unavailable", TemporaryFailure), ("refused", PermanentFailure), ("redirect to private", PermanentFailure),
        ("echo credentials", PermanentFailure),
    ],
)  # fmt: skip
def test_what_a_failed_creation_means(server: TicketServer, fault: Fault, failure: type[DeliveryFailure]) -> None:
    server.fail_next(fault)
    with pytest.raises(failure) as caught:
        rest.create(config_for(server), TICKET, call=a_call(seconds=1.0))
    assert type(caught.value) is failure
    assert TOKEN not in caught.value.reason
    assert TOKEN.split()[1] not in caught.value.reason
    assert len(server.log) == 1, "nothing is repeated or followed by itself"


@pytest.mark.parametrize("fault, seconds", [("too many requests", 17.0), ("unavailable", 120.0)])
def test_retry_after_is_passed_on(server: TicketServer, fault: Fault, seconds: float) -> None:
    server.fail_next(fault)
    with pytest.raises(TemporaryFailure) as caught:
        create(server)
    assert caught.value.retry_after == seconds


def test_a_ticket_whose_answer_was_lost_is_found_by_our_reference(server: TicketServer) -> None:
    create(server, replace(TICKET, reference="BL-00000001"))
    server.fail_next("answer lost after commit")
    with pytest.raises(OutcomeUnknown):
        create(server)
    assert rest.find(config_for(server), TICKET.reference, call=a_call()) == Created("2", "https://desk.example/t/2")


def test_a_server_that_ignores_the_filter_does_not_lend_us_a_strangers_ticket(server: TicketServer) -> None:
    for n in range(5):
        create(server, replace(TICKET, reference=f"BL-0000000{n}"))
    server.ignore_filters = True
    assert rest.find(config_for(server), TICKET.reference, call=a_call()) is None
    create(server)
    found = rest.find(config_for(server), TICKET.reference, call=a_call())
    assert found is not None
    assert found.external_id == "6", "on the third page"


def test_a_reference_inside_a_title_must_stand_alone(server: TicketServer) -> None:
    body = {"title": "[{{ reference }}] {{ subject }}", "description": "{{ body }}"}
    changes: dict[str, Any] = {
        "create_body": body,
        "find_reference_at": "title",
        "find_matches": "contains",
        "find_path": "/tickets",
    }
    config = config_for(server, **changes)
    create(server, replace(TICKET, reference="BL-1a2b3c4d5"), **changes)
    create(server, replace(TICKET, reference="XBL-1a2b3c4d"), **changes)
    assert rest.find(config, TICKET.reference, call=a_call()) is None
    create(server, **changes)
    found = rest.find(config, TICKET.reference, call=a_call())
    assert found is not None
    assert found.external_id == "3"


def test_not_found_is_only_said_when_it_is_certain(server: TicketServer) -> None:
    create(server)
    for changes, reason in (
        ({"find_items": "tickets"}, "no list at 'tickets'"),
        ({"find_reference_at": "externalKey"}, "cannot be recognised"),
        ({"find_id_at": "nr"}, "no id at 'nr'"),
        ({"find_next_at": "results.0.url", "find_reference_at": "status"}, "another host"),
        ({"find_next_at": "", "find_path": "/tickets", "find_reference_at": "status"}, "may be on a further page"),
    ):
        with pytest.raises(PermanentFailure, match=reason):
            rest.find(config_for(server, **changes), TICKET.reference, call=a_call())


def test_a_search_that_ignores_the_reference_is_noticed_when_the_destination_is_checked(server: TicketServer) -> None:
    create(server)
    server.ignore_filters = True
    (problem,) = rest.check(config_for(server, find_next_at=""), call=a_call())
    assert "seems to ignore the reference" in problem
    server.ignore_filters = False
    assert rest.check(config_for(server, find_next_at=""), call=a_call()) == ()


def test_a_list_without_an_end_is_not_taken_for_not_found(server: TicketServer) -> None:
    for n in range(2 * rest.MAX_PAGES + 1):
        create(server, replace(TICKET, reference=f"BL-{n:08d}"))
    server.ignore_filters = True
    with pytest.raises(PermanentFailure, match="more than 20 pages"):
        rest.find(config_for(server), TICKET.reference, call=a_call())


def test_a_search_that_fails_is_temporary(server: TicketServer) -> None:
    faults: tuple[Fault, ...] = ("server error", "answer lost after commit", "too many requests")
    for fault in faults:
        server.fail_next(fault)
        with pytest.raises(TemporaryFailure):
            rest.find(config_for(server), TICKET.reference, call=a_call())


def test_without_a_search_it_says_so(server: TicketServer) -> None:
    assert rest.find_after(config_for(server)) == timedelta(seconds=60)
    assert rest.find_after(config_for(server, find_path="")) is None
    with pytest.raises(PermanentFailure, match="no path to search"):
        rest.find(config_for(server, find_path=""), TICKET.reference, call=a_call())


def test_closing_is_read_back(server: TicketServer) -> None:
    create(server)
    rest.close(config_for(server), THREAD, NOTE, sequence=1, call=a_call())
    assert server.tickets[0].status == "closed"
    assert [request.method for request in server.log] == ["POST", "GET", "PUT", "GET"]


def test_a_server_that_says_200_and_changes_nothing_is_found_out(server: TicketServer) -> None:
    create(server)
    server.ignore_closing = True
    with pytest.raises(PermanentFailure, match="status is still 'new'"):
        rest.close(config_for(server), THREAD, NOTE, sequence=1, call=a_call())


def test_nothing_is_sent_to_a_ticket_that_is_closed_already(server: TicketServer) -> None:
    create(server)
    rest.close(config_for(server), THREAD, NOTE, sequence=1, call=a_call())
    written = len(server.writes())
    rest.close(config_for(server), THREAD, NOTE, sequence=1, call=a_call())
    assert len(server.writes()) == written


def test_a_closing_whose_answer_was_lost_can_be_repeated(server: TicketServer) -> None:
    create(server)
    server.fail_next("answer lost after commit", method="PUT")
    with pytest.raises(OutcomeUnknown):
        rest.close(config_for(server), THREAD, NOTE, sequence=1, call=a_call())
    rest.close(config_for(server), THREAD, NOTE, sequence=1, call=a_call())
    assert server.tickets[0].notes == [TICKET.text.body, NOTE.body]


def test_without_a_path_to_read_the_answer_is_believed(server: TicketServer) -> None:
    create(server)
    rest.close(config_for(server, read_path=""), THREAD, NOTE, sequence=1, call=a_call())
    assert [request.method for request in server.log] == ["POST", "PUT"]


def test_the_deadline_covers_all_requests_of_a_call(server: TicketServer) -> None:
    create(server)
    server.fail_next("slow answer", method="GET")
    with pytest.raises(TemporaryFailure):
        rest.close(config_for(server), THREAD, NOTE, sequence=1, call=a_call(seconds=0.5))
    assert server.writes()[1:] == []


@pytest.mark.parametrize(
    "field, value, reason",
    [
        ("base_url", "desk.example", "must be like"),
        ("base_url", "ftp://desk.example", "must be like"),
        ("base_url", "https://desk.example:port", "cannot be read"),
        ("base_url", "https://{{ client }}.example", "without placeholders"),
        ("base_url", "https://u:p@desk.example", "do not belong"),
        ("create_path", "tickets", "start with a slash"),
        ("create_body", {"t": "{{ subject", "r": "{{ reference }}"}, "not closed"),
        ("create_body", "{not json", "JSON"),
        ("create_body", [], "something in it"),
        ("create_body", {"title": "{{ subject }}"}, "only find what was written"),
        (
            "create_body",
            {"t": "{{ external_id }} {{ reference }}"},
            "no placeholder {{ external_id }}; known are body, client",
        ),
        ("comment_path", "/t/{{ id }}", "no placeholder {{ id }}"),
        ("comment_body", {"a": ["{{ priority }}"]}, "priority"),
        ("close_method", "DELETE", "must be one of: POST, PUT, PATCH"),
        ("headers", {"X": 1}, "names and texts"),
        ("headers", {"X": "{{ token }}"}, "no placeholder"),
        ("priorities", {"hi": 1}, "low, normal, high and urgent"),
        ("find_reference_at", "", "needs the place"),
        ("closed_values", [], "mean closed"),
        ("secret_header", "X-Key", "both a name and a value"),
        ("webhook_secret", "whsec_short", "at least 16 bytes"),
        ("find_lag_seconds", "soon", "whole number"),
        ("page_url", "https://d/{{ reference }}", "no placeholder"),
    ],
)
def test_a_bad_configuration_is_named_by_field(field: str, value: object, reason: str) -> None:
    with pytest.raises(BadConfig) as caught:
        config_from_json(rest.Config, rest_json("https://desk.example") | {field: value})
    assert caught.value.field == field
    assert reason in caught.value.reason


def test_templates_may_come_as_text_from_a_form() -> None:
    stored = rest_json("https://desk.example") | {"create_body": '{"t": "{{ reference }}"}'}
    assert config_from_json(rest.Config, stored).create_body == {"t": "{{ reference }}"}


def test_credentials_over_plain_http_are_named_as_a_problem() -> None:
    config = config_from_json(rest.Config, rest_json("http://desk.example", find_path=""))
    assert rest.check(config, call=replace(a_call(), allow_private=False)) == (
        "The base URL is http: the credentials would travel unencrypted. Use https.",
    )


BODY = b'{"ticket": {"id": 7, "status": "closed"}}'


def callback(body: bytes = BODY, *, secret: str = SECRET, seconds_ago: int = 0) -> dict[str, str]:
    at = int(NOW.timestamp()) - seconds_ago
    others = "v1,AAAA v1a,BBBB"
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": f"{others} {signatures.sign('msg_1', at, body, secret=secret)}",
    }


def read(server: TicketServer, headers: dict[str, str], body: bytes = BODY, **changes: object) -> object:
    return rest.read_webhook(config_for(server, **changes), headers, body, call=a_call())


def test_a_signed_callback_is_an_event(server: TicketServer) -> None:
    config = config_for(server)
    (event,) = rest.read_webhook(config, callback(), BODY, call=a_call())
    assert (event.event_id, event.external_id, event.status, event.closed) == ("msg_1", "7", "closed", True)
    body = b'{"ticket": {"id": "7", "status": "open"}}'
    (event,) = rest.read_webhook(config, callback(body), body, call=a_call())
    assert event.closed is False


@pytest.mark.parametrize(
    "headers, body",
    [
        ({}, BODY),
        (callback(), BODY + b" "),
        (callback(secret="whsec_b3RoZXItb3RoZXItb3RoZXI="), BODY),
        (callback(seconds_ago=301), BODY),
        (callback(seconds_ago=-301), BODY),
        (callback() | {"Webhook-Id": "msg_2"}, BODY),
        (callback() | {"Webhook-Timestamp": "²"}, BODY),
        (callback() | {"Webhook-Signature": "v1,é"}, BODY),
        (callback(b"{}"), b"{}"),
        (callback(b"not json"), b"not json"),
        (callback(b'{"ticket": {"id": true}}'), b'{"ticket": {"id": true}}'),
    ],
)
def test_any_other_callback_is_refused(server: TicketServer, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(PermanentFailure):
        read(server, headers, body)


def test_no_callback_is_believed_without_a_secret(server: TicketServer) -> None:
    with pytest.raises(PermanentFailure, match="takes no callbacks"):
        read(server, callback(), webhook_secret="")


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks libraries: a fixed id, time, body and secret, and the result."""
    signature = signatures.sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
