"""No recent backup by hand: the deadline, days of 23 and 25 hours, classes of machines, after an outage."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.facts import Finding, Learned, Unheard, Waiting
from alerts.rules import no_recent_backup
from tests.alerts.pure.examples import NOON, job_facts, utc

MICROSECOND, SECOND, MINUTE = timedelta(microseconds=1), timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OVERDUE = no_recent_backup.Params()
#: Last good at noon, 26 hours of tolerance and one of grace.
DEADLINE = NOON + 27 * HOUR


def overdue(now: datetime, *, params: no_recent_backup.Params = OVERDUE, **facts: Any) -> Finding:
    answer = no_recent_backup.check(job_facts(**facts), params, now)
    assert isinstance(answer, Finding)
    return answer


def is_overdue(now: datetime, **facts: Any) -> bool:
    return isinstance(no_recent_backup.check(job_facts(**facts), OVERDUE, now), Finding)


def is_quiet(now: datetime, **facts: Any) -> bool:
    return no_recent_backup.check(job_facts(**facts), OVERDUE, now) is None


def test_a_job_is_overdue_from_its_deadline_on_and_not_a_second_earlier() -> None:
    assert is_quiet(DEADLINE - SECOND, last_good_at=NOON)
    found = overdue(DEADLINE, last_good_at=NOON)
    assert (found.since, found.deadline, found.severity) == (DEADLINE, DEADLINE, "warning")
    assert found.summary == (
        "No good backup since Wed 14 Jan 2026 13:00 CET; one was due at most 1 day 2 hours between two, "
        "and is overdue since Thu 15 Jan 2026 16:00 CET."
    )
    assert no_recent_backup.check_after(job_facts(last_good_at=NOON), OVERDUE, DEADLINE - DAY) == DEADLINE


def test_a_job_that_never_had_a_good_run_is_the_matter_of_never_backed_up() -> None:
    facts = job_facts(last_outcome="failure", last_failure_at=NOON)
    assert is_quiet(NOON + 99 * DAY)
    assert no_recent_backup.check(facts, OVERDUE, NOON + 99 * DAY) is None
    assert no_recent_backup.check_after(facts, OVERDUE, NOON) is None
    assert no_recent_backup.closing_words(facts, OVERDUE, NOON) == (
        'No backup of this job was ever good: that is the matter of "Never backed up".'
    )
    assert no_recent_backup.overdue_at(facts, OVERDUE) == utc(2026, 1, 2, 3)  # what a failure may be held back until


@pytest.mark.parametrize(
    "last_good,deadline",
    [
        (utc(2026, 3, 28, 21, 30), utc(2026, 3, 29, 21)),  # the night of the spring change: 22:00 is 20:00 UTC
        (utc(2026, 10, 24, 20, 30), utc(2026, 10, 25, 22)),  # autumn: 22:00 is 21:00 UTC
        (utc(2028, 2, 28, 21, 30), utc(2028, 2, 29, 22)),  # a leap day is a day
    ],
)
def test_a_schedule_follows_the_wall_clock(last_good: datetime, deadline: datetime) -> None:
    assert is_quiet(deadline - SECOND, schedule="daily 22:00", last_good_at=last_good)
    found = overdue(deadline, schedule="daily 22:00", last_good_at=last_good)
    assert 'by the schedule "daily 22:00"' in found.summary


def test_a_weekday_job_is_quiet_on_the_weekend() -> None:
    friday_night = utc(2026, 1, 16, 21, 30)
    assert is_quiet(utc(2026, 1, 19, 21, 59), schedule="weekdays 22:00", last_good_at=friday_night)
    assert is_overdue(utc(2026, 1, 19, 22), schedule="weekdays 22:00", last_good_at=friday_night)


def test_what_the_job_sets_wins_over_the_rule() -> None:
    facts: dict[str, Any] = {"last_good_at": NOON, "tolerance": 14 * DAY, "grace": timedelta()}
    assert is_quiet(NOON + 14 * DAY - SECOND, **facts)
    assert overdue(NOON + 14 * DAY, **facts).evidence["tolerance_seconds"] == 14 * 86400


def test_a_schedule_that_can_no_longer_be_read_leaves_the_tolerance() -> None:
    assert overdue(DEADLINE, schedule="0 0 31 2 *", last_good_at=NOON).since == DEADLINE


def test_it_becomes_critical_in_place() -> None:
    facts = job_facts(last_good_at=NOON)
    critical_at = DEADLINE + 48 * HOUR
    assert no_recent_backup.check_after(facts, OVERDUE, DEADLINE) == critical_at
    before, after = overdue(critical_at - SECOND, last_good_at=NOON), overdue(critical_at, last_good_at=NOON)
    assert (before.severity, after.severity) == ("warning", "critical")
    assert before.occurrence == after.occurrence
    assert no_recent_backup.check_after(facts, OVERDUE, critical_at) is None
    never = no_recent_backup.Params(critical_after_hours=0)
    assert overdue(critical_at + 99 * DAY, params=never, last_good_at=NOON).severity == "warning"
    assert no_recent_backup.check_after(facts, never, DEADLINE) is None


def test_an_older_unread_log_delays_it_by_fifteen_minutes_at_most() -> None:
    facts = job_facts(last_good_at=NOON, awaiting_since=DEADLINE)
    answer = no_recent_backup.check(facts, OVERDUE, DEADLINE + 15 * MINUTE - SECOND)
    assert isinstance(answer, Waiting)
    assert answer.until == DEADLINE + 15 * MINUTE
    assert no_recent_backup.check_after(facts, OVERDUE, DEADLINE) == DEADLINE + MINUTE
    assert no_recent_backup.check_after(facts, OVERDUE, answer.until - SECOND) == answer.until
    assert is_overdue(DEADLINE + 15 * MINUTE, last_good_at=NOON, awaiting_since=DEADLINE)


def test_a_younger_unread_log_delays_nothing() -> None:
    """Else a busy tenant, who always has something waiting, would never hear of a missed backup."""
    assert is_overdue(DEADLINE + MINUTE, last_good_at=NOON, awaiting_since=DEADLINE + SECOND)


def test_after_an_outage_of_ours_the_waiting_logs_are_read_first() -> None:
    """A queue that is stuck delays it for three hours at most; that is told by a rule of its own."""
    resumed = DEADLINE + 20 * HOUR
    facts: dict[str, Any] = {"last_good_at": NOON, "resumed_at": resumed, "awaiting_since": resumed + HOUR}
    answer = no_recent_backup.check(job_facts(**facts), OVERDUE, resumed + 2 * HOUR)
    assert isinstance(answer, Waiting)
    assert answer.until == resumed + 3 * HOUR
    assert is_overdue(resumed + 3 * HOUR, **facts)
    assert is_overdue(resumed + HOUR, **(facts | {"awaiting_since": resumed + HOUR + SECOND}))


@pytest.mark.parametrize("before", [20 * HOUR, MINUTE, -HOUR])
def test_after_an_outage_of_ours_logs_that_still_wait_outside_get_an_hour(before: timedelta) -> None:
    """At the first sweep no log is in the queue yet: mails, folders and senders' repeats come in after it."""
    resumed = DEADLINE + before
    facts: dict[str, Any] = {"last_good_at": NOON, "resumed_at": resumed}
    if before > timedelta():
        assert isinstance(no_recent_backup.check(job_facts(**facts), OVERDUE, resumed), Waiting)
        assert no_recent_backup.check_after(job_facts(**facts), OVERDUE, resumed) == resumed + HOUR
        assert isinstance(no_recent_backup.check(job_facts(**facts), OVERDUE, resumed + HOUR - SECOND), Waiting)
    assert is_overdue(resumed + HOUR, **facts)


def test_what_is_due_soon_after_an_outage_may_have_run_in_it() -> None:
    facts: dict[str, Any] = {"last_good_at": NOON, "resumed_at": DEADLINE - 10 * MINUTE}
    assert isinstance(no_recent_backup.check(job_facts(**facts), OVERDUE, DEADLINE + 50 * MINUTE - SECOND), Waiting)
    assert is_overdue(DEADLINE + 50 * MINUTE, **facts)


def test_an_outage_long_past_delays_nothing() -> None:
    assert is_overdue(DEADLINE + MINUTE, last_good_at=NOON, resumed_at=NOON, awaiting_since=DEADLINE + SECOND)


def test_a_job_that_is_not_active_has_no_clock() -> None:
    facts = job_facts(last_good_at=NOON, active=False)
    assert no_recent_backup.check(facts, OVERDUE, DEADLINE + 99 * DAY) is None
    assert no_recent_backup.check_after(facts, OVERDUE, NOON) is None
    assert no_recent_backup.closing_words(facts, OVERDUE, NOON) == "The job is no longer active."


# --- classes of machines

CLASSES = {"server": 26 * HOUR, "cloud": 26 * HOUR, "other": 26 * HOUR, "laptop": 14 * DAY, "occasional": 30 * DAY}


@pytest.mark.parametrize("machine_class", CLASSES)
def test_a_class_of_machine_has_a_tolerance_of_its_own(machine_class: str) -> None:
    deadline = NOON + CLASSES[machine_class] + HOUR
    assert is_quiet(deadline - MICROSECOND, last_good_at=NOON, machine_class=machine_class)
    found = overdue(deadline, last_good_at=NOON, machine_class=machine_class)
    assert found.since == deadline
    assert found.evidence["tolerance_seconds"] == CLASSES[machine_class].total_seconds()
    known = job_facts(last_good_at=NOON, machine_class=machine_class)
    assert no_recent_backup.check_after(known, OVERDUE, NOON) == deadline


@pytest.mark.parametrize(
    "facts,clock,words",
    [
        ({}, "rule", "one was due at most 1 day 2 hours between two, and is overdue"),
        ({"machine_class": "laptop"}, "laptop", "at most 14 days between two, as set for laptops, and"),
        ({"machine_class": "occasional"}, "occasional", "30 days between two, as set for machines that are not always"),
        ({"machine_class": "laptop", "tolerance": 3 * DAY}, "policy", "at most 3 days between two, as its policy says"),
        ({"machine_class": "seasonal", "tolerance": 3 * DAY}, "policy", "at most 3 days between two, as its policy"),
        ({"machine_class": "laptop", "schedule": "daily 22:00"}, "schedule", 'by the schedule "daily 22:00"'),
        ({"tolerance": 3 * DAY, "schedule": "daily 22:00"}, "schedule", 'by the schedule "daily 22:00"'),
        ({"machine_class": "seasonal", "schedule": "daily 22:00"}, "schedule", 'by the schedule "daily 22:00"'),
    ],
)
def test_the_finding_says_which_promise_was_broken(facts: dict[str, Any], clock: str, words: str) -> None:
    found = overdue(NOON + 99 * DAY, last_good_at=NOON, **facts)
    assert found.evidence["clock"] == clock
    assert words in found.summary


def test_a_seasonal_machine_has_no_clock_unless_it_is_given_one() -> None:
    facts = job_facts(last_good_at=NOON, machine_class="seasonal")
    assert no_recent_backup.check(facts, OVERDUE, NOON + 999 * DAY) is None
    assert no_recent_backup.check_after(facts, OVERDUE, NOON) is None
    assert no_recent_backup.overdue_at(facts, OVERDUE) is None
    assert no_recent_backup.closing_words(facts, OVERDUE, NOON) == "Seasonal machines have no clock here."
    given = no_recent_backup.Params(seasonal_days=200)
    assert no_recent_backup.check_after(facts, given, NOON) == NOON + 200 * DAY + HOUR
    found = overdue(NOON + 200 * DAY + HOUR, params=given, last_good_at=NOON, machine_class="seasonal")
    assert "at most 200 days between two, as set for seasonal machines" in found.summary


def test_a_learned_schedule_is_no_promise() -> None:
    learned = Learned(schedule="every 6h", confidence=100, samples=60)
    assert is_quiet(DEADLINE - MICROSECOND, last_good_at=NOON, learned=learned)
    assert overdue(DEADLINE, last_good_at=NOON, learned=learned).evidence["clock"] == "rule"


def test_what_was_not_heard_is_not_missed() -> None:
    unheard = Unheard(since=NOON, what="the mailbox is silent")
    answer = no_recent_backup.check(job_facts(last_good_at=NOON, unheard=unheard), OVERDUE, DEADLINE + 9 * DAY)
    assert isinstance(answer, Waiting)
    over = Unheard(since=NOON, what="the mailbox is silent", until=DEADLINE + 9 * DAY)
    facts = job_facts(last_good_at=NOON, unheard=over)
    assert isinstance(no_recent_backup.check(facts, OVERDUE, DEADLINE + 9 * DAY - MICROSECOND), Waiting)
    assert isinstance(no_recent_backup.check(facts, OVERDUE, DEADLINE + 9 * DAY), Finding)
    earlier = Unheard(since=DEADLINE + SECOND, what="the mailbox is silent")
    assert is_overdue(DEADLINE + MINUTE, last_good_at=NOON, unheard=earlier), "it was overdue before the silence began"


@pytest.mark.parametrize(
    "schedule,zone,last_good,deadline",
    [
        # The hour from 02:00 is left out: a start at 02:30 is due at 03:00, which is 01:00 UTC; an hour of grace.
        ("daily 02:30", "Europe/Berlin", utc(2026, 3, 28, 1, 40), utc(2026, 3, 29, 2)),
        # The hour comes twice: the first pass of 02:30 counts, which is 00:30 UTC.
        ("daily 02:30", "Europe/Berlin", utc(2026, 10, 24, 0, 40), utc(2026, 10, 25, 1, 30)),
        # The second pass is no further start: the next is on the 26th.
        ("daily 02:30", "Europe/Berlin", utc(2026, 10, 25, 0, 40), utc(2026, 10, 26, 2, 30)),
        # The last of the month by cron: from 31 January to 1 February, in New York.
        ("0 0 1 * *", "America/New_York", utc(2026, 1, 1, 6), utc(2026, 2, 1, 6)),
        ("0 4 29 2 *", "Europe/Berlin", utc(2024, 2, 29, 4), utc(2028, 2, 29, 4)),  # four years of calm
        ("every 1d", "Europe/Berlin", utc(2026, 3, 28, 21), utc(2026, 3, 29, 22)),  # an interval is elapsed time
    ],
)
def test_calendars_and_clocks(schedule: str, zone: str, last_good: datetime, deadline: datetime) -> None:
    facts: dict[str, Any] = {"schedule": schedule, "zone": zone, "last_good_at": last_good}
    assert is_quiet(deadline - MICROSECOND, **facts)
    assert overdue(deadline, **facts).since == deadline


def test_a_tolerance_is_elapsed_time_over_both_changes_of_the_clock() -> None:
    for last_good in (utc(2026, 3, 28, 21), utc(2026, 10, 24, 21), utc(2028, 2, 28, 21)):
        assert is_quiet(last_good + 27 * HOUR - MICROSECOND, last_good_at=last_good)
        assert is_overdue(last_good + 27 * HOUR, last_good_at=last_good)


def test_a_new_schedule_counts_from_the_last_good_run() -> None:
    facts: dict[str, Any] = {"last_good_at": utc(2026, 1, 13, 21, 30)}
    assert isinstance(overdue(utc(2026, 1, 14, 22), schedule="daily 22:00", **facts), Finding)
    assert is_quiet(utc(2026, 1, 14, 22), schedule="weekends 22:00", **facts)


def test_a_job_that_moves_keeps_its_clock() -> None:
    before = job_facts(last_good_at=NOON, server_id=5)
    after = job_facts(last_good_at=NOON, server_id=6, volume_id=3)
    assert no_recent_backup.check_after(before, OVERDUE, NOON) == no_recent_backup.check_after(after, OVERDUE, NOON)
