"""Quota overrun: steps, the ceiling itself, either size, and what is told of a long overrun."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.facts import CannotCheck, Finding, SelectionSize, Severity
from alerts.params import BadParams, check_together
from alerts.rules import quota_overrun
from alerts.rules.quota_overrun import Params
from tests.alerts.pure.examples import NOON, client_facts

DAY = timedelta(days=1)


def quota(protected: int | None, *, quota_bytes: int | None = 1000, **params: Any) -> Any:
    facts = client_facts(protected_bytes=protected, quota_bytes=quota_bytes)
    return quota_overrun.check(facts, quota_overrun.Params(**params), NOON)


@pytest.mark.parametrize(
    "protected,severity",
    [(899, None), (900, "warning"), (1000, "warning"), (1001, "critical")],
)
def test_the_quota_may_be_reached_but_not_passed(protected: int, severity: Severity | None) -> None:
    found = quota(protected)
    assert (found and found.severity) == severity


def test_an_allowed_overrun_moves_the_critical_step() -> None:
    assert [quota(size, over_percent=120).severity for size in (1001, 1200, 1201)] == ["warning", "warning", "critical"]


def test_steps_hold_for_sizes_that_a_float_cannot_tell_apart() -> None:
    big = 9 * 10**18
    assert quota(big, quota_bytes=big).severity == "warning"
    assert quota(big + 1, quota_bytes=big).severity == "critical"


def test_a_quota_of_nothing_allows_nothing() -> None:
    assert quota(1, quota_bytes=0).severity == "critical"


def test_without_a_measurement_it_cannot_be_checked_and_without_a_quota_there_is_nothing_to_check() -> None:
    assert isinstance(quota(None), CannotCheck)
    assert quota(10**15, quota_bytes=None) is None


def test_the_finding_names_the_largest_selections_first_and_its_reminder() -> None:
    sizes = tuple(
        SelectionSize(selection_id=number, selection=name, protected_bytes=size, measured_at=NOON)
        for number, name, size in ((1, "files", 400), (2, "mail", 601), (3, "new", None))
    )
    facts = client_facts(protected_bytes=1001, quota_bytes=1000, selections=sizes)
    found = quota_overrun.check(facts, quota_overrun.Params(repeat_days=3), NOON)
    assert isinstance(found, Finding)
    assert [one["selection"] for one in found.evidence["selections"]] == ["mail", "files", "new"]
    assert found.repeat_every == 3 * DAY
    assert found.summary == (
        "1.0 kB protected of 1.0 kB agreed (100 %), over the quota; measured on Wed 14 Jan 2026 13:00 CET."
    )


# --- steps


@pytest.mark.parametrize(
    "protected,step",
    [(799, None), (800, "80 percent"), (899, "80 percent"), (900, "90 percent"), (950, "95 percent"),
     (1000, "95 percent"), (1001, "over")],
)  # fmt: skip
def test_each_step_is_told_once(protected: int, step: str | None) -> None:
    found = quota(protected, warn_percent=80, second_warn_percent=90, third_warn_percent=95)
    assert (found and found.evidence["step"]) == step
    if found:
        assert found.occurrence == f"protected {step}"


def test_a_further_measurement_within_a_step_is_the_same_occurrence() -> None:
    first, second = quota(910), quota(940)
    assert first.occurrence == second.occurrence
    assert first.occurrence != quota(950).occurrence
    assert first.since_first_seen


def test_the_step_that_is_reached_is_named() -> None:
    assert "at or above the warning level of 95 %; measured on" in quota(960).summary


def test_steps_that_do_not_rise_are_refused_and_passed_over() -> None:
    wrong = Params(warn_percent=90, second_warn_percent=80, third_warn_percent=95)
    names = {"warn_percent", "second_warn_percent", "third_warn_percent"}
    with pytest.raises(BadParams, match="must rise: 80 percent comes after 90"):
        check_together(wrong, chosen=names)
    check_together(wrong, chosen={"second_warn_percent"})
    check_together(Params(warn_percent=80, second_warn_percent=0, third_warn_percent=90), chosen=names)
    assert [wrong.step(size, 100) for size in (79, 80, 89, 90, 94, 95)] == [0, 0, 0, 90, 90, 95]


@given(st.integers(1, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 200), st.integers(0, 200))
def test_more_data_never_means_a_lower_step(first: int, second: int, third: int, size: int, more: int) -> None:
    params = Params(warn_percent=first, second_warn_percent=second, third_warn_percent=third)
    assert params.step(size, 100) <= params.step(size + more, 100)
    assert (params.step(size, 100) > 0) == (size >= first)


def test_the_stored_size_is_held_against_the_quota_where_that_is_set() -> None:
    facts = client_facts(quota_bytes=1000, protected_bytes=2000, stored_bytes=900, stored_at=NOON - DAY)
    found = quota_overrun.check(facts, Params(metric="stored"), NOON)
    assert isinstance(found, Finding)
    assert found.summary.startswith("900 bytes stored of 1.0 kB agreed (90 %), at or above")
    assert (found.severity, found.evidence["stored_bytes"], found.since) == ("warning", 900, NOON - DAY)
    unknown = quota_overrun.check(client_facts(stored_bytes=None), Params(metric="stored"), NOON)
    assert isinstance(unknown, CannotCheck)
    assert unknown.reason == "No stored size was ever measured for this client."


# --- a long overrun

OVER: dict[str, Any] = {"protected_bytes": 1001, "quota_bytes": 1000}


def long_overrun(days: float, *, action: str = "suspend", **facts: Any) -> Finding:
    given_facts = client_facts(**{**OVER, "over_since": NOON, **facts})
    answer = quota_overrun.check(given_facts, Params(action=action, action_after_days=10), NOON + days * DAY)
    assert isinstance(answer, Finding)
    return answer


def test_suspending_is_told_beforehand() -> None:
    first, before, after = long_overrun(0, over_since=None), long_overrun(9.99), long_overrun(10)
    assert first.summary.endswith("If it stays over for 10 days, the client is suspended.")
    assert before.summary.endswith("If it is still over on Sat 24 Jan 2026 13:00 CET, the client is suspended.")
    assert after.summary.endswith("It has been over for 10 days: the client is suspended.")
    assert (before.evidence["action"], after.evidence["action"]) == ("nothing", "suspend")
    assert before.occurrence != after.occurrence


def test_a_proposal_is_made_when_it_is_due() -> None:
    assert long_overrun(9.99, action="propose").summary.endswith(
        "If it is still over on Sat 24 Jan 2026 13:00 CET, it is proposed to suspend the client."
    )
    assert long_overrun(10, action="propose").summary.endswith("it is proposed to suspend the client.")


@pytest.mark.parametrize(
    "changes", [{"over_since": None}, {"protected_bytes": 1000}, {"action": "nothing"}], ids=lambda one: str(one)
)
def test_nothing_follows_what_is_not_known_to_last_or_not_over_or_not_wanted(changes: dict[str, Any]) -> None:
    found = long_overrun(500, **changes)
    assert (found.evidence["action"], found.evidence["action_at"]) == ("nothing", None)
    assert "It has been over" not in found.summary
    assert ("suspend" in found.summary) is ("over_since" in changes)


def test_it_is_looked_at_again_when_the_overrun_is_a_long_one() -> None:
    params, facts = Params(action="suspend", action_after_days=10), client_facts(**OVER, over_since=NOON)
    assert quota_overrun.check_after(facts, params, NOON) == NOON + 10 * DAY
    assert quota_overrun.check_after(facts, params, NOON + 10 * DAY) is None
    assert quota_overrun.check_after(facts, Params(), NOON) is None
    within = client_facts(**{**OVER, "protected_bytes": 1000}, over_since=NOON)
    assert quota_overrun.check_after(within, params, NOON) is None
    assert quota_overrun.check_after(client_facts(quota_bytes=None), params, NOON) is None


def test_it_closes_with_the_size_that_is_back() -> None:
    words = quota_overrun.closing_words(client_facts(protected_bytes=5, quota_bytes=1000), Params(), NOON)
    assert words == "The protected size is back at 5 bytes of 1.0 kB, under 90 % of the quota."
    gone = quota_overrun.closing_words(client_facts(quota_bytes=None), Params(), NOON)
    assert gone == "No quota is agreed for this client any more."
