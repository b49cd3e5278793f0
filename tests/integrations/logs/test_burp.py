"""What the samples of burp do not show: clients cut off, and a client without an exit code."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def run_of(stderr: str, *, command: str, code: int | None, stdout: str = "") -> JobLog:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "burp", reading.error
    return reading.runs[0]


@pytest.mark.parametrize(
    ("words", "code", "outcome"),
    [
        ("Phase 2 begin (send backup data)", None, "unknown"),
        ("backup finished ok", None, "success"),
        ("Timer conditions on the server were not met", None, "skipped"),
        ("backup finished ok", 1, "failure"),
    ],
)
def test_outcomes(words: str, code: int | None, outcome: str) -> None:
    line = f"2026-11-22 21:33:43 +0000: burp[16605] {words}\n"
    assert run_of("", stdout=line, command="burp -a t", code=code).outcome == outcome
