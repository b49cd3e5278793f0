"""Azure Backup: jobs as az and the REST API print them, rows of AddonAzureBackupJobs, and fired alerts.

A job is a run of its own; its operation is the vault's word (Backup, Backup (Full), Restore). Sizes are seldom told:
what was transferred at most. Log Analytics answers tables or rows; diagnostics send records with properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.logs.api_rows import moment, reached_all, rows_of, words
from integrations.logs.context import Context
from integrations.logs.event_documents import documents
from integrations.logs.figures import clock_seconds
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import nested
from integrations.logs.printed_dates import printed_bytes, printed_number
from integrations.logs.troubles import Troubles

LABEL = "Azure Backup"
MARKS = ("/backupJobs", "AddonAzureBackupJobs", "JobUniqueId", "Azure Backup", "backupManagementType")
GUIDE = Guide(
    releases="Recovery Services vaults: az backup job list and show, REST, resource-specific diagnostics, alerts",
    written_from="the vendor's documented examples and table columns; no customer's job",
    operations=("backup", "restore", "inventory"),
    sizes=(("transferred_bytes", "Data Transferred (in MB), DataTransferredInMB"),),
    cannot_tell=(
        "The protected size: no job tells it. Add a measurement of the selection.",
        "Transferred bytes to more than a megabyte; file shares tell none.",
        "Which operation failed where an alert does not name it.",
    ),
    ways=(
        Way(
            "http",
            "Ask once a day (cron)",
            'az backup job list --resource-group RG --vault-name VAULT --output json | curl -sS -H "Authorization: '
            'Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=azure-backup"',
        ),
        Way(
            "http",
            "Or an alert processing rule with an action group: webhook, common alert schema",
            "@URL@/api/v1/logs?format=azure-backup",
            language="text",
            note="Alerts tell of failures only: silence is no proof.",
        ),
    ),
)

_OUTCOMES: dict[str, Outcome] = {
    "completed": "success", "completedwithwarnings": "warning", "completedwithwarning": "warning",
    "inprogress": "running", "started": "running", "cancelling": "running", "failed": "failure",
    "cancelled": "cancelled", "canceled": "cancelled", "skipped": "skipped",
}  # fmt: skip
_DATABASE = re.compile(r"^[^/]{1,200}/([^\[\]/]{1,200}?) ?(?:\[[^\]]{1,200}\])?$")
_DAYS = re.compile(r"^([0-9]{1,3}) days?, (.+)$")


def recognises(head: Head) -> bool:
    """Jobs of a vault, rows of the jobs table, or an alert of the service."""
    return any(True for _ in _jobs(head.document, 0))


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each job."""
    runs = [
        _FORMS[form](record, listed)
        for document in documents(body, context)
        for form, record, listed in _jobs(document, 0)
    ]
    if not runs:
        raise UnreadableLog("this JSON holds no job of Azure Backup")
    return tuple(runs)


def _jobs(document: Any, depth: int, listed: bool = False) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Records with the form they have, and whether they stand in a list that was asked for."""
    if depth > 3 or not isinstance(document, list | dict):
        return
    if isinstance(document, list):
        for row in rows_of(document):
            yield from _jobs(row, depth + 1, True)
        return
    if "/backupjobs" in (words(document, "id") + words(document, "type")).lower() and nested(document, "properties"):
        yield "job", document, listed
    elif words(document, "JobUniqueId"):
        yield "row", document, listed
    elif nested(document, "properties").get("JobUniqueId"):
        yield "row", document["properties"], listed
    elif nested(document, "data").get("essentials") and _is_ours(nested(nested(document, "data"), "essentials")):
        yield "alert", nested(document, "data"), listed
    else:
        for key in ("value", "records"):
            yield from _jobs(document.get(key), depth + 1)
        for table in rows_of(document.get("tables")):
            yield from _jobs(_table_rows(table), depth + 1)


def _table_rows(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = [words(column, "name", "ColumnName") for column in rows_of(table.get("columns"))]
    rows = table.get("rows")
    return (
        [dict(zip(names, row, strict=False)) for row in rows if isinstance(row, list)] if isinstance(rows, list) else []
    )


def _is_ours(essentials: Mapping[str, Any]) -> bool:
    return words(essentials, "monitoringService") == "Azure Backup"


def _operation(word: str) -> tuple[Operation, str]:
    told = word.lower().replace(" ", "")
    if told.startswith("backup"):
        return "backup", ""
    if "restore" in told or told.startswith("recover"):
        return "restore", ""
    return "inventory", word


# ----------------------------------------------------------------------------------------------------------------- job


def _from_job(record: Mapping[str, Any], listed: bool) -> JobLog:
    job = nested(record, "properties")
    word, outcome = words(job, "operation"), _outcome(words(job, "status"))
    operation, action = _operation(word)
    troubles = _troubles(job, outcome)
    name = words(job, "entityFriendlyName")
    started = moment(job.get("startTime"), UTC)
    sent = _sent(nested(nested(job, "extendedInfo"), "propertyBag"))
    return JobLog(
        product="azure-backup",
        operation=operation,
        action="list" if listed and operation == "backup" else action,
        outcome=outcome,
        run_id=words(record, "name") or words(job, "activityId"),
        source_job=word,
        item=name,
        host=name,
        account=_vault(words(record, "id")),
        started_at=started,
        ended_at=None if outcome == "running" else moment(job.get("endTime"), UTC),
        duration_seconds=_duration(words(job, "duration")),
        transferred_bytes=sent if operation == "backup" else None,
        sources={"transferred_bytes": "Data Transferred"} if sent is not None and operation == "backup" else {},
        rounded=sent is not None,
        complete=reached_all(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
        components=_components(job, name, outcome),
    )


def _outcome(status: str) -> Outcome:
    return _OUTCOMES.get(status.lower().replace(" ", ""), "unknown")


def _vault(path: str) -> str:
    parts = path.split("/")
    at = next((at for at, part in enumerate(parts) if part.lower() == "vaults"), None)
    return parts[at + 1] if at is not None and at + 1 < len(parts) else ""


def _duration(told: str) -> float | None:
    """``0:00:29.718011``, ``00:03:13.6439467``, ``1.02:03:04`` or ``1 day, 2:03:04``."""
    match = _DAYS.match(told[:60])
    if match is None:
        return clock_seconds(told[:60])
    rest = clock_seconds(match.group(2))
    return None if rest is None else int(match.group(1)) * 86400 + rest


def _troubles(job: Mapping[str, Any], outcome: Outcome) -> Troubles:
    troubles = Troubles()
    severity: Any = "warning" if outcome in ("success", "warning") else "error"
    for detail in rows_of(job.get("errorDetails")):
        message = words(detail, "errorString", "errorMessage", "errorTitle")
        if message:
            troubles.add(message, severity=severity, code=words(detail, "errorCode"))
    if outcome in ("failure", "warning") and not troubles.total:
        for task in rows_of(nested(job, "extendedInfo").get("tasksList")):
            if _outcome(words(task, "status")) == outcome:
                troubles.add(f"{words(task, 'taskId')}: {words(task, 'status')}", severity=severity)
    return troubles


def _sent(bag: Mapping[str, Any]) -> int | None:
    for key, value in bag.items():
        if key.startswith("Data Transferred") and isinstance(value, str | int | float):
            figure = printed_number(str(value))
            return printed_bytes(str(value)) if figure is None else int(figure * 2**20)
    return None


def _components(job: Mapping[str, Any], name: str, outcome: Outcome) -> tuple[Component, ...]:
    match = _DATABASE.match(name[:500])
    if match is None or words(job, "jobType") != "AzureWorkloadJob":
        return ()
    return (Component(type="database", name=match.group(1).strip(), outcome=outcome),)


# ------------------------------------------------------------------------------------------------------ table and alert


def _from_row(row: Mapping[str, Any], listed: bool) -> JobLog:
    del listed  # a row of the table is a job, whatever asked for it
    word, outcome = words(row, "JobOperation"), _outcome(words(row, "JobStatus"))
    operation, action = _operation(word)
    started = moment(row.get("JobStartDateTime"), UTC)
    seconds = _figure(row.get("JobDurationInSecs"))
    sent = _figure(row.get("DataTransferredInMB"))
    code = words(row, "JobFailureCode")
    troubles = Troubles()
    if outcome in ("failure", "warning", "cancelled"):
        severity: Any = "warning" if outcome == "warning" else "error"
        troubles.add(f"{word or 'Job'} {words(row, 'JobStatus')}: {code}", severity=severity, code=code or None)
    return JobLog(
        product="azure-backup",
        operation=operation,
        action=action,
        outcome=outcome,
        run_id=words(row, "JobUniqueId"),
        source_job=" ".join(part for part in (word, words(row, "JobOperationSubType")) if part),
        item=words(row, "BackupItemFriendlyName", "BackupItemName", "BackupItemUniqueId"),
        host=words(row, "ProtectedContainerFriendlyName", "ProtectedContainerUniqueId"),
        account=words(row, "VaultName", "VaultUniqueId"),
        started_at=started,
        ended_at=_end(started, seconds, outcome),
        duration_seconds=seconds,
        transferred_bytes=None if sent is None or operation != "backup" else int(sent * 2**20),
        sources={"transferred_bytes": "DataTransferredInMB"} if sent is not None and operation == "backup" else {},
        rounded=sent is not None,
        complete=reached_all(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _end(started: datetime | None, seconds: float | None, outcome: Outcome) -> datetime | None:
    if started is None or seconds is None or outcome == "running" or not 0 <= seconds < 10**8:
        return None
    return started + timedelta(seconds=seconds)


def _figure(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    found = printed_number(str(value)) if isinstance(value, str | int | float) else None
    return None if found is None else float(found)


def _from_alert(data: Mapping[str, Any], listed: bool) -> JobLog:
    del listed
    essentials = nested(data, "essentials")
    told = f"{words(essentials, 'alertRule')}: {words(essentials, 'description')}".strip(": ")
    failed = "failure" in told.lower() or "failed" in told.lower()
    fired = words(essentials, "monitorCondition").lower() == "fired"
    items = essentials.get("configurationItems")
    name = str(items[0]) if isinstance(items, list) and items else ""
    troubles = Troubles()
    troubles.add(told or "an alert without a rule", severity="error" if failed and fired else "warning")
    at = moment(essentials.get("firedDateTime"), UTC)
    operation: Operation = "restore" if "restore" in told.lower() else "backup" if failed else "inventory"
    return JobLog(
        product="azure-backup",
        operation=operation,
        action="" if failed else "alert",
        outcome="failure" if failed and fired else "unknown",
        run_id=words(essentials, "originAlertId", "alertId"),
        source_job=name or words(essentials, "alertRule"),
        item=name,
        ended_at=at,
        complete=False if failed and fired else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )


_FORMS = {"job": _from_job, "row": _from_row, "alert": _from_alert}
