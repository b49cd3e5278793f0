"""The life of incidents under random findings, clean answers, actions and times, against what is promised of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.acting import accepting, acknowledging, closing, snoozing, unacknowledging
from alerts.deciding import Change, IncidentValues, Life, apply_changes, decide, passed_time
from alerts.facts import SEVERITIES, CannotCheck, Checked, Finding, Severity, Subject

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
#: Kind and whether it is sticky.
KINDS = {"errors": False, "size_anomaly": True}
LIFE = Life(reopen_within=timedelta(hours=12), flaps=2, calm=timedelta(hours=6))

kinds = st.sampled_from(sorted(KINDS))
severities: st.SearchStrategy[Severity] = st.sampled_from(SEVERITIES)
jobs = st.integers(1, 2)


class LifeOfIncidents(RuleBasedStateMachine):
    """What is stored is the newest incident of each fingerprint; ``history`` has every change ever made."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.stored: dict[str, IncidentValues] = {}
        self.history: list[Change] = []
        self.opened: list[str] = []

    def write(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            before = self.stored.get(change.fingerprint)
            assert change.before is None or before is not None
            if change.kind in ("opened", "reopened"):
                assert before is None or before.state == "closed", "one open per fingerprint"
        self.stored = {one.fingerprint: one for one in apply_changes(self.stored.values(), changes)}
        self.history.extend(changes)

    def answer(self, checked: Checked) -> None:
        changes = decide([checked], self.stored.values(), now=self.now, life=LIFE)
        self.check_closings(changes)
        self.write(changes)
        assert decide([checked], self.stored.values(), now=self.now, life=LIFE) == (), "twice the same changes nothing"

    def check_closings(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            if change.kind != "closed":
                continue
            assert change.before is not None
            assert not change.before.sticky, "sticky ones never close by themselves"
            if change.before.reopened_count >= LIFE.flaps:
                calm_since = change.before.calm_since
                assert calm_since is not None, "one that comes and goes is watched first"
                assert self.now - calm_since >= LIFE.calm

    @rule(hours=st.integers(1, 20))
    def wait(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule(kind=kinds, job=jobs, severity=severities, occurrence=st.sampled_from("abc"), ages=st.booleans())
    def find(self, kind: str, job: int, severity: Severity, occurrence: str, ages: bool) -> None:
        subject = Subject("job", job)
        finding = Finding(
            kind=kind, subject=subject, severity=severity, summary=f"{occurrence} {severity}", since=START,
            occurrence=occurrence, sticky=KINDS[kind],
        )  # fmt: skip
        every = 5 * HOUR if ages else None
        self.answer(Checked(kind=kind, subject=subject, answer=finding, closing_words="Good.", escalate_every=every))

    @rule(kind=kinds, job=jobs)
    def find_nothing(self, kind: str, job: int) -> None:
        self.answer(Checked(kind=kind, subject=Subject("job", job), answer=None, closing_words="It is good again."))

    @rule(kind=kinds, job=jobs)
    def cannot_check(self, kind: str, job: int) -> None:
        subject = Subject("job", job)
        answer = CannotCheck(kind=kind, subject=subject, reason="No size is reported.")
        checked = Checked(kind=kind, subject=subject, answer=answer, closing_words="")
        self.answer(checked)

    @rule()
    def sweep(self) -> None:
        """What time alone does: every snooze and acknowledgement that has run out says so."""
        for incident in list(self.stored.values()):
            changes = passed_time(incident, now=self.now, life=LIFE)
            self.check_closings(changes)
            self.write(changes)
            kinds_told = {change.kind for change in changes}
            if incident.state == "open" and "closed" not in kinds_told:
                ran_out = incident.snoozed_until is not None and incident.snoozed_until <= self.now
                assert ("snooze_ended" in kinds_told) is ran_out
            assert passed_time(self.stored[incident.fingerprint], now=self.now, life=LIFE) == ()

    @precondition(lambda self: any(one.state == "open" for one in self.stored.values()))
    @rule(data=st.data(), hours=st.integers(1, 30))
    def act(self, data: st.DataObject, hours: int) -> None:
        """A person does something to an open one."""
        choices = sorted(key for key, one in self.stored.items() if one.state == "open")
        incident = self.stored[data.draw(st.sampled_from(choices))]
        until = self.now + hours * HOUR
        action = data.draw(
            st.sampled_from([
                acknowledging(actor="Ann", now=self.now),
                acknowledging(actor="Ann", until=until, now=self.now),
                unacknowledging(actor="Ann", now=self.now),
                snoozing(actor="Ann", until=until, now=self.now),
                closing(actor="Ann", reason="Known.", now=self.now),
                accepting(actor="Ann", reason="Fine.", now=self.now),
            ])
        )  # fmt: skip
        self.stored[incident.fingerprint] = action.change(incident)

    @invariant()
    def severity_never_falls_below_what_age_raised_it_to(self) -> None:
        for one in self.stored.values():
            if one.state == "open" and one.escalated is not None:
                assert SEVERITIES.index(one.severity) >= SEVERITIES.index(one.escalated)

    @invariant()
    def what_people_said_ends_with_the_problem(self) -> None:
        for one in self.stored.values():
            if one.state == "closed":
                assert one.closed_at is not None
                assert one.close_reason
                said = (one.acknowledged_at, one.acknowledged_until, one.snoozed_until, one.calm_since)
                assert said == (None, None, None, None)

    @invariant()
    def every_change_has_its_reason(self) -> None:
        assert all(change.reason.strip() for change in self.history)
        assert all(change.before is None or change.before != change.after for change in self.history)


LifeOfIncidents.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLifeOfIncidents = LifeOfIncidents.TestCase


def test_a_snooze_that_ran_out_is_told_with_the_next_answer_too() -> None:
    """The log that comes in before the sweep says it as well, once."""
    subject = Subject("job", 1)
    finding = Finding(
        kind="errors", subject=subject, severity="warning", summary="It failed.", since=START, occurrence="a"
    )
    checked = Checked(kind="errors", subject=subject, answer=finding, closing_words="")
    (opened,) = decide([checked], [], now=START, life=LIFE)
    snoozed = replace(opened.after, snoozed_until=START + HOUR)
    changes = decide([checked], [snoozed], now=START + HOUR, life=LIFE)
    assert [change.kind for change in changes] == ["snooze_ended"]
    assert decide([checked], [changes[-1].after], now=START + HOUR, life=LIFE) == ()
