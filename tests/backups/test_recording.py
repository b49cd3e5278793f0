"""Recording: runs, revisions and states, against a real PostgreSQL."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.logs.joblog import Component, JobLog, LogError
from msp.backups.models import JobRun, JobRunRevision, JobState
from msp.backups.recording import Recorded, record_runs
from msp.backups.runs import AssignedRun
from tests.world import World, make_job

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def backup(**values: Any) -> JobLog:
    given: dict[str, Any] = {
        "product": "restic",
        "operation": "backup",
        "outcome": "success",
        "protected_bytes": 1000,
    } | values
    return JobLog(**given)


def assigned(
    world: World, log: JobLog, *, job: Any = None, receipt: int = 1, place: int = 0, **values: Any
) -> AssignedRun:
    job = job or world.job
    given: dict[str, Any] = {"delivery_key": f"http/{receipt}", "received_at": NOW} | values
    return AssignedRun(
        job_id=job.pk,
        selection_id=job.selection_id,
        client_id=world.client.pk,
        receipt_id=receipt,
        place=place,
        log=log,
        **given,
    )


def record(world: World, *runs: AssignedRun, **values: Any) -> Recorded:
    return record_runs(world.tenant.pk, runs, now=NOW, **values)


def state(world: World) -> JobState:
    found: JobState = JobState.objects.of(world.tenant).get(job=world.job)
    return found


def runs(world: World) -> list[JobRun]:
    return list(JobRun.objects.of(world.tenant).filter(job_id=world.job.pk).order_by("ended_at", "run_key"))


def test_a_run_is_recorded_with_its_figures_and_moves_the_clock(world: World) -> None:
    ended = NOW - timedelta(hours=2)
    recorded = record(world, assigned(world, backup(ended_at=ended, run_id="4f2a", transferred_bytes=10)))
    (run,) = runs(world)
    assert (run.run_key, run.good, run.measurable, run.protected_bytes) == ("backup/id:4f2a", True, True, 1000)
    assert (run.ended_at, run.time_told, run.filed_month.isoformat()) == (ended, True, "2026-11-01")
    assert state(world).last_good_at == ended
    assert [(m.protected_bytes, m.transferred_bytes) for m in recorded.measurements] == [(1000, 10)]


def test_what_a_restore_needs_and_what_a_verification_found_are_kept(world: World) -> None:
    full = NOW - timedelta(days=6)
    part = Component(type="vm", name="web01", outcome="success", stored_bytes=7, message="slow")
    log = backup(
        operation="verify",
        outcome="warning",
        chain_length=7,
        last_full_at=full,
        checksum_ok=False,
        sources={"stored_bytes": "Stored"},
        components=(part, Component(type="vm", name="web02", outcome="failure")),
    )
    record(world, assigned(world, log))
    (run,) = runs(world)
    assert (run.chain_length, run.last_full_at, run.checksum_ok) == (7, full, False)
    assert run.sources == {"stored_bytes": "Stored"}
    assert run.components == [
        {"type": "vm", "name": "web01", "outcome": "success", "stored_bytes": 7, "message": "slow"},
        {"type": "vm", "name": "web02", "outcome": "failure"},
    ]
    again = record(world, assigned(world, log))
    assert [change.change for change in again.changes] == ["same"]


def test_the_same_run_from_another_delivery_changes_nothing(world: World) -> None:
    log = backup(ended_at=NOW - timedelta(hours=2), run_id="4f2a")
    record(world, assigned(world, log))
    before = dataclasses.asdict(RunShape.of(runs(world)[0]))
    again = record(world, assigned(world, log, receipt=2))
    assert [change.change for change in again.changes] == ["same"]
    assert again.measurements == ()
    assert dataclasses.asdict(RunShape.of(runs(world)[0])) == before
    assert state(world).runs_seen == 1


@dataclasses.dataclass
class RunShape:
    id: int
    receipt_id: int
    revision: int
    recorded_at: datetime

    @classmethod
    def of(cls, run: JobRun) -> RunShape:
        return cls(run.id, run.receipt_id, run.revision, run.recorded_at)


def test_silent_logs_of_thirty_nights_are_thirty_runs(world: World) -> None:
    for night in range(30):
        silent = backup(product="rsync", protected_bytes=None)
        record(world, assigned(world, silent, receipt=night, received_at=NOW - timedelta(days=night)))
    assert len(runs(world)) == 30
    assert state(world).last_good_at == NOW
    assert not runs(world)[0].time_told


def test_a_run_keeps_its_month_when_it_is_read_again_across_a_month_end(world: World) -> None:
    first = backup(run_id="x", started_at=datetime(2026, 10, 31, 23, 0, tzinfo=UTC), outcome="running")
    record(world, assigned(world, first))
    record(world, assigned(world, backup(run_id="x", ended_at=datetime(2026, 11, 1, 1, 0, tzinfo=UTC)), receipt=2))
    (run,) = runs(world)
    assert (run.filed_month.isoformat(), run.outcome, run.revision) == ("2026-10-01", "success", 1)
    assert JobRunRevision.objects.of(world.tenant).get().values["outcome"] == "running"


def test_a_running_message_that_arrives_late_does_not_undo_the_end(world: World) -> None:
    record(world, assigned(world, backup(run_id="x", ended_at=NOW - timedelta(hours=1))))
    late = backup(run_id="x", outcome="running", started_at=NOW - timedelta(hours=2))
    record(world, assigned(world, late, receipt=2))
    assert runs(world)[0].outcome == "success"
    assert state(world).running_since is None


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_state_does_not_depend_on_the_order_of_arrival(world: World, order: tuple[int, ...]) -> None:
    logs = [
        backup(run_id="a", ended_at=NOW - timedelta(hours=30)),
        backup(run_id="b", ended_at=NOW - timedelta(hours=20), outcome="failure", errors=(LogError("disk full"),)),
        backup(run_id="c", ended_at=NOW - timedelta(hours=10), outcome="failure", errors=(LogError("no route"),)),
    ]
    for index in order:
        record(world, assigned(world, logs[index], receipt=index))
    found = state(world)
    assert (found.failures_in_row, found.last_good_at) == (2, NOW - timedelta(hours=30))
    assert (found.first_failure_at, found.last_errors) == (NOW - timedelta(hours=20), ["no route"])


def test_replay_replaces_the_runs_of_a_receipt_and_keeps_the_old_values(world: World) -> None:
    record(
        world,
        assigned(world, backup(run_id="a", ended_at=NOW - timedelta(hours=3))),
        assigned(world, backup(run_id="b", ended_at=NOW - timedelta(hours=2)), place=1),
    )
    again = backup(run_id="a", ended_at=NOW - timedelta(hours=3), outcome="failure", protected_bytes=None)
    recorded = record(world, assigned(world, again), replacing=[1])
    assert sorted(change.change for change in recorded.changes) == ["changed", "removed"]
    assert [run.outcome for run in runs(world)] == ["failure"]
    assert {m.run_key: m.protected_bytes for m in recorded.measurements} == {"backup/id:a": None, "backup/id:b": None}
    assert JobRunRevision.objects.of(world.tenant).count() == 2
    found = state(world)
    assert (found.last_good_at, found.failures_in_row, found.runs_seen) == (None, 1, 1)


def test_replay_that_moves_a_run_to_another_job_refolds_both(world: World) -> None:
    other = make_job(world.tenant, world.server, world.client, "databases")
    log = backup(run_id="a", ended_at=NOW - timedelta(hours=3))
    record(world, assigned(world, log))
    recorded = record(world, assigned(world, log, job=other), replacing=[1])
    assert set(recorded.job_ids) == {world.job.pk, other.pk}
    assert state(world).last_good_at is None
    assert JobState.objects.of(world.tenant).get(job=other).last_good_at == NOW - timedelta(hours=3)


@pytest.mark.parametrize(
    "values",
    [
        {"protected_bytes": -5},
        {"started_at": NOW - timedelta(hours=1), "ended_at": NOW - timedelta(hours=2)},
        {"ended_at": NOW + timedelta(days=3)},
        {"problems": ("The time zone Mars/Olympus is not known.",)},
    ],
)
def test_implausible_values_are_kept_but_move_no_clock_and_measure_nothing(
    world: World, values: dict[str, Any]
) -> None:
    recorded = record(world, assigned(world, backup(**values)))
    (run,) = runs(world)
    assert run.problems
    assert not run.good
    assert not run.measurable
    assert recorded.measurements == ()
    assert (state(world).last_good_at, state(world).runs_seen) == (None, 0)


def test_counts_beyond_every_column_are_kept_as_the_most_that_it_holds(world: World) -> None:
    record(world, assigned(world, backup(outcome="failure", files_failed=2**40, errors_total=2**40)))
    (run,) = runs(world)
    assert (run.files_failed, run.errors_total, run.outcome) == (2**31 - 1, 2**31 - 1, "failure")


@pytest.mark.parametrize("operation", ["prune", "verify", "inventory"])
def test_other_operations_do_not_move_the_backup_clock(world: World, operation: Any) -> None:
    record(world, assigned(world, backup(operation=operation, ended_at=NOW - timedelta(hours=1))))
    assert state(world).last_good_at is None
    assert state(world).runs_seen == 1


def test_the_number_of_statements_does_not_grow_with_the_batch(world: World) -> None:
    jobs = [make_job(world.tenant, world.server, world.client, f"job {number}") for number in range(60)]

    def batch(receipt: int, count: int) -> list[AssignedRun]:
        return [
            assigned(world, backup(run_id=f"{receipt}-{n}", ended_at=NOW - timedelta(minutes=100 - receipt)),
                     job=jobs[n], receipt=receipt, place=n)
            for n in range(count)
        ]  # fmt: skip

    counts = []
    for receipt, size in ((1, 1), (2, 60)):
        with CaptureQueriesContext(connection) as queries:
            record(world, *batch(receipt, size))
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[1] <= 8  # one of them keeps the histories of the jobs


def test_runs_of_another_tenant_are_out_of_reach(world: World) -> None:
    record(world, assigned(world, backup(run_id="a", ended_at=NOW)))
    assert not JobRun.objects.of(world.other).exists()
    with pytest.raises(KeyError):  # the job is not among the other tenant's: nothing is written
        record_runs(world.other.pk, [assigned(world, backup(run_id="b", outcome="failure", ended_at=NOW))], now=NOW)
    assert state(world).failures_in_row == 0
