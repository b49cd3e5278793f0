"""Our own JSON: strict in its fields, and honest about values that cannot be true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery
from integrations.logs.own import CHOICES, COMPONENT_FIELDS, ERROR_FIELDS, FIELDS

GUIDE = Path(__file__).parents[3] / "docs" / "own-json.md"
RUN = {"operation": "backup", "outcome": "success"}


def document(**run: Any) -> bytes:
    return json.dumps({"backledger": 1, "runs": [{**RUN, **run}]}).encode()


def examples() -> list[str]:
    return [block.split("```", 1)[0] for block in GUIDE.read_text().split("```json\n")[1:]]


def test_the_example_of_the_guide_is_read() -> None:
    assert examples()
    for example in examples():
        reading = read(Delivery(stdout=example.encode()))
        assert reading.error is None
        assert reading.runs
        assert all(run.problems == () for run in reading.runs)


@pytest.mark.parametrize(
    "name", [*FIELDS, *ERROR_FIELDS, *COMPONENT_FIELDS, *(v for vs in CHOICES.values() for v in vs)]
)
def test_the_guide_names_every_field_and_every_word(name: str) -> None:
    assert f"`{name}`" in GUIDE.read_text()


def test_chains_checksums_and_parts_are_read() -> None:
    part = {
        "type": "mailbox",
        "name": "a@b.example",
        "outcome": "warning",
        "transferred_bytes": 3,
        "message": "throttled",
    }
    told = {"chain_length": 4, "last_full_at": "2026-11-01T00:00:00Z", "checksum_ok": True, "components": [part]}
    (run,) = read(Delivery(stdout=document(**told))).runs
    assert (run.chain_length, run.checksum_ok) == (4, True)
    assert run.last_full_at is not None
    assert run.last_full_at.isoformat() == "2026-11-01T00:00:00+00:00"
    assert run.components[0].transferred_bytes == 3
    assert run.components[0].message == "throttled"


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({"protected_byte": 5}, "runs[0].protected_byte is not a field; did you mean protected_bytes?."),
        ({"operation": "dump"}, "runs[0].operation must be one of backup, copy,"),
        ({"outcome": "ok"}, "runs[0].outcome must be one of success,"),
        ({"protected_bytes": "5 GB"}, "runs[0].protected_bytes must be a whole number, without a unit."),
        ({"protected_bytes": 1.5}, "runs[0].protected_bytes must be a whole number"),
        ({"protected_bytes": True}, "runs[0].protected_bytes must be a whole number"),
        ({"started_at": "yesterday"}, "runs[0].started_at must be a time like"),
        ({"started_at": 5}, "runs[0].started_at must be a time like"),
        ({"complete": "yes"}, "runs[0].complete must be true or false."),
        ({"roots": "/srv"}, "runs[0].roots must be a list of texts."),
        ({"errors": [{"text": "x"}]}, "runs[0].errors[0].text is not a field"),
        ({"errors": [{}]}, "runs[0].errors[0].message is missing."),
        ({"errors": [{"message": "x", "severity": "bad"}]}, "runs[0].errors[0].severity must be error or warning."),
        ({"errors": [{"message": "x", "kind": "odd"}]}, "runs[0].errors[0].kind must be one of"),
        ({"components": [{"type": "vm", "name": "a"}]}, "runs[0].components[0].outcome is missing."),
        ({"components": [{"type": "vm", "name": "a", "outcome": "fine"}]}, "runs[0].components[0].outcome must be one"),
        ({"files": {"total": "many"}}, "runs[0].files.total must be a whole number"),
        ({"job": 5}, "runs[0].job must be a text."),
        ({"duration_seconds": "long"}, "runs[0].duration_seconds must be a number of seconds."),
    ],
)
def test_a_wrong_field_is_refused_by_name(run: dict[str, Any], reason: str) -> None:
    reading = read(Delivery(stdout=document(**run)))
    assert (reading.error or "").startswith(reason)
    assert reading.runs == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"backledger": 2, "runs": [{}]}', "backledger must be 1"),
        (b'{"backledger": 1, "runs": []}', "runs must be a list"),
        (b'{"backledger": 1}', "runs must be a list"),
        (b'{"backledger": 1, "runs": [5]}', "runs[0] must be an object"),
        (b'{"backledger": 1, "run": []}', "document.run is not a field; did you mean runs?"),
    ],
)
def test_a_wrong_document_is_refused(body: bytes, reason: str) -> None:
    assert (read(Delivery(stdout=body)).error or "").startswith(reason)


def test_a_broken_document_is_refused_with_its_line() -> None:
    reading = read(Delivery(stdout=b'{"backledger": 1,\n "runs": [\n}', format="own"))
    assert (reading.line, reading.format) == (3, "own")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"protected_bytes": -5}, "protected_bytes is -5"),
        ({"stored_bytes": -1}, "stored_bytes is -1"),
        ({"files": {"total": -1}}, "files.total is -1"),
        ({"duration_seconds": -3}, "duration_seconds is -3"),
        ({"started_at": "2026-01-02T03:00:00Z", "ended_at": "2026-01-02T02:00:00Z"}, "before it started"),
        ({"protected_bytes": 2**63}, "no such number can be stored"),
        ({"ended_at": "2026-01-02T02:00:00"}, "no known time zone"),
        ({"components": [{"type": "vm", "name": "a", "outcome": "success", "protected_bytes": -2}]}, "of a is -2"),
    ],
)
def test_what_cannot_be_true_is_kept_and_marked(run: dict[str, Any], words: str) -> None:
    (found,) = read(Delivery(stdout=document(**run))).runs
    assert words in " ".join(found.problems)
    assert found.outcome == "success"


def test_a_freed_size_below_zero_is_nothing_odd() -> None:
    """A compaction may cost more than it frees."""
    (found,) = read(Delivery(stdout=document(freed_bytes=-5))).runs
    assert found.problems == ()


def test_local_times_are_read_in_the_zone_of_the_delivery() -> None:
    (found,) = read(Delivery(stdout=document(ended_at="2026-07-01T02:00:00"), timezone="Europe/Berlin")).runs
    assert found.ended_at is not None
    assert found.ended_at.isoformat() == "2026-07-01T00:00:00+00:00"
    assert found.problems == ()


def test_the_reason_for_an_unreadable_log_holds_nothing_that_cannot_be_stored() -> None:
    reading = read(Delivery(stdout=b'{"backledger": 1, "runs": [{"operation": "back\\u0000up\\ud800"}]}'))
    assert reading.error is not None
    reading.error.encode()
    assert "\0" not in reading.error
