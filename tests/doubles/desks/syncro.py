"""Syncro as its API reference describes it: wrapped objects, pages told by ``meta``, comments of subject and body.

It refuses blank subjects, unknown statuses and missing customers; a search looks at subjects.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

TOKEN = "sy-s3cret-token"
STATUSES = ("New", "In Progress", "Resolved", "Invoiced", "Waiting for Parts", "Waiting on Customer")
PRIORITIES = ("0 Urgent", "1 High", "2 Normal", "3 Low")
KNOWN = frozenset({"customer_id", "subject", "status", "priority", "problem_type", "comments_attributes"})
COMMENT = frozenset({"subject", "body", "hidden", "do_not_email"})
PAGE = 2


class Syncro(Desk):
    open_status = "New"
    closed_status = "Resolved"
    odd_status = "Waiting for Parts"

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False
        self.search_is_blind = False

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {TOKEN}"

    def unauthorized(self, request: Request) -> Response:
        return reply(401, {"error": "Not authorized"})

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[2:]:
            case "GET", ("me",):
                return reply(200, {"user_id": 1, "user_name": "Robot", "user_email": "robot@msp.example"})
            case "GET", ("tickets", "settings"):
                return reply(200, {"ticket_status_list": list(STATUSES)})
            case "GET", ("customers",):
                return paged(parts, "customers", self.customers(parts.one("query")))
            case "GET", ("customers", key) if key in self.companies:
                return reply(200, {"customer": customer(key, self.companies[key])})
            case "GET", ("tickets",):
                return paged(parts, "tickets", [as_json(one, brief=True) for one in self.listed(parts)])
            case "POST", ("tickets",):
                return self.create(parts.body)
            case _, ("tickets", ticket_id, *rest):
                ticket = self.present(ticket_id)
                return self.one(ticket, parts, rest) if ticket else reply(404, {"message": "Not found"})
        return reply(404, {"message": "Not found"})

    def customers(self, words: str) -> list[dict[str, Any]]:
        return [customer(key, name) for key, name in self.companies.items() if words.lower() in name.lower()]

    def listed(self, parts: Parts) -> list[DeskTicket]:
        words, there = parts.one("query"), [one for one in self.tickets if not one.gone]
        if self.ignore_filters or not words:
            return there
        return [one for one in there if words in one.subject and not self.search_is_blind]

    def create(self, given: Any) -> Response:
        if not isinstance(given, dict) or str(given.get("customer_id", "")) not in self.companies:
            return reply(422, {"error": "Customer required field"})
        comments = given.get("comments_attributes", [])
        wrong = (
            set(given) - KNOWN or not given.get("subject") or len(given["subject"]) > 255
            or given.get("status") not in STATUSES or given.get("priority") not in PRIORITIES
            or any(set(one) - COMMENT or not one.get("body") or not one.get("subject") for one in comments)
        )  # fmt: skip
        if wrong:
            return reply(422, {"success": False, "message": ["Subject can't be blank"]})
        reference = re.search(r"\[(BL-[^\]]+)\]$", given["subject"])
        ticket = self.new_ticket(
            subject=given["subject"], reference=reference[1] if reference else "", status=given["status"],
            company=str(given["customer_id"]), priority=given["priority"],
            fields={"problem_type": given.get("problem_type"), "comments": comments[:]},
        )  # fmt: skip
        ticket.messages += [Message("Robot", one["body"], ours=True) for one in comments]
        return reply(200, {"ticket": as_json(ticket)})

    def one(self, ticket: DeskTicket, parts: Parts, rest: list[str]) -> Response:
        body = parts.body
        match parts.method, rest:
            case "GET", []:
                return reply(200, {"ticket": as_json(ticket)})
            case "POST", ["comment"] if not set(body) - COMMENT and body.get("body") and body.get("subject"):
                ticket.messages.append(Message("Robot", body["body"], ours=True))
                ticket.fields["comments"].append(body)
                return reply(200, {"comment": remark(len(ticket.messages) - 1, ticket.messages[-1])})
            case "PUT", [] if set(body) == {"status"} and body["status"] in STATUSES:
                ticket.status = ticket.status if self.frozen else body["status"]
                return reply(200, {"ticket": as_json(ticket)})
        return reply(422, {"success": False, "message": ["Body can't be blank", "Subject can't be blank"]})


def paged(parts: Parts, name: str, rows: list[dict[str, Any]]) -> Response:
    page, total = int(parts.one("page", "1")), max(1, -(-len(rows) // PAGE))
    shown = rows[(page - 1) * PAGE : page * PAGE]
    return reply(200, {name: shown, "meta": {"total_pages": total, "page": page}})


def customer(key: str, name: str) -> dict[str, Any]:
    return {"id": int(key), "fullname": "Walkin Customer", "business_name": name, "business_then_name": name}


def as_json(ticket: DeskTicket, *, brief: bool = False) -> dict[str, Any]:
    comments = [remark(number, one) for number, one in enumerate(ticket.messages)]
    return {
        "id": int(ticket.id), "number": int(ticket.id) + 7000, "subject": ticket.subject, "status": ticket.status,
        "customer_id": int(ticket.company), "user_id": 2 if ticket.assignee else None,
        "user": {"id": 2 if ticket.assignee else 1, "full_name": ticket.assignee or "Bat Man"},
        "comments": comments[:1] if brief else comments,
    }  # fmt: skip


def remark(number: int, message: Message) -> dict[str, Any]:
    return {"id": 500 + number, "tech": message.author, "body": message.text, "user_id": 1 if message.ours else 2,
            "created_at": f"2026-11-22T22:00:{number:02}.000Z"}  # fmt: skip


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Syncro())
    return Bench(
        gateway=GATEWAYS["syncro"],
        desk=desk,
        stored={"url": desk.url, "token": TOKEN},
        bad_field=("default_company", "Acme"),
        wrong_credentials={"token": "wr0ng-token"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
