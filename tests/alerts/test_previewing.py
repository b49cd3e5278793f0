"""A preview over the database says what the exact replay says, for every rule that can be tried, within its bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import previewing
from alerts.inheritance import Setting
from alerts.previewing import DayCount, Preview, Proposal, Reachable, count_days, only_in, preview
from alerts.rules import RULES
from alerts.spans import QUICK, seconds_of
from tests.alerts.pure.examples import utc
from tests.dashboard import scene
from tests.world import World, make_job

#: Rules about jobs that are always played again: few jobs tell what they read.
PLAYED = {"last_full_too_old", "snapshot_stale"}


#: One moment for a whole run of the tests: within the partitions of today.
NOW = scene.now().replace(microsecond=0)


def patient(steps: int = 10**9) -> Callable[[], bool]:
    left: Iterator[int] = iter(range(steps))
    return lambda: next(left, None) is not None


def try_rule(world: World, kind: str, *, keep_going: Callable[[], bool] | None = None, **parameters: Any) -> Preview:
    setting = Setting(kind=kind, scope="tenant", scope_id=world.tenant.pk, parameters=parameters)
    whole = Reachable(tenant_id=world.tenant.pk, scope_kind="tenant", scope_ids=frozenset({world.tenant.pk}))
    return preview(whole, Proposal(kind=kind, settings=(setting,)), now=NOW, keep_going=keep_going or patient())


@pytest.fixture
def lively(world: World) -> World:
    """Four jobs with gaps, failures, warnings, zeros and sizes that fall and grow; long runs among short ones."""
    for number in range(4):
        job = make_job(
            world.tenant, world.server, world.client, f"job {number}", schedule=("", "daily 20:00")[number % 2]
        )
        for day in range(95):
            if (day * 5 + number) % 19 < number:
                continue
            outcome = "failure" if (day + number) % 11 == 0 else "warning" if (day + number) % 7 == 0 else "success"
            size = 0 if (day + number) % 23 == 0 else 10**12 if day % 31 < 3 else 10**10
            at = NOW - timedelta(days=day, hours=2 + day % 3)
            took = 9000 if day % 13 < 3 else 600
            scene.make_run(
                job, at=at, outcome=outcome, good=outcome == "success", measurable=outcome == "success",
                started_at=at - timedelta(seconds=took), duration_seconds=took, protected_bytes=size,
                transferred_bytes=size // 10,
            )  # fmt: skip
    return world


CHANGED: dict[str, dict[str, Any]] = {
    "no_recent_backup": {"tolerance_hours": 60, "grace_minutes": 5},
    "did_not_start": {"start_grace_minutes": 300},
    "never_backed_up": {"days": 100},
    "no_data_sent": {"days": 1},
    "errors": {"failures": 2},
    "unstable": {"changes": 6},
    "size_anomaly": {"grow_percent": 5000, "shrink_percent": 0},
    "slow": {"minutes": 5, "runs": 3},
    "implausible_zero": {"samples": 20},
}


@pytest.mark.parametrize("kind", sorted(CHANGED))
def test_the_quick_way_over_the_database_agrees_with_the_replay(
    lively: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = try_rule(lively, kind, **CHANGED[kind])
    monkeypatch.setattr(previewing, "QUICK", {})
    exact = try_rule(lively, kind, **CHANGED[kind])
    assert quick == exact
    assert quick.counted == quick.jobs == 5


def test_every_rule_about_jobs_is_quick_or_played_or_says_why_not() -> None:
    about_jobs = {kind for kind, rule in RULES.items() if rule.SUBJECT == "job"}
    assert about_jobs == set(QUICK) | set(previewing.NOT_FROM_RUNS) | PLAYED


def test_what_it_did_not_get_to_is_said(lively: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told = try_rule(lively, "unstable", keep_going=patient(2), changes=2)
    assert told.counted < told.jobs == 5
    assert told.note == f"The time for a preview ran out: {told.counted} of 5 jobs are counted, not all."
    monkeypatch.setattr(previewing, "MOST_JOBS", 3)
    assert try_rule(lively, "errors").note.startswith("There are more than 3 jobs; the first 3 by client")


def test_the_number_of_statements_does_not_grow_with_the_jobs(lively: World) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            try_rule(lively, "errors", failures=2)
        return len(captured)

    few = statements()
    for number in range(5):
        job = make_job(lively.tenant, lively.server, lively.client, f"more {number}")
        scene.make_run(job, at=NOW - timedelta(days=4), outcome="failure", good=False)
    assert statements() == few


def test_a_good_run_long_before_the_period_still_counts(world: World) -> None:
    scene.make_run(world.job, at=NOW - timedelta(days=118))
    assert try_rule(world, "no_recent_backup", tolerance_hours=24 * 300).proposed.opened == 0
    assert try_rule(world, "no_recent_backup", tolerance_hours=24 * 300).today.open_now == 1


@pytest.mark.parametrize(
    ("some", "others", "expected"),
    [
        ([(10, 20)], [], [(10, 20)]),
        ([(10, 20)], [(15, 30)], [(10, 15)]),
        ([(10, 20)], [(5, 12)], []),
        ([(10, 20), (40, None)], [(20, 30), (50, None)], [(10, 20), (40, 50)]),
        ([(10, None)], [(5, 10), (60, 70)], [(10, 60)]),
    ],
)
def test_what_only_one_of_both_flags(some: Any, others: Any, expected: Any) -> None:
    assert only_in(some, others) == expected


def test_a_day_counts_a_job_once_and_ends_at_local_midnight() -> None:
    def at(day: int, hour: int) -> int:
        return seconds_of(utc(2026, 1, day, hour))

    start, end = utc(2026, 1, 10, 12), utc(2026, 1, 13, 12)
    spans = [(at(10, 12), at(10, 14)), (at(10, 16), at(10, 18)), (at(10, 22), at(10, 23)), (at(12, 1), None)]
    days = count_days([(spans, [(at(11, 1), at(12, 23))])], start, end, zone="Europe/Berlin")
    assert days == (
        DayCount(day=date(2026, 1, 10), today=1, proposed=0),
        DayCount(day=date(2026, 1, 11), today=0, proposed=1),
        DayCount(day=date(2026, 1, 12), today=1, proposed=1),
        DayCount(day=date(2026, 1, 13), today=1, proposed=0),
    )
