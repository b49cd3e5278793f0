"""What the fixtures of Kopia do not show: incomplete and partly failed snapshots, report mails, verify, maintenance."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def manifest(**fields: Any) -> dict[str, Any]:
    return {"id": "m1", "source": {"host": "h", "userName": "u", "path": "/p"}, "startTime": "2026-01-01T01:00:00.5Z",
            "endTime": "2026-01-01T01:01:00Z", "stats": {"totalSize": 9, "fileCount": 2},
            "rootEntry": {"summ": {"size": 9, "files": 2, "dirs": 1, "numFailed": 0}}, **fields}  # fmt: skip


def run_of(document: Any) -> JobLog:
    return read(Delivery(stdout=json.dumps(document, indent=2).encode())).runs[0]


@pytest.mark.parametrize(
    ("reason", "outcome"), [("", "success"), ("canceled", "cancelled"), ("limit reached", "failure"), ("checkpoint", "running")]  # noqa: E501
)  # fmt: skip
def test_a_reason_why_a_snapshot_is_incomplete(reason: str, outcome: str) -> None:
    run = run_of(manifest(incomplete=reason))
    assert (run.outcome, run.protected_bytes) == (outcome, 9 if outcome == "success" else None)


def test_fatal_errors_fail_and_ignored_ones_warn() -> None:
    one = {"path": "a", "error": "permission denied"}
    fatal = run_of(manifest(rootEntry={"summ": {"size": 9, "numFailed": 1, "errors": [one]}}))
    assert (fatal.outcome, fatal.errors[0].path, fatal.errors[0].kind) == ("failure", "a", "unreadable")
    ignored = run_of(manifest(rootEntry={"summ": {"size": 9, "numIgnoredErrors": 1, "errors": [one]}}))
    assert (ignored.outcome, ignored.protected_bytes, ignored.errors[0].severity) == ("warning", 9, "warning")


def test_two_indented_manifests_one_after_the_other_are_two_runs() -> None:
    text = json.dumps(manifest(), indent=2) + "\n" + json.dumps(manifest(id="m2"), indent=2) + "\n"
    assert [run.run_id for run in read(Delivery(stdout=text.encode())).runs] == ["m1", "m2"]


REPORT = """Path: /some/path

  Status:      success
  Start:       Thu, 02 Jan 2020 03:04:05 +0000
  Duration:    1.1s
  Size:        456 B (+56 B)
  Files:       123 (+23)
  Directories: 33 (+3)

  Failed Entries:

  - /some/path: some error

Path: /gone

  Status:      fatal
  Start:       Thu, 01 Jan 1970 00:00:00 +0000
  Duration:    0s
  Size:        0 B
  Files:       0
  Directories: 0
  Error:       no such file or directory

Generated at Thu, 02 Jan 2020 03:04:05 +0000 by Kopia v0.19.0.
"""


def test_a_report_mail_tells_each_path() -> None:
    first, second = read(Delivery(stdout=REPORT.encode())).runs
    assert (first.outcome, first.protected_bytes, first.files, first.errors[0].path) == ("warning", 456, {"total": 123}, "/some/path")  # noqa: E501  # fmt: skip
    assert first.started_at == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (second.outcome, second.started_at, second.errors[0].message) == (
        "failure",
        None,
        "no such file or directory",
    )


@pytest.mark.parametrize(
    ("text", "command", "code", "operation", "outcome"),
    [
        ("Finished processing 12 objects.\n", "kopia snapshot verify", 0, "verify", "success"),
        ("failed on /p/a: error reading k1: blob not found\nencountered 1 errors\n", "kopia snapshot verify", 1, "verify", "failure"),  # noqa: E501
        ("Running full maintenance...\nFinished full maintenance.\n", "kopia maintenance run --full", 0, "prune", "success"),  # noqa: E501
        ("Snapshotting a@b:/p ...\n", "kopia snapshot create /p", None, "backup", "unknown"),
        ("Snapshotting a@b:/p ...\nUpload canceled\n", "kopia snapshot create /p", 1, "backup", "failure"),
        ("ERROR error connecting to repository: invalid repository password\n", "kopia snapshot create /p", 1, "backup", "failure"),  # noqa: E501
    ],
)  # fmt: skip
def test_console_output(text: str, command: str, code: int | None, operation: str, outcome: str) -> None:
    reading = read(Delivery(stdout=b"", stderr=text.encode(), command=command, exit_code=code))
    assert reading.format == "kopia"
    assert (reading.runs[0].operation, reading.runs[0].outcome) == (operation, outcome)
