"""Redmine as version 5.0.4 answered: unknown filters return every issue, an unknown status changes nothing.

A custom field that the tracker does not have is dropped in silence. An empty value for a filter that is known is
refused. Deleted issues are 404. Only administrators may list custom fields. Sources: answers of the real one.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

KEY = "rm-s3cret-key"
STATUSES = {1: ("New", False), 2: ("In Progress", False), 3: ("Resolved", False), 5: ("Closed", True),
            6: ("Rejected", True)}  # fmt: skip
PRIORITIES = {1: "Low", 2: "Normal", 3: "High", 4: "Urgent", 5: "Immediate"}
FIELD, US, TINA = 1, 5, 6
EMPTY = Response(204, b"", {})


class Redmine(Desk):
    open_status = "1"
    closed_status = "5"
    odd_status = "3"

    def __init__(self) -> None:
        super().__init__()
        self.companies = {}
        self.drops_fields = False
        self.is_administrator = True
        self.rights = ["view_issues", "add_issues", "edit_issues", "add_issue_notes"]

    def authorized(self, request: Request) -> bool:
        return request.headers.get("x-redmine-api-key") == KEY

    def unauthorized(self, request: Request) -> Response:
        return Response(401, b"", {})

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps:
            case "GET", ("users", "current.json"):
                member = {
                    "id": 1,
                    "project": {"id": 1, "name": "Backups"},
                    "roles": [{"id": 6, "name": "Backup watch"}],
                }
                user = {"id": US, "login": "backledger", "admin": False, "memberships": [member]}
                return reply(200, {"user": user})
            case "GET", ("roles", "6.json"):
                return reply(200, {"role": {"id": 6, "name": "Backup watch", "permissions": self.rights}})
            case "GET", ("projects", "backups.json"):
                trackers = [{"id": 3, "name": "Support"}]
                return reply(200, {"project": {"id": 1, "identifier": "backups", "trackers": trackers}})
            case "GET", ("custom_fields.json",) if not self.is_administrator:
                return Response(403, b"", {})
            case "GET", ("issues.json",):
                return self.listed(parts)
            case "POST", ("issues.json",):
                return self.open(parts.body["issue"])
            case "GET" | "PUT", ("issues", name):
                return self.one(parts, name.removesuffix(".json"))
            case "GET", steps:
                return offered("/".join(steps))
        return Response(404, b"", {})

    def listed(self, parts: Parts) -> Response:
        found = [one for one in self.tickets if not one.gone]
        if parts.one("f[]") == f"cf_{FIELD}":
            return reply(422, {"errors": ["External key cannot be blank"]})
        wanted = parts.one(f"cf_{FIELD}")
        if wanted and not self.ignore_filters:
            found = [one for one in found if one.reference == wanted]
        if parts.one("sort") == "id:desc":
            found = found[::-1]
        if parts.one("status_id") != "*":
            found = [one for one in found if not STATUSES[int(one.status)][1]]
        shown = [as_json(one) for one in found[: int(parts.one("limit", "25"))]]
        return reply(200, {"issues": shown, "total_count": len(found), "offset": 0, "limit": 25})

    def open(self, given: dict[str, Any]) -> Response:
        wrong = []
        if given.get("project_id") != "backups":
            wrong += ["Project cannot be blank"]
        if not given.get("subject"):
            wrong += ["Subject cannot be blank"]
        if len(given.get("subject", "")) > 255:
            wrong += ["Subject is too long (maximum is 255 characters)"]
        if given.get("priority_id", 2) not in PRIORITIES:
            wrong += ["Priority cannot be blank"]
        if wrong:
            return reply(422, {"errors": wrong})
        fields = {one["id"]: one["value"] for one in given.get("custom_fields", [])}
        reference = "" if self.drops_fields else fields.get(FIELD, "")
        ticket = self.new_ticket(
            subject=given["subject"], reference=reference, status="1", priority=given["priority_id"],
            fields={"has field": not self.drops_fields},
        )  # fmt: skip
        ticket.messages.append(Message("Backledger", given.get("description", ""), ours=True))
        return reply(201, {"issue": as_json(ticket)})

    def one(self, parts: Parts, number: str) -> Response:
        ticket = self.present(number) if re.fullmatch(r"[0-9]+", number) else None
        if ticket is None:
            return Response(404, b"", {})
        if parts.method == "GET":
            shown = as_json(ticket)
            if "journals" in parts.one("include"):
                shown["journals"] = [journal(at, one) for at, one in enumerate(ticket.messages[1:], start=1)]
            return reply(200, {"issue": shown})
        given = parts.body["issue"]
        if given.get("notes"):
            ticket.messages.append(Message("Backledger", given["notes"], ours=True))
        if given.get("status_id") in STATUSES:
            ticket.status = str(given["status_id"])
        return EMPTY


def journal(number: int, message: Message) -> dict[str, Any]:
    user = {"id": US, "name": "Backledger"} if message.ours else {"id": TINA, "name": message.author}
    return {"id": number, "user": user, "notes": message.text, "created_on": "2026-11-22T22:00:00Z"}


def as_json(ticket: DeskTicket) -> dict[str, Any]:
    word, closed = STATUSES[int(ticket.status)]
    fields = [{"id": FIELD, "name": "External key", "value": ticket.reference}] if ticket.fields["has field"] else []
    shown = {
        "id": int(ticket.id), "project": {"id": 1, "name": "Backups"}, "subject": ticket.subject,
        "status": {"id": int(ticket.status), "name": word, "is_closed": closed},
        "author": {"id": US, "name": "Backledger"},
        "description": ticket.messages[0].text if ticket.messages else "", "created_on": "2026-11-22T22:00:00Z",
        "custom_fields": fields,
    }  # fmt: skip
    return shown | ({"assigned_to": {"id": TINA, "name": ticket.assignee}} if ticket.assignee else {})


def offered(path: str) -> Response:
    lists: dict[str, tuple[str, list[dict[str, Any]]]] = {
        "projects.json": ("projects", [{"id": 1, "identifier": "backups", "name": "Backups"}]),
        "trackers.json": ("trackers", [{"id": 3, "name": "Support"}]),
        "issue_statuses.json": ("issue_statuses", [
            {"id": key, "name": word, "is_closed": closed} for key, (word, closed) in STATUSES.items()
        ]),
        "enumerations/issue_priorities.json": (
            "issue_priorities", [{"id": key, "name": word} for key, word in PRIORITIES.items()]
        ),
        "custom_fields.json": (
            "custom_fields",
            [{"id": FIELD, "name": "External key", "customized_type": "issue"},
             {"id": 2, "name": "Phone", "customized_type": "user"}],
        ),
    }  # fmt: skip
    if path not in lists:
        return Response(404, b"", {})
    name, rows = lists[path]
    return reply(200, {name: rows})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Redmine())
    stored = {"url": desk.url, "api_key": KEY, "project": "backups", "reference_field": str(FIELD), "tracker": "3"}
    return Bench(
        gateway=GATEWAYS["redmine"],
        desk=desk,
        stored=stored,
        bad_field=("reference_field", "External key"),
        wrong_credentials={"api_key": "wr0ng-key"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
