"""restic's other outputs, as its documentation and releases 0.9 to 0.18 print them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog

SAVED = '{"message_type":"summary","total_files_processed":6,"total_bytes_processed":123456,"snapshot_id":"4ba41c20"}\n'
TEXT = """Files:           1 new,     0 changed,   125 unmodified
Dirs:            0 new,     4 changed,    12 unmodified
Added to the repository: 436.182 KiB (427.771 KiB stored)

processed 126 files, 25.123 MiB in 1:02:03
snapshot 256750d3 saved
"""


def runs_of(stdout: str, stderr: str = "", **told: Any) -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), **told))
    assert reading.format == "restic", reading.error
    return reading.runs


def run_of(stdout: str, stderr: str = "", **told: Any) -> JobLog:
    (run,) = runs_of(stdout, stderr, **told)
    return run


def test_a_summary_of_a_newer_release_tells_times_and_what_was_packed() -> None:
    run = run_of(
        '{"message_type":"summary","data_added":1000,"data_added_packed":500,"total_files_processed":6,'
        '"total_bytes_processed":123456,"total_duration":1.5,"backup_start":"2025-01-02T03:04:05.123456789+01:00",'
        '"backup_end":"2025-01-02T03:04:07+01:00","snapshot_id":"4ba41c20b6e85aa6"}',
        exit_code=0,
    )
    assert (run.outcome, run.complete, run.protected_bytes, run.run_id) == ("success", True, 123456, "4ba41c20b6e85aa6")
    assert (run.transferred_bytes, run.stored_bytes) == (1000, 500)
    assert run.started_at == datetime(2025, 1, 2, 2, 4, 5, 123456, tzinfo=UTC)
    assert run.ended_at == datetime(2025, 1, 2, 2, 4, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "outcome"), [(1, "failure"), (10, "failure"), (11, "failure"), (12, "failure"), (130, "cancelled")]
)
def test_the_error_at_exit_tells_its_code(code: int, outcome: str) -> None:
    run = run_of("", f'{{"message_type":"exit_error","code":{code},"message":"Fatal: it went wrong\\nmore"}}')
    assert (run.outcome, run.exit_code, run.complete) == (outcome, code, False)
    assert run.errors[0].message == "it went wrong"
    assert run.errors[0].code == str(code)


def test_an_incomplete_snapshot_is_a_warning_with_its_size() -> None:
    run = run_of(
        SAVED,
        '{"message_type":"error","error":{"message":"open /a/b: permission denied"},"during":"archival","item":"/a/b"}\n'  # noqa: E501
        '{"message_type":"exit_error","code":3,"message":"Warning: at least one source file could not be read"}\n',
        exit_code=3,
        command="restic backup --json /a",
    )
    assert (run.outcome, run.complete, run.files_failed, run.protected_bytes) == ("warning", True, 1, 123456)
    assert (run.errors[0].kind, run.errors[0].path, run.errors_total) == ("unreadable", "/a/b", 1)


def test_an_unreadable_root_makes_the_run_incomplete() -> None:
    error = (
        '{"message_type":"error","error":{"message":"open /b: permission denied"},"during":"archival","item":"/b"}\n'
    )
    assert run_of(SAVED, error, exit_code=3, command="restic backup /a /b").complete is False


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ('{"Op":"open","Path":"C:\\\\x.pst","Err":32}', "locked"),
        ('{"Op":"open","Path":"C:\\\\x.pst","Err":5}', "unreadable"),
        ('{"Op":"lstat","Path":"/x","Err":2}', "vanished"),
        ('{"Op":"read","Path":"/x","Err":5}', "unreadable"),
        (
            '{"message":"open x: The process cannot access the file because it is being used by another process."}',
            "locked",
        ),
    ],
)
def test_kinds_of_errors(error: str, kind: str) -> None:
    line = f'{{"message_type":"error","error":{error},"during":"archival","item":"x"}}\n'
    assert run_of(line + SAVED, exit_code=3).errors[0].kind == kind


def test_a_nightly_script_is_a_run_for_each_call() -> None:
    log = (
        "repository 3cfc0ab2 opened (version 2, compression level auto)\nstart scan on [/srv/data]\n" + TEXT
        + "repository 3cfc0ab2 opened (version 2, compression level auto)\nApplying Policy: keep 7 daily snapshots\n"
        "keep 2 snapshots:\nID        Time                 Host\n2 snapshots\n1 snapshots have been removed, running prune\n"  # noqa: E501
        "total prune: 74 blobs / 1.000 MiB\nremaining: 16 blobs / 38.000 KiB\ndone\n"
        "using temporary cache in /tmp/x\ncreate exclusive lock for repository\ncheck all packs\nno errors were found\n"
    )  # fmt: skip
    backup, prune, check = runs_of(log, exit_code=0)
    assert (backup.operation, backup.outcome, backup.duration_seconds, backup.roots) == (
        "backup",
        "success",
        3723.0,
        ("/srv/data",),
    )
    assert (prune.operation, prune.outcome, prune.freed_bytes, prune.stored_bytes) == (
        "prune",
        "success",
        2**20,
        38 * 2**10,
    )
    assert (check.operation, check.action, check.outcome) == ("verify", "check", "success")
    assert (backup.lines, prune.lines, check.lines) == ((1, 8), (9, 17), (18, 21))


def test_a_backup_and_then_a_prune_that_fails_keeps_the_backup_good() -> None:
    backup, after = runs_of(
        TEXT + "Fatal: unable to create lock in backend: repository is already locked\n", exit_code=1
    )
    assert (backup.outcome, backup.protected_bytes) == ("success", 26343375)
    assert after.outcome == "failure"


def test_summaries_of_two_backups_are_two_runs() -> None:
    first, second = runs_of(SAVED + SAVED.replace("4ba41c20", "11111111"))
    assert (first.run_id, second.run_id) == ("4ba41c20", "11111111")


def test_a_log_without_an_end_is_unknown_and_no_measurement() -> None:
    run = run_of('{"message_type":"status","percent_done":0.5,"total_files":126,"total_bytes":26343567}\n')
    assert (run.outcome, run.protected_bytes, run.complete) == ("unknown", None, None)


def test_totals_of_a_failed_run_are_no_measurement() -> None:
    run = run_of(
        '{"message_type":"status","percent_done":0.9,"total_bytes":26343567}\n', "Fatal: unable to save snapshot: x\n"
    )
    assert (run.outcome, run.protected_bytes, run.complete) == ("failure", None, False)


@pytest.mark.parametrize(
    ("command", "code", "outcome"),
    [
        ("restic -q backup /srv", 0, "success"),
        ("restic -q backup /srv | tee log", 0, "unknown"),
        ("set -o pipefail; restic -q backup /srv | tee log", 0, "success"),
        ("restic -q backup /srv", 3, "warning"),
        ("restic -q backup /srv", None, "unknown"),
        ("restic backup -q /srv || true", 0, "unknown"),
    ],
)
def test_a_silent_backup_is_as_good_as_its_exit_code(command: str, code: int | None, outcome: str) -> None:
    run = run_of("", command=command, exit_code=code)
    assert (run.operation, run.outcome, run.roots) == ("backup", outcome, ("/srv",))


def test_a_dry_run_saves_nothing() -> None:
    run = run_of(
        "Would add to the repository: 1.2 MiB (1 MiB stored)\n\nprocessed 3 files, 2 MiB in 0:00\n", exit_code=0
    )
    assert (run.outcome, run.protected_bytes) == ("skipped", None)


def test_a_snapshot_skipped_because_nothing_changed_is_a_good_backup() -> None:
    log = TEXT.replace("snapshot 256750d3 saved", "skipped creating snapshot")
    run = run_of(log, exit_code=0)
    assert (run.outcome, run.run_id, run.protected_bytes) == ("success", "", 26343375)


@pytest.mark.parametrize(
    ("log", "outcome"),
    [
        ('{"message_type":"summary","num_errors":0,"broken_packs":null,"suggest_repair_index":false,"suggest_prune":true}', "success"),  # noqa: E501
        ('{"message_type":"summary","num_errors":0,"broken_packs":null,"suggest_repair_index":true,"suggest_prune":false}', "warning"),  # noqa: E501
        ('{"message_type":"summary","num_errors":2,"broken_packs":["ab"],"suggest_repair_index":false,"suggest_prune":false}', "failure"),  # noqa: E501
        ("check all packs\npack 12ab34cd: not found\ncheck snapshots, trees and blobs\nFatal: repository contains errors\n", "failure"),  # noqa: E501
        ("check all packs\n", "unknown"),
    ],
)  # fmt: skip
def test_checks(log: str, outcome: str) -> None:
    run = run_of(log, command="restic check")
    assert (run.operation, run.action, run.outcome) == ("verify", "check", outcome)


@pytest.mark.parametrize(
    ("log", "outcome", "restored"),
    [
        ('{"message_type":"summary","seconds_elapsed":3,"total_files":10,"files_restored":10,"bytes_restored":123}', "success", 123),  # noqa: E501
        ("restoring snapshot 3ed264e8 of [/srv] at x by y to /z\nSummary: Restored 12 files/dirs (1.000 KiB) in 0:01\n", "success", 1024),  # noqa: E501
        ("restoring snapshot 3ed264e8 of [/srv] at x by y to /z\nSummary: Restored 9 / 12 files/dirs (1.000 KiB / 2.000 KiB) in 0:01\n", "warning", 1024),  # noqa: E501
        ("restoring <Snapshot 3ed264e8 of [/srv] at x by y> to /z\n", "success", None),
    ],
)  # fmt: skip
def test_restores(log: str, outcome: str, restored: int | None) -> None:
    run = run_of(log, exit_code=0)
    assert (run.operation, run.outcome, run.restored_bytes) == ("restore", outcome, restored)


def test_a_copy_is_no_backup() -> None:
    log = (
        "snapshot 410b18a2 of [/home] at 2020-06-09 23:15:57 by user@kasimir\n  copy started, this may take a while...\n"  # noqa: E501
        "snapshot 7a746a07 saved\n"
    )
    run = run_of(log, command="restic -r b copy --from-repo a", exit_code=0)
    assert (run.operation, run.outcome, run.repository) == ("copy", "success", "b")


def test_a_size_that_no_column_holds_is_taken_out_and_said() -> None:
    run = run_of(SAVED.replace("123456", "1" + "0" * 25))
    assert run.protected_bytes is None
    assert "no such number" in run.problems[0]


def test_an_interrupted_backup_is_cancelled() -> None:
    run = run_of("scan finished in 0.2s: 1 files, 26 MiB\nsignal interrupt received, cleaning up\n", exit_code=130)
    assert (run.outcome, run.complete) == ("cancelled", False)


@pytest.mark.parametrize(
    ("command", "action"),
    [("restic snapshots", "list"), ("restic stats", "stats"), ("restic init", "init"), ("restic unlock", "")],
)
def test_the_command_line_names_what_a_failure_was_about(command: str, action: str) -> None:
    run = run_of("Fatal: wrong password or no key found\n", command=command, exit_code=12)
    assert (run.operation, run.action, run.outcome) == ("inventory", action, "failure")


def test_without_any_word_of_what_ran_a_failure_is_taken_for_a_backup_and_a_success_for_nothing() -> None:
    assert run_of("Fatal: wrong password or no key found\n").operation == "backup"
    assert read(Delivery(stdout=b"", exit_code=0, format="restic")).error == "nothing in this log tells what restic did"
