"""The three gates, each case written from the definition: only good moves a clock, only measurable is billed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations.logs.joblog import JobLog, LogError
from msp.backups.gates import FUTURE_SKEW, Tolerance, find_problems, judge, judge_log
from tests.alerts.pure.examples import NOON

STRICT = Tolerance()
TEN_OR_ONE_PERCENT = Tolerance(files=10, share=Decimal("0.01"))


def gates(
    outcome: Any, *, operation: Any = "backup", policy: Tolerance = STRICT, **values: Any
) -> tuple[Any, Any, Any]:
    answer = judge(outcome, operation=operation, policy=policy, **{"errors": {}, **values})
    assert bool(answer.reason) is not answer.good
    return answer.good, answer.complete, answer.measurable


@pytest.mark.parametrize(
    "outcome,expected",
    [
        ("success", (True, True, True)),
        ("failure", (False, False, False)),
        ("missed", (False, False, False)),
        ("cancelled", (False, False, False)),
        ("skipped", (False, False, False)),
        ("running", (False, None, False)),
        ("unknown", (False, None, False)),
        ("warning", (False, None, False)),
    ],
)
def test_an_outcome_alone(outcome: str, expected: tuple[Any, Any, Any]) -> None:
    assert gates(outcome) == expected


@pytest.mark.parametrize(
    "errors,errors_total,files_total,good",
    [
        ({"vanished": 10}, 10, None, True),
        ({"vanished": 6, "locked": 4}, 10, None, True),
        ({"vanished": 11}, 11, None, False),
        ({"vanished": 11}, 11, 1100, True),  # exactly one percent
        ({"vanished": 11}, 11, 1099, False),
        ({"vanished": 1, "unreadable": 1}, 2, 10**6, False),
        ({"other": 1}, 1, 10**6, False),
        ({"locked": 5}, 6, 10**6, False),  # one error was not kept: nobody knows what it was
        ({}, 0, 10**6, False),  # a warning without any explanation
    ],
)
def test_a_warning_is_good_only_with_tolerated_errors(
    errors: dict[str, int], errors_total: int, files_total: int | None, good: bool
) -> None:
    values = {"errors": errors, "errors_total": errors_total, "files_total": files_total}
    assert gates("warning", policy=TEN_OR_ONE_PERCENT, **values)[0] is good


def test_without_a_policy_nothing_is_tolerated() -> None:
    assert gates("warning", errors={"vanished": 1}, errors_total=1, files_total=10**9)[0] is False


def test_what_the_log_says_of_completeness_wins() -> None:
    assert gates("success", complete=False) == (True, False, False)
    assert gates("warning", complete=True, errors={"unreadable": 1}, errors_total=1, files_total=100) == (
        False,
        True,
        True,
    )


def test_measurable_ends_where_too_much_is_unread() -> None:
    def measured(files_failed: int) -> bool:
        answer = judge("warning", operation="backup", errors={}, files_failed=files_failed, files_total=1000,
                       complete=True, policy=STRICT)  # fmt: skip
        return answer.measurable

    assert [measured(count) for count in (0, 10, 11)] == [True, True, False]


@pytest.mark.parametrize("operation", ["restore", "verify", "prune", "replicate"])
def test_other_operations_never_measure(operation: str) -> None:
    assert gates("success", operation=operation) == (True, True, False)


def test_a_run_with_problems_passes_no_gate() -> None:
    assert gates("success", complete=True, problems=["The protected size is negative."]) == (False, True, False)


LOG = JobLog(
    product="restic", operation="backup", outcome="success", started_at=NOON - timedelta(hours=1), ended_at=NOON
)


@pytest.mark.parametrize(
    "changes,part",
    [
        ({"protected_bytes": -1}, "protected size is negative"),
        ({"transferred_bytes": -5}, "transferred size is negative"),
        ({"ended_at": NOON - timedelta(hours=2)}, "ended before it started"),
        ({"ended_at": NOON + FUTURE_SKEW + timedelta(seconds=1)}, "end time is in the future"),
        ({"started_at": NOON + timedelta(days=1), "ended_at": None}, "start time is in the future"),
    ],
)
def test_impossible_values_are_named(changes: dict[str, Any], part: str) -> None:
    (problem,) = find_problems(replace(LOG, **changes), received_at=NOON)
    assert part in problem


def test_plausible_values_are_not() -> None:
    ahead = replace(LOG, ended_at=NOON + FUTURE_SKEW, protected_bytes=0, transferred_bytes=None)
    assert find_problems(ahead, received_at=NOON) == ()
    assert find_problems(replace(LOG, started_at=NOON), received_at=NOON) == ()
    assert find_problems(replace(LOG, started_at=None, ended_at=None), received_at=NOON) == ()


def test_a_log_is_judged_by_its_errors() -> None:
    locked = LogError("busy", kind="locked")
    log = replace(LOG, outcome="warning", errors=(locked, locked), errors_total=2, files={"total": 50})
    assert judge_log(log, problems=(), policy=Tolerance(files=2)).good
    assert not judge_log(log, problems=(), policy=Tolerance(files=1)).good
    assert judge_log(log, problems=(), policy=Tolerance(share=Decimal("0.04"))).good
