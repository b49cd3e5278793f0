"""Errors: the job failed or was missed, N runs in a row ended with warnings, or too many of the last runs did either.

A good run clears the first two; the share of the last runs clears as it falls, and a switch asks only for errors that
repeat. Unknown, skipped and cancelled runs neither count nor clear. The finding's deadline is the moment at which the
job becomes overdue: a failure may be held back from people only as long as a good run can still come in time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from alerts.facts import Answer, Finding, JobFacts, RunPoint, Severity, SubjectKind, Tells
from alerts.params import BadParams, check_limits, whole_number, yes_no
from alerts.wording import count_words, moment_words

KIND = "errors"
LABEL = "Errors"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How many failures and warnings make an incident."""

    failures: int = whole_number(
        1, label="Failures", unit="runs", at_least=1, at_most=100,
        help="So many failed or missed runs since the last good one make an incident.",
    )  # fmt: skip
    critical_failures: int = whole_number(
        3, label="Critical failures", unit="runs", at_least=0, at_most=100,
        help="So many failed or missed runs since the last good one make it critical; 0 keeps it a warning.",
    )  # fmt: skip
    warnings: int = whole_number(
        3, label="Warnings in a row", unit="runs", at_least=0, at_most=100,
        help="So many runs with warnings that the policy does not tolerate make an incident; 0 ignores warnings.",
    )  # fmt: skip
    share_percent: int = whole_number(
        0, label="Share of the last runs", unit="percent", at_least=0, at_most=100,
        help="So many of the last runs that failed or ended with warnings make an incident; 0 looks at no share.",
    )  # fmt: skip
    last_runs: int = whole_number(
        10, label="Last runs", unit="runs", at_least=2, at_most=60,
        help="Of how many runs the share is taken; nothing is said of it before there are so many.",
    )  # fmt: skip
    only_repeating: bool = yes_no(
        False, label="Only the same error again",
        help="Whether failures and warnings count only where the same error ends two runs in a row, or as many as set.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)

    def check_together(self, chosen: Collection[str]) -> None:
        """Raises BadParams where people chose that it is critical before it is an incident."""
        if {"failures", "critical_failures"} <= set(chosen) and 0 < self.critical_failures < self.failures:
            numbers = f"{self.critical_failures} comes before the {self.failures} that make an incident"
            raise BadParams("critical_failures", f"Critical failures cannot be: {numbers}.")


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding from the failures or warnings since the last good run, or from the share of the last runs."""
    if not facts.active:
        return None
    if facts.failures_in_row >= params.failures and _repeats(facts, params, least=params.failures):
        return _finding(facts, summary=_failure_summary(facts), since=_failing_since(facts), params=params)
    if params.warnings and facts.warnings_in_row >= params.warnings and _repeats(facts, params, least=params.warnings):
        since = facts.last_good_at or facts.registered_at
        return _finding(facts, summary=_warning_summary(facts, since=since), since=since, params=params)
    return _check_share(facts, params) if params.share_percent else None


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    if facts.last_good_at is not None and not facts.failures_in_row and not facts.warnings_in_row:
        return f"A good run ended on {moment_words(facts.last_good_at, facts.zone)}."
    return "There are fewer failures and warnings than this rule asks for."


def _failing_since(facts: JobFacts) -> datetime:
    return facts.first_failure_at or facts.last_failure_at or facts.registered_at


def _finding(facts: JobFacts, *, summary: str, since: datetime, params: Params) -> Finding:
    critical = 0 < params.critical_failures <= facts.failures_in_row
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="critical" if critical else SEVERITY,
        summary=summary,
        since=since,
        occurrence=f"{since.isoformat()} +{facts.failures_in_row} +{facts.warnings_in_row}",
        repeats=facts.failures_in_row + facts.warnings_in_row,
        deadline=facts.overdue_at,
        evidence={
            "last_outcome": facts.last_outcome,
            "failures_in_row": facts.failures_in_row,
            "warnings_in_row": facts.warnings_in_row,
            "first_failure_at": facts.first_failure_at.isoformat() if facts.first_failure_at else None,
            "last_failure_at": facts.last_failure_at.isoformat() if facts.last_failure_at else None,
            "last_good_at": facts.last_good_at.isoformat() if facts.last_good_at else None,
        },
        lines=facts.last_errors,
    )


def _failure_summary(facts: JobFacts) -> str:
    since = moment_words(_failing_since(facts), facts.zone)
    word = "was missed" if facts.last_outcome == "missed" else "failed"
    if facts.failures_in_row == 1:
        return f"The backup of {since} {word}; {_last_good_words(facts)}."
    words = f"{facts.failures_in_row} backups failed or were missed since {since}; {_last_good_words(facts)}."
    return words + _same_error_words(facts)


def _warning_summary(facts: JobFacts, *, since: datetime) -> str:
    runs = count_words(facts.warnings_in_row, "run")
    words = f"{runs} ended with warnings since {moment_words(since, facts.zone)}; {_last_good_words(facts)}."
    return words + _same_error_words(facts)


def _last_good_words(facts: JobFacts) -> str:
    if facts.last_good_at is None:
        return "no backup was ever good"
    return f"the last good one ended on {moment_words(facts.last_good_at, facts.zone)}"


# --- the same error again, and the share of the last runs


def _repeats(facts: JobFacts, params: Params, *, least: int) -> bool:
    """Whether the newest error has ended so many runs in a row, at least two, where only that is asked for."""
    return not params.only_repeating or len(_same_error(facts)) >= max(2, least)


def _same_error(facts: JobFacts) -> Sequence[RunPoint]:
    """The newest bad runs since the last good one that ended with the same error, newest first."""
    bad = [point for point in takewhile(lambda point: not point.good, reversed(facts.history)) if _is_bad(point)]
    return list(takewhile(lambda point: point.error == bad[0].error, bad))


def _same_error_words(facts: JobFacts) -> str:
    same = _same_error(facts)
    if len(same) < 2 or not same[0].error:
        return ""
    return f" The last {len(same)} of them ended with the same error: {same[0].error.rstrip('.')}."


def _is_bad(point: RunPoint) -> bool:
    return not point.good and point.outcome in ("failure", "missed", "warning")


def _check_share(facts: JobFacts, params: Params) -> Answer:
    counted = [point for point in facts.history if point.good or _is_bad(point)][-params.last_runs :]
    bad = [point for point in counted if _is_bad(point)]
    if len(counted) < params.last_runs or len(bad) * 100 < len(counted) * params.share_percent:
        return None
    if params.only_repeating and len({point.error for point in bad}) == len(bad):
        return None
    since = bad[0].ended_at
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=(
            f"{len(bad)} of the last {len(counted)} backups failed or ended with warnings since "
            f"{moment_words(since, facts.zone)}.{_most_frequent_words(bad)}"
        ),
        since=since,
        occurrence=f"share {bad[-1].ended_at.isoformat()}",
        evidence={"bad_runs": len(bad), "last_runs": len(counted), "share_percent": params.share_percent},
        lines=facts.last_errors,
    )


def _most_frequent_words(bad: Sequence[RunPoint]) -> str:
    errors = [point.error for point in bad if point.error]
    if not errors:
        return ""
    often = max(sorted(set(errors)), key=errors.count)
    times = errors.count(often)
    return f" {times} of them ended with the same error: {often.rstrip('.')}." if times > 1 else ""
