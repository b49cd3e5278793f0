"""mariabackup and Percona XtraBackup: the log that both write to stderr, from 2.4's short dates to 8's error codes.

"completed OK!" as the last word is their own sign of success, of each call (backup, prepare, copy-back) in the log.
Times are local, except those of XtraBackup 8 with an offset. No release prints a size: only files and LSNs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from integrations.logs.around_dumps import is_masked, shell_error
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import Invocation, invocations
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Operation, Outcome
from integrations.logs.moments import iso
from integrations.logs.troubles import Troubles

LABEL = "mariabackup, XtraBackup"
MARKS = ("mariabackup", "mariadb-backup", "xtrabackup", "Xtrabackup", "innobackupex")
GUIDE = Guide(
    releases="mariabackup of MariaDB 10.1 to 12; XtraBackup 2.4, 8.0 and 8.4",
    written_from="real logs of mariabackup 10.11; the sources of XtraBackup",
    operations=("backup", "restore"),
    cannot_tell=(
        "Any size: neither tool prints one.",
        "The end of a backup that streams into a pipe that failed later (gzip, ssh): use set -o pipefail.",
    ),
    notes=("A prepare is told as part of a restore (action prepare): it makes no new copy.",),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job mysql -- mariabackup --backup --target-dir=/srv/backup/mysql/$(date +%F)",
        ),
    ),
)

_NAMES = ("mariabackup", "mariadb-backup", "xtrabackup", "innobackupex")
_SIGNS = re.compile(
    r"^(?:mariabackup based on MariaDB server|xtrabackup version [0-9]|xtrabackup: recognized (?:server"
    r"|client) arguments"
    r"|.{0,80}\[Xtrabackup\] |(?:mariabackup|mariadb-backup|xtrabackup|innobackupex): (?:[Ee]rror|Can't|Starting|using)"
    r"|\[[0-9]{2}\] [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} (?:Connecting to (?:MariaDB|MySQL) server|mariabackup: ))",
    re.M,
)
_STAMPED = re.compile(
    r"(?:\[[0-9]{2}\] (?:FATAL ERROR: )?)?([0-9]{4}-[0-9]{2}-[0-9]{2}[ T] ?[0-9:]{7,8}(?:\.[0-9]{1,6})?(?:Z"
    r"|[+-][0-9]{2}:[0-9]{2})?"
    r"|[0-9]{6} {1,2}[0-9:]{7,8}) (.*)$"
)
_VERSION = re.compile(r"(?:mariabackup based on MariaDB server|xtrabackup version) ([0-9][\w.-]{0,40})")
_TARGET = re.compile(r"--(?:target-dir|target_dir)[= ](\S{1,400})")
_ERROR = re.compile(
    r"(?:\[[0-9]{2}\] )?(?:FATAL ERROR: |[Ee]rror: |ERROR|[0-9]+ \[ERROR\] |\[ERROR\] |Failed to |Can't "
    r"|Access denied|Unknown error|unknown (?:option|variable) '"
    r"|Original data directory .{0,400} is not empty|Unable to |cannot |Cannot |Unsupported |failed to )"
)
_WARNING = re.compile(r"(?:[0-9]+ )?\[Warning\] |(?:[Ww]arning: )")
_NAMED = re.compile(r"(?:mariabackup|mariadb-backup|xtrabackup|innobackupex): (.*)$")
_CODED = re.compile(r"[0-9]+ \[(ERROR|Warning|Note|System)\] \[(MY-[0-9]{6})\] \[\w{1,20}\] (.*)$")
_PATH = re.compile(r"(?:file|directory|stream for|destination) ['\"]?(/[^'\"]{1,400}?)['\"]?(?: \(|[.!]?$| is )")
_ACTIONS: dict[str, tuple[Operation, str]] = {
    "prepare": ("restore", "prepare"),
    "apply-log": ("restore", "prepare"),
    "copy-back": ("restore", ""),
    "move-back": ("restore", ""),
    "decompress": ("restore", "decompress"),
    "decrypt": ("restore", "decrypt"),
    "backup": ("backup", ""),
    "stats": ("inventory", "stats"),
}


def recognises(head: Head) -> bool:
    """A call of one of the tools, or lines that only they write."""
    return head.calls(*_NAMES) or head.has(_SIGNS)


@dataclass
class _Draft:
    troubles: Troubles = field(default_factory=Troubles)
    seen: bool = False
    finished: bool = False
    action: str = ""
    version: str = ""
    target: str = ""
    first_time: str = ""
    last_time: str = ""
    databases: dict[str, None] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    stream: str = ""


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run per call: each ends with its own "completed OK!"."""
    drafts = [_Draft()]
    for line in log_lines(body.stdout, body.stderr):
        if not line.text:
            continue
        if drafts[-1].finished and _opens(line.text):
            drafts.append(_Draft())
        draft = drafts[-1]
        _read_line(draft, line.text)
        draft.stream, draft.last = line.stream, line.number
        draft.first = draft.first or line.number
    calls = invocations(body.command, _NAMES)
    return tuple(
        _job_log(draft, calls[at] if at < len(calls) else None, body, context.zone, alone=len(drafts) == 1)
        for at, draft in enumerate(drafts)
    )


def _opens(line: str) -> bool:
    """True for the first lines of a further call."""
    return (
        "Connecting to M" in line
        or "based on MariaDB server" in line
        or "recognized server arguments" in line
        or "xtrabackup version" in line
    )


_COPIED = ("Copying ./", "Streaming ./", "        ...done", "aria table file")


def _read_line(draft: _Draft, line: str) -> None:
    if draft.first_time and line.startswith(_COPIED, 25) and line[:1] == "[":  # most lines: no pattern is needed
        draft.last_time = line[5:24]
        _read_copied(draft, line[25:])
        return
    match = _STAMPED.match(line)
    words = line
    if match is not None:
        draft.first_time = draft.first_time or match.group(1)
        draft.last_time, words, draft.seen = match.group(1), match.group(2), True
        if "FATAL ERROR: " in line[:24]:
            words = f"FATAL ERROR: {words}"
        words = words[5:] if words[:1] == "[" and words[3:5] == "] " else words  # XtraBackup 2.4: the thread comes last
    if words.startswith(("Copying ", "Streaming ", "Compressing ", "        ...done")):
        _read_copied(draft, words)
    elif words.rstrip().endswith("completed OK!"):
        draft.finished = True
    elif not _read_trouble(draft, line, words):
        _read_words(draft, words)


def _read_copied(draft: _Draft, words: str) -> None:
    if words.startswith(("        ", "aria")):
        return
    parts = words[:600].split(" ", 2)
    pieces = parts[1].split("/") if len(parts) > 1 else []
    if len(pieces) == 3 and pieces[0] == "." and pieces[2] and len(draft.databases) < 500:
        draft.databases.setdefault(pieces[1])


def _read_trouble(draft: _Draft, line: str, words: str) -> bool:
    coded = _CODED.match(words) if "[MY-" in words else None
    named = _NAMED.match(words)
    told = coded.group(3) if coded else named.group(1) if named else words
    if told.rstrip().endswith("completed OK!"):
        draft.finished = True
        return True
    level = coded.group(1) if coded else ""
    stamped = words is not line or named is not None or line.startswith(("Error", "ERROR", "failed", "Can't"))
    if level == "ERROR" or (not level and stamped and _ERROR.match(told)):
        path = _PATH.search(told[:1000])
        draft.troubles.add(
            line, path=path.group(1) if path else None, code=coded.group(2) if coded else None, kind="other"
        )
        return True
    if level == "Warning" or (not level and _WARNING.match(told)):
        draft.troubles.add(line, severity="warning", code=coded.group(2) if coded else None, kind="other")
        return True
    if found := shell_error(line):
        draft.troubles.add(found[0], kind=found[1])
        return True
    return False


def _read_words(draft: _Draft, words: str) -> None:
    if match := _VERSION.match(words):
        draft.version, draft.seen = match.group(1), True
    elif "recognized client arguments" in words or "recognized server arguments" in words:
        draft.action = draft.action or next((name for name in _ACTIONS if f"--{name}=1" in words), "")
        target = _TARGET.search(words[:8000])
        draft.target = target.group(1) if target else draft.target
    elif words.startswith(("Starting BACKUP STAGE", "DDL tracking", "Connecting to M", "xtrabackup: Transaction log")):
        draft.action = draft.action or "backup"
    elif "Starting crash recovery from checkpoint" in words or "This target seems" in words:
        draft.action = draft.action or "prepare"
    elif words.startswith("Original data directory"):
        draft.action = draft.action or "copy-back"


def _job_log(draft: _Draft, call: Invocation | None, body: Delivery, zone: tzinfo | None, *, alone: bool) -> JobLog:
    operation, action = _ACTIONS[_action(draft, call)]
    outcome = _outcome(draft, body, alone=alone)
    good = outcome in ("success", "warning")
    names = tuple(draft.databases) if operation == "backup" and good else ()
    return JobLog(
        product="mariabackup",
        operation=operation,
        outcome=outcome,
        action=action,
        product_version=draft.version,
        repository=draft.target or _target(call),
        started_at=_moment(draft.first_time, zone),
        ended_at=_moment(draft.last_time, zone),
        chain_length=_chain(call, draft) if operation == "backup" and good else None,
        complete=None if operation != "backup" or outcome == "unknown" else good,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        components=tuple(Component(type="database", name=name, outcome=outcome) for name in names),
        exit_code=body.exit_code if alone else 0 if draft.finished else None,
        lines=None if alone or draft.first is None or draft.last is None else (draft.first, draft.last),
    )


def _action(draft: _Draft, call: Invocation | None) -> str:
    if call is not None:
        for word in call.arguments:
            if word.startswith("--") and word[2:].split("=")[0] in _ACTIONS:
                return word[2:].split("=")[0]
    return draft.action or "backup"


def _target(call: Invocation | None) -> str:
    found = _TARGET.search(" ".join(call.arguments)) if call is not None else None
    return found.group(1) if found else ""


def _chain(call: Invocation | None, draft: _Draft) -> int | None:
    """A full backup stands alone; how many copies an incremental one needs is not told."""
    if call is None:
        return None
    return None if any(word.startswith("--incremental") for word in call.arguments) else 1


def _outcome(draft: _Draft, body: Delivery, *, alone: bool) -> Outcome:
    code = body.exit_code if alone else None
    if code not in (None, 0) or (draft.troubles.errors and not draft.finished):
        return "failure"
    if draft.finished:
        return "warning" if draft.troubles.errors else "success"
    # Without its last word and with a code not its own it died; with its own 0 the log was cut or sent elsewhere.
    died = draft.seen and code == 0 and is_masked(body, _NAMES)
    return "failure" if died else "unknown"


def _moment(printed: str, zone: tzinfo | None) -> datetime | None:
    """A time of the log: ISO with or without an offset, or 2.4's ``241231  2:03:04``, a blank for a nought."""
    if not printed:
        return None
    day, _, clock = printed.replace("T", " ").partition(" ")
    clock = clock.strip()
    if day.isdecimal():
        day = f"20{day[:2]}-{day[2:4]}-{day[4:6]}"
    return iso(f"{day} {'0' if clock[1:2] == ':' else ''}{clock}", zone)
