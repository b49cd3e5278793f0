"""The clocks' own reading of facts, and for each rule: its answer holds until ``check_after``, which moves on.

The facts are drawn at random with everything that delays an answer: unread logs, an interruption of ours, a channel
that was not heard. A rule may be asked at any microsecond.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.clocks import last_end, last_start, longest_usual, read_schedule, usual_duration
from alerts.facts import Answer, Finding, JobFacts, Learned, RunPoint, Unheard, Waiting
from alerts.inheritance import resolve_all
from alerts.params import read_params
from alerts.rules import RULES, Rule, check_subject
from tests.alerts.pure.examples import NOON, job_facts

MICROSECOND, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLOCKS = (
    "no_recent_backup", "did_not_start", "never_backed_up", "no_data_sent", "unstable", "still_running",
    "implausible_zero", "clock_skew",
)  # fmt: skip
each_clock = pytest.mark.parametrize("rule", [RULES[kind] for kind in CLOCKS], ids=CLOCKS)


def took(*minutes: int | None, outcome: Any = "success") -> tuple[RunPoint, ...]:
    return tuple(
        RunPoint(ended_at=NOON + place * DAY, outcome=outcome, duration_seconds=None if it is None else it * 60)
        for place, it in enumerate(minutes)
    )


# --- what was heard


def test_a_stored_schedule_that_cannot_be_read_is_none() -> None:
    assert (read_schedule(""), read_schedule("0 0 31 2 *")) == (None, None)
    assert str(read_schedule("daily 22:00")) == "daily 22:00"


def test_the_newest_start_counts_and_an_end_stands_in_where_none_is_told() -> None:
    ended = (RunPoint(ended_at=NOON, outcome="success"),)
    told = (RunPoint(ended_at=NOON, started_at=NOON - HOUR, outcome="success"),)
    assert last_start(job_facts()) is None
    assert last_start(job_facts(last_good_at=NOON)) == NOON
    assert last_start(job_facts(last_good_at=NOON, last_started_at=NOON - HOUR)) == NOON - HOUR
    assert last_start(job_facts(history=ended)) == NOON
    assert last_start(job_facts(history=told)) == NOON - HOUR
    assert last_start(job_facts(history=told, running_since=NOON + HOUR)) == NOON + HOUR
    assert last_end(job_facts(history=told, last_failure_at=NOON - DAY)) == NOON
    assert last_end(job_facts()) is None


@pytest.mark.parametrize(
    "minutes,longest,usual",
    [
        ((), None, None),
        ((None, None), None, None),
        ((10,), 10, 10),
        ((10, 600, 20), 600, 20),
        ((*[10] * 8, 600), 600, 10),  # nine are too few to call one of them odd
        ((*[10] * 9, 600), 10, 10),
        ((*[10] * 8, 600, 610), 600, 10),  # twice is a habit
        ((10, 20, 30, 40), 40, 20),
    ],
)
def test_how_long_runs_take(minutes: tuple[int | None, ...], longest: int | None, usual: int | None) -> None:
    facts = job_facts(history=took(*minutes))
    assert longest_usual(facts) == (longest or 0) * MINUTE
    assert usual_duration(facts) == (None if usual is None else usual * MINUTE)


def test_a_run_that_broke_off_tells_no_duration() -> None:
    facts = job_facts(history=took(10, outcome="failure") + took(500, outcome="cancelled"))
    assert (longest_usual(facts), usual_duration(facts)) == (timedelta(), None)


# --- the answer holds until check_after

moments = st.integers(-60 * 86_400_000_000, 60 * 86_400_000_000).map(lambda us: NOON + us * MICROSECOND)
maybe = st.none() | moments
points = st.builds(
    RunPoint,
    ended_at=moments, started_at=maybe, good=st.booleans(),
    outcome=st.sampled_from(["success", "warning", "failure", "missed", "skipped", "cancelled", "unknown"]),
    protected_bytes=st.sampled_from([None, 0, 10**9]), duration_seconds=st.sampled_from([None, 0, 600, 9000]),
)  # fmt: skip
histories = st.lists(points, max_size=16).map(lambda found: tuple(sorted(found, key=lambda one: one.ended_at)))
schedules = st.sampled_from(
    ["daily 02:30", "daily 22:00", "weekdays 02:30", "every 6h", "every 3d", "*/20 * * * *", "0 4 29 2 *", "0 0 31 2 *"]
)
guesses = st.builds(Learned, schedule=schedules, confidence=st.integers(80, 100), samples=st.integers(5, 60))
silences = st.builds(Unheard, since=moments, what=st.just("the mailbox is silent"), until=maybe)
jobs = st.builds(
    job_facts,
    registered_at=moments,
    active=st.sampled_from([True, True, True, False]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    machine_class=st.sampled_from(["server", "laptop", "seasonal", "occasional", "cloud", "other"]),
    schedule=st.just("") | schedules, learned=st.none() | guesses, unheard=st.none() | silences,
    tolerance=st.none() | st.just(3 * DAY), grace=st.none() | st.just(2 * HOUR),
    last_good_at=maybe, last_failure_at=maybe, last_data_at=maybe, last_started_at=maybe, running_since=maybe,
    heard_at=maybe, skewed_at=maybe, skew_seconds=st.sampled_from([0, 600, 601, 99_999]), history=histories,
    reports_data=st.booleans(), awaiting_since=maybe, resumed_at=maybe, size_accepted_at=maybe,
)  # fmt: skip


@st.composite
def params_of(draw: st.DrawFn, rule: Rule) -> Any:
    """The defaults, or small numbers that make deadlines fall into the time that is played."""
    fields = rule.Params.__dataclass_fields__
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if draw(st.booleans()):
            continue
        limits = field.metadata
        top = min(limits.get("at_most", 1), max(limits.get("at_least", 0), 40))
        values[name] = draw(st.integers(limits["at_least"], top) if "at_least" in limits else st.booleans())
    return read_params(rule.Params, values)


def told(answer: Answer) -> Any:
    """An answer without the moment until which it waits: that moves while a channel stays silent."""
    return (answer.kind, answer.reason) if isinstance(answer, Waiting) else answer


@each_clock
@given(data=st.data(), facts=jobs, now=moments, shares=st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_nothing_changes_before_check_after(
    rule: Rule, data: st.DataObject, facts: JobFacts, now: datetime, shares: list[float]
) -> None:
    params = data.draw(params_of(rule))
    after = rule.check_after(facts, params, now)
    assert after is None or after > now, "the sweep would ask again and again"
    end = after or now + 5 * 365 * DAY
    before = told(rule.check(facts, params, now))
    for later in (*(now + (end - now) * share for share in shares), end - MICROSECOND):
        if later < end:
            assert told(rule.check(facts, params, later)) == before


@each_clock
@given(data=st.data(), facts=jobs, now=moments)
def test_asked_only_when_due_it_comes_to_rest(rule: Rule, data: st.DataObject, facts: JobFacts, now: datetime) -> None:
    """Following ``check_after`` and asking at no other time ends where asking much later does."""
    params, silent = data.draw(params_of(rule)), facts.unheard is not None and facts.unheard.until is None
    facts = replace(facts, resumed_at=min(facts.resumed_at or now, now))  # ours is over, or nobody would ask
    asked, moment = 0, now
    while (after := rule.check_after(facts, params, moment)) is not None and after < now + 3000 * DAY:
        moment, asked = after, asked + 1
        if silent and isinstance(rule.check(facts, params, moment), Waiting):
            return  # for as long as the channel is silent it is asked again
        assert asked < 50, "unread logs delay an answer by minutes, not for ever"
    if after is None:
        assert told(rule.check(facts, params, moment)) == told(rule.check(facts, params, moment + 3000 * DAY))


@each_clock
@given(facts=jobs, now=moments)
def test_a_finding_began_before_it_was_found_and_can_be_closed_in_words(
    rule: Rule, facts: JobFacts, now: datetime
) -> None:
    answer = rule.check(facts, rule.Params(), now)
    if not isinstance(answer, Finding):
        assert rule.closing_words(facts, rule.Params(), now).endswith(".")
        return
    assert facts.active
    assert answer.deadline is None or answer.since <= answer.deadline <= now
    assert answer.summary.endswith(".")


@given(facts=jobs, now=moments)
def test_a_job_never_has_two_incidents_for_never_having_been_good(facts: JobFacts, now: datetime) -> None:
    checked = check_subject(facts, resolve_all([]), now)
    kinds = {one.kind for one in checked.answers if isinstance(one.answer, Finding)}
    assert not {"no_recent_backup", "never_backed_up"} <= kinds
