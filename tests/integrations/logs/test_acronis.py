"""What the fixtures of Acronis do not show: every result and state, kinds of activities, and alerts of other things."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import Reading, read
from integrations.logs.joblog import Delivery


def reading_of(*rows: dict[str, Any]) -> Reading:
    return read(Delivery(stdout=json.dumps({"items": list(rows)}).encode()))


def activity(**more: Any) -> dict[str, Any]:
    return {"uuid": "1", "type": "backup", "state": "completed", "result": {"code": "ok"}, "completedAt": None, **more}


@pytest.mark.parametrize(
    ("state", "code", "outcome"),
    [
        ("completed", "ok", "success"),
        ("completed", "warning", "warning"),
        ("completed", "error", "failure"),
        ("completed", "cancelled", "cancelled"),
        ("completed", "abandoned", "failure"),
        ("completed", "timedout", "failure"),
        ("completed", "new", "unknown"),
        ("completed", None, "unknown"),
        ("started", "ok", "running"),
        ("enqueued", None, "running"),
        ("lost", "ok", "unknown"),
    ],
)
def test_results_and_states(state: str, code: str | None, outcome: str) -> None:
    run = reading_of(activity(state=state, result={"code": code})).runs[0]
    assert (run.outcome, run.complete) == (
        outcome,
        {"success": True, "failure": False, "cancelled": False}.get(outcome),
    )


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("backup", "backup"), ("recovery", "restore"), ("backup_validation", "verify"), ("replication", "replicate")],
)
def test_kinds_of_activities(kind: str, operation: str) -> None:
    assert reading_of(activity(type=kind)).runs[0].operation == operation


def test_activities_of_other_things_are_left_aside() -> None:
    assert reading_of(activity(type="softwareUpdate")).format is None
    assert len(reading_of(activity(), activity(type="softwareUpdate")).runs) == 1


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("BackupDidNotStart", "missed"),
        ("BackupCanceled", "cancelled"),
        ("BackupSucceeded", "success"),
        ("BackupNotResponding", "unknown"),
        ("BackupStatusUnknown", "unknown"),
    ],
)
def test_alerts(kind: str, outcome: str) -> None:
    alert = {
        "id": "7",
        "type": kind,
        "createdAt": "2025-11-21T16:24:35Z",
        "details": {"planName": "P", "resourceName": "R"},
    }
    run = reading_of(alert).runs[0]
    assert (run.outcome, run.run_id, run.source_job, run.host) == (outcome, "7", "P", "R")


def test_alerts_of_other_things_are_not_recognised() -> None:
    assert reading_of({"id": "7", "type": "MachineOffline30", "details": {"resourceName": "R"}}).format is None


def mail_of(last: str, *lines: str) -> Reading:
    return read(Delivery(stdout="\n".join(["Acronis Backup", *lines, "", last, ""]).encode()))


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        ("has succeeded.", "success"),
        ("has succeeded with warnings.", "warning"),
        ("has failed.", "failure"),
        ("has been canceled.", "cancelled"),
    ],
)
def test_the_last_line_of_a_task_log_says_how_it_ended(ended: str, outcome: str) -> None:
    run = mail_of(f"Task 'Daily' on machine 'FS01' {ended}").runs[0]
    assert (run.outcome, run.source_job, run.host) == (outcome, "Daily", "FS01")


def test_a_task_log_without_its_last_line_is_not_recognised() -> None:
    assert mail_of("Task 'Daily' on machine 'FS01' has started.").format is None


def test_errors_of_a_task_log_have_their_code() -> None:
    lines = ("Error code: 3", "Module: 435", "Message: Failed to open the backup.", "Message: stray")
    run = mail_of("Task 'Daily' on machine 'FS01' has failed.", *lines).runs[0]
    assert [(error.code, error.message) for error in run.errors] == [("3", "Failed to open the backup.")]


def test_a_task_called_after_a_recovery_is_still_a_backup() -> None:
    assert mail_of("Task 'Recovery server' on machine 'FS01' has failed.").runs[0].operation == "backup"
    assert mail_of("Recovery of machine 'FS01' has failed.").runs[0].operation == "restore"
