"""Barman beyond its fixtures: several servers in one log, its log file, releases after 3.10."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery
from integrations.logs.report import delivery_from_files

FIXTURES = Path(__file__).parents[2] / "fixtures" / "logs" / "barman"


def fixture(name: str) -> Delivery:
    return delivery_from_files({path.name: path.read_bytes() for path in (FIXTURES / name).iterdir()})


def test_an_error_belongs_to_the_server_that_it_names() -> None:
    runs = {run.source_job: run for run in read(fixture("backup-all-one-down")).runs}
    assert {name: run.outcome for name, run in runs.items()} == {"shopdb": "success", "crmdb": "failure"}
    assert runs["shopdb"].errors == ()


def test_each_server_of_a_check_has_its_own_outcome() -> None:
    runs = read(fixture("check-all")).runs
    assert [(run.source_job, run.outcome) for run in runs] == [("crmdb", "failure"), ("shopdb", "success")]
    assert len(runs[0].errors) == 5


def test_a_backup_without_its_last_line_is_not_success() -> None:
    log = fixture("backup-berlin")
    cut = log.stdout[: log.stdout.index(b"Backup completed")]
    assert read(Delivery(stdout=cut, command="barman backup shopdb")).outcome == "unknown"
    assert read(Delivery(stdout=cut, command="barman backup shopdb", exit_code=1)).outcome == "failure"


def test_the_log_file_is_read_like_the_screen() -> None:
    lines = (
        b"2026-11-23 02:47:50,590 [31] barman.backup_executor INFO: Starting backup using postgres method for server a"
        b" in /var/lib/barman/a/base/20261123T024750\n"
        b"2026-11-23 02:47:52,100 [31] barman.backup ERROR: Backup failed copying files.\n"
    )
    run = read(Delivery(stdout=lines)).runs[0]
    assert (run.outcome, run.source_job, run.archive) == ("failure", "a", "20261123T024750")


@pytest.mark.parametrize(("state", "outcome"), [("DONE", "success"), ("FAILED", "failure"), ("STARTED", "running")])
def test_show_backup_of_newer_releases_names_the_cluster_s_size(state: str, outcome: str) -> None:
    base = {
        "backup_type": "full",
        "cluster_size_bytes": 900,
        "backup_size_bytes": 300,
        "end_time": "2026-01-02 03:04:05+02:00",
    }
    document = {"a": {"backup_id": "20260102T030000", "status": state, "base_backup_information": base}}
    run = read(Delivery(stdout=json.dumps(document).encode())).runs[0]
    assert run.outcome == outcome
    assert run.protected_bytes == (900 if outcome == "success" else None)
    assert run.stored_bytes == (300 if outcome == "success" else None)
    assert run.ended_at is not None
    assert run.ended_at.isoformat() == "2026-01-02T01:04:05+00:00"
