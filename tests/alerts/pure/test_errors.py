"""Errors: failures and warnings in a row, the share of the last runs, and the same error again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from alerts.facts import Finding, Outcome, RunPoint
from alerts.rules import errors
from tests.alerts.pure.examples import NOON, job_facts

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def errors_of(params: errors.Params | None = None, **facts: Any) -> Any:
    return errors.check(job_facts(**facts), params or errors.Params(), NOON)


FAILED: dict[str, Any] = {"last_outcome": "failure", "failures_in_row": 1, "first_failure_at": NOON,
                          "last_errors": ("disk full",)}  # fmt: skip


def test_one_failure_is_found_with_its_lines() -> None:
    found = errors_of(**FAILED, last_good_at=NOON - DAY, overdue_at=NOON + 3 * HOUR)
    assert found.summary == (
        "The backup of Wed 14 Jan 2026 13:00 CET failed; the last good one ended on Tue 13 Jan 2026 13:00 CET."
    )
    assert (found.severity, found.since, found.lines) == ("warning", NOON, ("disk full",))
    assert (found.deadline, found.repeats) == (NOON + 3 * HOUR, 1)


def test_each_further_failure_is_another_occurrence_and_the_third_is_critical() -> None:
    found = [errors_of(**{**FAILED, "failures_in_row": count}) for count in (1, 2, 3)]
    assert [one.severity for one in found] == ["warning", "warning", "critical"]
    assert len({one.occurrence for one in found}) == 3
    assert [one.repeats for one in found] == [1, 2, 3]
    assert "no backup was ever good" in found[2].summary


def test_a_missed_run_counts_as_a_failure() -> None:
    assert "was missed" in errors_of(**{**FAILED, "last_outcome": "missed"}).summary


def test_warnings_are_found_at_the_number_set() -> None:
    assert errors_of(last_outcome="warning", warnings_in_row=2) is None
    found = errors_of(last_outcome="warning", warnings_in_row=3, last_good_at=NOON - DAY)
    assert found.summary.startswith("3 runs ended with warnings since Tue 13 Jan 2026 13:00 CET;")
    assert found.since == NOON - DAY
    assert errors_of(errors.Params(warnings=0), last_outcome="warning", warnings_in_row=99) is None


def test_the_number_of_failures_can_be_raised() -> None:
    assert errors_of(errors.Params(failures=2), **FAILED) is None
    assert errors_of(errors.Params(failures=2), **{**FAILED, "failures_in_row": 2}) is not None


def test_a_good_run_clears_it_and_says_so() -> None:
    facts = job_facts(last_outcome="success", last_good_at=NOON)
    assert errors.check(facts, errors.Params(), NOON) is None
    assert errors.closing_words(facts, errors.Params(), NOON) == "A good run ended on Wed 14 Jan 2026 13:00 CET."


def test_a_job_that_is_not_active_has_no_errors() -> None:
    assert errors_of(**FAILED, active=False) is None


# --- the same error again


def nights(*runs: tuple[Outcome, str]) -> tuple[RunPoint, ...]:
    """One run a night up to noon, oldest first; (outcome, error), a success is good."""
    return tuple(
        RunPoint(
            ended_at=NOON - (len(runs) - 1 - number) * DAY, outcome=outcome, good=outcome == "success", error=error
        )
        for number, (outcome, error) in enumerate(runs)
    )


GOOD: tuple[Outcome, str] = ("success", "")


def failing(*said: str, warning: bool = False) -> dict[str, Any]:
    """A job whose last runs, after a good one, all failed (or warned) saying this."""
    outcome: Outcome = "warning" if warning else "failure"
    row = "warnings_in_row" if warning else "failures_in_row"
    since = NOON - (len(said) - 1) * DAY
    return {
        "history": nights(GOOD, *((outcome, error) for error in said)), "last_outcome": outcome, row: len(said),
        "first_failure_at": None if warning else since, "last_good_at": since - DAY,
    }  # fmt: skip


def test_an_error_that_repeats_is_named_once() -> None:
    summary = errors_of(**failing("network lost", "disk full", "disk full")).summary
    assert summary.endswith(" The last 2 of them ended with the same error: disk full.")
    assert summary.count("disk full") == 1
    assert "same error" not in errors_of(**failing("disk full", "network lost")).summary
    assert "same error" not in errors_of(**failing("", "")).summary, "nothing was told"
    warned = errors_of(**failing("file busy", "file busy", "file busy", warning=True)).summary
    assert warned.endswith(" The last 3 of them ended with the same error: file busy.")


@pytest.mark.parametrize(
    "said,found",
    [
        (["disk full"], False),
        (["disk full", "disk full"], True),
        (["disk full", "network lost"], False),
        (["network lost", "disk full", "disk full"], True),
        (["", ""], True),  # what cannot be told apart is not kept quiet
    ],
)
def test_only_the_same_error_again_waits_for_the_second(said: Sequence[str], found: bool) -> None:
    assert isinstance(errors_of(errors.Params(only_repeating=True), **failing(*said)), Finding) is found
    assert isinstance(errors_of(**failing(*said)), Finding)


def test_an_error_from_before_the_last_good_run_does_not_count() -> None:
    facts = {**failing("disk full"), "history": nights(("failure", "disk full"), GOOD, ("failure", "disk full"))}
    assert errors_of(errors.Params(only_repeating=True), **facts) is None


def test_the_same_warning_must_come_as_often_as_set() -> None:
    params = errors.Params(warnings=3, only_repeating=True)
    assert errors_of(params, **failing("file busy", "disk full", "file busy", warning=True)) is None
    assert errors_of(params, **failing("file busy", "file busy", "file busy", warning=True)) is not None


# --- the share of the last runs

BAD: tuple[Outcome, str] = ("failure", "disk full")


def share(runs: Sequence[tuple[Outcome, str]], **params: Any) -> Any:
    facts = {"history": nights(*runs), "last_outcome": "success", "last_good_at": NOON}
    return errors_of(errors.Params(**{"share_percent": 40, "last_runs": 5, **params}), **facts)


def test_a_job_that_fails_every_other_night_is_not_well() -> None:
    found = share([GOOD, BAD, GOOD, BAD, GOOD])
    assert found.summary == (
        "2 of the last 5 backups failed or ended with warnings since Sun 11 Jan 2026 13:00 CET. "
        "2 of them ended with the same error: disk full."
    )
    assert (found.since, found.severity) == (NOON - 3 * DAY, "warning")
    assert share([GOOD, BAD, GOOD, BAD, GOOD], share_percent=0) is None, "off by default"
    assert errors.Params().share_percent == 0


def test_the_share_begins_at_the_number_set_and_needs_all_its_runs() -> None:
    assert share([GOOD, BAD, GOOD, GOOD, GOOD]) is None
    assert share([BAD, GOOD, BAD, GOOD]) is None, "only 4 of 5 runs are known"
    assert share([BAD, BAD, BAD, GOOD, GOOD, GOOD, GOOD, GOOD]) is None, "older runs do not count"


def test_runs_that_were_skipped_or_cancelled_are_not_counted() -> None:
    others: list[tuple[Outcome, str]] = [("skipped", ""), ("cancelled", ""), ("unknown", ""), ("skipped", "")]
    assert share([GOOD, BAD, *others, GOOD, BAD, GOOD]) is not None


def test_the_share_counts_only_repeating_errors_where_that_is_asked_for() -> None:
    different: list[tuple[Outcome, str]] = [GOOD, ("failure", "disk full"), GOOD, ("failure", "network lost"), GOOD]
    assert share(different) is not None
    assert share(different, only_repeating=True) is None
    assert share([GOOD, BAD, GOOD, BAD, GOOD], only_repeating=True) is not None


def test_a_further_bad_run_is_another_occurrence_and_a_good_one_is_not() -> None:
    before, after = share([BAD, BAD, GOOD, GOOD, GOOD]), share([BAD, BAD, GOOD, GOOD, BAD])
    assert before.occurrence != after.occurrence
    facts = {"history": nights(GOOD, BAD, BAD, GOOD, GOOD), "last_outcome": "success"}
    first = errors_of(errors.Params(share_percent=40, last_runs=5), **facts)
    facts["history"] = (*facts["history"], RunPoint(ended_at=NOON + DAY, outcome="success", good=True))
    assert errors_of(errors.Params(share_percent=40, last_runs=5), **facts).occurrence == first.occurrence
