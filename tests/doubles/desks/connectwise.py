"""ConnectWise PSA as its published models describe it: fields that it does not know are refused, lists have pages.

Refuses subjects over 100 letters, unknown companies, boards, types, priorities and statuses; takes any number of
tickets with the same ``externalXRef``; signs callbacks with a key that anybody may fetch.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.agreements import Agreements, KeptAgreement, KeptLine
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

COMPANY, PUBLIC, PRIVATE, CLIENT, MEMBER = "msp", "cw-public", "cw-s3cret-private", "c0ffee-client-id", "backledger"
SIGNING_KEY, KEY_PATH = "cw-signing-s3cret-key", "/v4_6_release/keys/1"
STATUSES = {"New": False, "In Progress": False, "Waiting Parts": False, "Closed": True, ">Merged": True}
BOARDS, TYPES = {3: "Backups", 4: "Networks"}, {8: "Backup failed"}
PRIORITIES = {1: "Priority 1", 2: "Priority 2", 3: "Priority 3", 4: "Priority 4"}
KNOWN = frozenset({"summary", "company", "board", "externalXRef", "initialDescription", "initialInternalAnalysis",
                   "status", "type", "priority"})  # fmt: skip
NOTE = frozenset({"text", "detailDescriptionFlag", "internalAnalysisFlag", "resolutionFlag"})


class ConnectWise(Desk):
    open_status = "New"
    closed_status = "Closed"
    odd_status = "Waiting Parts"

    def __init__(self) -> None:
        super().__init__()
        self.merged: dict[str, str] = {}
        self.frozen = False
        self.books = Agreements()

    def authorized(self, request: Request) -> bool:
        basic = base64.b64encode(f"{COMPANY}+{PUBLIC}:{PRIVATE}".encode()).decode()
        ours = request.headers.get("authorization") == f"Basic {basic}" and request.headers.get("clientid") == CLIENT
        return ours or request.target == KEY_PATH

    def unauthorized(self, request: Request) -> Response:
        return refusal(401, "Unauthorized", "Your credentials are not valid.")

    def route(self, parts: Parts) -> Response:
        if parts.request.target == KEY_PATH:
            return reply(200, {"signing_key": SIGNING_KEY})
        match parts.method, parts.steps[3:]:
            case "GET", ("company", "companies"):
                return reply(200, self.found_companies(parts.one("conditions")))
            case "GET", ("service", "boards"):
                return reply(200, named(BOARDS))
            case "GET", ("service", "boards", "3", "types"):
                return reply(200, named(TYPES))
            case "GET", ("service", "boards", "3", "statuses"):
                return reply(
                    200, [{"id": n, "name": k, "closedStatus": v} for n, (k, v) in enumerate(STATUSES.items(), 1)]
                )
            case "GET", ("service", "priorities"):
                return reply(200, named(PRIORITIES))
            case "GET", ("service", "tickets"):
                return self.listed(parts)
            case "POST", ("service", "tickets"):
                return self.create(parts.body)
            case method, ("finance", "agreements", *rest):
                return self.agreed(method, rest, parts)
            case method, ("service", "tickets", key, *rest):
                return self.one(method, key, rest, parts.body)
        return refusal(404, "NotFound", "No such resource.")

    def found_companies(self, conditions: str) -> list[dict[str, Any]]:
        words = re.search(r'name contains "([^"]*)"', conditions)
        part = words[1].lower() if words else ""
        return [{"id": int(key), "name": name} for key, name in self.companies.items() if part in name.lower()]

    def listed(self, parts: Parts) -> Response:
        asked = re.fullmatch(r'externalXRef="([^"]*)"', parts.one("conditions"))
        if asked is None:
            return refusal(400, "InvalidObject", "conditions are invalid")
        found = [t for t in self.tickets if not t.gone and (self.ignore_filters or t.reference == asked[1])]
        size, page = int(parts.one("pageSize", "25")), int(parts.one("page", "1"))
        return reply(200, [self.as_json(ticket) for ticket in found[(page - 1) * size : page * size]])

    def create(self, given: dict[str, Any]) -> Response:
        company = str(given.get("company", {}).get("id", ""))
        wrong = set(given) - KNOWN or given.get("board", {}).get("id") not in BOARDS or company not in self.companies
        status = given.get("status", {"name": "New"})["name"]
        if wrong or not 1 <= len(given.get("summary", "")) <= 100 or status not in STATUSES:
            return refusal(400, "InvalidObject", "ticket object is invalid")
        if given.get("priority", {"id": 1})["id"] not in PRIORITIES or given.get("type", {"id": 8})["id"] not in TYPES:
            return refusal(400, "InvalidObject", "ticket object is invalid")
        ticket = self.new_ticket(
            subject=given["summary"], reference=given.get("externalXRef", ""), status=status, company=company,
            priority=given.get("priority", {}).get("id"), fields=given,
        )  # fmt: skip
        first = given.get("initialDescription") or given.get("initialInternalAnalysis")
        if first:
            ticket.messages.append(Message(MEMBER, first, ours=True))
        return reply(201, self.as_json(ticket))

    def one(self, method: str, key: str, rest: list[str], body: Any) -> Response:
        ticket = self.present(key)
        if ticket is None:
            return refusal(404, "NotFound", f"Ticket {key} not found")
        match method, rest:
            case "GET", []:
                return reply(200, self.as_json(ticket))
            case "GET", ["notes"]:
                return reply(200, notes(ticket)[:100])
            case "POST", ["notes"]:
                return self.add(ticket, body)
            case "PATCH", []:
                return self.patch(ticket, body)
        return refusal(405, "NotAllowed", "Not allowed.")

    def agreed(self, method: str, rest: list[str], parts: Parts) -> Response:
        """Agreements by company, one of them, its additions, one of those, and its change."""
        if not rest:
            asked = re.fullmatch(r"company/id=([0-9]+)", parts.one("conditions"))
            return reply(200, [agreement_json(each) for each in self.books.agreements
                               if asked and str(each.company) == asked[1]])  # fmt: skip
        agreement = self.books.agreement(rest[0])
        line = self.books.line(rest[2]) if len(rest) == 3 else None
        if agreement is None or rest[1:2] not in ([], ["additions"]) or (len(rest) == 3 and line is None):
            return refusal(404, "NotFound", "Not found")
        if line is not None and line.agreement != agreement.id:
            return refusal(404, "NotFound", "Not found")
        if method == "PATCH" and line is not None:
            return self.change_addition(agreement, line, parts.body)
        if line is not None:
            return reply(200, addition_json(line))
        rows = [addition_json(each) for each in self.books.of(agreement)]
        return reply(200, rows if rest[1:] else agreement_json(agreement))

    def change_addition(self, agreement: KeptAgreement, line: KeptLine, operations: list[dict[str, Any]]) -> Response:
        values = {each["path"]: each["value"] for each in operations if each["op"] == "replace"}
        day = re.fullmatch(r"(\d{4}-\d\d-\d\d)T00:00:00Z", values.get("effectiveDate", ""))
        if set(values) != {"quantity", "effectiveDate"} or not day or not isinstance(values["quantity"], int | float):
            return refusal(400, "InvalidObject", "addition object is invalid")
        if agreement.ends:
            return refusal(400, "InvalidObject", "agreement is not active")
        if not self.frozen:
            line.quantity, line.since = values["quantity"], day[1]
            line.changes.append((line.quantity, line.since))
        return reply(200, addition_json(line))

    def add(self, ticket: DeskTicket, given: dict[str, Any]) -> Response:
        kinds = [name for name in NOTE - {"text"} if given.get(name) is True]
        if set(given) - NOTE or not given.get("text") or not kinds:
            return refusal(400, "InvalidObject", "note object is invalid")
        ticket.messages.append(Message(MEMBER, given["text"], ours=True))
        ticket.fields["note kind"] = kinds[0]
        return reply(201, notes(ticket)[0])

    def patch(self, ticket: DeskTicket, operations: list[dict[str, Any]]) -> Response:
        for each in operations:
            if each["op"] != "replace" or each["path"] != "status/name" or each["value"] not in STATUSES:
                return refusal(400, "InvalidObject", f"status {each['value']} not found on board")
            if not self.frozen:
                ticket.status = each["value"]
        return reply(200, self.as_json(ticket))

    def as_json(self, ticket: DeskTicket) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": int(ticket.id), "summary": ticket.subject, "externalXRef": ticket.reference,
            "status": {"id": 1, "name": ticket.status}, "closedFlag": STATUSES.get(ticket.status, False),
            "company": {"id": int(ticket.company)},
        }  # fmt: skip
        if ticket.assignee:
            shown["owner"] = {"id": 5, "identifier": "ttech", "name": ticket.assignee}
        if ticket.id in self.merged:
            shown["mergedParentTicket"] = {"id": int(self.merged[ticket.id]), "summary": "another"}
        return shown

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        return self.signed({
            "MessageId": event, "Action": "updated", "Type": "ticket", "ID": int(ticket_id), "CompanyId": COMPANY,
            "Metadata": {"key_url": self.url + KEY_PATH},
        })  # fmt: skip

    def signed(self, document: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        body = json.dumps(document).encode()
        key = hashlib.sha256(SIGNING_KEY.encode()).digest()
        return {"x-content-signature": base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()}, body


def agreement_json(each: KeptAgreement) -> dict[str, Any]:
    return {
        "id": each.id, "name": each.name, "company": {"id": each.company}, "cancelledFlag": False,
        "noEndingDateFlag": not each.ends, "startDate": "2025-01-01T00:00:00Z",
        **({"endDate": f"{each.ends}T00:00:00Z"} if each.ends else {}),
    }  # fmt: skip


def addition_json(line: KeptLine) -> dict[str, Any]:
    return {
        "id": line.id, "product": {"id": 77, "identifier": "BACKUP-GB"}, "description": line.name,
        "quantity": line.quantity, "effectiveDate": f"{line.since}T00:00:00Z", "agreementId": line.agreement,
        "billCustomer": "Billable", **({"cancelledDate": f"{line.cancelled}T00:00:00Z"} if line.cancelled else {}),
    }  # fmt: skip


def named(values: dict[int, str]) -> list[dict[str, Any]]:
    return [{"id": key, "name": name} for key, name in values.items()]


def notes(ticket: DeskTicket) -> list[dict[str, Any]]:
    """Newest first, as asked for."""
    return [
        {"id": number, "text": message.text, "createdBy": message.author, "dateCreated": "2026-11-22T22:00:00Z"}
        for number, message in reversed(list(enumerate(ticket.messages, 1)))
    ]


def refusal(status: int, code: str, message: str) -> Response:
    return reply(status, {"code": code, "message": message, "errors": None})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(ConnectWise())
    stored = {
        "url": desk.url, "company_login": COMPANY, "public_key": PUBLIC, "private_key": PRIVATE, "client_id": CLIENT,
        "member": MEMBER, "board": "3", "type": "8", "priority_high": "2",
    }  # fmt: skip
    return Bench(
        gateway=GATEWAYS["connectwise"],
        desk=desk,
        stored=stored,
        bad_field=("board", "Backups"),
        wrong_credentials={"private_key": "wr0ng-key"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
