"""Writes runs and job states: the *record* step of the pipeline, in its transaction, in a fixed number of statements.

State rows are locked first, in job order; facts are read after the lock. A run that is known is compared: the same
values write nothing, other values keep the old ones as a revision. With ``replacing`` (a replay) the runs of those
receipts are replaced as a set. States are folded on, or folded again from all runs where a run was not the newest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

import orjson
from django.db import connection

from msp.backups.folding import EMPTY, RunValues, StateValues, fold, needs_refold
from msp.backups.gates import Tolerance
from msp.backups.histories import Folded, Habits, read_habits, store_histories
from msp.backups.run_reading import load_runs, read_components, rows_of, run_values
from msp.backups.run_rows import Row, RunKey, build_row, goes_back, key_of, newest_readings
from msp.backups.runs import AssignedRun, Measurement
from msp.partitions import next_month

#: Operations that make a copy of the source, and parts of a run that a client would count.
COPYING = ("backup", "copy")
COUNTED = ("database", "mailbox", "vm")

Change = Literal["new", "changed", "same", "removed"]

#: The columns that say what was read: a difference in one of them makes a revision.
READ_COLUMNS = (
    "selection_id", "client_id", "receipt_id", "place", "operation", "action", "outcome", "good", "complete",
    "measurable", "started_at", "ended_at", "time_told", "duration_seconds", "protected_bytes", "changed_bytes",
    "transferred_bytes", "stored_bytes", "restored_bytes", "freed_bytes", "sources", "basis", "chain_length",
    "last_full_at", "checksum_ok", "product", "product_version", "host",
    "archive", "files", "files_failed", "errors", "errors_total", "components", "problems", "notes", "exit_code",
    "first_line", "last_line",
)  # fmt: skip
#: Where a run came from; another delivery of the same run does not make it another run.
ORIGIN_COLUMNS = frozenset({"receipt_id", "place"})
KEY_COLUMNS = ("job_id", "run_key", "filed_month")

COLUMN_TYPES = (
    "job_id bigint, run_key text, filed_month date, selection_id bigint, client_id bigint, receipt_id bigint, "
    "place int, operation text, action text, outcome text, good boolean, complete boolean, measurable boolean, "
    "started_at timestamptz, ended_at timestamptz, time_told boolean, duration_seconds numeric(14, 3), "
    "protected_bytes bigint, changed_bytes bigint, transferred_bytes bigint, stored_bytes bigint, "
    "restored_bytes bigint, freed_bytes bigint, sources jsonb, basis text, chain_length int, last_full_at timestamptz, "
    "checksum_ok boolean, product text, product_version text, host text, "
    "archive text, files jsonb, files_failed int, errors jsonb, errors_total int, components jsonb, problems jsonb, "
    "notes jsonb, exit_code int, first_line int, last_line int, revision int"
)


@dataclass(frozen=True)
class RunChange:
    """What recording did to one run; ``was`` and ``now`` are outcomes, "" where there was or is none."""

    change: Change
    job_id: int
    run_key: str
    receipt_id: int
    was: str
    now: str


@dataclass(frozen=True)
class Recorded:
    """What a batch changed: the jobs and clients to evaluate, and what the ledger must enter or withdraw."""

    job_ids: tuple[int, ...]
    client_ids: tuple[int, ...]
    measurements: tuple[Measurement, ...]
    changes: tuple[RunChange, ...]


def record_runs(
    tenant_id: int, runs: Sequence[AssignedRun], *, now: datetime, replacing: Collection[int] = ()
) -> Recorded:
    """Record a batch of one tenant. Locks JobState rows (by job id) until the caller's transaction ends.

    ``replacing`` are receipts read again: runs of theirs that are not in ``runs`` any more are removed.
    """
    if not runs and not replacing:
        return Recorded((), (), (), ())
    job_ids = sorted({run.job_id for run in runs} | {row["job_id"] for row in load_receipt_runs(tenant_id, replacing)})
    states = lock_states(tenant_id, job_ids)
    # Read again under the lock: meanwhile another receipt may have told one of these runs, which is then its own.
    replaced = [row for row in load_receipt_runs(tenant_id, replacing) if row["job_id"] in states]
    settings = load_job_settings(tenant_id, job_ids)
    readings = newest_readings(build_row(run, tolerance=tolerance_of(run, settings)) for run in runs)
    known = {**load_known(tenant_id, readings.values()), **{key_of(row): row for row in replaced}}
    written, changes = compare(readings, known=known)
    removed = [row for row in replaced if key_of(row) not in readings]
    changes += [run_change("removed", row, was=row["outcome"], now="") for row in removed]
    keep_revisions(tenant_id, [known[key_of(row)] for row in written if key_of(row) in known], removed=removed, now=now)
    write_runs(tenant_id, written, now=now)
    remove_runs(tenant_id, removed)
    folded = refold(tenant_id, states, written=written, known=known, removed=removed)
    store_states(tenant_id, {one.job_id: one.after for one in folded})
    store_histories(tenant_id, folded, {job_id: one.habits for job_id, one in settings.items()})
    return Recorded(
        job_ids=tuple(job_ids),
        client_ids=tuple(sorted({row["client_id"] for row in [*written, *removed]})),
        measurements=tuple(measurements(written, known=known, removed=removed)),
        changes=tuple(changes),
    )


def tolerance_of(run: AssignedRun, settings: Mapping[int, JobSettings]) -> Tolerance:
    return settings[run.job_id].tolerance if run.job_id in settings else Tolerance()


# --- reading -----------------------------------------------------------------------------------------------------


def load_receipt_runs(tenant_id: int, receipt_ids: Collection[int]) -> list[Row]:
    """The runs that came from these receipts; no query for none."""
    if not receipt_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM backups_jobrun WHERE tenant_id = %s AND receipt_id = ANY(%s)", [tenant_id, list(receipt_ids)]
        )
        return rows_of(cursor)


def lock_states(tenant_id: int, job_ids: Sequence[int]) -> dict[int, StateValues]:
    """Lock the state rows in job order and read them; a job without a row (made by hand) gets one first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO backups_jobstate (job_id, tenant_id, last_run_key, last_outcome, failures_in_row, "
            "warnings_in_row, reports_data, last_verify_outcome, last_restore_outcome, last_errors, runs_seen) "
            "SELECT id, tenant_id, '', '', 0, 0, false, '', '', '[]', 0 FROM backups_backupjob "
            "WHERE tenant_id = %s AND id = ANY(%s) ORDER BY id ON CONFLICT (job_id) DO NOTHING",
            [tenant_id, list(job_ids)],
        )
        cursor.execute(
            "SELECT * FROM backups_jobstate WHERE tenant_id = %s AND job_id = ANY(%s) ORDER BY job_id FOR UPDATE",
            [tenant_id, list(job_ids)],
        )
        return {row["job_id"]: read_state(row) for row in rows_of(cursor)}


STATE_FIELDS = tuple(field.name for field in fields(StateValues))
#: Stored as "" where there is none yet.
OUTCOME_FIELDS = ("last_outcome", "last_verify_outcome", "last_restore_outcome", "last_replicate_outcome")


def read_state(row: Mapping[str, Any]) -> StateValues:
    values = {name: row[name] for name in STATE_FIELDS}
    errors = values["last_errors"]
    values["last_errors"] = tuple(orjson.loads(errors) if isinstance(errors, str) else errors)
    values["components"] = read_components(values["components"])
    for name in OUTCOME_FIELDS:
        values[name] = values[name] or None
    return StateValues(**values)


@dataclass(frozen=True)
class JobSettings:
    """What recording needs to know of a job beside its runs."""

    tolerance: Tolerance
    habits: Habits


JOB_SETTINGS = """
SELECT job.id, policy.tolerated_files, policy.tolerated_share, job.schedule, job.registered_at,
       coalesce(nullif(job.timezone, ''), nullif(client.timezone, ''), tenant.timezone), history.learned
FROM backups_backupjob job
JOIN tenants_tenant tenant ON tenant.id = job.tenant_id
JOIN estate_selection selection ON selection.id = job.selection_id
JOIN estate_client client ON client.id = selection.client_id
LEFT JOIN backups_jobhistory history ON history.job_id = job.id
LEFT JOIN LATERAL (
    SELECT chosen.tolerated_files, chosen.tolerated_share FROM estate_policyassignment assigned
    JOIN estate_policy chosen ON chosen.id = assigned.policy_id
    WHERE assigned.tenant_id = job.tenant_id AND (assigned.scope_kind, assigned.scope_id) IN (
        ('job', job.id), ('selection', selection.id), ('client', client.id), ('reseller', client.reseller_id),
        ('tenant', job.tenant_id))
    ORDER BY array_position(ARRAY['job', 'selection', 'client', 'reseller', 'tenant'], assigned.scope_kind::text)
    LIMIT 1
) AS policy ON true
WHERE job.tenant_id = %s AND job.id = ANY(%s)
"""


def load_job_settings(tenant_id: int, job_ids: Sequence[int]) -> dict[int, JobSettings]:
    """What each job's policy tolerates (the nearest assignment wins), and what is known of its habits."""
    with connection.cursor() as cursor:
        cursor.execute(JOB_SETTINGS, [tenant_id, list(job_ids)])
        return {
            job_id: JobSettings(
                tolerance=Tolerance() if files is None else Tolerance(files=files, share=share),
                habits=read_habits(zone=zone, registered_at=registered_at, schedule=schedule, learned=learned),
            )
            for job_id, files, share, schedule, registered_at, zone, learned in cursor.fetchall()
        }


def load_known(tenant_id: int, rows: Collection[Row]) -> dict[RunKey, Row]:
    """Stored runs with these keys, in the month of filing or one beside it; a known run keeps its month."""
    if not rows:
        return {}
    wanted = [{"job_id": row["job_id"], "run_key": row["run_key"]} for row in rows]
    months = {next_month(row["filed_month"], steps=step) for row in rows for step in (-1, 0, 1)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT run.* FROM jsonb_to_recordset(%s::jsonb) AS wanted(job_id bigint, run_key text) "
            "JOIN backups_jobrun run ON run.tenant_id = %s AND run.job_id = wanted.job_id "
            "AND run.run_key = wanted.run_key WHERE run.filed_month = ANY(%s)",
            [orjson.dumps(wanted).decode(), tenant_id, sorted(months)],
        )
        known = {key_of(row): row for row in rows_of(cursor)}
    for row in rows:
        if key_of(row) in known:
            row["filed_month"] = known[key_of(row)]["filed_month"]
    return known


# --- deciding what to write --------------------------------------------------------------------------------------


def compare(readings: Mapping[RunKey, Row], *, known: Mapping[RunKey, Row]) -> tuple[list[Row], list[RunChange]]:
    """The rows to write (new, or read differently than stored) and what is said of each."""
    written: list[Row] = []
    changes: list[RunChange] = []
    for key, row in readings.items():
        stored = known.get(key)
        if stored is None:
            changes.append(run_change("new", row, was="", now=row["outcome"]))
            written.append(row)
        elif goes_back(row, stored) or same_reading(row, stored):
            changes.append(run_change("same", stored, was=stored["outcome"], now=stored["outcome"]))
        else:
            row["filed_month"] = stored["filed_month"]
            row["revision"] = stored["revision"] + 1
            changes.append(run_change("changed", row, was=stored["outcome"], now=row["outcome"]))
            written.append(row)
    return written, changes


def same_reading(row: Row, stored: Row) -> bool:
    """Whether a run is stored as it was read now. A time taken from the arrival does not make it another reading."""
    ignored = set(ORIGIN_COLUMNS)
    if not row["time_told"]:
        ignored.add("ended_at")
    return all(row[name] == stored[name] for name in READ_COLUMNS if name not in ignored)


def run_change(change: Change, row: Row, *, was: str, now: str) -> RunChange:
    return RunChange(change, row["job_id"], row["run_key"], row["receipt_id"], was, now)


# --- writing -----------------------------------------------------------------------------------------------------


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows, default=str).decode()


def keep_revisions(tenant_id: int, changed: Sequence[Row], *, removed: Sequence[Row], now: datetime) -> None:
    kept = [
        {"run_id": row["id"], "job_id": row["job_id"], "revision": row["revision"], "reason": reason, "values": row}
        for rows, reason in ((changed, "read again"), (removed, "no longer in its receipt"))
        for row in rows
    ]
    if not kept:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO backups_jobrunrevision (uid, tenant_id, run_id, job_id, revision, values, reason, at) "
            "SELECT gen_random_uuid(), %s, run_id, job_id, revision, values, reason, %s "
            "FROM jsonb_to_recordset(%s::jsonb) "
            "AS kept(run_id bigint, job_id bigint, revision int, values jsonb, reason text)",
            [tenant_id, now, as_json(kept)],
        )


def write_runs(tenant_id: int, rows: Sequence[Row], *, now: datetime) -> None:
    """Insert or replace, in key order (two batches never lock runs crosswise; their jobs are locked anyway)."""
    if not rows:
        return
    columns = [*KEY_COLUMNS, *READ_COLUMNS, "revision"]
    changes = ", ".join(f"{name} = excluded.{name}" for name in [*READ_COLUMNS, "revision", "recorded_at"])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO backups_jobrun (tenant_id, recorded_at, {', '.join(columns)}) "  # noqa: S608
            f"SELECT %s, %s, {', '.join(columns)} FROM jsonb_to_recordset(%s::jsonb) AS run({COLUMN_TYPES}) "
            f"ON CONFLICT (tenant_id, job_id, run_key, filed_month) DO UPDATE SET {changes}",
            [tenant_id, now, as_json(sorted(rows, key=key_of))],
        )


def remove_runs(tenant_id: int, rows: Sequence[Row]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM backups_jobrun run USING jsonb_to_recordset(%s::jsonb) "
            "AS gone(job_id bigint, run_key text, filed_month date) WHERE run.tenant_id = %s "
            "AND run.job_id = gone.job_id AND run.run_key = gone.run_key AND run.filed_month = gone.filed_month",
            [as_json([{name: row[name] for name in KEY_COLUMNS} for row in rows]), tenant_id],
        )


# --- states ------------------------------------------------------------------------------------------------------


def refold(
    tenant_id: int,
    states: Mapping[int, StateValues],
    *,
    written: Sequence[Row],
    known: Mapping[RunKey, Row],
    removed: Sequence[Row],
) -> list[Folded]:
    """Fold the new runs onto the states, or all runs of a job again where something older changed."""
    again = {row["job_id"] for row in removed} | {row["job_id"] for row in written if key_of(row) in known}
    fresh: dict[int, list[RunValues]] = {}
    for row in written:
        fresh.setdefault(row["job_id"], []).append(run_values(row))
    again |= {job for job, runs in fresh.items() if any(needs_refold(states[job], run) for run in runs)}
    folded = [
        Folded(job_id=job, runs=runs, before=states[job], after=fold(states[job], runs))
        for job, runs in fresh.items()
        if job not in again
    ]
    older = load_runs(tenant_id, again)
    for job in again:
        runs = older.get(job, [])
        folded.append(Folded(job_id=job, runs=runs, before=EMPTY, after=fold(EMPTY, runs), again=True))
    return folded


STATE_TYPES = (
    "job_id bigint, last_run_at timestamptz, last_run_key text, last_outcome text, last_good_at timestamptz, "
    "last_success_at timestamptz, last_failure_at timestamptz, first_failure_at timestamptz, failures_in_row int, "
    "warnings_in_row int, last_data_at timestamptz, reports_data boolean, protected_bytes bigint, "
    "protected_at timestamptz, transferred_bytes bigint, transferred_at timestamptz, stored_bytes bigint, "
    "stored_at timestamptz, running_since timestamptz, last_verify_at timestamptz, last_verify_outcome text, "
    "last_restore_at timestamptz, last_restore_outcome text, last_errors jsonb, runs_seen bigint, "
    "last_started_at timestamptz, last_verify_try_at timestamptz, last_restore_try_at timestamptz, "
    "restore_seconds int, restored_bytes bigint, checksum_ok boolean, last_replicate_at timestamptz, "
    "last_replicate_outcome text, chain_length int, last_full_at timestamptz, components jsonb, "
    "reports_components boolean, skewed_at timestamptz, skew_seconds int"
)


def store_states(tenant_id: int, states: Mapping[int, StateValues]) -> None:
    if not states:
        return
    rows = [{"job_id": job, **state_row(state)} for job, state in sorted(states.items())]
    changes = ", ".join(f"{name} = new.{name}" for name in STATE_FIELDS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE backups_jobstate state SET {changes} FROM jsonb_to_recordset(%s::jsonb) AS new({STATE_TYPES}) "  # noqa: S608
            "WHERE state.tenant_id = %s AND state.job_id = new.job_id",
            [as_json(rows), tenant_id],
        )


def state_row(state: StateValues) -> Row:
    values = dict(vars(state))
    for name in OUTCOME_FIELDS:
        values[name] = values[name] or ""
    return values


# --- what the ledger hears ---------------------------------------------------------------------------------------


def measurements(
    written: Sequence[Row], *, known: Mapping[RunKey, Row], removed: Sequence[Row]
) -> Iterable[Measurement]:
    """One for each run that measures, and one that withdraws for each that did and no longer does."""
    for row in written:
        stored = known.get(key_of(row))
        if row["measurable"]:
            if stored is not None and stored["measurable"] and stored["selection_id"] != row["selection_id"]:
                yield measurement(stored, withdraw=True, reason="assigned to another selection")
            yield measurement(row, withdraw=False, reason="recorded" if stored is None else "read again")
        elif stored is not None and stored["measurable"]:
            yield measurement(stored, withdraw=True, reason="read again")
    for row in removed:
        if row["measurable"]:
            yield measurement(row, withdraw=True, reason="no longer in its receipt")


def measurement(row: Row, *, withdraw: bool, reason: str) -> Measurement:
    sizes = {
        f"{name}_bytes": None if withdraw or (row[f"{name}_bytes"] or 0) < 0 else row[f"{name}_bytes"]
        for name in ("protected", "stored", "transferred")
    }
    return Measurement(
        job_id=row["job_id"],
        selection_id=row["selection_id"],
        client_id=row["client_id"],
        run_key=row["run_key"],
        filed_month=row["filed_month"],
        measured_at=row["ended_at"],
        basis=row["basis"],
        reason=reason,
        protects=not withdraw and row["operation"] in COPYING,
        host=row["host"],
        components=None if withdraw else counted_components(row["components"]),
        **sizes,
    )


def counted_components(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...] | None:
    """The parts of a run that are counted, as far as they were copied; None for a run that tells of no such part."""
    parts = [part for part in rows if part["type"] in COUNTED]
    done = tuple((part["type"], part["name"]) for part in parts if part["outcome"] in ("success", "warning"))
    return done if parts else None
