"""The fold: a job's state by hand-written histories, and by every order in which deliveries can come."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp.backups.folding import (
    EMPTY,
    MOST_COMPONENTS,
    ComponentValues,
    RefoldNeeded,
    RunValues,
    StateValues,
    fold,
    needs_refold,
)
from tests.alerts.pure.examples import NOON

HOUR = timedelta(hours=1)


def run(hours: float, outcome: Any = "success", operation: Any = "backup", **changes: Any) -> RunValues:
    at: datetime = NOON + hours * HOUR
    values: dict[str, Any] = {"run_key": f"r{hours}", "good": outcome == "success", "ended_at": at}
    return RunValues(**{**values, "operation": operation, "outcome": outcome, **changes})


def test_a_good_run_moves_the_clock_and_clears_the_counters() -> None:
    state = fold(
        EMPTY, [run(0, "failure", errors=("disk full",)), run(1, "warning", errors=("odd",)), run(2, "missed")]
    )
    assert (state.failures_in_row, state.warnings_in_row, state.last_good_at) == (2, 1, None)
    assert (state.first_failure_at, state.last_failure_at) == (NOON, NOON + 2 * HOUR)
    after = fold(state, [run(3)])
    assert (after.failures_in_row, after.warnings_in_row, after.first_failure_at, after.last_errors) == (0, 0, None, ())
    assert (after.last_good_at, after.last_success_at, after.last_outcome) == (
        NOON + 3 * HOUR,
        NOON + 3 * HOUR,
        "success",
    )
    assert (after.last_failure_at, after.runs_seen) == (NOON + 2 * HOUR, 4)


def test_a_tolerated_warning_is_good_but_no_success() -> None:
    state = fold(EMPTY, [run(0), run(1, "warning", good=True)])
    assert (state.last_good_at, state.last_success_at) == (NOON + HOUR, NOON)
    assert (state.warnings_in_row, state.last_outcome) == (0, "warning")


@pytest.mark.parametrize("outcome", ["unknown", "skipped", "cancelled"])
def test_proof_of_life_is_neither_good_nor_failed(outcome: str) -> None:
    state = fold(EMPTY, [run(0), run(1, "failure"), run(2, outcome), run(3, "failure")])
    assert (state.failures_in_row, state.last_good_at) == (2, NOON)
    assert fold(EMPTY, [run(0, outcome)]).failures_in_row == 0


@pytest.mark.parametrize("operation", ["prune", "verify", "restore", "replicate", "inventory"])
def test_only_backup_and_copy_move_the_backup_clocks(operation: str) -> None:
    failed = fold(EMPTY, [run(0, "failure")])
    after = fold(failed, [run(1, operation=operation, protected_bytes=5, transferred_bytes=5)])
    assert (after.last_good_at, after.last_outcome, after.failures_in_row, after.last_data_at) == (
        None,
        "failure",
        1,
        None,
    )
    assert after.last_run_at == NOON + HOUR


def test_verify_and_restore_have_clocks_of_their_own() -> None:
    state = fold(EMPTY, [run(0, operation="verify"), run(1, "failure", "verify"), run(2, operation="restore")])
    assert (state.last_verify_at, state.last_verify_outcome) == (NOON, "failure")
    assert (state.last_restore_at, state.last_restore_outcome) == (NOON + 2 * HOUR, "success")
    assert (state.failures_in_row, state.last_good_at) == (0, None)


def test_tries_count_whatever_came_of_them_and_what_a_good_restore_took_stays() -> None:
    good = run(0, operation="restore", duration_seconds=90, restored_bytes=5, checksum_ok=True)
    state = fold(EMPTY, [good, run(1, "failure", "restore", duration_seconds=900), run(2, "failure", "verify")])
    assert (state.last_restore_at, state.last_restore_try_at) == (NOON, NOON + HOUR)
    assert (state.restore_seconds, state.restored_bytes, state.checksum_ok) == (90, 5, True)
    assert (state.last_verify_at, state.last_verify_try_at) == (None, NOON + 2 * HOUR)
    broken = fold(state, [run(3, "failure", "verify", checksum_ok=False)])
    assert broken.checksum_ok is False
    assert fold(broken, [run(4, checksum_ok=True)]).checksum_ok is False, "a backup has verified nothing"


def test_a_good_replication_moves_its_clock_a_bad_one_only_its_outcome() -> None:
    state = fold(EMPTY, [run(0, operation="replicate"), run(1, "failure", "replicate")])
    assert (state.last_replicate_at, state.last_replicate_outcome) == (NOON, "failure")


def test_the_newest_start_is_kept_whatever_ended_last() -> None:
    long = run(5, started_at=NOON)
    short = run(3, started_at=NOON + 2 * HOUR)
    assert fold(EMPTY, [short, long]).last_started_at == NOON + 2 * HOUR
    assert fold(EMPTY, [short, run(6, "running")]).last_started_at == NOON + 6 * HOUR
    missed = run(7, "missed", started_at=NOON + 7 * HOUR)
    assert fold(EMPTY, [short, missed]).last_started_at == NOON + 2 * HOUR


def test_the_chain_is_that_of_the_newest_run_that_tells_it() -> None:
    state = fold(EMPTY, [run(0, chain_length=1, last_full_at=NOON), run(1, chain_length=2), run(2)])
    assert (state.chain_length, state.last_full_at) == (2, NOON)
    restored = fold(state, [run(3, operation="restore", chain_length=9, last_full_at=NOON - HOUR)])
    assert (restored.chain_length, restored.last_full_at) == (2, NOON), "what was restored may be old"


def naming(hours: float, *components: ComponentValues, **values: Any) -> RunValues:
    return run(hours, names_components=True, components=components, **values)


def test_a_component_in_trouble_counts_the_runs_that_name_components() -> None:
    first = naming(0, trouble("SqlWriter", "failure", 0, message="timed out"), trouble("b", "warning", 0))
    state = fold(EMPTY, [first, run(1), naming(2, trouble("SqlWriter", "failure", 2, message="again"))])
    (left,) = state.components
    assert (left.name, left.since, left.times, left.message) == ("SqlWriter", NOON, 2, "again")
    assert state.reports_components
    assert fold(state, [run(3)]).components == state.components, "it names none: nothing is known of them"
    assert fold(state, [naming(3)]).components == ()
    back = fold(state, [naming(3), naming(4, trouble("SqlWriter", "failure", 4))])
    assert [(one.since, one.times) for one in back.components] == [(NOON + 4 * HOUR, 1)]


def test_only_the_worst_components_are_kept() -> None:
    many = [trouble(f"{number:03}", "warning", 0) for number in range(80)]
    state = fold(EMPTY, [naming(0, *many, trouble("zz", "failure", 0))])
    assert len(state.components) == MOST_COMPONENTS
    assert state.components[0].name == "zz"


def skewed(hours: float, *, by: int = 7200, key: str = "") -> RunValues:
    """A run whose log came in at ``hours`` and tells a time that lies ahead of that."""
    at = NOON + hours * HOUR
    later = at + timedelta(seconds=by)
    return run(hours, run_key=key or f"s{hours}", ended_at=later, problems=True, skew_seconds=by, arrived_at=at)


def test_a_log_from_the_future_moves_only_the_skew_until_a_true_time_comes() -> None:
    state = fold(EMPTY, [run(0), skewed(1)])
    assert (state.skewed_at, state.skew_seconds) == (NOON + HOUR, 7200)
    assert replace(state, skewed_at=None, skew_seconds=0) == fold(EMPTY, [run(0)])
    assert fold(state, [skewed(2, by=600)]).skew_seconds == 600
    assert fold(state, [run(3)]).skewed_at is None
    assert fold(fold(EMPTY, [run(3)]), [skewed(1)]).skewed_at is None, "it came in before"


def test_a_run_that_was_given_up_and_ends_well_is_revived() -> None:
    waiting = fold(EMPTY, [run(0), run(2, "running", run_key="long", started_at=NOON + 2 * HOUR)])
    assert (waiting.running_since, waiting.last_good_at) == (NOON + 2 * HOUR, NOON)
    ended = run(90, run_key="long", started_at=NOON + 2 * HOUR, protected_bytes=5, measurable=True)
    revived = fold(waiting, [ended])
    assert (revived.running_since, revived.last_good_at) == (None, NOON + 90 * HOUR)
    assert (revived.last_started_at, revived.runs_seen, revived.failures_in_row) == (NOON + 2 * HOUR, 2, 0)
    assert revived == fold(EMPTY, [ended, run(0)])


def test_a_run_with_problems_moves_nothing() -> None:
    future = run(10**5, problems=True)
    assert fold(EMPTY, [future]) == EMPTY
    state = fold(EMPTY, [run(0)])
    assert not needs_refold(state, future)
    assert fold(state, [future]) == state


@pytest.mark.parametrize(
    "sizes,last_data",
    [
        ({"protected_bytes": 5, "transferred_bytes": 1}, True),
        ({"protected_bytes": 5}, True),
        ({"transferred_bytes": 1}, True),
        ({"protected_bytes": 0, "transferred_bytes": 1}, False),
        ({"protected_bytes": 5, "transferred_bytes": 0}, False),
        ({}, False),
    ],
)
def test_data_means_that_nothing_reported_is_zero(sizes: dict[str, int], last_data: bool) -> None:
    state = fold(EMPTY, [run(0, **sizes)])
    assert (state.last_data_at == NOON) is last_data
    assert state.reports_data is bool(sizes)


def test_protected_size_comes_from_measurable_runs_only() -> None:
    state = fold(
        EMPTY, [run(0, measurable=True, protected_bytes=7), run(1, "failure", protected_bytes=2, stored_bytes=9)]
    )
    assert (state.protected_bytes, state.protected_at) == (7, NOON)
    assert (state.stored_bytes, state.stored_at) == (9, NOON + HOUR)


def test_running_ends_with_the_next_finished_run() -> None:
    state = fold(EMPTY, [run(0), run(1, "running", run_key="a")])
    assert (state.running_since, state.last_outcome, state.runs_seen) == (NOON + HOUR, "success", 1)
    ended = run(2, run_key="a", started_at=NOON + HOUR)
    done = fold(state, [ended])
    assert (done.running_since, done.runs_seen) == (None, 2)
    assert done == fold(EMPTY, [ended, run(0), run(1, "running", run_key="a")])


def test_a_run_that_is_not_newer_needs_a_refold() -> None:
    state = fold(EMPTY, [run(0), run(2)])
    assert needs_refold(state, run(1))
    assert needs_refold(state, run(2))
    assert not needs_refold(state, run(3))
    with pytest.raises(RefoldNeeded):
        fold(state, [run(1)])


def test_at_the_same_moment_the_run_key_decides() -> None:
    failed, good = run(0, "failure", run_key="a"), run(0, run_key="b")
    assert fold(EMPTY, [good, failed]) == fold(EMPTY, [failed, good])
    assert fold(EMPTY, [good, failed]).last_outcome == "success"


@st.composite
def tellings(draw: st.DrawFn, hour: int) -> dict[str, Any]:
    """What products tell besides: starts, chains, checksums, components in trouble."""
    told: dict[str, Any] = {
        "started_at": draw(st.sampled_from([None, NOON + (hour - 1) * HOUR])),
        "duration_seconds": draw(st.sampled_from([None, 60 * hour])),
        "chain_length": draw(st.sampled_from([None, 1, 7])),
        "last_full_at": draw(st.sampled_from([None, NOON - HOUR])),
        "checksum_ok": draw(st.sampled_from([None, True, False])),
    }
    names = draw(st.sampled_from([None, "", "a", "ab", "aab"]))
    if names is not None:
        outcomes = draw(st.permutations(["failure", "warning", "missed"]))
        told["names_components"] = True
        told["components"] = tuple(trouble(name, outcome, hour) for name, outcome in zip(names, outcomes, strict=False))
    return told


def trouble(name: str, outcome: Any, hour: float, **values: Any) -> ComponentValues:
    return ComponentValues(name=name, outcome=outcome, since=NOON + hour * HOUR, **values)


@st.composite
def histories(draw: st.DrawFn) -> list[RunValues]:
    """Up to a dozen runs at few moments, so that ties are common; a key may be seen running and then finished."""
    runs: list[RunValues] = []
    for number in range(draw(st.integers(0, 9))):
        outcome = draw(st.sampled_from(["success", "warning", "failure", "missed", "unknown", "skipped"]))
        operation = draw(st.sampled_from(["backup", "backup", "copy", "verify", "restore", "prune", "replicate"]))
        hour = draw(st.integers(0, 6))
        sizes = draw(st.sampled_from([{}, {"protected_bytes": 0}, {"protected_bytes": 5, "transferred_bytes": hour}]))
        good = outcome == "success" or (outcome == "warning" and draw(st.booleans()))
        skew = draw(st.sampled_from([0, 0, 0, 3600, 7200]))
        done = run(hour, outcome, operation, run_key=f"k{number}", good=good, measurable=good,
                   problems=bool(skew) or draw(st.integers(0, 9)) == 0, skew_seconds=skew,
                   arrived_at=NOON + hour * HOUR, **sizes, **draw(tellings(hour)))  # fmt: skip
        started = draw(st.sampled_from(["", "", "unfinished", "finished"]))
        if started:
            runs.append(run(hour - draw(st.integers(0, 2)), "running", operation, run_key=f"k{number}"))
        if started != "unfinished":
            runs.append(done)
    return runs


class Recorder:
    """The obvious recording: keep one reading a run key, fold on top what is new and newest, else fold everything."""

    def __init__(self) -> None:
        self.kept: dict[str, RunValues] = {}
        self.state: StateValues = EMPTY

    def deliver(self, delivered: RunValues) -> None:
        known = self.kept.get(delivered.run_key)
        if known is not None and known.outcome != "running" and delivered.outcome == "running":
            return
        self.kept[delivered.run_key] = delivered
        if needs_refold(self.state, delivered) or known is not None:
            self.state = fold(EMPTY, self.kept.values())
        else:
            self.state = fold(self.state, [delivered])


@given(st.data())
def test_any_order_and_any_repeats_of_deliveries_give_the_same_state(data: st.DataObject) -> None:
    history = data.draw(histories())
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=4)) if history else []
    recorder = Recorder()
    for delivered in data.draw(st.permutations(history + repeats)):
        recorder.deliver(delivered)
    assert recorder.state == fold(EMPTY, history)


@given(histories(), st.integers(0, 12))
def test_folding_in_two_parts_is_folding_at_once(history: list[RunValues], cut: int) -> None:
    at_once = fold(EMPTY, history)
    in_order = sorted(
        {one.run_key: one for one in history if one.outcome != "running"}.values(), key=lambda one: one.order
    )
    finished = fold(EMPTY, in_order)
    assert fold(fold(EMPTY, in_order[:cut]), in_order[cut:]) == finished
    assert finished.last_good_at == at_once.last_good_at
