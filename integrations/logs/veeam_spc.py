"""Veeam Service Provider Console: jobs of backup servers and agents with their last session, of its REST API v3.

One job with its last session is a run; the objects of that session are its components. A job of a server belongs to the
company it is mapped to, else to the one that owns the server. The console tells what was sent and what the chain
occupies, never the size of the selection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from integrations.logs.api_rows import amount, moment, reached_all, rows_of, words
from integrations.logs.context import Context
from integrations.logs.event_documents import documents
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import listed, nested
from integrations.logs.troubles import Troubles

LABEL = "Veeam Service Provider Console"
MARKS = ('"lastRun"',)
GUIDE = Guide(
    releases="REST API v3 of Service Provider Console 5 to 8",
    written_from="the vendor's API schema; no captured answer",
    operations=("backup", "copy", "replicate", "verify"),
    sizes=(("transferred_bytes", "transferredData"), ("stored_bytes", "backupChainSize")),
    cannot_tell=(
        "The protected size: add a measurement of the selection, or let Backup & Replication mail its reports.",
        "Sessions between two looks: the console shows each job's last one only.",
        "Jobs of Backup for Microsoft 365: they are not asked for.",
    ),
    ways=(
        Way(
            "pull",
            "Settings, Pull sources, Veeam Service Provider Console",
            "https://vspc.example.com:1280 with an API key of a read-only user",
            language="text",
            note="See docs/pull.md for the user's rights.",
        ),
        Way(
            "http",
            "Or the jobs of all backup servers (cron)",
            'curl -sS -H "Authorization: Bearer $VSPC_KEY" '
            '"https://vspc.example.com:1280/api/v3/infrastructure/backupServers/jobs?limit=500" | curl -sS '
            '-H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=veeam-spc"',
        ),
    ),
)

_OUTCOMES: dict[str, Outcome] = {
    "success": "success", "warning": "warning", "failed": "failure", "running": "running", "starting": "running",
    "stopping": "running", "waitingtape": "running", "waitingrepository": "running", "pending": "running",
}  # fmt: skip
_OPERATIONS: tuple[tuple[str, Operation], ...] = (
    ("surebackup", "verify"), ("copy", "copy"), ("tape", "copy"), ("replication", "replicate"),
)  # fmt: skip
_JOBS = ("backupServerJob", "backupAgentJob")
_Row = dict[str, Any]


def recognises(head: Head) -> bool:
    """A job of the console, as the connector delivers it, or a page of them."""
    return any(True for _ in _jobs(head.document))


def _jobs(document: Any) -> Iterator[tuple[_Row, _Row]]:
    """Each job with the document it stands in."""
    for row in rows_of(document):
        told = [nested(row, key) for key in _JOBS if _is_job(nested(row, key))]
        if told:
            yield told[0], row
        elif _is_job(row):
            yield row, {}
        else:
            yield from ((job, {}) for job in rows_of(listed(row, "data")) if _is_job(job))


def _is_job(row: Mapping[str, Any]) -> bool:
    owner = "backupServerUid" in row or "backupAgentUid" in row
    return owner and "lastRun" in row and isinstance(row.get("status"), str) and "instanceUid" in row


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """A run for each job that ever ran."""
    jobs = [found for document in documents(body, context) for found in _jobs(document)]
    runs = tuple(_job_log(job, around) for job, around in jobs if moment(job.get("lastRun")))
    if not runs:
        raise UnreadableLog("none of these jobs of the console ever ran")
    return runs


def _job_log(job: _Row, around: _Row) -> JobLog:
    outcome = _OUTCOMES.get(words(job, "status").lower(), "unknown")
    operation = _operation(job)
    started = moment(job.get("lastRun"))
    ended = None if outcome == "running" else moment(job.get("lastEndTime") or job.get("endTime"))
    ended = None if started and ended and ended < started else ended
    company, host = _names(around, "company"), _names(around, "backupServer", "backupAgent")
    components = tuple(_component(task) for task in rows_of(listed(job, "lastSessionTasks")))
    troubles = _troubles(job, outcome, components)
    return JobLog(
        product="veeam-spc",
        operation=operation,
        outcome=outcome,
        run_id=f"{words(job, 'instanceUid')} {started.isoformat() if started else ''}",
        source_job=words(job, "name", "instanceUid"),
        item="/".join(part for part in (company, host) if part),
        host=host,
        account=company,
        repository=words(job, "destination"),
        started_at=started,
        ended_at=ended,
        duration_seconds=(ended - started).total_seconds() if started and ended else None,
        complete=reached_all(outcome),
        checksum_ok=(True if outcome == "success" else None) if operation == "verify" else None,
        errors=troubles.kept,
        errors_total=troubles.total,
        components=components,
        **_sizes(job, outcome),
    )


def _names(around: _Row, *keys: str) -> str:
    return next((found for key in keys if (found := words(nested(around, key), "name"))), "")


def _operation(job: _Row) -> Operation:
    told = words(job, "type").lower()
    return next((operation for word, operation in _OPERATIONS if word in told), "backup")


def _component(task: _Row) -> Component:
    return Component(
        type="vm",
        name=words(task, "objectName", "objectUid"),
        outcome=_OUTCOMES.get(words(task, "status").lower(), "unknown"),
        transferred_bytes=amount(task.get("transferredDataSize")),
        message="; ".join(str(one) for one in listed(task, "failureMessages")[:5])[:1000],
    )


def _troubles(job: _Row, outcome: Outcome, components: tuple[Component, ...]) -> Troubles:
    troubles = Troubles()
    for one in components:
        if one.outcome in ("failure", "warning"):
            troubles.add(
                one.message or f"{one.name}: {one.outcome}",
                severity="error" if one.outcome == "failure" else "warning",
                component=one.name,
            )
    message = " ".join(words(job, "failureMessage").split())
    if outcome in ("failure", "warning") and (message or not troubles.total):
        troubles.add(
            message or f"the last session ended with {words(job, 'status')}",
            severity="warning" if outcome == "warning" else "error",
        )
    return troubles


def _sizes(job: _Row, outcome: Outcome) -> dict[str, Any]:
    """A session that goes on has sent only part; the chain is what the last look of the console found."""
    sent = None if outcome == "running" else amount(job.get("transferredData"))
    stored = amount(job.get("backupChainSize")) or None
    told = {"transferred_bytes": (sent, "transferredData"), "stored_bytes": (stored, "backupChainSize")}
    return {
        **{name: value for name, (value, _) in told.items()},
        "sources": {name: word for name, (value, word) in told.items() if value is not None},
    }
