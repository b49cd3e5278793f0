"""GLPI's ``apirest.php`` as its documentation and published source describe it: sessions, items, and what items do.

A solution solves the ticket unless it is solved already; a followup with ``add_reopen`` opens it again; what is in the
bin is still answered, as deleted. Refuses unknown entities, fields to search by, and requests without a session.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

USER_TOKEN, APP_TOKEN, SECRET = "glpi-s3cret-user-token", "glpi-s3cret-app-token", "glpi-webhook-s3cret"
SESSION = "83af7e620c83a50a18d3"
ROBOT = "Backup &#38; Robot"  # names come escaped
FIELDS = frozenset({
    "name", "content", "externalid", "type", "urgency", "entities_id", "itilcategories_id", "_groups_id_assign",
})  # fmt: skip


class Glpi(Desk):
    open_status = "1"
    closed_status = "5"
    odd_status = "4"

    def __init__(self) -> None:
        super().__init__()
        self.sessions = 0
        self.interface = "central"
        self.may_solve = True
        self.may_reopen = True

    def authorized(self, request: Request) -> bool:
        if request.headers.get("app-token") != APP_TOKEN:
            return False
        if request.target.split("?")[0].endswith("/initSession"):
            return request.headers.get("authorization") == f"user_token {USER_TOKEN}"
        return self.sessions > 0 and request.headers.get("session-token") == SESSION

    def unauthorized(self, request: Request) -> Response:
        return reply(401, ["ERROR_GLPI_LOGIN_USER_TOKEN", "the user_token parameter seems invalid"])

    def route(self, parts: Parts) -> Response:
        if parts.steps[0] != "apirest.php":
            return reply(404, ["ERROR_RESOURCE_NOT_FOUND_NOR_COMMONDBTM", "missing resource"])
        match parts.method, parts.steps[1:]:
            case "GET", ("initSession",):
                self.sessions += 1
                return reply(200, {"session_token": SESSION})
            case "GET", ("killSession",):
                self.sessions -= 1
                return Response(200, b"")
            case "GET", ("getActiveProfile",):
                return reply(200, {"active_profile": {"id": 6, "interface": self.interface}})
            case "GET", ("getMyEntities",):
                return reply(200, {"myentities": [{"id": int(k), "name": html.escape(n)} for k, n in
                                                  self.companies.items()]})  # fmt: skip
            case "GET", ("ITILCategory" | "Group",):
                return reply(206, [{"id": 3, "name": "Backup", "completename": "Servers &#62; Backup"}])
            case "GET", ("Ticket",):
                return self.listed(parts)
            case _:
                return self.items(parts)

    def items(self, parts: Parts) -> Response:
        match parts.method, parts.steps[1:]:
            case "POST", ("Ticket",):
                return self.create(parts.body["input"])
            case "POST", ("ITILFollowup" | "ITILSolution" as kind,):
                return self.add(kind, parts.body["input"])
            case "GET", ("Ticket", ticket_id, *rest):
                return self.shown(ticket_id, list(rest))
            case "PUT", ("Ticket", ticket_id):
                self.ticket(ticket_id).status = str(parts.body["input"]["status"]) if self.may_solve else "4"
                return reply(200, [{ticket_id: True, "message": ""}])
        return reply(400, ["ERROR_METHOD_NOT_ALLOWED", "method not allowed"])

    def listed(self, parts: Parts) -> Response:
        wanted = parts.one("searchText[externalid]")
        if not wanted:
            return reply(400, ["ERROR_FIELD_NOT_FOUND", "field not found"])
        found = [t for t in self.tickets if not t.gone and (self.ignore_filters or wanted in t.reference)]
        first, last = parts.one("range").split("-")
        return reply(206, [as_json(ticket) for ticket in found[int(first) : int(last) + 1]])

    def create(self, given: dict[str, Any]) -> Response:
        company = str(given.get("entities_id", ""))
        if set(given) - FIELDS or len(given["name"]) > 255 or given["urgency"] not in range(1, 6):
            return reply(400, ["ERROR_GLPI_ADD", "cannot add"])
        if company and company not in self.companies:
            denied = [{"id": False, "message": "You don't have permission to perform this action."}]
            return reply(400, ["ERROR_GLPI_ADD", denied])
        ticket = self.new_ticket(
            subject=given["name"], reference=given.get("externalid", ""), status="1", company=company,
            priority=given["urgency"], fields={"given": given},
        )  # fmt: skip
        ticket.messages.append(Message(ROBOT, plain(given["content"]), ours=True))
        return reply(201, {"id": int(ticket.id), "message": "Item successfully added"})

    def add(self, kind: str, given: dict[str, Any]) -> Response:
        ticket = self.present(str(given["items_id"]))
        if ticket is None or given["itemtype"] != "Ticket" or not given.get("content"):
            return reply(400, ["ERROR_GLPI_ADD", [{"id": False, "message": "You can't add this"}]])
        solved = ticket.status in ("5", "6")
        if kind == "ITILSolution" and solved:
            return reply(400, ["ERROR_GLPI_ADD", [{"id": False, "message": "The item is already solved"}]])
        ticket.messages.append(Message(ROBOT, plain(given["content"]), ours=True))
        ticket.fields["last"] = given
        if kind == "ITILSolution" and self.may_solve:
            ticket.status = "5"
            ticket.fields["solutions"] = [{"id": 1, "users_id": ROBOT, "content": given["content"]}]
        if given.get("add_reopen") and solved and self.may_reopen:
            ticket.status = "2" if ticket.assignee else "1"
        return reply(201, {"id": 500 + len(ticket.messages), "message": ""})

    def shown(self, ticket_id: str, rest: list[str]) -> Response:
        ticket = next((ticket for ticket in self.tickets if ticket.id == ticket_id), None)
        if ticket is None:
            return reply(404, ["ERROR_ITEM_NOT_FOUND", "Item not found"])
        match rest:
            case ["Ticket_User"]:
                people = [{"id": 1, "users_id": ROBOT, "type": 1}]
                people += [{"id": 2, "users_id": ticket.assignee, "type": 2}] if ticket.assignee else []
                return reply(200, people)
            case ["ITILFollowup"]:
                return reply(200, followups(ticket))
            case ["ITILSolution"]:
                return reply(200, ticket.fields.get("solutions", []))
        return reply(200, as_json(ticket))

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        body = json.dumps({"event": event, "item": {"id": int(ticket_id), "name": "x"}}).encode()
        timestamp = str(int(datetime.fromisoformat(at).timestamp()))
        signature = hmac.new(SECRET.encode(), body + timestamp.encode(), hashlib.sha256).hexdigest()
        return {"X-GLPI-signature": signature, "X-GLPI-timestamp": timestamp}, body


def as_json(ticket: DeskTicket) -> dict[str, Any]:
    return {"id": int(ticket.id), "name": ticket.subject, "externalid": ticket.reference or None,
            "status": int(ticket.status), "is_deleted": int(ticket.gone), "users_id_recipient": ROBOT}  # fmt: skip


def followups(ticket: DeskTicket) -> list[dict[str, Any]]:
    """Newest first, as asked for; the description is none. People's words come with their marks escaped, as in 10."""
    rows = [
        {"id": number, "users_id": message.author, "date": "2026-11-22 22:00:00",
         "content": html.escape(f"<p>{html.escape(message.text)}</p>")}
        for number, message in enumerate(ticket.messages) if number
    ]  # fmt: skip
    return rows[::-1]


def plain(content: str) -> str:
    return html.unescape(content.replace("<br>\n", "\n"))


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Glpi())
    stored = {"url": desk.url, "user_token": USER_TOKEN, "app_token": APP_TOKEN, "webhook_secret": SECRET}
    return Bench(
        gateway=GATEWAYS["glpi"],
        desk=desk,
        stored=stored,
        bad_field=("category", "Backup"),
        wrong_credentials={"user_token": "wr0ng-token"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
