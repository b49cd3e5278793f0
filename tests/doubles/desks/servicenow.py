"""ServiceNow's Table API as its documentation describes it: what it does not understand it ignores without a word.

Ignores unknown fields, conditions and references to nothing; cuts texts that are too long; resolves only with code and
notes; keeps closed incidents as they are; shows journal entries in a table of their own.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

USER, PASSWORD, SECRET = "backledger", "sn-s3cret-password", "sn-callback-s3cret-long"
CLIENT, CLIENT_SECRET, BEARER = "c0ffee", "sn-client-s3cret", "sn-access-t0ken"
STATES = {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"}
CODES = {"Solution provided": "Solution provided", "Duplicate": "Duplicate"}
WRITABLE = frozenset({
    "short_description", "description", "correlation_id", "correlation_display", "impact", "urgency", "caller_id",
    "assignment_group", "category", "company", "state", "close_code", "close_notes", "work_notes", "comments",
})  # fmt: skip
PEOPLE = [{"sys_id": "a" * 32, "name": "Backup Robot"}]
GROUPS = [{"sys_id": "b" * 32, "name": "Backups"}, {"sys_id": "c" * 32, "name": "Networks"}]


class ServiceNow(Desk):
    open_status = "1"
    closed_status = "6"
    odd_status = "3"

    def __init__(self) -> None:
        super().__init__()
        self.hidden: set[str] = set()
        self.frozen_fields: set[str] = set()

    def authorized(self, request: Request) -> bool:
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        given = request.headers.get("authorization")
        return request.target == "/oauth_token.do" or given in (f"Basic {basic}", f"Bearer {BEARER}")

    def unauthorized(self, request: Request) -> Response:
        return refusal(401, "User Not Authenticated", "Required to provide Auth information")

    def is_write(self, parts: Parts) -> bool:
        return parts.method != "GET" and parts.steps != ("oauth_token.do",)

    def route(self, parts: Parts) -> Response:
        if parts.steps == ("oauth_token.do",):
            return self.token(parts.request)
        match parts.method, parts.steps[3:]:
            case _, (table, *_) if table in self.hidden:
                return refusal(403, "Operation Failed", "ACL restricts the record retrieval")
            case "POST", ("incident",):
                return self.create(parts.body)
            case method, ("incident", key):
                return self.one(method, key, parts)
            case "GET", ("core_company", key):
                rows = [row for row in self.table("core_company") if row["sys_id"] == key]
                return reply(200, {"result": rows[0]}) if rows else refusal(404, "No Record found", "")
            case "GET", (table,):
                return self.listed(table, parts)
        return refusal(400, "Invalid table", "")

    def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        wanted = {"grant_type": "password", "client_id": CLIENT, "client_secret": CLIENT_SECRET, "username": USER,
                  "password": PASSWORD}  # fmt: skip
        if form != wanted:
            return reply(401, {"error": "server_error", "error_description": "access_denied"})
        return reply(200, {"access_token": BEARER, "token_type": "Bearer", "expires_in": 1799})

    def table(self, name: str) -> list[dict[str, Any]]:
        if name == "incident":
            return [self.as_values(ticket) for ticket in self.tickets if not ticket.gone]
        if name == "core_company":
            return [{"sys_id": key, "name": label} for key, label in self.companies.items()]
        if name == "sys_journal_field":
            return [row for ticket in self.tickets for row in journal(ticket)]
        choices = [("state", STATES), ("close_code", CODES), ("category", {"software": "Software"})]
        rows = [{"element": element, "value": value, "label": label, "name": "incident", "inactive": "false",
                 "language": "en"} for element, values in choices for value, label in values.items()]  # fmt: skip
        return {"sys_user": PEOPLE, "sys_user_group": GROUPS, "sys_choice": rows}.get(name, [])

    def listed(self, table: str, parts: Parts) -> Response:
        rows = self.table(table)
        for condition in parts.one("sysparm_query").split("^"):
            rows = [row for row in rows if self.holds(condition, row)]
        fields, limit = parts.one("sysparm_fields").split(","), int(parts.one("sysparm_limit", "10000"))
        rows = [{name: row[name] for name in fields if name in row} for row in rows[:limit]]
        return reply(200, {"result": rows})

    def holds(self, condition: str, row: dict[str, Any]) -> bool:
        """A condition on a field that the table does not have counts as none."""
        found = re.fullmatch(r"([a-z_]+)(=|LIKE|IN)(.*)", condition)
        if found is None or found[1] not in row or (self.ignore_filters and found[1] == "correlation_id"):
            return True
        have = str(row[found[1]])
        if found[2] == "LIKE":
            return found[3].lower() in have.lower()
        return have in found[3].split(",") if found[2] == "IN" else have == found[3]

    def create(self, given: dict[str, Any]) -> Response:
        ticket = self.new_ticket(
            subject=given.get("short_description", "")[:160], reference=given.get("correlation_id", ""), status="1",
            company=given.get("company", ""), priority=(given.get("impact", "3"), given.get("urgency", "3")),
            fields={key: value for key, value in given.items() if key in WRITABLE},
        )  # fmt: skip
        ticket.id = f"{int(ticket.id):032x}"
        ticket.messages.append(Message(USER, given.get("description", "")[:4000], ours=True))
        return reply(201, {"result": self.as_values(ticket)})

    def one(self, method: str, key: str, parts: Parts) -> Response:
        ticket = self.present(key)
        if ticket is None:
            return refusal(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
        if method == "GET":
            values: dict[str, Any] = dict(self.as_values(ticket))
            shown = {"state": STATES.get(ticket.status, ticket.status), "assigned_to": ticket.assignee}
            if parts.one("sysparm_display_value") == "all":
                values = {name: {"value": value, "display_value": shown.get(name, value)}
                          for name, value in values.items()}  # fmt: skip
            return reply(200, {"result": values})
        return self.patch(ticket, {key: value for key, value in parts.body.items() if key in WRITABLE})

    def patch(self, ticket: DeskTicket, given: dict[str, Any]) -> Response:
        if ticket.status in ("7", "8"):
            return refusal(403, "Operation Failed", "ACL Exception Update Failed due to security constraints")
        given = {name: value for name, value in given.items() if name not in self.frozen_fields}
        if given.get("state") == "6" and not (given.get("close_code") in CODES and given.get("close_notes")):
            return refusal(403, "Operation Failed", "Data Policy Exception: Resolution code, Resolution notes")
        for name in ("work_notes", "comments", "close_notes"):
            if given.get(name):
                ticket.messages.append(Message(USER, given[name], ours=True))
        ticket.fields |= given
        ticket.status = given.get("state", ticket.status)
        return reply(200, {"result": self.as_values(ticket)})

    def as_values(self, ticket: DeskTicket) -> dict[str, str]:
        number, active = f"INC{self.tickets.index(ticket) + 1:07d}", str(ticket.status not in ("7", "8")).lower()
        return {"sys_id": ticket.id, "number": number, "state": ticket.status, "active": active,
                "correlation_id": ticket.reference, "assigned_to": "d" * 32 if ticket.assignee else ""}  # fmt: skip

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        return {"X-Backledger-Secret": SECRET}, json.dumps({"sys_id": ticket_id, "sys_mod_count": event}).encode()


def journal(ticket: DeskTicket) -> Iterable[dict[str, Any]]:
    """Its messages, newest first as asked for; the description is none of them."""
    for number, message in reversed(list(enumerate(ticket.messages))[1:]):
        yield {
            "sys_id": f"{number:016x}{ticket.id[16:]}", "element_id": ticket.id, "element": "work_notes",
            "value": message.text, "sys_created_by": USER if message.ours else message.author,
            "sys_created_on": "2026-11-22 22:00:00",
        }  # fmt: skip


def refusal(status: int, message: str, detail: str) -> Response:
    return reply(status, {"error": {"message": message, "detail": detail}, "status": "failure"})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(ServiceNow())
    stored = {"url": desk.url, "username": USER, "password": PASSWORD, "webhook_secret": SECRET}
    return Bench(
        gateway=GATEWAYS["servicenow"],
        desk=desk,
        stored=stored,
        bad_field=("caller", "Abel Tuter"),
        wrong_credentials={"password": "wr0ng-password"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
