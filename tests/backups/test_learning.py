"""The learned schedule: tables of habits and what is made of them; any times at all are answered, and in bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp.backups.learning import LEAST_CONFIDENCE, Guess, learn, needs_learning
from msp.backups.points import Point
from msp.backups.schedule import parse_schedule

ZONE = "Europe/Berlin"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MONDAY = datetime(2026, 10, 5)  # noqa: DTZ001  (a time on the wall of whatever zone)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ODD = Random(7)  # the same odd minutes in every run of the tests


def points(walls: Sequence[datetime], *, outcome: str = "success", told: bool = True, zone: str = ZONE) -> list[Point]:
    """Backups that began at these times on the wall, each of ten minutes."""
    starts = [int(wall.replace(tzinfo=ZoneInfo(zone)).timestamp()) for wall in walls]
    good = outcome == "success"
    return [Point(at if told else None, at + 600, outcome, good, None, None, None, 600, "") for at in starts]


def learned(walls: Sequence[datetime], **values: Any) -> Guess | None:
    return learn(points(walls, **values), zone=ZONE, registered_at=LONG_AGO)


def nights(count: int, *, hour: float = 22, jitter: int = 0, keep: Callable[[datetime], bool] = bool) -> list[datetime]:
    days = (MONDAY + hour * 60 * MINUTE + number * DAY for number in range(count))
    return [day + ODD.randint(0, jitter) * MINUTE for day in days if keep(day)]


def on(*days: int) -> Callable[[datetime], bool]:
    return lambda day: day.weekday() in days


@pytest.mark.parametrize(
    ("walls", "schedule"),
    [
        (nights(60), "daily 22:00"),
        (nights(7), "daily 22:00"),
        (nights(6), None),
        (nights(30, jitter=4), "daily 22:00"),
        (nights(40, hour=23.9, jitter=30), "daily 23:50"),
        (nights(40, keep=on(0, 1, 2, 3, 4)), "weekdays 22:00"),
        (nights(60, hour=6.5, keep=on(0, 3)), "mon,thu 06:30"),
        (nights(22, keep=on(0)), "mon 22:00"),
        (nights(21, keep=on(0)), None),
        (nights(30, keep=on(5, 6)), "weekends 22:00"),
        ([MONDAY + number * DAY / 4 for number in range(40)], "every 6h"),
        ([MONDAY + number * 2 * DAY for number in range(12)], "every 2d"),
        (sorted(nights(20, hour=12) + nights(20, hour=13)), "0 12,13 * * *"),
        (sorted(nights(20, hour=6.5) + nights(20, hour=12) + nights(20, hour=18.25)), "0 6,12,18 * * *"),
        (sorted(nights(28) + nights(28, hour=3, keep=on(2))), "daily 22:00"),
        (nights(40, keep=lambda day: day.day not in (15, 16)), "daily 22:00"),
        (sorted(MONDAY + ODD.randint(0, 40 * 24 * 60) * MINUTE for _ in range(40)), None),
        ([], None),
        ([MONDAY] * 30, None),
    ],
)  # fmt: skip
def test_habits(walls: list[datetime], schedule: str | None) -> None:
    guess = learned(walls)
    assert (guess and guess.schedule) == schedule


def test_load_delays_some_starts_and_the_earliest_count() -> None:
    guess = learned(nights(40, jitter=110))
    assert guess is not None
    assert "daily 22:00" <= guess.schedule <= "daily 22:20"
    assert guess.confidence >= 90


def test_where_only_ends_are_told_the_guess_lies_before_them() -> None:
    guess = learned(nights(30), told=False)
    assert guess is not None
    assert guess.schedule == "daily 21:55"
    assert " ended " in guess.because


def test_a_guess_says_why() -> None:
    guess = learned(sorted([*nights(20), MONDAY + 3 * DAY + 11 * 60 * MINUTE]))
    assert guess is not None
    assert (guess.samples, guess.confidence) == (20, 95)
    assert guess.because == "20 of 21 runs began at 22:00, from 5 October 2026 to 24 October 2026."


def test_repeats_after_a_failure_and_what_did_not_start_tell_nothing() -> None:
    failed = points(nights(20), outcome="failure")
    again = points(nights(20, hour=22.75))
    guess = learn(sorted(failed + again), zone=ZONE, registered_at=LONG_AGO)
    assert guess is not None
    assert (guess.schedule, guess.samples) == ("daily 22:00", 20)
    assert learn(points(nights(20), outcome="missed"), zone=ZONE, registered_at=LONG_AGO) is None


def test_tests_right_after_the_registration_are_left_out() -> None:
    tries = [MONDAY + 9 * 60 * MINUTE + number * 5 * MINUTE for number in range(6)]
    runs = points([*tries, *nights(10)])
    registered = datetime.fromtimestamp(runs[0].ended - 600, UTC)
    guess = learn(runs, zone=ZONE, registered_at=registered)
    assert guess is not None
    assert (guess.schedule, guess.confidence) == ("daily 22:00", 100)


@pytest.mark.parametrize("hour", [2, 2.5, 22])
def test_summer_time_moves_nothing(hour: float) -> None:
    begin = MONDAY + 10 * DAY + hour * 60 * MINUTE  # the clock goes back on the 25th
    guess = learned([begin + number * DAY for number in range(25)])
    assert guess is not None
    assert (guess.schedule, guess.confidence) == (f"daily {begin:%H:%M}", 100)


def test_a_guess_changes_slowly_and_then_does() -> None:
    walls, said = nights(30), []
    guess = learned(walls)
    for number in range(30, 50):
        walls.append(MONDAY + number * DAY + 2 * 60 * MINUTE)
        guess = learn(points(walls[-60:]), zone=ZONE, registered_at=LONG_AGO, previous=guess)
        said.append(guess.schedule if guess else None)
    assert said[:3] == ["daily 22:00"] * 3
    assert said[-8:] == ["daily 02:00"] * 8


def test_a_pause_of_ten_days_does_not_forget_it() -> None:
    before = nights(28)
    guess = learned(before)
    back = [*before, MONDAY + 38 * DAY + 22 * 60 * MINUTE]
    assert learn(points(back), zone=ZONE, registered_at=LONG_AGO, previous=guess) == guess


def test_an_hourly_job_is_a_guess_only_after_five_days() -> None:
    hours = [MONDAY + number * 60 * MINUTE for number in range(200)]
    young = learned(hours[:60])
    assert young is not None
    assert (young.schedule, young.ripe) == ("every 1h", False)
    old = learn(points(hours[-60:]), zone=ZONE, registered_at=LONG_AGO, previous=young)
    assert old is not None
    assert (old.schedule, old.ripe, old.since) == ("every 1h", True, young.since)


@pytest.mark.parametrize(
    ("schedule", "before", "newest", "asks"),
    [
        ("daily 22:00", MONDAY - DAY + 22 * 60 * MINUTE, MONDAY + 22 * 60 * MINUTE, False),
        ("daily 22:00", MONDAY - DAY + 22 * 60 * MINUTE, MONDAY + 24 * 60 * MINUTE, False),
        ("daily 22:00", MONDAY - DAY + 22 * 60 * MINUTE, MONDAY + 12 * 60 * MINUTE, True),
        ("daily 22:00", MONDAY - 3 * DAY + 22 * 60 * MINUTE, MONDAY + 22 * 60 * MINUTE, True),
        ("weekdays 22:00", MONDAY - 3 * DAY + 22 * 60 * MINUTE, MONDAY + 22 * 60 * MINUTE, False),
        ("0 6,18 * * *", MONDAY + 6 * 60 * MINUTE, MONDAY + 18 * 60 * MINUTE, False),
        ("every 6h", MONDAY, MONDAY + 6 * 60 * MINUTE, False),
        ("every 6h", MONDAY, MONDAY + 9 * 60 * MINUTE, True),
    ],
)
def test_only_what_does_not_fit_is_asked_about(schedule: str, before: datetime, newest: datetime, asks: bool) -> None:
    guess = Guess(schedule=schedule, confidence=90, samples=9, because="", since=0)
    zone = ZoneInfo(ZONE)
    newest, before = newest.replace(tzinfo=zone), before.replace(tzinfo=zone)
    assert needs_learning(guess, newest=newest.astimezone(UTC), before=before.astimezone(UTC), zone=ZONE) is asks
    assert needs_learning(None, newest=newest, before=before, zone=ZONE)


@st.composite
def histories(draw: st.DrawFn) -> list[Point]:
    """Any times; or steps of one length with some left out, some late and some between."""
    moments = draw(st.lists(st.integers(-(2**40), 2**40), max_size=60))
    if draw(st.booleans()):
        step, begin = draw(st.integers(60, 20 * 86400)), draw(st.integers(10**9, 2 * 10**9))
        late = st.one_of(st.just(0), st.integers(0, 7200))
        moments = [begin + n * step + draw(late) for n in range(draw(st.integers(0, 60))) if draw(st.integers(0, 9))]
    outcomes = st.sampled_from(["success", "success", "failure", "missed", "unknown"])
    made = []
    for at in moments:
        outcome = draw(outcomes)
        started = at if draw(st.booleans()) else None
        made.append(Point(started, at + 60, outcome, outcome == "success", None, None, None, None, ""))
    return sorted(made, key=lambda point: point.ended)


@given(histories(), st.sampled_from([ZONE, "America/Sao_Paulo", "Pacific/Apia", "", "Mars/Olympus"]))
def test_whatever_the_times_a_guess_reads_back_and_stays_in_bounds(history: list[Point], zone: str) -> None:
    guess = learn(history, zone=zone, registered_at=LONG_AGO)
    if guess is None:
        return
    assert str(parse_schedule(guess.schedule)) == guess.schedule
    assert LEAST_CONFIDENCE <= guess.confidence <= 100
    assert 4 <= guess.samples <= len(history)
    assert guess.because.endswith(".")
    again = learn(history, zone=zone, registered_at=LONG_AGO, previous=guess)
    assert again == guess, "what fits is kept"
