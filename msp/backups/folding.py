"""A job's state is a fold over its runs, ordered by (ended_at, run key); this is that fold, and nothing else.

Recording folds new runs onto the stored state; where a run is not newer than what was folded (late, repeated, replaced
by a replay), it folds all runs of the job again from the empty state. Both ways give the same values, in whatever order
and however often the deliveries came. Only backup and copy move the backup clocks; verify, restore and replicate have
their own. A run from the future moves nothing, but is remembered as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from integrations.logs.joblog import Operation, Outcome

BACKUP_OPERATIONS: frozenset[Operation] = frozenset({"backup", "copy"})

#: Outcomes of a component that are trouble; of an unknown or skipped one nothing is said.
COMPONENT_TROUBLE: tuple[Outcome, ...] = ("failure", "missed", "cancelled", "warning")

#: So many components in trouble are kept, worst first.
MOST_COMPONENTS = 50


class RefoldNeeded(ValueError):
    """A run is not newer than what the state was folded from: fold all runs of the job from ``EMPTY``."""


@dataclass(frozen=True, kw_only=True)
class ComponentValues:
    """A component that is not good: of how many runs in a row that name components, and since when."""

    name: str
    outcome: Outcome
    since: datetime
    times: int = 1
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class RunValues:
    """What the fold and the history need of a run. ``ended_at`` of a run that is still running is its start.

    ``problems`` says that the run holds values that cannot be true: it is history, and moves nothing. Of those,
    ``skew_seconds`` (0: none) is how far its times lay in the future of ``arrived_at``.
    ``errors`` are the telling lines of the log, most telling first. ``names_components`` says that the log tells of
    components at all, ``components`` are those that were not good: ``since`` is the run's end.
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
    changed_bytes: int | None = None
    stored_bytes: int | None = None
    restored_bytes: int | None = None
    duration_seconds: int | None = None
    chain_length: int | None = None
    last_full_at: datetime | None = None
    checksum_ok: bool | None = None
    errors: tuple[str, ...] = ()
    names_components: bool = False
    components: tuple[ComponentValues, ...] = ()
    arrived_at: datetime | None = None
    skew_seconds: int = 0

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
    runs. ``last_started_at`` is the newest start that any backup told, running ones too. The tries of verify and
    restore are their newest ends of whatever outcome; ``restore_seconds`` and ``restored_bytes`` are of the restore at
    ``last_restore_at``. ``components`` are those that were not good in the newest backup that names any.
    ``skewed_at`` is when the newest log from the future came in, None once a later run tells a time that can be true.
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
    last_started_at: datetime | None = None
    last_verify_try_at: datetime | None = None
    last_restore_try_at: datetime | None = None
    restore_seconds: int | None = None
    restored_bytes: int | None = None
    checksum_ok: bool | None = None
    last_replicate_at: datetime | None = None
    last_replicate_outcome: Outcome | None = None
    chain_length: int | None = None
    last_full_at: datetime | None = None
    components: tuple[ComponentValues, ...] = ()
    reports_components: bool = False
    skewed_at: datetime | None = None
    skew_seconds: int = 0


EMPTY = StateValues()


def needs_refold(state: StateValues, run: RunValues) -> bool:
    """Whether a run may not simply be folded on top, because it is not newer than what the state knows."""
    return not run.problems and state.last_run_at is not None and run.order <= (state.last_run_at, state.last_run_key)


def fold(state: StateValues, runs: Iterable[RunValues]) -> StateValues:
    """The state after these runs, given in any order; a run key given twice counts once. Raises RefoldNeeded."""
    readings = newest_readings(runs)
    for run in in_order(readings):
        if needs_refold(state, run):
            raise RefoldNeeded(f"run {run.run_key} at {run.ended_at} is not newer than the state")
        state = _fold_run(state, run)
    return _fold_skew(state, readings)


def ordered_runs(runs: Iterable[RunValues]) -> list[RunValues]:
    """One reading of each run key, oldest first, without those that move nothing."""
    return in_order(newest_readings(runs))


def newest_readings(runs: Iterable[RunValues]) -> list[RunValues]:
    """Of several readings of a run key the last given one, except that a run once finished is never running again."""
    newest: dict[str, RunValues] = {}
    for run in runs:
        known = newest.get(run.run_key)
        if known is None or not _is_older_reading(run, known):
            newest[run.run_key] = run
    return list(newest.values())


def in_order(readings: Iterable[RunValues]) -> list[RunValues]:
    """Oldest first, without those that move nothing."""
    return sorted((run for run in readings if not run.problems), key=lambda run: run.order)


def _is_older_reading(run: RunValues, known: RunValues) -> bool:
    return run.outcome == "running" and known.outcome != "running"


def changed(state: StateValues, **values: Any) -> StateValues:
    """What ``dataclasses.replace`` does, in a third of its time: this runs several times for every run that is read."""
    return StateValues(**(vars(state) | values))


def _fold_skew(state: StateValues, readings: Iterable[RunValues]) -> StateValues:
    """The newest log from the future, unless a run that ended after its arrival tells a time that can be true."""
    skews = [(run.arrived_at, run.skew_seconds) for run in readings if run.skew_seconds and run.arrived_at is not None]
    if state.skewed_at is not None:
        skews.append((state.skewed_at, state.skew_seconds))
    if not skews:
        return state
    at, seconds = max(skews)
    if state.last_run_at is not None and state.last_run_at > at:
        return changed(state, skewed_at=None, skew_seconds=0)
    return changed(state, skewed_at=at, skew_seconds=seconds)


def _fold_run(state: StateValues, run: RunValues) -> StateValues:
    state = changed(state, last_run_at=run.ended_at, last_run_key=run.run_key)
    if run.operation in BACKUP_OPERATIONS:
        state = _fold_start(state, run)
    if run.outcome == "running":
        return changed(state, running_since=run.ended_at) if run.operation in BACKUP_OPERATIONS else state
    state = changed(state, runs_seen=state.runs_seen + 1)
    if run.operation in BACKUP_OPERATIONS:
        return _fold_chain(_fold_components(_fold_backup(state, run), run), run)
    if run.operation == "verify":
        return _fold_verify(state, run)
    if run.operation == "restore":
        return _fold_restore(state, run)
    if run.operation == "replicate":
        at = run.ended_at if run.good else state.last_replicate_at
        return changed(state, last_replicate_at=at, last_replicate_outcome=run.outcome)
    return _fold_chain(state, run)


def _fold_start(state: StateValues, run: RunValues) -> StateValues:
    """A run that was missed has not started, whenever it should have."""
    start = run.ended_at if run.outcome == "running" else run.started_at
    if start is None or run.outcome == "missed" or (state.last_started_at and start <= state.last_started_at):
        return state
    return changed(state, last_started_at=start)


def _fold_verify(state: StateValues, run: RunValues) -> StateValues:
    return changed(
        state,
        last_verify_at=run.ended_at if run.good else state.last_verify_at,
        last_verify_try_at=run.ended_at,
        last_verify_outcome=run.outcome,
        checksum_ok=state.checksum_ok if run.checksum_ok is None else run.checksum_ok,
    )


def _fold_restore(state: StateValues, run: RunValues) -> StateValues:
    good = {"last_restore_at": run.ended_at, "restore_seconds": run.duration_seconds}
    return changed(
        state,
        last_restore_try_at=run.ended_at,
        last_restore_outcome=run.outcome,
        checksum_ok=state.checksum_ok if run.checksum_ok is None else run.checksum_ok,
        **(good | {"restored_bytes": run.restored_bytes} if run.good else {}),
    )


def _fold_chain(state: StateValues, run: RunValues) -> StateValues:
    """What a restore from the newest copy needs, as a backup, a cleaning up or a listing tells it."""
    if run.chain_length is not None:
        state = changed(state, chain_length=run.chain_length)
    return state if run.last_full_at is None else changed(state, last_full_at=run.last_full_at)


def _fold_components(state: StateValues, run: RunValues) -> StateValues:
    """A run that names no components says nothing of them; one that does says of all which are not good."""
    if not run.names_components:
        return state
    known = {one.name: one for one in state.components}
    named = {one.name: one for one in sorted(run.components, key=_mildest_first)}
    troubled = [_again(one, known.get(one.name)) for one in named.values()]
    worst = sorted(troubled, key=lambda one: (COMPONENT_TROUBLE.index(one.outcome), one.since, one.name))
    return changed(state, reports_components=True, components=tuple(worst[:MOST_COMPONENTS]))


def _mildest_first(component: ComponentValues) -> tuple[int, str]:
    return -COMPONENT_TROUBLE.index(component.outcome), component.message


def _again(component: ComponentValues, before: ComponentValues | None) -> ComponentValues:
    if before is None:
        return component
    return replace(component, since=before.since, times=before.times + 1)


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
