"""burp 2 and 3: the client's output, the server's log with its table, and ``backup_stats`` in JSON, any or all of them.

The client prints no figures; the server's table and ``backup_stats`` do. Line prefixes carry an offset, the table's own
times do not. Exit code 3 of a timed client: the server said that no backup is due yet, so that nothing ran.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import invocations
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome
from integrations.logs.json_documents import BadJson, load
from integrations.logs.moments import iso, unix
from integrations.logs.troubles import Troubles

LABEL = "burp"
MARKS = ("burp[", "burp ", "bytes_estimated", "Bytes estimated")
GUIDE = Guide(
    releases="3.1 (2.x prints the same prefixes and table; not tried)",
    written_from="real logs of client and server 3.1.4; exit codes in its source",
    operations=("backup", "restore", "verify", "inventory", "prune"),
    basis="bytes estimated by the client's scan, hard links once",
    sizes=(
        ("protected_bytes", "bytes_estimated of backup_stats, Bytes estimated"),
        ("transferred_bytes", "bytes_received of backup_stats, Bytes received"),
    ),
    cannot_tell=("Any size from the client's output alone: send the server's log or backup_stats.",),
    ways=(
        Way("wrapper", "With the wrapper, on the client", "backledger-run --job burp -- burp -a t"),
        Way(
            "email",
            "By mail, from the server",
            "notify_success_script = /usr/share/burp/scripts/notify_script\n"
            "notify_success_arg = sendmail -t\nnotify_success_arg = To: @ADDRESS@\n"
            "notify_failure_script = /usr/share/burp/scripts/notify_script\n"
            "notify_failure_arg = sendmail -t\nnotify_failure_arg = To: @ADDRESS@",
            language="ini",
        ),
    ),
)

_LINE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8})(?: ([+-][0-9]{4}))?: \S{0,200}burp\[[0-9]{1,10}\] (.*)$")
_EDGE = re.compile(r" {0,20}(Start|End) time: ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8})(?: ([+-][0-9]{4}))?$")
_ROW = re.compile(r" {1,30}Files: +([0-9]{1,18}) +([0-9]{1,18}) +([0-9]{1,18}) +([0-9]{1,18}) +([0-9]{1,18}) [|]")
_BYTES = re.compile(r" {1,30}Bytes (estimated|in backup|received): +([0-9]{1,19})\b")
_VERSION = re.compile(r"(?:Server|Client) version: ([0-9][\w.-]{0,30})$")
_FAULT = re.compile(
    r"unexpected command|.{0,60}unable to |.{0,400}\b(?:error|ERROR|[Ff]ailed|could not|Could not|cannot) ?"
    r"|.{0,60}(?:Permission denied|No space left on device)|another instance of burp|Unable to "
)
_HARMLESS = ("SSL", "main socket", "error log", "will be retried", "Could not find ssl_")  # a first contact has none
_PREFIXED = re.compile(r".{0,120}\be:[0-9A-F]{4}:([^']*)")
_WARNED = re.compile(
    r"WARNING: (?:Could not (?:open|stat|transfer file in:?|[a-z]{1,20} file) |Path exists: )"
    r"(/.{1,4000}?)(?:: [A-Z].{0,200})?$"
)
_DAMAGED = re.compile(r"WARNING: (?:md5sum|checksum) for '[a-zA-Z]:[0-9A-F]{4}:(/[^(]{1,4000}) \(")
_RETURNED = re.compile(r"(/.{1,1000}) returned: [1-9][0-9]{0,2}$")
_LEADING_PATH = re.compile(r"(/[^:]{1,4000}): (?:Could not|could not|error)")
_ENDINGS = (
    ("backup finished ok", "backup"), ("Backup completed", "backup"), ("restore finished", "restore"),
    ("verify finished", "verify"), ("List finished ok", "list"), ("Delete finished ok", "delete"),
    ("Doing the atomic data jiggle", ""), ("End phase4", "backup"),
)  # fmt: skip
_ACTIONS: dict[str, tuple[Operation, str]] = {
    "backup": ("backup", ""), "b": ("backup", ""), "t": ("backup", ""), "timer": ("backup", ""),
    "T": ("inventory", "timer-check"), "r": ("restore", ""), "restore": ("restore", ""), "v": ("verify", ""),
    "verify": ("verify", ""), "l": ("inventory", "list"), "list": ("inventory", "list"), "L": ("inventory", "list"),
    "d": ("verify", ""), "delete": ("prune", ""), "e": ("inventory", "estimate"),
    "estimate": ("inventory", "estimate"), "D": ("verify", ""), "diff": ("verify", ""),
}  # fmt: skip


def recognises(head: Head) -> bool:
    """A call of burp's client, its stamped lines, or its statistics."""
    if "burp" in head.command and head.calls("burp"):
        return True
    if "bytes_estimated" in head.stdout and "counters" in head.document_keys():
        return True
    return any(_LINE.match(line) for line in head.text.split("\n")[:200] if "burp[" in line)


@dataclass
class _Draft:
    troubles: Troubles = field(default_factory=Troubles)
    action: str = ""
    ended: bool = False
    skipped: bool = False
    fatal: bool = False
    damaged: bool = False
    unfound: bool = False
    version: str = ""
    started: datetime | None = None
    last: datetime | None = None
    files: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    edges: dict[str, datetime] = field(default_factory=dict)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run out of all files that the delivery brought about it."""
    draft = _Draft()
    for content in (body.stdout, body.stderr, *(attachment.content for attachment in body.attachments[:5])):
        if content.lstrip()[:1] == b"{":
            _read_statistics(draft, content)
        else:
            for line in log_lines(content):
                _read_line(draft, line.text, context.zone)
    return (_job_log(draft, body),)


def _read_statistics(draft: _Draft, content: bytes) -> None:
    try:
        document = load(content)
    except BadJson:
        return
    rows = document.get("counters") if isinstance(document, dict) else None
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            _read_counter(draft, row)


def _read_counter(draft: _Draft, row: dict[str, object]) -> None:
    name, amount = row.get("name"), row.get("count")
    if type(amount) is not int:
        return
    if name == "files":
        words = (("new", "count"), ("changed", "changed"), ("unmodified", "same"), ("deleted", "deleted"))
        for key, word in (*words, ("total", "scanned")):
            value = row.get(word)
            if type(value) is int:
                draft.files[key] = value
    elif name in ("bytes_estimated", "bytes_received"):
        draft.sizes[str(name)] = amount
    elif name in ("time_start", "time_end"):
        moment = unix(amount)
        if moment is not None:
            draft.edges["Start" if name == "time_start" else "End"] = moment


def _read_line(draft: _Draft, text: str, zone: tzinfo | None) -> None:
    match = _LINE.match(text)
    if match is not None:
        moment = iso(f"{match.group(1)}{match.group(2) or ''}", zone)
        draft.started, draft.last = draft.started or moment, moment or draft.last
        _read_words(draft, match.group(3))
    elif (edge := _EDGE.match(text)) is not None:
        moment = iso(f"{edge.group(2)}{edge.group(3) or ''}", zone)
        if moment is not None:
            draft.edges.setdefault(edge.group(1), moment)
    elif (row := _ROW.match(text)) is not None:
        names = ("new", "changed", "unmodified", "deleted", "total")
        draft.files.update({name: int(row.group(at)) for at, name in enumerate(names, start=1)})
    elif (size := _BYTES.match(text)) is not None:
        names_of = {"estimated": "bytes_estimated", "in backup": "bytes_estimated", "received": "bytes_received"}
        draft.sizes.setdefault(names_of[size.group(1)], int(size.group(2)))
    elif _FAULT.match(text):
        draft.troubles.add(text)


def _read_words(draft: _Draft, words: str) -> None:
    ending = next((action for sign, action in _ENDINGS if words.startswith(sign)), None)
    if ending is not None:
        draft.ended = draft.ended or ending != ""
        draft.action = draft.action or ending
    elif words.startswith("Timer conditions on the server were not met"):
        draft.skipped = True
    elif words.startswith(("do backup client", "Backup started", "Begin phase1")):
        draft.action = draft.action or "backup"
    elif words.startswith(("Doing restore", "Doing verify")):
        draft.action = draft.action or words[6:13].strip()
    elif (version := _VERSION.match(words)) is not None:
        draft.version = version.group(1)
    elif words.startswith("WARNING: "):
        _read_warning(draft, words)
    elif (told := _PREFIXED.match(words)) is not None and words.startswith(("unexpected", "main socket")):
        draft.fatal = True
        draft.troubles.add(told.group(1))
    elif _RETURNED.match(words) or (_FAULT.match(words) and not words.startswith(_HARMLESS)):
        draft.fatal = True
        named = _RETURNED.match(words) or _LEADING_PATH.match(words)
        draft.troubles.add(words, path=named.group(1) if named else None)


def _read_warning(draft: _Draft, words: str) -> None:
    """A damaged file makes a verification fail; one that was not found may have been a whole root of the selection."""
    if "did not match" in words and (bad := _DAMAGED.match(words)) is not None:
        draft.damaged = True
        draft.troubles.add(words, path=bad.group(1))
    elif not _RETURNED.match(words.removeprefix("WARNING: ")):  # the line before has said so
        named = _WARNED.match(words)
        draft.unfound = draft.unfound or words.startswith("WARNING: Could not stat ")
        draft.troubles.add(words, path=named.group(1) if named else None, severity="warning")


def _action_of(draft: _Draft, command: str) -> tuple[Operation, str]:
    for call in invocations(command, ("burp",)):
        for at, word in enumerate(call.arguments[:-1]):
            if word == "-a" and call.arguments[at + 1] in _ACTIONS:
                return _ACTIONS[call.arguments[at + 1]]
    return _ACTIONS.get(draft.action or "backup", ("backup", ""))


def _outcome(draft: _Draft, code: int | None) -> Outcome:
    """Success by the words of an end, by statistics with an end, or by the client's exit code."""
    if draft.skipped and code in (None, 3):
        return "skipped"
    if draft.damaged:
        return "failure"
    if code == 2:  # the client's own code for a restore or backup with warnings
        return "warning"
    if draft.fatal and not (draft.ended and code == 0):
        return "failure"
    if code not in (None, 0):
        return "failure"
    if not draft.ended and code is None and "End" not in draft.edges:
        return "unknown"
    if not draft.ended and code == 0 and draft.started is None and not draft.edges:
        return "unknown"
    return "warning" if draft.troubles.total else "success"


def _job_log(draft: _Draft, body: Delivery) -> JobLog:
    operation, action = _action_of(draft, body.command)
    outcome = _outcome(draft, body.exit_code)
    good = outcome in ("success", "warning")
    whole = good and not draft.unfound
    protected = draft.sizes.get("bytes_estimated") if whole and operation == "backup" else None
    transferred = draft.sizes.get("bytes_received") if operation == "backup" else None
    sources = {"protected_bytes": "bytes_estimated"} if protected is not None else {}
    return JobLog(
        product="burp",
        operation=operation,
        outcome=outcome,
        action=action,
        product_version=draft.version,
        host=(body.host or "").partition(".")[0],
        started_at=draft.edges.get("Start", draft.started),
        ended_at=draft.edges.get("End", draft.last),
        protected_bytes=protected,
        transferred_bytes=transferred,
        sources=sources if transferred is None else {**sources, "transferred_bytes": "bytes_received"},
        basis="logical-once" if protected is not None else None,
        complete=None if outcome in ("unknown", "skipped") or (good and not whole) else good,
        checksum_ok=outcome == "success" if operation == "verify" and outcome != "unknown" else None,
        files=draft.files,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code,
    )
