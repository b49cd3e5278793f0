"""Backledger's own JSON, as a script around database dumps and restore tests posts it."""

from __future__ import annotations

import json
from typing import Any

from msp.demo.logs.told import Told, Written

MESSAGES = {
    "disk full": "pg_dump: error: could not write to output file: No space left on device",
    "repository locked": "pg_dump: error: query failed: ERROR: canceling statement due to lock timeout",
    "offline": 'pg_dump: error: connection to server at "192.0.2.15", port 5432 failed: Connection timed out',
    "unreadable file": "pg_dump: warning: permission denied for table audit_log: it was left out",
    "vanished files": "table sessions_tmp was dropped while the dump ran",
}


def run(told: Told) -> Written:
    """One run: a dump, a check of it, or a restore test."""
    failed, nothing = told.outcome == "failure", told.trouble == "nothing there"
    protected = None if failed or told.operation != "backup" else 0 if nothing else told.protected_bytes
    sent = None if protected is None else 0 if nothing else told.sent_bytes
    restored = told.protected_bytes // 40 if told.operation == "restore" else None
    entry: dict[str, Any] = {
        "operation": told.operation,
        "outcome": told.outcome,
        "product": "pg_dump" if told.operation == "backup" else "own",
        "product_version": "16.4" if told.operation == "backup" else None,
        "job": told.job,
        "run_id": told.seed,
        "host": told.host,
        "started_at": told.started_at.isoformat(),
        "ended_at": told.ended_at.isoformat(),
        "protected_bytes": protected,
        "transferred_bytes": sent,
        "restored_bytes": restored,
        "basis": "dump" if protected is not None else None,
        "complete": not failed if told.operation == "backup" else None,
        "roots": [told.root],
        "files": {"total": 1},
        "errors": _errors(told),
        "exit_code": 1 if failed else 0,
    }
    kept = {key: value for key, value in entry.items() if value is not None}
    return Written(
        stdout=json.dumps({"backledger": 1, "runs": [kept]}, indent=2).encode(),
        wrapped=False,
        outcome=told.outcome,
        protected_bytes=protected,
        transferred_bytes=sent,
        restored_bytes=restored,
    )


def _errors(told: Told) -> list[dict[str, str]]:
    if told.trouble not in MESSAGES:
        return []
    kind = {"unreadable file": "unreadable", "vanished files": "vanished"}.get(told.trouble, "other")
    severity = "error" if told.outcome == "failure" else "warning"
    return [{"message": MESSAGES[told.trouble], "path": told.root, "severity": severity, "kind": kind}]
