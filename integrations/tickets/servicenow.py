"""ServiceNow: incidents by the Table API, with Basic credentials or an OAuth client of the instance.

Our reference is the ``correlation_id``. ServiceNow ignores parts of a query that it does not understand and fields that
it does not know or that the user may not write, and takes references to records that do not exist: so what comes back
is checked, and a company is looked up before it is used. Resolved incidents can be reopened, closed ones cannot.
Sources: ServiceNow's product documentation, "Table API", "Encoded query strings", "OAuth 2.0 with Inbound REST",
"Incident states" and "Incident priority"; the table of journal entries as clients of the API read it.
"""

from __future__ import annotations

import base64
import hashlib
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
    Reference,
    Remark,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)
from integrations.tickets.json_api import Api, check_address, id_in, one_line, rows_in, segment, text_in

LABEL: Final = "ServiceNow"
#: One a second: an instance has no limit of its own until its administrators set one for each hour and user.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = ""
NOBODYS_REFERENCE: Final = "BL-00000000"
OUR_HEADER: Final = "x-backledger-secret"
INCIDENT: Final = "/api/now/table/incident"
FIELDS: Final = "sys_id,number,state,active,correlation_id,assigned_to"
MAX_SUBJECT: Final = 160
MAX_TEXT: Final = 4_000  # of description and close_notes; what is longer is cut there without a word
#: Impact and urgency, of which the instance works out the priority: 4, 3, 2 and 1 by its first rules.
IMPORTANCE: Final = {"low": ("2", "3"), "normal": ("2", "2"), "high": ("2", "1"), "urgent": ("1", "1")}
CLOSED_FOR_GOOD: Final = frozenset({"7", "8"})  # closed, cancelled
#: 32 hexadecimal digits, as a rule; some records that came with the product or by an import have other ones.
SYS_ID: Final = re.compile(r"[0-9A-Za-z]{1,32}")


@dataclass(frozen=True)
class Config:
    """One ServiceNow instance and how incidents are opened in it."""

    url: str = setting("Address", help="Such as https://yourname.service-now.com")
    username: str = setting("User name", help="Give Backledger a user of its own, with the role itil.")
    password: str = setting("Password", secret=True)
    client_id: str = setting(
        "OAuth client id", default="", help="Empty: the password is sent with each call (Basic authentication)."
    )
    client_secret: str = setting("OAuth client secret", default="", secret=True)
    default_company: str = setting(
        "Company if a client has none", default="", help="Empty: the incident gets none.", looked_up=True
    )
    caller: str = setting("Caller", default="", help="Empty: none is set.", looked_up=True)
    assignment_group: str = setting(
        "Assignment group", default="", help="Empty: ServiceNow's own rules.", looked_up=True
    )
    category: str = setting("Category", default="", help="Empty: ServiceNow's default.", looked_up=True)
    resolved_state: str = setting("State to close with", default="6", looked_up=True)
    reopened_state: str = setting("State to reopen with", default="2", looked_up=True)
    close_code: str = setting("Resolution code", default="Solution provided", looked_up=True)
    public: bool = setting(
        "Show our messages to the caller", kind="switch", default=False, help="Comments instead of work notes."
    )
    webhook_secret: str = setting(
        "Secret of callbacks", default="", secret=True, help="16 characters or more; sent as X-Backledger-Secret."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        for name in ("default_company", "caller", "assignment_group"):
            if getattr(self, name) and not SYS_ID.fullmatch(getattr(self, name)):
                raise BadConfig(name, "This must be a sys_id: digits and letters, 32 at most.")
        for name in ("resolved_state", "reopened_state"):
            if not re.fullmatch(r"-?[0-9]{1,5}", getattr(self, name)):
                raise BadConfig(name, "This must be the number of a state.")
        if bool(self.client_id) != bool(self.client_secret):
            raise BadConfig("client_secret", "An OAuth client has both an id and a secret.")
        if self.webhook_secret and (len(self.webhook_secret) < 16 or not self.webhook_secret.isascii()):
            raise BadConfig("webhook_secret", "The secret must have 16 ASCII characters or more.")


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their secret."""
    able: set[Ability] = {"read", "reopen", "companies"}
    if config.webhook_secret:
        able.add("callbacks")
    return frozenset(able)


def find_after(config: Config) -> timedelta | None:
    """The Table API reads the database; a minute is on the safe side."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the incident; an answer without an id leaves the outcome unknown."""
    impact, urgency = IMPORTANCE[ticket.priority]
    fields = {
        "short_description": one_line(ticket.text.subject, MAX_SUBJECT),
        "description": _cut(ticket.text.body),
        "correlation_id": ticket.reference,
        "correlation_display": "Backledger",
        "impact": impact,
        "urgency": urgency,
        "caller_id": config.caller,
        "assignment_group": config.assignment_group,
        "category": config.category,
        "company": ticket.company or config.default_company,
    }
    api = _api(config, call)
    if fields["company"]:
        _require_company(api, fields["company"])
    answer = api.write("POST", INCIDENT, {key: value for key, value in fields.items() if value})
    external_id = _sys_id(answer.get("result") if isinstance(answer, dict) else None)
    if not external_id:
        raise OutcomeUnknown(f"{api.host} took the new incident but told no sys_id.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a work note or a comment; the state stays as it is."""
    _update(_api(config, call), thread, {_journal(config): _unmarked(text.body)})


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Resolution notes and state in one request; one that is closed already, or gone, is left as it is."""
    api = _api(config, call)
    there = _record(api, thread)
    if there is None or _is_closed(config, there):
        return
    fields = {
        "state": config.resolved_state,
        "close_code": config.close_code,
        "close_notes": _cut(text.body),
    }
    _require_state(
        _update(api, thread, fields), config.resolved_state, f"The incident {_named(there)} was not resolved"
    )


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """State and message in one request; not for an incident that is closed or cancelled."""
    api = _api(config, call)
    there = _record(api, thread)
    if there is None:
        raise NotThere(f"The incident {thread.external_id} is not in ServiceNow any more: it cannot be reopened.")
    if _value(there, "state") in CLOSED_FOR_GOOD or _value(there, "active") == "false":
        raise PermanentFailure(f"{_named(there)} is {_shown(there, 'state')}: ServiceNow keeps it closed for good.")
    fields = {_journal(config): _unmarked(text.body)}
    if not _is_closed(config, there):
        _update(api, thread, fields)
        return
    answer = _update(api, thread, fields | {"state": config.reopened_state})
    _require_state(answer, config.reopened_state, f"The incident {_named(there)} was not reopened")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest incident that bears our reference, as checked in what was returned."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", reference):
        raise PermanentFailure(
            "This reference cannot be searched for: it has other characters than letters and digits."
        )
    api = _api(config, call)
    query = f"correlation_id={reference}^ORDERBYsys_created_on"
    rows = _rows(api, INCIDENT, query, fields="sys_id,correlation_id", limit=10)
    if any(text_in(row, "correlation_id") != reference or not _sys_id(row) for row in rows):
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned other incidents.")
    return _created(config, _sys_id(rows[0])) if rows else None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The incident and its journal; None if it was deleted or cannot be seen any more."""
    api = _api(config, call)
    there = _record(api, thread)
    if there is None:
        return None
    return Standing(
        external_id=thread.external_id,
        status=_shown(there, "state") or _value(there, "state"),
        closed=_is_closed(config, there),
        reference=_value(there, "correlation_id"),
        assignee=_shown(there, "assigned_to"),
        remarks=_remarks(api, config, thread),
        url=_page(config, thread.external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Companies by a part of their name, up to 1,000."""
    words = search.replace("^", " ").strip()
    query = f"nameLIKE{words}^ORDERBYname" if words else "ORDERBYname"
    rows = _rows(_api(config, call), "/api/now/table/core_company", query, fields="sys_id,name", limit=1000)
    found = [Company(_sys_id(row), text_in(row, "name")) for row in rows]
    return tuple(one for one in found if one.id and one.name and search.casefold() in one.name.casefold())


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Companies, users and groups by sys_id; states, categories and resolution codes as the form offers them."""
    if name == "default_company":
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    elements = {
        "category": "category", "resolved_state": "state", "reopened_state": "state", "close_code": "close_code",
    }  # fmt: skip
    tables = {"caller": "sys_user", "assignment_group": "sys_user_group"}
    api = _api(config, call)
    if name in tables:
        path = f"/api/now/table/{tables[name]}"
        rows = _rows(api, path, "active=true^ORDERBYname", fields="sys_id,name", limit=1000)
        return tuple(Choice(_sys_id(row), text_in(row, "name")) for row in rows if _sys_id(row) and row.get("name"))
    if name not in elements:
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    query = f"name=incident^element={elements[name]}^inactive=false^language=en^ORDERBYsequence"
    rows = _rows(api, "/api/now/table/sys_choice", query, fields="element,value,label", limit=200)
    pairs = {text_in(row, "value"): text_in(row, "label") for row in rows if row.get("element") == elements[name]}
    return tuple(Choice(value, label or value) for value, label in pairs.items() if value)


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event, sent by a business rule or flow with our secret in a header: ServiceNow signs nothing by itself."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no secret for them.")
    given = {name.lower(): value for name, value in headers.items()}
    signatures.require_same(given.get(OUR_HEADER, ""), config.webhook_secret)
    document = json_api.decode(body)
    external_id, count = _sys_id(document), text_in(document, "sys_mod_count")
    if not external_id or not count:
        raise PermanentFailure("The callback must name sys_id and sys_mod_count of the incident in its body.")
    # The count grows with each change: without it a second change would look like a repeat of the first.
    return (TicketEvent(hashlib.sha256(f"{external_id}.{count}".encode()).hexdigest(), external_id, call.now),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Whether incidents, journal, companies, state and code can be read, and whether the search works."""
    problems = list(json_api.open_text_problem(config.url, call))
    try:
        api = _api(config, call)
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned an incident for a reference that nobody has.")
        for table, words in (("sys_journal_field", "messages on incidents"), ("core_company", "companies")):
            problems += _reading_problem(api, table, words)
        for name in ("resolved_state", "close_code"):
            offered = choices(config, name, call=call)
            if offered and getattr(config, name) not in [choice.value for choice in offered]:
                problems.append(
                    f"{getattr(config, name)} is no {name.replace('_', ' ')} of this instance: choose another."
                )
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _api(config: Config, call: Call) -> Api:
    credentials = base64.b64encode(f"{config.username}:{config.password}".encode()).decode()
    secrets = (*secrets_of(config), credentials)
    if not config.client_id:
        return Api(config.url, call=call, headers={"authorization": f"Basic {credentials}"}, secrets=secrets)
    api = Api(config.url, call=call, headers={}, secrets=secrets)
    form = {"grant_type": "password", "client_id": config.client_id, "client_secret": config.client_secret,
            "username": config.username, "password": config.password}  # fmt: skip
    api.sign_in("/oauth_token.do", form)
    return api


def _rows(api: Api, path: str, query: str, *, fields: str, limit: int) -> list[dict[str, Any]]:
    asked: dict[str, str | int] = {"sysparm_query": query, "sysparm_fields": fields, "sysparm_limit": limit}
    document = api.get(path, asked | {"sysparm_exclude_reference_link": "true"})
    return rows_in(document, "result", host=api.host)


def _record(api: Api, thread: Thread) -> dict[str, Any] | None:
    """The incident, each field with its value and what people are shown; None if it is not there."""
    query = {"sysparm_fields": FIELDS, "sysparm_display_value": "all"}
    try:
        document = api.get(f"{INCIDENT}/{segment(thread.external_id)}", query)
    except NotThere:
        return None
    record = document.get("result") if isinstance(document, dict) else None
    if not isinstance(record, dict) or _value(record, "sys_id") != thread.external_id or not _value(record, "state"):
        raise PermanentFailure(f"{api.host} answered with something that is not the incident that was asked for.")
    return record


def _update(api: Api, thread: Thread, fields: Mapping[str, str]) -> dict[str, Any]:
    answer = api.write("PATCH", f"{INCIDENT}/{segment(thread.external_id)}", fields)
    record = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(record, dict) or not _sys_id(record):
        raise OutcomeUnknown(f"{api.host} took the change but did not say how the incident stands.")
    return record


def _require_state(record: Mapping[str, Any], wanted: str, what: str) -> None:
    if text_in(record, "state") != wanted:
        state = text_in(record, "state")[:40]
        raise PermanentFailure(f"{what}: its state is {state!r}. Check what this user may write in ServiceNow.")


def _require_company(api: Api, company: str) -> None:
    """ServiceNow takes the sys_id of a company that does not exist and shows nothing: so it is asked first."""
    try:
        if not SYS_ID.fullmatch(company):
            raise NotThere("")
        api.get(f"/api/now/table/core_company/{company}", {"sysparm_fields": "sys_id"})
    except NotThere:
        raise PermanentFailure(
            f"ServiceNow has no company {company[:40]!r} (any more): choose the client's company again."
        ) from None


def _remarks(api: Api, config: Config, thread: Thread) -> tuple[Remark, ...]:
    query = f"element_id={thread.external_id}^elementINcomments,work_notes^ORDERBYDESCsys_created_on"
    fields = "sys_id,element_id,value,sys_created_by,sys_created_on"
    try:
        rows = _rows(api, "/api/now/table/sys_journal_field", query, fields=fields, limit=100)
    except PermanentFailure:
        return ()  # many instances show this table to few: the status counts all the same, and the check says so
    ours = config.username.casefold()
    return tuple(
        Remark(
            id=_sys_id(row),
            author=text_in(row, "sys_created_by"),
            text=text_in(row, "value"),
            at=json_api.moment(row.get("sys_created_on")),
            ours=text_in(row, "sys_created_by").casefold() == ours,
        )
        for row in reversed(rows)
        if _sys_id(row) and text_in(row, "element_id") == thread.external_id
    )


def _reading_problem(api: Api, table: str, words: str) -> list[str]:
    try:
        _rows(api, f"/api/now/table/{table}", "ORDERBYsys_created_on", fields="sys_id", limit=1)
    except PermanentFailure:
        return [f"This user may not read {words}: give it read access to the table {table} in ServiceNow."]
    return []


def _is_closed(config: Config, record: Mapping[str, Any]) -> bool:
    state = _value(record, "state")
    return state == config.resolved_state or state in CLOSED_FOR_GOOD or _value(record, "active") == "false"


def _value(record: Mapping[str, Any], name: str) -> str:
    return text_in(record, name, "value")


def _shown(record: Mapping[str, Any], name: str) -> str:
    return text_in(record, name, "display_value")


def _named(record: Mapping[str, Any]) -> str:
    return _value(record, "number")[:40] or "that was asked for"


def _sys_id(record: object) -> str:
    value = id_in(record, "sys_id")
    return value if value and SYS_ID.fullmatch(value) else ""


def _journal(config: Config) -> str:
    return "comments" if config.public else "work_notes"


def _unmarked(text: str) -> str:
    """The text without the marks between which ServiceNow would read HTML."""
    return re.sub(r"\[(/?code)\]", r"(\1)", text, flags=re.IGNORECASE)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/nav_to.do?uri=incident.do%3Fsys_id%3D{segment(external_id)}"
