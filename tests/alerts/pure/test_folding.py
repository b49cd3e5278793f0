"""The fold: a job's state by hand-written histories, and by every order in which deliveries can come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp.backups.folding import EMPTY, RefoldNeeded, RunValues, StateValues, fold, needs_refold
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
    done = fold(state, [run(2, run_key="a")])
    assert (done.running_since, done.runs_seen) == (None, 2)
    assert done == fold(EMPTY, [run(2, run_key="a"), run(0), run(1, "running", run_key="a")])


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
def histories(draw: st.DrawFn) -> list[RunValues]:
    """Up to a dozen runs at few moments, so that ties are common; a key may be seen running and then finished."""
    runs: list[RunValues] = []
    for number in range(draw(st.integers(0, 9))):
        outcome = draw(st.sampled_from(["success", "warning", "failure", "missed", "unknown", "skipped"]))
        operation = draw(st.sampled_from(["backup", "backup", "copy", "verify", "restore", "prune"]))
        hour = draw(st.integers(0, 6))
        sizes = draw(st.sampled_from([{}, {"protected_bytes": 0}, {"protected_bytes": 5, "transferred_bytes": hour}]))
        good = outcome == "success" or (outcome == "warning" and draw(st.booleans()))
        done = run(hour, outcome, operation, run_key=f"k{number}", good=good, measurable=good,
                   problems=draw(st.integers(0, 9)) == 0, **sizes)  # fmt: skip
        started = draw(st.sampled_from(["", "", "unfinished", "finished"]))
        if started:
            runs.append(run(hour - draw(st.integers(0, 2)), "running", operation, run_key=f"k{number}"))
        if started != "unfinished":
            runs.append(done)
    return runs


class Recorder:
    """The obvious recording: keep one reading a run key, fold on top where that is allowed, else fold everything."""

    def __init__(self) -> None:
        self.kept: dict[str, RunValues] = {}
        self.state: StateValues = EMPTY

    def deliver(self, delivered: RunValues) -> None:
        known = self.kept.get(delivered.run_key)
        if known is not None and known.outcome != "running" and delivered.outcome == "running":
            return
        self.kept[delivered.run_key] = delivered
        if needs_refold(self.state, delivered) or (known is not None and delivered.problems):
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
