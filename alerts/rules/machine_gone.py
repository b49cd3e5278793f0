"""Machine gone: the product no longer lists a job, a device or an account that it listed before.

Found when the source drops it, confirmed by a person: either it has left, and its job is retired and keeps its
bills, or it is a mistake. Until then it stays. A job that is listed or heard again proposes to clear it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import moment_words

KIND = "machine_gone"
LABEL = "Machine gone"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How soon a job that is no longer listed is flagged."""

    hours: int = whole_number(
        0, label="Flag after", unit="hours", at_least=0, at_most=720,
        help="For how long a job may be missing from its product's list; 0 flags it at once.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding while the product no longer lists the job."""
    if not facts.active or facts.gone_at is None or now < facts.gone_at + timedelta(hours=params.hours):
        return None
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, gone_at=facts.gone_at),
        since=facts.gone_at,
        occurrence=facts.gone_at.isoformat(),
        deadline=facts.gone_at + timedelta(hours=params.hours),
        sticky=True,
        evidence={
            "gone_at": facts.gone_at.isoformat(),
            "because": facts.gone_because,
            "last_good_at": facts.last_good_at.isoformat() if facts.last_good_at else None,
            "last_run_at": facts.last_run_at.isoformat() if facts.last_run_at else None,
        },
    )


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """When a job that is missing has been so for long enough."""
    if not facts.active or facts.gone_at is None:
        return None
    deadline = facts.gone_at + timedelta(hours=params.hours)
    return deadline if now < deadline else None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule may be closed."""
    if not facts.active:
        return "The job is no longer active."
    if facts.gone_at is None:
        return "The product lists it again, or a log of it has come in since."
    return "It is missing for a shorter time than this rule allows."


def _summary(facts: JobFacts, *, gone_at: datetime) -> str:
    because = f" ({facts.gone_because.rstrip('.')})" if facts.gone_because else ""
    since = moment_words(gone_at, facts.zone)
    return (
        f"{facts.job or 'This job'} is no longer listed by its product since {since}{because}. "
        "If it has left, confirm it on the job's page: the job is retired and its bills stay. "
        "If it is a mistake, say there that it is still there."
    )
