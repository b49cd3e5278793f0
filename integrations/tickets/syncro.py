"""Syncro: tickets of its PSA by API v1, with an API token of one user.

It keeps no field of ours, so the reference ends the subject. What its search looks at is not documented, so a search
that finds nothing is followed by a look at all recent tickets. It sends callbacks without any proof of origin, hence
none are taken and tickets are read in turn. Sources: api-docs.syncromsp.com, "Ticket", "Customer", "User"; the API of
RepairShopr, which is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure
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
from integrations.tickets.json_api import (
    Api,
    check_address,
    id_in,
    one_line,
    open_text_problem,
    rows_in,
    segment,
    text_in,
)

LABEL: Final = "Syncro"
#: A fifth of the 180 requests a minute of one account.
CALLS_PER_MINUTE: Final = 36
VERIFIED: Final = ""
RESOLVED: Final = "Resolved"
NOBODYS_REFERENCE: Final = "BL-00000000"
SUBJECT_LIMIT: Final = 255
RECENT: Final = timedelta(days=2)
MAX_PAGES: Final = 20
MAX_COMPANIES: Final = 1000
STATUSES: Final = frozenset({"new_status", "closed_status", "reopened_status"})


@dataclass(frozen=True)
class Config:
    """One Syncro account and how tickets are opened in it."""

    url: str = setting("Address", help="Such as https://yourname.syncromsp.com")
    token: str = setting(
        "API token", secret=True, help="Admin, API Tokens; of a user of Backledger's own, for tickets and customers."
    )
    default_company: str = setting(
        "Customer if a client has none", default="", help="Syncro opens no ticket without.", looked_up=True
    )
    problem_type: str = setting("Issue type", default="", help="As under Admin, Tickets. Empty: none.")
    new_status: str = setting("Status of new tickets", default="New", looked_up=True)
    closed_status: str = setting("Status to close with", default=RESOLVED, looked_up=True)
    reopened_status: str = setting("Status to reopen with", default="In Progress", looked_up=True)
    priority_low: str = setting("Priority: low", default="3 Low")
    priority_normal: str = setting("Priority: normal", default="2 Normal")
    priority_high: str = setting("Priority: high", default="1 High")
    priority_urgent: str = setting("Priority: urgent", default="0 Urgent")
    public: bool = setting("Show and mail our messages to the customer", kind="switch", default=False)

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if not re.fullmatch(r"[0-9]{0,18}", self.default_company):
            raise BadConfig("default_company", "This must be the number that Syncro gives the customer.")
        for name in sorted(STATUSES):
            if not getattr(self, name).strip():
                raise BadConfig(name, "This must be one of Syncro's statuses.")
        if _is_closed(self, self.new_status) or _is_closed(self, self.reopened_status):
            raise BadConfig("closed_status", "An open ticket needs another status than a closed one.")


def abilities(config: Config) -> frozenset[Ability]:
    """No callbacks: nothing would prove that they come from Syncro."""
    return frozenset({"read", "reopen", "companies"})


def find_after(config: Config) -> timedelta | None:
    """How fast its search is, Syncro does not say; recent tickets are listed besides."""
    return timedelta(minutes=10)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket for a customer that is there; an answer without an id leaves the outcome unknown."""
    api = _api(config, call)
    customer = _customer(api, json_api.company_of(ticket, config.default_company, label=LABEL))
    fields: dict[str, Any] = {
        "customer_id": customer,
        "subject": _subject(ticket),
        "status": config.new_status,
        "priority": getattr(config, f"priority_{ticket.priority}"),
        "comments_attributes": [_comment(config, ticket.text, "Initial Issue")],
    }
    if config.problem_type:
        fields["problem_type"] = config.problem_type
    external_id = id_in(api.write("POST", "/tickets", fields), "ticket", "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a comment; the status stays as it is."""
    _say(config, thread, text, api=_api(config, call))


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Comment, then status; words that a failed closing has already said are not said again."""
    api = _api(config, call)
    there = _standing(config, thread, api)
    if there is None or there.closed:
        return
    last = next((remark for remark in reversed(there.remarks) if remark.ours), None)
    if last is None or last.text.split() != text.body.split():
        _say(config, thread, text, api=api)
    _set_status(thread, config.closed_status, api=api)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Status first, since it can be set twice and words cannot."""
    api = _api(config, call)
    _set_status(thread, config.reopened_status, api=api)
    _say(config, thread, text, api=api)


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket with our reference in its subject: by the search, else among those of the last two days."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", reference):
        raise PermanentFailure(f"{reference[:40]!r} is no reference: it has letters, digits and hyphens.")
    api = _api(config, call)
    since = (call.now - RECENT).date().isoformat()
    for query in ({"query": reference}, {"created_after": since}):
        for rows in _pages(api, "tickets", query):
            ours = [key for row in rows if _reference_in(row) == reference and (key := id_in(row, "id"))]
            if ours:
                return _created(config, min(ours, key=lambda key: (len(key), key)))
    return None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket and its comments; None if it was deleted."""
    return _standing(config, thread, _api(config, call))


def _standing(config: Config, thread: Thread, api: Api) -> Standing | None:
    me = _me(api)
    try:
        document = api.get(f"/tickets/{segment(thread.external_id)}")
    except NotThere:
        return None
    ticket = document.get("ticket") if isinstance(document, dict) else None
    external_id, status = id_in(ticket, "id"), text_in(ticket, "status")
    if not isinstance(ticket, dict) or external_id is None or not status:
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    said = sorted(rows_in(ticket, "comments", host=api.host), key=lambda item: text_in(item, "created_at"))
    return Standing(
        external_id=external_id,
        status=status,
        closed=_is_closed(config, status),
        reference=_reference_in(ticket),
        assignee=text_in(ticket, "user", "full_name") if id_in(ticket, "user_id") else "",
        remarks=tuple(_remark(item, me) for item in said if id_in(item, "id")),
        url=_page(config, external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Customers by a part of their name, up to 1,000."""
    found: dict[str, Company] = {}
    for rows in _pages(_api(config, call), "customers", {"query": search} if search else {}):
        for row in rows:
            key, name = id_in(row, "id"), text_in(row, "business_then_name") or text_in(row, "fullname")
            if key and name and search.lower() in name.lower():
                found[key] = Company(key, name)
        if len(found) >= MAX_COMPANIES:
            break
    return tuple(found.values())[:MAX_COMPANIES]


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Customers and statuses."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    if name not in STATUSES:
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    offered = _statuses(_api(config, call))
    if name == "closed_status":
        taken = {config.new_status.lower(), config.reopened_status.lower()}
        fitting = [status for status in offered if status.lower() not in taken]
        # What closes is what people look for first.
        return tuple(Choice(one, one) for one in sorted(fitting, key=lambda status: status != RESOLVED))
    return tuple(Choice(one, one) for one in offered if not _is_closed(config, one))


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """None: Syncro's notifications carry neither a signature nor a header of ours."""
    raise PermanentFailure("Syncro proves no callback, so none is taken; its tickets are read in turn.")


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Who we are there, whether the statuses exist, and whether the search works."""
    problems = list(open_text_problem(config.url, call))
    try:
        api = _api(config, call)
        _me(api)
        known = {status.lower() for status in _statuses(api)}
        wanted = {getattr(config, name) for name in STATUSES}
        problems += [f"Syncro has no status {one[:40]!r}." for one in sorted(wanted) if one.lower() not in known]
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned a ticket for a reference that nobody has.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _api(config: Config, call: Call) -> Api:
    headers = {"authorization": f"Bearer {config.token}"}
    return Api(config.url.rstrip("/") + "/api/v1", call=call, headers=headers, secrets=secrets_of(config))


def _me(api: Api) -> str:
    """The id of the user whose token it is."""
    me = id_in(api.get("/me"), "user_id")
    if me is None:
        raise PermanentFailure(f"{api.host} does not say whose token this is: check the address and the token.")
    return me


def _customer(api: Api, company: str) -> int:
    """The customer's number; refused before anything is opened where there is no such customer."""
    if not re.fullmatch(r"[0-9]{1,18}", company):
        raise PermanentFailure(f"{company[:40]!r} is no customer of Syncro's: choose the company again.")
    try:
        api.get(f"/customers/{company}")
    except NotThere:
        raise PermanentFailure(f"The customer {company} is gone from Syncro: choose the company again.") from None
    return int(company)


def _statuses(api: Api) -> list[str]:
    document = api.get("/tickets/settings")
    offered = document.get("ticket_status_list") if isinstance(document, dict) else None
    if not isinstance(offered, list):
        raise PermanentFailure(f"{api.host} answered with something that is not the list of its statuses.")
    return [status for status in offered if isinstance(status, str) and status]


def _pages(api: Api, name: str, query: Mapping[str, str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a list page by page. Raises PermanentFailure where there are more pages than can be right."""
    # Without their comments the tickets of a page stay small.
    slim = {"all_comments": "false"} if name == "tickets" else {}
    for page in range(1, (MAX_PAGES if name == "tickets" else MAX_COMPANIES // 25) + 1):
        asked: dict[str, str | int] = {**query, **slim, "page": page}
        document = api.get(f"/{name}", asked)
        rows = rows_in(document, name, host=api.host)
        yield rows
        last = text_in(document, "meta", "total_pages")
        if not rows or (last.isdigit() and page >= int(last)):
            return
    if name == "tickets":
        raise PermanentFailure(f"{api.host} returned more tickets than can be looked through: look there by hand.")


def _say(config: Config, thread: Thread, text: TicketText, *, api: Api) -> None:
    answer = api.write("POST", f"/tickets/{segment(thread.external_id)}/comment", _comment(config, text, "Update"))
    if id_in(answer, "comment", "id") is None:
        raise OutcomeUnknown(f"{api.host} took the message but did not confirm it.")


def _set_status(thread: Thread, status: str, *, api: Api) -> None:
    """Change the status, and believe only the status that comes back."""
    answer = api.write("PUT", f"/tickets/{segment(thread.external_id)}", {"status": status})
    told = text_in(answer, "ticket", "status")
    if not told:
        raise OutcomeUnknown(f"{api.host} does not say how the ticket {thread.external_id} stands now.")
    if told.lower() != status.lower():
        raise PermanentFailure(f"{api.host} left the ticket {thread.external_id} in the status {told[:40]!r}.")


def _comment(config: Config, text: TicketText, subject: str) -> dict[str, Any]:
    return {"subject": subject, "body": text.body, "hidden": not config.public, "do_not_email": not config.public}


def _subject(ticket: NewTicket) -> str:
    """The subject with our reference at its end, which is never cut off."""
    end = f" [{ticket.reference}]"
    return one_line(ticket.text.subject, SUBJECT_LIMIT - len(end)) + end


def _reference_in(row: Mapping[str, Any]) -> str:
    """Our reference as it stands in a subject; people may have written behind it."""
    match = re.search(r"\[(BL-[A-Za-z0-9-]+)\]", text_in(row, "subject"))
    return match[1] if match else ""


def _remark(item: Mapping[str, Any], me: str) -> Remark:
    return Remark(
        id=id_in(item, "id") or "",
        author=text_in(item, "tech"),
        text=text_in(item, "body"),
        at=json_api.moment(item.get("created_at")),
        ours=id_in(item, "user_id") == me,
    )


def _is_closed(config: Config, status: str) -> bool:
    return status.lower() in (RESOLVED.lower(), config.closed_status.lower())


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/tickets/{segment(external_id)}"
