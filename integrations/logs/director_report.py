"""What the logs of Bacula and Bareos share: daemon messages and the director's report at the end of each job.

Bareos is a fork of Bacula: the layout is the same, dates and words differ by release and by the locale of the director.
The two formats hand their text over and get one run per report; a log without a report holds no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Literal

from integrations.logs.bytes_to_text import Line, log_lines
from integrations.logs.context import Context
from integrations.logs.figures import count
from integrations.logs.joblog import Basis, Component, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.moments import iso
from integrations.logs.printed_dates import printed_local, printed_moment
from integrations.logs.troubles import Troubles

#: ``22-Nov 21:15 backup01-dir JobId 8: text``, with a full date in newer releases, ``[...]`` where someone cut it out.
_MESSAGE = re.compile(
    r"^\s{0,12}(?:\d{1,2}-[^\W\d_]{3,5}\.?(?:-\d{4})? \d{2}:\d{2}(?::\d{2})?"
    r"|\d{4}-\d\d-\d\d[T ][0-9:+-]{8,14}Z?|\[\.\.\.\])"
    r" (\S{1,128}) +(?:JobId (\d{1,10})|\S{0,128}): ?(.*)$"
)
_BANNER = re.compile(r"^(?:Error: |Fatal error: |Warning: )?(Bacula|Bareos)(?: Enterprise)? \S+ (\d[\w.~+-]{0,60}) ?\(")
_FIELD = re.compile(r"^\s{1,16}([A-Z][A-Za-z /().-]{1,40}?):\s{1,40}(\S.*)?$")
_STARTED = re.compile(
    r"^Start (?:Backup|Restore|Verify|Virtual|Migration|Copying|Admin)\b.{0,60}?(?:Job=|Job )([^\s,]{1,300})"
)
_STAMP = re.compile(r"\.(?:\d{4}-\d{2}-\d{2}[_T]\d{2}[.:]\d{2}[.:]\d{2}(?:_\w{1,10})?|\[\.\.\.\]\w{0,10})$")
_QUOTED = re.compile(r'"([^"]{1,300})"')
_COULD_NOT = re.compile(
    r"^(?:Could not (?:stat|open|access|follow link|read|find)|Cannot (?:open|read|stat)|Unable to (?:open|read)"
    r"|Read error on file|Network (?:error|send error)|Security Alert|Socket error)\b"
)
_PATH = re.compile(r'"([^"]{1,4096})"|(?:\son |\sfile )(/[^:]{1,4096}?)(?:[:.] ?ERR=|$)|\((/[^()]{1,1024})\)')
_VM = re.compile(r"^preparing backup of VM '([^']{1,300})'")
_WAITING = re.compile(
    r"\bis waiting\b|^Please (?:mount|use the \"label\")|Intervention needed|Cannot find any appendable volumes"
)
_ELAPSED = re.compile(r"(\d{1,6}) (sec|min|hour|day|week|month|year)s?\b")
_SECONDS = {"sec": 1, "min": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}
_SHARE = re.compile(r"^(\d{1,3}(?:[.,]\d{1,2})?) ?%")

_OPERATIONS: tuple[tuple[str, Operation, str], ...] = (
    ("backup", "backup", ""),
    ("consolidate", "backup", "consolidate"),
    ("restore", "restore", ""),
    ("verify", "verify", ""),
    ("cop", "copy", ""),
    ("migrat", "copy", "migration"),
    ("archive", "copy", "archive"),
    ("admin", "inventory", "admin"),
)


@dataclass
class Report:
    """One report with what was told of its job before: fields as they stand, messages that tell of trouble."""

    version: str
    number: int
    fields: dict[str, str] = field(default_factory=dict)
    last: int = 0
    troubles: Troubles = field(default_factory=Troubles)
    guests: list[str] = field(default_factory=list)
    unique_name: str = ""

    def word(self, *names: str) -> str:
        """The first of these fields that the report fills."""
        return next((self.fields[name] for name in names if self.fields.get(name)), "")

    def figure(self, *names: str) -> int | None:
        """A count or size; what stands in brackets behind it is the same, rounded."""
        return count(self.word(*names).split("(", 1)[0])


@dataclass
class _Told:
    """What the messages of one JobId tell."""

    troubles: Troubles = field(default_factory=Troubles)
    guests: list[str] = field(default_factory=list)
    unique_name: str = ""
    waits: bool = False
    first: int = 0


class DirectorLog:
    """Reads the lines of a log: messages by JobId, and reports."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.told: dict[str, _Told] = {}
        self._open: Report | None = None

    def read(self, line: Line) -> None:
        """Take one line."""
        match = _MESSAGE.match(line.text) if "JobId" in line.text or line.text[:1].isdigit() else None
        if match is not None:
            self._open = None
            self._message(line, match.group(1), match.group(2) or "", match.group(3).strip())
        elif (banner := _BANNER.match(line.text.strip())) is not None:
            self._begin(banner.group(2), line.number)
        elif self._open is not None:
            self._field(self._open, line)

    def _message(self, line: Line, daemon: str, job_id: str, text: str) -> None:
        banner = _BANNER.match(text)
        if banner is not None:
            self._begin(banner.group(2), line.number)
            return
        told = self.told.setdefault(job_id, _Told(first=line.number))
        if (started := _STARTED.match(text)) is not None:
            told.unique_name = started.group(1)
        elif (guest := _VM.match(text)) is not None:
            told.guests.append(guest.group(1))
        else:
            told.waits = told.waits or _WAITING.search(text) is not None
            _note_trouble(told.troubles, text)

    def _begin(self, version: str, number: int) -> None:
        self._open = Report(version, number, last=number)
        self.reports.append(self._open)

    def _field(self, report: Report, line: Line) -> None:
        match = _FIELD.match(line.text)
        if match is None:
            self._open = None if not line.text.strip() else self._open
            return
        report.fields.setdefault(match.group(1), (match.group(2) or "").strip())
        report.last = line.number


def _note_trouble(troubles: Troubles, text: str) -> None:
    severity: Literal["error", "warning"] | None = None
    if text.startswith(("Error:", "Fatal error:", "ERROR")) or _COULD_NOT.match(text):
        severity = "error"
    elif text.startswith(("Warning:", "WARNING")):
        severity = "warning"
    if severity is None:
        return
    found = _path_in(text)
    unreached = _COULD_NOT.match(text) is not None and "No such file" in text
    troubles.add(text, path=found, severity=severity, kind="other" if unreached else None)


def _path_in(text: str) -> str | None:
    """The file or folder that a line of trouble names."""
    match = _PATH.search(text)
    parts = [part for part in match.groups() if part] if match else []
    return next((part for part in parts if part.startswith(("/", "\\")) or part[1:2] == ":"), None)


def runs_of(body: Delivery, context: Context, *, product: str) -> tuple[JobLog, ...]:
    """One run per report, in the order of the log. Raises UnreadableLog where the log holds none and no messages."""
    log = DirectorLog()
    for line in log_lines(body.stdout, body.stderr):
        log.read(line)
    reports = [report for report in log.reports if report.fields]
    if not reports:
        return _without_report(log, product=product)
    for report in reports:
        _join(report, log.told, alone=len(reports) == 1)
    runs = [_run(report, body, context, product=product) for report in reports]
    if len(runs) == 1:
        return (replace(runs[0], lines=None),)
    return tuple(runs)


def _join(report: Report, told: Mapping[str, _Told], *, alone: bool) -> None:
    """The messages of the report's own JobId; all of them where the log holds one report."""
    own = [told[report.word("JobId")]] if report.word("JobId") in told else []
    for part in list(told.values()) if alone else own:
        for error in part.troubles.kept:
            report.troubles.add(error.message, path=error.path, severity=error.severity, kind=error.kind)
        report.guests += part.guests
        report.unique_name = report.unique_name or part.unique_name


def _without_report(log: DirectorLog, *, product: str) -> tuple[JobLog, ...]:
    """Messages of jobs that have not ended in this log: a request for a volume, or a log that was cut off."""
    waiting = {job_id: told for job_id, told in log.told.items() if job_id}
    if not waiting:
        raise UnreadableLog(f"this log of {product.capitalize()} holds no report and no message of a job")
    return tuple(
        JobLog(
            product=product,
            operation="backup",
            outcome="running" if told.waits else "unknown",
            complete=None,
            run_id=told.unique_name or job_id,
            source_job=_STAMP.sub("", told.unique_name),
            errors=told.troubles.kept,
            errors_total=told.troubles.total,
            lines=(told.first, told.first) if len(waiting) > 1 else None,
            notes=("The job waits for an operator.",) if told.waits else ("The log ends before the job's report.",),
        )
        for job_id, told in waiting.items()
    )


def _run(report: Report, body: Delivery, context: Context, *, product: str) -> JobLog:
    termination = report.word("Termination")
    operation, action = _operation(report, termination)
    outcome = _outcome(termination)
    zone = context.zone or _zone_of_mail(body, report.word("End time"))
    name = report.unique_name if "[...]" in report.word("Job") else report.word("Job", "Prev Backup Job")
    unique = report.word("Job") or report.unique_name
    restores = operation == "restore"
    sizes = {} if restores else _sizes(report, operation, outcome)
    return JobLog(
        product=product,
        product_version=report.version,
        operation=operation,
        action=action,
        outcome=outcome,
        run_id="" if "[...]" in unique else unique,
        source_job=_STAMP.sub("", name or unique),
        host=_client(report),
        started_at=_moment(report.word("Start time"), zone),
        ended_at=_moment(report.word("End time"), zone),
        duration_seconds=_elapsed(report.word("Elapsed time")),
        restored_bytes=report.figure("Bytes Restored") if restores else None,
        complete=_complete(report, operation, outcome),
        files=_files(report),
        errors=report.troubles.kept,
        errors_total=report.troubles.total,
        components=tuple(Component("vm", guest, outcome) for guest in dict.fromkeys(report.guests)),
        chain_length=_chain(report, outcome),
        last_full_at=_moment(report.word("Start time"), zone) if _chain(report, outcome) == 1 else None,
        checksum_ok=_checksum(report, operation),
        lines=(report.number, report.last),
        notes=_notes(report),
        **sizes,  # type: ignore[arg-type]
    )


def _operation(report: Report, termination: str) -> tuple[Operation, str]:
    told = termination.strip("* ").lower()
    for word, operation, action in _OPERATIONS:
        if told.startswith(word):
            return operation, action
    if report.word("Restore Client", "Files Restored"):
        return "restore", ""
    return ("verify", "") if report.word("Verify Level", "Files Examined") else ("backup", "")


def _outcome(termination: str) -> Outcome:
    """The director's verdict; a word that is not known is no verdict."""
    told = termination.lower()
    if "cancel" in told:
        return "cancelled"
    if "***" in told or "error" in told or "incomplete" in told or "failed" in told:
        return "failure"
    if "warning" in told or "difference" in told:
        return "warning"
    if "no files to" in told:  # a copy or migration that found no job to work on
        return "skipped"
    return "success" if re.search(r"\bok\b", told) else "unknown"


def _client(report: Report) -> str:
    told = report.word("Client", "Restore Client", "Backup Client")
    quoted = _QUOTED.search(told)
    return quoted.group(1) if quoted else told.split(" ", 1)[0]


def _level(report: Report) -> str:
    return report.word("Backup Level").split(",", 1)[0].split("(", 1)[0].strip().lower()


def _chain(report: Report, outcome: Outcome) -> int | None:
    """A full copy stands alone, a differential one needs the full; how many an incremental needs is not told."""
    if outcome not in ("success", "warning"):
        return None
    return {"full": 1, "virtual full": 1, "virtualfull": 1, "differential": 2}.get(_level(report))


def _sizes(report: Report, operation: Operation, outcome: Outcome) -> dict[str, object]:
    """What the file daemon read is the selection only of a full backup; compression is undone by its printed share."""
    sent = report.figure("SD Bytes Written")
    if sent is None:
        return {}
    found: dict[str, object] = {"transferred_bytes": sent, "sources": {"transferred_bytes": "SD Bytes Written"}}
    read = report.figure("FD Bytes Written")
    if operation != "backup" or outcome not in ("success", "warning") or read is None:
        return found
    share = _compressed_share(report.word("Software Compression"))
    if share is None or (share and "virtual" in _level(report)):
        return found
    size, basis = (read, "logical-once") if share == 0 else (round(read / (1 - share)), "derived")
    name = "protected_bytes" if _level(report) in ("full", "virtual full") else "changed_bytes"
    told = "FD Bytes Written" if share == 0 else "FD Bytes Written / (1 - Software Compression)"
    found |= {name: size, "rounded": share > 0, "sources": {"transferred_bytes": "SD Bytes Written", name: told}}
    if name == "protected_bytes":
        if _complete(report, operation, outcome) is False:
            return {"transferred_bytes": sent, "sources": {"transferred_bytes": "SD Bytes Written"}}
        checked: Basis = "logical-once" if basis == "logical-once" else "derived"
        found["basis"] = checked
    return found


def _compressed_share(told: str) -> float | None:
    """The share that compression took away; 0 for none, None where it cannot be known."""
    if told.lower() in ("none", ""):
        return 0.0 if told else None
    match = _SHARE.match(told)
    share = float(match.group(1).replace(",", ".")) / 100 if match else None
    return share if share is not None and 0 <= share < 0.99 else None


def _complete(report: Report, operation: Operation, outcome: Outcome) -> bool | None:
    """Whether every root was reached: a plain OK says so; a path that could not be reached may be a root."""
    if operation not in ("backup", "copy", "restore"):
        return None
    if outcome == "success":
        return True
    if outcome in ("failure", "cancelled"):
        return False
    return False if any(_COULD_NOT.match(error.message) for error in report.troubles.kept) else None


def _files(report: Report) -> dict[str, int]:
    told = {
        "total": report.figure("FD Files Written", "Files Restored", "SD Files Written"),
        "expected": report.figure("Files Expected"),
        "checked": report.figure("Files Examined"),
    }
    return {name: value for name, value in told.items() if value is not None}


def _checksum(report: Report, operation: Operation) -> bool | None:
    """What a verification found; one that looked at no file found nothing."""
    if operation != "verify" or report.figure("Files Examined") == 0:
        return None
    if "difference" in report.word("Termination").lower():
        return False
    return True if _outcome(report.word("Termination")) == "success" else None


def _notes(report: Report) -> tuple[str, ...]:
    level, termination = report.word("Backup Level", "Verify Level"), report.word("Termination")
    return tuple(f"{name}: {told}" for name, told in (("Level", level), ("Termination", termination)) if told)


def _elapsed(told: str) -> float | None:
    parts = _ELAPSED.findall(told[:100])
    return float(sum(int(amount) * _SECONDS[unit] for amount, unit in parts)) if parts else None


def _moment(told: str, zone: tzinfo | None) -> datetime | None:
    return iso(told, zone) or printed_moment(told.replace("-", " "), zone)


def _zone_of_mail(body: Delivery, told: str) -> tzinfo | None:
    """The director's mail leaves it within a minute of the end: the hours between the two clocks are its offset."""
    local = printed_local(told.replace("-", " ")) if body.sent_at else None
    if local is None or body.sent_at is None:
        return None
    apart = local - body.sent_at.replace(tzinfo=None)
    quarters = -(-(apart - timedelta(seconds=5)) // timedelta(minutes=15))
    offset = quarters * timedelta(minutes=15)
    late = offset - apart
    if abs(offset) > timedelta(hours=14) or not timedelta(seconds=-5) <= late <= timedelta(seconds=60):
        return None
    return timezone(offset)
