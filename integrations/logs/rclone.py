"""rclone: text logs with or without ``--stats`` blocks, ``--use-json-log``, ``check``, ``size`` and silent runs.

Everything but ``size`` comes on stderr. rclone tells what it moved, never what the selection holds; only
``rclone size`` of a local folder measures that. Periodic statistics look like the last ones, so that without an exit
code a run is good only if its last block shows nothing left to do and does not stand on a tick of the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from integrations.logs.bytes_to_text import clean_line, raw_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.figures import scaled
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, LogError, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import as_object, nested, number, text, whole
from integrations.logs.moments import iso
from integrations.logs.rclone_words import (
    ATTEMPT,
    DIFFERENCES,
    DONE,
    DRY,
    ELAPSED,
    FAILED_TO,
    FATAL,
    FATAL_STEP,
    GUIDE,
    KNOWN,
    LINE,
    MOVED,
    MOVED_OLD,
    OF,
    OPERATIONS,
    PLAIN_COUNT,
    SIGNS,
    TOTALS,
    VALUED,
)
from integrations.logs.troubles import Troubles

__all__ = ("GUIDE", "LABEL", "MARKS", "parse", "recognises")

LABEL = "rclone"
MARKS = (
    "rclone", "Transferred:", "INFO  : ", "NOTICE: ", "ERROR : ", "DEBUG : ", "CRITICAL: ", "Failed to ",
    '"sizeless"', '"objectType"', '.go:',
)  # fmt: skip
_NAMES = ("rclone",)


def recognises(head: Head) -> bool:
    """An rclone command line, its log lines, its JSON lines, or the answer of ``rclone size --json``."""
    if any(name in head.programs for name in ("restic", "duplicity", "borgmatic", "kopia")):
        return False
    return head.calls(*_NAMES) or _is_document(head.document) or head.has(SIGNS)


def _is_document(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    if {"count", "bytes", "sizeless"} == set(document):
        return True
    is_line = {"level", "msg", "time"} <= set(document)
    return is_line and ("objectType" in document or ".go:" in text(document, "source"))


@dataclass
class _Draft:
    """What was read so far; ``last_figures`` says that the log's last words were statistics."""

    troubles: Troubles = field(default_factory=Troubles)
    files: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    moved: tuple[int, bool] | None = None
    elapsed: float | None = None
    stamp: str = ""
    figures_at: str = ""
    ended_at: str = ""
    left: bool = False
    last_figures: bool = False
    fatal: str = ""
    made_good: bool = False
    cancelled: bool = False
    dry: bool = False
    differences: int | None = None
    matching: int = 0
    unchecked: int = 0
    size: int | None = None
    objects: int | None = None
    lines: int = 0


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The one run that the log tells of; a measurement by ``rclone size`` beside it is a run of its own."""
    draft = _Draft()
    for stream in (body.stdout, body.stderr):
        for _, raw in raw_lines(stream):
            if raw.startswith(b"{") and (found := as_object(raw.strip())) is not None:
                _read_object(draft, found)
            elif raw.strip():
                _read_text(draft, clean_line(raw).strip())
    return _job_logs(draft, body, context.zone)


# ------------------------------------------------------------------------------------------------------------- reading


def _read_object(draft: _Draft, found: dict[str, Any]) -> None:
    if "bytes" in found and "count" in found:
        draft.size, draft.objects = whole(found, "bytes"), whole(found, "count")
        return
    draft.lines += 1
    level, message = text(found, "level"), text(found, "msg").strip()
    draft.stamp = text(found, "time") or draft.stamp
    stats = nested(found, "stats")
    draft.last_figures = bool(stats)
    if stats:
        _read_stats(draft, stats)
    else:
        _read_message(draft, level.lower(), message, text(found, "object"))


def _read_stats(draft: _Draft, stats: dict[str, Any]) -> None:
    moved = whole(stats, "bytes")
    draft.moved = (moved, False) if moved is not None else draft.moved
    for key, name in (("transfers", "transferred"), ("checks", "checked"), ("deletes", "deleted")):
        if (value := whole(stats, key)) is not None:
            draft.files[name] = value
    draft.totals["errors"] = whole(stats, "errors") or 0
    draft.elapsed = number(stats, "elapsedTime")
    pairs = (("bytes", "totalBytes"), ("checks", "totalChecks"), ("transfers", "totalTransfers"))
    unequal = any(whole(stats, done) != whole(stats, of) for done, of in pairs if of in stats)
    draft.left = unequal or bool(stats.get("transferring")) or bool(stats.get("checking"))
    draft.figures_at = draft.ended_at = draft.stamp


def _read_text(draft: _Draft, line: str) -> None:
    draft.lines += 1
    match = LINE.match(line)
    if match is None:
        return
    stamp, level, words = match.groups()
    if stamp:
        draft.stamp = stamp
    words = words.strip()
    if _read_figures(draft, words):
        return
    if words and level != "DEBUG ":
        draft.last_figures = False
    if words:
        _read_message(draft, (level or "").strip().lower(), words, "")


def _read_figures(draft: _Draft, words: str) -> bool:
    """True where the line is one of a block of statistics."""
    if match := OF.match(words):
        name, done, of = match.groups()
        key = {"Transferred": "transferred", "Checks": "checked", "Deleted": "deleted"}.get(name, name.lower())
        (draft.totals if key == "errors" else draft.files)[key] = int(done)
        draft.left = draft.left or (of is not None and of != done)
    elif match := MOVED.match(words) or MOVED_OLD.match(words):
        _read_moved(draft, match)
        if "ETA" in words and not words.startswith("Transferred:"):
            draft.last_figures = True  # --stats-one-line is the whole block
    elif match := ELAPSED.match(words):
        days, hours, minutes, seconds = match.groups()
        draft.elapsed = int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes or 0) * 60 + _float(seconds)
        draft.last_figures = True
    else:
        return _read_listed(draft, words)
    return True


def _read_moved(draft: _Draft, match: re.Match[str]) -> None:
    draft.figures_at = draft.ended_at = draft.stamp
    if match.string.startswith("Transferred:"):
        draft.files["transferred"] = 0  # its count is a line of its own, and missing where it is none
    draft.totals["errors"] = 0
    letter = match.group(2)
    draft.moved = (_amount(match.group(1), letter), letter != "")
    draft.left = (
        match.re is MOVED and (match.group(1), letter) != (match.group(3), match.group(4)) and (match.group(5) != "100")
    )


def _read_listed(draft: _Draft, words: str) -> bool:
    if words in ("Transferring:", "Checking:"):
        draft.left = True
        return True
    if not words.startswith("Total "):
        return False
    if match := TOTALS.match(words):
        value = int(match.group(2) or match.group(3))
        if match.group(1) == "size":
            draft.size = value
        else:
            draft.objects = value
    elif match := PLAIN_COUNT.match(words):
        draft.objects = int(match.group(1))
    return True


def _amount(digits: str, letter: str) -> int:
    return scaled(digits, letter, base=1024) if digits.count(".") <= 1 and digits != "." else 0


def _float(digits: str) -> float:
    return float(digits) if digits.count(".") <= 1 and digits != "." else 0.0


def _read_message(draft: _Draft, level: str, words: str, path: str) -> None:
    if level in ("error", "critical", "alert", "emergency", "fatal") or (not path and FATAL.match(words)):
        _add_error(draft, words, path)
    elif words.endswith(("found", "files", "checking")) and (match := DIFFERENCES.search(words)):
        _read_check(draft, int(match.group(1)), match.group(2))
    elif words.startswith("Attempt ") and (match := ATTEMPT.match(words)):
        draft.made_good = match.group(3) == "succeeded"
    elif words.startswith(("Signal received: ", "Exiting...")):
        draft.cancelled = True
    elif "--dry-run" in words and any(sign in words for sign in DRY):
        draft.dry = True
    elif words.endswith("There was nothing to transfer"):
        draft.files.setdefault("transferred", 0)
    elif level == "info" and any(sign in words for sign in DONE):
        draft.totals["copied"] = draft.totals.get("copied", 0) + 1


def _read_check(draft: _Draft, amount: int, what: str) -> None:
    if what == "differences found":
        draft.differences = amount
    elif what == "matching files":
        draft.matching = amount
    else:
        draft.unchecked = amount
    draft.ended_at = draft.stamp


def _add_error(draft: _Draft, words: str, path: str) -> None:
    message = words
    if not path and FATAL.match(words):
        draft.fatal = words
        draft.ended_at = draft.stamp
    elif not path and not ATTEMPT.match(words):
        named = KNOWN.match(words) or re.match(r"(.{1,1000}?): (.+)$", words)
        path = str(named.group(1)) if named and not FATAL_STEP.match(words) else ""
    if (match := ATTEMPT.match(words)) is not None:
        draft.made_good = match.group(3) == "succeeded"
        if draft.made_good:
            return
    is_file = path and not path.startswith("Local file system at ")
    if is_file and "Failed to " in words and len(draft.failed) < 100_000:
        draft.failed.add(path)
    root = path.startswith("Local file system at ")
    draft.troubles.add(message, path=path or None, kind="other" if root or draft.fatal else None)


# ------------------------------------------------------------------------------------------------------------- results


def _job_logs(draft: _Draft, body: Delivery, zone: tzinfo | None) -> tuple[JobLog, ...]:
    calls = invocations(body.command, _NAMES)
    asked = [(word, call) for call in calls if (word := _word(call))]
    if draft.size is not None and (not asked or asked[-1][0] == "size" or not _told_more(draft)):
        return (_measured(draft, body, asked),)
    task = _task(draft, asked)
    if task is None:
        raise UnreadableLog("nothing in this log tells what rclone did")
    run = _run(draft, body, task, calls, zone)
    if draft.size is None:
        return (run,)
    return (replace(_measured(draft, replace(body, exit_code=None), asked), errors=(), errors_total=0), run)


def _told_more(draft: _Draft) -> bool:
    return draft.moved is not None or draft.differences is not None or bool(draft.fatal)


def _word(call: Invocation) -> str:
    return next((word for word in positional(call.arguments, VALUED) if word in OPERATIONS), "")


def _task(draft: _Draft, asked: list[tuple[str, Invocation]]) -> str | None:
    if asked:
        return asked[-1][0]
    match = re.match(r"Failed to (\w{1,20})\b", draft.fatal)
    if match and match.group(1) in FAILED_TO:
        return FAILED_TO[match.group(1)]
    if draft.differences is not None:
        return "check"
    return "copy" if draft.lines else None


def _run(
    draft: _Draft, body: Delivery, word: str, calls: tuple[Invocation, ...], zone: tzinfo | None
) -> JobLog:  # fmt: skip
    operation, action = OPERATIONS[word]
    outcome = _outcome(draft, body, operation, calls)
    roots = _roots(word, calls)
    started, ended = _times(draft, zone)
    copies = operation == "copy"
    moved = draft.moved if copies and not draft.dry else None
    errors = _errors(draft, outcome)
    return JobLog(
        product="rclone",
        operation=operation,
        outcome=outcome,
        action=action,
        roots=roots[:1] if copies else (),
        repository=roots[1] if copies and len(roots) > 1 else "",
        started_at=started,
        ended_at=ended,
        duration_seconds=draft.elapsed,
        transferred_bytes=moved[0] if moved else None,
        rounded=bool(moved and moved[1]),
        sources={"transferred_bytes": "Transferred"} if moved else {},
        complete=_complete(draft, outcome, body) if copies else None,
        checksum_ok=_checksum(draft, outcome) if operation == "verify" else None,
        files=_files(draft, operation),
        files_failed=len(draft.failed) if copies and outcome not in ("success", "unknown") else None,
        errors=errors,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code,
        notes=_notes(draft, outcome),
    )


def _outcome(draft: _Draft, body: Delivery, operation: Operation, calls: tuple[Invocation, ...]) -> Outcome:
    code = None if body.exit_code == 0 and calls and calls[-1].masked else body.exit_code
    if draft.cancelled or code in (130, 143, -2, -15):
        return "cancelled"
    if code in (8, 10):
        return "warning"
    if draft.fatal or code not in (None, 0, 9):
        return "failure"
    if operation == "verify" and (draft.differences or draft.unchecked):
        return "failure"
    if code is None:
        return _outcome_by_words(draft, body, operation)
    if draft.dry:
        return "skipped"
    return "warning" if draft.troubles.errors and not draft.made_good else "success"


def _outcome_by_words(draft: _Draft, body: Delivery, operation: Operation) -> Outcome:
    """Without an exit code: the last statistics, with nothing left to do and not on a tick of the clock."""
    whole_lines = (body.stderr or body.stdout).endswith(b"\n")
    if operation == "verify":
        return "success" if draft.differences == 0 and draft.matching and whole_lines else "unknown"
    if operation != "copy" or not draft.last_figures or draft.left or not whole_lines or _on_a_tick(draft):
        return "unknown"
    if draft.totals.get("errors"):
        return "failure"
    return "skipped" if draft.dry else "warning" if draft.troubles.errors and not draft.made_good else "success"


def _on_a_tick(draft: _Draft) -> bool:
    """Periodic statistics come at whole multiples of seconds since the start; the last ones when the work is done."""
    if draft.elapsed is None:
        return True
    return draft.elapsed >= 1 and draft.elapsed % 1 < 0.15


def _errors(draft: _Draft, outcome: Outcome) -> tuple[LogError, ...]:
    if outcome == "success":  # a later attempt made good what an earlier one could not do
        return tuple(replace(error, severity="warning") for error in draft.troubles.kept)
    return draft.troubles.kept


def _files(draft: _Draft, operation: Operation) -> dict[str, int]:
    files = dict(draft.files)
    if operation == "verify" and draft.differences is not None:
        files["checked"] = draft.matching + draft.differences
    if operation == "copy" and "transferred" not in files and draft.totals.get("copied"):
        files["transferred"] = draft.totals["copied"]
    return files


def _complete(draft: _Draft, outcome: Outcome, body: Delivery) -> bool | None:
    if outcome in ("failure", "cancelled") or body.exit_code in (8, 10):
        return False
    return True if outcome == "success" and body.exit_code in (0, 9) else None


def _checksum(draft: _Draft, outcome: Outcome) -> bool | None:
    if draft.differences is not None:
        return draft.differences == 0 and not draft.unchecked
    return True if outcome == "success" else None


def _times(draft: _Draft, zone: tzinfo | None) -> tuple[datetime | None, datetime | None]:
    ended, figures = (iso(stamp.replace("/", "-"), zone) for stamp in (draft.ended_at, draft.figures_at))
    if figures is None or draft.elapsed is None or not 0 <= draft.elapsed < 1e8:
        return None, ended
    return figures - timedelta(seconds=draft.elapsed), ended


def _roots(word: str, calls: tuple[Invocation, ...]) -> tuple[str, ...]:
    words = positional(calls[-1].arguments, VALUED) if calls else ()
    return words[words.index(word) + 1 :] if word in words else ()


def _notes(draft: _Draft, outcome: Outcome) -> tuple[str, ...]:
    return (
        *((f"{draft.differences} differences",) if draft.differences else ()),
        *(("dry run: nothing was copied",) if draft.dry else ()),
        *(("the log does not tell whether rclone came to its end",) if outcome == "unknown" else ()),
    )


def _measured(draft: _Draft, body: Delivery, asked: list[tuple[str, Invocation]]) -> JobLog:
    """``rclone size``: of a remote what is stored there, of a local folder the protected size."""
    path = next((_roots("size", (call,))[:1] for word, call in asked if word == "size"), ())
    local = bool(path) and (path[0].startswith(("/", "./", "~")) or ":" not in path[0] or path[0][1:3] == ":\\")
    good = body.exit_code in (0, None) and not draft.fatal
    protected = draft.size if local and good else None
    return JobLog(
        product="rclone",
        operation="inventory",
        outcome="success" if good else "failure",
        action="stats",
        roots=path if local else (),
        repository="" if local or not path else path[0],
        protected_bytes=protected,
        basis=None if protected is None else "logical-each",
        stored_bytes=draft.size if good and not local and path else None,
        sources={"protected_bytes" if local else "stored_bytes": "bytes"} if good and path else {},
        files={} if draft.objects is None else {"total": draft.objects},
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code,
    )
