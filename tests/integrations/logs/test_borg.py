"""Borg's other outputs, as the documentation of 1.1 to 2.0 shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog

ID = "166f9c810968ad5b8818e9d3a14a70d2387acb23d537c0f8991a5b605e469e63"
STATS = f"""------------------------------------------------------------------------------
Archive name: host-2026-02-01
Archive fingerprint: {ID}
Time (start): Sun, 2026-02-01 02:00:01
Time (end):   Sun, 2026-02-01 02:01:07
Duration: 1 minutes 6.23 seconds
Number of files: 29022
Utilization of max. archive size: 0%
------------------------------------------------------------------------------
                       Original size      Compressed size    Deduplicated size
This archive:                1.23 GB            900.00 MB             16.10 kB
All archives:               68.69 GB             45.20 GB             17.36 GB
"""


def runs_of(stdout: str, stderr: str = "", **told: Any) -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), **told))
    assert reading.format == "borg", reading.error
    return reading.runs


def run_of(stdout: str, stderr: str = "", **told: Any) -> JobLog:
    (run,) = runs_of(stdout, stderr, **told)
    return run


def test_the_script_of_the_documentation_is_three_runs() -> None:
    log = (
        'Starting backup\n\nCreating archive at "ssh://u@h/./repo::host-2026-02-01"\n'
        "/etc/shadow: open: [Errno 13] Permission denied: '/etc/shadow'\n" + STATS + "terminating with warning status, rc 1\n"  # noqa: E501
        f"Keeping archive (rule: daily #1):        host-2026-02-01   Sun, 2026-02-01 02:00:01 [{ID}]\n"
        "terminating with success status, rc 0\ncompaction freed about 2.91 MB repository space.\n"
        "terminating with success status, rc 0\n"
    )  # fmt: skip
    create, prune, compact = runs_of(log, exit_code=1, timezone="Europe/Berlin")
    assert (create.operation, create.outcome, create.exit_code) == ("backup", "warning", 1)
    assert (create.protected_bytes, create.transferred_bytes, create.stored_bytes) == (
        1_230_000_000,
        16_100,
        17_360_000_000,
    )
    assert (create.run_id, create.archive, create.repository) == (ID, "host-2026-02-01", "ssh://u@h/./repo")
    assert create.started_at == datetime(2026, 2, 1, 1, 0, 1, tzinfo=UTC)
    assert create.duration_seconds == pytest.approx(66.23)
    assert (prune.operation, prune.outcome) == ("prune", "success")
    assert (compact.operation, compact.freed_bytes) == ("prune", 2_910_000)


def test_local_times_without_a_zone_are_left_out_with_a_note() -> None:
    run = run_of(STATS)
    assert (run.started_at, run.outcome, run.protected_bytes) == (None, "success", 1_230_000_000)
    assert "time zone" in run.notes[0]


def test_statistics_of_borg_2_have_offsets_and_no_table() -> None:
    run = run_of(
        f"Archive name: a\nArchive fingerprint: {ID}\nTime (start): Thu, 2023-05-04 01:02:03 +0200\n"
        "Time (end):   Thu, 2023-05-04 01:02:04 +0200\nDuration: 0.07 seconds\nNumber of files: 3\n"
        "Original size: 1.50 GB\nDeduplicated size: 20 B\nAdded files: 1\nUnchanged files: 2\n",
        exit_code=0,
    )
    assert (run.protected_bytes, run.transferred_bytes, run.complete) == (1_500_000_000, 20, True)
    assert run.started_at == datetime(2023, 5, 3, 23, 2, 3, tzinfo=UTC)
    assert dict(run.files) == {"total": 3, "new": 1, "unmodified": 2}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, "success"), (1, "warning"), (2, "failure"), (13, "failure"), (73, "failure"), (99, "failure"), (100, "warning"),  # noqa: E501
     (107, "warning"), (127, "warning"), (130, "cancelled"), (137, "failure")],
)  # fmt: skip
def test_exit_codes_old_and_modern(code: int, outcome: str) -> None:
    assert run_of("", exit_code=code, command="borg create ::a /srv").outcome == outcome


def test_a_check_that_ends_with_1_found_damage() -> None:
    assert run_of("", exit_code=1, command="borg check").outcome == "failure"


def test_json_lines_carry_the_statistics_text_too() -> None:
    lines = [
        {"type": "file_status", "status": "E", "path": "/x"},
        {"type": "log_message", "levelname": "INFO", "name": "borg.output.stats", "message": STATS},
        {"type": "log_message", "levelname": "INFO", "name": "borg.output.show-rc",
         "message": "terminating with success status, rc 0"},
    ]  # fmt: skip
    run = run_of("", "\n".join(map(json.dumps, lines)), timezone="UTC")
    assert (run.outcome, run.protected_bytes, run.exit_code, run.files_failed) == ("success", 1_230_000_000, 0, 1)


def test_names_that_are_not_utf_8_come_as_lone_surrogates() -> None:
    line = '{"type": "log_message", "message": "/x/caf\\udce9: open: [Errno 13] Permission denied: \'x\'", "levelname": "WARNING", "name": "borg.archiver"}'  # noqa: E501
    assert run_of("", line, exit_code=1, command="borg create ::a /x").errors[0].path == "/x/caf\\xe9"


def test_a_missing_root_is_no_vanished_file() -> None:
    run = run_of(
        "/srv/no: stat: [Errno 2] No such file or directory: '/srv/no'\n/srv/a/b: stat: [Errno 2] No such file: 'b'\n",
        exit_code=1,
        command="borg create ::a /srv/a /srv/no",
    )
    assert (run.complete, run.outcome) == (False, "warning")
    assert [error.kind for error in run.errors] == ["other", "vanished"]


def test_json_that_is_cut_off_is_refused_with_its_line() -> None:
    reading = read(Delivery(stdout=b'note\n{\n  "archive": {\n', command="borg create --json ::a /x"))
    assert (reading.format, reading.line, reading.runs) == ("borg", 2, ())
    assert "cut off" in (reading.error or "")


def test_a_crash_report_names_operation_and_release() -> None:
    log = (
        "Local Exception\nTraceback (most recent call last):\n  File \"x.py\", line 1, in main\nValueError: bad\n\n"
        "Platform: Linux h 6.1\nBorg: 1.2.4  Python: CPython 3.11.2 msgpack: 1.0.3\n"
        "sys.argv: ['/usr/bin/borg', 'prune', '-v']\nSSH_ORIGINAL_COMMAND: None\n"
    )  # fmt: skip
    run = run_of(log, exit_code=2)
    assert (run.operation, run.outcome, run.product_version) == ("prune", "failure", "1.2.4")
    assert "ValueError: bad" in [error.message for error in run.errors]


def test_info_as_text_is_an_inventory_not_a_backup() -> None:
    head, table = STATS.split("Duration", 1)
    run = run_of(head + "Hostname: db02\nUsername: root\nDuration" + table, timezone="UTC", exit_code=0)
    assert (run.operation, run.action, run.host, run.archive) == ("inventory", "list", "db02", "host-2026-02-01")


def test_a_dry_run_saves_nothing() -> None:
    assert run_of("", exit_code=0, command="borg create -n --list ::a /srv").outcome == "skipped"


def test_borgmatic_is_another_product() -> None:
    log = (
        "/srv/repo: Creating archive\n"
        + STATS
        + "\nsummary:\n/etc/borgmatic/x.yaml: Successfully ran configuration file\n"
    )
    assert read(Delivery(stdout=log.encode())).format == "borgmatic"
