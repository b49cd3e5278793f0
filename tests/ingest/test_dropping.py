"""Dropped files become receipts of the server whose folder they lie in: not early, not twice, not from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DataError, OperationalError

from msp.ingest import dropping, storing
from msp.ingest.dropping import Taken, Watch, folder_of
from msp.ingest.models import InboxItem, Receipt
from tests.ingest.test_commands import run
from tests.world import World

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
LATER = NOW + timedelta(days=31)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "drop"


@pytest.fixture
def folder(world: World, root: Path) -> Path:
    made = folder_of(root, world.server, tenant=world.tenant)
    made.mkdir(parents=True)
    return made


def watch(root: Path, **values: Any) -> Watch:
    return Watch(root, **{"most": 1_000_000, "keep": timedelta(days=30), **values})


def look_twice(root: Path, now: datetime = NOW, **values: Any) -> Taken:
    """Two looks at a quiet folder: what the second took."""
    watching = watch(root, **values)
    assert watching.look(now=now).stored == 0
    return watching.look(now=now)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def receipts(world: World) -> list[Receipt]:
    return list(Receipt.objects.of(world.tenant).order_by("id"))


def test_a_quiet_file_is_stored_for_its_server_and_moved(world: World, folder: Path, root: Path) -> None:
    (folder / "restic.log").write_bytes(b"a log")
    taken = look_twice(root)
    assert (taken.stored, taken.refused, taken.problems) == (1, [], [])
    (receipt,) = receipts(world)
    assert (receipt.door, receipt.server_id, receipt.received_at) == ("folder", world.server.pk, NOW)
    assert receipt.meta == {"file": "restic.log"}
    assert names(folder) == ["done/2026-11-20/restic.log"]


def test_a_file_that_grows_waits_until_it_is_quiet(world: World, folder: Path, root: Path) -> None:
    watching, path = watch(root), folder / "big.log"
    for number in range(4):
        path.write_bytes(b"x" * number + b"y")
        assert watching.look(now=NOW).stored == 0
    path.write_bytes(b"same length")
    os.utime(path, ns=(1, 1))
    assert watching.look(now=NOW).stored == 0
    os.utime(path, ns=(2, 2))
    assert watching.look(now=NOW).stored == 0
    assert watching.look(now=NOW).stored == 1
    assert len(receipts(world)) == 1


def test_what_is_being_written_is_left_alone(world: World, folder: Path, root: Path) -> None:
    for name in ("a.part", "b.TMP", ".c", "d.filepart", "e~"):
        (folder / name).write_bytes(b"x")
    (folder / "run.part").mkdir()
    (folder / "run.part" / "stdout.log").write_bytes(b"x")
    (folder / "half").mkdir()
    (folder / "half" / "stdout.log").write_bytes(b"x")
    (folder / "half" / "stderr.log.part").write_bytes(b"x")
    assert look_twice(root) == Taken()
    assert len(names(folder)) == 8


def test_the_folder_of_a_run_is_one_delivery_and_other_folders_are_walked(
    world: World, folder: Path, root: Path
) -> None:
    for place in ("night/stdout.log", "night/stderr.log", "2026/11/a.log", "2026/11/b.eml"):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(place.encode())
    assert look_twice(root).stored == 3
    by_file = {receipt.meta["file"]: receipt.meta for receipt in receipts(world)}
    assert by_file == {
        "2026/11/a.log": {"file": "2026/11/a.log"},
        "2026/11/b.eml": {"file": "2026/11/b.eml", "content_type": "message/rfc822"},
        "night": {"file": "night", "envelope": True},
    }
    moved = ["2026_11_a.log", "2026_11_b.eml", "night/stderr.log", "night/stdout.log"]
    assert names(folder) == [f"done/2026-11-20/{name}" for name in moved]


def test_a_name_that_is_taken_in_done_gets_a_number(world: World, folder: Path, root: Path) -> None:
    for number in range(3):
        (folder / "log.txt").write_bytes(b"night %d" % number)
        assert look_twice(root).stored == 1
    assert names(folder / "done" / "2026-11-20") == ["log.txt", "log~2.txt", "log~3.txt"]
    assert len(receipts(world)) == 3


def test_a_file_that_was_stored_but_not_moved_is_the_same_delivery(
    world: World, folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "log").write_bytes(b"x")

    def fail(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(dropping, "move", fail)
        assert "cannot be moved to done: No space left" in look_twice(root).problems[0]
    assert names(folder) == ["log"]
    assert look_twice(root).stored == 1
    assert (len(receipts(world)), names(folder)) == (1, ["done/2026-11-20/log"])
    assert not InboxItem.objects.of(world.tenant).exists()


def test_the_same_bytes_on_another_night_are_another_delivery(world: World, folder: Path, root: Path) -> None:
    for night in range(2):
        (folder / "log").write_bytes(b"silent")
        os.utime(folder / "log", (1_700_000_000 + night * 86400,) * 2)
        look_twice(root)
    assert len(receipts(world)) == 2


def test_links_and_special_files_are_refused_with_the_reason(world: World, folder: Path, root: Path) -> None:
    secret = root / "secret"
    secret.write_bytes(b"of another tenant")
    (folder / "link.log").symlink_to(secret)
    (folder / "linked").symlink_to(root)
    os.mkfifo(folder / "pipe")
    (folder / "run").mkdir()
    (folder / "run" / "stdout.log").symlink_to(secret)
    taken = look_twice(root)
    assert (taken.stored, len(taken.refused), receipts(world)) == (0, 4, [])
    assert (folder / "failed" / "link.log").is_symlink()
    assert (folder / "failed" / "pipe.reason").read_text() == "pipe is a pipe: only files and folders are taken.\n"
    assert "stdout.log, which is a link" in (folder / "failed" / "run.reason").read_text()
    assert secret.read_bytes() == b"of another tenant"


def test_a_folder_swapped_for_a_link_leads_nowhere(world: World, folder: Path, root: Path) -> None:
    """Between the look and the reading its sender puts a link in place of a folder."""
    elsewhere = root / "elsewhere"
    for place in (folder / "sub", elsewhere):
        place.mkdir()
        (place / "log").write_bytes(b"x")
        os.utime(place / "log", ns=(5, 5))
    (one,) = dropping.look_into(dropping.ServerFolder(folder, world.server), Taken())
    (folder / "sub").rename(root / "away")
    (folder / "sub").symlink_to(elsewhere)
    found = dropping.read_seen(one, most=1000)
    assert found is not None
    assert (found.delivery, found.content) == (None, b"")
    (folder / "done").symlink_to(elsewhere)
    (folder / "own").write_bytes(b"x")
    assert any("cannot be moved" in problem for problem in look_twice(root).problems)
    assert names(elsewhere) == ["log"]


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"x" * 2000, "is larger than the 1,000 bytes")])
def test_what_is_no_log_fails_with_the_reason_beside_it(
    content: bytes, reason: str, world: World, folder: Path, root: Path
) -> None:
    (folder / "bad").write_bytes(content)
    (folder / "good").write_bytes(b"x")
    taken = look_twice(root, most=1000)
    assert (taken.stored, len(taken.refused)) == (1, 1)
    assert reason in (folder / "failed" / "bad.reason").read_text()
    assert names(folder / "failed") == ["bad", "bad.reason"]


def test_only_active_servers_of_the_tenant_have_a_folder(world: World, folder: Path, root: Path) -> None:
    wrong = [
        root / world.tenant.slug / f"x.{world.other_server.uid}",  # another tenant's
        root / world.tenant.slug / "backup01",
        root / "nobody" / f"x.{world.server.uid}",
    ]
    for path in wrong:
        path.mkdir(parents=True)
        (path / "log").write_bytes(b"x")
    taken = look_twice(root)
    assert (taken.stored, len(taken.problems)) == (0, 3)
    world.server.state = "retired"
    world.server.save()
    (folder / "log").write_bytes(b"x")
    assert look_twice(root).stored == 0
    assert names(folder) == ["log"]


def test_done_is_forgotten_after_its_days_and_what_failed_is_not(world: World, folder: Path, root: Path) -> None:
    (folder / "log").write_bytes(b"x")
    (folder / "bad").write_bytes(b"")
    look_twice(root)
    (folder / "done" / "notes").mkdir()
    assert watch(root).look(now=LATER - timedelta(days=2)).removed_days == 0
    assert watch(root).look(now=LATER).removed_days == 1
    assert sorted(path.name for path in (folder / "done").iterdir()) == ["notes"]
    assert names(folder / "failed") == ["bad", "bad.reason"]


def test_without_a_database_everything_stays(
    world: World, folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "log").write_bytes(b"x")

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as broken, pytest.raises(OperationalError):
        broken.setattr(dropping, "store", fail)
        look_twice(root)
    assert names(folder) == ["log"]
    assert look_twice(root).stored == 1


def test_one_file_that_cannot_be_stored_fails_alone(
    world: World, folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcde":
        (folder / name).write_bytes(name.encode())

    def refuse_c(tenant_id: int, incoming: Any, *, now: datetime) -> Any:
        if any(one.content == b"c" for one in incoming):
            raise DataError("invalid")
        return storing.store(tenant_id, incoming, now=now)

    monkeypatch.setattr(dropping, "store", refuse_c)
    taken = look_twice(root)
    assert (taken.stored, len(taken.refused), len(receipts(world))) == (4, 1, 4)
    assert names(folder / "failed") == ["c", "c.reason"]


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def configured(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root.mkdir(exist_ok=True)
    monkeypatch.setattr(settings, "BACKLEDGER", replace(settings.BACKLEDGER, drop_folder=root, drop_seconds=1))
    # the test's own connection has a transaction open
    monkeypatch.setattr("msp.management.commands.watch_folder.close_old_connections", lambda: None)
    return root


def test_the_command_makes_folders_and_takes_what_lies_there(world: World, configured: Path) -> None:
    out, _, _ = run("watch_folder", "--make", world.server.name, "--tenant", world.tenant.slug)
    folder = Path(out.strip())
    assert folder == configured / world.tenant.slug / f"backup01.{world.server.uid}"
    (folder / "log").write_bytes(b"x")
    (folder / "empty").write_bytes(b"")
    out, err, code = run("watch_folder", "--once")
    assert (out, code) == ("1 stored.\n", 0)
    assert "empty: is empty." in err
    assert len(receipts(world)) == 1


def test_without_the_setting_it_ends_and_with_a_wrong_one_it_says_so(
    world: World, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured.rmdir()
    with pytest.raises(CommandError, match="is no folder"):
        call_command("watch_folder", "--once")
    monkeypatch.setattr(settings, "BACKLEDGER", replace(settings.BACKLEDGER, drop_folder=None))
    assert "not set" in run("watch_folder")[0]


@pytest.mark.slow
def test_the_process_ends_when_it_is_told(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "watch_folder"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "BACKLEDGER_DROP_FOLDER": str(tmp_path), "BACKLEDGER_DROP_SECONDS": "60"},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"Watching {tmp_path}.\n".encode()
    process.terminate()
    assert process.wait(20) == 0
