"""rsync's other outputs, as its manual and releases 2.6 to 3.4 print them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog

HUMAN = """
Number of files: 144 (reg: 128, dir: 15, link: 1)
Number of regular files transferred: 2
Total file size: 28.57M bytes
Total transferred file size: 5.22M bytes
Total bytes sent: 5.23M
Total bytes received: 79

sent 5.23M bytes  received 79 bytes  10.45M bytes/sec
total size is 28.57M  speedup is 5.47
"""
SENT = "sent 123 bytes  received 19 bytes  2 bytes/sec\ntotal size is 1,234  speedup is 8.69\n"
PARTIAL = "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1338) [sender=3.2.7]\n"  # noqa: E501


def runs_of(stdout: str, stderr: str = "", **told: Any) -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), **told))
    assert reading.format == "rsync", reading.error
    return reading.runs


def run_of(stdout: str, stderr: str = "", **told: Any) -> JobLog:
    (run,) = runs_of(stdout, stderr, **told)
    return run


@pytest.mark.parametrize(
    ("command", "protected"),
    [
        ("rsync -avh --stats /a/ host:/b", 28_570_000),
        ("rsync -av --human-readable --stats /a/ host:/b", 28_570_000),
        ("rsync -aHhh --stats /a/ host:/b", 29_957_816),
        ("rsync -avh -h /a/ host:/b", 29_957_816),
        ("", None),
    ],
)
def test_only_the_command_line_tells_the_unit(command: str, protected: int | None) -> None:
    run = run_of(HUMAN, command=command, exit_code=0)
    assert (run.protected_bytes, run.outcome, run.rounded) == (protected, "success", True)
    assert bool(run.notes) == (not command)


def test_old_releases_print_no_kinds_and_no_separators() -> None:
    run = run_of(
        "building file list ... done\n\nNumber of files: 144\nNumber of files transferred: 3\nTotal file size: 27374559 bytes\n"  # noqa: E501
        "Total transferred file size: 27374546 bytes\nTotal bytes sent: 5\nTotal bytes received: 6\n\n"
        "sent 5 bytes  received 6 bytes  3.00 bytes/sec\ntotal size is 27374559  speedup is 1.00\n"
    )
    assert (run.protected_bytes, run.changed_bytes, dict(run.files)) == (
        27374559,
        27374546,
        {"total": 144, "transferred": 3},
    )


def test_separators_of_other_locales() -> None:
    run = run_of(
        "Number of regular files transferred: 1.234\nTotal file size: 27.374.559 bytes\ntotal size is 27.374.559  speedup is 1,00\n"  # noqa: E501
    )
    assert (run.protected_bytes, run.files["transferred"]) == (27374559, 1234)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, "success"), (1, "failure"), (10, "failure"), (11, "failure"), (12, "failure"), (20, "cancelled"), (24, "warning"),  # noqa: E501
     (25, "warning"), (30, "failure"), (35, "failure"), (127, "failure"), (255, "failure")],
)  # fmt: skip
def test_a_silent_log_is_as_good_as_its_exit_code(code: int, outcome: str) -> None:
    run = run_of("", command="rsync -a /a /b", exit_code=code)
    assert (run.operation, run.outcome, run.protected_bytes, run.exit_code) == ("backup", outcome, None, code)
    assert bool(run.errors) == (code != 0)
    assert run.complete is (outcome in ("success", "warning"))


@pytest.mark.parametrize(
    ("command", "outcome"),
    [("rsync -a /a /b", "unknown"), ("rsync -a /a /b; echo done", "unknown")],
)
def test_a_silent_log_without_a_code_of_its_own_is_unknown(command: str, outcome: str) -> None:
    assert run_of("", command=command).outcome == outcome
    assert run_of("", command=command, exit_code=0).outcome == ("success" if ";" not in command else "unknown")


def test_an_unreadable_file_leaves_the_run_complete() -> None:
    run = run_of(
        'sending incremental file list\nrsync: [sender] send_files failed to open "/a/b": Permission denied (13)\n' + SENT + PARTIAL  # noqa: E501
    )  # fmt: skip
    assert (run.outcome, run.exit_code, run.complete, run.files_failed) == ("warning", 23, True, 1)
    assert (run.errors[0].path, run.errors[0].kind, run.product_version) == ("/a/b", "unreadable", "3.2.7")


@pytest.mark.parametrize("words", ['link_stat "/srv/no" failed: No such', 'change_dir "/srv/no" failed: No such'])
def test_a_missing_root_among_others_leaves_it_incomplete(words: str) -> None:
    log = f"rsync: [sender] {words} file or directory (2)\nNumber of files: 3 (reg: 2, dir: 1)\n" + SENT + PARTIAL
    run = run_of(log)
    assert (run.outcome, run.complete) == ("warning", False)
    assert run.errors[0].kind == "other"


def test_a_root_that_cannot_be_opened_leaves_it_incomplete() -> None:
    log = 'rsync: [sender] opendir "/srv/data" failed: Permission denied (13)\n' + SENT + PARTIAL
    assert run_of(log, command="rsync -av /srv/data/ /etc /b").complete is False


def test_a_source_that_is_missing_with_v_alone_is_a_failure() -> None:
    log = 'rsync: [sender] link_stat "/no" failed: No such file or directory (2)\nsent 18 bytes  received 12 bytes  60 bytes/sec\ntotal size is 0  speedup is 0.00\n'  # noqa: E501
    assert run_of(log + PARTIAL).outcome == "failure"


def test_a_dry_run_copies_nothing() -> None:
    assert run_of(SENT.replace("8.69", "8.69 (DRY RUN)"), exit_code=0).outcome == "skipped"
    assert run_of(SENT, exit_code=0, command="rsync -avn /a /b").outcome == "skipped"


def test_two_calls_in_one_log_are_two_runs() -> None:
    first, second = runs_of(SENT + "sending incremental file list\n" + SENT.replace("1,234", "1,235") + PARTIAL)
    assert (first.outcome, first.protected_bytes, first.lines) == ("success", 1234, (1, 2))
    assert (second.outcome, second.protected_bytes, second.lines) == ("warning", 1235, (3, 6))


def test_errors_joined_before_the_summary_belong_to_the_same_call() -> None:
    run = run_of(PARTIAL + SENT)
    assert (run.outcome, run.exit_code, run.protected_bytes) == ("warning", 23, 1234)


def test_a_call_that_begins_after_a_partial_one_is_its_own() -> None:
    first, second = runs_of(PARTIAL + "sending incremental file list\n" + SENT)
    assert (first.outcome, first.exit_code) == ("warning", 23)
    assert (second.outcome, second.exit_code) == ("success", None)


def test_a_log_file_has_times() -> None:
    log = (
        "2026/01/02 03:04:05 [1234] building file list\n2026/01/02 03:04:06 [1234] <f+++++++++ a\n"
        "2026/01/02 03:04:07 [1234] sent 123 bytes  received 19 bytes  total size 1,234\n"
        "2026/01/03 03:04:05 [1235] building file list\n2026/01/03 03:04:07 [1235] " + PARTIAL
    )
    first, second = runs_of(log, timezone="Europe/Berlin")
    assert (first.started_at, first.ended_at) == (
        datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC),
        datetime(2026, 1, 2, 2, 4, 7, tzinfo=UTC),
    )
    assert (first.protected_bytes, second.exit_code) == (1234, 23)


def test_a_pull_transfers_what_was_received() -> None:
    log = "receiving incremental file list\n\nsent 43 bytes  received 1,119 bytes  2 bytes/sec\ntotal size is 1,234  speedup is 8.69\n"  # noqa: E501
    run = run_of(log, exit_code=0, command="rsync -avz -e 'ssh -p 22' web01:/a/ /b/")
    assert (run.transferred_bytes, run.roots) == (1119, ("web01:/a/",))


def test_the_same_silent_log_on_two_nights_has_no_id_of_its_own() -> None:
    assert run_of(SENT).run_id == ""
    assert run_of(SENT).started_at is None


def test_rsnapshot_is_another_product() -> None:
    log = b"echo 16742 > /srv/rsnap.pid \n/usr/bin/rsync -a \\\n" + SENT.encode()
    assert read(Delivery(stdout=log)).format == "rsnapshot"


def test_both_ends_of_an_interrupted_call_are_one_run() -> None:
    log = "".join(
        f"rsync error: received SIGINT, SIGTERM, or SIGHUP (code 20) at {place} [{side}=3.5.0]\n"
        for place, side in (("io.c(586)", "generator"), ("rsync.c(874)", "sender"))
    )
    run = run_of(log, exit_code=20, command="rsync -a /srv/data/ /srv/copy/")
    assert (run.outcome, run.complete, run.errors_total) == ("cancelled", False, 2)


@pytest.mark.parametrize(
    ("code", "severity", "kind"), [(24, "warning", "vanished"), (25, "warning", "other"), (23, "error", "other")]
)
def test_a_silent_run_says_by_its_code_what_a_policy_may_tolerate(code: int, severity: str, kind: str) -> None:
    (run,) = read(Delivery(stdout=b"", command="rsync -a /srv/data/ nas:/b/", exit_code=code)).runs
    assert [(error.severity, error.kind) for error in run.errors] == [(severity, kind)]
