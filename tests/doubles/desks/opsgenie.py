"""Opsgenie as its documentation describes it: every write is a request that is worked through a moment later."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

KEY, SECRET = "0g-s3cret-api-key", "og-callback-s3cret-1"
KNOWN = frozenset(
    {"message", "alias", "description", "priority", "source", "user", "tags", "entity", "responders", "note", "actions"}
)
QUERY = re.compile(r'(alias|tag): "([^"]+)"')


class Opsgenie(Desk):
    open_status = "open"
    closed_status = "closed"
    odd_status = "snoozed"

    def __init__(self) -> None:
        super().__init__()
        self.companies = {}
        #: Outcomes by number of the request, and how often each was asked for in vain.
        self.requests: list[dict[str, Any]] = []
        self.asked: set[str] = set()

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"GenieKey {KEY}"

    def unauthorized(self, request: Request) -> Response:
        return reply(401, {"message": "Could not authenticate", "took": 0.0, "requestId": "none"})

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[1:]:
            case "GET", ("teams",):
                return reply(200, {"data": [{"id": "t-1", "name": "Backups"}]})
            case "GET", ("alerts",):
                return reply(200, {"data": self.found(parts.one("query"))})
            case "GET", ("alerts", alias) if parts.one("identifierType") == "alias":
                alert = self.alert(alias)
                if alert is None:
                    return reply(404, {"message": "Alert does not exist", "took": 0.0})
                return reply(200, {"data": as_json(alert, self.tickets.index(alert))})
            case "GET", ("alerts", "requests", number):
                return self.outcome(number)
            case "GET", ("alerts", number, "notes"):
                return reply(200, {"data": notes(self.tickets[int(number.removeprefix("a-"))])})
            case "POST", ("alerts", *rest) if not set(parts.body) - KNOWN:
                return self.take(rest, parts.body)
        return reply(422, {"message": "Request body is not processable. Please check the errors.", "took": 0.0})

    def found(self, query: str) -> list[dict[str, Any]]:
        """By their alias only open alerts are found, by a tag all."""
        asked = QUERY.fullmatch(query)
        return [
            as_json(one, number) for number, one in reversed(list(enumerate(self.tickets)))
            if not one.gone and (self.ignore_filters or (asked and is_asked_for(one, asked[1], asked[2])))
        ]  # fmt: skip

    def outcome(self, number: str) -> Response:
        """Not there at the first time of asking."""
        if number not in self.asked:
            self.asked.add(number)
            return reply(404, {"message": "Request not found.", "took": 0.0})
        return reply(200, {"data": self.requests[int(number.removeprefix("r-"))]})

    def take(self, rest: list[str], given: dict[str, Any]) -> Response:
        status = self.make(given) if not rest else self.change(rest[0], rest[1], given)
        self.requests.append({"isSuccess": not status, "success": not status, "status": status or "Done"})
        return reply(202, {"result": "Request will be processed", "requestId": f"r-{len(self.requests) - 1}"})

    def make(self, given: dict[str, Any]) -> str:
        if (
            not given.get("message")
            or len(given["message"]) > 130
            or given.get("priority") not in ("P1", "P2", "P3", "P5")
        ):
            return "Message can not be empty, or is too long."
        alert = self.alert(given["alias"])
        if alert is None:
            alert = DeskTicket(id=given["alias"], subject=given["message"], reference=given["alias"], status="open")
            alert.fields["tags"] = given.get("tags", [])
            self.tickets.append(alert)
            alert.messages.append(Message("Backledger", given["description"], ours=True))
        return ""

    def change(self, alias: str, action: str, given: dict[str, Any]) -> str:
        alert = self.alert(alias)
        if alert is None:
            return "Alert does not exist"
        alert.messages.append(Message("Backledger", given["note"], ours=True))
        alert.status = "closed" if action == "close" else alert.status
        return ""

    def alert(self, alias: str) -> DeskTicket | None:
        """By their alias only open alerts are known."""
        return next((one for one in self.tickets if one.id == alias and one.status != "closed" and not one.gone), None)

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        alert = {"alertId": "a-1", "alias": ticket_id, "updatedAt": event}
        return {"X-Backledger-Secret": SECRET}, json.dumps({"action": "Close", "alert": alert}).encode()


def is_asked_for(alert: DeskTicket, field: str, value: str) -> bool:
    if field == "tag":
        return value in alert.fields["tags"]
    return alert.reference == value and alert.status != "closed"


def notes(ticket: DeskTicket) -> list[dict[str, Any]]:
    return [
        {"note": one.text, "owner": one.author, "createdAt": "2026-11-22T22:00:00Z", "offset": f"{number}"}
        for number, one in enumerate(ticket.messages[1:])
    ]


def as_json(ticket: DeskTicket, number: int) -> dict[str, Any]:
    return {"id": f"a-{number}", "alias": ticket.reference, "status": ticket.status, "message": ticket.subject,
            "acknowledged": False, "owner": ticket.assignee}  # fmt: skip


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Opsgenie())
    stored = {"url": desk.url, "api_key": KEY, "team": "Backups", "webhook_secret": SECRET}
    return Bench(
        gateway=GATEWAYS["opsgenie"],
        desk=desk,
        stored=stored,
        bad_field=("api_key", "no key!"),
        wrong_credentials={"api_key": "wr0ng-key-of-ours"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
