"""Kaseya BMS (and Vorex): tickets by its API v2, signed in with the name and password of a user.

BMS has no field for a reference of ours, so it stands in brackets at the end of the title, by which tickets are
searched and every hit is checked. A note can carry a status: the last words and the closing are one request. Names of
fields come in either case, and an answer of 200 may say that nothing was done. Values for settings are those of the
tickets that exist. Sources: the published names of the API v2's ``TicketInputDto``, ``TicketFilterDto`` and
``TicketNotePostInputDto``, and clients of the API; callbacks were found nowhere.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import json_api
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

LABEL: Final = "Kaseya BMS"
#: One call in three seconds: no figure of the vendor's was found.
CALLS_PER_MINUTE: Final = 20
VERIFIED: Final = ""
NOBODYS_REFERENCE: Final = "BL-00000000"
TICKETS: Final = "/v2/servicedesk/tickets"
MAX_TITLE: Final = 200
MAX_PAGES: Final = 20
PAGE: Final = 50
#: The fields of a ticket that a setting holds a value of: its number and its name.
FIELDS: Final = {
    "type": ("typeid", "typename"),
    "source": ("sourceid", "sourcename"),
    "queue": ("queueid", "queuename"),
} | dict.fromkeys(("new_status", "closed_status", "reopened_status"), ("statusid", "statusname")) | dict.fromkeys(
    ("priority_low", "priority_normal", "priority_high", "priority_urgent"), ("priorityid", "priorityname")
)  # fmt: skip
AUTHORS: Final = ("createdbyname", "employeename", "username", "createdby")


@dataclass(frozen=True)
class Config:
    """One BMS tenant and how tickets are opened in it."""

    tenant: str = setting("Tenant", help="Your company name, on My Settings in BMS.")
    username: str = setting("User name", help="Of a user made for Backledger alone, without a second factor.")
    password: str = setting("Password", secret=True)
    type: str = setting("Ticket type", help="Values are those of your newest tickets.", looked_up=True)
    source: str = setting("Source", looked_up=True)
    queue: str = setting("Queue", looked_up=True)
    new_status: str = setting("Status of a new ticket", looked_up=True)
    closed_status: str = setting("Status to close with", looked_up=True)
    reopened_status: str = setting("Status to reopen with", looked_up=True)
    priority_low: str = setting("Priority for low", looked_up=True)
    priority_normal: str = setting("Priority for normal", looked_up=True)
    priority_high: str = setting("Priority for high", looked_up=True)
    priority_urgent: str = setting("Priority for urgent", looked_up=True)
    note_type: str = setting("Type of our notes", help="The number of a note type in BMS.")
    url: str = setting(
        "Address", default="https://api.bms.kaseya.com", help="EMEA: api.bmsemea.kaseya.com, APAC: api.bmsapac..."
    )
    default_company: str = setting("Account if a client has none", default="", looked_up=True)
    public: bool = setting("Show our messages to the customer", kind="switch", default=False)

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        for name in (*FIELDS, "note_type", "default_company"):
            optional = name == "default_company"
            if not (optional and not getattr(self, name)) and not re.fullmatch(r"[0-9]{1,12}", getattr(self, name)):
                raise BadConfig(name, "This must be the number that BMS gives it.")
        for name in ("tenant", "username"):
            if not getattr(self, name):
                raise BadConfig(name, "This must be given.")


def abilities(config: Config) -> frozenset[Ability]:
    """No callbacks: BMS was found to send none."""
    return frozenset({"read", "reopen", "companies"})


def find_after(config: Config) -> timedelta | None:
    """Whether the search reads an index is not known: five minutes."""
    return timedelta(minutes=5)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket at the account's main location; an answer without an id leaves the outcome unknown."""
    company = json_api.company_of(ticket, config.default_company, label=LABEL)
    mark = f" [{ticket.reference}]"
    api = _api(config, call)
    fields = {
        "Title": one_line(ticket.text.subject, MAX_TITLE - len(mark)) + mark,
        "Details": _html(ticket.text),
        "AccountId": _number(company),
        "LocationId": _location(api, company),
        "StatusId": int(config.new_status),
        "PriorityId": int(getattr(config, f"priority_{ticket.priority}")),
        "TypeId": int(config.type),
        "SourceId": int(config.source),
        "QueueId": int(config.queue),
        "OpenDate": call.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    external_id = _id(_result(_written(api, TICKETS, fields)))
    if not external_id:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a note; the status stays as it is."""
    _add_note(_api(config, call), config, thread, text, call=call)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note and status in one request, then read back; one that is closed already, or gone, is left as it is."""
    api = _api(config, call)
    there = _ticket(api, thread.external_id)
    if there is None or text_in(there, "statusid") == config.closed_status:
        return
    _add_note(api, config, thread, text, status=config.closed_status, call=call)
    _require_status(api, thread, config.closed_status, f"The ticket {thread.external_id} was not closed")


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note and status in one request, then read back."""
    api = _api(config, call)
    there = _ticket(api, thread.external_id)
    if there is None:
        raise NotThere(f"The ticket {thread.external_id} is not in Kaseya BMS any more: it cannot be reopened.")
    if text_in(there, "statusid") != config.closed_status:
        _add_note(api, config, thread, text, call=call)
        return
    _add_note(api, config, thread, text, status=config.reopened_status, call=call)
    _require_status(api, thread, config.reopened_status, f"The ticket {thread.external_id} was not reopened")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket whose title bears our reference, as checked in what was returned."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,50}", reference):
        raise PermanentFailure(
            "This reference cannot be searched for: it has other characters than letters and digits."
        )
    api = _api(config, call)
    rows = _search(api, {"Title": reference})
    if any(not _bears(row, reference) or not _id(row) for row in rows):
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned other tickets.")
    return _created(config, min((_id(row) for row in rows), key=int)) if rows else None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket and its notes; None if it was deleted."""
    api = _api(config, call)
    ticket = _ticket(api, thread.external_id)
    if ticket is None:
        return None
    rows = _rows(api.get(f"{TICKETS}/{segment(thread.external_id)}/notes"), api)
    status = text_in(ticket, "statusid")
    return Standing(
        external_id=thread.external_id,
        status=text_in(ticket, "statusname") or status,
        closed=status == config.closed_status,
        reference=thread.reference if _bears(ticket, thread.reference) else "",
        assignee=text_in(ticket, "assigneename"),
        remarks=tuple(remark for remark in (_remark(config, row) for row in rows) if remark is not None),
        url=_page(config, thread.external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Accounts by a part of their name, up to 1,000."""
    api = _api(config, call)
    found: dict[str, str] = {}
    for page in range(1, MAX_PAGES + 1):
        rows = _rows(api.get("/v2/crm/accounts", {"PageSize": PAGE, "PageNumber": page}), api)
        fresh = {_id(row): text_in(row, "accountname") or text_in(row, "name") for row in rows if _id(row)}
        if not fresh.keys() - found.keys():
            break
        found |= fresh
    return tuple(Company(key, name) for key, name in found.items() if name and search.casefold() in name.casefold())


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Accounts, and the values of the newest tickets: BMS was found to list no others."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    if name not in FIELDS:
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    value, label = FIELDS[name]
    found = {text_in(row, value): text_in(row, label) for row in _search(_api(config, call), {})}
    return tuple(Choice(key, words or key) for key, words in sorted(found.items()) if key)


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """None: raises PermanentFailure."""
    raise PermanentFailure("Kaseya BMS sends no callbacks: its tickets are looked at from time to time.")


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether we can sign in, tickets can be searched, and accounts read."""
    problems = list(json_api.open_text_problem(config.url, call))
    try:
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
        api = _api(config, call)
        _rows(api.get("/v2/crm/accounts", {"PageSize": 1, "PageNumber": 1}), api)
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _api(config: Config, call: Call) -> Api:
    """Signed in; a failed log-in never leaves an outcome unknown."""
    api = Api(config.url, call=call, headers={}, secrets=secrets_of(config))
    form = {"GrantType": "password", "UserName": config.username, "Password": config.password, "Tenant": config.tenant}
    try:
        answer = _folded(api.post_form("/v2/security/authenticate", form))
    except OutcomeUnknown as failure:
        raise TemporaryFailure(failure.reason) from None
    except PermanentFailure as failure:
        raise PermanentFailure(f"Logging in failed, check the credentials: {failure.reason}") from None
    token = text_in(_folded(answer.get("result")), "accesstoken") or text_in(answer, "accesstoken")
    if not token or not token.isascii() or not token.isprintable():
        raise PermanentFailure(f"{api.host} gave no access token: check tenant, user name and password.")
    api.use_header("authorization", f"Bearer {token}")
    return api


def _folded(record: object) -> dict[str, Any]:
    """An object with the names of its fields in small letters: BMS writes them in either way."""
    return {str(name).casefold(): value for name, value in record.items()} if isinstance(record, dict) else {}


def _written(api: Api, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a write, which must say that it was done."""
    answer = _folded(api.write("POST", path, fields))
    if answer.get("success") is False:
        raise PermanentFailure(
            f"Kaseya BMS refused it: {one_line(text_in(answer, 'message'), 200) or 'without a word.'}"
        )
    if not answer:
        raise OutcomeUnknown(f"{api.host} took what was sent but did not say what became of it.")
    return answer


def _result(answer: Mapping[str, Any]) -> dict[str, Any]:
    return _folded(answer.get("result"))


def _rows(document: object, api: Api) -> list[dict[str, Any]]:
    return [_folded(row) for row in rows_in(_folded(document), "result", host=api.host)]


def _search(api: Api, filters: Mapping[str, object]) -> list[dict[str, Any]]:
    """One page of what matches. A search by POST is a read: its failure leaves nothing unknown."""
    try:
        document = api.write("POST", f"{TICKETS}/search", {"Filter": filters, "PageSize": PAGE, "PageNumber": 1})
    except OutcomeUnknown as failure:
        raise TemporaryFailure(failure.reason) from None
    return _rows(document, api)


def _ticket(api: Api, external_id: str) -> dict[str, Any] | None:
    """The ticket, None if it is not there; raises PermanentFailure for an answer that is no such ticket."""
    try:
        ticket = _result(_folded(api.get(f"{TICKETS}/{segment(external_id)}")))
    except NotThere:
        return None
    if _id(ticket) != external_id or not text_in(ticket, "statusid"):
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    return ticket


def _add_note(
    api: Api, config: Config, thread: Thread, text: TicketText, *, call: Call, status: str | None = None
) -> None:
    fields: dict[str, Any] = {
        "Details": _html(text),
        "IsInternal": not config.public,
        "TypeId": int(config.note_type),
        "NoteDate": call.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    _written(
        api, f"{TICKETS}/{segment(thread.external_id)}/notes", fields | ({"StatusId": int(status)} if status else {})
    )


def _require_status(api: Api, thread: Thread, status: str, what: str) -> None:
    there = _ticket(api, thread.external_id)
    if there is None or text_in(there, "statusid") != status:
        found = "gone" if there is None else text_in(there, "statusname")[:40]
        raise PermanentFailure(f"{what}: its status is {found!r}. Check the workflows of BMS and the user's rights.")


def _location(api: Api, company: str) -> int:
    """The main location of an account, else its first: BMS opens no ticket without one."""
    try:
        rows = _rows(api.get(f"/v2/crm/accounts/{_number(company)}/locations/lookup"), api)
    except NotThere:
        rows = []
    ids = [_id(row) for row in sorted(rows, key=lambda row: row.get("ismain") is not True) if _id(row)]
    if not ids:
        raise PermanentFailure(
            f"Kaseya BMS has no account {company} with a location (any more): choose the client's company again."
        )
    return int(ids[0])


def _remark(config: Config, row: Mapping[str, Any]) -> Remark | None:
    """None for a note whose author is not told: it could be our own."""
    author = next((text_in(row, name) for name in AUTHORS if text_in(row, name)), "")
    if not author or not _id(row):
        return None
    return Remark(
        id=_id(row),
        author=author,
        text=html.unescape(re.sub(r"<[^>]*>", " ", text_in(row, "details"))).strip(),
        at=json_api.moment(row.get("notedate")),
        ours=author.casefold() == config.username.casefold(),
    )


def _bears(ticket: Mapping[str, Any], reference: Reference) -> bool:
    return f"[{reference}]" in text_in(ticket, "title")


def _id(record: object) -> str:
    """The number of a record, "" for what has none."""
    value = id_in(record, "id")
    return value if value and re.fullmatch(r"[1-9][0-9]{0,11}", value) else ""


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise PermanentFailure(f"{text[:40]!r} is no number that BMS could have given: choose the company again.")
    return int(text)


def _html(text: TicketText) -> str:
    return text.html if text.html is not None else html.escape(text.body, quote=False).replace("\n", "<br>\n")


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    site = config.url.rstrip("/").replace("://api.", "://", 1)
    return f"{site}/react/servicedesk/tickets/{segment(external_id)}"
