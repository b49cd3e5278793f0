"""Windows Server Backup: what wbadmin prints, Get-WBSummary and Get-WBJob as JSON, and events of its log.

wbadmin follows the language of Windows; its last sentences say how the work ended, the names of its log files when it
began (UTC, day first). Versions that ``get versions`` lists are read by their identifiers (UTC, month first). Events
are told apart by their number, which no language changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.logs.api_rows import amount, moment, rows_of, words
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.context import Context
from integrations.logs.event_documents import documents
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.moments import unix
from integrations.logs.printed_dates import is_rounded_size, printed_bytes
from integrations.logs.troubles import Troubles

LABEL = "Windows Server Backup"
MARKS = (
    "wbadmin",
    "WBADMIN",
    "WindowsServerBackup",
    "Microsoft-Windows-Backup",
    "LastBackupResultHR",
    "NextBackupTime",
)
GUIDE = Guide(
    releases="wbadmin 1.0 of Windows Server 2008 R2 to 2022; Get-WBSummary; events of Microsoft-Windows-Backup",
    written_from="public console output in English; other languages and events after the vendor's documentation",
    operations=("backup", "restore", "inventory"),
    sizes=(("restored_bytes", "Total bytes recovered"),),
    cannot_tell=(
        "Any size of a backup: add a measurement of the selection.",
        "The end of a run in console output: that of the wrapper is used.",
        "The end of console output in words that are not known: the exit code decides, without it it is unknown.",
    ),
    ways=(
        Way(
            "wrapper",
            "The wrapper (PowerShell)",
            "backledger-run.ps1 --job NAME -- wbadmin start backup -backupTarget:E: -allCritical -quiet",
            language="powershell",
        ),
        Way(
            "http",
            "Or the summary after each run (Task Scheduler)",
            "Get-WBSummary | ConvertTo-Json | Invoke-RestMethod '@URL@/api/v1/logs?format=windows-server-backup' "
            "-Method Post -Headers @{Authorization='Bearer @KEY@'}",
            language="powershell",
        ),
    ),
)

_LOG_FILE = re.compile(
    r"\\WindowsServerBackup\\(Backup|FileRestore|SystemStateBackup|SystemStateRestore|VolumeRestore|AppRestore)"
    r"(_Error)?-([0-9]{2})-([0-9]{2})-([0-9]{4})_([0-9]{2})-([0-9]{2})-([0-9]{2})\.log",
    re.I,
)
_VERSION_ID = re.compile(r"^[^:]{3,60}: ?([0-9]{2})/([0-9]{2})/([0-9]{4})-([0-9]{2}):([0-9]{2})$")
_DONE = re.compile(
    r"(?:backup|recovery) operation(?: to .{1,200})? (?:successfully )?completed\.|completed successfully|successfully completed"  # noqa: E501
    r"|erfolgreich (?:abgeschlossen|beendet)|terminée? (?:avec succès|correctement)|s'est (?:correctement )?terminée"
    r"|(?:completó|completado|completada|finalizado|finalizó) correctamente|(?:completó|finalizó) con éxito|se completó correctamente",  # noqa: E501
    re.I,
)  # fmt: skip
_WARNED = re.compile(r"completed with warnings|with errors|mit Warnungen|mit Fehlern|avec des (?:avertissements|erreurs)|con (?:advertencias|errores)", re.I)  # noqa: E501  # fmt: skip
_FAILED = re.compile(
    r"^ERROR|\bfailed\b|(?:backup|recovery) operation (?:stopped|ended) before|was stopped|there is not enough|cannot be (?!securely)|could not "  # noqa: E501
    r"|^FEHLER|fehlgeschlagen|konnte nicht|ist ein Fehler aufgetreten|^ERREUR|a échoué|n'a pas pu|^Erreur|Error:|error en |falló|no se pudo|no se puede",  # noqa: E501
)  # fmt: skip
_ZERO_FAILED = re.compile(r"(?:failed|fehl\w{0,20}|échec\w{0,3}|err\w{0,20}) ?: ?0$", re.I)
_CANCELLED = re.compile(r"operation was cancel|cancelled by|abgebrochen|annulée? par|cancelad[ao] por", re.I)
_VOLUME = re.compile(
    r"(?:volume|Volume|volumen|Volumen) (?:[^()]{0,60})\(([A-Z]:)\)|(?:volume|volumen) ([A-Z]:)(?:\s|\.)"
)
_FOUND = re.compile(r"\(([0-9]{1,12})\) (?:files|Dateien|fichiers|archivos)")
_RECOVERED = re.compile(r"^(?:Total bytes recovered|[^:]{0,60}(?:Bytes|octets|bytes)[^:]{0,60}) ?: ?([0-9][0-9.,\u00a0 ]{0,30}[KMGT]?[Bo])$")  # noqa: E501  # fmt: skip
_COUNTED = re.compile(r"^Total files (recovered|failed): ([0-9]{1,12})$")
_NUMBERED = re.compile(r"Microsoft-Windows-Backup")
_XML_ID = re.compile(r"<EventID(?: [^<>]{0,80})?>([0-9]{1,5})</EventID>")
_XML_TIME = re.compile(r"SystemTime=['\"]([0-9T:.Z-]{10,40})['\"]")
_XML_HOST = re.compile(r"<Computer>([^<>]{1,200})</Computer>")
_TEXT_ID = re.compile(
    r"^\s*(?:Event ?ID|Ereignis-?ID|ID de l'événement|Id\. del evento|Id)\s*: ?([0-9]{1,5})\s*$", re.I | re.M
)
_HOST = re.compile(r"^\s*(?:Computer|MachineName|Ordinateur|Equipo)\s*: ?(\S{1,200})\s*$", re.I | re.M)

#: Outcome of an event by its number: 4 ends a backup well, 8 is a cancel; 14 (ended, however) is unknown.
_EVENTS: dict[int, Outcome] = {
    1: "running", 4: "success", 8: "cancelled",
    **dict.fromkeys((5, 9, 17, 18, 19, 20, 22, 49, 50, 52, 100, 517, 518, 519, 521, 527, 528, 544, 545, 546, 561, 564), "failure"),  # noqa: E501
}  # fmt: skip


def recognises(head: Head) -> bool:
    """wbadmin's output or call, a summary with its two results, or events of the provider."""
    if head.document is not None:
        return any(_is_summary(row) or _event_id(row) is not None for row in rows_of(head.document)[:50])
    if head.calls("wbadmin", "wbadmin.exe", "WBADMIN"):
        return True
    text = head.text
    return "wbadmin 1.0" in text or _LOG_FILE.search(f"{text}{head.tail}") is not None or (
        _NUMBERED.search(text) is not None and (_XML_ID.search(text) or _TEXT_ID.search(text)) is not None
    )  # fmt: skip


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """A run for wbadmin's output, for each version it lists, or for each event or summary."""
    if context.head.document is not None:
        runs = tuple(_of_documents(body, context))
    elif _NUMBERED.search(context.head.text) and (
        _XML_ID.search(context.head.text) or _TEXT_ID.search(context.head.text)
    ):
        runs = tuple(_of_text_event(context.head.text))
    else:
        runs = _of_console(body)
    if not runs:
        raise UnreadableLog("this tells of no run of Windows Server Backup")
    return runs


# ------------------------------------------------------------------------------------------------------ events, summary


def _is_summary(row: Mapping[str, Any]) -> bool:
    return "LastBackupResultHR" in row and "LastBackupTime" in row


def _event_id(row: Mapping[str, Any]) -> int | None:
    provider = words(row, "ProviderName", "SourceName", "Provider", "provider_name", "LogName", "Channel")
    if "Microsoft-Windows-Backup" not in provider and provider != "Backup":
        return None
    return next((found for key in ("Id", "EventID", "EventId", "event_id") if (found := amount(row.get(key)))), None)


def _of_documents(body: Delivery, context: Context) -> Iterator[JobLog]:
    for document in documents(body, context):
        for row in rows_of(document):
            number = _event_id(row)
            if _is_summary(row):
                yield _of_summary(row, body.host)
            elif number is not None:
                at = _dotnet_time(row.get("TimeCreated") or row.get("TimeGenerated"))
                told = words(row, "Message", "message")
                yield _of_event(number, at, words(row, "MachineName", "Computer", "ComputerName"), told)


def _dotnet_time(value: Any) -> datetime | None:
    """UTC of ``/Date(1767229203000)/``, of ISO 8601, or of either inside of PowerShell's object."""
    if isinstance(value, dict):
        value = value.get("value") or value.get("DateTime")
    match = re.match(r"^/Date\(([0-9]{1,15})\)/$", value) if isinstance(value, str) else None
    return unix(int(match.group(1)) / 1000) if match else moment(value)


def _of_summary(row: Mapping[str, Any], host: str) -> JobLog:
    """The last run as Get-WBSummary tells it: its HRESULT, 0 being success."""
    code, at = amount(row.get("LastBackupResultHR")), _dotnet_time(row.get("LastBackupTime"))
    detail = amount(row.get("DetailedMessage")) or words(row, "DetailedMessage")
    outcome: Outcome = "unknown" if code is None or at is None else "success" if code == 0 else "failure"
    troubles = Troubles()
    if outcome == "failure":
        troubles.add(str(detail or f"HRESULT {code}"), code=f"0x{(code or 0) & 0xFFFFFFFF:08X}")
    return JobLog(
        product="windows-server-backup",
        operation="backup",
        outcome=outcome,
        run_id=at.isoformat() if at else "",
        host=host,
        repository=words(row, "LastBackupTarget"),
        started_at=at,
        complete=True if outcome == "success" else False if outcome == "failure" else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _of_event(number: int, at: datetime | None, host: str, told: str) -> JobLog:
    outcome = _EVENTS.get(number, "unknown")
    troubles = Troubles()
    if outcome in ("failure", "cancelled", "unknown"):
        troubles.add(told or f"event {number}", code=str(number))
    return JobLog(
        product="windows-server-backup",
        operation="backup",
        outcome=outcome,
        run_id=f"event {number} {at.isoformat()}" if at else "",
        host=host,
        started_at=at if outcome == "running" else None,
        ended_at=None if outcome == "running" else at,
        complete=True if outcome == "success" else False if outcome in ("failure", "cancelled") else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _of_text_event(text: str) -> Iterator[JobLog]:
    found = _XML_ID.search(text) or _TEXT_ID.search(text)
    time, host = _XML_TIME.search(text), _XML_HOST.search(text) or _HOST.search(text)
    if found:
        yield _of_event(int(found[1]), moment(time[1]) if time else None, host[1] if host else "", f"event {found[1]}")


# -------------------------------------------------------------------------------------------------------------- console


def _of_console(body: Delivery) -> tuple[JobLog, ...]:
    versions: list[datetime] = []
    read = _Console()
    for line in log_lines(body.stdout, body.stderr):
        text = line.text.strip()
        found = _VERSION_ID.match(text) if "-" in text and "/" in text else None
        if found and len(versions) < 5000:
            month, day, year, hour, minute = (int(part) for part in found.groups())
            if 1 <= month <= 12 and 1 <= day <= 28 + 3 and hour < 24 and minute < 60 and year > 1970:
                versions.extend(_date(year, month, day, hour, minute, 0))
        elif text:
            read.line(text)
    if versions and not read.begun:
        return tuple(_version(at, body.host) for at in versions)
    return (read.run(body),)


def _date(*parts: int) -> list[datetime]:
    try:
        return [datetime(*parts, tzinfo=UTC)]  # type: ignore[misc,arg-type]
    except ValueError:
        return []


def _version(at: datetime, host: str) -> JobLog:
    name = at.strftime("%m/%d/%Y-%H:%M")
    return JobLog(product="windows-server-backup", operation="inventory", action="list", outcome="success", run_id=name,
                  archive=name, host=host, started_at=at)  # fmt: skip


class _Console:
    """What wbadmin's lines said: facts are overwritten by later ones, the summary stands last."""

    def __init__(self) -> None:
        self.begun = False
        self.done = self.warned = self.cancelled = False
        self.restore = False
        self.started: datetime | None = None
        self.restored: str = ""
        self.files: dict[str, int] = {}
        self.volumes: dict[str, Outcome] = {}
        self.troubles = Troubles()

    def line(self, text: str) -> None:
        """Take in one line."""
        log_file = _LOG_FILE.search(text)
        if log_file:
            self._log_file(log_file)
        elif counted := _COUNTED.match(text):
            self.files["failed" if counted[1] == "failed" else "total"] = int(counted[2])
        elif found := _FOUND.search(text):
            self.files["total"] = int(found[1])
        elif size := _RECOVERED.match(text):
            self.restored = size[1]
            self.restore = True
        elif not _ZERO_FAILED.search(text):
            self._sentence(text)

    def _log_file(self, found: re.Match[str]) -> None:
        self.begun = True
        self.restore = self.restore or "restore" in found[1].lower()
        day, month, year, hour, minute, second = (int(part) for part in found.groups()[2:])
        self.started = next(iter(_date(year, month, day, hour, minute, second)), self.started)

    def _sentence(self, text: str) -> None:
        volume = _VOLUME.search(text)
        if _CANCELLED.search(text):
            self.cancelled = True
            self.troubles.add(text)
        elif _WARNED.search(text):
            self.begun = self.done = self.warned = True
            self.troubles.add(text, severity="warning")
        elif _FAILED.search(text):
            self.begun = True
            self._volume(volume, "failure")
            self.troubles.add(text)
        elif _DONE.search(text):
            self.begun = True
            self.done = self.done or volume is None  # a volume's own end is not that of all
            self.restore = self.restore or "recover" in text.lower()
            self._volume(volume, "success")

    def _volume(self, found: re.Match[str] | None, outcome: Outcome) -> None:
        if found and len(self.volumes) < 100:
            self.volumes[found[1] or found[2]] = outcome

    def _outcome(self, code: int | None) -> Outcome:
        if self.cancelled:
            return "cancelled"
        if self.troubles.errors or (code is not None and code != 0) or "failure" in self.volumes.values():
            return "failure"
        if not self.done:
            return "unknown"
        return "warning" if self.warned or self.files.get("failed") else "success"

    def run(self, body: Delivery) -> JobLog:
        """The run that the lines tell of."""
        command = body.command.lower()
        restore = self.restore or "recovery" in command
        known = self.begun or "start" in command
        operation: Operation = "restore" if restore else "backup" if known else "inventory"
        outcome = self._outcome(body.exit_code)
        restored = printed_bytes(self.restored) if restore and outcome in ("success", "warning") else None
        return JobLog(
            product="windows-server-backup",
            operation=operation,
            action="" if operation != "inventory" else "command",
            outcome=outcome,
            host=body.host,
            run_id=self.started.isoformat() if self.started else "",
            started_at=self.started or body.started_at,
            ended_at=body.ended_at,
            restored_bytes=restored,
            rounded=restored is not None and is_rounded_size(self.restored),
            complete=True if outcome == "success" else False if outcome in ("failure", "cancelled") else None,
            files={key: value for key, value in self.files.items() if key == "total"},
            files_failed=self.files.get("failed"),
            errors=self.troubles.kept,
            errors_total=self.troubles.total,
            components=tuple(Component(type="volume", name=name, outcome=end) for name, end in self.volumes.items()),
            exit_code=body.exit_code,
        )
