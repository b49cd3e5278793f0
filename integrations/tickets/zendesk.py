"""Zendesk Support: tickets by its API v2, with an API token of one agent.

Our reference is the ticket's ``external_id``, which Zendesk searches exactly but does not keep unique; a creation also
bears an Idempotency-Key. The last words and the status travel in one request. ``solved`` can be reopened until
Zendesk itself turns it into ``closed``, which is for good. Sources: developer.zendesk.com, API reference "Tickets",
"Organizations", "Groups", and "Verifying webhooks".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure
from integrations.tickets import json_api, signatures
from integrations.tickets.contract import (
    Ability,
    Call,
    Choice,
    Company,
    Created,
    NewTicket,
    Reference,
    Remark,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)
from integrations.tickets.json_api import (
    Api,
    check_address,
    decode,
    id_in,
    open_text_problem,
    rows_in,
    segment,
    text_in,
)

LABEL: Final = "Zendesk"
#: A fifth of the 200 requests a minute of the smallest plan that has the API.
CALLS_PER_MINUTE: Final = 40
VERIFIED: Final = ""
CLOSED: Final = frozenset({"solved", "closed"})
NOBODYS_REFERENCE: Final = "BL-00000000"
MAX_PAGES: Final = 10


@dataclass(frozen=True)
class Config:
    """One Zendesk account and how tickets are opened in it."""

    url: str = setting("Address", help="Such as https://yourname.zendesk.com")
    email: str = setting("Agent's email", help="The agent whose token it is; give Backledger an agent of its own.")
    token: str = setting("API token", secret=True, help="Admin Center, Apps and integrations, Zendesk API.")
    requester: str = setting(
        "Requester's email", default="", help="On whose behalf tickets are opened. Empty: the agent."
    )
    default_company: str = setting(
        "Organization if a client has none", default="", help="Empty: the ticket gets none.", looked_up=True
    )
    group: str = setting("Group", default="", help="Who gets the tickets. Empty: Zendesk's own rules.", looked_up=True)
    public: bool = setting("Show our messages to the requester", kind="switch", default=False)
    webhook_secret: str = setting(
        "Signing secret of the webhook", default="", secret=True, help="Shown on the webhook's page in Zendesk."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if "@" not in self.email:
            raise BadConfig("email", "The agent's email must be a mail address.")
        for name in ("default_company", "group"):
            if getattr(self, name) and not getattr(self, name).isdigit():
                raise BadConfig(name, "This must be the number that Zendesk gives it.")


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their secret."""
    able: set[Ability] = {"read", "reopen", "companies"}
    if config.webhook_secret:
        able.add("callbacks")
    return frozenset(able)


def find_after(config: Config) -> timedelta | None:
    """The list by ``external_id`` reads the database, not the search index; a minute is on the safe side."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer without an id leaves the outcome unknown."""
    fields: dict[str, Any] = {
        "subject": ticket.text.subject,
        "comment": _comment(config, ticket.text),
        "external_id": ticket.reference,
        "priority": ticket.priority,
        "type": "incident",
        "tags": ["backledger"],
    }
    company = ticket.company or config.default_company
    if company:
        fields["organization_id"] = _number(company)
    if config.group:
        fields["group_id"] = _number(config.group)
    if config.requester:
        fields["requester"] = {"email": config.requester, "name": config.requester}
    api = _api(config, call)
    answer = api.write("POST", "/tickets.json", {"ticket": fields}, headers={"Idempotency-Key": call.idempotency_key})
    external_id = id_in(answer, "ticket", "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a message; the status stays as it is."""
    _update(config, thread, {"comment": _comment(config, text)}, call=call)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message and ``solved`` in one request; a ticket that is closed already, or gone, is left as it is."""
    there = read(config, thread, call=call)
    if there is None or there.closed:
        return
    answer = _update(config, thread, {"comment": _comment(config, text), "status": "solved"}, call=call)
    _require_status(answer, CLOSED, f"The ticket {thread.external_id} was not closed")


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message and ``open`` in one request; Zendesk refuses it once a ticket is ``closed``."""
    answer = _update(config, thread, {"comment": _comment(config, text), "status": "open"}, call=call)
    _require_status(answer, frozenset({"open", "new", "pending", "hold"}), f"{thread.external_id} was not reopened")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket that bears our reference, as checked in what was returned."""
    api = _api(config, call)
    for page in range(1, MAX_PAGES + 1):
        document = api.get("/tickets.json", {"external_id": reference, "page": page})
        tickets = document.get("tickets") if isinstance(document, dict) else None
        if not isinstance(tickets, list):
            raise PermanentFailure(f"{api.host} answered the search with something that is no list of tickets.")
        for item in tickets:
            external_id = id_in(item, "id")
            if external_id is not None and item.get("external_id") == reference:
                return _created(config, external_id)
        if not document.get("next_page"):
            return None
    raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned more than it should.")


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket and its messages; None if it was deleted."""
    api = _api(config, call)
    path = f"/tickets/{segment(thread.external_id)}"
    try:
        document = api.get(f"{path}.json", {"include": "users"})
        messages = api.get(f"{path}/comments.json", {"include": "users"})
    except NotThere:
        return None
    ticket = document.get("ticket") if isinstance(document, dict) else None
    external_id, status = id_in(ticket, "id"), text_in(ticket, "status")
    if not isinstance(ticket, dict) or external_id is None or not status:
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    users = [*_users(document), *_users(messages)]
    names = {number: user for user in users if (number := id_in(user, "id")) is not None}
    comments = rows_in(messages, "comments", host=api.host)
    return Standing(
        external_id=external_id,
        status=status,
        closed=status in CLOSED,
        reference=text_in(ticket, "external_id"),
        assignee=text_in(names.get(id_in(ticket, "assignee_id") or ""), "name"),
        remarks=tuple(_remark(config, item, names) for item in comments if id_in(item, "id") is not None),
        url=_page(config, external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Organizations by the start of their name; all, up to 1,000, without a search."""
    api = _api(config, call)
    if len(search) >= 2:
        document = api.get("/organizations/autocomplete.json", {"name": search})
        return _companies(document, host=api.host)
    found: tuple[Company, ...] = ()
    for page in range(1, MAX_PAGES + 1):
        document = api.get("/organizations.json", {"page": page, "per_page": 100})
        found += _companies(document, host=api.host)
        if not document.get("next_page"):
            break
    return found


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Groups and organizations."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    if name != "group":
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    api = _api(config, call)
    rows = rows_in(api.get("/groups.json"), "groups", host=api.host)
    return tuple(Choice(number, text_in(row, "name")) for row in rows if (number := id_in(row, "id")) is not None)


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event; the body is that of an event subscription, or of a trigger with ``{"ticket_id": "{{ticket.id}}"}``."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no secret for them.")
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get("x-zendesk-webhook-signature-timestamp", "")
    signatures.require_recent(timestamp, now=call.now)
    digest = hmac.new(config.webhook_secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    expected = base64.b64encode(digest).decode()
    signatures.require_same(given.get("x-zendesk-webhook-signature", ""), expected)
    document = decode(body)
    external_id = id_in(document, "detail", "id") or id_in(document, "ticket_id")
    if external_id is None:
        raise PermanentFailure("The callback names no ticket: send ticket_id in its body.")
    event_id = id_in(document, "id") or given.get("x-zendesk-webhook-invocation-id") or hashlib.sha256(body).hexdigest()
    return (TicketEvent(event_id, external_id, call.now),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Who we are there, and whether the search works."""
    problems = list(open_text_problem(config.url, call))
    try:
        user = _api(config, call).get("/users/me.json")
        if text_in(user, "user", "role") not in ("agent", "admin"):
            problems.append("Zendesk does not know this token: it answers as to a stranger. Check email and token.")
        elif find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _api(config: Config, call: Call) -> Api:
    credentials = base64.b64encode(f"{config.email}/token:{config.token}".encode()).decode()
    headers = {"authorization": f"Basic {credentials}"}
    return Api(
        config.url.rstrip("/") + "/api/v2", call=call, headers=headers, secrets=(*secrets_of(config), credentials)
    )


def _update(config: Config, thread: Thread, fields: Mapping[str, Any], *, call: Call) -> Any:
    headers = {"Idempotency-Key": call.idempotency_key}
    path = f"/tickets/{segment(thread.external_id)}.json"
    return _api(config, call).write("PUT", path, {"ticket": fields}, headers=headers)


def _require_status(answer: Any, wanted: frozenset[str], what: str) -> None:
    ticket = answer.get("ticket") if isinstance(answer, dict) else None
    if not isinstance(ticket, dict):
        raise OutcomeUnknown(f"{what} for certain: the answer does not say how it stands.")
    if text_in(ticket, "status") not in wanted:
        raise PermanentFailure(f"{what}: its status is {text_in(ticket, 'status')[:40]!r}.")


def _comment(config: Config, text: TicketText) -> dict[str, Any]:
    words = {"body": text.body} if text.html is None else {"html_body": text.html}
    return {**words, "public": config.public}


def _users(document: Any) -> list[Any]:
    """Those that came with an answer; they only name people, so that none is no failure."""
    users = document.get("users") if isinstance(document, dict) else None
    return users if isinstance(users, list) else []


def _remark(config: Config, item: Mapping[str, Any], names: Mapping[str, Any]) -> Remark:
    author = names.get(id_in(item, "author_id") or "")
    return Remark(
        id=id_in(item, "id") or "",
        author=text_in(author, "name"),
        text=text_in(item, "plain_body") or text_in(item, "body"),
        at=json_api.moment(item.get("created_at")),
        ours=text_in(author, "email").lower() == config.email.lower(),
    )


def _companies(document: Any, *, host: str) -> tuple[Company, ...]:
    rows = rows_in(document, "organizations", host=host)
    return tuple(Company(number, text_in(row, "name")) for row in rows if (number := id_in(row, "id")) is not None)


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/agent/tickets/{segment(external_id)}"


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise PermanentFailure(f"{text[:40]!r} is no number that Zendesk could have given: choose the company again.")
    return int(text)
