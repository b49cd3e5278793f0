"""From paths to deliveries: files, folders of one run, trees, standard input; what cannot be read is told."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from integrations.logs import read
from integrations.logs.delivery import from_envelope
from integrations.logs.report import delivery_from_files
from msp.ingest.gathering import Gathered, Said, gather

FIXTURES = Path(__file__).parents[1] / "fixtures" / "logs"
FOLDERS = sorted(path.parent for path in FIXTURES.glob("*/*/expected.json"))


def found(*paths: object, said: Said | None = None, most: int = 10_000_000, stdin: bytes = b"") -> list[Gathered]:
    given = [str(path) for path in paths]
    return list(gather(given, said=said or Said(), most=most, stdin=io.BytesIO(stdin)))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_a_folder_kept_as_an_envelope_reads_as_its_files_do(folder: Path) -> None:
    (one,) = found(folder)
    assert one.meta == {"envelope": True}
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert read(from_envelope(json.loads(one.content))) == read(delivery_from_files(files))


def test_a_tree_is_walked_in_order_and_each_folder_of_a_run_is_one_delivery(tmp_path: Path) -> None:
    (tmp_path / "b" / "run").mkdir(parents=True)
    (tmp_path / "b" / "run" / "stdout.log").write_bytes(b"out")
    (tmp_path / "b" / "run" / "stderr.log").write_bytes(b"err")
    (tmp_path / "a.log").write_bytes(b"a")
    (tmp_path / ".hidden").write_bytes(b"no")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [one.path for one in found(tmp_path)] == [str(tmp_path / "a.log"), str(tmp_path / "b" / "run")]


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_bytes(b"")
    (tmp_path / "large.log").write_bytes(b"x" * 101)
    (tmp_path / "good.log").write_bytes(b"x" * 100)
    os.mkfifo(tmp_path / "pipe")
    run = tmp_path / "run"
    run.mkdir()
    (run / "stdout.log").write_bytes(b"x" * 60)
    (run / "stderr.log").write_bytes(b"x" * 60)
    told = {Path(one.path).name: one.error for one in found(tmp_path, tmp_path / "gone", most=100)}
    assert told.pop("good.log") == ""
    assert {name: bool(error) for name, error in told.items()} == dict.fromkeys(
        ["empty.log", "large.log", "pipe", "run", "gone"], True
    )
    assert "100 bytes" in told["large.log"]
    assert "100 bytes" in told["run"]


def test_a_file_is_the_same_until_its_path_size_or_time_changes(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one")

    def identity(path: Path = log) -> str:
        return found(path)[0].identity

    first = identity()
    assert identity() == first
    assert identity(tmp_path / "." / "a.log") == first
    os.utime(log, ns=(1, 1))
    assert identity() != first
    other = tmp_path / "b.log"
    other.write_bytes(b"one")
    os.utime(other, ns=(1, 1))
    assert identity(other) != identity()
    assert found("-", stdin=b"one")[0].identity == ""


def test_a_json_file_that_is_an_envelope_is_one_and_any_other_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "spooled.json").write_text('{"stdout": "hello", "exit_code": 3, "job": "own"}')
    (tmp_path / "report.json").write_text('{"Data": {}}')
    report, spooled = found(tmp_path, said=Said(job="said", host="h"))
    assert (spooled.meta["envelope"], report.meta.get("envelope")) == (True, None)
    assert spooled.delivery is not None
    assert report.delivery is not None
    assert (spooled.delivery.job, spooled.delivery.host, spooled.delivery.exit_code) == ("own", "h", 3)
    assert (report.delivery.job, report.delivery.content_type) == ("said", "application/json")


def test_an_unknown_zone_is_kept_as_it_was_told(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_bytes(b"\xff not text")
    (tmp_path / "command.txt").write_bytes(b"# TZ=Mars/Base\n# exit code: 3\n$ rsync -a /a /b\n")
    (one,) = found(tmp_path, said=Said(timezone="Europe/Berlin"))
    told = json.loads(one.content)
    assert (told["timezone"], told["exit_code"], told["command"]) == ("Mars/Base", 3, "rsync -a /a /b")
    again = from_envelope(told)
    assert again.stdout == b"\xff not text"
    assert again.problems
    assert one.delivery is not None
    assert (one.delivery.timezone, one.delivery.problems) == (None, again.problems)
