"""rclone: what its fixtures do not show. Messages are those of rclone's sources and of runs of 1.60."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery

BLOCK = (
    b"2026/11/23 02:50:21 INFO  : a: Copied (new)\n"
    b"2026/11/23 02:50:21 INFO  : \n"
    b"Transferred:   \t   97.659 KiB / 97.659 KiB, 100%%, 0 B/s, ETA -\n"
    b"Transferred:            2 / 2, 100%%\n"
    b"Elapsed time:         %s\n"
)


@pytest.mark.parametrize(
    ("elapsed", "outcome"),
    [(b"2.4s", "success"), (b"1m0.0s", "unknown"), (b"1m3.7s", "success")],
)
def test_without_an_exit_code_only_statistics_off_the_tick_prove_an_end(elapsed: bytes, outcome: str) -> None:
    assert read(Delivery(stdout=BLOCK % elapsed)).outcome == outcome


def test_statistics_with_something_left_prove_no_end() -> None:
    log = (BLOCK % b"2.4s").replace(b"2 / 2, 100%", b"2 / 3, 66%")
    assert read(Delivery(stdout=log)).outcome == "unknown"


@pytest.mark.parametrize(
    ("code", "outcome", "complete"),
    [(0, "success", True), (9, "success", True), (8, "warning", False), (7, "failure", False), (1, "failure", False)],
)
def test_exit_codes(code: int, outcome: str, complete: bool) -> None:
    run = read(Delivery(stdout=BLOCK % b"2.4s", exit_code=code)).runs[0]
    assert (run.outcome, run.complete) == (outcome, complete)


def test_an_attempt_that_a_later_one_made_good_is_no_failure() -> None:
    log = (
        b"2026/11/23 02:50:21 ERROR : db/x.sql: Failed to copy: connection reset\n"
        b"2026/11/23 02:50:21 ERROR : Attempt 1/3 failed with 1 errors and: connection reset\n"
        b"2026/11/23 02:50:22 ERROR : Attempt 2/3 succeeded\n"
    )
    run = read(Delivery(stdout=log, command="rclone sync /srv/data nas:data", exit_code=0)).runs[0]
    assert run.outcome == "success"
    assert [(error.path, error.severity) for error in run.errors] == [("db/x.sql", "warning"), (None, "warning")]


def test_a_dry_run_moved_nothing() -> None:
    log = b"2026/11/23 02:50:21 NOTICE: a: Skipped copy as --dry-run is set (size 5)\n" + BLOCK % b"2.4s"
    run = read(Delivery(stdout=log, exit_code=0)).runs[0]
    assert (run.outcome, run.transferred_bytes) == ("skipped", None)


def test_the_size_of_a_local_folder_is_protected_and_that_of_a_remote_is_stored() -> None:
    log = b"Total objects: 2 (2)\nTotal size: 97.659 KiB (100003 Byte)\n"
    local = read(Delivery(stdout=log, command="rclone size /srv/data", exit_code=0)).runs[0]
    remote = read(Delivery(stdout=log, command="rclone size nas:data", exit_code=0)).runs[0]
    assert (local.protected_bytes, local.basis, local.stored_bytes) == (100003, "logical-each", None)
    assert (remote.protected_bytes, remote.stored_bytes, remote.files) == (None, 100003, {"total": 2})


def test_newer_releases_say_critical() -> None:
    log = b"2025/06/01 03:00:00 CRITICAL: Failed to sync: directory not found\n"
    reading = read(Delivery(stdout=log))
    assert (reading.format, reading.outcome, reading.runs[0].operation) == ("rclone", "failure", "copy")
