"""borgmatic: what its fixtures do not show. Messages are those of borgmatic's sources, 1.x and 2.x."""

from __future__ import annotations

from integrations.logs import read
from integrations.logs.joblog import Delivery

CREATED = b'/backup/%s: Creating archive\nCreating archive at "/backup/%s::a"\nThis archive:  1.00 kB  1.00 kB  500 B\n'
END = b"\nsummary:\n/etc/borgmatic/config.yaml: Successfully ran configuration file\n"


def test_each_repository_of_a_configuration_is_a_run() -> None:
    log = CREATED % (b"one", b"one") + CREATED % (b"two", b"two") + END
    runs = read(Delivery(stdout=log, exit_code=0)).runs
    assert [(run.item, run.outcome, run.protected_bytes) for run in runs] == [
        ("/backup/one", "success", 1000),
        ("/backup/two", "success", 1000),
    ]
    assert {run.source_job for run in runs} == {"/etc/borgmatic/config.yaml"}


def test_a_log_without_its_summary_and_exit_code_is_not_good() -> None:
    run = read(Delivery(stdout=CREATED % (b"one", b"one"))).runs[0]
    assert (run.outcome, run.protected_bytes, run.complete) == ("unknown", None, None)


def test_prefixes_of_syslog_and_log_files_are_taken_off() -> None:
    for prefix in (b"Nov 22 21:25:55 app01 borgmatic[812]: INFO ", b"[2026-11-22 21:25:55,123] INFO: "):
        log = b"".join(prefix + line + b"\n" for line in (CREATED % (b"one", b"one") + END).split(b"\n") if line)
        reading = read(Delivery(stdout=log, command="borgmatic", exit_code=0))
        assert reading.format == "borgmatic"
        assert [(run.item, run.outcome) for run in reading.runs] == [("/backup/one", "success")]


def test_a_silent_run_is_told_by_its_exit_code_alone() -> None:
    good = read(Delivery(stdout=b"", command="borgmatic -c /etc/a.yaml -c /etc/b.yaml", exit_code=0)).runs
    assert [(run.item, run.outcome) for run in good] == [("/etc/a.yaml", "success"), ("/etc/b.yaml", "success")]
    assert read(Delivery(stdout=b"", command="borgmatic", exit_code=1)).outcome == "failure"


def test_borgs_warnings_make_a_warning_although_borgmatic_exits_0() -> None:
    trouble = b"/srv/data/x: open: [Errno 13] Permission denied: '/srv/data/x'\n"
    run = read(Delivery(stdout=CREATED % (b"one", b"one") + trouble + END, exit_code=0)).runs[0]
    assert run.outcome == "warning"
    assert [error.path for error in run.errors] == ["/srv/data/x"]


def test_a_dry_run_saved_nothing() -> None:
    log = b"/backup/one: Creating archive (dry run; not making any changes)\n" + END
    assert read(Delivery(stdout=log, exit_code=0)).outcome == "skipped"


def test_pythons_reports_of_a_missing_syslog_are_passed_over() -> None:
    noise = (
        b"--- Logging error ---\nTraceback (most recent call last):\nOSError: [Errno 9] Bad file descriptor\n"
        b"Message: '/etc/a.yaml: Error running configuration file'\nArguments: ()\n"
    )
    told = (
        b"/backup/gone: Error running actions for repository\n" + noise + b"Repository /backup/gone does not exist.\n"
        b"/etc/a.yaml: Error running configuration file\n" + noise
    )
    runs = read(Delivery(stdout=told, exit_code=1)).runs
    assert [(run.item, run.source_job, run.outcome) for run in runs] == [("/backup/gone", "/etc/a.yaml", "failure")]
    assert [error.message for error in runs[0].errors] == ["Repository /backup/gone does not exist."]
