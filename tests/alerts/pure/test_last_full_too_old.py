"""Last full too old: only while backups go on, and only where the product tells of full copies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from alerts.facts import Answer, CannotCheck, Finding
from alerts.rules import last_full_too_old
from alerts.rules.last_full_too_old import Params
from tests.alerts.pure.examples import NOON, job_facts

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def check(age: timedelta, params: Params | None = None, **facts: Any) -> Answer:
    """The last good run ended at noon, the last full copy so long before it."""
    given = job_facts(**{"last_good_at": NOON, "last_full_at": NOON - age, **facts})
    return last_full_too_old.check(given, params or Params(), NOON + 400 * DAY)


def test_it_is_found_at_the_days_set_and_not_a_second_earlier() -> None:
    assert check(35 * DAY - SECOND) is None
    found = check(35 * DAY)
    assert isinstance(found, Finding)
    assert (found.since, found.severity) == (NOON, "info")
    assert found.summary == (
        "The last full copy was made on Wed 10 Dec 2025 13:00 CET, 35 days before the last good backup; "
        "one is expected at least every 35 days."
    )
    assert check(35 * DAY, Params(days=36)) is None


def test_a_job_that_does_not_run_is_another_rules_matter() -> None:
    """However long ago: its last good run came soon after the full copy."""
    assert check(3 * DAY) is None
    assert check(99 * DAY, last_good_at=None) is None


def test_a_newest_copy_that_is_full_itself_is_fine_whatever_is_told_of_older_ones() -> None:
    assert check(99 * DAY, chain_length=1) is None
    assert isinstance(check(99 * DAY, chain_length=50), Finding)


def test_it_is_one_occurrence_as_long_as_no_full_copy_comes() -> None:
    first, later = check(40 * DAY), check(41 * DAY, last_good_at=NOON + DAY)
    assert isinstance(first, Finding)
    assert isinstance(later, Finding)
    assert first.occurrence != later.occurrence
    same = check(40 * DAY, last_good_at=NOON + DAY)
    assert isinstance(same, Finding)
    assert (same.occurrence, same.since) == (first.occurrence, first.since)


def test_products_without_full_copies_cannot_be_checked() -> None:
    answer = check(DAY, last_full_at=None)
    assert isinstance(answer, CannotCheck)
    assert answer.reason == "nightly does not tell when it last made a full copy."
    assert check(99 * DAY, active=False) is None


def test_a_full_copy_closes_it_and_says_so() -> None:
    facts = job_facts(last_full_at=NOON, last_good_at=NOON)
    words = last_full_too_old.closing_words(facts, Params(), NOON)
    assert words == "A full copy was made on Wed 14 Jan 2026 13:00 CET."
