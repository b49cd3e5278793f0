"""Comet Backup: the webhook of a job, and the jobs its API lists.

Both hold the vendor's BackupJobDetail: numbers for what the job did and how it ended, Unix seconds, and sizes in
bytes. Its log lines are no part of it. Several jobs in one answer are a run each; a webhook of another kind than a
job's start or end is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from integrations.logs.api_rows import amount, moment, reached_all, rows_of, words
from integrations.logs.context import Context
from integrations.logs.event_documents import documents
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import nested

LABEL = "Comet Backup"
MARKS = ('"SourceGUID"', '"SEVT_')
GUIDE = Guide(
    releases="job details and event codes of Comet Server 20 to 24",
    written_from="the vendor's published API definitions and made-up webhooks; no captured one",
    operations=("backup", "restore", "prune", "verify"),
    basis="logical: TotalSize, what was selected at the source, each file once",
    sizes=(
        ("protected_bytes", "TotalSize"),
        ("transferred_bytes", "UploadSize"),
        ("stored_bytes", "DestinationSizeEnd.Size"),
    ),
    cannot_tell=(
        "The messages of a job: they are in the job's own log, which the webhook does not hold.",
        "The names of device and protected item: a webhook holds their ids.",
        "The whole selection where a job failed: its size is shown and never billed.",
    ),
    ways=(
        Way(
            "http",
            "Comet Server, Settings, Webhook: add a webhook for job events",
            "URL: @URL@/api/v1/logs?format=comet\nHeader: Authorization: Bearer @KEY@\nEvents: SEVT_JOB_NEW, "
            "SEVT_JOB_COMPLETED",
            language="text",
            note="Choose the level that includes the job's details.",
        ),
        Way(
            "pull",
            "Or Settings, Pull sources, Comet Server: the jobs of all users",
            "https://comet.example.com with an administrator who may only read",
            language="text",
            note="See docs/pull.md for the administrator's rights.",
        ),
        Way(
            "http",
            "Or ask the API (cron)",
            'curl -sS https://comet.example/api/v1/admin/get-jobs-recent -d Username="$ADMIN" -d AuthType=Password -d '
            'Password="$PASSWORD" | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- '
            '"@URL@/api/v1/logs?format=comet"',
        ),
    ),
)

_OPERATIONS: dict[int, tuple[Operation, str]] = {
    4001: ("backup", ""),
    4002: ("restore", ""),
    4003: ("prune", ""),
    4004: ("inventory", "unlock"),
    4005: ("prune", "delete snapshot"),
    4006: ("inventory", "remeasure"),
    4007: ("inventory", "software update"),
    4008: ("inventory", "import"),
    4009: ("inventory", "reindex"),
    4010: ("verify", ""),
    4011: ("inventory", "uninstall"),
}
_ENDS: dict[int, tuple[Outcome, str]] = {
    7000: ("failure", "the job timed out"),
    7001: ("warning", "the job ended with warnings: see its log in Comet"),
    7002: ("failure", "the job ended with errors: see its log in Comet"),
    7003: ("failure", "a quota was exceeded"),
    7004: ("missed", "the job did not start at its scheduled time"),
    7005: ("cancelled", "the job was cancelled"),
    7006: ("skipped", "skipped: an earlier run had not ended"),
    7007: ("failure", "the job was abandoned"),
}


def recognises(head: Head) -> bool:
    """A job's detail, alone, in a list or in a webhook, or another event of the server."""
    document = head.document
    return any(True for _ in _details(document)) or (
        isinstance(document, dict) and words(document, "TypeString").startswith("SEVT_") and "Timestamp" in document
    )


def _details(document: Any) -> Iterator[dict[str, Any]]:
    for row in rows_of(document):
        job = nested(row, "Data") or row
        if "GUID" in job and "Classification" in job and "Status" in job:
            yield job
        elif isinstance(document, dict) and "Jobs" in row:
            yield from _details(row["Jobs"])


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each job."""
    jobs = [job for document in documents(body, context) for job in _details(document)]
    if not jobs:
        raise UnreadableLog("this event of Comet tells of no job")
    return tuple(_job_log(job) for job in jobs)


def _job_log(job: Mapping[str, Any]) -> JobLog:
    operation, action = _OPERATIONS.get(amount(job.get("Classification")) or 0, ("inventory", "unknown job"))
    outcome, why = _end(amount(job.get("Status")))
    started = moment(job.get("StartTime"))
    ended = None if outcome == "running" else moment(job.get("EndTime"))
    return JobLog(
        product="comet",
        operation=operation,
        action=action,
        outcome=outcome,
        run_id=words(job, "GUID"),
        source_job=words(job, "SourceDescription", "SourceGUID"),
        host=words(job, "DeviceID"),
        account=words(job, "Username"),
        repository=words(job, "DestinationGUID"),
        archive=words(job, "SnapshotID"),
        product_version=words(job, "ClientVersion"),
        started_at=started,
        ended_at=ended,
        duration_seconds=(ended - started).total_seconds() if started and ended else None,
        complete=reached_all(outcome),
        checksum_ok=(True if outcome == "success" else None) if operation == "verify" else None,
        files=_counts(job, "TotalFiles"),
        dirs=_counts(job, "TotalDirectories"),
        notes=(why,) if why else (),
        **_sizes(job, operation, outcome),
    )


def _end(status: int | None) -> tuple[Outcome, str]:
    if status is None:
        return "unknown", ""
    if 5000 <= status <= 5999:
        return "success", ""
    if 6000 <= status <= 6999:
        return "running", ""
    if status in _ENDS:
        return _ENDS[status]
    return ("failure", f"status {status}") if 7000 <= status <= 7999 else ("unknown", f"status {status}")


def _counts(job: Mapping[str, Any], key: str) -> dict[str, int]:
    found = amount(job.get(key))
    return {} if found is None else {"total": found}


def _sizes(job: Mapping[str, Any], operation: Operation, outcome: Outcome) -> dict[str, Any]:
    """Sizes as the record tells them. A job that ended early may not have counted all: 0 is then no size."""
    total = amount(job.get("TotalSize"))
    if operation == "restore":
        return {"restored_bytes": total} if outcome in ("success", "warning") else {}
    if operation != "backup":
        return {}
    told = total if outcome == "success" or (total and outcome in ("warning", "failure", "cancelled")) else None
    at_end = nested(job, "DestinationSizeEnd")
    stored = amount(at_end.get("Size")) if amount(at_end.get("MeasureCompleted")) else None
    sizes = {"protected_bytes": told, "transferred_bytes": amount(job.get("UploadSize")), "stored_bytes": stored}
    words_of = {"protected_bytes": "TotalSize", "transferred_bytes": "UploadSize", "stored_bytes": "DestinationSizeEnd"}
    return {
        **sizes,
        "basis": None if told is None else "logical-each",
        "sources": {key: words_of[key] for key, value in sizes.items() if value is not None},
    }
