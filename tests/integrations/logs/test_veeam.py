"""What the fixtures of Veeam do not show: kinds of job, local dates and figures, failures, and session states."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def mail(title: str = "Backup job: J", verdict: str = "Success", day: str = "06.01.2026 23:50:12", start: str = "23:50:12",  # noqa: E501
         end: str = "00:21:40", size: str = "350,0 GB", rows: str = "") -> str:  # fmt: skip
    return (
        f"{title}\t{verdict}\n{day}\nSuccess\t1\tStart time\t{start}\tTotal size\t{size}\tBackup size\t1,5 TB\n"
        f"Warning\t0\tEnd time\t{end}\tData read\t0,0 B\tDedupe\t1,0x\nError\t0\tDuration\t0:31:28\tTransferred\t1,0 MB\n"  # noqa: E501
        f"Details\nName\tStatus\tStart time\tEnd time\tSize\tRead\tTransferred\tDuration\tDetails\n{rows}"
        "Veeam Backup & Replication 11.0.1.1261\n"
    )


def run_of(text: str, **delivery: Any) -> JobLog:
    reading = read(Delivery(stdout=text.encode(), **delivery))
    assert reading.format == "veeam"
    return reading.runs[0]


def test_day_first_dates_decimal_commas_and_an_end_after_midnight() -> None:
    run = run_of(mail(), timezone="Europe/Berlin")
    assert run.started_at == datetime(2026, 1, 6, 22, 50, 12, tzinfo=UTC)
    assert run.ended_at == datetime(2026, 1, 6, 23, 21, 40, tzinfo=UTC)
    assert (run.protected_bytes, run.stored_bytes, run.transferred_bytes) == (350 * 2**30, 3 * 2**39, 2**20)


@pytest.mark.parametrize(
    "day", ["Dienstag, 6. Januar 2026 23:50:12", "mardi 6 janvier 2026 23:50:12", "martes, 6 de enero de 2026 23:50:12"]
)
def test_dates_in_words(day: str) -> None:
    assert run_of(mail(day=day), timezone="UTC").started_at == datetime(2026, 1, 6, 23, 50, 12, tzinfo=UTC)


def test_without_a_zone_there_is_no_time() -> None:
    assert run_of(mail()).started_at is None


@pytest.mark.parametrize(
    ("title", "operation", "job"),
    [("Backup Copy job: Off site", "copy", "Off site"), ("Replication job: R (Incremental)", "replicate", "R"),
     ("SureBackup job: Test", "verify", "Test"), ("Agent Backup job: PC (Retry 2)", "backup", "PC"),
     ("Replica job: R", "replicate", "R"), ("Backup job: A (Full)", "backup", "A")],
)  # fmt: skip
def test_kinds_of_job(title: str, operation: str, job: str) -> None:
    run = run_of(mail(title))
    assert (run.operation, run.source_job) == (operation, job)


def test_details_below_a_failed_row_are_its_message() -> None:
    rows = (
        "A\tSuccess\t1:00\t1:01\t1,0 GB\t0 B\t0 B\t0:01\t\nB\tFailed\t1:00\t1:01\t2,0 GB\t0 B\t0 B\t0:01\n"
        "Error: No space [D:\\x.vib].\n"
    )
    run = run_of(mail(verdict="Failed", rows=rows))
    assert (run.outcome, run.complete) == ("failure", False)
    assert [(one.name, one.outcome) for one in run.components] == [("A", "success"), ("B", "failure")]
    assert (run.errors[0].message, run.errors[0].path, run.errors[0].component) == (
        "No space [D:\\x.vib].",
        "D:\\x.vib",
        "B",
    )


@pytest.mark.parametrize(
    ("state", "result", "outcome"),
    [("Stopped", "Success", "success"), ("Stopped", "Failed", "failure"), ("Stopped", "None", "unknown"),
     ("Working", "None", "running"), ("Idle", "Success", "running"), ("Stopped", "Warning", "warning")],
)  # fmt: skip
def test_states_of_sessions(state: str, result: str, outcome: str) -> None:
    one = {
        "sessionType": "BackupJob",
        "state": state,
        "id": "s",
        "creationTime": "2026-01-01T00:00:00Z",
        "result": {"result": result},
    }
    assert run_of(json.dumps({"data": [one]})).outcome == outcome


def test_a_session_of_microsoft_365() -> None:
    one = {"id": "s", "creationTime": "2026-01-01T00:00:00.1234567Z", "endTime": "2026-01-01T01:00:00Z", "status": "Warning",  # noqa: E501
           "statistics": {"transferredDataBytes": 5}}  # fmt: skip
    run = run_of(json.dumps({"results": [one]}))
    assert (run.outcome, run.transferred_bytes, run.protected_bytes) == ("warning", 5, None)
