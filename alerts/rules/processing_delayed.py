"""Processing delayed: logs of a tenant have waited unread for 15 minutes.

Until they are read, screens may show less than is known, and jobs may look overdue that are not. This is a fault of the
service and not of a client, and so an incident of the tenant. It closes when the queue moves again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import PROCESSING_PATIENCE, Answer, Finding, Severity, SubjectKind, Tells, TenantFacts
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, moment_words

KIND = "processing_delayed"
LABEL = "Processing delayed"
SUBJECT: SubjectKind = "tenant"
ENABLED = True
SEVERITY: Severity = "critical"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How long a log may wait."""

    minutes: int = whole_number(
        int(PROCESSING_PATIENCE.total_seconds()) // 60, label="Waiting for", unit="minutes", at_least=5, at_most=1440,
        help="How long the oldest log may wait to be read.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: TenantFacts, params: Params, now: datetime) -> Answer:
    """A finding once the oldest waiting log has waited for the minutes set."""
    if not facts.active or facts.awaiting_since is None or now < _deadline(facts.awaiting_since, params):
        return None
    since = moment_words(facts.awaiting_since, facts.zone)
    logs = count_words(max(facts.waiting, 1), "log")
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=f"{logs} waiting unread since {since}; each is expected to be read within {params.minutes} minutes.",
        since=facts.awaiting_since,
        occurrence=facts.awaiting_since.isoformat(),
        deadline=_deadline(facts.awaiting_since, params),
        evidence={"awaiting_since": facts.awaiting_since.isoformat(), "waiting": facts.waiting},
    )


def check_after(facts: TenantFacts, params: Params, now: datetime) -> datetime | None:
    """When the oldest waiting log will have waited too long."""
    if not facts.active or facts.awaiting_since is None:
        return None
    deadline = _deadline(facts.awaiting_since, params)
    return deadline if now < deadline else None


def closing_words(facts: TenantFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    return "Logs are read in time again."


def _deadline(awaiting_since: datetime, params: Params) -> datetime:
    return awaiting_since + timedelta(minutes=params.minutes)
