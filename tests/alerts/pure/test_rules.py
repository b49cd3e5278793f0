"""Each rule by hand-written cases: at its threshold and just before, on days of 23 and 25 hours, after an outage."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.facts import CannotCheck, Finding, SelectionSize, Severity, Waiting
from alerts.rules import errors, no_data_sent, no_recent_backup, processing_delayed, quota_overrun
from tests.alerts.pure.examples import NOON, client_facts, job_facts, tenant_facts, utc

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
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


# --- no recent backup


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
    resumed = DEADLINE + 20 * HOUR
    facts: dict[str, Any] = {"last_good_at": NOON, "resumed_at": resumed}
    answer = no_recent_backup.check(job_facts(**facts, awaiting_since=resumed + MINUTE), OVERDUE, resumed + 2 * MINUTE)
    assert isinstance(answer, Waiting)
    assert answer.until == resumed + 15 * MINUTE
    assert is_overdue(resumed + 15 * MINUTE, **facts, awaiting_since=resumed + MINUTE)


def test_after_an_outage_of_ours_logs_that_still_wait_outside_get_the_same_time() -> None:
    """At the first sweep no log is in the queue yet: mails, folders and senders' repeats come in after it."""
    resumed = DEADLINE + 20 * HOUR
    facts: dict[str, Any] = {"last_good_at": NOON, "resumed_at": resumed}
    assert isinstance(no_recent_backup.check(job_facts(**facts), OVERDUE, resumed), Waiting)
    assert isinstance(no_recent_backup.check(job_facts(**facts), OVERDUE, resumed + 15 * MINUTE - SECOND), Waiting)
    assert is_overdue(resumed + 15 * MINUTE, **facts)


def test_an_outage_long_past_delays_nothing() -> None:
    assert is_overdue(DEADLINE + MINUTE, last_good_at=NOON, resumed_at=NOON, awaiting_since=DEADLINE + SECOND)


def test_a_job_that_is_not_active_has_no_clock() -> None:
    facts = job_facts(last_good_at=NOON, active=False)
    assert no_recent_backup.check(facts, OVERDUE, DEADLINE + 99 * DAY) is None
    assert no_recent_backup.check_after(facts, OVERDUE, NOON) is None
    assert no_recent_backup.closing_words(facts, OVERDUE, NOON) == "The job is no longer active."


# --- no data sent

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


# --- errors


def errors_of(params: errors.Params | None = None, **facts: Any) -> Any:
    return errors.check(job_facts(**facts), params or errors.Params(), NOON)


FAILED: dict[str, Any] = {"last_outcome": "failure", "failures_in_row": 1, "first_failure_at": NOON,
                          "last_errors": ("disk full",)}  # fmt: skip


def test_one_failure_is_found_with_its_lines() -> None:
    found = errors_of(**FAILED, last_good_at=NOON - DAY, overdue_at=NOON + 3 * HOUR)
    assert found.summary == (
        "The backup of Wed 14 Jan 2026 13:00 CET failed; the last good one ended on Tue 13 Jan 2026 13:00 CET."
    )
    assert (found.severity, found.since, found.lines) == ("warning", NOON, ("disk full",))
    assert (found.deadline, found.repeats) == (NOON + 3 * HOUR, 1)


def test_each_further_failure_is_another_occurrence_and_the_third_is_critical() -> None:
    found = [errors_of(**{**FAILED, "failures_in_row": count}) for count in (1, 2, 3)]
    assert [one.severity for one in found] == ["warning", "warning", "critical"]
    assert len({one.occurrence for one in found}) == 3
    assert [one.repeats for one in found] == [1, 2, 3]
    assert "no backup was ever good" in found[2].summary


def test_a_missed_run_counts_as_a_failure() -> None:
    assert "was missed" in errors_of(**{**FAILED, "last_outcome": "missed"}).summary


def test_warnings_are_found_at_the_number_set() -> None:
    assert errors_of(last_outcome="warning", warnings_in_row=2) is None
    found = errors_of(last_outcome="warning", warnings_in_row=3, last_good_at=NOON - DAY)
    assert found.summary.startswith("3 runs ended with warnings since Tue 13 Jan 2026 13:00 CET;")
    assert found.since == NOON - DAY
    assert errors_of(errors.Params(warnings=0), last_outcome="warning", warnings_in_row=99) is None


def test_the_number_of_failures_can_be_raised() -> None:
    assert errors_of(errors.Params(failures=2), **FAILED) is None
    assert errors_of(errors.Params(failures=2), **{**FAILED, "failures_in_row": 2}) is not None


def test_a_good_run_clears_it_and_says_so() -> None:
    facts = job_facts(last_outcome="success", last_good_at=NOON)
    assert errors.check(facts, errors.Params(), NOON) is None
    assert errors.closing_words(facts, errors.Params(), NOON) == "A good run ended on Wed 14 Jan 2026 13:00 CET."


def test_a_job_that_is_not_active_has_no_errors() -> None:
    assert errors_of(**FAILED, active=False) is None


# --- quota overrun


def quota(protected: int | None, *, quota_bytes: int | None = 1000, **params: int) -> Any:
    facts = client_facts(protected_bytes=protected, quota_bytes=quota_bytes)
    return quota_overrun.check(facts, quota_overrun.Params(**params), NOON)


@pytest.mark.parametrize(
    "protected,severity",
    [(899, None), (900, "warning"), (1000, "warning"), (1001, "critical")],
)
def test_the_quota_may_be_reached_but_not_passed(protected: int, severity: Severity | None) -> None:
    found = quota(protected)
    assert (found and found.severity) == severity


def test_an_allowed_overrun_moves_the_critical_step() -> None:
    assert [quota(size, over_percent=120).severity for size in (1001, 1200, 1201)] == ["warning", "warning", "critical"]


def test_steps_hold_for_sizes_that_a_float_cannot_tell_apart() -> None:
    big = 9 * 10**18
    assert quota(big, quota_bytes=big).severity == "warning"
    assert quota(big + 1, quota_bytes=big).severity == "critical"


def test_a_quota_of_nothing_allows_nothing() -> None:
    assert quota(1, quota_bytes=0).severity == "critical"


def test_without_a_measurement_it_cannot_be_checked_and_without_a_quota_there_is_nothing_to_check() -> None:
    assert isinstance(quota(None), CannotCheck)
    assert quota(10**15, quota_bytes=None) is None


def test_the_finding_names_the_largest_selections_first_and_its_reminder() -> None:
    sizes = tuple(
        SelectionSize(selection_id=number, selection=name, protected_bytes=size, measured_at=NOON)
        for number, name, size in ((1, "files", 400), (2, "mail", 601), (3, "new", None))
    )
    facts = client_facts(protected_bytes=1001, quota_bytes=1000, selections=sizes)
    found = quota_overrun.check(facts, quota_overrun.Params(repeat_days=3), NOON)
    assert isinstance(found, Finding)
    assert [one["selection"] for one in found.evidence["selections"]] == ["mail", "files", "new"]
    assert found.repeat_every == 3 * DAY
    assert found.summary == (
        "1.0 kB protected of 1.0 kB agreed (100 %), over the quota; measured on Wed 14 Jan 2026 13:00 CET."
    )


# --- processing delayed


def test_logs_that_wait_for_a_quarter_of_an_hour_are_found() -> None:
    facts, params = tenant_facts(awaiting_since=NOON, waiting=3), processing_delayed.Params()
    assert processing_delayed.check(facts, params, NOON + 15 * MINUTE - SECOND) is None
    assert processing_delayed.check_after(facts, params, NOON) == NOON + 15 * MINUTE
    found = processing_delayed.check(facts, params, NOON + 15 * MINUTE)
    assert isinstance(found, Finding)
    assert (found.severity, found.since) == ("critical", NOON)
    assert found.summary.startswith("3 logs waiting unread since Wed 14 Jan 2026 12:00 UTC;")
    assert processing_delayed.check(tenant_facts(), params, NOON) is None
    assert processing_delayed.check_after(tenant_facts(), params, NOON) is None
