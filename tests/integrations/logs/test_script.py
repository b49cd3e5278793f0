"""Home-made scripts: marker lines read strictly, and an exit code that counts only where nothing hides it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery
from integrations.logs.script_markers import KEYS

DOCS = Path(__file__).parents[3] / "docs" / "own-mail.md"


def marked(words: str, **more: object) -> Delivery:
    return Delivery(stdout=f"done\nBACKLEDGER {words}\n".encode(), **more)  # type: ignore[arg-type]


def test_every_key_of_the_page_is_read_and_no_other() -> None:
    table = DOCS.read_text().split("| Key | Value |")[1].split("\n\n")[0]
    named = {key for row in table.splitlines()[2:] for key in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert named == set(KEYS)


def test_the_example_of_the_page_is_read() -> None:
    run = read(marked("outcome=success job=nightly protected_bytes=5368709120 basis=used complete=true")).runs[0]
    assert (run.outcome, run.operation, run.source_job, run.complete) == ("success", "backup", "nightly", True)
    assert (run.protected_bytes, run.basis) == (5368709120, "used")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("job=a", "no outcome"),
        ("outcome=good", "outcome must be one of"),
        ("outcome=success protected_bytes=5GB basis=used", "whole number"),
        ("outcome=success protected_bytes=5", "needs basis"),
        ("outcome=success basis=used", "without protected_bytes"),
        ("outcome=success outcome=failure", "twice"),
        ("outcome=success protectd_bytes=5", "did you mean protected_bytes"),
        ('outcome=success job="open', "key=value is expected"),
        ("outcome=success and more", "key=value is expected"),
        ("outcome=success complete=yes", "true or false"),
        ("outcome=success started_at=yesterday", "must be a time"),
        ("outcome=success error=no", "an error stands beside it"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused_with_its_line(words: str, reason: str) -> None:
    reading = read(marked(words))
    assert reading.format == "script"
    assert reading.runs == ()
    assert reading.line == 2
    assert reason in (reading.error or "")


def test_a_last_line_without_its_end_may_be_cut_off() -> None:
    reading = read(Delivery(stdout=b"BACKLEDGER outcome=success stored_bytes=12"))
    assert "cut off" in (reading.error or "")
    assert read(Delivery(stdout=b"BACKLEDGER outcome=success stored_bytes=12\n")).runs[0].stored_bytes == 12


def test_a_failed_run_gives_no_measurement() -> None:
    run = read(marked("outcome=failure protected_bytes=5 basis=used complete=true")).runs[0]
    assert (run.protected_bytes, run.basis, run.complete) == (None, None, False)


def test_success_that_ends_with_an_exit_code_is_unknown() -> None:
    run = read(marked("outcome=success protected_bytes=5 basis=used", exit_code=3)).runs[0]
    assert (run.outcome, run.protected_bytes) == ("unknown", None)


def test_a_local_time_without_a_zone_is_told_as_a_problem() -> None:
    run = read(marked("outcome=success started_at=2026-01-31T10:00:00")).runs[0]
    assert run.started_at is None
    assert "local time" in run.problems[0]


def test_a_marker_counts_more_than_the_dump_tool_beside_it() -> None:
    log = b"mysqldump: [Warning] Using a password can be insecure.\nBACKLEDGER outcome=success\n"
    reading = read(Delivery(stdout=log, command="mysqldump -pX shop | gzip > a.gz"))
    assert (reading.format, reading.outcome) == ("script", "success")


def test_a_forwarded_mail_keeps_its_marker() -> None:
    mail = (
        b"From: a@b.example\nTo: c@d.example\nSubject: Fwd: backup\nDate: Sat, 14 Oct 2017 20:10:02 -0500\n"
        b"Message-ID: <1@b.example>\n\n> BACKLEDGER outcome=failure job=x\n"
    )
    reading = read(Delivery(stdout=mail))
    assert (reading.format, reading.outcome, reading.runs[0].source_job) == ("script", "failure", "x")


@pytest.mark.parametrize(
    ("command", "code", "log", "outcome"),
    [
        ("/opt/backup.sh", 0, b"ok\n", "success"),
        ("/opt/backup.sh", None, b"ok\n", "unknown"),
        ("/opt/backup.sh | tee /var/log/b", 0, b"ok\n", "unknown"),
        ("bash -c 'set -o pipefail; /opt/backup.sh | tee /var/log/b'", 0, b"ok\n", "success"),
        ("/opt/backup.sh; true", 0, b"ok\n", "unknown"),
        ("/opt/backup.sh || true", 0, b"ok\n", "unknown"),
        ("/opt/backup.sh && /opt/sync.sh", 0, b"ok\n", "success"),
        ("/opt/backup.sh", 4, b"ok\n", "failure"),
        ("/opt/backup.sh", 0, b"/opt/backup.sh: line 3: zstd: command not found\n", "failure"),
        ("/opt/backup.sh", 0, b"/opt/backup.sh: Zeile 3: zstd: Kommando nicht gefunden.\n", "failure"),
        ("/opt/backup.sh", 0, b"gzip: stdout: No space left on device\n", "failure"),
        ("/opt/backup.sh", 0, b"cp: cannot open '/a' for reading: Permission denied\n", "warning"),
        ("cp -a /srv /mnt", 0, b"", "success"),
    ],
)
def test_without_a_marker_only_what_is_certain_is_told(
    command: str, code: int | None, log: bytes, outcome: str
) -> None:
    reading = read(Delivery(stdout=log, command=command, exit_code=code))
    assert (reading.format, reading.outcome) == ("script", outcome)
    assert reading.runs[0].protected_bytes is None


@pytest.mark.parametrize("command", ["restic backup /srv", "ls -l", "", "tar cf /dev/st0 /srv", "apt-get upgrade -y"])
def test_another_tool_s_command_is_not_claimed(command: str) -> None:
    assert read(Delivery(stdout=b"some words\n", command=command, exit_code=0)).format != "script"


def test_a_log_without_an_envelope_is_not_claimed() -> None:
    assert read(Delivery(stdout=b"/opt/a.sh: line 3: zstd: command not found\n")).format is None
