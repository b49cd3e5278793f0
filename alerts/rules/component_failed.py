"""Component failed: a VSS writer, one database or one mailbox failed while the backup itself came to an end.

Such a run looks green or yellow and restores without the part that counts. A run that failed as a whole is a matter of
"errors": then nothing is said here. Products that name no components cannot be checked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Answer, CannotCheck, ComponentTrouble, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import BadParams, check_limits, whole_number
from alerts.wording import count_words, moment_words

KIND = "component_failed"
LABEL = "Component failed"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False
#: So many are named; the rest is counted.
NAMED = 5


@dataclass(frozen=True)
class Params:
    """How often a component may fail."""

    times: int = whole_number(
        1, label="Failed", unit="runs", at_least=1, at_most=100,
        help="So many runs in a row in which the same component failed make an incident.",
    )  # fmt: skip
    critical_times: int = whole_number(
        3, label="Critical after", unit="runs", at_least=0, at_most=100,
        help="So many runs in a row in which the same component failed make it critical; 0 keeps it a warning.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)

    def check_together(self, chosen: Collection[str]) -> None:
        """Raises BadParams where people chose that it is critical before it is an incident."""
        if {"times", "critical_times"} <= set(chosen) and 0 < self.critical_times < self.times:
            numbers = f"{self.critical_times} comes before the {self.times} that make an incident"
            raise BadParams("critical_times", f"Critical after cannot be: {numbers}.")


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding that names the components that failed in the newest run that tells of them."""
    if not facts.active:
        return None
    if not facts.reports_components:
        reason = f"{facts.job or 'This job'} names no components in its logs."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if facts.failures_in_row:
        reason = "The whole backup failed; its components are looked at again with the next one that comes to an end."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    failed = [one for one in facts.components if one.outcome in ("failure", "missed") and one.times >= params.times]
    return _finding(facts, params, sorted(failed, key=_worst_first)) if failed else None


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    if facts.components:
        return "No component has failed in as many runs in a row as this rule asks for."
    return "In the newest run that names them, all components are good."


def _worst_first(trouble: ComponentTrouble) -> tuple[int, str]:
    return -trouble.times, trouble.name


def _finding(facts: JobFacts, params: Params, failed: Sequence[ComponentTrouble]) -> Finding:
    times = failed[0].times
    since = min(one.since for one in failed)
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="critical" if 0 < params.critical_times <= times else SEVERITY,
        summary=_summary(facts, failed, since=since),
        since=since,
        occurrence=f"{since.isoformat()} {len(failed)} +{sum(one.times for one in failed)}",
        repeats=times,
        evidence={
            "components": [{"name": one.name, "times": one.times, "since": one.since.isoformat()} for one in failed],
            "last_outcome": facts.last_outcome,
        },
        lines=tuple(f"{one.name}: {one.message}" for one in failed[:NAMED] if one.message),
    )


def _summary(facts: JobFacts, failed: Sequence[ComponentTrouble], *, since: datetime) -> str:
    names = ", ".join(one.name for one in failed[:NAMED])
    more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    times = failed[0].times
    runs = f" in {count_words(times, 'run')}" if times > 1 else ""
    ended = f"though the backup itself ended as {facts.last_outcome}" if facts.last_outcome else "though the backup ran"
    return f"{names}{more} failed{runs} since {moment_words(since, facts.zone)}, {ended}."
