"""Redmine: issues by its REST API, with the API key of a user of our own.

Our reference is the value of a custom field, by which issues are filtered; a filter that Redmine does not know is
ignored and every issue returned, so that each is checked. A status that does not exist is answered with success and
changes nothing: what was changed is read back. Redmine calls nobody. Sources: Redmine's wiki, "Rest api" with its
pages on issues, users, projects and enumerations, and recorded answers of version 5.0.4.
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
VERIFIED: Final = ""
MAX_SUBJECT: Final = 255
PAGE_SIZE: Final = 100
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
    """What its lists offer; that of custom fields only administrators may read."""
    lists = {
        "project": ("/projects.json", "projects", "identifier"),
        "tracker": ("/trackers.json", "trackers", "id"),
        "priority": ("/enumerations/issue_priorities.json", "issue_priorities", "id"),
        "status": ("/issue_statuses.json", "issue_statuses", "id"),
        "reference": ("/custom_fields.json", "custom_fields", "id"),
    }
    kind = name.partition("_")[0]
    if kind not in lists or name not in (*NUMBERS, "project", "tracker"):
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    path, place, key = lists[kind]
    api = _api(config, call)
    rows = rows_in(api.get(path, {"limit": PAGE_SIZE}), place, host=api.host)
    shown = [row for row in rows if kind != "reference" or row.get("customized_type") == "issue"]
    return tuple(Choice(value, text_in(row, "name")) for row in shown if (value := id_in(row, key)) is not None)


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """Redmine calls nobody: issues are looked at."""
    raise PermanentFailure("Redmine calls nobody, so that no callback can be from it.")


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Asks who we are (a wrong key is a stranger there, not an error), and for the project's custom fields."""
    problems = [*open_text_problem(config.url, call)]
    api = _api(config, call)
    try:
        api.get("/users/current.json")
        path = f"/projects/{segment(config.project)}.json"
        project = api.get(path, {"include": "issue_custom_fields,trackers"})
        fields = rows_in(project, "project", "issue_custom_fields", host=api.host)
        if config.reference_field not in {id_in(row, "id") for row in fields}:
            problems.append(f"The project {config.project} has no custom field {config.reference_field} of issues.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


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
    fields = issue.get("custom_fields")
    rows = [row for row in fields if isinstance(row, dict)] if isinstance(fields, list) else []
    return next((text_in(row, "value") for row in rows if id_in(row, "id") == config.reference_field), "")


def _remarks(issue: Mapping[str, Any], *, host: str) -> tuple[Remark, ...]:
    """Ours are those of the user who opened the issue."""
    us = id_in(issue, "author", "id")
    return tuple(
        Remark(
            id=id_in(row, "id") or "",
            author=text_in(row, "user", "name"),
            text=text_in(row, "notes"),
            at=moment(row.get("created_on")),
            ours=us is not None and id_in(row, "user", "id") == us,
        )
        for row in rows_in(issue, "journals", host=host)
        if id_in(row, "id") is not None and text_in(row, "notes")
    )


def _path(external_id: str) -> str:
    return f"/issues/{segment(external_id)}.json"


def _created(config: Config, external_id: str) -> Created:
    return Created(external_id, _page(config, external_id))


def _page(config: Config, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/issues/{segment(external_id)}"
