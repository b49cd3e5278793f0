"""HaloPSA: tickets by its REST API, signed in as an API application (OAuth client credentials).

Our reference is the ticket's ``third_party_id_string``, which the list of tickets has a filter for; every hit is
checked, in its details where the list does not show the field. Halo takes arrays and a client that does not exist: so
the client is looked up first. A message is an action and travels before the change of status, which is read back.
Sources: the models and scripts that clients of the API publish (HaloAPI for PowerShell, CIPP), and Halo's guide to
webhooks. Of a webhook's body only ``ticket.id`` is used; no source confirmed more of its shape.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

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
from integrations.tickets.json_api import Api, check_address, id_in, one_line, rows_in, segment, text_in

LABEL: Final = "HaloPSA"
#: Halo publishes no figure; its clients wait from 5 seconds on when it says 429. One call in two seconds.
CALLS_PER_MINUTE: Final = 30
VERIFIED: Final = ""
NOBODYS_REFERENCE: Final = "BL-00000000"
CLOSED: Final = "9"  # the status Closed of every Halo
UNASSIGNED: Final = "1"  # the agent that stands for nobody
MAX_SUBJECT: Final = 200
MAX_PAGES: Final = 20
MAX_DETAILS: Final = 5
MAX_EVENTS: Final = 200
#: Where the values of a setting are listed, and the fields with the value and its name.
LISTS: Final = {
    "ticket_type": ("/api/tickettype", "id", "name"),
    "team": ("/api/team", "name", "name"),
    "new_status": ("/api/status", "id", "name"),
    "closed_status": ("/api/status", "id", "name"),
    "reopened_status": ("/api/status", "id", "name"),
    "outcome": ("/api/outcome", "id", "outcome"),
} | dict.fromkeys(
    ("priority_low", "priority_normal", "priority_high", "priority_urgent"), ("/api/priority", "priorityid", "name")
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """One Halo and how tickets are opened in it."""

    url: str = setting("Address", help="Such as https://yourname.halopsa.com")
    client_id: str = setting("Client ID", help="Configuration, Integrations, HaloPSA API, of an application.")
    client_secret: str = setting("Client secret", secret=True)
    ticket_type: str = setting("Ticket type", help="The number of the type.", looked_up=True)
    tenant: str = setting("Tenant", default="", help="Only for Halo's own hosting: shown beside the address.")
    default_company: str = setting("Client if a client has none", default="", looked_up=True)
    team: str = setting("Team", default="", help="Empty: Halo's own rules.", looked_up=True)
    new_status: str = setting("Status of a new ticket", default="", help="Empty: the type's.", looked_up=True)
    closed_status: str = setting("Status to close with", default=CLOSED, looked_up=True)
    reopened_status: str = setting("Status to reopen with", default="2", looked_up=True)
    priority_low: str = setting("Priority for low", default="", help="Empty: the type's.", looked_up=True)
    priority_normal: str = setting("Priority for normal", default="", help="Empty: the type's.", looked_up=True)
    priority_high: str = setting("Priority for high", default="", help="Empty: the type's.", looked_up=True)
    priority_urgent: str = setting("Priority for urgent", default="", help="Empty: the type's.", looked_up=True)
    outcome: str = setting("Action of our messages", default="7", help="7: Private Note.", looked_up=True)
    public: bool = setting("Show our messages to the user", kind="switch", default=False)
    webhook_secret: str = setting(
        "Secret of callbacks", default="", secret=True, help="16 characters or more; sent as bearer token."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        for name in ("default_company", *(name for name in LISTS if name != "team")):
            optional = name in ("default_company", "new_status") or name.startswith("priority_")
            if not (optional and not getattr(self, name)) and not re.fullmatch(r"[0-9]{1,10}", getattr(self, name)):
                raise BadConfig(name, "This must be the number that Halo gives it.")
        if self.webhook_secret and (len(self.webhook_secret) < 16 or not self.webhook_secret.isascii()):
            raise BadConfig("webhook_secret", "The secret must have 16 ASCII characters or more.")


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their secret."""
    able: set[Ability] = {"read", "reopen", "companies"}
    if config.webhook_secret:
        able.add("callbacks")
    return frozenset(able)


def find_after(config: Config) -> timedelta | None:
    """The filter reads the database; a minute is on the safe side."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer without an id leaves the outcome unknown."""
    company = json_api.company_of(ticket, config.default_company, label=LABEL)
    fields: dict[str, Any] = {
        "summary": one_line(ticket.text.subject, MAX_SUBJECT),
        "details_html": _html(ticket.text),
        "tickettype_id": int(config.ticket_type),
        "client_id": _number(company),
        "third_party_id_string": ticket.reference,
    }
    if config.team:
        fields["team"] = config.team
    priority = str(getattr(config, f"priority_{ticket.priority}"))
    for name, value in (("status_id", config.new_status), ("priority_id", priority)):
        fields |= {name: int(value)} if value else {}
    api = api_of(config, call)
    _require_client(api, company)
    external_id = id_of(only(api.write("POST", "/api/tickets", [fields])))
    if not external_id:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add an action; the status stays as it is."""
    _add_action(api_of(config, call), config, thread, text)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message first, status last; a ticket that is closed already, or gone, is left as it is."""
    api = api_of(config, call)
    there = _ticket(api, thread.external_id)
    if there is None or _is_closed(config, there):
        return
    _add_action_once(api, config, thread, text)
    _set_status(api, thread, config.closed_status, f"The ticket {thread.external_id} was not closed")


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message first, status last, as read back."""
    api = api_of(config, call)
    there = _ticket(api, thread.external_id)
    if there is None:
        raise NotThere(f"The ticket {thread.external_id} is not in HaloPSA any more: it cannot be reopened.")
    _add_action_once(api, config, thread, text)
    if _is_closed(config, there):
        _set_status(api, thread, config.reopened_status, f"The ticket {thread.external_id} was not reopened")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket that bears our reference, as checked in what was returned or in its details."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", reference):
        raise PermanentFailure(
            "This reference cannot be searched for: it has other characters than letters and digits."
        )
    api = api_of(config, call)
    query: dict[str, str | int] = {"third_party_id_string": reference, "count": 50}
    ids = sorted(id_of(row) for row in rows_in(api.get("/api/tickets", query), "tickets", host=api.host))
    if len(ids) > MAX_DETAILS or "" in ids:
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned more than it should.")
    there = [ticket for ticket in (_ticket(api, one) for one in ids) if ticket is not None]
    if any(text_in(ticket, "third_party_id_string") != reference for ticket in there):
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned other tickets.")
    return _created(config, min((id_of(ticket) for ticket in there), key=int)) if there else None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket and its messages; None if it was deleted."""
    api = api_of(config, call)
    ticket = _ticket(api, thread.external_id)
    if ticket is None:
        return None
    me = text_in(api.get("/api/agent/me"), "name").casefold()
    status = text_in(ticket, "status_id")
    shown = {choice.value: choice.label for choice in _choices(api, "new_status")}
    return Standing(
        external_id=thread.external_id,
        status=shown.get(status, status),
        closed=_is_closed(config, ticket),
        reference=text_in(ticket, "third_party_id_string"),
        assignee=_agent(api, id_in(ticket, "agent_id")),
        remarks=tuple(_remark(row, me) for row in _actions(api, thread.external_id)),
        url=_page(config, thread.external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Clients by a part of their name, up to 1,000."""
    api = api_of(config, call)
    found: dict[str, str] = {}
    for page in range(1, MAX_PAGES + 1):
        query: dict[str, str | int] = {"pageinate": "true", "page_size": 50, "page_no": page}
        document = api.get("/api/client", query | ({"search": search.strip()} if search.strip() else {}))
        rows = rows_in(document, "clients", host=api.host)
        fresh = {id_of(row): text_in(row, "name") for row in rows if id_of(row)}
        count = text_in(document, "record_count")
        if not fresh.keys() - found.keys():
            break
        found |= fresh
        if count.isdigit() and len(found) >= int(count):
            break
    return tuple(Company(key, name) for key, name in found.items() if name and search.casefold() in name.casefold())


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Clients, types, teams, statuses, priorities and actions."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    if name not in LISTS:
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    return _choices(api_of(config, call), name)


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """The events of a delivery, which may be a batch; Halo signs nothing, so our secret comes as a bearer token."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no secret for them.")
    given = {name.lower(): value for name, value in headers.items()}
    signatures.require_same(given.get("authorization", ""), f"Bearer {config.webhook_secret}")
    document = json_api.decode(body)
    told = document if isinstance(document, list) else [document]
    events: dict[str, TicketEvent] = {}
    for one in told[:MAX_EVENTS]:
        external_id = id_of(one.get("ticket")) if isinstance(one, dict) else ""
        if external_id:
            event_id = hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest()
            events[event_id] = TicketEvent(event_id, external_id, call.now)
    if not events:
        raise PermanentFailure("The callback names no ticket: choose events of tickets and the standard content.")
    return tuple(events.values())


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether we are an agent, tickets can be searched, and every chosen value is one that Halo lists."""
    problems = list(json_api.open_text_problem(config.url, call))
    try:
        api = api_of(config, call)
        if not text_in(api.get("/api/agent/me"), "name"):
            problems.append("The API application is no agent: set it to log in as an agent of its own.")
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
        for name in LISTS:
            value = getattr(config, name)
            if value and value not in {choice.value for choice in _choices(api, name)}:
                problems.append(f"{value} is no {name.replace('_', ' ')} of this Halo: choose another.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def api_of(config: Config, call: Call) -> Api:
    api = Api(config.url, call=call, headers={}, secrets=secrets_of(config))
    form = {"grant_type": "client_credentials", "client_id": config.client_id, "scope": "all",
            "client_secret": config.client_secret}  # fmt: skip
    api.sign_in("/auth/token" + (f"?tenant={quote(config.tenant, safe='')}" if config.tenant else ""), form)
    return api


def _ticket(api: Api, external_id: str) -> dict[str, Any] | None:
    """The ticket, None if it was deleted; raises PermanentFailure for an answer that is no such ticket."""
    try:
        document = api.get(f"/api/tickets/{segment(external_id)}", {"includedetails": "true"})
    except NotThere:
        return None
    if not isinstance(document, dict) or id_of(document) != external_id or not text_in(document, "status_id"):
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    return None if document.get("deleted") is True else document


def _actions(api: Api, external_id: str) -> list[dict[str, Any]]:
    """The messages that people and we wrote, oldest first."""
    query: dict[str, str | int] = {"ticket_id": external_id, "excludesys": "true", "count": 100}
    rows = rows_in(api.get("/api/actions", query), "actions", host=api.host)
    theirs = [row for row in rows if id_in(row, "ticket_id") == external_id and id_of(row)]
    return sorted(theirs, key=lambda row: int(id_of(row)))


def _add_action(api: Api, config: Config, thread: Thread, text: TicketText) -> None:
    action = {
        "ticket_id": _number(thread.external_id),
        "outcome_id": int(config.outcome),
        "note_html": _html(text),
        "hiddenfromuser": not config.public,
    }
    if not id_of(only(api.write("POST", "/api/actions", [action]))):
        raise OutcomeUnknown(f"{api.host} took the message but told no id.")


def _add_action_once(api: Api, config: Config, thread: Thread, text: TicketText) -> None:
    """Not again where an earlier try added the message and then failed to change the status."""
    last = [text_in(row, "note") for row in _actions(api, thread.external_id)][-1:]
    if [one.split() for one in last] != [text.body.split()]:
        _add_action(api, config, thread, text)


def _set_status(api: Api, thread: Thread, status: str, what: str) -> None:
    """Change the status and look whether it changed: workflows may refuse it without a word."""
    answer = only(api.write("POST", "/api/tickets", [{"id": _number(thread.external_id), "status_id": int(status)}]))
    if id_of(answer) != thread.external_id:
        raise OutcomeUnknown(f"{api.host} took the change but did not say how the ticket stands.")
    there = _ticket(api, thread.external_id)
    if there is None or text_in(there, "status_id") != status:
        found = "gone" if there is None else text_in(there, "status_id")[:20]
        raise PermanentFailure(f"{what}: its status is {found}. Check the workflow of its type and the agent's rights.")


def _require_client(api: Api, company: str) -> None:
    try:
        document = api.get(f"/api/client/{_number(company)}")
    except NotThere:
        document = None
    if id_of(document) != company:
        raise PermanentFailure(f"HaloPSA has no client {company} (any more): choose the client's company again.")


def _choices(api: Api, name: str) -> tuple[Choice, ...]:
    path, value, label = LISTS[name]
    document = api.get(path, {"type": "ticket"} if path == "/api/status" else {})
    found = {text_in(row, value): text_in(row, label) for row in rows_in(document, host=api.host)}
    return tuple(Choice(key, words) for key, words in found.items() if key and words)


def _agent(api: Api, agent_id: str | None) -> str:
    """The name of the assigned agent, "" for nobody or for one who left."""
    if agent_id in (None, "0", UNASSIGNED):
        return ""
    try:
        return text_in(api.get(f"/api/agent/{segment(str(agent_id))}"), "name")
    except NotThere:
        return ""


def _remark(row: Mapping[str, Any], me: str) -> Remark:
    author = text_in(row, "who")
    return Remark(
        id=id_of(row),
        author=author,
        text=text_in(row, "note"),
        at=json_api.moment(row.get("datetime")),
        ours=bool(author) and author.casefold() == me,
    )


def _is_closed(config: Config, ticket: Mapping[str, Any]) -> bool:
    return text_in(ticket, "status_id") in (CLOSED, config.closed_status)


def only(answer: object) -> object:
    """Halo answers an array of one with the one, or with an array."""
    return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer


def id_of(record: object) -> str:
    """The number of a record, "" for what has none."""
    value = id_in(record, "id")
    return value if value and re.fullmatch(r"[1-9][0-9]{0,9}", value) else ""


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise PermanentFailure(f"{text[:40]!r} is no number that Halo could have given: choose the company again.")
    return int(text)


def _html(text: TicketText) -> str:
    return text.html if text.html is not None else html.escape(text.body, quote=False).replace("\n", "<br>\n")


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/ticket?id={segment(external_id)}"
