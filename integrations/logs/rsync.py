"""rsync: ``--stats``, ``-v``, ``-i`` and silent logs, its log file, 2.6 to 3.4, and openrsync's words.

rsync prints no times, no id and no name; its exit code is the one certain word about a silent run. The protected size
is "Total file size" (hard links each time, symbolic links by their length). Figures of ``-h`` and ``-hh``
look the same and differ by the unit: only the command line tells which, and without it they are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from integrations.logs.bytes_to_text import clean_line, raw_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.figures import count, scaled
from integrations.logs.head import Head
from integrations.logs.joblog import Basis, Delivery, ErrorKind, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.moments import iso
from integrations.logs.rsync_words import GUIDE, MEANINGS
from integrations.logs.troubles import Troubles, kind_of

__all__ = ("GUIDE", "LABEL", "MARKS", "parse", "recognises")

LABEL = "rsync"
MARKS = (
    "rsync",
    "speedup is",
    "  received ",
    "files transferred",
    "has vanished",
    "file list",
    "+++++++++",
    "f.",
    "d.",
)

_NAMES = ("rsync", "openrsync", "cwrsync")
_LOG_FILE = r"(?:[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} \[[0-9]+\] )?"
_SIGNS = re.compile(
    rf"^{_LOG_FILE}(?:total size is [0-9.,]+[KMGTP]?  speedup is [0-9.,]+"
    r"|sent [0-9.,]+[KMGTP]? bytes  received [0-9.,]+[KMGTP]? bytes"
    r"|Number of (?:regular )?files transferred: [0-9]"
    r"|rsync(?: error| warning)?: (?:\[[A-Za-z]+\] )?\S"
    r"|rsync\([0-9]+\): (?:error|warning): "
    r"|(?:file|directory) has vanished: \"|building file list \.\.\. done$"
    r"|sending incremental file list$|receiving incremental file list$"
    r"|[<>c.h][fdLDS](?:\+{9}|[.cstTpoguaxbn]{9}) \S)",
    re.M,
)
_RSNAPSHOT = re.compile(r"\brsnapshot\b|^echo [0-9]+ > \S+\.pid|rsync(?: \S+){1,60} \\$", re.M)
_OTHERS = re.compile(
    r"^(?:INFO: Starting Backup of VM|INFO: starting new backup job|.{0,40}Info: >>>> starting action"
    r"|Starting backup using rsync)",
    re.M,
)
_WRAPPING_PROGRAMS = ("rsnapshot", "borgmatic", "backupninja", "duplicity", "rdiff", "vzdump", "barman", "dirvish")


def recognises(head: Head) -> bool:
    """An rsync command line, or lines that only rsync prints; never a tool's that calls rsync itself."""
    if any(program in head.programs for program in _WRAPPING_PROGRAMS) or head.has(_RSNAPSHOT) or head.has(_OTHERS):
        return False
    return head.calls(*_NAMES) or head.has(_SIGNS)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One JobLog per rsync call in the log, in the order of the log."""
    calls = invocations(body.command, _NAMES)
    reader = _Reader(context)
    _read_stream(reader, body.stdout)
    reader.stream = "stderr"
    _read_stream(reader, body.stderr)
    return _job_logs(reader, calls, body)


@dataclass
class _Draft:
    """What was read of one call so far. ``printed`` holds the figures as they stand in the log."""

    troubles: Troubles = field(default_factory=Troubles)
    printed: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    dirs: dict[str, int] = field(default_factory=dict)
    entries: int | None = None
    code: int | None = None
    first: int | None = None
    last: int | None = None
    ended_in: str = ""
    summed_up: bool = False
    seen: bool = False
    dry_run: bool = False
    root_failed: bool = False
    files_failed: int = 0
    version: str = ""
    started_text: str = ""
    ended_text: str = ""


class _Reader:
    """Takes the lines of a log one by one and sorts them into drafts, one per rsync call."""

    def __init__(self, context: Context) -> None:
        self.zone = context.zone
        self.drafts: list[_Draft] = [_Draft()]
        self.stream = "stdout"
        self.last_text = ""
        self.pid = ""

    @property
    def draft(self) -> _Draft:
        return self.drafts[-1]

    def begin(self) -> _Draft:
        """The draft for a line that comes before a call's summary: a new one once the current one has ended."""
        if self.draft.ended_in == self.stream:
            self.drafts.append(_Draft())
        return self.draft

    def summary(self) -> _Draft:
        """The draft for a line of a summary: a partial call's own, also where its errors were joined before it."""
        draft = self.draft
        joins = draft.code in (23, 24, 25) and not draft.summed_up
        return draft if joins else self.begin()

    def touch(self, line: int) -> None:
        if self.stream == "stdout":
            self.draft.first = self.draft.first or line
            self.draft.last = line


_PREFIX = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) \[([0-9]+)\] ?(.*)$")
_STAT = re.compile(
    r"(Number of files|Number of created files|Number of deleted files|Number of (?:regular )?files transferred"
    r"|Total file size"
    r"|Total transferred file size|Literal data|Matched data|Total bytes sent"
    r"|Total bytes received): ([0-9.,'KMGTP]+)(.*)$"
)
_TOTAL = re.compile(r"total size is ([0-9.,'KMGTP]+)  speedup is [0-9.,'KMGTP]+(.*)$")
_SENT = re.compile(r"(?:sent|wrote) ([0-9.,'KMGTP]+) bytes  (?:received|read) ([0-9.,'KMGTP]+) bytes")
_LOGGED_TOTAL = re.compile(
    r"sent ([0-9.,'KMGTP]+) bytes  received ([0-9.,'KMGTP]+) bytes  total size ([0-9.,'KMGTP]+)$"
)
_KINDS = re.compile(r"(reg|dir): ([0-9.,']+?)(?:,? |\)|$)")
_CODE = re.compile(r"rsync (?:error|warning): .{0,500}\(code ([0-9]{1,3})\) at ")
_VERSION = re.compile(r"\[[A-Za-z]{1,20}=([0-9]+\.[0-9]+\.[0-9]+\w{0,20})\]")
_PATH = re.compile(r'"([^"]{1,4000})"')
_ERROR = re.compile(
    r"rsync(?:\([0-9]+\))?: |rsync error: |rsync warning: |@ERROR: |ssh: |.{0,200}Permission denied \(.{0,200}\)\.?$"
    r"|Host key verification failed|kex_exchange_identification|Connection (?:closed|reset|timed out|refused)"
    r"|ssh_exchange_identification"
    r"|ERROR: .{1,2000} failed verification|WARNING: .{1,2000} failed verification"
    r"|IO error encountered -- skipping file deletion"
    r"|protocol version mismatch|.{0,200}(?:: command not found|: No such file or directory \([0-9]+\))$"
    r"|Received disconnect from"
    r"|unexpected tag |ERROR: |Invalid checksum|cannot delete non-empty directory: "
)
_VANISHED = re.compile(r"(?:file|directory) has vanished: ")
_NOTICES = re.compile(
    r"rsync: (?:\[\w+\] )?(?:WARNING|warning)|skipping non-regular|WARNING: |IO error encountered"
    r"|cannot delete non-empty|rsync\([0-9]+\): warning"
)
_ROOT_FAILED = re.compile(
    r"rsync(?:\([0-9]+\))?: (?:error: )?(?:\[\w+\] )?(?:link_stat|change_dir|chdir|.{0,200}: \(l?stat\)) "
)
_FILE_FAILED = re.compile(
    r"(?:send_files failed to open|read errors mapping|opendir|failed to (?:open|set)|readlink"
    r"|.{1,40}failed: Permission denied)"
)


def _read_stream(reader: _Reader, body: bytes) -> None:
    for number, raw in raw_lines(body):
        if raw.strip():
            _read_line(reader, clean_line(raw).strip())
            reader.touch(number)


def _read_line(reader: _Reader, line: str) -> None:
    match = _PREFIX.match(line)
    if match is not None:
        line = _read_prefix(reader, match)
    if not line:
        return
    if line.startswith(("Number", "Total", "Literal", "Matched", "File list")):
        _read_stat(reader, line)
    elif match := _LOGGED_TOTAL.match(line):
        _sum_up(reader, match.group(3), "")
        reader.draft.printed.update(sent=match.group(1), received=match.group(2))
    elif match := _SENT.match(line):
        reader.summary().printed.update(sent=match.group(1), received=match.group(2))
    elif match := _TOTAL.match(line):
        _sum_up(reader, match.group(1), match.group(2))
    elif not _read_trouble(reader, line):
        reader.begin().seen = True
    reader.last_text = line


def _read_prefix(reader: _Reader, match: re.Match[str]) -> str:
    """A line of ``--log-file``: the time stands before it, and the process tells one run from the next."""
    year, month, day, clock, pid, rest = match.groups()
    if reader.pid and pid != reader.pid and rest in ("building file list", "receiving file list"):
        reader.begin()
    reader.pid = pid
    draft = reader.draft if reader.draft.ended_in != reader.stream or _CODE.match(rest) else reader.begin()
    moment = f"{year}-{month}-{day} {clock}"
    draft.started_text = draft.started_text or moment
    draft.ended_text = moment
    return rest.strip()


def _read_stat(reader: _Reader, line: str) -> None:
    match = _STAT.match(line)
    if match is None:
        return
    name, figure, rest = match.groups()
    draft = reader.summary()
    draft.seen = True
    if name.startswith("Number of"):
        _read_counts(draft, name, figure, rest)
    else:
        draft.printed[name] = figure


def _read_counts(draft: _Draft, name: str, figure: str, rest: str) -> None:
    key = {"Number of files": "total", "Number of created files": "new", "Number of deleted files": "deleted"}.get(name)
    amount = count(figure)
    if name == "Number of files":
        draft.entries = amount
    if key is None:
        _put(draft.files, "transferred", amount)
        return
    kinds = {kind: count(value.rstrip(",")) for kind, value in _KINDS.findall(rest)}
    if kinds or amount == 0:
        _put(draft.files, key, kinds.get("reg", 0))
        _put(draft.dirs, key, kinds.get("dir", 0))
    elif key != "total" or "(" not in rest:
        _put(draft.files, key, amount)


def _put(counts: dict[str, int], key: str, value: int | None) -> None:
    if value is not None:
        counts[key] = value


def _sum_up(reader: _Reader, total: str, rest: str) -> None:
    draft = reader.summary()
    draft.printed.setdefault("Total file size", total)
    draft.summed_up = draft.seen = True
    draft.dry_run = "DRY RUN" in rest
    draft.ended_in = reader.stream


def _read_trouble(reader: _Reader, line: str) -> bool:
    """True where the line is one of trouble. The line with the code ends a call, before or after its summary."""
    if match := _CODE.match(line):
        _end(reader, line, int(match.group(1)))
    elif _VANISHED.match(line):
        draft = reader.begin()
        draft.files_failed += 1
        draft.troubles.add(line, path=_quoted(line), severity="warning", kind="vanished")
    elif _ERROR.match(line):
        _add_error(reader, line)
    else:
        return False
    return True


def _end(reader: _Reader, line: str, code: int) -> None:
    draft = reader.draft
    both_ends_interrupted = code == 20 and draft.code == 20 and not draft.summed_up
    if draft.code is not None and draft.ended_in == reader.stream and not both_ends_interrupted:
        reader.drafts.append(_Draft())
        draft = reader.draft
    draft.code = code
    draft.ended_in = reader.stream
    version = _VERSION.search(line)
    draft.version = version.group(1) if version else draft.version
    draft.troubles.add(
        line, severity="warning" if code in (23, 24, 25) else "error", code=str(code), kind=_kind_of_code(code)
    )


def _kind_of_code(code: int) -> ErrorKind:
    """The closing line only sums up the lines before it: it is of their kind, so that a policy counts those."""
    return "vanished" if code == 24 else "unreadable" if code == 23 else "other"


def _add_error(reader: _Reader, line: str) -> None:
    draft = reader.draft if reader.draft.code is not None else reader.begin()
    if _ROOT_FAILED.match(line):
        draft.root_failed = True
        kind: ErrorKind = "other"
    else:
        kind = kind_of(line)
        draft.files_failed += bool(_FILE_FAILED.search(line[:300])) and kind in ("unreadable", "locked", "vanished")
    severity: Literal["error", "warning"] = "warning" if _NOTICES.match(line) else "error"
    draft.troubles.add(line, path=_quoted(line), severity=severity, kind=kind)


def _quoted(line: str) -> str | None:
    match = _PATH.search(line)
    return match.group(1) if match else None


# ------------------------------------------------------------------------------------------------------------- results


def _job_logs(reader: _Reader, calls: tuple[Invocation, ...], body: Delivery) -> tuple[JobLog, ...]:
    drafts = [draft for draft in reader.drafts if _tells_anything(draft)] or reader.drafts[:1]
    alone = len(drafts) == 1
    if alone and not _tells_anything(drafts[0]) and body.exit_code is None and not calls and body.format != "rsync":
        raise UnreadableLog("nothing in this log tells what rsync did")
    codes = [_own_code(draft, body.exit_code, calls, alone=alone) for draft in drafts]
    if alone and codes[0] and drafts[0].troubles.total == 0:
        _add_code(drafts[0], codes[0])
    outcomes = [_outcome(draft, code) for draft, code in zip(drafts, codes, strict=True)]
    if body.exit_code and not alone and not {"failure", "warning", "cancelled"} & set(outcomes):
        outcomes[-1] = _outcome(drafts[-1], body.exit_code)  # something failed, and a script ends where it fails
    call = calls[-1] if calls and (alone or len(calls) == 1) else None
    return tuple(
        _job_log(draft, outcome, code, call, reader, alone=alone)
        for draft, outcome, code in zip(drafts, outcomes, codes, strict=True)
    )


def _add_code(draft: _Draft, code: int) -> None:
    """The exit code is the one word about what went wrong; files that vanished are what it says of 24."""
    draft.troubles.add(
        f"rsync ended with exit code {code}: {MEANINGS.get(code, 'unknown exit code')}",
        severity="warning" if code in (24, 25) else "error",
        code=str(code),
        kind="vanished" if code == 24 else "other",
    )


def _tells_anything(draft: _Draft) -> bool:
    return bool(draft.summed_up or draft.printed or draft.troubles.total or draft.code is not None or draft.seen)


def _own_code(draft: _Draft, code: int | None, calls: tuple[Invocation, ...], *, alone: bool) -> int | None:
    if draft.code is not None:
        return draft.code
    if not alone:
        return None
    return None if code == 0 and calls and calls[-1].masked else code


def _outcome(draft: _Draft, code: int | None) -> Outcome:
    if code in (20, 130, -2, -15, 143):
        return "cancelled"
    if code == 23:
        return "failure" if _reached_nothing(draft) else "warning"
    if code not in (None, 0, 24, 25):
        return "failure"
    if draft.dry_run:
        return "skipped"
    if code is None and not draft.summed_up:
        return "failure" if draft.root_failed else "unknown"
    if code is None and draft.root_failed and _reached_nothing(draft):
        return "failure"
    return "warning" if code in (24, 25) or draft.troubles.total else "success"


def _reached_nothing(draft: _Draft) -> bool:
    """No file in the list: the source was missing. Without statistics the total size says it."""
    if draft.entries is not None:
        return draft.entries == 0
    if "Total file size" in draft.printed:
        return draft.printed["Total file size"] == "0"
    return draft.root_failed


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for."""

    roots: tuple[str, ...] = ()
    pulls: bool = False
    unit: int | None = None
    lists: bool = False
    dry_run: bool = False


_VALUED = frozenset(
    [
        "-e",
        "--rsh",
        "-f",
        "--filter",
        "--exclude",
        "--exclude-from",
        "--include",
        "--include-from",
        "--files-from",
        "--rsync-path",
        "--bwlimit",
        "--timeout",
        "--contimeout",
        "--backup-dir",
        "--suffix",
        "--log-file",
        "--log-file-format",
        "--out-format",
        "--password-file",
        "--partial-dir",
        "--temp-dir",
        "-T",
        "--compare-dest",
        "--copy-dest",
        "--link-dest",
        "--chmod",
        "--chown",
        "--usermap",
        "--groupmap",
        "--port",
        "--sockopts",
        "--max-size",
        "--min-size",
        "--max-delete",
        "--block-size",
        "-B",
        "--modify-window",
        "-@",
        "--iconv",
        "--info",
        "--debug",
        "--remote-option",
        "-M",
        "--address",
        "--protocol",
    ]
)
_TAKES_VALUE = frozenset("efMTB@")


def _asked(call: Invocation | None) -> _Asked:
    if call is None:
        return _Asked()
    paths = positional(call.arguments, _VALUED)
    short = "".join(_flags_of(word) for word in call.arguments)
    long = [word for word in call.arguments if word.startswith("--")]
    sources = paths[:-1] if len(paths) > 1 else ()
    return _Asked(
        roots=sources,
        pulls=bool(sources) and any(_is_remote(path) for path in sources),
        unit=_unit_asked(short, long),
        lists="--list-only" in long or len(paths) == 1,
        dry_run="n" in short or "--dry-run" in long,
    )


def _flags_of(word: str) -> str:
    """Letters of a cluster such as ``-aHhh``, up to one that takes a value."""
    if not word.startswith("-") or word.startswith("--"):
        return ""
    letters = word[1:]
    ends = [at for at, letter in enumerate(letters) if letter in _TAKES_VALUE]
    return letters[: ends[0] + 1] if ends else letters


def _unit_asked(short: str, long: list[str]) -> int:
    times = short.count("h") + long.count("--human-readable")
    return 1024 if times >= 2 else 1000


def _is_remote(path: str) -> bool:
    return path.startswith("rsync://") or (":" in path.split("/")[0] and not re.match(r"[A-Za-z]:[\\/]", path))


_FIGURE = re.compile(r"^([0-9]+(?:[.,][0-9]{1,3})?)([KMGTP])$")


def _bytes_of(figure: str | None, unit: int | None) -> int | None:
    """Bytes of a printed figure; None where it has a unit letter and nobody tells 1000 from 1024."""
    if figure is None:
        return None
    match = _FIGURE.match(figure)
    if match is None:
        return count(figure)
    return None if unit is None else scaled(match.group(1), match.group(2), base=unit)


def _job_log(
    draft: _Draft, outcome: Outcome, code: int | None, call: Invocation | None, reader: _Reader, *, alone: bool
) -> JobLog:
    asked = _asked(call)
    if asked.dry_run and outcome in ("success", "warning"):
        outcome, draft.dry_run = "skipped", True
    operation: Operation = "inventory" if asked.lists else "backup"
    sizes = _sizes(draft, asked) if draft.summed_up and not draft.dry_run else {}
    protected = sizes.get("protected_bytes")
    basis: Basis | None = None if protected is None else "logical-each"
    return JobLog(
        product="rsync",
        operation=operation,
        outcome=outcome,
        action="list" if asked.lists else "",
        product_version=draft.version,
        roots=asked.roots,
        started_at=_moment(draft.started_text, reader),
        ended_at=_moment(draft.ended_text, reader),
        rounded=any(_FIGURE.match(figure) for figure in draft.printed.values()),
        basis=basis,
        complete=_complete(draft, outcome, code, asked.roots),
        files=draft.files,
        dirs=draft.dirs,
        files_failed=draft.files_failed if draft.troubles.total or code is not None else None,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=code,
        lines=None if alone or draft.first is None or draft.last is None else (draft.first, draft.last),
        notes=_notes(draft, asked),
        **sizes,
    )


def _moment(printed: str, reader: _Reader) -> datetime | None:
    return iso(printed, reader.zone) if printed else None


def _sizes(draft: _Draft, asked: _Asked) -> dict[str, Any]:
    printed = draft.printed
    moved = ("Total bytes received", "received") if asked.pulls else ("Total bytes sent", "sent")
    return {
        "protected_bytes": _bytes_of(printed.get("Total file size"), asked.unit),
        "changed_bytes": _bytes_of(printed.get("Total transferred file size"), asked.unit),
        "transferred_bytes": _bytes_of(printed.get(moved[0]) or printed.get(moved[1]), asked.unit),
    }


def _complete(draft: _Draft, outcome: Outcome, code: int | None, roots: tuple[str, ...]) -> bool | None:
    failed = {error.path.rstrip("/") for error in draft.troubles.kept if error.path}
    if outcome in ("failure", "cancelled") or draft.root_failed or any(root.rstrip("/") in failed for root in roots):
        return False
    return True if code in (0, 23, 24, 25) and not draft.dry_run else None


def _notes(draft: _Draft, asked: _Asked) -> tuple[str, ...]:
    unknown_unit = asked.unit is None and any(_FIGURE.match(figure) for figure in draft.printed.values())
    return (
        *(("dry run: nothing was copied",) if draft.dry_run else ()),
        *(
            ("sizes are printed in units of 1000 (-h) or 1024 (-hh), and no command line tells which: left out",)
            if unknown_unit
            else ()
        ),
    )
