"""ConnectWise PSA (Manage): service tickets by its REST API 3.0, with the key pair of an API member.

Our reference is the ticket's ``externalXRef``, for which the list of tickets has a condition; what comes back is
checked. A message is a note and travels before the change of status, as ConnectWise has no request for both. Callbacks
are signed with a key that is fetched from the address named in the callback itself: only from the configured host.
Sources: developer.connectwise.com, PSA REST reference "Tickets", "TicketNotes", "Boards", "Companies", and "PSA
Callbacks", as its client libraries and published models show them.
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
from urllib.parse import SplitResult, quote, urlsplit

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

LABEL: Final = "ConnectWise PSA"
#: Half of the 60 a minute that users of the API report; the vendor publishes no figure.
CALLS_PER_MINUTE: Final = 30
VERIFIED: Final = ""
NOBODYS_REFERENCE: Final = "BL-00000000"
BASE: Final = "/v4_6_release/apis/3.0"
ACCEPT: Final = "application/vnd.connectwise.com+json; version=2022.1"
TICKETS: Final = "/service/tickets"
MAX_SUBJECT: Final = 100
NUMBERS: Final = (
    "default_company", "board", "type", "priority_low", "priority_normal", "priority_high", "priority_urgent",
)  # fmt: skip
STATUSES: Final = ("new_status", "closed_status", "reopened_status")


@dataclass(frozen=True)
class Config:
    """One ConnectWise site and how tickets are opened in it."""

    url: str = setting("Address", help="Such as https://api-na.myconnectwise.net")
    company_login: str = setting("Company ID of the log-in", help="What you enter as company when you sign in.")
    public_key: str = setting("Public key", help="Of an API member made for Backledger alone.")
    private_key: str = setting("Private key", secret=True)
    client_id: str = setting("Client ID", help="Of your integration, from developer.connectwise.com.")
    member: str = setting("Member ID of the API member", help="Notes by this member are known to be our own.")
    board: str = setting("Service board", help="The number of the board.", looked_up=True)
    default_company: str = setting("Company if a client has none", default="", looked_up=True)
    type: str = setting("Type", default="", help="Empty: none is set.", looked_up=True)
    new_status: str = setting("Status of a new ticket", default="", help="Empty: the board's.", looked_up=True)
    closed_status: str = setting("Status to close with", default="Closed", looked_up=True)
    reopened_status: str = setting("Status to reopen with", default="In Progress", looked_up=True)
    priority_low: str = setting("Priority for low", default="", help="Empty: the board's.", looked_up=True)
    priority_normal: str = setting("Priority for normal", default="", help="Empty: the board's.", looked_up=True)
    priority_high: str = setting("Priority for high", default="", help="Empty: the board's.", looked_up=True)
    priority_urgent: str = setting("Priority for urgent", default="", help="Empty: the board's.", looked_up=True)
    public: bool = setting(
        "Show our messages to the customer", kind="switch", default=False, help="Discussion instead of internal notes."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        for name in NUMBERS:
            if getattr(self, name) and not re.fullmatch(r"[0-9]{1,10}", getattr(self, name)):
                raise BadConfig(name, "This must be the number that ConnectWise gives it.")
        for name in ("company_login", "public_key", "client_id", "board", "closed_status", "reopened_status"):
            if not getattr(self, name):
                raise BadConfig(name, "This must be given.")
        if not (self.client_id.isascii() and self.client_id.isprintable()):
            raise BadConfig("client_id", "The client ID has only letters, digits and hyphens.")


def abilities(config: Config) -> frozenset[Ability]:
    """All of them: callbacks need no secret, as ConnectWise hands out the key it signs with."""
    return frozenset({"read", "reopen", "companies", "callbacks"})


def find_after(config: Config) -> timedelta | None:
    """Conditions read the database; a minute is on the safe side."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer without an id leaves the outcome unknown."""
    company = json_api.company_of(ticket, config.default_company, label=LABEL)
    words = "initialDescription" if config.public else "initialInternalAnalysis"
    fields: dict[str, Any] = {
        "summary": one_line(ticket.text.subject, MAX_SUBJECT),
        "company": {"id": _number(company)},
        "board": {"id": int(config.board)},
        "externalXRef": ticket.reference,
        words: ticket.text.body,
    }
    if config.new_status:
        fields["status"] = {"name": config.new_status}
    if config.type:
        fields["type"] = {"id": int(config.type)}
    priority = str(getattr(config, f"priority_{ticket.priority}"))
    if priority:
        fields["priority"] = {"id": int(priority)}
    api = api_of(config, call)
    external_id = id_of(api.write("POST", TICKETS, fields))
    if not external_id:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a note; the status stays as it is."""
    _add_note(api_of(config, call), config, thread, text)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note first, status last; a ticket that is closed already, or gone, is left as it is."""
    api = api_of(config, call)
    there = _ticket(api, thread.external_id)
    if there is None or _is_closed(there):
        return
    _add_note_once(api, config, thread, text)
    answer = _set_status(api, thread, config.closed_status)
    if not _is_closed(answer):
        status = text_in(answer, "status", "name")[:40]
        raise PermanentFailure(
            f"The ticket {thread.external_id} was not closed: its status is {status!r}, which does not count as closed "
            "on its board. Choose another status to close with."
        )


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note first, status last, as read back."""
    api = api_of(config, call)
    there = _ticket(api, thread.external_id)
    if there is None:
        raise NotThere(f"The ticket {thread.external_id} is not in ConnectWise any more: it cannot be reopened.")
    if _merged_into(there):
        raise PermanentFailure(f"The ticket {thread.external_id} was merged into another: it cannot be reopened.")
    _add_note_once(api, config, thread, text)
    if _is_closed(there) and _is_closed(_set_status(api, thread, config.reopened_status)):
        raise PermanentFailure(
            f"The ticket {thread.external_id} was not reopened: {config.reopened_status[:40]!r} counts as closed on "
            "its board. Choose another status to reopen with."
        )


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket that bears our reference, as checked in what was returned."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", reference):
        raise PermanentFailure(
            "This reference cannot be searched for: it has other characters than letters and digits."
        )
    api = api_of(config, call)
    conditions = f'externalXRef="{reference}"'
    rows = rows_of(api, TICKETS, {"conditions": conditions, "orderBy": "id asc", "pageSize": 10})
    if any(text_in(row, "externalXRef") != reference or not id_of(row) for row in rows):
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned other tickets.")
    return _created(config, id_of(rows[0])) if rows else None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket, or the one it was merged into, and its notes; None if it was deleted."""
    api = api_of(config, call)
    ticket = _ticket(api, thread.external_id)
    if ticket is not None and _merged_into(ticket):
        ticket = _ticket(api, _merged_into(ticket))
    if ticket is None:
        return None
    external_id = id_of(ticket)
    return Standing(
        external_id=external_id,
        status=text_in(ticket, "status", "name"),
        closed=_is_closed(ticket),
        reference=text_in(ticket, "externalXRef") if external_id == thread.external_id else "",
        assignee=text_in(ticket, "owner", "name") or text_in(ticket, "owner", "identifier"),
        remarks=tuple(_remark(config, row) for row in _notes(api, external_id)),
        url=_page(config, external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Companies by a part of their name, up to 1,000."""
    words = re.sub(r'["\\%\x00-\x1f]', " ", search).strip()
    conditions = "deletedFlag=false" + (f' and name contains "{words}"' if words else "")
    query: dict[str, str | int] = {"conditions": conditions, "fields": "id,name", "orderBy": "name", "pageSize": 1000}
    found = _named(rows_of(api_of(config, call), "/company/companies", query))
    return tuple(Company(key, name) for key, name in found if search.casefold() in name.casefold())


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Boards, companies, types and priorities by number; statuses of the board by name."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    board = f"/service/boards/{config.board}"
    paths = {"board": "/service/boards", "type": f"{board}/types"} | dict.fromkeys(STATUSES, f"{board}/statuses")
    path = "/service/priorities" if name.startswith("priority_") and name in NUMBERS else paths.get(name)
    if path is None:
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    rows = rows_of(api_of(config, call), path, {"pageSize": 1000})
    live = [row for row in rows if not (row.get("inactiveFlag") or row.get("inactive"))]
    return tuple(Choice(label if name in STATUSES else key, label) for key, label in _named(live))


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event. The signature proves the site, not the tenant: the company must be ours, and the ticket is read."""
    document = json_api.decode(body)
    given = {name.lower(): value for name, value in headers.items()}
    offered = given.get("x-content-signature", "")
    if not offered:
        raise PermanentFailure("The callback is not signed.")
    key = hashlib.sha256(_signing_key(config, document, call).encode()).digest()
    expected = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()
    signatures.require_same(offered, expected)
    if text_in(document, "CompanyId").casefold() != config.company_login.casefold():
        raise PermanentFailure("The callback comes from another company of the same ConnectWise site.")
    external_id = id_in(document, "ID")
    if text_in(document, "Type").casefold() != "ticket" or external_id is None or not external_id.isdigit():
        raise PermanentFailure("The callback names no ticket: it must be of the type ticket.")
    event_id = id_in(document, "MessageId") or hashlib.sha256(body).hexdigest()
    return (TicketEvent(event_id, external_id, call.now),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether tickets can be searched, companies read, and the statuses are those of the board."""
    problems = list(json_api.open_text_problem(config.url, call))
    try:
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
        api = api_of(config, call)
        rows_of(api, "/company/companies", {"fields": "id,name", "pageSize": 1})
        rows = rows_of(api, f"/service/boards/{config.board}/statuses", {"pageSize": 1000})
        problems += _status_problems(config, rows)
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def api_of(config: Config, call: Call) -> Api:
    name = f"{config.company_login}+{config.public_key}:{config.private_key}"
    credentials = base64.b64encode(name.encode()).decode()
    headers = {"authorization": f"Basic {credentials}", "clientid": config.client_id, "accept": ACCEPT}
    return Api(config.url.rstrip("/") + BASE, call=call, headers=headers, secrets=(*secrets_of(config), credentials))


def rows_of(api: Api, path: str, query: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return rows_in(api.get(path, query), host=api.host)


def _ticket(api: Api, external_id: str) -> dict[str, Any] | None:
    """The ticket, None if it is not there; raises PermanentFailure for an answer that is no such ticket."""
    try:
        document = api.get(f"{TICKETS}/{segment(external_id)}")
    except NotThere:
        return None
    if not isinstance(document, dict) or id_of(document) != external_id or not text_in(document, "status", "name"):
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    return document


def _notes(api: Api, external_id: str) -> list[dict[str, Any]]:
    """The last hundred notes, oldest first."""
    query: dict[str, str | int] = {"orderBy": "id desc", "pageSize": 100}
    rows = rows_of(api, f"{TICKETS}/{segment(external_id)}/notes", query)
    return [row for row in reversed(rows) if id_of(row)]


def _add_note(api: Api, config: Config, thread: Thread, text: TicketText) -> None:
    kind = "detailDescriptionFlag" if config.public else "internalAnalysisFlag"
    answer = api.write("POST", f"{TICKETS}/{segment(thread.external_id)}/notes", {"text": text.body, kind: True})
    if not id_of(answer):
        raise OutcomeUnknown(f"{api.host} took the note but told no id.")


def _add_note_once(api: Api, config: Config, thread: Thread, text: TicketText) -> None:
    """Not again where an earlier try added the note and then failed to change the status."""
    last = [text_in(row, "text") for row in _notes(api, thread.external_id)][-1:]
    if [_plain(one) for one in last] != [_plain(text.body)]:
        _add_note(api, config, thread, text)


def _set_status(api: Api, thread: Thread, name: str) -> dict[str, Any]:
    """The ticket after the change, as ConnectWise answers it."""
    changes = [{"op": "replace", "path": "status/name", "value": name}]
    answer = api.write("PATCH", f"{TICKETS}/{segment(thread.external_id)}", changes)
    if not isinstance(answer, dict) or id_of(answer) != thread.external_id or "closedFlag" not in answer:
        raise OutcomeUnknown(f"{api.host} took the change but did not say how the ticket stands.")
    return answer


def _signing_key(config: Config, document: object, call: Call) -> str:
    """The key of the callback. Its address comes from whoever calls: another host could sign for itself."""
    url = text_in(document, "Metadata", "key_url") or text_in(document, "metadata", "key_url")
    ours = urlsplit(config.url)
    named = _same_site(url, config.url)
    if named is None:
        raise PermanentFailure("The callback's signing key is not on the configured ConnectWise host: it is refused.")
    # Without our credentials: the path was chosen by whoever calls.
    api = Api(f"{ours.scheme}://{ours.netloc}", call=call, headers={}, secrets=secrets_of(config))
    try:
        key = text_in(api.get(named.path + (f"?{named.query}" if named.query else "")), "signing_key")
    except DeliveryFailure as failure:
        raise PermanentFailure(f"The callback's signing key could not be fetched: {failure.reason}") from None
    if len(key) < 16:
        raise PermanentFailure("The callback's signing key is none: it is refused.")
    return key


def _same_site(url: str, wanted: str) -> SplitResult | None:
    """The parts of an address of the same scheme, host and port, without credentials; None for any other."""
    try:
        parts, ours = urlsplit(url), urlsplit(wanted)
        same = (parts.scheme, parts.hostname, parts.port) == (ours.scheme, ours.hostname, ours.port)
    except ValueError:
        return None
    return parts if same and parts.username is None and parts.password is None else None


def _status_problems(config: Config, rows: list[dict[str, Any]]) -> list[str]:
    closes = {text_in(row, "name"): row.get("closedStatus") for row in rows}
    problems = []
    for name, wanted in (("new_status", False), ("closed_status", True), ("reopened_status", False)):
        value = getattr(config, name)
        if value and value not in closes:
            problems.append(f"{value!r} is no status of this board: choose another one.")
        elif value and isinstance(closes[value], bool) and closes[value] is not wanted:
            problems.append(
                f"The status {value!r} {'does not close' if wanted else 'closes'} a ticket: choose another."
            )
    return problems


def _remark(config: Config, row: Mapping[str, Any]) -> Remark:
    writer = text_in(row, "member", "identifier") or text_in(row, "createdBy")
    author = text_in(row, "member", "name") or text_in(row, "contact", "name") or text_in(row, "createdBy")
    return Remark(
        id=id_of(row),
        author=author,
        text=text_in(row, "text"),
        at=json_api.moment(row.get("dateCreated")),
        ours=bool(writer) and writer.casefold() == config.member.casefold(),
    )


def _named(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    pairs = [(id_of(row), text_in(row, "name")) for row in rows]
    return [(key, name) for key, name in pairs if key and name]


def _merged_into(ticket: Mapping[str, Any]) -> str:
    return id_of(ticket.get("mergedParentTicket"))


def _is_closed(ticket: Mapping[str, Any]) -> bool:
    return ticket.get("closedFlag") is True


def id_of(record: object) -> str:
    """The number of a record, "" for what has none."""
    value = id_in(record, "id")
    return value if value and value.isascii() and value.isdigit() and value != "0" else ""


def _plain(text: str) -> str:
    return " ".join(text.split())


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise PermanentFailure(
            f"{text[:40]!r} is no number that ConnectWise could have given: choose the company again."
        )
    return int(text)


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    site = config.url.rstrip("/").replace("://api-", "://", 1)
    company = quote(config.company_login, safe="")
    page = "/v4_6_release/services/system_io/Service/fv_sr100_request.rails"
    return f"{site}{page}?service_recid={external_id}&companyName={company}"
