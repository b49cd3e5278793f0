"""What the fixtures of Azure Backup do not show: every status, other operations, rows of az monitor, and alerts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def job(**fields: Any) -> dict[str, Any]:
    properties = {"jobType": "AzureIaasVMJob", "operation": "Backup", "status": "Completed", "entityFriendlyName": "vm1",  # noqa: E501
                  "startTime": "2026-01-01T01:00:00Z", "endTime": "2026-01-01T02:00:00.1234567Z", "duration": "1:00:00.1",  # noqa: E501
                  **fields}  # fmt: skip
    return {"id": "/subscriptions/1/vaults/v1/backupJobs/j1", "name": "j1", "properties": properties}


def runs_of(document: Any) -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=json.dumps(document).encode()))
    assert reading.format == "azure-backup"
    return reading.runs


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("Completed", "success"), ("CompletedWithWarnings", "warning"), ("InProgress", "running"), ("Failed", "failure"),
     ("Cancelled", "cancelled"), ("Cancelling", "running"), ("Invalid", "unknown")],
)  # fmt: skip
def test_every_status(status: str, outcome: str) -> None:
    assert runs_of(job(status=status))[0].outcome == outcome


@pytest.mark.parametrize(
    ("word", "operation"), [("Restore", "restore"), ("ConfigureBackup", "inventory"), ("Backup (Log)", "backup")]
)
def test_operations(word: str, operation: str) -> None:
    assert runs_of(job(operation=word))[0].operation == operation


def test_transferred_megabytes_and_the_vault() -> None:
    run = runs_of({"value": [job(extendedInfo={"propertyBag": {"Data Transferred (in MB)": "12"}})]})[0]
    assert (run.transferred_bytes, run.account, run.protected_bytes) == (12 * 2**20, "v1", None)


def test_a_flat_row_of_the_query_command() -> None:
    row = {"JobUniqueId": "u", "JobOperation": "Backup", "JobStatus": "Completed", "JobStartDateTime":
           "2026-01-01T01:00:00Z", "JobDurationInSecs": "60.0", "DataTransferredInMB": "1.5"}  # fmt: skip
    run = runs_of([row])[0]
    assert (run.outcome, run.transferred_bytes, run.duration_seconds) == ("success", 1572864, 60.0)


@pytest.mark.parametrize(("condition", "outcome"), [("Fired", "failure"), ("Resolved", "unknown")])
def test_an_alert(condition: str, outcome: str) -> None:
    essentials = {"monitoringService": "Azure Backup", "alertRule": "Backup Failure", "monitorCondition": condition,
                  "alertId": "a", "firedDateTime": "2026-01-01T01:00:00Z", "configurationItems": ["vm1"]}  # fmt: skip
    run = runs_of({"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials}})[0]
    assert (run.operation, run.outcome, run.item) == ("backup", outcome, "vm1")
