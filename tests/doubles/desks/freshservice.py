"""Freshservice as its API reference describes it: like Freshdesk, but wrapped objects, departments and workspaces.

It has no way to ask whose key it is; agents are looked up by their address.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Parts, reply
from tests.doubles.desks.freshdesk import KEY, MANDATORY, REQUESTER, SECRET, STATUSES, Freshdesk
from tests.doubles.http_server import Response

AGENT = "robot@msp.example"
PRIMARY = 2


class Freshservice(Freshdesk):
    company_field = "department_id"
    known = MANDATORY | {"tags", "department_id", "group_id", "type", "workspace_id"}

    def __init__(self) -> None:
        super().__init__()
        self.hides_tags = False

    def wrap(self, name: str, value: object) -> object:
        return {name: value}

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps[2:]:
            case "GET", ("agents",):
                agents = [{"id": 1, "email": AGENT, "first_name": "Robot", "last_name": None}]
                return reply(200, {"agents": [one for one in agents if one["email"] == parts.one("email")]})
            case "GET", ("agents", "2"):
                first, _, last = self.tickets[0].assignee.partition(" ")
                return reply(200, {"agent": {"id": 2, "first_name": first, "last_name": last}})
            case "GET", ("tickets", "filter"):
                return self.filtered(parts)
            case "GET", ("departments",):
                return self.page(parts, "departments", self.companies_there())
            case "GET", ("ticket_form_fields",):
                choices = [{"id": key, "value": word} for key, word in STATUSES.items()]
                return reply(200, {"ticket_fields": [{"name": "status", "choices": choices}]})
            case "POST", ("tickets",):
                return self.placed(parts)
        return self.alike(parts)

    def filtered(self, parts: Parts) -> Response:
        """Only the tickets of one workspace."""
        workspace, everywhere = int(parts.one("workspace_id", str(PRIMARY))), self.tickets
        self.tickets = [one for one in everywhere if one.fields["workspace"] == workspace]
        try:
            return self.searched(parts, "tickets")
        finally:
            self.tickets = everywhere

    def placed(self, parts: Parts) -> Response:
        response = self.create(parts.body)
        if response.status == 201:
            self.tickets[-1].fields["workspace"] = parts.body.get("workspace_id", PRIMARY)
        return response

    def as_json(self, ticket: Any) -> dict[str, Any]:
        shown = super().as_json(ticket)
        if self.hides_tags:
            del shown["tags"]
        return shown


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(Freshservice())
    stored = {"url": desk.url, "api_key": KEY, "requester": REQUESTER, "agent": AGENT, "webhook_secret": SECRET}
    return Bench(
        gateway=GATEWAYS["freshservice"],
        desk=desk,
        stored=stored,
        bad_field=("agent", "no address"),
        wrong_credentials={"api_key": "wr0ng-key"},
        unreachable={"url": "http://127.0.0.1:1"},
    )
