"""What the fixtures of N-able Cove do not show: every status, missing columns, the legacy codes, and hostile rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import Reading, read
from integrations.logs.joblog import Delivery, JobLog

AT = datetime(2025, 11, 22, tzinfo=UTC)


def reading_of(*devices: dict[str, Any]) -> Reading:
    rows = [{"AccountId": 7, "Settings": [{code: value} for code, value in one.items()]} for one in devices]
    return read(Delivery(stdout=json.dumps({"result": {"result": rows}}).encode(), format="n-able-cove"))


def run_of(**columns: Any) -> JobLog:
    return reading_of(columns).runs[0]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("1", "running"),
        ("2", "failure"),
        ("3", "cancelled"),
        ("5", "success"),
        ("6", "failure"),
        ("7", "missed"),
        ("8", "warning"),
        ("9", "running"),
        ("10", "failure"),
        ("11", "skipped"),
        ("12", "running"),
        ("0", "unknown"),
        ("4", "unknown"),
        ("99", "unknown"),
        ("Completed", "unknown"),
    ],
)
def test_every_status_of_the_documentation_has_its_outcome(status: str, outcome: str) -> None:
    assert run_of(I1="a", D09F00=status, D09F15="1763769600").outcome == outcome


def test_a_running_session_has_a_start_and_no_size() -> None:
    run = run_of(I0="7", D09F00="1", D09F03="5", D09F15="1763769600")
    assert (run.started_at, run.ended_at, run.protected_bytes, run.complete) == (AT, None, None, None)


def test_a_device_that_never_ran_is_unknown_and_has_no_time() -> None:
    run = run_of(I0="7", I1="a", I14="0")
    assert (run.outcome, run.ended_at, run.run_id) == ("unknown", None, "")
    assert run.notes == ("the device has no session yet",)


def test_without_the_total_the_worst_source_and_the_newest_time_count() -> None:
    run = run_of(
        I0="7", D01F00="5", D01F15="1763760000", D03F00="2", D03F15="1763769600", D17F00="2", D17F15="1763779600"
    )
    assert (run.outcome, run.ended_at) == ("failure", AT)
    assert [(one.name, one.outcome) for one in run.components] == [
        ("Files and folders", "success"),
        ("MS SQL", "failure"),
    ]


def test_legacy_codes_of_the_total_are_read() -> None:
    run = run_of(AU="9", AN="pc", MN="PC", AR="Muster", US="12", T0="5", T3="34", TL="1763769600")
    assert (run.outcome, run.ended_at, run.protected_bytes, run.stored_bytes) == ("success", AT, 34, 12)
    assert (run.source_job, run.host, run.account, run.run_id) == ("pc", "PC", "Muster", "9-1763769600")


def test_the_same_session_asked_for_twice_is_one_run() -> None:
    one = {"I0": "7", "D09F00": "5", "D09F15": "1763769600"}
    assert reading_of(one).runs[0].run_id == reading_of({**one, "I14": "1"}).runs[0].run_id == "7-1763769600"


def test_an_error_of_the_api_is_told() -> None:
    body = b'{"jsonrpc":"2.0","error":{"code":-32603,"message":"Visa is expired"}}'
    assert read(Delivery(stdout=body, format="n-able-cove")).error == "Visa is expired"


@pytest.mark.parametrize("value", ["-5", "1e400", "9" * 400, "", None, True, [], {"a": 1}])
def test_any_value_is_borne(value: Any) -> None:
    assert reading_of({"I1": value, "D09F00": "5", "D09F03": value, "D09F15": value, "D01F00": value}).error is None
