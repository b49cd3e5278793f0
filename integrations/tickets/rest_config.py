"""The settings of the generic REST gateway, and what about them can be judged before any call is made.

Every place that is wrong is named with a sentence, so that a person need not send a ticket to find it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from integrations.configuration import BadConfig, setting
from integrations.tickets import signatures
from integrations.tickets.json_templates import check_template

_WRITES = (("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"))
_MATCHES = (("equals", "is our reference"), ("contains", "contains our reference"))
_MESSAGE: Final = frozenset({"reference", "subject", "body", "html", "sequence", "idempotency_key"})
_TICKET = frozenset({"reference", "external_id", "external_number"})
_KNOWN = {
    "create": _MESSAGE | {"priority", "client", "company"},
    "comment": _MESSAGE | _TICKET,
    "close": _MESSAGE | _TICKET,
    "reopen": _MESSAGE | _TICKET,
    "find": frozenset({"reference"}),
    "read": _TICKET,
}
ALL_KNOWN = frozenset().union(*_KNOWN.values())


@dataclass(frozen=True)
class Config:
    """How one ticket system is spoken to. Paths come after ``base_url``; places in answers are dotted paths."""

    base_url: str = setting("Base URL", help="Such as https://desk.example.com; every path below comes after it.")
    create_path: str = setting("Path to create", help="Such as /api/tickets/")
    create_body: object = setting("JSON to create", kind="json", help='Such as {"title": "{{ subject }}"}')
    comment_path: str = setting("Path to comment", help="Such as /api/tickets/{{ external_id }}/notes")
    comment_body: object = setting("JSON to comment", kind="json")
    close_path: str = setting("Path to close", help="Such as /api/tickets/{{ external_id }}/")
    close_body: object = setting("JSON to close", kind="json", help="Carries the final text and the closed status.")
    authorization: str = setting(
        "Authorization header", default="", secret=True, help="The whole value, such as Bearer abc."
    )
    secret_header: str = setting("Further secret header: name", default="", help="Such as X-API-Key.")
    secret_value: str = setting("Further secret header: value", default="", secret=True)
    headers: object = setting("Further headers", kind="json", default={}, help="A JSON object of names and values.")
    create_method: str = setting("Method to create", default="POST", choices=_WRITES)
    comment_method: str = setting("Method to comment", default="POST", choices=_WRITES)
    close_method: str = setting("Method to close", default="PUT", choices=_WRITES)
    id_at: str = setting("Where the ticket's id is", default="id", help="In the answer to create, such as ticket.id")
    url_at: str = setting("Where the ticket's page is", default="", help="In the answer to create; may be empty.")
    page_url: str = setting(
        "Page of a ticket", default="", help="Used if the answer has none: https://desk.example.com/t/{{ external_id }}"
    )
    priorities: object = setting(
        "Priorities",
        kind="json",
        default={},
        help='Their words for ours: {"low": 1, "normal": 2, "high": 3, "urgent": 4}',
    )
    find_path: str = setting(
        "Path to search",
        default="",
        help="Such as /api/tickets?key={{ reference }}. Without it a creation whose answer was lost is not repeated.",
    )
    find_items: str = setting(
        "Where the found tickets are", default="", help="Such as results; empty: the whole answer."
    )
    find_reference_at: str = setting("Where our reference is in a found ticket", default="", help="Such as external_id")
    find_matches: str = setting("A found ticket is ours if that", default="equals", choices=_MATCHES)
    find_id_at: str = setting("Where the id is in a found ticket", default="id")
    find_url_at: str = setting("Where the page is in a found ticket", default="")
    find_next_at: str = setting("Where the next page is", default="", help="A URL in the answer, such as next.")
    find_lag_seconds: int = setting(
        "Search is complete after", kind="number", default=60, help="Seconds until a new ticket is certainly found."
    )
    read_path: str = setting(
        "Path to read a ticket",
        default="",
        help="Read before and after closing: some systems answer 200, change nothing.",
    )
    status_at: str = setting("Where the status is in a ticket", default="status")
    closed_values: tuple[str, ...] = setting("Statuses that mean closed", kind="list", default=())
    reopen_path: str = setting(
        "Path to reopen", default="", help="Such as /api/tickets/{{ external_id }}/. Without it a new ticket is opened."
    )
    reopen_method: str = setting("Method to reopen", default="PUT", choices=_WRITES)
    reopen_body: object = setting("JSON to reopen", kind="json", default={}, help="Carries the text and the status.")
    webhook_secret: str = setting(
        "Secret of callbacks",
        default="",
        secret=True,
        help="Standard Webhooks: whsec_ and base64. Empty: no callbacks.",
    )
    webhook_id_at: str = setting("Where the id is in a callback", default="ticket.id")
    webhook_status_at: str = setting("Where the status is in a callback", default="ticket.status")

    def __post_init__(self) -> None:
        _check_base_url(self.base_url)
        _check_templates(self)
        _check_headers(self)
        _check_search_and_reading(self)
        if self.webhook_secret and not signatures.is_secret(self.webhook_secret):
            raise BadConfig("webhook_secret", "The secret must be whsec_ followed by base64 of at least 16 bytes.")


def _check_base_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadConfig("base_url", "The base URL cannot be read.") from None
    if not usable or parts.query or parts.fragment or "{{" in base_url:
        raise BadConfig(
            "base_url", "The base URL must be like https://desk.example.com, without placeholders or query."
        )
    if parts.username is not None or parts.password is not None:
        raise BadConfig("base_url", "Credentials do not belong into the URL; use the fields for them.")


def _check_templates(config: Config) -> None:
    for action, known in _KNOWN.items():
        path = getattr(config, f"{action}_path")
        if path and not path.startswith("/"):
            raise BadConfig(f"{action}_path", "The path must start with a slash.")
        check_template(path, field=f"{action}_path", known=known)
    for action in ("create", "comment", "close", *(["reopen"] if config.reopen_path else [])):
        body = getattr(config, f"{action}_body")
        if not isinstance(body, dict | list) or not body:
            raise BadConfig(f"{action}_body", "The template must be a JSON object or list with something in it.")
        check_template(body, field=f"{action}_body", known=_KNOWN[action])
    check_template(config.page_url, field="page_url", known=frozenset({"external_id"}))


def _check_headers(config: Config) -> None:
    if not isinstance(config.headers, dict) or not all(isinstance(value, str) for value in config.headers.values()):
        raise BadConfig("headers", "The headers must be a JSON object of names and texts.")
    check_template(config.headers, field="headers", known=ALL_KNOWN)
    if bool(config.secret_header) != bool(config.secret_value):
        raise BadConfig("secret_header", "The further secret header needs both a name and a value.")
    if not isinstance(config.priorities, dict) or set(config.priorities) - {"low", "normal", "high", "urgent"}:
        raise BadConfig("priorities", "The priorities must be a JSON object with low, normal, high and urgent as keys.")


def _check_search_and_reading(config: Config) -> None:
    if config.find_path and not config.find_reference_at:
        raise BadConfig("find_reference_at", "A search needs the place of our reference in what it returns.")
    if config.find_path and not _mentions_reference(config):
        raise BadConfig("create_body", "A search can only find what was written: put {{ reference }} into the ticket.")
    if config.read_path and not config.closed_values:
        raise BadConfig("closed_values", "Reading a ticket back needs the statuses that mean closed.")


def _mentions_reference(config: Config) -> bool:
    return re.search(r"\{\{\s*reference\s*\}\}", json.dumps(config.create_body)) is not None
