"""Never backed up by hand: from when a new job must have had a good backup, and that nobody else speaks of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.facts import Finding, Unheard, Waiting
from alerts.inheritance import resolve_all
from alerts.rules import check_subject, never_backed_up
from tests.alerts.pure.examples import NOON, job_facts, utc

MICROSECOND, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PARAMS = never_backed_up.Params()
REGISTERED = utc(2026, 1, 1)
DEADLINE = utc(2026, 1, 4)


def found(now: datetime, *, params: never_backed_up.Params = PARAMS, **facts: Any) -> Finding:
    answer = never_backed_up.check(job_facts(**facts), params, now)
    assert isinstance(answer, Finding)
    return answer


def is_quiet(now: datetime, *, params: never_backed_up.Params = PARAMS, **facts: Any) -> bool:
    return never_backed_up.check(job_facts(**facts), params, now) is None


def test_a_new_job_has_three_days_to_the_microsecond() -> None:
    assert is_quiet(DEADLINE - MICROSECOND)
    answer = found(DEADLINE)
    assert (answer.since, answer.deadline, answer.severity) == (REGISTERED, DEADLINE, "warning")
    assert answer.summary == (
        "No backup was ever good since the job was registered on Thu 1 Jan 2026 01:00 CET, and no run of it was heard "
        "of; a first one is expected within 3 days."
    )
    assert never_backed_up.check_after(job_facts(), PARAMS, REGISTERED) == DEADLINE
    assert never_backed_up.check_after(job_facts(), PARAMS, DEADLINE) is None
    assert found(DEADLINE + 99 * DAY).occurrence == answer.occurrence


def test_a_job_that_only_fails_was_never_backed_up() -> None:
    answer = found(
        DEADLINE, last_outcome="failure", last_run_at=NOON, failures_in_row=3, last_errors=("disk full",)
    )  # fmt: skip
    assert "the newest run of Wed 14 Jan 2026 13:00 CET ended as failure;" in answer.summary
    assert answer.lines == ("disk full",)


def test_one_good_run_ends_it_for_good() -> None:
    facts = job_facts(last_good_at=utc(2026, 1, 2))
    assert never_backed_up.check(facts, PARAMS, utc(2027, 1, 1)) is None
    assert never_backed_up.check_after(facts, PARAMS, REGISTERED) is None
    assert never_backed_up.closing_words(facts, PARAMS, NOON) == "A good backup ended on Fri 2 Jan 2026 01:00 CET."


@pytest.mark.parametrize(
    "schedule,registered,deadline",
    [
        ("daily 22:00", utc(2026, 1, 1), utc(2026, 1, 4, 21)),
        ("0 3 1 * *", utc(2026, 1, 2), utc(2026, 2, 4, 2)),  # the first of the month comes after a month
        ("0 4 29 2 *", utc(2027, 1, 1), utc(2028, 3, 3, 3)),  # three days after the leap day
        ("every 1w", utc(2026, 1, 1), utc(2026, 1, 11)),
        ("sun 02:30", utc(2026, 3, 24), utc(2026, 4, 1, 1)),  # the Sunday on which 02:30 is left out: due at 01:00 UTC
        ("0 0 31 2 *", utc(2026, 1, 1), utc(2026, 1, 4)),  # cannot be read any more: counts from the registration
    ],
)
def test_with_a_schedule_it_counts_from_the_first_expected_start(
    schedule: str, registered: datetime, deadline: datetime
) -> None:
    facts: dict[str, Any] = {"schedule": schedule, "registered_at": registered}
    assert is_quiet(deadline - MICROSECOND, **facts)
    assert found(deadline, **facts).since == registered


def test_the_summary_names_the_first_expected_start() -> None:
    assert found(utc(2026, 2, 4, 2), schedule="0 3 1 * *", registered_at=utc(2026, 1, 2)).summary.endswith(
        "a first one is expected within 3 days of its first expected start on Sun 1 Feb 2026 03:00 CET."
    )


def test_days_are_elapsed_time_over_changes_of_the_clock() -> None:
    for registered in (utc(2026, 3, 28, 12), utc(2026, 10, 24, 12), utc(2028, 2, 28, 12)):
        assert is_quiet(registered + 72 * HOUR - MICROSECOND, registered_at=registered)
        assert isinstance(found(registered + 72 * HOUR, registered_at=registered), Finding)


def test_a_job_that_moves_keeps_its_registration() -> None:
    assert found(DEADLINE, server_id=9, volume_id=4).since == REGISTERED


@pytest.mark.parametrize("machine_class", ["laptop", "occasional"])
def test_machines_that_may_be_away_have_more_days(machine_class: str) -> None:
    assert is_quiet(DEADLINE + 10 * DAY, machine_class=machine_class)
    late = found(REGISTERED + 14 * DAY, machine_class=machine_class)
    assert "expected within 14 days" in late.summary
    assert isinstance(
        found(DEADLINE, params=never_backed_up.Params(laptop_days=1), machine_class=machine_class), Finding
    )


def test_a_seasonal_machine_is_asked_only_where_it_is_set() -> None:
    assert is_quiet(DEADLINE + 99 * DAY, machine_class="seasonal")
    assert never_backed_up.check_after(job_facts(machine_class="seasonal"), PARAMS, REGISTERED) is None
    assert isinstance(found(DEADLINE, params=never_backed_up.Params(seasonal=True), machine_class="seasonal"), Finding)
    for machine_class in ("cloud", "other"):
        assert isinstance(found(DEADLINE, machine_class=machine_class), Finding)


@pytest.mark.parametrize("outcome", [None, "failure", "warning", "running", "unknown"])
def test_one_problem_is_one_incident(outcome: Any) -> None:
    """Years later the rules about clocks still have one finding for it, and not two."""
    facts = job_facts(last_outcome=outcome, last_run_at=NOON if outcome else None)
    answers = check_subject(facts, resolve_all([]), NOON + 400 * DAY).answers
    assert [one.kind for one in answers if isinstance(one.answer, Finding)] == ["never_backed_up"]


def test_it_waits_for_what_may_be_on_its_way() -> None:
    waiting = job_facts(awaiting_since=DEADLINE)
    assert isinstance(never_backed_up.check(waiting, PARAMS, DEADLINE), Waiting)
    assert never_backed_up.check_after(waiting, PARAMS, DEADLINE) == DEADLINE + MINUTE
    assert isinstance(never_backed_up.check(waiting, PARAMS, DEADLINE + 15 * MINUTE), Finding)
    silent = job_facts(unheard=Unheard(since=REGISTERED, what="the mailbox is silent"))
    assert isinstance(never_backed_up.check(silent, PARAMS, DEADLINE + DAY), Waiting)


def test_it_closes_with_words() -> None:
    assert is_quiet(DEADLINE, active=False)
    assert never_backed_up.closing_words(job_facts(active=False), PARAMS, NOON) == "The job is no longer active."
    assert never_backed_up.closing_words(job_facts(machine_class="seasonal"), PARAMS, NOON) == (
        "Seasonal machines have no clock here."
    )
    assert never_backed_up.closing_words(job_facts(), PARAMS, REGISTERED) == (
        "A first good backup is not asked for before Sun 4 Jan 2026 01:00 CET."
    )
