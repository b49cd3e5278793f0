"""From a job and its stories to its runs: when each began and ended, what it held and what went wrong. Pure.

Starts follow the job's own schedule, sizes grow on working days, and chance falls the same way each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from integrations.logs.joblog import Operation
from msp.backups.schedule import expected_after, parse_schedule
from msp.demo.logs.told import FAILURES, Told, Trouble
from msp.demo.scenario import ClientPlan, JobPlan, Story, What
from msp.partitions import month_of, next_month

#: What a job that is cared for gets beside its backups.
CARE: Mapping[Operation, str] = {"verify": "sun 12:00", "prune": "sat 11:00"}
#: A log is here this soon after its run has ended.
ON_ITS_WAY = timedelta(seconds=4)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The time that is told: from the beginning to now, in the tenant's zone."""

    starts_at: datetime
    now: datetime
    zone: str

    def local_day(self, moment: datetime) -> date:
        return moment.astimezone(ZoneInfo(self.zone)).date()

    @property
    def last_month(self) -> date:
        """The first day of the last whole month."""
        return next_month(month_of(self.local_day(self.now)), steps=-1)

    def at(self, *, days_ago: int, hour: int, minute: int = 0) -> datetime:
        """A wall-clock hour so many days ago; never later than now."""
        day = self.local_day(self.now) - timedelta(days=days_ago)
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(self.zone))
        return min(moment, self.now)


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run whose log comes in at ``arrives_at``."""

    client: str
    job: JobPlan
    told: Told
    arrives_at: datetime


def window_of(now: datetime, *, zone: str, days: int) -> Window:
    """So many days back, and more where the last whole month would not be covered with some days before it."""
    local = now.astimezone(ZoneInfo(zone))
    last_month = next_month(month_of(local.date()), steps=-1)
    first = min(local.date() - timedelta(days=days), last_month - timedelta(days=3))
    return Window(starts_at=datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone)), now=now, zone=zone)


def plan_runs(client: ClientPlan, job: JobPlan, window: Window) -> list[PlannedRun]:
    """Every run of the job in the window, oldest first."""
    begins = window.starts_at
    if client.joined_days_ago is not None:
        begins = window.at(days_ago=client.joined_days_ago, hour=14)
    ends = window.now
    if client.suspended_days_ago is not None:
        ends = window.at(days_ago=client.suspended_days_ago, hour=10)
    backups = list(plan_operation(client, job, "backup", begins, ends, window))
    runs = [in_trouble(run, what) for run, what in befall(backups, job, window) if what != "silent"]
    further: tuple[Operation, ...] = ("restore", "verify", "prune")
    for operation in further:
        runs += plan_operation(client, job, operation, begins, ends, window)
    return sorted(runs, key=lambda run: run.arrives_at)


def schedule_of(job: JobPlan, operation: Operation) -> str:
    """When runs of this kind are due; "" for never."""
    if operation in CARE:
        return CARE[operation] if job.cared_for else ""
    return job.restores if operation == "restore" else job.schedule


def plan_operation(
    client: ClientPlan, job: JobPlan, operation: Operation, begins: datetime, ends: datetime, window: Window
) -> Iterator[PlannedRun]:
    """The runs of one kind whose logs arrive before the end, none of them in trouble yet."""
    text = schedule_of(job, operation)
    if not text:
        return
    schedule = parse_schedule(text)
    due = expected_after(schedule, begins, window.zone)
    while due < ends:
        run = plan_run(client, job, operation, due, window)
        if run.arrives_at < ends:
            yield run
        due = expected_after(schedule, due, window.zone)


def plan_run(client: ClientPlan, job: JobPlan, operation: Operation, due: datetime, window: Window) -> PlannedRun:
    seed = f"{due:%Y-%m-%dT%H%MZ}/{client.code}/{job.name}/{operation}"
    dice = random.Random(seed)  # noqa: S311  (details of invented logs, no secret)
    size = size_on(job, due, window, dice)
    is_weekend = due.astimezone(ZoneInfo(window.zone)).weekday() >= 5
    started_at = due + timedelta(seconds=dice.randint(1, 55))
    took = job.minutes * 60 * dice.randint(85, 115) // 100 // (2 if is_weekend else 1)
    ended_at = started_at + timedelta(seconds=max(took, 7))
    told = Told(
        operation=operation,
        job=job.name,
        host=f"{job.server}.example",
        root=job.root,
        repository=f"/srv/vault/{client.code}",
        zone=window.zone,
        seed=seed,
        started_at=started_at,
        ended_at=ended_at,
        protected_bytes=size,
        sent_bytes=size * job.churn // 10**6 * dice.randint(60, 150) // (700 if is_weekend else 100),
        stored_bytes=size * 3 // 2,
        files=job.files + job.files * working_days(window.starts_at, due) // 2500,
    )
    return PlannedRun(client=client.code, job=job, told=told, arrives_at=ended_at + ON_ITS_WAY)


def size_on(job: JobPlan, moment: datetime, window: Window, dice: random.Random) -> int:
    """It grows on working days, and wavers a little."""
    grown = job.size + job.size * job.daily_growth * working_days(window.starts_at, moment) // 10**6
    return grown + grown * dice.randint(-400, 400) // 10**6


def working_days(since: datetime, until: datetime) -> int:
    weeks, rest = divmod((until.date() - since.date()).days, 7)
    return weeks * 5 + sum((since.weekday() + day) % 7 < 5 for day in range(rest))


def befall(runs: Sequence[PlannedRun], job: JobPlan, window: Window) -> list[tuple[PlannedRun, What]]:
    """Each run with what befalls it: the first story that is about it, else a mishap, else nothing."""
    number = len(runs)
    return [
        (
            run,
            next(
                (story.what for story in job.stories if is_about(story, run, left=number - place, window=window)),
                mishap_of(run, job, left=number - place),
            ),
        )
        for place, run in enumerate(runs)
    ]


def is_about(story: Story, run: PlannedRun, *, left: int, window: Window) -> bool:
    """Whether the story is about this run; ``left`` is 1 for the newest run of the job."""
    started = run.told.started_at
    day = window.local_day(started)
    if story.last_runs:
        return left <= story.last_runs
    if story.alternating:
        return left <= story.alternating and left % 2 == 1
    if story.since_days:
        return started > window.now - timedelta(days=story.since_days)
    if story.days_ago is not None:
        first, last = (window.local_day(window.now) - timedelta(days=days) for days in story.days_ago)
        return first <= day <= last
    if story.month_days is not None:
        return month_of(day) == window.last_month and story.month_days[0] <= day.day <= story.month_days[1]
    return False


def mishap_of(run: PlannedRun, job: JobPlan, *, left: int) -> What:
    """A failure that is gone the next night. The newest runs are spared: what is open is told by stories alone."""
    dice = random.Random(f"mishap {run.told.seed}")  # noqa: S311  (details of invented logs, no secret)
    fell = dice.randrange(1000)
    if left <= 3 or fell >= job.mishaps:
        return "vanished files" if fell > 985 else ""
    return "offline" if fell % 2 else "repository locked"


def in_trouble(run: PlannedRun, trouble: Trouble) -> PlannedRun:
    """The run with its trouble; what fails ends early."""
    told = replace(run.told, trouble=trouble)
    if trouble not in FAILURES:
        return replace(run, told=told)
    ended_at = told.started_at + timedelta(seconds=max(told.seconds // 4, 5))
    return replace(run, told=replace(told, ended_at=ended_at), arrives_at=ended_at + ON_ITS_WAY)
