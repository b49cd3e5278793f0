"""rsnapshot 1.3 to 1.5: its output (wrapped command lines and rsync's words), its log file, and silence.

Each backup point is a run of its own, named by its source; rsync's output inside is read by the format ``rsync``. A
call that only moves snapshots is a rotation. The exit code, or the line that completes a call in the log file, says
how it ended: 1 is an error, 2 a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from integrations.logs import rsync
from integrations.logs.bytes_to_text import clean_line, raw_lines
from integrations.logs.command_line import invocations
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.moments import iso
from integrations.logs.troubles import Troubles

LABEL = "rsnapshot"
MARKS = ("rsnapshot", ".pid")
GUIDE = Guide(
    releases="1.3 to 1.5",
    written_from="real logs of runs, and rsnapshot's sources",
    operations=("backup", "prune", "verify", "inventory"),
    basis="logical, hard links each time; only with --stats in rsync_long_args",
    sizes=(
        ("protected_bytes", "Total file size"),
        ("changed_bytes", "Total transferred file size"),
        ("transferred_bytes", "Total bytes sent, or received from another host"),
    ),
    cannot_tell=(
        "Sizes without --stats in rsync_long_args.",
        "Backup points without -v (verbose 3): a silent call is one run.",
        "Times, unless the log file is sent, too.",
    ),
    ways=(
        Way("wrapper", "With the wrapper", "backledger-run --job daily -- rsnapshot -v daily"),
        Way("email", "Cron's mail", "MAILTO=@ADDRESS@\n30 3 * * * /usr/bin/rsnapshot -v daily", language="text"),
    ),
    notes=(
        "Each backup line of the configuration is a run: its item is its source.",
        "Put --stats into rsync_long_args: without it nothing can be measured.",
        "Exit codes: 0 good, 1 errors, 2 warnings (files vanished or only part of them transferred).",
    ),
)

_SIGNS = re.compile(
    r"^rsnapshot encountered an error!|^(?:\[[0-9T:/ A-Za-z+-]{10,40}\] )?(?:echo [0-9]{1,10} > \S{1,1000}\.pid ?$"
    r"|\S{0,400}rsnapshot(?: \S{1,400}){0,20}: (?:started|completed|ERROR:|WARNING:))", re.M
)  # fmt: skip


def recognises(head: Head) -> bool:
    """Its lock line, its banner, its log file's lines, or its command line."""
    return head.calls("rsnapshot") or head.has(_SIGNS)


@dataclass
class _Point:
    """One backup point: rsync's call and what it printed, or a script."""

    source: str
    command: str = ""
    words: list[str] = field(default_factory=list)
    code: int | None = None
    troubles: Troubles = field(default_factory=Troubles)
    first: int = 0
    last: int = 0
    started: str = ""
    ended: str = ""


@dataclass
class _Call:
    """One call of rsnapshot. ``code`` is the exit code as far as it is known, ``over`` whether it came to its end."""

    level: str = ""
    points: list[_Point] = field(default_factory=list)
    troubles: Troubles = field(default_factory=Troubles)
    code: int | None = None
    over: bool = False
    rotated: bool = False
    in_script: bool = False
    syntax_ok: bool = False
    started: str = ""
    ended: str = ""


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each backup point; one for a call that has none (rotation, lock, bad configuration, silence)."""
    calls = _read(body.stdout)
    _read_into(calls[-1], body.stderr)
    logged = next((found for file in body.attachments if (found := _of_log_file(file.content))), None)
    asked = invocations(body.command, ("rsnapshot",))
    if len(calls) == 1:
        _take_from_log_file(calls[0], logged)
        code = body.exit_code if not asked or not asked[-1].masked else None
        calls[0].code = calls[0].code if code is None else code
        calls[0].over = calls[0].over or code is not None
        calls[0].level = _level_asked(asked[-1].arguments) if asked else calls[0].level
    dry = bool(asked) and any(re.fullmatch(r"-[a-zA-Z]*t[a-zA-Z]*", word) for word in asked[-1].arguments)
    runs = tuple(run for call in calls for run in _runs(call, body, context, dry=dry, calls=len(calls)))
    if len(runs) == 1 and runs[0].outcome == "unknown" and not body.command and not _SIGNS.search(context.head.text):
        raise UnreadableLog("nothing in this log tells what rsnapshot did")
    return runs


def _level_asked(arguments: tuple[str, ...]) -> str:
    return next((word for at, word in enumerate(arguments) if word[:1] != "-" and arguments[at - 1] != "-c"), "")


# ------------------------------------------------------------------------------------------------------------- reading

_STAMP = re.compile(r"\[([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8})\] ?")
_OLD_STAMP = re.compile(r"\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8}\] ?")
_SAID = re.compile(r"\S{0,400}rsnapshot(?: \S{1,400}){0,20}? ?: (started|completed.{0,60}|ERROR: .*|WARNING: .*)$")
_COMPLETED = re.compile(r"completed(?: successfully|, but with (?:some )?(errors|warnings|no definite status))")
_RSYNC = re.compile(r"(?:/\S{0,400})?rsync (?:-|\S{1,1000}$)")
_RETURNED = re.compile(r"(\S{0,400}rsync|backup_script .{1,400}?) returned ([0-9]{1,5})(?: while processing (\S.*))?$")
_PARTLY = re.compile(r"Some files and/or directories in (\S.{0,1000}?) (only transferred partially|vanished) during")
_TELLING = re.compile(
    r"(?:Number of|Total |Literal |Matched |sent |total size|rsync|ssh: |file has vanished|directory has vanished"
    r"|Host key|Connection |@ERROR|Permission denied|.{1,100}: Permission denied|kex_|IO error)"
)
_MAX_WORDS = 4000  # lines of rsync's output kept for one backup point


def _unwrapped(body: bytes) -> Iterator[tuple[int, str]]:
    """Numbered lines; a command line that was wrapped with a backslash is one."""
    waiting, at = "", 0
    for number, raw in raw_lines(body):
        text = clean_line(raw)
        if waiting:
            text = f"{waiting} {text.strip()}"
        if text.endswith(" \\") and len(text) < 8192:
            waiting, at = text[:-2], at or number
            continue
        yield at or number, text.strip()
        waiting, at = "", 0
    if waiting:
        yield at, waiting.strip()


def _read(body: bytes) -> list[_Call]:
    calls = [_Call()]
    for number, told in _unwrapped(body):
        stamp = _STAMP.match(told)
        if stamp is not None or (stamp_of_old := _OLD_STAMP.match(told)) is not None:
            text = told[(stamp or stamp_of_old).end() :]  # type: ignore[union-attr]
            if text.endswith(": started") and (calls[-1].points or calls[-1].started):
                calls.append(_Call())
            if stamp is not None:
                calls[-1].started, calls[-1].ended = calls[-1].started or stamp.group(1), stamp.group(1)
            told = text
        if told:
            _read_line(calls[-1], told, number)
        if stamp is not None and calls[-1].points and calls[-1].points[-1].last == number:
            point = calls[-1].points[-1]
            point.started, point.ended = point.started or stamp.group(1), stamp.group(1)
    return calls


def _of_log_file(content: bytes) -> _Call | None:
    """The last call in rsnapshot's own log file."""
    found = _read(content)[-1] if b"rsnapshot" in content[:4096] else None
    return found if found is not None and found.started else None


def _read_into(call: _Call, body: bytes) -> None:
    for _, told in _unwrapped(body):
        if told.startswith(("ERROR: ", "WARNING: ", "File not found: ")):
            _read_line(call, told, 0)
        elif call.points and _TELLING.match(told):
            _keep(call.points[-1], told)


def _take_from_log_file(call: _Call, logged: _Call | None) -> None:
    """Times and the end of the call; backup points, too, where the output was silent."""
    if logged is None:
        return
    call.started, call.ended = logged.started, logged.ended
    call.code = logged.code if call.code is None else call.code
    call.over, call.rotated = call.over or logged.over, call.rotated or logged.rotated
    call.level = call.level or logged.level
    if not call.points and logged.points:
        call.points = [replace(point, first=0) for point in logged.points]
        call.troubles = logged.troubles


def _read_line(call: _Call, told: str, number: int) -> None:
    if match := _SAID.match(told):
        _read_said(call, told, match.group(1))
    elif told.startswith(("ERROR: ", "WARNING: ")):
        _read_trouble(call, told)
    elif told.startswith("File not found: "):
        call.troubles.add(told, path=told.removeprefix("File not found: "), kind="other")
    elif _RSYNC.match(told) and not told.startswith("rsync "):
        words = told.split()
        point = _Point(words[-2] if len(words) > 2 else "", told, first=number, last=number)
        call.points.append(point)
    elif told.startswith("echo ") and told.endswith(".pid"):
        return
    elif told.startswith("rm -f ") and told.endswith(".pid"):
        call.over = True
    elif told.startswith(("mv ", "/bin/mv ", "/bin/rm ", "/bin/cp ", "/usr/bin/rm ", "/usr/bin/cp ")):
        call.rotated = True
    elif told.startswith("cd "):
        call.in_script = told.rstrip("/").rpartition("/")[2] == "tmp"
    elif call.in_script:
        call.points.append(_Point(told, first=number, last=number))
        call.in_script = False
    elif told == "Syntax OK":
        call.syntax_ok = True
    elif call.points and "logger -p" not in told:
        call.points[-1].last = number or call.points[-1].last
        if _TELLING.match(told):
            _keep(call.points[-1], told)


def _keep(point: _Point, told: str) -> None:
    if len(point.words) < _MAX_WORDS:
        point.words.append(told)


def _read_said(call: _Call, told: str, said: str) -> None:
    """A line of the log file: who was called, and what of it."""
    if said == "started":
        call.level = _level_asked(tuple(told.removesuffix(": started").split()[1:]))
    elif "logger -p" in told[:300]:
        return
    elif match := _COMPLETED.search(said):
        call.over, call.code = True, {None: 0, "errors": 1, "warnings": 2}.get(match.group(1), 1)
    else:
        _read_trouble(call, said)


def _read_trouble(call: _Call, told: str) -> None:
    soft = told.startswith("WARNING: ")
    if match := _RETURNED.search(told):
        name = match.group(3) or match.group(1).removeprefix("ERROR: ").removeprefix("backup_script ")
        point = _point_of(call, name)
        point.code = int(match.group(2))
        point.troubles.add(told)
    elif match := _PARTLY.search(told):
        point = _point_of(call, match.group(1))
        point.code = 24 if match.group(2) == "vanished" else 23
        point.troubles.add(told, severity="warning", kind="vanished" if point.code == 24 else "unreadable")
    elif "----------" not in told:
        call.troubles.add(told, severity="warning" if soft else "error")


def _point_of(call: _Call, source: str) -> _Point:
    known = next((point for point in reversed(call.points) if point.source == source), None)
    if known is None:
        known = _Point(source)
        call.points.append(known)
    return known


# ------------------------------------------------------------------------------------------------------------- results

_BROADER = frozenset({"weekly", "monthly", "yearly", "beta", "gamma", "delta"})


def _runs(call: _Call, body: Delivery, context: Context, *, dry: bool, calls: int) -> Iterator[JobLog]:
    if not call.points:
        yield _whole(call, body, context, dry=dry, alone=calls == 1)
        return
    alone = len(call.points) == 1 and calls == 1
    for point in call.points:
        yield _of_point(point, call, body, context, dry=dry, alone=alone)


def _whole(call: _Call, body: Delivery, context: Context, *, dry: bool, alone: bool) -> JobLog:
    operation, action = _operation(call)
    if call.code not in (None, 0, 2) and not call.troubles.errors:
        call.troubles.add(f"rsnapshot ended with exit code {call.code}")
    outcome = _ended(call)
    silent = operation == "backup" and outcome == "success"
    return JobLog(
        product="rsnapshot",
        operation=operation,
        outcome="skipped" if dry and outcome == "success" else outcome,
        action=action,
        source_job=call.level,
        started_at=iso(call.started, context.zone),
        ended_at=_end(call, context),
        complete=False if outcome == "failure" else True if silent and not dry else None,
        errors=call.troubles.kept,
        errors_total=call.troubles.total,
        exit_code=body.exit_code if alone else call.code,
        notes=("silent: backup points and sizes need -v and --stats",) if silent else (),
    )


def _operation(call: _Call) -> tuple[Operation, str]:
    if call.level == "configtest" or call.syntax_ok:
        return "verify", "check"
    if call.level in ("du", "diff", "version", "get-latest-snapshot"):
        return "inventory", "list"
    if (call.rotated and call.over and not call.troubles.errors) or (
        call.level in _BROADER and not call.troubles.errors
    ):
        return "prune", "rotate"
    return "backup", ""


def _ended(call: _Call) -> Outcome:
    """How a call ended as a whole, by its exit code or its own last word."""
    if call.code == 0:
        return "warning" if call.troubles.total else "success"
    if call.code == 2:
        return "warning"
    if call.code is not None or call.troubles.errors:
        return "failure"
    return "success" if call.over and call.rotated and not call.troubles.total else "unknown"


def _end(call: _Call, context: Context) -> datetime | None:
    return iso(call.ended, context.zone) if call.over else None


def _of_point(point: _Point, call: _Call, body: Delivery, context: Context, *, dry: bool, alone: bool) -> JobLog:
    read = _rsync_run(point, call, context)
    outcome = _point_outcome(point, call, read)
    troubles = Troubles()
    own = call.troubles.kept if point is call.points[-1] else ()
    for error in (*(read.errors if read else ()), *point.troubles.kept, *own):
        troubles.add(error.message, path=error.path, severity=error.severity, code=error.code, kind=error.kind)
    good = outcome in ("success", "warning") and not dry
    reached = call.over and outcome == "success" and not dry
    base = read if read is not None and good else JobLog(product="rsnapshot", operation="backup", outcome=outcome)
    return replace(
        base,
        product="rsnapshot",
        operation="backup",
        outcome="skipped" if dry and outcome == "success" else outcome,
        action="",
        source_job=call.level,
        item=point.source,
        roots=(point.source,) if point.source else (),
        started_at=iso(call.started if alone else point.started, context.zone),
        ended_at=_end(call, context) if alone else iso(point.ended, context.zone),
        complete=False if outcome == "failure" else True if reached else base.complete if good else None,
        errors=troubles.kept,
        errors_total=troubles.total,
        exit_code=body.exit_code if alone else point.code,
        lines=None if alone or not point.first else (point.first, max(point.first, point.last)),
    )


def _rsync_run(point: _Point, call: _Call, context: Context) -> JobLog | None:
    """What rsync's own words say of this point, read as rsync's log."""
    if not point.command:
        return None
    code = point.code if point.code is not None else 0 if call.over else None
    text = "\n".join(point.words).encode("utf-8", "backslashreplace")
    delivery = Delivery(stdout=text, command=point.command, exit_code=code, format="rsync")
    return rsync.parse(delivery, context)[-1]


def _point_outcome(point: _Point, call: _Call, read: JobLog | None) -> Outcome:
    if point.code not in (None, 0, 23, 24):
        return "failure"
    if read is not None and read.outcome in ("failure", "warning"):
        return read.outcome
    if point.code in (23, 24):
        return "warning"
    if not call.over:
        return "unknown"
    last = point is call.points[-1]
    blamed = any(other.code for other in call.points) or (call.troubles.total and not last)
    if call.code in (1, 2) and not blamed:
        return "failure" if call.code == 1 else "warning"
    return "warning" if last and call.troubles.total else "success"
