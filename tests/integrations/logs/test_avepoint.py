"""What the fixtures of AvePoint do not show: every state and status number, and the spelling of the tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def run_of(row: dict[str, Any]) -> JobLog:
    reading = read(Delivery(stdout=json.dumps({"data": [row]}).encode()))
    assert reading.format == "avepoint"
    return reading.runs[0]


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("Finished", "success"),
        ("In Progress", "running"),
        ("InProgress", "running"),
        ("Failed", "failure"),
        ("Finished with Exception", "warning"),
        ("Partially Finished", "warning"),
        ("Stopped", "unknown"),
    ],
)
def test_states_of_the_graph_api(state: str, outcome: str) -> None:
    run = run_of({"id": "FB1", "state": state, "backupDetails": {}, "finishTime": "2025-11-22T00:00:00Z"})
    assert (run.outcome, run.run_id) == (outcome, "FB1")
    assert (run.ended_at is None) == (outcome == "running")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0, "unknown"),
        (1, "running"),
        (2, "success"),
        (3, "failure"),
        (4, "warning"),
        (5, "skipped"),
        (6, "running"),
        (7, "failure"),
        (8, "cancelled"),
        (9, "failure"),
        (10, "cancelled"),
        (12, "unknown"),
        (None, "unknown"),
    ],
)
def test_statuses_of_the_partner_api(status: int | None, outcome: str) -> None:
    assert run_of({"jobId": "1", "jobModule": 303, "jobType": 7, "status": status}).outcome == outcome


def test_a_scan_is_an_inventory() -> None:
    assert run_of({"jobId": "1", "jobModule": 0, "jobType": 0, "status": 2}).operation == "inventory"


def test_failed_objects_make_a_warning_in_either_spelling() -> None:
    for details in ({"failedCount": 2}, {"failedNumber": 2}):
        run = run_of({"id": "FB1", "state": "Finished", "backupDetails": details})
        assert (run.outcome, run.files_failed, run.errors[0].message) == ("warning", 2, "Finished: 2 objects failed")
