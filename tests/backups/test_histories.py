"""Histories: what each backup leaves, kept to sixty, the same in any order; what a rule reads of it; error keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.evaluating import evaluate_jobs
from alerts.job_loading import load_job_facts
from integrations.logs.joblog import Component, JobLog, LogError
from msp.backups.models import JobHistory, JobState
from msp.backups.points import MOST_POINTS, error_key, read_points
from msp.backups.recording import STATE_FIELDS, record_runs
from tests.backups.test_recording import assigned, backup
from tests.world import World

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PARTS = (
    Component(type="database", name="crm", outcome="failure", message="locked"),
    Component(type="database", name="hr", outcome="success"),
)


def nightly(number: int, **values: Any) -> JobLog:
    ended = NOW - number * DAY
    return backup(**{"run_id": f"night {number}", "started_at": ended - HOUR, "ended_at": ended, **values})


def record(world: World, *logs: JobLog, at: datetime = NOW) -> None:
    for number, log in enumerate(logs):
        record_runs(world.tenant.pk, [assigned(world, log, receipt=number, received_at=at)], now=at)


def history(world: World) -> JobHistory:
    found: JobHistory = JobHistory.objects.of(world.tenant).get(job=world.job)
    return found


def test_a_finished_backup_leaves_a_point(world: World) -> None:
    failed = nightly(1, outcome="failure", errors=(LogError("/srv/a: read error 5 at 2026-11-19 05:00"),))
    record(world, failed, nightly(0, transferred_bytes=7, changed_bytes=9), backup(operation="verify", ended_at=NOW))
    bad, good = read_points(history(world).points)
    assert (bad.good, bad.outcome, bad.protected_bytes, bad.error) == (False, "failure", None, "…: read error … at …")
    assert (good.started, good.ended) == (int((NOW - HOUR).timestamp()), int(NOW.timestamp()))
    assert (good.protected_bytes, good.transferred_bytes, good.changed_bytes) == (1000, 7, 9)
    assert (good.duration_seconds, good.error) == (3600, "")


def test_the_newest_sixty_are_kept(world: World) -> None:
    record(world, *(nightly(number) for number in reversed(range(MOST_POINTS + 5))))
    points = read_points(history(world).points)
    assert len(points) == MOST_POINTS
    assert points[0].ended == int((NOW - (MOST_POINTS - 1) * DAY).timestamp())
    assert [point.ended for point in points] == sorted(point.ended for point in points)


@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (2, 5, 0, 3, 1, 4), (0, 0, 4, 5, 1, 3, 2, 4)]
)
def test_state_and_history_do_not_depend_on_the_order_of_arrival(world: World, order: tuple[int, ...]) -> None:
    logs = [
        nightly(6, chain_length=1, last_full_at=NOW - 6 * DAY),
        nightly(5, outcome="warning", components=PARTS),
        nightly(4, outcome="failure", components=PARTS, chain_length=3, errors=(LogError("disk 4 full"),)),
        nightly(3, operation="restore", restored_bytes=5, checksum_ok=True),
        nightly(2, operation="replicate"),
        nightly(-2, run_id="ahead"),
    ]
    record(world, *(logs[place] for place in order))
    state = JobState.objects.of(world.tenant).get(job=world.job)
    (part,) = state.components
    assert (part["name"], part["times"], part["message"]) == ("crm", 2, "locked")
    assert datetime.fromisoformat(part["since"]) == NOW - 5 * DAY
    assert (state.chain_length, state.last_full_at) == (3, NOW - 6 * DAY)
    assert (state.last_restore_at, state.restore_seconds, state.restored_bytes) == (NOW - 3 * DAY, 3600, 5)
    assert (state.last_replicate_at, state.last_replicate_outcome) == (NOW - 2 * DAY, "success")
    assert (state.skewed_at, state.skew_seconds, state.last_run_at) == (NOW, 2 * 86400, NOW - 2 * DAY)
    assert [point.outcome for point in read_points(history(world).points)] == ["success", "warning", "failure"]


def test_folding_again_gives_what_folding_on_gave(world: World) -> None:
    logs = [nightly(9, components=PARTS), nightly(8, outcome="failure", errors=(LogError("x 1"),)), nightly(7)]
    record(world, *logs, nightly(-1, run_id="ahead"), at=NOW)
    before = JobState.objects.of(world.tenant).values(*STATE_FIELDS).get(job=world.job)
    points = history(world).points
    record(world, nightly(10, outcome="skipped", protected_bytes=None))  # older than all: everything is folded again
    after = JobState.objects.of(world.tenant).values(*STATE_FIELDS).get(job=world.job)
    assert {**after, "runs_seen": after["runs_seen"] - 1} == before
    assert history(world).points[1:] == points


def test_a_schedule_is_learned_where_nobody_set_one(world: World) -> None:
    record(world, *(nightly(number) for number in reversed(range(10))))
    (facts,) = load_job_facts(world.tenant.pk, [world.job.pk])
    assert facts.learned is not None
    assert (facts.learned.schedule, facts.learned.confidence) == ("daily 05:00", 100)
    world.job.schedule = "daily 04:00"
    world.job.save()
    (facts,) = load_job_facts(world.tenant.pk, [world.job.pk])
    assert facts.learned is None, "what a person set is no guess"


def test_facts_read_the_history_and_the_state(world: World) -> None:
    record(world, nightly(1, components=PARTS), nightly(0, outcome="failure", errors=(LogError("no route 5"),)))
    (facts,) = load_job_facts(world.tenant.pk, [world.job.pk])
    assert [point.good for point in facts.history] == [True, False]
    newest = facts.history[-1]
    assert (newest.ended_at, newest.started_at, newest.error) == (NOW, NOW - HOUR, "no route …")
    assert [point.protected_bytes for point in facts.history[:1]] == [1000]
    assert [point.ended_at for point in reversed(facts.history)] == [NOW, NOW - DAY]
    (part,) = facts.components
    assert (part.name, part.since, facts.reports_components) == ("crm", NOW - DAY, True)
    assert (facts.last_started_at, facts.runs_seen, facts.machine_class, facts.role) == (
        NOW - HOUR,
        2,
        "server",
        "primary",
    )


@pytest.mark.parametrize("who", ["tenant", "client", "job", ""])
def test_whoever_is_not_enabled_is_only_observed(world: World, who: str) -> None:
    world.tenant.tickets_enabled = who != "tenant"
    world.client.tickets_enabled = who != "client"
    world.job.observed = who == "job"
    for row in (world.tenant, world.client, world.job):
        row.save()
    (facts,) = load_job_facts(world.tenant.pk, [world.job.pk])
    assert facts.observed is bool(who)


def test_evaluating_stores_when_the_job_is_overdue(world: World) -> None:
    record(world, nightly(0))
    evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW)
    state = JobState.objects.of(world.tenant).get(job=world.job)
    assert state.overdue_at is not None
    assert NOW < state.check_after <= state.overdue_at


# --- error keys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fri Nov 20 22:00:01 2026 ERROR writer 'Sql' failed", "Thu Nov 5 22:00:03 2026 ERROR writer 'Vss' failed"),
        ("/home/bob/a.txt: permission denied", "/srv/data/b/c.log: permission denied"),
        ("repository 4f2a9c1e is locked by PID 4711 (3h2m ago)", "repository 99ab0c2d is locked by PID 12 (5h9m ago)"),
        ("2026-11-20T22:00:01Z no space left: 17 of 210 files", "2026-11-21T22:00:09Z no space left: 3 of 9 files"),
        ('could not open "C:\\Users\\a b\\x.pst"', 'could not open "D:\\y.pst"'),
    ],
)
def test_the_same_trouble_reads_the_same(one: str, other: str) -> None:
    assert error_key(one) == error_key(other)
    assert "…" in error_key(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("exit code 23", "exit code 12"),
        ("writer failed with 0x800423F4", "writer failed with 0x800423F3"),
        ("disk full", "permission denied"),
        ("I/O error on 3", "network error on 3"),
    ],
)
def test_other_trouble_reads_otherwise(one: str, other: str) -> None:
    assert error_key(one) != error_key(other)


@given(st.text(max_size=3000), st.integers(100, 999), st.integers(100, 999))
def test_any_line_has_a_short_key_that_no_number_before_it_changes(line: str, one: int, other: int) -> None:
    assert len(error_key(line)) <= 200
    assert error_key(f"{one} {line}") == error_key(f"{other} {line}")
