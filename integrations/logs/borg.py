"""BorgBackup: ``--json``, ``--log-json`` and plain text with or without ``--stats``, 1.1 to 2.0.

Statistics text and warnings come on stderr, JSON on stdout; a script's log may hold create, prune, compact and check
one after the other: each is a run. Times in it are local without an offset (2.0 prints one). Sizes are Borg's
``original_size``: the whole selection, hard links once; without ``--stats`` or ``--json`` it prints none.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from integrations.logs.bytes_to_text import clean_line, raw_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.figures import count, is_rounded, printed_size, spoken_seconds
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, LogError, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import (
    MAX_DOCUMENT,
    BadJson,
    as_object,
    listed,
    load,
    nested,
    number,
    text,
    whole,
)
from integrations.logs.moments import is_local, local_pair
from integrations.logs.troubles import Troubles, kind_of

LABEL = "BorgBackup"
MARKS = (
    "borg", "Borg", "BORG_", "rchive", "ompact", '"type"', "epository", "terminating with", "Errno", "file changed",
    "Deleted data", "the lock", ", 20",
)  # fmt: skip
GUIDE = Guide(
    releases="1.1 to 2.0",
    written_from="real logs of runs of 1.2, and Borg's sources for other releases",
    operations=("backup", "restore", "verify", "prune", "inventory"),
    basis="logical, hard links once, with a little metadata; only with --stats or --json",
    sizes=(
        ("protected_bytes", 'original_size, "This archive"'),
        ("transferred_bytes", "the deduplicated size of the archive"),
        ("stored_bytes", 'the whole repository: unique_csize, "All archives"'),
    ),
    cannot_tell=(
        "Times in UTC where no time zone came with the log: Borg 1 prints local ones.",
        "Any size without --stats; the stored size with Borg 2; the host, except in info.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job files -- borg create --stats ::'{hostname}-{now}' /srv/data",
        ),
        Way(
            "http",
            "Without it",
            "borg create --stats --show-rc ::'{hostname}-{now}' /srv/data >out.log 2>&1\n"
            'curl -sS -H "Authorization: Bearer @KEY@" --data-binary @out.log '
            '"@URL@/api/v1/logs?format=borg&timezone=Europe/Berlin"',
        ),
    ),
    notes=(
        "Read: --json, --log-json, text with --stats, --list and --show-rc, crash reports; the commands of 1.x "
        "and their 2.0 names.",
        "Exit codes: 1 and 100 to 127 warning, 2 to 99 failure, 130 cancelled, 128 and above failure; a check "
        "that ends with 1 found damage.",
        "borgmatic's logs are another format's.",
    ),
)

Task = Literal["create", "copy", "extract", "check", "prune", "list", "init", "other"]

_OPERATIONS: dict[Task, tuple[Operation, str]] = {
    "create": ("backup", ""),
    "copy": ("copy", ""),
    "extract": ("restore", ""),
    "check": ("verify", "check"),
    "prune": ("prune", ""),
    "list": ("inventory", "list"),
    "init": ("inventory", "init"),
    "other": ("inventory", ""),
}
_SUBCOMMANDS: dict[str, Task] = {
    **dict.fromkeys(("create", "import-tar"), "create"),
    **dict.fromkeys(("transfer",), "copy"),
    **dict.fromkeys(("extract", "export-tar", "mount"), "extract"),
    **dict.fromkeys(("check",), "check"),
    **dict.fromkeys(("prune", "delete", "compact", "undelete", "repo-delete", "rdelete"), "prune"),
    **dict.fromkeys(("list", "info", "diff", "rlist", "rinfo", "repo-list", "repo-info"), "list"),
    **dict.fromkeys(("init", "rcreate", "repo-create"), "init"),
    **dict.fromkeys(
        ("rename", "recreate", "break-lock", "key", "config", "upgrade", "umount", "serve", "tag", "change-passphrase"),
        "other",
    ),
}
_NAMES = ("borg", "borg1", "borg2", "borgbackup")
_VALUED = frozenset(
    [
        "-r",
        "--repo",
        "--lock-wait",
        "--remote-path",
        "--rsh",
        "--umask",
        "--upload-ratelimit",
        "--remote-ratelimit",
        "--upload-buffer",
        "--debug-topic",
        "--filter",
        "-e",
        "--exclude",
        "--exclude-from",
        "--pattern",
        "--patterns-from",
        "--exclude-if-present",
        "--stdin-name",
        "--stdin-user",
        "--stdin-group",
        "--stdin-mode",
        "--comment",
        "--timestamp",
        "-c",
        "--checkpoint-interval",
        "--chunker-params",
        "-C",
        "--compression",
        "--files-cache",
        "--socket",
        "--tags",
        "--paths-delimiter",
        "--checkpoint-volume",
        "--format",
        "--last",
        "--first",
        "--prefix",
        "-P",
        "-a",
        "--glob-archives",
        "--sort-by",
    ]
)
_ERRNO = re.compile(r"(.{1,4000}?): (?:[a-z_ ]{1,30}: )?\[Errno ([0-9]{1,5})\] ")

_SIGNS = re.compile(
    r'^(?:\{"type": "(?:log_message|file_status|archive_progress)", |            "deduplicated_size": [0-9]+,$'
    r"|Archive fingerprint: [0-9a-f]{64}$|This archive: +[0-9]|(?:Deleted data"
    r"|All archives): +-?[0-9.]+ [kKMGT]?i?B +"
    r"|compaction freed about |Compaction saved [0-9]|terminating with (?:success|warning|error) status, rc [0-9]+"
    r"|Starting repository check$|Starting archive consistency check\.\.\.$"
    r"|(?:Finished full|Completed) repository check, |Archive consistency check complete, "
    r"|Creating archive at \"|(?:Keeping|Pruning) archive(?: \(|: )|Repository (?:/|ssh://"
    r"|file://)\S* (?:does not exist\.|is not a valid )"
    r"|Failed to create/acquire the lock |passphrase supplied in .{0,40}BORG_PASSPHRASE"
    r"|Archive .{1,300} (?:already exists|does not exist)\.?$|Borg: [12]\.[0-9]+\.\S+  Python: "
    r"|Connection closed by remote host\. Is borg working|Key file for repository .{1,300} not found"
    r"|.{1,300} {2,40}(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} .{0,10}\[[0-9a-f]{64}\]$"
    r"|/.{1,1000}: (?:open|read|stat|scandir|dir_open|readlink|flags|xattrs?|acl): \[Errno [0-9]+\] "
    r"|/.{1,1000}: file changed while we backed it up$)",
    re.M,
)
_BORGMATIC = re.compile(
    r"borgmatic|^(?:\S+: )?(?:Running actions for repository|Error running actions for repository)"
    r"|^\S+: (?:Creating archive|Pruning archives|Compacting segments|Running consistency checks|Error running \w+)$"
    r"|\.ya?ml: (?:Error|Successfully|No valid|Running)",
    re.M,
)


def recognises(head: Head) -> bool:
    """A borg command line, its JSON documents and messages, or lines that only Borg prints; never borgmatic's."""
    if "borgmatic" in head.programs or head.has(_BORGMATIC):
        return False
    return head.calls(*_NAMES) or _is_document(head.document) or head.has(_SIGNS)


def _is_document(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    kind = text(document, "type")
    if kind == "log_message":
        return text(document, "name").startswith("borg") or "msgid" in document
    if kind in ("file_status", "archive_progress", "progress_message", "progress_percent"):
        return True
    has_archive = isinstance(document.get("archive"), dict) or isinstance(document.get("archives"), list)
    return "repository" in document and (has_archive or "encryption" in document)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One JobLog per borg call in the log, in the order of the log."""
    calls = invocations(body.command, _NAMES)
    reader = _Reader(context)
    _read_stream(reader, body.stdout)
    reader.stream = "stderr"
    _read_stream(reader, body.stderr)
    return _job_logs(reader, calls, body)


@dataclass
class _Draft:
    """What was read of one call so far."""

    task: Task | None = None
    troubles: Troubles = field(default_factory=Troubles)
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    start_text: str = ""
    end_text: str = ""
    first: int | None = None
    last: int | None = None
    saved_in: str = ""
    fatal: bool = False
    cancelled: bool = False
    damaged: bool = False
    finished: bool = False
    dry_run: bool = False
    code: int | None = None

    def is_empty(self) -> bool:
        return self.task is None and not self.fatal and self.troubles.total == 0 and self.code is None


class _Reader:
    """Takes the lines of a log one by one and sorts them into drafts, one per borg call."""

    def __init__(self, context: Context) -> None:
        self.zone = context.zone
        self.drafts: list[_Draft] = [_Draft()]
        self.version = ""
        self.last_text = ""
        self.listed = 0
        self.stream = "stdout"
        self.in_traceback = False

    @property
    def draft(self) -> _Draft:
        return self.drafts[-1]

    def start(self, task: Task) -> _Draft:
        """The draft for a line of this task: the current one, or a new one where that is another task or ended."""
        draft = self.draft
        if draft.code is None and (draft.task is None or draft.task == task):
            draft.task = task
            return draft
        self.drafts.append(_Draft(task=task))
        return self.draft

    def for_trouble(self) -> _Draft:
        """Borg prints statistics last: trouble after them in the same stream belongs to the next call."""
        if self.draft.code is not None or (self.draft.saved_in == self.stream and self.draft.task == "create"):
            self.drafts.append(_Draft())
        return self.draft

    def touch(self, line: int) -> None:
        if self.stream == "stdout":
            self.draft.first = self.draft.first or line
            self.draft.last = line


def _read_stream(reader: _Reader, body: bytes) -> None:
    block: list[bytes] = []
    size = begun = 0
    for line, raw in raw_lines(body):
        if block or raw == b"{":
            begun = begun or line
            block.append(raw)
            size += len(raw)
            if raw == b"}" or size > MAX_DOCUMENT:
                _read_block(reader, block, begun)
                block, size, begun = [], 0, 0
        elif raw.startswith(b"{") and (found := as_object(raw.strip())) is not None:
            _read_object(reader, found)
        elif raw.strip():
            _read_text(reader, clean_line(raw))
        reader.touch(line)
    if block:
        raise UnreadableLog("Borg's JSON is cut off: its closing bracket is missing.", begun)


def _read_block(reader: _Reader, block: list[bytes], line: int) -> None:
    try:
        found = load(b"\n".join(block))
    except BadJson as error:
        raise UnreadableLog(f"Borg's JSON cannot be read: {error.reason}.", line + (error.line or 1) - 1) from None
    if isinstance(found, dict):
        _read_object(reader, found)


# ---------------------------------------------------------------------------------------------------------------- JSON


def _read_object(reader: _Reader, found: dict[str, Any]) -> None:
    kind = text(found, "type")
    if kind == "log_message":
        _read_message(reader, found)
    elif kind == "file_status":
        _read_file_status(reader, found)
    elif kind:
        return
    elif isinstance(found.get("archive"), dict) or found.get("dry_run") is True:
        _read_created(reader, found)
    elif "archives" in found or "encryption" in found or "repository" in found:
        _read_listing(reader, found)


def _read_message(reader: _Reader, found: dict[str, Any]) -> None:
    level, message, code = text(found, "levelname"), text(found, "message"), text(found, "msgid") or None
    if level in ("ERROR", "CRITICAL"):
        draft = reader.for_trouble()
        _add_error(reader, draft, message.strip().split("\n")[0], code=code)
        if "\n" in message:
            _read_lines(reader, message)
    elif level == "WARNING":
        _warn(reader, message, code=code)
    else:
        _read_lines(reader, message)


def _read_lines(reader: _Reader, message: str) -> None:
    for line in message[:1_000_000].split("\n")[:5000]:
        _read_text(reader, line)


def _read_file_status(reader: _Reader, found: dict[str, Any]) -> None:
    if reader.draft.task is None:
        reader.listed += 1
    if text(found, "status") == "E":
        reader.draft.facts["failed"] = reader.draft.facts.get("failed", 0) + 1


def _read_created(reader: _Reader, found: dict[str, Any]) -> None:
    draft = reader.start("create")
    archive = nested(found, "archive")
    stats = nested(archive, "stats") or nested(found, "stats")
    draft.dry_run = found.get("dry_run") is True
    draft.saved_in = reader.stream
    _put_archive(draft, archive)
    draft.facts.update(
        run_id=text(archive, "id"),
        protected_bytes=whole(stats, "original_size"),
        transferred_bytes=whole(stats, "deduplicated_size"),
    )
    _put_repository(draft, found)


def _put_archive(draft: _Draft, archive: dict[str, Any]) -> None:
    draft.facts["archive"] = text(archive, "name")
    draft.facts["duration_seconds"] = number(archive, "duration")
    draft.start_text, draft.end_text = text(archive, "start"), text(archive, "end")
    files = whole(nested(archive, "stats"), "nfiles")
    if files is not None:
        draft.files["total"] = files
    words = [word for word in listed(archive, "command_line") if isinstance(word, str)]
    draft.facts["roots"] = _roots_in(tuple(words[1:]))


def _put_repository(draft: _Draft, found: dict[str, Any]) -> None:
    draft.facts["repository"] = text(nested(found, "repository"), "location")
    stored = whole(nested(nested(found, "cache"), "stats"), "unique_csize")
    if stored is not None:
        draft.facts["stored_bytes"] = stored


def _read_listing(reader: _Reader, found: dict[str, Any]) -> None:
    """``list`` names archives, ``info`` describes them: one archive alone gives its figures."""
    draft = reader.start("list")
    draft.finished = True
    archives = [entry for entry in listed(found, "archives") if isinstance(entry, dict)]
    if len(archives) == 1 and nested(archives[0], "stats"):
        _put_archive(draft, archives[0])
        draft.facts["host"] = text(archives[0], "hostname")
        draft.facts["protected_bytes"] = whole(nested(archives[0], "stats"), "original_size")
    elif archives:
        draft.notes.append(f"{len(archives)} archives listed")
    _put_repository(draft, found)


# ---------------------------------------------------------------------------------------------------------------- text

_STARTS: tuple[tuple[Task, re.Pattern[str]], ...] = (
    ("create", re.compile(r'Creating archive at "|Archive name: |This archive: +[0-9]')),
    (
        "prune",
        re.compile(
            r"(?:Keeping|Pruning|Would prune|Would keep|Deleting|Would delete) (?:checkpoint )?archive|Would prune:"
            r"|Deleted data: |compaction freed about |Compaction saved |Compacting repository|Deleted [0-9]+ (?:chunk"
            r"|unused)"
        ),
    ),
    (
        "check",
        re.compile(
            r"Starting (?:full |partial )?repository check|Starting archive consistency check"
            r"|Starting cryptographic data integrity|(?:Finished full|Completed|Finished) repository check"
            r"|Archive consistency check complete|Analyzing archive "
        ),
    ),
    ("init", re.compile(r"By default repositories initialized with|IMPORTANT: you will need both KEY")),
    (
        "list",
        re.compile(
            r"Repository ID: |.{1,300} {2,40}(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{4}-.{0,40}\[[0-9a-f]{64}\]$"
        ),
    ),
)
_FACT = re.compile(
    r"(Repository|Archive name|Archive fingerprint|Time \((?:start|end)\)|Duration|Number of files|Original size"
    r"|Deduplicated size|This archive|All archives|Deleted data|Added files|Unchanged files|Modified files"
    r"|Hostname): +(.*)$"
)
_WEEKDAY = re.compile(
    r"(?:[A-Z][a-z]{2}, )?([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(?:\.[0-9]+)?(?: ?[+-][0-9:]{4,5}| ?Z)?)"
)
_SIZES = re.compile(r"-?[0-9.]+ [kKMGTP]?i?B")
_ENDED = re.compile(r"terminating with (success|warning|error) status, rc ([0-9]{1,3})")
_FREED = re.compile(r"compaction freed about (-?[0-9.]+ [kKMGTP]?i?B)|Compaction saved (-?[0-9.]+ [kKMGTP]?i?B)")
_FATAL = re.compile(
    r"Repository .{1,2000} (?:does not exist\.?|is not a valid|already exists|has an incompatible|not accessible)"
    r"|A repository already exists at |Archive .{1,500} (?:already exists|does not exist)\.?$"
    r"|Failed to (?:create/)?acquire the lock "
    r"|Failed to create/acquire the lock |passphrase supplied in |Passphrase supplied in "
    r"|Connection closed by remote host|Connection to remote host is broken"
    r"|Key file for repository |No key entry found |No key file|Unable to (?:create|open|read)"
    r"|Insufficient free space|borg: error: "
    r"|Cache, or information obtained from|Manifest (?:has|not)|Mandatory feature|Unsupported (?:manifest|payload"
    r"|repository)"
    r"|Attempting to access a previously unknown|The repository at location .{1,1000} was previously|Cannot (?:delete"
    r"|acquire|create)"
    r"|Repository access aborted|Got unexpected RPC|.{0,40}Permission denied \(publickey|Host key verification failed"
    r"|Remote: .{0,200}: error"
    r"|Object with key .{1,200} not found in repository|Failed to create hard link|File failed integrity check|Error: "
    r"|Command Error: |Invalid (?:location|path)|Local Exception|Remote Exception|At least one of the"
    r"|The parent path of the"
    r"|Remote: ssh: |ssh: |Option .{1,60} (?:and|is)|The storage quota|borg(?:\d)? (?:create|prune|check): error:"
)  # fmt: skip
_DAMAGE = re.compile(
    r"Data integrity error: |Index object count mismatch|(?:Finished full|Completed"
    r"|Finished) repository check, (?:some )?errors found"
    r"|Archive consistency check complete, problems found|.{0,400}(?:Missing|New missing) file chunk detected"
    r"|Finished cryptographic data integrity verification, verified [0-9]+ chunks with [1-9]"
)
_CHANGED = re.compile(r"(.{1,4000}): file (?:changed|type changed|vanished) while we (?:backed it up|read it)")
_NEVER_MATCHED = re.compile(r"Include pattern '?(.{1,1000}?)'? never matched")
_WARNING = re.compile(r"(?:Warning|WARNING): |Remote: Warning|.{1,1000}: .{0,40}(?:not supported|skipped, unreadable)")
_OVER = re.compile(r"Keyboard interrupt|Got Ctrl-C|Received SIG(?:INT|TERM|HUP)|.{0,40}KeyboardInterrupt")


def _read_text(reader: _Reader, line: str) -> None:
    stripped = line.strip()
    if not stripped:
        return
    if reader.in_traceback:
        _read_traceback(reader, line)
        return
    reader.last_text = stripped
    if stripped.startswith("Traceback (most recent call last)"):
        reader.for_trouble().fatal = True
        reader.in_traceback = True
    elif match := _ENDED.match(stripped):
        _end(reader, int(match.group(2)))
    elif not _read_trouble(reader, stripped):
        _read_progress(reader, stripped)


def _end(reader: _Reader, code: int) -> None:
    if reader.draft.code is not None:
        reader.drafts.append(_Draft())
    reader.draft.code = code


def _read_traceback(reader: _Reader, line: str) -> None:
    """A Python traceback ends with the exception at the left margin: that line says what happened."""
    if line.startswith((" ", "Traceback", "During handling of", "The above exception")):
        return
    reader.in_traceback = False
    if _OVER.match(line):
        reader.draft.cancelled = True
    reader.draft.troubles.add(line, kind="other")


def _read_trouble(reader: _Reader, line: str) -> bool:
    """True where the line is one of trouble."""
    if _OVER.match(line):
        reader.draft.cancelled = True
        reader.draft.troubles.add(line, kind="other")
    elif _DAMAGE.match(line):
        draft = reader.start("check") if reader.draft.task in (None, "check") else reader.draft
        draft.damaged = True
        draft.troubles.add(line, kind="other")
    elif _is_warning(line):
        _warn(reader, line)
    elif _FATAL.match(line):
        _add_error(reader, reader.for_trouble(), line)
    else:
        return False
    return True


def _is_warning(line: str) -> bool:
    if "[Errno " in line and _ERRNO.match(line):
        return True
    if " while we " in line and _CHANGED.match(line):
        return True
    return _NEVER_MATCHED.match(line) is not None or _WARNING.match(line) is not None


def _add_error(reader: _Reader, draft: _Draft, message: str, code: str | None = None) -> None:
    draft.fatal = True
    match = re.search(r"(?:^| )((?:/|ssh://|file://)[^ ]{1,1000})", message)
    draft.troubles.add(message, path=match.group(1) if match else None, code=code, kind="other")


def _warn(reader: _Reader, message: str, code: str | None = None) -> None:
    message = message.strip()
    match = _ERRNO.match(message) or _CHANGED.match(message) or _NEVER_MATCHED.match(message)
    draft = reader.for_trouble()
    never = _NEVER_MATCHED.match(message)
    if never:
        draft.notes.append("an include pattern matched nothing: a root may be missing")
    kind = "other" if never or _CHANGED.match(message) else kind_of(message)
    draft.troubles.add(message, path=match.group(1) if match else None, severity="warning", code=code, kind=kind)


def _read_progress(reader: _Reader, line: str) -> None:
    started = next((task for task, pattern in _STARTS if pattern.match(line)), None)
    if started == "create" and line.startswith("Archive name: ") and reader.draft.saved_in == reader.stream:
        reader.drafts.append(_Draft())
    if started == "create" and reader.draft.task == "list" and reader.draft.code is None:
        started = "list" if line.startswith("This archive") else started  # ``borg info`` prints the same table
    if started is not None:
        reader.start(started)
    if match := _FACT.match(line):
        _read_fact(reader, match.group(1), match.group(2).strip())
    elif match := _FREED.match(line):
        _put_size(reader.draft, "freed_bytes", match.group(1) or match.group(2))
        reader.draft.finished = True
    elif line.startswith("Borg: "):
        reader.version = line.split()[1]
    elif line.startswith("sys.argv: ["):
        _read_argv(reader, line)
    elif started is None and reader.draft.task is None:
        reader.listed += 1
    else:
        _read_state(reader.draft, line)


def _read_state(draft: _Draft, line: str) -> None:
    if match := re.match(r'Creating archive at "(.{1,1000})"$', line):
        repository, _, archive = match.group(1).rpartition("::")
        draft.facts.update({"repository": repository, "archive": archive} if repository else {"archive": archive})
    elif (draft.task == "check" and "no problems found" in line) or draft.task == "list" or draft.task == "init":
        draft.finished = True


def _read_argv(reader: _Reader, line: str) -> None:
    """The command line as a crash report prints it: it names the operation."""
    try:
        words = ast.literal_eval(line.removeprefix("sys.argv: ")[:4000])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return
    if reader.draft.task is None and isinstance(words, list):
        call = Invocation(tuple(str(word) for word in words[1:]))
        reader.draft.task = _task_of(call)
        reader.draft.facts["roots"] = _roots_in(call.arguments)


def _read_fact(reader: _Reader, name: str, value: str) -> None:
    draft = reader.draft
    if name in ("Repository", "Archive name", "Archive fingerprint", "Hostname"):
        _read_name(reader, name, value)
    elif name.startswith("Time ("):
        match = _WEEKDAY.match(value)
        moment = match.group(1) if match else ""
        if name == "Time (start)":
            draft.start_text = moment
        else:
            draft.end_text = moment
    elif name == "Duration":
        draft.facts["duration_seconds"] = spoken_seconds(value)
    elif name in _FILE_COUNTS:
        files = count(value)
        if files is not None:
            draft.files[_FILE_COUNTS[name]] = files
    else:
        _read_sizes(reader, name, _SIZES.findall(value))


_FILE_COUNTS = {
    "Number of files": "total", "Added files": "new", "Unchanged files": "unmodified", "Modified files": "changed",
}  # fmt: skip


def _read_name(reader: _Reader, name: str, value: str) -> None:
    draft = reader.draft
    if name == "Repository":
        if draft.saved_in == reader.stream or draft.code is not None or draft.task not in (None, "create"):
            reader.drafts.append(_Draft())
        reader.draft.facts["repository"] = value
    elif name == "Archive name":
        draft.facts["archive"] = value
    elif name == "Archive fingerprint":
        draft.facts["run_id"] = value
    else:  # only ``borg info`` prints who made the archive
        draft.task, draft.finished = "list", True
        draft.facts["host"] = value


def _read_sizes(reader: _Reader, name: str, sizes: list[str]) -> None:
    draft = reader.draft
    if name == "This archive" and len(sizes) >= 2:
        _put_size(draft, "protected_bytes", sizes[0])
        _put_size(draft, "transferred_bytes", sizes[-1])
        draft.saved_in = reader.stream
    elif name == "All archives" and sizes:
        _put_size(draft, "stored_bytes", sizes[-1])
        draft.finished = draft.finished or draft.task == "prune"
    elif name == "Deleted data" and sizes:
        _put_size(draft, "freed_bytes", sizes[-1].removeprefix("-"))
    elif name == "Original size" and len(sizes) == 1:
        _put_size(draft, "protected_bytes", sizes[0])
        draft.saved_in = reader.stream
    elif name == "Deduplicated size" and len(sizes) == 1:
        _put_size(draft, "transferred_bytes", sizes[0])


def _put_size(draft: _Draft, key: str, printed: str) -> None:
    draft.facts[key] = printed_size(printed)
    draft.facts["rounded"] = draft.facts.get("rounded", False) or is_rounded(printed)


# ------------------------------------------------------------------------------------------------------------- results


def _job_logs(reader: _Reader, calls: tuple[Invocation, ...], body: Delivery) -> tuple[JobLog, ...]:
    drafts = [draft for draft in reader.drafts if not draft.is_empty()] or reader.drafts[:1]
    _name_tasks(drafts, calls, body.exit_code)
    alone = len(drafts) == 1
    outcomes = [_outcome(draft, _own_code(draft, body.exit_code, calls, alone=alone)) for draft in drafts]
    if body.exit_code and not alone and not {"failure", "warning", "cancelled"} & set(outcomes):
        outcomes[-1] = _outcome_of_code(body.exit_code)  # something failed, and a script ends where it fails
    if alone and outcomes[0] == "failure" and drafts[0].troubles.total == 0 and reader.last_text:
        drafts[0].troubles.add(reader.last_text, kind="other")
    return tuple(
        _job_log(draft, outcome, reader, calls, body, alone=alone)
        for draft, outcome in zip(drafts, outcomes, strict=True)
    )


def _name_tasks(drafts: list[_Draft], calls: tuple[Invocation, ...], code: int | None) -> None:
    asked = _tasks_asked(calls)
    for draft in drafts:
        if draft.task is None and asked:
            draft.task = asked[-1]
        elif draft.task is None and (draft.fatal or draft.troubles.total or draft.cancelled or code):
            draft.task = "create"
            draft.notes.append("the log does not say what borg was asked to do: taken for a backup")
        elif draft.task is None:
            raise UnreadableLog("nothing in this log tells what borg did")
        if draft.task == "create" and any(_is_dry(call) for call in calls):
            draft.dry_run = True


def _tasks_asked(calls: tuple[Invocation, ...]) -> list[Task]:
    """What the command line asks for, the last call being the one that a log without words is about."""
    named = [(call, task) for call in calls if (task := _task_of(call)) is not None]
    return [task for _, task in named]


def _task_of(call: Invocation) -> Task | None:
    words = positional(call.arguments, _VALUED)
    if words[:1] == ("with-lock",):
        return None
    return next((_SUBCOMMANDS[word] for word in words if word in _SUBCOMMANDS), None)


def _is_dry(call: Invocation) -> bool:
    return _task_of(call) == "create" and bool({"-n", "--dry-run"} & set(call.arguments))


def _own_code(draft: _Draft, code: int | None, calls: tuple[Invocation, ...], *, alone: bool) -> int | None:
    """The exit code of this call: borg printed it, or it is the delivery's and nothing hides it."""
    if draft.code is not None or not alone:
        return draft.code
    return None if code == 0 and calls and calls[-1].masked else code


def _outcome_of_code(code: int) -> Outcome:
    """Borg's codes: 1 and 100 to 127 are warnings, 2 to 99 errors, 128 and above signals."""
    if code == 0:
        return "success"
    if code in (128 + 2, -2):
        return "cancelled"
    return "warning" if code == 1 or 100 <= code <= 127 else "failure"


def _outcome(draft: _Draft, code: int | None) -> Outcome:
    by_code = _outcome_of_code(code) if code is not None else None
    if draft.cancelled or by_code == "cancelled":
        return "cancelled"
    if draft.fatal or by_code == "failure" or (draft.task == "check" and (draft.damaged or code)):
        return "failure"
    if draft.dry_run:
        return "skipped"
    if by_code is None and not draft.saved_in and not draft.finished:
        return "unknown"
    if by_code == "warning" or draft.troubles.total:
        return "warning"
    return "success"


def _job_log(
    draft: _Draft,
    outcome: Outcome,
    reader: _Reader,
    calls: tuple[Invocation, ...],
    body: Delivery,
    *,
    alone: bool,
) -> JobLog:
    operation, action = _OPERATIONS[draft.task or "other"]
    told = {key: value for key, value in draft.facts.items() if key not in ("failed",) and value not in (None, "")}
    roots = told.pop("roots", ()) or (_roots_asked(calls) if draft.task == "create" else ())
    if outcome in ("failure", "cancelled", "unknown") or draft.dry_run:
        told = {key: value for key, value in told.items() if key not in _SIZES_OF_A_WHOLE_RUN}
    started, ended = _times(draft, reader)
    if operation == "inventory":
        told.pop("run_id", None)
    if draft.task == "extract" and reader.listed:
        draft.files.setdefault("total", reader.listed)
    return JobLog(
        product="borg",
        operation=operation,
        outcome=outcome,
        action=action,
        product_version=reader.version,
        roots=roots if operation == "backup" else (),
        started_at=started,
        ended_at=ended,
        basis="logical-once" if told.get("protected_bytes") is not None else None,
        complete=_complete(draft, outcome, body.exit_code, roots) if operation == "backup" else None,
        files=draft.files,
        files_failed=_files_failed(draft) if operation == "backup" else None,
        errors=_with_roots_told(draft, roots),
        errors_total=draft.troubles.total,
        exit_code=draft.code if draft.code is not None else (body.exit_code if alone else None),
        lines=None if alone or draft.first is None or draft.last is None else (draft.first, draft.last),
        notes=(*draft.notes, *_notes_on(draft, reader.zone)),
        **told,
    )


_SIZES_OF_A_WHOLE_RUN = ("protected_bytes", "transferred_bytes", "stored_bytes", "rounded")


def _times(draft: _Draft, reader: _Reader) -> tuple[datetime | None, datetime | None]:
    return local_pair(draft.start_text, draft.end_text, reader.zone)


def _notes_on(draft: _Draft, zone: Any) -> tuple[str, ...]:
    needs_zone = zone is None and is_local(draft.start_text)
    return (
        *(("dry run: nothing was saved",) if draft.dry_run else ()),
        *(("times in this log are local, and no time zone was told: they are left out",) if needs_zone else ()),
    )


def _with_roots_told(draft: _Draft, roots: tuple[str, ...]) -> tuple[LogError, ...]:
    """A root that is not there did not vanish while Borg ran: no policy may tolerate that."""
    missing = {root.rstrip("/") for root in roots}
    return tuple(
        replace(error, kind="other") if error.path and error.path.rstrip("/") in missing else error
        for error in draft.troubles.kept
    )


def _files_failed(draft: _Draft) -> int | None:
    named = sum(1 for error in draft.troubles.kept if error.path and error.severity == "warning")
    return max(named, draft.facts.get("failed", 0)) if draft.saved_in or named else None


def _complete(draft: _Draft, outcome: Outcome, code: int | None, roots: tuple[str, ...]) -> bool | None:
    if outcome in ("failure", "cancelled"):
        return False
    paths = {error.path.rstrip("/") for error in draft.troubles.kept if error.path}
    if any(root.rstrip("/") in paths for root in roots):
        return False
    known = draft.code if draft.code is not None else code
    if known is None or draft.dry_run or draft.notes or outcome == "unknown":
        return None
    return True if roots or outcome == "success" else None


def _roots_asked(calls: tuple[Invocation, ...]) -> tuple[str, ...]:
    creates = [call for call in calls if _task_of(call) == "create"]
    return _roots_in(creates[0].arguments) if len(creates) == 1 else ()


def _roots_in(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The paths of ``borg create [options] ARCHIVE PATH...``."""
    words = positional(arguments, _VALUED)
    return words[words.index("create") + 2 :] if "create" in words else ()
