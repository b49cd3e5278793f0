"""What the samples of rdiff-backup do not show: the old command line, and logs cut off."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def run_of(stderr: str, *, command: str, code: int | None, stdout: str = "") -> JobLog:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "rdiff-backup", reading.error
    return reading.runs[0]


@pytest.mark.parametrize(
    ("command", "code", "operation", "outcome"),
    [
        ("rdiff-backup /srv /b/rdiff", 0, "backup", "success"),
        ("rdiff-backup --remove-older-than 3M /b/rdiff", 0, "prune", "success"),
        ("rdiff-backup -r now /b/rdiff /out", 0, "restore", "success"),
        ("rdiff-backup backup /srv /b/rdiff", None, "backup", "unknown"),
        ("rdiff-backup backup /srv /b/rdiff", 1, "backup", "failure"),
    ],
)
def test_silence(command: str, code: int | None, operation: str, outcome: str) -> None:
    run = run_of("", command=command, code=code)
    assert (run.operation, run.outcome) == (operation, outcome)


@pytest.mark.parametrize(
    ("stderr", "code", "outcome"),
    [
        ("WARNING: Action restore emitted warnings, see previous messages for details", 2, "warning"),
        ("WARNING: something", 6, "warning"),
        ("WARNING: something", 3, "failure"),
        ("WARNING: something", 137, "failure"),
        ("Traceback (most recent call last):", 1, "failure"),
        ("WARNING: this command line interface is deprecated and will disappear", 0, "success"),
    ],
)
def test_exit_codes_are_bits(stderr: str, code: int, outcome: str) -> None:
    run = read(
        Delivery(stdout=b"", stderr=stderr.encode(), command="rdiff-backup restore /b/x /srv/x", exit_code=code)
    ).runs[0]
    assert run.outcome == outcome


@pytest.mark.parametrize(("code", "line"), [(1, "ERROR: Action compare failed on step run"), (8, "WARNING: x")])
def test_differences_are_a_warning_in_old_and_new_releases(code: int, line: str) -> None:
    body = Delivery(
        b"changed: db/dump.sql\n", line.encode(), command="rdiff-backup compare /srv/x /b/x", exit_code=code
    )
    run = read(body).runs[0]
    assert (run.outcome, run.checksum_ok, run.errors[0].path) == ("warning", False, "db/dump.sql")
