"""What the fixtures of MSP360 do not show: every status, kinds of plans, durations, repeats, local times."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog

ROW = {"PlanName": "Files", "UserID": "u", "ComputerName": "FS01", "LastStart": "2025-11-21T22:00:00", "TotalData": 9}


def run_of(zone: str = "Europe/Berlin", **columns: Any) -> JobLog:
    reading = read(Delivery(stdout=json.dumps([{**ROW, "Status": 0, **columns}]).encode(), timezone=zone))
    assert reading.format == "msp360"
    return reading.runs[0]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0, "success"),
        (1, "missed"),
        (2, "failure"),
        (3, "running"),
        (4, "unknown"),
        (5, "cancelled"),
        (6, "failure"),
        ("Success", "success"),
        ("Warning", "warning"),
        ("UnexpectedlyClosed", "failure"),
        ("Unexpectedly Closed", "failure"),
        (7, "unknown"),
        (None, "unknown"),
    ],
)
def test_every_status_has_its_outcome(status: Any, outcome: str) -> None:
    run = run_of(Status=status)
    assert run.outcome == outcome
    assert (run.protected_bytes == 9) == (outcome in ("success", "warning"))


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("Backup files", "backup"), ("Restore", "restore"), ("ConsistencyCheck", "verify"), (None, "backup")],
)
def test_the_kind_of_plan_is_the_operation(kind: str | None, operation: str) -> None:
    assert run_of(PlanType=kind).operation == operation


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("15 second(s)", 15), ("1 hour(s) 2 minute(s)", 3720), ("00:01:05", 65), (7, 7), ("soon", None), (None, None)],
)
def test_durations(told: Any, seconds: float | None) -> None:
    assert run_of(Duration=told).duration_seconds == seconds


def test_a_success_with_failed_files_is_a_warning() -> None:
    assert (run_of(FilesFailed=2).outcome, run_of(FilesFailed=2).complete) == ("warning", None)


def test_a_local_start_needs_the_zone_and_the_run_is_known_without() -> None:
    assert run_of(zone="").started_at is None
    assert run_of(zone="").run_id == run_of().run_id == "u-FS01-Files-2025-11-21T22:00:00"


def test_an_overdue_plan_is_no_repeat_of_its_last_run() -> None:
    overdue = run_of(Status=1, NextStart="2025-11-22T22:00:00")
    assert overdue.run_id != run_of().run_id
    assert (overdue.started_at, overdue.ended_at) == (None, None)
