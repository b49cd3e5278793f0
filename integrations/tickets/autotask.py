"""Autotask PSA: tickets by its REST API, with the credentials of an API user.

Our reference is the ticket's ``externalID``; queries travel as GET with their filter as JSON, and what comes back is
checked, as an operator that Autotask does not know is ignored without a word. A message is a note and travels before
the change of status; the status is read back. Sources: Autotask developer help, "Tickets", "TicketNotes", "Webhooks",
"Secret key and payload verification", "REST API supportability, query thresholds, and latency"; refusals that arrive
as HTTP 500 as clients of the API report them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
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
from integrations.tickets.json_api import Api, check_address, id_in, one_line, rows_in, segment, text_in

LABEL: Final = "Autotask PSA"
#: 1,800 of the 10,000 an hour that one database allows all integrations together.
CALLS_PER_MINUTE: Final = 30
VERIFIED: Final = ""
NOBODYS_REFERENCE: Final = "BL-00000000"
BASE: Final = "/ATServicesRest/V1.0"
COMPLETE: Final = "5"  # the one status that every database has for closed tickets
MAX_SUBJECT: Final = 250
MAX_DESCRIPTION: Final = 8_000
MAX_NOTE: Final = 32_000
MAX_PAGES: Final = 10
#: Fields of tickets and of notes whose values Autotask lists, by the setting that holds one.
OF_TICKETS: Final = {
    "queue": "queueID", "category": "ticketCategory", "source": "source", "new_status": "status",
    "closed_status": "status", "reopened_status": "status", "priority_low": "priority",
    "priority_normal": "priority", "priority_high": "priority", "priority_urgent": "priority",
}  # fmt: skip
OF_NOTES: Final = {"note_type": "noteType", "publish": "publish"}
#: Words of a refusal: Autotask answers 500 to what others answer 400 or 422, and has then done nothing.
REFUSALS: Final = ("reference value on field", "required field", "does not exist or is invalid", "data violation")


@dataclass(frozen=True)
class Config:
    """One Autotask database and how tickets are opened in it."""

    url: str = setting("Address of your zone", help="Such as https://webservices5.autotask.net")
    username: str = setting("User name", help="Of an API user (API-only) made for Backledger alone.")
    secret: str = setting("Secret", secret=True, help="The API user's password.")
    integration_code: str = setting("API tracking identifier", secret=True, help="On the API user's page, Security.")
    queue: str = setting("Queue", help="The number of the queue.", looked_up=True)
    default_company: str = setting("Company if a client has none", default="", looked_up=True)
    category: str = setting("Ticket category", default="", help="Empty: the API user's default.", looked_up=True)
    source: str = setting("Source", default="", help="Empty: none is set.", looked_up=True)
    due_hours: int = setting("Due after hours", kind="number", default=24, help="Autotask wants a due date.")
    new_status: str = setting("Status of a new ticket", default="1", looked_up=True)
    closed_status: str = setting("Status to close with", default=COMPLETE, looked_up=True)
    reopened_status: str = setting("Status to reopen with", default="8", looked_up=True)
    priority_low: str = setting("Priority for low", default="3", looked_up=True)
    priority_normal: str = setting("Priority for normal", default="2", looked_up=True)
    priority_high: str = setting("Priority for high", default="1", looked_up=True)
    priority_urgent: str = setting("Priority for urgent", default="4", looked_up=True)
    note_type: str = setting("Type of our notes", default="1", looked_up=True)
    publish: str = setting("Who sees our notes", default="2", help="2: internal users only.", looked_up=True)
    webhook_secret: str = setting(
        "Secret key of the webhook", default="", secret=True, help="16 to 64 characters, as given to the webhook."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        for name in ("default_company", *OF_TICKETS, *OF_NOTES):
            optional = name in ("default_company", "category", "source")
            if not (optional and not getattr(self, name)) and not re.fullmatch(r"[0-9]{1,18}", getattr(self, name)):
                raise BadConfig(name, "This must be the number that Autotask gives it.")
        if not 1 <= self.due_hours <= 8760:
            raise BadConfig("due_hours", "The hours must be between 1 and 8760.")
        if self.webhook_secret and not 16 <= len(self.webhook_secret) <= 64:
            raise BadConfig("webhook_secret", "The secret key must have 16 to 64 characters.")


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their secret."""
    able: set[Ability] = {"read", "reopen", "companies"}
    if config.webhook_secret:
        able.add("callbacks")
    return frozenset(able)


def find_after(config: Config) -> timedelta | None:
    """Queries read the database; a minute is on the safe side."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer without an id leaves the outcome unknown."""
    company = json_api.company_of(ticket, config.default_company, label=LABEL)
    due = call.now + timedelta(hours=config.due_hours)
    fields: dict[str, Any] = {
        "companyID": _number(company),
        "title": one_line(ticket.text.subject, MAX_SUBJECT),
        "description": _cut(ticket.text.body, MAX_DESCRIPTION),
        "externalID": ticket.reference,
        "queueID": int(config.queue),
        "status": int(config.new_status),
        "priority": int(getattr(config, f"priority_{ticket.priority}")),
        "dueDateTime": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    for name, value in (("ticketCategory", config.category), ("source", config.source)):
        fields |= {name: int(value)} if value else {}
    api = api_of(config, call)
    return _created(config, written_id(api, "POST", "/Tickets", fields))


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a note; the status stays as it is."""
    _add_note(api_of(config, call), config, thread, text)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note first, status last; a ticket that is closed already, or gone, is left as it is."""
    api = api_of(config, call)
    there = _ticket(api, thread.external_id)
    if there is None or _is_closed(config, there):
        return
    _add_note_once(api, config, thread, text)
    _set_status(api, thread, config.closed_status, f"The ticket {thread.external_id} was not closed")


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note first, status last, as read back."""
    api = api_of(config, call)
    there = _ticket(api, thread.external_id)
    if there is None:
        raise NotThere(f"The ticket {thread.external_id} is not in Autotask any more: it cannot be reopened.")
    _add_note_once(api, config, thread, text)
    if _is_closed(config, there):
        _set_status(api, thread, config.reopened_status, f"The ticket {thread.external_id} was not reopened")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket that bears our reference, as checked in what was returned."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,50}", reference):
        raise PermanentFailure(
            "This reference cannot be searched for: it has other characters than letters and digits."
        )
    api = api_of(config, call)
    rows, _ = query_rows(api, "Tickets", [where("externalID", "eq", reference)])
    if any(text_in(row, "externalID") != reference or not id_at(row, "id") for row in rows):
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned other tickets.")
    return _created(config, min((id_at(row, "id") for row in rows), key=int)) if rows else None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket and its notes; None if it was deleted."""
    api = api_of(config, call)
    ticket = _ticket(api, thread.external_id)
    if ticket is None:
        return None
    notes = _notes(api, thread.external_id)
    names = _names(api, [id_at(ticket, "assignedResourceID"), *(id_at(note, "creatorResourceID") for note in notes)])
    status = text_in(ticket, "status")
    shown = {choice.value: choice.label for choice in _picklist(api, "Tickets", "status")}
    return Standing(
        external_id=thread.external_id,
        status=shown.get(status, status),
        closed=_is_closed(config, ticket),
        reference=text_in(ticket, "externalID"),
        assignee=names.get(id_at(ticket, "assignedResourceID"), ""),
        remarks=tuple(_remark(note, names, ticket) for note in notes),
        url=_page(config, thread.external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Active companies by a part of their name, up to 1,000."""
    api = api_of(config, call)
    found: dict[str, str] = {}
    last = "0"
    for _ in range(MAX_PAGES):
        filters = [where("isActive", "eq", True), where("id", "gt", int(last))]
        filters += [where("companyName", "contains", search.strip())] if search.strip() else []
        rows, more = query_rows(api, "Companies", filters)
        found |= {id_at(row, "id"): text_in(row, "companyName") for row in rows if id_at(row, "id")}
        if not more or not found or len(found) >= 1000:
            break
        last = max(found, key=int)
    matching = [Company(key, name) for key, name in found.items() if name and search.casefold() in name.casefold()]
    return tuple(matching[:1000])


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Companies, and the values that Autotask lists for fields of tickets and notes."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    if name in OF_TICKETS:
        return _picklist(api_of(config, call), "Tickets", OF_TICKETS[name])
    if name in OF_NOTES:
        return _picklist(api_of(config, call), "TicketNotes", OF_NOTES[name])
    raise PermanentFailure(f"The values of {name} cannot be looked up.")


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event, known by the webhook's GUID and the number in its sequence."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no secret for them.")
    given = {name.lower(): value for name, value in headers.items()}
    # SHA-1 is what Autotask offers; as the key of an HMAC it still proves who wrote this.
    digest = hmac.new(config.webhook_secret.encode(), body, hashlib.sha1).digest()
    signatures.require_same(given.get("x-hook-signature", ""), "sha1=" + base64.b64encode(digest).decode())
    document = json_api.decode(body)
    external_id = id_at(document, "Id")
    if not external_id or text_in(document, "EntityType").casefold() not in ("ticket", "tickets"):
        raise PermanentFailure("The callback names no ticket: it must come from a webhook for tickets.")
    guid, number = id_in(document, "Guid"), text_in(document, "SequenceNumber")
    event_id = f"{guid}.{number}" if guid and number else hashlib.sha256(body).hexdigest()
    return (TicketEvent(event_id, external_id, call.now),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether tickets can be searched, companies read, and every chosen value is one that Autotask lists."""
    problems = list(json_api.open_text_problem(config.url, call))
    try:
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
        api = api_of(config, call)
        query_rows(api, "Companies", [where("id", "gt", 0)])
        for entity, fields in (("Tickets", OF_TICKETS), ("TicketNotes", OF_NOTES)):
            problems += _value_problems(config, api, entity, fields)
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def api_of(config: Config, call: Call) -> Api:
    headers = {"username": config.username, "secret": config.secret, "apiintegrationcode": config.integration_code}
    return Api(config.url.rstrip("/") + BASE, call=call, headers=headers, secrets=secrets_of(config))


def where(field: str, operator: str, value: object) -> dict[str, object]:
    return {"op": operator, "field": field, "value": value}


def query_rows(api: Api, entity: str, filters: list[dict[str, object]]) -> tuple[list[dict[str, Any]], bool]:
    """The first page of what matches, and whether there is more; as GET, so that a failure is that of a read."""
    document = api.get(f"/{entity}/query", {"search": json.dumps({"MaxRecords": 500, "filter": filters})})
    return rows_in(document, "items", host=api.host), bool(text_in(document, "pageDetails", "nextPageUrl"))


def written_id(api: Api, method: str, path: str, fields: Mapping[str, Any]) -> str:
    """The id of what was written."""
    try:
        answer = api.write(method, path, fields)
    except OutcomeUnknown as failure:
        if "answered 500" in failure.reason and any(words in failure.reason.casefold() for words in REFUSALS):
            raise PermanentFailure(f"Autotask refused the values: {failure.reason}") from None
        raise
    external_id = id_at(answer, "itemId")
    if not external_id:
        raise OutcomeUnknown(f"{api.host} took what was sent but told no id.")
    return external_id


def _ticket(api: Api, external_id: str) -> dict[str, Any] | None:
    """The ticket, None if it is not there; raises PermanentFailure for an answer that is no such ticket."""
    try:
        document = api.get(f"/Tickets/{segment(external_id)}")
    except NotThere:
        return None
    if isinstance(document, dict) and "item" in document and document["item"] is None:
        return None
    ticket = document.get("item") if isinstance(document, dict) else None
    if not isinstance(ticket, dict) or id_at(ticket, "id") != external_id or not text_in(ticket, "status"):
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    return ticket


def _notes(api: Api, external_id: str) -> list[dict[str, Any]]:
    """The notes, oldest first; only those that say they are of this ticket."""
    rows, _ = query_rows(api, "TicketNotes", [where("ticketID", "eq", _number(external_id))])
    ours = [row for row in rows if id_at(row, "ticketID") == external_id and id_at(row, "id")]
    return sorted(ours, key=lambda row: int(id_at(row, "id")))


def _add_note(api: Api, config: Config, thread: Thread, text: TicketText) -> None:
    fields = {
        "title": one_line(text.subject, MAX_SUBJECT),
        "description": _cut(text.body, MAX_NOTE),
        "noteType": int(config.note_type),
        "publish": int(config.publish),
    }
    written_id(api, "POST", f"/Tickets/{segment(thread.external_id)}/Notes", fields)


def _add_note_once(api: Api, config: Config, thread: Thread, text: TicketText) -> None:
    """Not again where an earlier try added the note and then failed to change the status."""
    last = [text_in(note, "description") for note in _notes(api, thread.external_id)][-1:]
    if [one.split() for one in last] != [_cut(text.body, MAX_NOTE).split()]:
        _add_note(api, config, thread, text)


def _set_status(api: Api, thread: Thread, status: str, what: str) -> None:
    """Change the status and look whether it changed: workflow rules of the database may set another."""
    written_id(api, "PATCH", "/Tickets", {"id": _number(thread.external_id), "status": int(status)})
    there = _ticket(api, thread.external_id)
    if there is None or text_in(there, "status") != status:
        found = "gone" if there is None else text_in(there, "status")[:20]
        raise PermanentFailure(f"{what}: its status is {found}. Check the workflow rules and what the API user may do.")


def _picklist(api: Api, entity: str, field: str) -> tuple[Choice, ...]:
    rows = rows_in(api.get(f"/{entity}/entityInformation/fields"), "fields", host=api.host)
    found: list[Choice] = []
    for row in rows:
        if text_in(row, "name").casefold() == field.casefold() and isinstance(row.get("picklistValues"), list):
            values = rows_in(row, "picklistValues", host=api.host)
            found += [Choice(text_in(one, "value"), text_in(one, "label")) for one in values if one.get("isActive")]
    return tuple(choice for choice in found if choice.value and choice.label)


def _value_problems(config: Config, api: Api, entity: str, fields: Mapping[str, str]) -> list[str]:
    problems = []
    offered = {field: {choice.value for choice in _picklist(api, entity, field)} for field in set(fields.values())}
    for name, field in fields.items():
        value = getattr(config, name)
        if value and value not in offered[field]:
            problems.append(f"{value} is no {name.replace('_', ' ')} of this Autotask: choose another.")
    return problems


def _names(api: Api, ids: Iterable[str]) -> dict[str, str]:
    """The names of people by their number."""
    asked = sorted({int(one) for one in ids if one})
    if not asked:
        return {}
    rows, _ = query_rows(api, "Resources", [where("id", "in", asked)])
    return {id_at(row, "id"): f"{text_in(row, 'firstName')} {text_in(row, 'lastName')}".strip() for row in rows}


def _remark(note: Mapping[str, Any], names: Mapping[str, str], ticket: Mapping[str, Any]) -> Remark:
    """Whoever created our ticket is our own API user."""
    writer = id_at(note, "creatorResourceID")
    return Remark(
        id=id_at(note, "id"),
        author=names.get(writer, ""),
        text=text_in(note, "description") or text_in(note, "title"),
        at=json_api.moment(note.get("createDateTime")),
        ours=bool(writer) and writer == id_at(ticket, "creatorResourceID"),
    )


def _is_closed(config: Config, ticket: Mapping[str, Any]) -> bool:
    return text_in(ticket, "status") in (COMPLETE, config.closed_status)


def id_at(record: object, name: str) -> str:
    """The number at this place, "" for what is none."""
    value = id_in(record, name)
    return value if value and re.fullmatch(r"[1-9][0-9]{0,17}", value) else ""


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise PermanentFailure(f"{text[:40]!r} is no number that Autotask could have given: choose the company again.")
    return int(text)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    site = config.url.rstrip("/").replace("://webservices", "://ww", 1)
    return f"{site}/Autotask/AutotaskExtend/ExecuteCommand.aspx?Code=OpenTicketDetail&TicketID={segment(external_id)}"
