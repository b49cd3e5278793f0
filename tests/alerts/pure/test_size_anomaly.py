"""Size anomaly: shares that vanish, data that multiplies or changes all at once; and what is left in peace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alerts.facts import Answer, CannotCheck, Finding, RunPoint
from alerts.params import BadParams, check_together
from alerts.rules import size_anomaly
from alerts.rules.size_anomaly import Params
from tests.alerts.pure.examples import NOON, job_facts, utc

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
GB = 10**9
#: 22:00 UTC of New Year's Day, and one run each night after it.
FIRST = utc(2026, 1, 1, 22)
USUAL = [410 * GB, 420 * GB, 430 * GB, 415 * GB] * 7


def night(number: int) -> Any:
    return FIRST + number * DAY


def history(sizes: Sequence[int | None], **last: Any) -> tuple[RunPoint, ...]:
    """One good run a night that sent 2 GB; ``last`` changes the newest."""
    points = [
        RunPoint(ended_at=night(number), outcome="success", good=True, protected_bytes=size, transferred_bytes=2 * GB)
        for number, size in enumerate(sizes)
    ]
    return (*points[:-1], replace(points[-1], **last)) if points else ()


def check(sizes: Sequence[int | None], params: Params | None = None, *, last: Any = None, **facts: Any) -> Answer:
    given = job_facts(history=history(sizes, **(last or {})), **facts)
    return size_anomaly.check(given, params or Params(), NOON)


def flagged(sizes: Sequence[int | None], params: Params | None = None, *, last: Any = None, **facts: Any) -> Finding:
    answer = check(sizes, params, last=last, **facts)
    assert isinstance(answer, Finding)
    return answer


def test_a_share_that_vanished_is_flagged_and_explained() -> None:
    found = flagged([*USUAL, 12 * GB])
    assert found.summary == (
        "The protected size is 12.0 GB, 97 % less: usually between 410.0 GB and 430.0 GB over 28 runs; "
        "measured on Thu 29 Jan 2026 23:00 CET, something may have left the selection."
    )
    assert (found.since, found.sticky, found.severity) == (night(28), True, "warning")
    assert found.evidence == {
        "size_bytes": 12 * GB,
        "measured_at": "2026-01-29T22:00:00+00:00",
        "usual_from_bytes": 410 * GB,
        "usual_to_bytes": 430 * GB,
        "usual_runs": 28,
        "percent": 97,
        "runs_at_this_size": 1,
    }


@pytest.mark.parametrize(
    "size,found",
    [(1, True), (287 * GB, True), (288 * GB, False), (430 * GB, False), (859 * GB, False), (860 * GB, True)],
)
def test_the_thresholds_are_shares_beyond_the_usual(size: int, found: bool) -> None:
    """30 % under 410 GB are 287 GB, 100 % over 430 GB are 860 GB."""
    assert isinstance(check([*USUAL, size]), Finding) is found


def test_thresholds_can_be_set_and_switched_off() -> None:
    assert check([*USUAL, 12 * GB], Params(shrink_percent=0)) is None
    assert check([*USUAL, 10**15], Params(grow_percent=0)) is None
    assert isinstance(check([*USUAL, 369 * GB], Params(shrink_percent=10)), Finding)


def test_small_differences_are_left_in_peace_whatever_their_share() -> None:
    assert check([99_000_001] * 20 + [1_000]) is None
    assert isinstance(check([100_001_000] * 20 + [1_000]), Finding)


def test_the_same_shift_is_the_same_occurrence_each_night_and_a_further_one_is_another() -> None:
    nights = [flagged([*USUAL, *([200 * GB] * count)]) for count in (1, 2, 3)]
    assert len({one.occurrence for one in nights}) == 1
    assert [one.repeats for one in nights] == [1, 2, 3]
    assert nights[2].summary.endswith("It is so in 3 runs since Thu 29 Jan 2026 23:00 CET.")
    further = flagged([*USUAL, *([200 * GB] * 3), 10 * GB])
    assert further.occurrence != nights[0].occurrence
    assert further.since == nights[0].since


def test_what_a_person_accepted_is_the_usual_size_from_there_on() -> None:
    sizes = [*USUAL, *([200 * GB] * 3)]
    accepted = night(30) + HOUR
    assert check(sizes, size_accepted_at=accepted) is None
    assert check([*sizes, 201 * GB], size_accepted_at=accepted) is None
    further = flagged([*sizes, 100 * GB], size_accepted_at=accepted)
    assert "usually 200.0 GB over 3 runs" in further.summary
    assert "50 % less" in further.summary


def test_an_accepted_first_night_needs_no_seven_further_ones() -> None:
    assert isinstance(check([*USUAL, 200 * GB, 1], size_accepted_at=night(28) + HOUR), Finding)


def test_a_size_that_holds_becomes_usual_by_itself() -> None:
    assert isinstance(check([*USUAL, *([200 * GB] * 13)]), Finding)
    assert check([*USUAL, *([200 * GB] * 14)]) is None
    assert isinstance(check([*USUAL, *([200 * GB] * 20)], Params(settle_runs=0)), Finding)


def test_a_setting_by_which_nothing_could_be_flagged_is_refused() -> None:
    assert check([*USUAL, 1], Params(settle_runs=1)) is None
    with pytest.raises(BadParams, match="never flagged: set 2 or more"):
        check_together(Params(settle_runs=1), chosen={"settle_runs"})
    check_together(Params(settle_runs=2), chosen={"settle_runs"})
    assert isinstance(check([*USUAL, 1], Params(settle_runs=2)), Finding)


def test_one_odd_night_proposes_its_own_clearing() -> None:
    facts = job_facts(history=history([*USUAL, 12 * GB, 420 * GB]))
    assert size_anomaly.check(facts, Params(), NOON) is None
    assert size_anomaly.closing_words(facts, Params(), NOON) == (
        "The run of Fri 30 Jan 2026 23:00 CET measured 420.0 GB, which is as usual."
    )


def test_months_of_growth_are_not_flagged() -> None:
    sizes = [int(100 * GB * 1.02**number) for number in range(180)]
    for end in range(7, 180):
        assert check(sizes[max(0, end - 60) : end]) is None


def test_runs_that_are_not_measurable_are_passed_over() -> None:
    assert check([*USUAL, None, None]) is None
    assert flagged([*USUAL, 12 * GB, None]).since == night(28)


def test_without_a_size_or_with_too_few_it_cannot_be_checked() -> None:
    none, few = check([None] * 20), check([400 * GB] * 6)
    assert isinstance(none, CannotCheck)
    assert none.reason == "nightly reports no protected size."
    assert isinstance(few, CannotCheck)
    assert few.reason == "A size is known of 6 runs of 7 that it takes to know the usual size."
    assert check([400 * GB] * 7) is None
    assert isinstance(check([]), CannotCheck)


def test_a_job_that_is_not_active_is_not_judged() -> None:
    assert check([*USUAL, 0], active=False) is None
    facts = job_facts(active=False)
    assert size_anomaly.closing_words(facts, Params(), NOON) == "The job is no longer active."


# --- much changed at once


def test_a_night_in_which_nearly_everything_changed_is_flagged() -> None:
    found = flagged([*USUAL, 420 * GB], last={"transferred_bytes": 400 * GB})
    assert found.summary == (
        "400.0 GB of 420.0 GB protected was transferred in the run of Thu 29 Jan 2026 23:00 CET, usually 2.0 GB over "
        "28 runs: data was moved, or somebody encrypts it."
    )
    assert (found.sticky, found.evidence["figure"]) == (True, "transferred_bytes")
    assert check([*USUAL, 420 * GB, 420 * GB]) is None, "the next usual night proposes to clear it"


def test_what_the_product_says_that_changed_goes_before_what_it_sent() -> None:
    sizes = [420 * GB] * 21
    quiet = [replace(point, changed_bytes=GB) for point in history(sizes)]
    full = (*quiet[:-1], replace(quiet[-1], transferred_bytes=420 * GB))
    assert size_anomaly.check(job_facts(history=full), Params(), NOON) is None
    changed = (*quiet[:-1], replace(quiet[-1], changed_bytes=300 * GB))
    found = size_anomaly.check(job_facts(history=changed), Params(), NOON)
    assert isinstance(found, Finding)
    assert found.summary.startswith("300.0 GB of 420.0 GB protected changed in the run of")


@pytest.mark.parametrize(
    "sent,params,found",
    [
        (126 * GB, Params(), True),
        (125 * GB, Params(), False),  # under 30 % of 420 GB
        (126 * GB, Params(change_percent=31), False),
        (126 * GB, Params(change_factor=64), False),  # 63 times the usual 2 GB
        (400 * GB, Params(change_factor=0), False),
    ],
)
def test_it_takes_many_times_the_usual_and_a_share_of_everything(sent: int, params: Params, found: bool) -> None:
    assert isinstance(check([*USUAL, 420 * GB], params, last={"transferred_bytes": sent}), Finding) is found


def test_a_full_copy_sends_everything_and_is_no_surprise() -> None:
    last = {"transferred_bytes": 420 * GB, "started_at": night(28) - 3 * HOUR}
    assert check([*USUAL, 420 * GB], last=last, last_full_at=night(28) - 2 * HOUR) is None
    assert isinstance(check([*USUAL, 420 * GB], last=last, last_full_at=night(20)), Finding)


def test_a_run_that_brought_as_much_before_makes_it_no_surprise() -> None:
    points = list(history([*USUAL, 420 * GB], transferred_bytes=400 * GB))
    points[2] = replace(points[2], transferred_bytes=300 * GB)
    assert size_anomaly.check(job_facts(history=tuple(points)), Params(), NOON) is None


def test_a_night_that_a_person_accepted_is_not_flagged_again() -> None:
    last = {"transferred_bytes": 400 * GB}
    assert check([*USUAL, 420 * GB], last=last, size_accepted_at=night(28) + HOUR) is None
    assert isinstance(check([*USUAL, 420 * GB], last=last, size_accepted_at=night(27)), Finding)
