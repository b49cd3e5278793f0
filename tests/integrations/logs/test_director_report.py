"""Bacula and Bareos beyond their fixtures: verdicts, restores and verifications, clocks, several jobs in one log."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog
from tests.growth import assert_grows_linearly

HEAD = "22-Nov 21:15 backup01-dir JobId 8: Start Backup JobId 8, Job=Files.2026-11-22_21.15.54_17\n"


def report(termination: str, *, number: int = 8, **fields: str) -> str:
    told = {
        "JobId": str(number),
        "Job": f"Files.2026-11-22_21.15.54_{number}",
        "Backup Level": "Full",
        "Client": '"fs01-fd" 9.6.7 (10Dec20) x86_64-pc-linux-gnu,debian,bookworm/sid',
        "Start time": "22-Nov-2026 21:15:56",
        "End time": "22-Nov-2026 21:16:07",
        "FD Bytes Written": "2,000 (2.000 KB)",
        "SD Bytes Written": "2,100 (2.100 KB)",
        "Software Compression": "None",
    } | {name.replace("_", " "): value for name, value in fields.items()}
    told["Termination"] = termination
    lines = "".join(f"  {name}:{' ' * 10}{value}\n" for name, value in told.items())
    return f"22-Nov 21:16 backup01-dir JobId {number}: Bacula backup01-dir 9.6.7 (10Dec20):\n{lines}\n"


def run_of(log: str, *, name: str = "bacula", timezone: str | None = "UTC") -> JobLog:
    reading = read(Delivery(stdout=log.encode(), timezone=timezone))
    assert (reading.format, reading.error) == (name, None)
    (run,) = reading.runs
    return run


@pytest.mark.parametrize(
    ("termination", "operation", "outcome"),
    [
        ("Backup OK", "backup", "success"),
        ("Backup OK -- with warnings", "backup", "warning"),
        ("*** Backup Error ***", "backup", "failure"),
        ("Backup Canceled", "backup", "cancelled"),
        ("Backup failed -- incomplete", "backup", "failure"),
        ("Restore OK", "restore", "success"),
        ("Restore OK -- warning file count mismatch", "restore", "warning"),
        ("*** Restore Error ***", "restore", "failure"),
        ("Verify OK", "verify", "success"),
        ("Verify Differences", "verify", "warning"),
        ("*** Verify Error ***", "verify", "failure"),
        ("Copying OK", "copy", "success"),
        ("*** Migration Error ***", "copy", "failure"),
        ("Copying -- no files to copy", "copy", "skipped"),
        ("Inappropriate term code: Q", "backup", "unknown"),
    ],
)
def test_the_termination_line_is_the_verdict(termination: str, operation: str, outcome: str) -> None:
    run = run_of(report(termination))
    assert (run.operation, run.outcome) == (operation, outcome)


@pytest.mark.parametrize("level", ["Full", "Full (upgraded from Incremental)", "Virtual Full"])
def test_a_full_backup_without_compression_measures_the_selection(level: str) -> None:
    run = run_of(report("Backup OK", Backup_Level=level))
    assert (run.protected_bytes, run.basis, run.complete) == (2000, "logical-once", True)


def test_other_levels_tell_what_changed() -> None:
    run = run_of(report("Backup OK", Backup_Level="Differential, since=2026-11-20 21:00:00"))
    assert (run.protected_bytes, run.changed_bytes, run.chain_length) == (None, 2000, 2)


def test_compression_is_undone_by_its_share_and_said_to_be() -> None:
    run = run_of(report("Backup OK", Software_Compression="60.0% 2.5:1"))
    assert (run.protected_bytes, run.basis, run.rounded) == (5000, "derived", True)


def test_a_failed_backup_measures_nothing() -> None:
    run = run_of(report("*** Backup Error ***"))
    assert (run.protected_bytes, run.basis, run.complete) == (None, None, False)


def test_a_verification_tells_of_checksums_only_where_it_looked() -> None:
    assert run_of(report("Verify OK", Files_Examined="12")).checksum_ok is True
    assert run_of(report("Verify Differences", Files_Examined="12")).checksum_ok is False
    assert run_of(report("Verify OK", Files_Examined="0")).checksum_ok is None


def test_every_report_is_a_run_with_the_errors_of_its_own_job() -> None:
    error = "22-Nov 21:15 fs02-fd JobId 9: Fatal error: No space\n"
    reading = read(
        Delivery(stdout=(HEAD + error + report("Backup OK") + report("*** Backup Error ***", number=9)).encode())
    )
    assert [(run.outcome, run.errors_total) for run in reading.runs] == [("success", 0), ("failure", 1)]
    assert reading.outcome == "failure"


@pytest.mark.parametrize(
    ("date", "ended"),
    [
        ("Sun, 22 Nov 2026 21:16:08 +0000", "2026-11-22T21:16:07+00:00"),
        ("Sun, 22 Nov 2026 15:46:09 +0000", "2026-11-22T15:46:07+00:00"),  # +05:30
        ("Sun, 22 Nov 2026 21:21:08 +0000", None),  # five minutes late: no offset is that
    ],
)
def test_the_hour_of_the_mail_tells_the_offset(date: str, ended: str | None) -> None:
    mail = f"From: bacula@b.example\nTo: logs@b.example\nSubject: Bacula: Backup OK of fs01-fd Full\nDate: {date}\n\n"
    run = run_of(mail + HEAD + report("Backup OK"), timezone=None)
    assert (run.ended_at.isoformat() if run.ended_at else None) == ended


def test_a_job_that_waits_for_a_volume_runs_and_a_cut_log_is_no_success() -> None:
    waiting = "22-Nov 21:15 backup01-sd JobId 8: Job Files.2026-11-22_21.15.54_17 is waiting. Cannot find any appendable volumes.\n"  # noqa: E501
    assert run_of(HEAD + waiting).outcome == "running"
    assert run_of(HEAD).outcome == "unknown"
    whole = HEAD + report("Backup OK")
    assert run_of(whole[: whole.index("Termination")]).outcome == "unknown"


def test_many_jobs_cost_linear_time() -> None:
    def work(jobs: int) -> None:
        body = "".join(report("Backup OK", number=at) for at in range(1, jobs + 1)).encode()
        assert len(read(Delivery(stdout=body)).runs) == jobs

    assert_grows_linearly(work, small=100, large=2000)
