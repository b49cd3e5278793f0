"""The commands ``ingest``, ``parse`` and ``replay`` as people call them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from integrations.logs import FORMATS
from msp.backups.models import JobRun
from msp.ingest.models import InboxItem, Receipt, ReceiptQueue
from msp.partitions import month_of, next_month
from msp.tenants.models import AuditEntry
from tests.world import World

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "logs"
FURTHER = ROOT.parent / "shared" / "samples"


def run(
    *arguments: Any, stdin: bytes | None = None, monkeypatch: pytest.MonkeyPatch | None = None
) -> tuple[str, str, int]:
    """What a command says, what it complains of, and its exit code."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    if stdin is not None and monkeypatch is not None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    try:
        call_command(*[str(one) for one in arguments], stdout=out, stderr=err)
    except SystemExit as end:
        code = int(end.code or 0)
    return out.getvalue(), err.getvalue(), code


def ingest(world: World, *arguments: Any, **options: Any) -> tuple[str, str, int]:
    return run("ingest", "--tenant", world.tenant.slug, "--server", world.server.name, *arguments, **options)


def test_folders_are_stored_processed_and_told_and_again_they_are_the_same(world: World) -> None:
    folder = FIXTURES / "restic"
    out, err, code = ingest(world, folder)
    number = len(list(folder.iterdir()))
    assert (code, err) == (0, "")
    assert f"{number} taken, 0 could not be." in out
    assert "backup-wrong-password-json: receipt" in out
    assert "restic, backup failure" in out
    assert Receipt.objects.of(world.tenant).filter(door="command").count() == number
    assert not ReceiptQueue.objects.of(world.tenant).exists()
    runs = JobRun.objects.of(world.tenant).count()
    out, _, code = ingest(world, folder)
    assert (out.count("taken before"), code) == (number, 0)
    assert JobRun.objects.of(world.tenant).count() == runs


def test_a_bad_path_is_told_the_rest_lands_and_the_exit_code_says_so(world: World, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"nobody knows this")
    out, err, code = ingest(world, tmp_path / "gone", tmp_path / "x.log")
    assert code == 1
    assert "gone: cannot be read: there is no such file." in err
    assert "in the inbox: No format recognises this log." in out
    assert "1 taken, 1 could not be." in out
    receipt = Receipt.objects.of(world.tenant).get()
    assert (receipt.server_id, receipt.meta["file"]) == (world.server.pk, str(tmp_path / "x.log"))


def test_standard_input_takes_what_is_said_beside_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    log = (FIXTURES / "rsync" / "first-stats" / "stdout.log").read_bytes()
    said = ["-", "--job", "files", "--exit-code", "0", "--timezone", "Europe/Berlin"]
    out, _, code = ingest(world, *said, stdin=log, monkeypatch=monkeypatch)
    assert code == 0
    assert "rsync, backup success" in out
    receipt = Receipt.objects.of(world.tenant).get()
    assert receipt.meta == {"job": "files", "exit_code": 0, "timezone": "Europe/Berlin"}
    assert JobRun.objects.of(world.tenant).get().job_id == world.job.pk
    again, _, _ = ingest(world, *said, stdin=log, monkeypatch=monkeypatch)
    assert "taken before" in again


def test_many_files_go_in_several_groups(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msp.management.commands.ingest.TOGETHER", 3)
    for number in range(8):
        (tmp_path / f"{number}.log").write_text(f"log {number}")
    out, _, code = ingest(world, tmp_path)
    assert (code, out.count("in the inbox")) == (0, 8)
    assert len({receipt.body_id for receipt in Receipt.objects.of(world.tenant)}) == 3


def test_an_unknown_server_or_tenant_is_refused_with_those_that_are_known(world: World) -> None:
    with pytest.raises(CommandError, match="known are: backup01"):
        run("ingest", "--tenant", world.tenant.slug, "--server", "nowhere", "x")
    with pytest.raises(CommandError, match="northwind-msp, other-msp"):
        run("ingest", "x")
    assert world.other_server.name == world.server.name  # a server of the other tenant is not meant
    ingest(world, FIXTURES / "restic" / "check-ok-text")
    assert not Receipt.objects.of(world.other).exists()


def test_replay_says_what_changed_and_nothing_when_nothing_did(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("integrations.logs.restic.parse", lambda body, context: 1 / 0)
        ingest(world, FIXTURES / "restic" / "backup-first-json")
    receipt = Receipt.objects.of(world.tenant).get()
    assert receipt.reason == "unreadable"
    replay = ["replay", "--tenant", world.tenant.slug]
    out, _, _ = run(*replay, "--inbox", "--reason", "the parser is mended")
    assert f"{receipt.uid}: run 0: new, backup success" in out
    assert "parser failed" in out
    assert "1 receipts read again, 1 changed." in out
    assert InboxItem.objects.of(world.tenant).get().state == "settled"
    assert AuditEntry.objects.of(world.tenant).get(action="receipts replayed").reason == "the parser is mended"
    for which in (["--receipt", receipt.uid], ["--format", "restic"], ["--since", "2020-01-01"]):
        out, _, _ = run(*replay, *which)
        assert out == "1 receipts read again, 0 changed.\n", which
    out, _, _ = run(*replay, "--since", "2020-01-01", "--format", "borg")
    assert out == "0 receipts read again, 0 changed.\n"


def test_a_dry_run_tells_the_changes_and_keeps_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("integrations.logs.restic.parse", lambda body, context: 1 / 0)
        ingest(world, FIXTURES / "restic" / "backup-first-json")
    receipt = Receipt.objects.of(world.tenant).get()
    replay = ["replay", "--tenant", world.tenant.slug, "--receipt", receipt.uid]
    out, _, _ = run(*replay, "--dry-run")
    assert f"{receipt.uid}: run 0: new, backup success" in out
    assert "1 receipts read again, 1 changed. Nothing was kept: this was a dry run." in out
    after = Receipt.objects.of(world.tenant).get()
    assert (after.state, after.reason, after.runs) == ("inbox", "unreadable", 0)
    assert InboxItem.objects.of(world.tenant).get().state == "open"
    assert not JobRun.objects.of(world.tenant).exists()
    assert not ReceiptQueue.objects.of(world.tenant).exists()
    assert not AuditEntry.objects.of(world.tenant).filter(action="receipts replayed").exists()
    really, _, _ = run(*replay)
    assert really == out.replace(" Nothing was kept: this was a dry run.", "")
    assert JobRun.objects.of(world.tenant).count() == 1


def test_what_is_only_stored_waits_for_the_worker(world: World) -> None:
    out, _, code = ingest(world, FIXTURES / "restic" / "backup-first-json", "--no-process")
    assert (code, "waits to be processed" in out) == (0, True)
    receipt = Receipt.objects.of(world.tenant).get()
    assert (receipt.state, ReceiptQueue.objects.of(world.tenant).get().receipt_id) == ("waiting", receipt.pk)
    assert not JobRun.objects.of(world.tenant).exists()
    out, _, _ = run(
        "replay", "--tenant", world.tenant.slug, "--receipt", receipt.uid
    )  # never processed: just processed
    assert "run 0: new, backup success" in out
    assert (JobRun.objects.of(world.tenant).count(), ReceiptQueue.objects.of(world.tenant).count()) == (1, 0)


def test_a_file_that_changed_under_the_same_name_size_and_time_is_a_conflict_and_told(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "x.log"

    def take(content: bytes) -> tuple[str, str, int]:
        path.write_bytes(content)
        os.utime(path, ns=(10**18, 10**18))
        return ingest(world, path)

    take(b"first")
    out, _, code = take(b"other")
    assert (code, "in the inbox: A delivery with this id came before" in out) == (0, True)
    assert InboxItem.objects.of(world.tenant).filter(reason="conflict").count() == 1


def test_ensure_partitions_makes_what_is_missing_and_tells_of_strays(world: World) -> None:
    with connection.cursor() as cursor:
        months = [
            f"backups_jobrun_p{next_month(month_of(datetime.now(UTC).date()), steps=step):%Y%m}" for step in (2, 3)
        ]
        cursor.execute(f"DROP TABLE {', '.join(months)}")
        assert run("ensure_partitions")[0] == "2 partitions made.\n"
        assert run("ensure_partitions") == ("0 partitions made.\n", "", 0)
        cursor.execute(
            "INSERT INTO backups_jobrun (tenant_id, filed_month, job_id, selection_id, client_id, receipt_id, run_key, "
            "operation, outcome, ended_at, product, recorded_at) "
            "VALUES (%s, '1990-01-01', 1, 1, 1, 1, 'x', 'backup', 'success', now(), 'restic', now())",
            [world.tenant.pk],
        )
    assert run("ensure_partitions")[1].startswith("1 rows lie in the default partitions")


def test_replay_must_be_told_which_and_finds_its_own_tenants_only(world: World) -> None:
    ingest(world, FIXTURES / "restic" / "check-ok-text")
    receipt = Receipt.objects.of(world.tenant).get()
    with pytest.raises(CommandError, match="Say which"):
        run("replay", "--tenant", world.tenant.slug)
    with pytest.raises(CommandError, match="not there"):
        run("replay", "--tenant", world.other.slug, "--receipt", receipt.uid)


def test_parse_needs_neither_settings_nor_a_database_and_answers_for_every_path() -> None:
    folders = sorted(str(path.parent.relative_to(ROOT)) for path in FIXTURES.glob("*/*/expected.json"))
    command = [sys.executable, "manage.py", "parse", "--json", *folders, "nosuch"]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    answers = {answer["path"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert list(answers) == [*folders, "nosuch"]
    for folder in folders:
        expected = json.loads((ROOT / folder / "expected.json").read_text())
        assert (answers[folder]["format"], answers[folder]["outcome"]) == (expected["product"], expected["outcome"])
    assert (answers["nosuch"]["format"], answers["nosuch"]["runs"]) == (None, [])
    assert "no such file" in answers["nosuch"]["error"]


def test_parse_tells_people_in_words() -> None:
    out, _, _ = run("parse", FIXTURES / "restic" / "backup-unreadable-file-json", FIXTURES / "restic" / "gone")
    assert "restic, warning" in out
    assert "payroll.db: " in out
    assert "protected 26,223,567 bytes" in out
    assert "gone: not recognised: cannot be read" in out


@pytest.mark.skipif(not FURTHER.exists(), reason="the further samples are not here")
def test_every_further_sample_is_answered_and_those_of_our_formats_are_read() -> None:
    folders = sorted(path.parent for path in FURTHER.glob("*/*/expected.json"))
    out, _, _ = run("parse", "--json", *folders)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["path"] for answer in answers] == [str(folder) for folder in folders]
    for folder, answer in zip(folders, answers, strict=True):
        if folder.parent.name in FORMATS:
            assert (answer["format"], answer["error"]) == (folder.parent.name, None), folder
        else:
            assert (answer["format"], answer["runs"]) == (None, []), folder
            assert answer["error"]
