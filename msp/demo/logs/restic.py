"""Logs as restic 0.18 writes them: JSON lines of a backup, text of restore, check and forget."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from msp.demo.logs.told import Told, Written, hexadecimal, share_of, some_paths

GIB = 2**30


def backup(told: Told) -> Written:
    """``restic backup --json``: status lines, errors on the other stream, a summary or the words that ended it."""
    command = f"restic -r {told.repository} backup --json {told.root}"
    if told.outcome == "failure":
        stderr, code = _lines([_ending(told)]), {"repository locked": 11}.get(told.trouble, 1)
        stdout = _lines([_status(told, 0.0)] + ([_status(told, 0.62)] if told.trouble == "disk full" else []))
        return Written(stdout=stdout, stderr=stderr, exit_code=code, command=command, outcome="failure")
    errors = _errors(told)
    protected, sent = (0, 0) if told.trouble == "nothing there" else (told.protected_bytes, told.sent_bytes)
    stored = sent * 82 // 100
    return Written(
        stdout=_lines([_status(told, 0.0), _status(told, 0.71), _summary(told, protected, sent, stored)]),
        stderr=_lines(errors),
        exit_code=3 if errors else 0,
        command=command,
        outcome=told.outcome,
        protected_bytes=protected,
        transferred_bytes=sent,
        stored_bytes=stored,
    )


def restore(told: Told) -> Written:
    """``restic restore``: text; a test that brings a part of the selection back. The size is printed rounded."""
    printed = f"{told.protected_bytes / 40 / GIB:.3f}"
    dice = told.dice()
    stdout = (
        f"restoring snapshot {hexadecimal(dice, 8)} of [{told.root}] at {_stamp(told, told.started_at)} by "
        f"backup@{told.host} to /srv/restore-test\n"
        f"Summary: Restored {told.files // 40} files/dirs ({printed} GiB) in {_clock(told.seconds)}\n"
    )
    return Written(
        stdout=stdout.encode(),
        exit_code=0,
        command=f"restic -r {told.repository} restore latest --target /srv/restore-test --include {told.root}",
        outcome="success",
        restored_bytes=round(float(printed) * GIB),
    )


def check(told: Told) -> Written:
    """``restic check``."""
    packs = max(told.stored_bytes // (17 * 10**6), 1)
    stdout = (
        "using temporary cache in /var/tmp/restic-check-cache-1181\n"
        "create exclusive lock for repository\n"
        "load indexes\ncheck all packs\ncheck snapshots, trees and blobs\n"
        "[0:02] 100.00%  31 / 31 snapshots\n"
        f"read {packs // 20 + 1} data packs\nno errors were found\n"
    )
    command = f"restic -r {told.repository} check --read-data-subset=5%"
    return Written(stdout=stdout.encode(), exit_code=0, command=command, outcome="success")


def prune(told: Told) -> Written:
    """``restic forget --prune``."""
    stdout = (
        "Applying Policy: keep 14 daily, 8 weekly, 12 monthly snapshots\n"
        "keep 31 snapshots:\nremove 1 snapshots:\n1 snapshots have been removed, running prune\n"
        "loading indexes...\nloading all snapshots...\nfinding data that is still in use for 31 snapshots\n"
        "[0:01] 100.00%  31 / 31 snapshots\nsearching used packs...\ncollecting packs for deletion and repacking\n"
        f"to repack:           {told.files // 90} blobs / 1.204 GiB\n"
        f"this removes:        {told.files // 120} blobs / 612.500 MiB\n"
        f"to delete:           {told.files // 200} blobs / 310.250 MiB\n"
        f"total prune:         {told.files // 75} blobs / 922.750 MiB\n"
        f"remaining:           {told.files} blobs / {told.stored_bytes / GIB:.3f} GiB\n"
        "unused size after prune: 1.102 GiB (0.90% of remaining size)\n"
        "repacking packs\nrebuilding index\ndeleting obsolete index files\nremoving 58 old packs\ndone\n"
    )
    printed = round(float(f"{told.stored_bytes / GIB:.3f}") * GIB)
    command = f"restic -r {told.repository} forget --keep-daily 14 --keep-weekly 8 --keep-monthly 12 --prune"
    return Written(stdout=stdout.encode(), exit_code=0, command=command, outcome="success", stored_bytes=printed)


def _lines(objects: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in objects)


def _status(told: Told, done: float) -> dict[str, Any]:
    status: dict[str, Any] = {"message_type": "status", "percent_done": done, "total_files": told.files}
    status["total_bytes"] = told.protected_bytes
    if done:
        status |= {"files_done": int(told.files * done), "bytes_done": int(told.protected_bytes * done)}
        status["current_files"] = some_paths(told, 1)
    return status


def _summary(told: Told, protected: int, sent: int, stored: int) -> dict[str, Any]:
    dice = told.dice()
    files = told.files if protected else 0
    new, changed = share_of(files, dice)
    return {
        "message_type": "summary",
        "files_new": new,
        "files_changed": changed,
        "files_unmodified": files - new - changed,
        "dirs_new": new // 9,
        "dirs_changed": changed // 4,
        "dirs_unmodified": files // 11,
        "data_blobs": sent // (1300 * 1000),
        "tree_blobs": changed // 4 + 1,
        "data_added": sent,
        "data_added_packed": stored,
        "total_files_processed": files,
        "total_bytes_processed": protected,
        "total_duration": told.seconds + 0.25,
        "backup_start": told.started_at.isoformat(),
        "backup_end": told.ended_at.isoformat(),
        "snapshot_id": hexadecimal(dice, 64),
    }


def _errors(told: Told) -> list[dict[str, Any]]:
    if told.trouble == "unreadable file":
        words, paths = "permission denied", some_paths(told, 1)
    elif told.trouble == "vanished files":
        words, paths = "no such file or directory", some_paths(told, 3)
    else:
        return []
    errors: list[dict[str, Any]] = [
        {"message_type": "error", "error": {"message": f"open {path}: {words}"}, "during": "archival", "item": path}
        for path in paths
    ]
    message = "Warning: at least one source file could not be read"
    return [*errors, {"message_type": "exit_error", "code": 3, "message": message}]


def _ending(told: Told) -> dict[str, Any]:
    dice = told.dice()
    if told.trouble == "repository locked":
        message = (
            f"unable to create lock in backend: repository is already locked by PID {dice.randint(900, 32000)} on "
            f"{told.host} by backup (UID 34, GID 34)\nlock was created at {_stamp(told, told.started_at)} (9h14m ago)\n"
            f"storage ID {hexadecimal(dice, 8)}"
        )
        return {"message_type": "exit_error", "code": 11, "message": message}
    if told.trouble == "offline":
        message = f"Fatal: unable to open repository at {told.repository}: dial tcp 192.0.2.40:443: i/o timeout"
        return {"message_type": "exit_error", "code": 1, "message": message}
    pack = hexadecimal(dice, 64)
    message = (
        f"Fatal: unable to save snapshot: write {told.repository}/data/{pack[:2]}/{pack}-tmp-"
        f"{dice.randint(10**8, 10**9)}: no space left on device"
    )
    return {"message_type": "exit_error", "code": 1, "message": message}


def _stamp(told: Told, moment: datetime) -> str:
    return f"{told.local(moment):%Y-%m-%d %H:%M:%S}"


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"
