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


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("FATAL error, aborting operation: Error opening directory: /nope : No such file or directory", "/nope"),
        ("Abandon. L'utilisateur a refusé de continuer lors de la question : plus de place", None),
        ("Parse error: Unknown option -", None),
    ],
)
def test_what_aborts_dar_is_an_error(line: str, path: str | None) -> None:
    run = run_of(line, command="dar -c /b/full -R /srv", code=2)
    assert (run.outcome, run.errors[0].message, run.errors[0].path) == ("failure", line, path)


def test_a_comparison_that_meets_damage_is_a_failure() -> None:
    text = "DIFF /srv/a: file not present in filesystem\nERR /srv/b : CRC error: data corruption."
    assert run_of(text, command="dar -d /b/full -R /srv", code=5).outcome == "failure"
