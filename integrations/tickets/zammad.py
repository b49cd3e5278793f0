"""Zammad: tickets by its REST API, with an access token of an agent.

Our reference stands in the ticket's ``note``, a field that people are not shown; it is searched by a condition, which
Zammad answers from its database, not from the search index that lags. A ticket belongs to the organization of its
customer, so each organization gets a customer of ours without a mail address, who is never written to. Sources:
Zammad's documentation ("Tickets", "Articles", "Organizations", "Links", "Webhook payload") and its published source
for search conditions, customers given with a ticket, merging and the signature.
"""

from __future__ import annotations

import hashlib
import hmac
import html
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
    Priority,
    Reference,
    Remark,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)
from integrations.tickets.json_api import Api, check_address, id_in, one_line, rows_in, segment, text_in

LABEL: Final = "Zammad"
#: One a second: Zammad itself sets no limit, its server is the MSP's own.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = ""
NOBODYS_REFERENCE: Final = "BL-00000000"
MAX_TITLE: Final = 250
MAX_PAGES: Final = 20
MAX_MERGES: Final = 5
#: The states that every Zammad has, and whether they count as closed; of others Zammad is asked.
STATES: Final = {
    "new": False,
    "open": False,
    "pending reminder": False,
    "pending close": False,
    "closed": True,
    "merged": True,
}


@dataclass(frozen=True)
class Config:
    """One Zammad and how tickets are opened in it."""

    url: str = setting("Address", help="Such as https://desk.example.com")
    token: str = setting("Access token", secret=True, help="Of an agent of Backledger's own; permission ticket.agent.")
    group: str = setting("Group", looked_up=True)
    customer: str = setting("Customer's email", help="In whose name tickets without an organization are opened.")
    default_company: str = setting(
        "Organization if a client has none", default="", help="Empty: that of the customer above.", looked_up=True
    )
    priority_low: str = setting("Priority for low", default="1 low", looked_up=True)
    priority_normal: str = setting("Priority for normal", default="2 normal", looked_up=True)
    priority_high: str = setting("Priority for high", default="3 high", looked_up=True)
    priority_urgent: str = setting("Priority for urgent", default="3 high", looked_up=True)
    closed_state: str = setting("State to close with", default="closed", looked_up=True)
    reopened_state: str = setting("State to reopen with", default="open", looked_up=True)
    public: bool = setting("Show our messages to the customer", kind="switch", default=False)
    webhook_secret: str = setting(
        "Signature token of the webhook", default="", secret=True, help="16 characters or more."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if "@" not in self.customer:
            raise BadConfig("customer", "The customer's email must be a mail address.")
        if not re.fullmatch(r"[0-9]{0,18}", self.default_company):
            raise BadConfig("default_company", "This must be the number that Zammad gives the organization.")
        if self.webhook_secret and len(self.webhook_secret) < 16:
            raise BadConfig("webhook_secret", "The token must have 16 characters or more.")


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their signature token."""
    able: set[Ability] = {"read", "reopen", "companies"}
    if config.webhook_secret:
        able.add("callbacks")
    return frozenset(able)


def find_after(config: Config) -> timedelta | None:
    """A condition is answered from the database; a minute is on the safe side."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer without an id leaves the outcome unknown."""
    api = _api(config, call)
    company = ticket.company or config.default_company
    fields: dict[str, Any] = {
        "title": one_line(ticket.text.subject, MAX_TITLE),
        "group": config.group,
        "note": ticket.reference,
        "priority": _priority(config, ticket.priority),
        "article": _article(config, ticket.text),
    }
    fields |= {"customer": _customer_of(api, company)} if company else {"customer_id": f"guess:{config.customer}"}
    external_id = id_in(api.write("POST", "/tickets", fields), "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a note; the state stays as it is."""
    api = _api(config, call)
    article = {"ticket_id": _number(thread.external_id), **_article(config, text)}
    if id_in(api.write("POST", "/ticket_articles", article), "id") is None:
        raise OutcomeUnknown(f"{api.host} took the note but told no id.")


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note and state in one request; a ticket that is closed already, merged or gone is left as it is."""
    api = _api(config, call)
    try:
        there = _ticket(api, thread.external_id)
    except NotThere:
        return
    if not _is_closed(api, text_in(there, "state")):
        _update(api, config, thread, text, config.closed_state)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note and state in one request; Zammad refuses it where the group wants a new ticket instead."""
    api = _api(config, call)
    try:
        there = _ticket(api, thread.external_id)
    except NotThere:
        raise NotThere(f"The ticket {thread.external_id} is not in Zammad any more: it cannot be reopened.") from None
    if text_in(there, "state") == "merged":
        raise PermanentFailure(f"The ticket {thread.external_id} was merged into another: it cannot be reopened.")
    _update(api, config, thread, text, config.reopened_state)


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket that bears our reference, as checked in what was returned."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", reference):
        raise PermanentFailure(
            "This reference cannot be searched for: it has other characters than letters and digits."
        )
    api = _api(config, call)
    query: dict[str, str | int] = {
        "condition[ticket.note][operator]": "is",
        "condition[ticket.note][value]": reference,
        "expand": "true",
        "sort_by": "created_at",
        "order_by": "asc",
        "limit": 10,
    }
    document = api.get("/tickets/search", query)
    rows = rows_in(document if isinstance(document, dict) else {"records": document}, "records", host=api.host)
    ids = [id_in(row, "id") for row in rows if text_in(row, "note") == reference]
    if len(ids) != len(rows) or None in ids:
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned other tickets.")
    return _created(config, str(ids[0])) if ids else None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket, or the one it was merged into, with its notes and mails; None if it was deleted."""
    api = _api(config, call)
    me = _me(api)
    try:
        ticket = _followed(api, thread.external_id)
        external_id = str(id_in(ticket, "id"))
        articles = _all(api, f"/ticket_articles/by_ticket/{segment(external_id)}", {"expand": "true"})
    except NotThere:
        return None
    state, owner = text_in(ticket, "state"), text_in(ticket, "owner")
    return Standing(
        external_id=external_id,
        status=state,
        closed=_is_closed(api, state),
        reference=text_in(ticket, "note"),
        assignee="" if owner == "-" else owner,
        remarks=tuple(_remark(row, me) for row in articles if id_in(row, "id")),
        url=_page(config, external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """The active organizations by a part of their name, of the first 2,000: Zammad would search an index that lags."""
    api = _api(config, call)
    found: list[Company] = []
    for page in range(1, MAX_PAGES + 1):
        rows = _all(api, "/organizations", {"page": page, "per_page": 100})
        found += [Company(text_in(row, "id"), text_in(row, "name")) for row in rows if row.get("active") is not False]
        if len(rows) < 100:
            break
    wanted = search.casefold()
    return tuple(one for one in found if one.id and wanted in one.name.casefold())[:1000]


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Groups, states, priorities and organizations."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    if name not in ("group", "closed_state", "reopened_state") and not name.startswith("priority_"):
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    return tuple(Choice(value, value) for value in _offered(_api(config, call), name))


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event. Its id is the hash of the body, as the delivery's own id stands in a header that is not signed."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no signature token.")
    given = {name.lower(): value for name, value in headers.items()}
    # SHA-1 is Zammad's choice; as a keyed hash it still cannot be forged.
    expected = "sha1=" + hmac.new(config.webhook_secret.encode(), body, hashlib.sha1).hexdigest()
    signatures.require_same(given.get("x-hub-signature", ""), expected)
    document = json_api.decode(body)
    external_id, changed = id_in(document, "ticket", "id"), text_in(document, "ticket", "updated_at")
    if external_id is None or not changed:
        raise PermanentFailure("The callback does not say which ticket changed when: use Zammad's own payload.")
    return (TicketEvent(hashlib.sha256(body).hexdigest(), external_id, call.now),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether token and search work, and whether group, states, priorities and organization exist."""
    problems = list(json_api.open_text_problem(config.url, call))
    try:
        api = _api(config, call)
        _me(api)
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
        for name in ("group", "closed_state", "reopened_state", "priority_low", "priority_urgent"):
            if getattr(config, name) not in _offered(api, name):
                kind = name.replace("_", " ")
                problems.append(f"{getattr(config, name)} is no {kind} that this agent can use: choose another.")
        if config.default_company:
            _customer_of(api, config.default_company)
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _api(config: Config, call: Call) -> Api:
    headers = {"authorization": f"Token token={config.token}"}
    return Api(config.url.rstrip("/") + "/api/v1", call=call, headers=headers, secrets=secrets_of(config))


def _all(api: Api, path: str, query: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return rows_in({"all": api.get(path, query)}, "all", host=api.host)


def _me(api: Api) -> str:
    me = id_in(api.get("/users/me"), "id")
    if me is None:
        raise PermanentFailure(f"{api.host} does not say who we are: check the address and the token.")
    return me


def _ticket(api: Api, external_id: str) -> dict[str, Any]:
    document = api.get(f"/tickets/{segment(external_id)}", {"expand": "true"})
    if id_in(document, "id") != external_id or not text_in(document, "state"):
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    return dict(document)


def _followed(api: Api, external_id: str) -> dict[str, Any]:
    """The ticket, or the one that it was merged into. Merging moves all links but the one to the other ticket."""
    ticket = _ticket(api, external_id)
    for _ in range(MAX_MERGES):
        if text_in(ticket, "state") != "merged":
            break
        query = {"link_object": "Ticket", "link_object_value": external_id}
        linked = rows_in(api.get("/links", query), "links", host=api.host)
        target = id_in(linked[0], "link_object_value") if len(linked) == 1 else None
        if target is None:
            break
        external_id, ticket = target, _ticket(api, target)
    return ticket


def _customer_of(api: Api, company: str) -> dict[str, Any]:
    """Our customer in this organization, whom Zammad makes with the first ticket; refuses what is none."""
    try:
        if not re.fullmatch(r"[0-9]{1,18}", company):
            raise NotThere("")
        name = text_in(api.get(f"/organizations/{company}"), "name")
    except NotThere:
        raise PermanentFailure(
            f"Zammad has no organization {company[:40]!r} (any more): choose the client's company again."
        ) from None
    login = f"backledger-organization-{company}"
    return {"login": login, "firstname": "Backledger", "lastname": name[:100], "organization_id": int(company)}


def _priority(config: Config, priority: Priority) -> str:
    return str(getattr(config, f"priority_{priority}"))


def _offered(api: Api, name: str) -> list[str]:
    """The names that a setting may have, of what is active there."""
    paths = {"group": "/groups", "closed_state": "/ticket_states", "reopened_state": "/ticket_states"}
    rows = [row for row in _all(api, paths.get(name, "/ticket_priorities"), {"expand": "true"})
            if row.get("active") is not False]  # fmt: skip
    if name.endswith("_state"):
        kinds = ("closed",) if name == "closed_state" else ("new", "open")
        rows = [row for row in rows if text_in(row, "state_type") in kinds]
    return [text_in(row, "name") for row in rows if text_in(row, "name")]


def _is_closed(api: Api, state: str) -> bool:
    if state in STATES:
        return STATES[state]
    rows = _all(api, "/ticket_states", {"expand": "true"})
    kinds = {text_in(row, "name"): text_in(row, "state_type") for row in rows}
    return kinds.get(state) in ("closed", "merged", "removed")


def _article(config: Config, text: TicketText) -> dict[str, Any]:
    words = {"body": text.body, "content_type": "text/plain"}
    if text.html is not None:
        words = {"body": text.html, "content_type": "text/html"}
    return {"subject": one_line(text.subject, MAX_TITLE), "type": "note", "internal": not config.public, **words}


def _update(api: Api, config: Config, thread: Thread, text: TicketText, state: str) -> None:
    fields = {"state": state, "article": _article(config, text)}
    answer = api.write("PUT", f"/tickets/{segment(thread.external_id)}", fields, query={"expand": "true"})
    if not text_in(answer, "state"):
        raise OutcomeUnknown(f"{api.host} took the change but did not say how the ticket stands.")
    if text_in(answer, "state") != state:
        stands = text_in(answer, "state")[:40]
        raise PermanentFailure(f"Zammad left the ticket {thread.external_id} {stands!r} instead of {state!r}.")


def _remark(row: Mapping[str, Any], me: str) -> Remark:
    body = text_in(row, "body")
    if "html" in text_in(row, "content_type"):
        body = _unmarked(body)
    return Remark(
        id=text_in(row, "id"),
        author=text_in(row, "from") or text_in(row, "created_by"),
        text=body,
        at=json_api.moment(row.get("created_at")),
        ours=id_in(row, "created_by_id") == me,
    )


def _unmarked(text: str) -> str:
    """The words of what people wrote in Zammad's editor."""
    lines = re.sub(r"<br[^>]*>|</(p|div|li)>", "\n", text, flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]*>", "", lines)).strip()


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/#ticket/zoom/{segment(external_id)}"


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise PermanentFailure(f"{text[:40]!r} is no number that Zammad could have given its ticket.")
    return int(text)
