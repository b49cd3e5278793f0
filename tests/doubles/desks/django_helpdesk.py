"""django-helpdesk as version 2.6.1 answered: lists that cannot be searched, comments that are templates.

Unknown fields and parameters are ignored. A comment with a title renames its ticket; one that is no valid template of
Django's is an error of the server. A page that is not there is 404. Sources: recorded answers and webhooks, and
django-helpdesk's pages "API" and "Webhooks".
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

TOKEN, SECRET = "dh-s3cret-token", "dh-callback-s3cret-1"
STATUSES = {1: "Open", 2: "Reopened", 3: "Resolved", 4: "Closed", 5: "Duplicate", 6: "Waiting for parts"}
PRIORITIES = {1: "1. Critical", 2: "2. High", 3: "3. Normal", 4: "4. Low", 5: "5. Very Low"}
US, TINA = 3, 7
WHEN = "2026-11-22T16:00:00-06:00"
OPENED = re.compile(r"\[([A-Za-z0-9-]+)\]\Z")
LITERAL = {'{{ "{" }}': "{", '{{ "}" }}': "}"}


class DjangoHelpdesk(Desk):
    open_status = "1"
    closed_status = "4"
    odd_status = "6"

    def __init__(self) -> None:
        super().__init__()
        self.companies = {}

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Token {TOKEN}"

    def unauthorized(self, request: Request) -> Response:
        return reply(401, {"detail": "Invalid token."})

    def is_write(self, parts: Parts) -> bool:
        return parts.method == "POST"

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[1:]:
            case "OPTIONS", ("tickets",):
                fields = {"status": choice(STATUSES), "priority": choice(PRIORITIES), "queue": {"type": "field"}}
                return reply(200, {"name": "Ticket List", "actions": {"POST": fields}})
            case "GET", ("tickets",):
                return self.listed(parts)
            case "POST", ("tickets",):
                return self.open(parts.body)
            case "GET", ("tickets", number):
                ticket = self.present(number)
                return reply(200, as_json(ticket)) if ticket else reply(404, {"detail": "No Ticket matches."})
            case "POST", ("followups",):
                return self.follow_up(parts.body)
        return Response(404, b"<h1>Not Found</h1>", {"Content-Type": "text/html"})

    def listed(self, parts: Parts) -> Response:
        """No parameter but these two does anything here; pages are smaller than asked for never, larger neither."""
        there = [ticket for ticket in self.tickets if not ticket.gone]
        size = int(parts.one("page_size", "25"))
        last = max(1, -(-len(there) // size))
        page = last if parts.one("page", "1") == "last" else int(parts.one("page", "1"))
        if not 1 <= page <= last:
            return reply(404, {"detail": "Invalid page."})
        shown = there[(page - 1) * size : page * size]
        number = f"page={page - 1}&" if page > 2 else ""
        previous = f"{self.url}/api/tickets/?{number}page_size={size}" if page > 1 else None
        return reply(200, {"count": len(there), "previous": previous, "results": [as_json(one) for one in shown]})

    def open(self, given: dict[str, Any]) -> Response:
        wrong: dict[str, list[str]] = {}
        if given.get("queue") != 1:
            wrong["queue"] = [f'Invalid pk "{given.get("queue")}" - object does not exist.']
        if not given.get("title") or len(given["title"]) > 200:
            wrong["title"] = ["This field may not be blank."]
        if given.get("priority", 3) not in PRIORITIES:
            wrong["priority"] = ["This is not a valid choice."]
        if wrong:
            return reply(400, wrong)
        found = OPENED.search(given["description"])
        ticket = self.new_ticket(
            subject=given["title"].strip(), reference=found[1] if found else "", status="1",
            priority=given["priority"], fields={"description": given["description"].strip()},
        )  # fmt: skip
        ticket.messages.append(Message("backledger", ticket.fields["description"], ours=True))
        return reply(201, as_json(ticket))

    def follow_up(self, given: dict[str, Any]) -> Response:
        ticket = self.present(str(given.get("ticket")))
        if ticket is None:
            return reply(400, {"ticket": ["Invalid pk - object does not exist."]})
        if given.get("new_status", 1) not in STATUSES:
            return reply(400, {"new_status": ["This is not a valid choice."]})
        plain = rendered(given.get("comment", ""))
        if plain is None:
            return Response(500, b"<h1>Server Error (500)</h1>", {"Content-Type": "text/html"})
        ticket.subject = given.get("title") or ticket.subject
        ticket.messages.append(Message("backledger", plain, ours=True))
        ticket.status = str(given.get("new_status", ticket.status))
        return reply(201, {"id": comment_id(ticket, len(ticket.messages) - 1), "ticket": int(ticket.id)})

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        document = as_json(self.ticket(ticket_id))
        number = int(event.rpartition("-")[2]) * 100_000
        document["followup_set"].append({"id": number, "user": TINA, "comment": "Looked at it.", "date": at})
        body = {"ticket": document, "queue_slug": "backups", "followup_id": number}
        credentials = base64.b64encode(f"backledger:{SECRET}".encode()).decode()
        return {"Authorization": f"Basic {credentials}"}, json.dumps(body).encode()


def rendered(text: str) -> str | None:
    """What Django's template language makes of a comment without variables; None where it would fail."""
    parts = re.split(r"(\{\{.*?\}\})", text)
    plain = [part if number % 2 == 0 else LITERAL.get(part) for number, part in enumerate(parts)]
    if any(part is None or "{%" in part or "%}" in part for part in plain):
        return None
    return "".join(part for part in plain if part).strip()


def choice(values: dict[int, str]) -> dict[str, Any]:
    return {"type": "choice", "choices": [{"value": value, "display_name": word} for value, word in values.items()]}


def comment_id(ticket: DeskTicket, number: int) -> int:
    return int(ticket.id) * 1000 + number


def as_json(ticket: DeskTicket) -> dict[str, Any]:
    comments = [
        {
            "id": comment_id(ticket, number), "ticket": int(ticket.id), "user": US if said.ours else TINA,
            "title": ticket.subject, "comment": said.text, "new_status": None, "date": WHEN,
        }
        for number, said in enumerate(ticket.messages)
    ]  # fmt: skip
    return {
        "id": int(ticket.id), "queue": 1, "title": ticket.subject, "description": ticket.fields["description"],
        "assigned_to": TINA if ticket.assignee else None, "status": int(ticket.status), "priority": ticket.priority,
        "merged_to": None, "followup_set": comments,
    }  # fmt: skip


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(DjangoHelpdesk())
    stored = {
        "url": desk.url, "token": TOKEN, "queue": "1", "webhook_secret": SECRET, "people": {str(TINA): "Tina Tech"},
    }  # fmt: skip
    return Bench(
        gateway=GATEWAYS["django-helpdesk"],
        desk=desk,
        stored=stored,
        bad_field=("queue", "backups"),
        wrong_credentials={"token": "wr0ng-token"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
