"""duplicity: backups, restores, verifications, removals and listings as text, 0.6 to 3.0, in five languages.

Its statistics are in English everywhere and tell exact bytes and Unix times; the words around them are translated.
It exits 0 although files could not be read: ``Errors`` in the statistics decides. The protected size is
``SourceFileSize``: hard links each time, and folders by what their entry occupies.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from integrations.logs.bytes_to_text import clean_line, raw_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.duplicity_words import (
    ASCTIME,
    BACKUPNINJA,
    BEGINS,
    COLLECTION,
    FATAL,
    FIGURE,
    FILE_TROUBLE,
    FULL_ROW,
    LAST_FULL,
    MACHINE,
    MISSING,
    MONTHS,
    NOISE,
    NONE,
    OPERATIONS,
    OTHERS,
    PRUNED,
    RETRY,
    SETS,
    SIGNS,
    STAMP,
    VALUED,
    VERIFIED,
)
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.moments import iso, unix
from integrations.logs.troubles import Troubles

LABEL = "duplicity"
MARKS = (
    "duplicity", "RawDeltaSize", "Last full backup", "Local and Remote metadata", "Synchronizing remote metadata",
    "Letzte vollständige Sicherung", "dernière sauvegarde complète", "último respaldo completo",
    "ultimo backup completo", "Verify complete: ", "Backup source ",
)  # fmt: skip
GUIDE = Guide(
    releases="0.6 to 3.2, and duply around it",
    written_from="real logs of runs of 0.8 and 3.2, and duplicity's sources and translations for other releases",
    operations=("backup", "restore", "verify", "prune", "inventory", "copy"),
    basis="logical, hard links each time; folders count with what their entry occupies",
    sizes=(
        ("protected_bytes", "SourceFileSize"),
        ("changed_bytes", "RawDeltaSize"),
        ("transferred_bytes", "TotalDestinationSizeChange"),
    ),
    cannot_tell=(
        "Any size with --no-print-statistics, or of a restore.",
        "The size of the whole chain at the destination.",
        "The outcome of a restore or removal without its exit code.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job mail01 -- duplicity --full-if-older-than 1M /srv/data sftp://nas//backup/mail01",
        ),
        Way(
            "http",
            "Without it",
            "duplicity /srv/data sftp://nas//backup/mail01 >out.log 2>&1; code=$?\n"
            'curl -sS -H "Authorization: Bearer @KEY@" --data-binary @out.log '
            '"@URL@/api/v1/logs?format=duplicity&timezone=Europe/Berlin&exit_code=$code"',
        ),
    ),
    notes=(
        "Read: English, German, French, Spanish and Italian; several calls in one log; --log-file.",
        "Files that could not be read make a warning. A verification that finds differences is a failure.",
        "Attempts that failed and then succeeded are shown, and do not make a warning.",
    ),
)

_NAMES = ("duplicity",)


def recognises(head: Head) -> bool:
    """A duplicity command line, its statistics, or lines that only duplicity prints; never a tool's that calls it."""
    if any(name in head.programs for name in OTHERS) or head.has(BACKUPNINJA):
        return False
    return head.calls(*_NAMES) or head.has(SIGNS)


@dataclass
class _Draft:
    """What was read of one call so far. ``begun``: a line that comes once in a call was seen."""

    troubles: Troubles = field(default_factory=Troubles)
    figures: dict[str, str] = field(default_factory=dict)
    action: str = ""
    asked: str = ""
    begun: set[str] = field(default_factory=set)
    last_full: str = ""
    no_full: bool = False
    forced_full: bool = False
    verified: tuple[int, int] | None = None
    sets: int | None = None
    fatal: bool = False
    cancelled: bool = False
    files_failed: int = 0
    first: int | None = None
    last: int | None = None
    partial: bool = False

    @property
    def finished(self) -> bool:
        """The last line of the statistics, a verification's sum, or a listing's own words."""
        return "Errors" in self.figures or self.verified is not None


class _Reader:
    """Takes the lines of a log one by one and sorts them into drafts, one per call."""

    def __init__(self) -> None:
        self.drafts = [_Draft()]
        self.version = ""
        self.args = ""
        self.last_text = ""
        self.in_traceback = False
        self.level = ""
        self.stream = "stdout"

    @property
    def draft(self) -> _Draft:
        return self.drafts[-1]

    def begin(self, sign: str) -> None:
        """A line that stands once at the start of a call: a second one is the next call's."""
        seen = self.draft.begun
        if sign in seen or (sign == "synchronised" and seen) or self.draft.finished or self.draft.action:
            self.drafts.append(_Draft())
        self.draft.begun.add(sign)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One JobLog per duplicity call in the log, in the order of the log."""
    reader = _Reader()
    _read_stream(reader, body.stdout)
    reader.stream, reader.in_traceback = "stderr", False
    _read_stream(reader, body.stderr)
    return _job_logs(reader, body, context.zone)


# ------------------------------------------------------------------------------------------------------------- reading


def _read_stream(reader: _Reader, stream: bytes) -> None:
    for number, raw in raw_lines(stream):
        line = clean_line(raw)
        if line.strip():
            _read_line(reader, line)
        if reader.stream == "stdout":
            reader.draft.first = reader.draft.first or number
            reader.draft.last = number


def _read_line(reader: _Reader, line: str) -> None:
    if line[:2] == "20" and (match := STAMP.match(line)):
        line = line[match.end() :]
    if reader.in_traceback:
        _read_traceback(reader, line)
        return
    if match := MACHINE.match(line):
        reader.level = match.group(1)
        return
    line = line.removeprefix(". ").strip()
    if "Traceback (" in line:
        reader.in_traceback = reader.draft.fatal = True
    elif match := FIGURE.match(line):
        reader.draft.figures[match.group(1)] = match.group(2)
    elif line and not line.startswith("---"):
        _read_words(reader, line)


def _read_traceback(reader: _Reader, line: str) -> None:
    """It ends with the exception, which duplicity indents by one blank."""
    if line.startswith("  ") or not line.strip():
        return
    reader.in_traceback = False
    reader.draft.fatal = True
    reader.draft.troubles.add(line.strip(), kind="other")


def _read_words(reader: _Reader, line: str) -> None:
    if line.startswith(BEGINS):
        reader.begin("synchronised")
    elif line.startswith(LAST_FULL):
        reader.begin("last full")
        reader.draft.last_full = line
        reader.draft.no_full = NONE.search(line) is not None
    elif not _read_result(reader.draft, line) and not _read_trouble(reader, line):
        _read_header(reader, line)
        reader.last_text = line


def _read_result(draft: _Draft, line: str) -> bool:
    if match := VERIFIED.match(line):
        draft.verified = (int(match.group(1)), int(match.group(2)))
        draft.action = "verify"
    elif line.startswith(COLLECTION):
        draft.action = "collection-status"
    elif PRUNED.match(line):
        draft.action = draft.action or "cleanup"
    elif match := SETS.match(line):
        draft.sets = int(match.group(1))
    elif match := FULL_ROW.match(line):
        draft.last_full = match.group(1)
    else:
        return False
    return True


def _read_trouble(reader: _Reader, line: str) -> bool:
    draft = reader.draft
    if match := FILE_TROUBLE.match(line):
        path = next(found for found in match.groups() if found)
        draft.files_failed += 1
        draft.troubles.add(line, path=path, severity="warning")
    elif line.startswith("Difference found"):
        draft.troubles.add(line, kind="other")
    elif RETRY.match(line):
        draft.troubles.add(line, severity="warning", kind="other")
    elif line.startswith("INT intercepted"):
        draft.cancelled = True
    elif FATAL.match(line) or reader.level == "ERROR" or (reader.stream == "stderr" and _is_told_error(line)):
        match = MISSING.match(line)
        draft.fatal = draft.fatal or FATAL.match(line) is not None or reader.level == "ERROR"
        draft.troubles.add(line, path=match.group(1) if match else None, kind="other")
    else:
        return False
    return True


def _is_told_error(line: str) -> bool:
    """Standard error holds what went wrong, and noise of Python and GnuPG."""
    if line.startswith((*NOISE, "=====")) or "Warning" in line:
        return False
    return not line.startswith("gpg: ") or "failed" in line or "error" in line or "No " in line


def _read_header(reader: _Reader, line: str) -> None:
    if line.startswith("duplicity ") and len(line) < 60 and line[10:11].isdigit():
        reader.version = line.split()[1]
    elif line.startswith("Args: "):
        reader.args = line.removeprefix("Args: ")
    elif line.startswith("Main action: "):
        reader.draft.asked = line.removeprefix("Main action: ").strip()
    elif (
        "too old, forcing full backup" in line or "switching to full backup" in line or "vollständige Sicherung" in line
    ):
        reader.draft.forced_full = True
    elif "left a partial set, restarting" in line or line.startswith("RESTART: "):
        reader.draft.partial = True


# ------------------------------------------------------------------------------------------------------------- results


def _job_logs(reader: _Reader, body: Delivery, zone: tzinfo | None) -> tuple[JobLog, ...]:
    calls = invocations(body.command, _NAMES) or invocations(reader.args, _NAMES)
    drafts = reader.drafts
    alone = len(drafts) == 1
    matched = len(calls) == len(drafts)
    found = []
    for at, draft in enumerate(drafts):
        call = calls[at] if matched else calls[-1] if calls and alone else None
        code = body.exit_code if alone or at == len(drafts) - 1 else None
        if code == 0 and call is not None and call.masked:
            code = None
        found.append(_job_log(draft, reader, call, code, body, zone, alone=alone))
    return tuple(found)


def _job_log(
    draft: _Draft,
    reader: _Reader,
    call: Invocation | None,
    code: int | None,
    body: Delivery,
    zone: tzinfo | None,
    *,
    alone: bool,
) -> JobLog:
    action = _action(draft, call)
    if not action and not (draft.fatal or draft.troubles.total or code or draft.begun):
        raise UnreadableLog("nothing in this log tells what duplicity did")
    operation, shown = OPERATIONS.get(action, ("backup", ""))
    dry = call is not None and "--dry-run" in call.arguments
    outcome = _outcome(draft, operation, code, dry=dry)
    if outcome == "failure" and not draft.troubles.total and reader.last_text:
        draft.troubles.add(reader.last_text, kind="other")
    run = JobLog(
        product="duplicity",
        operation=operation,
        outcome=outcome,
        action=shown,
        product_version=reader.version,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code if alone else None,
        lines=None if alone or draft.first is None or draft.last is None else (draft.first, draft.last),
        notes=_notes(draft, action, outcome, dry=dry),
    )
    if operation == "backup":
        return _as_backup(run, draft, call, code, zone, dry=dry)
    return _as_other(run, draft, zone)


def _action(draft: _Draft, call: Invocation | None) -> str:
    """What the call asks for: its command, or what its two addresses imply; else what the log's words tell."""
    words = positional(call.arguments, VALUED) if call else ()
    if words and words[0] in OPERATIONS:
        return words[0]
    if draft.asked in OPERATIONS or draft.action in OPERATIONS:
        return draft.asked if draft.asked in OPERATIONS else draft.action
    if len(words) == 2:
        return "restore" if "://" in words[0] else "backup"
    return "backup" if draft.figures else ""


def _outcome(draft: _Draft, operation: Operation, code: int | None, *, dry: bool) -> Outcome:
    if draft.cancelled or code in (130, 143, -2, -15):
        return "cancelled"
    differs = draft.verified is not None and draft.verified[1] > 0
    if draft.fatal or code or differs:
        return "failure"
    if code is None and not draft.finished and (operation != "inventory" or draft.sets is None):
        return "unknown"
    if operation == "backup" and draft.figures and "Errors" not in draft.figures:
        return "unknown"  # the statistics are cut off
    if dry:
        return "skipped"
    if draft.figures.get("TotalDestinationSizeChange") == "0":
        return "unknown"  # every backup writes something; a dry run writes nothing
    return "warning" if draft.files_failed or int(float(draft.figures.get("Errors", "0"))) else "success"


def _whole(draft: _Draft, key: str) -> int | None:
    printed = draft.figures.get(key)
    return None if printed is None else int(float(printed)) if "." in printed else int(printed)


def _as_backup(
    run: JobLog, draft: _Draft, call: Invocation | None, code: int | None, zone: tzinfo | None, *, dry: bool
) -> JobLog:
    good = run.outcome in ("success", "warning")
    protected = _whole(draft, "SourceFileSize") if good else None
    words = positional(call.arguments, VALUED) if call else ()
    places = words[1:] if words and words[0] in OPERATIONS else words
    full = words[:1] == ("full",) or draft.asked == "full" or draft.no_full or draft.forced_full
    started = _moment(draft, "StartTime")
    elapsed = draft.figures.get("ElapsedTime")
    return replace(
        run,
        run_id="",
        roots=places[:1],
        repository=places[1] if len(places) > 1 else "",
        started_at=started,
        ended_at=_moment(draft, "EndTime"),
        duration_seconds=None if elapsed is None else float(elapsed),
        protected_bytes=protected,
        basis=None if protected is None else "logical-each",
        changed_bytes=_whole(draft, "RawDeltaSize") if good else None,
        transferred_bytes=None if dry else _whole(draft, "TotalDestinationSizeChange"),
        sources=_SOURCES if protected is not None else {},
        chain_length=1 if full and good else None,
        last_full_at=(started if full else _asctime(draft.last_full, zone)) if good else None,
        complete=_complete(run.outcome, code),
        files=_files(draft),
        files_failed=_files_failed(draft),
    )


_SOURCES = {
    "protected_bytes": "SourceFileSize",
    "changed_bytes": "RawDeltaSize",
    "transferred_bytes": "TotalDestinationSizeChange",
}


def _as_other(run: JobLog, draft: _Draft, zone: tzinfo | None) -> JobLog:
    checked = draft.verified
    return replace(
        run,
        checksum_ok=None if checked is None else checked[1] == 0,
        files={} if checked is None else {"total": checked[0]},
        files_failed=draft.files_failed if checked is not None else None,
        chain_length=draft.sets,
        last_full_at=_asctime(draft.last_full, zone),
    )


def _files(draft: _Draft) -> dict[str, int]:
    names = (("SourceFiles", "total"), ("NewFiles", "new"), ("ChangedFiles", "changed"), ("DeletedFiles", "deleted"))
    return {name: value for key, name in names if (value := _whole(draft, key)) is not None}


def _files_failed(draft: _Draft) -> int | None:
    told = _whole(draft, "Errors")
    return told if told is not None else draft.files_failed or None


def _complete(outcome: Outcome, code: int | None) -> bool | None:
    if outcome in ("failure", "cancelled"):
        return False
    return True if outcome in ("success", "warning") and code == 0 else None


def _moment(draft: _Draft, key: str) -> datetime | None:
    printed = draft.figures.get(key)
    return None if printed is None else unix(float(printed))


def _asctime(line: str, zone: tzinfo | None) -> datetime | None:
    match = ASCTIME.search(line)
    if match is None or match.group(1) not in MONTHS:
        return None
    month, day, clock, year = match.groups()
    return iso(f"{year}-{MONTHS.index(month) + 1:02d}-{int(day):02d}T{clock}", zone)


def _notes(draft: _Draft, action: str, outcome: Outcome, *, dry: bool) -> tuple[str, ...]:
    return (
        *(() if action else ("the log does not say what duplicity was asked to do: taken for a backup",)),
        *(("dry run: nothing was saved",) if dry else ()),
        *(("an earlier backup was left in parts and was taken up again",) if draft.partial else ()),
        *((f"{draft.verified[1]} differences",) if draft.verified and draft.verified[1] else ()),
        *(("the log does not tell whether duplicity came to its end",) if outcome == "unknown" else ()),
    )
