"""rdiff-backup 1.2 to 2.6: its session statistics, its notes and complaints, and its silence.

The exit code of releases before 2.2 is 0 also where files failed: the outcome comes from ``Errors`` and the complaints.
Times in the statistics are Unix seconds, sizes exact bytes. Without statistics only an exit code of 0 proves an end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome
from integrations.logs.moments import unix
from integrations.logs.troubles import Troubles

LABEL = "rdiff-backup"
MARKS = ("rdiff-backup", "[ Session statistics ]", "TotalDestinationSizeChange")
GUIDE = Guide(
    releases="2.2 with the old and the new command line; 1.2, 2.0 and 2.6 by the manual",
    written_from="real logs of 2.2.2; exit codes and messages of 2.2 and later in its source",
    operations=("backup", "restore", "verify", "inventory", "prune"),
    basis="sum of the lengths of all files at the source, hard links each time",
    sizes=(
        ("protected_bytes", "SourceFileSize"),
        ("changed_bytes", "NewFileSize + ChangedSourceSize"),
        ("destination_change", "TotalDestinationSizeChange (not used: it is neither what was sent nor what is stored)"),
    ),
    cannot_tell=(
        "Any size without --print-statistics.",
        "What was sent over the network, and the size of the whole repository.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job mail -- rdiff-backup backup --print-statistics /srv/mail /srv/backup/mail",
        ),
    ),
)

_NAMES = ("rdiff-backup", "rdiff")
_FIGURE = re.compile(r"([A-Z][A-Za-z]{4,40}) (-?[0-9]{1,19}(?:\.[0-9]{1,9})?)(?: \(.{0,80}\))?$")
_LEVEL = re.compile(
    r"(?:[0-9-]{10}[ T][0-9:.,]{8,15}(?: [+-][0-9]{4})? )?(?:\[[^\]]{1,40}\] )?(NOTE|WARNING|ERROR):? +(\S.*)$"
)
_OLD = re.compile(
    r"(?:SpecialFileError|ListError|UpdateError|Fatal Error:|Exception |Traceback \(most recent"
    r"|Warning: |Previous backup)"
)
_OLD_FAULT = re.compile(r"(?:SpecialFileError|ListError|UpdateError)[: ]")
_DEPRECATED = "this command line interface is deprecated"
_EXCEPTION = re.compile(r"[\w.]{1,80}(?:Error|Exception|Interrupt)(?:: |$)|ssh: |rdiff-backup: error: ")
_CHANGE = re.compile(r"(?:changed|new|deleted|metadata [a-z ,]{1,60}|data changed): (\S.{0,4000})$")
_DIGEST = re.compile(r"digest of file (.{1,1000}?) '[0-9a-f]{40}' doesn't match")
_QUOTED = re.compile(r"b?['\"](/[^'\"]{1,1000})['\"]")
_NAMED = re.compile(r"(?:[Pp]ath|[Dd]irectory|file|source|File) '?(/\S{1,1000}?)'?(?: |,|$)")
_FIRST_QUOTED = re.compile(r"(?:ListError|UpdateError|SpecialFileError):? '?([^'\s]{1,1000})'? ")
_ACTIONS: dict[str, tuple[Operation, str]] = {
    "backup": ("backup", ""),
    "restore": ("restore", ""),
    "verify": ("verify", ""),
    "list": ("inventory", "list"),
    "info": ("inventory", "info"),
    "compare": ("verify", ""),
    "remove": ("prune", ""),
    "regress": ("prune", "regress"),
    "calculate": ("inventory", "stats"),
    "test": ("inventory", "test"),
    "complete": ("inventory", "complete"),
}
_WORDS = frozenset({*_ACTIONS, "increments", "files", "average", "statistics"})
_OLD_OPTIONS = {
    "-r": "restore", "--restore-as-of": "restore", "--verify": "verify", "--verify-at-time": "verify",
    "--verify-full": "verify", "--list-increments": "list", "-l": "list", "--list-at-time": "list",
    "--list-changed-since": "list", "--list-increment-sizes": "list", "--compare": "compare",
    "--compare-hash": "compare", "--compare-full": "compare", "--compare-at-time": "compare",
    "--remove-older-than": "remove", "--check-destination-dir": "regress", "--check-destination": "regress",
    "--calculate-average": "calculate", "--test-server": "test",
}  # fmt: skip
_VALUED = frozenset({
    "-v", "--verbosity", "--remote-schema", "--terminal-verbosity", "--include",
    "--exclude", "-r", "--at", "--api-version", "--restore-as-of",
    "--remove-older-than", "--older-than", "--exclude-globbing-filelist", "--include-globbing-filelist",
    "--include-filelist",
    "--exclude-filelist", "--user-mapping-file", "--group-mapping-file", "--tempdir", "--current-time",
    "--max-file-size", "--min-file-size", "--include-regexp", "--exclude-regexp", "--no-compression-regexp",
    "--method",
})  # fmt: skip


def recognises(head: Head) -> bool:
    """A call of the tool, its session statistics, or lines that only it writes."""
    if "rdiff-backup" in head.command and head.calls(*_NAMES):
        return True
    text = head.text if not head.tail else f"{head.text}\n{head.tail}"
    return ("[ Session statistics ]" in text and "MirrorFiles " in text) or any(
        line.startswith(("rdiff-backup: ", "NOTE: Starting mirror from", "NOTE: Starting increment operation"))
        for line in text.split("\n")
    )


@dataclass
class _Draft:
    troubles: Troubles = field(default_factory=Troubles)
    figures: dict[str, float] = field(default_factory=dict)
    exact: dict[str, int] = field(default_factory=dict)
    closed: bool = False
    fatal: bool = False
    verified: bool | None = None
    began: bool = False
    differs: bool = False
    traceback: str = ""


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run: rdiff-backup does one thing per call."""
    draft = _Draft()
    call = _main_call(list(invocations(body.command, _NAMES)))
    compares = call is not None and _action_of(call) == "compare"
    for line in log_lines(body.stdout, body.stderr):
        if line.text:
            _read_line(draft, line.text, compares=compares)
    if draft.traceback and not draft.troubles.total:
        draft.troubles.add(draft.traceback)
    return (_job_log(draft, call, body),)


def _main_call(calls: list[Invocation]) -> Invocation | None:
    """A script backs up and then removes old increments: the backup is the run."""
    return next((call for call in calls if _action_of(call) == "backup"), calls[0] if calls else None)


def _read_line(draft: _Draft, line: str, *, compares: bool) -> None:
    figure = _FIGURE.match(line) if line[0].isupper() else None
    if figure is not None:
        draft.figures[figure.group(1)] = float(figure.group(2))
        if "." not in figure.group(2):
            draft.exact[figure.group(1)] = int(figure.group(2))
    elif line.startswith("-----") and "[" not in line:
        draft.closed = draft.closed or "Errors" in draft.exact
    elif (level := _LEVEL.match(line)) is not None:
        _read_leveled(draft, level.group(1), level.group(2), line)
    elif (change := _CHANGE.match(line)) is not None and compares:
        draft.differs = True
        draft.troubles.add(line, path=change.group(1))
    elif line.startswith("Traceback (most recent"):
        draft.fatal, draft.traceback = True, line  # its last line says why
    elif _EXCEPTION.match(line):
        draft.fatal = True
        _add(draft, line, "error")
    elif _OLD.match(line):
        draft.fatal = draft.fatal or line.startswith(("Fatal Error", "Traceback", "Exception "))
        _add(draft, line, "warning" if line.startswith(("Warning", "Previous")) or _OLD_FAULT.match(line) else "error")
    elif line.startswith(("Every file verified successfully", "Every file in the")):
        draft.verified = True


def _read_leveled(draft: _Draft, level: str, words: str, line: str) -> None:
    if level == "NOTE":
        draft.began = draft.began or words.startswith(("Starting mirror", "Starting increment"))
        if "verified successfully" in words:
            draft.verified = True
    elif level == "ERROR":
        compared = draft.differs and words.startswith("Action compare failed on step run")
        draft.fatal = draft.fatal or ("failed on step" in words and not compared) or "does not exist" in words
        _add(draft, line, "error")
    elif _DEPRECATED not in words:
        if ("hash" in words or "digest" in words) and ("doesn't match" in words or "does not match" in words):
            draft.verified = False
        _add(draft, line, "warning")


def _add(draft: _Draft, line: str, severity: str) -> None:
    match = (
        ("digest" in line[:200] and _DIGEST.search(line[:2000]))
        or _QUOTED.search(line)
        or _NAMED.search(line)
        or _FIRST_QUOTED.search(line)
    )
    path = match.group(1) if match else None
    draft.troubles.add(line, path=path, severity="error" if severity == "error" else "warning")


def _action_of(call: Invocation) -> str:
    for word in call.arguments:
        if word.partition("=")[0] in _OLD_OPTIONS:
            return _OLD_OPTIONS[word.partition("=")[0]]
    first = next(iter(positional(call.arguments, _VALUED)), "")
    return first if first in _ACTIONS else "backup"


def _job_log(draft: _Draft, call: Invocation | None, body: Delivery) -> JobLog:
    name = _action_of(call) if call else "verify" if draft.verified is not None and not draft.began else "backup"
    operation, action = _ACTIONS[name]
    if operation == "backup" and not draft.began and not draft.exact and call and _restores(call):
        operation = "restore"
    outcome = _outcome(draft, call, body.exit_code)
    measured = outcome in ("success", "warning") and operation == "backup" and draft.closed
    paths = [word for word in positional(call.arguments, _VALUED) if word not in _WORDS] if call else []
    to_second = operation == "backup" or name == "compare"
    exact = draft.exact
    changed = exact["NewFileSize"] + exact["ChangedSourceSize"] if measured and _has_changes(exact) else None
    protected = exact.get("SourceFileSize") if measured else None
    return JobLog(
        product="rdiff-backup",
        operation=operation,
        outcome=outcome,
        action=action,
        repository=paths[-1] if to_second and len(paths) > 1 else paths[0] if paths else "",
        roots=tuple(paths[:1]) if operation == "backup" and len(paths) > 1 else (),
        started_at=unix(draft.figures.get("StartTime")),
        ended_at=unix(draft.figures.get("EndTime")),
        duration_seconds=draft.figures.get("ElapsedTime"),
        protected_bytes=protected,
        changed_bytes=changed,
        sources=_sources(protected, changed),
        basis="logical-each" if protected is not None else None,
        complete=None if outcome == "unknown" else outcome in ("success", "warning"),
        checksum_ok=False if draft.differs else draft.verified if operation == "verify" else None,
        files=_files(exact),
        files_failed=exact.get("Errors"),
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code,
    )


def _restores(call: Invocation) -> bool:
    """An old command line restores where its source is an increment file."""
    first = next(iter(positional(call.arguments, _VALUED)), "")
    return "/rdiff-backup-data/increments" in first


def _has_changes(exact: dict[str, int]) -> bool:
    return "NewFileSize" in exact and "ChangedSourceSize" in exact


def _sources(protected: int | None, changed: int | None) -> dict[str, str]:
    found = {} if protected is None else {"protected_bytes": "SourceFileSize"}
    return found if changed is None else {**found, "changed_bytes": "NewFileSize + ChangedSourceSize"}


def _files(exact: dict[str, int]) -> dict[str, int]:
    words = {"total": "SourceFiles", "new": "NewFiles", "changed": "ChangedFiles", "deleted": "DeletedFiles"}
    return {key: exact[word] for key, word in words.items() if word in exact}


def _outcome(draft: _Draft, call: Invocation | None, code: int | None) -> Outcome:
    """Success only by the tool's exit code, or by statistics that came to their end."""
    if draft.fatal or draft.verified is False:
        return "failure"
    if draft.differs and (code in (None, 1) or code & ~14 == 0):  # the repository itself was readable
        return "warning"
    if code is not None and code != 0:  # 1 is an error; bits since 2.2: warnings (2), files failed (4) or odd (8)
        return "warning" if code & ~14 == 0 and code > 0 and not draft.troubles.errors else "failure"
    masked = call.masked if call is not None else True
    if not draft.closed and draft.verified is None and (code is None or masked):
        return "failure" if draft.troubles.errors else "unknown"
    return "warning" if draft.troubles.total or draft.exact.get("Errors") else "success"
