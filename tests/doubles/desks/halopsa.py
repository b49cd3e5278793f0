"""HaloPSA as clients of its API describe it: OAuth first, arrays in, the one object out, lists with a count.

Puts a ticket for a client that does not exist to "Unknown"; ignores filters and fields that it does not know; shows our
reference in the details alone; gives clients by pages of two; refuses what its arrays must hold and do not.
"""

from __future__ import annotations

import html
import json
import re
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs

from integrations.tickets import GATEWAYS
from tests.doubles.agreements import Agreements, KeptAgreement
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

CLIENT, CLIENT_SECRET, BEARER = "halo-client", "halo-client-s3cret", "halo-access-t0ken"
SECRET = "halo-callback-s3cret-long"
ROBOT = "Backup Robot"
LISTS: dict[str, list[dict[str, Any]]] = {
    "tickettype": [{"id": 21, "name": "Alert"}],
    "team": [{"id": 1, "name": "Service Desk"}],
    "status": [
        {"id": 1, "name": "New"}, {"id": 2, "name": "In Progress"}, {"id": 5, "name": "Waiting Parts"},
        {"id": 9, "name": "Closed"},
    ],
    "outcome": [{"id": 7, "outcome": "Private Note"}, {"id": 8, "outcome": "Email User"}],
    "priority": [{"id": "a-guid", "slaid": 1, "priorityid": 1, "name": "Critical"},
                 {"id": "b-guid", "slaid": 1, "priorityid": 3, "name": "Medium"}],
}  # fmt: skip


class HaloPSA(Desk):
    open_status = "1"
    closed_status = "9"
    odd_status = "5"

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False
        self.books = Agreements()
        self.tenants: list[str] = []

    def authorized(self, request: Request) -> bool:
        given = request.headers.get("authorization") == f"Bearer {BEARER}"
        return given or request.target.startswith("/auth/token")

    def unauthorized(self, request: Request) -> Response:
        return Response(401, b"")

    def is_write(self, parts: Parts) -> bool:
        return parts.method == "POST" and parts.steps[:1] == ("api",)

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps:
            case "POST", ("auth", "token"):
                self.tenants.append(parts.one("tenant"))
                return self.token(parts.request)
            case "GET", ("api", "agent", key):
                names = {"me": (3, ROBOT), "29": (29, "Tina Tech")}
                return reply(200, dict(zip(("id", "name"), names[key], strict=True))) if key in names else missing()
            case "GET", ("api", "client", *rest):
                return self.clients(parts, rest)
            case "GET", ("api", "tickets"):
                return self.listed(parts)
            case "GET", ("api", "tickets", key):
                ticket = self.present(key)
                return reply(200, as_json(ticket)) if ticket else missing()
            case "GET", ("api", "actions"):
                ticket = self.present(parts.one("ticket_id"))
                rows = actions(ticket) if ticket else []
                return reply(200, {"record_count": len(rows), "actions": rows})
            case "GET", ("api", name) if name in LISTS:
                return reply(200, LISTS[name])
            case "GET", ("api", "RecurringInvoice", *rest):
                return self.recurring(parts, rest)
            case "POST", ("api", "RecurringInvoice") if isinstance(parts.body, list):
                return self.save_recurring(parts.body[0])
            case "POST", ("api", "tickets" | "actions" as name) if isinstance(parts.body, list):
                (given,) = parts.body
                return self.act(given) if name == "actions" else self.save(given)
        return missing()

    def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
                  "scope": "all"}  # fmt: skip
        if form != wanted:
            return reply(400, {"error": "invalid_client", "error_description": "The client credentials are invalid."})
        return reply(200, {"access_token": BEARER, "token_type": "Bearer", "expires_in": 3600})

    def clients(self, parts: Parts, rest: list[str]) -> Response:
        rows = [{"id": int(key), "name": name} for key, name in self.companies.items()]
        if rest:
            found = [row for row in rows if str(row["id"]) == rest[0]]
            return reply(200, found[0]) if found else missing()
        rows = [row for row in rows if parts.one("search").lower() in str(row["name"]).lower()]
        page = int(parts.one("page_no", "1"))
        return reply(200, {"record_count": len(rows), "clients": rows[(page - 1) * 2 : page * 2]})

    def recurring(self, parts: Parts, rest: list[str]) -> Response:
        if rest:
            invoice = self.books.agreement(rest[0])
            return reply(200, self.invoice_json(invoice)) if invoice else missing()
        rows = [each for each in self.books.agreements if str(each.company) == parts.one("client_id")]
        size, page = int(parts.one("page_size", "50")), int(parts.one("page_no", "1"))
        shown = [self.invoice_json(each) for each in rows[(page - 1) * size : page * size]]
        return reply(200, {"record_count": len(rows), "invoices": shown})

    def save_recurring(self, given: dict[str, Any]) -> Response:
        """What is not among the lines sent is taken off the invoice, and a line must come as a whole."""
        invoice = self.books.agreement(given.get("id"))
        if invoice is None:
            return missing()
        sent = {row["id"]: row for row in given["lines"]}
        for line in self.books.of(invoice):
            row = sent.get(line.id)
            if row is None:
                line.gone = True
            elif row.get("item_shortdescription") != line.name or row.get("unit_price") != 0.1:
                return reply(400, {"error": "A line is not valid."})
            elif row["qty_order"] != line.quantity and not self.frozen:
                line.quantity = row["qty_order"]
                line.changes.append((line.quantity, ""))
        return reply(201, [self.invoice_json(invoice)])

    def invoice_json(self, each: KeptAgreement) -> dict[str, Any]:
        lines = [
            {"id": line.id, "item_shortdescription": line.name, "qty_order": line.quantity, "unit_price": 0.1}
            for line in self.books.of(each)
        ]
        ends = f"{each.ends or '1900-01-01'}T00:00:00"
        return {"id": each.id, "client_id": each.company, "name": each.name, "enddate": ends, "lines": lines}

    def listed(self, parts: Parts) -> Response:
        wanted = "" if self.ignore_filters else parts.one("third_party_id_string")
        found = [t for t in self.tickets if not t.gone and wanted in ("", t.reference)]
        rows = [{"id": int(t.id), "summary": t.subject, "status_id": int(t.status)} for t in found]
        return reply(200, {"record_count": len(rows), "tickets": rows[: int(parts.one("count", "50"))]})

    def save(self, given: dict[str, Any]) -> Response:
        if "id" in given:
            ticket = self.present(str(given["id"]))
            if ticket is None:
                return missing()
            if not self.frozen and any(row["id"] == given["status_id"] for row in LISTS["status"]):
                ticket.status = str(given["status_id"])
            return reply(201, as_json(ticket))
        if not given.get("summary") or given.get("tickettype_id") != 21:
            return reply(400, {"error": "Please enter a summary and a ticket type."})
        company = str(given.get("client_id"))
        ticket = self.new_ticket(
            subject=given["summary"], reference=given.get("third_party_id_string", ""),
            status=str(given.get("status_id", 1)), company=company if company in self.companies else "1",
            priority=given.get("priority_id"), fields=given,
        )  # fmt: skip
        ticket.messages.append(Message(ROBOT, plain(given.get("details_html", "")), ours=True))
        return reply(201, as_json(ticket))

    def act(self, given: dict[str, Any]) -> Response:
        ticket = self.present(str(given.get("ticket_id")))
        if ticket is None or not given.get("note_html") or given.get("outcome_id") not in (7, 8):
            return reply(400, {"error": "The action is not valid."})
        ticket.messages.append(Message(ROBOT, plain(given["note_html"]), ours=True))
        ticket.fields["hidden"] = given.get("hiddenfromuser", False)
        return reply(201, actions(ticket)[0])

    def assign_there(self, ticket_id: str, name: str) -> None:
        super().assign_there(ticket_id, name)
        self.ticket(ticket_id).fields["agent_id"] = 29

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        return signed({"id": event, "event": "Ticket Updated", "timestamp": at, "ticket": {"id": int(ticket_id)}})


def signed(document: object) -> tuple[dict[str, str], bytes]:
    return {"Authorization": f"Bearer {SECRET}"}, json.dumps(document).encode()


def plain(markup: str) -> str:
    return html.unescape(re.sub(r"<br>\n?", "\n", markup))


def as_json(ticket: DeskTicket) -> dict[str, Any]:
    return {
        "id": int(ticket.id), "summary": ticket.subject, "third_party_id_string": ticket.reference,
        "status_id": int(ticket.status), "client_id": int(ticket.company),
        "agent_id": ticket.fields.get("agent_id", 1), "hasbeenclosed": ticket.status == "9",
    }  # fmt: skip


def actions(ticket: DeskTicket) -> list[dict[str, Any]]:
    """Newest first; the details are none of them."""
    return [
        {
            "id": number, "ticket_id": int(ticket.id), "who": message.author, "note": message.text,
            "datetime": "2026-11-22T22:00:00.123", "outcome": "Private Note",
        }
        for number, message in reversed(list(enumerate(ticket.messages, 1))[1:])
    ]  # fmt: skip


def missing() -> Response:
    return reply(404, {"error": "Not found"})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(HaloPSA())
    stored = {"url": desk.url, "client_id": CLIENT, "client_secret": CLIENT_SECRET, "ticket_type": "21",
              "priority_high": "1", "webhook_secret": SECRET}  # fmt: skip
    return Bench(
        gateway=GATEWAYS["halopsa"],
        desk=desk,
        stored=stored,
        bad_field=("ticket_type", "Alert"),
        wrong_credentials={"client_secret": "wr0ng-secret"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
