"""What the wrapper could not send waits, is sent once, and is never dropped; what it measures is what is there."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.wrapper.loading import RECEIPT, Answer, Service, load_wrapper, run_wrapper, waiting

AWAY = "http://127.0.0.1:9"
NOW: dict[str, str] = {"BACKLEDGER_WAIT_SECONDS": "0"}


def problem(status: int, detail: str = "because", **headers: str) -> Answer:
    return status, headers, {"type": "urn:backledger:problem:x", "title": "No", "status": status, "detail": detail}


def spool_some(folder: Path, *texts: str) -> None:
    for text in texts:
        assert run_wrapper(folder, "--", "echo", text, url=AWAY, **NOW).returncode == 0


def test_what_waits_is_sent_oldest_first_and_then_gone(tmp_path: Path) -> None:
    spool_some(tmp_path, "one", "two", "three")
    assert [each["stdout"] for each in waiting(tmp_path)] == ["one\n", "two\n", "three\n"]
    with Service() as service:
        assert run_wrapper(tmp_path, "--", "echo", "four", url=service.url).returncode == 0
        assert [each["stdout"] for each in service.envelopes()] == ["one\n", "two\n", "three\n", "four\n"]
    assert len({headers["idempotency-key"] for headers, _ in service.got}) == 4
    assert waiting(tmp_path) == []


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_trouble_of_the_service_keeps_the_log_under_the_same_id(status: int, tmp_path: Path) -> None:
    with Service(answers=[problem(status), RECEIPT]) as service:
        assert run_wrapper(tmp_path, "--", "echo", "x", url=service.url).returncode == 0
        assert [headers["idempotency-key"] for headers, _ in service.got] == [service.envelopes()[0]["run_id"]] * 2
    assert waiting(tmp_path) == []


def test_retry_after_is_honoured_by_later_runs_too(tmp_path: Path) -> None:
    with Service(answers=[problem(429, **{"Retry-After": "60"}), RECEIPT]) as service:
        first = run_wrapper(tmp_path, "--", "echo", "x", url=service.url)
        assert b"wait" in first.stderr
        assert run_wrapper(tmp_path, "--flush", url=service.url).returncode == 1
        assert len(service.got) == 1
        (tmp_path / "spool" / "retry-after").write_text("1000")
        assert run_wrapper(tmp_path, "--flush", url=service.url).returncode == 0
        assert len(service.got) == 2


@pytest.mark.parametrize("status", [400, 409, 415])
def test_a_refused_log_is_set_aside_with_the_reason_and_the_rest_goes_on(status: int, tmp_path: Path) -> None:
    spool_some(tmp_path, "bad", "good")
    with Service(answers=[problem(status, "the zone is a teapot"), RECEIPT]) as service:
        done = run_wrapper(tmp_path, "--flush", url=service.url)
        assert b"the zone is a teapot" in done.stderr
        assert (len(waiting(tmp_path)), len(waiting(tmp_path, "refused"))) == (0, 1)
        assert b"teapot" in run_wrapper(tmp_path, "--status", url=service.url).stdout
        assert run_wrapper(tmp_path, "--retry-refused", url=service.url).returncode == 0
    assert waiting(tmp_path, "refused") == []
    assert len(service.got) == 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_address_keeps_every_log_until_it_is_mended(status: int, tmp_path: Path) -> None:
    spool_some(tmp_path, "one", "two")
    with Service(answers=[problem(status, "no such key"), RECEIPT]) as service:
        done = run_wrapper(tmp_path, "--flush", url=service.url)
        assert (done.returncode, len(waiting(tmp_path)), len(service.got)) == (1, 2, 1)
        assert b"no such key" in done.stderr
        assert run_wrapper(tmp_path, "--flush", url=service.url).returncode == 0
    assert waiting(tmp_path) == []


def test_an_answer_that_is_not_backledgers_is_no_receipt(tmp_path: Path) -> None:
    answers: list[Answer] = [(200, {}, {"welcome": "to the hotel"}), (302, {"Location": "https://login.example/"}, {})]
    for answer in answers:
        with Service(answers=[answer]) as service:
            assert run_wrapper(tmp_path, "--", "echo", "x", url=service.url, **NOW).returncode == 0
    assert len(waiting(tmp_path)) == 2


def test_a_log_too_large_for_the_service_is_cut_and_sent(tmp_path: Path) -> None:
    with Service(answers=[problem(413), RECEIPT]) as service:
        done = run_wrapper(tmp_path, "--", "seq", "100000", url=service.url)
        assert done.stdout.endswith(b"\n100000\n")
        first, second = service.envelopes()
    assert len(first["stdout"]) > 500_000
    assert len(second["stdout"]) < 10_000
    assert second["stdout"].startswith("1\n2\n")
    assert second["stdout"].endswith("\n100000\n")
    assert first["run_id"] == second["run_id"]


def test_flushes_at_the_same_time_send_each_log_once(tmp_path: Path) -> None:
    spool_some(tmp_path, *"abcdef")
    with Service() as service, ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run_wrapper(tmp_path, "--flush", url=service.url), range(4)))
        assert [each.returncode for each in done] == [0, 0, 0, 0]
        assert sorted(each["stdout"] for each in service.envelopes()) == [f"{letter}\n" for letter in "abcdef"]


def test_a_spool_over_its_limit_cuts_the_oldest_large_logs_and_drops_none(tmp_path: Path) -> None:
    noise = base64.b64encode(os.urandom(150_000)).decode()
    lines = "\n".join(noise[at : at + 100] for at in range(0, len(noise), 100))
    (tmp_path / "noise").write_text(lines + "\n")
    for _ in range(3):
        run_wrapper(tmp_path, "--", "cat", str(tmp_path / "noise"), url=AWAY, **NOW)
    run_wrapper(tmp_path, "--", "echo", "small", url=AWAY, BACKLEDGER_SPOOL_MAX_BYTES="200000", **NOW)
    run_wrapper(tmp_path, "--flush", url=AWAY, BACKLEDGER_SPOOL_MAX_BYTES="200000")
    told = waiting(tmp_path)
    assert [len(each["stdout"]) > 100_000 for each in told] == [False, False, True, False]
    assert "bytes of output are left out here" in told[0]["stdout"]
    assert [each["exit_code"] for each in told] == [0, 0, 0, 0]


def test_a_damaged_file_is_set_aside_and_stops_nothing(tmp_path: Path) -> None:
    spool_some(tmp_path, "good")
    whole = gzip.compress(os.urandom(100_000))
    damaged = {"a": b"\x1f\x8bno", "b": whole[:50_000], "c": whole[:50_000] + b"x" * 100 + whole[50_100:], "d": b""}
    for name, content in damaged.items():
        (tmp_path / "spool" / "waiting" / f"20200101T000000-{name}.json.gz").write_bytes(content)
    with Service() as service:
        done = run_wrapper(tmp_path, "--flush", url=service.url, BACKLEDGER_SPOOL_MAX_BYTES="1000")
        assert (done.returncode, len(service.got)) == (0, 1)
    assert b"Traceback" not in done.stderr
    assert len(list((tmp_path / "spool" / "refused").glob("*.reason"))) == 4


def test_what_a_temporary_spool_could_not_send_says_how_to_send_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = {"BACKLEDGER_SPOOL": str(tmp_path / "file"), "TMPDIR": str(tmp_path), **NOW}
    done = run_wrapper(tmp_path, "--", "sh", "-c", "exit 5", url=AWAY, **places)
    (folder,) = tmp_path.glob("backledger-*")
    assert done.returncode == 5
    assert f"BACKLEDGER_SPOOL={folder} backledger-run --flush".encode() in done.stderr
    with Service() as service:
        assert run_wrapper(tmp_path, "--flush", url=service.url, BACKLEDGER_SPOOL=str(folder)).returncode == 0
        assert len(service.got) == 1


def test_check_tells_a_good_key_from_a_bad_one(tmp_path: Path) -> None:
    with Service(answers=[problem(400, "The body is empty"), problem(401, "The key is unknown")]) as service:
        assert run_wrapper(tmp_path, "--check", url=service.url).returncode == 0
        done = run_wrapper(tmp_path, "--check", url=service.url)
    assert done.returncode == 1
    assert b"The key is unknown" in done.stderr
    assert run_wrapper(tmp_path, "--check", url=AWAY).returncode == 1


def test_settings_come_from_a_file_and_the_environment_goes_before_it(tmp_path: Path) -> None:
    with Service() as service:
        config = tmp_path / "my.conf"
        config.write_text(f"# ours\nurl = {service.url}/\nBACKLEDGER_KEY='bl_file'\nhost=fs01\nurll = x\n")
        done = run_wrapper(tmp_path, "--config", str(config), "--", "true", url="", BACKLEDGER_KEY="")
        run_wrapper(tmp_path, "--config", str(config), "--", "true", url="")
        first, second = service.got
    assert b"'urll' is no setting" in done.stderr
    assert b"chmod 600" in done.stderr
    assert (first[0]["authorization"], second[0]["authorization"]) == ("Bearer bl_file", "Bearer bl_test")
    assert service.envelopes()[0]["host"] == "fs01"


# --- measuring ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """1,000 bytes once, 1,100 with the hard link; a link, a pipe, a cache and temporary files."""
    root = tmp_path / "srv"
    (root / "data" / "cache").mkdir(parents=True)
    (root / "data" / "a").write_bytes(b"x" * 100)
    os.link(root / "data" / "a", root / "data" / "b")
    (root / "data" / "c\td\n").write_bytes(b"x" * 700)
    (root / "x.tmp").write_bytes(b"x" * 150)
    (root / "data" / "cache" / "y").write_bytes(b"x" * 50)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    return root


def inventory(folder: Path, *arguments: str) -> tuple[dict[str, Any], list[str]]:
    """The header, and the lines behind it."""
    with Service() as service:
        done = run_wrapper(folder, "--job", "size", *arguments, url=service.url)
        assert done.returncode == 0, done.stderr
        (told,) = service.envelopes()
    (attached,) = [each for each in told["attachments"] if each["name"].startswith("selection.inventory")]
    text = attached.get("content") or gzip.decompress(base64.b64decode(attached["content_base64"])).decode()
    header, *lines = text.splitlines()
    return json.loads(header), lines


def test_each_inode_counts_once_and_links_are_not_followed(tree: Path, tmp_path: Path) -> None:
    header, lines = inventory(tmp_path, "--measure", str(tree), "--", "true")
    assert (header["backledger_inventory"], header["roots"], header["listed"]) == (1, [str(tree)], False)
    assert (header["bytes"], header["bytes_each"]) == (1000, 1100)
    counts = {name: header[name] for name in ("files", "dirs", "links", "others", "unreadable", "vanished")}
    assert counts == {"files": 5, "dirs": 3, "links": 1, "others": 1, "unreadable": 0, "vanished": 0}
    assert lines == []


def test_the_list_names_every_file_with_its_inode(tree: Path, tmp_path: Path) -> None:
    header, lines = inventory(tmp_path, "--measure", str(tree), "--measure-list")
    assert header["listed"] is True
    rows = {path: (int(size), inode) for size, inode, path in (line.split("\t") for line in lines)}
    assert len(rows) == header["files"] == 5
    status = (tree / "data" / "a").stat()
    key = f"{status.st_dev}:{status.st_ino}:2"
    assert rows[f"{tree}/data/a"] == rows[f"{tree}/data/b"] == (100, key)
    assert rows[f"{tree}/data/c\\td\\n"][0] == 700


@pytest.mark.parametrize(
    ("patterns", "size"),
    [(["*.tmp"], 850), (["cache"], 950), (["cache/"], 950), (["data/cache"], 950), (["**/cache/y"], 950),
     (["sh:**/*.tmp"], 850), (["fm:*/cache/*"], 950), ([r"re:\.tmp$"], 850), (["[x]*"], 850), (["?.tmp"], 850),
     (["*"], 0), (["nothing"], 1000), (["*.tmp", "cache"], 800), (["/data"], 1000)],
)  # fmt: skip
def test_excludes_are_read_as_restic_and_borg_read_them(
    patterns: list[str], size: int, tree: Path, tmp_path: Path
) -> None:
    given = [part for pattern in patterns for part in ("--exclude", pattern)]
    header, _ = inventory(tmp_path, "--measure", str(tree), *given, "--", "true")
    assert header["bytes"] == size
    assert header["excludes"] == patterns


def test_roots_inside_each_other_count_once_and_a_missing_one_is_told(tree: Path, tmp_path: Path) -> None:
    given = ["--measure", str(tree / "data"), str(tree), str(tree / "x.tmp"), str(tree / "gone"), "--", "true"]
    header, _ = inventory(tmp_path, *given)
    assert (header["bytes"], header["files"]) == (1000, 5)
    assert header["missing_roots"] == [str(tree / "gone")]


def test_a_selection_file_names_roots_and_excludes_and_travels_along(tree: Path, tmp_path: Path) -> None:
    rules = tmp_path / "selection"
    rules.write_text(f"# what we keep\n+ {tree}\n- *.tmp\n\n- {tree}/data/cache\n")
    with Service() as service:
        run_wrapper(tmp_path, "--selection", str(rules), url=service.url)
        (told,) = service.envelopes()
    first, second = told["attachments"]
    assert json.loads(first["content"])["bytes"] == 800
    assert (second["name"], second["content"]) == ("selection.rules", rules.read_text())
    assert "exit_code" not in told


def test_what_cannot_be_measured_does_not_cost_the_report(tree: Path, tmp_path: Path) -> None:
    with Service() as service:
        done = run_wrapper(
            tmp_path, "--measure", str(tree), "--exclude", "!x", "--", "sh", "-c", "exit 2", url=service.url
        )
        assert (done.returncode, len(service.got)) == (2, 1)
        assert b"could not be measured" in done.stderr
        assert "attachments" not in service.envelopes()[0]


def test_many_files_are_walked_in_little_memory(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for at in range(50):
        (folder / str(at)).mkdir(parents=True)
        for number in range(400):
            (folder / str(at) / str(number)).touch()
    wrapper = load_wrapper()
    selection = wrapper.Selection([os.fsencode(folder)], ["*.tmp", "/proc/**", "cache"], False, b"")
    walked = wrapper.Inventory(selection, None)
    walked.walk()
    assert walked.files == 20_000
    assert walked._links == {}
    shutil.rmtree(folder)
