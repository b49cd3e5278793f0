"""Unstable by hand: what counts as a change, how many within which time, and from when it is calm again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.facts import Finding, RunPoint
from alerts.rules import unstable
from tests.alerts.pure.examples import NOON, job_facts, utc

MICROSECOND, DAY = timedelta(microseconds=1), timedelta(days=1)
PARAMS = unstable.Params()
OUTCOMES: dict[str, tuple[Any, bool]] = {
    "+": ("success", True), "t": ("warning", True), "w": ("warning", False), "-": ("failure", False),
    "m": ("missed", False), "s": ("skipped", False), "u": ("unknown", False), "c": ("cancelled", False),
    "i": ("success", False),
}  # fmt: skip


def nights(letters: str, *, first: datetime = NOON, every: timedelta = DAY) -> tuple[RunPoint, ...]:
    """One run a night: + good, t good with warnings, i w - m not good, s u c neither."""
    return tuple(
        RunPoint(
            ended_at=first + place * every, outcome=OUTCOMES[letter][0], good=OUTCOMES[letter][1],
            error="disk full" if letter == "-" else "",
        )
        for place, letter in enumerate(letters)
    )  # fmt: skip


def answer(letters: str, *, days: float = 0, params: unstable.Params = PARAMS, **facts: Any) -> Any:
    """What it says so many days after the last of these nights."""
    history = nights(letters)
    return unstable.check(job_facts(history=history, **facts), params, history[-1].ended_at + days * DAY)


@pytest.mark.parametrize(
    "letters,changes",
    [
        ("++++++++", None),
        ("--------", None),
        ("+-", None),
        ("+-+", None),  # one bad night is two changes
        ("+-+-", 3),
        ("+-+-+", 4),
        ("-+-+", 3),
        ("+w+m", 3),
        ("+t+t", None),  # a tolerated warning is good
        ("+i+i", 3),  # a success that missed a root is not
        ("+s+u+c+", None),
        ("+-ssss+uuu-", 3),
        ("s-s+s-s+s", 3),
    ],
)
def test_what_counts_as_a_change(letters: str, changes: int | None) -> None:
    found = answer(letters)
    assert (found and len(found.evidence["changes"])) == changes
    assert (found and found.repeats) == changes


def test_the_finding_tells_how_often_and_since_when() -> None:
    found = answer("++-+-")
    assert (found.severity, found.since, found.occurrence) == ("info", NOON + 2 * DAY, (NOON + 4 * DAY).isoformat())
    assert found.summary == (
        "The backups come and go: 3 changes between good and not good since Fri 16 Jan 2026 13:00 CET, the last on "
        "Sun 18 Jan 2026 13:00 CET to not good; it closes after 14 days of calm."
    )
    assert found.lines == ("disk full",)
    assert unstable.TELLS == "report"


def test_it_stays_open_until_it_was_calm_for_as_long() -> None:
    history = nights("+-+-++++")
    facts, calm_at = job_facts(history=history), history[4].ended_at + 14 * DAY
    assert isinstance(unstable.check(facts, PARAMS, calm_at - MICROSECOND), Finding)
    assert unstable.check(facts, PARAMS, calm_at) is None
    assert unstable.check_after(facts, PARAMS, NOON) == calm_at
    assert unstable.check_after(facts, PARAMS, calm_at) is None
    assert unstable.closing_words(facts, PARAMS, calm_at) == (
        "It has kept calm: the last change between good and not good was on Sun 18 Jan 2026 13:00 CET."
    )


def test_changes_must_come_within_the_days() -> None:
    week = 7 * DAY
    apart = job_facts(history=nights("+-+-", every=week))  # first and last change lie fourteen days apart
    assert unstable.check(apart, PARAMS, NOON + 3 * week) is None
    assert unstable.check_after(apart, PARAMS, NOON + 3 * week) is None
    closer = job_facts(history=nights("+-+-", every=week - MICROSECOND))
    assert isinstance(unstable.check(closer, PARAMS, NOON + 3 * week), Finding)


def test_a_spell_goes_on_while_there_is_no_calm_and_a_new_one_begins_after_it() -> None:
    """Three quick changes open it; single changes every ten days keep it open; after a calm, one change is no spell."""
    spell = nights("+-+-+")
    slow = nights("-+-", first=spell[-1].ended_at + 10 * DAY, every=10 * DAY)
    found = unstable.check(job_facts(history=spell + slow), PARAMS, slow[-1].ended_at + DAY)
    assert isinstance(found, Finding)
    assert (found.since, found.repeats) == (spell[1].ended_at, 7)
    later = nights("-", first=spell[-1].ended_at + 14 * DAY)
    assert unstable.check(job_facts(history=spell + later), PARAMS, later[-1].ended_at) is None


def test_number_and_days_can_be_set() -> None:
    assert answer("+-+", params=unstable.Params(changes=2)).repeats == 2
    assert answer("+-+-", days=1, params=unstable.Params(days=1)) is None
    assert answer("+-+-", days=2.9, params=unstable.Params(days=3)).repeats == 3
    assert answer("+-+-", days=3, params=unstable.Params(days=3)) is None


def test_days_are_elapsed_time_over_changes_of_the_clock() -> None:
    for first in (utc(2026, 3, 25, 12), utc(2026, 10, 20, 12), utc(2028, 2, 25, 12)):
        history = nights("+-+-", first=first)
        assert unstable.check_after(job_facts(history=history), PARAMS, first) == history[-1].ended_at + 14 * DAY


def test_it_closes_with_words() -> None:
    assert answer("+-+-", active=False) is None
    paused = job_facts(history=nights("+-+-"), active=False)
    assert unstable.check_after(paused, PARAMS, NOON) is None
    assert unstable.closing_words(paused, PARAMS, NOON) == "The job is no longer active."
    calm = job_facts(history=nights("+" * 60))
    assert unstable.closing_words(calm, PARAMS, NOON) == "The last 60 runs ended alike."
    assert unstable.check(job_facts(), PARAMS, NOON) is None
