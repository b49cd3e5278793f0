"""Chain too long: a restore needs more copies, one upon the other, than it should.

Each further copy of a chain makes a restore slower, and one bad copy takes all after it along. It reads what the
product tells of the newest copy; products whose copies each stand alone, or that do not tell, cannot be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Answer, CannotCheck, Finding, JobFacts, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import moment_words

KIND = "chain_too_long"
LABEL = "Chain too long"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "report"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How long a chain may be."""

    max_length: int = whole_number(
        100, label="At most", unit="copies", at_least=1, at_most=10_000,
        help="So many copies may be needed for a restore of the newest one, the full copy included.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding while the newest copy rests on more than the number set."""
    if not facts.active:
        return None
    if facts.chain_length is None:
        reason = f"{facts.job or 'This job'} does not tell how many copies a restore needs."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if facts.chain_length <= params.max_length:
        return None
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, facts.chain_length, params),
        since=facts.last_good_at or facts.last_run_at or facts.registered_at,
        since_first_seen=True,
        occurrence=facts.last_full_at.isoformat() if facts.last_full_at else "too long",
        evidence={
            "chain_length": facts.chain_length,
            "max_length": params.max_length,
            "last_full_at": facts.last_full_at.isoformat() if facts.last_full_at else None,
        },
    )


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    if facts.chain_length is None:
        return "It is no longer told how many copies a restore needs."
    return f"A restore of the newest copy needs {_copies(facts.chain_length)}, at most {params.max_length} are allowed."


def _summary(facts: JobFacts, length: int, params: Params) -> str:
    full = (
        f" The last full copy was made on {moment_words(facts.last_full_at, facts.zone)}." if facts.last_full_at else ""
    )
    return f"A restore of the newest copy needs {_copies(length)}, more than the {params.max_length:,} allowed.{full}"


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else f"{number:,} copies"
