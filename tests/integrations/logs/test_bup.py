"""What the samples of bup do not show: masked exit codes, and failures beyond files."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def run_of(stderr: str, *, command: str, code: int | None, stdout: str = "") -> JobLog:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "bup", reading.error
    return reading.runs[0]


@pytest.mark.parametrize(
    ("stderr", "command", "code", "outcome"),
    [
        ("", "bup save -n x /srv", None, "unknown"),
        ("", "bup save -n x /srv; echo done", 0, "unknown"),
        ("error: '/b/bup' is not a bup repository; run \"bup init\"", "bup save -n x /srv", 15, "failure"),
        ("", "bup save -n x /srv", 1, "failure"),
    ],
)
def test_outcomes(stderr: str, command: str, code: int | None, outcome: str) -> None:
    assert run_of(stderr, command=command, code=code).outcome == outcome
