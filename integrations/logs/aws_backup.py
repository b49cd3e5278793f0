"""AWS Backup: EventBridge events, SNS notifications, and the lists of jobs that its CLI and API print.

All name the same fields, the events with a small first letter, and each job is a run of its own. Numbers come as
digits in a text or as numbers, times as ISO 8601 or Unix seconds. A job that completed with a message completed with
issues: a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.logs.api_rows import amount, moment, reached_all, rows_of, words
from integrations.logs.bytes_to_text import clean, decode
from integrations.logs.context import Context
from integrations.logs.event_documents import documents, first_lower
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Basis, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import BadJson, load, nested
from integrations.logs.moments import unix
from integrations.logs.printed_dates import printed_moment
from integrations.logs.troubles import Troubles

LABEL = "AWS Backup"
MARKS = ("aws.backup", "BackupJobs", "CopyJobs", "RestoreJobs", "BackupJobId", "CopyJobId", "RestoreJobId",
         "AWS Backup", "backupJobId", "copyJobId", "restoreJobId")  # fmt: skip
GUIDE = Guide(
    releases="EventBridge events since 2020, SNS notifications, AWS CLI 1 and 2 (list-, describe-)",
    written_from="the vendor's documented events, notifications and API shapes; no customer's event",
    operations=("backup", "copy", "restore"),
    basis="provisioned size of volumes, instances and databases, used size of file systems and buckets",
    sizes=(("protected_bytes", "backupSizeInBytes"), ("transferred_bytes", "bytesTransferred")),
    cannot_tell=(
        "What of a volume is in use: AWS tells its size.",
        "Which part failed of a job that is PARTIAL.",
        "Sizes and times of a notification in words: only events and lists hold them.",
    ),
    ways=(
        Way(
            "http",
            "An EventBridge rule with an API destination",
            '{"source": ["aws.backup"], "detail-type": ["Backup Job State Change", "Copy Job State Change", '
            '"Restore Job State Change"]}',
            language="json",
            note="The destination is POST @URL@/api/v1/logs?format=aws-backup with an API-key connection: header "
            "Authorization, value Bearer @KEY@.",
        ),
        Way(
            "http",
            "Or ask once a day (cron)",
            'aws backup list-backup-jobs --by-created-after "$(date -ud -2days +%FT%TZ)" --output json | curl -sS '
            '-H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=aws-backup"',
        ),
        Way("email", "Or subscribe this address to the vault's SNS topic", "@ADDRESS@", language="text"),
    ),
)

_OUTCOMES: dict[str, Outcome] = {
    "CREATED": "running", "PENDING": "running", "RUNNING": "running", "ABORTING": "running", "ABORTED": "failure",
    "COMPLETED": "success", "FAILED": "failure", "EXPIRED": "missed", "PARTIAL": "warning",
}  # fmt: skip
_KINDS: tuple[tuple[str, Operation], ...] = (
    ("copyJobId", "copy"), ("restoreJobId", "restore"), ("backupJobId", "backup"),
)  # fmt: skip
_USED = frozenset({"EFS", "S3", "FSX", "DYNAMODB", "TIMESTREAM", "STORAGE GATEWAY"})
_LISTS = ("BackupJobs", "CopyJobs", "RestoreJobs", "Records", "events", "Events")
_TOLD = re.compile(
    r"An AWS Backup (?P<kind>restore |copy )?job (?P<end>was completed successfully|was completed with issues|failed"
    r"|was stopped|was aborted|expired|has started|was started|is running)"
)
_TOLD_OUTCOMES: dict[str, Outcome] = {
    "was completed successfully": "success", "was completed with issues": "warning", "failed": "failure",
    "was stopped": "failure", "was aborted": "failure", "expired": "missed", "has started": "running",
    "was started": "running", "is running": "running",
}  # fmt: skip
_RESOURCE = re.compile(r"Resource ARN ?: ?(arn:[^\s]{5,500}?)\.?(?:\s|$)")
_JOB_ID = re.compile(r"(?:Backup|Restore|Copy) ?Job ID ?: ?([0-9A-Za-z-]{8,80})", re.I)


def recognises(head: Head) -> bool:
    """An event of the source aws.backup, a list of jobs, one job, or a notification in the service's words."""
    if head.document is not None:
        return any(True for _ in _jobs(head.document, 0))
    return _TOLD.search(head.text) is not None


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each job that is told of."""
    jobs = [job for document in documents(body, context) for job in _jobs(document, 0)]
    if jobs:
        return tuple(_job_log(job) for job in jobs)
    text = decode(body.stdout[:65536])
    if _TOLD.search(text):
        return (_from_words(text),)
    raise UnreadableLog("this tells of no backup, copy or restore job of AWS Backup")


def _jobs(document: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Jobs in a document, as records whose keys begin in lower case, whatever they are wrapped in."""
    if depth > 4:
        return
    if isinstance(document, list):
        for row in rows_of(document):
            yield from _jobs(row, depth + 1)
    elif isinstance(document, dict):
        yield from _jobs_of(document, depth)


def _jobs_of(record: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    if record.get("source") == "aws.backup" and isinstance(record.get("detail"), dict):
        job = first_lower(record["detail"])
        if _kind(job):
            yield {"accountId": record.get("account"), **job}
        return
    plain = first_lower(record)
    if _kind(plain) and ("state" in plain or "status" in plain):
        yield plain
        return
    for key in _LISTS:
        yield from _jobs(record.get(key), depth + 1)
    yield from _jobs_of_notification(record, depth)


def _jobs_of_notification(record: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    """SNS: the event as text in Message, or words with attributes that tell the state."""
    record = nested(record, "Sns") or record
    message = record.get("Message")
    if not isinstance(message, str):
        return
    try:
        yield from _jobs(load(message.encode("utf-8", "replace")), depth + 1)
    except BadJson:
        told = {
            key: nested(nested(record, "MessageAttributes"), key).get("Value")
            for key in ("EventType", "State", "AccountId", "Id", "StartTime")
        }
        if _TOLD.search(message) and told["State"]:
            yield _notified(told, message)


def _notified(told: Mapping[str, Any], message: str) -> dict[str, Any]:
    kind = str(told["EventType"] or "BACKUP_JOB").split("_")[0].lower()
    resource = _RESOURCE.search(message)
    return {
        f"{kind if kind in ('backup', 'copy', 'restore') else 'backup'}JobId": told["Id"],
        "state": told["State"],
        "accountId": told["AccountId"],
        "creationDate": told["StartTime"],
        "resourceArn": resource.group(1) if resource else "",
        "statusMessage": "" if told["State"] == "COMPLETED" else clean(message),
    }


def _kind(job: Mapping[str, Any]) -> Operation | None:
    return next((kind for key, kind in _KINDS if words(job, key)), None)


def _job_log(job: Mapping[str, Any]) -> JobLog:
    operation = _kind(job) or "backup"
    message = words(job, "statusMessage").strip().strip('"').strip()
    state = words(job, "state", "status").upper()
    outcome = _outcome(state, message)
    started, ended = _time(job.get("creationDate")), _time(job.get("completionDate"))
    troubles = Troubles()
    if message and outcome != "running":
        troubles.add(message, severity="warning" if outcome == "warning" else "error")
    sizes = _sizes(job, operation, outcome)
    resource = words(job, "resourceArn", "createdResourceArn")
    return JobLog(
        product="aws-backup",
        operation=operation,
        outcome=outcome,
        run_id=words(job, "backupJobId", "copyJobId", "restoreJobId"),
        source_job=words(nested(job, "createdBy"), "backupPlanName", "backupPlanId") or resource,
        item=resource,
        host=words(job, "resourceName"),
        account=words(job, "accountId"),
        repository=words(job, "backupVaultName", "destinationBackupVaultArn", "backupVaultArn"),
        archive=words(job, "recoveryPointArn", "destinationRecoveryPointArn"),
        started_at=started,
        ended_at=None if outcome == "running" else ended,
        duration_seconds=(ended - started).total_seconds() if started and ended and outcome != "running" else None,
        complete=reached_all(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
        **sizes,
    )


def _outcome(state: str, message: str) -> Outcome:
    outcome = _OUTCOMES.get(state, "unknown")
    return "warning" if outcome == "success" and message else outcome


def _sizes(job: Mapping[str, Any], operation: Operation, outcome: Outcome) -> dict[str, Any]:
    """Sizes the record tells; that of a backup only where it came to its end, that of a copy is the copied backup's."""
    size, sent = amount(job.get("backupSizeInBytes")), amount(job.get("bytesTransferred"))
    ended_well = outcome in ("success", "warning")
    if operation == "restore":
        return {"restored_bytes": size, "sources": _source("restored_bytes", size)} if ended_well else {}
    protected = size if ended_well or (operation == "copy" and size) else None
    basis: Basis = "used" if words(job, "resourceType").upper() in _USED else "provisioned"
    return {
        "protected_bytes": protected,
        "basis": None if protected is None else basis,
        "transferred_bytes": sent,
        "sources": {**_source("protected_bytes", protected), **_source("transferred_bytes", sent)},
    }


def _source(name: str, value: int | None) -> dict[str, str]:
    if value is None:
        return {}
    return {name: "bytesTransferred" if name == "transferred_bytes" else "backupSizeInBytes"}


def _time(value: Any) -> datetime | None:
    if isinstance(value, float):
        return unix(value)
    return moment(value, UTC) or (printed_moment(value, UTC) if isinstance(value, str) else None)


def _from_words(text: str) -> JobLog:
    """A notification in words, as a mail: outcome and resource; no size and no time."""
    match = _TOLD.search(text)
    if match is None:
        raise UnreadableLog("this notification tells of no job")
    outcome = _TOLD_OUTCOMES[match["end"]]
    operation: Operation = "restore" if match["kind"] == "restore " else "copy" if match["kind"] else "backup"
    resource, job_id = _RESOURCE.search(text), _JOB_ID.search(text)
    troubles = Troubles()
    if outcome not in ("success", "running"):
        troubles.add(match.group(), severity="warning" if outcome == "warning" else "error")
    name = clean(resource.group(1)) if resource else ""
    return JobLog(
        product="aws-backup",
        operation=operation,
        outcome=outcome,
        run_id=job_id.group(1) if job_id else "",
        source_job=name,
        item=name,
        account=name.split(":")[4] if name.count(":") >= 5 else "",
        complete=reached_all(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
    )
