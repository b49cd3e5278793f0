"""The row of a run: what it is called, when it ended, where it is filed, and its columns as they will be stored.

Called by recording, before anything is locked or written. Pure: the same run makes the same row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from integrations.logs.joblog import Component, JobLog
from msp.backups.gates import Tolerance, find_problems, judge_log
from msp.backups.runs import AssignedRun
from msp.partitions import month_of

#: An end further before its arrival than this is not believed for filing; the run is filed by its arrival.
OLDEST_PLAUSIBLE = timedelta(days=730)

Row = dict[str, Any]
RunKey = tuple[int, str]

SIZES = ("protected", "changed", "transferred", "stored", "restored", "freed")
LARGEST = 2**63 - 1
MOST_COUNTED = 2**31 - 1


def key_of(row: Mapping[str, Any]) -> RunKey:
    return row["job_id"], row["run_key"]


def name_run(run: AssignedRun) -> str:
    """The run's key: what its log says of itself (id, else start), else its delivery and place in it."""
    log = run.log
    if log.run_id:
        name = f"{log.operation}/id:{log.run_id}"
    elif log.started_at is not None:
        name = f"{log.operation}/start:{log.started_at.astimezone(UTC).isoformat()}"
    else:
        name = f"{log.operation}/delivery:{run.delivery_key}#{run.place}"
    if log.item:
        name = f"{log.item}/{name}"
    return name if len(name) <= 200 else f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def end_of(run: AssignedRun) -> tuple[datetime, bool]:
    """When the run ended, and whether the log told it; else what the sender says, else the arrival."""
    log = run.log
    if log.ended_at is not None:
        return log.ended_at, True
    if log.started_at is not None:
        if log.outcome == "running":
            return log.started_at, True
        if log.duration_seconds is not None and 0 <= log.duration_seconds < OLDEST_PLAUSIBLE.total_seconds():
            return log.started_at + timedelta(seconds=log.duration_seconds), True
        if run.told_end is None:
            return log.started_at, True
    return run.told_end or run.received_at, False


def file_month(ended_at: datetime, *, received_at: datetime) -> date:
    """The month a run is filed in: of its end if that is plausible against its arrival, else of its arrival."""
    plausible = received_at - OLDEST_PLAUSIBLE <= ended_at <= received_at + timedelta(days=1)
    return month_of((ended_at if plausible else received_at).astimezone(UTC).date())


def build_row(run: AssignedRun, *, tolerance: Tolerance) -> Row:
    """All columns of a run, as they will be stored; and when it came in, which its receipt keeps."""
    log = run.log
    ended_at, told = end_of(run)
    problems = [
        *log.problems,
        *find_problems(replace(log, ended_at=log.ended_at or ended_at), received_at=run.received_at),
    ]
    problems = list(dict.fromkeys(problems))
    gates = judge_log(log, problems=problems, policy=tolerance)
    return {
        "job_id": run.job_id,
        "run_key": name_run(run),
        "arrived_at": run.received_at,
        "filed_month": file_month(ended_at, received_at=run.received_at),
        "selection_id": run.selection_id,
        "client_id": run.client_id,
        "receipt_id": run.receipt_id,
        "place": run.place,
        "operation": log.operation,
        "action": log.action[:40],
        "outcome": log.outcome,
        "good": gates.good,
        "complete": gates.complete,
        "measurable": gates.measurable,
        "started_at": log.started_at or run.told_start,
        "ended_at": ended_at,
        "time_told": told,
        "duration_seconds": whole_milliseconds(log.duration_seconds),
        **{f"{name}_bytes": plausible_size(log, f"{name}_bytes") for name in SIZES},
        "sources": dict(log.sources),
        "basis": log.basis or "",
        "chain_length": None if log.chain_length is None else min(log.chain_length, MOST_COUNTED),
        "last_full_at": log.last_full_at,
        "checksum_ok": log.checksum_ok,
        "product": log.product[:60],
        "product_version": log.product_version[:60],
        "host": log.host[:255],
        "archive": log.archive[:300],
        "files": dict(log.files),
        "files_failed": None if log.files_failed is None else min(log.files_failed, MOST_COUNTED),
        "errors": [asdict(error) for error in log.errors],
        "errors_total": min(max(log.errors_total, len(log.errors)), MOST_COUNTED),
        "components": [component_row(component) for component in log.components],
        "problems": problems,
        "notes": list(log.notes),
        "exit_code": log.exit_code,
        "first_line": log.lines[0] if log.lines else None,
        "last_line": log.lines[1] if log.lines else None,
        "revision": 0,
    }


def component_row(component: Component) -> Row:
    """What is told of one part; what is not told takes no room."""
    return {name: value for name, value in asdict(component).items() if value not in (None, "")}


def plausible_size(log: JobLog, name: str) -> int | None:
    """The size if the column can hold it; a negative one is kept, since it is shown (and never billed)."""
    size = getattr(log, name)
    return size if isinstance(size, int) and abs(size) <= LARGEST else None


def whole_milliseconds(seconds: float | None) -> Decimal | None:
    if seconds is None or abs(seconds) > 10**10:
        return None
    return Decimal(str(seconds)).quantize(Decimal("0.001"))


def newest_readings(rows: Iterable[Row]) -> dict[RunKey, Row]:
    """One row a run: of several in a batch the last counts, but a run once finished is never running again."""
    newest: dict[RunKey, Row] = {}
    for row in rows:
        earlier = newest.get(key_of(row))
        if earlier is None or not goes_back(row, earlier):
            newest[key_of(row)] = row
    return newest


def goes_back(row: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """A "running" that arrives after the end of the same run."""
    return bool(row["outcome"] == "running" and known["outcome"] != "running")
