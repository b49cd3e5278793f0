"""Component failed: names, repeats and severity; and what is another rule's matter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.facts import Answer, CannotCheck, ComponentTrouble, Finding
from alerts.params import BadParams, check_together
from alerts.rules import component_failed
from alerts.rules.component_failed import Params
from tests.alerts.pure.examples import NOON, job_facts

DAY = timedelta(days=1)


def trouble(name: str, **changes: Any) -> ComponentTrouble:
    return ComponentTrouble(**{"name": name, "outcome": "failure", "since": NOON, **changes})


def check(*troubles: ComponentTrouble, params: Params | None = None, **facts: Any) -> Answer:
    given_facts = job_facts(**{"components": troubles, "reports_components": True, "last_outcome": "success", **facts})
    return component_failed.check(given_facts, params or Params(), NOON)


def flagged(*troubles: ComponentTrouble, **facts: Any) -> Finding:
    answer = check(*troubles, **facts)
    assert isinstance(answer, Finding)
    return answer


def test_a_database_that_failed_in_a_green_run_is_named_with_its_line() -> None:
    found = flagged(trouble("SQL: payroll", message="VSS writer timed out"))
    assert found.summary == (
        "SQL: payroll failed since Wed 14 Jan 2026 13:00 CET, though the backup itself ended as success."
    )
    assert found.lines == ("SQL: payroll: VSS writer timed out",)
    assert (found.severity, found.repeats) == ("warning", 1)


def test_five_are_named_and_the_rest_is_counted_the_worst_first() -> None:
    names = [trouble(f"mailbox {number}") for number in range(7)]
    found = flagged(*names, trouble("calendar", times=2, since=NOON - DAY))
    assert found.summary.startswith(
        "calendar, mailbox 0, mailbox 1, mailbox 2, mailbox 3 and 3 more failed in 2 runs since Tue 13 Jan"
    )
    assert len(found.evidence["components"]) == 8


def test_it_is_critical_from_the_third_run_and_each_run_is_another_occurrence() -> None:
    nights = [flagged(trouble("SQL", times=times)) for times in (1, 2, 3)]
    assert [one.severity for one in nights] == ["warning", "warning", "critical"]
    assert len({one.occurrence for one in nights}) == 3
    assert flagged(trouble("SQL", times=9), params=Params(critical_times=0)).severity == "warning"


def test_it_can_wait_for_more_than_one_run() -> None:
    params = Params(times=2)
    assert check(trouble("SQL"), params=params) is None
    assert isinstance(check(trouble("SQL", times=2), params=params), Finding)


def test_a_component_with_warnings_only_is_no_failed_one() -> None:
    assert check(trouble("SQL", outcome="warning")) is None
    assert check() is None


def test_a_backup_that_failed_as_a_whole_is_another_rules_matter() -> None:
    answer = check(trouble("SQL"), failures_in_row=1, last_outcome="failure")
    assert isinstance(answer, CannotCheck)
    assert answer.reason.startswith("The whole backup failed;")


def test_a_product_that_names_none_cannot_be_checked() -> None:
    answer = check(reports_components=False)
    assert isinstance(answer, CannotCheck)
    assert answer.reason == "nightly names no components in its logs."
    assert check(trouble("SQL"), active=False) is None


def test_critical_before_it_is_an_incident_is_refused() -> None:
    wrong, names = Params(times=5, critical_times=2), {"times", "critical_times"}
    with pytest.raises(BadParams) as refused:
        check_together(wrong, chosen=names)
    assert refused.value.field == "critical_times"
    assert refused.value.reason == "Critical after cannot be: 2 comes before the 5 that make an incident."
    check_together(wrong, chosen={"times"})
    check_together(Params(times=5, critical_times=0), chosen=names)


@given(
    st.lists(
        st.builds(trouble, st.sampled_from(["a", "b", "c"]), times=st.integers(1, 3)), min_size=1, max_size=6
    ).flatmap(lambda troubles: st.tuples(st.just(troubles), st.permutations(troubles)))
)
def test_the_order_in_which_a_log_names_them_does_not_matter(
    both: tuple[list[ComponentTrouble], list[ComponentTrouble]],
) -> None:
    one, other = flagged(*both[0]), flagged(*both[1])
    assert (one.summary, one.occurrence, one.severity) == (other.summary, other.occurrence, other.severity)
