"""The contract of every log format: precise recognition, exact reading of its fixtures, and no crash on any bytes.

Expected values come from each fixture's ``expected.json``, written from the product's documentation and the ground
truth of the run, never from the parser. Samples beyond those that may be copied are read where their folder exists.
"""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.logs import FORMATS, read
from integrations.logs.context import Context
from integrations.logs.head import head_of
from integrations.logs.joblog import MAX_ERRORS, MAX_TEXT, Delivery, UnreadableLog
from integrations.logs.opening import open_delivery
from integrations.logs.report import as_parse_answer, delivery_from_files
from tests.growth import assert_grows_linearly

FIXTURES = Path(__file__).parents[1] / "fixtures" / "logs"
FURTHER = Path(__file__).parents[3] / "shared" / "samples"
FOLDERS = sorted(path.parent for path in FIXTURES.glob("*/*/expected.json"))
FURTHER_FOLDERS = sorted(path.parent for path in FURTHER.glob("*/*/expected.json"))
SIZES = ("protected_bytes", "changed_bytes", "transferred_bytes", "stored_bytes", "freed_bytes", "restored_bytes")


def named(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def delivery_of(folder: Path) -> Delivery:
    return delivery_from_files({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})


def expected_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return found


def answer_of(folder: Path) -> dict[str, Any]:
    return as_parse_answer(str(folder), read(delivery_of(folder)))


def context_of(delivery: Delivery) -> Context:
    return Context(head=head_of(delivery))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_label_and_a_fixture(name: str) -> None:
    assert FORMATS[name].LABEL.strip()
    assert any(folder.parent.name == name for folder in FOLDERS), f"no fixture under tests/fixtures/logs/{name}"


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_exactly_one_format_recognises_a_fixture(folder: Path) -> None:
    head = head_of(open_delivery(delivery_of(folder)))
    assert [name for name, module in FORMATS.items() if module.recognises(head)] == [folder.parent.name]


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f.parent.name != "own"], ids=named)
def test_no_other_format_recognises_a_log_without_its_command_line(folder: Path) -> None:
    head = head_of(open_delivery(replace(delivery_of(folder), command="")))
    assert {name for name, module in FORMATS.items() if module.recognises(head)} <= {folder.parent.name}


@pytest.mark.parametrize("folder", [*FOLDERS, *FURTHER_FOLDERS], ids=named)
def test_a_log_of_a_product_without_a_format_waits_in_the_inbox(folder: Path) -> None:
    answer = answer_of(folder)
    if folder.parent.name not in FORMATS:
        assert answer["format"] is None
        assert answer["error"]
        assert answer["runs"] == []
    else:
        assert answer["format"] == folder.parent.name
        assert answer["error"] is None


def known_folders() -> list[Path]:
    return [*FOLDERS, *(folder for folder in FURTHER_FOLDERS if folder.parent.name in FORMATS)]


@pytest.mark.parametrize("folder", known_folders(), ids=named)
def test_what_a_log_tells_is_read_exactly(folder: Path) -> None:
    answer, expected = answer_of(folder), expected_of(folder)
    assert answer["outcome"] == expected["outcome"]
    for key, found_key in {"operation": "operation", "device": "device", "job": "job", "archive": "archive"}.items():
        if key in expected:
            assert expected[key] in [run.get(found_key) for run in answer["runs"]], key
    for key in ("started_at", "finished_at"):
        if key in expected:
            assert any(same_moment(expected[key], run.get(key)) for run in answer["runs"]), key
    for key in SIZES:
        if isinstance(expected.get(key), int):
            share = 0.005 if key in (expected.get("rounded") or {}) else 0
            sizes = [run.get(key) for run in answer["runs"]]
            assert any(isinstance(s, int) and abs(s - expected[key]) <= share * expected[key] for s in sizes), key
    if "exit_code" in expected and len(answer["runs"]) == 1:
        assert answer["runs"][0].get("exit_code") == expected["exit_code"]


@pytest.mark.parametrize("folder", known_folders(), ids=named)
def test_counts_and_errors_are_those_of_the_log(folder: Path) -> None:
    answer, expected = answer_of(folder), expected_of(folder)
    for key, value in expected.get("files", {}).items():
        if folder.name != "extract-dry-run-list-text":  # a name with a line break: 25 lines or 24 items
            assert value in [run.get("files", {}).get(key) for run in answer["runs"]], f"files.{key}"
    errors = [error for run in answer["runs"] for error in run["errors"]]
    for wanted in expected.get("errors", []):
        assert any(
            (wanted["message"] in error["message"] or error["message"] in wanted["message"])
            and (not wanted.get("path") or wanted["path"] in f"{error.get('path')} {error['message']}")
            for error in errors
        ), wanted
    if expected.get("errors") == [] and expected["outcome"] == "success":
        assert errors == []


def same_moment(wanted: str, found: str | None) -> bool:
    if found is None:
        return False
    return abs((datetime.fromisoformat(wanted) - datetime.fromisoformat(found)).total_seconds()) < 1


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_only_a_run_that_came_to_its_end_gives_a_measurement(folder: Path) -> None:
    for run in read(delivery_of(folder)).runs:
        if run.outcome in ("failure", "cancelled") and run.operation == "backup":
            assert run.complete is False
            assert not run.protected_bytes
        assert (run.basis is None) == (run.protected_bytes is None)


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_a_log_cut_off_anywhere_is_read_or_refused_but_never_crashes(folder: Path) -> None:
    delivery = delivery_of(folder)
    module = FORMATS[folder.parent.name]
    size = len(delivery.stdout) + len(delivery.stderr)
    for cut in sorted({size * part // 40 for part in range(40)} | set(range(min(size, 60)))):
        shorter = replace(
            delivery, stdout=delivery.stdout[:cut], stderr=delivery.stderr[: max(0, cut - len(delivery.stdout))]
        )
        opened = open_delivery(shorter)
        with suppress(UnreadableLog):
            module.parse(opened, context_of(opened))
        reading = read(shorter)
        assert not (reading.error or "").startswith("parser failed"), reading.error


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stdout=st.binary(max_size=400), stderr=st.binary(max_size=200), code=st.none() | st.integers(-1, 300))
def test_random_bytes_raise_nothing_but_unreadable_log(
    name: str, stdout: bytes, stderr: bytes, code: int | None
) -> None:
    delivery = Delivery(stdout=stdout, stderr=stderr, exit_code=code, format=name)
    with suppress(UnreadableLog):
        FORMATS[name].parse(delivery, context_of(delivery))
    assert not (read(delivery).error or "").startswith("parser failed")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_fixture_with_lines_shuffled_and_bytes_changed_never_crashes(data: st.DataObject) -> None:
    folder = data.draw(st.sampled_from(FOLDERS))
    delivery = delivery_of(folder)
    lines = (delivery.stdout + b"\n" + delivery.stderr).split(b"\n")[:60]
    shuffled = b"\n".join(data.draw(st.permutations(lines)))
    at = data.draw(st.integers(0, max(0, len(shuffled) - 1)))
    changed = shuffled[:at] + data.draw(st.binary(max_size=8)) + shuffled[at + 1 :]
    reading = read(replace(delivery, stdout=changed, stderr=b"", format=folder.parent.name))
    assert not (reading.error or "").startswith("parser failed"), reading.error


NOT_A_LOG = {
    "empty": b"",
    "blank": b" \n\n\t\n",
    "page": b"<!DOCTYPE html><html><head><title>restic, borg, rsync and Duplicati</title></head><body>Sign in</body></html>",  # noqa: E501
    "syslog": b"Nov 22 21:25:55 fs01 sshd[1]: Accepted publickey\nNov 22 21:25:56 fs01 CRON[2]: (root) CMD (rsync -a /a /b)\n",  # noqa: E501
    "words": b"error: something went wrong\nWarning: disk is nearly full\nFatal: no\n",
    "json": b'{"message_type": "greeting", "summary": 1}',
    "list": b'[{"a": 1}]',
    "depth": b"[" * 200_000,
    "objects": b'{"a":' * 200_000,
    "zeros": b"\x00" * 100_000,
    "mail": b"From: a@b.example\nTo: c@d.example\nSubject: Your invoice\nDate: Sat, 14 Oct 2017 20:10:02 -0500\n\nHello\n",  # noqa: E501
}


@pytest.mark.parametrize("body", NOT_A_LOG.values(), ids=NOT_A_LOG.keys())
def test_what_is_no_job_log_is_recognised_by_none(body: bytes) -> None:
    reading = read(Delivery(stdout=body))
    assert reading.format is None
    assert reading.error
    assert reading.runs == ()


HOSTILE_LINES = {
    "spaces": b" " * 4000,
    "colons": b": " * 2000,
    "quotes": b'rsync: "' + b'"' * 3000,
    "errno": b"/a" + b": [Errno " * 400,
    "blobs": b"total prune: " + b"1 " * 2000,
    "sizes": b"This archive: " + b"1.1 MB " * 500,
    "sent": b"sent " + b"1," * 2000 + b" bytes  received ",
    "vanished": b'file has vanished: "' + b"/x" * 1500 + b'"',
    "stamps": b"[Warning-" * 400,
    "restic error": b"error: open /" + b"x: " * 1000,
    "tags": b"<" * 4000,
    "escapes": b"\x1b[" * 2000,
    "returns": b"\r" * 3000,
    "json": b'{"message_type":"error","item":"' + b"\\u0041" * 400 + b'"}',
    "brace": b"{",
}


@pytest.mark.parametrize("name", [*FORMATS, ""])
@pytest.mark.parametrize("line", HOSTILE_LINES.values(), ids=HOSTILE_LINES.keys())
def test_ten_times_the_hostile_lines_cost_about_ten_times_as_much(name: str, line: bytes) -> None:
    def work(times: int) -> None:
        read(Delivery(stdout=b"\n".join([line] * times), format=name, exit_code=1))

    assert_grows_linearly(work, small=20, large=200)


@pytest.mark.parametrize("name", [*FORMATS, ""])  # "": every format looks whether it is one of its own
@pytest.mark.parametrize("line", HOSTILE_LINES.values(), ids=HOSTILE_LINES.keys())
def test_one_long_hostile_line_costs_about_its_length(name: str, line: bytes) -> None:
    def work(length: int) -> None:
        read(Delivery(stdout=(line * 600)[:length], format=name, exit_code=1))

    assert_grows_linearly(work, small=6_000, large=60_000)


@pytest.mark.parametrize("name", FORMATS)
def test_a_large_log_is_read_without_copies_of_it(name: str) -> None:
    line = b'rsync: [sender] send_files failed to open "/srv/data/file": Permission denied (13)\n'
    body = line * (6_000_000 // len(line))
    tracemalloc.start()
    reading = read(Delivery(stdout=body, format=name, exit_code=23))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * len(body) or reading.runs == ()


HEAVY = {
    "objects": b"[" + b"{}," * 5_000_000 + b"{}]",
    "entries": b'{"Data":[' + b"0.5," * 3_900_000 + b"0]}",
    "nested": b'{"a":' + b'[{"b":{}},' * 500_000,
}


@pytest.mark.parametrize("name", [*FORMATS, ""])
@pytest.mark.parametrize("kind", HEAVY)
def test_documents_that_unfold_in_memory_are_refused(name: str, kind: str) -> None:
    tracemalloc.start()
    reading = read(Delivery(stdout=HEAVY[kind], format=name))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 2**20
    assert reading.outcome in ("unknown", "failure")


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_texts_are_safe_to_store_and_to_show(folder: Path) -> None:
    delivery = delivery_of(folder)
    tainted = (
        delivery.stdout.replace(b"/srv", b"/s\x1b[31m\x00\xe9rv"),
        delivery.stderr.replace(b"/srv", b"/s\x07\xe9rv"),
    )
    for run in read(replace(delivery, stdout=tainted[0], stderr=tainted[1], format=folder.parent.name)).runs:
        texts = [run.archive, run.repository, run.source_job, run.host, *run.roots, *run.notes]
        texts += [text for error in run.errors for text in (error.message, error.path or "")]
        assert len(run.errors) <= MAX_ERRORS <= max(run.errors_total, MAX_ERRORS)
        for text in texts:
            assert len(text) <= MAX_TEXT
            assert not set(text) & set("\x00\x07\x1b")
            text.encode("utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_runs_that_share_a_log_know_their_own_lines(folder: Path) -> None:
    runs = read(delivery_of(folder)).runs
    spans = [run.lines for run in runs if run.lines]
    if len(runs) == 1:
        assert spans == []
    for earlier, later in pairwise(spans):
        assert earlier[1] < later[0]
