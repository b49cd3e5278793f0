"""What the fixtures of Axcient do not show: devices without restore points, an AutoVerify without a verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def runs_of(zone: str = "", **columns: Any) -> tuple[JobLog, ...]:
    row = {"id": 1, "name": "a", "current_health_status": {"status": "NORMAL"}, "latest_local_rp": None, **columns}
    reading = read(Delivery(stdout=json.dumps([row]).encode(), timezone=zone))
    assert reading.format == "axcient"
    return reading.runs


def test_a_device_without_a_restore_point_is_unknown() -> None:
    (run,) = runs_of(current_health_status={"status": "TROUBLED", "reason": "ONSITE_NEVER_RUN"})
    assert (run.outcome, run.ended_at, run.run_id) == ("unknown", None, "")
    assert run.notes == ("health: TROUBLED ONSITE_NEVER_RUN",)


def test_a_restore_point_without_an_offset_needs_the_zone() -> None:
    (run,) = runs_of(latest_local_rp="2025-11-22T01:00:00")
    assert (run.outcome, run.ended_at, run.run_id) == ("success", None, "1-2025-11-22T01:00:00")
    (known,) = runs_of(zone="Europe/Berlin", latest_local_rp="2025-11-22T01:00:00")
    assert known.ended_at is not None
    assert known.ended_at.isoformat() == "2025-11-22T00:00:00+00:00"


@pytest.mark.parametrize(
    ("healthy", "outcome"), [(True, "success"), (False, "failure"), (None, "unknown"), ("x", "unknown")]
)
def test_an_autoverify_is_healthy_or_not(healthy: Any, outcome: str) -> None:
    run = runs_of(latest_autoverify_details={"id": "v", "status": "success", "is_healthy": healthy})[-1]
    assert (run.operation, run.outcome, run.run_id) == ("verify", outcome, "v")
    assert run.checksum_ok == (healthy if isinstance(healthy, bool) else None)


def test_a_history_of_other_words_is_not_recognised() -> None:
    row = {"status": "Done", "start_time": "", "end_time": "", "rp": ""}
    assert read(Delivery(stdout=json.dumps([row]).encode())).format is None
