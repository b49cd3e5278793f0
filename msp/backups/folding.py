"""A job's state is a fold over its runs, ordered by (ended_at, run key); this is that fold, and nothing else.

Recording folds new runs onto the stored state; where a run is not newer than what was folded (late, repeated, replaced
by a replay), it folds all runs of the job again from the empty state. Both ways give the same values, in whatever order
and however often the deliveries came. Only backup and copy move the backup clocks; verify and restore have their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations.logs.joblog import Operation, Outcome

BACKUP_OPERATIONS: frozenset[Operation] = frozenset({"backup", "copy"})


class RefoldNeeded(ValueError):
    """A run is not newer than what the state was folded from: fold all runs of the job from ``EMPTY``."""


@dataclass(frozen=True, kw_only=True)
class RunValues:
    """What the fold needs of a run. ``ended_at`` of a run that is still running is its start.

    ``problems`` says that the run holds values that cannot be true: it is history, and moves nothing.
    ``errors`` are the telling lines of the log, most telling first.
    """

    run_key: str
    operation: Operation
    outcome: Outcome
    ended_at: datetime
    started_at: datetime | None = None
    good: bool = False
    measurable: bool = False
    problems: bool = False
    protected_bytes: int | None = None
    transferred_bytes: int | None = None
    stored_bytes: int | None = None
    errors: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[datetime, str]:
        """Place among the runs of the job."""
        return (self.ended_at, self.run_key)


@dataclass(frozen=True, kw_only=True)
class StateValues:
    """A job's state. ``last_run_at`` and ``last_run_key`` are the newest run folded, of whatever operation.

    ``last_outcome`` and the counters are of backup and copy; the counters and ``first_failure_at`` run since the last
    good run, and ``last_errors`` are the lines of the newest run since then that was not good. ``last_data_at`` is
    the last run that both selected and sent something, as far as the product tells. ``runs_seen`` counts finished
    runs.
    """

    last_run_at: datetime | None = None
    last_run_key: str = ""
    last_outcome: Outcome | None = None
    last_good_at: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    first_failure_at: datetime | None = None
    failures_in_row: int = 0
    warnings_in_row: int = 0
    last_data_at: datetime | None = None
    reports_data: bool = False
    protected_bytes: int | None = None
    protected_at: datetime | None = None
    transferred_bytes: int | None = None
    transferred_at: datetime | None = None
    stored_bytes: int | None = None
    stored_at: datetime | None = None
    running_since: datetime | None = None
    last_verify_at: datetime | None = None
    last_verify_outcome: Outcome | None = None
    last_restore_at: datetime | None = None
    last_restore_outcome: Outcome | None = None
    last_errors: tuple[str, ...] = ()
    runs_seen: int = 0


EMPTY = StateValues()


def needs_refold(state: StateValues, run: RunValues) -> bool:
    """Whether a run may not simply be folded on top, because it is not newer than what the state knows."""
    return not run.problems and state.last_run_at is not None and run.order <= (state.last_run_at, state.last_run_key)


def fold(state: StateValues, runs: Iterable[RunValues]) -> StateValues:
    """The state after these runs, given in any order; a run key given twice counts once. Raises RefoldNeeded."""
    for run in ordered_runs(runs):
        if needs_refold(state, run):
            raise RefoldNeeded(f"run {run.run_key} at {run.ended_at} is not newer than the state")
        state = _fold_run(state, run)
    return state


def ordered_runs(runs: Iterable[RunValues]) -> list[RunValues]:
    """One reading of each run key, oldest first, without those that move nothing.

    Of several readings the last given one counts, except that a run once finished is never running again.
    """
    newest: dict[str, RunValues] = {}
    for run in runs:
        known = newest.get(run.run_key)
        if known is None or not _is_older_reading(run, known):
            newest[run.run_key] = run
    return sorted((run for run in newest.values() if not run.problems), key=lambda run: run.order)


def _is_older_reading(run: RunValues, known: RunValues) -> bool:
    return run.outcome == "running" and known.outcome != "running"


def changed(state: StateValues, **values: Any) -> StateValues:
    """What ``dataclasses.replace`` does, in a third of its time: this runs several times for every run that is read."""
    return StateValues(**(vars(state) | values))


def _fold_run(state: StateValues, run: RunValues) -> StateValues:
    state = changed(state, last_run_at=run.ended_at, last_run_key=run.run_key)
    if run.outcome == "running":
        return changed(state, running_since=run.ended_at) if run.operation in BACKUP_OPERATIONS else state
    state = changed(state, runs_seen=state.runs_seen + 1)
    if run.operation in BACKUP_OPERATIONS:
        return _fold_backup(state, run)
    if run.operation == "verify":
        at = run.ended_at if run.good else state.last_verify_at
        return changed(state, last_verify_at=at, last_verify_outcome=run.outcome)
    if run.operation == "restore":
        at = run.ended_at if run.good else state.last_restore_at
        return changed(state, last_restore_at=at, last_restore_outcome=run.outcome)
    return state


def _fold_backup(state: StateValues, run: RunValues) -> StateValues:
    state = changed(state, running_since=None, last_outcome=run.outcome)
    state = _fold_good(state, run) if run.good else _fold_trouble(state, run)
    return _fold_sizes(state, run)


def _fold_good(state: StateValues, run: RunValues) -> StateValues:
    return changed(
        state,
        last_good_at=run.ended_at,
        last_success_at=run.ended_at if run.outcome == "success" else state.last_success_at,
        first_failure_at=None,
        failures_in_row=0,
        warnings_in_row=0,
        last_errors=(),
    )


def _fold_trouble(state: StateValues, run: RunValues) -> StateValues:
    """Unknown, skipped and cancelled runs are proof of life: they neither count as failures nor end a row of them."""
    if run.outcome in ("failure", "missed"):
        return changed(
            state,
            last_failure_at=run.ended_at,
            first_failure_at=state.first_failure_at or run.ended_at,
            failures_in_row=state.failures_in_row + 1,
            last_errors=run.errors,
        )
    if run.outcome == "warning":
        return changed(state, warnings_in_row=state.warnings_in_row + 1, last_errors=run.errors)
    return state


def _fold_sizes(state: StateValues, run: RunValues) -> StateValues:
    """Protected size only from a measurable run; what was sent and stored from every run that tells it."""
    told = [size for size in (run.protected_bytes, run.transferred_bytes) if size is not None]
    if told:
        state = changed(state, reports_data=True)
    if told and all(told) and run.outcome in ("success", "warning"):
        state = changed(state, last_data_at=run.ended_at)
    if run.measurable and run.protected_bytes is not None:
        state = changed(state, protected_bytes=run.protected_bytes, protected_at=run.ended_at)
    if run.transferred_bytes is not None:
        state = changed(state, transferred_bytes=run.transferred_bytes, transferred_at=run.ended_at)
    if run.stored_bytes is not None:
        state = changed(state, stored_bytes=run.stored_bytes, stored_at=run.ended_at)
    return state
