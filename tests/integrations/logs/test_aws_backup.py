"""What the fixtures of AWS Backup do not show: every state, notifications, wrapped events, and several in one log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def event(**fields: Any) -> dict[str, Any]:
    detail = {"backupJobId": "b-1", "backupSizeInBytes": "10", "bytesTransferred": "4", "state": "COMPLETED", "resourceArn":  # noqa: E501
              "arn:aws:ec2:eu-west-1:1:volume/v", "resourceType": "EBS", "creationDate": "2026-01-01T01:00:00.5Z",
              "completionDate": "2026-01-01T01:10:00Z", **fields}  # fmt: skip
    return {"source": "aws.backup", "account": "1", "detail-type": "Backup Job State Change", "detail": detail}


def runs_of(body: Any) -> tuple[JobLog, ...]:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    reading = read(Delivery(stdout=raw))
    assert reading.format == "aws-backup"
    return reading.runs


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("CREATED", "running"), ("PENDING", "running"), ("RUNNING", "running"), ("ABORTING", "running"),
     ("ABORTED", "failure"), ("COMPLETED", "success"), ("FAILED", "failure"), ("EXPIRED", "missed"),
     ("PARTIAL", "warning"), ("NEW_ONE", "unknown")],
)  # fmt: skip
def test_every_state(state: str, outcome: str) -> None:
    assert runs_of(event(state=state))[0].outcome == outcome


def test_completed_with_a_message_is_a_warning() -> None:
    run = runs_of(event(statusMessage='"Some objects were skipped."'))[0]
    assert (run.outcome, run.errors[0].message, run.complete) == ("warning", "Some objects were skipped.", None)


def test_a_failed_backup_has_no_protected_size() -> None:
    run = runs_of(event(state="FAILED"))[0]
    assert (run.protected_bytes, run.basis, run.transferred_bytes, run.complete) == (None, None, 4, False)


def test_volumes_are_provisioned_and_file_systems_used() -> None:
    assert runs_of(event())[0].basis == "provisioned"
    assert runs_of(event(resourceType="EFS"))[0].basis == "used"


def test_an_event_inside_of_a_notification_and_events_one_a_line() -> None:
    sns = {"Type": "Notification", "Message": json.dumps(event())}
    assert runs_of(sns)[0].run_id == "b-1"
    lines = "\n".join(json.dumps(event(backupJobId=name)) for name in "ab")
    assert [run.run_id for run in runs_of(lines)] == ["a", "b"]


def test_a_notification_in_words() -> None:
    told = "An AWS Backup job failed. Resource ARN : arn:aws:ec2:eu-west-1:123:volume/vol-1. BackupJob ID : 1b23-45b2\n"
    run = runs_of(told)[0]
    assert (run.outcome, run.item, run.run_id, run.account) == ("failure", "arn:aws:ec2:eu-west-1:123:volume/vol-1", "1b23-45b2", "123")  # noqa: E501  # fmt: skip


def test_a_notification_with_attributes() -> None:
    attributes = {"EventType": {"Value": "RESTORE_JOB"}, "State": {"Value": "COMPLETED"}, "Id": {"Value": "r-1"},
                  "StartTime": {"Value": "2026-01-01T01:00:00Z"}}  # fmt: skip
    message = "An AWS Backup restore job was completed successfully. Resource ARN : arn:aws:ec2:a:1:volume/v"
    run = runs_of({"Type": "Notification", "Message": message, "MessageAttributes": attributes})[0]
    assert (run.operation, run.outcome, run.run_id) == ("restore", "success", "r-1")
