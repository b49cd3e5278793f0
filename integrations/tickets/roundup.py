"""Roundup: issues by its REST interface, with the name and password of a user of our own. Needs no change of a tracker.

The Message-ID of our first message is our reference: every tracker keeps one for each message and searches it exactly;
the later ones are numbered, by which a repeated message is known. A message is stored first and then joined to its
issue, together with the new status, in one change that Roundup refuses if somebody else was quicker (If-Match).
A retired issue can still be fetched by its number, so issues are read through the list, which leaves it out.
Source: Roundup's "REST API for Roundup", and the answers of version 2.6.0 with its "classic" template.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure, TemporaryFailure
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
    Query,
    check_address,
    id_in,
    one_line,
    open_text_problem,
    rows_in,
    segment,
    text_in,
)

LABEL: Final = "Roundup"
#: Roundup sets no limit by itself ("api_calls_per_interval" is 0); one call a second is a guest's share.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = "Roundup 2.6.0"
NOBODYS_REFERENCE: Final = "BL-00000000"
#: How many messages of one issue are read: the first, which bears our reference, and the latest.
MAX_MESSAGES: Final = 100
MAX_ATTEMPTS: Final = 4
#: Roundup takes titles of any length; lists and mails show this much of one.
MAX_SUBJECT: Final = 250
#: How often a chain of superseded issues is followed.
MAX_SUCCESSORS: Final = 5
#: The class of Roundup that holds the values of a setting.
LOOKED_UP: Final = {
    "priority_low": "priority", "priority_normal": "priority", "priority_high": "priority",
    "priority_urgent": "priority", "status_new": "status", "status_closed": "status", "status_reopened": "status",
    "keyword": "keyword",
}  # fmt: skip

_REFERENCE = re.compile(r"[A-Za-z0-9-]{1,64}")
_MESSAGE_ID = re.compile(r"<([A-Za-z0-9-]{1,64})\.[0-9]+@backledger>")


@dataclass(frozen=True)
class Config:
    """One tracker and how issues are opened in it."""

    url: str = setting("Address of the tracker", help="Such as https://desk.example.com/support")
    user: str = setting("User name", help="Give Backledger a user of its own, with the role User.")
    password: str = setting("Password", secret=True)
    priority_low: str = setting("Priority for low", default="bug", looked_up=True)
    priority_normal: str = setting("Priority for normal", default="bug", looked_up=True)
    priority_high: str = setting("Priority for high", default="urgent", looked_up=True)
    priority_urgent: str = setting(
        "Priority for urgent", default="critical", looked_up=True, help="Any of the four may be empty: none is set."
    )
    keyword: str = setting("Keyword", default="", help="Set on our issues. Empty: none.", looked_up=True)
    status_new: str = setting("Status of new issues", default="", help="Empty: the tracker's own rule.", looked_up=True)
    status_closed: str = setting("Status when over", default="resolved", looked_up=True)
    status_reopened: str = setting("Status when back", default="chatting", looked_up=True)
    closed: tuple[str, ...] = setting(
        "Further statuses that mean closed", kind="list", default=("done-cbb",), help="By their names in the tracker."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if ":" in self.user:
            raise BadConfig("user", "A user name holds no colon.")
        if not self.status_closed or not self.status_reopened:
            name = "status_reopened" if self.status_closed else "status_closed"
            raise BadConfig(name, "Name the status that the tracker has for this.")
        if self.status_reopened in {self.status_closed, *self.closed}:
            raise BadConfig("status_reopened", "A status that means closed opens nothing again: choose another.")


def abilities(config: Config) -> frozenset[Ability]:
    """Roundup keeps no companies and calls nobody by itself: it is asked."""
    return frozenset({"read", "reopen"})


def find_after(config: Config) -> timedelta | None:
    """The list reads the database itself; a minute is on the safe side of a write under way."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Store the message, then open the issue with it; an answer without an id leaves the outcome unknown."""
    api = _api(config, call)
    message = _store_message(config, api, ticket.text, message_id=_message_id(ticket.reference, 0))
    fields: dict[str, Any] = {"title": one_line(ticket.text.subject, MAX_SUBJECT), "messages": [message]}
    priority = getattr(config, f"priority_{ticket.priority}")
    for name, value in (("priority", priority), ("status", config.status_new)):
        if value:
            fields[name] = value
    if config.keyword:
        fields["keyword"] = [config.keyword]
    external_id = id_in(api.write("POST", "/issue", fields), "data", "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new issue but told no id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a message. The tracker's own rules may move the status of an open issue, as for anybody's message."""
    _add(config, _api(config, call), thread, text, sequence=sequence)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message and status in one change; an issue that is closed already, or retired, is left as it is."""
    api = _api(config, call)
    there = _issue(api, thread.external_id)
    if there is None or _is_closed(config, there):
        return
    _add(config, api, thread, text, sequence=sequence, status=config.status_closed)
    _require_status(api, thread, config.status_closed)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message and status in one change."""
    api = _api(config, call)
    _add(config, api, thread, text, sequence=sequence, status=config.status_reopened)
    _require_status(api, thread, config.status_reopened)


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest issue that holds a message with our Message-ID, both checked in what was returned."""
    api = _api(config, call)
    messages = _messages_with(config, api, _message_id(reference, 0))
    if not messages:
        return None
    query: Query = {"messages": ",".join(messages), "@fields": "messages", "@page_size": MAX_MESSAGES}
    for issue in _listed(api, "issue", query):
        external_id = id_in(issue, "id")
        if external_id is not None and set(_ids(issue.get("messages"))) & set(messages):
            return _created(config, external_id)
    return None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The issue and its messages; where it was superseded, the status and person of the one that took its place."""
    api = _api(config, call)
    issue = _issue(api, thread.external_id)
    if issue is None:
        return None
    messages = _messages_of(api, issue)
    references = (_MESSAGE_ID.fullmatch(text_in(item, "messageid")) for item in messages if _is_ours(config, item))
    there = _successor_of(api, issue)
    external_id = id_in(there, "id") or thread.external_id
    return Standing(
        external_id=external_id,
        status=text_in(there, "status", "name"),
        closed=_is_closed(config, there),
        reference=next((match[1] for match in references if match), ""),
        assignee=text_in(there, "assignedto.realname") or text_in(there, "assignedto", "username"),
        remarks=tuple(_remark(config, item) for item in messages),
        url=_page(config, external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Roundup has none."""
    raise PermanentFailure("Roundup keeps no companies.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Priorities, statuses and keywords, by their names, in the tracker's order."""
    if name not in LOOKED_UP:
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    return tuple(Choice(known, known) for known in _names_in(_api(config, call), LOOKED_UP[name]))


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """Roundup calls nobody."""
    raise PermanentFailure("This destination takes no callbacks: Roundup sends none.")


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether we may in, whether every name that is set exists there, and whether the search works."""
    problems = list(open_text_problem(config.url, call))
    try:
        api = _api(config, call)
        for class_name in ("priority", "status", "keyword"):
            known = _names_in(api, class_name)
            wanted = {getattr(config, name) for name, of in LOOKED_UP.items() if of == class_name} - {""}
            problems += [f"The tracker has no {class_name} {name!r}." for name in sorted(wanted - set(known))]
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned an issue for a reference that nobody has.")
    except DeliveryFailure as failure:
        problems.append(_advice(failure.reason))
    return tuple(problems)


# --- writing ----------------------------------------------------------------------------------------------------------


def _store_message(config: Config, api: Api, text: TicketText, *, message_id: str) -> str:
    """A message that belongs to no issue yet: if its answer is lost, nobody ever sees it and nothing was done."""
    now = api.call.now.astimezone(UTC).strftime("%Y-%m-%d.%H:%M:%S")
    fields = {"content": text.body, "author": config.user, "date": now, "messageid": message_id}
    try:
        stored = id_in(api.write("POST", "/msg", fields), "data", "id")
    except OutcomeUnknown as failure:
        raise TemporaryFailure(failure.reason) from None
    if stored is None:
        raise TemporaryFailure(f"{api.host} took a message but told no id.")
    return stored


def _add(config: Config, api: Api, thread: Thread, text: TicketText, *, sequence: int, status: str = "") -> None:
    """Join the message of this number to the issue, and set the status with it; a repeat adds nothing twice."""
    message_id = _message_id(thread.reference, sequence)
    known = _messages_with(config, api, message_id)
    message = known[0] if known else _store_message(config, api, text, message_id=message_id)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        etag, present = _latest(api, thread)
        change: dict[str, Any] = {"status": status} if status else {}
        if message not in present:
            change["messages"] = [*present, message]
        if not change:
            return
        try:
            api.write("PATCH", _path(thread), {"@op": "replace", **change}, headers={"If-Match": etag})
        except PermanentFailure:
            # only if somebody else changed the issue after we had looked is it worth looking again
            if attempt == MAX_ATTEMPTS or _latest(api, thread)[0] == etag:
                raise
        else:
            return


def _latest(api: Api, thread: Thread) -> tuple[str, list[str]]:
    """The mark of the issue as it is now, by which a change is accepted, and its messages."""
    document = api.get(_path(thread), {"@fields": "messages"})
    present = _ids(rows_in(document, "data", "attributes", "messages", host=api.host))
    etag = text_in(document, "data", "@etag")
    if not re.fullmatch(r'"[!#-~]{1,200}"', etag):
        raise PermanentFailure(f"{api.host} answered without an ETag that could be sent back.")
    return etag, present


def _require_status(api: Api, thread: Thread, wanted: str) -> None:
    """Read back: a rule of the tracker may have changed what we asked for."""
    there = _issue(api, thread.external_id)
    status = text_in(there, "status", "name") if there is not None else "retired"
    if status != wanted:
        raise PermanentFailure(
            f"The status of issue {thread.external_id} is {status[:40]!r} though {wanted!r} was set: "
            "a rule of the tracker changes it."
        )


# --- reading ----------------------------------------------------------------------------------------------------------


def _issue(api: Api, external_id: str) -> dict[str, Any] | None:
    """The issue as the list has it, None if it was retired or never existed."""
    fields = "title,status,assignedto,assignedto.realname,messages,superseder"
    found = _listed(api, "issue", {"id": external_id, "@fields": fields, "@verbose": 2})
    return next((issue for issue in found if id_in(issue, "id") == external_id), None)


def _successor_of(api: Api, issue: dict[str, Any]) -> dict[str, Any]:
    """The issue that stands for this one now: the last of the chain of "superseder"."""
    for _ in range(MAX_SUCCESSORS):
        later = _ids(issue.get("superseder"))
        there = _issue(api, later[0]) if later else None
        if there is None:
            break
        issue = there
    return issue


def _messages_with(config: Config, api: Api, message_id: str) -> list[str]:
    """The ids of our own messages with exactly this Message-ID, oldest first."""
    fields = "messageid,creator.username"
    found = _listed(api, "msg", {"messageid:": message_id, "@fields": fields, "@page_size": MAX_MESSAGES})
    if len(found) >= MAX_MESSAGES:
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned more than it should.")
    return _ids([item for item in found if item.get("messageid") == message_id and _is_ours(config, item)])


def _messages_of(api: Api, issue: dict[str, Any]) -> list[dict[str, Any]]:
    ids = _ids(issue.get("messages"))
    if not ids:
        return []
    wanted = [*ids[:1], *ids[1:][1 - MAX_MESSAGES :]]
    fields = "content,author,author.realname,creator.username,creation,messageid"
    query: Query = (*(("id", one) for one in wanted), ("@fields", fields), ("@verbose", 3))
    return [item for item in _listed(api, "msg", query) if id_in(item, "id") in wanted]


def _remark(config: Config, item: dict[str, Any]) -> Remark:
    return Remark(
        id=id_in(item, "id") or "",
        author=text_in(item, "author.realname") or text_in(item, "author", "username"),
        text=text_in(item, "content"),
        at=_moment(item.get("creation")),
        ours=_is_ours(config, item),
    )


def _is_ours(config: Config, item: dict[str, Any]) -> bool:
    return text_in(item, "creator.username") == config.user


def _is_closed(config: Config, issue: dict[str, Any]) -> bool:
    return text_in(issue, "status", "name") in {config.status_closed, *config.closed}


def _names_in(api: Api, class_name: str) -> tuple[str, ...]:
    found = _listed(api, class_name, {"@fields": "name"})
    return tuple(name for name in (text_in(item, "name") for item in found) if name)


def _listed(api: Api, class_name: str, query: Query) -> list[dict[str, Any]]:
    return rows_in(api.get(f"/{class_name}", query), "data", "collection", host=api.host)


def _ids(items: Any) -> list[str]:
    """The ids in a list of objects, in the order in which they were given out."""
    given = (id_in(item, "id") for item in items) if isinstance(items, list) else ()
    return sorted({one for one in given if one is not None and one.isdecimal() and one.isascii()}, key=int)


def _moment(value: object) -> datetime | None:
    """Roundup writes 2026-11-22.22:00:00, in UTC."""
    try:
        return datetime.strptime(str(value)[:19], "%Y-%m-%d.%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


# --- the tracker ------------------------------------------------------------------------------------------------------


def _api(config: Config, call: Call) -> Api:
    """Roundup asks for both headers besides the credentials, against requests forged in a browser."""
    credentials = base64.b64encode(f"{config.user}:{config.password}".encode()).decode()
    parts = urlsplit(config.url)
    headers = {
        "authorization": f"Basic {credentials}",
        "origin": f"{parts.scheme}://{parts.netloc}",
        "x-requested-with": "rest",
    }
    base = config.url.rstrip("/") + "/rest/data"
    return Api(base, call=call, headers=headers, secrets=(*secrets_of(config), credentials))


def _advice(reason: str) -> str:
    if "answered 401" in reason or "answered 403" in reason:
        return f"{reason} Check the user name and password, and that the user has the role User."
    if "answered 400" in reason:
        return (
            f"{reason} The address must be the one that the tracker has for itself ([tracker] web in its config.ini)."
        )
    return reason


def _message_id(reference: Reference, sequence: int) -> str:
    if not _REFERENCE.fullmatch(reference):
        raise PermanentFailure("Our reference holds a character that it cannot have.")
    return f"<{reference}.{sequence}@backledger>"


def _path(thread: Thread) -> str:
    if not (thread.external_id.isascii() and thread.external_id.isdecimal()):
        raise NotThere(f"{thread.external_id[:40]!r} is no number that Roundup could have given.")
    return f"/issue/{segment(thread.external_id)}"


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/issue{segment(external_id)}"
