"""Plays a company through the year: every log by the line, every clock by the sweep, one outage of the service itself.

A technician accepts what only a person may close, two days after it opened. Called by the command and by a test with
a small company and a short time; what comes out is judged by ``scoring``.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection

from alerts.acting import CannotAct, close_by_hand
from alerts.models import Incident
from msp.partitions import ensure_partitions
from tests.simulation.company import Company, SimulatedJob
from tests.simulation.faults import Fault, logs_of
from tests.simulation.service import Service, Told, moments

STEP = timedelta(hours=1)
DAY = timedelta(days=1)
ACCEPTED_AFTER = 2 * DAY
TEST_DAY = 15


@dataclass(frozen=True)
class Outage:
    """The service itself is down; senders keep their logs and deliver them within an hour afterwards."""

    begins: datetime
    ends: datetime


def restore_test(job: SimulatedJob, day: date) -> Told:
    """Every other month somebody restores something of every job, and it works."""
    begun = datetime.combine(day, time(11), tzinfo=UTC) + timedelta(seconds=job.number)
    ended = begun + timedelta(minutes=15)
    return Told(
        server_id=job.server_id, job=job.name, operation="restore", started_at=begun, ended_at=ended, arrives_at=ended
    )


class Year:
    """One company under one service, looked at each ``step``, of which a day is a multiple."""

    def __init__(
        self, company: Company, faults: Sequence[Fault], *, outage: Outage | None, step: timedelta = STEP
    ) -> None:
        self.company, self.outage, self.pace = company, outage, step
        self.service = Service(company.tenant.pk, pace=step)
        self.faults: dict[int, list[Fault]] = {}
        for fault in faults:
            for job_id in fault.jobs:
                self.faults.setdefault(job_id, []).append(fault)
        self.coming: list[tuple[datetime, int, Told]] = []
        self.planned = 0

    def play(self, begin: datetime, end: datetime, *, say: Callable[[str], None] = lambda _: None) -> None:
        planned_until = begin - DAY
        for now in moments(begin, end, self.pace):
            while planned_until < now + DAY:
                self.plan(planned_until.date(), begin=begin)
                planned_until += DAY
            if now.hour == 0 and now.minute == 0:
                self.begin_day(now, say)
            self.step(now)

    def begin_day(self, now: datetime, say: Callable[[str], None]) -> None:
        ensure_partitions(now)
        if now.day == 1:
            incidents = Incident.objects.of(self.company.tenant).count()
            say(f"{now:%B}: {self.service.posted:,} logs, {incidents:,} incidents")
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        if self.service.is_up:
            self.accept(now)

    def plan(self, day: date, *, begin: datetime) -> None:
        """All logs of the nights that start on this local day, in order of arrival. What came before ``begin`` was
        never sent: it would be a backlog of hours, of which the first half says that the second is missing.
        """
        for job in self.company.jobs:
            for log in self.nightly(job, day):
                if log.arrives_at >= begin:
                    self.planned += 1
                    heapq.heappush(self.coming, (self.arrival(log), self.planned, log))

    def nightly(self, job: SimulatedJob, day: date) -> Iterator[Told]:
        if day.day == TEST_DAY and day.month % 2:
            yield restore_test(job, day)
        for night in job.nights(day):
            spoiled = [fault for fault in self.faults.get(job.job_id, ()) if fault.covers(night.started_at)]
            yield from logs_of(job, night, spoiled[0] if spoiled else None)

    def arrival(self, log: Told) -> datetime:
        """When it reaches the door: a sender that found it closed tries again, each at its own minute."""
        if self.outage is None or not self.outage.begins <= log.arrives_at < self.outage.ends:
            return log.arrives_at
        return self.outage.ends + timedelta(minutes=(self.planned * 7) % 60)

    def step(self, now: datetime) -> None:
        is_down = self.outage is not None and self.outage.begins <= now < self.outage.ends
        self.service.is_up = not is_down
        if is_down:
            return
        arrived: list[Told] = []
        while self.coming and self.coming[0][0] <= now:
            at, _, log = heapq.heappop(self.coming)
            arrived.append(log.arriving(at))
        self.service.post(arrived)
        self.service.look(now, arrived=bool(arrived))

    def accept(self, now: datetime) -> None:
        """What only a person closes is looked at and accepted after two days."""
        waiting = Incident.objects.of(self.company.tenant).filter(
            state="open", sticky=True, opened_at__lte=now - ACCEPTED_AFTER
        )
        for uid in list(waiting.values_list("uid", flat=True)):
            try:
                close_by_hand(self.company.tenant, uid, actor="technician", reason="Seen and accepted.", now=now)
            except CannotAct:
                continue
