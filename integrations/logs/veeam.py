"""Veeam Backup & Replication and Veeam Backup for Microsoft 365: job mails, and sessions as their REST APIs list them.

A mail is a table: the job's summary, then a row for each machine. Its labels are English, its dates, clocks and
figures follow the server. One run a job; the rows are its components. GB is 1024^3. Sessions hold times and result,
sizes live in their task sessions, which may come in the same document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from integrations.logs.bytes_to_text import clean, log_lines
from integrations.logs.context import Context
from integrations.logs.figures import clock_seconds
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.mail import html_to_text
from integrations.logs.moments import to_utc
from integrations.logs.printed_dates import date_order, is_rounded_size, printed_bytes, printed_clock, printed_local
from integrations.logs.troubles import Troubles
from integrations.logs.veeam_sessions import is_sessions, session_runs

LABEL = "Veeam Backup & Replication, Veeam Backup for Microsoft 365"
MARKS = ("Veeam", '"sessionType"', '"creationTime"')
GUIDE = Guide(
    releases="Backup & Replication 9.5 to 12 (backup, copy, replication, agent, SureBackup, configuration), "
    "Backup for Microsoft 365; sessions of REST API v1",
    written_from="the layout that public look-alike scripts draw and the vendor's API schema; no captured mail",
    operations=("backup", "copy", "replicate", "restore", "verify", "inventory"),
    basis="provisioned or used, as the job's setting says: taken as provisioned",
    sizes=(
        ("protected_bytes", "Total size"),
        ("changed_bytes", "Data read"),
        ("transferred_bytes", "Transferred"),
        ("stored_bytes", "Backup size"),
    ),
    cannot_tell=(
        "The zone of a mail's times, unless the mail's own date agrees with the end of the job.",
        "Sizes in bytes: mails round to one decimal.",
        "Sizes of sessions whose task sessions are not sent along.",
    ),
    ways=(
        Way(
            "email",
            "General options, E-mail settings; and in each job: Storage, Advanced, Notifications",
            "@ADDRESS@",
            language="text",
            note="Notify on success as well: silence is no proof. Leave the subject as it is.",
        ),
        Way(
            "http",
            "Or the sessions of the last day (PowerShell, scheduled)",
            "$s = Invoke-RestMethod 'https://localhost:9419/api/v1/sessions?limit=500' -Headers $veeam\n"
            "$t = Invoke-RestMethod 'https://localhost:9419/api/v1/taskSessions?limit=500' -Headers $veeam\n"
            "Invoke-RestMethod '@URL@/api/v1/logs?format=veeam' -Method Post -Headers @{Authorization='Bearer @KEY@'} "
            "-Body (@{sessions=$s.data; taskSessions=$t.data} | ConvertTo-Json -Depth 9)",
            language="powershell",
        ),
    ),
)

_TITLE = re.compile(r"^([A-Z][A-Za-z0-9 ,&/()-]{0,60}? ?(?:[Jj]ob|[Pp]olicy)) ?: (\S.{0,300})$")
_KIND_SUFFIX = re.compile(
    r" \((?:Incremental|Full|Active [Ff]ull|Synthetic [Ff]ull|Reverse [Ii]ncremental|Retry(?: [0-9]{1,3})?)\)$"
)
_SUBJECT = re.compile(r"^(?:[A-Z]{2,3}: )*\[(Success|Warning|Failed|Error|None)\] ?(.{0,300})$")
_MADE_BY = re.compile(
    r"Veeam (?:Backup & Replication|Backup for (?:Microsoft|Office) 365|Agent for [A-Z][a-zA-Z ]{2,30}?) ?"
    r"([0-9]{1,2}(?:\.[0-9]{1,6}){1,4})?"
)
_OUTCOMES: dict[str, Outcome] = {
    "success": "success", "warning": "warning", "failed": "failure", "error": "failure", "running": "running",
    "in progress": "running", "pending": "running", "skipped": "skipped", "none": "unknown",
}  # fmt: skip
_VERDICT = re.compile(
    r"^(Success|Warning|Failed|Error|Skipped|Running|In progress|Pending)(?: [0-9]{1,6} of [0-9]{1,6} .{1,60})?$"
)
_CREATED = re.compile(r" (?:Created|Modified) by .{1,200}? at ")
_LABELS = frozenset({
    "Success", "Warning", "Error", "Start time", "End time", "Duration", "Total size", "Data read", "Transferred",
    "Backup size", "Data size",
})  # fmt: skip
_PATH = re.compile(r"\[((?:[A-Za-z]:\\|\\\\|/)[^\[\]]{1,500})\]")
_TAG = re.compile(r"<t[dr]\b", re.I)


@dataclass
class _Row:
    cells: list[str]
    details: list[str] = field(default_factory=list)


@dataclass
class _Mail:
    kind: str = ""
    job: str = ""
    outcome: Outcome | None = None
    day: str = ""
    values: dict[str, str] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)
    version: str = ""
    notices: list[str] = field(default_factory=list)


def recognises(head: Head) -> bool:
    """Sessions of its APIs, or a mail with the job's title and the summary, and the product's name or its subject."""
    if head.document is not None:
        return is_sessions(head.document)
    text = head.text
    if "Start time" not in text and "End time" not in text and "Details" not in text:
        return False
    return ("Veeam" in head.everything or _SUBJECT.match(head.subject) is not None) and _titled(text)


def _titled(text: str) -> bool:
    if _TAG.search(text[:2000]):
        text = html_to_text(text)
    return any(_TITLE.match(cell.strip()) for line in text.split("\n", 200)[:200] for cell in line.split("\t"))


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The one run of a mail, or a run for each session."""
    if context.head.document is not None:
        return session_runs(body, context)
    if _TAG.search(context.head.stdout[:2000]):
        page = html_to_text(body.stdout.decode("utf-8", "backslashreplace"))
        mail = _read(page.encode("utf-8", "backslashreplace"))
    else:
        mail = _read(body.stdout)
    if not mail.job:
        raise UnreadableLog("this mail of Veeam names no job")
    return (_job_log(mail, body, context),)


# -------------------------------------------------------------------------------------------------------------- reading


def _read(body: bytes) -> _Mail:
    mail = _Mail()
    for line in log_lines(body):
        cells = [cell.strip() for cell in line.text.split("\t")]
        if any(cells):
            _read_line(mail, cells)
    return mail


def _read_line(mail: _Mail, cells: list[str]) -> None:
    made = _MADE_BY.search(cells[0]) if "Veeam" in cells[0] else None
    if made and len(cells) == 1:
        mail.version = made.group(1) or ""
    elif mail.columns:
        _read_row(mail, cells)
    elif "Name" in cells and ("Status" in cells or "Result" in cells):
        mail.columns = cells
    else:
        _read_summary(mail, cells)


def _read_row(mail: _Mail, cells: list[str]) -> None:
    filled = [cell for cell in cells if cell]
    if len(filled) >= 3 and any(cell.lower() in _OUTCOMES for cell in cells[:4]):
        if len(mail.rows) < 10_000:
            mail.rows.append(_Row(cells))
    elif mail.rows and len(mail.rows[-1].details) < 50:
        mail.rows[-1].details.extend(filled)


def _read_summary(mail: _Mail, cells: list[str]) -> None:
    at = 0
    while at < len(cells):
        cell = cells[at]
        title = _TITLE.match(cell) if not mail.job and ":" in cell else None
        if title:
            mail.kind, mail.job = title.group(1), _job_name(title.group(2))
        elif cell in _LABELS and at + 1 < len(cells) and cells[at + 1]:
            mail.values.setdefault(cell, cells[at + 1])
            at += 1
        elif mail.outcome is None and mail.job and (verdict := _VERDICT.match(cell)):
            mail.outcome = _OUTCOMES[verdict.group(1).lower()]
        elif not mail.day and mail.job and not cell.startswith("Created ") and printed_local(cell, day_first=True):
            mail.day = cell
        elif cell.startswith(("Error: ", "Warning: ")) and len(mail.notices) < 50:
            mail.notices.append(cell)
        at += 1


def _job_name(told: str) -> str:
    """The name without who made the job and without the kind of this run."""
    return _KIND_SUFFIX.sub("", _CREATED.split(told, maxsplit=1)[0].strip())


# -------------------------------------------------------------------------------------------------------------- the run


def _job_log(mail: _Mail, body: Delivery, context: Context) -> JobLog:
    subject = _SUBJECT.match(context.head.subject)
    outcome = mail.outcome or (_OUTCOMES[subject.group(1).lower()] if subject else "unknown")
    started, ended = _times(mail, body, context.zone)
    components = tuple(_component(mail, row) for row in mail.rows)
    troubles = _troubles(mail, outcome)
    seconds = clock_seconds(mail.values.get("Duration", ""))
    return JobLog(
        product="veeam",
        operation=_operation(mail.kind),
        outcome=outcome,
        run_id=f"{mail.job} {mail.day}" if mail.day else "",
        source_job=clean(mail.job),
        host=body.host,
        product_version=mail.version,
        started_at=started,
        ended_at=ended,
        duration_seconds=seconds,
        complete=True if outcome == "success" else False if outcome == "failure" else None,
        checksum_ok=(True if outcome == "success" else None) if _operation(mail.kind) == "verify" else None,
        errors=troubles.kept,
        errors_total=troubles.total,
        components=components,
        **_sizes(mail, outcome),
    )


def _operation(kind: str) -> Operation:
    told = kind.lower()
    for word, operation in _OPERATIONS:
        if word in told:
            return operation
    return "backup"


_OPERATIONS: tuple[tuple[str, Operation], ...] = (
    ("surebackup", "verify"), ("copy", "copy"), ("tape", "copy"), ("replica", "replicate"),
    ("replication", "replicate"), ("restore", "restore"),
)  # fmt: skip


def _sizes(mail: _Mail, outcome: Outcome) -> dict[str, Any]:
    """Sizes of the summary; that of a running job would be what it has reached so far."""
    if outcome in ("running", "unknown"):
        return {}
    labels = {"protected_bytes": "Total size", "changed_bytes": "Data read", "transferred_bytes": "Transferred",
              "stored_bytes": "Backup size"}  # fmt: skip
    told = {key: mail.values[label] for key, label in labels.items() if label in mail.values}
    sizes = {key: printed_bytes(text) for key, text in told.items()}
    return {
        **sizes,
        "basis": "provisioned" if sizes.get("protected_bytes") is not None else None,
        "rounded": any(is_rounded_size(text) for text in told.values()),
        "sources": {key: labels[key] for key, value in sizes.items() if value is not None},
    }


def _component(mail: _Mail, row: _Row) -> Component:
    cells = dict(zip(mail.columns, row.cells, strict=False))
    outcome = _OUTCOMES.get(cells.get("Status", cells.get("Result", "")).lower(), "unknown")
    message = clean(" ".join([part for part in (cells.get("Details", ""), *row.details) if part]))
    return Component(
        type="mailbox" if "365" in mail.kind else "vm",
        name=clean(cells.get("Name", ""), 300),
        outcome=outcome,
        protected_bytes=printed_bytes(cells.get("Size", cells.get("Total size", ""))),
        transferred_bytes=printed_bytes(cells.get("Transferred", "")),
        message=message,
    )


def _troubles(mail: _Mail, outcome: Outcome) -> Troubles:
    troubles = Troubles()
    for row in mail.rows:
        one = _component(mail, row)
        if one.outcome in ("failure", "warning"):
            told = one.message or f"{one.name}: {row.cells[1] if len(row.cells) > 1 else ''}"
            _add(troubles, told, severity="error" if one.outcome == "failure" else "warning", component=one.name)
    for notice in mail.notices:
        _add(troubles, notice, severity="warning" if notice.startswith("Warning") else "error", component=None)
    if outcome == "failure" and not troubles.errors:
        _add(troubles, f"{mail.kind} {mail.job}: Failed", severity="error", component=None)
    return troubles


def _add(troubles: Troubles, told: str, *, severity: Any, component: str | None) -> None:
    message = told.removeprefix("Error: ").removeprefix("Warning: ")
    path = _PATH.search(message)
    troubles.add(message, severity=severity, component=component, path=path.group(1) if path else None)


# ---------------------------------------------------------------------------------------------------------------- times


def _times(mail: _Mail, body: Delivery, zone: tzinfo | None) -> tuple[datetime | None, datetime | None]:
    order = date_order(" ".join([mail.day, *mail.values.values()]))
    day = printed_local(mail.day, day_first=order)
    start = _wall(mail.values.get("Start time", ""), day, order)
    end = _wall(mail.values.get("End time", ""), start, order)
    seconds = clock_seconds(mail.values.get("Duration", ""))
    if start and end:
        end = _later(start, end, seconds)
    elif start and seconds is not None and seconds < 10**8:
        end = start + timedelta(seconds=seconds)
    zone = zone or _zone_of_mail(body, end)
    return (to_utc(start, zone) if start else None), (to_utc(end, zone) if end else None)


def _wall(told: str, day: datetime | None, order: bool | None) -> datetime | None:
    """A date with clock where the cell holds both, else the clock on the day of the job."""
    clock = printed_clock(told)
    if clock is None:
        return printed_local(told, day_first=order) if told else day
    return day.replace(hour=clock[0], minute=clock[1], second=clock[2]) if day else None


def _later(start: datetime, end: datetime, seconds: float | None) -> datetime:
    """The end on the day that its duration says, or the next day where its clock is before the start's."""
    try:
        if seconds is not None and seconds < 10**8:
            days = round((start + timedelta(seconds=seconds) - end).total_seconds() / 86400)
            return end + timedelta(days=days)
        return end + timedelta(days=1) if end < start else end
    except OverflowError:
        return end


def _zone_of_mail(body: Delivery, end: datetime | None) -> tzinfo | None:
    """The offset of the mail's own date, where its wall clock says the mail was sent right after the job's end."""
    sent = body.sent_at
    if sent is None or sent.tzinfo is None or end is None:
        return None
    waited = (sent.replace(tzinfo=None) - end).total_seconds()
    return sent.tzinfo if -60 <= waited <= 900 else None
