"""What the fixtures of Dropsuite do not show: other kinds of accounts, several organisations, uncertain statuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog

ROW = {"id": 1, "email": "a@x.example", "added_on": "2024-01-05", "errors": None, "last_backup": "2025-11-22T00:00:00Z"}


def runs_of(*rows: dict[str, Any]) -> tuple[JobLog, ...]:
    reading = read(Delivery(stdout=json.dumps({"accounts": [{**ROW, **row} for row in rows]}).encode()))
    assert reading.format == "dropsuite"
    return reading.runs


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ({}, "success"),
        ({"errors": ""}, "success"),
        ({"errors": "quota exceeded"}, "failure"),
        ({"errors": {"auth": "expired"}}, "failure"),
        ({"current_backup_status": "failed"}, "failure"),
        ({"last_backup": None}, "unknown"),
        ({"last_backup": None, "current_backup_status": "In Progress"}, "running"),
        ({"flg_deleted": True}, "skipped"),
        ({"deactivated_since": "2025-01-01"}, "skipped"),
    ],
)
def test_one_account(row: dict[str, Any], outcome: str) -> None:
    assert [run.outcome for run in runs_of(row)] == [outcome]


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([{}, {"errors": "x"}], "warning"),
        ([{"errors": "x"}, {"errors": "y"}], "failure"),
        ([{}, {"last_backup": None}], "unknown"),
    ],
)
def test_accounts_judge_an_organisation(rows: list[dict[str, Any]], outcome: str) -> None:
    assert runs_of(*rows)[0].outcome == outcome


def test_organisations_and_kinds_are_runs_of_their_own() -> None:
    runs = runs_of({"user": {"organization_id": 1}, "msg_count": 1}, {"organization_id": 2, "file_count": 1})
    assert [(run.account, run.source_job, run.run_id) for run in runs] == [
        ("1", "mail", "1-mail-1763769600"),
        ("2", "files", "2-files-1763769600"),
    ]
