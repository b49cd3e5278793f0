"""Request Tracker as version 5.0.3 answered: sentences instead of errors, unknown queues forbidden, tickets deleted by
their status. Sources: recorded answers.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

TOKEN, FIELD = "1-31-rt-s3cret-token", "ExternalKey"
STATUSES = ("new", "open", "stalled", "resolved", "rejected", "deleted")
OURS = "Queue = 'Backups' AND Creator = '__CurrentUser__'"
QUERY = re.compile(r"CF\.\{([^}]+)\} = '([^']+)'")


class RequestTracker(Desk):
    open_status = "new"
    closed_status = "resolved"
    odd_status = "stalled"

    def __init__(self) -> None:
        super().__init__()
        self.companies = {}
        self.drops_fields = False
        self.merged: dict[str, str] = {}

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"token {TOKEN}"

    def unauthorized(self, request: Request) -> Response:
        return reply(401, {"message": "Unauthorized"})

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[2:]:
            case "GET", ("queues", "all"):
                return listed([{"type": "queue", "id": "3", "Name": "Backups"}])
            case "GET", ("queue", "Backups"):
                field = {"type": "customfield", "name": FIELD, "id": "2"}
                return reply(200, {"id": 3, "Name": "Backups", "TicketCustomFields": [field]})
            case "GET", ("tickets",):
                return listed(self.found(parts.one("query")))
            case "POST", ("ticket",):
                return self.open(parts.body)
            case method, ("ticket", number, *rest):
                ticket = self.present(self.merged.get(number, number))
                if ticket is not None:
                    return self.one(method, ticket, rest, parts.body)
        return reply(404, {"message": "Not Found"})

    def found(self, query: str) -> list[dict[str, Any]]:
        if query == OURS:
            return [{"id": one.id, "CustomFields": fields(one)} for one in reversed(self.tickets) if not one.gone]
        asked = QUERY.fullmatch(query)
        return [
            {"id": one.id, "Status": one.status, "CustomFields": fields(one)} for one in self.tickets
            if not one.gone and (self.ignore_filters or (asked and asked.groups() == (FIELD, one.reference)))
        ]  # fmt: skip

    def open(self, given: dict[str, Any]) -> Response:
        if given.get("Queue") != "Backups":
            return reply(403, {"message": f"No permission to create tickets in the queue '{given.get('Queue')}'"})
        ticket = self.new_ticket(
            subject=given["Subject"][:200], status="new",
            reference="" if self.drops_fields else given.get("CustomFields", {}).get(FIELD, ""),
        )  # fmt: skip
        ticket.messages.append(Message("backledger", given["Content"], ours=True))
        return reply(201, {"id": ticket.id, "type": "ticket", "_url": f"{self.url}/REST/2.0/ticket/{ticket.id}"})

    def one(self, method: str, ticket: DeskTicket, rest: list[str], body: Any) -> Response:
        match method, rest:
            case "GET", []:
                return reply(200, as_json(ticket))
            case "GET", ["attachments"]:
                return listed([attachment(n, one) for n, one in enumerate(ticket.messages, start=1)])
            case "POST", ["comment" | "correspond"]:
                ticket.messages.append(Message("backledger", body["Content"], ours=True))
                ticket.status = "open" if ticket.status == "new" else ticket.status
                return reply(201, ["Comments added"])
            case "PUT", []:
                return self.change(ticket, body["Status"])
        return reply(404, {"message": "Not Found"})

    def change(self, ticket: DeskTicket, status: str) -> Response:
        if status not in STATUSES:
            return reply(200, [f"Ticket {ticket.id}: Status '{status}' isn't a valid status for this ticket."])
        before, ticket.status = ticket.status, status
        return reply(200, [f"Ticket {ticket.id}: Status changed from '{before}' to '{status}'"])

    def delete_there(self, ticket_id: str) -> None:
        """A deleted ticket can still be asked for, and is in no search."""
        self.ticket(ticket_id).status = "deleted"


def listed(items: list[dict[str, Any]]) -> Response:
    return reply(200, {"items": items, "count": len(items), "page": 1, "pages": 1, "per_page": 20})


def fields(ticket: DeskTicket) -> list[dict[str, Any]]:
    return [{"type": "customfield", "id": "2", "name": FIELD, "values": [ticket.reference] if ticket.reference else []}]


def attachment(number: int, message: Message) -> dict[str, Any]:
    return {"id": str(number), "type": "attachment", "ContentType": "text/plain", "Content": message.text,
            "Created": "2026-11-22T22:00:00Z", "Creator": {"type": "user", "id": message.author}}  # fmt: skip


def as_json(ticket: DeskTicket) -> dict[str, Any]:
    return {"id": int(ticket.id), "Subject": ticket.subject, "Status": ticket.status, "CustomFields": fields(ticket),
            "Creator": {"type": "user", "id": "backledger"},
            "Owner": {"type": "user", "id": ticket.assignee or "Nobody"}}  # fmt: skip


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(RequestTracker())
    stored = {"url": desk.url, "token": TOKEN, "queue": "Backups"}
    return Bench(
        gateway=GATEWAYS["request-tracker"],
        desk=desk,
        stored=stored,
        bad_field=("reference_field", "a}' OR 1=1"),
        wrong_credentials={"token": "wr0ng-token"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
