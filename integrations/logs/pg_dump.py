"""PostgreSQL's own tools: pg_dump, pg_dumpall, pg_basebackup, pg_restore and pg_verifybackup, in every language.

They say little: errors and warnings under their own name, progress with ``--verbose``, nothing and exit code 0 where
all went well. Success is only what an unmasked exit code or a tool's own last line tells. pg_dump prints no size: that
of the file it wrote is taken from an ``ls -l`` beside it; pg_basebackup's progress tells the size of the cluster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Literal

from integrations.logs.around_dumps import dump_outcome, is_masked, listed_file, shell_error, size_of_dump, tells_itself
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import Invocation, invocations, positional
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Operation, Outcome
from integrations.logs.moments import iso
from integrations.logs.troubles import Troubles

LABEL = "pg_dump, pg_basebackup"
MARKS = ("pg_dump", "pg_restore", "pg_basebackup", "pg_verifybackup", "-- PostgreSQL database ")
GUIDE = Guide(
    releases="PostgreSQL 9.6 to 18",
    written_from="real logs, and the sources and translations of PostgreSQL",
    operations=("backup", "restore", "verify", "inventory"),
    basis="logical, each file once, as pg_basebackup --progress prints it; dumps have none",
    sizes=(
        ("stored_bytes", "the dump's file in ls -l, where it is shown and certain"),
        ("protected_bytes", "pg_basebackup --progress: the total in kB"),
    ),
    cannot_tell=(
        "The protected size of a dump. Send a figure of your own with a marker line (see own-mail.md).",
        "Times, except of the first and last line that --verbose puts into a plain dump.",
        "The outcome of a silent dump behind a pipe (pg_dump .. | gzip): the exit code is gzip's. Use set -o pipefail.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job shop -- bash -c 'pg_dump -v -Fc -f /srv/backup/shop.dump shop "
            "&& ls -l /srv/backup/shop.dump'",
        ),
        Way(
            "wrapper",
            "A whole cluster",
            "backledger-run --job cluster -- pg_basebackup -v -P -X stream -D /srv/backup/base",
        ),
    ),
)

_NAMES = ("pg",)  # the family: command lines are searched by the part of a name before its first underscore
_CALLED = re.compile(
    r"(?:^|[\s;|&('\"/\\])(pg_(?:dumpall|dump|restore|basebackup|verifybackup))(?:\.exe)?(?=[\s\"']|$)"
)
_OTHERS = (
    "restic", "borg", "borgmatic", "rclone", "duplicity", "kopia", "bup", "backupninja", "barman", "pgbackrest", "wal",
)  # fmt: skip
_TOOL = r"(?:\S{0,200}[/\\])?(pg_dumpall|pg_dump|pg_restore|pg_basebackup|pg_verifybackup)(?:\.exe)?"
_SAID = re.compile(_TOOL + r" ?: ?(.*)$")
_SIGNS = re.compile(rf"^(?:{_TOOL} ?: \S|-- PostgreSQL database (?:cluster )?dump\b)", re.M)
_ERROR = re.compile(
    r"(?:error|Fehler|erreur|errore|erro|chyba|fel|hata|σφάλμα|エラー|오류|ошибка|помилка|错误|錯誤|შეცდომა|błąd|fatal"
    r"|schwerwiegend|fatale?)"
    r"[ \u00a0]?: ?|chyba "
)
_WARNING = re.compile(
    r"(?:warning|WARNING|Warnung|attention|avertissement|precaución|avvertimento|aviso|varování|varning|uyarı"
    r"|προειδοποίηση|警告|경고"
    r"|предупреждение|попередження|გაფრთხილება|ostrzeżenie)[ \u00a0]?: ?"
)
_OLD_ERROR = re.compile(
    r"\[[a-z ()]{3,40}\] (?:could not|connection to|query|unrecognized|out of memory|input|invalid|unexpected"
    r"|error|unsupported"
    r"|file name|cannot|entry|corrupt|did not|found unexpected|bad|worker|a worker|compress|write|COPY|Error)"
    r"|(?:query|connection) (?:failed|to database)|could not |Dumping the contents of table|aborting because of"
    r"|Error message from"
    r"|no matching |server version|out of memory|too many command-line|invalid |option |options |unrecognized "
    r"|schema with OID|cannot "
)
_TABLE = re.compile(
    r"(?:table|relation|Tabelle|Relation|tabla|relación|relation|sequence|schema|view|materialized view|function)"
    r" [\"»«„](?:\u00a0)?([^\"»«“”]{1,130})[\"»«“]"
)
_PROGRESS = re.compile(r"\s*([0-9]{1,18})/([0-9]{1,18}) k(?:i)?B \(([0-9]{1,3}) ?%\)")
_DUMP_END = re.compile(r"-- PostgreSQL database (cluster )?dump complete$")
_DUMP_START = re.compile(r"-- PostgreSQL database (cluster )?dump$")
_STAMP = re.compile(r"-- (Started|Completed) on ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8})(?: (\S.{0,60}))?$")
_VERSION = re.compile(r"-- Dumped by pg_dump(?:all)? version ([0-9][\w.]{0,20})")
_DUMPING = re.compile(
    r"(?:dumping database|Ausgabe der Datenbank|sauvegarde de la base de données|extrayendo base de datos)"
    r" [\"»«] ?([^\"«»]{1,63}?) ?[\"»«]$"
)
_WRITING = (
    "dumping contents of table", "saving database definition", "gebe Inhalt der Tabelle", "sichere Datenbankdefinition",
    "sauvegarde du contenu de la table", "sauvegarde de la définition de la base",
    "extrayendo el contenido de la tabla",
    "salvando las definiciones de la base",
)  # fmt: skip
_LAST_WORDS = (
    "base backup completed", "Basissicherung abgeschlossen", "sauvegarde de base terminée",
    "el respaldo base se ha completado",
    "backup successfully verified", "Backup erfolgreich überprüft", "sauvegarde vérifiée avec succès",
    "copia de seguridad verificada correctamente",
)  # fmt: skip
_OPERATIONS: dict[str, Operation] = {"pg_restore": "restore", "pg_verifybackup": "verify"}
_VALUED = frozenset({
    "-h", "--host", "-p", "--port", "-U", "--username", "-f", "--file", "-F", "--format", "-j", "--jobs", "-n",
    "--schema", "-N",
    "--exclude-schema", "-t", "--table", "-T", "--exclude-table", "-Z", "--compress", "-E", "--encoding", "--role",
    "-S",
    "--superuser", "--section", "--lock-wait-timeout", "--exclude-table-data", "--snapshot", "-e", "--extension",
    "-d", "--dbname",
})  # fmt: skip


def recognises(head: Head) -> bool:
    """A call of one of the tools, their own messages, or a plain dump's first line."""
    if head.calls(*_OTHERS) or tells_itself(head):
        return False
    return (head.calls(*_NAMES) and _CALLED.search(head.command) is not None) or head.has(_SIGNS)


@dataclass
class _Draft:
    tool: str = ""
    troubles: Troubles = field(default_factory=Troubles)
    listed: dict[str, int] = field(default_factory=dict)
    databases: dict[str, None] = field(default_factory=dict)
    version: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    begun: int = 0
    completed: int = 0
    ignored: bool = False
    last_words: bool = False
    reached_data: bool = False
    progress: tuple[int, int] | None = None


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The one run that the log tells of."""
    draft = _Draft()
    for line in log_lines(body.stdout, body.stderr):
        if line.text:
            _read_line(draft, line.text, context.zone)
    return (_job_log(draft, body),)


def _read_line(draft: _Draft, line: str, zone: tzinfo | None) -> None:
    if line.startswith("-- "):
        _read_comment(draft, line, zone)
    elif line.startswith("-"):
        if found := listed_file(line):
            draft.listed[found[0]] = found[1]
    elif "pg_" in line and (match := _SAID.match(line)):
        _read_said(draft, line, match.group(1), match.group(2).replace("\u00a0", " ").strip())
    elif "kB (" in line and (match := _PROGRESS.match(line)):
        draft.progress = (int(match.group(1)), int(match.group(2)))
        draft.tool = draft.tool or "pg_basebackup"
    elif line.startswith(("WARNING: errors ignored on restore", "WARNUNG: errors ignored on restore")):
        draft.troubles.add(line, severity="warning", kind="other")
    elif line.startswith(_LAST_WORDS):
        draft.last_words = True
    elif len(line) < 1200 and "\t" not in line and (told := shell_error(line)):
        draft.troubles.add(told[0], kind=told[1])


def _read_comment(draft: _Draft, line: str, zone: tzinfo | None) -> None:
    if not line.startswith(("-- PostgreSQL", "-- Dumped", "-- Started", "-- Completed")):
        return
    if _DUMP_END.match(line):
        draft.completed += 1
    elif _DUMP_START.match(line):
        draft.begun += 1
    elif match := _VERSION.match(line):
        draft.version = match.group(1)
    elif match := _STAMP.match(line):
        _read_stamp(draft, match, zone)


def _read_stamp(draft: _Draft, match: re.Match[str], zone: tzinfo | None) -> None:
    in_utc = match.group(3) in ("UTC", "GMT", "Etc/UTC")
    moment = iso(match.group(2) + ("Z" if in_utc else ""), zone)
    if match.group(1) == "Started":
        draft.started = draft.started or moment
    else:
        draft.ended = moment


def _read_said(draft: _Draft, line: str, tool: str, words: str) -> None:
    if not draft.tool or tool == "pg_dumpall":
        draft.tool = tool  # pg_dumpall calls pg_dump, whose lines then stand in its log
    if severity := _severity(words):
        table = _TABLE.search(words[:2000])
        draft.troubles.add(line, severity=severity, component=table.group(1) if table else None, kind="other")
    elif words.startswith(_LAST_WORDS):
        draft.last_words = True
    elif match := _DUMPING.match(words):
        draft.databases.setdefault(match.group(1))
    elif words.startswith(_WRITING):
        draft.reached_data = True


def _severity(words: str) -> Literal["error", "warning"] | None:
    if _ERROR.match(words) or _OLD_ERROR.match(words):
        return "error"
    return "warning" if _WARNING.match(words) else None


def _job_log(draft: _Draft, body: Delivery) -> JobLog:
    calls = invocations(body.command, _NAMES)
    tool = draft.tool or _tool_called(body.command)
    lists = tool == "pg_restore" and any("-l" in call.arguments or "--list" in call.arguments for call in calls)
    outcome = _outcome(draft, body, calls)
    good = outcome in ("success", "warning")
    protected = _protected(draft) if good and tool == "pg_basebackup" else None
    stored = size_of_dump(draft.listed, body.command) if good else None
    return JobLog(
        product="pg_dump",
        operation="inventory" if lists else _OPERATIONS.get(tool, "backup"),
        outcome=outcome,
        action="list" if lists else "",
        product_version=draft.version,
        roots=_databases(calls, tool),
        started_at=draft.started,
        ended_at=draft.ended,
        protected_bytes=protected,
        rounded=protected is not None,
        basis=None if protected is None else "logical-once",
        stored_bytes=stored,
        sources=({} if stored is None else {"stored_bytes": "ls -l"})
        | ({} if protected is None else {"protected_bytes": "kB"}),
        complete=True if outcome == "success" else None if good or outcome == "unknown" else False,
        checksum_ok=_checksum(tool, outcome),
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        components=_components(draft, _databases(calls, tool), outcome),
        exit_code=body.exit_code,
        notes=_notes(outcome),
    )


def _tool_called(command: str) -> str:
    called = set(_CALLED.findall(command[:8192]))
    return next(
        (name for name in ("pg_dumpall", "pg_basebackup", "pg_restore", "pg_verifybackup") if name in called), "pg_dump"
    )


def _outcome(draft: _Draft, body: Delivery, calls: tuple[Invocation, ...]) -> Outcome:
    """Success by the tool's own exit code, its last line, or a dump that was listed after it had begun to copy rows."""
    told_end = draft.last_words or (draft.begun > 0 and draft.completed >= draft.begun)
    return dump_outcome(
        code=body.exit_code,
        masked=is_masked(body, _NAMES),
        errors=draft.troubles.errors + (draft.completed < draft.begun),
        warnings=draft.troubles.warnings,
        finished=len(calls) <= 1 and (told_end or _listed_after(draft, body)),
    )


def _listed_after(draft: _Draft, body: Delivery) -> bool:
    """``pg_dump -v -f FILE; ls -l FILE``: a dump that fails says why on stderr, and its last line is whole."""
    whole = (body.stderr or body.stdout).endswith(b"\n")
    size = size_of_dump(draft.listed, body.command)
    piped = "|" in body.command
    return draft.reached_data and body.exit_code == 0 and whole and not piped and bool(size)


def _protected(draft: _Draft) -> int | None:
    if draft.progress is None or draft.progress[0] < draft.progress[1]:
        return None
    return draft.progress[1] * 1024


def _checksum(tool: str, outcome: Outcome) -> bool | None:
    if tool != "pg_verifybackup" or outcome == "unknown":
        return None
    return outcome == "success"


def _databases(calls: tuple[Invocation, ...], tool: str) -> tuple[str, ...]:
    if tool != "pg_dump":
        return ()
    found = (_database_of(call.arguments) for call in calls)
    return tuple(dict.fromkeys(name for name in found if name and not set(name) & set("$`:=")))


def _database_of(arguments: tuple[str, ...]) -> str:
    for at, word in enumerate(arguments):
        if word in ("-d", "--dbname") and at + 1 < len(arguments):
            return arguments[at + 1]
        if word.startswith("--dbname="):
            return word.removeprefix("--dbname=")
    return next(iter(positional(arguments, _VALUED)), "")


def _components(draft: _Draft, asked: tuple[str, ...], outcome: Outcome) -> tuple[Component, ...]:
    names = tuple(dict.fromkeys((*asked, *draft.databases)))
    told: Outcome = outcome if outcome in ("success", "warning") or len(names) == 1 else "unknown"
    return tuple(Component(type="database", name=name, outcome=told) for name in names)


def _notes(outcome: Outcome) -> tuple[str, ...]:
    hidden = "whether the tool came to its end cannot be told: the exit code is not its own, or was not sent"
    return (hidden,) if outcome == "unknown" else ()
