"""Logs of single backups as UrBackup's server keeps them: a row of its list of logs, and the lines of that log.

Called by the format's parser. Each line is ``level-seconds-message`` (0 information, 1 warning, 2 error). The server's
own last words tell the outcome; a log without them is of a backup that could not begin, or is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from integrations.logs.api_rows import amount, moment, words
from integrations.logs.joblog import JobLog, Outcome
from integrations.logs.json_documents import nested
from integrations.logs.troubles import Troubles

VERDICTS: dict[str, Outcome] = {
    "Backup succeeded": "success", "Backup completed with issues": "warning", "Backup failed": "failure",
}  # fmt: skip
MAX_LINES = 100_000


def is_backup_log(document: Any) -> bool:
    """True for a log with its row beside it."""
    return isinstance(document, dict) and _row(document) is not None and isinstance(_log(document).get("data"), str)


def _log(document: Mapping[str, Any]) -> dict[str, Any]:
    return nested(document, "log")


def _row(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row of the list that this log is of: the only one."""
    rows = document.get("logs")
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
        return None
    return rows[0] if "image" in rows[0] and "errors" in rows[0] else None


def run_of_log(document: Mapping[str, Any]) -> JobLog:
    """The one run that the log is of."""
    row = _row(document) or {}
    lines = list(_lines(str(_log(document).get("data", ""))))
    name, kind = words(row, "name"), "image" if amount(row.get("image")) else "file"
    is_restore = bool(amount(row.get("restore")))
    troubles = _troubles(lines)
    outcome = _outcome(row, [text for _, _, text in lines], is_restore=is_restore)
    started, ended = moment(lines[0][1]) if lines else None, moment(row.get("time"))
    if started and ended and started > ended:
        started = None
    return JobLog(
        product="urbackup",
        operation="restore" if is_restore else "backup",
        outcome=outcome,
        run_id=f"log {words(row, 'id')}",
        source_job=f"{name} {kind}",
        item=f"{name} {kind}",
        host=name,
        started_at=started,
        ended_at=ended,
        duration_seconds=(ended - started).total_seconds() if started and ended else None,
        complete=True if outcome == "success" else False if outcome == "failure" else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _lines(data: str) -> Iterator[tuple[int, int, str]]:
    """Level, Unix seconds and message of each line."""
    for line in data.split("\n")[:MAX_LINES]:
        level, _, rest = line.partition("-")
        at, _, text = rest.partition("-")
        if level in ("0", "1", "2") and at.isascii() and at.isdigit() and len(at) <= 12:
            yield int(level), int(at), text.strip()


def _troubles(lines: list[tuple[int, int, str]]) -> Troubles:
    troubles = Troubles()
    for level, _, text in lines:
        if level and text not in VERDICTS:
            troubles.add(text, severity="error" if level == 2 else "warning")
    return troubles


def _outcome(row: Mapping[str, Any], texts: list[str], *, is_restore: bool) -> Outcome:
    told = next((VERDICTS[text] for text in reversed(texts) if text in VERDICTS), None)
    errors, warnings = amount(row.get("errors")) or 0, amount(row.get("warnings")) or 0
    if told == "success":
        return "warning" if errors or warnings else "success"
    return told or ("failure" if errors and not is_restore else "unknown")
