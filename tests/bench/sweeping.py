"""Measures the sweep: jobs that became overdue while nothing was posted, found by their clocks alone; and a sweep
that finds nothing due, over many more jobs. The limit beside it is what PostgreSQL needs to copy the rows it wrote.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from alerts.sweeping import sweep
from msp.garbage import collect_seldom
from tests.bench.estate import make_waiting_jobs
from tests.bench.ingesting import ask, copy_seconds

IDLE_SWEEPS = 20
#: Every table in which the sweep leaves a row for an overdue job.
WRITTEN = ("alerts_incident", "alerts_incidentevent", "alerts_ticket", "alerts_ticketupdate", "outbox_lane")


@dataclass(frozen=True)
class Swept:
    """``jobs`` were due; ``incidents`` and ``tickets`` were opened, within ``seconds``, by one process. ``limit``: jobs
    a second if PostgreSQL did nothing but COPY the rows that were written.
    """

    jobs: int
    incidents: int
    tickets: int
    seconds: float
    limit: float

    @property
    def checks_per_second(self) -> float:
        return self.jobs / self.seconds


@dataclass(frozen=True)
class Idle:
    """The median of sweeps that found nothing due among ``jobs``."""

    jobs: int
    milliseconds: float


def run_sweep(*, due: int, later: int) -> Swept:
    """Make the jobs, then sweep once as a worker does. Raises RuntimeError when not every due job has its incident."""
    collect_seldom()
    make_waiting_jobs(due=due, later=later, now=datetime.now(UTC))
    incidents, tickets = count("alerts_incident"), count("alerts_ticket")
    begin = time.perf_counter()
    sweep(now=datetime.now(UTC))
    seconds = time.perf_counter() - begin
    limit = count("alerts_incident") / copy_seconds(WRITTEN)
    swept = Swept(due, count("alerts_incident") - incidents, count("alerts_ticket") - tickets, seconds, limit)
    if swept.incidents != due:
        raise RuntimeError(f"{due:,} jobs were due and {swept.incidents:,} incidents opened")
    return swept


def run_idle() -> Idle:
    """Sweep again and again over what ``run_sweep`` left: nothing is due any more."""
    sweep(now=datetime.now(UTC))
    taken = []
    for _ in range(IDLE_SWEEPS):
        begin = time.perf_counter()
        if sweep(now=datetime.now(UTC)):
            raise RuntimeError("something was due in a sweep that was to be idle")
        taken.append(time.perf_counter() - begin)
    return Idle(count("backups_jobstate"), statistics.median(taken) * 1000)


def count(table: str) -> int:
    return int(ask(f"SELECT count(*) FROM {table}"))
