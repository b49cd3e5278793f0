"""Clock skew by hand: from which lead on, and that the first log that is right again closes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.rules import clock_skew
from tests.alerts.pure.examples import NOON, job_facts

MICROSECOND, HOUR, DAY = timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1)
PARAMS = clock_skew.Params()


def answer(*, params: clock_skew.Params = PARAMS, **facts: Any) -> Any:
    return clock_skew.check(job_facts(**facts), params, NOON + HOUR)


@pytest.mark.parametrize(
    "minutes,seconds,flagged", [(10, 600, False), (10, 601, True), (60, 3600, False), (60, 3601, True)]
)
def test_a_clock_may_be_ahead_by_so_much(minutes: int, seconds: int, flagged: bool) -> None:
    found = answer(params=clock_skew.Params(minutes=minutes), skewed_at=NOON, skew_seconds=seconds, heard_at=NOON)
    assert (found is not None) is flagged


def test_the_finding_says_whose_clock_and_by_how_much() -> None:
    found = answer(skewed_at=NOON, skew_seconds=5 * 3600, heard_at=NOON, server="bk1")
    assert found.summary == (
        "The log that came on Wed 14 Jan 2026 13:00 CET tells of times 5 hours in the future: the clock of bk1 is "
        "ahead or its time zone is wrong. Such runs do not count as backups."
    )
    assert (found.since, found.since_first_seen, found.occurrence) == (NOON, True, NOON.isoformat())
    assert "the clock of the server is ahead" in answer(skewed_at=NOON, skew_seconds=999, server="").summary
    later = answer(skewed_at=NOON + DAY, skew_seconds=5 * 3600, heard_at=NOON + DAY)
    assert later.occurrence != found.occurrence


def test_the_first_log_that_is_right_again_closes_it() -> None:
    facts: dict[str, Any] = {"skewed_at": NOON, "skew_seconds": 5 * 3600}
    assert answer(**facts, heard_at=NOON) is not None
    assert answer(**facts, heard_at=NOON + MICROSECOND) is None
    right = job_facts(**facts, heard_at=NOON + DAY)
    assert clock_skew.closing_words(right, PARAMS, NOON) == (
        "The clock is right again in the log that came on Thu 15 Jan 2026 13:00 CET."
    )


def test_it_says_nothing_without_a_log_from_the_future() -> None:
    assert answer() is None
    assert answer(heard_at=NOON) is None
    assert answer(skewed_at=NOON, skew_seconds=9999, active=False) is None
    assert clock_skew.check_after(job_facts(skewed_at=NOON, skew_seconds=9999), PARAMS, NOON) is None
    assert clock_skew.closing_words(job_facts(active=False), PARAMS, NOON) == "The job is no longer active."
    assert clock_skew.closing_words(job_facts(), PARAMS, NOON) == (
        "No log of this job is as far ahead any more as this rule asks for."
    )
