"""Freshdesk as its API reference describes it: plain objects, validated fields, a search by tag of 30 rows a page.

What Freshservice does alike stands here too; ``wrap`` is where they part. Closed tickets are found, deleted ones not.
"""

from __future__ import annotations

import base64
import json
import re
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

KEY, SECRET, REQUESTER = "fd-s3cret-key", "fd-s3cret-of-callbacks", "backups@msp.example"
STATUSES = {2: "Open", 3: "Pending", 4: "Resolved", 5: "Closed", 6: "Waiting on Parts"}
WORDS = {word.lower(): key for key, word in STATUSES.items()}
MANDATORY = frozenset({"email", "subject", "description", "status", "priority"})
PAGE = 2


class Freshdesk(Desk):
    open_status = "open"
    closed_status = "closed"
    odd_status = "waiting on parts"
    company_field = "company_id"
    known = MANDATORY | {"tags", "company_id", "group_id", "type"}
    frozen = False

    def authorized(self, request: Request) -> bool:
        wanted = base64.b64encode(f"{KEY}:X".encode()).decode()
        return request.headers.get("authorization") == f"Basic {wanted}"

    def unauthorized(self, request: Request) -> Response:
        return reply(401, {"code": "invalid_credentials", "message": "You have to be logged in to do this action."})

    def wrap(self, name: str, value: object) -> object:
        return value

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[2:]:
            case "GET", ("agents", "me"):
                return reply(200, {"id": 1, "contact": {"name": "Robot", "email": REQUESTER}})
            case "GET", ("search", "tickets"):
                return self.searched(parts, "results")
            case "GET", ("companies",):
                return self.page(parts, "companies", self.companies_there())
            case "GET", ("ticket_fields",):
                return reply(200, [
                    {"name": "status", "choices": {str(key): [word, word] for key, word in STATUSES.items()}},
                    {"name": "ticket_type", "choices": ["Question", "Incident"]},
                ])  # fmt: skip
            case "GET", ("agents", "2"):
                return reply(200, {"id": 2, "contact": {"name": self.tickets[0].assignee}})
        return self.alike(parts)

    def alike(self, parts: Parts) -> Response:
        match parts.method, parts.steps[2:]:
            case "GET", ("groups",):
                return self.page(parts, "groups", [{"id": 5, "name": "Backups"}, {"id": 6, "name": "Networks"}])
            case "POST", ("tickets",):
                return self.create(parts.body)
            case _, ("tickets", ticket_id, *rest):
                ticket = self.present(ticket_id)
                return self.one(ticket, parts, rest) if ticket else Response(404, b"")
        return Response(404, b"")

    def companies_there(self) -> list[dict[str, Any]]:
        return [{"id": int(key), "name": name} for key, name in self.companies.items()]

    def page(self, parts: Parts, name: str, rows: list[Any]) -> Response:
        page, size = int(parts.one("page", "1")), min(100, int(parts.one("per_page", "30")))
        return reply(200, self.wrap(name, rows[(page - 1) * size : page * size]))

    def searched(self, parts: Parts, name: str) -> Response:
        asked = re.fullmatch(r"\"tag:'([^']+)'\"", parts.one("query"))
        page = int(parts.one("page", "1"))
        if asked is None or not 1 <= page <= 10:
            return reply(400, {"description": "Validation failed", "errors": [{"field": "query"}]})
        found = [one for one in self.tickets if not one.gone and (self.ignore_filters or asked[1] in tags(one))]
        shown = found[(page - 1) * PAGE : page * PAGE]
        return reply(200, {name: [self.as_json(one) for one in shown], "total": len(found)})

    def problem(self, given: Any) -> str:
        """The field for which a creation is refused."""
        if not isinstance(given, dict) or MANDATORY - set(given):
            return "mandatory"
        company = str(given.get(self.company_field, ""))
        wrong = {
            "unknown": bool(set(given) - self.known),
            "subject": not 0 < len(given["subject"]) <= 255 or "\n" in given["subject"],
            "status": given["status"] not in STATUSES,
            "priority": given["priority"] not in (1, 2, 3, 4),
            "tags": any(len(tag) > 32 for tag in given.get("tags", ())),
            self.company_field: bool(company) and company not in self.companies,
            "group_id": given.get("group_id", 5) not in (5, 6),
        }
        return next((name for name, is_wrong in wrong.items() if is_wrong), "")

    def create(self, given: Any) -> Response:
        problem = self.problem(given)
        if problem:
            return reply(400, {"description": "Validation failed", "errors": [{"field": problem, "code": "invalid"}]})
        references = [tag for tag in given.get("tags", ()) if tag.startswith("BL-")]
        ticket = self.new_ticket(
            subject=given["subject"], reference="".join(references), status=STATUSES[given["status"]].lower(),
            company=str(given.get(self.company_field, "")), priority=given["priority"],
            fields={"tags": given.get("tags", []), "type": given.get("type")},
        )  # fmt: skip
        ticket.messages.append(Message("Robot", given["description"], ours=True))
        return reply(201, self.wrap("ticket", self.as_json(ticket)))

    def one(self, ticket: DeskTicket, parts: Parts, rest: list[str]) -> Response:
        match parts.method, rest:
            case "GET", []:
                return reply(200, self.wrap("ticket", self.as_json(ticket)))
            case "GET", ["conversations"]:
                rows = [note(number, one) for number, one in enumerate(ticket.messages) if number]
                return self.page(parts, "conversations", rows)
            case "POST", ["notes"] if set(parts.body) <= {"body", "private"} and parts.body.get("body"):
                ticket.messages.append(Message("Robot", parts.body["body"], ours=True))
                ticket.fields["private"] = parts.body.get("private", True)
                return reply(201, self.wrap("conversation", note(len(ticket.messages) - 1, ticket.messages[-1])))
            case "PUT", [] if set(parts.body) == {"status"} and parts.body["status"] in STATUSES:
                if not self.frozen:
                    ticket.status = STATUSES[parts.body["status"]].lower()
                return reply(200, self.wrap("ticket", self.as_json(ticket)))
        return reply(400, {"description": "Validation failed", "errors": []})

    def as_json(self, ticket: DeskTicket) -> dict[str, Any]:
        return {
            "id": int(ticket.id), "subject": ticket.subject, "status": WORDS[ticket.status], "tags": tags(ticket),
            "responder_id": 2 if ticket.assignee else None, self.company_field: ticket.company or None,
        }  # fmt: skip

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        return {"X-Backledger-Secret": SECRET}, json.dumps({"ticket_id": ticket_id, "event": event}).encode()


def tags(ticket: DeskTicket) -> list[str]:
    return list(ticket.fields["tags"])


def note(number: int, message: Message) -> dict[str, Any]:
    text = re.sub(r"<[^>]*>", "", message.text)
    return {"id": 500 + number, "user_id": 1 if message.ours else 77, "body": message.text, "body_text": text,
            "created_at": "2026-11-22T22:00:00Z"}  # fmt: skip


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Freshdesk())
    stored = {"url": desk.url, "api_key": KEY, "requester": REQUESTER, "webhook_secret": SECRET}
    return Bench(
        gateway=GATEWAYS["freshdesk"],
        desk=desk,
        stored=stored,
        bad_field=("requester", "no address"),
        wrong_credentials={"api_key": "wr0ng-key"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
