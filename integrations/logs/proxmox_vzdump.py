"""Proxmox VE's vzdump: task logs, and the notification as mail (text or page) or webhook, of releases 5 to 9.

Each guest is a run of its own (``item`` is its id), so that guests of several clients can be assigned apart. Times in
a log are local; the name of an archive on a Proxmox Backup Server is UTC. Disks count as provisioned, containers by
their content; a table of a notification has outcomes, durations and sizes of archives only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from integrations.logs.bytes_to_text import Line, log_lines
from integrations.logs.context import Context
from integrations.logs.figures import clock_seconds, printed_size, scaled
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Basis, Component, Delivery, JobLog, Outcome, UnreadableLog
from integrations.logs.json_documents import text
from integrations.logs.moments import iso
from integrations.logs.proxmox_vzdump_table import Row, read_row
from integrations.logs.troubles import Troubles

LABEL = "Proxmox VE (vzdump)"
MARKS = ("vzdump", "Backup of VM", "VM Name: ", "CT Name: ", "VMID")
GUIDE = Guide(
    releases="5 to 9",
    written_from="real task logs; notifications as known, no captured ones",
    operations=("backup",),
    basis="virtual machines: provisioned, the sum of the disks included; containers: logical, hard links once",
    sizes=(
        ("protected_bytes", "include disk; Total bytes written; had to backup .. of"),
        ("changed_bytes", "had to backup; backup was done incrementally"),
        ("transferred_bytes", "compressed; transferred"),
        ("stored_bytes", "archive file size; Size of a notification"),
    ),
    cannot_tell=(
        "Protected sizes in a notification without its logs: they have archive sizes only.",
        "Local times, where nobody told the zone of the host.",
    ),
    ways=(
        Way("email", "Mail of the backup job (Datacenter, Notifications)", "@ADDRESS@", language="text"),
        Way(
            "webhook",
            "Webhook of PVE 8.3 and later (Datacenter, Notifications, Add, Webhook)",
            "Method: POST\nURL: @URL@/api/v1/logs?format=proxmox-vzdump\nHeader: Authorization = Bearer @KEY@\n"
            'Body: {"title": "{{ escape title }}", "message": "{{ escape message }}", "timestamp": {{ timestamp }}}',
            language="text",
        ),
        Way("wrapper", "A run of your own", "backledger-run --job guests -- vzdump --all --storage pbs"),
    ),
    notes=(
        "Each guest is a run: assign the item (the guest's id) to its client.",
        "A guest without a line of its end in a log is a failure if the job failed, and unknown if the log is cut off.",
    ),
)

_SUBJECT = re.compile(r"vzdump backup status \(([^()\s]{1,255})\)(?: ?: ?(.{0,200}))?", re.I)
_SIGNS = re.compile(
    r"^(?:[0-9]{1,7}: .{19,25} )?"
    r"(?:INFO: (?:starting new backup job: vzdump|Starting Backup of VM [0-9]|(?:VM|CT) Name: "
    r"|Finished Backup of VM [0-9])"
    r"|ERROR: Backup of VM [0-9]{1,9} failed)"
    r"|^VMID\s+(?:NAME|Name)\s+(?:STATUS|Status)\s", re.M
)  # fmt: skip


def recognises(head: Head) -> bool:
    """vzdump's own lines, its table, its subject, or its command line."""
    if _SUBJECT.match(head.subject) or head.has(_SIGNS) or head.calls("vzdump"):
        return True
    return isinstance(head.document, dict) and bool(_SUBJECT.match(text(head.document, "title")))


@dataclass
class _Guest:
    """What was read of one guest so far."""

    id: str
    name: str = ""
    outcome: Outcome | None = None
    started: str = ""
    ended: str = ""
    seconds: float | None = None
    archive: str = ""
    disks: list[tuple[str, int | None]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    rounded: set[str] = field(default_factory=set)
    virtual: bool = False
    troubles: Troubles = field(default_factory=Troubles)
    first: int = 0
    last: int = 0


@dataclass
class _Job:
    """What was read of the whole log. ``ended``: the job's own last word; ``failed``: what it was."""

    guests: list[_Guest] = field(default_factory=list)
    ended: bool = False
    failed: bool = False
    reason: str = ""
    node: str = ""
    storage: str = ""
    excerpt: bool = True
    tabled: bool = False
    logged: set[str] = field(default_factory=set)

    def guest(self, number: str) -> _Guest:
        """The guest of this id; a new one where it is not known yet."""
        known = next((guest for guest in self.guests if guest.id == number), None)
        if known is None:
            known = _Guest(number)
            self.guests.append(known)
        return known


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each guest, in the order of the log."""
    subject, told, job = context.head.subject, body.stdout, _Job()
    if isinstance(context.head.document, dict):
        subject = subject or text(context.head.document, "title")
        told = text(context.head.document, "message").encode("utf-8", "backslashreplace")
    if match := _SUBJECT.match(subject):
        job.node = match.group(1)
        _read_verdict(job, match.group(2) or "")
    reader = _Reader(job)
    for line in log_lines(told, body.stderr):
        reader.read(line)
    return _job_logs(job, body, context.zone)


def _read_verdict(job: _Job, told: str) -> None:
    told = told.lower()
    job.failed = "fail" in told or "error" in told
    job.reason = told.strip() if job.failed else ""


# ------------------------------------------------------------------------------------------------------------ task log

_LOGGED = re.compile(r"(?:([0-9]{1,9}): ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}|[A-Z][a-z]{2} [0-9]{2} [0-9:]{8}) )?(INFO|ERROR|WARN|WARNING|TASK ERROR|TASK OK|TASK WARNINGS?)\b:? ?(.*)$")  # noqa: E501  # fmt: skip
_START = re.compile(r"Starting Backup of VM ([0-9]{1,9}) \((\w{1,10})\)")
_FINISH = re.compile(r"Finished Backup of VM ([0-9]{1,9}) \(([0-9:.]{1,20})\)")
_FAILED = re.compile(r"Backup of VM ([0-9]{1,9}) failed - (.*)$")
_DISK = re.compile(r"include disk '([^']{1,100})' '([^']{1,1000})'(?: ([0-9.]{1,20})([KMGTP]?))?")
_ARCHIVE = re.compile(
    r"creating (?:vzdump|Proxmox Backup Server|Proxmox Backup Server-?\s?|\w{1,20}) ?archive '([^']{1,1000})'"
)
_WRITTEN = re.compile(r"Total bytes written: ([0-9]{1,20})\b")
_FILE = re.compile(r"(?:archive file size|file size): ([0-9.]{1,20}) ?([KMGTP]?)i?B")
_HAD_TO = re.compile(
    r"(\S{1,300}): had to (?:backup|upload) (\S+ [KMGTP]?i?B) of (\S+ [KMGTP]?i?B)"
    r"(?: \(compressed (\S+ [KMGTP]?i?B)\))?"
)
_TRANSFERRED = re.compile(r"transferred (\S+ [KMGTP]?i?B) in ")
_REUSED = re.compile(r"backup was done incrementally, reused (\S+ [KMGTP]?i?B)")
_NUMBER = re.compile(r"(?:vzdump-\w{2,10}-|'?(?:vm|ct)/)([0-9]{1,9})[-/]")
_NAMED_DISK = re.compile(r"'[^':]{1,100}:(?:[^'/]{1,100}/)?(?:vm|base|subvol)-([0-9]{1,9})-")
_SOFT = re.compile(
    r"tar: |rsync: |rsync error|rsync warning|.{0,200}(?:No space left|Permission denied|Input/output error)"
)
_NOT_TROUBLE = re.compile(r"tar: (?:Removing leading|.{1,1000}: socket ignored)")


class _Reader:
    """Takes the lines of a task log, of a notification's table and of the logs under it, one by one."""

    def __init__(self, job: _Job) -> None:
        self.job = job
        self.current: _Guest | None = None
        self.columns: list[str] = []

    def read(self, line: Line) -> None:
        told = line.text.strip()
        match = _LOGGED.match(told)
        if match is None:
            self._read_table(told)
            return
        number, stamp, level, rest = match.groups()
        if number:
            self.current = self.job.guest(number)
            self.job.logged.add(number)
        if level.startswith("TASK"):
            self._end(level, rest)
        else:
            self._read_logged(level, rest.strip(), line)
        if self.current is not None and line.stream == "stdout" and not level.startswith("TASK"):
            self.current.first = self.current.first or line.number
            self.current.last = line.number
        if stamp and self.current is not None and stamp[:1].isdecimal():
            self.current.started, self.current.ended = self.current.started or stamp, stamp

    def _end(self, level: str, rest: str) -> None:
        self.current, self.job.ended = None, True
        if level == "TASK ERROR":
            self.job.failed, self.job.reason = True, rest or "task error"

    def _read_logged(self, level: str, told: str, line: Line) -> None:
        if told.startswith("starting new backup job:"):
            self.job.excerpt = False
            self._read_call(told)
        elif match := _START.match(told):
            self.current = self.job.guest(match.group(1))
            self.current.virtual = match.group(2) == "qemu"
        elif told.startswith(("Backup job finished", "notified via", "backup job finished")):
            self.job.ended, self.job.failed = True, self.job.failed or "error" in told
            if told.startswith(("Backup job", "backup job")):
                self.current = None
        elif match := _FAILED.match(told):
            self._fail(match, told)
        elif self.current is None:
            self._read_outside(level, told, line)
        else:
            _read_of_guest(self.current, level, told)
            self._find_number(told)

    def _read_call(self, told: str) -> None:
        for name, target in (("--node ", "node"), ("--storage ", "storage")):
            if (at := told.find(name)) >= 0:
                setattr(self.job, target, told[at + len(name) :].split(" ")[0][:255])

    def _fail(self, match: re.Match[str], told: str) -> None:
        if self.current is not None and not self.current.id:
            self.current.id = match.group(1)
        self.current = self.job.guest(match.group(1))
        self.current.outcome = "failure"
        self.current.troubles.add(told)

    def _read_outside(self, level: str, told: str, line: Line) -> None:
        """A log whose beginning is missing begins with the guest's name; other lines belong to the job."""
        if told.startswith(("VM Name: ", "CT Name: ")) and not self.job.guests:
            self.current = _Guest("")
            self.job.guests.append(self.current)
            _read_of_guest(self.current, level, told)
        elif told.startswith("Failed at ") and self.job.guests:
            self.job.guests[-1].ended = told[10:]
        elif told.startswith("Backup finished at ") and self.job.guests:
            self.job.guests[-1].ended = told[19:]
        elif level == "ERROR":
            self.job.failed, self.job.reason = True, told

    def _find_number(self, told: str) -> None:
        if self.current is not None and not self.current.id:
            match = _NAMED_DISK.search(told[:2000]) or _NUMBER.search(told[:2000])
            self.current.id = match.group(1) if match else ""

    # A table of a notification: VMID NAME STATUS TIME SIZE FILENAME.

    def _read_table(self, told: str) -> None:
        words = told.split()
        if words[:1] == ["VMID"]:
            self.columns = [word.upper() for word in words]
            self.job.tabled, self.job.excerpt = True, False
        elif self.columns and words and words[0].isdecimal() and len(words) >= 4:
            _take_row(self.job.guest(words[0]), read_row(told))
        elif told.lower().startswith(("detailed backup logs", "logs", "total running time", "total time")):
            self.columns = []
            self.job.ended = True
        elif told.lower().startswith(("job error", "error:")) and not self.current:
            self.job.failed, self.job.reason = True, told.partition(":")[2].strip() or told


def _take_row(guest: _Guest, row: Row | None) -> None:
    if row is None:
        return
    guest.name, guest.seconds, guest.outcome = guest.name or row.name, row.seconds, row.outcome
    if row.outcome == "failure":
        guest.troubles.add(row.last.strip(" -") or f"Backup of VM {guest.id} failed")
        return
    guest.archive = row.last
    _put(guest, "stored_bytes", row.size_bytes)


def _read_of_guest(guest: _Guest, level: str, told: str) -> None:
    if told.startswith(("VM Name: ", "CT Name: ")):
        guest.name, guest.virtual = told[9:].strip()[:255], told.startswith("VM")
    elif told.startswith("Backup started at "):
        guest.started = told[18:]
    elif told.startswith(("Backup finished at ", "Failed at ")):
        guest.ended = told.partition(" at ")[2]
    elif match := _FINISH.match(told):
        guest.outcome, guest.seconds = guest.outcome or "success", clock_seconds(match.group(2))
    elif told.startswith("include disk") and (match := _DISK.match(told)):
        guest.disks.append(
            (match.group(1), scaled(match.group(3), match.group(4), base=1024) if match.group(3) else None)
        )
    elif told.startswith("creating") and (match := _ARCHIVE.match(told)):
        guest.archive = match.group(1)
    elif level == "ERROR":
        guest.troubles.add(told)
    elif level in ("WARN", "WARNING"):
        guest.troubles.add(told, severity="warning")
    elif not _read_figure(guest, told) and _SOFT.match(told) and not _NOT_TROUBLE.match(told):
        guest.troubles.add(told, path=_path_of(told))


def _path_of(told: str) -> str | None:
    match = re.match(r"tar: (/.{1,2000}?|\./.{1,2000}?): ", told)
    return match.group(1) if match else None


def _read_figure(guest: _Guest, told: str) -> bool:
    if match := _WRITTEN.match(told):
        guest.sizes["protected_bytes"] = int(match.group(1))
    elif match := _FILE.match(told):
        _put(guest, "stored_bytes", scaled(match.group(1), match.group(2), base=1024))
    elif "had to " in told and (match := _HAD_TO.match(told)):
        _add_archive(guest, match)
    elif match := _TRANSFERRED.match(told):
        _put(guest, "transferred_bytes", printed_size(match.group(1)))
    else:
        return bool(_REUSED.search(told[:500]))
    return True


def _add_archive(guest: _Guest, match: re.Match[str]) -> None:
    if match.group(1).startswith("catalog"):
        return
    named = zip(("changed_bytes", "protected_bytes", "transferred_bytes"), match.groups()[1:], strict=True)
    for name, figure in named:
        size = printed_size(figure) if figure else None
        if size is not None:
            _put(guest, name, guest.sizes.get(name, 0) + size)


def _put(guest: _Guest, name: str, size: int | None) -> None:
    if size is not None:
        guest.sizes[name] = size
        guest.rounded.add(name)


# ------------------------------------------------------------------------------------------------------------- results


def _job_logs(job: _Job, body: Delivery, zone: tzinfo | None) -> tuple[JobLog, ...]:
    if not job.guests:
        return (_whole_job(job, body),)
    alone = len(job.guests) == 1
    return tuple(_run(guest, job, body, zone, alone=alone) for guest in job.guests)


def _whole_job(job: _Job, body: Delivery) -> JobLog:
    """A job that reached no guest: it failed before the first, or nothing tells how it ended."""
    failed = job.failed or body.exit_code not in (None, 0)
    if not failed and not job.ended and body.exit_code is None and not job.node:
        raise UnreadableLog("this log names no guest")
    troubles = Troubles()
    if failed:
        troubles.add(job.reason or f"vzdump ended with exit code {body.exit_code}")
    return JobLog(
        product="proxmox-vzdump",
        operation="backup",
        outcome="failure" if failed else "unknown",
        host=job.node,
        repository=job.storage,
        complete=False if failed else None,
        errors=troubles.kept,
        errors_total=troubles.total,
        exit_code=body.exit_code,
    )


def _outcome(guest: _Guest, job: _Job) -> Outcome:
    if guest.outcome is None:
        if job.failed and job.ended and guest is job.guests[-1]:
            guest.troubles.add(job.reason or "job errors")
            return "failure"
        return "unknown"
    if guest.outcome == "success" and guest.troubles.total:
        return "warning"
    return guest.outcome


def _run(guest: _Guest, job: _Job, body: Delivery, zone: tzinfo | None, *, alone: bool) -> JobLog:
    outcome = _outcome(guest, job)
    sizes = _sizes(guest) if outcome in ("success", "warning") else {}
    if outcome == "failure":  # what the disks were provisioned with is as true then: shown, never billed
        sizes = {"protected_bytes": _provisioned(guest)}
    started, ended = _times(guest, zone)
    seconds = guest.seconds
    if seconds is None and started and ended and ended >= started:
        seconds = (ended - started).total_seconds()
    basis: Basis = "provisioned" if guest.virtual else "logical-once"
    return JobLog(
        product="proxmox-vzdump",
        operation="backup",
        outcome=outcome,
        run_id=guest.archive,
        item=guest.id,
        host=guest.name,
        archive=guest.archive,
        repository=job.storage,
        started_at=started,
        ended_at=ended,
        duration_seconds=seconds,
        rounded=bool(guest.rounded & set(sizes)),
        basis=basis if sizes.get("protected_bytes") is not None else None,
        complete=False if outcome == "failure" else True if outcome == "success" else None,
        errors=guest.troubles.kept,
        errors_total=guest.troubles.total,
        components=_components(guest, outcome),
        exit_code=body.exit_code if alone else None,
        lines=None if alone or not guest.first else (guest.first, guest.last),
        notes=(f"node {job.node}",) if job.node else (),
        **sizes,
    )


def _sizes(guest: _Guest) -> dict[str, Any]:
    sizes: dict[str, Any] = dict(guest.sizes)
    provisioned = _provisioned(guest)
    if provisioned is not None:
        sizes["protected_bytes"] = provisioned
        guest.rounded.discard("protected_bytes")
    return sizes


def _provisioned(guest: _Guest) -> int | None:
    """The sum of the disks, where the log names the size of each."""
    known = [size for _, size in guest.disks if size is not None]
    return sum(known) if known and len(known) == len(guest.disks) else None


def _components(guest: _Guest, outcome: Outcome) -> tuple[Component, ...]:
    return tuple(
        Component(type="disk", name=name, outcome=outcome, protected_bytes=size) for name, size in guest.disks[:200]
    )


_REMOTE = re.compile(r"(?:vm|ct)/[0-9]{1,9}/([0-9-]{10}T[0-9:]{8}Z)")
_FILE_TIME = re.compile(r"vzdump-\w{2,10}-[0-9]{1,9}-([0-9]{4})_([0-9]{2})_([0-9]{2})-([0-9]{2})_([0-9]{2})_([0-9]{2})")


def _times(guest: _Guest, zone: tzinfo | None) -> tuple[datetime | None, datetime | None]:
    """The archive's name on a backup server is UTC; all else is local."""
    started, ended = iso(guest.started, zone), iso(guest.ended, zone)
    if started is None and (match := _REMOTE.search(guest.archive[:1000])):
        started = iso(match.group(1), None)
    if started is None and (match := _FILE_TIME.search(guest.archive[:1000])):
        year, month, day, *clock = match.groups()
        started = iso(f"{year}-{month}-{day}T{':'.join(clock)}", zone)
    if ended is None and started is not None and guest.seconds is not None and guest.outcome == "success":
        ended = started + timedelta(seconds=guest.seconds)
    return started, ended
