"""Roundup as version 2.6.0 with its "classic" template answered: strict about headers, marks and names.

Every change needs the mark of what it changes (If-Match), every request the headers of its own pages. What is unknown
is refused. A retired issue is missing in lists but can be fetched by its number. A message to a closed issue
opens it, unless the same change sets a status. Sources: recorded answers, and Roundup's "REST API for Roundup".
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

USER, PASSWORD = "backledger", "ru-s3cret-password"
STATUSES = ("unread", "deferred", "chatting", "need-eg", "in-progress", "testing", "done-cbb", "resolved")
PRIORITIES = ("critical", "urgent", "bug", "feature", "wish")
KEYWORDS = ("Backup", "Network")
NAMES = {"status": STATUSES, "priority": PRIORITIES, "keyword": KEYWORDS}
ISSUE = frozenset({"title", "messages", "status", "priority", "keyword"})
MSG = frozenset({"content", "author", "date", "messageid"})


class Roundup(Desk):
    open_status = "unread"
    closed_status = "resolved"
    odd_status = "need-eg"

    def __init__(self) -> None:
        super().__init__()
        self.companies = {}
        self.messages: dict[str, dict[str, str]] = {}

    @property
    def url(self) -> str:
        return f"{super().url}/desk"

    def authorized(self, request: Request) -> bool:
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {wanted}"

    def unauthorized(self, request: Request) -> Response:
        return Response(401, b"Invalid Login - Invalid login", {"Content-Type": "text/plain"})

    def is_write(self, parts: Parts) -> bool:
        """A message that belongs to no issue yet is seen by nobody."""
        return parts.method != "GET" and parts.steps[3:4] == ("issue",)

    def route(self, parts: Parts) -> Response:
        headers = parts.request.headers
        if headers.get("origin") != self.url.removesuffix("/desk"):
            return refuse(400, "Client is not allowed to use Rest Interface.")
        if headers.get("x-requested-with") != "rest":
            return refuse(400, "Required Header Missing")
        match parts.method, parts.steps[3:]:
            case "GET", (name,) if name in NAMES:
                return listed([{"id": str(n), "name": word} for n, word in enumerate(NAMES[name], 1)])
            case "GET", ("issue",):
                return self.issues(parts)
            case "GET", ("msg",):
                return self.found_messages(parts)
            case "POST", ("msg",):
                return self.store(parts.body)
            case "POST", ("issue",):
                return self.open(parts.body)
            case method, ("issue", number):
                return self.one(method, number, parts)
        return refuse(404, "Nothing matches the given URI")

    def store(self, given: dict[str, Any]) -> Response:
        if set(given) - MSG or given.get("author") != USER:
            return refuse(400, f"Property {sorted(set(given) - MSG)} not found in class msg")
        number = self.keep(given["content"].rstrip("\n"), USER, given.get("messageid", ""))
        return reply(201, {"data": {"id": number, "link": f"{self.url}/rest/data/msg/{number}"}})

    def keep(self, content: str, author: str, message_id: str) -> str:
        number = str(len(self.messages) + 1)
        self.messages[number] = {"content": content, "author": author, "messageid": message_id}
        return number

    def open(self, given: dict[str, Any]) -> Response:
        wrong = self.wrong(given)
        if wrong is not None or not given.get("title"):
            return wrong or refuse(400, "Must provide the 'title' property.")
        first = self.messages[given["messages"][0]] if given.get("messages") else {"messageid": ""}
        ticket = self.new_ticket(
            subject=given["title"], reference=first["messageid"][1:].partition(".")[0],
            status=given.get("status") or "unread", priority=given.get("priority"), fields={"messages": []},
        )  # fmt: skip
        self.join(ticket, given.get("messages", []))
        return reply(201, {"data": {"id": ticket.id, "link": f"{self.url}/rest/data/issue/{ticket.id}"}})

    def wrong(self, given: dict[str, Any]) -> Response | None:
        for name in set(given) - ISSUE:
            return refuse(400, f"Property {name} not found in class issue")
        for name in ("status", "priority"):
            if name in given and given[name] not in NAMES[name]:
                return refuse(400, f"property {name}: {given[name]!r} is not a {name}.")
        for number in given.get("messages", []):
            if number not in self.messages:
                return refuse(409, f"no such msg {number}")
        return None

    def join(self, ticket: DeskTicket, numbers: list[str]) -> None:
        for number in numbers:
            if number not in ticket.fields["messages"]:
                ticket.fields["messages"].append(number)
                stored = self.messages[number]
                ticket.messages.append(Message(stored["author"], stored["content"], stored["author"] == USER))

    def one(self, method: str, number: str, parts: Parts) -> Response:
        ticket = next((ticket for ticket in self.tickets if ticket.id == number), None)
        if ticket is None:
            return refuse(404, f"no such issue {number}")
        mark = mark_of(ticket)
        if method == "GET":
            messages = [{"id": one} for one in ticket.fields["messages"]]
            return reply(200, {"data": {"id": number, "attributes": {"messages": messages}, "@etag": mark}})
        if parts.request.headers.get("if-match") != mark:
            return refuse(412, "If-Match is missing or does not match.")
        return self.change(ticket, parts.body)

    def change(self, ticket: DeskTicket, given: dict[str, Any]) -> Response:
        if given.pop("@op", "replace") != "replace":
            return refuse(400, "PATCH Operation is not allowed")
        wrong = self.wrong(given)
        if wrong is not None:
            return wrong
        added = set(given.get("messages", ())) - set(ticket.fields["messages"])
        self.join(ticket, given.get("messages", []))
        if "status" in given:
            ticket.status = given["status"]
        elif added and ticket.status in ("unread", "resolved", "done-cbb"):
            ticket.status = "chatting"
        return reply(200, {"data": {"id": ticket.id, "type": "issue", "attribute": {"status": ticket.status}}})

    def issues(self, parts: Parts) -> Response:
        wanted = parts.one("messages").split(",") if "messages" in parts.query else None
        found = [t for t in self.tickets if not t.gone and (
            self.ignore_filters
            or ((wanted is None or set(wanted) & set(t.fields["messages"])) and parts.one("id", t.id) == t.id)
        )]  # fmt: skip
        return listed([self.as_json(ticket) for ticket in found], parts)

    def as_json(self, ticket: DeskTicket) -> dict[str, Any]:
        person = {"id": "5", "username": "tina"} if ticket.assignee else None
        return {
            "id": ticket.id, "title": ticket.subject, "status": {"id": "1", "name": ticket.status},
            "assignedto": person, "assignedto.realname": ticket.assignee or None, "superseder": [],
            "messages": [{"id": number} for number in ticket.fields["messages"]],
        }  # fmt: skip

    def found_messages(self, parts: Parts) -> Response:
        exact, numbers = parts.one("messageid:"), parts.query.get("id", list(self.messages))
        found = [
            {
                "id": number, "content": kept["content"], "messageid": kept["messageid"],
                "author": {"id": "3", "username": kept["author"]}, "author.realname": None,
                "creator.username": kept["author"], "creation": "2026-11-22.22:00:00",
            }
            for number, kept in self.messages.items()
            if self.ignore_filters or (number in numbers and exact in ("", kept["messageid"]))
        ]  # fmt: skip
        return listed(found, parts)

    def say_there(self, ticket_id: str, author: str, text: str) -> None:
        self.join(self.ticket(ticket_id), [self.keep(text, author, "")])


def listed(found: list[dict[str, Any]], parts: Parts | None = None) -> Response:
    size = int(parts.one("@page_size", "1000")) if parts else 1000
    return reply(200, {"data": {"collection": found[:size], "@total_size": len(found)}})


def mark_of(ticket: DeskTicket) -> str:
    state = json.dumps([ticket.status, ticket.subject, ticket.fields["messages"], ticket.assignee])
    return f'"{hashlib.md5(state.encode(), usedforsecurity=False).hexdigest()}"'


def refuse(status: int, words: str) -> Response:
    return reply(status, {"error": {"status": status, "msg": words}})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Roundup())
    return Bench(
        gateway=GATEWAYS["roundup"],
        desk=desk,
        stored={"url": desk.url, "user": USER, "password": PASSWORD},
        bad_field=("status_reopened", "resolved"),
        wrong_credentials={"password": "wr0ng-password"},
        unreachable={"url": "http://127.0.0.1:1/desk"},
    )
