"""Reports as Duplicati 2.1 posts them: JSON with Data and Extra, times in UTC, paths of Windows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from msp.demo.logs.told import Told, Written, share_of, some_paths

VERSION = "2.1.0.5 (2.1.0.5_stable_2025-03-04)"
RESULTS = {"success": "Success", "warning": "Warning", "failure": "Fatal"}
FATAL = {
    "disk full": "IOException: There is not enough space on the disk. : 'Z:\\Backup\\duplicati-b4c1d2.dblock.zip.aes'",
    "repository locked": "The backup destination is in use: The process cannot access the file "
    "'Z:\\Backup\\lock-file' because it is being used by another process.",
    "offline": 'The remote server "vault.example" did not answer: A connection attempt failed because the connected '
    "party did not properly respond after a period of time.",
}


def backup(told: Told) -> Written:
    """The report of a backup. A fatal one has no sizes: the product had not come to them."""
    failed, nothing = told.outcome == "failure", told.trouble == "nothing there"
    protected, sent = (0, 0) if failed or nothing else (told.protected_bytes, told.sent_bytes)
    stored = 0 if failed else told.stored_bytes
    return Written(
        stdout=_report(told, _backup_data(told, protected=protected, sent=sent, stored=stored)),
        wrapped=False,
        outcome=told.outcome,
        protected_bytes=protected,
        transferred_bytes=sent,
        stored_bytes=stored or None,
    )


def restore(told: Told) -> Written:
    """The report of a restore test."""
    restored = told.protected_bytes // 40
    data = {"RestoredFiles": told.files // 40, "SizeOfRestoredFiles": restored} | _ending(told, operation="Restore")
    return Written(stdout=_report(told, data), wrapped=False, outcome="success", restored_bytes=restored)


def _backup_data(told: Told, *, protected: int, sent: int, stored: int) -> dict[str, Any]:
    files = told.files if protected else 0
    new, changed = share_of(files, told.dice())
    counts = {
        "DeletedFiles": new // 7,
        "DeletedFolders": 0,
        "ModifiedFiles": changed,
        "ExaminedFiles": files,
        "OpenedFiles": new + changed,
        "AddedFiles": new,
        "SizeOfModifiedFiles": sent * 2 // 3,
        "SizeOfAddedFiles": sent * 2 // 3,
        "SizeOfExaminedFiles": protected,
        "SizeOfOpenedFiles": sent * 4 // 3,
        "FilesWithError": 1 if told.outcome == "warning" else 0,
        "PartialBackup": False,
        "Dryrun": False,
    }
    backend = {
        "BytesUploaded": sent,
        "BytesDownloaded": sent // 6,
        "KnownFileSize": stored,
        "LastBackupDate": told.local(told.started_at).isoformat(),
        "BackupListCount": 31,
        "ParsedResult": RESULTS[told.outcome],
    }
    return counts | _ending(told, operation="Backup") | {"BackendStatistics": backend}


def _ending(told: Told, *, operation: str) -> dict[str, Any]:
    warnings, errors = _warnings(told), _errors(told)
    return {
        "MainOperation": operation,
        "ParsedResult": RESULTS[told.outcome],
        "Interrupted": False,
        "Version": VERSION,
        "EndTime": _utc(told.ended_at),
        "BeginTime": _utc(told.started_at),
        "Duration": f"{told.seconds // 3600:02d}:{told.seconds // 60 % 60:02d}:{told.seconds % 60:02d}.2500000",
        "WarningsActualLength": len(warnings),
        "ErrorsActualLength": len(errors),
        "Warnings": warnings,
        "Errors": errors,
    }


def _warnings(told: Told) -> list[str]:
    if told.outcome != "warning":
        return []
    path = some_paths(told, 1)[0].replace("/", "\\")
    words = (
        f"IOException: The process cannot access the file '{path}' because it is being used by another process."
        if told.trouble == "vanished files"
        else f"UnauthorizedAccessException: Access to the path '{path}' is denied."
    )
    tag = "Warning-Duplicati.Library.Main.Operation.Backup.FileBlockProcessor.FileEntry-PathProcessingFailed"
    return [f"{_stamp(told)} - [{tag}]: Failed to process path: {path}\n{words}"]


def _errors(told: Told) -> list[str]:
    if told.outcome != "failure":
        return []
    tag = "Error-Duplicati.Library.Main.Operation.BackupHandler-FatalError"
    return [f"{_stamp(told)} - [{tag}]: Fatal error\n{FATAL[told.trouble]}"]


def _report(told: Told, data: dict[str, Any]) -> bytes:
    extra = {
        "OperationName": data["MainOperation"],
        "machine-name": told.host,
        "backup-name": told.job,
        "backup-id": f"DB-{len(told.job)}",
    }
    return json.dumps({"Data": data, "Extra": extra}, indent=2).encode()


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.0000000Z"


def _stamp(told: Told) -> str:
    return f"{told.local(told.ended_at):%Y-%m-%d %H:%M:%S %z}"[:-2]
