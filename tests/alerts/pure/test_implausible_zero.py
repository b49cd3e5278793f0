"""Implausible zero by hand: a good run of nothing against the history before it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.facts import CannotCheck, RunPoint
from alerts.rules import implausible_zero
from tests.alerts.pure.examples import NOON, job_facts

DAY = timedelta(days=1)
PARAMS = implausible_zero.Params()
GB = 10**9


def sized(*sizes: int | None, good: bool = True, **values: Any) -> tuple[RunPoint, ...]:
    """One good run a night that told so much."""
    return tuple(
        RunPoint(ended_at=NOON + place * DAY, outcome="success", good=good, protected_bytes=size, **values)
        for place, size in enumerate(sizes)
    )


def lasted(*seconds: int | None) -> tuple[RunPoint, ...]:
    return tuple(
        RunPoint(ended_at=NOON + place * DAY, outcome="success", good=True, duration_seconds=took)
        for place, took in enumerate(seconds)
    )


def answer(history: tuple[RunPoint, ...], *, params: implausible_zero.Params = PARAMS, **facts: Any) -> Any:
    return implausible_zero.check(job_facts(history=history, **facts), params, NOON + 99 * DAY)


@pytest.mark.parametrize(
    "sizes,zeros",
    [
        ((5 * GB, 5 * GB, 5 * GB, 0), 1),
        ((5 * GB, 5 * GB, 5 * GB, 0, 0, 0), 3),
        ((5 * GB, 5 * GB, 5 * GB, 1), None),  # little is a matter of the size anomaly
        ((5 * GB, 5 * GB, 5 * GB, 0, 5 * GB), None),
        ((5 * GB, 5 * GB, 0), None),  # too few to know
        ((5 * GB, 5 * GB, 5 * GB, 0, None), 1),  # a run that tells nothing takes nothing back
        ((0, 0, 0, 5 * GB, 0), None),  # as usual
        ((0, 0, 5 * GB, 0), None),
        ((0, 5 * GB, 5 * GB, 0), 1),
        ((0, 0, 0, 0), None),
        ((5 * GB, 0, 5 * GB, 0, 5 * GB, 0), 1),
        ((*[5 * GB] * 20, *[0] * 40), 40),  # zeros do not become the usual size by their number
    ],
)
def test_a_zero_is_measured_against_what_came_before_it(sizes: tuple[int | None, ...], zeros: int | None) -> None:
    found = answer(sized(*sizes))
    assert (found and found.repeats) == zeros


def test_the_finding_tells_what_is_usual() -> None:
    found = answer(sized(4 * GB, 5 * GB, 6 * GB, 0))
    assert found.summary == (
        "The good run of Sat 17 Jan 2026 13:00 CET selected 0 bytes, against 5.0 GB as usual over 3 runs before."
    )
    assert (found.severity, found.since, found.deadline) == ("warning", NOON + 3 * DAY, None)
    again = answer(sized(4 * GB, 5 * GB, 6 * GB, 0, 0))
    assert again.summary.startswith("2 good runs in a row since Sat 17 Jan 2026 13:00 CET selected 0 bytes,")
    assert again.since == found.since
    assert (found.sticky, again.sticky) == (True, True), "a source may have vanished: a person says that it is fine"
    assert again.occurrence != found.occurrence


def test_nothing_sent_is_no_zero() -> None:
    assert answer(sized(5 * GB, 5 * GB, 5 * GB, 5 * GB, transferred_bytes=0)) is None


def test_only_good_runs_are_judged_and_judge() -> None:
    failed = RunPoint(ended_at=NOON + 9 * DAY, outcome="failure", protected_bytes=0)
    assert answer((*sized(5 * GB, 5 * GB, 5 * GB), failed)) is None
    assert isinstance(answer(sized(5 * GB, 5 * GB, 5 * GB, good=False)), CannotCheck)


@pytest.mark.parametrize(
    "seconds,flagged",
    [
        ((600, 600, 600, 0), True),
        ((300, 300, 300, 0), True),
        ((299, 299, 299, 0), False),  # a matter of seconds may well round to none
        ((600, 600, 0), False),
        ((600, 600, 600, 1), False),
    ],
)
def test_a_run_that_took_no_time(seconds: tuple[int, ...], flagged: bool) -> None:
    found = answer(lasted(*seconds))
    assert (found is not None) is flagged
    assert answer(lasted(*seconds), params=implausible_zero.Params(usual_minutes=0)) is None
    if flagged:
        assert "took no time at all, against" in found.summary
        assert not found.sticky


def test_the_samples_can_be_set() -> None:
    assert answer(sized(5 * GB, 0), params=implausible_zero.Params(samples=1)).repeats == 1
    assert answer(sized(*[5 * GB] * 9, 0), params=implausible_zero.Params(samples=10)) is None


def test_a_person_may_accept_that_nothing_is_the_usual_size() -> None:
    history = sized(5 * GB, 5 * GB, 5 * GB, 0, 0)
    assert answer(history, size_accepted_at=NOON + 3 * DAY) is None
    assert answer(history, size_accepted_at=NOON + 2 * DAY).repeats == 2  # that was before it began


def test_a_product_that_tells_nothing_cannot_be_checked() -> None:
    for history in ((), sized(None, None, None)):
        told = answer(history)
        assert isinstance(told, CannotCheck)
        assert told.reason == "No good run of this job has told a protected size or how long it took."


def test_it_closes_with_words_and_only_by_a_log() -> None:
    back = job_facts(history=sized(5 * GB, 5 * GB, 5 * GB, 0, 5 * GB))
    assert implausible_zero.closing_words(back, PARAMS, NOON) == (
        "The run of Sun 18 Jan 2026 13:00 CET selected 5.0 GB."
    )
    accepted = job_facts(history=sized(5 * GB, 5 * GB, 5 * GB, 0), size_accepted_at=NOON + 4 * DAY)
    assert implausible_zero.closing_words(accepted, PARAMS, NOON).endswith("which is accepted or as usual.")
    timed = job_facts(history=lasted(600, 600, 600, 0, 600))
    assert implausible_zero.closing_words(timed, PARAMS, NOON) == "The newest good run took its time again."
    paused = job_facts(history=sized(5 * GB, 5 * GB, 5 * GB, 0), active=False)
    assert implausible_zero.check(paused, PARAMS, NOON) is None
    assert implausible_zero.closing_words(paused, PARAMS, NOON) == "The job is no longer active."
    assert implausible_zero.check_after(back, PARAMS, NOON) is None
