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


@pytest.mark.parametrize(
    ("stderr", "code", "outcome", "message"),
    [
        ("Traceback (most recent call last):\n  File x\nbup.git.GitError: missing ref", 1, "failure", "missing ref"),
        ("Traceback (most recent call last):", 1, "failure", "Traceback (most recent call last):"),
        ("something that nobody has seen", 1, "failure", "something that nobody has seen"),
    ],
)
def test_a_failure_names_its_cause(stderr: str, code: int, outcome: str, message: str) -> None:
    run = run_of(stderr, command="bup save -n x /srv", code=code)
    assert run.outcome == outcome
    assert message in run.errors[-1].message


def test_a_save_behind_a_failed_index_is_not_known_to_have_reached_its_roots() -> None:
    line = "read Linux attr: [Errno 13] Permission denied: '/srv/a'\nWARNING: 1 errors encountered"
    command = "bup index /srv && bup save -n x /srv"
    assert run_of(f"{line}.", command=command, code=1).complete is False
    assert run_of(f"{line} while saving.", command=command, code=1).complete is True


def test_the_speed_of_a_split_is_no_trouble() -> None:
    speed = "bup: 24590.00 kbytes in 2.19 secs = 11216.08 kbytes/sec"
    run = run_of(speed, command="tar -cf - /srv | bup split -vv -n x", code=0)
    assert (run.outcome, run.operation, run.errors) == ("success", "backup", ())


def test_a_repaired_pack_is_a_warning() -> None:
    line = f"b'pack-{'a' * 40}' par2 repair: succeeded (0)"
    assert run_of(line, command="bup fsck -r", code=100).outcome == "warning"
