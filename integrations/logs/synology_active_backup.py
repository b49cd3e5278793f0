"""Synology Active Backup for Business: the lists of its API, and notification mails in four languages.

The API tells each device's transfers and each task's last result with a status number, exact bytes sent and Unix
times. A mail tells of one task by its sentence. No form tells the size of the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.logs.api_rows import amount, moment, reached_all, rows_of, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import listed, nested
from integrations.logs.synology_mail import end_of, notice_of, outcome_told, printed_seconds, told_moment
from integrations.logs.troubles import Troubles

LABEL = "Synology Active Backup for Business"
MARKS = ("Active Backup", "transfered_bytes")
GUIDE = Guide(
    releases="Active Backup for Business 2 and 3",
    written_from="answers of the API (SYNO.ActiveBackup.*) that a public client documents; mails after the vendor's "
    "terms, without a real one",
    operations=("backup", "restore"),
    sizes=(("transferred_bytes", "transfered_bytes"),),
    cannot_tell=(
        "The size of the source: add a measurement of the selection.",
        "The outcome of a mail whose words say two things or none: it is unknown.",
        "UTC of a mail's times without the time zone of the NAS; the API's times are certain.",
    ),
    ways=(
        Way(
            "http",
            "Send the last day's transfers of each device (Task Scheduler, user-defined script, hourly, as root)",
            "synowebapi -s --exec api=SYNO.ActiveBackup.Overview version=1 method=list_device_transfer_size \\\n"
            "  time_start=$(date -d '1 day ago' +%s) time_end=$(date +%s) \\\n"
            "  | curl -sS -H 'Authorization: Bearer @KEY@' --data-binary @- \\\n"
            "    '@URL@/api/v1/logs?format=synology-active-backup'",
            note="Each device is a run of its own and can be assigned to its client.",
        ),
        Way(
            "email",
            "Or Control Panel, Notification, Email: add this recipient; in the task's settings enable notification",
            "@ADDRESS@",
            language="text",
        ),
    ),
)

_STATUSES: dict[int, Outcome] = {2: "success", 3: "warning", 4: "failure", 5: "cancelled", 6: "skipped"}
_STATUS_WORDS = {3: "partially successful", 4: "failed", 5: "cancelled", 6: "no backup"}
_ACTIONS: dict[int, Operation] = {1: "backup", 128: "restore", 1024: "restore", 2048: "restore"}


def recognises(head: Head) -> bool:
    """The API's lists, or a mail that names the product and says something of a task."""
    if isinstance(head.document, dict):
        return bool(_transfers(head.document) or _results(head.document))
    named = "Active Backup for Business" in head.subject or "Active Backup for Business" in head.stdout[:8000]
    return named and head.has(_TASK)


_TASK = re.compile(
    r"^(?:Backup Task|Task(?: name)?|Device(?: name)?|Datensicherungsaufgabe|Sicherungsaufgabe|Aufgabe(?:nname)?|Gerät"
    r"(?:ename)?|Tâche(?: de sauvegarde)?|Nom de la tâche|Périphérique|Tarea(?: de copia de seguridad)?"
    r"|Nombre de (?:la )?tarea|Dispositivo)\s?: ?\S", re.M | re.I,
)  # fmt: skip


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each transfer of a device, each task's last result, or the one of a mail."""
    document = context.head.document
    if not isinstance(document, dict):
        return (_from_mail(body, context),)
    runs = [_from_row(row, host=host) for host, row in _transfers(document)]
    runs = runs or [_from_row(row, host=host) for host, row in _results(document)]
    if not runs:
        raise UnreadableLog("this JSON holds no transfers or results of Active Backup for Business")
    return tuple(runs)


def _inner(document: dict[str, Any]) -> dict[str, Any]:
    return nested(document, "data") or document


def _transfers(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for entry in rows_of(listed(_inner(document), "device_list")):
        host = words(nested(entry, "device"), "host_name")
        found += [(host, row) for row in rows_of(listed(entry, "transfer_list")) if "status" in row]
    return found


def _results(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for task in rows_of(listed(_inner(document), "tasks")):
        row = nested(task, "last_result")
        devices = rows_of(listed(task, "devices"))
        if "status" in row and "transfered_bytes" in row and _action(row):
            host = words(devices[0], "host_name") if len(devices) == 1 else ""
            found.append((host, {"task_name": words(task, "task_name"), **row}))
    return found


def _action(row: Mapping[str, Any]) -> Operation | None:
    """The operation by the API's number of it; backups where it tells none."""
    told = amount(row.get("job_action"))
    return "backup" if told is None else _ACTIONS.get(told)


def _from_row(row: Mapping[str, Any], *, host: str) -> JobLog:
    status = amount(row.get("status"))
    outcome = _STATUSES.get(-1 if status is None else status, "unknown")
    errors, warnings = amount(row.get("error_count")) or 0, amount(row.get("warning_count")) or 0
    outcome = "warning" if outcome == "success" and (errors or warnings) else outcome
    operation = _action(row) or "backup"
    troubles = Troubles()
    if outcome in ("failure", "warning", "cancelled"):
        told = _STATUS_WORDS.get(status or 0, "successful")
        counts = f", {errors} errors, {warnings} warnings" if errors or warnings else ""
        severity: Any = "warning" if outcome == "warning" else "error"
        troubles.add(f"status: {told}{counts}", severity=severity, code=str(status))
    name = words(row, "device_name") or host
    result = words(row, "device_result_id") or f"r{words(row, 'result_id')}"
    sent = amount(row.get("transfered_bytes")) if outcome in ("success", "warning") else None
    start, end = moment(row.get("time_start")), moment(row.get("time_end"))
    return JobLog(
        product="synology-active-backup",
        operation=operation,
        outcome=outcome,
        run_id=f"{words(row, 'config_device_id', 'task_id')}-{result}-{words(row, 'time_start')}",
        source_job=words(row, "task_name"),
        item=name or words(row, "task_name"),
        host=name,
        started_at=start,
        ended_at=end,
        duration_seconds=(end - start).total_seconds() if start and end and end >= start else None,
        transferred_bytes=sent if operation == "backup" else None,
        sources={"transferred_bytes": "transfered_bytes"} if sent is not None and operation == "backup" else {},
        complete=reached_all(outcome) if operation == "backup" else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )


_RESTORE = re.compile(r"\brestor|wiederherst|restaur")


def _from_mail(body: Delivery, context: Context) -> JobLog:
    notice = notice_of(body, context.head.subject)
    outcome = outcome_told(notice.lead)
    if outcome == "unknown" and notice.values.get("status"):
        outcome = outcome_told(notice.values["status"].lower())
    start = told_moment(notice.values.get("start", ""), context.zone)
    end = told_moment(notice.values.get("end", ""), context.zone)
    seconds = printed_seconds(notice.values.get("duration", ""))
    operation: Operation = "restore" if _RESTORE.search(notice.lead) else "backup"
    troubles = Troubles()
    if outcome in ("failure", "cancelled", "warning"):
        severity: Any = "warning" if outcome == "warning" else "error"
        troubles.add(notice.lead, severity=severity)
    return JobLog(
        product="synology-active-backup",
        operation=operation,
        outcome=outcome,
        source_job=notice.values.get("job", ""),
        item=notice.values.get("device", "") or notice.values.get("job", ""),
        host=notice.values.get("device", ""),
        started_at=start,
        ended_at=end or end_of(start, seconds),
        duration_seconds=seconds,
        complete={"success": True, "warning": False}.get(outcome, reached_all(outcome))
        if operation == "backup"
        else None,
        errors=troubles.kept,
        errors_total=troubles.total,
        notes=(f"sent by {notice.host}",) if notice.host else (),
    )
