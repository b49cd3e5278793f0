"""Zendesk as its API reference describes it: JSON under /api/v2, external_id not unique, closed is for good."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

EMAIL, TOKEN, SECRET = "robot@msp.example", "zd-s3cret-token", "zd-signing-s3cret"
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
PRIORITIES = ("urgent", "high", "normal", "low")
KNOWN = frozenset({"subject", "comment", "external_id", "priority", "type", "tags", "organization_id", "group_id",
                   "requester", "status"})  # fmt: skip


class Zendesk(Desk):
    closed_status = "solved"
    odd_status = "hold"

    def authorized(self, request: Request) -> bool:
        wanted = base64.b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {wanted}"

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[2:]:
            case "GET", ("users", "me.json"):
                return reply(200, {"user": {"id": 1, "email": EMAIL, "role": "agent"}})
            case "GET", ("groups.json",):
                return reply(200, {"groups": [{"id": 5, "name": "Backups"}, {"id": 6, "name": "Networks"}]})
            case "GET", ("organizations.json",):
                return reply(200, {"organizations": self.organizations(""), "next_page": None})
            case "GET", ("organizations", "autocomplete.json"):
                return reply(200, {"organizations": self.organizations(parts.one("name"))})
            case "GET", ("tickets.json",):
                return reply(200, self.listed(parts.one("external_id"), int(parts.one("page", "1"))))
            case "POST", ("tickets.json",):
                return self.create(parts.body["ticket"])
            case method, ("tickets", name, *rest):
                return self.one(method, name.removesuffix(".json"), rest, parts.body)
        return reply(404, {"error": "InvalidEndpoint"})

    def organizations(self, start: str) -> list[dict[str, Any]]:
        return [{"id": int(key), "name": name} for key, name in self.companies.items()
                if name.lower().startswith(start.lower())]  # fmt: skip

    def listed(self, external_id: str, page: int) -> dict[str, Any]:
        found = [t for t in self.tickets if not t.gone and (self.ignore_filters or t.reference == external_id)]
        shown, rest = found[(page - 1) * 2 : page * 2], found[page * 2 :]
        return {"tickets": [as_json(ticket) for ticket in shown], "next_page": "more" if rest else None}

    def create(self, given: dict[str, Any]) -> Response:
        organization = str(given.get("organization_id") or "")
        if set(given) - KNOWN or not given.get("comment") or given.get("priority") not in PRIORITIES:
            return reply(422, {"error": "RecordInvalid", "description": "Record validation errors"})
        if organization and organization not in self.companies:
            return reply(422, {"error": "RecordInvalid", "details": {"organization": "Organization is invalid"}})
        ticket = self.new_ticket(
            subject=given["subject"], reference=given.get("external_id", ""), status="new", company=organization,
            priority=given["priority"],
        )  # fmt: skip
        self.add(ticket, given["comment"])
        return reply(201, {"ticket": as_json(ticket)})

    def one(self, method: str, ticket_id: str, rest: list[str], body: Any) -> Response:
        ticket = self.present(ticket_id)
        if ticket is None:
            return reply(404, {"error": "RecordNotFound", "description": "Not found"})
        users = [{"id": 1, "name": "Robot", "email": EMAIL}]
        if method == "GET" and rest == ["comments.json"]:
            users += [{"id": 100 + n, "name": m.author, "email": ""} for n, m in enumerate(ticket.messages)]
            comments = [
                {
                    "id": n,
                    "author_id": 1 if m.ours else 100 + n,
                    "plain_body": m.text,
                    "created_at": "2026-11-22T22:00:00Z",
                }
                for n, m in enumerate(ticket.messages)
            ]
            return reply(200, {"comments": comments, "users": users})
        if method == "GET":
            users += [{"id": 2, "name": ticket.assignee, "email": "x@msp.example"}] if ticket.assignee else []
            return reply(200, {"ticket": as_json(ticket), "users": users})
        return self.update(ticket, body["ticket"])

    def update(self, ticket: DeskTicket, given: dict[str, Any]) -> Response:
        if ticket.status == "closed" or given.get("status", "open") not in STATUSES or set(given) - KNOWN:
            return reply(
                422, {"error": "RecordInvalid", "details": {"status": "Status: closed prevents ticket update"}}
            )
        if "comment" in given:
            self.add(ticket, given["comment"])
        ticket.status = given.get("status", ticket.status)
        return reply(200, {"ticket": as_json(ticket)})

    def add(self, ticket: DeskTicket, comment: dict[str, Any]) -> None:
        ticket.messages.append(Message("Robot", comment.get("html_body") or comment["body"], ours=True))

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        body = json.dumps({"id": event, "type": "zen:event-type:ticket.status_changed", "detail": {"id": ticket_id}})
        signed = hmac.new(SECRET.encode(), (at + body).encode(), hashlib.sha256).digest()
        headers = {
            "X-Zendesk-Webhook-Signature": base64.b64encode(signed).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": at,
        }
        return headers, body.encode()


def as_json(ticket: DeskTicket) -> dict[str, Any]:
    return {"id": int(ticket.id), "subject": ticket.subject, "external_id": ticket.reference, "status": ticket.status,
            "assignee_id": 2 if ticket.assignee else None, "organization_id": ticket.company or None}  # fmt: skip


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Zendesk())
    stored = {"url": desk.url, "email": EMAIL, "token": TOKEN, "webhook_secret": SECRET}
    return Bench(
        gateway=GATEWAYS["zendesk"],
        desk=desk,
        stored=stored,
        bad_field=("email", "no address"),
        wrong_credentials={"token": "wr0ng-token"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
