"""Acronis Cyber Protect Cloud: activities of the Task Manager API, and alerts of the Alert Manager API.

An activity is a run with its result code; an alert tells of one thing that happened to a plan on a machine. Rows that
are no backup, recovery, replication or validation are left aside. No form tells the size of the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, reached_all, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import nested
from integrations.logs.troubles import Troubles

LABEL = "Acronis Cyber Protect Cloud"
MARKS = ('"completedAt"', '"startedAt"', '"resourceName"', '"BackupPlanName"', '"planName"')
GUIDE = Guide(
    releases="Task Manager API 2, Alert Manager API 1",
    written_from="the vendor's API reference with its examples, and public clients of both APIs; no real answer",
    operations=("backup", "restore", "replicate", "verify"),
    sizes=(("transferred_bytes", "progress.bytesSaved of an activity"),),
    cannot_tell=(
        "The size of the source: add a measurement of the selection.",
        "The start of what an alert tells of: only when the alert was made.",
        "The alert mails and reports: their layout is not documented, so they wait in the inbox.",
    ),
    ways=(
        Way(
            "http",
            "Ask for the activities every hour and send the answer (cron)",
            'TOKEN=$(curl -sS -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=client_credentials \\\n'
            '  "$DATACENTER/api/2/idp/token" | jq -r .access_token)\n'
            "SINCE=$(date -u -d '3 hours ago' +%Y-%m-%dT%H:%M:%SZ)\n"
            'curl -sS -H "Authorization: Bearer $TOKEN" -G "$DATACENTER/api/task_manager/v2/activities" \\\n'
            '  --data-urlencode "completedAt=gt($SINCE)" --data-urlencode "limit=500" \\\n'
            '  | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=acronis"',
            note="Activities tell of successes, too; the answer of /api/alert_manager/v1/alerts is read as well.",
        ),
    ),
)

_RESULTS: dict[str, Outcome] = {
    "ok": "success", "success": "success", "warning": "warning", "error": "failure", "cancelled": "cancelled",
    "canceled": "cancelled", "abandoned": "failure", "timedout": "failure",
}  # fmt: skip
_TIMES = {"startedAt", "completedAt", "enqueuedAt"}
_STATES: dict[str, Outcome] = {
    "enqueued": "running", "assigned": "running", "started": "running", "paused": "running",
}  # fmt: skip
_ALERTS: dict[str, Outcome] = {
    "BackupFailed": "failure", "BackupDidNotStart": "missed", "NoBackupForXDays": "missed",
    "BackupCanceled": "cancelled", "BackupCancelled": "cancelled", "BackupSucceeded": "success",
    "BackupSucceededWithWarnings": "warning", "BackupWithWarnings": "warning",
}  # fmt: skip


def recognises(head: Head) -> bool:
    """Rows of one of the two APIs, among them at least one that tells of a backup, recovery or the like."""
    return bool(_activities(head.document) or _alerts(head.document))


def _rows(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, dict) and not isinstance(document.get("items"), list):
        return [document]
    return listed_under(document, "items")


def _activities(document: Any) -> list[dict[str, Any]]:
    found = [row for row in _rows(document) if "state" in row and _TIMES & set(row)]
    return [row for row in found if ("result" in row or words(row, "state") in _STATES) and _operation(row)]


def _alerts(document: Any) -> list[dict[str, Any]]:
    found = [
        row for row in _rows(document) if isinstance(row.get("type"), str) and isinstance(row.get("details"), dict)
    ]
    return [row for row in found if _is_backup_alert(row)]


def _is_backup_alert(row: Mapping[str, Any]) -> bool:
    named = row["type"] in _ALERTS or row["type"].startswith("Backup")
    return named and any(key in row["details"] for key in ("planName", "planId", "resourceName", "resourceId"))


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each activity, or for each alert."""
    document = context.head.document
    runs = [_from_activity(row, context) for row in _activities(document)]
    runs += [_from_alert(row, context) for row in _alerts(document)]
    if not runs:
        raise UnreadableLog("this JSON holds neither activities nor alerts of backups")
    return tuple(runs)


_KINDS: tuple[tuple[str, Operation], ...] = (
    ("validat", "verify"), ("verif", "verify"), ("recover", "restore"), ("restore", "restore"),
    ("replicat", "replicate"), ("backup", "backup"),
)  # fmt: skip


def _operation(row: Mapping[str, Any]) -> Operation | None:
    """By the activity's type; then by its policy, its plan and its title."""
    context = nested(dict(row), "context")
    kind = words(row, "type").lower()
    found = next((operation for word, operation in _KINDS if word in kind), None)
    if found is None and (words(nested(dict(row), "policy"), "type") == "backup" or words(context, "BackupPlanName")):
        return "backup"
    return found


def _from_activity(row: Mapping[str, Any], context: Context) -> JobLog:
    outcome = _outcome(row)
    operation = _operation(row) or "backup"
    inner, progress = nested(dict(row), "context"), nested(dict(row), "progress")
    machine = words(nested(dict(row), "resource"), "name") or words(inner, "MachineName")
    machine = machine or words(nested(inner, "Persistent"), "Name")
    plan = words(inner, "BackupPlanName") or words(nested(dict(row), "policy"), "name")
    sent = amount(progress.get("bytesSaved")) if operation == "backup" and outcome in ("success", "warning") else None
    troubles = _troubles_of_result(nested(dict(row), "result"), outcome)
    return JobLog(
        product="acronis",
        operation=operation,
        outcome=outcome,
        run_id=words(row, "uuid", "id"),
        source_job=plan or words(row, "type"),
        item=machine or plan,
        host=machine,
        account=words(nested(dict(row), "tenant"), "name"),
        started_at=moment(row.get("startedAt"), context.zone),
        ended_at=moment(row.get("completedAt"), context.zone) if outcome != "running" else None,
        transferred_bytes=sent,
        sources={"transferred_bytes": "bytesSaved"} if sent is not None else {},
        complete=reached_all(outcome) if operation == "backup" else None,
        checksum_ok={"success": True, "failure": False}.get(outcome) if operation == "verify" else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _outcome(row: Mapping[str, Any]) -> Outcome:
    state = words(row, "state").lower()
    if state in _STATES:
        return _STATES[state]
    code = words(nested(dict(row), "result"), "code").lower() or words(row, "result").lower()
    return _RESULTS.get(code, "unknown") if state == "completed" else "unknown"


def _troubles_of_result(result: dict[str, Any], outcome: Outcome) -> Troubles:
    troubles = Troubles()
    if outcome not in ("failure", "warning", "cancelled"):
        return troubles
    error = nested(nested(result, "payload"), "error") or nested(result, "error")
    told = words(error, "localizedMessage", "message", "reason", "cause") or words(nested(error, "debug"), "msg")
    severity: Any = "warning" if outcome == "warning" else "error"
    code = words(error, "code") or words(result, "code")
    troubles.add(told or f"result: {words(result, 'code')}", severity=severity, code=code)
    return troubles


def _from_alert(row: Mapping[str, Any], context: Context) -> JobLog:
    details = nested(dict(row), "details")
    outcome = _ALERTS.get(row["type"], "unknown")
    machine = words(details, "resourceName", "resourceId")
    plan = words(details, "planName", "planId")
    troubles = Troubles()
    if outcome != "success":
        severity: Any = "warning" if outcome in ("warning", "unknown") else "error"
        troubles.add(_alert_text(row["type"], details), severity=severity, code=row["type"])
    return JobLog(
        product="acronis",
        operation="backup",
        outcome=outcome,
        run_id=words(row, "id"),
        source_job=plan,
        item=machine or plan,
        host=machine,
        account=words(nested(dict(row), "tenant"), "name"),
        ended_at=moment(row.get("createdAt"), context.zone),
        complete=reached_all(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _alert_text(kind: str, details: dict[str, Any]) -> str:
    message = details.get("errorMessage")
    told = words(message, "reason", "cause", "effect") if isinstance(message, dict) else words(details, "errorMessage")
    told = told or words(nested(details, "error"), "text", "message")
    days = amount(details.get("daysPassed"))
    return told or (f"{kind}: {days} days" if days is not None else kind)
