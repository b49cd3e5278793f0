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
from alerts.facts import SEVERITIES, CannotCheck, ComponentTrouble, Facts, Finding, RunPoint, Waiting
from alerts.group_facts import ChannelFacts, DestinationFacts, Due, GroupFacts, MachineFacts, SelectionFacts
from alerts.inheritance import Resolved, resolve_all
from alerts.params import BadParams, read_params, value_words
from alerts.rules import HEARTBEAT, RULES, Rule, check_subject, rules_for
from integrations.logs import joblog
from tests.alerts.pure.examples import NOON, client_facts, job_facts, tenant_facts

DAY = timedelta(days=1)

moments = st.integers(-40 * 24 * 60, 40 * 24 * 60).map(lambda minutes: NOON + minutes * timedelta(minutes=1))
past = st.none() | moments
sizes = st.none() | st.integers(0, 2 * 10**12)

amounts = st.none() | st.sampled_from([0, 10**9, 10**12])
run_points = st.builds(
    RunPoint,
    ended_at=moments, started_at=past, outcome=st.sampled_from(["success", "warning", "failure", "missed"]),
    good=st.booleans(), protected_bytes=amounts, transferred_bytes=amounts, changed_bytes=amounts,
    duration_seconds=st.none() | st.sampled_from([0, 600, 36_000]), error=st.sampled_from(["", "disk full"]),
)  # fmt: skip
histories = st.lists(run_points, max_size=12).map(lambda points: tuple(sorted(points, key=lambda one: one.ended_at)))
troubles = st.builds(
    ComponentTrouble,
    name=st.sampled_from(["SQL", "Exchange"]), outcome=st.sampled_from(["failure", "warning"]), since=moments,
    times=st.integers(1, 4),
)  # fmt: skip

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
    reports_data=st.booleans(), awaiting_since=past, resumed_at=past, running_since=past,
    history=histories, size_accepted_at=past, chain_length=st.none() | st.sampled_from([1, 7, 400]), last_full_at=past,
    components=st.lists(troubles, max_size=3).map(tuple), reports_components=st.booleans(),
)  # fmt: skip
client_subjects = st.builds(
    client_facts, active=st.booleans(), quota_bytes=st.none() | st.just(10**12), protected_bytes=sizes, measured_at=past
)
tenant_subjects = st.builds(tenant_facts, active=st.booleans(), awaiting_since=past, waiting=st.integers(0, 5))
dues = st.lists(st.builds(Due, at=moments, job_id=st.integers(1, 9), server_id=st.integers(1, 3)), max_size=9)


def heard_before(facts: Any, due: list[Due]) -> Any:
    """The same group with those deadlines that its newest log leaves open, as loading gives them."""
    later = sorted(one for one in due if facts.heard_at is None or one.at > facts.heard_at)
    return dataclasses.replace(facts, due=tuple(later), jobs=len(later) + 3)


def group_subjects(kind: str) -> st.SearchStrategy[GroupFacts]:
    groups = st.builds(
        GroupFacts, kind=st.just(kind), group_id=st.just(7), tenant_id=st.just(1), name=st.just("backup01"),
        active=st.booleans(), registered_at=past, heard_at=past, awaiting_since=past, resumed_at=past,
        capacity_bytes=sizes, used_bytes=sizes, measured_at=past,
    )  # fmt: skip
    return st.builds(heard_before, groups, dues)


channels = st.builds(
    ChannelFacts,
    tenant_id=st.just(1), channel_id=st.just(8), name=st.just("reports"),
    kind=st.sampled_from(["mailbox", "pull", "mail", "folder", "format"]),
    active=st.booleans(), registered_at=past, heard_at=past, awaiting_since=past, resumed_at=past,
    recent=st.lists(st.tuples(moments, st.booleans()), max_size=20).map(lambda told: tuple(sorted(told))),
    days=st.sampled_from([{}, {(NOON.date() - timedelta(days=ago)).isoformat(): 9 for ago in range(40)}]),
    failing_since=past, error=st.sampled_from(["", "login refused", "Login refused."]),
)  # fmt: skip
selections = st.builds(SelectionFacts, tenant_id=st.just(1), client_id=st.just(2), selection_id=st.just(3),
                       active=st.booleans(), registered_at=moments)  # fmt: skip
machines = st.builds(MachineFacts, tenant_id=st.just(1), client_id=st.just(2), machine_id=st.just(4),
                     active=st.booleans(), registered_at=moments)  # fmt: skip
destinations = st.builds(
    DestinationFacts, tenant_id=st.just(1), destination_id=st.just(6), name=st.just("Desk"), active=st.booleans(),
    failing_since=past, paused_at=past, waiting=st.integers(0, 9), refused=st.integers(0, 9), refused_since=past,
    error=st.sampled_from(["", "Login refused."]),
)  # fmt: skip
FACTS: dict[str, st.SearchStrategy[Any]] = {
    "job": job_subjects,
    "client": client_subjects,
    "tenant": tenant_subjects,
    "selection": selections,
    "machine": machines,
    **{kind: group_subjects(kind) for kind in ("server", "site", "volume")},
    "channel": st.builds(heard_before, channels, dues),
    "destination": destinations,
}

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
        right, wrong = values_of(field)
        for value in right:
            assert getattr(read_params(rule.Params, {field.name: value}), field.name) == value
        for value in wrong:
            with pytest.raises(BadParams) as refused:
                read_params(rule.Params, {field.name: value})
            assert refused.value.field == field.name
            assert field.metadata["label"] in refused.value.reason
    with pytest.raises(BadParams, match="no parameter 'nonsense'"):
        read_params(rule.Params, {"nonsense": 1})


def values_of(field: dataclasses.Field[Any]) -> tuple[list[Any], list[Any]]:
    """Values at its limits, and values that are to be refused."""
    if "options" in field.metadata:
        return [word for word, _ in field.metadata["options"]], ["nonsense", "", None, True, 1]
    if isinstance(field.default, bool):
        return [True, False], ["yes", None, 1, 0]
    low, high = field.metadata["at_least"], field.metadata["at_most"]
    return [low, high], [low - 1, high + 1, str(low), None, True, float(low)]


def limits_of(field: dataclasses.Field[Any]) -> str:
    """The columns default, from, to and unit of the page."""
    default = value_words(field, field.default, with_unit=False)
    if "at_least" not in field.metadata:
        kind = "choice" if "options" in field.metadata else "yes or no"
        return f"{default} | | | {kind}"
    return f"{default} | {field.metadata['at_least']} | {field.metadata['at_most']} | {field.metadata['unit']}"


@every_rule
def test_the_documentation_tells_the_rule_and_its_defaults(rule: Rule) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    switched = "yes" if rule.ENABLED else "no"
    assert f"| {rule.LABEL} | `{rule.KIND}` | {rule.SUBJECT} | {switched} | {rule.SEVERITY}" in page
    assert f"### {rule.LABEL} (`{rule.KIND}`)" in page
    for field in dataclasses.fields(rule.Params):
        assert f"| `{rule.KIND}` | `{field.name}` | {limits_of(field)} |" in page


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
    assert [one.kind for one in checked.answers] == [
        *(rule.KIND for rule in rules_for(facts.subject.kind)),
        "rule_broken",
    ]
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
    *answers, broken = check_subject(facts, off, NOON).answers
    assert (broken.kind, broken.answer) == ("rule_broken", None)
    for one in answers:
        assert one.answer is None
        assert one.closing_words == f'The rule "{RULES[one.kind].LABEL}" is switched off here.'


def test_a_set_severity_replaces_the_rules_own_and_errors_know_the_deadline() -> None:
    facts = job_facts(failures_in_row=5, first_failure_at=NOON, last_good_at=NOON)
    settings = {kind: dataclasses.replace(one, severity="info") for kind, one in resolve_all([]).items()}
    answers = {one.kind: one.answer for one in check_subject(facts, settings, NOON).answers}
    found = answers["errors"]
    assert isinstance(found, Finding)
    assert (found.severity, found.deadline) == ("info", NOON + timedelta(hours=27))
