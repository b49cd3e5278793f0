"""bup 0.29 to 0.33: index, save, split, restore, fsck, prune: silence when all is well, complaints on stderr.

bup prints no sizes unless it shows progress on a terminal. Its exit code is 1 for any complaint, also where the save is
stored: a save whose complaints all name files is a warning, every other one a failure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome
from integrations.logs.troubles import Troubles

LABEL = "bup"
MARKS = ("bup ", "errors encountered.", "pack-")
GUIDE = Guide(
    releases="0.29 to 0.33",
    written_from="real logs of 0.33.7",
    operations=("backup", "restore", "verify", "inventory", "prune"),
    cannot_tell=("Any size: bup prints none.", "The outcome without an exit code: bup says nothing when all is well."),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job nightly -- sh -c 'bup index /srv/data && bup save -n nightly /srv/data'",
        ),
    ),
)

_FSCK = re.compile(r"pack-[0-9a-f]{40}(?:\.pack)? (ok|failed|checking|repaired|.{0,60}(?:damaged|error).{0,60})$")
_COUNTED = re.compile(r"(?:WARNING|warning): ([0-9]{1,9}) errors? encountered")
_PROBLEM = re.compile(
    r"(?:bup[ :]|bup-\w+: |error: |fatal: |ERROR|Error|Traceback |.{0,400}(?:\[Errno [0-9]{1,4}\]|Permission denied"
    r"|No such file or directory|No space left on device|not a bup repository|bup init))"
)
_PATH = re.compile(r"b?['\"](/[^'\"]{1,1000})['\"]|error: (/[^:]{1,1000}?):|: (/[^\s:'\"]{1,1000})$")
_FILE = re.compile(r"\[Errno (?:1|2|5|13|16|22|61|95)\].{0,40}['\"]/")
_ACTIONS: dict[str, tuple[Operation, str]] = {
    "save": ("backup", ""), "split": ("backup", "split"), "index": ("inventory", "index"), "restore": ("restore", ""),
    "fsck": ("verify", "check"), "prune-older": ("prune", "prune"), "gc": ("prune", "gc"), "rm": ("prune", "rm"),
    "ls": ("inventory", "list"), "init": ("inventory", "init"), "get": ("backup", "get"), "join": ("restore", "join"),
    "validate-object-links": ("verify", "check"), "validate-ref-links": ("verify", "check"),
}  # fmt: skip
_VALUED = frozenset(
    {"-n", "--name", "-d", "--bup-dir", "-C", "--outdir", "-r", "--remote", "--exclude", "-f", "--strip-path"}
)


def recognises(head: Head) -> bool:
    """A call of bup, or its checks of packs."""
    if "bup" in head.command and head.calls("bup"):
        return True
    return any(_FSCK.match(line) for line in head.text.split("\n")[:200] if line.startswith("pack-"))


@dataclass
class _Draft:
    troubles: Troubles = field(default_factory=Troubles)
    counted: int | None = None
    checked: int = 0
    damaged: bool = False
    beyond_files: bool = False


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run: the save among the calls of a script, else its last call."""
    draft = _Draft()
    for line in log_lines(body.stdout, body.stderr):
        if line.text:
            _read_line(draft, line.text, line.stream)
    calls = invocations(body.command, ("bup",))
    return (_job_log(draft, _main_call(calls), body),)


def _verb(call: Invocation | None) -> str:
    words = positional(call.arguments, _VALUED) if call else ()
    return next((word for word in words if word in _ACTIONS), "")


def _main_call(calls: tuple[Invocation, ...]) -> Invocation | None:
    return next((call for call in calls if _verb(call) in ("save", "split", "get")), calls[-1] if calls else None)


def _read_line(draft: _Draft, line: str, stream: str) -> None:
    checked = _FSCK.match(line) if line.startswith("pack-") else None
    if checked is not None:
        draft.checked += checked.group(1) == "ok"
        if checked.group(1) not in ("ok", "checking"):
            draft.damaged = True
            draft.troubles.add(line)
    elif (counted := _COUNTED.match(line)) is not None:
        draft.counted = int(counted.group(1))
    elif (stream == "stderr" or not line.startswith("/")) and _PROBLEM.match(line):
        match = _PATH.search(line)
        path = next((group for group in match.groups() if group), None) if match else None
        draft.beyond_files = draft.beyond_files or not _FILE.search(line)
        draft.troubles.add(line, path=path)


def _value_of(call: Invocation | None, *names: str) -> str:
    words = call.arguments if call else ()
    for at, word in enumerate(words):
        if word in names and at + 1 < len(words):
            return words[at + 1]
        if word.startswith("--") and word.partition("=")[0] in names and "=" in word:
            return word.partition("=")[2]
    return ""


def _outcome(draft: _Draft, operation: Operation, code: int | None, *, masked: bool) -> Outcome:
    """A save with complaints about files alone is stored: a warning, if bup counted them at its end."""
    if draft.damaged:
        return "failure"
    if code is None or (code == 0 and masked):
        return "failure" if draft.beyond_files else "unknown"
    if code == 0:
        return "warning" if draft.troubles.total or draft.counted else "success"
    stored = code == 1 and draft.counted is not None and not draft.beyond_files and operation == "backup"
    return "warning" if stored else "failure"


def _job_log(draft: _Draft, call: Invocation | None, body: Delivery) -> JobLog:
    verb = _verb(call) or ("fsck" if draft.checked or draft.damaged else "save")
    operation, action = _ACTIONS[verb]
    outcome = _outcome(draft, operation, body.exit_code, masked=call.masked if call else True)
    known = outcome != "unknown"
    paths = tuple(word for word in positional(call.arguments, _VALUED) if word.startswith("/")) if call else ()
    return JobLog(
        product="bup",
        operation=operation,
        outcome=outcome,
        action=action,
        source_job=_value_of(call, "-n", "--name"),
        repository=_value_of(call, "-r", "--remote", "-d", "--bup-dir"),
        roots=paths if operation == "backup" else (),
        complete=outcome in ("success", "warning") and not draft.beyond_files if known else None,
        checksum_ok=outcome == "success" if operation == "verify" and known else None,
        files_failed=draft.counted,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code,
    )
