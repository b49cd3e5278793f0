"""Restore slow: the newest good restore of a selection took longer than was agreed.

The agreed time is a setting, 0 where none is agreed. A product that does not tell how long its restores take cannot
be checked; a selection of which nothing was ever restored is the matter of "restore untested".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, CannotCheck, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import SelectionFacts
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, duration_words, moment_words, size_words

KIND = "restore_slow"
LABEL = "Restore slow"
SUBJECT: SubjectKind = "selection"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How long a restore may take."""

    minutes: int = whole_number(
        0, label="Agreed time", unit="minutes", at_least=0, at_most=43200,
        help="How long a restore may take at most, as agreed with the client; 0: nothing is agreed.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: SelectionFacts, params: Params, now: datetime) -> Answer:
    """A finding if the newest good restore took longer than the minutes set."""
    if not facts.active or not params.minutes or facts.restore.good_at is None:
        return None
    if facts.restore.seconds is None:
        reason = "The newest restore does not tell how long it took."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if facts.restore.seconds <= params.minutes * 60:
        return None
    return _finding(facts, params, at=facts.restore.good_at, seconds=facts.restore.seconds)


def check_after(facts: SelectionFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further restore changes this answer."""
    return None


def closing_words(facts: SelectionFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The selection is no longer active."
    if not params.minutes:
        return "No time is agreed for restores here any more."
    if facts.restore.good_at is None or facts.restore.seconds is None:
        return "No good restore is known here any more."
    took = duration_words(timedelta(seconds=facts.restore.seconds))
    at = moment_words(facts.restore.good_at, facts.zone)
    return f"The restore of {at} took {took}, within the agreed {count_words(params.minutes, 'minute')}."


def _finding(facts: SelectionFacts, params: Params, *, at: datetime, seconds: int) -> Finding:
    size = facts.restore.restored_bytes
    what = f"The restore of {moment_words(at, facts.zone)}"
    if size is not None:
        what += f" of {size_words(size)}"
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=(
            f"{what} took {duration_words(timedelta(seconds=seconds))}; "
            f"at most {duration_words(timedelta(minutes=params.minutes))} are agreed."
        ),
        since=at,
        occurrence=at.isoformat(),
        evidence={
            "restored_at": at.isoformat(),
            "seconds": seconds,
            "agreed_minutes": params.minutes,
            "restored_bytes": size,
            "job": facts.restore.job,
        },
    )
