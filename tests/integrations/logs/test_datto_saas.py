"""What the fixtures of Datto SaaS do not show: how counts judge an application, a customer and a domain."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def window(active: Any, backed_up: Any, perfect: Any = None, **more: Any) -> dict[str, Any]:
    counts = {"activeServiceCount": active, "activeServiceWithBackupCount": backed_up}
    return {**counts, "activeServiceWithPerfectBackupCount": perfect, "endTime": 1763769600, **more}


def customer_of(*windows: dict[str, Any]) -> JobLog:
    apps = [{"appType": f"A{at}", "backupHistory": [one]} for at, one in enumerate(windows)]
    row = {"customerId": 7, "customerName": "M", "suites": [{"suiteType": "S", "appTypes": apps}]}
    reading = read(Delivery(stdout=json.dumps({"items": [row]}).encode()))
    assert reading.format == "datto-saas"
    return reading.runs[0]


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (window(5, 5, 5), "success"),
        (window(5, 5), "success"),
        (window(5, 5, 4), "warning"),
        (window(5, 3, 3), "warning"),
        (window(5, 0, 0), "failure"),
        (window(0, 0, 0), "skipped"),
        (window(None, None, status="Perfect"), "success"),
        (window(None, None, status="Imperfect"), "unknown"),
        (window("x", [], {}), "unknown"),
    ],
)
def test_counts_judge_an_application(one: dict[str, Any], outcome: str) -> None:
    run = customer_of(one)
    assert (run.components[0].outcome, run.outcome) == (outcome, outcome)


@pytest.mark.parametrize(
    ("windows", "outcome"),
    [
        ([window(5, 5, 5), window(5, 0, 0)], "warning"),
        ([window(5, 0, 0), window(5, 0, 0)], "failure"),
        ([window(5, 5, 5), window(0, 0, 0)], "success"),
        ([window(5, 5, 5), window(None, None)], "unknown"),
        ([], "unknown"),
    ],
)
def test_applications_judge_a_customer(windows: list[dict[str, Any]], outcome: str) -> None:
    assert customer_of(*windows).outcome == outcome


def test_the_newest_window_counts_and_makes_the_run_known() -> None:
    older = window(5, 0, 0, endTime=1763683200)
    app = {"appType": "Mail", "backupHistory": [older, window(5, 5, 5)]}
    row = {"customerId": 7, "suites": [{"suiteType": "S", "appTypes": [app]}]}
    run = read(Delivery(stdout=json.dumps([row]).encode())).runs[0]
    assert (run.outcome, run.run_id) == ("success", "7-1763769600")
