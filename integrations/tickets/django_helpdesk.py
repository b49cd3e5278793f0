"""django-helpdesk: tickets by its REST API, with a token (or name and password) of a staff user of our own.

Its lists cannot be searched, so our reference is the last line of a ticket's description, and the newest tickets are
paged through for it. What is written as a comment runs through Django's template language there: it is escaped for
that. A comment given a title would rename the ticket, so it gets none. Its webhooks bear no signature, but their
address may hold a password, which then comes as a header. Sources: django-helpdesk's pages "API" and "Webhooks", and
the answers of version 2.6.1.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from integrations.configuration import BadConfig, secrets_of, setting
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
    moment,
    one_line,
    open_text_problem,
    rows_in,
    segment,
    text_in,
)

LABEL: Final = "django-helpdesk"
#: Nothing limits calls by default; one a second is a guest's share of a small Django site.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = "django-helpdesk 2.6.1"
#: A title may have 200 characters, and so may that of a comment, which is the ticket's with " and Closed" added.
MAX_SUBJECT: Final = 160
#: Tickets come with all their comments: larger pages could be more than we read of an answer.
PAGE_SIZE: Final = 25
MAX_PAGES: Final = 40
#: How far back a ticket is looked for: a creation in doubt is asked for within minutes, or days if the desk was down.
LOOK_BACK: Final = timedelta(days=30)
MAX_MERGES: Final = 5
STATUSES: Final = {"1": "Open", "2": "Reopened", "3": "Resolved", "4": "Closed", "5": "Duplicate"}
NUMBERS: Final = (
    "queue", "status_closed", "status_reopened", "priority_low", "priority_normal", "priority_high", "priority_urgent",
)  # fmt: skip
WEBHOOK_USER: Final = "backledger"

_REFERENCE_LINE = re.compile(r"(?:\A|\n)\[([A-Za-z0-9-]{1,64})\]\s*\Z")


@dataclass(frozen=True)
class Config:
    """One django-helpdesk and how tickets are opened in it."""

    url: str = setting("Address", help="Where its first page is, such as https://desk.example.com/helpdesk")
    token: str = setting(
        "Token",
        secret=True,
        help="Of a staff user that is Backledger's own. Or the password, with the user name below.",
    )
    queue: str = setting("Queue", help="Its number, as in the address of the queue's page in the Django admin.")
    user: str = setting("User name", default="", help="Only where the API takes name and password instead of tokens.")
    requester: str = setting("Submitter's email", default="", help="Written into our tickets. Empty: none.")
    public: bool = setting("Show our messages to the submitter", kind="switch", default=False)
    priority_low: str = setting("Priority for low", default="4", looked_up=True)
    priority_normal: str = setting("Priority for normal", default="3", looked_up=True)
    priority_high: str = setting("Priority for high", default="2", looked_up=True)
    priority_urgent: str = setting("Priority for urgent", default="1", looked_up=True)
    status_closed: str = setting("Status when over", default="4", looked_up=True)
    status_reopened: str = setting("Status when back", default="2", looked_up=True)
    closed: tuple[str, ...] = setting(
        "Further statuses that mean closed", kind="list", default=("3", "5"), help="By their numbers."
    )
    people: object = setting(
        "Names of people", kind="json", default={}, help='The API tells numbers only: {"7": "Tina Tech"} names them.'
    )
    webhook_secret: str = setting(
        "Password in the webhook's address", default="", secret=True,
        help="At least 16 letters, digits, hyphens or underscores. Empty: no callbacks.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        for name in NUMBERS:
            if not re.fullmatch(r"[0-9]{1,9}", getattr(self, name)):
                raise BadConfig(name, "This must be the number that django-helpdesk gives it.")
        if self.status_reopened in {self.status_closed, *self.closed}:
            raise BadConfig("status_reopened", "A status that means closed opens nothing again: choose another.")
        if self.requester and "@" not in self.requester:
            raise BadConfig("requester", "The submitter's email must be a mail address.")
        if not isinstance(self.people, dict) or not all(isinstance(name, str) for name in self.people.values()):
            raise BadConfig("people", "This must be an object of numbers and names.")
        if self.webhook_secret and not re.fullmatch(r"[A-Za-z0-9_-]{16,}", self.webhook_secret):
            raise BadConfig("webhook_secret", "At least 16 letters, digits, hyphens or underscores are needed.")


def abilities(config: Config) -> frozenset[Ability]:
    """There are no companies; callbacks only with their password."""
    return frozenset({"read", "reopen", "callbacks"} if config.webhook_secret else {"read", "reopen"})


def find_after(config: Config) -> timedelta | None:
    """The list reads the database itself; a minute is on the safe side of a write under way."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer without an id leaves the outcome unknown."""
    fields: dict[str, Any] = {
        "queue": int(config.queue),
        "title": one_line(ticket.text.subject, MAX_SUBJECT),
        "description": f"{_without_links(ticket.text.body).rstrip()}\n\n[{ticket.reference}]",
        "priority": int(getattr(config, f"priority_{ticket.priority}")),
    }
    if config.requester:
        fields["submitter_email"] = config.requester
    api = _api(config, call)
    external_id = id_in(api.write("POST", "/tickets/", fields), "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a message; the status stays as it is."""
    _follow_up(config, _api(config, call), thread, text)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message and status in one request; a ticket that is closed already, or gone, is left as it is."""
    api = _api(config, call)
    there = _ticket(api, thread.external_id)
    if there is None or _is_closed(config, there):
        return
    _follow_up(config, api, thread, text, status=config.status_closed)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message and status in one request."""
    _follow_up(config, _api(config, call), thread, text, status=config.status_reopened)


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The newest ticket whose description ends with our reference, within the time a creation may be in doubt."""
    api = _api(config, call)
    for tickets in _pages_from_the_end(api):
        for ticket in reversed(tickets):
            external_id = id_in(ticket, "id")
            if external_id is not None and _reference_of(ticket) == reference:
                return _created(config, external_id)
        opened = [at for at in map(_opened_at, tickets) if at is not None]
        if opened and max(opened) < call.now - LOOK_BACK:
            break
    return None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket and its messages; where it was merged, the status and person of the one that took its place."""
    api = _api(config, call)
    ticket = _ticket(api, thread.external_id)
    if ticket is None:
        return None
    there = _merged_into(api, ticket)
    external_id = id_in(there, "id") or thread.external_id
    return Standing(
        external_id=external_id,
        status=_status_word(api, id_in(there, "status") or ""),
        closed=_is_closed(config, there),
        reference=_reference_of(ticket),
        assignee=_person(config, id_in(there, "assigned_to")),
        remarks=_remarks(config, ticket),
        url=_page(config, external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """django-helpdesk has none."""
    raise PermanentFailure("django-helpdesk keeps no companies.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Priorities and statuses, as the API describes its own fields; it does not list queues."""
    kind = name.partition("_")[0]
    if name not in NUMBERS or kind not in ("priority", "status"):
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    return tuple(Choice(value, word) for value, word in _described(_api(config, call), kind).items())


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event. The password in the webhook's address comes as Basic credentials; its comment must be recent."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no password for them.")
    given = {name.lower(): value for name, value in headers.items()}
    expected = _basic(WEBHOOK_USER, config.webhook_secret)
    signatures.require_same(given.get("authorization", ""), expected)
    document = decode(body)
    ticket = document.get("ticket") if isinstance(document, dict) else None
    external_id = id_in(ticket, "id")
    if external_id is None or not isinstance(ticket, dict):
        raise PermanentFailure("The callback names no ticket.")
    latest = _event_of(document, ticket)
    signatures.require_recent(text_in(latest, "date"), now=call.now)
    number = id_in(latest, "id")
    event_id = f"{external_id}-{number}" if number else hashlib.sha256(body).hexdigest()
    status = id_in(ticket, "status") or ""
    at = moment(latest.get("date")) or call.now
    return (TicketEvent(event_id, external_id, at, STATUSES.get(status, status), _is_closed(config, ticket)),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether we may in and see the queue, whether the numbers exist there, and whether tickets can be listed."""
    problems = list(open_text_problem(config.url, call))
    try:
        api = _api(config, call)
        for kind in ("priority", "status"):
            known = _described(api, kind)
            wanted = {getattr(config, name) for name in NUMBERS if name.startswith(kind)}
            problems += [f"django-helpdesk has no {kind} {number}." for number in sorted(wanted - set(known))]
        problems += _queue_problem(config, api)
        next(_pages_from_the_end(api))
    except DeliveryFailure as failure:
        problems.append(_advice(failure.reason))
    return tuple(problems)


# --- writing ----------------------------------------------------------------------------------------------------------


def _follow_up(config: Config, api: Api, thread: Thread, text: TicketText, *, status: str = "") -> None:
    """Add a comment, and set the status with it; then look whether it was set."""
    fields: dict[str, Any] = {
        "ticket": _number(thread.external_id),
        "comment": _escaped(_without_links(text.body)),
        "public": config.public,
    }
    if status:
        fields["new_status"] = int(status)
    answer = api.write("POST", "/followups/", fields)
    if not status:
        return
    if id_in(answer, "id") is None:
        raise OutcomeUnknown(f"{api.host} took the message for ticket {thread.external_id} but did not say so.")
    there = _ticket(api, thread.external_id)
    if there is None or id_in(there, "status") != status:
        raise PermanentFailure(f"Ticket {thread.external_id} took the message, but not the status {status}.")


def _escaped(text: str) -> str:
    """For Django's template language: each brace that could begin or end a tag as the literal of a brace."""
    return re.sub(r"\{|%\}", lambda found: '{{ "{" }}' if found[0] == "{" else '%{{ "}" }}', text)


def _without_links(text: str) -> str:
    """ "#12" in a text would leave a note on ticket 12: a joiner that nobody sees keeps both apart."""
    return re.sub(r"#(?=[0-9])", "#\N{WORD JOINER}", text)


def _queue_problem(config: Config, api: Api) -> tuple[str, ...]:
    """Queues cannot be listed. A ticket without a title is refused whatever else it holds, and a queue is named."""
    try:
        api.write("POST", "/tickets/", {"queue": int(config.queue), "title": ""})
    except PermanentFailure as refusal:
        if "answered 400" not in refusal.reason:
            raise
        if '"queue"' in refusal.reason:
            return (f"django-helpdesk has no queue {config.queue}, or our user may not see it.",)
        return ()
    return ("django-helpdesk took a ticket without a title.",)


# --- reading ----------------------------------------------------------------------------------------------------------


def _ticket(api: Api, external_id: str) -> dict[str, Any] | None:
    try:
        document = api.get(f"/tickets/{segment(external_id)}/")
    except NotThere:
        return None
    if not isinstance(document, dict) or id_in(document, "id") != external_id:
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket {external_id[:40]}.")
    return document


def _merged_into(api: Api, ticket: dict[str, Any]) -> dict[str, Any]:
    for _ in range(MAX_MERGES):
        other = id_in(ticket, "merged_to")
        there = _ticket(api, other) if other else None
        if there is None:
            break
        ticket = there
    return ticket


def _pages_from_the_end(api: Api) -> Iterator[list[dict[str, Any]]]:
    """Pages of tickets, the newest first: numbers of pages count from the oldest, so new tickets move none."""
    document = api.get("/tickets/", {"page": "last", "page_size": PAGE_SIZE})
    yield rows_in(document, "results", host=api.host)
    before = _number_of_page(text_in(document, "previous"))
    for page in range(before, max(before - MAX_PAGES + 1, 0), -1):
        yield rows_in(api.get("/tickets/", {"page": page, "page_size": PAGE_SIZE}), "results", host=api.host)
    if before >= MAX_PAGES:
        raise PermanentFailure(
            f"More than {MAX_PAGES * PAGE_SIZE} tickets were opened there lately: look for ours by hand."
        )


def _number_of_page(link: str) -> int:
    """The page that a link of a list leads to; the first has no number in it. 0 where there is no link."""
    if not link:
        return 0
    try:
        numbers = parse_qs(urlsplit(link).query).get("page", ["1"])
    except ValueError:
        numbers = [""]
    if not re.fullmatch(r"[0-9]{1,9}", numbers[0]):
        raise PermanentFailure("The list of tickets leads to a page without a number.")
    return int(numbers[0])


def _described(api: Api, kind: str) -> dict[str, str]:
    """The choices of a field of tickets, number to name, as the API describes itself."""
    document = decode(api.send("OPTIONS", "/tickets/").body)
    rows = rows_in(document, "actions", "POST", kind, "choices", host=api.host)
    pairs = ((id_in(row, "value"), text_in(row, "display_name")) for row in rows)
    return {value: word or value for value, word in pairs if value is not None}


def _status_word(api: Api, status: str) -> str:
    """The usual words are known; a tenant's own statuses are asked for."""
    return STATUSES.get(status) or _described(api, "status").get(status, status)


def _is_closed(config: Config, ticket: dict[str, Any]) -> bool:
    return id_in(ticket, "status") in {config.status_closed, *config.closed}


def _comments(ticket: dict[str, Any]) -> list[dict[str, Any]]:
    """The comments in the order in which they were given out; what is none is left out."""
    items = ticket.get("followup_set")
    rows = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return sorted((row for row in rows if (id_in(row, "id") or "").isdecimal()), key=lambda row: int(row["id"]))


def _remarks(config: Config, ticket: dict[str, Any]) -> tuple[Remark, ...]:
    """Ours are those of the user who opened the ticket, which is told by its first comment: the description."""
    rows = _comments(ticket)
    first = rows[0] if rows else {}
    is_opening = bool(_reference_of(ticket)) and text_in(first, "comment") == text_in(ticket, "description")
    us = id_in(first, "user") if is_opening else None
    return tuple(
        Remark(
            id=str(row["id"]),
            author=_person(config, id_in(row, "user")),
            text=text_in(row, "comment") or text_in(row, "title"),
            at=moment(row.get("date")),
            ours=us is not None and id_in(row, "user") == us,
        )
        for row in rows
    )


def _event_of(document: Any, ticket: dict[str, Any]) -> dict[str, Any]:
    """The comment that a callback is about: the one it names, else the latest."""
    rows = _comments(ticket)
    named = id_in(document, "followup_id")
    return next((row for row in rows if id_in(row, "id") == named), rows[-1] if rows else {})


def _opened_at(ticket: dict[str, Any]) -> datetime | None:
    rows = _comments(ticket)
    return moment(rows[0].get("date")) if rows else None


def _reference_of(ticket: dict[str, Any]) -> str:
    found = _REFERENCE_LINE.search(text_in(ticket, "description"))
    return found[1] if found else ""


def _person(config: Config, number: str | None) -> str:
    named = text_in(config.people, number) if number else ""
    return named or (f"user {number}" if number else "")


# --- the desk ---------------------------------------------------------------------------------------------------------


def _api(config: Config, call: Call) -> Api:
    credentials = _basic(config.user, config.token) if config.user else f"Token {config.token}"
    secrets = (*secrets_of(config), credentials.partition(" ")[2])
    return Api(config.url.rstrip("/") + "/api", call=call, headers={"authorization": credentials}, secrets=secrets)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _advice(reason: str) -> str:
    if "answered 401" in reason or "answered 403" in reason:
        return f"{reason} Check the token, that its user is staff, and that the API takes tokens."
    return reason


def _number(external_id: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", external_id):
        raise NotThere(f"{external_id[:40]!r} is no number that django-helpdesk could have given.")
    return int(external_id)


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/tickets/{segment(external_id)}/"
