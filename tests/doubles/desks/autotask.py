"""Autotask PSA as its developer help describes it: queries with filters and pages, picklists, no ticket as ``null``.

Refuses what is missing or not listed, with HTTP 500 and the field in words; ignores operators that it does not know;
takes any number of tickets with the same ``externalID``; answers a write with an id and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.agreements import Agreements, KeptLine
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

USER, PASSWORD, CODE, SECRET = "api@msp.example", "at-s3cret-word", "at-tracking-c0de", "at-webhook-s3cret-key"
PAGE = 2
PICKLISTS: dict[str, dict[str, dict[str, str]]] = {
    "Tickets": {
        "status": {"1": "New", "5": "Complete", "7": "Waiting Parts", "8": "In Progress"},
        "priority": {"1": "High", "2": "Medium", "3": "Low", "4": "Critical"},
        "queueID": {"29683": "Backups", "29684": "Networks"},
        "ticketCategory": {"3": "Standard"},
        "source": {"8": "Monitoring Alert"},
    },
    "TicketNotes": {
        "noteType": {"1": "Task Summary", "3": "Task Notes"},
        "publish": {"1": "All Autotask Users", "2": "Internal Users"},
    },
}
REQUIRED = ("companyID", "title", "status", "priority", "queueID", "dueDateTime")
KNOWN = frozenset({*REQUIRED, "description", "externalID", "ticketCategory", "source"})
ROBOT, TECH = 4, 29


class Autotask(Desk):
    open_status = "1"
    closed_status = "5"
    odd_status = "7"

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False
        self.books = Agreements()
        self.units: list[tuple[int, str, str, int]] = []  # a service's id, first and last day, how many

    def authorized(self, request: Request) -> bool:
        given = [request.headers.get(name) for name in ("username", "secret", "apiintegrationcode")]
        return given == [USER, PASSWORD, CODE]

    def unauthorized(self, request: Request) -> Response:
        return Response(401, b"")

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[2:]:
            case "GET", (entity, "query"):
                return self.queried(entity, json.loads(parts.one("search")))
            case "GET", (entity, "entityInformation", "fields"):
                return reply(200, {"fields": listed(entity)})
            case "POST", ("Tickets",):
                return self.create(parts.body)
            case "PATCH", ("Tickets",):
                return self.patch(parts.body)
            case "POST", ("ContractServiceAdjustments",):
                return self.adjust(parts.body)
            case "GET", ("Tickets", key):
                ticket = self.present(key)
                return reply(200, {"item": as_json(ticket) if ticket else None})
            case "POST", ("Tickets", key, "Notes"):
                return self.add(key, parts.body)
        return Response(404, b"")

    def table(self, entity: str) -> list[dict[str, Any]]:
        here = [ticket for ticket in self.tickets if not ticket.gone]
        match entity:
            case "Tickets":
                return [as_json(ticket) for ticket in here]
            case "TicketNotes":
                return [row for ticket in here for row in notes(ticket)]
            case "Companies":
                return [{"id": int(key), "companyName": name, "isActive": True} for key, name in self.companies.items()]
            case "Contracts":
                return [
                    {"id": each.id, "companyID": each.company, "contractName": each.name, "contractType": 7,
                     "status": 1, "startDate": "2025-01-01T00:00:00Z",
                     "endDate": f"{each.ends or '2030-12-31'}T00:00:00Z"}
                    for each in self.books.agreements
                ]  # fmt: skip
            case "ContractServices":
                return [
                    {"id": line.id, "contractID": line.agreement, "serviceID": line.id - 9000} for line in self.lines()
                ]
            case "Services":
                return [{"id": line.id - 9000, "name": line.name} for line in self.books.lines]
            case "ContractServiceUnits":
                return [
                    {"id": number, "contractID": line.agreement, "contractServiceID": line.id, "units": units,
                     "startDate": f"{first}T00:00:00", "endDate": f"{last}T00:00:00"}
                    for number, (line, first, last, units) in enumerate(self.kept_units(), 1)
                ]  # fmt: skip
        people = [(ROBOT, "Backup", "Robot"), (TECH, "Tina", "Tech")]
        return [{"id": key, "firstName": first, "lastName": last} for key, first, last in people]

    def lines(self) -> list[KeptLine]:
        return [line for line in self.books.lines if not line.gone]

    def kept_units(self) -> list[tuple[KeptLine, str, str, int]]:
        """What was agreed on to begin with, cut off where an adjustment begins; the last day is that day itself."""
        found = []
        for line in self.lines():
            rows = [row for row in self.units if row[0] == line.id] or [(line.id, line.since, "2030-12-31", -1)]
            for _, first, last, units in rows:
                found.append((line, first, last, int(line.quantity) if units < 0 else units))
        return found

    def adjust(self, given: dict[str, Any]) -> Response:
        if set(given) != {"contractID", "contractServiceID", "unitChange", "effectiveDate"}:
            return refusal("Missing Required Field: effectiveDate")
        line, contract = self.books.line(given["contractServiceID"]), self.books.agreement(given["contractID"])
        if (
            line is None
            or contract is None
            or line.agreement != contract.id
            or not isinstance(given["unitChange"], int)
        ):
            return refusal("Reference value on field: contractServiceID does not exist or is invalid.")
        day = str(given["effectiveDate"])[:10]
        rows = [(line.id, first, last, units) for each, first, last, units in self.kept_units() if each is line]
        before = [row for row in rows if row[1] < day]
        units = next(row[3] for row in reversed(rows) if row[1] <= day) + given["unitChange"]
        if not self.frozen:
            self.units = [row for row in self.units if row[0] != line.id]
            self.units += [(key, first, min(last, day), count) for key, first, last, count in before]
            self.units.append((line.id, day, "2030-12-31", units))
            line.quantity, line.since = units, day
            line.changes.append((units, day))
        return reply(200, {"itemId": 4711})

    def queried(self, entity: str, search: dict[str, Any]) -> Response:
        rows = self.table(entity)
        for each in search["filter"]:
            if rows and each["field"] not in rows[0]:
                return refusal(f"Unable to find {each['field']} in the {entity} Entity.")
            rows = [row for row in rows if self.holds(each, row[each["field"]])]
        more = "https://webservices5.autotask.net/next" if len(rows) > PAGE else None
        return reply(200, {"items": rows[:PAGE], "pageDetails": {"count": len(rows[:PAGE]), "nextPageUrl": more}})

    def holds(self, condition: dict[str, Any], have: Any) -> bool:
        wanted = condition["value"]
        if self.ignore_filters and condition["field"] == "externalID":
            return True
        match condition["op"]:
            case "eq":
                return bool(have == wanted)
            case "gt":
                return bool(have > wanted)
            case "gte":
                return bool(str(have)[:10] >= str(wanted)[:10])
            case "lte":
                return bool(str(have)[:10] <= str(wanted)[:10])
            case "in":
                return have in wanted
            case "contains":
                return str(wanted).lower() in str(have).lower()
        return True

    def create(self, given: dict[str, Any]) -> Response:
        missing = [name for name in REQUIRED if not given.get(name)]
        if missing or set(given) - KNOWN or len(given.get("title", "")) > 255:
            return refusal(f"Missing Required Field: {missing}")
        if str(given["companyID"]) not in self.companies:
            return refusal("Reference value on field: companyID of type: Company does not exist or is invalid.")
        for field, values in PICKLISTS["Tickets"].items():
            if field in given and str(given[field]) not in values:
                return refusal(f"Data violation: picklist value for {field} is not valid.")
        ticket = self.new_ticket(
            subject=given["title"], reference=given.get("externalID", ""), status=str(given["status"]),
            company=str(given["companyID"]), priority=given["priority"], fields=given,
        )  # fmt: skip
        ticket.messages.append(Message("Backup Robot", given.get("description", ""), ours=True))
        return reply(200, {"itemId": int(ticket.id)})

    def patch(self, given: dict[str, Any]) -> Response:
        ticket = self.present(str(given["id"]))
        if ticket is None or str(given["status"]) not in PICKLISTS["Tickets"]["status"]:
            return refusal("Data violation: the ticket or the status does not exist.")
        if not self.frozen:
            ticket.status = str(given["status"])
        return reply(200, {"itemId": int(ticket.id)})

    def add(self, key: str, given: dict[str, Any]) -> Response:
        ticket, lists = self.present(key), PICKLISTS["TicketNotes"]
        if ticket is None or not given.get("title") or len(given["title"]) > 250 or not given.get("description"):
            return refusal("Missing Required Field: title, description")
        if str(given["noteType"]) not in lists["noteType"] or str(given["publish"]) not in lists["publish"]:
            return refusal("Data violation: picklist value is not valid.")
        ticket.messages.append(Message("Backup Robot", given["description"], ours=True))
        return reply(200, {"itemId": int(ticket.id) * 100 + len(ticket.messages)})

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        return signed({
            "Action": "Update", "Guid": "0e4f9a3c", "EntityType": "Ticket", "Id": int(ticket_id), "Fields": {},
            "EventTime": at, "SequenceNumber": int(event.removeprefix("ev-")),
        })  # fmt: skip


def signed(document: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    body = json.dumps(document).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha1).digest()
    return {"X-Hook-Signature": "sha1=" + base64.b64encode(digest).decode()}, body


def listed(entity: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"name": "title", "isPickList": False, "picklistValues": None}]
    for name, values in PICKLISTS.get(entity, {}).items():
        shown = [{"value": value, "label": label, "isActive": True} for value, label in values.items()]
        retired = {"value": "99", "label": "Retired", "isActive": False}
        rows.append({"name": name, "isPickList": True, "picklistValues": [*shown, retired]})
    return rows


def as_json(ticket: DeskTicket) -> dict[str, Any]:
    return {
        "id": int(ticket.id), "title": ticket.subject, "externalID": ticket.reference, "status": int(ticket.status),
        "companyID": int(ticket.company), "creatorResourceID": ROBOT,
        "assignedResourceID": TECH if ticket.assignee else None,
    }  # fmt: skip


def notes(ticket: DeskTicket) -> list[dict[str, Any]]:
    """The description is none of them."""
    return [
        {
            "id": int(ticket.id) * 100 + number, "ticketID": int(ticket.id), "title": ticket.subject,
            "description": message.text, "creatorResourceID": ROBOT if message.ours else TECH,
            "createDateTime": "2026-11-22T22:00:00Z",
        }
        for number, message in list(enumerate(ticket.messages, 1))[1:]
    ]  # fmt: skip


def refusal(reason: str) -> Response:
    return reply(500, {"errors": [reason]})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Autotask())
    stored = {
        "url": desk.url, "username": USER, "secret": PASSWORD, "integration_code": CODE, "queue": "29683",
        "webhook_secret": SECRET,
    }  # fmt: skip
    return Bench(
        gateway=GATEWAYS["autotask"],
        desk=desk,
        stored=stored,
        bad_field=("queue", "Backups"),
        wrong_credentials={"secret": "wr0ng-secret"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
