"""Did not start by hand: when silence about an expected start is a finding, by set and by learned schedules.

The moments are worked out from the calendar; one property counts the starts day by day, without the schedule module.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.facts import Finding, Learned, RunPoint, Unheard, Waiting
from alerts.rules import did_not_start
from msp.backups.learning import learn
from msp.backups.points import Point
from tests.alerts.pure.examples import NOON, job_facts, utc

MICROSECOND, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PARAMS = did_not_start.Params()
NIGHTLY: dict[str, Any] = {"schedule": "daily 22:00", "last_started_at": utc(2026, 1, 13, 21)}
#: 22:00 in Berlin on the 14th, and an hour of grace.
DEADLINE = utc(2026, 1, 14, 22)


def found(now: datetime, *, params: did_not_start.Params = PARAMS, **facts: Any) -> Finding:
    answer = did_not_start.check(job_facts(**facts), params, now)
    assert isinstance(answer, Finding)
    return answer


def is_quiet(now: datetime, *, params: did_not_start.Params = PARAMS, **facts: Any) -> bool:
    return did_not_start.check(job_facts(**facts), params, now) is None


def ended(at: datetime, *, minutes: int | None = None, outcome: Any = "success", told: bool = True) -> RunPoint:
    """A run that ended then; it tells its start where ``told``."""
    seconds = None if minutes is None else minutes * 60
    start = at - timedelta(seconds=seconds or 0) if told else None
    return RunPoint(ended_at=at, started_at=start, outcome=outcome, good=outcome == "success", duration_seconds=seconds)


def test_silence_is_found_at_the_end_of_the_grace_and_not_a_microsecond_earlier() -> None:
    assert is_quiet(DEADLINE - MICROSECOND, **NIGHTLY)
    answer = found(DEADLINE, **NIGHTLY)
    assert (answer.since, answer.deadline, answer.severity) == (utc(2026, 1, 14, 21), DEADLINE, "warning")
    assert answer.summary == (
        'A run was due on Wed 14 Jan 2026 22:00 CET by the schedule "daily 22:00", and nothing was heard of it within '
        "1 hour; the last start was on Tue 13 Jan 2026 22:00 CET."
    )
    facts = job_facts(**NIGHTLY)
    assert did_not_start.check_after(facts, PARAMS, NOON) == DEADLINE
    assert did_not_start.check_after(facts, PARAMS, DEADLINE - MICROSECOND) == DEADLINE
    assert did_not_start.check_after(facts, PARAMS, DEADLINE) is None


def test_a_dead_scheduler_stays_one_happening_night_after_night() -> None:
    answers = [found(DEADLINE + days * DAY, **NIGHTLY) for days in (0, 1, 9)]
    assert len({answer.occurrence for answer in answers}) == 1
    assert {answer.since for answer in answers} == {utc(2026, 1, 14, 21)}


@pytest.mark.parametrize(
    "heard",
    [
        {"last_started_at": utc(2026, 1, 14, 21, 2)},
        {"running_since": utc(2026, 1, 14, 21, 2)},
        {"last_failure_at": utc(2026, 1, 14, 21, 2)},
        {"last_good_at": utc(2026, 1, 14, 21, 40)},
        {"history": (ended(utc(2026, 1, 14, 21, 30), told=False),)},
        {"history": (ended(utc(2026, 1, 14, 21, 30), outcome="cancelled", told=False),)},
        {"history": (ended(utc(2026, 1, 14, 21, 30), outcome="missed", told=False),)},
    ],
)
def test_whatever_is_heard_of_a_run_counts_as_its_start(heard: dict[str, Any]) -> None:
    facts = {**NIGHTLY, **heard}
    assert is_quiet(DEADLINE, **facts)
    assert is_quiet(DEADLINE + DAY - MICROSECOND, **facts)
    assert is_quiet(DEADLINE + DAY, **facts) is ("running_since" in heard), "the next night is another matter"


def test_a_start_shortly_before_its_time_is_that_start() -> None:
    early = utc(2026, 1, 14, 20, 55)
    assert is_quiet(DEADLINE, schedule="daily 22:00", last_started_at=early)
    assert isinstance(found(DEADLINE, schedule="daily 22:00", last_started_at=early - MICROSECOND), Finding)


def test_a_product_that_writes_at_the_end_is_given_the_time_that_its_runs_take() -> None:
    """A run of five hours is first heard of at three in the morning; that is no late start."""
    nights = tuple(ended(utc(2026, 1, day, 2), minutes=300 if day % 7 else 480) for day in range(2, 14))
    facts: dict[str, Any] = {"schedule": "daily 22:00", "history": nights}
    assert nights[-1].started_at == utc(2026, 1, 12, 21)
    longest = timedelta(minutes=300)  # the one night of eight hours is no habit
    start = utc(2026, 1, 13, 21)
    assert is_quiet(start + HOUR + longest - MICROSECOND, **facts)
    assert found(start + HOUR + longest, **facts).since == start
    few: dict[str, Any] = {"schedule": "daily 22:00", "history": nights[4:]}
    assert is_quiet(start + HOUR + timedelta(minutes=480) - MICROSECOND, **few)
    assert found(start + HOUR + timedelta(minutes=480), **few).since == start


def test_a_job_that_never_ran_is_expected_from_its_registration_on() -> None:
    facts: dict[str, Any] = {"schedule": "daily 22:00", "registered_at": utc(2026, 1, 14, 20, 58)}
    # How long its first run takes nobody knows: twelve hours are added.
    assert is_quiet(DEADLINE + 12 * HOUR - MICROSECOND, **facts)
    assert found(DEADLINE + 12 * HOUR, **facts).summary.endswith(
        "no run was heard of since the job was registered on Wed 14 Jan 2026 21:58 CET."
    )


@pytest.mark.parametrize(
    "schedule,zone,last,start",
    [
        # Spring leaves 02:30 out: the start is due at 03:00, which is 01:00 UTC.
        ("daily 02:30", "Europe/Berlin", utc(2026, 3, 28, 1, 30), utc(2026, 3, 29, 1)),
        # Autumn has 02:30 twice: the first pass counts, the second is no start of its own.
        ("daily 02:30", "Europe/Berlin", utc(2026, 10, 24, 0, 30), utc(2026, 10, 25, 0, 30)),
        ("daily 02:30", "Europe/Berlin", utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)),
        ("daily 22:00", "America/New_York", utc(2026, 3, 8, 3), utc(2026, 3, 9, 2)),  # 22:00 is an hour earlier in UTC
        ("0 4 29 2 *", "Europe/Berlin", utc(2024, 2, 29, 3), utc(2028, 2, 29, 3)),
        ("0 1 31 * *", "UTC", utc(2026, 1, 31, 1), utc(2026, 3, 31, 1)),  # February and its 31st
        ("weekdays 22:00", "Europe/Berlin", utc(2026, 1, 16, 21), utc(2026, 1, 19, 21)),  # from Friday to Monday
        ("mon,thu 06:30", "UTC", utc(2026, 1, 12, 6, 30), utc(2026, 1, 15, 6, 30)),
        ("every 6h", "Europe/Berlin", utc(2026, 3, 28, 22), utc(2026, 3, 29, 4)),  # elapsed time over the change
        ("every 90m", "UTC", utc(2026, 1, 14, 12), utc(2026, 1, 14, 13, 30)),
    ],
)
def test_calendars_and_clocks(schedule: str, zone: str, last: datetime, start: datetime) -> None:
    facts: dict[str, Any] = {"schedule": schedule, "zone": zone, "last_started_at": last}
    assert is_quiet(start + HOUR - MICROSECOND, **facts)
    assert found(start + HOUR, **facts).since == start


def test_an_interval_counts_from_the_start_and_not_from_the_end() -> None:
    run = ended(NOON + 2 * HOUR, minutes=120)
    facts: dict[str, Any] = {"schedule": "every 6h", "last_good_at": NOON + 2 * HOUR, "history": (run,)}
    assert found(NOON + 6 * HOUR + 3 * HOUR, **facts).since == NOON + 6 * HOUR  # an hour of grace, two of duration
    assert is_quiet(NOON + 9 * HOUR - MICROSECOND, **facts)


def test_a_run_longer_than_its_interval_delays_the_next() -> None:
    run = ended(NOON + 10 * HOUR, minutes=600)
    facts: dict[str, Any] = {"schedule": "every 6h", "last_good_at": NOON + 10 * HOUR, "history": (run,)}
    assert is_quiet(NOON + 10 * HOUR, **facts)
    assert found(NOON + 21 * HOUR, **facts).since == NOON + 10 * HOUR


def test_a_run_over_the_next_start_does_not_count_as_a_late_one() -> None:
    """It began on Monday and ended on Wednesday at half past midnight: Tuesday's start had to wait for it."""
    facts: dict[str, Any] = {"schedule": "daily 22:00", "history": (ended(utc(2026, 1, 13, 23, 30), minutes=1590),)}
    assert is_quiet(utc(2026, 1, 14, 21, 59), **facts)
    assert found(utc(2026, 1, 16, 12), **facts).since == utc(2026, 1, 14, 21)


# --- learned schedules

GUESS = Learned(schedule="daily 22:00", confidence=90, samples=24, because="24 runs started about 22:00")
#: Three hours more than for a schedule that somebody set.
GUESSED_DEADLINE = DEADLINE + 3 * HOUR


def test_a_learned_schedule_is_told_as_a_guess() -> None:
    answer = found(GUESSED_DEADLINE, learned=GUESS, last_started_at=utc(2026, 1, 13, 21, 4))
    assert answer.severity == "info"
    assert 'by the schedule "daily 22:00" learned from 24 runs (a guess: 90 % of them keep it)' in answer.summary
    assert (answer.evidence["learned"], answer.evidence["confidence"]) == (True, 90)


@pytest.mark.parametrize(
    "confidence,percent,heard", [(89, 90, False), (90, 90, True), (95, 96, False), (100, 0, False)]
)
def test_it_counts_from_its_confidence_on(confidence: int, percent: int, heard: bool) -> None:
    learned = Learned(schedule="daily 22:00", confidence=confidence, samples=24)
    params = did_not_start.Params(learned_confidence=percent)
    facts: dict[str, Any] = {"params": params, "learned": learned, "last_started_at": utc(2026, 1, 13, 21)}
    assert is_quiet(GUESSED_DEADLINE, **facts) is not heard


@pytest.mark.parametrize(
    "schedule,last,start,late",
    [
        ("daily 22:00", utc(2026, 1, 13, 21), utc(2026, 1, 14, 21), 3 * HOUR),
        ("0 6,18 * * *", utc(2026, 1, 14, 5), utc(2026, 1, 14, 17), 3 * HOUR),
        ("every 6h", NOON, NOON + 6 * HOUR, 72 * MINUTE),
        ("every 30m", NOON, NOON + 30 * MINUTE, 6 * MINUTE),
    ],
)
def test_habits_are_less_exact_than_schedules(schedule: str, last: datetime, start: datetime, late: timedelta) -> None:
    learned = Learned(schedule=schedule, confidence=95, samples=24)
    assert is_quiet(start + HOUR + late - MICROSECOND, learned=learned, last_started_at=last)
    assert found(start + HOUR + late, learned=learned, last_started_at=last).since == start


def test_a_start_half_an_hour_early_is_that_nights_when_the_time_is_only_a_guess() -> None:
    assert is_quiet(GUESSED_DEADLINE, learned=GUESS, last_started_at=utc(2026, 1, 14, 20, 30))
    assert isinstance(
        found(GUESSED_DEADLINE, learned=GUESS, last_started_at=utc(2026, 1, 14, 20, 30) - MICROSECOND), Finding
    )


def test_a_set_schedule_wins_over_a_learned_one_and_a_bad_one_over_neither() -> None:
    facts: dict[str, Any] = {"last_started_at": utc(2026, 1, 13, 21), "learned": GUESS}
    assert is_quiet(GUESSED_DEADLINE, schedule="weekends 22:00", **facts)
    assert is_quiet(GUESSED_DEADLINE, schedule="0 0 31 2 *", **facts)
    bad = Learned(schedule="now and then", confidence=100, samples=9)
    assert is_quiet(GUESSED_DEADLINE, learned=bad, last_started_at=utc(2026, 1, 13, 21))


# --- where it says nothing


@pytest.mark.parametrize("machine_class", ["laptop", "seasonal", "occasional"])
def test_machines_that_are_not_always_on_are_left_out_unless_set_otherwise(machine_class: str) -> None:
    facts = {**NIGHTLY, "machine_class": machine_class}
    assert is_quiet(DEADLINE, **facts)
    assert did_not_start.check_after(job_facts(**facts), PARAMS, NOON) is None
    assert isinstance(found(DEADLINE, params=did_not_start.Params(always_on_only=False), **facts), Finding)


@pytest.mark.parametrize("machine_class", ["server", "cloud", "other"])
def test_machines_that_are_always_on_are_not(machine_class: str) -> None:
    assert isinstance(found(DEADLINE, **{**NIGHTLY, "machine_class": machine_class}), Finding)


def test_without_any_schedule_no_start_is_expected() -> None:
    facts = job_facts(last_started_at=NOON)
    assert did_not_start.check(facts, PARAMS, NOON + 99 * DAY) is None
    assert did_not_start.check_after(facts, PARAMS, NOON) is None
    assert did_not_start.closing_words(facts, PARAMS, NOON) == (
        "No start is expected of this job at a certain time any more."
    )


def test_it_closes_with_words() -> None:
    def words(now: datetime, **facts: Any) -> str:
        return did_not_start.closing_words(job_facts(**{**NIGHTLY, **facts}), PARAMS, now)

    assert words(NOON) == "A run was heard of: Tue 13 Jan 2026 22:00 CET."
    assert words(NOON, active=False) == "The job is no longer active."
    assert words(NOON, running_since=NOON) == "A run has started: it is running since Wed 14 Jan 2026 13:00 CET."
    assert words(NOON, last_started_at=None) == "The next start is not expected before Thu 1 Jan 2026 22:00 CET."
    assert is_quiet(DEADLINE, **NIGHTLY, active=False)


def test_it_waits_for_what_may_be_on_its_way() -> None:
    facts = job_facts(**NIGHTLY, awaiting_since=DEADLINE)
    assert isinstance(did_not_start.check(facts, PARAMS, DEADLINE), Waiting)
    assert did_not_start.check_after(facts, PARAMS, DEADLINE) == DEADLINE + MINUTE
    assert isinstance(did_not_start.check(facts, PARAMS, DEADLINE + 15 * MINUTE), Finding)
    resumed = DEADLINE + 26 * HOUR
    down = job_facts(**NIGHTLY, resumed_at=resumed)
    assert isinstance(did_not_start.check(down, PARAMS, resumed), Waiting)
    assert isinstance(did_not_start.check(down, PARAMS, resumed + 60 * MINUTE - MINUTE), Waiting)
    assert isinstance(did_not_start.check(down, PARAMS, resumed + 60 * MINUTE), Finding)
    silent = job_facts(**NIGHTLY, unheard=Unheard(since=NOON, what="the mailbox is silent"))
    assert isinstance(did_not_start.check(silent, PARAMS, DEADLINE + 9 * DAY), Waiting)


# --- against the calendar, counted day by day

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")


def first_start(after: datetime, *, hour: int, zone: str) -> datetime:
    """The first moment later than ``after`` at which the clock on the wall shows the full hour."""
    day: date = after.astimezone(ZoneInfo(zone)).date() - DAY
    while True:
        start = datetime.combine(day, time(hour), ZoneInfo(zone)).astimezone(UTC)
        if start > after:
            return start
        day += DAY


@given(
    last=st.integers(0, 3 * 365 * 1440).map(lambda minutes: utc(2025, 1, 1) + minutes * MINUTE),
    hour=st.sampled_from([0, 4, 12, 22]),  # hours that no change of the clock leaves out in these zones
    zone=st.sampled_from(ZONES),
    grace=st.integers(5, 600),
)
def test_a_daily_start_is_missed_where_the_calendar_says_so(last: datetime, hour: int, zone: str, grace: int) -> None:
    facts = job_facts(schedule=f"daily {hour:02}:00", zone=zone, last_started_at=last, registered_at=utc(2025, 1, 1))
    params = did_not_start.Params(start_grace_minutes=grace)
    start = first_start(last + 5 * MINUTE, hour=hour, zone=zone)
    deadline = start + grace * MINUTE
    assert did_not_start.check_after(facts, params, last) == deadline
    assert did_not_start.check(facts, params, deadline - MICROSECOND) is None
    answer = did_not_start.check(facts, params, deadline)
    assert isinstance(answer, Finding)
    assert answer.since == start


# --- with what is really learned


@settings(max_examples=25)
@given(
    minute=st.integers(0, 1439),
    spread=st.sampled_from([0, 15, 60, 150]),
    took=st.sampled_from([3, 50, 400]),
    told=st.booleans(),
    seed=st.randoms(use_true_random=False),
)
def test_no_night_that_keeps_its_habit_is_flagged(minute: int, spread: int, took: int, told: bool, seed: Any) -> None:
    """Nights over the change of the clock, each heard of at its end: what is learned of them fits the next."""
    zone = ZoneInfo("Europe/Berlin")
    points: list[Point] = []
    for day in range(75):
        at = datetime.combine(date(2026, 1, 20) + day * DAY, time(minute // 60, minute % 60), zone)
        start = int(at.timestamp()) + seed.randint(0, spread * 60)
        duration = took * 60 + seed.randint(0, took * 6)
        assert not flagged_before(start + duration, points), f"night {day} of {len(points)}"
        told_start, told_duration = (start, duration) if told else (None, None)
        points.append(
            Point(told_start, start + duration, "success", True, None, None, None, told_duration, "")
        )  # fmt: skip


def flagged_before(end: int, points: list[Point]) -> bool:
    """Whether the job is flagged just before the log of its next run comes, going by what is learned of the others."""
    registered, moment = utc(2026, 1, 10), datetime.fromtimestamp(end, UTC)
    guess = learn(points[-60:], zone="Europe/Berlin", registered_at=registered)
    if guess is None:
        return False
    history = tuple(
        RunPoint(
            ended_at=datetime.fromtimestamp(one.ended, UTC), outcome="success", good=True,
            started_at=None if one.started is None else datetime.fromtimestamp(one.started, UTC),
            duration_seconds=one.duration_seconds,
        )
        for one in points[-60:]
    )  # fmt: skip
    learned = Learned(schedule=guess.schedule, confidence=guess.confidence, samples=guess.samples)
    facts = job_facts(registered_at=registered, history=history, last_good_at=history[-1].ended_at, learned=learned)
    return isinstance(did_not_start.check(facts, PARAMS, moment - timedelta(seconds=1)), Finding)
