"""The lines of a Proxmox Backup Server task log and of proxmox-backup-client, turned into plain facts.

Used by ``proxmox_backup_server`` for logs that come as files and for those that its API answers. Lines begin with a
time and its offset in files and tasks of the server; the client prints none. Sizes of a backup task are exact, those
of the client, of garbage collections and of syncs are rounded to three decimals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from integrations.logs.figures import printed_size
from integrations.logs.joblog import Operation, Outcome
from integrations.logs.moments import iso
from integrations.logs.troubles import Troubles

SNAPSHOT = r"(?:ns/[^\s'\":]{1,300}/)?(?:vm|ct|host)/[A-Za-z0-9_][A-Za-z0-9._-]{0,255}/[0-9-]{10}T[0-9:]{8}Z"

_STAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:Z|[+-][0-9]{2}:[0-9]{2})): ?")
_NEW_BACKUP = re.compile(
    rf"starting new (?:backup|reader) on datastore '([^']{{1,100}})'[^\"]{{0,400}}\"({SNAPSHOT})\""
)
_CLIENT_BACKUP = re.compile(rf"Starting backup: (?:\[([^\]]{{1,300}})\]:)?({SNAPSHOT})")
_STARTS: tuple[tuple[re.Pattern[str], Operation, str], ...] = (
    (re.compile(r"starting garbage collection on store ([^\s']{1,100})"), "prune", "garbage-collection"),
    (re.compile(r"Starting datastore verify job '([^']{1,300})'"), "verify", ""),
    (re.compile(r"verify datastore ([^\s']{1,100})$"), "verify", ""),
    (re.compile(r"verify group ([^\s']{1,300})(?: \(|$)"), "verify", ""),
    (re.compile(r"(?:Starting datastore sync job|sync job) '([^']{1,300})'"), "copy", "sync"),
    (re.compile(r"sync datastore '([^']{1,100})'"), "copy", "sync"),
    (re.compile(r"prune job '([^']{1,300})'"), "prune", ""),
    (re.compile(r"Starting datastore prune on datastore '([^']{1,100})'"), "prune", ""),
    (re.compile(r"(?:Starting|starting) tape backup job '([^']{1,300})'"), "copy", "tape-backup"),
)
_INDEX = re.compile(r"Upload statistics for '([^']{1,300})'")
_UPLOAD = re.compile(r"Upload size: ([0-9]{1,20})\b")
_HAD_TO = re.compile(
    r"(\S{1,300}): had to (?:backup|upload) (\S+ [KMGTP]?i?B) of (\S+ [KMGTP]?i?B)"
    r"(?: \(compressed (\S+ [KMGTP]?i?B)\))?"
)
_PULLED = re.compile(r"Summary: sync job (?:pulled|pushed) (\S+ [KMGTP]?i?B) in")
_FIGURES = {
    "Removed garbage": "freed_bytes", "On-Disk usage": "stored_bytes", "Original data usage": "original_bytes",
    "Original Data usage": "original_bytes",
}  # fmt: skip
_FIGURE = re.compile(r"(Removed garbage|On-Disk usage|Original [dD]ata usage): +([0-9.]{1,20} ?[KMGTPE]?i?B)\b")
_TROUBLE = re.compile(
    r"(?i:error|warning|warn|failed)\b|.{0,400}?(?:\bfailed\b|could not be verified|chunk corruption|can't verify"
    r"|verification failed|unable to |missing chunk|not found - )"
)
_NO_TROUBLE = re.compile(
    r"Removed bad|Leftover bad|verified [0-9.]{1,20}/|Failed to verify the following|backup failed: $"
)
_ABORTED = re.compile(
    r"(?:task )?abort(?:ed| requested)|received (?:abort|shutdown) request|interrupted by signal", re.I
)


@dataclass
class TaskLog:
    """Facts of one task. ``ended`` is its own last word: ``TASK ..`` of the server, ``End Time`` of the client."""

    operation: Operation | None = None
    action: str = ""
    subject: str = ""
    datastore: str = ""
    snapshot: str = ""
    outcome: Outcome | None = None
    status: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration: float | None = None
    indexes: dict[str, int] = field(default_factory=dict)
    uploaded: dict[str, int] = field(default_factory=dict)
    compressed: dict[str, int] = field(default_factory=dict)
    figures: dict[str, int] = field(default_factory=dict)
    rounded: bool = False
    client: bool = False
    index: str = ""
    host: str = ""
    roots: list[str] = field(default_factory=list)
    snapshots_verified: int = 0
    troubles: Troubles = field(default_factory=Troubles)


def read_task_log(lines: Iterable[str]) -> TaskLog:
    """The facts in the lines of one task."""
    log = TaskLog()
    for line in lines:
        match = _STAMP.match(line)
        if match is not None:
            moment = iso(match.group(1), None)
            log.started_at, log.ended_at = log.started_at or moment, moment or log.ended_at
        text = (line[match.end() :] if match else line).strip()
        if text:
            _read_line(log, text)
    return log


def status_outcome(status: str) -> Outcome:
    """What the last word of a task means, with or without ``TASK``: OK, WARNINGS: n, unknown, or the error."""
    told = status.strip().removeprefix("TASK ").strip()
    if told == "OK":
        return "success"
    if told.startswith("WARNINGS"):
        return "warning"
    if told.lower() in ("", "unknown", "unexpected status"):
        return "unknown"
    return "cancelled" if _ABORTED.search(told[:300]) else "failure"


def _read_line(log: TaskLog, text: str) -> None:
    if text.startswith("TASK "):
        _end(log, text)
    elif text.startswith(("starting", "Starting", "sync datastore", "verify", "prune job", "sync job")):
        _read_start(log, text)
        _read_trouble(log, text)
    elif text.startswith(("Upload statistics", "Size: ", "Upload size: ")):
        _read_index(log, text)
    elif "had to " in text and (match := _HAD_TO.match(text)):
        _read_client_archive(log, match)
    elif match := _FIGURE.match(text):
        log.figures[_FIGURES[match.group(1)]] = printed_size(match.group(2)) or 0
        log.rounded = True
    elif match := _PULLED.match(text):
        log.figures["transferred_bytes"] = printed_size(match.group(1)) or 0
        log.rounded = True
    elif not _read_client_word(log, text):
        _read_trouble(log, text)


def _end(log: TaskLog, text: str) -> None:
    log.status = text.removeprefix("TASK ").removeprefix("ERROR: ")
    log.outcome = status_outcome(text)
    if log.outcome in ("failure", "cancelled"):
        log.troubles.add(log.status)


def _read_start(log: TaskLog, text: str) -> None:
    if match := _NEW_BACKUP.search(text):
        log.operation = "backup" if "starting new backup" in text else "restore"
        log.datastore, log.snapshot = match.groups()
    elif match := _CLIENT_BACKUP.match(text):
        log.operation, log.client, log.snapshot = "backup", True, match.group(2)
    elif log.operation is None:
        found = ((pattern.match(text), operation, action) for pattern, operation, action in _STARTS)
        first = next(((match, op, action) for match, op, action in found if match), None)
        if first is not None:
            log.subject, log.operation, log.action = first[0].group(1), first[1], first[2]
    elif log.operation == "verify" and text.startswith("verify "):
        log.snapshots_verified += bool(re.search(SNAPSHOT, text[:600]))


def _read_index(log: TaskLog, text: str) -> None:
    if match := _INDEX.match(text):
        log.index = match.group(1)
    elif log.index and text.startswith("Size: ") and text[6:].strip().isdecimal() and len(text) < 30:
        log.indexes[log.index] = int(text[6:])
    elif log.index and (match := _UPLOAD.match(text)):
        log.uploaded[log.index] = int(match.group(1))


def _read_client_archive(log: TaskLog, match: re.Match[str]) -> None:
    name, moved, whole, compressed = match.groups()
    log.rounded = True
    for kept, figure in ((log.uploaded, moved), (log.indexes, whole), (log.compressed, compressed)):
        size = printed_size(figure) if figure else None
        if size is not None:
            kept[name] = size


_ROOT = re.compile(r"Upload (?:directory|image|config file) '([^']{1,2000})' to '([^']{1,300})'")


def _read_client_word(log: TaskLog, text: str) -> bool:
    if match := _ROOT.match(text):
        log.roots.append(match.group(1))
        log.datastore = match.group(2)
    elif text.startswith("Client name: "):
        log.host = text[13:].strip()[:255]
    elif text.startswith("Duration: ") and log.client:
        log.duration = _seconds(text[10:])
    elif text.startswith("End Time: ") and log.client:
        log.outcome = log.outcome or "success"
    elif text.startswith("Error: ") and log.client:
        log.outcome = "failure"
        log.troubles.add(text)
    else:
        return False
    return True


def _seconds(told: str) -> float | None:
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(d|h|m|min|s)\b", told[:100])
    units = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}
    return sum(float(amount) * units[unit] for amount, unit in parts) if parts else None


def _read_trouble(log: TaskLog, text: str) -> None:
    if _TROUBLE.match(text) and not _NO_TROUBLE.match(text):
        soft = text.lower().startswith("warn") or (log.operation == "backup" and log.client)
        log.troubles.add(text, severity="warning" if soft else "error")
