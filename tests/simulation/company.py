"""A made-up MSP: clients in three zones, servers, jobs of several habits, and what each job's nights look like.

All of it follows from one seed. Nights are healthy here; ``faults`` says what goes wrong. Healthy nights are not
smooth: starts drift, sizes grow and wobble, laptops stay away, someone runs a backup by hand, updates delay a start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from alerts.models import Destination, Route
from msp.backups.models import BackupJob, JobState
from msp.estate.models import Machine, Selection
from msp.ingest.models import Assignment
from msp.tenants.models import Tenant
from tests.world import make_client, make_server, make_tenant

ZONES = ("Europe/Berlin", "Europe/Berlin", "Europe/Berlin", "America/New_York", "Australia/Sydney")
JOBS_A_SERVER = 50
JOBS_A_CLIENT = 20
GB = 10**9


@dataclass(frozen=True, kw_only=True)
class Night:
    """One planned run: when it starts and ends (UTC), what it selects, changes and sends."""

    started_at: datetime
    ended_at: datetime
    protected_bytes: int
    changed_bytes: int
    by_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class SimulatedJob:
    """A job with its habit. ``declared``: its schedule is set in the product; else the product has to make do."""

    number: int
    job_id: int
    server_id: int
    selection_id: int
    client_id: int
    name: str
    zone: str
    habit: str
    at: time
    weekday: int
    declared: bool
    size: int
    growth: float
    minutes: int
    has_components: bool
    reports_sizes: bool
    seed: int

    @property
    def schedule(self) -> str:
        """What a person would have set."""
        return {
            "daily": f"daily {self.at:%H:%M}",
            "laptop": f"daily {self.at:%H:%M}",
            "weekdays": f"weekdays {self.at:%H:%M}",
            "weekly": f"{('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')[self.weekday]} {self.at:%H:%M}",
            "every 6h": "every 6h",
        }[self.habit]

    def longest_pause(self) -> timedelta:
        """Between two starts of its schedule."""
        return {
            "daily": timedelta(hours=25),
            "laptop": timedelta(days=1),
            "weekdays": timedelta(days=3, hours=1),
            "weekly": timedelta(days=7, hours=1),
            "every 6h": timedelta(hours=6),
        }[self.habit]

    def nights(self, day: date) -> Iterator[Night]:
        """The healthy runs that start on this local day."""
        random = Random(self.seed * 100_003 + day.toordinal())
        if self.habit == "laptop" and self.is_away(day):
            return
        if self.habit == "weekdays" and day.weekday() > 4:
            return
        if self.habit == "weekly" and day.weekday() != self.weekday:
            return
        starts = [self.at]
        if self.habit == "every 6h":
            starts = [time((self.at.hour + 6 * turn) % 24, self.at.minute) for turn in range(4)]
        for start in sorted(starts):
            yield self.night(day, start, random, late=random.random() < 0.01)
        if random.random() < 0.002:
            yield self.night(day, time(random.randrange(8, 18), random.randrange(60)), random, by_hand=True)

    def night(self, day: date, start: time, random: Random, *, late: bool = False, by_hand: bool = False) -> Night:
        began = datetime.combine(day, start, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        began += timedelta(seconds=random.randrange(30, 600) + (1800 if late else 0))
        lasted = self.minutes * 60 * random.lognormvariate(0, 0.12)
        days = (day - date(2025, 1, 1)).days
        size = int(self.size * (1 + self.growth * days) * random.gauss(1, 0.004))
        changed = int(size * 0.012 * random.lognormvariate(0, 0.35))
        return Night(
            started_at=began,
            ended_at=began + timedelta(seconds=int(lasted)),
            protected_bytes=size,
            changed_bytes=changed,
            by_hand=by_hand,
        )

    def is_away(self, day: date) -> bool:
        """A laptop stays away most weekends, now and then on a day, and for up to ten days of holidays."""
        random = Random(self.seed * 7 + day.toordinal() // 61)
        holiday = random.randrange(61)
        if holiday <= day.toordinal() % 61 < holiday + random.choice((0, 0, 5, 9)):
            return True
        return Random(self.seed * 13 + day.toordinal()).random() < (0.8 if day.weekday() > 4 else 0.15)


@dataclass(frozen=True)
class Company:
    """The MSP as it is stored, with what the simulation knows of it."""

    tenant: Tenant
    jobs: tuple[SimulatedJob, ...]

    def of_server(self, server_id: int) -> list[SimulatedJob]:
        return [job for job in self.jobs if job.server_id == server_id]


def make_company(*, jobs: int, seed: int, opened_at: datetime) -> Company:
    """Store a tenant with so many jobs, all enabled, with a route to a mailbox."""
    random = Random(seed)
    tenant = make_tenant(f"Simulated MSP {seed}", timezone="Europe/Berlin")
    config = {
        "host": "127.0.0.1",
        "port": 9,
        "sender": "alerts@simulated.example",
        "recipient": "desk@simulated.example",
    }
    desk = Destination.objects.of(tenant).create(name="desk", gateway="email", config=config, created_at=opened_at)
    Route.objects.of(tenant).create(destination=desk, position=1)
    made: list[SimulatedJob] = []
    clients = [
        make_client(tenant, f"Client {number:03d}", timezone=ZONES[number % len(ZONES)])
        for number in range(-(-jobs // JOBS_A_CLIENT))
    ]
    servers = [
        make_server(tenant, f"backup{number:02d}", client=clients[0])[0]
        for number in range(max(3, -(-jobs // JOBS_A_SERVER)))
    ]
    for number in range(jobs):
        # Neighbours share a client; a server holds jobs of several clients.
        client, server = clients[number // JOBS_A_CLIENT], servers[number % len(servers)]
        made.append(make_job(tenant, number, client, server.pk, random, opened_at))
    return Company(tenant, tuple(made))


def make_job(
    tenant: Tenant, number: int, client: object, server_id: int, random: Random, opened_at: datetime
) -> SimulatedJob:
    habit = random.choices(("daily", "weekdays", "weekly", "every 6h", "laptop"), (70, 14, 4, 4, 8))[0]
    name, declared = f"job-{number:05d}", habit != "laptop" and random.random() < 0.5
    declared = declared or habit in ("weekly", "weekdays")
    machine = Machine.objects.of(tenant).create(
        client=client, name=f"machine-{number:05d}", machine_class="laptop" if habit == "laptop" else "server",
        registered_at=opened_at,
    )  # fmt: skip
    selection = Selection.objects.of(tenant).create(
        client=client, machine=machine, name=f"selection {number:05d}", registered_at=opened_at
    )
    at = time(random.choice((20, 21, 22, 23, 0, 1, 2, 3, 4)), random.choice((0, 15, 30, 45)))
    known = SimulatedJob(
        number=number, job_id=0, server_id=server_id, selection_id=selection.pk, client_id=selection.client_id,
        name=name, zone=selection.client.timezone, habit=habit, at=at, weekday=random.randrange(7), declared=declared,
        size=int(random.lognormvariate(4, 1.2) * GB) + GB, growth=random.choice((0, 0.0003, 0.001)),
        minutes=random.choice((4, 10, 25, 60, 110)), has_components=random.random() < 0.2,
        reports_sizes=random.random() < 0.9, seed=random.randrange(10**9),
    )  # fmt: skip
    job = BackupJob.objects.of(tenant).create(
        server_id=server_id, selection=selection, name=name, product="own", registered_at=opened_at,
        schedule=known.schedule if declared else "",
    )  # fmt: skip
    JobState.objects.of(tenant).create(job=job, check_after=opened_at)
    Assignment.objects.of(tenant).create(server_id=server_id, source_job=name, item="", job=job, created_at=opened_at)
    return SimulatedJob(**{**vars(known), "job_id": job.pk})
