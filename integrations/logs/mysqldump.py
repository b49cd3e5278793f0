"""mysqldump and mariadb-dump: what they say on stderr, ``--verbose``, the dump itself, and silence with an exit code.

A dump is mostly piped into a compressor, so that an exit code of 0 need not be its own: success is only what an
unmasked exit code, the last verbose line or "-- Dump completed" tells. No release prints a size; the size of the
file that the run wrote is taken from an ``ls -l`` beside it. The protected size cannot be known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from integrations.logs.around_dumps import dump_outcome, is_masked, listed_file, shell_error, size_of_dump, tells_itself
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Outcome
from integrations.logs.moments import iso
from integrations.logs.troubles import Troubles

LABEL = "mysqldump, mariadb-dump"
MARKS = ("mysqldump", "mariadb-dump", "-- MySQL dump ", "-- MariaDB dump ", "-- Retrieving table structure for table ")
GUIDE = Guide(
    releases="mysqldump of MySQL 5.5 to 9, mysqldump and mariadb-dump of MariaDB 5.5 to 12",
    written_from="real logs of MariaDB's, and the sources of both",
    operations=("backup",),
    sizes=(("stored_bytes", "the dump's file in ls -l, where it is shown and certain"),),
    cannot_tell=(
        "The protected size: no release prints it. Send a figure of your own with a marker line (see own-mail.md).",
        "Times, except of a dump's own last line.",
        "The outcome of a silent dump behind a pipe (mysqldump .. | gzip), whose exit code is gzip's: use pipefail.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job shop -- bash -c 'set -o pipefail; "
            "mysqldump --verbose --single-transaction shop | gzip > /srv/backup/shop.sql.gz "
            "&& ls -l /srv/backup/shop.sql.gz'",
            note="--verbose lets the log say that the dump came to its end; pipefail keeps its exit code.",
        ),
        Way(
            "email",
            "From cron",
            "MAILTO=@ADDRESS@\n15 2 * * * mysqldump --verbose shop | gzip > /srv/backup/shop.sql.gz",
            note="Cron sends no exit code: without --verbose the outcome of a silent dump is unknown.",
        ),
    ),
)

_NAMES = ("mysqldump", "mariadb-dump")
_OTHERS = (
    "restic", "borg", "borgmatic", "rclone", "duplicity", "kopia", "bup", "backupninja", "duplicacy", "xtrabackup",
)  # fmt: skip
_SIGNS = re.compile(
    r"^(?:\S{0,200}(?:mysqldump|mariadb-dump)(?:\.exe)?: \S|-- (?:MySQL|MariaDB) dump [0-9]"
    r"|-- Retrieving table structure for table \S)",
    re.M,
)
_SAID = re.compile(r"(?:\S{0,200}[/\\])?(mysqldump|mariadb-dump)(?:\.exe)?: (.*)$")
_HEADER = re.compile(r"-- (?:MySQL|MariaDB) dump [0-9.]{1,10}(?:-MariaDB)? +(?:Distrib |from )?([0-9][\w.~+-]{0,60})")
_DATABASE = re.compile(r"-- Current Database: `(.{1,64})`$")
_HOSTED = re.compile(r"-- Host: \S{0,255} +Database: (\S{0,64})$")
_COMPLETED = re.compile(r"-- Dump completed(?: on ([0-9]{4}-[0-9]{2}-[0-9]{2}) {1,2}([0-9]{1,2}:[0-9]{2}:[0-9]{2}))?$")
_CODE = re.compile(r"(?:Got error: |Error |Got errno )([0-9]{1,5})\b|\(([0-9]{3,5})\)$")
_TABLE = re.compile(r"when (?:dumping table|retrieving) `([^`]{1,64})`|Couldn't find table: \"([^\"]{1,64})\"")
_NOTICES = (
    "[Warning] Using a password", "Warning: Using a password", "Using a password on the command line",
    "Deprecated program name", "[Note] ", "[Warning] ", "Warning: ", "WARNING: ",
)  # fmt: skip
_SOFT = re.compile(r"when trying to dump tablespaces$")
_ENDED = "-- Disconnecting from "
_VALUED = frozenset({
    "-u", "--user", "-h", "--host", "-P", "--port", "-S", "--socket", "-r", "--result-file", "-w", "--where", "-T",
    "--tab",
    "--ignore-table", "--default-character-set", "--max_allowed_packet", "--max-allowed-packet", "--protocol",
})  # fmt: skip


def recognises(head: Head) -> bool:
    """A call of the tool, its own messages, its verbose lines or a dump's first lines."""
    if head.calls(*_OTHERS) or tells_itself(head):
        return False
    return head.calls(*_NAMES) or head.has(_SIGNS)


@dataclass
class _Draft:
    troubles: Troubles = field(default_factory=Troubles)
    notes: list[str] = field(default_factory=list)
    listed: dict[str, int] = field(default_factory=dict)
    databases: dict[str, None] = field(default_factory=dict)
    version: str = ""
    ended: datetime | None = None
    opened: int = 0
    closed: int = 0
    headers: int = 0
    completed: int = 0

    @property
    def finished(self) -> bool:
        """Every connection was closed by its last verbose line, every dump has its last line, and there is one."""
        begun = self.opened + self.headers
        return begun > 0 and self.closed >= self.opened and self.completed >= self.headers

    @property
    def cut_off(self) -> bool:
        return self.completed < self.headers


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The one run that the log tells of, whatever number of databases it dumped."""
    draft = _Draft()
    for line in log_lines(body.stdout, body.stderr):
        if line.text:
            _read_line(draft, line.text, context.zone)
    calls = invocations(body.command, _NAMES)
    return (_job_log(draft, calls, body),)


def _read_line(draft: _Draft, line: str, zone: tzinfo | None) -> None:
    if line.startswith("-- "):
        _read_comment(draft, line, zone)
    elif line.startswith("-"):
        if found := listed_file(line):
            draft.listed[found[0]] = found[1]
    elif ("mysqldump" in line or "mariadb-dump" in line) and (match := _SAID.match(line)):
        _read_said(draft, line, match.group(2))
    elif line.startswith(("Warning: ", "WARNING: ")):
        draft.notes.append(line)
    elif (
        len(line) < 1200 and not line.startswith(("INSERT", "/*", "(", ")", "`", "  ")) and (told := shell_error(line))
    ):
        draft.troubles.add(told[0], kind=told[1])


def _read_comment(draft: _Draft, line: str, zone: tzinfo | None) -> None:
    if line.startswith("-- Connecting to "):
        draft.opened += 1
    elif line.startswith(_ENDED):
        draft.closed += 1
    elif match := _COMPLETED.match(line):
        draft.completed += 1
        draft.ended = iso(f"{match.group(1)} {match.group(2).zfill(8)}", zone) if match.group(1) else draft.ended
    elif match := _HEADER.match(line):
        draft.headers += 1
        draft.version = match.group(1).rstrip(",")
    elif (match := _DATABASE.match(line) or _HOSTED.match(line)) and match.group(1):
        draft.databases.setdefault(match.group(1))


def _read_said(draft: _Draft, line: str, words: str) -> None:
    if words.startswith(_NOTICES):
        draft.notes.append(words)
        return
    code = _CODE.search(words[-1000:]) or _CODE.match(words)
    table = _TABLE.search(words[:2000])
    draft.troubles.add(
        line,
        severity="warning" if _SOFT.search(words) else "error",
        code=next((group for group in code.groups() if group), None) if code else None,
        component=next((group for group in table.groups() if group), None) if table else None,
        kind="other",
    )


def _job_log(draft: _Draft, calls: tuple[Invocation, ...], body: Delivery) -> JobLog:
    outcome = dump_outcome(
        code=body.exit_code,
        masked=is_masked(body, _NAMES),
        errors=draft.troubles.errors + draft.cut_off,
        warnings=draft.troubles.warnings,
        finished=draft.finished and draft.opened + draft.headers >= len(calls),
    )
    good = outcome in ("success", "warning")
    stored = size_of_dump(draft.listed, body.command) if good else None
    return JobLog(
        product="mysqldump",
        operation="backup",
        outcome=outcome,
        product_version=draft.version,
        roots=_databases(calls),
        ended_at=draft.ended,
        stored_bytes=stored,
        sources={} if stored is None else {"stored_bytes": "ls -l"},
        complete=True if outcome == "success" else None if good or outcome == "unknown" else False,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        components=_components(draft, calls, outcome),
        exit_code=body.exit_code,
        notes=_notes(draft, outcome),
    )


def _databases(calls: tuple[Invocation, ...]) -> tuple[str, ...]:
    """Names of the databases that the command line asks for; ``--all-databases`` names none."""
    return tuple(dict.fromkeys(name for call in calls for name in _databases_of(call.arguments)))


def _databases_of(arguments: tuple[str, ...]) -> tuple[str, ...]:
    if "--all-databases" in arguments or "-A" in arguments:
        return ()
    names = tuple(name for name in positional(arguments, _VALUED) if not set(name) & set("$`*"))
    several = "--databases" in arguments or "-B" in arguments
    return names if several else names[:1]


def _components(draft: _Draft, calls: tuple[Invocation, ...], outcome: Outcome) -> tuple[Component, ...]:
    names = tuple(dict.fromkeys((*_databases(calls), *draft.databases)))
    told: Outcome = outcome if outcome in ("success", "warning") or len(names) == 1 else "unknown"
    return tuple(Component(type="database", name=name, outcome=told) for name in names)


def _notes(draft: _Draft, outcome: Outcome) -> tuple[str, ...]:
    hidden = "whether the dump came to its end cannot be told: the exit code is not the dump's own, or was not sent"
    return (
        *dict.fromkeys(draft.notes[:20]),
        *(("the dump has no last line: it was cut off",) if draft.cut_off else ()),
        *((hidden,) if outcome == "unknown" else ()),
    )
