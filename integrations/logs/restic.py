"""restic: JSON lines, plain text, and both mixed (errors on stderr stay text even with ``--json``), 0.9 to 0.18.

A log may hold several calls (backup, forget, check): each is a run. What the log leaves out is read from the command
line and exit code. Sizes are restic's own ``total_bytes_processed``: the whole selection, hard links each time. The
totals of status lines grow while restic scans: they are never taken for a size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from integrations.logs.bytes_to_text import clean_line, raw_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.figures import clock_seconds, count, is_rounded, printed_size
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import BadJson, as_object, listed, load, nested, number, text, whole
from integrations.logs.moments import iso
from integrations.logs.troubles import Troubles

LABEL = "restic"
MARKS = (
    "restic", "snapshot", "repo", "message_type", "Fatal: ", "error: ", "processed ", "tree", "keep", "total_", "scan",
    "backup", "restoring", "Snapshot", "Stats in", "config file", "backend", "unlock", "finding data",
)  # fmt: skip
GUIDE = Guide(
    releases="0.9 to 0.18",
    written_from="real logs of runs of 0.14, and restic's sources for other releases",
    operations=("backup", "copy", "restore", "verify", "prune", "inventory"),
    basis="logical, hard links each time: the whole selection, also on incremental runs",
    sizes=(
        ("protected_bytes", 'total_bytes_processed; in text, rounded, "processed N files, X"'),
        ("transferred_bytes", "data added, before compression"),
        ("stored_bytes", "of a backup what this run stored; of stats --mode raw-data and prune the repository"),
    ),
    cannot_tell=(
        "The host and the job.",
        "Times in text, and in JSON before backup_start was added.",
    ),
    ways=(
        Way("wrapper", "With the wrapper", "backledger-run --job files -- restic backup --json /srv/data"),
        Way(
            "http",
            "Without it",
            'restic backup --json /srv/data 2>&1 | curl -sS -H "Authorization: Bearer @KEY@" '
            '--data-binary @- "@URL@/api/v1/logs?format=restic"',
            note="A pipe hides the exit code: an incomplete run is then told by its summary alone.",
        ),
    ),
    notes=(
        "Read: --json with status, verbose_status, error, summary, exit_error and initialized; text; both mixed; "
        "merged or separate streams.",
        "Exit codes: 0 good, 3 warning (some source could not be read), 130 cancelled, all others failure.",
        "With errors on a separate stream, which of several backups an error belongs to cannot be told: it is "
        "told with the last.",
    ),
)

Task = Literal["backup", "copy", "restore", "check", "prune", "init", "list", "stats", "other"]

_OPERATIONS: dict[Task, tuple[Operation, str]] = {
    "backup": ("backup", ""),
    "copy": ("copy", ""),
    "restore": ("restore", ""),
    "check": ("verify", "check"),
    "prune": ("prune", ""),
    "init": ("inventory", "init"),
    "list": ("inventory", "list"),
    "stats": ("inventory", "stats"),
    "other": ("inventory", ""),
}
_SUBCOMMANDS: dict[str, Task] = {
    **dict.fromkeys(("backup",), "backup"),
    **dict.fromkeys(("copy",), "copy"),
    **dict.fromkeys(("restore", "dump", "mount"), "restore"),
    **dict.fromkeys(("check",), "check"),
    **dict.fromkeys(("forget", "prune"), "prune"),
    **dict.fromkeys(("init",), "init"),
    **dict.fromkeys(("snapshots", "ls", "list", "find", "cat", "diff"), "list"),
    **dict.fromkeys(("stats",), "stats"),
    **dict.fromkeys(
        ("unlock", "tag", "key", "rewrite", "repair", "recover", "migrate", "rebuild-index", "cache", "version"),
        "other",
    ),
}
_VALUED = frozenset(
    [
        "-r",
        "--repo",
        "--repository-file",
        "-p",
        "--password-file",
        "--password-command",
        "--key-hint",
        "--cacert",
        "--cache-dir",
        "--tls-client-cert",
        "--limit-download",
        "--limit-upload",
        "-o",
        "--option",
        "--pack-size",
        "--compression",
        "--retry-lock",
        "--tag",
        "-e",
        "--exclude",
        "--iexclude",
        "--exclude-file",
        "--iexclude-file",
        "--exclude-if-present",
        "--exclude-larger-than",
        "--files-from",
        "--files-from-verbatim",
        "--files-from-raw",
        "-H",
        "--host",
        "--hostname",
        "--parent",
        "--time",
        "--stdin-filename",
        "--read-concurrency",
        "-g",
        "--group-by",
    ]
)

# One word of the tool's own at the start of a line each; precise enough that no other program's log has it.
_SIGNS = re.compile(
    r'^(?:\{"message_type":"(?:status","percent_done|verbose_status","action|summary","(?:files_new|num_errors)|exit_error","code)"'
    r"|snapshot [0-9a-f]{8} saved$|no parent snapshot found, will read all files$"
    r"|(?:start scan|start backup) on \[|scan finished in [0-9.]+s: [0-9]+ files, "
    r"|repository [0-9a-f]{8,10} opened \("
    r"|repository [0-9a-f]{8} opened successfully, password is correct"
    r"|using parent snapshot [0-9a-f]{8}"
    r"|created restic repository [0-9a-f]+ at "
    r"|restoring (?:<Snapshot [0-9a-f]{8} of |snapshot [0-9a-f]{8} of )"
    r"|Added to the repo(?:sitory)?: |Would add to the repo(?:sitory)?: "
    r"|processed [0-9]+ files, [0-9.]+ \w+ in [0-9:]+$"
    r"|check snapshots, trees and blobs$|Applying Policy: keep |finding data that is still in use for "
    r"|(?:Fatal: )?unable to create lock in backend: |the `unlock` command can be used "
    r"|Fatal: (?:unable to (?:open config file|save snapshot|open repository)|wrong password or no key found"
    r"|repository does not exist|all (?:target|source) directories/files do not exist|nothing to backup, please specify"
    r"|Please specify repository location|an empty password is not|config or key [0-9a-f]+ is damaged"
    r"|create repository at .{1,300} failed|parse(?:ing)? repository location failed)"
    r"|Warning: at least one source file could not be read$|Stats in \S{1,40} mode:$"
    r"|error: (?:open|read|lstat|stat|incomplete metadata for) .{1,2000}: [^:\n]{1,200}$)",
    re.M,
)
_OTHERS = re.compile(r"^(?:rustic|kopia|borgmatic|duplicity)\b", re.M)
_MESSAGE_KEYS: dict[str, tuple[str, ...]] = {
    "status": ("percent_done",),
    "verbose_status": ("action", "item"),
    "error": ("during", "item"),
    "summary": ("total_bytes_processed",),
    "exit_error": ("code", "message"),
    "initialized": ("repository",),
}


def recognises(head: Head) -> bool:
    """A restic command line, restic's JSON messages and documents, or lines that only restic prints."""
    if head.has(_OTHERS):
        return False
    return head.calls("restic") or _is_document(head.document) or head.has(_SIGNS)


def _is_document(document: Any) -> bool:
    if isinstance(document, list):
        first = document[0] if document and isinstance(document[0], dict) else {}
        return {"tree", "paths", "time"} <= first.keys() or {"keep", "remove", "paths"} <= first.keys()
    if not isinstance(document, dict):
        return False
    kind = document.get("message_type")
    if isinstance(kind, str):
        return _is_message(kind, document)
    return "total_size" in document and "snapshots_count" in document


def _is_message(kind: str, document: dict[str, Any]) -> bool:
    if kind == "summary":
        return any(key in document for key in ("total_bytes_processed", "num_errors", "files_restored"))
    if kind == "error":
        return "during" in document or "error" in document
    keys = _MESSAGE_KEYS.get(kind)
    return keys is not None and any(key in document for key in keys)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One JobLog per restic call in the log, in the order of the log."""
    calls = invocations(body.command, ("restic",))
    reader = _Reader(context)
    _read_stream(reader, body.stdout, "stdout")
    reader.begin_stderr()
    _read_stream(reader, body.stderr, "stderr")
    return _job_logs(reader.drafts, calls, body)


@dataclass
class _Draft:
    """What was read of one call so far."""

    task: Task | None = None
    troubles: Troubles = field(default_factory=Troubles)
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    dirs: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    first: int | None = None
    last: int | None = None
    done: bool = False
    fatal: bool = False
    partly: bool = False
    cancelled: bool = False
    dry_run: bool = False
    root_missing: bool = False
    code: int | None = None

    def is_empty(self) -> bool:
        return self.task is None and not self.fatal and self.troubles.total == 0 and not self.cancelled


class _Reader:
    """Takes the lines of a log one by one and sorts them into drafts, one per restic call."""

    def __init__(self, context: Context) -> None:
        self.zone = context.zone
        self.drafts: list[_Draft] = [_Draft()]
        self.version = ""
        self._stream = "stdout"
        self._expects_location = False

    @property
    def draft(self) -> _Draft:
        return self.drafts[-1]

    def begin_stderr(self) -> None:
        self._stream = "stderr"

    def start(self, task: Task) -> _Draft:
        """The draft for a line of this task: the current one, or a new one where that is another task or done."""
        draft = self.draft
        if draft.task is None and not draft.fatal:
            draft.task = task
        elif draft.task != task or draft.done:
            draft = self._open(task)
        return draft

    def _open(self, task: Task | None) -> _Draft:
        if not self.draft.is_empty():
            self.drafts.append(_Draft())
        self.draft.task = task
        return self.draft

    def next_call(self) -> None:
        """A line that restic prints before anything else: what came before was another call."""
        if not self.draft.is_empty() and (self.draft.done or self.draft.fatal or self.draft.task in ("prune", "check")):
            self._open(None)

    def touch(self, line: int) -> None:
        if self._stream == "stdout":
            self.draft.first = self.draft.first or line
            self.draft.last = line


def _read_stream(reader: _Reader, body: bytes, stream: str) -> None:
    for line, raw in raw_lines(body):
        stripped = raw.strip()
        if not stripped:
            continue
        if stripped.startswith(b'{"message_type":"status"'):
            _read_status(reader, stripped)
        elif stripped[:1] == b"{" and (found := as_object(stripped)) is not None:
            _read_object(reader, found)
        elif stripped.startswith((b"[{", b"[]")) and stripped.endswith(b"]"):
            _read_list(reader, stripped, line)
        else:
            _read_text(reader, clean_line(raw))
        reader.touch(line)


# ---------------------------------------------------------------------------------------------------------------- JSON


def _read_status(reader: _Reader, raw: bytes) -> None:
    reader.start("restore" if b"_restored" in raw[:400] else _task_in_progress(reader))


def _task_in_progress(reader: _Reader) -> Task:
    task = reader.draft.task
    return task if task is not None and not reader.draft.done else "backup"


def _read_list(reader: _Reader, raw: bytes, line: int) -> None:
    try:
        entries = load(raw)
    except BadJson as error:
        raise UnreadableLog(f"restic's JSON cannot be read: {error.reason}", line) from None
    first = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}
    if "keep" in first or "remove" in first:
        draft = reader.start("prune")
        draft.facts["listed"] = True
    else:
        draft = reader.start("list")
        draft.done = True
        draft.facts["roots"] = ()


def _read_object(reader: _Reader, found: dict[str, Any]) -> None:
    kind = text(found, "message_type")
    handler = _HANDLERS.get(kind)
    if handler is not None:
        handler(reader, found)
    elif "total_size" in found and "message_type" not in found:
        _read_stats(reader, found)
    elif text(found, "struct_type") in ("snapshot", "node") or kind in ("change", "statistics", "node", "snapshot"):
        reader.start("list").done = True


def _read_verbose(reader: _Reader, found: dict[str, Any]) -> None:
    restored = text(found, "action") in ("restored", "updated", "deleted")
    reader.start("restore" if restored else _task_in_progress(reader))


def _read_error(reader: _Reader, found: dict[str, Any]) -> None:
    error = nested(found, "error")
    path = text(found, "item") or text(error, "Path") or None
    message = text(error, "message") or text(found, "message") or _message_of_errno(error)
    code = whole(error, "Err")
    reader.draft.troubles.add(message, path=path, code=None if code is None else str(code))


_ERRNO = {
    1: "operation not permitted", 2: "no such file or directory", 5: "input/output error", 13: "permission denied",
    16: "device or resource busy", 26: "text file busy", 28: "no space left on device", 116: "stale file handle",
}  # fmt: skip
_WINDOWS = {2: "cannot find the file", 3: "cannot find the path", 5: "access is denied", 32: "sharing violation"}


def _message_of_errno(error: dict[str, Any]) -> str:
    """Words for ``{"Op":"open","Path":..,"Err":13}``, as restic printed errors up to 0.16: the number alone."""
    operation, path, code = text(error, "Op"), text(error, "Path"), whole(error, "Err")
    on_windows = re.match(r"[A-Za-z]:|\\\\", path) is not None
    words = (_WINDOWS if on_windows else _ERRNO).get(code or 0, f"error {code}" if code is not None else "error")
    return f"{operation} {path}: {words}".strip()


def _read_summary(reader: _Reader, found: dict[str, Any]) -> None:
    if "num_errors" in found:
        _read_check_summary(reader, found)
    elif "files_restored" in found or "bytes_restored" in found:
        _read_restore_summary(reader, found)
    else:
        _read_backup_summary(reader, found)


def _read_backup_summary(reader: _Reader, found: dict[str, Any]) -> None:
    draft = reader.start("backup")
    draft.done = True
    draft.dry_run = found.get("dry_run") is True
    draft.facts.update(
        run_id=text(found, "snapshot_id"),
        protected_bytes=whole(found, "total_bytes_processed"),
        transferred_bytes=whole(found, "data_added"),
        stored_bytes=whole(found, "data_added_packed"),
        duration_seconds=number(found, "total_duration"),
        started_at=iso(text(found, "backup_start"), reader.zone),
        ended_at=iso(text(found, "backup_end"), reader.zone),
    )
    _put_counts(draft.files, found, "files", total="total_files_processed")
    _put_counts(draft.dirs, found, "dirs")


def _put_counts(counts: dict[str, int], found: dict[str, Any], prefix: str, total: str = "") -> None:
    for key, name in ((total, "total"), *((f"{prefix}_{part}", part) for part in ("new", "changed", "unmodified"))):
        value = whole(found, key)
        if value is not None:
            counts[name] = value


def _read_restore_summary(reader: _Reader, found: dict[str, Any]) -> None:
    draft = reader.start("restore")
    draft.facts.update(
        restored_bytes=whole(found, "bytes_restored"), duration_seconds=number(found, "seconds_elapsed"), finished=True
    )
    total = whole(found, "files_restored") or whole(found, "total_files")
    if total is not None:
        draft.files["total"] = total


def _read_check_summary(reader: _Reader, found: dict[str, Any]) -> None:
    draft = reader.start("check")
    bad = (whole(found, "num_errors") or 0) + len(listed(found, "broken_packs"))
    if bad:
        draft.fatal = True
        if draft.troubles.total == 0:
            draft.troubles.add(f"restic check found {whole(found, 'num_errors')} errors", kind="other")
    if found.get("suggest_repair_index") is True:
        draft.troubles.add("restic suggests to run: restic repair index", severity="warning", kind="other")
    draft.facts["clean"] = not bad


def _read_exit_error(reader: _Reader, found: dict[str, Any]) -> None:
    message, code = text(found, "message").strip().split("\n")[0], whole(found, "code")
    if code == 3:
        reader.draft.partly = True
    else:
        reader.draft.cancelled = reader.draft.cancelled or code == 130
        _fail(reader, message.removeprefix("Fatal: "), code=code)
    reader.draft.code = code


def _fail(reader: _Reader, message: str, *, code: int | None = None) -> None:
    if reader.draft.task == "backup" and reader.draft.done and code != 130:
        reader._open(None)
    reader.draft.fatal = True
    reader.draft.troubles.add(message, path=_path_in(message), code=None if code is None else str(code), kind="other")


def _read_initialized(reader: _Reader, found: dict[str, Any]) -> None:
    draft = reader.start("init")
    draft.done = True
    draft.facts["repository"] = text(found, "repository")


def _read_stats(reader: _Reader, found: dict[str, Any]) -> None:
    draft = reader.start("stats")
    draft.done = True
    size = whole(found, "total_size")
    if whole(found, "total_blob_count"):
        draft.facts["stored_bytes"] = size
    files = whole(found, "total_file_count")
    if files:
        draft.files["total"] = files


_HANDLERS = {
    "verbose_status": _read_verbose,
    "error": _read_error,
    "summary": _read_summary,
    "exit_error": _read_exit_error,
    "initialized": _read_initialized,
}

# ---------------------------------------------------------------------------------------------------------------- text

_STARTS: tuple[tuple[Task, re.Pattern[str]], ...] = (
    (
        "backup",
        re.compile(
            r"using parent snapshot |no parent snapshot found|start (?:scan|backup) on \[|scan finished in "
            r"|(?:Files|Dirs): +[0-9]|(?:Added|Would add) to the repo|processed [0-9]+ files, "
            r"|skipped creating snapshot"
        ),
    ),
    (
        "copy",
        re.compile(r" +copy started, this may take|skipping (?:source )?snapshot .{1,200} (?:was )?already copied"),
    ),
    (
        "restore",
        re.compile(
            r"restoring (?:<Snapshot |snapshot )|Summary: Restored |(?:finished )?verifying (?:[0-9]+ )?files in "
        ),
    ),
    (
        "check",
        re.compile(
            r"create exclusive lock for repository|check all packs|check snapshots, trees and blobs|read all data"
            r"|no errors were found|using temporary cache in "
        ),
    ),
    (
        "prune",
        re.compile(
            r"Applying Policy: |(?:keep|remove) [0-9]+ snapshots:|[0-9]+ snapshots have been removed|removed snapshot "
            r"|finding data that is still in use|searching used packs|total prune:|counting files in repo"
            r"|no snapshots were removed"
        ),
    ),
    ("init", re.compile(r"created restic repository ")),
    ("stats", re.compile(r"Stats in \S{1,40} mode:")),
    ("other", re.compile(r"successfully removed (?:[0-9]+ )?locks")),
)
_NEXT_CALL = re.compile(r"open repository$|repository [0-9a-f]{8,10} opened|lock repository$")
_SNAPSHOT = re.compile(r"snapshot ([0-9a-f]{8,64}) saved$")
_SNAPSHOT_TABLE = re.compile(r"ID +Time +Host |[0-9]+ snapshots$")
_COUNTS = re.compile(r"(Files|Dirs): +([0-9]+) new, +([0-9]+) changed, +([0-9]+) unmodified")
_PROCESSED = re.compile(r"processed ([0-9]+) files, ([0-9.]+ \w+) in ([0-9:]+)")
_ADDED = re.compile(r"(?:Added|Would add) to the repo(?:sitory)?: ([0-9.]+ \w+) *(?:\(([0-9.]+ \w+) +stored\))?")
_RESTORED = re.compile(r"Summary: Restored ([0-9]+)(?: / ([0-9]+))? (?:files/dirs|Files|files) \(([0-9.]+ \w+)")
_VERIFIED = re.compile(r"finished verifying ([0-9]+) files in ")
_ROOT_MISSING = re.compile(r"(.{1,4000}) does not exist, skipping$")
_IGNORED = re.compile(r"ignoring error for (.{1,4000}?): ")
_FREED = re.compile(r"total prune: +[0-9]+ blobs / ([0-9.]+ \w+)|.{0,200}this frees ([0-9.]+ \w+)")
_REMAINING = re.compile(r"remaining: +[0-9]+ blobs / ([0-9.]+ \w+)")
_VERSION = re.compile(r"restic ([0-9]+\.[0-9]+\.[0-9]+\S{0,30}) ")
_SCAN_ROOTS = re.compile(r"start (?:scan|backup) on \[([^\]\s]{1,2000})\]$")


def _read_text(reader: _Reader, line: str) -> None:
    if reader._expects_location:
        reader.draft.facts["repository"] = line.strip()
        reader._expects_location = False
        return
    stripped = line.strip()
    if _NEXT_CALL.match(line):
        reader.next_call()
    elif _read_trouble(reader, stripped):
        return
    elif _SNAPSHOT.match(stripped):
        _read_snapshot(reader, stripped)
    elif _SNAPSHOT_TABLE.match(stripped) and reader.draft.task in (None, "list"):
        (reader.start("list") if stripped.startswith("ID") else reader.draft).task = "list"
        reader.draft.done = True
    else:
        _read_progress(reader, line)


def _read_progress(reader: _Reader, line: str) -> None:
    for task, pattern in _STARTS:
        if pattern.match(line):
            reader.start(task)
            break
    _read_figures(reader.draft, line.strip())
    if reader.version == "" and (match := _VERSION.match(line)):
        reader.version = match.group(1)


def _read_snapshot(reader: _Reader, line: str) -> None:
    match = _SNAPSHOT.match(line)
    if match is None:
        return
    draft = reader.start("copy" if reader.draft.task == "copy" else "backup")
    draft.facts.setdefault("run_id", match.group(1))
    draft.done = draft.task == "backup"
    draft.facts["finished"] = True


def _read_trouble(reader: _Reader, line: str) -> bool:
    """True where the line is one of trouble, or belongs to one."""
    if line.startswith("Fatal: "):
        _read_fatal(reader, line.removeprefix("Fatal: "))
    elif line.startswith(("unable to create lock in backend: ", "invalid id ")):
        _fail(reader, line)
    elif line.startswith(("error: ", "error for tree ", "scan: ")):
        message = line.removeprefix("error: ")
        reader.draft.troubles.add(message, path=_path_in(message))
    elif match := _ROOT_MISSING.match(line):
        _miss_root(reader, match.group(1), line)
    elif match := _IGNORED.match(line):
        reader.draft.troubles.add(line, path=match.group(1))
    elif re.match(r"Warning: (?:at least one source file could not be read|failed to read all source data)", line):
        reader.draft.partly = True
    elif line.startswith("signal interrupt received"):
        reader.draft.cancelled = True
    elif line == "Is there a repository at the following location?":
        reader._expects_location = True
    else:
        return _read_damage(reader, line)
    return True


_DAMAGE = re.compile(
    r"(?:pack [0-9a-f]{8,64}: |Pack ID does not match|tree [0-9a-f]{8,64}: |.{0,200}contains [0-9]+ errors"
    r"|The repository index is "
    r"damaged|The repository contains (?:damaged|pack)|.{0,200}does not exist in (?:the )?repository"
    r"|ciphertext verification failed)"
)


def _read_damage(reader: _Reader, line: str) -> bool:
    if reader.draft.task != "check" or not _DAMAGE.match(line):
        return False
    reader.draft.troubles.add(line, kind="other")
    return True


def _read_fatal(reader: _Reader, message: str) -> None:
    if "interrupted" in message or "context canceled" in message:
        reader.draft.cancelled = True
    _fail(reader, message)


def _miss_root(reader: _Reader, path: str, line: str) -> None:
    if reader.draft.done and (reader._stream == "stdout" or len(reader.drafts) > 1):
        reader._open(None)
    reader.draft.root_missing = True
    reader.draft.troubles.add(line, path=path, kind="other")


def _path_in(message: str) -> str | None:
    before, colon, _ = message.rpartition(": ")
    if not colon:
        return None
    match = re.search(r"(?:^|[a-z] )((?:/|[A-Za-z]:\\|\\\\).*)$", before.rsplit(": ", 1)[-1][:4000])
    return match.group(1) if match else None


def _read_figures(draft: _Draft, line: str) -> None:
    if match := _COUNTS.match(line):
        counts = draft.files if match.group(1) == "Files" else draft.dirs
        counts.update(zip(("new", "changed", "unmodified"), map(int, match.groups()[1:]), strict=True))
    elif match := _PROCESSED.match(line):
        draft.files["total"] = count(match.group(1)) or 0
        _put_size(draft, "protected_bytes", match.group(2))
        draft.facts["duration_seconds"] = clock_seconds(match.group(3))
    elif match := _ADDED.match(line):
        draft.dry_run = line.startswith("Would")
        _put_size(draft, "transferred_bytes", match.group(1))
        if match.group(2):
            _put_size(draft, "stored_bytes", match.group(2))
    else:
        _read_other_figures(draft, line)


def _read_other_figures(draft: _Draft, line: str) -> None:
    if line.startswith("skipped creating snapshot"):
        draft.done = True
        draft.notes.append("nothing had changed: restic was told not to save another snapshot")
    elif match := _RESTORED.match(line):
        draft.files["total"] = int(match.group(1))
        draft.partly = draft.partly or match.group(2) not in (None, match.group(1))
        _put_size(draft, "restored_bytes", match.group(3))
        draft.facts["finished"] = True
    elif match := _VERIFIED.match(line):
        draft.files["total"] = int(match.group(1))
        draft.facts["finished"] = True
    elif draft.task == "prune" and (match := _FREED.match(line)):
        _put_size(draft, "freed_bytes", match.group(1) or match.group(2))
    elif draft.task == "prune" and (match := _REMAINING.match(line)):
        _put_size(draft, "stored_bytes", match.group(1))
    elif draft.task == "prune" and (line == "done" or line.startswith("no snapshots were removed")):
        draft.facts["finished"] = True
    elif draft.task == "check" and line == "no errors were found":
        draft.facts["clean"] = True
    else:
        _read_rest(draft, line)


def _read_rest(draft: _Draft, line: str) -> None:
    if draft.task == "init" and line.startswith("created restic repository "):
        draft.done = True
        draft.facts["repository"] = line.split(" at ", 1)[-1]
    elif draft.task == "stats" and line.startswith("Total Size:"):
        draft.done = True
        if "raw-data" in str(draft.facts.get("mode")):
            _put_size(draft, "stored_bytes", line.split(":", 1)[1])
    elif draft.task == "stats" and line.startswith("Stats in "):
        draft.facts["mode"] = line.split()[2]
    elif match := _SCAN_ROOTS.match(line):
        draft.facts["roots"] = (match.group(1),)


def _put_size(draft: _Draft, key: str, printed: str) -> None:
    draft.facts[key] = printed_size(printed)
    draft.facts["rounded"] = draft.facts.get("rounded", False) or is_rounded(printed)


# ------------------------------------------------------------------------------------------------------------- results


def _job_logs(drafts: list[_Draft], calls: tuple[Invocation, ...], body: Delivery) -> tuple[JobLog, ...]:
    named = [draft for draft in drafts if not draft.is_empty()] or drafts[:1]
    _name_tasks(named, calls)
    code = body.exit_code
    outcomes = [_outcome(draft, _own_code(draft, code, calls, alone=len(named) == 1)) for draft in named]
    if code and len(named) > 1 and not {"failure", "warning", "cancelled"} & set(outcomes):
        outcomes[-1] = "warning" if code == 3 else "failure"  # something failed, and a script ends where it fails
    return tuple(
        _job_log(draft, outcome, calls, body, alone=len(named) == 1)
        for draft, outcome in zip(named, outcomes, strict=True)
    )


def _own_code(draft: _Draft, code: int | None, calls: tuple[Invocation, ...], *, alone: bool) -> int | None:
    """The exit code of this call: its own message says it, or it is the delivery's and nothing hides it."""
    if draft.code is not None or not alone:
        return draft.code
    masked = any(call.masked for call in calls)
    return None if code == 0 and masked else code


def _name_tasks(drafts: list[_Draft], calls: tuple[Invocation, ...]) -> None:
    asked = {task for call in calls if (task := _task_of(call)) is not None}
    for draft in drafts:
        if draft.task is None and len(asked) == 1:
            draft.task = next(iter(asked))
        elif draft.task is None and not draft.is_empty():
            draft.task = "backup"
            draft.notes.append("the log does not say what restic was asked to do: taken for a backup")
        elif draft.task is None:
            raise UnreadableLog("nothing in this log tells what restic did")


def _task_of(call: Invocation) -> Task | None:
    words = positional(call.arguments, _VALUED)
    return next((_SUBCOMMANDS[word] for word in words if word in _SUBCOMMANDS), None)


def _outcome(draft: _Draft, code: int | None) -> Outcome:
    if draft.cancelled or code == 130:
        return "cancelled"
    if draft.fatal or (code is not None and code not in (0, 3)):
        return "failure"
    if draft.dry_run:
        return "skipped"
    if draft.partly or code == 3:
        return "warning"
    if not _ended(draft) and code is None:
        return "unknown"
    if draft.task == "check" and draft.troubles.errors:
        return "failure"
    return "warning" if draft.troubles.total else "success"


def _ended(draft: _Draft) -> bool:
    """Whether the log itself says that the call came to its end."""
    if draft.task == "prune":
        return bool(draft.facts.get("finished"))
    if draft.task == "check":
        return "clean" in draft.facts
    return draft.done or bool(draft.facts.get("finished"))


def _job_log(draft: _Draft, outcome: Outcome, calls: tuple[Invocation, ...], body: Delivery, *, alone: bool) -> JobLog:
    task = draft.task or "other"
    code = _own_code(draft, body.exit_code, calls, alone=alone)
    operation, action = _OPERATIONS[task]
    told = {key: value for key, value in draft.facts.items() if key in _FACTS_KEPT and value not in (None, "")}
    roots = told.pop("roots", ()) or _roots_asked(task, calls)
    if outcome in ("failure", "cancelled", "unknown") or draft.dry_run:
        told = {key: value for key, value in told.items() if key not in _SIZES_OF_A_WHOLE_RUN}
    if task == "backup" and outcome == "unknown":
        draft.notes.append("the log ends before restic's summary")
    told.setdefault("repository", _repository_asked(calls))
    return JobLog(
        product="restic",
        operation=operation,
        outcome=outcome,
        action=action,
        roots=roots,
        basis="logical-each" if told.get("protected_bytes") is not None else None,
        complete=_complete(draft, outcome, code, roots) if operation in ("backup", "copy") else None,
        files=draft.files,
        dirs=draft.dirs,
        files_failed=_files_failed(draft) if operation == "backup" else None,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=draft.code if draft.code is not None else (body.exit_code if alone else None),
        lines=None if alone or draft.first is None or draft.last is None else (draft.first, draft.last),
        notes=(*draft.notes, *(("dry run: nothing was saved",) if draft.dry_run else ())),
        **told,
    )


_SIZES_OF_A_WHOLE_RUN = ("protected_bytes", "transferred_bytes", "stored_bytes", "rounded")
_FACTS_KEPT = frozenset(
    (*_SIZES_OF_A_WHOLE_RUN, "run_id", "restored_bytes", "freed_bytes", "duration_seconds", "started_at", "ended_at",
     "repository", "roots")
)  # fmt: skip


def _files_failed(draft: _Draft) -> int | None:
    """Items that could not be read: error lines that name a path. None where they were not listed."""
    named = sum(1 for error in draft.troubles.kept if error.path and error.kind != "other")
    if draft.partly and not draft.troubles.total:
        return None
    return named if draft.troubles.total == len(draft.troubles.kept) else draft.troubles.errors


def _complete(draft: _Draft, outcome: Outcome, code: int | None, roots: tuple[str, ...]) -> bool | None:
    if outcome in ("failure", "cancelled") or draft.root_missing:
        return False
    if any(error.path and _covers(error.path, root) for error in draft.troubles.kept for root in roots):
        return False
    if draft.dry_run or code is None:
        return None
    return None if draft.partly and draft.troubles.total == 0 else True


def _covers(path: str, root: str) -> bool:
    """Whether what failed at ``path`` took the whole root with it."""
    return (root.rstrip("/\\") + "/").startswith(path.rstrip("/\\") + "/")


def _roots_asked(task: Task, calls: tuple[Invocation, ...]) -> tuple[str, ...]:
    backups = [call for call in calls if _task_of(call) == "backup"]
    if task != "backup" or len(backups) != 1:
        return ()
    words = positional(backups[0].arguments, _VALUED)
    return words[words.index("backup") + 1 :] if "backup" in words else ()


def _repository_asked(calls: tuple[Invocation, ...]) -> str:
    for call in calls:
        for at, word in enumerate(call.arguments):
            if word in ("-r", "--repo") and at + 1 < len(call.arguments):
                return call.arguments[at + 1]
            if word.startswith("--repo="):
                return word.removeprefix("--repo=")
    return ""
