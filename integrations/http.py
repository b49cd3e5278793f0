"""The only door through which HTTP leaves: every gateway calls other systems by ``call`` or ``exchange``.

A call dials an address that was checked (``integrations.addresses``), never follows a redirect, ends at a total
deadline even against a peer that sends one byte at a time, and reads no more than it was told. Proxies from the
environment are not used. What failed, and whether the other side may have acted, is told by ``integrations.errors``.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.parse import urljoin, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, SSLError
from urllib3.response import BaseHTTPResponse

from integrations import redacting
from integrations.addresses import Address, resolve
from integrations.connecting import CutOff, any_signer, tls_context, what_happened
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.recording import Recorder

MAX_ANSWER_BYTES = 1_000_000
MAX_EXCERPT = 200  # characters of an answer that are quoted in a failure
READ_ONLY = frozenset({"GET", "HEAD", "OPTIONS"})

_METHOD = re.compile(r"[A-Z]{3,10}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_CHUNK_BYTES = 16_384
_EXCERPT_BYTES = 8_000
OTHER_CERTIFICATE = "showed another certificate than the one whose fingerprint is set"


@dataclass(frozen=True)
class Answer:
    """A whole answer. Header names are in lower case; of repeated headers the last counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Target:
    host: str
    port: int
    tls: bool
    path: str
    fingerprint: str = ""


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    deadline_seconds: float,
    allow_private: bool = False,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
    secrets: tuple[str, ...] = (),
    record: Recorder | None = None,
) -> Answer:
    """One request whose answer was a success (2xx); anything else is raised as the failure it means.

    429 and 503 are temporary and carry Retry-After. Another 5xx to a write leaves the outcome unknown, because a server
    or a proxy before it may fail after the work was done; to a read it is temporary. A redirect and any other 4xx are
    permanent, the latter with a short excerpt of the answer; 408 and 425 are temporary. ``secrets`` stand in no text.
    """
    if record is not None:
        record.hide(*secrets)
    answer = exchange(
        method,
        url,
        headers=headers,
        body=body,
        deadline_seconds=deadline_seconds,
        allow_private=allow_private,
        max_answer_bytes=max_answer_bytes,
        record=record,
    )
    if 200 <= answer.status < 300:
        return answer
    raise failure_of(answer, method=method, url=url, secrets=secrets)


def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    deadline_seconds: float,
    allow_private: bool = False,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
    fingerprint: str = "",
    record: Recorder | None = None,
) -> Answer:
    """One request and its answer whatever the status; raises only when there is no usable answer.

    Before anything was sent a failure is temporary (or permanent, for a URL that may not be called). Afterwards the
    outcome of a write is unknown; a read can be repeated, so its failure is temporary. ``fingerprint`` (SHA-256, 64
    hexadecimal digits) names the one certificate that is trusted, whoever signed it. ``record`` takes note of both.
    """
    target = replace(_parse_target(url), fingerprint=fingerprint)
    _refuse_bad_request(method, headers or {})
    note = partial(
        (record or Recorder()).note, method, url, began=time.monotonic(), headers=headers or {}, body=body or b""
    )
    try:
        answer = _exchange(target, method, headers or {}, body, deadline_seconds, allow_private, max_answer_bytes)
    except DeliveryFailure as failure:
        note(failure=failure.reason)
        raise
    note(status=answer.status, answer_headers=answer.headers, answer=answer.body)
    return answer


def _exchange(
    target: _Target,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline_seconds: float,
    allow_private: bool,
    max_answer_bytes: int,
) -> Answer:
    cut_off = CutOff(time.monotonic() + deadline_seconds)
    addresses = resolve(target.host, target.port, allow_private=allow_private, deadline_seconds=deadline_seconds)
    with _connected(target, addresses, cut_off=cut_off) as connection:
        try:
            answer = _send_and_read(connection, target, method, headers, body, max_answer_bytes)
            if cut_off.passed():
                raise TimeoutError  # an answer without a length that was cut would look whole
        except (OSError, HTTPError, HTTPException) as error:
            reason = f"{target.host} {what_happened(error, cut_off)} after the request was sent."
            raise lost_answer(method, reason) from None
    return answer


def lost_answer(method: str, reason: str) -> DeliveryFailure:
    """The failure for an answer that never came or is of no use: a read may be repeated, a write may have worked."""
    return TemporaryFailure(reason) if method in READ_ONLY else OutcomeUnknown(reason)


def failure_of(answer: Answer, *, method: str, url: str, secrets: tuple[str, ...] = ()) -> DeliveryFailure:
    """What an answer other than 2xx means for the call; see ``call`` for the rules."""
    host = urlsplit(url).hostname or ""
    told = f"{host} answered {answer.status}"
    if 300 <= answer.status < 400:
        place = urlsplit(urljoin(url, answer.headers.get("location", ""))).hostname or "nowhere"
        return PermanentFailure(
            redact(f"{told}: a redirect to {place}, which is not followed. Correct the URL.", secrets)
        )
    if answer.status in (408, 425, 429, 503):
        return TemporaryFailure(f"{told}: it asks to come back later.", retry_after=retry_after_of(answer.headers))
    reason = f"{told}: {_excerpt(answer, secrets)}"
    if answer.status >= 500:
        return lost_answer(method, reason)
    if answer.status in (404, 410):
        return NotThere(reason)
    return PermanentFailure(reason)


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header; a date is taken relative to the answer's own Date, so no clock is read."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until, sent = _date_of(value), _date_of(headers.get("date", ""))
    if until is None or sent is None:
        return None
    return max(0.0, (until - sent).total_seconds())


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """``text`` with every form of every secret replaced by ``***``."""
    return redacting.redact(text, secrets, mark="***")


def _parse_target(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise PermanentFailure("The URL cannot be read.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PermanentFailure("Only http and https URLs with a host can be called.")
    if parts.username is not None or parts.password is not None:
        raise PermanentFailure("A URL must not carry a user name or password; use the fields for credentials.")
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise PermanentFailure("The URL contains a space, control character or letter that must be encoded.")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(host=parts.hostname, port=port or (443 if tls else 80), tls=tls, path=path)


def _refuse_bad_request(method: str, headers: Mapping[str, str]) -> None:
    if not _METHOD.fullmatch(method):
        raise PermanentFailure("The HTTP method must be capital letters, such as POST.")
    for name, value in headers.items():
        if name.lower() in _OURS:
            raise PermanentFailure(f"The header {name} is set by the connection itself and cannot be given.")
        if not _HEADER_NAME.fullmatch(name):
            raise PermanentFailure("A header's name contains a character that is not allowed.")
        if not value.isascii() or any(character < " " or character == "\x7f" for character in value):
            raise PermanentFailure(f"The value of the header {name} contains a character that is not allowed.")


@contextmanager
def _connected(target: _Target, addresses: tuple[Address, ...], *, cut_off: CutOff) -> Iterator[_Connection]:
    """A connection to the first address that answers, cut off at the deadline whatever the peer does."""
    connection = _connect(target, addresses, cut_off=cut_off)
    try:
        yield connection
    finally:
        cut_off.stop()
        connection.close()


def _connect(target: _Target, addresses: tuple[Address, ...], *, cut_off: CutOff) -> _Connection:
    error: Exception = TimeoutError()
    for index, address in enumerate(addresses):
        share = cut_off.remaining() / (len(addresses) - index)
        connection = _new_connection(target, partial(cut_off.dial, address, seconds=share), cut_off=cut_off)
        try:
            connection.connect()
        except (OSError, HTTPError) as refused:
            cut_off.stop()
            connection.close()
            error = refused
        else:
            return connection
    happened = OTHER_CERTIFICATE if isinstance(error, SSLError) else what_happened(error, cut_off)
    raise TemporaryFailure(f"{target.host} {happened} before anything was sent.")


def _new_connection(target: _Target, dial: Callable[[], socket.socket], *, cut_off: CutOff) -> _Connection:
    if target.tls and target.fingerprint:
        options: dict[str, Any] = {"ssl_context": any_signer(), "assert_fingerprint": target.fingerprint}
        return _PinnedHTTPSConnection(target, dial, timeout=cut_off.remaining(), **options)
    if target.tls:
        return _PinnedHTTPSConnection(target, dial, timeout=cut_off.remaining(), ssl_context=tls_context())
    return _PinnedHTTPConnection(target, dial, timeout=cut_off.remaining())


class _PinnedHTTPConnection(HTTPConnection):
    """Speaks to the host by its name but dials only the address that was checked."""

    def __init__(self, target: _Target, dial: Callable[[], socket.socket], **options: Any) -> None:
        super().__init__(target.host, target.port, **options)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial()


class _PinnedHTTPSConnection(HTTPSConnection):
    """The same over TLS: SNI and the certificate check use the name."""

    def __init__(self, target: _Target, dial: Callable[[], socket.socket], **options: Any) -> None:
        super().__init__(target.host, target.port, **options)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial()


_Connection = _PinnedHTTPConnection | _PinnedHTTPSConnection


def _send_and_read(
    connection: _Connection,
    target: _Target,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    max_answer_bytes: int,
) -> Answer:
    # "identity": what is read is what counts against the cap; a compressed bomb is never opened.
    sent = {"User-Agent": "Backledger", "Accept-Encoding": "identity", **headers, "Connection": "close"}
    connection.request(method, target.path, body=body, headers=sent, preload_content=False, decode_content=False)
    response = connection.getresponse()
    try:
        content = _read_at_most(response, max_answer_bytes, method=method, host=target.host)
    finally:
        response.close()  # it owns the socket once the connection is to be closed after it
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)


def _read_at_most(response: BaseHTTPResponse, limit: int, *, method: str, host: str) -> bytes:
    content = bytearray()
    while chunk := response.read(_CHUNK_BYTES, decode_content=False):
        content += chunk
        if len(content) > limit:
            raise lost_answer(method, f"{host} answered with more than {limit} bytes; the answer was not read.")
    return bytes(content)


def _excerpt(answer: Answer, secrets: tuple[str, ...]) -> str:
    """The beginning of an answer. Secrets go before anything is cut, as half of one would not be found."""
    is_cut = len(answer.body) > _EXCERPT_BYTES
    raw = redacting.text_of(answer.body[:_EXCERPT_BYTES], is_cut=is_cut)
    text = redacting.redact_named(redact(raw, secrets))
    if is_cut:
        text = text[: max(0, len(text) - redacting.margin_of(secrets))]
    if "html" in answer.headers.get("content-type", ""):
        text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    nothing = "(an answer without words)" if answer.body.strip() else "(an empty answer)"
    return redact(text, secrets)[:MAX_EXCERPT] or nothing


def _date_of(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
