"""Deciding: what opens, is seen again, changes severity, closes, comes back; deciding twice changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.deciding import Change, IncidentValues, Life, apply_changes, decide, passed_time
from alerts.facts import CannotCheck, Checked, Subject, Waiting
from tests.alerts.pure.examples import JOB, NOON, clean, found

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def only(changes: tuple[Change, ...]) -> Change:
    (change,) = changes
    return change


def opened(**changes: Any) -> IncidentValues:
    """The incident that a first finding at noon opens."""
    return only(decide([found(**changes)], [], now=NOON)).after


def closed(**changes: Any) -> IncidentValues:
    """The same, closed an hour later by a good run."""
    return only(decide([clean()], [opened(**changes)], now=NOON + HOUR)).after


def test_a_finding_opens_an_incident_and_gives_its_reason() -> None:
    change = only(decide([found(lines=("disk full",), deadline=NOON + HOUR)], [], now=NOON + MINUTE))
    assert (change.kind, change.reason, change.before) == ("opened", "The backup failed.", None)
    after = change.after
    assert (after.fingerprint, after.state, after.seen_count) == ("errors:job:17", "open", 1)
    assert (after.since, after.opened_at, after.deadline, after.lines) == (
        NOON,
        NOON + MINUTE,
        NOON + HOUR,
        ("disk full",),
    )


def test_the_same_finding_again_is_no_event() -> None:
    assert decide([found()], [opened()], now=NOON + DAY) == ()


def test_another_occurrence_is_seen_again() -> None:
    change = only(decide([found(occurrence="second")], [opened()], now=NOON + HOUR))
    assert change.kind == "seen_again"
    assert (change.after.seen_count, change.after.last_seen_at, change.after.opened_at) == (2, NOON + HOUR, NOON)


def test_a_rule_that_counts_itself_is_believed() -> None:
    """Three failures in one batch are three, as if they had come one by one."""
    assert opened(repeats=3).seen_count == 3
    change = only(decide([found(occurrence="fifth", repeats=5)], [opened(repeats=3)], now=NOON + HOUR))
    assert change.after.seen_count == 5


def test_severity_changes_in_place() -> None:
    incident = replace(opened(), incident_id=9, told_at=NOON)
    change = only(decide([found(severity="critical")], [incident], now=NOON + HOUR))
    assert (change.kind, change.after.severity, change.after.incident_id) == ("severity", "critical", 9)
    assert change.reason == "Severity changed from warning to critical: The backup failed."
    assert (change.after.seen_count, change.after.told_at) == (1, NOON)
    back = only(decide([found()], [change.after], now=NOON + 2 * HOUR))
    assert (back.kind, back.after.severity) == ("severity", "warning")


def test_changed_words_are_an_update_and_not_a_repeat() -> None:
    change = only(decide([found(summary="It failed on bk2.")], [opened()], now=NOON + HOUR))
    assert (change.kind, change.after.seen_count, change.after.last_seen_at) == ("updated", 1, NOON)


def test_a_clean_bill_closes_with_the_rules_words_and_ends_what_people_said() -> None:
    incident = replace(opened(), acknowledged_at=NOON, acknowledged_until=NOON + DAY, snoozed_until=NOON + DAY)
    change = only(decide([clean(words="A good run ended at one.")], [incident], now=NOON + HOUR))
    assert (change.kind, change.reason, change.after.close_reason) == (
        "closed",
        "A good run ended at one.",
        change.reason,
    )
    assert (change.after.state, change.after.closed_at) == ("closed", NOON + HOUR)
    assert (change.after.acknowledged_at, change.after.acknowledged_until, change.after.snoozed_until) == (
        None,
        None,
        None,
    )


def test_only_what_was_checked_can_close() -> None:
    assert decide([], [opened()], now=NOON + DAY) == ()
    assert decide([clean(subject=Subject("job", 18))], [opened()], now=NOON + DAY) == ()
    assert decide([clean(kind="no_data_sent")], [opened()], now=NOON + DAY) == ()


@pytest.mark.parametrize(
    "answer",
    [
        CannotCheck(kind="errors", subject=JOB, reason="No size."),
        Waiting(kind="errors", subject=JOB, reason="Logs wait.", until=NOON + DAY),
    ],
)
def test_what_cannot_be_checked_or_waits_opens_and_closes_nothing(answer: Any) -> None:
    checked = Checked(kind="errors", subject=JOB, answer=answer, closing_words="")
    assert decide([checked], [], now=NOON) == ()
    assert decide([checked], [opened()], now=NOON + HOUR) == ()


def test_a_sticky_incident_waits_for_a_person() -> None:
    change = only(decide([clean()], [opened(sticky=True)], now=NOON + HOUR))
    assert (change.kind, change.after.state, change.after.clear_proposed_at) == ("clear_proposed", "open", NOON + HOUR)
    assert decide([clean()], [change.after], now=NOON + 2 * HOUR) == ()


def test_a_finding_that_returns_within_the_window_reopens_the_incident() -> None:
    incident = replace(closed(), incident_id=9, told_at=NOON)
    change = only(decide([found(occurrence="second")], [incident], now=NOON + HOUR + DAY))
    assert (change.kind, change.after.incident_id, change.after.reopened_count) == ("reopened", 9, 1)
    assert (change.after.state, change.after.closed_at, change.after.close_reason) == ("open", None, "")
    assert (change.after.opened_at, change.after.told_at) == (NOON + HOUR + DAY, None), "the hold begins anew"
    assert change.reason == "It is back: The backup failed."


def test_after_the_window_it_is_another_incident() -> None:
    change = only(decide([found()], [replace(closed(), incident_id=9)], now=NOON + HOUR + DAY + MINUTE))
    assert (change.kind, change.after.incident_id) == ("opened", None)
    now = NOON + 2 * HOUR
    assert only(decide([found()], [closed()], now=now, life=Life(reopen_within=timedelta()))).kind == "opened"


def test_what_a_person_closed_comes_back_only_with_a_new_occurrence() -> None:
    incident = replace(closed(), closed_by_hand=True)
    assert decide([found()], [incident], now=NOON + 2 * HOUR) == ()
    assert only(decide([found(occurrence="second")], [incident], now=NOON + 2 * HOUR)).kind == "reopened"


def test_the_newest_closed_incident_is_the_one_that_reopens() -> None:
    older = replace(closed(), incident_id=1)
    newer = replace(closed(), incident_id=2, closed_at=NOON + 2 * HOUR)
    assert only(decide([found()], [newer, older], now=NOON + 3 * HOUR)).after.incident_id == 2


def test_of_two_answers_about_one_thing_the_worse_counts() -> None:
    changes = decide([clean(), found(severity="critical"), found()], [], now=NOON)
    assert only(changes).after.severity == "critical"


def test_a_snooze_that_runs_out_with_the_problem_still_there_says_so_once() -> None:
    incident = replace(opened(), snoozed_until=NOON + HOUR)
    assert decide([found()], [incident], now=NOON + HOUR - MINUTE) == ()
    change = only(decide([found()], [incident], now=NOON + HOUR))
    assert (change.kind, change.reason) == ("snooze_ended", "The snooze has run out and the problem is still there.")
    assert decide([found()], [change.after], now=NOON + HOUR) == ()
    assert passed_time(incident, now=NOON + HOUR) == (change,)


def test_an_acknowledgement_that_runs_out_says_so_and_then_the_repeat_counts() -> None:
    incident = replace(opened(), acknowledged_at=NOON, acknowledged_until=NOON + HOUR)
    changes = decide([found(occurrence="second")], [incident], now=NOON + HOUR)
    assert [change.kind for change in changes] == ["ack_ended", "seen_again"]
    assert (changes[-1].after.acknowledged_at, changes[-1].after.seen_count) == (None, 2)


subjects = st.sampled_from([Subject("job", 17), Subject("job", 18), Subject("client", 17)])


@st.composite
def answers(draw: st.DrawFn) -> Checked:
    subject, kind = draw(subjects), draw(st.sampled_from(["errors", "no_data_sent"]))
    sort = draw(st.sampled_from(["found", "found", "clean", "cannot", "waiting"]))
    if sort == "found":
        return found(subject=subject, kind=kind, severity=draw(st.sampled_from(["info", "warning", "critical"])),
                     occurrence=draw(st.sampled_from(["a", "b"])), repeats=draw(st.sampled_from([None, 2])),
                     sticky=draw(st.booleans()))  # fmt: skip
    if sort == "clean":
        return clean(subject=subject, kind=kind)
    cannot = CannotCheck(kind=kind, subject=subject, reason="No size.")
    waiting = Waiting(kind=kind, subject=subject, reason="Logs wait.", until=NOON)
    answer = cannot if sort == "cannot" else waiting
    return Checked(kind=kind, subject=subject, answer=answer, closing_words="")


rounds = st.lists(st.lists(answers(), max_size=6), max_size=6)


@given(rounds, st.lists(st.integers(0, 2000), min_size=6, max_size=6), st.randoms())
def test_deciding_twice_changes_nothing_and_the_order_of_answers_does_not_matter(
    history: list[list[Checked]], minutes: list[int], random: Any
) -> None:
    incidents: tuple[IncidentValues, ...] = ()
    now = NOON
    for checked, gap in zip(history, minutes, strict=False):
        now += gap * MINUTE
        changes = decide(checked, incidents, now=now)
        after = apply_changes(incidents, changes)
        assert decide(checked, after, now=now) == ()
        distinct = list({one.fingerprint: one for one in checked}.values())
        random.shuffle(distinct)
        if len(distinct) == len(checked):
            assert decide(distinct, incidents, now=now) == changes
        incidents = _said_by_people(after, random, now=now)
        assert len({one.fingerprint for one in incidents}) == len(incidents)


@given(rounds)
def test_every_open_incident_has_a_finding_behind_it(history: list[list[Checked]]) -> None:
    """The slow model: an incident is open exactly if the last answer that tells was a finding, or it is sticky."""
    incidents: tuple[IncidentValues, ...] = ()
    expected: dict[str, bool] = {}
    for number, checked in enumerate(history):
        one_each = {one.fingerprint: one for one in checked}
        for key, one in one_each.items():
            if hasattr(one.answer, "severity"):
                expected[key] = True
            elif one.answer is None and not any(known.fingerprint == key and known.sticky for known in incidents):
                expected[key] = False
        now = NOON + number * DAY
        incidents = apply_changes(incidents, decide(one_each.values(), incidents, now=now))
    assert {one.fingerprint for one in incidents if one.state == "open"} == {
        key for key, is_open in expected.items() if is_open
    }


def _said_by_people(incidents: tuple[IncidentValues, ...], random: Any, *, now: Any) -> tuple[IncidentValues, ...]:
    """Now and then somebody acknowledges or snoozes an open incident."""
    said: list[IncidentValues] = []
    for one in incidents:
        if one.state == "open" and random.random() < 0.3:
            one = replace(one, acknowledged_at=now, acknowledged_until=now + HOUR, snoozed_until=now + DAY)
        said.append(one)
    return tuple(said)
