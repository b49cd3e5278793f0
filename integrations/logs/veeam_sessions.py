"""Sessions of Veeam's REST APIs: Backup & Replication (v1) and Backup for Microsoft 365.

Called by the format's parser with a document that holds sessions, alone or in a page of a list, and perhaps their task
sessions: each session is a run, the task sessions that name it are its components and tell its sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from integrations.logs.api_rows import amount, moment, reached_all, rows_of, words
from integrations.logs.context import Context
from integrations.logs.event_documents import documents
from integrations.logs.joblog import Component, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import nested
from integrations.logs.troubles import Troubles

_RESULTS: dict[str, Outcome] = {
    "success": "success", "warning": "warning", "failed": "failure", "running": "running", "queued": "running",
    "updating": "running", "stopped": "cancelled", "none": "unknown",
}  # fmt: skip
_LISTS = ("data", "results", "sessions", "taskSessions", "items")
_OPERATIONS: tuple[tuple[str, Operation], ...] = (
    ("surebackup", "verify"), ("malware", "verify"), ("healthcheck", "verify"), ("copy", "copy"), ("tape", "copy"),
    ("replica", "replicate"), ("restore", "restore"), ("recovery", "restore"), ("backup", "backup"),
)  # fmt: skip

_Row = dict[str, Any]


def is_sessions(document: Any) -> bool:
    """True where the document holds a session or a task session of one of the APIs."""
    return any(_is_session(row) or _is_task(row) for row in _rows(document, 0))


def _rows(document: Any, depth: int) -> Iterator[_Row]:
    for row in rows_of(document):
        if depth < 2:
            for key in _LISTS:
                if isinstance(row.get(key), list):
                    yield from _rows(row[key], depth + 1)
        yield row


def _is_session(row: Mapping[str, Any]) -> bool:
    if "creationTime" not in row or _is_task(row):
        return False
    return ("sessionType" in row and "state" in row) or ("status" in row and ("statistics" in row or "jobType" in row))


def _is_task(row: Mapping[str, Any]) -> bool:
    return "sessionId" in row and "creationTime" in row and isinstance(row.get("progress"), dict)


def session_runs(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """A run for each session, and for each group of task sessions whose session did not come along."""
    rows = [row for document in documents(body, context) for row in _rows(document, 0)]
    tasks: dict[str, list[_Row]] = {}
    for row in rows:
        if _is_task(row):
            tasks.setdefault(words(row, "sessionId"), []).append(row)
    sessions = [row for row in rows if _is_session(row)]
    runs = [_job_log(session, tasks.pop(words(session, "id"), [])) for session in sessions]
    runs += [_job_log(_session_of(key, group), group) for key, group in tasks.items()]
    if not runs:
        raise UnreadableLog("this JSON holds no session of Veeam")
    return tuple(runs)


def _session_of(key: str, tasks: list[_Row]) -> _Row:
    """What tasks alone tell of their session: its id; its outcome only where one failed."""
    return {"id": key, "sessionType": words(tasks[0], "sessionType", "type"), "state": "", "creationTime": None}


def _job_log(session: _Row, tasks: list[_Row]) -> JobLog:
    components = tuple(_component(task) for task in tasks)
    outcome = _outcome(session)
    if not session.get("creationTime") and any(one.outcome == "failure" for one in components):
        outcome = "failure"
    operation = _operation(session)
    started, ended = moment(session.get("creationTime")), moment(session.get("endTime"))
    ended = None if outcome == "running" else ended
    troubles = _troubles(session, outcome, components)
    sizes = _sizes(session, tasks, outcome) if operation in ("backup", "copy", "replicate") else {}
    return JobLog(
        product="veeam",
        operation=operation,
        action=words(session, "sessionType") if operation == "inventory" else "",
        outcome=outcome,
        run_id=words(session, "id"),
        source_job=words(session, "name", "jobName", "jobId"),
        started_at=started,
        ended_at=ended,
        duration_seconds=(ended - started).total_seconds() if started and ended else None,
        complete=reached_all(outcome),
        checksum_ok=(True if outcome == "success" else None) if operation == "verify" else None,
        errors=troubles.kept,
        errors_total=troubles.total,
        components=components,
        **sizes,
    )


def _outcome(session: Mapping[str, Any]) -> Outcome:
    """``result.result`` once the state is Stopped; any other state is still at work. Microsoft 365: ``status``."""
    result = nested(session, "result")
    state = words(session, "state").lower()
    if "status" in session and not state:
        return _RESULTS.get(words(session, "status").lower(), "unknown")
    if state and state != "stopped":
        return "running"
    if result.get("isCanceled") is True:
        return "cancelled"
    return (
        _RESULTS.get((words(result, "result") or words(session, "result")).lower(), "unknown") if state else "unknown"
    )


def _operation(session: Mapping[str, Any]) -> Operation:
    told = (words(session, "sessionType") or words(session, "jobType", "type") or "backup").lower()
    return next((operation for word, operation in _OPERATIONS if word in told), "inventory")


def _component(task: Mapping[str, Any]) -> Component:
    progress, result = nested(task, "progress"), nested(task, "result")
    told = (words(result, "result") or words(task, "result")).lower()
    outcome = _RESULTS.get(told, "unknown")
    if words(task, "state").lower() not in ("", "stopped", "success", "failed", "warning"):
        outcome = "running"
    return Component(
        type="vm",
        name=words(task, "name"),
        outcome=outcome,
        protected_bytes=amount(progress.get("processedSize")) if outcome in ("success", "warning") else None,
        transferred_bytes=amount(progress.get("transferredSize")),
        message=words(result, "message"),
    )


def _troubles(session: Mapping[str, Any], outcome: Outcome, components: tuple[Component, ...]) -> Troubles:
    troubles = Troubles()
    for one in components:
        if one.outcome in ("failure", "warning"):
            severity: Any = "error" if one.outcome == "failure" else "warning"
            troubles.add(one.message or f"{one.name}: {one.outcome}", severity=severity, component=one.name)
    message = words(nested(session, "result"), "message")
    if outcome in ("failure", "warning", "cancelled") and (message or not troubles.total):
        told = message or f"the session ended with {words(nested(session, 'result'), 'result') or outcome}"
        troubles.add(told, severity="warning" if outcome == "warning" else "error")
    return troubles


def _sizes(session: Mapping[str, Any], tasks: list[_Row], outcome: Outcome) -> dict[str, Any]:
    """Sums over the task sessions; the protected size only where each of them came to its end."""
    progress = [nested(task, "progress") for task in tasks]
    ended_well = outcome in ("success", "warning")
    protected = _total(progress, "processedSize") if ended_well else None
    sent = _total(progress, "transferredSize")
    if sent is None:
        sent = amount(nested(session, "statistics").get("transferredDataBytes"))
    sizes = {"protected_bytes": protected, "changed_bytes": _total(progress, "readSize"), "transferred_bytes": sent}
    named = {"protected_bytes": "processedSize", "changed_bytes": "readSize", "transferred_bytes": "transferredSize"}
    return {
        **sizes,
        "basis": None if protected is None else "provisioned",
        "sources": {key: named[key] for key, value in sizes.items() if value is not None},
    }


def _total(progress: list[dict[str, Any]], key: str) -> int | None:
    found = [amount(one.get(key)) for one in progress]
    return sum(value for value in found if value is not None) if found and None not in found else None
