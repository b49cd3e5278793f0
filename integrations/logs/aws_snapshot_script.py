"""The log of the EC2 snapshot script that cron runs (``managesnapshots daily|weekly|monthly``): one line per step.

It snapshots every volume with a tag, deletes old snapshots, and says "end". Without "end" it did not finish; a volume
without its SNAPSHOT line was not snapshotted. The size is that of the volume as provisioned, in GiB: what is used on
it, or stored, the log cannot know. Also read: the lines of the newer AWS command line in the same places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from integrations.logs.bytes_to_text import log_lines
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Outcome
from integrations.logs.moments import iso
from integrations.logs.troubles import Troubles

LABEL = "EC2 snapshot script"
MARKS = ("snapshotting vol-", "checking for snapshots to delete from", "managesnapshots")
GUIDE = Guide(
    releases="the script as it has run since 2012, with the EC2 API tools or the AWS command line",
    written_from="logs of the script, and a description of its lines",
    operations=("backup",),
    basis="provisioned: the size of each volume, in GiB",
    sizes=(("protected_bytes", "the size column of the SNAPSHOT lines, added up"),),
    cannot_tell=(
        "What is used on a volume, sent or stored.",
        "Whether AWS completed a snapshot: it is pending when the line is printed.",
        "When the script ended.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job daily-snapshots -- /usr/local/bin/managesnapshots daily",
        ),
        Way("email", "From cron", "MAILTO=@ADDRESS@\n0 2 * * * /usr/local/bin/managesnapshots daily"),
    ),
)

_GIB = 2**30
_SIGNS = re.compile(r"^(?:snapshotting vol-\w{1,40} -- |checking for snapshots to delete from vol-\w)", re.M)
_BEGIN = re.compile(r"snapshotting (vol-\w{1,40})(?: -- (.{0,400}))?$")
_MADE = re.compile(
    r"SNAPSHOT\s+(snap-\w{1,40})\s+(vol-\w{1,40})\s+(pending|completed"
    r"|error)\s+([0-9T:-]{19}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9:]{4,6}))"
    r"\s+(?:[0-9]{1,3}%\s+)?(?:[0-9]{12}\s+)?([0-9]{1,7})?(?:\s|$)"
)
_DELETED = re.compile(r"deleting snapshot (snap-\w{1,40})")
_NAMED = re.compile(r"(?:daily|weekly|monthly|hourly|yearly)", re.I)
_TROUBLE = re.compile(
    r"Client\.[\w.]{3,80}: |Server\.[\w.]{3,80}: |An error occurred \(|Unable to locate credentials"
    r"|Could not connect to|Traceback \("
    r"|(?:ERROR|Error|error|FATAL|Fatal)\b|Required (?:option|parameter)|Unexpected error"
    r"|.{0,200}(?:command not found|: not found|Permission denied)$"
    r"|The (?:volume|snapshot) '.{1,60}' (?:does not exist|is currently in use)|RequestLimitExceeded"
    r"|SnapshotLimitExceeded"
)
_CODE = re.compile(r"((?:Client|Server)\.[\w.]{3,80}): |An error occurred \((\w{3,80})\)")


def recognises(head: Head) -> bool:
    """The script's own lines, or a call of it."""
    return head.has(_SIGNS) or (head.calls("managesnapshots") and "SNAPSHOT" in head.text)


@dataclass
class _Volume:
    name: str
    description: str
    snapshot: str = ""
    state: str = ""
    gib: int | None = None
    message: str = ""


@dataclass
class _Draft:
    volumes: list[_Volume] = field(default_factory=list)
    troubles: Troubles = field(default_factory=Troubles)
    times: list[datetime] = field(default_factory=list)
    deleted: int = 0
    deleting: bool = False
    ended: bool = False


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The one run of the log; each volume is a component of it."""
    draft = _Draft()
    for line in log_lines(body.stdout, body.stderr):
        if line.text.strip():
            _read_line(draft, line.text.strip())
    return (_job_log(draft, body, context),)


def _read_line(draft: _Draft, line: str) -> None:
    if match := _BEGIN.match(line):
        draft.volumes.append(_Volume(match.group(1), match.group(2) or ""))
        draft.deleting = False
    elif line.startswith("SNAPSHOT"):
        if match := _MADE.match(line):
            _read_made(draft, match)
    elif _DELETED.match(line):
        draft.deleted += 1
        draft.deleting = True
    elif line.startswith("checking for snapshots to delete"):
        draft.deleting = True
    elif line == "end":
        draft.ended = True
    elif _TROUBLE.match(line):
        _read_trouble(draft, line)


def _read_made(draft: _Draft, match: re.Match[str]) -> None:
    volume = next((one for one in reversed(draft.volumes[-50:]) if one.name == match.group(2)), None)
    if volume is None:
        volume = _Volume(match.group(2), "")
        draft.volumes.append(volume)
    volume.snapshot, volume.state = match.group(1), match.group(3)
    volume.gib = int(match.group(5)) if match.group(5) else None
    if moment := iso(match.group(4), None):
        draft.times.append(moment)


def _read_trouble(draft: _Draft, line: str) -> None:
    """A failed deletion leaves a copy too many; anything else may have cost a snapshot."""
    code = _CODE.match(line)
    volume = draft.volumes[-1] if draft.volumes and not draft.deleting else None
    if volume is not None:
        volume.message = line
    draft.troubles.add(
        line,
        severity="warning" if draft.deleting else "error",
        code=next((group for group in code.groups() if group), None) if code else None,
        component=volume.name if volume is not None else None,
        kind="other",
    )


def _job_log(draft: _Draft, body: Delivery, context: Context) -> JobLog:
    outcome = _outcome(draft, body)
    whole = outcome in ("success", "warning") and bool(draft.volumes)
    sizes = [volume.gib for volume in draft.volumes]
    protected = sum(size for size in sizes if size) * _GIB if whole and None not in sizes else None
    return JobLog(
        product="aws-snapshot-script",
        operation="backup",
        outcome=outcome,
        run_id=draft.volumes[0].snapshot if draft.volumes else "",
        source_job=_job(draft, context.head),
        started_at=min(draft.times, default=None),
        protected_bytes=protected,
        basis=None if protected is None else "provisioned",
        sources={} if protected is None else {"protected_bytes": "size of the volumes in GiB"},
        complete=whole if outcome != "unknown" else None,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        components=tuple(_component(volume, ended=draft.ended) for volume in draft.volumes),
        exit_code=body.exit_code,
        notes=_notes(draft),
    )


def _outcome(draft: _Draft, body: Delivery) -> Outcome:
    missing = any(not volume.snapshot or volume.state == "error" for volume in draft.volumes)
    if not draft.ended or missing or draft.troubles.errors or body.exit_code not in (None, 0):
        return "failure"
    if not draft.volumes:
        return "unknown"
    return "warning" if draft.troubles.warnings else "success"


def _component(volume: _Volume, *, ended: bool) -> Component:
    good = bool(volume.snapshot) and volume.state != "error"
    return Component(
        type="volume",
        name=volume.name,
        outcome="success" if good else "failure",
        protected_bytes=volume.gib * _GIB if good and volume.gib is not None else None,
        message=volume.message or volume.description or ("" if good or ended else "no snapshot"),
    )


def _job(draft: _Draft, head: Head) -> str:
    """The kind of run: the last word of the volumes' descriptions, else of the command line."""
    for volume in draft.volumes:
        word = volume.description.rsplit(" ", 1)[-1]
        if _NAMED.fullmatch(word):
            return word
    words = head.command.split()
    return words[-1] if words and _NAMED.fullmatch(words[-1]) else ""


def _notes(draft: _Draft) -> tuple[str, ...]:
    return (
        *(() if draft.ended else ("no end line: the script did not finish, or is still running",)),
        *((f"{draft.deleted} old snapshots deleted",) if draft.deleted else ()),
    )
