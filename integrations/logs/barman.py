"""Barman 2 and 3: backup, check, recover and delete as text, its log file, ``-f json``, show-backup and list-backups.

Each server of a log is a run of its own. The size of a base backup (without WAL) is that of the cluster's files; text
prints it rounded in powers of 1024, JSON in bytes. Text times are local, those of JSON have an offset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from integrations.logs.around_dumps import is_masked
from integrations.logs.barman_catalogue import asctime, is_catalogue, runs_of_catalogue, runs_of_shown
from integrations.logs.bytes_to_text import Line, log_lines
from integrations.logs.command_line import invocations, positional
from integrations.logs.context import Context
from integrations.logs.figures import is_rounded, printed_size, spoken_seconds
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import listed, text
from integrations.logs.moments import iso
from integrations.logs.troubles import Troubles

LABEL = "Barman"
MARKS = (
    "barman", "Barman", "BARMAN", "Starting backup using ", "ase_backup_information", "ase backup information",
    "minimum redundancy requirements", " - WAL Size: ",
)  # fmt: skip
GUIDE = Guide(
    releases="2.0 to 3.16",
    written_from="real logs of 3.4, and Barman's sources",
    operations=("backup", "restore", "verify", "prune", "inventory"),
    basis="logical, each file once: the cluster without its WAL",
    sizes=(
        ("protected_bytes", "Backup size; show-backup: cluster_size_bytes or disk_usage_bytes"),
        ("stored_bytes", "Backup size; show-backup: disk_usage_bytes"),
        ("transferred_bytes", "Actual size on disk; show-backup: incremental_size_bytes"),
    ),
    cannot_tell=(
        "The exact size and the end of a backup from its own log: send barman -f json show-backup NAME latest as well.",
        "UTC of times in text without the zone of the server, which the wrapper sends.",
    ),
    ways=(
        Way("wrapper", "Backups", "backledger-run --job shopdb -- barman backup shopdb"),
        Way("wrapper", "Checks", "backledger-run --job shopdb-check -- barman check shopdb"),
        Way("wrapper", "Exact sizes", "backledger-run --job shopdb -- barman -f json show-backup shopdb latest"),
    ),
)

_NAMES = ("barman",)
_SIGNS = re.compile(
    r"^(?:Starting backup using [\w-]{2,20} method for server \S"
    r"|\tminimum redundancy requirements: (?:OK|FAILED)|\s{0,40}minimum redundancy requirements: (?:OK|FAILED)"
    r"|BARMAN (?:OK|WARNING|CRITICAL|UNKNOWN) - |Starting (?:local|remote) restore for server \S"
    r"|.{10,40}\] barman\.[a-z_.]{2,40} [A-Z]{4,8}: "
    r"|\S{1,100} [0-9]{8}T[0-9]{6}(?: - [A-Z]{1,2})? - (?:.{20,40} - Size: |FAILED|STARTED|EMPTY)"
    r"|Backup [0-9]{8}T[0-9]{6}:$)",
    re.M,
)
_LOGGED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8},[0-9]{3} \[[0-9]{1,9}\] barman\.[\w.]{2,60} ([A-Z]{4,9}): ")
_OPENINGS: tuple[tuple[re.Pattern[str], Operation, str], ...] = (
    (re.compile(r"Starting backup using [\w-]{2,20} method for server (\S{1,200}) in (\S{1,400})"), "backup", ""),
    (re.compile(r"Starting (?:local|remote) restore for server (\S{1,200}) using backup (\S{1,60})"), "restore", ""),
    (re.compile(r"Deleting backup (\S{1,60}) for server (\S{1,200})"), "prune", ""),
    (re.compile(r"Server (\S{1,200}):(?: .{1,100})?$"), "verify", "check"),
)
_CHECKED = re.compile(r"\s{1,40}([^:]{2,120}): (OK|FAILED)(?: \((.{1,600})\))?$")
_NAGIOS = re.compile(r"BARMAN (OK|WARNING|CRITICAL|UNKNOWN) - (.{0,1000})")
_COMPLETED = re.compile(
    r"(?:Backup|Recovery|Restore operation"
    r"|Deleted backup \S{1,60}) (?:completed )?\(start time: ([\w: .+-]{19,40}), elapsed time: ([^)]{1,100})\)"
)
_SIZE = re.compile(r"Backup size: ([0-9.]{1,12} [KMGTPE]?i?B)(?:\. Actual size on disk: ([0-9.]{1,12} [KMGTPE]?i?B))?")
_NAMED_CHECK = re.compile(r"(\S{1,100})\.([A-Za-z][\w -]{2,80}): FAILED(?: \(.{1,600}\))?$")
_SERVER = re.compile(r"'barman check ([^\s']{1,100})'|[Ss]erver '([^']{1,100})'|for server (\S{1,100})")
_LEVEL = re.compile(r"(WARNING|ERROR|EXCEPTION|CRITICAL): (.*)$")
_FAILED = re.compile(r"(?:Backup failed|Impossible to|Restore failed|Recovery failed)")
_NOTICES = re.compile(
    r"pg_basebackup does not copy the PostgreSQL configuration files"
    r"|IMPORTANT: this backup is classified as WAITING_FOR_WALS|Unable to retrieve safe horizon time"
    r"|No backup strategy set"
    r"|.{0,80}using default|.{0,80}is deprecated"
)
_OPERATIONS: dict[str, tuple[Operation, str]] = {
    "backup": ("backup", ""),
    "check": ("verify", "check"),
    "check-backup": ("verify", "check"),
    "verify-backup": ("verify", ""),
    "verify": ("verify", ""),
    "recover": ("restore", ""),
    "restore": ("restore", ""),
    "delete": ("prune", ""),
    "cron": ("inventory", "cron"),
    "list-backup": ("inventory", "list"),
    "list-backups": ("inventory", "list"),
    "show-backup": ("inventory", "list"),
    "show-backups": ("inventory", "list"),
    "list-server": ("inventory", "list"),
    "list-servers": ("inventory", "list"),
    "status": ("inventory", "stats"),
}
_VALUED = frozenset({"-c", "--config", "-f", "--format", "--log-level", "--color"})


def recognises(head: Head) -> bool:
    """A call of barman, its lines, or the documents that ``-f json`` prints."""
    return head.calls(*_NAMES) or is_catalogue(head.document) or _is_checked(head.document) or head.has(_SIGNS)


def _is_checked(document: Any) -> bool:
    """``barman -f json check``: {server: {check: {"hint", "status"}}}."""
    servers = [value for key, value in document.items() if key[:1] != "_"] if isinstance(document, dict) else []
    return bool(servers) and all(isinstance(one, dict) and "minimum_redundancy_requirements" in one for one in servers)


@dataclass
class _Draft:
    operation: Operation = "inventory"
    action: str = ""
    server: str = ""
    label: str = ""
    repository: str = ""
    troubles: Troubles = field(default_factory=Troubles)
    notes: list[str] = field(default_factory=list)
    started: str = ""
    seconds: float | None = None
    size: str = ""
    moved: str = ""
    checks: int = 0
    checked_all: bool = False
    opened: bool = False
    completed: bool = False
    explaining: bool = False
    first: int | None = None
    last: int | None = None


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run per server that the log tells of, or per backup that a catalogue lists."""
    document = context.head.document
    if is_catalogue(document):
        return runs_of_catalogue(document, context.zone)
    if shown := runs_of_shown(body, context.zone):
        return shown
    if isinstance(document, dict):
        return _runs(body, context.zone, _lines_of_json(document))
    if body.stdout.lstrip()[:1] == b"{":
        raise UnreadableLog("Barman's JSON is cut off or broken", 1)
    return _runs(body, context.zone, log_lines(body.stdout, body.stderr))


def _lines_of_json(document: dict[str, Any]) -> Iterator[Line]:
    """What ``-f json`` holds as the lines that the text would show."""
    for level in ("INFO", "WARNING", "ERROR", "EXCEPTION"):
        for entry in listed(document, f"_{level}"):
            if isinstance(entry, str):
                yield Line(1, entry if level == "INFO" else f"{level}: {entry}")
    for server, checks in document.items():
        if isinstance(checks, dict) and server[:1] != "_":
            yield Line(1, f"Server {server}:")
            for name, check in checks.items():
                if isinstance(check, dict):
                    hint = text(check, "hint")
                    yield Line(
                        1, f"\t{name.replace('_', ' ')}: {text(check, 'status')}" + (f" ({hint})" if hint else "")
                    )


def _runs(body: Delivery, zone: tzinfo | None, lines: Iterable[Line]) -> tuple[JobLog, ...]:
    drafts = [_called(body)]
    for line in lines:
        if line.text.strip():
            _read_line(drafts, line)
    opened = [draft for draft in drafts if draft.opened] or drafts[:1]
    if drafts[0] not in opened and drafts[0].troubles.total:
        opened[-1].troubles = drafts[0].troubles
    return tuple(_job_log(draft, body, zone, alone=len(opened) == 1) for draft in opened)


def _called(body: Delivery) -> _Draft:
    """What the command line asks for, for logs that say nothing of it."""
    for call in invocations(body.command, _NAMES):
        words = positional(call.arguments, _VALUED)
        operation, action = _OPERATIONS.get(words[0], ("inventory", words[0])) if words else ("inventory", "")
        server = words[1] if len(words) > 1 else ""
        label = words[2] if len(words) > 2 and words[2][:1].isdecimal() else ""
        return _Draft(operation=operation, action=action, server=server, label=label)
    return _Draft()


def _read_line(drafts: list[_Draft], line: Line) -> None:
    words = line.text
    if words.startswith("20") and (match := _LOGGED.match(words)):
        level, words = match.group(1), words[match.end() :]
        words = words if level in ("INFO", "DEBUG") else f"{level}: {words}"
    if not words.startswith(("\t", " ")) and (opened := _opened(words)):
        drafts.append(opened)
    draft = _of_server(drafts, words)
    if line.stream == "stdout":
        draft.first, draft.last = draft.first or line.number, line.number
    _read_words(draft, words)


def _of_server(drafts: list[_Draft], words: str) -> _Draft:
    """The run that a line belongs to: that of the server an error names, else the last that began."""
    named = _SERVER.search(words[:500]) if words.startswith(("ERROR: ", "EXCEPTION: ")) else None
    server = next((group for group in named.groups() if group), "") if named is not None else ""
    if not server or not drafts[-1].opened or drafts[-1].server == server:
        return drafts[-1]
    known = next((draft for draft in drafts[-100:] if draft.server == server and draft.opened), None)
    if known is None:
        known = _Draft(operation=drafts[-1].operation, action=drafts[-1].action, server=server, opened=True)
        drafts.insert(len(drafts) - 1, known)  # before the last, which further lines may belong to
    return known


def _opened(words: str) -> _Draft | None:
    for pattern, operation, action in _OPENINGS:
        if match := pattern.match(words):
            draft = _Draft(operation=operation, action=action, server=match.group(1), opened=True)
            if operation == "backup":
                draft.repository, draft.label = match.group(2), match.group(2).rsplit("/", 1)[-1]
            elif operation == "restore":
                draft.label = match.group(2)
            elif operation == "prune":
                draft.label, draft.server = match.group(1), match.group(2)
            return draft
    return None


def _read_words(draft: _Draft, words: str) -> None:
    if match := _CHECKED.match(words):
        draft.checks += 1
        draft.checked_all = draft.checked_all or match.group(1) == "archiver errors"  # the last of them
        if match.group(2) == "FAILED":
            draft.troubles.add(words.strip(), component=match.group(1).strip(), kind="other")
    elif match := _LEVEL.match(words):
        _read_trouble(draft, match.group(1), match.group(2))
    elif words.endswith(("FAILED", ")")) and (named := _NAMED_CHECK.match(words)):
        draft.troubles.add(words, component=named.group(2), kind="other")
    elif _FAILED.match(words):
        draft.troubles.add(words, kind="other")
    elif match := _COMPLETED.match(words):
        draft.completed, draft.started = True, match.group(1)
        draft.seconds = spoken_seconds(match.group(2))
    elif match := _SIZE.match(words):
        draft.size, draft.moved = match.group(1), match.group(2) or ""
    elif match := _NAGIOS.match(words):
        draft.checks, draft.checked_all = 1, True
        draft.operation, draft.action = "verify", "check"
        if match.group(1) != "OK":
            draft.troubles.add(words, severity="warning" if match.group(1) == "WARNING" else "error", kind="other")


def _read_trouble(draft: _Draft, level: str, words: str) -> None:
    if level == "WARNING" and _NOTICES.match(words):
        draft.notes.append(words)
    else:
        draft.troubles.add(f"{level}: {words}", severity="warning" if level == "WARNING" else "error", kind="other")


def _job_log(draft: _Draft, body: Delivery, zone: tzinfo | None, *, alone: bool) -> JobLog:
    outcome = _outcome(draft, body, alone=alone)
    good = outcome in ("success", "warning")
    return JobLog(
        product="barman",
        operation=draft.operation,
        outcome=outcome,
        action=draft.action,
        run_id=draft.label if draft.operation == "backup" else "",
        source_job=draft.server,
        repository=draft.repository,
        archive=draft.label,
        started_at=_moment(draft.started, zone),
        duration_seconds=draft.seconds,
        complete=None if draft.operation != "backup" or outcome == "unknown" else good,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code if alone else None,
        lines=None if alone or draft.first is None or draft.last is None else (draft.first, draft.last),
        notes=tuple(draft.notes[:20]),
        **(_sizes(draft) if good and draft.operation == "backup" else {}),
    )


def _moment(printed: str, zone: tzinfo | None) -> datetime | None:
    """A local time, as ISO or (of a deletion) as ``Mon Nov 23 02:47:59 2026``."""
    return iso(printed, zone) or asctime(printed, zone) if printed else None


def _outcome(draft: _Draft, body: Delivery, *, alone: bool) -> Outcome:
    if draft.troubles.errors:
        return "failure"
    good: Outcome = "warning" if draft.troubles.warnings else "success"
    code = body.exit_code
    if draft.completed or draft.checked_all or (draft.checks and code == 0):
        return good if code in (None, 0) or not alone else "failure"
    if code not in (None, 0):
        return "failure" if alone else "unknown"
    if code == 0 and not draft.opened and not is_masked(body, _NAMES) and draft.operation != "backup":
        return good
    return "unknown"


def _sizes(draft: _Draft) -> dict[str, Any]:
    size = printed_size(draft.size) if draft.size else None
    if size is None:
        return {}
    moved = printed_size(draft.moved) if draft.moved else None
    word = {"protected_bytes": "Backup size", "stored_bytes": "Backup size"}
    return {
        "protected_bytes": size,
        "stored_bytes": size,
        "transferred_bytes": moved,
        "basis": "logical-once",
        "rounded": is_rounded(draft.size),
        "sources": word | ({} if moved is None else {"transferred_bytes": "Actual size on disk"}),
    }
