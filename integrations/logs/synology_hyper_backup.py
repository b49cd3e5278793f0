"""Synology Hyper Backup: notification mails in four languages, lines of synobackup.log, and the log list of its API.

A mail tells of one run; a log of many, each from its "started" line to the line that ends it, several tasks between
each other. Times are local to the NAS. No form tells a size of the source, so that none is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Any

from integrations.logs.api_rows import rows_of, words
from integrations.logs.bytes_to_text import clean, log_lines
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.synology_mail import end_of, notice_of, outcome_told, printed_seconds, told_moment
from integrations.logs.troubles import Troubles

LABEL = "Synology Hyper Backup"
MARKS = ("Hyper Backup", "HyperBackup", "ackup task", "ackup target", "ackup integrity", "sy.to/nasbackup")
GUIDE = Guide(
    releases="Hyper Backup 2 to 4 on DSM 6 and 7; logs since DSM 5.1",
    written_from="a German failure mail and log lines that public monitoring scripts quote; the words of all other "
    "mails after the vendor's terms, without a real mail of each",
    operations=("backup", "verify"),
    cannot_tell=(
        "Any size of the source: neither mails nor log hold one. Add a measurement of the selection.",
        "UTC without the time zone of the NAS.",
        "The outcome of a mail whose words say two things: it is unknown.",
    ),
    ways=(
        Way(
            "email",
            "Control Panel, Notification, Email: add this recipient; in the task's settings enable notification",
            "@ADDRESS@",
            language="text",
            note="Choose notifications of success as well: silence is no proof.",
        ),
        Way(
            "http",
            "Or send the log (Task Scheduler, user-defined script, daily, as root)",
            "curl -sS -H 'Authorization: Bearer @KEY@' --data-binary @/var/packages/HyperBackup/var/log/synolog/"
            "synobackup.log '@URL@/api/v1/logs?format=synology-hyper-backup&timezone=Europe/Berlin'",
            note="Before Hyper Backup 4.1.1 the log is /var/log/synolog/synobackup.log.",
        ),
    ),
)

_LINE = re.compile(
    r"^(info|warning|warn|err|error)\s+([0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"\s+([^\s:]{1,100}):\s*(\S.*)$"
)
_EVENT = re.compile(r"^\[([A-Z][^\]]{0,60})\]\s?\[([^\]]{1,100})\]\s*(\S.*)$")
_LOG_SIGNS = re.compile(
    r"^(?:info|warning|warn|err|error)\s+[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8}\s+[^\s:]{1,100}:.{0,200}[Bb]ackup", re.M
)
_MAIL_SIGNS = re.compile(
    r"^(?:Backup Task|Datensicherungsaufgabe|Sicherungsaufgabe|Tâche de sauvegarde|Tarea de copia de seguridad"
    r"|Tarea de respaldo)\s?: ?\S", re.M,
)  # fmt: skip
_CHECK = re.compile(r"integrity|integrität|intégrité|integridad")


def recognises(head: Head) -> bool:
    """A mail that names the product or its article and has its labels, log lines, or the API's list of events."""
    if isinstance(head.document, dict):
        return any(_parts(words(row, "event")) for row in _events_of(head.document)[:200])
    if "Active Backup" in head.everything:
        return False
    named = any(name in head.everything for name in ("Hyper Backup", "HyperBackup", "sy.to/nasbackup"))
    return head.has(_LOG_SIGNS) or (named and head.has(_MAIL_SIGNS))


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The one run of a mail, or every run of a log."""
    if isinstance(context.head.document, dict):
        lines: Iterator[_Line] = _lines_of_api(context.head.document)
    elif not context.head.has(_LOG_SIGNS) and context.head.has(_MAIL_SIGNS):
        return (_from_mail(body, context),)
    else:
        lines = _lines_of_log(body)
    runs = _runs(lines)
    if not runs:
        raise UnreadableLog("no line of this log tells of a run of a backup task")
    apart = _apart(runs)
    return tuple(_job_log(run, context.zone, apart=apart) for run in runs)


# ---------------------------------------------------------------------------------------------------------------- mail


def _from_mail(body: Delivery, context: Context) -> JobLog:
    notice = notice_of(body, context.head.subject)
    verify = _CHECK.search(notice.lead) is not None
    outcome = outcome_told(notice.lead)
    start = told_moment(notice.values.get("start", ""), context.zone)
    seconds = printed_seconds(notice.values.get("duration", ""))
    troubles = Troubles()
    if outcome in ("failure", "cancelled", "warning"):
        severity: Any = "warning" if outcome == "warning" else "error"
        troubles.add(notice.lead or context.head.subject, severity=severity)
    return JobLog(
        product="synology-hyper-backup",
        operation="verify" if verify else "backup",
        outcome=outcome,
        source_job=notice.values.get("job", ""),
        host=notice.host,
        repository=notice.values.get("target", ""),
        started_at=start,
        ended_at=end_of(start, seconds),
        duration_seconds=seconds,
        complete=_complete(outcome, "verify" if verify else "backup"),
        checksum_ok=_checksum(outcome) if verify else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _complete(outcome: Outcome, operation: Operation) -> bool | None:
    if operation != "backup" or outcome in ("running", "unknown", "skipped"):
        return None
    return outcome == "success"


def _checksum(outcome: Outcome) -> bool | None:
    return {"success": True, "failure": False}.get(outcome)


# ----------------------------------------------------------------------------------------------------------------- log


@dataclass(frozen=True)
class _Line:
    number: int
    level: str
    time: str
    event: str


@dataclass
class _Run:
    """One run as its lines tell it; ``time`` values are local texts."""

    job: str
    operation: Operation
    kind: str
    first: int
    last: int
    started: str = ""
    ended: str = ""
    outcome: Outcome = "running"
    troubles: Troubles = field(default_factory=Troubles)


def _lines_of_log(body: Delivery) -> Iterator[_Line]:
    for line in log_lines(body.stdout, body.stderr):
        match = _LINE.match(line.text)
        if match is not None:
            yield _Line(line.number, match.group(1), match.group(2), match.group(4))


def _events_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    inner = document.get("data")
    return rows_of((inner if isinstance(inner, dict) else document).get("log_list") or [])


def _lines_of_api(document: dict[str, Any]) -> Iterator[_Line]:
    """The list comes newest first."""
    for at, row in enumerate(reversed(_events_of(document)), start=1):
        yield _Line(at, words(row, "level"), words(row, "time"), clean(words(row, "event")))


def _parts(event: str) -> tuple[str, str, str] | None:
    """Kind of target, task and message of ``[Local][task] message``."""
    match = _EVENT.match(event)
    return (match.group(1), match.group(2), match.group(3)) if match else None


def _runs(lines: Iterator[_Line]) -> list[_Run]:
    runs: list[_Run] = []
    open_runs: dict[tuple[str, Operation], _Run] = {}
    for line in lines:
        parts = _parts(line.event)
        if parts is not None:
            _read_event(runs, open_runs, line, parts)
    return runs


def _read_event(
    runs: list[_Run], open_runs: dict[tuple[str, Operation], _Run], line: _Line, parts: tuple[str, str, str]
) -> None:
    kind, job, message = parts
    said = message.lower()
    operation: Operation = "verify" if _CHECK.search(said) or "found broken" in said else "backup"
    ending = _ending(said)
    run = open_runs.get((job, operation))
    if _begins(said) or (run is None and ending is not None):
        run = _Run(job, operation, kind, line.number, line.number)
        run.started = line.time if _begins(said) else ""
        _give_up(open_runs.get((job, operation)))
        open_runs[(job, operation)] = run
        runs.append(run)
    if run is None:
        return
    run.last = line.number
    if line.level.startswith(("err", "warn")) or ending in ("failure", "cancelled"):
        _add_trouble(run, line, message)
    if ending is not None:
        run.ended, run.outcome = line.time, _settled(ending, run)
        del open_runs[(job, operation)]


def _give_up(run: _Run | None) -> None:
    """A run after which the same task began anew without an end in between: nobody knows how it ended."""
    if run is not None:
        run.outcome = "unknown"


def _begins(said: str) -> bool:
    return "backup task started" in said or ("integrity check" in said and "started" in said)


def _ending(said: str) -> Outcome | None:
    """What a line says of the end of its run; None for a line in between."""
    if "partially completed" in said:
        return "warning"
    if "cancel" in said and "task" in said:
        return "cancelled"
    if "found broken" in said or said.startswith(("failed to run", "failed to start", "failed to resume")):
        return "failure"
    if "finished successfully" in said or "no error was found" in said:
        return "success"
    return None


def _settled(ending: Outcome, run: _Run) -> Outcome:
    return "warning" if ending == "success" and run.troubles.total else ending


_PATH = re.compile(r"\[(/[^\]]{1,1000})\]")


def _add_trouble(run: _Run, line: _Line, message: str) -> None:
    severity: Any = "warning" if line.level.startswith("warn") else "error"
    path = _PATH.search(message[:2000])
    run.troubles.add(message, path=path.group(1) if path else None, severity=severity)


def _apart(runs: list[_Run]) -> bool:
    """True where each run's lines end before the next one's begin: then each can be shown by itself."""
    return len(runs) > 1 and all(one.last < after.first for one, after in pairwise(runs))


def _job_log(run: _Run, zone: tzinfo | None, *, apart: bool) -> JobLog:
    start, end = _at(run.started, zone), _at(run.ended, zone)
    return JobLog(
        product="synology-hyper-backup",
        operation=run.operation,
        outcome=run.outcome,
        source_job=run.job,
        item=run.job,
        repository=run.kind,
        started_at=start,
        ended_at=end,
        duration_seconds=(end - start).total_seconds() if start and end and end >= start else None,
        complete=_complete(run.outcome, run.operation),
        checksum_ok=_checksum(run.outcome) if run.operation == "verify" else None,
        errors=run.troubles.kept,
        errors_total=run.troubles.total,
        lines=(run.first, run.last) if apart else None,
    )


def _at(printed: str, zone: tzinfo | None) -> datetime | None:
    return told_moment(printed, zone) if printed else None
