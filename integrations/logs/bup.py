"""bup 0.29 to 0.33: index, save, split, restore, fsck, prune: silence when all is well, complaints on stderr.

bup prints no sizes unless it shows progress on a terminal. Its exit code is 1 for any complaint, also where the save is
stored: a save whose complaints all name files is a warning, every other one a failure. Only ``while saving`` proves
that a save with complaints ran: after ``index && save`` a complaint of index alone has kept the save from running.
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
    releases="0.33 (others not tried)",
    written_from="real logs of 0.33.7",
    operations=("backup", "copy", "restore", "verify", "inventory", "prune"),
    cannot_tell=(
        "Any size: bup prints none.",
        "The outcome without an exit code: bup says nothing when all is well.",
        "Whether the save ran, where 'bup index && bup save' ends with a complaint of index: join them by ';'.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job nightly -- sh -c 'bup index /srv/data; bup save -n nightly /srv/data'",
        ),
    ),
)

_FSCK = re.compile(
    r"(?:b')?pack-[0-9a-f]{40}(?:\.pack)?'? "
    r"(ok|failed|par2 \w{1,20}: \w{1,20} \([0-9]{1,3}\)|checking|repaired|.{0,60}(?:damaged|error).{0,60})$"
)
_COUNTED = re.compile(r"(?:WARNING|warning): ([0-9]{1,9}) errors? encountered")
_PROBLEM = re.compile(
    r"(?:bup: (?!\d)|bup |bup-\w+: |error: |fatal: |ssh: |ERROR|Error|[\w.]{1,80}(?:Error|Exception|Interrupt)(?:: |$)"
    r"|don't know how to |not proceeding with |.{0,400}(?:\[Errno [0-9]{1,4}\]|Permission denied"
    r"|No such file or directory|No space left on device|not a bup repository|bup init))"
)
_PATH = re.compile(r"b?['\"](/[^'\"]{1,1000})['\"]|error: (/[^:]{1,1000}?):|: (/[^\s:'\"]{1,1000})$")
_FILE = re.compile(r"\[Errno (?:1|2|5|13|16|22|61|95)\].{0,40}['\"]/")
_ACTIONS: dict[str, tuple[Operation, str]] = {
    "save": ("backup", ""), "split": ("backup", ""), "index": ("inventory", "index"), "restore": ("restore", ""),
    "fsck": ("verify", "check"), "prune-older": ("prune", ""), "gc": ("prune", ""), "rm": ("prune", ""),
    "ls": ("inventory", "list"), "init": ("inventory", "init"), "get": ("copy", ""), "join": ("restore", ""),
    "on": ("backup", ""), "import-rsnapshot": ("backup", ""), "import-rdiff-backup": ("backup", ""),
    "import-duplicity": ("backup", ""), "midx": ("inventory", "midx"), "bloom": ("inventory", "bloom"),
    "drecurse": ("inventory", "list"), "tag": ("inventory", "tag"), "meta": ("inventory", "meta"),
    "cat-file": ("restore", ""), "margin": ("verify", "check"), "memtest": ("inventory", "memtest"),
    "features": ("inventory", "features"), "version": ("inventory", "version"), "help": ("inventory", "help"),
    "list-idx": ("inventory", "list"), "web": ("inventory", "web"), "fuse": ("inventory", "fuse"),
    "ftp": ("inventory", "ftp"), "damage": ("inventory", "damage"), "random": ("inventory", "random"),
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
    repaired: bool = False
    beyond_files: bool = False
    traceback: bool = False
    saved: bool = False
    paths: set[str] = field(default_factory=set)
    last: str = ""


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
    if stream == "stderr":
        draft.last = line
    checked = _FSCK.match(line) if line.startswith(("pack-", "b'pack-")) else None
    if checked is not None:
        _read_check(draft, checked.group(1), line)
    elif (counted := _COUNTED.match(line)) is not None:
        draft.counted = int(counted.group(1))
        draft.saved = draft.saved or line.endswith("while saving.")
    elif line.startswith("Traceback (most recent"):
        draft.traceback = draft.beyond_files = True  # its last line says why
    elif (stream == "stderr" or not line.startswith("/")) and _PROBLEM.match(line):
        match = _PATH.search(line)
        path = next((group for group in match.groups() if group), None) if match else None
        draft.beyond_files = draft.beyond_files or not _FILE.search(line)
        draft.paths.add(path) if path and len(draft.paths) < 100_000 else None
        draft.troubles.add(line, path=path)


def _read_check(draft: _Draft, word: str, line: str) -> None:
    draft.checked += word == "ok"
    if word in ("ok", "checking", "repaired") or "succeeded" in word:
        draft.repaired = draft.repaired or "repair" in word
        return
    draft.damaged = True
    draft.troubles.add(line)


def _value_of(call: Invocation | None, *names: str) -> str:
    words = call.arguments if call else ()
    for at, word in enumerate(words):
        if word in names and at + 1 < len(words):
            return words[at + 1]
        if word.startswith("--") and word.partition("=")[0] in names and "=" in word:
            return word.partition("=")[2]
    return ""


def _outcome(draft: _Draft, operation: Operation, code: int | None, *, masked: bool, root_missing: bool) -> Outcome:
    """A save with complaints about files alone is stored: a warning, if bup counted them at its end."""
    if draft.damaged:
        return "failure"
    if draft.repaired and code in (0, 100):
        return "warning"
    if code is None or (code == 0 and masked):
        return "failure" if draft.beyond_files else "unknown"
    if code == 0:
        return "warning" if draft.troubles.total or draft.counted else "success"
    stored = (
        code == 1
        and not root_missing
        and draft.counted is not None
        and not draft.beyond_files
        and operation == "backup"
    )
    return "warning" if stored else "failure"


def _job_log(draft: _Draft, call: Invocation | None, body: Delivery) -> JobLog:
    verb = _verb(call) or ("fsck" if draft.checked or draft.damaged else "save")
    operation, action = _ACTIONS[verb]
    paths = tuple(word for word in positional(call.arguments, _VALUED) if word.startswith("/")) if call else ()
    root_missing = any(path.rstrip("/") in draft.paths for path in paths)
    masked = call.masked if call else True
    outcome = _outcome(draft, operation, body.exit_code, masked=masked, root_missing=root_missing)
    known = outcome != "unknown"
    if outcome == "failure" and not draft.troubles.total and (draft.traceback or draft.last):
        draft.troubles.add(draft.last)
    reached = outcome == "success" or (outcome == "warning" and (operation != "backup" or draft.saved))
    return JobLog(
        product="bup",
        operation=operation,
        outcome=outcome,
        action=action,
        source_job=_value_of(call, "-n", "--name"),
        repository=_value_of(call, "-r", "--remote", "-d", "--bup-dir"),
        roots=paths if operation == "backup" else (),
        complete=reached and not draft.beyond_files if known else None,
        checksum_ok=outcome == "success" if operation == "verify" and known else None,
        files_failed=len(draft.paths) or draft.counted,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code,
    )
