"""A ticket system over HTTP, with the habits of real ones: numbered tickets, notes, a status, a paged list.

It keeps every request in ``log`` and can be told to fail at the next matching request. Like some real servers it does
not know idempotency, ignores filters that it does not know (all of them, if told so), and may answer 200 to a closing
without changing anything.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.doubles.desk import Fault, after_working, instead_of_working, reply
from tests.doubles.http_server import Request, Response, RunningServer

TOKEN = "Token s3cret-token-value"
PAGE_SIZE = 2


@dataclass
class Ticket:
    """A ticket as the server keeps it."""

    id: int
    title: str
    reference: str
    priority: object
    status: str = "new"
    notes: list[str] = field(default_factory=list)

    def asreply(self) -> dict[str, object]:
        return {"id": self.id, "title": self.title, "external_key": self.reference, "status": self.status,
                "url": f"https://desk.example/t/{self.id}", "notes": self.notes}  # fmt: skip


class TicketServer:
    """Use as a context manager; ``url`` is its base."""

    def __init__(self) -> None:
        self.tickets: list[Ticket] = []
        self.log: list[Request] = []
        self.ignore_filters = False
        self.ignore_closing = False
        self._faults: deque[tuple[str, Fault]] = deque()
        self._lock = threading.Lock()
        self._server = RunningServer(self._answer)

    @property
    def url(self) -> str:
        return self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def fail_next(self, fault: Fault, *, method: str = "") -> None:
        """The next request (of this method) fails so; later ones work again."""
        self._faults.append((method, fault))

    def writes(self) -> list[Request]:
        return [request for request in self.log if request.method != "GET"]

    def _answer(self, request: Request) -> Response:
        with self._lock:
            self.log.append(request)
            fault = self._take_fault(request.method)
            early = instead_of_working(fault, request)
            if early is not None:
                return early
            if request.headers.get("authorization") != TOKEN:
                return reply(401, {"detail": "Invalid token."})
            return after_working(fault, self._route(request))

    def _take_fault(self, method: str) -> Fault | None:
        if self._faults and self._faults[0][0] in ("", method):
            return self._faults.popleft()[1]
        return None

    def _route(self, request: Request) -> Response:
        parts = urlsplit(request.target)
        steps = [step for step in parts.path.split("/") if step]
        if steps == ["tickets"] and request.method == "POST":
            return self._create(json.loads(request.body))
        if steps == ["tickets"]:
            return self._list(parse_qs(parts.query))
        ticket = next((ticket for ticket in self.tickets if len(steps) > 1 and str(ticket.id) == steps[1]), None)
        if ticket is None:
            return reply(404, {"detail": "No such ticket."})
        if request.method == "GET":
            return reply(200, ticket.asreply())
        return self._change(ticket, steps[2:], json.loads(request.body))

    def _create(self, body: dict[str, Any]) -> Response:
        ticket = Ticket(len(self.tickets) + 1, body["title"], body.get("external_key", ""), body.get("priority"))
        ticket.notes.append(body["description"])
        self.tickets.append(ticket)
        return reply(201, {"ticket": ticket.asreply()})

    def _change(self, ticket: Ticket, action: list[str], body: dict[str, Any]) -> Response:
        ticket.notes.append(body["note"])
        if action == ["notes"]:
            return reply(201, {"ok": True})
        if not self.ignore_closing:
            ticket.status = body["status"]
        return reply(200, ticket.asreply())

    def _list(self, query: dict[str, list[str]]) -> Response:
        wanted = query.get("external_key", [""])[0]
        found = [t for t in self.tickets if self.ignore_filters or not wanted or t.reference == wanted]
        page = int(query.get("page", ["1"])[0])
        shown, rest = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE], found[page * PAGE_SIZE :]
        following = f"/tickets?external_key={wanted}&page={page + 1}" if rest else None
        return reply(200, {"results": [ticket.asreply() for ticket in shown], "next": following})
