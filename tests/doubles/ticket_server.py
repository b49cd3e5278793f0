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
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from tests.doubles.http_server import DROPPED, Request, Response, RunningServer

Fault = Literal[
    "answer lost after commit", "too many requests", "server error", "server error after commit", "unavailable",
    "slow answer", "html", "redirect to private", "refused", "echo credentials", "huge answer", "no id",
]  # fmt: skip

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

    def as_json(self) -> dict[str, object]:
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
            early = _instead_of_working(fault, request)
            if early is not None:
                return early
            if request.headers.get("authorization") != TOKEN:
                return _json(401, {"detail": "Invalid token."})
            return _after_working(fault, self._route(request))

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
            return _json(404, {"detail": "No such ticket."})
        if request.method == "GET":
            return _json(200, ticket.as_json())
        return self._change(ticket, steps[2:], json.loads(request.body))

    def _create(self, body: dict[str, Any]) -> Response:
        ticket = Ticket(len(self.tickets) + 1, body["title"], body.get("external_key", ""), body.get("priority"))
        ticket.notes.append(body["description"])
        self.tickets.append(ticket)
        return _json(201, {"ticket": ticket.as_json()})

    def _change(self, ticket: Ticket, action: list[str], body: dict[str, Any]) -> Response:
        ticket.notes.append(body["note"])
        if action == ["notes"]:
            return _json(201, {"ok": True})
        if not self.ignore_closing:
            ticket.status = body["status"]
        return _json(200, ticket.as_json())

    def _list(self, query: dict[str, list[str]]) -> Response:
        wanted = query.get("external_key", [""])[0]
        found = [t for t in self.tickets if self.ignore_filters or not wanted or t.reference == wanted]
        page = int(query.get("page", ["1"])[0])
        shown, rest = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE], found[page * PAGE_SIZE :]
        following = f"/tickets?external_key={wanted}&page={page + 1}" if rest else None
        return _json(200, {"results": [ticket.as_json() for ticket in shown], "next": following})


def _instead_of_working(fault: Fault | None, request: Request) -> Response | None:
    match fault:
        case "too many requests":
            return Response(429, b"{}", {"Retry-After": "17"})
        case "unavailable":
            return Response(
                503, b"", {"Retry-After": "Sun, 22 Nov 2026 22:02:00 GMT", "Date": "Sun, 22 Nov 2026 22:00:00 GMT"}
            )
        case "server error":
            return Response(500, b"oops")
        case "refused":
            return _json(422, {"error": "Queue cannot be blank."})
        case "redirect to private":
            return Response(302, b"", {"Location": "http://169.254.169.254/latest/meta-data/"})
        case "echo credentials":
            return _json(400, {"you sent": dict(request.headers)})
        case "html":
            return Response(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})
        case _:
            return None


def _after_working(fault: Fault | None, response: Response) -> Response:
    match fault:
        case "answer lost after commit":
            return DROPPED
        case "server error after commit":
            return Response(502, b"bad gateway")
        case "slow answer":
            return Response(response.status, response.body, response.headers, seconds_per_byte=0.05)
        case "huge answer":
            return Response(response.status, b'"' + b"x" * 2_000_000 + b'"')
        case "no id":
            return _json(response.status, {"message": "Thank you."})
        case _:
            return response


def _json(status: int, body: object) -> Response:
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
