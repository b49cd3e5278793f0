"""Reads a posted log: key, parameters, envelope, delivery id. Called by the door once the body is in.

Pure over the request; whatever cannot be used is a ``Refusal`` with the HTTP status and a sentence. In doubt a log is
taken: an unknown zone or format loses nothing, it is shown with the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import orjson

from integrations.logs.bytes_to_text import clean
from integrations.logs.delivery import BadEnvelope, from_envelope
from msp.ingest.storing import Incoming, Parcel, bare_delivery_id

ENVELOPE_TYPE = "application/vnd.backledger.envelope+json"
PARAMETERS = ("format", "job", "host", "timezone", "command", "exit_code")
OTHER_PARAMETERS = ("key", "envelope")
YES = ("1", "true", "yes")
LONGEST_VALUE = 1000
LONGEST_COMMAND = 32 * 1024
LONGEST_GIVEN_ID = 120
#: Headers that are read. Others are not looked at, so that they cannot make one delivery two.
HEADERS = frozenset(
    {
        "authorization", "x-api-key", "content-type", "content-encoding", "content-length", "idempotency-key",
    }
)  # fmt: skip


class Refusal(Exception):
    """A request, or a line of one, that is not taken: an HTTP status and a sentence for the sender."""

    def __init__(
        self, status: int, detail: str, *, name: str = "", field: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.name = name
        self.field = field
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Request:
    """What is needed of an HTTP request; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


@dataclass(frozen=True)
class Posting:
    """Who posts, when, and by which door."""

    tenant_id: int
    server_id: int | None
    door: str
    received_at: datetime


@dataclass(frozen=True)
class Lines:
    """A batch as read: the deliveries to store, and by line number (from 0) what each becomes."""

    parcel: Parcel
    numbers: tuple[int, ...]
    refused: Mapping[int, Refusal] = field(default_factory=dict)


def read_request(scope: Mapping[str, Any]) -> Request:
    """Raises Refusal for an unknown parameter: most often a misspelling, which would change the meaning in silence."""
    headers: dict[str, str] = {}
    for raw_name, value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in HEADERS and name not in headers:
            headers[name] = value.decode("utf-8", "replace")
    raw = scope.get("query_string", b"")
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="replace") if raw else []
    return Request(scope["path"].rstrip("/"), headers, dict(pairs))


def presented_key(request: Request) -> str:
    """The key, from Authorization: Bearer, X-Api-Key, or (for senders that cannot set headers) ?key=."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-api-key", "").strip() or request.query.get("key", "").strip()


# --- one log -----------------------------------------------------------------------------------------------------


def read_single(request: Request, body: bytes, *, posting: Posting) -> Parcel:
    """The log of POST /logs: the body as is, or our envelope. Raises Refusal."""
    refuse_unknown_parameters(request)
    if not body:
        raise Refusal(400, "The body is empty: post the log itself; of a silent tool, an envelope with its exit code.")
    told = read_parameters(request)
    run_id = envelope_run_id(request, body)
    if run_id is None:
        meta = {**told, "content_type": clean(request.headers.get("content-type", ""), LONGEST_VALUE)}
    else:
        meta = {**told, "envelope": True}
    named = name_delivery(
        given_id(request), run_id or "", body, meta, server_id=posting.server_id, received_at=posting.received_at
    )
    one = Incoming(posting.door, named, body, posting.received_at, posting.server_id, meta)
    return Parcel(posting.tenant_id, body, (one,), (0,))


def envelope_run_id(request: Request, body: bytes) -> str | None:
    """The run id of an envelope ("" if it names none), None for a body that is the log itself.

    Plain JSON is an envelope if it can be read as one: many tools log JSON, so anything else is their log.
    """
    if request.content_type == ENVELOPE_TYPE or request.query.get("envelope", "").lower() in YES:
        return checked_envelope(body)
    if request.content_type == "application/json":
        try:
            return checked_envelope(body)
        except Refusal:
            return None
    return None


def checked_envelope(body: bytes) -> str:
    """The run id of an envelope, "" if it has none. Raises Refusal for one that cannot be used."""
    try:
        return from_envelope(orjson.loads(body)).run_id
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"The envelope is not JSON: {error}.", name="envelope") from error
    except BadEnvelope as error:
        sentence = f"The envelope cannot be used: {error.field} {error.reason}"
        raise Refusal(400, clean(sentence, 2000), name="envelope", field=clean(error.field, 200)) from error


def read_parameters(request: Request) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in PARAMETERS:
        value = clean(request.query.get(name, ""), LONGEST_COMMAND if name == "command" else LONGEST_VALUE).strip()
        if value:
            told[name] = value
    if "exit_code" in told:
        told["exit_code"] = checked_exit_code(told["exit_code"])
    return told


def refuse_unknown_parameters(request: Request) -> None:
    for name in request.query:
        if name not in PARAMETERS and name not in OTHER_PARAMETERS:
            known = ", ".join((*PARAMETERS, *OTHER_PARAMETERS))
            raise Refusal(400, f"The parameter {clean(name, 80)} is not known; known are {known}.", name="query")


def checked_exit_code(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or abs(int(text)) >= 2**31:
        raise Refusal(400, "exit_code must be a whole number, such as 0 or 23.", name="query", field="exit_code")
    return int(text)


# --- many logs ---------------------------------------------------------------------------------------------------


def read_lines(request: Request, body: bytes, *, most_lines: int, posting: Posting) -> Lines:
    """The logs of POST /logs/batch: one envelope a line; a bad line fails alone. Raises Refusal for the whole."""
    found = [(number, start, line) for number, start, line in split_lines(body) if line.strip()]
    if not found:
        raise Refusal(400, "The body is empty: send one envelope a line.")
    if len(found) > most_lines:
        raise Refusal(413, f"A batch has at most {most_lines:,} lines; this one has {len(found):,}.", name="too-large")
    given, seen = given_id(request), dict[bytes, int]()
    incoming, offsets, numbers, refused = [], [], [], {}
    for number, start, line in found:
        try:
            run_id = checked_envelope(line)
        except Refusal as refusal:
            refused[number] = refusal
            continue
        # Equal lines of one request are different logs: a night's silent log may be like the one before it.
        seen[line] = nth = seen.get(line, -1) + 1
        incoming.append(line_delivery(line, run_id, given=given, number=number, nth=nth, posting=posting))
        offsets.append(start)
        numbers.append(number)
    return Lines(Parcel(posting.tenant_id, body, tuple(incoming), tuple(offsets)), tuple(numbers), refused)


def split_lines(body: bytes) -> list[tuple[int, int, bytes]]:
    """(number from 0, offset, line without its end)."""
    lines, start = [], 0
    for number, line in enumerate(body.split(b"\n")):
        lines.append((number, start, line))
        start += len(line) + 1
    return lines


def line_delivery(line: bytes, run_id: str, *, given: str, number: int, nth: int, posting: Posting) -> Incoming:
    """One line as a delivery. Lines arrive in their order: a microsecond apart, so that it outlives sorting."""
    at, meta = posting.received_at, {"envelope": True}
    if given and not run_id:
        named = name_delivery(f"{given}/{number}", "", line, meta, server_id=posting.server_id, received_at=at)
    else:
        told = {**meta, "nth": nth}
        named = name_delivery("", run_id, line, told, server_id=posting.server_id, received_at=at)
    arrived = at + timedelta(microseconds=number)
    return Incoming(posting.door, named, line, arrived, posting.server_id, meta)


# --- what makes a repeat -----------------------------------------------------------------------------------------


def given_id(request: Request) -> str:
    """The sender's Idempotency-Key, "" for none. Raises Refusal."""
    given = request.headers.get("idempotency-key", "").strip()
    if len(given) > LONGEST_GIVEN_ID or not given.isprintable():
        raise Refusal(400, f"Idempotency-Key must be at most {LONGEST_GIVEN_ID} printable characters.", name="header")
    return given


def name_delivery(
    given: str, run_id: str, body: bytes, told: Mapping[str, Any], *, server_id: int | None, received_at: datetime
) -> str:
    """The sender's own id, else the wrapper's run id, else the bytes, what was said and a five-minute bucket.

    Each begins with the server, so that two servers which count their runs alike do not meet.
    """
    if given:
        return f"{server_id}:key:{given}"
    if run_id:
        return f"{server_id}:run:{clean(run_id, LONGEST_GIVEN_ID)}"
    return f"{server_id}:{bare_delivery_id(body, told, received_at=received_at)}"
