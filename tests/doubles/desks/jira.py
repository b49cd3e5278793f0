"""Jira Cloud and Data Center as their REST references describe them: documents as text, statuses only by transitions.

Refuses unknown fields, types, priorities and organizations, summaries of two lines or over 255 letters, and text
that is no document (Cloud). Searches know only labels. Some calls answer a stranger as if nothing existed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

EMAIL, TOKEN, SECRET = "robot@msp.example", "jira-s3cret-token", "jira-signing-s3cret-long"
ME, FIELD = "5b10a2844c20165700ede21g", "customfield_10002"
CATEGORIES = {
    "Open": "new", "In Progress": "indeterminate", "Waiting for parts": "indeterminate", "Done": "done",
    "Won't do": "done",
}  # fmt: skip
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
KNOWN = frozenset({"project", "issuetype", "summary", "description", "labels", "priority", FIELD, "customfield_10010"})
FIELDS = [
    {"id": "summary", "name": "Summary", "schema": {"type": "string", "system": "summary"}},
    {"id": FIELD, "name": "Organizations", "schema": {"custom": "com.atlassian.servicedesk:sd-customer-organizations"}},
]
#: What a workflow offers: from one status to others, as (id, status).
TRANSITIONS = {
    "Open": (("11", "In Progress"), ("21", "Won't do"), ("31", "Done")),
    "In Progress": (("31", "Done"),), "Waiting for parts": (("31", "Done"),),
    "Done": (("41", "In Progress"),), "Won't do": (("41", "In Progress"),),
}  # fmt: skip


class Jira(Desk):
    open_status = "Open"
    closed_status = "Done"
    odd_status = "Waiting for parts"
    page_size = 2

    def __init__(self, *, cloud: bool = True) -> None:
        super().__init__()
        self.cloud = cloud
        self.stuck = False
        self.may = True

    def authorized(self, request: Request) -> bool:
        basic = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
        return request.headers.get("authorization") == (f"Basic {basic}" if self.cloud else f"Bearer {TOKEN}")

    def unauthorized(self, request: Request) -> Response:
        parts = request.target.split("?")[0]
        if parts.endswith(("/search/jql", "/search")):
            return reply(200, {"issues": [], "isLast": True, "total": 0})
        if request.method == "GET" and "/issue/" in parts:
            return reply(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]})
        return Response(401, b"Client must be authenticated to access this resource.")

    def route(self, parts: Parts) -> Response:
        if parts.steps[1] == "servicedeskapi":
            return self.organizations(int(parts.one("start", "0")), parts.request)
        if parts.steps[2] != ("3" if self.cloud else "2"):
            return reply(404, {"message": "null for uri"})
        match parts.method, parts.steps[3:]:
            case "GET", ("myself",):
                return reply(200, {"accountId" if self.cloud else "key": ME, "displayName": "Robot"})
            case "GET", ("mypermissions",):
                names = parts.one("permissions").split(",")
                return reply(200, {"permissions": {name: {"havePermission": self.may} for name in names}})
            case "GET", ("priority",):
                return reply(200, [{"id": str(n), "name": name} for n, name in enumerate(PRIORITIES)])
            case "GET", ("field",):
                return reply(200, FIELDS)
            case "GET", ("project", *rest):
                return self.project(list(rest), int(parts.one("startAt", "0")))
            case "GET", ("search", *rest) if list(rest) == (["jql"] if self.cloud else []):
                return self.search(parts)
            case "POST", ("issue",):
                return self.create(parts.body)
            case method, ("issue", ticket_id, *rest):
                return self.one(method, ticket_id, list(rest), parts)
        return reply(404, {"errorMessages": ["null for uri"]})

    def organizations(self, start: int, request: Request) -> Response:
        if not self.cloud and request.headers.get("x-experimentalapi") != "opt-in":
            return reply(412, {"errorMessage": "This API is experimental."})
        rows = [{"id": key, "name": name} for key, name in self.companies.items()]
        shown = rows[start : start + 50]
        return reply(200, {"start": start, "isLastPage": start + 50 >= len(rows), "values": shown})

    def project(self, rest: list[str], start: int) -> Response:
        projects = [{"key": "OPS", "name": "Operations"}, {"key": "DEV", "name": "Development"}]
        if rest == ["search"] and self.cloud:
            return reply(200, {"values": projects[start : start + 1], "isLast": start + 1 >= len(projects)})
        if not rest and not self.cloud:
            return reply(200, projects)
        if rest == ["OPS", "statuses"]:
            statuses = [status_json(name) for name in CATEGORIES]
            return reply(200, [{"name": "Task", "statuses": statuses}, {"name": "Incident", "statuses": statuses}])
        return reply(404, {"errorMessages": ["No project could be found with key 'NONE'."]})

    def search(self, parts: Parts) -> Response:
        jql = re.fullmatch(r'labels = "([A-Za-z0-9-]+)" ORDER BY created ASC', parts.one("jql"))
        if jql is None:
            return reply(400, {"errorMessages": ["Error in the JQL Query"]})
        found = [t for t in self.tickets if not t.gone and (self.ignore_filters or jql[1] in t.fields["labels"])]
        start = int(parts.one("nextPageToken", "0") if self.cloud else parts.one("startAt", "0"))
        rows = [{"id": t.id, "key": f"OPS-{t.id}", "fields": {"labels": t.fields["labels"]}}
                for t in found[start : start + self.page_size]]  # fmt: skip
        end = start + self.page_size
        if not self.cloud:
            return reply(200, {"issues": rows, "startAt": start, "maxResults": self.page_size, "total": len(found)})
        more = {"nextPageToken": str(end), "isLast": False} if end < len(found) else {"isLast": True}
        return reply(200, {"issues": rows, **more})

    def create(self, body: Any) -> Response:
        given = body["fields"]
        errors = self.errors_in(given)
        if errors:
            return reply(400, {"errorMessages": [], "errors": errors})
        ours = [label for label in given.get("labels", []) if label != "backledger"]
        companies = given.get(FIELD, [])
        ticket = self.new_ticket(
            subject=given["summary"], reference=ours[0] if ours else "", status="Open",
            company=str(companies[0]) if companies else "", priority=given.get("priority", {}).get("name"),
            fields={"labels": given.get("labels", []), "asked": given},
        )  # fmt: skip
        ticket.messages.append(Message("Robot", self.text_of(given["description"]), ours=True))
        return reply(201, {"id": ticket.id, "key": f"OPS-{ticket.id}", "self": "..."})

    def errors_in(self, given: dict[str, Any]) -> dict[str, str]:
        errors = {name: f"Field '{name}' cannot be set." for name in set(given) - KNOWN}
        if given.get("project") != {"key": "OPS"}:
            errors["project"] = "valid project is required"
        if given.get("issuetype", {}).get("name") not in ("Task", "Incident"):
            errors["issuetype"] = "Specify a valid issue type"
        summary = given.get("summary", "")
        if not summary or len(summary) > 255 or "\n" in summary:
            errors["summary"] = "Summary must be less than 255 characters, on one line."
        if given.get("priority", {}).get("name", "Low") not in PRIORITIES:
            errors["priority"] = "Priority name is not valid"
        if any(" " in label for label in given.get("labels", [])):
            errors["labels"] = "The label contains spaces which is invalid."
        for company in given.get(FIELD, []):
            if not isinstance(company, int) or str(company) not in self.companies:
                errors[FIELD] = "Operation value must be a number at array index 0"
        if self.text_of(given.get("description")) is None:
            errors["description"] = "Operation value must be an Atlassian Document"
        return errors

    def text_of(self, body: Any) -> Any:
        """The words of a body; None for what this kind of Jira does not take."""
        if not self.cloud:
            return body if isinstance(body, str) else None
        if not isinstance(body, dict) or (body.get("type"), body.get("version")) != ("doc", 1):
            return None
        return "\n\n".join(paragraph_text(node) for node in body["content"])

    def one(self, method: str, ticket_id: str, rest: list[str], parts: Parts) -> Response:
        ticket = self.present(ticket_id)
        if ticket is None:
            return reply(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]})
        match method, rest:
            case "GET", []:
                return reply(200, self.as_json(ticket))
            case "GET", ["comment"]:
                return reply(200, {"comments": self.comments(ticket), "total": len(ticket.messages)})
            case "POST", ["comment"]:
                return self.add(ticket, parts.body)
            case "GET", ["transitions"]:
                return reply(200, {"transitions": [transition_json(*way) for way in TRANSITIONS[ticket.status]]})
            case "POST", ["transitions"]:
                return self.move(ticket, parts.body)
        return reply(405, {})

    def as_json(self, ticket: DeskTicket) -> dict[str, Any]:
        assignee = {"displayName": ticket.assignee} if ticket.assignee else None
        fields = {"status": status_json(ticket.status), "labels": ticket.fields["labels"], "assignee": assignee}
        return {"id": ticket.id, "key": f"OPS-{ticket.id}", "fields": fields}

    def comments(self, ticket: DeskTicket) -> list[dict[str, Any]]:
        """Newest first, as asked for; the description is no comment."""
        who = "accountId" if self.cloud else "key"
        rows = [
            {"id": str(n), "author": {who: ME if m.ours else f"u{n}", "displayName": m.author},
             "body": document(m.text) if self.cloud else m.text, "created": "2026-11-22T22:00:00.000+0000"}
            for n, m in enumerate(ticket.messages) if n
        ]  # fmt: skip
        return rows[::-1]

    def add(self, ticket: DeskTicket, body: Any) -> Response:
        text = self.text_of(body.get("body"))
        if not text or set(body) - {"body", "properties"}:
            return reply(400, {"errors": {"comment": "Comment body is not valid!"}})
        ticket.fields["properties"] = body.get("properties")
        ticket.messages.append(Message("Robot", text, ours=True))
        return reply(201, {"id": str(len(ticket.messages))})

    def move(self, ticket: DeskTicket, body: Any) -> Response:
        ways = dict(TRANSITIONS[ticket.status])
        to = ways.get(body["transition"]["id"])
        if to is None:
            return reply(400, {"errorMessages": ["It seems that you have tried to perform an illegal operation."]})
        if to == "Done" and body.get("fields", {}).get("resolution", {}).get("name") not in ("Fixed", "Duplicate"):
            return reply(400, {"errors": {"resolution": "Please select a resolution."}})
        if not self.stuck:
            ticket.status = to
        return Response(204, b"")

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        sent = int(datetime.fromisoformat(at).timestamp() * 1000)
        issue = {"id": ticket_id, "key": f"OPS-{ticket_id}"}
        body = json.dumps({"timestamp": sent, "webhookEvent": "jira:issue_updated", "issue": issue,
                           "changelog": {"id": event}}).encode()  # fmt: skip
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return {"X-Hub-Signature": f"sha256={signature}", "X-Atlassian-Webhook-Identifier": event}, body


def paragraph_text(node: dict[str, Any]) -> str:
    assert node["type"] == "paragraph"
    assert all(child["type"] == "hardBreak" or child["text"] for child in node["content"])
    return "".join("\n" if child["type"] == "hardBreak" else child["text"] for child in node["content"])


def document(text: str) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = []
    for line in text.split("\n"):
        nodes += [{"type": "hardBreak"}] if nodes else []
        nodes += [{"type": "text", "text": line}] if line else []
    return {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": nodes}]}


def status_json(name: str) -> dict[str, Any]:
    return {"name": name, "statusCategory": {"key": CATEGORIES[name]}}


def transition_json(number: str, to: str) -> dict[str, Any]:
    fields = {"resolution": {"required": True, "allowedValues": [{"name": "Fixed"}, {"name": "Duplicate"}]}}
    return {"id": number, "name": f"Go to {to}", "to": status_json(to), "fields": fields if to == "Done" else {}}


def stored_for(desk: Jira) -> dict[str, object]:
    who = {"email": EMAIL} if desk.cloud else {"hosting": "data-center"}
    return {"url": desk.url, "token": TOKEN, "project": "OPS", "organization_field": FIELD,
            "webhook_secret": SECRET, "closed_status": "Done", **who}  # fmt: skip


def bench(stack: ExitStack, *, cloud: bool = True) -> Bench:
    desk = stack.enter_context(Jira(cloud=cloud))
    return Bench(
        gateway=GATEWAYS["jira"],
        desk=desk,
        stored=stored_for(desk),
        bad_field=("project", "no key!"),
        wrong_credentials={"token": "wr0ng-token"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
