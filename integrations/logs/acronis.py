"""Acronis: activities and alerts of Cyber Protect Cloud's APIs, and the task log mails of Acronis Backup 11 and 12.

An activity is a run with its result code; an alert tells of one thing that happened to a plan on a machine. Rows that
are no backup, recovery, replication or validation are left aside. A mail's last line says what became of the task.
No form tells the size of the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, reached_all, words
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import nested
from integrations.logs.troubles import Troubles

LABEL = "Acronis Cyber Protect"
MARKS = ("Acronis", '"completedAt"', '"startedAt"', '"resourceName"', '"BackupPlanName"', '"planName"')
GUIDE = Guide(
    releases="Task Manager API 2, Alert Manager API 1; task log mails of Acronis Backup 11 and 12",
    written_from="the vendor's API reference with its examples, and public clients of both APIs; the mail's "
    "last line and error lines from a public program that reads them; no real answer or mail",
    operations=("backup", "restore", "replicate", "verify"),
    sizes=(("transferred_bytes", "progress.bytesSaved of an activity"),),
    cannot_tell=(
        "The size of the source: add a measurement of the selection.",
        "The start of what an alert tells of: only when the alert was made.",
        "The alert mails and reports of the cloud: their layout is not documented, so they wait in the inbox.",
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
    """Rows of one of the two APIs with a backup, recovery or the like among them, or a task log's last line."""
    if head.document is None:
        return "Acronis" in head.everything and _verdict(head.tail or head.stdout) is not None
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
    """One run for each activity, for each alert, or the one of a task log."""
    document = context.head.document
    verdict = _verdict(context.head.tail or context.head.stdout) if document is None else None
    if verdict is not None:
        return (_from_task_log(body, verdict),)
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


# ------------------------------------------------------------------------------------------------------- task log mails

_VERDICT = re.compile(r"\bhas (succeeded with warnings|succeeded|failed|been (?:cancell?ed|stopped))\.?$", re.I)
_NAME = re.compile(r"['\"]([^'\"]{1,200})['\"]")
_MACHINE = re.compile(r"\bmachine ['\"]([^'\"]{1,200})['\"]", re.I)
_VERDICTS: dict[str, Outcome] = {"succeeded": "success", "succeeded with warnings": "warning", "failed": "failure"}


def _verdict(text: str) -> str | None:
    """The last line of a task log, where it says how the task ended."""
    lines = text[-4000:].rstrip().rsplit("\n", 1)
    return lines[-1].strip() if _VERDICT.search(lines[-1].strip()[-200:]) else None


def _from_task_log(body: Delivery, verdict: str) -> JobLog:
    match = _VERDICT.search(verdict[-200:])
    outcome = _VERDICTS.get(match.group(1).lower(), "cancelled") if match else "unknown"
    machine = _MACHINE.search(verdict[:1000])
    name = _NAME.search(verdict[: machine.start()] if machine else verdict[:1000])
    unnamed = _NAME.sub(" ", verdict[:1000]).lower()  # a task may be called "Recovery server"
    troubles = _troubles_of_log(body, verdict, outcome)
    return JobLog(
        product="acronis",
        operation=next((operation for word, operation in _KINDS if word in unnamed), "backup"),
        outcome=outcome,
        source_job=name.group(1) if name else "",
        host=machine.group(1) if machine else "",
        complete=reached_all(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _troubles_of_log(body: Delivery, verdict: str, outcome: Outcome) -> Troubles:
    """``Error code: 3`` stands some lines above its ``Message: ..``."""
    troubles, code = Troubles(), ""
    severity: Any = "error" if outcome in ("failure", "cancelled") else "warning"
    for line in log_lines(body.stdout):
        if line.text.startswith("Error code:"):
            code = line.text[11:].strip()
        elif line.text.startswith("Message:") and code:
            troubles.add(line.text[8:], code=code, severity=severity)
            code = ""
    if not troubles.total and outcome != "success":
        troubles.add(verdict, severity=severity)
    return troubles
