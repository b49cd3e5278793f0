"""Posts prepared requests over a fixed number of kept connections, as fast as the server answers.

The requests are bytes before the clock starts, and an answer is only looked at for its status and length: on a machine
that product and load share, the load must cost as little as it can. Stops after all requests, or when the time is up.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

CONNECTIONS = 64
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Posted:
    """``seconds`` from the first request to the last answer; ``waits`` in seconds, shortest first; statuses counted."""

    seconds: float
    waits: tuple[float, ...]
    statuses: Counter[int]

    @property
    def number(self) -> int:
        return len(self.waits)

    def percentile(self, share: float) -> float:
        return self.waits[min(len(self.waits) - 1, math.ceil(share * len(self.waits)) - 1)]


def make_request(path: str, *, key: str, body: bytes, content_type: str = "text/plain") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def post_all(requests: Sequence[bytes], *, port: int, seconds: float, connections: int = CONNECTIONS) -> Posted:
    """Send all of them to 127.0.0.1; none is begun after ``seconds``. Raises TimeoutError for a lost answer."""
    return uvloop.run(Load(requests, port=port, seconds=seconds, connections=connections).run())


class Load:
    """What all connections share: the requests still to be sent, and what came back."""

    def __init__(self, requests: Sequence[bytes], *, port: int, seconds: float, connections: int) -> None:
        self._left = iter(requests)
        self._port = port
        self._seconds = seconds
        self._connections = min(connections, len(requests))
        self._end = math.inf
        self.waits: list[float] = []
        self.statuses: Counter[int] = Counter()

    async def run(self) -> Posted:
        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)
            for _ in range(self._connections)
        ]
        begin = time.perf_counter()
        self._end = begin + self._seconds
        for _, protocol in opened:
            protocol.send_next()
        async with asyncio.timeout(self._seconds + ANSWER_SECONDS):
            await asyncio.gather(*(protocol.finished for _, protocol in opened))
        seconds = time.perf_counter() - begin
        for transport, _ in opened:
            transport.close()
        return Posted(seconds, tuple(sorted(self.waits)), self.statuses)

    def next_request(self) -> bytes | None:
        return next(self._left, None) if time.perf_counter() < self._end else None


class Connection(asyncio.Protocol):
    """One kept connection with one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._since = 0.0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send_next(self) -> None:
        request = self._load.next_request()
        if request is None:
            self.finished.set_result(None)
            return
        self._since = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if is_whole(self._received):
            self._load.waits.append(time.perf_counter() - self._since)
            self._load.statuses[int(self._received[9:12])] += 1
            self._received = b""
            self.send_next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(error or ConnectionError("the server closed a connection under load"))


def is_whole(answer: bytes) -> bool:
    """Whether head and body have come in; our server always says how long the body is."""
    head_end = answer.find(b"\r\n\r\n")
    if head_end < 0:
        return False
    head = answer[:head_end].lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    return len(answer) >= head_end + 4 + length
