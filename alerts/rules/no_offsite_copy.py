"""No offsite copy: the backup itself is good, but no good copy lies elsewhere.

A fire or an intruder takes the original and the copy beside it. It is asked only where the policy wants at least two
copies, or a setting says so. Where no job's target is known, it cannot be checked. A backup that itself goes offsite
or into a cloud is its own offsite copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, CannotCheck, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import CopyFacts, SelectionFacts
from alerts.params import check_limits, whole_number, yes_no
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import count_words, moment_words

KIND = "no_offsite_copy"
LABEL = "No offsite copy"
SUBJECT: SubjectKind = "selection"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = True
CAUSE = False

#: A policy that asks for so many copies means one of them elsewhere.
COPIES = 2


@dataclass(frozen=True)
class Params:
    """How old the newest offsite copy may be, and whether one is wanted."""

    hours: int = whole_number(
        48, label="Offsite copy within", unit="hours", at_least=1, at_most=8784,
        help="How old the newest good copy on an offsite or cloud target may be.",
    )  # fmt: skip
    always: bool = yes_no(
        False, label="Without a policy too",
        help="Whether an offsite copy is wanted even where no policy asks for two copies.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: SelectionFacts, params: Params, now: datetime) -> Answer:
    """A finding once the newest good offsite copy is older than the hours set and a newer backup was good."""
    primary = _newest_good(job for job in facts.jobs if job.active and job.role == "primary")
    if not _is_wanted(facts, params) or primary is None:
        return None
    if not _offsite(facts) and any(job.active and not job.target_kind for job in facts.jobs):
        reason = "It is not known where the copies of these jobs go: set a target for each job."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    deadline = _deadline(facts, params)
    copied = _newest_good(_offsite(facts))
    if now < deadline or (copied is not None and primary <= copied):
        return None
    waiting = waiting_for(KIND, facts, deadline=deadline, now=now)
    return waiting or _finding(facts, params, primary=primary, copied=copied)


def check_after(facts: SelectionFacts, params: Params, now: datetime) -> datetime | None:
    """The deadline; a log changes the answer sooner."""
    if not _is_wanted(facts, params):
        return None
    return ask_again_at(facts, deadline=_deadline(facts, params), now=now)


def closing_words(facts: SelectionFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The selection is no longer active."
    if not _is_wanted(facts, params):
        return "No offsite copy is asked for here any more."
    copied = _newest_good(_offsite(facts))
    if copied is None:
        return "No active job of it has made a good backup, so there is nothing to copy."
    return f"The newest good offsite copy ended on {moment_words(copied, facts.zone)}."


def _is_wanted(facts: SelectionFacts, params: Params) -> bool:
    return facts.active and (params.always or (facts.copies or 0) >= COPIES)


def _offsite(facts: SelectionFacts) -> list[CopyFacts]:
    return [job for job in facts.jobs if job.active and job.offsite]


def _newest_good(jobs: Iterable[CopyFacts]) -> datetime | None:
    return max((job.last_good_at for job in jobs if job.last_good_at is not None), default=None)


def _deadline(facts: SelectionFacts, params: Params) -> datetime:
    """Where there never was a copy, the time runs from when its job was set up, else from the selection's own day."""
    offsite = _offsite(facts)
    begun = [job.registered_at for job in offsite if job.registered_at is not None]
    base = _newest_good(offsite) or max(begun, default=facts.registered_at)
    return base + timedelta(hours=params.hours)


def _finding(facts: SelectionFacts, params: Params, *, primary: datetime, copied: datetime | None) -> Finding:
    deadline = _deadline(facts, params)
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, params, primary=primary, copied=copied),
        since=deadline,
        occurrence=deadline.isoformat(),
        deadline=deadline,
        evidence={
            "last_good_backup_at": primary.isoformat(),
            "last_good_offsite_at": copied.isoformat() if copied else None,
            "hours": params.hours,
            "policy_copies": facts.copies,
            "offsite_jobs": [job.job for job in _offsite(facts)],
        },
    )


def _summary(facts: SelectionFacts, params: Params, *, primary: datetime, copied: datetime | None) -> str:
    good = f"The last good backup ended on {moment_words(primary, facts.zone)}, but"
    asked = f"one is expected within {count_words(params.hours, 'hour')}"
    if not _offsite(facts):
        return f"{good} no job copies it to an offsite or cloud target; {asked}."
    if copied is None:
        return f"{good} there never was a good copy on an offsite or cloud target; {asked}."
    return f"{good} the newest good offsite copy is of {moment_words(copied, facts.zone)}; {asked}."
