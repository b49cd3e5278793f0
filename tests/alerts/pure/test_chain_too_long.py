"""Chain too long: at the number set, and products that know no chains."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.facts import Answer, CannotCheck, Finding
from alerts.rules import chain_too_long
from alerts.rules.chain_too_long import Params
from tests.alerts.pure.examples import NOON, job_facts

DAY = timedelta(days=1)


def check(length: int | None, params: Params | None = None, **facts: Any) -> Answer:
    return chain_too_long.check(job_facts(chain_length=length, **facts), params or Params(), NOON)


@pytest.mark.parametrize("length,found", [(1, False), (100, False), (101, True), (5000, True)])
def test_a_chain_may_be_as_long_as_set_and_not_longer(length: int, found: bool) -> None:
    assert isinstance(check(length), Finding) is found


def test_it_says_how_many_and_since_which_full_copy() -> None:
    found = check(1200, last_full_at=NOON - 300 * DAY, last_good_at=NOON)
    assert isinstance(found, Finding)
    assert found.summary == (
        "A restore of the newest copy needs 1,200 copies, more than the 100 allowed. "
        "The last full copy was made on Thu 20 Mar 2025 13:00 CET."
    )
    assert found.since_first_seen


def test_a_further_copy_of_the_same_chain_is_the_same_occurrence() -> None:
    full = NOON - 300 * DAY
    first, second, anew = check(101, last_full_at=full), check(102, last_full_at=full), check(101, last_full_at=NOON)
    assert isinstance(first, Finding)
    assert isinstance(second, Finding)
    assert isinstance(anew, Finding)
    assert first.occurrence == second.occurrence != anew.occurrence


def test_copies_that_stand_alone_cannot_be_checked() -> None:
    answer = check(None)
    assert isinstance(answer, CannotCheck)
    assert answer.reason == "nightly does not tell how many copies a restore needs."
    assert check(5000, active=False) is None


def test_a_new_full_copy_closes_it() -> None:
    words = chain_too_long.closing_words(job_facts(chain_length=1), Params(max_length=7), NOON)
    assert words == "A restore of the newest copy needs 1 copy, at most 7 are allowed."
