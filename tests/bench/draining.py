"""Measures telling: thousands of incidents against a ticket system that answers after a tenth of a second.

One delivery worker, as ``make run`` starts it, empties the outbox; its limit is the destination's own number of calls a
minute. A storm from one dead server is measured beside it: how many tickets it makes.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count as counting

from alerts.models import Destination, Route, Ticket
from alerts.sweeping import sweep
from msp.tenants.models import Tenant
from tests.bench.estate import make_overdue_jobs
from tests.bench.product import peak_mib, running_delivery
from tests.world import START, make_tenant

#: Calls a minute that the destination allows (vendors allow 60 to 700), and how long each answer takes.
CALLS_PER_MINUTE = 600
ANSWER_SECONDS = 0.1
#: The worker's first seconds, in which it starts and spends the burst, are not measured.
WARM_SECONDS = 20.0


@dataclass(frozen=True)
class Drained:
    """``incidents`` were opened within ``opening_seconds``; then ``told`` tickets a minute arrived for ``seconds``.

    ``start_mib`` and ``end_mib`` are the worker's peak before and after; ``doubled`` tickets arrived twice.
    """

    incidents: int
    opening_seconds: float
    seconds: float
    told: int
    doubled: int
    start_mib: float
    end_mib: float

    @property
    def per_minute(self) -> float:
        return self.told * 60 / self.seconds

    @property
    def share(self) -> float:
        """Of what the destination allows."""
        return self.per_minute / CALLS_PER_MINUTE


@dataclass(frozen=True)
class Storm:
    """``incidents`` of one dead server made ``tickets``."""

    incidents: int
    tickets: int
    seconds: float


class Desk:
    """A ticket system that takes its time; ``references`` are what was opened there, in order."""

    def __init__(self) -> None:
        self.references: list[str] = []
        self._numbers, self._lock = counting(1), threading.Lock()

    def open(self, body: bytes) -> dict[str, object]:
        time.sleep(ANSWER_SECONDS)
        with self._lock:
            self.references.append(json.loads(body)["reference"])
            return {"id": next(self._numbers)}


def run_drain(*, incidents: int, seconds: float) -> Drained:
    """Open the incidents, then let one worker tell them for so long. Raises RuntimeError when some did not open."""
    desk = Desk()
    with serving(desk) as port:
        tenant = routed_to(port)
        make_overdue_jobs(tenant, incidents, name="backup-drain", dead=False, now=datetime.now(UTC))
        begin = time.perf_counter()
        sweep(now=datetime.now(UTC))
        opening = time.perf_counter() - begin
        waiting = Ticket.objects.of(tenant).count()
        if waiting != incidents:
            raise RuntimeError(f"{incidents:,} jobs were due and {waiting:,} tickets wait")
        with running_delivery(os.environ) as worker:
            time.sleep(WARM_SECONDS)
            before, start_mib, measured = len(desk.references), peak_mib(worker.pid), time.perf_counter()
            time.sleep(seconds)
            told, passed = len(desk.references) - before, time.perf_counter() - measured
            end_mib = peak_mib(worker.pid)
    doubled = len(desk.references) - len(set(desk.references))
    return Drained(incidents, opening, passed, told, doubled, start_mib, end_mib)


def run_storm(*, incidents: int) -> Storm:
    """All jobs of a server that was not heard of; judged in one sweep."""
    tenant = routed_to(9)
    make_overdue_jobs(tenant, incidents, name="backup-dead", dead=True, now=datetime.now(UTC))
    begin = time.perf_counter()
    sweep(now=datetime.now(UTC))
    seconds = time.perf_counter() - begin
    return Storm(incidents, Ticket.objects.of(tenant).count(), seconds)


def routed_to(port: int) -> Tenant:
    """A tenant whose only route leads to the desk on this port, without a hold."""
    tenant = make_tenant(f"Bench desk {port}")
    config = {
        "base_url": f"http://127.0.0.1:{port}",
        "create_path": "/tickets",
        "create_body": {"reference": "{{ reference }}", "text": "{{ body }}"},
        "comment_path": "/tickets/{{ external_id }}/notes",
        "comment_body": {"text": "{{ body }}"},
        "close_path": "/tickets/{{ external_id }}",
        "close_body": {"status": "closed"},
    }
    desk = Destination.objects.of(tenant).create(
        name="desk", gateway="rest", config=config, created_at=START, calls_per_minute=CALLS_PER_MINUTE
    )
    Route.objects.of(tenant).create(destination=desk, position=1, hold_minutes=0)
    return tenant


@contextmanager
def serving(desk: Desk) -> Iterator[int]:
    """Serve it on a port of its own."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answer = json.dumps(desk.open(self.rfile.read(int(self.headers["Content-Length"])))).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: thousands of lines would be part of what is measured."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
