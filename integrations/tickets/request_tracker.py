"""Request Tracker 5: tickets by its REST 2 interface, with an authentication token of a user of our own.

Our reference is the value of a custom field of the queue, by which TicketSQL searches. A field that the queue does not
have is dropped in silence, and a status that does not exist is answered with 200 and an English sentence: what was
changed is read back. A message may open a ticket by a scrip, so that the last words go before the status. Merged
tickets answer with the one they went into. Sources: RT's documentation of REST 2 and TicketSQL, answers of 5.0.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure
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
    id_in,
    moment,
    one_line,
    open_text_problem,
    rows_in,
    segment,
    text_in,
)

LABEL: Final = "Request Tracker"
#: Nothing limits calls by default; one a second is a guest's share of a small server.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = "Request Tracker 5.0.3"
#: RT keeps a subject in 200 characters.
MAX_SUBJECT: Final = 200
PAGE_SIZE: Final = 100
MAX_PAGES: Final = 5
NOBODY: Final = "Nobody"
_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,100}")


@dataclass(frozen=True)
class Config:
    """One Request Tracker and the queue that gets the tickets."""

    url: str = setting("Address", help="Where its first page is, such as https://rt.example.com")
    token: str = setting("Authentication token", secret=True, help="Of a user that is Backledger's own.")
    queue: str = setting("Queue", help="Its name.", looked_up=True)
    reference_field: str = setting(
        "Custom field for our reference", default="ExternalKey",
        help="The name of a custom field of tickets that holds one value and is applied to the queue.",
    )  # fmt: skip
    requestor: str = setting("Requestor's email", default="", help="Written into our tickets. Empty: our user.")
    public: bool = setting("Mail our messages to the requestor", kind="switch", default=False)
    priority_low: str = setting("Priority for low", default="20")
    priority_normal: str = setting("Priority for normal", default="40")
    priority_high: str = setting("Priority for high", default="60")
    priority_urgent: str = setting("Priority for urgent", default="80")
    status_closed: str = setting("Status when over", default="resolved")
    status_reopened: str = setting("Status when back", default="open")
    closed: tuple[str, ...] = setting(
        "Further statuses that mean closed", kind="list", default=("rejected",), help="Of the queue's lifecycle."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if not re.fullmatch(r"[A-Za-z0-9 _.-]{1,60}", self.reference_field):
            raise BadConfig("reference_field", "The field's name may hold letters, digits, spaces, dots and hyphens.")
        if self.requestor and "@" not in self.requestor:
            raise BadConfig("requestor", "The requestor's email must be a mail address.")
        for name in ("priority_low", "priority_normal", "priority_high", "priority_urgent"):
            if not re.fullmatch(r"[A-Za-z0-9 ]{1,30}", getattr(self, name)):
                raise BadConfig(name, "A priority is a number, or a word that RT has for one.")
        if self.status_reopened in {self.status_closed, *self.closed}:
            raise BadConfig("status_reopened", "A status that means closed opens nothing again: choose another.")


def abilities(config: Config) -> frozenset[Ability]:
    """There are no companies, and RT calls nobody by itself."""
    return frozenset({"read", "reopen"})


def find_after(config: Config) -> timedelta | None:
    """TicketSQL reads the database itself; a minute is on the safe side of a write under way."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Numbers are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer without a number leaves the outcome unknown."""
    fields: dict[str, Any] = {
        "Queue": config.queue,
        "Subject": one_line(ticket.text.subject, MAX_SUBJECT),
        "Content": ticket.text.body,
        "ContentType": "text/plain",
        "Priority": getattr(config, f"priority_{ticket.priority}"),
        "CustomFields": {config.reference_field: ticket.reference},
    }
    if config.requestor:
        fields["Requestor"] = config.requestor
    api = _api(config, call)
    external_id = id_in(api.write("POST", "/ticket", fields), "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no number.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a message; a scrip may open the ticket by it."""
    _say(_api(config, call), config, thread, text)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """The last words, then the status, read back; a ticket that is closed already, or gone, is left as it is."""
    api = _api(config, call)
    there = _ticket(api, thread.external_id)
    if there is None or _is_closed(config, there):
        return
    _say(api, config, thread, text)
    _set_status(api, config, thread, config.status_closed, closed=True)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """The status, read back, then why."""
    api = _api(config, call)
    _set_status(api, config, thread, config.status_reopened, closed=False)
    _say(api, config, thread, text)


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket whose custom field holds our reference, closed ones too, as checked in what was returned."""
    if not _REFERENCE.fullmatch(reference):
        raise PermanentFailure(f"{reference[:40]!r} is no reference of ours.")
    api = _api(config, call)
    query = f"CF.{{{config.reference_field}}} = '{reference}'"
    asked: dict[str, str | int] = {
        "query": query, "fields": "Status,CustomFields", "orderby": "id", "per_page": PAGE_SIZE,
    }  # fmt: skip
    rows = rows_in(api.get("/tickets", asked), "items", host=api.host)
    for row in rows:
        external_id = id_in(row, "id")
        if external_id is not None and _reference_of(config, row) == reference:
            return _created(config, external_id)
    if rows:
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned more than it should.")
    _require_reference_on_tickets(config, api)
    return None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket, or the one it was merged into, and what was written on it; None if it was deleted."""
    api = _api(config, call)
    ticket = _ticket(api, thread.external_id)
    if ticket is None:
        return None
    external_id = id_in(ticket, "id") or thread.external_id
    owner = id_in(ticket, "Owner", "id") or ""
    was_merged = external_id != thread.external_id
    return Standing(
        external_id=external_id,
        status=text_in(ticket, "Status"),
        closed=_is_closed(config, ticket),
        reference="" if was_merged else _reference_of(config, ticket),
        assignee="" if owner == NOBODY else owner,
        remarks=_remarks(api, external_id, us=id_in(ticket, "Creator", "id")),
        url=_page(config, external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """RT has none."""
    raise PermanentFailure("Request Tracker keeps no companies.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """The queues that our user sees."""
    if name != "queue":
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    api = _api(config, call)
    rows = rows_in(api.get("/queues/all", {"fields": "Name", "per_page": PAGE_SIZE}), "items", host=api.host)
    return tuple(Choice(word, word) for row in rows if (word := text_in(row, "Name")))


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """RT calls nobody: tickets are looked at."""
    raise PermanentFailure("Request Tracker calls nobody by itself, so that no callback can be from it.")


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Asks for the queue and whether it has the custom field; changes nothing."""
    problems = [*open_text_problem(config.url, call)]
    api = _api(config, call)
    try:
        queue = api.get(f"/queue/{segment(config.queue)}")
        fields = queue.get("TicketCustomFields") if isinstance(queue, dict) else None
        names = {text_in(row, "name") for row in fields} if isinstance(fields, list) else set()
        if config.reference_field not in names:
            problems.append(
                f"The queue {config.queue} has no custom field {config.reference_field}, or our user may not see it: "
                "a ticket whose creation was in doubt could not be found."
            )
        else:
            _require_reference_on_tickets(config, api)
    except DeliveryFailure as failure:
        problems.append(_problem_of(failure, config))
    return tuple(problems)


def _require_reference_on_tickets(config: Config, api: Api) -> None:
    """RT drops a field that the queue does not have, or that our user may not set: our newest ticket shows whether it
    does. Where we have none, none was opened.
    """
    queue = config.queue.replace("\\", "\\\\").replace("'", "\\'")
    asked: dict[str, str | int] = {
        "query": f"Queue = '{queue}' AND Creator = '__CurrentUser__'", "fields": "CustomFields", "orderby": "id",
        "order": "DESC", "per_page": 1,
    }  # fmt: skip
    for newest in rows_in(api.get("/tickets", asked), "items", host=api.host)[:1]:
        if not _reference_of(config, newest):
            raise PermanentFailure(
                f"Our ticket {id_in(newest, 'id')} bears no reference, so that tickets cannot be found by it: apply "
                f"the custom field {config.reference_field} to the queue, and let our user set it."
            )


def _problem_of(failure: DeliveryFailure, config: Config) -> str:
    """RT forbids what it does not know."""
    if isinstance(failure, NotThere) or "answered 403" in failure.reason:
        return f"There is no queue {config.queue}, or our user may not see it."
    return f"{failure.reason} Check the token." if "answered 401" in failure.reason else failure.reason


def _api(config: Config, call: Call) -> Api:
    headers = {"authorization": f"token {config.token}"}
    return Api(f"{config.url.rstrip('/')}/REST/2.0", call=call, headers=headers, secrets=secrets_of(config))


def _say(api: Api, config: Config, thread: Thread, text: TicketText) -> None:
    kind = "correspond" if config.public else "comment"
    words = {"Content": text.body, "ContentType": "text/plain"}
    answer = api.write("POST", f"{_path(thread.external_id)}/{kind}", words)
    if not isinstance(answer, list):
        raise OutcomeUnknown(f"{api.host} does not say that it took the message.")


def _set_status(api: Api, config: Config, thread: Thread, status: str, *, closed: bool) -> None:
    """What RT answers is a sentence for people, in any language: how the ticket stands says whether it took."""
    api.write("PUT", _path(thread.external_id), {"Status": status})
    try:
        there = _ticket(api, thread.external_id)
    except DeliveryFailure as failure:
        raise OutcomeUnknown(f"The status was set, but how the ticket stands is not known: {failure.reason}") from None
    if there is not None and _is_closed(config, there) != closed:
        raise PermanentFailure(
            f"The ticket {thread.external_id} stayed {text_in(there, 'Status')[:40]!r}: choose a status of the queue's "
            "lifecycle that our user may set."
        )


def _ticket(api: Api, external_id: str) -> dict[str, Any] | None:
    try:
        ticket = api.get(_path(external_id))
    except NotThere:
        return None
    if not isinstance(ticket, dict) or id_in(ticket, "id") is None or not text_in(ticket, "Status"):
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    return None if text_in(ticket, "Status") == "deleted" else ticket


def _is_closed(config: Config, ticket: Mapping[str, Any]) -> bool:
    return text_in(ticket, "Status") in {config.status_closed, *config.closed}


def _reference_of(config: Config, ticket: Mapping[str, Any]) -> str:
    fields = ticket.get("CustomFields")
    for row in fields if isinstance(fields, list) else []:
        if text_in(row, "name") == config.reference_field and isinstance(row.get("values"), list):
            return next((value for value in row["values"] if isinstance(value, str)), "")
    return ""


def _remarks(api: Api, external_id: str, *, us: str | None) -> tuple[Remark, ...]:
    """Texts of the ticket's transactions, oldest first; ours are those of the user who opened it."""
    found: list[Remark] = []
    for page in range(1, MAX_PAGES + 1):
        query: dict[str, str | int] = {
            "fields": "Content,ContentType,Creator,Created", "per_page": PAGE_SIZE, "page": page,
        }  # fmt: skip
        rows = rows_in(api.get(f"{_path(external_id)}/attachments", query), "items", host=api.host)
        found += [_remark(row, us=us) for row in rows if id_in(row, "id") is not None and _is_text(row)]
        if len(rows) < PAGE_SIZE:
            break
    return tuple(found)


def _is_text(row: Mapping[str, Any]) -> bool:
    return text_in(row, "ContentType").startswith("text/") and bool(text_in(row, "Content"))


def _remark(row: Mapping[str, Any], *, us: str | None) -> Remark:
    author = id_in(row, "Creator", "id")
    return Remark(
        id=id_in(row, "id") or "",
        author=author or "",
        text=text_in(row, "Content"),
        at=moment(row.get("Created")),
        ours=us is not None and author == us,
    )


def _path(external_id: str) -> str:
    return f"/ticket/{segment(external_id)}"


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/Ticket/Display.html?id={segment(external_id)}"
