"""No data sent by hand: good runs that bring nothing, from when, and where that proves little."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from alerts.facts import CannotCheck, RunPoint, Unheard, Waiting
from alerts.rules import no_data_sent
from tests.alerts.pure.examples import NOON, job_facts, utc

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
DATA = no_data_sent.Params(days=7)


def no_data(now: datetime, **facts: Any) -> Any:
    return no_data_sent.check(job_facts(reports_data=True, **facts), DATA, now)


def test_good_runs_without_data_are_found_after_the_days_set() -> None:
    facts = {
        "last_data_at": NOON,
        "last_good_at": NOON + DAY,
        "last_transferred_bytes": 0,
        "last_protected_bytes": 5000,
    }
    assert no_data(NOON + 7 * DAY - SECOND, **facts) is None
    found = no_data(NOON + 7 * DAY, **facts)
    assert (found.since, found.deadline) == (NOON, NOON + 7 * DAY)
    assert found.summary == (
        "Backups succeed, but no data came since Wed 14 Jan 2026 13:00 CET (last figures: 5.0 kB selected, 0 bytes "
        "sent); expected at least once in 7 days."
    )
    known = job_facts(reports_data=True, **facts)
    assert no_data_sent.check_after(known, DATA, NOON + DAY) == NOON + 7 * DAY
    assert no_data_sent.check_after(known, DATA, NOON + 7 * DAY) is None


def test_a_job_that_does_not_run_is_another_rules_matter() -> None:
    assert no_data(NOON + 99 * DAY, last_data_at=NOON, last_good_at=NOON) is None
    assert no_data(NOON + 99 * DAY) is None


def test_a_job_that_never_had_data_counts_from_its_registration() -> None:
    assert no_data(utc(2026, 1, 8), last_good_at=utc(2026, 1, 7)).since == utc(2026, 1, 1)


def test_a_product_without_sizes_cannot_be_checked() -> None:
    facts = job_facts(last_good_at=NOON)
    answer = no_data_sent.check(facts, DATA, NOON + 99 * DAY)
    assert isinstance(answer, CannotCheck)
    assert answer.reason.endswith(".")
    assert no_data_sent.check_after(facts, DATA, NOON) is None


def empty_runs(number: int, *, last_data: datetime, every: timedelta) -> tuple[RunPoint, ...]:
    """One good run with data, and so many good ones without."""
    return tuple(
        RunPoint(ended_at=last_data + place * every, outcome="success", good=True, transferred_bytes=0 if place else 9)
        for place in range(number + 1)
    )


def test_one_empty_run_of_a_monthly_job_proves_little() -> None:
    """Seven days are long over when it comes, and yet it is one run like any incremental without changes."""
    month = 30 * DAY
    one = empty_runs(1, last_data=NOON, every=month)
    assert no_data(NOON + month, last_data_at=NOON, last_good_at=NOON + month, history=one) is None
    assert no_data_sent.check_after(
        job_facts(reports_data=True, last_data_at=NOON, last_good_at=NOON + month, history=one), DATA, NOON + month
    ) is None  # fmt: skip
    two = empty_runs(2, last_data=NOON, every=month)
    found = no_data(NOON + 2 * month, last_data_at=NOON, last_good_at=NOON + 2 * month, history=two)
    assert found.since == NOON


def test_the_nights_of_a_nightly_job_are_counted_to_the_microsecond() -> None:
    nights = empty_runs(6, last_data=NOON, every=DAY)
    facts: dict[str, Any] = {"last_data_at": NOON, "last_good_at": NOON + 6 * DAY, "history": nights}
    assert no_data(NOON + 7 * DAY - timedelta(microseconds=1), **facts) is None
    assert no_data(NOON + 7 * DAY, **facts).deadline == NOON + 7 * DAY


def test_it_waits_for_a_log_that_may_hold_data() -> None:
    deadline = NOON + 7 * DAY
    facts: dict[str, Any] = {"last_data_at": NOON, "last_good_at": NOON + DAY, "awaiting_since": deadline}
    assert isinstance(no_data(deadline + 15 * MINUTE - SECOND, **facts), Waiting)
    known = job_facts(reports_data=True, **facts)
    assert no_data_sent.check_after(known, DATA, deadline) == deadline + MINUTE
    assert no_data(deadline + 15 * MINUTE, **facts).kind == "no_data_sent"
    unheard = Unheard(since=NOON + 2 * DAY, what="the mailbox is silent")
    answer = no_data(deadline, last_data_at=NOON, last_good_at=NOON + DAY, unheard=unheard)
    assert isinstance(answer, Waiting)


def test_it_closes_with_words() -> None:
    brought = job_facts(reports_data=True, last_data_at=NOON, last_good_at=NOON)
    assert no_data_sent.closing_words(brought, DATA, NOON) == (
        "The run of Wed 14 Jan 2026 13:00 CET brought data again."
    )
    paused = job_facts(reports_data=True, last_data_at=NOON, last_good_at=NOON + DAY, active=False)
    assert no_data_sent.check(paused, DATA, NOON + 99 * DAY) is None
    assert no_data_sent.closing_words(paused, DATA, NOON) == "The job is no longer active."
