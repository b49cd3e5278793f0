"""Whatever is sent, the answer is a problem that says what is wrong; never a 500 and never a page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig
from django.db import DataError, OperationalError
from rest_framework import exceptions

from alerts.params import BadParams
from billing.refusals import NotFound, Refused
from integrations.configuration import BadConfig
from msp.api.problems import answer_problem
from msp.api.reading import MAX_JSON_BYTES
from msp.backups.schedule import BadSchedule
from tests.api.conftest import Caller
from tests.api.things import Things
from tests.world import World

LONG = "9" * 400


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/",
        "/clients/not-a-uuid",
        "/clients/%00",
        "/jobs/3F0C8C7E-4F0B-4B7A-9A53-2F1D0E9B8C11",
        "/runs/2026-13/3f0c8c7e-4f0b-4b7a-9a53-2f1d0e9b8c11",
        "/runs/0000-01/3f0c8c7e-4f0b-4b7a-9a53-2f1d0e9b8c11",
        "/runs/2026-11/3f0c8c7e-4f0b-4b7a-9a53-2f1d0e9b8c11",
        "/rule-settings/no_such_rule/client/3f0c8c7e-4f0b-4b7a-9a53-2f1d0e9b8c11",
        "/clients/../../etc/passwd",
    ],
)
def test_addresses_that_are_none(path: str, api: Caller) -> None:
    assert api.get(path).status_code in (404, 405)


def test_an_unknown_address_is_the_same_with_any_method_and_no_key(world: World) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert Caller().send(method, "/nothing").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=201", f"limit={LONG}", "limit=abc", "limit=%00", "limit=٣",
        "cursor=", "cursor=abc", "cursor=%00", "cursor=WzQyXQ%3D%3D%3D%3Dx", "cursor=WyJhIl0", "cursor=bnVsbA",
        "cursor=W10", "cursor=Wy0xXQ", "cursor=WzFlNDAwXQ", f"cursor={'W' * 6000}", "cursor=é",
        "state=unknown", "state=%00", "client=abc", "kind=", "since=yesterday", "since=2026-99-01", "severity=1",
        "stat=open", "state=open&state=closed", f"job={LONG}", "since=0001-01-01T00:00:00%2B14:00",
    ],
)  # fmt: skip
def test_queries_that_cannot_be_read(query: str, api: Caller) -> None:
    answer = api.get(f"/incidents?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.split("=")[0]]


def test_a_cursor_of_another_list_is_refused(api: Caller, things: Things) -> None:
    other = api.get("/clients?limit=1").json()["next"].split("cursor=")[1].split("&")[0]
    assert api.get(f"/invoices?cursor={other}").status_code == 400
    assert api.get(f"/jobs/{things.own.job.uid}/runs?cursor={other}").status_code == 400


def test_a_nul_byte_in_a_search(api: Caller) -> None:
    answer = api.get("/clients?q=a%00b")
    assert answer.status_code == 400
    assert "q" in answer.json()["errors"]


def test_usage_needs_its_parameters(api: Caller, world: World) -> None:
    assert set(api.get("/usage").json()["errors"]) == {"client", "month"}
    for month in ("2026", "2026-1", "1999-01", "2026-13", "%00", "2026-10-01"):
        assert api.get(f"/usage?client={world.client.uid}&month={month}").status_code == 400, month


BODIES: list[tuple[bytes, int]] = [
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b'{"name": NaN}', 400),
    (b"[" * 100_000, 400),
    (b'{"a":' * 50_000, 400),
    (b"9" * 10_000, 400),
    (b"[]", 422),
    (b"null", 422),
    (b'"text"', 422),
    (b"1", 422),
    (b"{}", 422),
]


@pytest.mark.parametrize(("body", "status"), BODIES)
def test_bodies_that_are_no_object(body: bytes, status: int, api: Caller) -> None:
    assert api.send("POST", "/clients", body=body).status_code == status


VALUES: list[tuple[str, Any]] = [
    ("name", "a\x00b"), ("name", ""), ("name", "   "), ("name", None), ("name", []), ("name", {"a": 1}),
    ("name", "x" * 201), ("name", "\ud800"), ("code", "x" * 61), ("quota_bytes", 0), ("quota_bytes", -5),
    ("quota_bytes", 2**63),
    ("quota_bytes", "many"), ("quota_bytes", 1.5), ("timezone", "Mars/Olympus"), ("timezone", "../../etc/passwd"),
    ("timezone", "a\x00b"), ("timezone", "x" * 65), ("state", "gone"), ("state", ["active"]), ("reseller", "abc"),
    ("reseller", "00000000-0000-4000-8000-000000000000"), ("tickets_enabled", "perhaps"), ("surprise", 1),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), VALUES)
def test_values_that_cannot_be_accepted(field: str, value: Any, api: Caller) -> None:
    answer = api.post("/clients", {"name": "New", "code": "new"} | {field: value})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert api.get("/clients?code=new").json()["items"] == []


def test_a_body_above_the_limit_is_not_read(api: Caller) -> None:
    body = json.dumps({"name": "New", "code": "new", "notes": "x" * MAX_JSON_BYTES}).encode()
    assert api.send("POST", "/clients", body=body).status_code == 413


def test_a_length_that_is_no_number(api: Caller) -> None:
    assert api.send("POST", "/clients", body=b"{}", headers={"Content-Length": "-1"}).status_code == 413


def test_a_body_of_another_kind(api: Caller) -> None:
    answer = api.send("POST", "/clients", body=b"name=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 415


def test_an_answer_of_another_kind(api: Caller) -> None:
    assert api.get("/clients", headers={"Accept": "text/html"}).status_code == 406


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/clients"), ("PUT", "/me"), ("POST", "/invoices")])
def test_methods_that_are_not_there(method: str, path: str, api: Caller) -> None:
    answer = api.send(method, path, body={})
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_what_nobody_foresaw_is_logged_and_told_without_a_word_about_the_inside(
    api: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **values: Any) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("msp.api.queries.clients", fail)
    answer = api.get("/clients")
    assert answer.status_code == 500
    assert b"secret" not in answer.content
    assert "GET /api/v1/clients" in caplog.text


ERRORS: list[tuple[Exception, int]] = [
    (exceptions.Throttled(wait=7), 429),
    (RequestDataTooBig("x"), 413),
    (BadParams("grace_minutes", "Grace must be from 0."), 422),
    (BadConfig("url", "This is no address."), 422),
    (BadConfig("", "Together they make no sense."), 422),
    (BadSchedule("That never comes."), 422),
    (Refused("It is final already."), 409),
    (NotFound("There is no such invoice."), 404),
    (DataError("out of range"), 422),
    (OperationalError("deadlock detected"), 503),
]


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_errors_of_the_domain_have_one_place(error: Exception, status: int) -> None:
    answer = answer_problem(error, {})
    assert answer.status_code == answer.data["status"] == status
    assert answer.content_type == "application/problem+json"
    if status == 429:
        assert answer.headers["Retry-After"] == "7"
    if isinstance(error, BadParams):
        assert answer.data["errors"] == {"grace_minutes": ["Grace must be from 0."]}
