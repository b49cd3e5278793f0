"""Synology's notification mails: a sentence that says what became of a task, then labelled lines.

Read here for Hyper Backup and Active Backup: the outcome by the words of the sentence (English, German, French,
Spanish), values by label, times and durations as DSM prints them. A sentence whose words say two things or none is
unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from integrations.logs.bytes_to_text import log_lines
from integrations.logs.joblog import Delivery, Outcome
from integrations.logs.printed_dates import printed_moment

_LABELS: dict[str, tuple[str, ...]] = {
    "job": (
        "backup task", "task name", "task", "datensicherungsaufgabe", "sicherungsaufgabe", "aufgabenname", "aufgabe",
        "tâche de sauvegarde", "nom de la tâche", "tâche", "tarea de copia de seguridad", "tarea de respaldo",
        "nombre de la tarea", "nombre de tarea", "tarea",
    ),
    "target": (
        "backup destination", "destination", "sicherungsziel", "destination de la sauvegarde",
        "destination de sauvegarde", "destino de la copia de seguridad", "destino de copia de seguridad",
        "destino de respaldo",
    ),
    "start": ("start time", "start", "startzeit", "heure de début", "début", "hora de inicio", "inicio"),
    "end": ("end time", "ende", "endzeit", "heure de fin", "fin", "hora de finalización", "finalización"),
    "duration": ("duration", "dauer", "durée", "duración"),
    "device": ("device", "device name", "gerät", "gerätename", "périphérique", "dispositivo", "nombre del dispositivo"),
    "status": ("status", "result", "ergebnis", "statut", "état", "estado", "resultado"),
}  # fmt: skip
_KEY_OF = {label: key for key, labels in _LABELS.items() for label in labels}

# Each outcome's words, as they begin; the first group that matches wins, a denial ("not completed") is a failure.
_PARTLY = re.compile(r"\bparti(?:ally|al)|\bteilweise|\bpartiel|\bparcial")
_CANCELLED = re.compile(r"\bcancel|\babgebrochen|\bannul|\bstorniert")
_SUSPENDED = re.compile(r"\bsuspend|\bangehalten|\bunterbrochen|\bpaused|\binterrompu|\bsuspendid|\binterrump")
_FAILED = re.compile(
    r"\bfail|\bunable\b|\berror|\bfehlgeschlagen|\bfehler|\béchou|\béchec|\berreur|\bfallad|\bfalló|\bfallid"
    r"|\b(?:not|nicht|n'a pas|n'ont pas|no se)\b"
)
_DONE = re.compile(
    r"\bsuccess|\bcomplete|\bfinished|\berfolgreich|\babgeschlossen|\bfertiggestellt|\bterminé|\bachevé|\bréussi"
    r"|\bcorrectamente|\bcompletad|\bcompletó|\bfinaliz|\béxito"
)
_STARTED = re.compile(r"\bhas started|\bwurde gestartet|\ba commencé|\ba démarré|\bha comenzado|\bse ha iniciado")

_SPAN = re.compile(r"\b([0-9]{1,6}) ?([^\W\d_]{1,12})")
_SECONDS = {"d": 86400, "t": 86400, "j": 86400, "h": 3600, "m": 60, "s": 1}
_LABELLED = re.compile(r"^([^:]{2,60}?)\s?: ?(\S.*)$")
_SENDER = re.compile(r"^(?:From|Von|De|Desde|De la part de) ([^\s:]{1,64})$")
_NAMES = re.compile(r"\[[^\[\]]{0,200}\]|\"[^\"]{0,200}\"|„[^“]{0,200}“|«[^»]{0,200}»")


@dataclass(frozen=True)
class Notice:
    """What a notification says: its first sentences in lower case, its labelled values, and the NAS that sent it."""

    lead: str
    values: dict[str, str]
    host: str


def notice_of(body: Delivery, subject: str) -> Notice:
    """The mail's subject and its lines above the first label are the lead."""
    lead, values, host = [subject], dict[str, str](), ""
    for line in log_lines(body.stdout):
        text = line.text.strip()
        if line.number > 400 or not text:
            continue
        match = _LABELLED.match(text[:1000])
        key = _KEY_OF.get(match.group(1).strip().lower()) if match else None
        if match and key:
            values.setdefault(key, match.group(2).strip())
        elif sent := _SENDER.match(text[:200]):
            host = host or sent.group(1)
        elif not values and len(lead) < 4:
            lead.append(text[:500])
    return Notice(_without_names(" ".join(lead), values), values, host)


def _without_names(lead: str, values: dict[str, str]) -> str:
    """A task may be called "Failover": names of tasks and devices, and what stands in brackets, say no outcome."""
    lead = lead.lower().replace("\u2019", "'")
    for key in ("job", "device", "target"):
        if len(values.get(key, "")) > 1:
            lead = lead.replace(values[key].lower(), " ")
    return " ".join(_NAMES.sub(" ", lead).split())


def outcome_told(lead: str) -> Outcome:
    """What a sentence says became of a task."""
    if _PARTLY.search(lead):
        return "warning"
    if _CANCELLED.search(lead):
        return "cancelled"
    if _FAILED.search(lead):
        return "failure"
    if _DONE.search(lead):
        return "unknown" if _SUSPENDED.search(lead) else "success"
    return "running" if _STARTED.search(lead) else "unknown"


def told_moment(text: str, zone: tzinfo | None) -> datetime | None:
    """UTC of ``Do, 17 Aug 2023 03:41:29`` and the like, local to the NAS; None for a day without a clock."""
    return printed_moment(text, zone) if ":" in text else None


def printed_seconds(text: str) -> float | None:
    """Seconds of ``2 Hour 15 Minute 21 Second`` in any of the languages, by each unit's first letter."""
    parts = _SPAN.findall(text[:100])
    if not parts or any(unit[:1].lower() not in _SECONDS for _, unit in parts):
        return None
    return float(sum(int(figure) * _unit(unit.lower()) for figure, unit in parts))


def _unit(name: str) -> int:
    return 3600 if name.startswith(("std", "stu")) else _SECONDS[name[:1]]


def end_of(start: datetime | None, seconds: float | None) -> datetime | None:
    """The end of a run that tells its start and how long it took."""
    try:
        return None if start is None or seconds is None else start + timedelta(seconds=seconds)
    except OverflowError:
        return None
