"""Proxmox Backup Server 2 to 4: tasks and snapshots of its API, task logs, notifications, and the client's output.

A task's status is its outcome: OK, WARNINGS: n, or the error itself. Times of tasks are Unix seconds or carry their
offset; a snapshot's name is its start in UTC. The protected size is the sum of the index sizes of a snapshot: disks
as provisioned, archives as their content with hard links once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, words
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import invocations
from integrations.logs.context import Context
from integrations.logs.figures import printed_size
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Basis, Component, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import listed, nested, text
from integrations.logs.moments import iso
from integrations.logs.proxmox_task_log import SNAPSHOT, TaskLog, read_task_log, status_outcome
from integrations.logs.troubles import Troubles

LABEL = "Proxmox Backup Server"
MARKS = (
    "worker_type",
    "backup-type",
    "atastore",
    "Starting backup: ",
    "proxmox-backup-client",
    "garbage collection on",
)
GUIDE = Guide(
    releases="2, 3 and 4",
    written_from="the notification templates of its sources; all else as known, without captured logs",
    operations=("backup", "copy", "restore", "verify", "prune", "inventory"),
    basis="provisioned for virtual machines' disks; logical, hard links once, for archives",
    sizes=(
        ("protected_bytes", "Size of each index; of the client: had to backup .. of SIZE"),
        ("transferred_bytes", "Upload size; of the client: compressed; of a sync: Summary"),
        ("stored_bytes", "On-Disk usage of a garbage collection"),
        ("freed_bytes", "Removed garbage"),
    ),
    cannot_tell=(
        "Sizes in a list of tasks: they are in the logs of the tasks.",
        "What one snapshot occupies: chunks are shared by all snapshots of a datastore.",
        "Times in notifications.",
    ),
    ways=(
        Way(
            "pull",
            "Settings, Pull sources, Proxmox Backup Server: all tasks with their logs",
            "https://pbs.example.com:8007 with an API token that has Audit on /system/tasks",
            language="text",
            note="See docs/pull.md for the token and the fingerprint.",
        ),
        Way(
            "wrapper",
            "Client backups of a host",
            "backledger-run --job root -- proxmox-backup-client backup root.pxar:/ --repository backup@pbs@pbs:store",
        ),
        Way(
            "webhook",
            "Notifications (Configuration, Notifications, Add, Webhook)",
            "Method: POST\nURL: @URL@/api/v1/logs?format=proxmox-backup-server\n"
            'Header: Authorization = Bearer @KEY@\nBody: {"title": "{{ escape title }}", '
            '"message": "{{ escape message }}", "severity": "{{ severity }}", "timestamp": {{ timestamp }}}',
            language="text",
        ),
        Way(
            "http",
            "Tasks of the last day",
            "proxmox-backup-manager task list --all --output-format json >tasks.json\n"
            'curl -sS -H "Authorization: Bearer @KEY@" --data-binary @tasks.json '
            '"@URL@/api/v1/logs?format=proxmox-backup-server"',
        ),
        Way("email", "Notifications by mail", "@ADDRESS@", language="text"),
    ),
    notes=(
        "Each backup task is a run of the guest or host it names (vm/100): assign those to their clients.",
        "A sync is a copy; a garbage collection is a prune without a size of its own.",
        "A backup task that ended without its finish call failed, whatever was uploaded.",
    ),
)

_CLIENT = "proxmox-backup-client"
_SUBJECT = re.compile(
    r"(Garbage Collect Datastore|Verify Datastore|Prun(?:e|ing) datastore|Sync remote|Sync local datastore|Tape Backup)"
    r" (?:'([^']{0,100})' ?)?(?:datastore '([^']{0,100})' ?)?(successful|failed)", re.I
)  # fmt: skip
_SIGNS = re.compile(
    r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:Z|[+-][0-9:]{5}): )?"
    r"(?:starting new (?:backup|reader) on datastore '|starting garbage collection on store "
    r"|Starting datastore (?:verify|sync|prune) |[Ss]tarting tape backup job '|prune job '|verify datastore \S+$"
    r"|sync datastore '|verify group \S+:\S+"
    rf"|Starting backup: (?:\[[^\]\n]{{1,300}}\]:)?{SNAPSHOT}$)", re.M
)  # fmt: skip
_BODY = re.compile(
    r"^(?:Synchronization|Verification|Garbage collection|Pruning|Tape Backup) (?:successful|failed)\b", re.M
)  # fmt: skip
_STORE = re.compile(r"^Datastore: +(\S{1,100})", re.M)


def recognises(head: Head) -> bool:
    """Rows of the API, a notification, a task log, or the client's words and command line."""
    if _rows(head.document) or _SUBJECT.match(head.subject):
        return True
    if isinstance(head.document, dict):
        title = text(head.document, "title")
        return bool(_SUBJECT.match(title)) or _is_log_answer(head.document)
    if re.search(r"^INFO: ", head.stdout, re.M):
        return False
    told = head.text
    return head.has(_SIGNS) or bool(_BODY.search(told) and _STORE.search(told)) or head.calls(_CLIENT)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """A run for each task or group of snapshots; one for a log or a notification."""
    document = context.head.document
    rows = _rows(document)
    if rows:
        return _of_rows(rows)
    if isinstance(document, dict):
        if _is_log_answer(document):
            return (_of_log(_read_texts(_log_texts(document["data"])), body),)
        title, message = text(document, "title"), text(document, "message")
        if _SUBJECT.match(title) or _BODY.search(message[:100_000]):
            return (_of_notification(title, message, body, document),)
        raise UnreadableLog("this JSON holds neither tasks, snapshots, a task log nor a notification")
    told = context.head.text
    if _SUBJECT.match(context.head.subject) or (_BODY.search(told) and _STORE.search(told)):
        return (_of_notification(context.head.subject, told, body, {}),)
    return (_of_log(read_task_log(line.text for line in log_lines(body.stdout, body.stderr)), body),)


# ----------------------------------------------------------------------------------------------------------------- API


def _rows(document: Any) -> list[dict[str, Any]]:
    found = listed_under(document, "data", "tasks", "snapshots")
    if not found and isinstance(document, dict) and "upid" in document and "worker_type" in document:
        found = [document]
    return [row for row in found if _is_task(row) or _is_snapshot(row)]


def _is_task(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("upid"), str) and isinstance(row.get("worker_type"), str)


def _is_snapshot(row: Mapping[str, Any]) -> bool:
    return "backup-id" in row and "backup-type" in row and "backup-time" in row


def _is_log_answer(document: Mapping[str, Any]) -> bool:
    """The answer of tasks/UPID/log: numbered lines, among them one that only such a task prints."""
    lines = listed(dict(document), "data")
    texts = _log_texts(lines[:400])
    return bool(texts) and bool(_SIGNS.search("\n".join(texts)))


def _log_texts(lines: Any) -> list[str]:
    if isinstance(lines, str):
        return lines.splitlines()
    found = lines if isinstance(lines, list) else []
    return [text(row, "t") if isinstance(row, dict) else str(row) for row in found if isinstance(row, dict | str)]


def _read_texts(lines: list[str]) -> TaskLog:
    return read_task_log(line.text for line in log_lines("\n".join(lines).encode("utf-8", "backslashreplace")))


def _of_rows(rows: list[dict[str, Any]]) -> tuple[JobLog, ...]:
    tasks = tuple(found for row in rows if _is_task(row) and (found := _of_task(row)) is not None)
    newest: dict[str, dict[str, Any]] = {}
    for row in (row for row in rows if _is_snapshot(row)):
        group = _group_of(row)
        if group not in newest or (amount(row["backup-time"]) or 0) > (amount(newest[group]["backup-time"]) or 0):
            newest[group] = row
    runs = (*tasks, *(_of_snapshot(group, row) for group, row in newest.items()))
    if not runs:
        raise UnreadableLog("none of these tasks is a backup, sync, restore, verification, prune or garbage collection")
    return runs


_WORKERS: dict[str, tuple[Operation, str]] = {
    "backup": ("backup", ""), "reader": ("restore", ""), "sync": ("copy", "sync"), "syncjob": ("copy", "sync"),
    "verify": ("verify", ""), "verificationjob": ("verify", ""), "verify_group": ("verify", ""),
    "verify_snapshot": ("verify", ""), "verify-group": ("verify", ""), "verify-snapshot": ("verify", ""),
    "prune": ("prune", ""), "prunejob": ("prune", ""), "prune-group": ("prune", ""),
    "garbage_collection": ("prune", "garbage-collection"), "tape-backup": ("copy", "tape-backup"),
    "tape-backup-job": ("copy", "tape-backup"), "backup-job": ("copy", "tape-backup"),
    "tape-restore": ("restore", "tape-restore"),
}  # fmt: skip
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def _of_task(row: Mapping[str, Any]) -> JobLog | None:
    """The run of a task, with its log (under ``log``, as the API answers it) where the row holds one."""
    known = _WORKERS.get(text(row, "worker_type"))
    if known is None:
        return None
    log = _read_texts(_log_texts(row.get("log")))
    status = words(row, "status", "exitstatus")
    outcome, ended = _task_outcome(row, status), moment(row.get("endtime"))
    if outcome in ("failure", "cancelled") and log.outcome is None:
        log.troubles.add(status or "the task failed")
    worker = _ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), text(row, "worker_id"))
    store, item = _parts_of(worker)
    return _run(
        log, operation=known[0], action=known[1], outcome=outcome, run_id=text(row, "upid"),
        source_job=store if item else worker, item=item, host=words(row, "node"), account=text(row, "user"),
        started_at=moment(row.get("starttime")), ended_at=ended, repository=store,
    )  # fmt: skip


def _task_outcome(row: Mapping[str, Any], status: str) -> Outcome:
    if status in ("", "running"):
        return "running" if row.get("endtime") is None else "unknown"
    if status == "stopped":
        return "unknown"
    return status_outcome(status)


def _parts_of(worker: str) -> tuple[str, str]:
    """Datastore and group of ``store:vm/100`` (also with a namespace or a snapshot); jobs have no group."""
    store, _, rest = worker.partition(":")
    match = re.match(r"((?:ns/.{1,300}/)?(?:vm|ct|host)/[^/\s:]{1,255})", rest.strip(":")[:600])
    return store, match.group(1) if match else ""


def _group_of(row: Mapping[str, Any]) -> str:
    space = words(row, "ns", "backup-ns")
    return f"{f'ns/{space}/' if space else ''}{words(row, 'backup-type')}/{words(row, 'backup-id')}"


def _of_snapshot(group: str, row: Mapping[str, Any]) -> JobLog:
    """The newest snapshot of a group, as the list of snapshots has it: what exists, not what ran."""
    state = text(nested(dict(row), "verification"), "state")
    size, taken = amount(row.get("size")), moment(row.get("backup-time"))
    troubles = Troubles()
    if state == "failed":
        troubles.add(f"verification of {group} failed")
    protected = size if size is not None and size > 0 and state != "failed" else None
    stamp = taken.strftime("%Y-%m-%dT%H:%M:%SZ") if taken else ""
    return JobLog(
        product="proxmox-backup-server",
        operation="inventory",
        outcome="failure" if state == "failed" else "success",
        action="list",
        run_id=f"{group}/{stamp}" if stamp else "",
        item=group,
        archive=f"{group}/{stamp}" if stamp else "",
        account=text(row, "owner"),
        last_full_at=taken,
        checksum_ok={"ok": True, "failed": False}.get(state),
        protected_bytes=protected,
        basis=_basis(group) if protected is not None else None,
        sources={"protected_bytes": "size"} if protected is not None else {},
        errors=troubles.kept,
        errors_total=troubles.total,
    )


# ------------------------------------------------------------------------------------------------------- notifications

_NOTICES: dict[str, tuple[Operation, str]] = {
    "garbage": ("prune", "garbage-collection"), "verif": ("verify", ""), "prun": ("prune", ""),
    "sync": ("copy", "sync"), "tape": ("copy", "tape-backup"),
}  # fmt: skip
_FIELD = re.compile(r"^(Job ID|Datastore|Remote|Remote Store|Local Source Store|Task ID|Tape Pool): +(\S.{0,300})$")
_REASON = re.compile(r"(?:Synchronization|Garbage collection|Pruning|Tape Backup) failed: (.{1,2000})$", re.I)


def _of_notification(subject: str, told: str, body: Delivery, document: Mapping[str, Any]) -> JobLog:
    match = _SUBJECT.match(subject)
    found = _BODY.search(told)
    word = (match.group(1) if match else found.group(0) if found else "").lower()
    operation, action = next((kind for start, kind in _NOTICES.items() if word.startswith(start)), ("verify", ""))
    last = match.group(4) if match else ("failed" if found and "failed" in found.group(0) else "successful")
    cut = found is None
    fields, log = _fields_of(told)
    failed = last.lower() == "failed"
    if failed and not log.troubles.total:
        log.troubles.add(subject or "failed")
    outcome: Outcome = "failure" if failed else "unknown" if cut else "success"
    return _run(
        log, operation=operation, action=action, outcome=outcome, run_id=fields.get("Task ID", ""),
        source_job=fields.get("Job ID") or fields.get("Datastore", ""), item="", host="", account="",
        started_at=None, ended_at=moment(document.get("timestamp")), repository=fields.get("Datastore", ""),
    )  # fmt: skip


def _fields_of(told: str) -> tuple[dict[str, str], TaskLog]:
    """``Name: value`` lines of a notification, and the figures and failed snapshots that it lists."""
    fields: dict[str, str] = {}
    lines = [line.text.strip() for line in log_lines(told.encode("utf-8", "backslashreplace"))]
    log = TaskLog()
    listing = False
    for line in lines:
        if match := _FIELD.match(line):
            fields.setdefault(match.group(1), match.group(2).strip())
        elif match := _REASON.match(line):
            log.troubles.add(match.group(1))
        elif line.startswith("Verification failed on these"):
            listing = True
        elif line.startswith("Please visit"):
            listing = False
        elif listing and line:
            log.troubles.add(f"verification failed: {line}")
        elif line.startswith(("Removed garbage:", "On-Disk usage:")):
            name = "freed_bytes" if line.startswith("Removed") else "stored_bytes"
            size = printed_size(line.partition(":")[2].split("(")[0])
            if size is not None:
                log.figures[name], log.rounded = size, True
    return fields, log


# ---------------------------------------------------------------------------------------------------------------- runs


def _of_log(log: TaskLog, body: Delivery) -> JobLog:
    asked = _asked(body.command)
    operation = log.operation or asked
    if operation is None:
        raise UnreadableLog("nothing in this log tells which task it is of")
    calls = invocations(body.command, (_CLIENT,))
    outcome = _log_outcome(log, None if calls and calls[-1].masked else body.exit_code)
    store, item = _parts_of(log.subject)
    group = log.snapshot.rsplit("/", 1)[0] or item
    return _run(
        log, operation=operation, action=log.action, outcome=outcome, run_id=log.snapshot,
        source_job=log.datastore or (store if item else log.subject), item=group, host=log.host, account="",
        started_at=_start_of(log), ended_at=None if log.client else log.ended_at,
        repository=log.datastore or store, exit_code=body.exit_code,
    )  # fmt: skip


def _asked(command: str) -> Operation | None:
    match = re.search(
        r"proxmox-backup-client\s+(?:--?\S+\s+){0,20}?(backup|restore|prune|list|snapshot|catalog)\b", command[:8192]
    )
    if match is None:
        return None
    known: dict[str, Operation] = {"backup": "backup", "restore": "restore", "prune": "prune"}
    return known.get(match.group(1), "inventory")


def _log_outcome(log: TaskLog, code: int | None) -> Outcome:
    if code not in (None, 0) and not (log.outcome and not log.client):
        if not log.troubles.errors:
            log.troubles.add(f"proxmox-backup-client ended with exit code {code}")
        return "failure"
    outcome = log.outcome or ("success" if code == 0 and log.client is False and log.operation is None else "unknown")
    return "warning" if outcome == "success" and log.client and log.troubles.total else outcome


def _start_of(log: TaskLog) -> datetime | None:
    return log.started_at or (iso(log.snapshot.rsplit("/", 1)[-1], None) if log.client else None)


_NO_DATA = ("catalog.pcat1.didx", "catalog.pcat1")


def _run(
    log: TaskLog, *, operation: Operation, action: str, outcome: Outcome, run_id: str, source_job: str, item: str,
    host: str, account: str, started_at: datetime | None, ended_at: datetime | None, repository: str,
    exit_code: int | None = None,
) -> JobLog:  # fmt: skip
    good = outcome in ("success", "warning")
    data = {name: size for name, size in log.indexes.items() if name not in _NO_DATA} if operation == "backup" else {}
    protected = sum(data.values()) if data and good else None
    moved = log.compressed or log.uploaded
    transferred = sum(moved.values()) if moved and operation == "backup" else log.figures.get("transferred_bytes")
    seconds = log.duration
    if seconds is None and started_at and ended_at and ended_at >= started_at:
        seconds = (ended_at - started_at).total_seconds()
    return JobLog(
        product="proxmox-backup-server",
        operation=operation,
        outcome=outcome,
        action=action,
        run_id=run_id,
        source_job=source_job,
        item=item,
        host=host,
        account=account,
        repository=repository,
        archive=log.snapshot,
        roots=tuple(log.roots),
        started_at=started_at,
        ended_at=ended_at,
        duration_seconds=seconds,
        protected_bytes=protected,
        changed_bytes=sum(log.uploaded.values()) if log.client and log.uploaded else None,
        transferred_bytes=transferred,
        stored_bytes=log.figures.get("stored_bytes"),
        freed_bytes=log.figures.get("freed_bytes"),
        rounded=log.rounded,
        basis=_basis(item) if protected is not None else None,
        complete=_complete(operation, outcome),
        checksum_ok=_checksum(operation, outcome, log),
        errors=log.troubles.kept,
        errors_total=log.troubles.total,
        components=_components(data, log),
        exit_code=exit_code,
        sources={"protected_bytes": "Size of the indexes" if not log.client else "had to backup .. of"}
        if protected is not None
        else {},
    )


def _basis(group: str) -> Basis:
    return "provisioned" if "vm/" in group else "logical-once"


def _complete(operation: Operation, outcome: Outcome) -> bool | None:
    if outcome in ("failure", "cancelled"):
        return False
    return True if operation in ("backup", "copy") and outcome == "success" else None


def _checksum(operation: Operation, outcome: Outcome, log: TaskLog) -> bool | None:
    if operation != "verify":
        return None
    if outcome == "success":
        return True
    words_of_it = " ".join(error.message for error in log.troubles.kept).lower()
    return False if outcome == "failure" and "verif" in words_of_it else None


def _components(data: Mapping[str, int], log: TaskLog) -> tuple[Component, ...]:
    """The disks of a guest: ``drive-scsi0.img.fidx`` is ``drive-scsi0``."""
    if len(data) < 2:
        return ()
    return tuple(
        Component(
            type="disk" if ".img" in name else "volume",
            name=name.split(".")[0],
            outcome=log.outcome or "unknown",
            protected_bytes=size,
            transferred_bytes=log.uploaded.get(name),
        )
        for name, size in list(data.items())[:200]
    )
