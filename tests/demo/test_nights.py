"""Jobs become runs as their schedules and stories say, and the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from msp.demo.filling import MSPS
from msp.demo.nights import plan_runs, window_of
from msp.demo.scenario import GB, ClientPlan, JobPlan, Story

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BERLIN = window_of(NOW, zone="Europe/Berlin", days=60)
JOB = JobPlan(
    name="Files",
    server="s1",
    product="restic",
    schedule="daily 22:00",
    root="/srv",
    size=100 * GB,
    files=1000,
    mishaps=0,
)
CLIENT = ClientPlan(name="Acme", code="acme", jobs=(JOB,))


def troubles(story: Story, *, newest: int = 5) -> Sequence[str]:
    job = replace(JOB, stories=(story,))
    return [run.told.trouble for run in plan_runs(CLIENT, job, BERLIN)][-newest:]


@pytest.mark.parametrize(
    "now,first",
    [
        (datetime(2026, 11, 23, 9, tzinfo=UTC), date(2026, 9, 24)),  # 60 days back is before 28 September
        (datetime(2026, 8, 31, 9, tzinfo=UTC), date(2026, 6, 28)),  # July must be whole, with three days before it
        (datetime(2026, 1, 31, 9, tzinfo=UTC), date(2025, 11, 28)),
    ],
)
def test_the_last_month_is_always_covered(now: datetime, first: date) -> None:
    assert window_of(now, zone="Europe/Berlin", days=60).starts_at.date() == first


def test_one_run_a_night_by_the_wall_clock_also_when_the_clocks_change() -> None:
    runs = plan_runs(CLIENT, JOB, BERLIN)
    assert len(runs) == 60
    starts = [run.told.local(run.told.started_at) for run in runs]
    assert {(start.hour, start.minute) for start in starts} == {(22, 0)}
    assert len({start.utcoffset() for start in starts}) == 2  # summer time ends on 25 October


def test_sizes_grow_and_weekends_send_less() -> None:
    runs = plan_runs(CLIENT, JOB, BERLIN)
    assert runs[-1].told.protected_bytes > runs[0].told.protected_bytes * 1.02
    sent = {weekend: [] for weekend in (False, True)}  # type: dict[bool, list[int]]
    for run in runs:
        sent[run.told.local(run.told.started_at).weekday() >= 5].append(run.told.sent_bytes)
    assert max(sent[True]) < min(sent[False])


def test_stories_befall_the_runs_they_are_about() -> None:
    assert troubles(Story(what="disk full", last_runs=2), newest=3) == ["", "disk full", "disk full"]
    assert troubles(Story(what="offline", alternating=3), newest=3)[::2] == ["offline", "offline"]
    assert troubles(Story(what="offline", alternating=3), newest=2)[0] != "offline"


def test_a_silent_job_sends_nothing_and_a_silent_week_of_last_month_is_a_gap() -> None:
    silent = replace(JOB, stories=(Story(what="silent", since_days=3),))
    assert max(run.arrives_at for run in plan_runs(CLIENT, silent, BERLIN)) < NOW - timedelta(days=3)
    gap = replace(JOB, stories=(Story(what="silent", month_days=(9, 16)),))
    days = {BERLIN.local_day(run.told.started_at) for run in plan_runs(CLIENT, gap, BERLIN)}
    assert not days & {date(2026, 10, day) for day in range(9, 17)}
    assert {date(2026, 10, 8), date(2026, 10, 17)} <= days


def test_nothing_comes_from_the_future_and_no_run_twice() -> None:
    for msp in MSPS:
        window = window_of(NOW, zone=msp.zone, days=60)
        runs = [run for client in msp.clients for job in client.jobs for run in plan_runs(client, job, window)]
        assert max(run.arrives_at for run in runs) < NOW
        assert len({run.told.seed for run in runs}) == len(runs)


def test_both_scenarios_name_only_what_they_have() -> None:
    for msp in MSPS:
        servers = {server.name for server in msp.servers}
        jobs = [job for client in msp.clients for job in client.jobs]
        assert {job.server for job in jobs} | {stray.server for stray in msp.strays} <= servers
        assert len({job.name for job in jobs}) == len(jobs)
        assert {act.job for act in msp.acts} - {""} <= {job.name for job in jobs}
        assert all(address.endswith(".example") for _, _, address in msp.people)
