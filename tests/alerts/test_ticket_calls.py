"""What was sent and received about a ticket is kept, whatever the other side answers, and a secret is kept nowhere.

The other side is a real HTTP server that answers with everything it was sent, in every form; then all text of all
tables is searched, and every record that was logged.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from alerts import looking, ticket_calls
from alerts.models import Destination, Ticket, TicketCall, TicketUpdate
from alerts.ticket_calls import MOST_OF_A_TICKET, forget_old
from msp import tasks
from msp.outbox import lanes
from msp.outbox.models import LaneAttempt
from msp.tenants.models import Tenant
from tests.alerts.post import Post
from tests.alerts.test_their_side import Desk, call
from tests.alerts.test_ticket_flow import FAILED, Play
from tests.channels.running_listener import RunningListener
from tests.doubles.desks.zendesk import Zendesk, bench
from tests.doubles.http_server import DROPPED, Request, Response, RunningServer
from tests.doubles.mailbox import PASSWORD, USER, Mailbox
from tests.doubles.raw_server import RawServer
from tests.integrations.tickets.configs import email_json, rest_json
from tests.world import START, make_world

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "s3cret/t0ken+välue&co"
USERNAME = "robot@msp.example"


@pytest.fixture
def play(transactional_db: None) -> Play:
    return Play(make_world())


@pytest.fixture
def desk(settings: Any) -> Iterator[Zendesk]:
    with ExitStack() as stack:
        made = bench(stack).desk
        assert isinstance(made, Zendesk)
        yield made


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def calls(play: Play, **wanted: Any) -> list[TicketCall]:
    return list(TicketCall.objects.of(play.world.tenant).filter(**wanted).order_by("id"))


def forms(secret: str) -> set[str]:
    """The secret as a server may give it back."""
    utf8 = secret.encode()
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        json.dumps(json.dumps(secret))[3:-3],
        html.escape(secret),
        base64.b64encode(utf8).decode(),
        base64.b64encode(f"{USERNAME}/token:{secret}".encode()).decode(),
        utf8.hex(),
        secret[: len(secret) // 2],
    }


def texts_of_all_tables() -> Iterator[tuple[str, str]]:
    """Every row of every table as one text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT row::text FROM {table} AS row")
            for (text,) in cursor.fetchall():
                yield table, text


def assert_kept_nowhere(secret: str, logged: pytest.LogCaptureFixture) -> None:
    wanted = forms(secret)
    for table, text in texts_of_all_tables():
        for form in wanted:
            assert form not in text, f"{table}: {text[:300]}"
    told = "\n".join(logging.Formatter().format(record) for record in logged.records)
    for form in wanted:
        assert form not in told


def echo(request: Request, status: int, *, kind: str = "application/json") -> Response:
    """Gives everything back: headers, address, body, and each form of the secret besides."""
    told = {"headers": dict(request.headers), "target": request.target, "body": request.body.decode(),
            "forms": sorted(forms(SECRET) - {SECRET[: len(SECRET) // 2]})}  # fmt: skip
    body = json.dumps(told, ensure_ascii=False).encode()
    return Response(status, body, {"Content-Type": kind, "X-Request-Id": f"r-{SECRET[:0]}1", "Set-Cookie": "sid=abc"})


HOSTILE: dict[str, Callable[[Request], Response]] = {
    "echo as success": lambda request: echo(request, 200),
    "echo as refusal": lambda request: echo(request, 403),
    "echo as failure": lambda request: echo(request, 500),
    "echo as HTML": lambda request: echo(request, 400, kind="text/html"),
    "HTML page": lambda _: Response(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"}),
    "10 MB": lambda _: Response(200, b'"' + b"x" * 10_000_000 + b'"'),
    "900 kB of the secret": lambda _: Response(500, SECRET.encode() * 40_000),
    "slow bytes": lambda _: Response(200, b"{" * 600, seconds_per_byte=0.1),
    "redirect to a private address": lambda _: Response(
        302, b"", {"Location": f"http://169.254.169.254/?token={quote(SECRET)}"}
    ),
    "dropped": lambda _: DROPPED,
    "NUL": lambda _: Response(400, b"a\0b" + SECRET.encode()),
    "NUL in JSON": lambda _: Response(422, b'{"error": "a\\u0000b"}'),
    "no UTF-8": lambda _: Response(400, b"\xff\xfe\xfa" + SECRET.encode()),
    "Latin-1": lambda _: Response(400, SECRET.encode("latin-1")),
    "packed": lambda _: Response(400, gzip.compress(SECRET.encode()), {"Content-Encoding": "gzip"}),
    "wild headers": lambda request: Response(
        429, b"", {"Retry-After": "soon", "Server": SECRET.encode().hex(), "X-RateLimit-Left": quote(SECRET)}
    ),
}


def rest_config(url: str) -> dict[str, object]:
    headers = {"X-Who": "Backledger"}
    return rest_json(url, authorization="", secret_header="X-Api-Key", secret_value=quote(SECRET), headers=headers)


def zendesk_config(url: str) -> dict[str, object]:
    return {"url": url, "email": USERNAME, "token": SECRET}


@pytest.mark.parametrize("answer", HOSTILE)
@pytest.mark.parametrize("gateway", ["rest", "zendesk"])
def test_a_hostile_answer_is_kept_and_holds_no_secret(
    gateway: str, answer: str, play: Play, everything_logged: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(lanes, "CALL_DEADLINE", timedelta(seconds=1))
    with RunningServer(HOSTILE[answer]) as server:
        config = rest_config(server.url) if gateway == "rest" else zendesk_config(server.url)
        play.destination(gateway, config)
        play.run("failure", **FAILED)
        for _ in range(2):
            play.deliver()
            play.wait(hours=1)
        Ticket.objects.of(play.world.tenant).update(confirmed_state="open", external_id="7", check_after=play.now)
        looking.look_due(now=lambda: play.now)
    kept = calls(play)
    assert {row.action for row in kept} >= {"create", "look"}
    assert all(row.verdict if row.status is None else row.status >= 200 for row in kept)
    assert all(row.address.startswith(server.url) for row in kept)
    assert "169.254.169.254" not in " ".join(row.address for row in kept), "a redirect is not followed"
    assert_kept_nowhere(SECRET, everything_logged)


def test_an_answer_that_breaks_off_half_way_is_kept(play: Play, everything_logged: pytest.LogCaptureFixture) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + SECRET.encode()
    with RawServer(half, hold=False) as port:
        play.destination("rest", rest_config(f"http://127.0.0.1:{port}"))
        play.run("failure", **FAILED)
        play.deliver()
    (kept,) = calls(play)
    assert (kept.status, "closed the connection" in kept.verdict) == (None, True)
    assert_kept_nowhere(SECRET, everything_logged)


def test_the_search_finds_what_is_there(play: Play, everything_logged: pytest.LogCaptureFixture) -> None:
    """Else the tests above would prove nothing."""
    logging.getLogger("alerts").info("nothing yet")
    assert_kept_nowhere(SECRET, everything_logged)
    Tenant.objects.filter(pk=play.world.tenant.pk).update(name=f"x {base64.b64encode(SECRET.encode()).decode()}")
    with pytest.raises(AssertionError):
        assert_kept_nowhere(SECRET, everything_logged)
    Tenant.objects.filter(pk=play.world.tenant.pk).update(name="x")
    logging.getLogger("alerts").warning("oops %s", SECRET)
    with pytest.raises(AssertionError):
        assert_kept_nowhere(SECRET, everything_logged)


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_a_tickets_life_is_kept_in_order(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    play.wait(hours=1)
    play.run("success")
    play.deliver()
    rows = calls(play, ticket=play.ticket())
    assert next(row.action for row in rows) == "create"
    assert rows[-1].action == "close"
    assert {row.direction for row in rows} == {"sent"}
    create = next(row for row in rows if row.method == "POST")
    assert create.status == 201
    assert create.address.startswith(at.desk.url)
    assert play.ticket().reference in create.request
    assert "authorization" not in create.request_headers
    assert create.request_headers["content-type"] == "application/json"
    assert create.took_ms is not None


def test_a_mail_is_kept_with_its_conversation(play: Play, everything_logged: pytest.LogCaptureFixture) -> None:
    with Mailbox(demand_login=True) as server:
        play.destination("email", email_json(server.port, username=USER, password=PASSWORD))
        play.run("failure", **FAILED)
        play.deliver()
        (sent,) = server.messages()
    (kept,) = calls(play)
    assert (kept.action, kept.method, kept.status) == ("create", "SMTP", 250)
    assert "disk full" in kept.request
    assert "> DATA" in kept.answer
    assert str(sent["Message-ID"]) in kept.request
    assert_kept_nowhere(PASSWORD, everything_logged)


def test_an_answer_by_mail_is_kept(transactional_db: None) -> None:
    with Mailbox() as mailbox, RunningListener() as listener:
        post = Post(mailbox, listener)
        post.answer("The disk is replaced.")
        sent, received = calls(post.play)
        assert (sent.direction, received.direction, received.action) == ("sent", "received", "mail")
        assert "Reply-To: …" in sent.request
        assert post.secret not in sent.request + sent.answer
        assert "The disk is replaced." in received.request
        assert "answer" in received.verdict


def test_of_looks_without_news_only_the_last_is_kept(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    at.look()
    at.look()
    once = len(calls(play, action="look", changed=False))
    for _ in range(3):
        at.look()
    assert len(calls(play, action="look", changed=False)) == once
    assert calls(play, action="look")[-1].tried_at == play.now
    desk.set_status_there(at.there.id, "pending")
    at.look()
    assert len(calls(play, action="look", changed=True)) >= 1
    news = {row.pk for row in calls(play, action="look", changed=True)}
    at.look()
    at.look()
    assert {row.pk for row in calls(play, action="look", changed=True)} == news
    assert len(calls(play, action="look", changed=False)) == once


def test_a_proven_callback_is_kept_with_its_ticket_and_a_forged_one_is_not(
    play: Play, desk: Zendesk, everything_logged: pytest.LogCaptureFixture
) -> None:
    at = Desk(play, desk)
    assert call(at).status_code == 202
    (kept,) = calls(play, direction="received")
    assert (kept.ticket_id, kept.action, kept.method, kept.status) == (play.ticket().pk, "callback", "POST", None)
    assert "Proven" in kept.verdict
    assert not any("signature" in name for name in kept.request_headers)
    assert at.there.id in kept.request
    assert call(at, **{"X-Zendesk-Webhook-Signature": "AAAA"}).status_code == 401
    assert len(calls(play, direction="received")) == 1
    assert_kept_nowhere("zd-s3cret-token", everything_logged)
    assert_kept_nowhere("zd-signing-s3cret", everything_logged)


def test_a_callback_for_another_tenants_destination_leaves_nothing_here(play: Play, desk: Zendesk) -> None:
    at = Desk(play, desk)
    theirs = Destination.objects.of(play.world.other).create(
        name="theirs", gateway="zendesk", config=at.row.config, created_at=START
    )
    at.row = theirs
    assert call(at).status_code == 202
    assert calls(play, direction="received") == []
    assert TicketCall.objects.of(play.world.other).count() == 0


# --- how long ---------------------------------------------------------------------------------------------------------


def test_what_is_old_goes_and_of_a_ticket_only_the_latest_stay(
    play: Play, desk: Zendesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Desk(play, desk)
    (first, *_) = calls(play)
    values = {name: getattr(first, name) for name in ("ticket_id", "direction", "action", "method")}
    TicketCall.objects.of(play.world.tenant).bulk_create(
        TicketCall(at=play.now, tried_at=play.now, **values) for _ in range(MOST_OF_A_TICKET + 30)
    )
    at.look()
    assert len(calls(play)) == MOST_OF_A_TICKET
    assert calls(play)[-1].action == "look"
    monkeypatch.setattr(ticket_calls, "CHUNK", 50)
    TicketCall.objects.of(play.world.tenant).filter(pk__in=[row.pk for row in calls(play)[:120]]).update(
        at=play.now - timedelta(days=91)
    )
    assert forget_old(days=90, now=play.now) == 120
    assert len(calls(play)) == MOST_OF_A_TICKET - 120


def test_the_task_forgets_by_the_setting(play: Play, desk: Zendesk, monkeypatch: pytest.MonkeyPatch) -> None:
    Desk(play, desk)
    monkeypatch.setattr(tasks, "clock", lambda: play.now + timedelta(days=89))
    tasks.judge_nights()
    assert calls(play)
    monkeypatch.setattr(tasks, "clock", lambda: play.now + timedelta(days=91))
    tasks.judge_nights()
    assert calls(play) == []


def test_a_secret_in_what_the_system_calls_a_status_is_not_told(
    play: Play, everything_logged: pytest.LogCaptureFixture
) -> None:
    """The words of a failure may be the other system's own."""
    changed = json.dumps({"ticket": {"id": 7, "status": SECRET}}).encode()
    with RunningServer(lambda request: Response(200, changed if request.method == "PUT" else b"{}")) as server:
        play.destination("zendesk", zendesk_config(server.url))
        play.run("failure", **FAILED)
        TicketUpdate.objects.of(play.world.tenant).create(
            ticket=play.ticket(), seq=2, at=play.now, kind="persists", incident_id=play.incident().pk, text="Again."
        )
        Ticket.objects.of(play.world.tenant).update(
            confirmed_state="closed", external_id="7", told_seq=1, last_seq=2, create_attempted_at=play.now
        )
        play.deliver()
    refused = LaneAttempt.objects.of(play.world.tenant).filter(action="reopen").get()
    assert "its status is '…'" in refused.detail
    assert_kept_nowhere(SECRET, everything_logged)
