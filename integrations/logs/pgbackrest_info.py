"""What pgBackRest's ``info`` lists, as text or JSON: one run of kind inventory for each backup, with its chain.

Called by the format ``pgbackrest``. JSON has exact bytes and Unix seconds; the text prints rounded sizes in powers of
1024 and times that are local before release 2.45 or so, and carry an offset of hours later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from integrations.logs.bytes_to_text import log_lines
from integrations.logs.figures import scaled
from integrations.logs.joblog import Component, Delivery, JobLog, LogError, UnreadableLog
from integrations.logs.json_documents import listed, nested, text, whole
from integrations.logs.moments import iso, unix


def is_info(document: Any) -> bool:
    """True for the document that ``info --output=json`` prints."""
    if not isinstance(document, list) or not document or not isinstance(document[0], dict):
        return False
    return {"backup", "name", "status"} <= set(document[0]) and isinstance(document[0]["backup"], list)


def binary_bytes(digits: str, letter: str) -> int | None:
    """Bytes of a printed figure: whatever the unit says, pgBackRest means powers of 1024."""
    return scaled(digits, letter, base=1024) if re.fullmatch(r"[0-9]{1,12}(?:[.,][0-9]{1,3})?", digits) else None


_INFO_SOURCES = {
    "protected_bytes": "info.size",
    "changed_bytes": "info.delta",
    "stored_bytes": "info.repository.size",
    "transferred_bytes": "info.repository.delta",
}


def runs_of_info(document: list[Any]) -> tuple[JobLog, ...]:
    """What ``info --output=json`` lists. Raises UnreadableLog where it names no stanza."""
    runs: list[JobLog] = []
    for stanza in (entry for entry in document if isinstance(entry, dict)):
        backups = [entry for entry in listed(stanza, "backup") if isinstance(entry, dict)]
        status = nested(stanza, "status")
        if whole(status, "code") not in (0, None) or not backups:
            runs.append(_run_of_stanza(text(stanza, "name"), text(status, "message"), ok=whole(status, "code") == 0))
        fulls = {text(entry, "label"): _stopped(entry) for entry in backups if text(entry, "type") == "full"}
        runs += [_run_of_backup(text(stanza, "name"), entry, fulls) for entry in backups]
    if not runs:
        raise UnreadableLog("pgBackRest's info lists no stanza")
    return tuple(runs)


def _run_of_stanza(name: str, message: str, *, ok: bool) -> JobLog:
    """The run of a stanza whose status is an error, or that lists no backup at all."""
    error = LogError(message=f"stanza {name}: {message}" if message else f"stanza {name} has an error")
    return JobLog(
        product="pgbackrest",
        operation="inventory",
        outcome="success" if ok else "failure",
        action="list",
        source_job=name,
        errors=() if ok else (error,),
        errors_total=0 if ok else 1,
    )


def _stopped(entry: dict[str, Any]) -> datetime | None:
    return unix(whole(nested(entry, "timestamp"), "stop"))


def _run_of_backup(stanza: str, entry: dict[str, Any], fulls: dict[str, datetime | None]) -> JobLog:
    label = text(entry, "label")
    info = nested(entry, "info")
    repository = nested(info, "repository")
    size, damaged = whole(info, "size"), entry.get("error") is True
    references = [name for name in listed(entry, "reference") if isinstance(name, str)]
    found = {
        "protected_bytes": size,
        "changed_bytes": whole(info, "delta"),
        "stored_bytes": whole(repository, "size"),
        "transferred_bytes": whole(repository, "delta"),
    }
    return _listed_run(
        stanza, label, found, damaged=damaged, chain=_chain(label, references), full=fulls.get(label.split("_")[0]),
        started=unix(whole(nested(entry, "timestamp"), "start")), ended=_stopped(entry),
        version=text(nested(entry, "backrest"), "version"), sources=_INFO_SOURCES, rounded=False,
        databases=tuple(text(one, "name") for one in listed(entry, "database-ref") if isinstance(one, dict)),
    )  # fmt: skip


def _chain(label: str, references: list[str]) -> int | None:
    """A full backup stands alone; others need what they refer to and themselves."""
    if "_" not in label:
        return 1
    return len(set(references) | {label}) if references else None


def _listed_run(
    stanza: str,
    label: str,
    found: dict[str, Any],
    *,
    damaged: bool,
    chain: int | None,
    full: datetime | None,
    started: datetime | None,
    ended: datetime | None,
    version: str,
    sources: dict[str, str],
    rounded: bool,
    databases: tuple[str, ...] = (),
) -> JobLog:
    error = LogError(message=f"backup {label} has errors (page checksums)", severity="warning", kind="unreadable")
    return JobLog(
        product="pgbackrest",
        operation="inventory",
        outcome="warning" if damaged else "success",
        action="list",
        run_id=label,
        source_job=stanza,
        archive=label,
        product_version=version,
        started_at=started,
        ended_at=ended,
        rounded=rounded,
        sources={name: word for name, word in sources.items() if found.get(name) is not None},
        basis=None if found.get("protected_bytes") is None else "logical-once",
        chain_length=chain,
        last_full_at=full,
        errors=(error,) if damaged else (),
        errors_total=1 if damaged else 0,
        components=tuple(Component(type="database", name=name, outcome="success") for name in databases if name),
        **found,
    )


_HEADING = re.compile(r"        (full|diff|incr) backup: (\S{1,60})$")
_TIMES = re.compile(r"            timestamp start/stop: ([0-9: -]{19}[0-9+:-]{0,6}) / ([0-9: -]{19}[0-9+:-]{0,6})$")
_FIGURES = re.compile(
    r"(database size|database backup size|backup set size|backup size|repository size"
    r"|repository backup size): ([0-9.,]{1,15})([KMGTP]?)i?B"
)
_WORDS = {
    "database size": "protected_bytes",
    "database backup size": "changed_bytes",
    "backup set size": "stored_bytes",
    "repository size": "stored_bytes",
    "repository backup size": "transferred_bytes",
}


@dataclass
class _Listed:
    stanza: str
    label: str
    times: tuple[str, str] = ("", "")
    figures: dict[str, int | None] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)
    damaged: bool = False


def runs_of_text(body: Delivery, zone: tzinfo | None) -> tuple[JobLog, ...]:
    """What ``info`` prints for people: stanzas, and under each its backups."""
    runs: list[JobLog] = []
    found: list[_Listed] = []
    stanza = ""
    for line in log_lines(body.stdout, body.stderr):
        if line.text.startswith("stanza: "):
            stanza = line.text.removeprefix("stanza: ")
        elif line.text.startswith("    status: ") and stanza:
            status = line.text.removeprefix("    status: ")
            if status.startswith(("error", "mixed")):
                runs.append(_run_of_stanza(stanza, status, ok=False))
        elif match := _HEADING.match(line.text):
            found.append(_Listed(stanza, match.group(2)))
        elif found:
            _read_listed(found[-1], line.text)
    fulls = {one.label: _moment(one.times[1], zone) for one in found if "_" not in one.label}
    return (*runs, *(_run_of_listed(one, fulls, zone) for one in found)) or (_run_of_stanza(stanza, "", ok=True),)


def _read_listed(one: _Listed, line: str) -> None:
    if match := _TIMES.match(line):
        one.times = (match.group(1), match.group(2))
    elif "size: " in line:
        in_database = line.lstrip().startswith("database size")
        for word, digits, letter in _FIGURES.findall(line[:400]):
            name = _WORDS.get(word, "changed_bytes" if in_database else "transferred_bytes")
            one.figures.setdefault(name, binary_bytes(digits, letter))
            one.words.setdefault(name, word)
    elif "backup reference list: " in line:
        one.references = line.split("backup reference list: ", 1)[1].split(", ")
    elif "error list:" in line or "page checksum error" in line or "error(s) detected" in line:
        one.damaged = True


def _run_of_listed(one: _Listed, fulls: dict[str, datetime | None], zone: tzinfo | None) -> JobLog:
    return _listed_run(
        one.stanza, one.label, one.figures, damaged=one.damaged, chain=_chain(one.label, one.references),
        full=fulls.get(one.label.split("_")[0]), started=_moment(one.times[0], zone), ended=_moment(one.times[1], zone),
        version="", sources=one.words, rounded=bool(one.figures),
    )  # fmt: skip


def _moment(printed: str, zone: tzinfo | None) -> datetime | None:
    """A time of ``info``: local before 2.45, later with an offset of hours only (``+00``)."""
    return iso(printed + ":00" if re.search(r"[+-][0-9]{2}$", printed[19:]) else printed, zone) if printed else None
