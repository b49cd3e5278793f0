"""The life of an incident under any answers, actions and times: what must hold after every step, whatever came before.

The machine plays what the sweep and people do: answers of one rule about two subjects, in any order and at any
time; acknowledgements, snoozes, closing by hand; time that passes without an answer.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alerts.acting import Action, acknowledging, closing, snoozing, unacknowledging
from alerts.deciding import Change, IncidentValues, Life, decide, passed_time
from alerts.facts import SEVERITIES, CannotCheck, Checked, Subject
from tests.alerts.pure.examples import NOON, clean, found

HOURS = st.integers(min_value=0, max_value=60).map(lambda hours: timedelta(hours=hours))
SUBJECTS = st.sampled_from([Subject(kind="job", id=1), Subject(kind="job", id=2)])
AGES = st.sampled_from([None, timedelta(hours=12), timedelta(hours=48)])
ACTOR = "ada@dock.example"


class Lives(RuleBasedStateMachine):
    """Two subjects, the first of which has sticky findings; ``rows`` is what would be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.life = Life(reopen_within=timedelta(days=1), flaps=2, calm=timedelta(hours=24))
        self.rows: list[IncidentValues] = []
        self.last: dict[str, Checked] = {}

    def write(self, changes: tuple[Change, ...]) -> None:
        """What writing them to the database comes to: each change builds on what is there."""
        for change in changes:
            assert change.reason.strip().endswith((".", "!")), change
            if change.before is None:
                assert change.kind == "opened"
                self.rows.append(replace(change.after, incident_id=len(self.rows) + 1))
                continue
            at = next(
                n
                for n, row in enumerate(self.rows)
                if replace(row, incident_id=None) == replace(change.before, incident_id=None)
            )
            assert change.before != change.after, change
            assert_said(change, self.last.get(change.fingerprint), self.now)
            self.rows[at] = replace(change.after, incident_id=self.rows[at].incident_id)

    def answer(self, one: Checked) -> None:
        if not isinstance(one.answer, CannotCheck):
            self.last[one.fingerprint] = one
        recent = [
            r
            for r in self.rows
            if r.state == "open" or (r.closed_at and self.now - r.closed_at <= self.life.reopen_within)
        ]
        self.write(decide([one], recent, now=self.now, life=self.life))
        recent = [
            r
            for r in self.rows
            if r.state == "open" or (r.closed_at and self.now - r.closed_at <= self.life.reopen_within)
        ]
        assert decide([one], recent, now=self.now, life=self.life) == ()

    @rule(subject=SUBJECTS, severity=st.sampled_from(SEVERITIES), occurrence=st.sampled_from("abc"), every=AGES)
    def is_found(self, subject: Subject, severity: Any, occurrence: str, every: timedelta | None) -> None:
        one = found(subject=subject, severity=severity, occurrence=occurrence, sticky=subject.id == 1, since=NOON)
        before = [row for row in self.rows if row.subject == subject]
        self.answer(replace(one, escalate_every=every))
        after = [row for row in self.rows if row.subject == subject]
        returned(before, after)

    @rule(subject=SUBJECTS)
    def is_fine(self, subject: Subject) -> None:
        self.answer(replace(clean(), subject=subject))

    @rule(subject=SUBJECTS)
    def cannot_be_checked(self, subject: Subject) -> None:
        reason = CannotCheck(kind="errors", subject=subject, reason="It reports no errors.")
        self.answer(replace(clean(), subject=subject, answer=reason))

    @rule(passed=HOURS)
    def time_passes(self, passed: timedelta) -> None:
        self.now += passed
        for row in list(self.rows):
            self.write(passed_time(row, now=self.now, life=self.life))
        for row in self.rows:
            assert passed_time(row, now=self.now, life=self.life) == ()

    @rule(passed=HOURS)
    def nobody_looks(self, passed: timedelta) -> None:
        self.now += passed

    @rule(subject=SUBJECTS, hours=st.one_of(st.none(), st.integers(1, 48)))
    def is_acknowledged(self, subject: Subject, hours: int | None) -> None:
        until = None if hours is None else self.now + timedelta(hours=hours)
        self.act(subject, acknowledging(actor=ACTOR, until=until, now=self.now))

    @rule(subject=SUBJECTS)
    def is_unacknowledged(self, subject: Subject) -> None:
        self.act(subject, unacknowledging(actor=ACTOR, now=self.now))

    @rule(subject=SUBJECTS, hours=st.integers(1, 48))
    def is_snoozed(self, subject: Subject, hours: int) -> None:
        self.act(subject, snoozing(actor=ACTOR, until=self.now + timedelta(hours=hours), now=self.now))

    @rule(subject=SUBJECTS)
    def is_closed_by_hand(self, subject: Subject) -> None:
        self.act(subject, closing(actor=ACTOR, reason="Seen to it", now=self.now))

    def act(self, subject: Subject, action: Action) -> None:
        for at, row in enumerate(self.rows):
            if row.state == "open" and row.subject == subject:
                self.rows[at] = action.change(row)

    @invariant()
    def one_is_open_at_most(self) -> None:
        open_ones = [row.fingerprint for row in self.rows if row.state == "open"]
        assert len(open_ones) == len(set(open_ones))

    @invariant()
    def what_is_closed_has_ended(self) -> None:
        for row in self.rows:
            if row.state == "closed":
                assert row.close_reason
                assert row.closed_at is not None
                assert (row.acknowledged_at, row.acknowledged_until, row.snoozed_until, row.calm_since) == (None,) * 4
                assert row.escalate_at is None

    @invariant()
    def only_people_close_what_is_sticky(self) -> None:
        assert all(row.closed_by_hand for row in self.rows if row.sticky and row.state == "closed")

    @invariant()
    def age_is_not_undone(self) -> None:
        for row in self.rows:
            if row.state == "open" and row.escalated is not None:
                assert SEVERITIES.index(row.severity) >= SEVERITIES.index(row.escalated)


def assert_said(change: Change, last: Checked | None, now: Any) -> None:
    """The words are true at that moment."""
    before = change.before
    assert before is not None
    gone = last is not None and last.answer is None
    if "problem is still there" in change.reason:
        assert not gone, f"said to be still there: {change.reason}"
    if change.kind == "severity" and "has been open" in change.reason:
        assert before.calm_since is None, "age raises what is gone for now"


def returned(before: list[IncidentValues], after: list[IncidentValues]) -> None:
    """What was gone for now and is found again has come back once more."""
    for old in before:
        new = next(row for row in after if row.incident_id == old.incident_id)
        if old.state == "open" and old.calm_since is not None and new.state == "open":
            assert new.calm_since is None
            assert new.reopened_count == old.reopened_count + 1, "a return was not counted"


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
