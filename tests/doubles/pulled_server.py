"""What the doubles of systems that are pulled from share: a running HTTP server with faults that come when wanted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.doubles.http_server import DROPPED, Request, Response, RunningServer

#: What may go wrong with an answer, by name.
FAULTS: Mapping[str, Callable[[Response], Response]] = {
    "too many requests": lambda good: Response(429, b'{"error": "slow down"}', {"Retry-After": "90"}),
    "half an answer": lambda good: Response(good.status, good.body[: len(good.body) // 2], good.headers),
    "a web page": lambda good: Response(200, b"<html><body>Welcome</body></html>", {"Content-Type": "text/html"}),
    "slow": lambda good: Response(good.status, good.body, good.headers, seconds_per_byte=0.5),
    "broken": lambda good: Response(500, b"internal error"),
    "dropped": lambda good: DROPPED,
    "huge": lambda good: Response(200, b"[" + b" " * (33 * 1024 * 1024) + b"]"),
    "another shape": lambda good: Response(200, b'"fine"'),
}


class PulledServer:
    """Base of the doubles: ``answer`` is called for each request; ``clock`` is the time that this server believes."""

    def __init__(self, *, clock: datetime) -> None:
        self.clock = clock
        self.asked: list[str] = []
        self._faults: list[str] = []
        self._skip = 0
        self._lock = threading.Lock()
        self._running = RunningServer(self._serve)

    def __enter__(self) -> Self:
        self._running.__enter__()
        return self

    def __exit__(self, *told: Any) -> None:
        self._running.__exit__(*told)

    @property
    def url(self) -> str:
        return self._running.url

    def fail_next(self, *faults: str, after: int = 0) -> None:
        """The next answers are these faults, once ``after`` good ones were given."""
        self._faults, self._skip = list(faults), after

    def answer(self, request: Request, path: str, query: dict[str, str]) -> Response:
        raise NotImplementedError

    def json(self, document: Any, *, status: int = 200) -> Response:
        told = {"Content-Type": "application/json", "Date": format_datetime(self.clock.astimezone(UTC), usegmt=True)}
        return Response(status, json.dumps(document).encode(), told)

    def _serve(self, request: Request) -> Response:
        parts = urlsplit(request.target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self._lock:
            self.asked.append(parts.path)
            good = self.answer(request, parts.path, query)
            if self._faults and self._skip == 0:
                return FAULTS[self._faults.pop(0)](good)
            self._skip = max(0, self._skip - 1)
            return good


def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))
