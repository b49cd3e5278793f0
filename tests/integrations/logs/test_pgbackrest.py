"""pgBackRest beyond its fixtures: runs that were cut off, stopped or only tried, and info of other releases."""

from __future__ import annotations

import json

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery

BEGIN = "2026-11-22 21:20:03.399 P00   INFO: backup command begin 2.54: --exec-id=1-ab --stanza=main{}\n"
SIZE = "2026-11-22 21:20:07.378 P00   INFO: full backup size = 32.6MB, file total = 1262\n"
END = "2026-11-22 21:20:07.378 P00   INFO: backup command end: {}\n"


@pytest.mark.parametrize(
    ("log", "code", "outcome"),
    [
        (BEGIN.format("") + SIZE + END.format("completed successfully (3982ms)"), 0, "success"),
        (BEGIN.format("") + SIZE + END.format("completed successfully (3982ms)"), None, "success"),
        (BEGIN.format("") + SIZE, 0, "unknown"),
        (BEGIN.format("") + SIZE, None, "unknown"),
        (BEGIN.format("") + SIZE, 82, "failure"),
        (BEGIN.format("") + END.format("aborted with exception [050]"), 50, "failure"),
        (BEGIN.format("") + END.format("terminated on signal [SIGTERM]"), 63, "cancelled"),
        (BEGIN.format(" --dry-run") + SIZE + END.format("completed successfully (1ms)"), 0, "skipped"),
    ],
)
def test_only_the_command_s_own_end_is_success(log: str, code: int | None, outcome: str) -> None:
    run = read(Delivery(stdout=log.encode(), exit_code=code, timezone="UTC")).runs[0]
    assert run.outcome == outcome
    assert run.protected_bytes == (34183578 if outcome == "success" else None)  # 32.6 * 1024 * 1024


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("no prior backup exists, incr backup has been changed to full", "success"),
        ("option 'repo1-retention-full' is not set for 'repo1-retention-full-type=count', the repository", "success"),
        ("invalid page checksums found in file base/1/2 at pages 3", "warning"),
    ],
)
def test_a_remark_is_no_warning_but_a_damaged_page_is(words: str, outcome: str) -> None:
    log = BEGIN.format("") + f"2026-11-22 21:20:04.000 P00   WARN: {words}\n" + SIZE
    log += END.format("completed successfully (3982ms)")
    assert read(Delivery(stdout=log.encode(), exit_code=0)).outcome == outcome


def test_a_verification_that_found_damage_says_so() -> None:
    log = BEGIN.replace("backup", "verify").format("")
    log += "2026-11-22 21:20:04.0 P00   INFO: Results:\n   backup: 20261122-212003F, status: invalid\n"
    log += "     checksum invalid: 2\n"
    log += END.replace("backup", "verify").format("completed successfully (3982ms)")
    run = read(Delivery(stdout=log.encode(), exit_code=0)).runs[0]
    assert (run.operation, run.outcome, run.checksum_ok) == ("verify", "failure", False)


def test_info_text_of_newer_releases_has_offsets() -> None:
    log = (
        "stanza: main\n    status: ok\n    cipher: none\n\n    db (current)\n\n        full backup: 20261122-212003F\n"
        "            timestamp start/stop: 2026-11-22 22:20:03+01 / 2026-11-22 22:20:07+01\n"
        "            database size: 32.6MB, database backup size: 32.6MB\n            repo1: backup size: 5.2MB\n"
    )
    run = read(Delivery(stdout=log.encode())).runs[0]
    assert run.ended_at is not None
    assert run.ended_at.isoformat() == "2026-11-22T21:20:07+00:00"
    assert (run.stored_bytes, run.transferred_bytes, run.chain_length) == (None, 5452595, 1)


def test_info_tells_the_chain_and_the_last_full_backup() -> None:
    def backup(label: str, kind: str, stop: int, reference: list[str] | None) -> dict[str, object]:
        info = {"size": 100, "delta": 10, "repository": {"delta": 3}}
        times = {"start": stop - 5, "stop": stop}
        return {
            "label": label,
            "type": kind,
            "timestamp": times,
            "reference": reference,
            "info": info,
            "error": kind == "incr",
        }

    full, late = "20261122-212003F", "20261122-212003F_20261123-212003I"
    backups = [backup(full, "full", 1000, None), backup(late, "incr", 2000, [full, full + "_20261122-230000D"])]
    backups = [{**one, "backrest": {"format": 5, "version": "2.54"}} for one in backups]
    stanza = {"name": "main", "status": {"code": 0, "message": "ok"}, "backup": backups}
    first, second = read(Delivery(stdout=json.dumps([stanza]).encode())).runs
    assert (first.chain_length, second.chain_length) == (1, 3)
    assert second.last_full_at == first.ended_at
    assert (first.outcome, second.outcome) == ("success", "warning")
    assert (second.protected_bytes, second.changed_bytes, second.stored_bytes) == (100, 10, None)
