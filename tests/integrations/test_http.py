"""The HTTP door: where it goes, when it gives up, and what it says of a failure."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrations import addresses, http
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from tests.doubles.http_server import DROPPED, Request, Response, RunningServer
from tests.doubles.raw_server import RawServer, certificate_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Serve = Callable[[Response], str]


@pytest.fixture
def requests() -> list[Request]:
    return []


@pytest.fixture
def serve(requests: list[Request]) -> Iterator[Serve]:
    """Starts a server that gives one answer to everything; answers its URL."""
    running: list[RunningServer] = []

    def start(response: Response) -> str:
        def answer(request: Request) -> Response:
            requests.append(request)
            return response

        running.append(RunningServer(answer).__enter__())
        return running[-1].url

    yield start
    for server in running:
        server.__exit__(None, None, None)


def post(url: str, **options: object) -> http.Answer:
    settings: dict[str, object] = {"body": b"{}", "deadline_seconds": 5.0, "allow_private": True} | options
    return http.call("POST", url, **settings)  # type: ignore[arg-type]


def test_a_request_goes_out_as_given_and_its_answer_comes_back(serve: Serve, requests: list[Request]) -> None:
    url = serve(Response(201, b'{"id": 7}', {"X-Thing": "yes"}))
    answer = post(f"{url}/a?b=c", headers={"X-Key": "v"}, body=b'{"n": 1}')
    assert (answer.status, answer.body, answer.headers["x-thing"]) == (201, b'{"id": 7}', "yes")
    (request,) = requests
    assert (request.method, request.target, request.body) == ("POST", "/a?b=c", b'{"n": 1}')
    assert request.headers["x-key"] == "v"
    assert request.headers["host"] == url.removeprefix("http://")
    assert request.headers["content-length"] == "8"


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1", "::ffff:10.0.0.1",
        "64:ff9b::a00:1", "2002:a00:1::", "192.0.2.1", "240.0.0.1", "169.254.169.254", "0.0.0.0",
        "203.0.113.9", "224.0.0.1", "fe80::1%eth0",
    ],
)  # fmt: skip
def test_the_own_network_is_out_of_reach_for_everyone(ip: str) -> None:
    assert not addresses.may_dial(ip, allow_private=False)


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.1.2.3", "100.64.0.1", "::1", "fd12::1", "93.184.215.14", "2606:4700::1"]
)
def test_the_operator_can_permit_the_own_network(ip: str) -> None:
    assert addresses.may_dial(ip, allow_private=True)


@pytest.mark.parametrize(
    "ip",
    ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200",
     "224.0.0.1", "::", "0.0.0.0", "fe80::1"],
)  # fmt: skip
def test_metadata_services_are_out_of_reach_even_with_leave(ip: str) -> None:
    assert not addresses.may_dial(ip, allow_private=True)


@pytest.mark.parametrize("ip", ["93.184.215.14", "1.1.1.1", "2606:4700::1", "64:ff9b::101:101"])
def test_public_addresses_are_in_reach(ip: str) -> None:
    assert addresses.may_dial(ip, allow_private=False)


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "[::1]"])
def test_a_disguised_loopback_is_refused_and_not_connected_to(host: str, serve: Serve, requests: list[Request]) -> None:
    port = serve(Response()).rpartition(":")[2]
    with pytest.raises(PermanentFailure, match="must not be called"):
        post(f"http://{host}:{port}/", allow_private=False)
    assert requests == []


def test_a_name_is_resolved_once_and_the_checked_address_is_dialled(
    serve: Serve, requests: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its answer between check and use (rebinding) gains nothing: there is no second look-up."""
    url, asked = serve(Response()), []
    port = int(url.rpartition(":")[2])
    real = socket.getaddrinfo

    def first_good_then_bad(host: object, *rest: object, **more: object) -> object:
        if host == "desk.example":
            asked.append(host)
            return real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", port, type=socket.SOCK_STREAM)
        return real(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", first_good_then_bad)
    assert post(f"http://desk.example:{port}/").status == 200
    assert asked == ["desk.example"]
    assert requests[0].headers["host"] == f"desk.example:{port}"


def test_a_resolver_that_hangs_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (release.wait(20), [])[1])
    with pytest.raises(TemporaryFailure, match="could not be looked up in time"):
        post("http://desk.example/", deadline_seconds=0.1)
    release.set()


def test_a_name_that_does_not_exist_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*_: object, **__: object) -> object:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    with pytest.raises(TemporaryFailure, match="could not be looked up"):
        post("http://desk.example/")


@pytest.mark.parametrize(
    "url",
    ["ftp://desk.example/", "file:///etc/passwd", "http://", "http://user:pw@desk.example/", "http://desk.example/a b",
     "http://desk.example:99999/", "http://desk.example/\r\nX: y", "http://[::1", "//desk.example/", "http://dësk.example/"],
)  # fmt: skip
def test_a_url_that_may_not_be_called_is_permanent(url: str) -> None:
    with pytest.raises(PermanentFailure):
        post(url)


@pytest.mark.parametrize(
    "headers",
    [{"X": "a\r\nY: b"}, {"X\r\nY": "b"}, {"X": "ä"}, {"Host": "evil"}, {"content-length": "0"},
     {"Transfer-Encoding": "chunked"}],
)  # fmt: skip
def test_headers_cannot_smuggle(headers: dict[str, str], serve: Serve, requests: list[Request]) -> None:
    with pytest.raises(PermanentFailure):
        post(serve(Response()), headers=headers)
    assert requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_named_and_not_followed(status: int, serve: Serve, requests: list[Request]) -> None:
    with pytest.raises(PermanentFailure, match=r"169\.254\.169\.254, which is not followed"):
        post(serve(Response(status, b"", {"Location": "http://169.254.169.254/latest/"})))
    assert len(requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_come_back_later_carries_the_time(status: int, serve: Serve) -> None:
    with pytest.raises(TemporaryFailure) as caught:
        post(serve(Response(status, b"", {"Retry-After": "120"})))
    assert caught.value.retry_after == 120.0


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({"retry-after": "Sun, 22 Nov 2026 22:02:00 GMT", "date": "Sun, 22 Nov 2026 22:00:00 GMT"}, 120.0),
        ({"retry-after": "Sun, 22 Nov 2026 21:00:00 GMT", "date": "Sun, 22 Nov 2026 22:00:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 22:02:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_own_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert http.retry_after_of(headers) == seconds


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_server_error_is_unknown_for_a_write_and_temporary_for_a_read(status: int, serve: Serve) -> None:
    url = serve(Response(status, b"bad gateway"))
    with pytest.raises(OutcomeUnknown):
        post(url)
    with pytest.raises(TemporaryFailure):
        http.call("GET", url, deadline_seconds=5, allow_private=True)


def test_a_refusal_quotes_a_short_excerpt_without_markup(serve: Serve) -> None:
    page = b"<html><script>var a=1</script><h1>Queue</h1> cannot\x00 be blank" + b"!" * 5000
    with pytest.raises(PermanentFailure) as caught:
        post(serve(Response(422, page, {"Content-Type": "text/html"})))
    assert "422: Queue cannot be blank!" in caught.value.reason
    assert len(caught.value.reason) < 260
    assert "var a" not in caught.value.reason


def test_refused_before_sending_is_temporary() -> None:
    with pytest.raises(TemporaryFailure, match="refused the connection before anything was sent"):
        post("http://127.0.0.1:1/")


def test_an_answer_lost_after_sending_is_unknown_for_a_write_only(serve: Serve) -> None:
    url = serve(DROPPED)
    with pytest.raises(OutcomeUnknown, match="after the request was sent"):
        post(url)
    with pytest.raises(TemporaryFailure):
        http.call("GET", url, deadline_seconds=5, allow_private=True)


def test_a_cut_answer_is_not_taken_for_whole(serve: Serve) -> None:
    with pytest.raises(OutcomeUnknown):
        post(serve(Response(200, b'{"id": 1', {"Content-Length": "50"})))


def test_slow_bytes_end_at_the_total_deadline(serve: Serve) -> None:
    url = serve(Response(200, b"x" * 1000, seconds_per_byte=0.05))
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="did not answer in time"):
        post(url, deadline_seconds=0.4)
    assert time.monotonic() - started < 25  # all of it would take 50


def test_slow_bytes_without_a_length_are_not_taken_for_an_answer() -> None:
    """Cut at the deadline, an answer that ends with the connection would look whole."""
    with RawServer(b"HTTP/1.1 200 OK\r\n\r\n{}", hold=True) as port, pytest.raises(OutcomeUnknown, match="in time"):
        post(f"http://127.0.0.1:{port}/", deadline_seconds=0.3)


def test_slow_header_lines_end_at_the_deadline() -> None:
    with RawServer(b"HTTP/1.1 200 OK\r\nX-Slow: ", hold=True) as port, pytest.raises(OutcomeUnknown, match="in time"):
        post(f"http://127.0.0.1:{port}/", deadline_seconds=0.3)


def test_nonsense_instead_of_http_is_unknown() -> None:
    with RawServer(b"SSH-2.0-OpenSSH\r\n", hold=False) as port, pytest.raises(OutcomeUnknown):
        post(f"http://127.0.0.1:{port}/")


def test_a_tls_handshake_that_hangs_ends_at_the_deadline() -> None:
    with RawServer(b"", hold=True) as port, pytest.raises(TemporaryFailure, match="before anything was sent"):
        post(f"https://127.0.0.1:{port}/", deadline_seconds=0.3)


def test_an_answer_over_the_cap_is_not_read(serve: Serve) -> None:
    url = serve(Response(200, b"x" * 5000))
    with pytest.raises(OutcomeUnknown, match="more than 4999 bytes"):
        post(url, max_answer_bytes=4999)
    assert len(post(url, max_answer_bytes=5000).body) == 5000


def test_a_compressed_bomb_is_not_opened(serve: Serve, requests: list[Request]) -> None:
    packed = b"\x1f\x8b" + b"\0" * 100
    assert post(serve(Response(200, packed, {"Content-Encoding": "gzip"}))).body == packed
    assert requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "secret, text",
    [
        ("Bearer abcdef123", "you sent Bearer abcdef123"),
        ("Bearer abcdef123", "token abcdef123 is unknown"),
        ("a b&c/d?e", "GET /?k=a%20b%26c%2Fd%3Fe"),
        ("Basic cm9ib3Q6aHVudGVyMjI=", "robot:hunter22 is locked; hunter22"),
        ("hunter22", "cGFzc3dvcmQ= aHVudGVyMjI="),
    ],
)
def test_a_secret_is_redacted_in_every_form(secret: str, text: str) -> None:
    cleaned = http.redact(text, (secret,))
    assert "***" in cleaned
    assert not [part for part in ("abcdef123", "a%20b", "hunter22", "aHVudGVyMjI=") if part in cleaned]


def test_a_server_that_echoes_credentials_does_not_get_them_into_the_reason(serve: Serve) -> None:
    with pytest.raises(PermanentFailure) as caught:
        post(serve(Response(400, b"bad header: Token s3cret-value")), secrets=("Token s3cret-value",))
    assert "s3cret" not in caught.value.reason


def test_tls_checks_the_name_and_not_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pinned address is dialled, while SNI and certificate speak of the host."""
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, port, *__, **___: real("127.0.0.1", port, type=socket.SOCK_STREAM)
    )
    certificate, context = certificate_for("desk.example", tmp_path)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    with RawServer(OK, hold=False, context=context) as port:
        with pytest.raises(TemporaryFailure, match="certificate that is not trusted"):
            post(f"https://desk.example:{port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert post(f"https://desk.example:{port}/").body == b"ok"
        with pytest.raises(TemporaryFailure, match="certificate that is not trusted"):
            post(f"https://other.example:{port}/")
    assert names[:2] == ["desk.example", "desk.example"]
