"""A fall to nothing is one problem: implausible zero speaks of it, size anomaly passes over those runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.facts import Finding, JobFacts, RunPoint
from alerts.rules import implausible_zero, size_anomaly
from alerts.zeros import without_falls
from tests.alerts.pure.examples import NOON, job_facts

DAY = timedelta(days=1)
GB = 10**9
SIZES = size_anomaly.Params()


def point(night: int, size: int, *, changed: int = GB) -> RunPoint:
    return RunPoint(
        ended_at=NOON + night * DAY, outcome="success", good=True, protected_bytes=size, changed_bytes=changed
    )


def facts(*sizes: int) -> JobFacts:
    """One good run a night."""
    return job_facts(history=tuple(point(night, size) for night, size in enumerate(sizes)))


def zero(given: JobFacts) -> Finding | None:
    answer = implausible_zero.check(given, implausible_zero.Params(), NOON)
    return answer if isinstance(answer, Finding) else None


def size(given: JobFacts) -> Finding | None:
    answer = size_anomaly.check(given, SIZES, NOON)
    return answer if isinstance(answer, Finding) else None


@pytest.mark.parametrize("nights", [1, 2, 13, 14, 30])
def test_a_fall_to_nothing_is_one_finding_and_its_end_is_none(nights: int) -> None:
    fallen = facts(*[500 * GB] * 20, *[0] * nights)
    assert zero(fallen) is not None
    assert size(fallen) is None
    back = facts(*[500 * GB] * 20, *[0] * nights, 500 * GB)
    assert (zero(back), size(back)) == (None, None)


def test_what_was_flagged_before_the_fall_stays_as_it_was() -> None:
    shrunk = size(facts(*[500 * GB] * 20, 90 * GB))
    assert shrunk is not None
    assert size(facts(*[500 * GB] * 20, 90 * GB, 0, 0)) == shrunk
    further = size(facts(*[500 * GB] * 20, 0, 0, 90 * GB))
    assert further is not None
    assert further.evidence["size_bytes"] == 90 * GB


def test_what_changed_in_the_empty_run_is_no_surge_of_its_own() -> None:
    usual = [point(night, 500 * GB) for night in range(20)]
    assert size(job_facts(history=(*usual, point(20, 0, changed=500 * GB)))) is None


def test_a_zero_that_implausible_zero_takes_for_usual_is_left_to_sizes() -> None:
    """Seldom any data at first, then two weeks of it: the fall is seen by one of both."""
    fallen = facts(*[0] * 30, *[500 * GB] * 16, 0)
    assert zero(fallen) is None
    assert size(fallen) is not None


def test_the_words_of_its_end_tell_of_the_newest_run_with_data() -> None:
    fallen = facts(*[500 * GB] * 20, 0)
    assert size_anomaly.closing_words(fallen, SIZES, NOON) == (
        "The run of Mon 2 Feb 2026 13:00 CET measured 500.0 GB, which is as usual."
    )


@given(st.lists(st.sampled_from([0, 0, 80 * GB, 500 * GB, 510 * GB]), min_size=1, max_size=60))
def test_never_do_both_speak_of_the_same_zero_and_no_usual_zero_is_passed_over(sizes: list[int]) -> None:
    given_facts = facts(*sizes)
    found = size(given_facts)
    if zero(given_facts) is not None and found is not None:
        assert found.evidence["size_bytes"] != 0
    before = list(sizes)
    while before and before[-1] == 0:
        before.pop()
    if zero(given_facts) is None and sizes[-1] == 0 and len(before) >= implausible_zero.Params().samples:
        assert without_falls(given_facts.history)[-1] == given_facts.history[-1]
