"""Lets the nights pass: the clock of the demonstration moves from event to event, and the real line does the rest.

At each moment the logs that have come in are stored and processed, what is due is evaluated as the sweep does, and
tickets are delivered; all of it for this tenant alone, so that nobody else's rows are touched by a clock that runs in
the past. Moments are those at which logs come in, clocks run out (to the next quarter of an hour) or people act.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from alerts.delivering import deliver_ticket
from alerts.evaluating import evaluate_clients, evaluate_jobs, evaluate_tenant, mark_due
from alerts.incidents import look_again
from alerts.subjects import CAUSES_FIRST, LOADERS, evaluate_kind
from msp.demo.logs import write_log
from msp.demo.logs.told import envelope_of
from msp.demo.nights import PlannedRun
from msp.demo.scenario import Stray
from msp.ingest.storing import Incoming, store
from msp.outbox import lanes
from msp.pipeline import process_receipts

#: Logs that come in so close together are read together.
TOGETHER = timedelta(minutes=18)
QUARTER = timedelta(minutes=15)
AT_ONCE = 50

CLOCKS = """
    SELECT 'incident' AS kind, id, check_after FROM alerts_incident
    WHERE tenant_id = %(tenant)s AND state = 'open' AND check_after IS NOT NULL
    UNION ALL
    SELECT 'job', job_id, check_after FROM backups_jobstate WHERE tenant_id = %(tenant)s AND check_after IS NOT NULL
    UNION ALL
    SELECT subject_kind, subject_id, check_after FROM alerts_subjectstate
    WHERE tenant_id = %(tenant)s AND check_after IS NOT NULL
"""
NEXT = f"SELECT min(check_after) FROM ({CLOCKS}) AS clock"  # noqa: S608  (a text of ours)
DUE = f"SELECT kind, array_agg(id ORDER BY id) FROM ({CLOCKS}) AS clock WHERE check_after <= %(now)s GROUP BY kind"  # noqa: S608


@dataclass(frozen=True)
class Event:
    """Something that happens at a moment besides logs and clocks."""

    at: datetime
    what: Callable[[datetime], None]


class Clock:
    """The demonstration's clock for one tenant. ``pause``: logs of this time are only read after it."""

    def __init__(
        self, tenant_id: int, incoming: Sequence[Incoming], *, pause: tuple[datetime, datetime] | None = None
    ) -> None:
        self.tenant_id = tenant_id
        self.incoming = sorted(incoming, key=lambda one: one.received_at)
        self.pause = pause
        self.place = 0
        self.unread: list[int] = []
        self.was_paused = False

    def play(self, events: Sequence[Event], *, starts_at: datetime, now: datetime) -> None:
        """From the beginning to now."""
        moment = starts_at
        for event in sorted(events, key=lambda one: one.at):
            self.pass_time(moment, event.at)
            event.what(event.at)
            moment = event.at
        self.pass_time(moment, now)

    def pass_time(self, moment: datetime, until: datetime) -> None:
        while moment < until:
            moment = min(self.next_moment(moment), until)
            self.live(moment)

    def next_moment(self, moment: datetime) -> datetime:
        """When the next logs are in or the next clock has run out, whichever is first; always later than ``moment``."""
        candidates = [one for one in (self.next_arrival(), self.next_due(), self.pause_end(moment)) if one is not None]
        return max(min(candidates, default=datetime.max.replace(tzinfo=UTC)), moment + timedelta(seconds=1))

    def next_arrival(self) -> datetime | None:
        """The arrival of the last log of the next group."""
        if self.place == len(self.incoming):
            return None
        first = self.incoming[self.place].received_at
        group = [one.received_at for one in self.incoming[self.place : self.place + AT_ONCE]]
        return max(at for at in group if at - first <= TOGETHER) + timedelta(seconds=1)

    def next_due(self) -> datetime | None:
        with connection.cursor() as cursor:
            cursor.execute(NEXT, {"tenant": self.tenant_id})
            (first,) = cursor.fetchone()
        return None if first is None else quarter_after(first)

    def pause_end(self, moment: datetime) -> datetime | None:
        if self.pause is None or not self.unread:
            return None
        middle = self.pause[0] + (self.pause[1] - self.pause[0]) / 2
        return middle if moment < middle else self.pause[1]

    def live(self, now: datetime) -> None:
        """What the service does at a moment: take in, read, sweep, deliver."""
        self.take_in(now)
        paused = self.pause is not None and self.pause[0] <= now < self.pause[1]
        if not paused:
            process_receipts(self.tenant_id, self.unread, now=now)
            self.unread = []
        if paused or self.was_paused:
            mark_due(self.tenant_id, "tenant", [self.tenant_id], now=now)
        self.was_paused = paused
        sweep_tenant(self.tenant_id, now=now)
        deliver_tenant(self.tenant_id, now=now)

    def take_in(self, now: datetime) -> None:
        begin = self.place
        while self.place < len(self.incoming) and self.incoming[self.place].received_at <= now:
            self.place += 1
        kept = store(self.tenant_id, self.incoming[begin : self.place], now=now)
        self.unread += [one.receipt_id for one in kept]


def quarter_after(moment: datetime) -> datetime:
    """The moment itself if it is a full quarter of an hour, else the next one."""
    whole = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
    return whole if whole == moment else whole + QUARTER


def sweep_tenant(tenant_id: int, *, now: datetime) -> None:
    """What ``alerts.sweeping`` does for everybody, for one tenant: evaluate what is due."""
    with transaction.atomic():
        due = load_due(tenant_id, now=now)
        for kind in CAUSES_FIRST:
            evaluate_due(tenant_id, kind, due, now=now)
        look_again(tenant_id, due.get("incident", []), now=now)
        evaluate_jobs(tenant_id, due.get("job", []), now=now)
        evaluate_clients(tenant_id, due.get("client", []), now=now)
        if "tenant" in due:
            evaluate_tenant(tenant_id, now=now)
        for kind in LOADERS:
            if kind not in CAUSES_FIRST:
                evaluate_due(tenant_id, kind, due, now=now)


def evaluate_due(tenant_id: int, kind: str, due: dict[str, list[int]], *, now: datetime) -> None:
    if kind in due:
        evaluate_kind(kind, tenant_id, due[kind], now=now)


def load_due(tenant_id: int, *, now: datetime) -> dict[str, list[int]]:
    """The ids of what is due by now, by kind."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"tenant": tenant_id, "now": now})
        return dict(cursor.fetchall())


def deliver_tenant(tenant_id: int, *, now: datetime) -> None:
    """Deliver this tenant's tickets, to the desk on this machine."""
    while claims := lanes.claim("ticket", now=now, limit=20, tenant_id=tenant_id):
        for claim in claims:
            deliver_ticket(claim, now=now, allow_private=True)


# --- deliveries ----------------------------------------------------------------------------------------------------


def deliveries_of(runs: Sequence[PlannedRun], *, server_ids: dict[str, int]) -> Iterator[Incoming]:
    """The logs of these runs as they come through the door."""
    for run in runs:
        written = write_log(run.job.product, run.told)
        content = json.dumps(envelope_of(written, run.told)).encode() if written.wrapped else written.stdout
        yield Incoming(
            door="demo",
            delivery_id=run.told.seed[:200],
            content=content,
            received_at=run.arrives_at,
            server_id=server_ids[run.job.server],
            meta={"envelope": written.wrapped, "content_type": "application/json"},
        )


def stray_delivery(stray: Stray, *, at: datetime, server_ids: dict[str, int]) -> Incoming:
    digest = hashlib.sha256(f"{stray.server}{stray.content}".encode()).hexdigest()
    return Incoming(
        door="demo",
        delivery_id=f"stray-{stray.days_ago}-{digest[:20]}",
        content=stray.content.encode(),
        received_at=at,
        server_id=server_ids[stray.server],
        meta={"envelope": False, "job": stray.job, "format": stray.format},
    )
