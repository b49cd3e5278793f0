"""What the fixtures of Comet do not show: every status and classification, failed sizes, lists, and other events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def detail(**fields: Any) -> dict[str, Any]:
    return {"GUID": "g", "SourceGUID": "s", "Classification": 4001, "Status": 5000, "StartTime": 1767229203,
            "EndTime": 1767229871, "TotalSize": 7, "UploadSize": 3, **fields}  # fmt: skip


def runs_of(document: Any) -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=json.dumps(document).encode()))
    assert reading.format == "comet"
    return reading.runs


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(5000, "success"), (5100, "success"), (6000, "running"), (6003, "running"), (7000, "failure"), (7001, "warning"),
     (7002, "failure"), (7003, "failure"), (7004, "missed"), (7005, "cancelled"), (7006, "skipped"), (7007, "failure"),
     (7500, "failure"), (4242, "unknown"), ("7001", "warning"), (None, "unknown")],
)  # fmt: skip
def test_every_status(status: Any, outcome: str) -> None:
    assert runs_of(detail(Status=status))[0].outcome == outcome


@pytest.mark.parametrize(
    ("number", "operation", "action"),
    [(4002, "restore", ""), (4003, "prune", ""), (4005, "prune", "delete snapshot"), (4010, "verify", ""),
     (4007, "inventory", "software update"), (4999, "inventory", "unknown job")],
)  # fmt: skip
def test_every_kind_of_job(number: int, operation: str, action: str) -> None:
    run = runs_of(detail(Classification=number))[0]
    assert (run.operation, run.action, run.protected_bytes) == (operation, action, None)


def test_a_failed_job_shows_its_size_but_is_not_complete() -> None:
    run = runs_of(detail(Status=7003))[0]
    assert (run.protected_bytes, run.complete, run.notes) == (7, False, ("a quota was exceeded",))


def test_a_missed_or_running_job_has_no_size_and_no_end() -> None:
    assert runs_of(detail(Status=7004, TotalSize=0))[0].protected_bytes is None
    run = runs_of(detail(Status=6001, TotalSize=0, EndTime=0))[0]
    assert (run.protected_bytes, run.ended_at) == (None, None)


def test_a_list_of_jobs_is_a_run_each() -> None:
    assert [run.run_id for run in runs_of([detail(GUID="a"), detail(GUID="b")])] == ["a", "b"]


def test_an_event_of_another_kind_is_refused() -> None:
    reading = read(Delivery(stdout=b'{"Type": 4000, "TypeString": "SEVT_ACCOUNT_NEW", "Timestamp": 1, "Data": {}}'))
    assert (reading.format, reading.error) == ("comet", "this event of Comet tells of no job")
