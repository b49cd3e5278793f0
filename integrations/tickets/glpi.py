"""GLPI 10 and newer: tickets by the REST API ``apirest.php``, in a session that lasts for one call.

Our reference is the ticket's ``externalid``. Companies are entities. Closing adds a solution, which GLPI itself turns
into the status "solved" (or "closed", by the entity's rules) in the same step; a followup can take that back. Text is
HTML. Sources: GLPI's API documentation (``apirest.md``) and its published source for the search by fields, solutions,
reopening and the signature of webhooks.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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

LABEL: Final = "GLPI"
#: One a second: GLPI itself sets no limit, its server is the MSP's own, and each call makes up to six requests.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = ""
NOBODYS_REFERENCE: Final = "BL-00000000"
MAX_NAME: Final = 255
URGENCY: Final = {"low": 2, "normal": 3, "high": 4, "urgent": 5}
STATUSES: Final = {
    "1": "New",
    "2": "Processing (assigned)",
    "3": "Processing (planned)",
    "4": "Pending",
    "5": "Solved",
    "6": "Closed",
}
CLOSED: Final = frozenset({"5", "6"})
INCIDENT: Final = 1
ASSIGNED: Final = "2"  # the kind of a link between a ticket and a person
TABLES: Final = {"category": "ITILCategory", "group": "Group"}


@dataclass(frozen=True)
class Config:
    """One GLPI and how tickets are opened in it."""

    url: str = setting("Address", help="Such as https://glpi.example.com, without apirest.php.")
    user_token: str = setting("User's API token", secret=True, help="Of a user of Backledger's own.")
    app_token: str = setting("Application token", default="", secret=True, help="If the API client has one.")
    default_company: str = setting(
        "Entity if a client has none", default="", help="Empty: the user's own entity.", looked_up=True
    )
    category: str = setting("Category", default="", help="Empty: none.", looked_up=True)
    group: str = setting("Group", default="", help="Who gets the tickets. Empty: GLPI's own rules.", looked_up=True)
    closing: str = setting(
        "Close as", default="solved", choices=(("solved", "solved, for GLPI to close"), ("closed", "closed at once"))
    )
    public: bool = setting("Show our messages to the requester", kind="switch", default=False)
    webhook_secret: str = setting(
        "Secret of the webhook", default="", secret=True, help="GLPI 11 and newer; 16 characters or more."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        for name in ("default_company", "category", "group"):
            if not re.fullmatch(r"[0-9]{0,18}", getattr(self, name)):
                raise BadConfig(name, "This must be the number that GLPI gives it.")
        if self.webhook_secret and len(self.webhook_secret) < 16:
            raise BadConfig("webhook_secret", "The secret must have 16 characters or more.")


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their secret."""
    able: set[Ability] = {"read", "reopen", "companies"}
    if config.webhook_secret:
        able.add("callbacks")
    return frozenset(able)


def find_after(config: Config) -> timedelta | None:
    """GLPI searches its database; a minute is on the safe side."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer without an id leaves the outcome unknown."""
    fields: dict[str, Any] = {
        "name": one_line(ticket.text.subject, MAX_NAME),
        "content": _html(ticket.text),
        "externalid": ticket.reference,
        "type": INCIDENT,
        "urgency": URGENCY[ticket.priority],
    }
    numbers = {
        "entities_id": ticket.company or config.default_company,
        "itilcategories_id": config.category,
        "_groups_id_assign": config.group,
    }
    fields |= {name: _number(value) for name, value in numbers.items() if value}
    with _session(config, call) as api:
        return _created(config, _add(api, "Ticket", fields))


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a followup; the status stays as it is."""
    with _session(config, call) as api:
        _add(api, "ITILFollowup", _followup(config, thread, text))


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """A solution, which solves the ticket; one that is closed already, or gone, is left as it is."""
    with _session(config, call) as api:
        there = _ticket(api, thread)
        if there is None:
            return
        if text_in(there, "status") not in CLOSED:
            about = {"itemtype": "Ticket", "items_id": _number(thread.external_id)}
            _add(api, "ITILSolution", {**about, "content": _html(text)})
            there = _ticket(api, thread)
            _require(there, CLOSED, f"The ticket {thread.external_id} was not solved")
        if config.closing == "closed" and text_in(there, "status") == "5":
            api.write("PUT", f"/Ticket/{segment(thread.external_id)}", {"input": {"status": 6}})
            _require(_ticket(api, thread), frozenset({"6"}), f"The ticket {thread.external_id} was not closed")


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """A followup that takes the solution back."""
    with _session(config, call) as api:
        there = _ticket(api, thread)
        if there is None:
            raise NotThere(f"The ticket {thread.external_id} is not in GLPI any more: it cannot be reopened.")
        closed = text_in(there, "status") in CLOSED
        followup = _followup(config, thread, text)
        _add(api, "ITILFollowup", {**followup, "add_reopen": 1} if closed else followup)
        if closed:
            _require(_ticket(api, thread), frozenset("1234"), f"The ticket {thread.external_id} was not reopened")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest ticket that bears our reference, as checked in what was returned."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", reference):
        raise PermanentFailure(
            "This reference cannot be searched for: it has other characters than letters and digits."
        )
    with _session(config, call) as api:
        return _found(config, api, reference)


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The ticket, who has it, its newest followups and how it was solved; None if it was deleted or merged."""
    with _session(config, call) as api:
        there = _ticket(api, thread)
        if there is None:
            return None
        people = _below(api, thread, "Ticket_User", order="ASC")
        said = [("", row) for row in reversed(_below(api, thread, "ITILFollowup", order="DESC"))]
        if text_in(there, "status") in CLOSED:
            said += [("solution-", row) for row in _below(api, thread, "ITILSolution", order="ASC")]
    writer, status = text_in(there, "users_id_recipient"), text_in(there, "status")
    return Standing(
        external_id=thread.external_id,
        status=STATUSES.get(status, f"Status {status}"),
        closed=status in CLOSED,
        reference=text_in(there, "externalid"),
        assignee=next((text_in(row, "users_id") for row in people if text_in(row, "type") == ASSIGNED), ""),
        remarks=tuple(_remark(kind, row, writer) for kind, row in said if id_in(row, "id")),
        url=_page(config, thread.external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """The entities that our user may work in, by a part of their full name."""
    with _session(config, call) as api:
        rows = rows_in(api.get("/getMyEntities", {"is_recursive": "true"}), "myentities", host=api.host)
    found = [Company(text_in(row, "id"), html.unescape(text_in(row, "name"))) for row in rows]
    wanted = search.casefold()
    return tuple(one for one in found if one.id and wanted in one.name.casefold())[:1000]


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Categories, groups and entities."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    if name not in TABLES:
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    with _session(config, call) as api:
        rows = _rows(api, f"/{TABLES[name]}", {"range": "0-499"})
    named = [(text_in(row, "id"), text_in(row, "completename") or text_in(row, "name")) for row in rows]
    return tuple(Choice(value, html.unescape(label)) for value, label in named if value and label)


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event about a ticket, or about a followup, which names its ticket."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no secret for them.")
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get("x-glpi-timestamp", "")
    signed = body + timestamp.encode()
    expected = hmac.new(config.webhook_secret.encode(), signed, hashlib.sha256).hexdigest()
    signatures.require_same(given.get("x-glpi-signature", ""), expected)
    signatures.require_recent(_iso(timestamp), now=call.now)
    document = json_api.decode(body)
    external_id = id_in(document, "item", "items_id") or id_in(document, "item", "id")
    if external_id is None:
        raise PermanentFailure("The callback names no ticket: use GLPI's default payload for the webhook.")
    return (TicketEvent(hashlib.sha256(signed).hexdigest(), external_id, call.now),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether we can log in as a technician, find, and work in the entity."""
    problems = list(json_api.open_text_problem(config.url, call))
    try:
        with _session(config, call) as api:
            profile = api.get("/getActiveProfile")
            if text_in(profile, "active_profile", "interface") != "central":
                problems.append("This user's default profile is for requesters: give it a technician's profile.")
            if _found(config, api, NOBODYS_REFERENCE) is not None:
                problems.append("The search returned a ticket for a reference that nobody has.")
        entities = [one.id for one in companies(config, "", call=call)]
        if not entities:
            problems.append("This user may work in no entity: give its profile the entities, with their sub-entities.")
        elif config.default_company and config.default_company not in entities:
            problems.append(f"This user may not work in the entity {config.default_company}: choose another.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


@contextmanager
def _session(config: Config, call: Call) -> Iterator[Api]:
    """Logged in for these requests. Logging in is a read: its failure never leaves an outcome unknown."""
    headers = {"authorization": f"user_token {config.user_token}"}
    if config.app_token:
        headers["app-token"] = config.app_token
    api = Api(config.url.rstrip("/") + "/apirest.php", call=call, headers=headers, secrets=secrets_of(config))
    try:
        token = text_in(api.get("/initSession"), "session_token")
    except PermanentFailure as failure:
        raise PermanentFailure(f"Logging in to GLPI failed, check address and tokens: {failure.reason}") from None
    if not token or not token.isascii() or not token.isprintable():
        raise PermanentFailure(f"{api.host} gave no session: check the address; it must be that of GLPI itself.")
    api.use_header("session-token", token)
    try:
        yield api
    finally:
        with suppress(DeliveryFailure):  # a session that was not ended ends by itself
            api.send("GET", "/killSession")


def _rows(api: Api, path: str, query: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return rows_in({"all": api.get(path, query)}, "all", host=api.host)


def _below(api: Api, thread: Thread, itemtype: str, *, order: str) -> list[dict[str, Any]]:
    query = {"range": "0-99", "sort": "id", "order": order, "expand_dropdowns": "true"}
    return _rows(api, f"/Ticket/{segment(thread.external_id)}/{itemtype}", query)


def _ticket(api: Api, thread: Thread) -> dict[str, Any] | None:
    """The ticket as it is there; None if it is in the bin (where merging puts it, too) or gone."""
    try:
        document = api.get(f"/Ticket/{segment(thread.external_id)}", {"expand_dropdowns": "true"})
    except NotThere:
        return None
    if id_in(document, "id") != thread.external_id or not text_in(document, "status"):
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    return None if document.get("is_deleted") in (1, "1", True) else dict(document)


def _found(config: Config, api: Api, reference: Reference) -> Created | None:
    """GLPI searches for a part of the field, so longer references may be among what it returns."""
    query = {"searchText[externalid]": reference, "range": "0-19", "sort": "id", "order": "ASC"}
    rows = _rows(api, "/Ticket", query)
    for row in rows:
        external_id, bears = id_in(row, "id"), text_in(row, "externalid")
        if external_id is None or reference not in bears:
            raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned other tickets.")
        if bears == reference:
            return _created(config, external_id)
    if len(rows) >= 20:
        raise PermanentFailure(f"{api.host} returned too many tickets with references like ours.")
    return None


def _add(api: Api, itemtype: str, fields: Mapping[str, Any]) -> str:
    added = id_in(api.write("POST", f"/{itemtype}", {"input": fields}), "id")
    if added is None:
        raise OutcomeUnknown(f"{api.host} took the {itemtype} but told no id.")
    return added


def _require(ticket: Mapping[str, Any] | None, wanted: frozenset[str], what: str) -> None:
    status = text_in(ticket, "status")
    if status not in wanted:
        stands = STATUSES.get(status, f"Status {status[:10]}")
        raise PermanentFailure(f"{what}: it is {stands!r}. Check what this user's profile may do in GLPI.")


def _followup(config: Config, thread: Thread, text: TicketText) -> dict[str, Any]:
    about = {"itemtype": "Ticket", "items_id": _number(thread.external_id)}
    return {**about, "content": _html(text), "is_private": 0 if config.public else 1}


def _remark(kind: str, row: Mapping[str, Any], writer: str) -> Remark:
    """``kind`` keeps solutions and followups apart, which are numbered each for themselves."""
    author = text_in(row, "users_id")
    return Remark(
        id=kind + text_in(row, "id"),
        author=html.unescape(author),
        text=_plain(text_in(row, "content")),
        at=None,  # GLPI tells local times without their zone
        ours=bool(author) and author == writer,  # we wrote the ticket: whoever its writer is there, is us
    )


def _html(text: TicketText) -> str:
    return text.html if text.html is not None else html.escape(text.body).replace("\r\n", "\n").replace("\n", "<br>\n")


def _plain(content: str) -> str:
    """The words of a rich text, which GLPI 10 gives with its marks escaped and GLPI 11 as they are."""
    marked = html.unescape(content) if "<" not in content else content
    lines = re.sub(r"<br[^>]*>\n?|</(p|div|li)>", "\n", marked, flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]*>", "", lines)).strip()


def _iso(timestamp: str) -> str:
    try:
        return datetime.fromtimestamp(int(timestamp), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/front/ticket.form.php?id={segment(external_id)}"


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise PermanentFailure(f"{text[:40]!r} is no number that GLPI could have given: choose the company again.")
    return int(text)
