"""Snapshot stale: the last good replication, failover or snapshot sync of a job is older than it may be.

Only jobs that ever replicated are looked at: what a job never did is not expected of it. Unread logs and a silent
channel delay the finding as they do for every missed deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import count_words, moment_words

KIND = "snapshot_stale"
LABEL = "Snapshot stale"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = True
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How old the newest replica may be."""

    hours: int = whole_number(
        48, label="Replicated within", unit="hours", at_least=1, at_most=8784,
        help="How old the newest good replication, failover or snapshot sync may be.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding once the newest good replica of a job that replicates is older than the hours set."""
    if not facts.active or not _replicates(facts):
        return None
    deadline = _deadline(facts, params)
    if now < deadline:
        return None
    return waiting_for(KIND, facts, deadline=deadline, now=now) or _finding(facts, params, deadline=deadline)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """The deadline; a log changes the answer sooner."""
    if not facts.active or not _replicates(facts):
        return None
    return ask_again_at(facts, deadline=_deadline(facts, params), now=now)


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    if facts.last_replicate_at is None:
        return "This job does not replicate."
    return f"The newest good replica is of {moment_words(facts.last_replicate_at, facts.zone)}."


def _replicates(facts: JobFacts) -> bool:
    return facts.last_replicate_at is not None or facts.last_replicate_outcome is not None


def _deadline(facts: JobFacts, params: Params) -> datetime:
    return (facts.last_replicate_at or facts.registered_at) + timedelta(hours=params.hours)


def _finding(facts: JobFacts, params: Params, *, deadline: datetime) -> Finding:
    last = facts.last_replicate_at
    good = f"The newest good replica is of {moment_words(last, facts.zone)}" if last else "No replica was ever good"
    failed = "; the newest one failed" if facts.last_replicate_outcome in ("failure", "missed") else ""
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=f"{good}{failed}; one is expected within {count_words(params.hours, 'hour')}.",
        since=deadline,
        occurrence=deadline.isoformat(),
        deadline=deadline,
        evidence={
            "last_replicate_at": last.isoformat() if last else None,
            "last_replicate_outcome": facts.last_replicate_outcome,
            "hours": params.hours,
        },
    )
