"""Zammad as its documentation and its published source describe it: a ticket belongs to its customer's organization.

Refuses unknown groups, states, priorities and customers that are nobody; a title of more than 250 letters does not fit.
Conditions are answered from the tickets themselves; merging moves the articles and leaves one link.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

TOKEN, SECRET, CUSTOMER = "zammad-s3cret-token", "zammad-signature-t0ken", "backups@msp.example"
GROUPS = ("Backups", "Users")
PRIORITIES = ("1 low", "2 normal", "3 high")
STATES = {
    "new": "new", "open": "open", "pending reminder": "pending reminder", "waiting for parts": "pending reminder",
    "closed": "closed", "solved": "closed", "merged": "merged",
}  # fmt: skip
ME = 7


class Zammad(Desk):
    open_status = "open"
    closed_status = "closed"
    odd_status = "waiting for parts"

    def __init__(self) -> None:
        super().__init__()
        self.customers: dict[str, dict[str, Any]] = {}
        self.links: dict[str, list[str]] = {}
        self.stuck = False
        self.groups = list(GROUPS)

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Token token={TOKEN}"

    def unauthorized(self, request: Request) -> Response:
        return reply(401, {"error": "Invalid token: No such token", "error_human": "Invalid token: No such token"})

    def route(self, parts: Parts) -> Response:
        if parts.steps[:2] != ("api", "v1"):
            return reply(404, {"error": "No route matches"})
        match parts.method, parts.steps[2:]:
            case "GET", ("users", "me"):
                return reply(200, {"id": ME, "login": "backledger"})
            case "GET", ("groups",):
                return reply(200, [{"id": n, "name": name, "active": True} for n, name in enumerate(self.groups)])
            case "GET", ("ticket_priorities",):
                return reply(200, [{"id": n, "name": name, "active": True} for n, name in enumerate(PRIORITIES)])
            case "GET", ("ticket_states",):
                rows = [{"name": name, "state_type": kind, "active": True} for name, kind in STATES.items()]
                return reply(200, rows)
            case "GET", ("organizations", *rest):
                return self.organizations(list(rest), parts)
            case "GET", ("links",):
                rows = [{"link_type": "parent", "link_object": "Ticket", "link_object_value": int(other)}
                        for other in self.links.get(parts.one("link_object_value"), [])]  # fmt: skip
                return reply(200, {"links": rows, "assets": {}})
            case "GET", ("tickets", "search"):
                return self.search(parts)
            case _:
                return self.tickets_and_articles(parts)

    def tickets_and_articles(self, parts: Parts) -> Response:
        match parts.method, parts.steps[2:]:
            case "POST", ("tickets",):
                return self.create(parts.body)
            case "POST", ("ticket_articles",):
                return self.add(self.present(str(parts.body.get("ticket_id"))), parts.body)
            case "GET", ("ticket_articles", "by_ticket", ticket_id):
                found = self.present(ticket_id)
                return reply(200, articles(found)) if found else missing()
            case "GET", ("tickets", ticket_id):
                found = self.present(ticket_id)
                return reply(200, self.as_json(found)) if found else missing()
            case "PUT", ("tickets", ticket_id):
                return self.update(self.present(ticket_id), parts.body)
        return reply(404, {"error": "No route matches"})

    def organizations(self, rest: list[str], parts: Parts) -> Response:
        if rest:
            name = self.companies.get(rest[0])
            return reply(200, {"id": int(rest[0]), "name": name}) if name else missing()
        page, size = int(parts.one("page", "1")), int(parts.one("per_page", "100"))
        rows = [{"id": int(key), "name": name, "active": True} for key, name in self.companies.items()]
        return reply(200, rows[(page - 1) * size : page * size])

    def search(self, parts: Parts) -> Response:
        operator, value = parts.one("condition[ticket.note][operator]"), parts.one("condition[ticket.note][value]")
        if operator != "is" or not value:
            return reply(500, {"error": "Invalid condition"})
        found = [t for t in self.tickets if not t.gone and (self.ignore_filters or t.reference == value)]
        return reply(200, [self.as_json(ticket) for ticket in found[: int(parts.one("limit", "50"))]])

    def create(self, given: dict[str, Any]) -> Response:
        problem = self.problem_of(given)
        if problem:
            return reply(422, {"error": problem})
        customer = given.get("customer") or {"email": given["customer_id"].removeprefix("guess:")}
        known = self.customers.setdefault(customer.get("login") or customer["email"], customer)
        ticket = self.new_ticket(
            subject=given["title"], reference=given.get("note", ""), status=given.get("state", "new"),
            company=str(known.get("organization_id", "")), priority=given["priority"], fields={"group": given["group"]},
        )  # fmt: skip
        self.add(ticket, given["article"])
        return reply(201, self.as_json(ticket))

    def problem_of(self, given: dict[str, Any]) -> str:
        customer = given.get("customer")
        if isinstance(customer, dict) and str(customer.get("organization_id")) not in self.companies:
            return "This object could not be created: organization"
        if customer is None and "@" not in str(given.get("customer_id")):
            return "Invalid email of customer"
        if given.get("group") not in self.groups:
            return f"No lookup value found for 'group': {given.get('group')!r}"
        if given.get("priority") not in PRIORITIES:
            return f"No lookup value found for 'priority': {given.get('priority')!r}"
        if not 0 < len(given.get("title", "")) <= 250 or "\n" in given["title"]:
            return "The title does not fit."
        return "" if given.get("article", {}).get("body") else 'Need at least article: { body: "some text" }'

    def add(self, ticket: DeskTicket | None, article: dict[str, Any]) -> Response:
        if ticket is None:
            return missing()
        if not article.get("body"):
            return reply(422, {"error": 'Need at least article: { body: "some text" }'})
        ticket.messages.append(Message("Backledger", article["body"], ours=True))
        ticket.fields["article"] = article
        return reply(201, {"id": 5000 + len(ticket.messages)})

    def update(self, ticket: DeskTicket | None, given: dict[str, Any]) -> Response:
        if ticket is None:
            return missing()
        if given.get("state", "open") not in STATES:
            return reply(422, {"error": f"No lookup value found for 'state': {given['state']!r}"})
        if "article" in given:
            self.add(ticket, given["article"])
        ticket.status = ticket.status if self.stuck else given.get("state", ticket.status)
        return reply(200, self.as_json(ticket))

    def merge_there(self, ticket_id: str, target_id: str) -> None:
        source, target = self.ticket(ticket_id), self.ticket(target_id)
        target.messages += source.messages
        source.messages = [Message("Tina Tech", "merged", ours=False)]
        source.status = "merged"
        self.links[ticket_id] = [target_id]

    def as_json(self, ticket: DeskTicket) -> dict[str, Any]:
        return {"id": int(ticket.id), "title": ticket.subject, "note": ticket.reference or None, "state": ticket.status,
                "owner": ticket.assignee or "-", "priority": ticket.priority, **ticket.fields}  # fmt: skip

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        body = json.dumps({"ticket": {"id": int(ticket_id), "updated_at": at}, "article": {"id": event}}).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
        return {"X-Hub-Signature": f"sha1={signature}", "X-Zammad-Delivery": event, "X-Zammad-Trigger": "Tell"}, body


def articles(ticket: DeskTicket) -> list[dict[str, Any]]:
    return [
        {"id": number, "from": message.author, "body": message.text, "created_by_id": ME if message.ours else 3,
         "content_type": "text/plain" if message.ours else "text/html", "created_at": "2026-11-22T22:00:00.000Z"}
        for number, message in enumerate(ticket.messages, start=1)
    ]  # fmt: skip


def missing() -> Response:
    return reply(404, {"error": "Couldn't find Ticket with 'id'", "error_human": "No such object"})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Zammad())
    stored = {"url": desk.url, "token": TOKEN, "group": "Backups", "customer": CUSTOMER, "webhook_secret": SECRET}
    return Bench(
        gateway=GATEWAYS["zammad"],
        desk=desk,
        stored=stored,
        bad_field=("customer", "no address"),
        wrong_credentials={"token": "wr0ng-token"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
