"""A real web server with the ingest door, on the test database, for tests that speak HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Any, Self

import requests
import uvicorn

from msp.ingest.door import Door


async def nothing_else(scope: Any, receive: Any, send: Any) -> None:
    """Stands for Django behind the door."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"behind the door"})


class RunningDoor:
    """Use as a context manager; ``url`` is the server's base. ``woken`` counts how often the worker was called."""

    def __init__(self, *, most: int = 1_000_000, queue_size: int = 2000) -> None:
        self.woken = 0
        self.door = Door(nothing_else, most=most, queue_size=queue_size, wake=self._wake)
        config = uvicorn.Config(self.door, host="127.0.0.1", port=0, log_level="warning", lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)

    def _wake(self) -> None:
        self.woken += 1

    def woken_in_the_end(self) -> int:
        """How often the worker was called, once it was called at all."""
        deadline = time.monotonic() + 60
        while not self.woken and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.woken

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started:
            assert time.monotonic() < deadline, "the web server did not start"
            time.sleep(0.02)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)

    def begin_stop(self) -> None:
        """Ask the server to end, without waiting for it."""
        self._server.should_exit = True

    def post(self, path: str, body: Any, *, key: str, headers: dict[str, str] | None = None) -> requests.Response:
        given = {"Authorization": f"Bearer {key}"} | (headers or {})
        return requests.post(f"{self.url}{path}", data=body, headers=given, timeout=30)
