"""What every rule promises, checked over every member of RULES with random facts.

A rule answers for its own kind and subject, in sentences, with JSON-able evidence; it looks at no clock; and its answer
never changes between now and ``check_after``: else the sweep would miss a deadline.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import facts as facts_module
from alerts.facts import SEVERITIES, CannotCheck, Facts, Finding, Waiting
from alerts.inheritance import Resolved, resolve_all
from alerts.params import BadParams, read_params
from alerts.rules import HEARTBEAT, RULES, Rule, check_subject, rules_for
from integrations.logs import joblog
from tests.alerts.pure.examples import NOON, client_facts, job_facts, tenant_facts

DAY = timedelta(days=1)

moments = st.integers(-40 * 24 * 60, 40 * 24 * 60).map(lambda minutes: NOON + minutes * timedelta(minutes=1))
past = st.none() | moments
sizes = st.none() | st.integers(0, 2 * 10**12)

job_subjects = st.builds(
    job_facts,
    registered_at=moments,
    active=st.booleans(),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    schedule=st.sampled_from(["", "", "daily 22:00", "weekdays 02:30", "every 6h", "0 0 31 2 *"]),
    tolerance=st.none() | st.just(14 * DAY),
    last_outcome=st.sampled_from([None, "success", "failure", "missed", "warning"]),
    last_good_at=past, last_data_at=past, first_failure_at=past, last_failure_at=past,
    last_protected_bytes=sizes, last_transferred_bytes=sizes,
    failures_in_row=st.integers(0, 4), warnings_in_row=st.integers(0, 4),
    reports_data=st.booleans(), awaiting_since=past, resumed_at=past,
)  # fmt: skip
client_subjects = st.builds(
    client_facts, active=st.booleans(), quota_bytes=st.none() | st.just(10**12), protected_bytes=sizes, measured_at=past
)
tenant_subjects = st.builds(tenant_facts, active=st.booleans(), awaiting_since=past, waiting=st.integers(0, 5))
FACTS: dict[str, st.SearchStrategy[Any]] = {"job": job_subjects, "client": client_subjects, "tenant": tenant_subjects}

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


def test_facts_know_the_outcomes_of_the_logs() -> None:
    """Rules import nothing of integrations, so the words stand in two places."""
    assert get_args(facts_module.Outcome) == get_args(joblog.Outcome)


@every_rule
def test_a_rule_names_itself(rule: Rule) -> None:
    assert RULES[rule.KIND] is rule
    assert rule.SUBJECT in FACTS, "give this test facts for the new kind of subject"
    assert rule in rules_for(rule.SUBJECT)
    assert rule.LABEL[0].isupper()
    assert rule.SEVERITY in SEVERITIES
    assert isinstance(rule.ENABLED, bool)
    assert rule.__doc__
    assert len(rule.__doc__.strip().splitlines()) >= 3


@every_rule
def test_parameters_are_described_and_their_limits_kept(rule: Rule) -> None:
    assert read_params(rule.Params, dataclasses.asdict(rule.Params())) == rule.Params()
    for field in dataclasses.fields(rule.Params):
        assert field.metadata["label"]
        assert field.metadata["help"].endswith(".")
        low, high = field.metadata["at_least"], field.metadata["at_most"]
        assert read_params(rule.Params, {field.name: low})
        assert read_params(rule.Params, {field.name: high})
        for wrong in (low - 1, high + 1, str(low), None, True, float(low)):
            with pytest.raises(BadParams) as refused:
                read_params(rule.Params, {field.name: wrong})
            assert refused.value.field == field.name
            assert field.metadata["label"] in refused.value.reason
    with pytest.raises(BadParams, match="no parameter 'nonsense'"):
        read_params(rule.Params, {"nonsense": 1})


@every_rule
def test_the_documentation_tells_the_rule_and_its_defaults(rule: Rule) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    switched = "yes" if rule.ENABLED else "no"
    assert f"| {rule.LABEL} | `{rule.KIND}` | {rule.SUBJECT} | {switched} | {rule.SEVERITY}" in page
    assert f"### {rule.LABEL} (`{rule.KIND}`)" in page
    for field in dataclasses.fields(rule.Params):
        limits = f"{field.metadata['at_least']} | {field.metadata['at_most']} | {field.metadata['unit']}"
        assert f"| `{rule.KIND}` | `{field.name}` | {field.default} | {limits} |" in page


@every_rule
@given(data=st.data(), now=moments)
def test_an_answer_is_about_its_subject_in_sentences_and_can_be_stored(
    rule: Rule, data: st.DataObject, now: datetime
) -> None:
    facts = data.draw(FACTS[rule.SUBJECT])
    answer = rule.check(facts, rule.Params(), now)
    assert rule.check(facts, rule.Params(), now) == answer
    if answer is None:
        assert rule.closing_words(facts, rule.Params(), now).endswith(".")
        return
    assert (answer.kind, answer.subject) == (rule.KIND, facts.subject)
    assert facts.active, "what is not active is not flagged"
    if isinstance(answer, CannotCheck | Waiting):
        assert answer.reason.endswith(".")
        return
    assert answer.summary.endswith(".")
    assert answer.severity in SEVERITIES
    assert answer.occurrence
    assert json.loads(json.dumps(answer.evidence)) == answer.evidence


@every_rule
@given(data=st.data(), now=moments, share=st.floats(0, 0.999))
def test_the_answer_holds_until_check_after(rule: Rule, data: st.DataObject, now: datetime, share: float) -> None:
    facts = data.draw(FACTS[rule.SUBJECT])
    params = rule.Params()
    until = rule.check_after(facts, params, now)
    assert until is None or until > now
    later = now + ((until or now + 400 * DAY) - now) * share
    assert rule.check(facts, params, later) == rule.check(facts, params, now)


@given(st.sampled_from(list(FACTS)).flatmap(lambda kind: FACTS[kind]), moments)
def test_a_subject_is_checked_by_all_its_rules_and_always_gets_a_clock(facts: Facts, now: datetime) -> None:
    settings = resolve_all([])
    checked = check_subject(facts, settings, now)
    assert [one.kind for one in checked.answers] == [rule.KIND for rule in rules_for(facts.subject.kind)]
    if facts.active:
        assert checked.check_after is not None
        assert now < checked.check_after <= now + HEARTBEAT
    else:
        assert checked.check_after is None


def test_a_rule_switched_off_answers_nothing_and_says_so() -> None:
    facts = job_facts(failures_in_row=1, first_failure_at=NOON)
    on = resolve_all([])
    off: dict[str, Resolved] = {kind: dataclasses.replace(one, enabled=False) for kind, one in on.items()}
    assert any(isinstance(one.answer, Finding) for one in check_subject(facts, on, NOON).answers)
    for one in check_subject(facts, off, NOON).answers:
        assert one.answer is None
        assert one.closing_words == f'The rule "{RULES[one.kind].LABEL}" is switched off here.'


def test_a_set_severity_replaces_the_rules_own_and_errors_know_the_deadline() -> None:
    facts = job_facts(failures_in_row=5, first_failure_at=NOON, last_good_at=NOON)
    settings = {kind: dataclasses.replace(one, severity="info") for kind, one in resolve_all([]).items()}
    answers = {one.kind: one.answer for one in check_subject(facts, settings, NOON).answers}
    found = answers["errors"]
    assert isinstance(found, Finding)
    assert (found.severity, found.deadline) == ("info", NOON + timedelta(hours=27))
