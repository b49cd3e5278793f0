"""Restore untested: for N days nothing of a selection was restored with success.

A backup that was never read back is a hope. A person's own restore test counts as a log's does; a verification
counts only where a setting says so. The interval of the policy wins over the parameter. A signed waiver stops the
clock until it ends. A selection that no job protects has nothing to test.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import SelectionFacts
from alerts.params import check_limits, whole_number, yes_no
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import count_words, moment_words

KIND = "restore_untested"
LABEL = "Restore untested"
SUBJECT: SubjectKind = "selection"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "report"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How often something must be restored, and what counts as that."""

    days: int = whole_number(
        90, label="Restore within", unit="days", at_least=1, at_most=3660,
        help="A good restore must be no older than this; the test interval of a policy wins.",
    )  # fmt: skip
    count_verifications: bool = yes_no(
        False, label="A verification counts", help="Whether a good verification by the product stands for a restore."
    )

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: SelectionFacts, params: Params, now: datetime) -> Answer:
    """A finding once the newest good restore, or else the registration, is older than the interval."""
    if not _is_due(facts, now):
        return None
    deadline = _deadline(facts, params)
    if now < deadline:
        return None
    return waiting_for(KIND, facts, deadline=deadline, now=now) or _finding(facts, params, deadline=deadline)


def check_after(facts: SelectionFacts, params: Params, now: datetime) -> datetime | None:
    """The end of the interval or of the waiver; a log or a test changes the answer sooner."""
    if not facts.active or not _is_protected(facts):
        return None
    deadline = _deadline(facts, params)
    if facts.waived_until is not None and facts.waived_until > now:
        return max(deadline, facts.waived_until)
    return ask_again_at(facts, deadline=deadline, now=now)


def closing_words(facts: SelectionFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active or not _is_protected(facts):
        return "No active job protects this selection any more."
    if facts.waived_until is not None and facts.waived_until > now:
        return f"Restore tests are waived here {_until_words(facts.waived_until, now, facts.zone)}."
    proof = _newest_proof(facts, params)
    if proof is None:
        return "It is registered for a shorter time than the interval of tests that holds now."
    return f"The newest good test was on {moment_words(proof, facts.zone)}; the next is due within the interval."


def _is_due(facts: SelectionFacts, now: datetime) -> bool:
    return facts.active and _is_protected(facts) and (facts.waived_until is None or facts.waived_until <= now)


def _is_protected(facts: SelectionFacts) -> bool:
    return any(job.active for job in facts.jobs)


def _newest_proof(facts: SelectionFacts, params: Params) -> datetime | None:
    told = [facts.restore.good_at, facts.verify.good_at if params.count_verifications else None]
    return max((moment for moment in told if moment is not None), default=None)


def _days(facts: SelectionFacts, params: Params) -> int:
    return params.days if facts.test_interval_days is None else facts.test_interval_days


def _deadline(facts: SelectionFacts, params: Params) -> datetime:
    return (_newest_proof(facts, params) or facts.registered_at) + timedelta(days=_days(facts, params))


def _finding(facts: SelectionFacts, params: Params, *, deadline: datetime) -> Finding:
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, params),
        since=deadline,
        occurrence=deadline.isoformat(),
        deadline=deadline,
        evidence={
            "last_good_restore_at": facts.restore.good_at.isoformat() if facts.restore.good_at else None,
            "last_good_verification_at": facts.verify.good_at.isoformat() if facts.verify.good_at else None,
            "registered_at": facts.registered_at.isoformat(),
            "days": _days(facts, params),
            "interval_from": "rule" if facts.test_interval_days is None else "policy",
            "verifications_count": params.count_verifications,
            "waiver_ended_at": facts.waived_until.isoformat() if facts.waived_until else None,
        },
    )


def _summary(facts: SelectionFacts, params: Params) -> str:
    proof = _newest_proof(facts, params)
    word = "restored or verified" if params.count_verifications else "restored"
    last = f"Nothing was {word} here since {moment_words(facts.registered_at, facts.zone)}, when it was registered"
    if proof is not None:
        last = f"The newest good test of what is {word} was on {moment_words(proof, facts.zone)}"
    source = "the policy" if facts.test_interval_days is not None else "this rule"
    words = f"{last}; {source} asks for one every {count_words(_days(facts, params), 'day')}."
    if facts.waived_until is not None:
        words += f" The waiver of tests ended on {moment_words(facts.waived_until, facts.zone)}."
    return words


def _until_words(until: datetime, now: datetime, zone: str) -> str:
    endless = until - now > timedelta(days=36600)
    return "without an end" if endless else f"until {moment_words(until, zone)}"
