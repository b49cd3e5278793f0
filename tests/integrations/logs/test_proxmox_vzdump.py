"""What the samples of vzdump do not show: cut-off logs, warnings, and jobs that reached no guest."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def runs_of(stdout: str, *, command: str = "", code: int | None = None, stderr: str = "") -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "proxmox-vzdump", reading.error
    return reading.runs


START = "INFO: starting new backup job: vzdump 100\nINFO: Starting Backup of VM 100 (qemu)\nINFO: VM Name: erp\n"
DISK = "INFO: include disk 'scsi0' 'local-lvm:vm-100-disk-0' 32G\n"
END = "INFO: Finished Backup of VM 100 (00:12:31)\n"


@pytest.mark.parametrize(
    ("stdout", "outcome", "protected"),
    [
        (START + DISK, "unknown", None),
        (START + DISK + END, "success", 32 * 2**30),
        (START + DISK + "WARN: guest agent is not running\n" + END + "TASK WARNINGS: 1\n", "warning", 32 * 2**30),
        (START + DISK + "ERROR: Backup of VM 100 failed - aborted\nTASK ERROR: job errors\n", "failure", 32 * 2**30),
        (START + "TASK ERROR: interrupted by signal\n", "failure", None),
        (
            "INFO: starting new backup job: vzdump 100\nTASK ERROR: could not get storage information for 'pbs'\n",
            "failure", None,
        ),
    ],
)  # fmt: skip
def test_outcomes(stdout: str, outcome: str, protected: int | None) -> None:
    (run,) = runs_of(stdout)
    assert (run.outcome, run.protected_bytes) == (outcome, protected)
    assert run.complete is (True if outcome == "success" else False if outcome == "failure" else None)
