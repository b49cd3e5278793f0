"""When a group is silent: tables of jobs and shares, of hours, of weekdays; unreadable logs against their norm."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.facts import CannotCheck, Finding, Unheard, Waiting
from alerts.group_facts import ChannelFacts, Due, GroupFacts
from alerts.rules import channel_silent, channel_unreadable, server_silent, site_silent
from tests.alerts.pure.examples import NOON

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def due(*hours: float, server: int = 1) -> tuple[Due, ...]:
    return tuple(Due(NOON + hour * HOUR, number, server) for number, hour in enumerate(hours))


def server(**changes: Any) -> GroupFacts:
    values: dict[str, Any] = {"kind": "server", "group_id": 7, "tenant_id": 1, "name": "backup01",
                              "registered_at": NOON - 9 * DAY, "heard_at": NOON - HOUR}  # fmt: skip
    return GroupFacts(**(values | changes))


@pytest.mark.parametrize(
    "deadlines,jobs,params,at",
    [
        ((1, 2), 2, {}, 2),  # two of two
        ((1,), 1, {}, None),  # as silent as its one job
        ((1,), 1, {"jobs": 1}, 1),
        ((1,), 200, {"jobs": 1}, None),  # one dead job of two hundred
        ((1, 2), 200, {}, None),  # ten percent are twenty
        (tuple([1] * 200), 200, {}, 1),
        (tuple(range(1, 21)), 200, {}, 20),
        ((1, 2), 200, {"share_percent": 0}, 2),
        ((50,), 9, {"hours": 24}, 23),  # 24 hours after its newest log
        ((1, 2), 2, {"hours": 24}, 2),
        ((), 0, {"hours": 24}, None),  # owes no log
    ],
)
def test_a_server_is_silent_once_enough_was_due(
    deadlines: tuple[float, ...], jobs: int, params: dict[str, int], at: float | None
) -> None:
    facts, set_to = server(due=due(*deadlines), jobs=jobs), server_silent.Params(**params)
    if at is None:
        assert server_silent.check(facts, set_to, NOON + 99 * DAY) is None
        return
    assert server_silent.check(facts, set_to, NOON + at * HOUR - MINUTE) is None
    assert server_silent.check_after(facts, set_to, NOON) == NOON + at * HOUR
    found = server_silent.check(facts, set_to, NOON + at * HOUR)
    assert isinstance(found, Finding)
    assert (found.since, found.severity, found.deadline) == (NOON - HOUR, "critical", NOON + at * HOUR)
    assert server_silent.check_after(facts, set_to, NOON + at * HOUR) == NOON + at * HOUR + 15 * MINUTE


def test_the_words_say_what_was_expected() -> None:
    (by_jobs, by_hours) = (
        server_silent.check(server(due=due(1, 2), jobs=2), server_silent.Params(), NOON + 2 * HOUR),
        server_silent.check(server(due=due(1), jobs=1), server_silent.Params(hours=6), NOON + 9 * HOUR),
    )
    assert isinstance(by_jobs, Finding)
    assert isinstance(by_hours, Finding)
    assert by_jobs.summary == (
        "The server backup01 is silent since Wed 14 Jan 2026 11:00 UTC: of 2 jobs nothing was heard, though backups of "
        "2 of them were due by Wed 14 Jan 2026 14:00 UTC."
    )
    assert by_hours.summary.endswith("though it is to be heard at least every 6 hours.")


def test_it_waits_for_unread_logs_and_while_nothing_can_be_heard() -> None:
    facts, params = server(due=due(1, 2), jobs=2, awaiting_since=NOON), server_silent.Params()
    assert isinstance(server_silent.check(facts, params, NOON + 2 * HOUR), Waiting)
    assert isinstance(server_silent.check(facts, params, NOON + 2 * HOUR + 15 * MINUTE), Finding)
    unheard = server(due=due(1, 2), jobs=2, unheard=Unheard(since=NOON, what="The mailbox cannot be read."))
    assert isinstance(server_silent.check(unheard, params, NOON + 9 * DAY), Waiting)


def test_a_site_needs_two_servers() -> None:
    params = site_silent.Params()
    one = server(kind="site", due=due(1, 2, 3), jobs=3)
    assert site_silent.check(one, params, NOON + 9 * HOUR) is None
    both = server(kind="site", due=(*due(1, 2), *due(3, server=2)), jobs=3)
    assert site_silent.check(both, params, NOON + 3 * HOUR - MINUTE) is None
    assert isinstance(site_silent.check(both, params, NOON + 3 * HOUR), Finding)


def channel(**changes: Any) -> ChannelFacts:
    values: dict[str, Any] = {"tenant_id": 1, "channel_id": 8, "kind": "mailbox", "name": "reports", "heard_at": NOON}
    return ChannelFacts(**(values | changes))


def test_a_mailbox_that_fails_is_told_after_an_hour_in_the_words_of_the_other_side() -> None:
    facts, params = channel(failing_since=NOON, error="[AUTH] login refused"), channel_silent.Params()
    assert channel_silent.check(facts, params, NOON + HOUR - MINUTE) is None
    assert channel_silent.check_after(facts, params, NOON) == NOON + HOUR
    found = channel_silent.check(facts, params, NOON + HOUR)
    assert isinstance(found, Finding)
    assert found.summary == (
        "The mailbox reports cannot be read since Wed 14 Jan 2026 12:00 UTC: [AUTH] login refused."
    )


@pytest.mark.parametrize(
    "heard_at,quiet_weekday,servers,silent_at",
    [
        (NOON, (5, 6), 2, NOON + 36 * HOUR),  # heard on Wednesday: nothing on Thursday
        (NOON + 2 * DAY, (5, 6), 2, NOON + 5 * DAY + 12 * HOUR),  # on Friday: Monday is the next that counts
        (NOON + 2 * DAY, (), 2, NOON + 3 * DAY + 12 * HOUR),
        (NOON, (5, 6), 1, None),  # the one server may be down
        (NOON, tuple(range(7)), 2, None),  # nothing is usual
    ],
)
def test_a_channel_is_silent_after_a_day_that_always_brought_something(
    heard_at: datetime, quiet_weekday: tuple[int, ...], servers: int, silent_at: datetime | None
) -> None:
    past = [heard_at.date() - timedelta(days=ago) for ago in range(35)]
    days = {day.isoformat(): 5 for day in past if day.weekday() not in quiet_weekday}
    owed = (*due(900), *due(901, server=servers))
    facts, params = channel(heard_at=heard_at, days=days, due=owed, jobs=2), channel_silent.Params()
    if silent_at is None:
        assert channel_silent.check(facts, params, NOON + 30 * DAY) is None
        return
    assert channel_silent.check(facts, params, silent_at - MINUTE) is None
    assert channel_silent.check_after(facts, params, heard_at) == silent_at
    assert isinstance(channel_silent.check(facts, params, silent_at), Finding)
    assert isinstance(channel_silent.check(facts, params, silent_at + 60 * DAY), Finding), "for as long as it lasts"
    assert channel_silent.check(facts, channel_silent.Params(usual_logs=6), silent_at + DAY) is None


@pytest.mark.parametrize(
    "readable,answer",
    [
        ("+" * 20, None),
        ("+" * 20 + "---", Finding),
        ("+" * 20 + "--", None),
        ("+" * 20 + "-+-+-+", Finding),
        ("+" * 5 + "---", CannotCheck),  # nothing says what is usual
        ("++-" * 8 + "---", CannotCheck),  # unreadable ones always came
        ("+" * 20 + "---" + "+" * 6, None),
    ],
)
def test_unreadable_logs_are_held_against_those_before(readable: str, answer: type | None) -> None:
    recent = tuple((NOON + number * HOUR, one == "+") for number, one in enumerate(readable))
    found = channel_unreadable.check(channel(recent=recent), channel_unreadable.Params(), NOON + 9 * DAY)
    assert found is None if answer is None else isinstance(found, answer)
    if readable == "+" * 20 + "---" and isinstance(found, Finding):
        assert found.since == NOON + 20 * HOUR
