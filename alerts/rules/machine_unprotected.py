"""Machine unprotected: a machine is expected to be protected, and no active job covers it.

The time runs from when it was registered, or from the last log of a job that covered it. A signed waiver stops it
until it ends; one that has ended counts as if there were none. A machine of which nobody said what is expected is
left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import MachineFacts
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, moment_words

KIND = "machine_unprotected"
LABEL = "Machine unprotected"
SUBJECT: SubjectKind = "machine"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False

#: A waiver that ends later than this has no end at all.
ENDLESS = timedelta(days=36600)


@dataclass(frozen=True)
class Params:
    """How long a machine may stand without a job."""

    days: int = whole_number(
        2, label="Covered within", unit="days", at_least=0, at_most=366,
        help="So long a machine that is expected to be protected may be without an active job.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: MachineFacts, params: Params, now: datetime) -> Answer:
    """A finding once no active job has covered the machine for the days set."""
    deadline = _deadline(facts, params, now)
    return None if deadline is None or now < deadline else _finding(facts, params, deadline=deadline)


def check_after(facts: MachineFacts, params: Params, now: datetime) -> datetime | None:
    """The end of the days, or of the waiver."""
    deadline = _deadline(facts, params, now)
    if deadline is not None:
        return deadline if now < deadline else None
    waived = _is_waived(facts, now) and facts.active and not facts.jobs and facts.expectation != "unknown"
    return facts.waived_until if waived else None


def closing_words(facts: MachineFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The machine is no longer active."
    if facts.jobs:
        return f"{count_words(facts.jobs, 'active job')} cover{'s' if facts.jobs == 1 else ''} it now."
    if facts.waived_until is not None and facts.waived_until > now:
        if facts.waived_until - now > ENDLESS:
            return "It is waived without an end."
        return f"It is waived until {moment_words(facts.waived_until, facts.zone)}."
    if facts.expectation == "unknown":
        return "Nobody expects it to be protected any more."
    return "It is without a job for a shorter time than this rule allows."


def _is_waived(facts: MachineFacts, now: datetime) -> bool:
    return facts.waived_until is not None and facts.waived_until > now


def _deadline(facts: MachineFacts, params: Params, now: datetime) -> datetime | None:
    """From when on it is flagged; None where there is nothing to flag."""
    if not facts.active or facts.jobs or facts.expectation == "unknown" or _is_waived(facts, now):
        return None
    uncovered = _uncovered_since(facts)
    if uncovered is None:
        return None
    deadline = uncovered + timedelta(days=params.days)
    return deadline if facts.waived_until is None else max(deadline, facts.waived_until)


def _uncovered_since(facts: MachineFacts) -> datetime | None:
    told = [facts.registered_at, facts.last_covered_at]
    return max((moment for moment in told if moment is not None), default=None)


def _finding(facts: MachineFacts, params: Params, *, deadline: datetime) -> Finding:
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, params),
        since=deadline,
        occurrence=deadline.isoformat(),
        deadline=deadline,
        evidence={
            "machine": facts.machine,
            "machine_class": facts.machine_class,
            "expectation": facts.expectation,
            "registered_at": facts.registered_at.isoformat() if facts.registered_at else None,
            "last_covered_at": facts.last_covered_at.isoformat() if facts.last_covered_at else None,
            "waiver_ended_at": facts.waived_until.isoformat() if facts.waived_until else None,
            "days": params.days,
        },
    )


def _summary(facts: MachineFacts, params: Params) -> str:
    name = facts.machine or "This machine"
    never = "no active job has covered it since it was registered"
    covered = "the last log of a job that covered it came in"
    since = facts.last_covered_at
    what = f"{covered} on {moment_words(since, facts.zone)}" if since is not None else never
    if since is None and facts.registered_at is not None:
        what = f"{never} on {moment_words(facts.registered_at, facts.zone)}"
    words = f"{name} is expected to be protected, but {what}; {count_words(params.days, 'day')} are allowed."
    if facts.waived_until is not None:
        words += f" Its waiver ended on {moment_words(facts.waived_until, facts.zone)}."
    return words
