"""N-able Cove Data Protection: the device statistics that its JSON-RPC method EnumerateAccountStatistics answers.

A row is a device; its Settings are pairs of column code and text: ``I`` columns of the device, ``F`` columns of a
session, with a data source before them (``D09F00``, also ``D9F0``), D09 being the total. Each device is a run of its
own: the answer tells of its last session only. The protected size is the selected size of that session.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, reached_all, rows_of, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Outcome, UnreadableLog, worst_outcome
from integrations.logs.json_documents import nested
from integrations.logs.troubles import Troubles

LABEL = "N-able Cove Data Protection"
MARKS = ('"AccountId"', '"Settings"')
GUIDE = Guide(
    releases="JSON-RPC API, column codes of 2021 and later; of the legacy codes those of the device and the total",
    written_from="the vendor's list of column codes and status values, and public clients of the API; no real answer",
    operations=("backup",),
    basis="used: what the client selected, as Cove counts it; how hard links count is not documented",
    sizes=(
        ("protected_bytes", "D09F03, last session selected size"),
        ("changed_bytes", "D09F04, last session processed size"),
        ("transferred_bytes", "D09F05, last session sent size"),
        ("stored_bytes", "I14, used storage"),
    ),
    cannot_tell=(
        "Sessions before the last one: ask at least as often as the devices back up.",
        "Whether a session's time is its start or end: it is taken as the end: no backup looks newer than it is.",
        "The words of an error: only their number (F06) is in the answer.",
        "The backup dashboard mails: their layout is not documented, so they wait in the inbox.",
    ),
    ways=(
        Way(
            "http",
            "Ask the API every hour and send the answer (cron)",
            "curl -sS https://api.backup.management/jsonapi -H 'Content-Type: application/json' --data '"
            '{"jsonrpc":"2.0","id":"1","visa":"\'"$VISA"\'","method":"EnumerateAccountStatistics","params":{"query":'
            '{"PartnerId":\'"$PARTNER"\',"SelectionMode":"Merged","StartRecordNumber":0,"RecordsCount":5000,"Columns":'
            '["I0","I1","I8","I14","I17","I18","D09F00","D09F03","D09F04","D09F05","D09F06","D09F09","D09F12","D09F15",'
            '"D01F00","D01F03","D01F15","D02F00","D10F00","D14F00"]}}}\' \\\n'
            '  | sed \'s/"visa": *"[^"]*"/"visa":""/\' \\\n'
            '  | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=n-able-cove"',
            note="VISA is what the method Login answers; it is cut out before the answer is sent. Each device is a "
            "run of its own and can be assigned to its client.",
        ),
    ),
)

_TOTAL = 9
_OUTCOMES: dict[int, Outcome] = {
    1: "running", 2: "failure", 3: "cancelled", 5: "success", 6: "failure", 7: "missed", 8: "warning",
    9: "running", 10: "failure", 11: "skipped", 12: "running",
}  # fmt: skip
_STATUS_WORDS = {
    1: "In process", 2: "Failed", 3: "Aborted", 5: "Completed", 6: "Interrupted", 7: "Not started",
    8: "Completed with errors", 9: "In progress with faults", 10: "Over quota", 11: "No selection", 12: "Restarted",
}  # fmt: skip
_SOURCES: dict[int, tuple[str, str]] = {
    1: ("data-source", "Files and folders"),
    2: ("vss-writer", "System state"),
    3: ("database", "MS SQL"),
    4: ("mailbox", "Exchange"),
    5: ("data-source", "Microsoft 365 SharePoint"),
    6: ("data-source", "Network shares"),
    7: ("vss-writer", "System state (VSS)"),
    8: ("vm", "VMware"),
    10: ("database", "MS SQL (VSS)"),
    11: ("data-source", "SharePoint"),
    12: ("database", "Oracle"),
    14: ("vm", "Hyper-V"),
    15: ("database", "MySQL"),
    19: ("mailbox", "Microsoft 365 Exchange"),
    20: ("data-source", "Microsoft 365 OneDrive"),
    23: ("data-source", "Microsoft 365 Teams"),
}
_RESTORES = (16, 17)  # virtual disaster recovery and bare metal restore: no sources of a backup
_CODE = re.compile(r"^(?:D([0-9]{1,2}))?F([0-9]{1,2})$")
_LEGACY_TOTAL = {"T0": 0, "T3": 3, "T7": 6, "TL": 9}

_Columns = dict[int, str]


def recognises(head: Head) -> bool:
    """Rows with an AccountId and Settings made of column codes, in the answer or alone."""
    return any(_sessions(_settings(row)) for row in _rows(head.document)[:20])


def _rows(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("result"), dict):
        document = document["result"]
    rows = listed_under(document, "result", "data") or rows_of(document)
    return [row for row in rows if "AccountId" in row and isinstance(row.get("Settings"), list | dict)]


def _settings(row: Mapping[str, Any]) -> dict[str, str]:
    """The pairs of a row as one mapping; values are texts in every answer."""
    return {
        key: str(value) for pair in rows_of(row.get("Settings")) for key, value in pair.items() if value is not None
    }


def _sessions(settings: Mapping[str, str]) -> dict[int, _Columns]:
    """Columns of the last session by data source and number; a code without a data source is of the total."""
    found: dict[int, _Columns] = {}
    for code, value in settings.items():
        match = _CODE.match(code)
        if match is not None:
            found.setdefault(int(match.group(1) or _TOTAL), {})[int(match.group(2))] = value
        elif code in _LEGACY_TOTAL:
            found.setdefault(_TOTAL, {}).setdefault(_LEGACY_TOTAL[code], value)
    return found


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each device of the answer."""
    document = context.head.document
    rows = _rows(document)
    if not rows:
        error = nested(document, "error") if isinstance(document, dict) else {}
        raise UnreadableLog(words(error, "message") or "this JSON holds no rows of device statistics")
    return tuple(_job_log(row) for row in rows)


def _job_log(row: Mapping[str, Any]) -> JobLog:
    settings = _settings(row)
    sessions = _sessions(settings)
    components = _components(sessions)
    total = sessions.get(_TOTAL, {})
    outcome = _outcome(total, components)
    at = _session_time(total, outcome) or _latest(sessions, outcome)
    device = words(settings, "I0", "AU") or words(row, "AccountId")
    troubles = _troubles(total, outcome, components)
    sizes = _sizes(total, settings, outcome)
    return JobLog(
        product="n-able-cove",
        operation="backup",
        outcome=outcome,
        run_id=f"{device}-{int(at.timestamp())}" if at else "",
        source_job=words(settings, "I1", "AN"),
        item=words(settings, "I1", "AN") or device,
        host=words(settings, "I18", "MN"),
        account=words(settings, "I8", "AR"),
        product_version=words(settings, "I17", "VN"),
        started_at=at if outcome == "running" else None,
        ended_at=None if outcome == "running" else at,
        duration_seconds=None if outcome == "running" else _seconds(total),
        basis=None if sizes["protected_bytes"] is None else "used",
        complete=reached_all(outcome),
        files=_counts(total) if outcome in ("success", "warning") else {},
        errors=troubles.kept,
        errors_total=max(troubles.total, amount(total.get(6)) or 0),
        components=components,
        notes=("the device has no session yet",) if not at and amount(total.get(0)) in (None, 0) else (),
        **sizes,
    )


def _outcome(total: _Columns, components: tuple[Component, ...]) -> Outcome:
    status = amount(total.get(0))
    if status is None:
        return worst_outcome([one.outcome for one in components])
    return _OUTCOMES.get(status, "unknown")


def _session_time(columns: _Columns, outcome: Outcome) -> datetime | None:
    """F15 is the last session; a good one is also the last successful (F09) or the last completed (F18)."""
    told = moment(columns.get(15))
    if told is None and outcome in ("success", "warning"):
        told = moment(columns.get(18))
    return moment(columns.get(9)) if told is None and outcome == "success" else told


def _latest(sessions: Mapping[int, _Columns], outcome: Outcome) -> datetime | None:
    """The newest session of any data source, for answers without the total."""
    times = [
        at
        for source, columns in sessions.items()
        if source not in (_TOTAL, *_RESTORES) and (at := _session_time(columns, outcome))
    ]
    return max(times) if times else None


def _seconds(total: _Columns) -> float | None:
    seconds = amount(total.get(12))
    return None if seconds is None else float(seconds)


def _sizes(total: _Columns, settings: Mapping[str, str], outcome: Outcome) -> dict[str, Any]:
    ended_well = outcome in ("success", "warning")
    sizes: dict[str, Any] = {
        "protected_bytes": amount(total.get(3)) if ended_well else None,
        "changed_bytes": amount(total.get(4)) if ended_well else None,
        "transferred_bytes": amount(total.get(5)) if ended_well else None,
        "stored_bytes": amount(settings.get("I14", settings.get("US"))),
    }
    origin = {"protected_bytes": "F03", "changed_bytes": "F04", "transferred_bytes": "F05", "stored_bytes": "I14"}
    return {**sizes, "sources": {key: origin[key] for key, value in sizes.items() if value is not None}}


def _counts(total: _Columns) -> dict[str, int]:
    named = {"total": amount(total.get(1)), "changed": amount(total.get(2))}
    return {key: value for key, value in named.items() if value is not None}


def _components(sessions: Mapping[int, _Columns]) -> tuple[Component, ...]:
    """One for each data source with a session; a source that never ran has status 0."""
    found = []
    for source in sorted(sessions):
        status = amount(sessions[source].get(0))
        if source != _TOTAL and source not in _RESTORES and status:
            found.append(_component(source, status, sessions[source]))
    return tuple(found)


def _component(source: int, status: int, columns: _Columns) -> Component:
    kind, name = _SOURCES.get(source, ("data-source", f"D{source:02}"))
    outcome = _OUTCOMES.get(status, "unknown")
    ended_well = outcome in ("success", "warning")
    return Component(
        type=kind,
        name=name,
        outcome=outcome,
        protected_bytes=amount(columns.get(3)) if ended_well else None,
        transferred_bytes=amount(columns.get(5)) if ended_well else None,
        message=_STATUS_WORDS.get(status, f"status {status}"),
    )


def _troubles(total: _Columns, outcome: Outcome, components: tuple[Component, ...]) -> Troubles:
    troubles = Troubles()
    status = amount(total.get(0))
    if outcome not in ("success", "running") and status:
        errors = amount(total.get(6))
        told = _STATUS_WORDS.get(status, f"status {status}") + (f", {errors} errors" if errors else "")
        hard = outcome in ("failure", "missed", "cancelled")
        troubles.add(f"Last session: {told}", severity="error" if hard else "warning", code=str(status))
    for one in components:
        if one.outcome in ("failure", "missed", "cancelled", "warning"):
            hard = one.outcome != "warning"
            troubles.add(f"{one.name}: {one.message}", severity="error" if hard else "warning", component=one.name)
    return troubles
