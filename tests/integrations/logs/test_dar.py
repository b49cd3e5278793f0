"""What the samples of dar do not show: other exit codes, and logs without their table."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def run_of(stderr: str, *, command: str, code: int | None, stdout: str = "") -> JobLog:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "dar", reading.error
    return reading.runs[0]


@pytest.mark.parametrize(("code", "outcome"), [(0, "success"), (11, "warning"), (4, "failure"), (None, "unknown")])
def test_exit_codes_of_a_quiet_backup(code: int | None, outcome: str) -> None:
    assert run_of("", command="dar -c /b/full -R /srv -Q -q", code=code).outcome == outcome
