"""What goes wrong in the simulated year, which kinds of incident must tell it, and within which time.

A fault changes the nights of its jobs while it lasts; what the product is told follows from that alone. Each has the
kinds of incident that would be right, the moment from which it can be seen and the time by which it must be flagged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from tests.simulation.company import Company, Night, SimulatedJob
from tests.simulation.service import Told

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Kind:
    """``lasts`` in days; ``expected`` any of these kinds; ``within`` from the first night concerned (its planned end);
    ``settles`` how long after the end its traces may still show without being false.
    """

    name: str
    lasts: float
    expected: frozenset[str]
    within: timedelta
    settles: timedelta
    needs: Callable[[SimulatedJob], bool]


def sized(job: SimulatedJob) -> bool:
    return job.reports_sizes and regular(job)


def daily(job: SimulatedJob) -> bool:
    return job.habit == "daily"


def with_components(job: SimulatedJob) -> bool:
    return job.has_components and regular(job)


def long_enough(job: SimulatedJob) -> bool:
    return daily(job) and job.minutes >= 25


def laptop(job: SimulatedJob) -> bool:
    return job.habit == "laptop"


def regular(job: SimulatedJob) -> bool:
    return job.habit in ("daily", "weekdays", "every 6h")


KINDS = {
    kind.name: kind
    for kind in (
        Kind("silent", 5, frozenset({"no_recent_backup", "did_not_start"}), 2 * HOUR, 3 * DAY, regular),
        Kind("silent laptop", 24, frozenset({"no_recent_backup"}), 15 * DAY, 4 * DAY, laptop),
        Kind("failing", 3, frozenset({"errors"}), HOUR, 3 * DAY, regular),
        Kind("blip", 0.9, frozenset({"errors"}), HOUR, 2 * DAY, daily),
        Kind("empty", 12, frozenset({"no_data_sent", "implausible_zero"}), 9 * DAY, 4 * DAY, sized),
        Kind("shrunk", 4, frozenset({"size_anomaly"}), 3 * DAY, 20 * DAY, sized),
        Kind("grown", 4, frozenset({"size_anomaly"}), 3 * DAY, 20 * DAY, sized),
        Kind("component", 3, frozenset({"component_failed"}), 3 * DAY, 3 * DAY, with_components),
        Kind("slow", 6, frozenset({"slow"}), 4 * DAY, 20 * DAY, long_enough),
        Kind("stuck", 3, frozenset({"still_running"}), 26 * HOUR, 3 * DAY, daily),
        Kind("future", 3, frozenset({"clock_skew"}), HOUR, 3 * DAY, daily),
        Kind("restore failed", 1, frozenset({"restore_failed"}), HOUR, 30 * DAY, daily),
        Kind("server down", 2.2, frozenset({"server_silent"}), 14 * HOUR, 4 * DAY, lambda job: True),
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fault:
    kind: Kind
    jobs: frozenset[int]
    server_id: int | None
    begins: datetime
    ends: datetime
    seen_from: datetime
    flag_by: datetime

    def covers(self, moment: datetime) -> bool:
        return self.begins <= moment < self.ends


def plan_faults(company: Company, *, begin: datetime, end: datetime, each: int, seed: int) -> list[Fault]:
    """So many faults of each kind, never two near each other on one job; of seven servers one goes down."""
    random, calendar = Random(seed), Calendar()
    servers = sorted({job.server_id for job in company.jobs})
    for server_id in random.sample(servers, -(-len(servers) // 7)):
        calendar.add(KINDS["server down"], company.of_server(server_id), random, begin=begin, end=end)
    for kind in KINDS.values():
        fit = [job for job in company.jobs if kind.needs(job)] if kind.name != "server down" else []
        added = 0
        for job in random.sample(fit, len(fit)):
            if added < each:
                added += calendar.add(kind, [job], random, begin=begin, end=end)
    return sorted(calendar.faults, key=lambda fault: fault.begins)


class Calendar:
    """The faults so far, and the days on which each job has had enough."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, kind: Kind, jobs: list[SimulatedJob], random: Random, *, begin: datetime, end: datetime) -> bool:
        """At a random time at which none of the jobs has another fault near; False where none is found."""
        for _ in range(30):
            fault = make_fault(kind, jobs, random, begin=begin, end=end)
            if fault is not None and not any(fault.jobs & other.jobs and near(fault, other) for other in self.faults):
                self.faults.append(fault)
                return True
        return False


def near(one: Fault, other: Fault) -> bool:
    apart = 45 * DAY
    return one.begins - apart < other.ends and other.begins - apart < one.ends


def make_fault(kind: Kind, jobs: list[SimulatedJob], random: Random, *, begin: datetime, end: datetime) -> Fault | None:
    """After two months in which the product has seen what is usual, and early enough to be seen and to end. None where
    no night falls into it: then nothing is wrong.
    """
    days = int((end - begin) / DAY - 60 - kind.lasts - 10)
    begins = begin + timedelta(days=60 + random.randrange(max(1, days)), hours=12)
    ends = begins + timedelta(days=kind.lasts)
    seen = first_seen(kind, jobs, begins, ends)
    if seen is None:
        return None
    one = len(jobs) == 1
    return Fault(
        kind=kind, jobs=frozenset(job.job_id for job in jobs), server_id=None if one else jobs[0].server_id,
        begins=begins, ends=ends, seen_from=seen, flag_by=seen + kind.within,
    )  # fmt: skip


def first_seen(kind: Kind, jobs: list[SimulatedJob], begins: datetime, ends: datetime) -> datetime | None:
    """When the first night that it concerns would have ended; for silence, when its grace after the start is over."""
    firsts = [night for job in jobs for night in nights_between(job, begins, ends) if not night.by_hand]
    if not firsts:
        return None
    first = min(firsts, key=lambda night: night.started_at)
    if kind.name == "silent" and not jobs[0].declared:
        # Without a schedule the tolerance of 26 hours counts from the last good run, and an hour of grace.
        return max(night.ended_at for night in nights_between(jobs[0], begins - 4 * DAY, begins)) + 27 * HOUR
    if kind.name in ("silent", "server down"):
        return first.started_at + HOUR
    return first.ended_at if kind.name != "silent laptop" else begins


def nights_between(job: SimulatedJob, begin: datetime, end: datetime) -> Iterable[Night]:
    day, zone = begin.astimezone(ZoneInfo(job.zone)).date() - DAY, ZoneInfo(job.zone)
    while day <= end.astimezone(zone).date():
        yield from (night for night in job.nights(day) if begin <= night.started_at < end)
        day += DAY


def logs_of(job: SimulatedJob, night: Night, fault: Fault | None) -> Iterable[Told]:
    """What the server sends of this night."""
    healthy = Told(
        server_id=job.server_id, job=job.name, started_at=night.started_at, ended_at=night.ended_at,
        arrives_at=night.ended_at + timedelta(seconds=20),
        protected_bytes=night.protected_bytes if job.reports_sizes else None,
        changed_bytes=night.changed_bytes if job.reports_sizes else None,
        transferred_bytes=night.changed_bytes // 2 if job.reports_sizes else None,
        components=components(failed=False) if job.has_components else (),
    )  # fmt: skip
    if fault is None:
        return [healthy]
    return list(SPOILERS[fault.kind.name](healthy, night, fault))


def components(*, failed: bool) -> tuple[dict[str, object], ...]:
    return tuple(
        {"type": "database", "name": name, "outcome": "failure" if failed and name == "ledger" else "success"}
        for name in ("shop", "ledger", "mail")
    )


def nothing(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
    return ()


def failed(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
    message = f"cannot write to repository: connection reset by peer ({night.started_at.minute})"
    yield replace(log, outcome="failure", protected_bytes=None, errors=(message,))


def empty(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
    yield replace(log, protected_bytes=0, transferred_bytes=0, changed_bytes=0)


def scaled(factor: float) -> Callable[[Told, Night, Fault], Iterable[Told]]:
    def change(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
        size = int(night.protected_bytes * factor)
        yield replace(log, protected_bytes=size, changed_bytes=size // 80, transferred_bytes=size // 160)

    return change


def component_failed(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
    yield replace(log, outcome="warning", components=components(failed=True), errors=("database ledger: timeout",))


def slow(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
    ended = night.started_at + 7 * (night.ended_at - night.started_at)
    yield replace(log, ended_at=ended, arrives_at=ended + timedelta(seconds=20))


def stuck(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
    """The first night starts and never ends; the next ones do not start."""
    if night.started_at < fault.begins + DAY:
        yield replace(
            log, outcome="running", ended_at=night.started_at, arrives_at=night.started_at + timedelta(seconds=20),
            protected_bytes=None, transferred_bytes=None, changed_bytes=None, components=(),
        )  # fmt: skip


def future(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
    ahead = timedelta(hours=5)
    yield replace(log, started_at=night.started_at + ahead, ended_at=night.ended_at + ahead)


def restore_failed(log: Told, night: Night, fault: Fault) -> Iterable[Told]:
    yield log
    ended = night.ended_at + timedelta(minutes=20)
    yield Told(
        server_id=log.server_id, job=log.job, operation="restore", outcome="failure", started_at=night.ended_at,
        ended_at=ended, arrives_at=ended + timedelta(seconds=20), errors=("checksum of users.mdb differs",),
    )  # fmt: skip


SPOILERS: dict[str, Callable[[Told, Night, Fault], Iterable[Told]]] = {
    "silent": nothing, "silent laptop": nothing, "server down": nothing, "failing": failed, "blip": failed,
    "empty": empty, "shrunk": scaled(0.3), "grown": scaled(3.5), "component": component_failed, "slow": slow,
    "stuck": stuck, "future": future, "restore failed": restore_failed,
}  # fmt: skip

OPENED = datetime(2025, 1, 1, tzinfo=UTC)
