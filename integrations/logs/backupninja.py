"""backupninja 1.0 to 1.2: its log file, its output with --debug, and the report it mails.

Each action (a file of /etc/backup.d) is a run of its own. Old releases always exit with 0: the line that finishes an
action is its outcome. Times have no year: it is taken from the delivery where that lies near, else there is no time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from integrations.logs.bytes_to_text import Line, log_lines
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Outcome, UnreadableLog
from integrations.logs.moments import to_utc
from integrations.logs.troubles import Troubles

LABEL = "backupninja"
MARKS = ("backupninja", "starting action", "finished action", "FINISHED: ", " from /etc/backup.d")
GUIDE = Guide(
    releases="1.0 to 1.2",
    written_from="real logs of runs, and backupninja's sources",
    operations=("backup",),
    cannot_tell=(
        "Sizes of any kind: the handlers' own output is not kept.",
        "The year of a time: it is taken from the delivery.",
        "Which times a mail's report is of.",
    ),
    ways=(
        Way("wrapper", "With the wrapper", "backledger-run --job ninja -- backupninja --now --debug"),
        Way(
            "email",
            "Report by mail (/etc/backupninja.conf)",
            "reportemail = @ADDRESS@\nreportsuccess = yes",
            language="ini",
        ),
    ),
    notes=(
        "Each action is a job of its own, named by its file.",
        "SUCCESS is success, WARNING a warning, ERROR and FAILED failures; an action without an end is unknown.",
    ),
)

_STAMP = r"(?:([A-Z][a-z]{2}) +([0-9]{1,2}) ([0-9:]{8}) )?"
_LINE = re.compile(rf"{_STAMP}\*?(Debug|Info|Warning|Error|Fatal|Halt): ?(.*)$")
_START = re.compile(r">>>> starting action (\S.{0,1000}?)(?: \(because [^)]{0,200}\))?$")
_FINISH = re.compile(r"<<<< finished action (\S.{0,1000}?): (SUCCESS|WARNING|ERROR|FAILED)$")
_TOTAL = re.compile(r"FINISHED: ([0-9]{1,6}) actions run\. ([0-9]{1,6}) fatal\. ([0-9]{1,6}) error\. ([0-9]{1,6}) warn")
_TOLD = re.compile(r"(success|\*(?:warning|error|failed|halt)\*) -- (\S.{0,1000})$")
_SECTION = re.compile(r"== (?:halt request|fatal errors|errors|warnings|infos) from (\S.{0,1000}?) ?==$")
_SIGNS = re.compile(
    rf"^{_STAMP}(?:Info: >>>> starting action |\w{{4,7}}: <<<< finished action |Info: FINISHED: [0-9]+ actions run\.)"
    r"|^(?:success|\*(?:warning|error|failed|halt)\*) -- /\S", re.M
)  # fmt: skip
_OUTCOMES: dict[str, Outcome] = {
    "SUCCESS": "success", "WARNING": "warning", "ERROR": "failure", "FAILED": "failure", "success": "success",
    "*warning*": "warning", "*error*": "failure", "*failed*": "failure", "*halt*": "failure",
}  # fmt: skip
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def recognises(head: Head) -> bool:
    """Its lines, its report's subject, or its command line."""
    return head.has(_SIGNS) or head.subject.startswith("backupninja: ") or head.calls("backupninja")


@dataclass
class _Action:
    name: str
    outcome: Outcome | None = None
    started: tuple[str, str, str] | None = None
    ended: tuple[str, str, str] | None = None
    troubles: Troubles = field(default_factory=Troubles)
    first: int = 0
    last: int = 0


@dataclass
class _Log:
    actions: list[_Action] = field(default_factory=list)
    current: _Action | None = None
    outside: Troubles = field(default_factory=Troubles)
    finished: bool = False
    died: bool = False

    def named(self, name: str) -> _Action:
        known = next((action for action in self.actions if action.name == name), None)
        if known is None:
            known = _Action(name)
            self.actions.append(known)
        return known


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each action, in the order of the log."""
    log = _Log()
    for line in log_lines(body.stdout, body.stderr):
        _read(log, line)
    host = body.host or _host_of(context.head.subject)
    if not log.actions:
        return (_whole(log, body, host, context),)
    alone = len(log.actions) == 1 and not log.died
    runs = tuple(_run(action, body, host, context.zone, alone=alone) for action in log.actions)
    return (*runs, _whole(log, body, host, context)) if log.died else runs  # it died outside of any action


def _host_of(subject: str) -> str:
    words = subject.split()
    return words[1] if subject.startswith("backupninja: ") and len(words) > 1 else ""


def _read(log: _Log, line: Line) -> None:
    told = line.text.strip()
    if match := _LINE.match(told):
        month, day, clock, level, text = match.groups()
        _read_said(log, (month, day, clock) if month else None, level, text.strip(), line)
    elif match := _TOLD.match(told):
        log.named(match.group(2)).outcome = _OUTCOMES[match.group(1)]
        log.finished = True
    elif match := _SECTION.match(told):
        log.current = log.named(match.group(1))


def _read_said(log: _Log, when: tuple[str, str, str] | None, level: str, text: str, line: Line) -> None:
    if match := _START.match(text):
        log.current = _Action(match.group(1), started=when, first=line.number, last=line.number)
        log.actions.append(log.current)
    elif match := _FINISH.match(text):
        _finish(log, match, when, line)
    elif _TOTAL.match(text):
        log.finished, log.current = True, None
    elif level in ("Warning", "Error", "Fatal", "Halt"):
        log.died = log.died or (log.current is None and level in ("Fatal", "Halt"))
        severity: Literal["error", "warning"] = "warning" if level == "Warning" else "error"
        (log.current.troubles if log.current else log.outside).add(text, severity=severity)
    if log.current is not None and log.current.first:
        log.current.last = line.number


def _finish(log: _Log, match: re.Match[str], when: tuple[str, str, str] | None, line: Line) -> None:
    action = log.current if log.current and log.current.name == match.group(1) else None
    if action is None:
        action = _Action(match.group(1), first=line.number)
        log.actions.append(action)
    action.outcome, action.ended, action.last = _OUTCOMES[match.group(2)], when, line.number
    log.current = None


def _whole(log: _Log, body: Delivery, host: str, context: Context) -> JobLog:
    """A delivery without any action: nothing was due, or backupninja could not begin."""
    failed = bool(log.outside.errors) or body.exit_code not in (None, 0)
    if not failed and not log.finished and body.exit_code is None and not context.head.subject:
        raise UnreadableLog("this log tells of no action")
    if failed and not log.outside.total:
        log.outside.add(f"backupninja ended with exit code {body.exit_code}")
    quiet = body.exit_code == 0 and not body.stdout.strip() and not body.stderr.strip()
    return JobLog(
        product="backupninja",
        operation="backup",
        outcome="failure" if failed else "unknown",
        host=host,
        complete=False if failed else None,
        errors=log.outside.kept,
        errors_total=log.outside.total,
        exit_code=body.exit_code,
        notes=("silent: send its log, --debug, or its report",) if quiet else (),
    )


def _run(action: _Action, body: Delivery, host: str, zone: tzinfo | None, *, alone: bool) -> JobLog:
    outcome: Outcome = action.outcome or ("failure" if action.troubles.errors else "unknown")
    started, ended = _moment(action.started, body, zone), _moment(action.ended, body, zone)
    return JobLog(
        product="backupninja",
        operation="backup",
        outcome=outcome,
        source_job=action.name,
        item=action.name,
        host=host,
        started_at=started,
        ended_at=ended,
        duration_seconds=(ended - started).total_seconds() if started and ended and ended >= started else None,
        complete=False if outcome == "failure" else True if outcome == "success" else None,
        errors=action.troubles.kept,
        errors_total=action.troubles.total,
        exit_code=body.exit_code if alone else None,
        lines=None if alone or not action.first else (action.first, action.last),
    )


def _moment(when: tuple[str, str, str] | None, body: Delivery, zone: tzinfo | None) -> datetime | None:
    """UTC of a time without a year, by the delivery's; None where that lies more than two days away."""
    near = body.ended_at or body.started_at or body.sent_at
    if when is None or near is None or zone is None or when[0] not in _MONTHS:
        return None
    for year in (near.year, near.year - 1, near.year + 1):
        try:
            hour, minute, second = (int(part) for part in when[2].split(":"))
            local = datetime(year, _MONTHS.index(when[0]) + 1, int(when[1]), hour, minute, second)  # noqa: DTZ001
        except ValueError:
            continue
        moment = to_utc(local, zone)
        if moment is not None and abs(moment - near.astimezone(UTC)) < timedelta(days=2):
            return moment
    return None
