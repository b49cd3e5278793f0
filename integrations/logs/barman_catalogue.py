"""What Barman's catalogue lists: show-backup and list-backups, as JSON and as text; one inventory run per backup.

Called by the format ``barman``. The protected size is the cluster's own (``cluster_size_bytes``, since 3.10) or else
the base backup's disk usage, without WAL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

from integrations.logs.bytes_to_text import log_lines
from integrations.logs.figures import is_rounded, printed_size
from integrations.logs.joblog import Delivery, JobLog, LogError, Outcome
from integrations.logs.json_documents import nested, text, whole
from integrations.logs.moments import iso, unix

_STATES: dict[str, Outcome] = {
    "DONE": "success",
    "FAILED": "failure",
    "STARTED": "running",
    "EMPTY": "running",
    "SYNCING": "running",
    "WAITING_FOR_WALS": "success",  # copied, and set to DONE by itself as soon as its WAL arrived: told by a note
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENTRY = re.compile(
    r"(\S{1,200}) ([0-9]{8}T[0-9]{6})(?: '[^']{1,200}')?(?: - [A-Z]{1,2})? - "
    r"(?:\w{3} \w{3} [0-9 ]{2} [0-9:]{8} [0-9]{4} - Size: ([0-9.]{1,12} [KMGTPE]?i?B)|([A-Z_]{3,20}))"
)
_LATE = re.compile(r" - (WAITING_FOR_WALS|SYNCING|FAILED)$")
_TITLE = re.compile(r"Backup ([0-9]{8}T[0-9]{6}):$")
_FIELD = re.compile(r"\s{1,20}([A-Z][\w ]{2,40}?) *: (.{1,400})$")


def is_catalogue(document: Any) -> bool:
    """True for the documents of ``-f json show-backup`` and ``-f json list-backups``."""
    return any(True for _ in _backups(document)) if isinstance(document, dict) else False


def _backups(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for server, value in document.items():
        if isinstance(value, dict) and isinstance(value.get("base_backup_information"), dict):
            yield server, value
        elif isinstance(value, list):
            yield from ((server, one) for one in value if isinstance(one, dict) and {"backup_id", "status"} <= set(one))


def runs_of_catalogue(document: dict[str, Any], zone: tzinfo | None) -> tuple[JobLog, ...]:
    """One run per backup of the document."""
    return tuple(_shown(server, one, zone) for server, one in _backups(document))


def _shown(server: str, entry: dict[str, Any], zone: tzinfo | None) -> JobLog:
    base = nested(entry, "base_backup_information")
    found, sources = _first_sizes(base, entry)
    return _run(
        server,
        text(entry, "backup_id"),
        text(entry, "status"),
        sizes=found,
        sources=sources,
        started=iso(text(base, "begin_time"), zone),
        ended=iso(text(base, "end_time"), zone) or _unix_text(entry, "end_time_timestamp"),
        root=text(entry, "pgdata_directory"),
        chain=_chain(text(base, "backup_type") or text(entry, "backup_type")),
        error=text(base, "error") or text(entry, "error"),
    )


_PLACES = {
    "protected_bytes": ("cluster_size_bytes", "disk_usage_bytes", "size_bytes"),
    "stored_bytes": ("backup_size_bytes", "disk_usage_bytes", "size_bytes"),
    "transferred_bytes": ("incremental_size_bytes", "deduplicated_size_bytes"),
}


def _first_sizes(base: dict[str, Any], entry: dict[str, Any]) -> tuple[dict[str, int | None], dict[str, str]]:
    """Each size by the first of its words that the document has."""
    found: dict[str, int | None] = {}
    sources: dict[str, str] = {}
    for name, words in _PLACES.items():
        for word in words:
            size = whole(base, word) if whole(base, word) is not None else whole(entry, word)
            if size is not None:
                found[name], sources[name] = size, word
                break
    return found, sources


def _unix_text(entry: dict[str, Any], key: str) -> datetime | None:
    """Unix seconds, which Barman writes as a text."""
    printed = text(entry, key) or str(whole(entry, key) or "")
    return unix(int(printed)) if re.fullmatch(r"[0-9]{1,12}", printed) else None


def _chain(kind: str) -> int | None:
    """A backup that is not incremental stands alone, also one whose unchanged files are linked to an older one."""
    return 1 if kind in ("full", "rsync", "snapshot") else None


def runs_of_shown(body: Delivery, zone: tzinfo | None) -> tuple[JobLog, ...]:
    """The backups of show-backup and list-backups as text; none where the log is neither."""
    runs: list[JobLog] = []
    fields: dict[str, str] = {}
    for line in log_lines(body.stdout):
        if match := _TITLE.match(line.text):
            runs += [_shown_text(fields, zone)] if fields else []
            fields = {"label": match.group(1)}
        elif fields and (match := _FIELD.match(line.text)):
            fields.setdefault(match.group(1), match.group(2).strip())
        elif not fields and (match := _ENTRY.match(line.text)):
            runs.append(_listed_text(match))
    return (*runs, _shown_text(fields, zone)) if fields else tuple(runs)


def _listed_text(match: re.Match[str]) -> JobLog:
    """One line of list-backups. Its time is in the zone of the database, which the text does not name: left out."""
    size, state = match.group(3), _LATE.search(match.string[-60:])
    return _run(
        match.group(1),
        match.group(2),
        match.group(4) or (state.group(1) if state else "DONE"),
        sizes={"protected_bytes": printed_size(size), "stored_bytes": printed_size(size)} if size else {},
        sources={"protected_bytes": "Size", "stored_bytes": "Size"} if size else {},
        rounded=bool(size) and is_rounded(size),
    )


def asctime(printed: str, zone: tzinfo | None) -> datetime | None:
    """UTC of a local ``Sun Nov 22 21:32:46 2026``."""
    parts = printed.split()
    if len(parts) != 5 or parts[1] not in _MONTHS:
        return None
    return iso(f"{parts[4]}-{_MONTHS.index(parts[1]) + 1:02}-{parts[2].zfill(2)} {parts[3]}", zone)


def _shown_text(fields: dict[str, str], zone: tzinfo | None) -> JobLog:
    found: dict[str, int | None] = {}
    sources: dict[str, str] = {}
    for name, words in {
        "protected_bytes": ("Cluster size", "Disk usage"),
        "stored_bytes": ("Backup Size", "Backup size", "Disk usage"),
        "transferred_bytes": ("Incremental size",),
    }.items():
        word = next((word for word in words if word in fields), None)
        if word is not None:
            found[name], sources[name] = printed_size(fields[word].split(" (")[0]), word
    return _run(
        fields.get("Server Name", ""),
        fields["label"],
        fields.get("Status", ""),
        sizes=found,
        sources=sources,
        started=iso(fields.get("Begin time", ""), zone),
        ended=iso(fields.get("End time", ""), zone),
        root=fields.get("PGDATA directory", ""),
        rounded=bool(found),
        error=fields.get("Error", ""),
    )


def _run(
    server: str,
    label: str,
    state: str,
    *,
    sizes: dict[str, Any],
    sources: dict[str, str],
    started: datetime | None = None,
    ended: datetime | None = None,
    root: str = "",
    rounded: bool = False,
    chain: int | None = None,
    error: str = "",
) -> JobLog:
    outcome = _STATES.get(state.upper(), "unknown")
    kept = sizes if outcome == "success" else {}
    failed = outcome == "failure"
    message = f"backup {label} of {server} is {state}" + (f": {error}" if error else "")
    return JobLog(
        product="barman",
        operation="inventory",
        outcome=outcome,
        action="list",
        run_id=label,
        source_job=server,
        archive=label,
        roots=(root,) if root else (),
        started_at=started,
        ended_at=ended,
        rounded=rounded,
        sources={name: word for name, word in sources.items() if kept.get(name) is not None},
        basis=None if kept.get("protected_bytes") is None else "logical-once",
        chain_length=chain,
        errors=(LogError(message=message),) if failed else (),
        errors_total=1 if failed else 0,
        notes=("Barman has not received all the WAL files of this backup yet",) if state == "WAITING_FOR_WALS" else (),
        **kept,
    )
