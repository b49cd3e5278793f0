"""What the samples of Proxmox Backup Server do not show: every status of a task, with its log, and the client."""

from __future__ import annotations

import json

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def runs_of(stdout: str, *, command: str = "", code: int | None = None, stderr: str = "") -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "proxmox-backup-server", reading.error
    return reading.runs


def task(status: str | None, **more: object) -> str:
    row = {
        "upid": "UPID:x",
        "node": "pbs1",
        "worker_type": "backup",
        "worker_id": "s1:ns/acme/vm/100",
        "starttime": 1772328000,
    }
    return json.dumps(
        {"data": [{**row, **({} if status is None else {"status": status, "endtime": 1772328060}), **more}]}
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("OK", "success"), ("WARNINGS: 3", "warning"), ("unknown", "unknown"), (None, "running"),
        ("task aborted", "cancelled"), ("connection error: timed out", "failure"),
    ],
)  # fmt: skip
def test_the_status_of_a_task_is_its_outcome(status: str | None, outcome: str) -> None:
    (run,) = runs_of(task(status))
    assert (run.outcome, run.source_job, run.item) == (outcome, "s1", "ns/acme/vm/100")


def test_a_task_with_its_log_has_its_sizes() -> None:
    log = [
        {"n": 1, "t": "Upload statistics for 'root.pxar.didx'"},
        {"n": 2, "t": "Size: 4096"},
        {"n": 3, "t": "TASK OK"},
    ]
    (run,) = runs_of(task("OK", log=log, worker_id="s1:ct/7"))
    assert (run.protected_bytes, run.basis, run.complete) == (4096, "logical-once", True)


BEGIN = "Starting backup: host/web01/2026-03-01T01:00:00Z\nClient name: web01\n"


@pytest.mark.parametrize(
    ("stdout", "code", "outcome"),
    [
        (BEGIN, None, "unknown"),
        (BEGIN, 255, "failure"),
        (BEGIN + "Error: unable to open chunk store\n", 255, "failure"),
        (BEGIN + "Duration: 1.00s\nEnd Time: Sun Mar  1 01:00:01 2026\n", None, "success"),
    ],
)
def test_the_client(stdout: str, code: int | None, outcome: str) -> None:
    (run,) = runs_of(stdout, code=code)
    assert (run.outcome, run.item) == (outcome, "host/web01")
