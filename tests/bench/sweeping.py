"""Measures the sweep: jobs that became overdue while nothing was posted, found by their clocks alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from alerts.sweeping import sweep
from tests.bench.estate import make_waiting_jobs
from tests.bench.ingesting import ask

LATER = 5_000


@dataclass(frozen=True)
class Swept:
    """``jobs`` were due; ``incidents`` and ``tickets`` were opened, within ``seconds``, by one process."""

    jobs: int
    incidents: int
    tickets: int
    seconds: float

    @property
    def checks_per_second(self) -> float:
        return self.jobs / self.seconds


def run_sweep(*, due: int) -> Swept:
    """Make the jobs, then sweep once. Raises RuntimeError when not every due job has its incident."""
    make_waiting_jobs(due=due, later=LATER, now=datetime.now(UTC))
    incidents, tickets = count("alerts_incident"), count("alerts_ticket")
    begin = time.perf_counter()
    sweep(now=datetime.now(UTC))
    seconds = time.perf_counter() - begin
    swept = Swept(due, count("alerts_incident") - incidents, count("alerts_ticket") - tickets, seconds)
    if swept.incidents != due:
        raise RuntimeError(f"{due:,} jobs were due and {swept.incidents:,} incidents opened")
    return swept


def count(table: str) -> int:
    return int(ask(f"SELECT count(*) FROM {table}"))
