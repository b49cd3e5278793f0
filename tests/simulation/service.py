"""The product under a clock of its own: logs come in, the line works, the sweep runs, or the service is down.

Nothing is replaced but the clock: deliveries are stored as any door stores them, the pipeline and the sweep are the
product's. Called by the property test and by the simulated year, on a database that is theirs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from alerts import heartbeats, sweeping
from msp import pipeline
from msp.ingest.storing import Incoming, store

BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Told:
    """One log as a server sends it: what our own JSON says of one run, and when it reaches the door."""

    server_id: int
    job: str
    arrives_at: datetime
    ended_at: datetime
    started_at: datetime | None = None
    operation: str = "backup"
    outcome: str = "success"
    protected_bytes: int | None = None
    transferred_bytes: int | None = None
    changed_bytes: int | None = None
    components: Sequence[dict[str, Any]] = ()
    errors: Sequence[str] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def arriving(self, at: datetime) -> Told:
        """The same log, at the door at another time."""
        return self if at == self.arrives_at else replace(self, arrives_at=at)

    def content(self) -> bytes:
        run: dict[str, Any] = {
            "operation": self.operation,
            "outcome": self.outcome,
            "job": self.job,
            "run_id": f"{self.job}/{self.operation}/{(self.started_at or self.ended_at).isoformat()}",
            "started_at": None if self.started_at is None else self.started_at.isoformat(),
            "ended_at": None if self.outcome == "running" else self.ended_at.isoformat(),
            "protected_bytes": self.protected_bytes,
            "transferred_bytes": self.transferred_bytes,
            "changed_bytes": self.changed_bytes,
            "basis": None if self.protected_bytes is None else "logical-once",
            "complete": self.outcome == "success",
            "errors": [{"message": message, "severity": "error", "kind": "other"} for message in self.errors],
            "components": list(self.components),
            **self.extra,
        }
        return orjson.dumps({"backledger": 1, "runs": [{k: v for k, v in run.items() if v is not None}]})


class Service:
    """The running product. ``down`` from ``stop`` to ``start``: nothing is read and nothing is swept."""

    def __init__(self, tenant_id: int, *, pace: timedelta) -> None:
        """``pace``: between two looks; what is usual here must not pass for an interruption of the sweep."""
        heartbeats.INTERRUPTION = pace + timedelta(minutes=1)
        self.tenant_id = tenant_id
        self.is_up = True
        self.posted = 0

    def post(self, logs: Iterable[Told]) -> None:
        """Store the logs as they arrive; a sender keeps what finds no open door, so call it when the service is up."""
        waiting: list[Incoming] = []
        for log in logs:
            self.posted += 1
            waiting.append(
                Incoming("http", f"simulated {self.posted}", log.content(), log.arrives_at, log.server_id, {})
            )
        for begin in range(0, len(waiting), BATCH):
            part = waiting[begin : begin + BATCH]
            store(self.tenant_id, part, now=part[-1].received_at)

    def work(self, now: datetime) -> None:
        """What the workers do at this moment: read what waits, then sweep what is due, while the service is up."""
        if self.is_up:
            pipeline.process_waiting(now=lambda: now)
            sweeping.sweep(now=now)

    def look(self, now: datetime, *, arrived: bool) -> None:
        """The sweep runs at each look in life; here it only notes that it lives where no clock is due."""
        due = self.next_due()
        if arrived or (due is not None and due <= now):
            self.work(now)
        elif self.is_up:
            heartbeats.beat(now=now)

    def next_due(self) -> datetime | None:
        """The earliest clock of all; None when nothing is due ever."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT least((SELECT min(check_after) FROM backups_jobstate), "
                "(SELECT min(check_after) FROM alerts_subjectstate), "
                "(SELECT min(check_after) FROM alerts_incident WHERE state = 'open'))"
            )
            moment: datetime | None = cursor.fetchone()[0]
            return moment


def moments(begin: datetime, end: datetime, step: timedelta) -> Iterable[datetime]:
    """Every step from begin to end, both included."""
    while begin <= end:
        yield begin
        begin += step
