"""Redmine: issues by its REST API, with the API key of a user of our own.

Our reference is the value of a custom field, by which issues are filtered; a filter that Redmine does not know is
ignored and every issue returned, so that each is checked; a field that an issue's tracker does not have is dropped
without a word. A status that does not exist is answered with success and changes nothing: what was changed is read
back. Redmine calls nobody. Sources: Redmine's wiki, "Rest api" with its pages on issues, users, projects and
enumerations, and the answers of version 5.0.4.
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

LABEL: Final = "Redmine"
#: Nothing limits calls by default; one a second is a guest's share of a small Rails site.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = "Redmine 5.0.4"
MAX_SUBJECT: Final = 255
PAGE_SIZE: Final = 100
MAX_PAGES: Final = 10
FIELDS: Final = "/custom_fields.json"
PRIORITIES: Final = "/enumerations/issue_priorities.json"
STATUSES: Final = "/issue_statuses.json"
NUMBERS: Final = (
    "reference_field", "priority_low", "priority_normal", "priority_high", "priority_urgent", "status_closed",
    "status_reopened",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """One Redmine and the project that gets the issues."""

    url: str = setting("Address", help="Where its first page is, such as https://redmine.example.com")
    api_key: str = setting("API key", secret=True, help="Of a user that is Backledger's own, on its My account page.")
    project: str = setting("Project", help="Its identifier, as in its address.", looked_up=True)
    reference_field: str = setting(
        "Custom field for our reference", looked_up=True,
        help="The number of a text field of issues, used as a filter, for the project and the tracker.",
    )  # fmt: skip
    tracker: str = setting("Tracker", default="", help="Empty: the project's first.", looked_up=True)
    priority_low: str = setting("Priority for low", default="1", looked_up=True)
    priority_normal: str = setting("Priority for normal", default="2", looked_up=True)
    priority_high: str = setting("Priority for high", default="3", looked_up=True)
    priority_urgent: str = setting("Priority for urgent", default="4", looked_up=True)
    status_closed: str = setting("Status when over", default="5", looked_up=True)
    status_reopened: str = setting("Status when back", default="2", looked_up=True)
    private: bool = setting(
        "Our notes are private", kind="switch", default=False, help="The user then needs the right to set that."
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", self.project):
            raise BadConfig("project", "A project's identifier has letters, digits, hyphens and underscores.")
        for name in NUMBERS:
            if not re.fullmatch(r"[0-9]{1,9}", getattr(self, name)):
                raise BadConfig(name, "This must be the number that Redmine gives it.")
        if self.tracker and not re.fullmatch(r"[0-9]{1,9}", self.tracker):
            raise BadConfig("tracker", "This must be the number that Redmine gives it.")
        if self.status_reopened == self.status_closed:
            raise BadConfig("status_reopened", "A status that means closed opens nothing again: choose another.")


def abilities(config: Config) -> frozenset[Ability]:
    """There are no companies, and Redmine calls nobody."""
    return frozenset({"read", "reopen"})


def find_after(config: Config) -> timedelta | None:
    """The list reads the database itself; a minute is on the safe side of a write under way."""
    return timedelta(minutes=1)


def presumed_id(config: Config, reference: Reference) -> str:
    """Numbers are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the issue; an answer without a number leaves the outcome unknown."""
    fields: dict[str, Any] = {
        "project_id": config.project,
        "subject": one_line(ticket.text.subject, MAX_SUBJECT),
        "description": ticket.text.body,
        "priority_id": int(getattr(config, f"priority_{ticket.priority}")),
        "custom_fields": [{"id": int(config.reference_field), "value": ticket.reference}],
    }
    if config.tracker:
        fields["tracker_id"] = int(config.tracker)
    api = _api(config, call)
    external_id = id_in(api.write("POST", "/issues.json", {"issue": fields}), "issue", "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new issue but told no number.")
    return _created(config, external_id)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a note; the status stays as it is."""
    _change(_api(config, call), config, thread, text)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note and status in one request, read back; an issue that is closed already, or gone, is left as it is."""
    api = _api(config, call)
    there = _issue(api, thread.external_id)
    if there is None or _is_closed(config, there):
        return
    _change(api, config, thread, text, status=config.status_closed)
    if not _stands(api, config, thread, closed=True):
        raise PermanentFailure(
            f"Redmine left the issue {thread.external_id} open: choose a status that closes, and that the workflow of "
            "its tracker allows our user."
        )


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note and status in one request, read back."""
    api = _api(config, call)
    _change(api, config, thread, text, status=config.status_reopened)
    if not _stands(api, config, thread, closed=False):
        raise PermanentFailure(f"Redmine left the issue {thread.external_id} closed: its workflow forbids our user.")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The oldest issue whose custom field holds our reference, closed ones too, as checked in what was returned."""
    api = _api(config, call)
    query: dict[str, str | int] = {
        "project_id": config.project, "status_id": "*", f"cf_{config.reference_field}": reference, "sort": "id",
        "limit": PAGE_SIZE,
    }  # fmt: skip
    rows = rows_in(api.get("/issues.json", query), "issues", host=api.host)
    for row in rows:
        external_id = id_in(row, "id")
        if external_id is not None and _reference_of(config, row) == reference:
            return _created(config, external_id)
    if rows:
        raise PermanentFailure(
            f"{api.host} ignores the filter by our reference: have the custom field {config.reference_field} used as a "
            "filter, and for this project."
        )
    _require_reference_on_issues(config, api)
    return None


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The issue and the notes on it; None if it was deleted."""
    api = _api(config, call)
    issue = _issue(api, thread.external_id, journals=True)
    if issue is None:
        return None
    external_id, status = id_in(issue, "id"), text_in(issue, "status", "name")
    if external_id is None or not status:
        raise PermanentFailure(f"{api.host} answered with something that is not the issue that was asked for.")
    return Standing(
        external_id=external_id,
        status=status,
        closed=_is_closed(config, issue),
        reference=_reference_of(config, issue),
        assignee=text_in(issue, "assigned_to", "name"),
        remarks=_remarks(issue, host=api.host),
        url=_page(config, external_id),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Redmine has none."""
    raise PermanentFailure("Redmine keeps no companies.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """What its lists offer."""
    lists = {
        "project": ("/projects.json", "projects", "identifier"),
        "tracker": ("/trackers.json", "trackers", "id"),
        "priority": (PRIORITIES, "issue_priorities", "id"),
        "status": (STATUSES, "issue_statuses", "id"),
        "reference": (FIELDS, "custom_fields", "id"),
    }
    kind = name.partition("_")[0]
    if kind not in lists or name not in (*NUMBERS, "project", "tracker"):
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    path, place, key = lists[kind]
    api = _api(config, call)
    rows = _fields(config, api) if kind == "reference" else _listed(api, path, place)
    return tuple(Choice(value, text_in(row, "name")) for row in rows if (value := id_in(row, key)) is not None)


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """Redmine calls nobody: issues are looked at."""
    raise PermanentFailure("Redmine calls nobody, so that no callback can be from it.")


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Asks who we are (a wrong key is a stranger there), and whether the project has what is configured."""
    problems = [*open_text_problem(config.url, call)]
    api = _api(config, call)
    try:
        user = api.get("/users/current.json", {"include": "memberships"})
        project = api.get(f"/projects/{segment(config.project)}.json", {"include": "trackers"})
        trackers = {id_in(row, "id") for row in rows_in(project, "project", "trackers", host=api.host)}
        if config.tracker and config.tracker not in trackers:
            problems.append(f"The project {config.project} has no tracker {config.tracker}.")
        problems += _number_problems(config, api)
        problems += _field_problems(config, api)
        problems += _privacy_problems(config, api, user)
    except NotThere:
        problems.append(f"There is no project {config.project}, or our user may not see it.")
    except DeliveryFailure as failure:
        advice = " Check the API key, and that the REST web service is enabled."
        problems.append(failure.reason + (advice if "answered 401" in failure.reason else ""))
    return tuple(problems)


# --- what check looks for ---------------------------------------------------------------------------------------------


def _number_problems(config: Config, api: Api) -> list[str]:
    priorities = {id_in(row, "id") for row in _listed(api, PRIORITIES, "issue_priorities")}
    statuses = {id_in(row, "id"): row for row in _listed(api, STATUSES, "issue_statuses")}
    wanted = {getattr(config, name) for name in NUMBERS if name.startswith("priority")}
    problems = [f"Redmine has no priority {number}." for number in sorted(wanted - priorities)]
    for number, closes in ((config.status_closed, True), (config.status_reopened, False)):
        if number not in statuses:
            problems.append(f"Redmine has no status {number}.")
        elif statuses[number].get("is_closed") is (not closes):
            problems.append(f"The status {number} {'does not close' if closes else 'closes'} an issue: choose another.")
    return problems


def _field_problems(config: Config, api: Api) -> list[str]:
    if not _filters_by_field(config, api):
        return [
            f"The project {config.project} has no custom field {config.reference_field} of issues that is used as a "
            "filter, or our user may not see it."
        ]
    try:
        _require_reference_on_issues(config, api)
    except PermanentFailure as failure:
        return [failure.reason]
    return []


def _filters_by_field(config: Config, api: Api) -> bool:
    """Redmine ignores a filter that it does not know, and refuses an empty value for one that it knows."""
    name = f"cf_{config.reference_field}"
    query = (("project_id", config.project), ("set_filter", 1), ("f[]", name), (f"op[{name}]", "="), ("limit", 1))
    try:
        api.get("/issues.json", query)
    except PermanentFailure as refusal:
        if "answered 422" not in refusal.reason:
            raise
        return True
    return False


def _require_reference_on_issues(config: Config, api: Api) -> None:
    """Redmine drops a field that the tracker does not have, or that our user may not set: our newest issue shows
    whether it does. Where we have none, none was opened.
    """
    newest = _newest(config, api, author_id="me")
    if newest is not None and not _reference_of(config, newest):
        raise PermanentFailure(
            f"Our issue {id_in(newest, 'id')} bears no reference, so that issues cannot be found by it: have the "
            f"custom field {config.reference_field} used for its tracker too, and let our user set it."
        )


def _privacy_problems(config: Config, api: Api, user: object) -> list[str]:
    """Redmine publishes a private note of one who may not write any."""
    who = user.get("user") if isinstance(user, dict) else None
    if not config.private or not isinstance(who, dict) or who.get("admin") is True:
        return []
    for membership in rows_in(who, "memberships", host=api.host):
        for role in rows_in(membership, "roles", host=api.host):
            found = api.get(f"/roles/{segment(id_in(role, 'id') or '')}.json")
            rights = found.get("role") if isinstance(found, dict) else None
            if isinstance(rights, dict) and "set_notes_private" in (rights.get("permissions") or ()):
                return []
    return ["Our user may not set notes as private, so that everybody would see them: give its role this right."]


# --- what it has ------------------------------------------------------------------------------------------------------


def _listed(api: Api, path: str, place: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(MAX_PAGES):
        document = api.get(path, {"limit": PAGE_SIZE, "offset": page * PAGE_SIZE})
        found += rows_in(document, place, host=api.host)
        total = document.get("total_count")
        if not isinstance(total, int) or total <= (page + 1) * PAGE_SIZE:
            break
    return found


def _fields(config: Config, api: Api) -> list[dict[str, Any]]:
    """Administrators may list them; anybody else sees those of issues that are there."""
    try:
        return [row for row in _listed(api, FIELDS, "custom_fields") if row.get("customized_type") == "issue"]
    except PermanentFailure as refusal:
        if "answered 403" not in refusal.reason:
            raise
    newest = _newest(config, api)
    if newest is None or not _values(newest):
        raise PermanentFailure(
            "Redmine lists custom fields to administrators only, and the project has no issue that shows them: type "
            "the field's number, which stands in the address of its page."
        )
    return _values(newest)


def _newest(config: Config, api: Api, **filters: str) -> dict[str, Any] | None:
    query: dict[str, str | int] = {
        "project_id": config.project, "status_id": "*", "sort": "id:desc", "limit": 1, **filters,
    }  # fmt: skip
    return next(iter(rows_in(api.get("/issues.json", query), "issues", host=api.host)), None)


def _values(issue: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The custom fields that an issue has."""
    fields = issue.get("custom_fields")
    return [row for row in fields if isinstance(row, dict)] if isinstance(fields, list) else []


# --- issues -----------------------------------------------------------------------------------------------------------


def _api(config: Config, call: Call) -> Api:
    headers = {"x-redmine-api-key": config.api_key}
    return Api(config.url, call=call, headers=headers, secrets=secrets_of(config))


def _change(api: Api, config: Config, thread: Thread, text: TicketText, *, status: str = "") -> None:
    fields: dict[str, Any] = {"notes": text.body, "private_notes": config.private}
    if status:
        fields["status_id"] = int(status)
    api.write("PUT", _path(thread.external_id), {"issue": fields})


def _stands(api: Api, config: Config, thread: Thread, *, closed: bool) -> bool:
    """Whether the change took: Redmine says yes to what it does not do. A failed look leaves the outcome unknown."""
    try:
        issue = _issue(api, thread.external_id)
    except DeliveryFailure as failure:
        raise OutcomeUnknown(f"The issue was changed, but how it stands is not known: {failure.reason}") from None
    return issue is None or _is_closed(config, issue) == closed


def _issue(api: Api, external_id: str, *, journals: bool = False) -> dict[str, Any] | None:
    try:
        document = api.get(_path(external_id), {"include": "journals"} if journals else ())
    except NotThere:
        return None
    issue = document.get("issue") if isinstance(document, dict) else None
    if not isinstance(issue, dict) or id_in(issue, "id") is None:
        raise PermanentFailure(f"{api.host} answered with something that is not the issue that was asked for.")
    return issue


def _is_closed(config: Config, issue: Mapping[str, Any]) -> bool:
    """Versions before 5 do not say whether a status closes."""
    status = issue.get("status")
    said = status.get("is_closed") if isinstance(status, dict) else None
    return said if isinstance(said, bool) else id_in(issue, "status", "id") == config.status_closed


def _reference_of(config: Config, issue: Mapping[str, Any]) -> str:
    return next((text_in(row, "value") for row in _values(issue) if id_in(row, "id") == config.reference_field), "")


def _remarks(issue: Mapping[str, Any], *, host: str) -> tuple[Remark, ...]:
    """The description, then the notes; ours are those of the user who opened the issue."""
    us = id_in(issue, "author", "id")
    first = Remark(
        id="description",
        author=text_in(issue, "author", "name"),
        text=_unix(text_in(issue, "description")),
        at=moment(issue.get("created_on")),
        ours=True,
    )
    notes = tuple(
        Remark(
            id=id_in(row, "id") or "",
            author=text_in(row, "user", "name"),
            text=_unix(text_in(row, "notes")),
            at=moment(row.get("created_on")),
            ours=us is not None and id_in(row, "user", "id") == us,
        )
        for row in rows_in(issue, "journals", host=host)
        if id_in(row, "id") is not None and text_in(row, "notes")
    )
    return (first, *notes) if first.text else notes


def _unix(text: str) -> str:
    """What people type there ends its lines as browsers do."""
    return text.replace("\r\n", "\n")


def _path(external_id: str) -> str:
    return f"/issues/{segment(external_id)}.json"


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/issues/{segment(external_id)}"
