"""Slow: against its own history, against its window, and against what changes in a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.facts import Answer, CannotCheck, Finding, RunPoint, Unheard, Waiting
from alerts.rules import slow
from alerts.rules.slow import Params
from tests.alerts.pure.examples import NOON, job_facts, utc

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GB = 10**9
#: 22:00 in Berlin on New Year's Day; one run each night begins then.
FIRST = utc(2026, 1, 1, 21)


def run(night: int, minutes: int, **changes: Any) -> RunPoint:
    started = FIRST + night * DAY
    values: dict[str, Any] = {
        "started_at": started, "ended_at": started + minutes * MINUTE, "duration_seconds": minutes * 60,
        "outcome": "success", "good": True,
    }  # fmt: skip
    return RunPoint(**{**values, **changes})


def history(minutes: Sequence[int], sizes: Sequence[int | None] | None = None) -> tuple[RunPoint, ...]:
    """Runs of so many minutes that sent so many bytes."""
    sent = sizes or [None] * len(minutes)
    both = zip(minutes, sent, strict=True)
    return tuple(run(night, lasted, transferred_bytes=size) for night, (lasted, size) in enumerate(both))


def check(points: Sequence[RunPoint], params: Params | None = None, *, now: Any = NOON, **facts: Any) -> Answer:
    return slow.check(job_facts(history=tuple(points), **facts), params or Params(), now)


def flagged(points: Sequence[RunPoint], params: Params | None = None, *, now: Any = NOON, **facts: Any) -> Finding:
    answer = check(points, params, now=now, **facts)
    assert isinstance(answer, Finding)
    return answer


USUAL = [60, 70, 65, 62, 68, 60, 70, 66]

# --- its own history


def test_two_nights_of_far_longer_runs_are_found_and_explained() -> None:
    found = flagged(history([*USUAL, 200, 190]))
    assert found.summary == (
        "The backup takes 3 hours 10 minutes, 171 % more: usually between 1 hour and 1 hour 10 minutes over 8 runs; "
        "so in 2 runs since Sat 10 Jan 2026 01:20 CET."
    )
    assert (found.repeats, found.severity, found.evidence["unit"]) == (2, "warning", "seconds")
    assert slow.TELLS == "report"


@pytest.mark.parametrize("last,found", [([200], False), ([139, 139], False), ([140, 140], True), ([140, 600], True)])
def test_it_takes_the_factor_and_the_runs_in_a_row(last: list[int], found: bool) -> None:
    """Twice the longest usual duration of 70 minutes."""
    assert isinstance(check(history([*USUAL, *last])), Finding) is found


def test_each_further_slow_run_is_the_same_happening_and_a_usual_one_ends_it() -> None:
    nights = [flagged(history([*USUAL, *([200] * count)])) for count in (2, 3)]
    assert nights[0].occurrence == nights[1].occurrence
    assert check(history([*USUAL, 200, 200, 66])) is None
    facts = job_facts(history=history([*USUAL, 200, 66]))
    words = slow.closing_words(facts, Params(), NOON)
    assert words == "The run of Sat 10 Jan 2026 23:06 CET took 1 hour 6 minutes, which is not slow."


def test_short_runs_are_never_slow() -> None:
    assert check(history([1] * 10 + [29, 29])) is None
    assert check(history([1] * 10 + [31, 31])) is not None


def test_a_run_that_had_more_to_send_is_not_slow() -> None:
    assert check(history([*USUAL, 200, 200], [6 * GB] * 8 + [20 * GB] * 2)) is None
    assert check(history([*USUAL, 200, 200], [6 * GB] * 10)) is not None


def test_a_line_that_lost_its_speed_is_found_even_if_the_run_is_no_longer() -> None:
    points = history([60] * 8 + [90, 90], [100 * GB] * 8 + [100 * GB] * 2)
    assert check(points) is None, "half as much again is not twice"
    found = flagged(history([60] * 8 + [110, 115], [100 * GB] * 8 + [100 * GB] * 2), Params(factor_percent=180))
    assert found.summary.startswith("The backup takes")
    slower = flagged(history([60] * 8 + [100, 100], [100 * GB] * 10), Params(factor_percent=150, minutes=50))
    assert slower.summary.startswith("The backup moves 16.6 MB a second, 40 % less: usually 27.7 MB a second")


def test_little_data_never_moves_fast_and_is_not_slow() -> None:
    assert check(history([60] * 10, [100 * GB] * 8 + [GB] * 2)) is None


def test_runs_that_broke_off_are_left_out() -> None:
    points = [*history(USUAL), run(8, 600, outcome="failure", good=False), run(9, 600, outcome="cancelled", good=False)]
    assert check(points) is None


def test_without_durations_it_cannot_be_checked() -> None:
    answer = check([run(0, 60, duration_seconds=None)])
    assert isinstance(answer, CannotCheck)
    assert answer.reason == "nightly does not tell how long its backups take."
    assert check([], active=False) is None


@given(st.integers(1, 10_000), st.integers(1, 60), st.integers(0, 10**13))
def test_runs_that_are_all_alike_are_never_slow(minutes: int, number: int, size: int) -> None:
    assert check(history([minutes] * number, [size] * number), Params(runs=1, minutes=1, samples=2)) is None


# --- its window

WINDOW = Params(window_hours=8)
#: Twenty-two hundred hours in Berlin of 11 January.
TONIGHT = utc(2026, 1, 11, 21)
NIGHTLY = {"schedule": "daily 22:00", "zone": "Europe/Berlin"}


def test_a_run_that_began_late_will_not_end_in_its_window() -> None:
    began = TONIGHT + 7.5 * HOUR
    found = flagged(history(USUAL), WINDOW, now=began, running_since=began, **NIGHTLY)
    assert found.summary == (
        "The run that began on Mon 12 Jan 2026 05:30 CET will end about Mon 12 Jan 2026 06:35 CET if it takes as long "
        "as usual; its window of 8 hours ends on Mon 12 Jan 2026 06:00 CET."
    )
    assert check(history(USUAL), WINDOW, now=TONIGHT, running_since=TONIGHT, **NIGHTLY) is None


def test_a_run_that_is_still_running_at_the_end_of_its_window_is_found_then() -> None:
    facts: dict[str, Any] = {"running_since": TONIGHT, **NIGHTLY}
    end = TONIGHT + 8 * HOUR
    points = history(USUAL)
    assert check(points, WINDOW, now=end - MINUTE, **facts) is None
    assert slow.check_after(job_facts(history=points, **facts), WINDOW, TONIGHT) == end
    found = flagged(points, WINDOW, now=end, **facts)
    assert "is still running; its window of 8 hours ends on Mon 12 Jan 2026 06:00 CET." in found.summary
    assert found.since == end
    assert slow.check_after(job_facts(history=points, **facts), WINDOW, end) is None


def test_logs_that_are_unread_or_not_heard_may_hold_its_end() -> None:
    end = TONIGHT + 8 * HOUR
    facts: dict[str, Any] = {"running_since": TONIGHT, "awaiting_since": end - MINUTE, **NIGHTLY}
    answer = check(history(USUAL), WINDOW, now=end, **facts)
    assert isinstance(answer, Waiting)
    assert slow.check_after(job_facts(history=history(USUAL), **facts), WINDOW, end) == end + MINUTE
    assert isinstance(check(history(USUAL), WINDOW, now=end + 15 * MINUTE, **facts), Finding)
    deaf = Unheard(since=TONIGHT, what="The mailbox is silent.")
    assert isinstance(
        check(history(USUAL), WINDOW, now=end + DAY, running_since=TONIGHT, unheard=deaf, **NIGHTLY), Waiting
    )


def test_a_run_that_ended_too_late_is_found_until_the_next() -> None:
    late = [*history(USUAL), run(8, 8 * 60 + 1)]
    found = flagged(late, Params(window_hours=8, runs=30), **NIGHTLY)
    assert found.summary == (
        "The run that began on Fri 9 Jan 2026 22:00 CET ended on Sat 10 Jan 2026 06:01 CET; "
        "its window of 8 hours ends on Sat 10 Jan 2026 06:00 CET."
    )
    assert check([*late, run(9, 60)], Params(window_hours=8, runs=30), **NIGHTLY) is None
    assert check(late, Params(runs=30), **NIGHTLY) is None, "no window is set"


@pytest.mark.parametrize(
    "schedule,window,end",
    [
        ("", 2, TONIGHT + 5 * HOUR),  # of its own start: 01:00
        ("every 6h", 2, TONIGHT + 5 * HOUR),
        ("daily 22:00", 8, TONIGHT + 8 * HOUR),
        ("daily 22:00", 168, TONIGHT + 168 * HOUR),
        ("daily 22:00", 2, TONIGHT + 5 * HOUR),  # began when its window was over: the window is its own
        ("* * * * *", 2, TONIGHT + 5 * HOUR + 5 * MINUTE),  # a start may be told some minutes early
        ("daily 01:03", 2, TONIGHT + 5 * HOUR + 3 * MINUTE),
        ("0 0 31 2 *", 2, TONIGHT + 5 * HOUR),  # cannot be read any more
    ],
)
def test_the_window_counts_from_the_scheduled_start(schedule: str, window: int, end: Any) -> None:
    facts = job_facts(running_since=TONIGHT + 3 * HOUR, schedule=schedule, zone="Europe/Berlin")
    assert slow.check_after(facts, Params(window_hours=window), TONIGHT) == end


# --- what changes in a day


def daily(changed: int, sent: int, hours: int, *, nights: int = 8, **changes: Any) -> list[RunPoint]:
    return [run(night, hours * 60, changed_bytes=changed, transferred_bytes=sent, **changes) for night in range(nights)]


def cut_off(a_day: int) -> list[RunPoint]:
    """Each night the run is cut off after 8 hours with 40 GB sent, and finds so much more to send than the last."""
    return [
        run(night, 480, changed_bytes=a_day * (night + 1), transferred_bytes=40 * GB, outcome="warning", good=False)
        for night in range(8)
    ]


def test_a_line_that_cannot_carry_a_days_changes_is_found() -> None:
    found = flagged(cut_off(150 * GB), Params(runs=30))
    assert found.summary == (
        "150.0 GB change in a day, and the backup moves 1.3 MB a second: a day's changes take 30 hours, so it falls "
        "further behind every day."
    )
    assert (found.occurrence, found.since_first_seen) == ("falls behind", True)
    assert check(cut_off(150 * GB), Params(runs=30, keeps_up=False)) is None


def test_a_line_that_is_just_fast_enough_is_fine() -> None:
    """40 GB in 8 hours are 120 GB in a day."""
    assert check(cut_off(119 * GB)) is None
    assert check(cut_off(121 * GB)) is not None


def test_good_runs_have_coped_however_much_they_compress() -> None:
    assert check(daily(300 * GB, 20 * GB, 8)) is None


def test_it_needs_both_figures_of_a_week() -> None:
    points = [replace(point, changed_bytes=None) for point in daily(10**15, GB, 8, good=False, outcome="warning")]
    assert check(points) is None
    assert check(daily(10**15, GB, 8, nights=6, good=False, outcome="warning")) is None
