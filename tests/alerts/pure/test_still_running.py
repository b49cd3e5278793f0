"""Still running by hand: when a run should have ended, when it counts as abandoned, and what its late end says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.facts import Finding, RunPoint, Unheard, Waiting
from alerts.rules import still_running
from tests.alerts.pure.examples import NOON, job_facts, utc

MICROSECOND, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PARAMS = still_running.Params()


def found(now: datetime, *, params: still_running.Params = PARAMS, **facts: Any) -> Finding:
    answer = still_running.check(job_facts(**facts), params, now)
    assert isinstance(answer, Finding)
    return answer


def is_quiet(now: datetime, *, params: still_running.Params = PARAMS, **facts: Any) -> bool:
    return still_running.check(job_facts(**facts), params, now) is None


def lasted(*minutes: int | None, outcome: Any = "success") -> tuple[RunPoint, ...]:
    """Nights that took so many minutes; None tells no duration."""
    return tuple(
        RunPoint(
            ended_at=NOON - (len(minutes) - place) * DAY, outcome=outcome, good=outcome == "success",
            duration_seconds=None if took is None else took * 60,
        )
        for place, took in enumerate(minutes)
    )  # fmt: skip


def test_without_a_history_a_run_may_take_a_day() -> None:
    facts: dict[str, Any] = {"running_since": NOON}
    assert is_quiet(NOON + DAY - MICROSECOND, **facts)
    answer = found(NOON + DAY, **facts)
    assert (answer.since, answer.deadline, answer.severity) == (NOON, NOON + DAY, "warning")
    assert answer.summary == (
        "A run is under way since Wed 14 Jan 2026 13:00 CET; it should have ended by Thu 15 Jan 2026 13:00 CET: "
        "a run may take 24 hours."
    )
    assert still_running.check_after(job_facts(**facts), PARAMS, NOON) == NOON + DAY


@pytest.mark.parametrize(
    "history,params,longest",
    [
        (lasted(*[40] * 7), PARAMS, 120 * MINUTE),  # three times the median
        (lasted(*[40] * 6), PARAMS, DAY),  # too few to know
        (lasted(*[40] * 6, None, None), PARAMS, DAY),
        (lasted(*[10] * 9), PARAMS, HOUR),  # never before an hour
        (lasted(10, 10, 10, 10, 600, 10, 10, 10), PARAMS, 600 * MINUTE),  # the monthly full copy took ten hours
        (lasted(*[1800] * 7), PARAMS, 5400 * MINUTE),  # a job of thirty hours is not late after a day
        (lasted(*[40] * 7, outcome="failure"), PARAMS, DAY),  # how soon runs break off says nothing
        (lasted(*[40] * 7), still_running.Params(times_usual=0), DAY),
        (lasted(*[40] * 7), still_running.Params(times_usual=5, hours=1), 200 * MINUTE),
        ((), still_running.Params(hours=3), 3 * HOUR),
    ],
)
def test_how_long_a_run_may_take(
    history: tuple[RunPoint, ...], params: still_running.Params, longest: timedelta
) -> None:
    facts: dict[str, Any] = {"running_since": NOON, "history": history}
    assert is_quiet(NOON + longest - MICROSECOND, params=params, **facts)
    assert found(NOON + longest, params=params, **facts).deadline == NOON + longest


def test_the_history_is_told_in_words() -> None:
    answer = found(NOON + 3 * HOUR, running_since=NOON, history=lasted(*[40] * 7))
    assert answer.summary.endswith("a run usually takes 40 minutes and never took more than 40 minutes.")


def test_a_laptop_falls_asleep_in_the_middle_of_a_run() -> None:
    facts: dict[str, Any] = {"running_since": NOON, "history": lasted(*[40] * 9), "machine_class": "laptop"}
    assert is_quiet(NOON + DAY - MICROSECOND, **facts)
    assert isinstance(found(NOON + DAY, **facts), Finding)


@pytest.mark.parametrize(
    "schedule,zone,since,due",
    [
        ("daily 22:00", "Europe/Berlin", utc(2026, 1, 14, 21, 4), utc(2026, 1, 15, 21)),
        ("daily 22:00", "Europe/Berlin", utc(2026, 1, 14, 20, 56), utc(2026, 1, 15, 21)),  # four minutes early
        ("every 6h", "Europe/Berlin", NOON, NOON + 6 * HOUR),
        ("daily 02:30", "Europe/Berlin", utc(2026, 3, 28, 1, 30), utc(2026, 3, 29, 1)),  # 02:30 is left out
        ("daily 02:30", "Europe/Berlin", utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)),  # and 25 hours long
        ("*/30 * * * *", "UTC", utc(2026, 2, 28, 23, 31), utc(2026, 3, 1)),  # no leap day in 2026
        ("*/30 * * * *", "UTC", utc(2028, 2, 28, 23, 31), utc(2028, 2, 29)),
    ],
)
def test_a_run_should_have_ended_by_the_next_start(schedule: str, zone: str, since: datetime, due: datetime) -> None:
    facts: dict[str, Any] = {"schedule": schedule, "zone": zone, "running_since": since}
    params = still_running.Params(hours=100)
    assert is_quiet(due - MICROSECOND, params=params, **facts)
    assert found(due, params=params, **facts).deadline == due


def test_the_earliest_of_both_counts() -> None:
    answer = found(NOON + 6 * HOUR, schedule="every 6h", running_since=NOON, history=lasted(*[300] * 7))
    assert answer.summary.endswith('the next start was due by the schedule "every 6h".')
    shorter = found(NOON + 2 * HOUR, schedule="every 6h", running_since=NOON, history=lasted(*[40] * 7))
    assert shorter.deadline == NOON + 2 * HOUR


def test_a_run_is_abandoned_after_three_days() -> None:
    facts: dict[str, Any] = {"running_since": NOON}
    abandoned_at = NOON + 3 * DAY
    before, after = found(abandoned_at - MICROSECOND, **facts), found(abandoned_at, **facts)
    assert (before.severity, after.severity) == ("warning", "critical")
    assert before.occurrence == after.occurrence
    assert "and counts as abandoned after 3 days without an end;" in after.summary
    known = job_facts(**facts)
    assert still_running.check_after(known, PARAMS, NOON + DAY) == abandoned_at
    assert still_running.check_after(known, PARAMS, abandoned_at) is None
    never = still_running.Params(abandoned_days=0)
    assert found(NOON + 99 * DAY, params=never, **facts).severity == "warning"
    assert still_running.check_after(known, never, NOON + DAY) is None


def test_a_run_abandoned_before_it_is_late_is_found_when_it_is_late() -> None:
    facts: dict[str, Any] = {"running_since": NOON}
    params = still_running.Params(hours=200, abandoned_days=1)
    assert is_quiet(NOON + 200 * HOUR - MICROSECOND, params=params, **facts)
    assert still_running.check_after(job_facts(**facts), params, NOON) == NOON + 200 * HOUR
    assert found(NOON + 200 * HOUR, params=params, **facts).severity == "critical"


def test_a_late_end_revives_it() -> None:
    end = RunPoint(ended_at=NOON + 9 * DAY, outcome="success", good=True)
    facts = job_facts(running_since=None, history=(end,))
    assert still_running.check(facts, PARAMS, NOON + 9 * DAY) is None
    assert still_running.check_after(facts, PARAMS, NOON + 9 * DAY) is None
    assert still_running.closing_words(facts, PARAMS, NOON + 9 * DAY) == (
        "It ended after all, on Fri 23 Jan 2026 13:00 CET, as success."
    )


def test_it_closes_with_words() -> None:
    def words(**facts: Any) -> str:
        return still_running.closing_words(job_facts(**facts), PARAMS, NOON)

    assert is_quiet(NOON + 9 * DAY, running_since=NOON, active=False)
    assert still_running.check_after(job_facts(running_since=NOON, active=False), PARAMS, NOON) is None
    assert words(active=False) == "The job is no longer active."
    assert words(last_run_at=NOON) == "It ended after all, on Wed 14 Jan 2026 13:00 CET."
    assert words() == "No run of this job is under way any more."
    assert words(running_since=NOON) == ("A newer run is on its way, and is not late before Thu 15 Jan 2026 13:00 CET.")


def test_it_waits_for_the_log_of_the_end() -> None:
    deadline = NOON + DAY
    waiting = job_facts(running_since=NOON, awaiting_since=deadline)
    assert isinstance(still_running.check(waiting, PARAMS, deadline), Waiting)
    assert still_running.check_after(waiting, PARAMS, deadline) == deadline + MINUTE
    assert isinstance(still_running.check(waiting, PARAMS, deadline + 15 * MINUTE), Finding)
    silent = job_facts(running_since=NOON, unheard=Unheard(since=NOON, what="the mailbox is silent"))
    assert isinstance(still_running.check(silent, PARAMS, NOON + 9 * DAY), Waiting)
