"""Kaseya BMS as the published names of its API v2 describe it: a log-in first, results in an envelope.

Refuses a ticket without one of the fields it demands, and an account or location that does not exist, with 200 and
``success: false``; knows no reference but the title; ignores filters that it does not know; gives accounts by twos.
"""

from __future__ import annotations

import html
import re
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

USER, PASSWORD, TENANT, BEARER = "backledger", "bms-s3cret-word", "The MSP", "bms-access-t0ken"
STATUSES = {"11": "New", "12": "In Progress", "13": "Waiting Parts", "19": "Closed"}
REQUIRED = ("Title", "Details", "AccountId", "LocationId", "StatusId", "PriorityId", "TypeId", "SourceId", "OpenDate")


class KaseyaBms(Desk):
    open_status = "11"
    closed_status = "19"
    odd_status = "13"

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False
        self.names_authors = True

    def authorized(self, request: Request) -> bool:
        ours = request.headers.get("authorization") == f"Bearer {BEARER}"
        return ours or request.target == "/v2/security/authenticate"

    def unauthorized(self, request: Request) -> Response:
        return reply(401, {"message": "Authorization has been denied for this request."})

    def is_write(self, parts: Parts) -> bool:
        return parts.method == "POST" and parts.steps[-1] not in ("authenticate", "search")

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[1:]:
            case "POST", ("security", "authenticate"):
                return self.token(parts.request)
            case "GET", ("crm", "accounts"):
                page, rows = int(parts.one("PageNumber")), list(self.companies.items())
                return done([{"id": int(key), "accountName": name} for key, name in rows[(page - 1) * 2 : page * 2]])
            case "GET", ("crm", "accounts", key, "locations", "lookup"):
                found = [{"id": 5, "name": "Branch"}, {"id": int(key) * 10, "name": "Main", "isMain": True}]
                return done(found if key in self.companies else [])
            case "POST", ("servicedesk", "tickets", "search"):
                return self.searched(str(parts.body["Filter"].get("Title", "")))
            case "POST", ("servicedesk", "tickets"):
                return self.create(parts.body)
            case method, ("servicedesk", "tickets", key, *rest):
                return self.one(method, key, rest, parts.body)
        return reply(404, {"message": "No HTTP resource was found."})

    def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form != {"GrantType": "password", "UserName": USER, "Password": PASSWORD, "Tenant": TENANT}:
            return reply(400, {"success": False, "message": "Invalid credentials"})
        return done({"accessToken": BEARER, "expiresIn": 1200})

    def searched(self, words: str) -> Response:
        known = [as_json(ticket) for ticket in self.tickets if not ticket.gone]
        old = {"id": 7, "title": "Printer", "statusId": 11, "statusName": "New", "priorityId": 3, "sourceId": 4,
               "priorityName": "High", "typeId": 2, "typeName": "Service Request", "sourceName": "Monitoring",
               "queueId": 6, "queueName": "Backups"}  # fmt: skip
        return done([row for row in (old, *known) if self.ignore_filters or words in str(row["title"])])

    def create(self, given: dict[str, Any]) -> Response:
        company = str(given.get("AccountId"))
        if any(not given.get(name) for name in REQUIRED) or len(given["Title"]) > 200 or "QueueId" not in given:
            return refusal("A required field is missing.")
        if company not in self.companies or given["LocationId"] != int(company) * 10:
            return refusal("The location is not one of the account.")
        mark = re.search(r"\[([A-Za-z0-9-]+)\]$", given["Title"])
        ticket = self.new_ticket(
            subject=given["Title"], reference=mark[1] if mark else "", status=str(given["StatusId"]), company=company,
            priority=given["PriorityId"], fields=given,
        )  # fmt: skip
        ticket.messages.append(Message(USER, plain(given["Details"]), ours=True))
        return done({"id": int(ticket.id)})

    def one(self, method: str, key: str, rest: list[str], body: Any) -> Response:
        ticket = self.present(key)
        if ticket is None:
            return reply(404, {"success": False, "message": "Ticket was not found."})
        match method, rest:
            case "GET", []:
                return done(as_json(ticket))
            case "GET", ["notes"]:
                return done(self.notes(ticket))
            case "POST", ["notes"] if body.get("Details") and body.get("TypeId") == 3 and body.get("NoteDate"):
                ticket.messages.append(Message(USER, plain(body["Details"]), ours=True))
                ticket.fields["internal"] = body["IsInternal"]
                ticket.status = str(body.get("StatusId", ticket.status)) if not self.frozen else ticket.status
                return done({"id": len(ticket.messages)})
        return refusal("The note is not valid.")

    def notes(self, ticket: DeskTicket) -> list[dict[str, Any]]:
        """The details are none of them."""
        rows = [
            {"id": number, "details": f"<p>{html.escape(message.text)}</p>", "noteDate": "2026-11-22T22:00:00",
             "createdByName": message.author}
            for number, message in list(enumerate(ticket.messages, 1))[1:]
        ]  # fmt: skip
        return rows if self.names_authors else [{k: v for k, v in row.items() if k != "createdByName"} for row in rows]


def as_json(ticket: DeskTicket) -> dict[str, Any]:
    return {
        "id": int(ticket.id), "title": ticket.subject, "statusId": int(ticket.status),
        "statusName": STATUSES.get(ticket.status, ""), "assigneeName": ticket.assignee or None,
    }  # fmt: skip


def plain(markup: str) -> str:
    return html.unescape(re.sub(r"<br>\n?", "\n", markup))


def done(result: object) -> Response:
    return reply(200, {"success": True, "result": result})


def refusal(message: str) -> Response:
    return reply(200, {"success": False, "message": message})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(KaseyaBms())
    stored = {
        "url": desk.url, "tenant": TENANT, "username": USER, "password": PASSWORD, "type": "2", "source": "4",
        "queue": "6", "new_status": "11", "closed_status": "19", "reopened_status": "12", "priority_low": "5",
        "priority_normal": "4", "priority_high": "3", "priority_urgent": "1", "note_type": "3",
    }  # fmt: skip
    return Bench(
        gateway=GATEWAYS["kaseya-bms"],
        desk=desk,
        stored=stored,
        bad_field=("queue", "Backups"),
        wrong_credentials={"password": "wr0ng-password"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
