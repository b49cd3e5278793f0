"""What the samples of rsnapshot do not show: rotations, silence, dry runs and cut-off output."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def runs_of(stdout: str, *, command: str = "", code: int | None = None, stderr: str = "") -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "rsnapshot", reading.error
    return reading.runs


CALL = (
    "echo 1 > /var/run/rsnapshot.pid \nmkdir -m 0755 -p /b/hourly.0/ \n"
    "/usr/bin/rsync -a --delete /srv/data/ /b/hourly.0/localhost/ \n"
    "touch /b/hourly.0/ \nrm -f /var/run/rsnapshot.pid \n"
)


@pytest.mark.parametrize(
    ("stdout", "stderr", "command", "code", "told"),
    [
        (CALL, "", "rsnapshot -v hourly", 0, ("backup", "success", "/srv/data/")),
        (CALL, "", "rsnapshot -t hourly", 0, ("backup", "skipped", "/srv/data/")),
        (CALL[:60], "", "", None, ("backup", "unknown", "")),
        (CALL[:130], "", "", None, ("backup", "unknown", "/srv/data/")),
        ("", "", "rsnapshot hourly", 0, ("backup", "success", "")),
        ("", "", "rsnapshot hourly; true", 0, ("backup", "unknown", "")),
        ("", "", "rsnapshot monthly", 0, ("prune", "success", "")),
        ("Syntax OK\n", "", "rsnapshot configtest", 0, ("verify", "success", "")),
        (
            "echo 1 > /r.pid\nmv /b/hourly.5/ /b/daily.0/\nrm -f /r.pid\n", "", "", None, ("prune", "success", ""),
        ),
        (
            CALL, "WARNING: Some files and/or directories in /srv/data/ vanished during rsync operation\n",
            "rsnapshot -v hourly", 2, ("backup", "warning", "/srv/data/"),
        ),
        (
            CALL, "ERROR: /usr/bin/rsync returned 12 while processing /srv/data/\n",
            "rsnapshot -v hourly", 1, ("backup", "failure", "/srv/data/"),
        ),
    ],
)  # fmt: skip
def test_what_a_call_did(stdout: str, stderr: str, command: str, code: int | None, told: tuple[str, str, str]) -> None:
    (run,) = runs_of(stdout, command=command, code=code, stderr=stderr)
    assert (run.operation, run.outcome, run.item) == told
