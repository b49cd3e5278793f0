"""Reads runs for the fold: a row that was just built or is stored becomes ``RunValues``, all runs of a job are loaded.

Called by recording under the lock of the job's state row. A new row and the same row read back from the database give
the same values, so that folding on and folding again agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from msp.backups.folding import COMPONENT_TROUBLE, ComponentValues, RunValues
from msp.backups.gates import FUTURE_SKEW
from msp.backups.run_rows import MOST_COUNTED, Row

TELLING_LINES = 5
#: Characters of a component's name and message that the state keeps.
NAME_LENGTH, MESSAGE_LENGTH = 200, 300

JSON_COLUMNS = frozenset({"sources", "files", "errors", "components", "problems", "notes"})

#: What a run tells is read from its own row; when it came in only of those whose times may lie in the future.
LOAD = """
SELECT run.job_id, run.run_key, run.operation, run.outcome, run.ended_at, run.started_at, run.time_told,
       run.good, run.measurable, run.problems, run.duration_seconds, run.protected_bytes, run.transferred_bytes,
       run.changed_bytes, run.stored_bytes, run.restored_bytes, run.chain_length, run.last_full_at, run.checksum_ok,
       jsonb_path_query_array(run.errors, %(lines)s::jsonpath) AS errors,
       run.components <> '[]' AS names_components,
       jsonb_path_query_array(run.components, %(troubled)s::jsonpath) AS components,
       coalesce(receipt.received_at, run.recorded_at) AS arrived_at
FROM backups_jobrun run
LEFT JOIN ingest_receipt receipt
  ON receipt.tenant_id = run.tenant_id AND receipt.id = run.receipt_id AND run.problems <> '[]'
WHERE run.tenant_id = %(tenant)s AND run.job_id = ANY(%(jobs)s)
      AND (%(since)s::timestamptz IS NULL OR run.ended_at >= %(since)s) ORDER BY run.job_id, run.ended_at, run.run_key
"""
TROUBLED = "$[*] ? ({})".format(" || ".join(f'@.outcome == "{outcome}"' for outcome in COMPONENT_TROUBLE))


def rows_of(cursor: Any) -> list[Row]:
    """All rows of a statement by name, with their JSON read."""
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
    for row in rows:
        for name in JSON_COLUMNS & row.keys():
            if isinstance(row[name], str):
                row[name] = orjson.loads(row[name])
    return rows


def load_runs(tenant_id: int, job_ids: Collection[int], *, since: datetime | None = None) -> dict[int, list[RunValues]]:
    """Every run of these jobs, or those that ended since then, oldest first; no query for none."""
    if not job_ids:
        return {}
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "jobs": sorted(job_ids),
        "lines": f"$[0 to {TELLING_LINES - 1}]",
        "since": since,
    }
    with connection.cursor() as cursor:
        cursor.execute(LOAD, {**values, "troubled": TROUBLED})
        runs: dict[int, list[RunValues]] = {}
        for row in rows_of(cursor):
            runs.setdefault(row["job_id"], []).append(run_values(row))
    return runs


def run_values(row: Mapping[str, Any]) -> RunValues:
    """What the fold needs of a stored or new row."""
    components = row["components"]
    return RunValues(
        run_key=row["run_key"],
        operation=row["operation"],
        outcome=row["outcome"],
        ended_at=row["ended_at"],
        started_at=row["started_at"],
        good=row["good"],
        measurable=row["measurable"],
        problems=bool(row["problems"]),
        protected_bytes=row["protected_bytes"],
        transferred_bytes=row["transferred_bytes"],
        changed_bytes=row["changed_bytes"],
        stored_bytes=row["stored_bytes"],
        restored_bytes=row["restored_bytes"],
        duration_seconds=duration_of(row),
        chain_length=row["chain_length"],
        last_full_at=row["last_full_at"],
        checksum_ok=row["checksum_ok"],
        errors=tuple(telling_line(error) for error in row["errors"][:TELLING_LINES]),
        names_components=row.get("names_components", bool(components)),
        components=tuple(troubled(components, ended_at=row["ended_at"])) if components else (),
        arrived_at=row["arrived_at"],
        skew_seconds=skew_of(row) if row["problems"] else 0,
    )


def telling_line(error: Mapping[str, Any]) -> str:
    path, message = error.get("path"), str(error.get("message", ""))
    return f"{path}: {message}" if path and path not in message else message


def duration_of(row: Mapping[str, Any]) -> int | None:
    """Whole seconds: as the log tells them, else from its start to its end; None where one of them is a guess."""
    told = row["duration_seconds"]
    if told is not None:
        return min(int(told), MOST_COUNTED) if told >= 0 else None
    if not row["time_told"] or row["started_at"] is None or row["ended_at"] <= row["started_at"]:
        return None
    return int((row["ended_at"] - row["started_at"]).total_seconds())


def skew_of(row: Mapping[str, Any]) -> int:
    """By how many seconds the run's times lie in the future of its arrival; 0 within what is tolerated."""
    ahead = max(moment - row["arrived_at"] for moment in (row["started_at"], row["ended_at"]) if moment is not None)
    return min(int(ahead.total_seconds()), MOST_COUNTED) if ahead > FUTURE_SKEW else 0


def troubled(components: Sequence[Mapping[str, Any]], *, ended_at: datetime) -> Iterable[ComponentValues]:
    """The components of a run that were not good."""
    for one in components:
        if one["outcome"] in COMPONENT_TROUBLE:
            yield ComponentValues(
                name=(one.get("name") or one["type"])[:NAME_LENGTH],
                outcome=one["outcome"],
                since=ended_at,
                message=one.get("message", "")[:MESSAGE_LENGTH],
            )


def read_components(told: Any) -> tuple[ComponentValues, ...]:
    """The components that a state row keeps."""
    return tuple(
        ComponentValues(**{**one, "since": datetime.fromisoformat(one["since"])})
        for one in (orjson.loads(told) if isinstance(told, str) else told)
    )
