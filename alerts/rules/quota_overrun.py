"""Quota overrun: the protected size of a client nears or passes its agreed ceiling.

The figure is the one that is billed: protected size, each selection once. It is checked with every backup that comes
in; severity steps from warning to critical in place, and people are reminded at this rule's own interval. A ceiling
may be reached: only more than it is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, CannotCheck, ClientFacts, Finding, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import moment_words, size_words

KIND = "quota_overrun"
LABEL = "Quota overrun"
SUBJECT: SubjectKind = "client"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """From which share of the quota on, and how often to remind."""

    warn_percent: int = whole_number(
        90, label="Warn at", unit="percent", at_least=1, at_most=100,
        help="Share of the quota from which on there is a warning.",
    )  # fmt: skip
    over_percent: int = whole_number(
        100, label="Over at more than", unit="percent", at_least=100, at_most=1000,
        help="Share of the quota above which it is critical. 100 is the quota itself; more allows an overrun.",
    )  # fmt: skip
    repeat_days: int = whole_number(
        7, label="Remind every", unit="days", at_least=0, at_most=366,
        help="How often people are reminded while it lasts; 0 never.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class _Measured:
    """What is compared, none of it missing."""

    protected: int
    quota: int
    at: datetime

    def is_over(self, params: Params) -> bool:
        return self.protected * 100 > self.quota * params.over_percent

    def is_near(self, params: Params) -> bool:
        return self.protected * 100 >= self.quota * params.warn_percent


def check(facts: ClientFacts, params: Params, now: datetime) -> Answer:
    """A finding from the newest measured size; nothing measured cannot be checked, no quota has nothing to check."""
    if not facts.active or facts.quota_bytes is None:
        return None
    if facts.protected_bytes is None or facts.measured_at is None:
        reason = "No protected size was ever measured for this client."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    measured = _Measured(protected=facts.protected_bytes, quota=facts.quota_bytes, at=facts.measured_at)
    if measured.is_over(params) or measured.is_near(params):
        return _finding(facts, params, measured)
    return None


def check_after(facts: ClientFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further measurement changes this answer."""
    return None


def closing_words(facts: ClientFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The client is no longer active."
    if facts.quota_bytes is None or facts.protected_bytes is None:
        return "No quota is agreed for this client any more."
    sizes = f"{size_words(facts.protected_bytes)} of {size_words(facts.quota_bytes)}"
    return f"The protected size is back at {sizes}, under {params.warn_percent} % of the quota."


def _finding(facts: ClientFacts, params: Params, measured: _Measured) -> Finding:
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="critical" if measured.is_over(params) else SEVERITY,
        summary=_summary(measured, params, zone=facts.zone),
        since=measured.at,
        occurrence=measured.at.isoformat(),
        deadline=measured.at,
        repeat_every=timedelta(days=params.repeat_days),
        evidence={
            "protected_bytes": measured.protected,
            "quota_bytes": measured.quota,
            "measured_at": measured.at.isoformat(),
            "warn_percent": params.warn_percent,
            "over_percent": params.over_percent,
            "selections": _largest_first(facts),
        },
    )


def _summary(measured: _Measured, params: Params, *, zone: str) -> str:
    sizes = f"{size_words(measured.protected)} protected of {size_words(measured.quota)} agreed"
    share = f" ({measured.protected * 100 // measured.quota} %)" if measured.quota else ""
    limit = f"at or above the warning level of {params.warn_percent} %"
    if measured.is_over(params):
        limit = "over the quota" if params.over_percent == 100 else f"over {params.over_percent} % of the quota"
    return f"{sizes}{share}, {limit}; measured on {moment_words(measured.at, zone)}."


def _largest_first(facts: ClientFacts) -> list[dict[str, object]]:
    measured = sorted(facts.selections, key=lambda one: (-(one.protected_bytes or 0), one.selection_id))
    return [
        {"selection_id": one.selection_id, "selection": one.selection, "protected_bytes": one.protected_bytes}
        for one in measured
    ]
