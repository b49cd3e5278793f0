"""The generic REST gateway: any ticket system whose calls can be written down as method, path and JSON template.

The configuration says how a ticket is created, commented, closed, searched and read back. What is returned is never
taken on trust: a search's items are checked for our reference, because some servers ignore a filter they do not know
and return everything, and a closed ticket is read back where that is configured, because some answer 200 and change
nothing. An answer that claims success but cannot be understood leaves the outcome unknown.
"""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final, cast
from urllib.parse import urljoin, urlsplit

from integrations import http
from integrations.configuration import secrets_of
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure
from integrations.tickets import signatures
from integrations.tickets.contract import (
    Ability,
    Call,
    Choice,
    Company,
    Created,
    NewTicket,
    Reference,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)
from integrations.tickets.json_templates import MISSING, fill_json, fill_text, fill_url, pick
from integrations.tickets.rest_config import ALL_KNOWN
from integrations.tickets.rest_config import Config as Config

LABEL: Final = "REST"
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = "django-helpdesk 2.6.1"
MAX_PAGES = 20
NOBODYS_REFERENCE = "BL-00000000"  # what ``check`` searches for


def find_after(config: Config) -> timedelta | None:
    """None without a search path."""
    return timedelta(seconds=config.find_lag_seconds) if config.find_path else None


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there: only a person who looks can tell."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket and read its id from the answer; an answer without an id leaves the outcome unknown."""
    values = _message_values(ticket.reference, ticket.text, ticket.values, sequence=0, call=call)
    values |= {"client": ticket.client, "company": ticket.company, "priority": _priority(config, ticket.priority)}
    client = _Client(config, call)
    answer = client.write(config.create_method, config.create_path, config.create_body, values)
    document = _read_json(answer.body)
    external_id = _id_of(pick(document, config.id_at))
    if external_id is None:
        raise OutcomeUnknown(
            f"{client.host} answered {answer.status} to the new ticket but no id is at {config.id_at!r}."
        )
    return Created(external_id, _page_of(config, document, config.url_at, external_id))


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a message by the configured call."""
    values = _thread_values(thread) | _message_values(
        thread.reference, text, thread.values, sequence=sequence, call=call
    )
    _Client(config, call).write(config.comment_method, config.comment_path, config.comment_body, values)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Send the final text and the status in one call; with a path to read, look before and after.

    A ticket that is closed already is left as it is: a message would open it again.
    """
    values = _thread_values(thread) | _message_values(
        thread.reference, text, thread.values, sequence=sequence, call=call
    )
    client = _Client(config, call)
    if config.read_path and _is_closed(config, _status(client, thread)):
        return
    client.write(config.close_method, config.close_path, config.close_body, values)
    if config.read_path:
        _confirm_closed(client, thread)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Send text and status by the configured call; with a path to read, look afterwards."""
    if not config.reopen_path:
        raise PermanentFailure("This destination has no path to reopen by, so a closed ticket stays closed.")
    values = _thread_values(thread) | _message_values(
        thread.reference, text, thread.values, sequence=sequence, call=call
    )
    client = _Client(config, call)
    client.write(config.reopen_method, config.reopen_path, config.reopen_body, values)
    if config.read_path and _is_closed(config, _status(client, thread)):
        raise PermanentFailure(f"{client.host} accepted the reopening but the ticket is still closed.")


def abilities(config: Config) -> frozenset[Ability]:
    """What the configuration has paths and secrets for."""
    given: dict[Ability, str] = {
        "read": config.read_path, "reopen": config.reopen_path, "callbacks": config.webhook_secret,
    }  # fmt: skip
    return frozenset(ability for ability, setting_ in given.items() if setting_)


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The status at the configured place; None when the system says that there is no such ticket."""
    if not config.read_path:
        raise PermanentFailure("This destination has no path to read a ticket by.")
    client = _Client(config, call)
    try:
        status = _status(client, thread)
    except NotThere:
        return None
    words = status if isinstance(status, str) else json.dumps(status)
    return Standing(thread.external_id, words[:100], _is_closed(config, status))


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Always raises: the configuration does not say where companies are."""
    raise PermanentFailure("A generic destination cannot be asked for companies; give the client's code instead.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Always raises: no setting of a generic destination is looked up."""
    raise PermanentFailure(f"The values of {name} cannot be looked up.")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The first returned ticket that really bears our reference, page by page."""
    if not config.find_path:
        raise PermanentFailure("This destination has no path to search by, so a ticket cannot be looked up.")
    others = 0
    for item in _found_items(_Client(config, call), reference):
        if not _bears(config, item, reference):
            others += 1
        else:
            external_id = _id_of(pick(item, config.find_id_at))
            if external_id is None:
                raise PermanentFailure(f"A found ticket has no id at {config.find_id_at!r}; correct the configuration.")
            return Created(external_id, _page_of(config, item, config.find_url_at, external_id))
    if others and not config.find_next_at:
        raise PermanentFailure(
            "The search returned only tickets that are not ours: it seems to ignore the reference, and ours may be on "
            "a further page. Correct the path to search, or say where the next page is."
        )
    return None


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event from a callback signed as Standard Webhooks says; raises PermanentFailure for any other."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no secret for them.")
    event_id = signatures.verify(headers, body, secret=config.webhook_secret, now=call.now)
    document = _read_json(body)
    external_id = _id_of(pick(document, config.webhook_id_at))
    if external_id is None:
        raise PermanentFailure(f"The callback has no ticket id at {config.webhook_id_at!r}.")
    status = pick(document, config.webhook_status_at)
    if status is MISSING:
        return (TicketEvent(event_id, external_id, call.now),)
    closed = _is_closed(config, status) if config.closed_values else None
    return (TicketEvent(event_id, external_id, call.now, status=str(status), closed=closed),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Look for a reference that nobody has, where a search is configured: proves host, credentials and places."""
    problems = []
    if config.base_url.startswith("http:") and not call.allow_private and secrets_of(config):
        problems.append("The base URL is http: the credentials would travel unencrypted. Use https.")
    try:
        if config.find_path and find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


class _Client:
    """The requests of one call: they share its deadline and the destination's credentials."""

    def __init__(self, config: Config, call: Call) -> None:
        self.config = config
        self.host = urlsplit(config.base_url).hostname or ""
        self._call = call
        self._until = time.monotonic() + call.deadline_seconds
        self._secrets = secrets_of(config)

    def write(self, method: str, path: str, template: object, values: Mapping[str, object]) -> http.Answer:
        body = json.dumps(fill_json(template, values), ensure_ascii=False).encode()
        headers = {"content-type": "application/json", "idempotency-key": self._call.idempotency_key}
        return self._send(method, self._url(path, values), headers=headers, values=values, body=body)

    def read(self, url: str, values: Mapping[str, object]) -> object:
        answer = self._send("GET", url, headers={}, values=values, body=None)
        document = _read_json(answer.body)
        if document is MISSING:
            raise PermanentFailure(f"{self.host} answered {answer.status} with something that is not JSON.")
        return document

    def get(self, path: str, values: Mapping[str, object]) -> object:
        return self.read(self._url(path, values), values)

    def _url(self, path: str, values: Mapping[str, object]) -> str:
        return self.config.base_url.rstrip("/") + fill_url(path, values)

    def _send(
        self, method: str, url: str, *, headers: dict[str, str], values: Mapping[str, object], body: bytes | None
    ) -> http.Answer:
        every = {"accept": "application/json"} | headers | _headers_of(self.config, values)
        return http.call(
            method,
            url,
            headers={name: value for name, value in every.items() if value},
            body=body,
            deadline_seconds=max(0.0, self._until - time.monotonic()),
            allow_private=self._call.allow_private,
            secrets=self._secrets,
            record=self._call.record,
        )


def _headers_of(config: Config, values: Mapping[str, object]) -> dict[str, str]:
    """The configured headers, in lower case. A placeholder that this request has no value for is left empty."""
    known = dict.fromkeys(ALL_KNOWN, "") | dict(values)
    headers = {name.lower(): fill_text(text, known) for name, text in cast(Mapping[str, str], config.headers).items()}
    if config.authorization:
        headers["authorization"] = config.authorization
    if config.secret_header:
        headers[config.secret_header.lower()] = config.secret_value
    return headers


def _found_items(client: _Client, reference: Reference) -> Iterator[object]:
    """Every returned ticket. "Not found" must be certain, so what cannot be judged is refused."""
    config = client.config
    values = {"reference": reference}
    document = client.get(config.find_path, values)
    for _ in range(MAX_PAGES):
        yield from _items_of(config, document)
        following = pick(document, config.find_next_at) if config.find_next_at else None
        if not isinstance(following, str) or not following:
            return
        document = client.read(_same_origin(config, following), values)
    raise PermanentFailure(f"The search has more than {MAX_PAGES} pages; narrow the path to search.")


def _items_of(config: Config, document: object) -> list[object]:
    items = pick(document, config.find_items)
    if not isinstance(items, list):
        raise PermanentFailure(f"The search's answer has no list at {config.find_items!r}; correct the configuration.")
    if items and all(pick(item, config.find_reference_at) is MISSING for item in items):
        raise PermanentFailure(
            f"No returned ticket has anything at {config.find_reference_at!r}, so ours cannot be recognised."
        )
    return items


def _bears(config: Config, item: object, reference: Reference) -> bool:
    value = pick(item, config.find_reference_at)
    if config.find_matches == "equals":
        return value == reference
    whole = rf"(?<![A-Za-z0-9-]){re.escape(reference)}(?![A-Za-z0-9-])"
    return isinstance(value, str) and re.search(whole, value) is not None


def _same_origin(config: Config, following: str) -> str:
    """The next page's URL; credentials go to no other place than the configured one."""
    url = urljoin(config.base_url, following)
    if urlsplit(url)[:2] != urlsplit(config.base_url)[:2]:
        raise PermanentFailure("The search's next page is on another host, to which no credentials are sent.")
    return url


def _status(client: _Client, thread: Thread) -> object:
    status = pick(client.get(client.config.read_path, _thread_values(thread)), client.config.status_at)
    if status is MISSING:
        raise PermanentFailure(f"The ticket has no status at {client.config.status_at!r}; correct the configuration.")
    return status


def _is_closed(config: Config, status: object) -> bool:
    """Compared as JSON writes it: a status may be a word, a number, or true."""
    return (status if isinstance(status, str) else json.dumps(status)) in config.closed_values


def _confirm_closed(client: _Client, thread: Thread) -> None:
    try:
        status = _status(client, thread)
    except DeliveryFailure as failure:
        raise OutcomeUnknown(f"The closing was sent but could not be read back: {failure.reason}") from None
    if not _is_closed(client.config, status):
        told = http.redact(f"{status}"[:60], secrets_of(client.config))
        raise PermanentFailure(f"{client.host} accepted the closing but the ticket's status is still {told!r}.")


def _message_values(
    reference: Reference, text: TicketText, further: Mapping[str, str], *, sequence: int, call: Call
) -> dict[str, object]:
    return {f"values.{key}": value for key, value in further.items()} | {
        "reference": reference,
        "subject": text.subject,
        "body": text.body,
        "html": text.html if text.html is not None else html.escape(text.body).replace("\n", "<br>\n"),
        "sequence": sequence,
        "idempotency_key": call.idempotency_key,
    }


def _thread_values(thread: Thread) -> dict[str, object]:
    values: dict[str, object] = {"reference": thread.reference, "external_id": thread.external_id}
    if thread.external_id.isascii() and thread.external_id.isdigit():
        values["external_number"] = int(thread.external_id)
    return values | {f"values.{key}": value for key, value in thread.values.items()}


def _priority(config: Config, priority: str) -> object:
    return cast(Mapping[str, object], config.priorities).get(priority, priority)


def _page_of(config: Config, document: object, place: str, external_id: str) -> str | None:
    told = pick(document, place) if place else MISSING
    if isinstance(told, str) and urlsplit(told).scheme in ("http", "https"):
        return told
    return fill_url(config.page_url, {"external_id": external_id}) if config.page_url else None


def _id_of(value: object) -> str | None:
    """An id as text, None for what cannot be one: it will stand in URLs and on pages."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return text if 0 < len(text) <= 200 and text.isprintable() and text.strip(".") else None


def _read_json(body: bytes) -> object:
    try:
        return cast(object, json.loads(body))
    except (ValueError, RecursionError):
        return MISSING
