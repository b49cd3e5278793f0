"""Envelopes and plain bodies become deliveries; what cannot be used is refused by name, an unknown zone is kept."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.delivery import BadEnvelope, from_envelope, from_raw
from integrations.logs.report import as_parse_answer, delivery_from_files

BORG = (
    b"Archive name: a\nArchive fingerprint: " + b"a" * 64 + b"\nTime (start): Sun, 2026-10-25 02:30:00\n"
    b"Time (end):   Sun, 2026-10-25 02:10:00\nNumber of files: 1\n"
    b"This archive:               22.46 MB             14.56 MB             16.10 kB\n"
)


def test_an_envelope_carries_everything_a_wrapper_knows() -> None:
    delivery = from_envelope(
        {
            "stdout": "café",
            "stderr_base64": base64.b64encode(b"\xe9").decode(),
            "exit_code": 3,
            "timezone": "Europe/Berlin",
            "host": "fs01",
            "job": "nightly",
            "command": "restic backup /srv",
            "format": "restic",
            "started_at": "2026-01-31T22:00:00",
            "ended_at": "2026-01-31T22:00:00Z",
            "run_id": "r1",
            "attachments": [{"name": "a.log", "content": "x", "content_type": "text/plain"}],
        }
    )
    assert delivery.stdout == "café".encode()
    assert delivery.stderr == b"\xe9"
    assert (delivery.exit_code, delivery.timezone, delivery.run_id) == (3, "Europe/Berlin", "r1")
    assert delivery.started_at == datetime(2026, 1, 31, 21, tzinfo=UTC)
    assert delivery.ended_at == datetime(2026, 1, 31, 22, tzinfo=UTC)
    assert delivery.attachments[0].content == b"x"
    assert delivery.problems == ()


@pytest.mark.parametrize(
    ("envelope", "field", "words"),
    [
        ([], "envelope", "JSON object"),
        ({}, "stdout", "missing"),
        ({"stdout": "x", "exitcode": 1}, "exitcode", "Did you mean exit_code?"),
        ({"stdout": "x", "zzz": 1}, "zzz", "Known keys are"),
        ({"stdout": 5}, "stdout", "must be a text"),
        ({"stdout": "x", "stdout_base64": "eA=="}, "stdout", "not both"),
        ({"stdout_base64": "%%%"}, "stdout_base64", "not base64"),
        ({"stdout": "x", "exit_code": "1"}, "exit_code", "whole number"),
        ({"stdout": "x", "exit_code": True}, "exit_code", "whole number"),
        ({"stdout": "x", "exit_code": 2**40}, "exit_code", "whole number"),
        ({"stdout": "x", "host": 7}, "host", "must be a text"),
        ({"stdout": "x", "host": "h" * 2000}, "host", "longer than"),
        ({"stdout": "x", "started_at": "yesterday"}, "started_at", "must be a time"),
        ({"stdout": "x", "attachments": {}}, "attachments", "must be a list"),
        ({"stdout": "x", "attachments": [{}]}, "attachments[0].name", "must be a text"),
        ({"stdout": "x", "attachments": [{"name": "a", "contents": "b"}]}, "attachments[0].contents", "mean content?"),
        (
            {"stdout": "x", "attachments": [{"name": "a", "content_base64": "é"}]},
            "attachments[0].content_base64",
            "base64",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(envelope: Any, field: str, words: str) -> None:
    with pytest.raises(BadEnvelope) as refused:
        from_envelope(envelope)
    assert refused.value.field == field
    assert words in refused.value.reason


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "a\x00b", "CEST+1", "x" * 900])
def test_an_unknown_time_zone_loses_no_log_but_the_times_that_needed_it(zone: str) -> None:
    delivery = from_envelope({"stdout": BORG.decode(), "timezone": zone, "started_at": "2026-01-31T22:00:00"})
    assert delivery.timezone is None
    assert delivery.started_at is None
    assert "Unknown time zone" in delivery.problems[0]
    (run,) = read(delivery).runs
    assert run.protected_bytes == 22_460_000
    assert (run.started_at, run.ended_at) == (None, None)
    assert "Unknown time zone" in run.problems[0]  # recording neither moves a clock by it nor bills it


def test_a_plain_body_takes_its_facts_from_parameters() -> None:
    delivery = from_raw(b"x", timezone="Mars/Olympus", host="h\x1b[31m", command="rsync -a /a /b", exit_code=0)
    assert delivery.timezone is None
    assert delivery.host == "h"
    assert len(delivery.problems) == 1


def test_an_hour_that_comes_twice_is_read_so_that_the_end_follows_the_start() -> None:
    """On 25 October 2026 Berlin's clock goes from 03:00 back to 02:00."""
    (run,) = read(from_raw(BORG, timezone="Europe/Berlin")).runs
    assert run.started_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert run.ended_at == datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert run.problems == ()


def test_a_folder_of_files_is_one_delivery() -> None:
    command = (
        b"# host: fs01.acme.example\n# TZ=Europe/Berlin LANG=C\n$ restic backup /srv\n# exit code: 3\n"
        b"# wall clock: 2026-11-22T21:03:07.713Z .. 2026-11-22T21:03:08.527Z\n"
    )
    files = {
        "command.txt": command,
        "stdout.log": b"",
        "stderr.log": b"Fatal: x\n",
        "extra.log": b"y",
        "SOURCE.md": b"z",
    }
    delivery = delivery_from_files(files)
    assert (delivery.stdout, delivery.stderr, delivery.exit_code) == (b"", b"Fatal: x\n", 3)
    assert (delivery.host, delivery.timezone, delivery.command) == (
        "fs01.acme.example", "Europe/Berlin", "restic backup /srv",
    )  # fmt: skip
    assert [attachment.name for attachment in delivery.attachments] == ["extra.log"]
    assert delivery.ended_at == datetime(2026, 11, 22, 21, 3, 8, 527000, tzinfo=UTC)


def test_the_answer_of_parse_says_what_could_not_be_read() -> None:
    answer = as_parse_answer("x.log", read(from_raw(b'{"backledger": 1, "runs": [{"operation": "backup"}]}')))
    assert answer["format"] == "own"
    assert answer["error"] == "runs[0].outcome is missing."
    assert answer["runs"] == []
