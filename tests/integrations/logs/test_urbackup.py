"""What the fixture of UrBackup does not show: backups that are not in order, disabled ones, and none at all."""

from __future__ import annotations

import json
from typing import Any

from integrations.logs import Reading, read
from integrations.logs.joblog import Delivery


def reading_of(**fields: Any) -> Reading:
    client = {"id": 1, "name": "pc1", "file_ok": True, "image_ok": False, "lastbackup": 1767229200, **fields}
    return read(Delivery(stdout=json.dumps([client]).encode()))


def test_a_backup_that_is_not_in_order_is_unknown_not_guessed() -> None:
    run = reading_of(file_ok=False).runs[0]
    assert (run.outcome, run.complete) == ("unknown", None)


def test_an_image_is_a_run_of_its_own() -> None:
    jobs = [(run.source_job, run.outcome) for run in reading_of(lastbackup_image=1767142800, image_ok=True).runs]
    assert jobs == [("pc1 file", "success"), ("pc1 image", "success")]


def test_a_client_that_never_ran_or_is_disabled_has_no_run() -> None:
    for fields in ({"lastbackup": 0}, {"lastbackup": "-"}, {"file_disabled": True}):
        assert reading_of(**fields).error == "no client of this status has a backup"
