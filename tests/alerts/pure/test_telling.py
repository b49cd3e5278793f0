"""When people are told: hold, deadline, repeats, and everything that asks for quiet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.deciding import IncidentValues, decide
from alerts.telling import Hold, SilenceWindow, next_check_after, when_to_remind, when_to_tell
from tests.alerts.pure.examples import NOON, found

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOLD = Hold()


def incident(*, opened_at: datetime = NOON, **changes: Any) -> IncidentValues:
    (change,) = decide([found()], [], now=opened_at)
    return replace(change.after, **changes)


def tell_at(one: IncidentValues, now: datetime = NOON, *, hold: Hold = HOLD, **given: Any) -> datetime | None:
    return when_to_tell(one, hold, now, **given).at


def silence(start: float, end: float | None) -> SilenceWindow:
    return SilenceWindow(starts_at=NOON + start * HOUR, ends_at=None if end is None else NOON + end * HOUR)


@pytest.mark.parametrize(
    "changes,expected",
    [
        ({}, NOON + HOUR),
        ({"deadline": NOON + 30 * MINUTE}, NOON + 30 * MINUTE),
        ({"deadline": NOON + 2 * HOUR}, NOON + HOUR),
        ({"deadline": NOON - DAY}, NOON),
        ({"seen_count": 2, "last_seen_at": NOON + 10 * MINUTE}, NOON + HOUR),
        ({"seen_count": 3, "last_seen_at": NOON + 10 * MINUTE}, NOON + 10 * MINUTE),
    ],
)
def test_a_failure_is_held_until_its_deadline_its_third_repeat_or_an_hour(
    changes: dict[str, Any], expected: datetime
) -> None:
    assert tell_at(incident(**changes)) == expected


def test_a_hold_of_nothing_tells_at_once() -> None:
    assert tell_at(incident(), hold=Hold(minutes=0)) == NOON
    assert tell_at(incident(seen_count=9), hold=Hold(repeats=0)) == NOON + HOUR


def test_a_failure_that_comes_in_late_is_held_from_when_it_was_opened() -> None:
    """A backlog after an outage brings the good run together with the failure: nobody has to be told of that."""
    assert tell_at(incident(since=NOON - 9 * HOUR)) == NOON + HOUR


def test_the_reason_is_a_sentence() -> None:
    assert when_to_tell(incident(), HOLD, NOON).because == "No good run came within 60 minutes."
    assert when_to_tell(incident(seen_count=3), HOLD, NOON).because == "It happened 3 times."
    assert when_to_tell(incident(told_at=NOON), HOLD, NOON).because == "People were told on Wed 14 Jan 2026 12:00 UTC."
    snoozed = when_to_tell(incident(snoozed_until=NOON + DAY), HOLD, NOON, zone="Europe/Berlin")
    assert snoozed.because == "It is snoozed until Thu 15 Jan 2026 13:00 CET."


@pytest.mark.parametrize(
    "changes", [{"told_at": NOON}, {"state": "closed"}, {"observed": True}, {"acknowledged_at": NOON}]
)
def test_these_are_not_told(changes: dict[str, Any]) -> None:
    assert tell_at(incident(**changes), NOON + 9 * DAY) is None


def test_snooze_and_timed_acknowledgement_push_the_moment() -> None:
    assert tell_at(incident(snoozed_until=NOON + DAY)) == NOON + DAY
    assert tell_at(incident(snoozed_until=NOON + 30 * MINUTE)) == NOON + HOUR
    both = incident(acknowledged_at=NOON, acknowledged_until=NOON + DAY, snoozed_until=NOON + 2 * DAY)
    assert tell_at(both) == NOON + 2 * DAY


@pytest.mark.parametrize(
    "windows,expected",
    [
        ([silence(0, 3)], NOON + 3 * HOUR),
        ([silence(1, 3)], NOON + 3 * HOUR),  # the hold ends as the silence begins
        ([silence(0, 1)], NOON + HOUR),  # the silence ends as the hold does
        ([silence(2, 3)], NOON + HOUR),
        ([silence(2, 5), silence(0, 3)], NOON + 5 * HOUR),  # one leads into the other
        ([silence(0, 2), silence(2, 4)], NOON + 4 * HOUR),
        ([silence(0, None)], None),
    ],
)
def test_a_silence_pushes_the_moment_to_its_end(windows: list[SilenceWindow], expected: datetime | None) -> None:
    assert tell_at(incident(), silences=windows) == expected


def test_a_silence_that_begins_while_the_moment_is_past_and_untold_counts_too() -> None:
    late = NOON + 90 * MINUTE
    assert tell_at(incident(), late) == NOON + HOUR
    assert tell_at(incident(), late, silences=[silence(1.25, 4)]) == NOON + 4 * HOUR


def test_reminders_come_at_the_rules_interval_else_the_routes() -> None:
    told = incident(told_at=NOON)
    assert when_to_remind(told, DAY, NOON).at == NOON + DAY
    assert when_to_remind(replace(told, last_told_at=NOON + DAY), DAY, NOON).at == NOON + 2 * DAY
    assert when_to_remind(replace(told, repeat_every=7 * DAY), DAY, NOON).at == NOON + 7 * DAY
    assert when_to_remind(replace(told, repeat_every=timedelta()), DAY, NOON).at is None
    assert when_to_remind(told, None, NOON).at is None
    assert when_to_remind(incident(), DAY, NOON).at is None
    assert when_to_remind(replace(told, acknowledged_at=NOON), DAY, NOON).at is None
    assert when_to_remind(told, DAY, NOON, silences=[silence(23, 30)]).at == NOON + 30 * HOUR


def test_the_next_check_is_the_earliest_moment_to_come() -> None:
    assert next_check_after(incident(), HOLD, NOON) == NOON + HOUR
    assert next_check_after(incident(), HOLD, NOON + HOUR) is None, "it is due now: telling it is not waiting"
    assert next_check_after(incident(told_at=NOON), HOLD, NOON, repeat_every=DAY) == NOON + DAY
    assert next_check_after(incident(snoozed_until=NOON + DAY), HOLD, NOON) == NOON + DAY
    assert next_check_after(incident(told_at=NOON, acknowledged_until=NOON + DAY, acknowledged_at=NOON), HOLD,
                            NOON) == NOON + DAY  # fmt: skip
    assert next_check_after(incident(state="closed"), HOLD, NOON) is None


hours = st.integers(-5, 30).map(lambda count: NOON + count * HOUR)
windows = st.builds(
    lambda start, length: SilenceWindow(starts_at=start, ends_at=start + length * HOUR), hours, st.integers(1, 9)
)


@given(st.lists(windows, max_size=4), st.none() | hours, st.none() | hours, st.none() | hours, hours)
def test_nobody_is_told_within_a_quiet_time_and_the_clock_always_leads_to_the_telling(
    silences: list[SilenceWindow],
    snooze: datetime | None,
    ack: datetime | None,
    deadline: datetime | None,
    now: datetime,
) -> None:
    one = incident(snoozed_until=snooze, acknowledged_at=ack and NOON, acknowledged_until=ack, deadline=deadline)
    at = tell_at(one, now, silences=silences)
    assert at is not None
    assert at >= NOON
    telling = max(at, now)
    assert not any(window.covers(telling) for window in silences)
    assert not any(end is not None and telling < end for end in (snooze, ack))
    while now < at:
        checked_at = next_check_after(one, HOLD, now, silences=silences)
        assert checked_at is not None
        assert now < checked_at <= at
        now = checked_at
