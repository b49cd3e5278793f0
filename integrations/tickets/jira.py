"""Jira, with or without Service Management: Cloud by REST API 3, Data Center by REST API 2.

Our reference is a label, because labels are searched exactly by JQL. A status cannot be written, only reached by a
transition of the project's workflow; what counts as closed is the status category "done", whatever a status is called.
Sources: developer.atlassian.com, "The Jira Cloud platform REST API" (issues, transitions, issue search, permissions),
"Search and reconcile", "Webhooks", the Service Management API "Organization", and Data Center's "Managing webhooks".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from integrations.configuration import secrets_of
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure
from integrations.tickets import jira_text, json_api, signatures
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
from integrations.tickets.jira_config import Config as Config
from integrations.tickets.json_api import Api, id_in, one_line, rows_in, segment, text_in

LABEL: Final = "Jira Service Management"
#: One a second: Jira Cloud allows bursts of many a second to each endpoint and answers 429 with Retry-After beyond.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = ""
NOBODYS_REFERENCE: Final = "BL-00000000"
MAX_PAGES: Final = 10
MAX_COMPANY_PAGES: Final = 40
MAX_SUMMARY: Final = 255
PRIORITY: Final = "priority_"
ORGANIZATIONS: Final = "com.atlassian.servicedesk:sd-customer-organizations"
NEEDED: Final = {
    "BROWSE_PROJECTS": "see the project",
    "CREATE_ISSUES": "create issues",
    "ADD_COMMENTS": "add comments",
    "TRANSITION_ISSUES": "transition issues",
}


def abilities(config: Config) -> frozenset[Ability]:
    """Organizations only where their field is known, callbacks only with their secret."""
    able: set[Ability] = {"read", "reopen"}
    if config.organization_field:
        able.add("companies")
    if config.webhook_secret:
        able.add("callbacks")
    return frozenset(able)


def find_after(config: Config) -> timedelta | None:
    """Atlassian says of the search: some seconds, at times minutes."""
    return timedelta(minutes=5)


def presumed_id(config: Config, reference: Reference) -> str:
    """Ids are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the issue; an answer without an id leaves the outcome unknown."""
    fields: dict[str, Any] = {
        **(config.fields if isinstance(config.fields, dict) else {}),
        "project": {"key": config.project},
        "issuetype": {"name": config.issue_type},
        "summary": one_line(ticket.text.subject, MAX_SUMMARY),
        "description": _body(config, ticket.text),
        "labels": ["backledger", ticket.reference],
    }
    priority = getattr(config, PRIORITY + ticket.priority)
    if priority:
        fields["priority"] = {"name": priority}
    company = ticket.company or config.default_company
    if company and config.organization_field:
        fields[config.organization_field] = [_number(company)]
    api = _api(config, call)
    answer = api.write("POST", _path(config, "/issue"), {"fields": fields})
    external_id = id_in(answer, "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new issue but told no id.")
    return Created(external_id, _page(config, answer))


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a message; the status stays as it is."""
    _say(_api(config, call), config, thread, text)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Message, then transition; one that is closed already, or gone, is left as it is. A repeat says nothing twice."""
    api = _api(config, call)
    there = _standing(api, config, thread)
    if there is None or there.closed:
        return
    transition = _transition(api, config, thread, there.status, done=True)
    said = [remark.text.split() for remark in there.remarks if remark.ours]
    if not said or said[-1] != jira_text.plain(_body(config, text)).split():
        _say(api, config, thread, text)
    _move(api, config, thread, transition, done=True)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Transition, then message: a workflow may forbid comments on closed issues."""
    api = _api(config, call)
    there = _standing(api, config, thread)
    if there is None:
        raise NotThere(f"The issue {thread.external_id} is not in Jira any more: it cannot be reopened.")
    if there.closed:
        _move(api, config, thread, _transition(api, config, thread, there.status, done=False), done=False)
    _say(api, config, thread, text)


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest issue that bears our label, as checked in what was returned."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", reference):
        raise PermanentFailure(
            "This reference cannot be searched for: it has other characters than letters and digits."
        )
    api = _api(config, call)
    _me(api, config)  # a stranger is answered with an empty list: that would look like "does not exist"
    for item in _search(api, config, f'labels = "{reference}" ORDER BY created ASC'):
        external_id = id_in(item, "id")
        if external_id is None or reference not in _labels(item):
            raise PermanentFailure(f"{api.host} answered the search with an issue that does not bear our label.")
        return Created(external_id, _page(config, item))
    return None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The issue and its newest comments; None if it was deleted or cannot be seen any more."""
    return _standing(_api(config, call), config, thread)


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """The organizations; Jira cannot search them by name, so all are read, up to 2,000."""
    if not config.organization_field:
        raise PermanentFailure("Choose the field of organizations first: without it no issue gets one.")
    api = _api(config, call)
    found: list[Company] = []
    for page in range(MAX_COMPANY_PAGES):
        query = {"start": page * 50, "limit": 50}
        document = api.get("/rest/servicedeskapi/organization", query, headers={"X-ExperimentalApi": "opt-in"})
        rows = rows_in(document, "values", host=api.host)
        found += [Company(text_in(row, "id"), text_in(row, "name")) for row in rows]
        if document.get("isLastPage") is not False or not rows:
            break
    wanted = search.casefold()
    return tuple(one for one in found if one.id and wanted in one.name.casefold())[:1000]


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Projects, issue types, statuses, priorities, fields and organizations."""
    if name == "default_company":
        if not config.organization_field:
            return ()
        return tuple(Choice(one.id, one.name) for one in companies(config, "", call=call))
    api = _api(config, call)
    match name:
        case "project":
            pairs = [(text_in(row, "key"), text_in(row, "name")) for row in _projects(api, config)]
        case "issue_type":
            pairs = [(text_in(row, "name"),) * 2 for row in _types(api, config)]
        case "closed_status" | "reopened_status":
            pairs = [(status, status) for status in _statuses(api, config, done=name == "closed_status")]
        case "priority_low" | "priority_normal" | "priority_high" | "priority_urgent":
            pairs = [(text_in(row, "name"),) * 2 for row in _all(api, _path(config, "/priority"))]
        case "organization_field":
            rows = _all(api, _path(config, "/field"))
            rows = [row for row in rows if text_in(row, "schema", "custom") == ORGANIZATIONS]
            pairs = [(text_in(row, "id"), text_in(row, "name")) for row in rows]
        case _:
            raise PermanentFailure(f"The values of {name} cannot be looked up.")
    return tuple(Choice(value, label or value) for value, label in pairs if value)


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event. Its id is the hash of the body, as the delivery's own id stands in a header that is not signed."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no secret for them.")
    given = {name.lower(): value for name, value in headers.items()}
    expected = "sha256=" + hmac.new(config.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    signatures.require_same(given.get("x-hub-signature", ""), expected)
    document = json_api.decode(body)
    sent = _sent_at(document)
    signatures.require_recent(sent.isoformat() if sent else "", now=call.now)
    external_id = id_in(document, "issue", "id")
    if external_id is None:
        raise PermanentFailure("The callback names no issue: choose events of issues and comments for the webhook.")
    return (TicketEvent(hashlib.sha256(body).hexdigest(), external_id, sent or call.now),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Who we are there, what we may do in the project, and whether type, status and search are as they should be."""
    problems = list(json_api.open_text_problem(config.url, call))
    try:
        api = _api(config, call)
        _me(api, config)
        query = {"projectKey": config.project, "permissions": ",".join(NEEDED)}
        may = api.get(_path(config, "/mypermissions"), query)
        problems += [f"This account may not {words} in the project {config.project}: give it the permission in Jira."
                     for name, words in NEEDED.items() if not _has(may, name)]  # fmt: skip
        problems += _workflow_problems(api, config)
        if find(config, NOBODYS_REFERENCE, call=call) is not None:
            problems.append("The search returned an issue for a reference that nobody has.")
    except NotThere:
        problems.append(f"Jira has no project {config.project}, or does not show it to this account.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _api(config: Config, call: Call) -> Api:
    if config.hosting == "cloud":
        credentials = base64.b64encode(f"{config.email}:{config.token}".encode()).decode()
        headers = {"authorization": f"Basic {credentials}"}
        return Api(config.url, call=call, headers=headers, secrets=(*secrets_of(config), credentials))
    return Api(config.url, call=call, headers={"authorization": f"Bearer {config.token}"}, secrets=secrets_of(config))


def _path(config: Config, rest: str) -> str:
    return ("/rest/api/3" if config.hosting == "cloud" else "/rest/api/2") + rest


def _issue(config: Config, thread: Thread, rest: str = "") -> str:
    return _path(config, f"/issue/{segment(thread.external_id)}{rest}")


def _page(config: Config, item: object) -> str | None:
    key = id_in(item, "key")
    return f"{config.url.rstrip('/')}/browse/{segment(key)}" if key else None


def _me(api: Api, config: Config) -> str:
    """Our own account's id there; raises for a stranger."""
    document = api.get(_path(config, "/myself"))
    me = text_in(document, "accountId") or text_in(document, "key")
    if not me:
        raise PermanentFailure(f"{api.host} does not say who we are: check the address, the email and the token.")
    return me


def _search(api: Api, config: Config, jql: str) -> Iterator[dict[str, Any]]:
    """The issues that a query returns, page by page, as both kinds of Jira do it."""
    query: dict[str, str | int] = {"jql": jql, "fields": "labels", "maxResults": 50}
    cloud = config.hosting == "cloud"
    start = 0
    for _ in range(MAX_PAGES):
        document = api.get(_path(config, "/search/jql" if cloud else "/search"), query)
        rows = rows_in(document, "issues", host=api.host)
        yield from rows
        start += len(rows)
        token, total = text_in(document, "nextPageToken"), text_in(document, "total")
        if not (token if cloud else rows and total.isdigit() and start < int(total)):
            return
        query |= {"nextPageToken": token} if cloud else {"startAt": start}
    raise PermanentFailure(f"{api.host} answered the search with more pages than there can be.")


def _standing(api: Api, config: Config, thread: Thread) -> Standing | None:
    me = _me(api, config)  # first: to a stranger every issue looks deleted
    try:
        document = api.get(_issue(config, thread), {"fields": "status,labels,assignee"})
        query: dict[str, str | int] = {"orderBy": "-created", "maxResults": 100}
        comments = api.get(_issue(config, thread, "/comment"), query)
    except NotThere:
        return None
    external_id, labels, status = (
        id_in(document, "id"),
        _labels(document),
        text_in(document, "fields", "status", "name"),
    )
    category = text_in(document, "fields", "status", "statusCategory", "key")
    if external_id is None or not status or not category:
        raise PermanentFailure(f"{api.host} answered with something that is no issue with a status.")
    return Standing(
        external_id=external_id,
        status=status,
        closed=category == "done",
        reference=thread.reference if thread.reference in labels else "",
        assignee=text_in(document, "fields", "assignee", "displayName"),
        remarks=tuple(_remark(config, row, me) for row in reversed(rows_in(comments, "comments", host=api.host))),
        url=_page(config, document),
    )


def _labels(issue: Mapping[str, Any]) -> list[str]:
    fields = issue.get("fields")
    labels = fields.get("labels") if isinstance(fields, dict) else None
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []


def _remark(config: Config, row: Mapping[str, Any], me: str) -> Remark:
    return Remark(
        id=text_in(row, "id"),
        author=text_in(row, "author", "displayName"),
        text=jira_text.plain(row.get("body")),
        at=json_api.moment(row.get("created")),
        ours=me in (text_in(row, "author", "accountId"), text_in(row, "author", "key")),
    )


def _say(api: Api, config: Config, thread: Thread, text: TicketText) -> None:
    body: dict[str, Any] = {"body": _body(config, text)}
    if not config.public:
        body["properties"] = [{"key": "sd.public.comment", "value": {"internal": True}}]
    answer = api.write("POST", _issue(config, thread, "/comment"), body)
    if id_in(answer, "id") is None:
        raise OutcomeUnknown(f"{api.host} took the comment but told no id.")


def _transition(api: Api, config: Config, thread: Thread, status: str, *, done: bool) -> dict[str, Any]:
    """The transition to take, as Jira offers it for this issue now."""
    document = api.get(_issue(config, thread, "/transitions"), {"expand": "transitions.fields"})
    wanted = config.closed_status if done else config.reopened_status
    for row in rows_in(document, "transitions", host=api.host):
        leads_there = (text_in(row, "to", "statusCategory", "key") == "done") == done
        if leads_there and wanted in ("", text_in(row, "to", "name")) and id_in(row, "id"):
            return row
    goal = f"the status {wanted}" if wanted else f"a status that counts as {'done' if done else 'not done'}"
    raise PermanentFailure(
        f"No transition leads from {status[:60]} to {goal}: add one to the workflow in Jira, or choose another status."
    )


def _move(api: Api, config: Config, thread: Thread, transition: Mapping[str, Any], *, done: bool) -> None:
    """Take the transition, with a resolution where its screen has one; then see whether it was taken."""
    body: dict[str, Any] = {"transition": {"id": id_in(transition, "id")}}
    resolution = _first_resolution(transition)
    if done and resolution:
        body["fields"] = {"resolution": {"name": resolution}}
    api.write("POST", _issue(config, thread, "/transitions"), body)
    document = api.get(_issue(config, thread), {"fields": "status"})
    if (text_in(document, "fields", "status", "statusCategory", "key") == "done") != done:
        status = text_in(document, "fields", "status", "name")[:60]
        raise PermanentFailure(f"Jira took the transition but the issue {thread.external_id} is still {status!r}.")


def _first_resolution(transition: Mapping[str, Any]) -> str:
    fields = transition.get("fields")
    field = fields.get("resolution") if isinstance(fields, dict) else None
    allowed = field.get("allowedValues") if isinstance(field, dict) else None
    return text_in(allowed[0], "name") if isinstance(allowed, list) and allowed else ""


def _projects(api: Api, config: Config) -> list[dict[str, Any]]:
    if config.hosting != "cloud":
        return _all(api, "/rest/api/2/project")
    found: list[dict[str, Any]] = []
    for _ in range(MAX_PAGES):
        document = api.get("/rest/api/3/project/search", {"startAt": len(found), "maxResults": 50})
        found += rows_in(document, "values", host=api.host)
        if document.get("isLast") is not False:
            break
    return found


def _types(api: Api, config: Config) -> list[dict[str, Any]]:
    """The issue types of the project, each with its statuses."""
    return _all(api, _path(config, f"/project/{segment(config.project)}/statuses"))


def _all(api: Api, path: str) -> list[dict[str, Any]]:
    return rows_in({"all": api.get(path)}, "all", host=api.host)


def _statuses(api: Api, config: Config, *, done: bool) -> list[str]:
    rows = [row for item in _types(api, config) if text_in(item, "name") == config.issue_type
            for row in rows_in(item, "statuses", host=api.host)]  # fmt: skip
    return [text_in(row, "name") for row in rows if (text_in(row, "statusCategory", "key") == "done") == done]


def _workflow_problems(api: Api, config: Config) -> list[str]:
    problems = []
    if config.issue_type not in [text_in(row, "name") for row in _types(api, config)]:
        problems.append(f"The project {config.project} has no issue type {config.issue_type}: choose another.")
    elif config.closed_status and config.closed_status not in _statuses(api, config, done=True):
        problems.append(f"{config.closed_status} is no status that counts as done for this issue type: choose another.")
    elif config.reopened_status and config.reopened_status not in _statuses(api, config, done=False):
        problems.append(f"{config.reopened_status} is no open status of this issue type: choose another.")
    return problems


def _has(document: Any, permission: str) -> bool:
    rights = document.get("permissions") if isinstance(document, dict) else None
    right = rights.get(permission) if isinstance(rights, dict) else None
    return isinstance(right, dict) and right.get("havePermission") is True


def _body(config: Config, text: TicketText) -> Any:
    return jira_text.document(text.body) if config.hosting == "cloud" else jira_text.verbatim(text.body)


def _sent_at(document: object) -> datetime | None:
    told = text_in(document, "timestamp")
    try:
        return datetime.fromtimestamp(int(told) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise PermanentFailure(f"{text[:40]!r} is no number that Jira could have given: choose the company again.")
    return int(text)
