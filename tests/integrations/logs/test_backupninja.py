"""What the samples of backupninja do not show: its mailed report, logs cut off, and a death outside of any action."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def runs_of(stdout: str, *, command: str = "", code: int | None = None, stderr: str = "") -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "backupninja", reading.error
    return reading.runs


MAIL = """From: root@web02.example
To: a@msp.example
Subject: backupninja: web02.example FAILED
Date: Sun, 22 Nov 2026 21:30:00 +0000
Message-ID: <1@web02.example>

*failed* -- /etc/backup.d/10-check.sh
success -- /etc/backup.d/20-files.tar

== fatal errors from /etc/backup.d/10-check.sh ==

Fatal: disk /srv/backup not mounted
"""


def test_a_mailed_report_tells_each_action() -> None:
    check, files = runs_of(MAIL)
    assert (check.outcome, check.host, check.source_job) == ("failure", "web02.example", "/etc/backup.d/10-check.sh")
    assert [error.message for error in check.errors] == ["disk /srv/backup not mounted"]
    assert (files.outcome, files.errors) == ("success", ())


START = "Nov 22 21:25:55 Info: >>>> starting action /etc/backup.d/10-files.tar (because of --now)\n"
FATAL = "Nov 22 21:25:56 Fatal: Configuration files must be owned by root! Dying on file /etc/backup.d/20-x.sh\n"


@pytest.mark.parametrize(
    ("stdout", "outcomes"),
    [
        (START, ["unknown"]),
        (START + "Nov 22 21:25:56 Error: no space\n", ["failure"]),
        (START + "Nov 22 21:25:56 Info: <<<< finished action /etc/backup.d/10-files.tar: SUCCESS\n", ["success"]),
        (
            START + "Nov 22 21:25:56 Info: <<<< finished action /etc/backup.d/10-files.tar: SUCCESS\n" + FATAL,
            ["success", "failure"],
        ),
    ],
)
def test_outcomes(stdout: str, outcomes: list[str]) -> None:
    assert [run.outcome for run in runs_of(stdout)] == outcomes
