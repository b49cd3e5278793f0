"""What the doubles of ticket systems share: tickets in memory, faults on demand, and people who work on tickets there.

A double is written from the vendor's published schema and refuses what the vendor refuses; it lives in ``desks/`` under
the name of its gateway and gives a ``bench``. The contract of all gateways runs over every bench.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from integrations.configuration import config_from_json
from integrations.tickets import Gateway
from tests.doubles.http_server import DROPPED, Request, Response, RunningServer

Fault = Literal[
    "answer lost after commit", "too many requests", "server error", "server error after commit", "unavailable",
    "slow answer", "html", "redirect to private", "refused", "echo credentials", "huge answer", "no id",
]  # fmt: skip

#: The companies of every double; any other is unknown there.
COMPANIES = {"17": "Acme Dental", "18": "Bright Bakery", "19": "Acme Dental Lab"}


@dataclass
class Message:
    """One message on a ticket there."""

    author: str
    text: str
    ours: bool


@dataclass
class DeskTicket:
    """A ticket as a double keeps it. ``fields`` are what the system stores besides."""

    id: str
    subject: str
    reference: str
    status: str
    company: str = ""
    priority: object = None
    assignee: str = ""
    messages: list[Message] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    gone: bool = False


@dataclass(frozen=True)
class Parts:
    """A request taken apart: the steps of its path, its query, and its body as JSON (None for no JSON)."""

    method: str
    steps: tuple[str, ...]
    query: Mapping[str, list[str]]
    body: Any
    request: Request

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]


class Desk(ABC):
    """Use as a context manager; ``url`` is its base. ``open_status`` and ``closed_status`` are the system's words."""

    open_status = "open"
    closed_status = "closed"
    odd_status = "waiting for parts"

    def __init__(self) -> None:
        self.tickets: list[DeskTicket] = []
        self.companies = dict(COMPANIES)
        self.log: list[Request] = []
        self.ignore_filters = False
        self._faults: deque[tuple[str, Fault]] = deque()
        self._lock = threading.RLock()
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

    # --- what a vendor's double says -------------------------------------------------------------------------------

    @abstractmethod
    def authorized(self, request: Request) -> bool:
        """Whether the credentials are ours."""

    @abstractmethod
    def route(self, parts: Parts) -> Response:
        """Do what the request asks and answer as the vendor does."""

    def is_write(self, parts: Parts) -> bool:
        """Whether a request is a write that a fault is meant for: log-ins and searches by POST are none."""
        return parts.method != "GET"

    def unauthorized(self, request: Request) -> Response:
        return reply(401, {"error": "Couldn't authenticate you"})

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of a genuine callback about this ticket; ``at`` is an ISO time."""
        raise NotImplementedError

    # --- what tests and people do ----------------------------------------------------------------------------------

    def fail_next(self, fault: Fault, *, on: Literal["write", "any"] = "write") -> None:
        """The next request (a write) fails so; later ones work again."""
        self._faults.append((on, fault))

    def ticket(self, ticket_id: str) -> DeskTicket:
        return next(ticket for ticket in self.tickets if ticket.id == ticket_id)

    def set_status_there(self, ticket_id: str, status: str) -> None:
        self.ticket(ticket_id).status = status

    def say_there(self, ticket_id: str, author: str, text: str) -> None:
        self.ticket(ticket_id).messages.append(Message(author, text, ours=False))

    def assign_there(self, ticket_id: str, name: str) -> None:
        self.ticket(ticket_id).assignee = name

    def delete_there(self, ticket_id: str) -> None:
        self.ticket(ticket_id).gone = True

    def arrived(self) -> list[str]:
        """Every message of ours, ticket by ticket, in order."""
        return [message.text for ticket in self.tickets for message in ticket.messages if message.ours]

    # --- helpers of doubles ----------------------------------------------------------------------------------------

    def present(self, ticket_id: str) -> DeskTicket | None:
        return next((ticket for ticket in self.tickets if ticket.id == ticket_id and not ticket.gone), None)

    def new_ticket(self, **values: Any) -> DeskTicket:
        ticket = DeskTicket(id=str(1001 + len(self.tickets)), **values)
        self.tickets.append(ticket)
        return ticket

    def _answer(self, request: Request) -> Response:
        with self._lock:
            self.log.append(request)
            parts = take_apart(request)
            fault = self._take_fault(parts)
            early = instead_of_working(fault, request)
            if early is not None:
                return early
            if not self.authorized(request):
                return self.unauthorized(request)
            return after_working(fault, self.route(parts))

    def _take_fault(self, parts: Parts) -> Fault | None:
        if self._faults and (self._faults[0][0] == "any" or self.is_write(parts)):
            return self._faults.popleft()[1]
        return None


@dataclass(frozen=True)
class Bench:
    """A gateway with its double. ``stored`` is the configuration as a person would store it."""

    gateway: Gateway
    desk: Desk
    stored: Mapping[str, object]
    bad_field: tuple[str, object]
    wrong_credentials: Mapping[str, object]
    unreachable: Mapping[str, object]

    @property
    def config(self) -> Any:
        return config_from_json(self.gateway.Config, dict(self.stored))


BenchMaker = Callable[[Any], Bench]


def take_apart(request: Request) -> Parts:
    split = urlsplit(request.target)
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    steps = tuple(unquote(step) for step in split.path.split("/") if step)
    return Parts(request.method, steps, parse_qs(split.query, keep_blank_values=True), body, request)


def reply(status: int, body: object) -> Response:
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def instead_of_working(fault: Fault | None, request: Request) -> Response | None:
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
            return reply(422, {"error": "Queue cannot be blank."})
        case "redirect to private":
            return Response(302, b"", {"Location": "http://169.254.169.254/latest/meta-data/"})
        case "echo credentials":
            return reply(400, {"you sent": dict(request.headers)})
        case "html":
            return Response(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})
        case _:
            return None


def after_working(fault: Fault | None, response: Response) -> Response:
    match fault:
        case "answer lost after commit":
            return DROPPED
        case "server error after commit":
            return Response(502, b"bad gateway")
        case "slow answer":
            return Response(response.status, response.body, response.headers, seconds_per_byte=0.2)
        case "huge answer":
            return Response(response.status, b'"' + b"x" * 2_000_000 + b'"')
        case "no id":
            return reply(response.status, {"message": "Thank you."})
        case _:
            return response
