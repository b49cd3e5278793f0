"""mariabackup's relatives: XtraBackup 2.4 and 8.0, several calls in one log, ends that are no ends."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery

OLD = (
    "xtrabackup: recognized server arguments: --datadir=/var/lib/mysql\n"
    "xtrabackup: recognized client arguments: --backup=1 --target-dir=/b/full\n"
    "241231  2:03:04  version_check Connecting to MySQL server\n"
    "241231 02:03:05 [01] Copying ./shop/orders.ibd to /b/full/shop/orders.ibd\n"
    "241231 02:03:09 completed OK!\n"
)
NEW = (
    "2024-12-31T02:03:04.111111+01:00 0 [Note] [MY-011825] [Xtrabackup] recognized server arguments: --datadir=/d\n"
    "2024-12-31T02:03:05.111111+01:00 0 [Note] [MY-011825] [Xtrabackup] recognized client arguments: "
    "--backup=1 --target-dir=/b\n"
    "2024-12-31T02:03:09.222222+01:00 0 [Note] [MY-011825] [Xtrabackup] completed OK!\n"
)
FAILED = (
    NEW[: NEW.rindex("2024")]
    + "2024-12-31T02:03:09.222222+01:00 0 [ERROR] [MY-011825] [Xtrabackup] failed to fetch metadata of ./a/b.ibd\n"
)


def test_xtrabackup_2_4_prints_short_local_dates() -> None:
    run = read(Delivery(stdout=b"", stderr=OLD.encode(), exit_code=0, timezone="Europe/Berlin")).runs[0]
    assert (run.outcome, run.operation, run.repository) == ("success", "backup", "/b/full")
    assert run.started_at is not None
    assert run.ended_at is not None
    assert run.started_at.isoformat() == "2024-12-31T01:03:04+00:00"
    assert run.ended_at.isoformat() == "2024-12-31T01:03:09+00:00"


def test_xtrabackup_8_prints_offsets_and_codes() -> None:
    run = read(Delivery(stdout=b"", stderr=NEW.encode(), exit_code=0)).runs[0]
    assert run.outcome == "success"
    assert run.ended_at is not None
    assert run.ended_at.isoformat() == "2024-12-31T01:03:09.222222+00:00"
    failed = read(Delivery(stdout=b"", stderr=FAILED.encode(), exit_code=1)).runs[0]
    assert (failed.outcome, failed.errors[0].code, failed.complete) == ("failure", "MY-011825", False)


def test_a_backup_and_its_prepare_are_two_runs() -> None:
    prepare = OLD.replace("--backup=1", "--prepare=1")
    runs = read(Delivery(stdout=(OLD + prepare).encode())).runs
    assert [(run.operation, run.action, run.outcome) for run in runs] == [
        ("backup", "", "success"),
        ("restore", "prepare", "success"),
    ]


@pytest.mark.parametrize(("code", "outcome"), [(None, "unknown"), (0, "unknown"), (1, "failure"), (137, "failure")])
def test_without_its_last_word_nothing_is_success(code: int | None, outcome: str) -> None:
    cut = OLD[: OLD.rindex("241231")]
    assert read(Delivery(stdout=b"", stderr=cut.encode(), exit_code=code)).outcome == outcome
