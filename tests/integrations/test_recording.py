"""What is kept of a call: readable, short, harmless to store, and never a secret, however the other side writes it."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, urlencode

import pytest

from integrations import http
from integrations.errors import DeliveryFailure
from integrations.recording import MOST_FIRST, MOST_LAST, MOST_TEXT, Exchange, Recorder
from integrations.redacting import redact, redact_address, redact_named
from tests.doubles.http_server import DROPPED, Request, Response, RunningServer

SECRET = "pä/ss+w&rd <x> \"q\" 'z' 100%"
PLAIN = "zd-s3cret-token"


def inside(text: str) -> str:
    return json.dumps({"outer": json.dumps({"inner": text})})


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a path": lambda text: quote(text, safe=""),
    "in a path, slashes left": quote,
    "in a form": quote_plus,
    "percent signs in small letters": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text)),
    "every byte encoded": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON that is careful about HTML": lambda text: json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e")
    .replace("&", "\\u0026").replace("'", "\\u0027"),
    "JSON, every letter escaped": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "JSON in JSON": inside,
    "HTML": html.escape,
    "HTML, as Django has it": lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    "hexadecimal": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "read in the wrong charset": lambda text: text.encode().decode("latin-1"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [SECRET, PLAIN])
def test_a_secret_is_found_in_every_form(form: str, secret: str) -> None:
    written = FORMS[form](secret)
    told = redact(f"before {written} after", (secret,))
    assert told.startswith("before ")
    assert told.endswith(" after")
    assert written.strip('"') not in told
    assert "…" in told


@pytest.mark.parametrize("user", ["a", "ab", "abc", "robot@msp.example/token", "ü"])
@pytest.mark.parametrize("secret", [SECRET, PLAIN])
def test_a_secret_is_found_inside_basic_credentials(user: str, secret: str) -> None:
    credentials = base64.b64encode(f"{user}:{secret}".encode()).decode()
    told = redact(f"you sent Basic {credentials}!", (secret,))
    assert len(told) < 40 + len(user) * 4 / 3, told
    left = told.removeprefix("you sent Basic ").removesuffix("!").replace("…", "")
    assert secret not in base64.b64decode(left + "=" * (-len(left) % 4)).decode("latin-1")


def test_the_token_in_a_header_is_found_without_its_scheme() -> None:
    assert redact('{"token": "abcdef123456"}', ("Bearer abcdef123456",)) == '{"token": "…"}'
    assert PLAIN not in redact(PLAIN, (f"Basic {base64.b64encode(f'u:{PLAIN}'.encode()).decode()}",))


@pytest.mark.parametrize(
    "text",
    [
        '{"access_token": "HIDE", "expires_in": 3600}',
        '{"access_token":"HI\\"HIDE"}',
        '{"refreshToken" : "HIDE',
        '{"body": "{\\"session_token\\": \\"HIDE\\"}"}',
        "grant_type=password&password=HIDE&scope=all",
        "<soap><sessionToken>HIDE</sessionToken></soap>",
        '<input type="hidden" name="csrfmiddlewaretoken" value="HIDE">',
        "Host: desk.example\nX-Api-Key: HIDE\nAccept: */*",
        "Set-Cookie: sid=HIDE; Path=/",
        "you sent Bearer HIDEHIDE.HIDE",
    ],
)
def test_what_is_named_like_a_secret_is_hidden(text: str) -> None:
    told = redact_named(text)
    assert "HIDE" not in told
    assert "…" in told


def test_ordinary_words_stay() -> None:
    text = '{"subject": "Backup of tokens.db failed", "status": 4, "id": "77", "basic": "yes", "keyboard": "de"}'
    assert redact_named(text) == text
    assert redact_address("https://desk.example/t?query=ref:BL-1&page=2", (PLAIN,)).endswith("?query=ref:BL-1&page=2")
    assert redact_address("https://desk.example/t?code=abc&q=1", ()) == "https://desk.example/t?code=…&q=1"


# --- recording --------------------------------------------------------------------------------------------------------


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], Response]], str]]:
    running: list[RunningServer] = []

    def start(answer: Callable[[Request], Response]) -> str:
        running.append(RunningServer(answer).__enter__())
        return running[-1].url

    yield start
    for server in running:
        server.__exit__(None, None, None)


Serve = Callable[[Callable[[Request], Response]], str]


def record_of(url: str, **options: object) -> tuple[Exchange, ...]:
    """One request to this address, with a secret in path, query, headers and body, as it was recorded."""
    record = Recorder()
    settings: dict[str, object] = {
        "headers": {"Authorization": f"Bearer {PLAIN}", "Cookie": f"sid={PLAIN}", "X-Key": PLAIN, "Accept": "text/html",
                    "Content-Type": "application/json"},
        "body": json.dumps({"key": SECRET, "what": "disk full"}).encode(), "deadline_seconds": 5.0,
        "allow_private": True, "secrets": (SECRET, PLAIN), "record": record,
    } | options  # fmt: skip
    reason = ""
    try:
        http.call("POST", f"{url}/x/{PLAIN}?{urlencode({'q': SECRET, 'page': '2'})}", **settings)  # type: ignore[arg-type]
    except DeliveryFailure as failure:
        reason = failure.reason
    assert "-s3cret" not in reason
    return record.exchanges()


def assert_no_secret(exchange: Exchange) -> None:
    told = json.dumps([str(value) for value in vars(exchange).values()], ensure_ascii=False)
    for secret in (SECRET, PLAIN):
        for name, form in FORMS.items():
            assert form(secret).strip('"') not in told, name
    assert "\0" not in told


def test_an_exchange_is_kept_as_people_may_see_it(serve: Serve) -> None:
    def echo(request: Request) -> Response:
        told = {"headers": dict(request.headers), "target": request.target, "body": request.body.decode()}
        return Response(
            201, json.dumps(told).encode(), {"Set-Cookie": f"sid={PLAIN}", "Content-Type": "application/json"}
        )

    (kept,) = record_of(serve(echo))
    assert (kept.method, kept.status, kept.failure) == ("POST", 201, "")
    assert kept.address.endswith("page=2")
    assert "disk full" in kept.request
    assert "disk full" in kept.answer
    assert kept.request_headers == {"accept": "text/html", "content-type": "application/json"}
    assert "set-cookie" not in kept.answer_headers
    assert kept.answer_headers["content-type"] == "application/json"
    assert_no_secret(kept)


def test_a_token_is_hidden_in_the_answer_that_first_told_it() -> None:
    record = Recorder()
    record.note("POST", "https://desk.example/login", began=time.monotonic(), headers={}, body=b"", status=200,
                answer=b'{"value": "fresh-session-1"}')  # fmt: skip
    record.hide("fresh-session-1")
    assert record.exchanges()[0].answer == '{"value": "…"}'


@pytest.mark.parametrize(
    ("body", "headers", "shown"),
    [
        (b"<html><h1>Sign in</h1><script>x()</script>", {"Content-Type": "text/html"}, "<html><h1>Sign in</h1>"),
        (b"\x89PNG\r\n\x1a\n\0\0" + PLAIN.encode(), {"Content-Type": "image/png"}, "bytes that are no text)"),
        (PLAIN.encode("utf-16"), {}, "bytes that are no text)"),
        (PLAIN.encode(), {"Content-Encoding": "gzip"}, "bytes that are no text)"),
        (b"\xff\xfe broken " + SECRET.encode(), {}, "broken …"),
        (SECRET.encode("latin-1"), {}, "…"),
        (b"bell\x07 and escape\x1b[31m", {}, "bell\ufffd and escape\ufffd[31m"),
        (b"x" * 900_000, {}, "(900000 bytes in all)"),
        (b"x" * 63_995 + PLAIN.encode() * 9, {}, "bytes in all)"),
        (PLAIN.encode() * 20_000, {}, "bytes in all)"),
        (b"x" * (MOST_TEXT - 5) + PLAIN.encode(), {}, "xxx"),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_whatever_is_answered_is_stored_harmlessly(
    serve: Serve, body: bytes, headers: dict[str, str], shown: str, status: int
) -> None:
    (kept,) = record_of(serve(lambda _: Response(status, body, headers)))
    assert (kept.status, shown in kept.answer) == (status, True)
    assert len(kept.answer) <= MOST_TEXT + 100
    assert_no_secret(kept)
    assert "-s3cret" not in kept.answer, "not even the half of one that a cut left over"


def test_without_an_answer_the_reason_is_kept(serve: Serve) -> None:
    (dropped,) = record_of(serve(lambda _: DROPPED))
    (slow,) = record_of(serve(lambda _: Response(200, b"slow" * 50, seconds_per_byte=0.1)), deadline_seconds=0.5)
    (huge,) = record_of(serve(lambda _: Response(200, b"x" * 10_000_000)))
    (private,) = record_of("http://127.0.0.1:9", allow_private=False)
    (moved,) = record_of(serve(lambda _: Response(302, b"", {"Location": f"http://10.0.0.1/?token={PLAIN}"})))
    assert [one.status for one in (dropped, slow, huge, private, moved)] == [None, None, None, None, 302]
    assert "closed the connection" in dropped.failure
    assert "did not answer in time" in slow.failure
    assert "more than 1000000 bytes" in huge.failure
    assert "127.0.0.1" in private.failure
    assert moved.answer_headers["location"] == "http://10.0.0.1/?token=…"
    for one in (dropped, slow, huge, private, moved):
        assert_no_secret(one)


def test_of_very_many_exchanges_the_first_and_the_last_are_kept() -> None:
    record = Recorder()
    for number in range(100):
        record.note("GET", f"https://desk.example/{number}", began=time.monotonic(), headers={}, body=b"", status=200)
    kept = [exchange.address.rpartition("/")[2] for exchange in record.exchanges()]
    assert kept == [str(number) for number in (*range(MOST_FIRST), *range(100 - MOST_LAST, 100))]
    assert record.left_out == 100 - MOST_FIRST - MOST_LAST
