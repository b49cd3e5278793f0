"""What the fixtures of Datto BCDR do not show: assets without a list of backups, statuses in other words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog

AT = datetime(2025, 11, 22, tzinfo=UTC)


def runs_of(**columns: Any) -> tuple[JobLog, ...]:
    row = {"name": "a", "volume": "v", "lastSnapshot": 1763769600, "latestOffsite": 0, "localSnapshots": 1, **columns}
    reading = read(Delivery(stdout=json.dumps([row]).encode()))
    assert reading.format == "datto-bcdr"
    return reading.runs


def test_without_a_list_the_last_snapshot_is_the_newest_backup() -> None:
    (run,) = runs_of(isPaused=True)
    assert (run.outcome, run.ended_at, run.run_id, run.complete) == ("success", AT, "v-1763769600", None)
    assert run.notes == ("the asset is paused",)


@pytest.mark.parametrize("never", [0, None, "", "x"])
def test_an_asset_without_a_snapshot_is_unknown(never: Any) -> None:
    (run,) = runs_of(lastSnapshot=never)
    assert (run.outcome, run.ended_at) == ("unknown", None)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("success", "success"),
        ("Completed", "success"),
        ("failure", "failure"),
        ("ERROR", "failure"),
        ("running", "running"),
        ("string", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_statuses(status: str | None, outcome: str) -> None:
    backup = {"timestamp": "2025-11-22T00:00:00+00:00", "backup": {"status": status}}
    (run,) = runs_of(backups=[backup])
    assert run.outcome == outcome
    assert (run.started_at if outcome == "running" else run.ended_at) == AT


@pytest.mark.parametrize(("status", "outcome"), [(True, "success"), (False, "failure"), (None, "unknown")])
def test_a_screenshot_is_a_verification(status: bool | None, outcome: str) -> None:
    run = runs_of(lastScreenshotAttempt=1763769600, lastScreenshotAttemptStatus=status)[-1]
    assert (run.operation, run.action, run.outcome, run.checksum_ok) == ("verify", "screenshot", outcome, status)


def test_backups_that_are_no_objects_are_passed_over() -> None:
    assert [run.outcome for run in runs_of(backups=[None, 3, {}])] == ["success"]
