"""AvePoint Cloud Backup for Microsoft 365: jobs as the AvePoint Graph API and the partner API (Elements) answer them.

Each job is a run of its own. The Graph API tells its status in words, the partner API as a number with the module;
both count objects, and neither the size of the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, reached_all, rows_of, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import listed, nested
from integrations.logs.troubles import Troubles

LABEL = "AvePoint Cloud Backup"
MARKS = ('"backupDetails"', '"jobModule"')
GUIDE = Guide(
    releases="AvePoint Graph API (backup/m365/cloudbackupjobs), partner API v3 (avpt-products/jobs)",
    written_from="the vendor's API documentation with its examples; no real answer",
    operations=("backup", "prune", "inventory"),
    cannot_tell=(
        "Any size: the documents name one (backupSize) but neither what it counts nor how it is rounded.",
        "The kind of a job in the Graph API's answer: ask for backups only (jobType=1).",
        "The tenant in the Graph API's answer: send each client with a server of its own.",
        "The job notification mails: their layout is not documented, so they wait in the inbox.",
    ),
    ways=(
        Way(
            "http",
            "Ask for the backup jobs every hour and send the answer (cron)",
            'curl -sS -H "Authorization: Bearer $TOKEN" \\\n'
            '  "https://graph-us.avepointonlineservices.com/backup/m365/cloudbackupjobs?jobType=1&pageSize=100" \\\n'
            '  | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=avepoint"',
            note="TOKEN is of an app registration with the permission microsoft365backup.jobInfo.read.all.",
        ),
    ),
)

_STATES: dict[str, Outcome] = {
    "inprogress": "running", "finished": "success", "failed": "failure", "finishedwithexception": "warning",
    "partiallyfinished": "warning",
}  # fmt: skip
_STATUSES: dict[int, Outcome] = {
    1: "running", 2: "success", 3: "failure", 4: "warning", 5: "skipped", 6: "running", 7: "failure", 8: "cancelled",
    9: "failure", 10: "cancelled", 13: "running",
}  # fmt: skip
_MODULES = {
    8: "Archiver", 10: "Retention", 302: "SharePoint Online", 303: "Exchange Online", 304: "Microsoft 365 Groups",
    305: "OneDrive", 306: "Project Online", 307: "Exchange Online Public Folder", 308: "Microsoft Teams",
    309: "Teams Chat", 310: "Power BI", 311: "Power Automate", 312: "Power Apps", 355: "Cloud Backup for Azure",
    356: "Azure Virtual Machine", 357: "Disk", 358: "Microsoft Entra ID", 359: "Storage", 360: "Admin Portal Settings",
}  # fmt: skip
_SCANS = (0, 10)  # job types that look for objects to protect
_RETENTION = 10


def recognises(head: Head) -> bool:
    """Rows of jobs in one of the two forms."""
    return bool(_rows(head.document))


def _rows(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("data"), dict):
        document = document["data"]
    found = rows_of(document) if isinstance(document, list) else listed_under(document, "data") or rows_of(document)
    return [row for row in found if _is_graph(row) or {"jobModule", "jobId", "status"} <= set(row)]


def _is_graph(row: Mapping[str, Any]) -> bool:
    return {"backupDetails", "state", "id"} <= set(row)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each job."""
    rows = _rows(context.head.document)
    if not rows:
        raise UnreadableLog("this JSON holds no jobs of AvePoint Cloud Backup")
    return tuple(_from_graph(row, context) if _is_graph(row) else _from_partner(row, context) for row in rows)


def _settled(outcome: Outcome, counts: Mapping[str, int]) -> Outcome:
    return "warning" if outcome == "success" and counts.get("failed", 0) > 0 else outcome


def _counts(row: Mapping[str, Any]) -> dict[str, int]:
    """The samples say ``totalCount``, the tables of the same page ``totalNumber``."""
    named = {"total": "total", "failed": "failed", "saved": "successful", "skipped": "skipped"}
    found = {}
    for key, name in named.items():
        count = amount(row.get(f"{name}Count"))
        found[key] = amount(row.get(f"{name}Number")) if count is None else count
    return {key: value for key, value in found.items() if value is not None}


def _from_graph(row: Mapping[str, Any], context: Context) -> JobLog:
    counts = _counts(nested(dict(row), "backupDetails"))
    state = words(row, "state")
    outcome = _settled(_STATES.get(re.sub(r"[^a-z]", "", state.lower()), "unknown"), counts)
    troubles = Troubles()
    for error in rows_of(listed(dict(row), "jobErrors")):
        severity: Any = "error" if outcome == "failure" else "warning"
        code = words(error, "url") if error.get("isErrorCode") is True else ""
        troubles.add(words(error, "value") or "error without words", severity=severity, code=code or None)
    return _job_log(row, "backup", outcome, counts, troubles, context, job_id=words(row, "id"), told=state)


def _from_partner(row: Mapping[str, Any], context: Context) -> JobLog:
    counts = _counts(row)
    module, kind, status = amount(row.get("jobModule")), amount(row.get("jobType")), amount(row.get("status"))
    outcome = _settled(_STATUSES.get(-1 if status is None else status, "unknown"), counts)
    operation: Operation = "prune" if module == _RETENTION else "inventory" if kind in _SCANS else "backup"
    job = _MODULES.get(module or 0, "") or words(row, "jobModule")
    return _job_log(
        row, operation, outcome, counts, Troubles(), context,
        job_id=words(row, "jobId"), told=f"status {words(row, 'status')}", job=job,
    )  # fmt: skip


def _job_log(
    row: Mapping[str, Any],
    operation: Operation,
    outcome: Outcome,
    counts: dict[str, int],
    troubles: Troubles,
    context: Context,
    *,
    job_id: str,
    told: str,
    job: str = "",
) -> JobLog:
    failed = counts.get("failed")
    if not troubles.total and outcome in ("failure", "warning", "cancelled"):
        severity: Any = "warning" if outcome == "warning" else "error"
        troubles.add(told + (f": {failed} objects failed" if failed else ""), severity=severity)
    return JobLog(
        product="avepoint",
        operation=operation,
        outcome=outcome,
        run_id=job_id,
        source_job=job,
        item=job,
        started_at=moment(row.get("startTime"), context.zone),
        ended_at=None if outcome == "running" else moment(row.get("finishTime") or row.get("endTime"), context.zone),
        complete=reached_all(outcome) if operation == "backup" else None,
        files=counts,
        files_failed=failed,
        errors=troubles.kept,
        errors_total=troubles.total,
    )
