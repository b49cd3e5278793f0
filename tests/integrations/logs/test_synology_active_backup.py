"""What the fixtures of Active Backup do not show: every status number, the list of tasks, other languages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def task_runs(**result: Any) -> tuple[JobLog, ...]:
    last = {
        "status": 2,
        "transfered_bytes": 7,
        "time_start": 1741946267,
        "time_end": 1741946439,
        "task_id": 5,
        **result,
    }
    task = {"task_name": "T", "devices": [{"host_name": "pc"}], "last_result": last}
    return read(Delivery(stdout=json.dumps({"data": {"tasks": [task]}}).encode())).runs


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (2, "success"),
        (3, "warning"),
        (4, "failure"),
        (5, "cancelled"),
        (6, "skipped"),
        (1, "unknown"),
        (None, "unknown"),
    ],
)
def test_every_status_has_its_outcome(status: int | None, outcome: str) -> None:
    run = task_runs(status=status)[0]
    assert (run.outcome, run.source_job, run.host, run.duration_seconds) == (outcome, "T", "pc", 172)
    assert (run.transferred_bytes == 7) == (outcome in ("success", "warning"))


def test_a_success_with_warnings_is_a_warning() -> None:
    run = task_runs(warning_count=2)[0]
    assert (run.outcome, run.errors[0].message) == ("warning", "status: successful, 0 errors, 2 warnings")


def test_restores_are_restores_and_housekeeping_is_left_aside() -> None:
    assert task_runs(job_action=1024)[0].operation == "restore"
    assert task_runs(job_action=1048576) == ()


@pytest.mark.parametrize(
    ("lead", "labels", "outcome"),
    [
        ("The backup task T on nas01 has failed.", "Task: T\nDevice: pc\n", "failure"),
        ("The backup task T on nas01 was partially completed.", "Task: T\nDevice: pc\n", "warning"),
        ("La tâche de sauvegarde T sur nas01 a échoué.", "Tâche : T\nPériphérique : pc\n", "failure"),
        ("La tarea de copia de seguridad T se ha completado.", "Tarea: T\nDispositivo: pc\n", "success"),
        ("A message of nas01.", "Task: T\nDevice: pc\nStatus: Success\n", "success"),
        ("A message of nas01.", "Task: T\nDevice: pc\n", "unknown"),
    ],
)
def test_mails(lead: str, labels: str, outcome: str) -> None:
    reading = read(Delivery(stdout=f"Active Backup for Business\n{lead}\n\n{labels}".encode()))
    assert reading.format == "synology-active-backup"
    assert (reading.runs[0].outcome, reading.runs[0].source_job, reading.runs[0].host) == (outcome, "T", "pc")
