"""Duplicati's other reports: failures, restores, forms, and times in the words of a culture."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog

TEXT = """Duplicati Backup report for My PC

DeletedFiles: 0
ExaminedFiles: 7
AddedFiles: 0
SizeOfModifiedFiles: 3
SizeOfAddedFiles: 4
SizeOfExaminedFiles: 10
FilesWithError: 0
PartialBackup: False
Dryrun: False
MainOperation: Backup
ParsedResult: Success
Version: 2.0.4.5 (2.0.4.5_beta_2018-11-28)
EndTime: 2/16/2019 10:23:51 PM (1550384631)
BeginTime: 2/16/2019 10:23:50 PM (1550384630)
Duration: 00:00:01.1900598
BackendStatistics:
    RemoteCalls: 5
    BytesUploaded: 123
    KnownFileSize: 999
    ParsedResult: Unknown
Warnings: []
Errors: []
"""


def run_of(log: str, **told: Any) -> JobLog:
    reading = read(Delivery(stdout=log.encode(), **told))
    assert reading.format == "duplicati", reading.error
    (run,) = reading.runs
    return run


def report(data: dict[str, Any], **more: Any) -> str:
    extra = {"OperationName": "Backup", "backup-name": "NAS", "machine-name": "pc1"}
    return json.dumps({"Data": data, "Extra": extra, **more})


def test_a_text_report_with_the_backend_beside_it() -> None:
    run = run_of(TEXT)
    assert (run.outcome, run.source_job, run.product_version) == ("success", "My PC", "2.0.4.5")
    assert (run.protected_bytes, run.changed_bytes, run.transferred_bytes, run.stored_bytes) == (10, 7, 123, 999)
    assert run.ended_at == datetime(2019, 2, 17, 6, 23, 51, tzinfo=UTC)  # 1550384631 seconds


@pytest.mark.parametrize(
    ("changes", "outcome", "complete"),
    [
        ({"ParsedResult: Success": "ParsedResult: Warning"}, "warning", True),
        ({"ParsedResult: Success": "ParsedResult: Error"}, "failure", None),
        ({"ParsedResult: Success": "ParsedResult: Fatal"}, "failure", None),
        ({"ParsedResult: Success": "ParsedResult: Odd"}, "unknown", None),
        ({"FilesWithError: 0": "FilesWithError: 2"}, "warning", True),
        ({"PartialBackup: False": "PartialBackup: True"}, "warning", False),
        ({"Dryrun: False": "Dryrun: True"}, "skipped", True),
        ({"ParsedResult: Success": "ParsedResult: Success\nInterrupted: True"}, "cancelled", False),
    ],
)
def test_results(changes: dict[str, str], outcome: str, complete: bool | None) -> None:
    log = TEXT
    for old, new in changes.items():
        log = log.replace(old, new, 1)
    run = run_of(log)
    assert (run.outcome, run.complete) == (outcome, complete)


@pytest.mark.parametrize(
    ("begin", "end", "zone", "started"),
    [
        (
            "10/14/2017 8:04:09 PM",
            "10/14/2017 8:09:58 PM",
            "America/Chicago",
            datetime(2017, 10, 15, 1, 4, 9, tzinfo=UTC),
        ),
        ("10/14/2017 8:04:09 PM", "10/14/2017 8:09:58 PM", None, None),
        ("03/04/2017 20:04:09", "03/04/2017 20:09:58", "UTC", None),  # 3 April or 4 March: nobody can tell
        ("03.04.2017 20:04:09", "03.04.2017 20:09:58", "UTC", datetime(2017, 4, 3, 20, 4, 9, tzinfo=UTC)),
        ("2017-04-03 20:04:09", "2017-04-03 20:09:58", "UTC", datetime(2017, 4, 3, 20, 4, 9, tzinfo=UTC)),
        ("31/12/2017 23:50:00", "01/01/2018 00:10:00", "UTC", datetime(2017, 12, 31, 23, 50, tzinfo=UTC)),
    ],
)
def test_local_times_are_taken_only_where_zone_and_order_are_certain(
    begin: str, end: str, zone: str | None, started: datetime | None
) -> None:
    log = TEXT.replace("2/16/2019 10:23:50 PM (1550384630)", begin).replace("2/16/2019 10:23:51 PM (1550384631)", end)
    run = run_of(log, timezone=zone)
    assert run.started_at == started
    assert bool(run.notes) == (started is None)


def test_a_failed_report_has_words_and_no_sizes() -> None:
    log = (
        "Duplicati Backup report for NAS\n\nFailed: The remote folder is missing\n"
        "Details: Duplicati.Library.Interface.FolderMissingException: The remote folder is missing\n  at Duplicati.X\n\n"  # noqa: E501
        "Log data:\n2019-02-16 22:23:50 +01 - [Error-Duplicati.Library.Main.Controller-FailedOperation]: The operation "
        "Backup has failed\n"
    )
    run = run_of(log)
    assert (run.outcome, run.complete, run.protected_bytes, run.source_job) == ("failure", False, None, "NAS")
    assert run.errors[0].message == "The remote folder is missing"
    assert run.errors[1].code == "FailedOperation"


@pytest.mark.parametrize(
    "log",
    [
        report({"ClassName": "System.Exception", "Message": "No files", "InnerException": None}),
        report({"ParsedResult": "Fatal", "MainOperation": "Backup"}, Exception="System.Exception: No files\n at X"),
    ],
)
def test_an_exception_in_json_is_a_failure(log: str) -> None:
    run = run_of(log)
    assert (run.outcome, run.complete, run.host, run.source_job) == ("failure", False, "pc1", "NAS")
    assert "No files" in run.errors[0].message


def test_log_lines_beside_the_result_hold_the_warnings() -> None:
    line = (
        "2019-02-16 22:23:50 +01 - [Warning-Duplicati.Library.Main.Operation.Backup.FileEntryProcessor-PathProcessingError]: "  # noqa: E501
        "Error reported while accessing file: C:\\Users\\x.pst => The process cannot access the file because it is being used "  # noqa: E501
        "by another process."
    )
    data = {"ParsedResult": "Warning", "MainOperation": "Backup", "SizeOfExaminedFiles": 5, "WarningsActualLength": 30}
    run = run_of(report(data, LogLines=[line, "2019-02-16 22:23:50 +01 - [Information-X]: fine"]))
    assert [(error.path, error.kind, error.severity) for error in run.errors] == [
        ("C:\\Users\\x.pst", "locked", "warning")
    ]
    assert run.errors_total == 30


@pytest.mark.parametrize(
    ("operation", "found"),
    [("Restore", "restore"), ("Test", "verify"), ("Compact", "prune"), ("Delete", "prune"), ("Repair", "inventory")],
)
def test_operations(operation: str, found: str) -> None:
    data = {"ParsedResult": "Success", "MainOperation": operation, "SizeOfRestoredFiles": 33}
    run = run_of(report(data))
    assert run.operation == found
    assert run.protected_bytes is None
    assert (run.restored_bytes == 33) == (found == "restore")


def test_a_destination_that_nobody_looked_at_has_no_size() -> None:
    data = {
        "ParsedResult": "Success",
        "MainOperation": "Backup",
        "SizeOfExaminedFiles": 5,
        "BackendStatistics": {"KnownFileSize": -1},
    }
    run = run_of(report(data))
    assert (run.stored_bytes, run.problems) == (None, ())


def test_names_in_another_case_are_the_same() -> None:
    run = run_of(
        json.dumps({"data": {"parsed_result": "Success", "main_operation": "Backup", "size_of_examined_files": 5}})
    )
    assert (run.outcome, run.protected_bytes) == ("success", 5)


def test_json_that_is_cut_off_is_refused() -> None:
    reading = read(Delivery(stdout=b'{"Data": {"ParsedResult": "Success",', format="duplicati"))
    assert (reading.format, reading.line) == ("duplicati", 1)
    assert "cut off" in (reading.error or "")
