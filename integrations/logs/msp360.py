"""MSP360 Managed Backup: the answer of its monitoring API, one row for the last run of each plan on each computer.

Read after the vendor's API reference: status as a number (0 to 6) or as its word. A row that is asked for again is
the same run as long as its last start stays the same. Sizes are exact; the protected size is ``TotalData``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, reached_all, words
from integrations.logs.context import Context
from integrations.logs.figures import clock_seconds
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.synology_mail import end_of
from integrations.logs.troubles import Troubles

LABEL = "MSP360 Managed Backup"
MARKS = ('"PlanName"',)
GUIDE = Guide(
    releases="Managed Backup Service API (api/Monitoring)",
    written_from="the vendor's API reference with its one example; no real answer",
    operations=("backup", "restore", "verify"),
    basis="used: what the plan found, as MSP360 counts it; how hard links count is not documented",
    sizes=(("protected_bytes", "TotalData"), ("changed_bytes", "DataToBackup"), ("transferred_bytes", "DataCopied")),
    cannot_tell=(
        "Runs before the last one of a plan: ask at least as often as the plans run.",
        "UTC, where LastStart has no offset and no time zone is given: the reference does not say which zone it is in.",
        "The notification mails: their text can be changed freely, so they wait in the inbox.",
    ),
    ways=(
        Way(
            "http",
            "Ask the API every hour and send the answer (cron)",
            'TOKEN=$(curl -sS https://api.mspbackups.com/api/Provider/Login -H "Content-Type: application/json" \\\n'
            '  --data "{\\"UserName\\":\\"$MBS_USER\\",\\"Password\\":\\"$MBS_PASSWORD\\"}" | jq -r .access_token)\n'
            'curl -sS https://api.mspbackups.com/api/Monitoring -H "Authorization: Bearer $TOKEN" \\\n'
            '  | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=msp360"',
            note="Each plan is a run of its own and can be assigned to its client by company, user and computer.",
        ),
    ),
)

_OUTCOMES: dict[str, Outcome] = {
    "0": "success", "1": "missed", "2": "failure", "3": "running", "4": "unknown", "5": "cancelled", "6": "failure",
    "success": "success", "overdue": "missed", "error": "failure", "running": "running", "unknown": "unknown",
    "interrupted": "cancelled", "unexpectedlyclosed": "failure", "warning": "warning",
}  # fmt: skip
_MEANINGS = {"1": "overdue", "2": "error", "5": "interrupted", "6": "unexpectedly closed"}


def recognises(head: Head) -> bool:
    """Rows with a plan's name, its status, and another column of the monitoring API."""
    return bool(_rows(head.document))


def _rows(document: Any) -> list[dict[str, Any]]:
    rows = (
        [document] if isinstance(document, dict) and "PlanName" in document else listed_under(document, "value", "data")
    )
    return [row for row in rows if "PlanName" in row and "Status" in row and ("LastStart" in row or "UserID" in row)]


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each row."""
    rows = _rows(context.head.document)
    if not rows:
        raise UnreadableLog("this JSON holds no rows of the monitoring API")
    return tuple(_job_log(row, context) for row in rows)


def _job_log(row: Mapping[str, Any], context: Context) -> JobLog:
    outcome = _outcome(row)
    start = moment(row.get("LastStart"), context.zone)
    seconds = _seconds(row.get("Duration"))
    overdue = outcome == "missed"
    troubles = _troubles(row, outcome)
    sizes = _sizes(row, outcome)
    operation = _operation(row)
    return JobLog(
        product="msp360",
        operation=operation,
        outcome=outcome,
        run_id=_run_id(row),
        source_job=words(row, "PlanName"),
        item=" / ".join(filter(None, (words(row, "ComputerName"), words(row, "PlanName")))),
        host=words(row, "ComputerName"),
        account=words(row, "CompanyName", "UserName"),
        repository=words(row, "StorageType"),
        product_version=words(row, "BuildVersion"),
        started_at=None if overdue else start,
        ended_at=None if overdue or outcome == "running" else end_of(start, seconds),
        duration_seconds=None if overdue else seconds,
        basis=None if sizes.get("protected_bytes") is None else "used",
        complete=reached_all(outcome) if operation == "backup" else None,
        files=_counts(row),
        files_failed=amount(row.get("FilesFailed")),
        errors=troubles.kept,
        errors_total=troubles.total,
        notes=("LastStart is the run before the one that is overdue",) if overdue else (),
        **sizes,
    )


def _outcome(row: Mapping[str, Any]) -> Outcome:
    outcome = _OUTCOMES.get(re.sub(r"[ _]", "", words(row, "Status")).lower(), "unknown")
    return "warning" if outcome == "success" and (amount(row.get("FilesFailed")) or 0) > 0 else outcome


def _operation(row: Mapping[str, Any]) -> Operation:
    kind = words(row, "PlanType").lower()
    return "restore" if "restore" in kind else "verify" if "consistency" in kind else "backup"


def _run_id(row: Mapping[str, Any]) -> str:
    """The plan's last start; an overdue plan is told by the start that did not come."""
    start = words(row, "LastStart")
    due = f"-due-{words(row, 'NextStart')}" if _outcome(row) == "missed" else ""
    plan = words(row, "PlanId", "PlanID", "PlanName")
    return f"{words(row, 'UserID')}-{words(row, 'ComputerName')}-{plan}-{start}{due}" if start else ""


_SPAN = re.compile(r"([0-9]{1,9}) (day|hour|minute|second)")
_UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


def _seconds(value: Any) -> float | None:
    """``1 hour(s) 15 second(s)``, ``00:00:15``, or a number of seconds."""
    number = amount(value)
    if number is not None:
        return float(number)
    if not isinstance(value, str):
        return None
    parts = _SPAN.findall(value[:200])
    return float(sum(int(figure) * _UNITS[unit] for figure, unit in parts)) if parts else clock_seconds(value)


def _sizes(row: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    if outcome not in ("success", "warning") or _operation(row) != "backup":
        return {}
    named = {"protected_bytes": "TotalData", "changed_bytes": "DataToBackup", "transferred_bytes": "DataCopied"}
    sizes = {key: amount(row.get(name)) for key, name in named.items()}
    return {**sizes, "sources": {key: named[key] for key, value in sizes.items() if value is not None}}


def _counts(row: Mapping[str, Any]) -> dict[str, int]:
    named = {"total": "FilesScanned", "changed": "FilesToBackup", "transferred": "FilesCopied", "failed": "FilesFailed"}
    counts = {key: amount(row.get(name)) for key, name in named.items()}
    return {key: value for key, value in counts.items() if value is not None}


def _troubles(row: Mapping[str, Any], outcome: Outcome) -> Troubles:
    troubles = Troubles()
    message, status = words(row, "ErrorMessage"), words(row, "Status")
    if message or outcome in ("failure", "cancelled", "missed"):
        severity: Any = "warning" if outcome in ("success", "warning", "running") else "error"
        troubles.add(message or f"status: {_MEANINGS.get(status, status)}", severity=severity, code=status)
    return troubles
