"""Calls a ticket system's own JSON API: what the native gateways share, so that each of them reads like its manual.

All requests of one call share its deadline. What is returned has been decoded; an answer to a write that claims
success but is no JSON leaves the outcome unknown, to a read it is a failure. Nothing here knows any system.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from integrations import http
from integrations.configuration import BadConfig
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets.contract import Call, NewTicket

Query = Mapping[str, str | int] | tuple[tuple[str, str | int], ...]


class Api:
    """One system for the time of one call. ``headers`` carry the credentials; ``secrets`` stand in no text."""

    def __init__(self, base_url: str, *, call: Call, headers: Mapping[str, str], secrets: tuple[str, ...]) -> None:
        self.base_url = base_url.rstrip("/")
        self.host = urlsplit(base_url).hostname or ""
        self.call = call
        self.secrets = secrets
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._until = time.monotonic() + call.deadline_seconds

    def get(self, path: str, query: Query = (), *, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON at this path. Raises NotThere for 404 and 410, PermanentFailure for what is no JSON."""
        answer = self.send("GET", path, query=query, headers=headers)
        document = decode(answer.body)
        if document is None:
            raise PermanentFailure(f"{self.host} answered {answer.status} with something that is not JSON.")
        return document

    def write(
        self, method: str, path: str, body: object, *, query: Query = (), headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send JSON and decode the answer; None for an empty one or one that is no JSON: judge it by what you need."""
        content = json.dumps(body, ensure_ascii=False).encode()
        every = {"content-type": "application/json"} | dict(headers or {})
        return decode(self.send(method, path, query=query, headers=every, body=content).body)

    def post_form(self, path: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> Any:
        """Send fields as a form, as log-ins ask for; decodes the answer like ``write``."""
        every = {"content-type": "application/x-www-form-urlencoded"} | dict(headers or {})
        return decode(self.send("POST", path, headers=every, body=urlencode(fields).encode()).body)

    def sign_in(self, path: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> None:
        """Ask for an OAuth access token with a form and use it from now on. Never leaves an outcome unknown."""
        try:
            token = text_in(self.post_form(path, fields, headers=headers), "access_token")
        except OutcomeUnknown as failure:
            raise TemporaryFailure(failure.reason) from None
        except PermanentFailure as failure:
            raise PermanentFailure(f"Logging in failed, check the credentials: {failure.reason}") from None
        if not token or not token.isascii() or not token.isprintable():
            raise PermanentFailure(f"{self.host} gave no access token: check the address and the credentials.")
        self.secrets = (*self.secrets, token)
        self.use_header("authorization", f"Bearer {token}")

    def use_header(self, name: str, value: str) -> None:
        """Send this header with every further request; its value stands in no text."""
        self.secrets = (*self.secrets, value)
        self._headers[name.lower()] = value

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> http.Answer:
        """One request under the base URL; the answer is a success or the failure is raised."""
        url = self.base_url + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        given = {name.lower(): value for name, value in (headers or {}).items()}
        return http.call(
            method,
            url,
            headers={"accept": "application/json"} | self._headers | given,
            body=body,
            deadline_seconds=max(0.0, self._until - time.monotonic()),
            allow_private=self.call.allow_private,
            secrets=self.secrets,
            record=self.call.record,
        )


def decode(body: bytes) -> Any:
    """The JSON, None for what is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def id_in(document: object, *place: str) -> str | None:
    """The id at this place of a decoded answer as text; None for what cannot be one: it will stand in URLs."""
    value = document
    for name in place:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return text if 0 < len(text) <= 200 and text.isprintable() and text.strip(".") else None


def text_in(document: object, *place: str) -> str:
    """The text or number at this place of a decoded answer; "" for anything else."""
    value = document
    for name in place:
        value = value.get(name) if isinstance(value, dict) else None
    return str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""


def rows_in(document: object, *place: str, host: str) -> list[dict[str, Any]]:
    """The objects of the list at this place. Raises PermanentFailure where there is no list of objects."""
    value = document
    for name in place:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise PermanentFailure(f"{host} answered with something that is not the list that was asked for.")
    return value


def one_line(text: str, limit: int) -> str:
    """A text on one line, cut with an ellipsis where the system takes no more characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def segment(external_id: str) -> str:
    """An id as one step of a path, whatever it holds."""
    return quote(external_id, safe="")


def check_address(url: str, *, field: str) -> None:
    """Raises BadConfig unless the text is the base URL of a system, without credentials, query or fragment."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadConfig(field, "The address cannot be read.") from None
    if not usable or parts.query or parts.fragment:
        raise BadConfig(field, "The address must be like https://desk.example.com, without a query.")
    if parts.username is not None or parts.password is not None:
        raise BadConfig(field, "Credentials do not belong into the address; use the fields for them.")


def open_text_problem(url: str, call: Call) -> tuple[str, ...]:
    """A sentence where credentials would travel unencrypted to a public host."""
    if url.startswith("http:") and not call.allow_private:
        return ("The address is http: the credentials would travel unencrypted. Use https.",)
    return ()


def company_of(ticket: NewTicket, default: str, *, label: str) -> str:
    """The company to open a ticket for: the client's own, else the default; refuses to guess.

    Raises PermanentFailure with what to do.
    """
    if ticket.company or default:
        return ticket.company or default
    client = f"The client {ticket.client}" if ticket.client else "This problem"
    raise PermanentFailure(
        f"{client} has no company in {label}: say which one under Settings, Companies, or set a default company."
    )


def moment(value: object) -> datetime | None:
    """A time as JSON writes it (ISO 8601, UTC where it names no zone); None for what is none."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return read if read is None or read.tzinfo else read.replace(tzinfo=UTC)
