"""osTicket as its documentation describes it: an API that opens tickets and takes mails, and answers with a number.

A mail that names no ticket of its sender opens another. What is unknown in a ticket is refused.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from email import message_from_bytes
from email.policy import default
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

KEY, SUBMITTER = "0S3CRETAPIKEY0S3CRETAPIKEY", "backups@msp.example"
KNOWN = frozenset({"source", "name", "email", "subject", "message", "topicId", "priorityId", "alert", "autorespond"})
REFERENCE = re.compile(r"\[([A-Za-z0-9-]+)\]\Z")


class OsTicket(Desk):
    def __init__(self) -> None:
        super().__init__()
        self.companies = {}

    def authorized(self, request: Request) -> bool:
        return request.headers.get("x-api-key") == KEY

    def unauthorized(self, request: Request) -> Response:
        return Response(401, b"Valid API key required", {"Content-Type": "text/plain"})

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps:
            case "POST", ("api", "tickets.json"):
                return self.open(json.loads(parts.request.body))
            case "POST", ("api", "tickets.email"):
                return self.take(parts.request.body)
        return Response(404, b"", {})

    def open(self, given: dict[str, Any]) -> Response:
        if set(given) - KNOWN or not all(given.get(name) for name in ("name", "email", "subject", "message")):
            return reply(400, "Unable to create new ticket: validation errors")
        found = REFERENCE.search(given["message"])
        ticket = self.new_ticket(
            subject=given["subject"], reference=found[1] if found else "", status="open", priority=given["priorityId"]
        )
        ticket.messages.append(Message("Backledger", given["message"], ours=True))
        return numbered(ticket)

    def take(self, raw: bytes) -> Response:
        mail = message_from_bytes(raw, policy=default)
        named = re.search(r"#(\w+)", str(mail["Subject"]))  # the first, wherever it stands
        ticket = self.present(named[1]) if named and SUBMITTER in str(mail["From"]) else None
        if ticket is None:
            ticket = self.new_ticket(subject=str(mail["Subject"]), reference="", status="open")
        ticket.messages.append(Message("Backledger", mail.get_content(), ours=True))
        return numbered(ticket)


def numbered(ticket: DeskTicket) -> Response:
    """The number is all of the answer; blank lines around it come of plug-ins."""
    return Response(201, ticket.id.encode() + b"\n" * 40, {"Content-Type": "text/html"})


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(OsTicket())
    stored = {"url": desk.url, "api_key": KEY, "email": SUBMITTER, "mailbox": "help@msp.example"}
    return Bench(
        gateway=GATEWAYS["osticket"],
        desk=desk,
        stored=stored,
        bad_field=("mailbox", "no address"),
        wrong_credentials={"api_key": "wr0ng-key"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
