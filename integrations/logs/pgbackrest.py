"""pgBackRest 2.x: the console and file log of every command, and ``info`` as text and JSON.

Console times are local, those of ``info`` JSON are Unix seconds; sizes are powers of 1024 whatever the unit says. A
full backup's size is the whole database, that of an incremental or differential one its changed files: the protected
size then comes from ``info``, where each backup is a run of kind inventory with its chain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from integrations.logs.around_dumps import is_masked
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import invocations
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.moments import iso
from integrations.logs.pgbackrest_info import binary_bytes, is_info, runs_of_info, runs_of_text
from integrations.logs.troubles import Troubles

LABEL = "pgBackRest"
MARKS = (
    "pgbackrest",
    "pgBackRest",
    " command begin ",
    " command end: ",
    "backrest",
    "stanza: ",
    "ERROR: [",
    '"repo-key"',
)
GUIDE = Guide(
    releases="2.0 to 2.57",
    written_from="real logs of 2.45, and the sources of later releases",
    operations=("backup", "restore", "verify", "prune", "inventory"),
    basis="logical, each file once: the whole database cluster",
    sizes=(
        ("protected_bytes", "full backup size; info: database size (JSON info.size)"),
        ("changed_bytes", "backup size; info: database backup size (info.delta)"),
        ("stored_bytes", "info: backup set size (info.repository.size)"),
        ("transferred_bytes", "info: backup size of the repository (info.repository.delta)"),
        ("restored_bytes", "restore size"),
    ),
    cannot_tell=(
        "The protected size of an incremental or differential backup from its own log: send info --output=json too.",
        "Any figure where log-level-console is below info.",
        "UTC of console lines without the zone of the server, which the wrapper sends.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job main -- pgbackrest --stanza=main --log-level-console=info backup",
        ),
        Way("wrapper", "Sizes and chains, once a day", "backledger-run --job main -- pgbackrest --output=json info"),
    ),
)

_NAMES = ("pgbackrest",)
_LINE = re.compile(
    r"(?:([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(?:\.[0-9]{1,6})?) )?(?:P[0-9]{2,3} +)?(INFO|WARN|ERROR|ASSERT"
    r"|DETAIL|DEBUG|TRACE): (.*)$"
)
_BEGIN = re.compile(r"([a-z-]{2,30})(?::[a-z]{1,20})? command begin ?([0-9][\w.]{0,20})?(?:: (.*))?$")
_END = re.compile(
    r"([a-z-]{2,30})(?::[a-z]{1,20})? command end: (completed successfully|aborted with exception|terminated on signal)"
    r"(?: \[([\w-]{1,20})\])?(?: \(([0-9]{1,12})ms\))?"
)
_SIGNS = re.compile(
    r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{3} )?P[0-9]{2,3} +(?:INFO|WARN|ERROR|DETAIL|DEBUG|TRACE): "
    r"|^stanza: \S.{0,200}\n    status: |^ERROR: \[[0-9]{3}\]: \S",
    re.M,
)
_ERROR_CODE = re.compile(r"\[([0-9]{3})\]: ")
_SIZE = re.compile(r"(full|diff|incr) backup size = ([0-9.,]{1,15})([KMGTP]?)i?B(?:, file total = ([0-9]{1,12}))?")
_RESTORED = re.compile(r"restore size = ([0-9.,]{1,15})([KMGTP]?)i?B(?:, file total = ([0-9]{1,12}))?")
_LABEL = re.compile(
    r"(?:new backup label = |(?:repo[0-9]{1,3}: )?restore backup set )([0-9]{8}-[0-9]{6}F(?:_[0-9]{8}-[0-9]{6}[DI])?)"
)
_DAMAGE = re.compile(
    r"(?:checksum invalid|size invalid|missing|other): [1-9]|invalid checksum|status: (?:invalid|error)"
    r"|invalid page checksum"
)
_OPTION = re.compile(r"--(stanza|exec-id|type|dry-run|set|pg1-path|repo1-path|host)(?:[= ](\S{1,300}))?(?= |$)")
_NOTICES = re.compile(
    r"no prior backup exists|option '[\w-]+' is not set for|(?:incr|diff) backup cannot alter"
    r"|configuration file contains"
    r"|environment contains|unable to open log file|resumable backup|.{0,80}is deprecated"
    r"|a timeline switch has occurred"
)
_OPERATIONS: dict[str, tuple[Operation, str]] = {
    "backup": ("backup", ""),
    "restore": ("restore", ""),
    "verify": ("verify", ""),
    "check": ("verify", "check"),
    "expire": ("prune", ""),
    "stanza-delete": ("prune", "stanza-delete"),
    "stanza-create": ("inventory", "init"),
    "stanza-upgrade": ("inventory", "stanza-upgrade"),
    "info": ("inventory", "list"),
    "repo-ls": ("inventory", "list"),
    "archive-push": ("inventory", "archive-push"),
    "archive-get": ("inventory", "archive-get"),
    "annotate": ("inventory", "annotate"),
    "start": ("inventory", "start"),
    "stop": ("inventory", "stop"),
}


def recognises(head: Head) -> bool:
    """A call of pgbackrest, its log lines, or what ``info`` prints."""
    return head.calls(*_NAMES) or is_info(head.document) or head.has(_SIGNS)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run per command of the log, or one per backup that ``info`` lists."""
    if is_info(context.head.document):
        return runs_of_info(context.head.document)
    if body.stdout.lstrip()[:2] == b"[{":
        raise UnreadableLog("pgBackRest's JSON is cut off or broken", 1)
    if any(line.startswith("stanza: ") for line in context.head.stdout.split("\n", 20)[:20]):
        return runs_of_text(body, context.zone)
    return _runs_of_log(body, context.zone)


# ----------------------------------------------------------------------------------------------------------------- log


@dataclass
class _Draft:
    command: str = ""
    version: str = ""
    options: dict[str, str] = field(default_factory=dict)
    troubles: Troubles = field(default_factory=Troubles)
    notes: list[str] = field(default_factory=list)
    seen: bool = False
    begun: str = ""
    ended: str = ""
    end: str = ""
    code: str = ""
    seconds: float | None = None
    label: str = ""
    kind: str = ""
    size: int | None = None
    files: dict[str, int] = field(default_factory=dict)
    damaged: bool = False
    first: int | None = None
    last: int | None = None


def _runs_of_log(body: Delivery, zone: tzinfo | None) -> tuple[JobLog, ...]:
    drafts: list[_Draft] = []
    early = _Draft()
    for line in log_lines(body.stdout, body.stderr):
        draft = drafts[-1] if drafts else early
        if line.stream == "stderr" and drafts and not _begins(line.text):
            draft = _owner(drafts)
        draft = _read_line(draft, line.text, drafts)
        if line.stream == "stdout" and line.text:
            draft.first = draft.first or line.number
            draft.last = line.number
    if not drafts:
        early.command, early.options = _called(body)
        drafts = [early]
    elif early.troubles.total:
        drafts[0].troubles = early.troubles
    return tuple(_job_log(draft, body, zone, alone=len(drafts) == 1) for draft in drafts)


def _begins(line: str) -> bool:
    return " command begin " in line


def _owner(drafts: list[_Draft]) -> _Draft:
    """Whose a line on the other stream is: the command that was aborted, else the first."""
    return next((draft for draft in drafts if draft.end and draft.end != "completed successfully"), drafts[0])


def _read_line(draft: _Draft, line: str, drafts: list[_Draft]) -> _Draft:
    match = _LINE.match(line)
    if match is None:
        if draft.command == "verify" and line.lstrip().startswith("No usable "):
            draft.troubles.add(line.strip(), kind="other")
        draft.damaged = draft.damaged or (draft.command == "verify" and _DAMAGE.search(line[:500]) is not None)
        return draft
    stamp, level, words = match.group(1) or "", match.group(2), match.group(3)
    if level == "INFO":
        return _read_info(draft, stamp, words, drafts)
    if level in ("ERROR", "ASSERT"):
        code = _ERROR_CODE.match(words)
        draft.troubles.add(f"{level}: {words}", code=code.group(1) if code else None, kind="other")
        draft.damaged = draft.damaged or _DAMAGE.search(words[:1000]) is not None
    elif level == "WARN" and _NOTICES.match(words):
        draft.notes.append(words)
    elif level == "WARN":
        draft.troubles.add(f"WARN: {words}", severity="warning", kind="other")
    return draft


def _read_info(draft: _Draft, stamp: str, words: str, drafts: list[_Draft]) -> _Draft:
    words = words.removeprefix("[DRY-RUN] ")
    if " command begin" in words and (match := _BEGIN.match(words)):
        return _begin(match, stamp, drafts)
    if " command end: " in words and (match := _END.match(words)):
        draft.ended, draft.end, draft.code = stamp, match.group(2), match.group(3) or ""
        draft.seconds = int(match.group(4)) / 1000 if match.group(4) else None
    elif match := _LABEL.match(words):
        draft.label = match.group(1)
    elif match := _SIZE.match(words):
        draft.kind, draft.size = match.group(1), binary_bytes(match.group(2), match.group(3))
        draft.files = {"total": int(match.group(4))} if match.group(4) else {}
    elif match := _RESTORED.match(words):
        draft.size = binary_bytes(match.group(1), match.group(2))
        draft.files = {"total": int(match.group(3))} if match.group(3) else {}
    elif draft.command == "verify" and _DAMAGE.search(words[:500]):
        draft.damaged = True
    return draft


def _begin(match: re.Match[str], stamp: str, drafts: list[_Draft]) -> _Draft:
    options = {name: value or "" for name, value in _OPTION.findall(match.group(3) or "")}
    drafts.append(_Draft(command=match.group(1), version=match.group(2) or "", options=options, seen=True, begun=stamp))
    return drafts[-1]


def _called(body: Delivery) -> tuple[str, dict[str, str]]:
    """Command and options of a call that left no begin line."""
    for call in invocations(body.command, _NAMES):
        options = {name: value or "" for name, value in _OPTION.findall(" ".join(call.arguments))}
        return next((word for word in call.arguments if word in _OPERATIONS), ""), options
    return "", {}


def _outcome(draft: _Draft, body: Delivery) -> Outcome:
    if draft.end == "terminated on signal":
        return "cancelled"
    if draft.end == "aborted with exception" or draft.troubles.errors or draft.damaged:
        return "failure"
    if not draft.end:
        if body.exit_code not in (None, 0):
            return "failure"
        if draft.seen or body.exit_code is None or is_masked(body, _NAMES):
            return "unknown"
    if "dry-run" in draft.options:
        return "skipped"
    return "warning" if draft.troubles.warnings else "success"


def _job_log(draft: _Draft, body: Delivery, zone: tzinfo | None, *, alone: bool) -> JobLog:
    operation, action = _OPERATIONS.get(draft.command, ("inventory", draft.command))
    outcome = _outcome(draft, body)
    good = outcome in ("success", "warning")
    return JobLog(
        product="pgbackrest",
        operation=operation,
        outcome=outcome,
        action=action,
        run_id=_run_id(draft),
        source_job=draft.options.get("stanza", ""),
        archive=draft.label,
        product_version=draft.version,
        roots=tuple(root for root in (draft.options.get("pg1-path"),) if root and operation == "backup"),
        repository=draft.options.get("repo1-path", ""),
        started_at=iso(draft.begun, zone) if draft.begun else None,
        ended_at=iso(draft.ended, zone) if draft.ended else None,
        duration_seconds=draft.seconds,
        complete=_complete(operation, outcome),
        checksum_ok=_checksum(draft, outcome) if draft.command == "verify" else None,
        files=draft.files if good else {},
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=_code(draft, body, alone=alone),
        lines=None if alone or draft.first is None or draft.last is None else (draft.first, draft.last),
        notes=tuple(draft.notes[:50]),
        **(_sizes(draft, operation) if good else {}),
    )


def _run_id(draft: _Draft) -> str:
    if draft.command == "backup" and draft.label:
        return draft.label
    executed = draft.options.get("exec-id", "")
    return f"{draft.command} {executed}" if executed else ""


def _complete(operation: Operation, outcome: Outcome) -> bool | None:
    if operation != "backup" or outcome in ("unknown", "skipped"):
        return None
    return outcome in ("success", "warning")


def _checksum(draft: _Draft, outcome: Outcome) -> bool | None:
    if draft.damaged:
        return False
    return True if outcome == "success" else None


def _code(draft: _Draft, body: Delivery, *, alone: bool) -> int | None:
    if draft.code.isdecimal():
        return int(draft.code)
    return 0 if draft.end == "completed successfully" and not alone else body.exit_code if alone else None


def _sizes(draft: _Draft, operation: Operation) -> dict[str, Any]:
    if draft.size is None:
        return {}
    if operation == "restore":
        return {"restored_bytes": draft.size, "rounded": True, "sources": {"restored_bytes": "restore size"}}
    word = f"{draft.kind} backup size"
    told: dict[str, Any] = {"changed_bytes": draft.size, "rounded": True, "sources": {"changed_bytes": word}}
    if draft.kind == "full":
        told |= {"protected_bytes": draft.size, "basis": "logical-once", "chain_length": 1}
        told["sources"] = {"protected_bytes": word, "changed_bytes": word}
    elif draft.kind == "diff":
        told["chain_length"] = 2
    return told
