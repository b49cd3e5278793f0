"""Causes that tools tell in words of their own, without "error" before them, stand among the errors of the run."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery

VERIFY = """\
2026-11-23 04:47:11.403 P00   INFO: verify command begin 2.45: --exec-id=4411-3f2b43c5 --log-level-console=info --stanza=main
2026-11-23 04:47:11.404 P00   INFO: stanza: main
                                    status: error
                                      No usable archive.info file
2026-11-23 04:47:11.404 P00   INFO: verify command end: completed successfully (3ms)
"""  # noqa: E501


@pytest.mark.parametrize(
    ("delivery", "product", "message", "path"),
    [
        (
            Delivery(
                stdout=b"",
                stderr=b'File not found: /etc/none.conf\nType "rsnapshot help" for more information.\n',
                command="rsnapshot -c /etc/none.conf daily",
                exit_code=1,
            ),
            "rsnapshot",
            "File not found: /etc/none.conf",
            "/etc/none.conf",
        ),
        (
            Delivery(
                stdout=b"",
                stderr=b"mariabackup: unknown option '--nonsense'\n",
                command="mariabackup --backup --target-dir=/b --nonsense",
                exit_code=1,
            ),
            "mariabackup",
            "unknown option '--nonsense'",
            None,
        ),
        (Delivery(stdout=VERIFY.encode(), exit_code=0), "pgbackrest", "No usable archive.info file", None),
    ],
    ids=["rsnapshot", "mariabackup", "pgbackrest"],
)
def test_the_cause_stands_among_the_errors(delivery: Delivery, product: str, message: str, path: str | None) -> None:
    reading = read(delivery)
    assert (reading.format, reading.outcome) == (product, "failure")
    errors = [error for run in reading.runs for error in run.errors]
    assert any(message in error.message and error.path == path for error in errors), errors
