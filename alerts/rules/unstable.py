"""Unstable: the job's backups come and go: again and again good, then not good, within a few weeks.

Judged by the history of finished runs: a change is a run that is good after one that is not, or the other way round.
Skipped, cancelled and unknown runs are neither. It stays open until the job has kept calm for as many days as the
changes are looked for in, so that an unstable job is one incident and not one for each turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from alerts.clocks import NOT_ACTIVE
from alerts.facts import Answer, Finding, JobFacts, RunPoint, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, moment_words

KIND = "unstable"
LABEL = "Unstable"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "info"
HOLD_MINUTES: int | None = None
TELLS: Tells = "report"
SYMPTOM = False
CAUSE = False

#: What a run can end as to be good or not good; the rest is proof of life.
_TELLING = frozenset({"success", "warning", "failure", "missed"})


@dataclass(frozen=True)
class Params:
    """How many changes in how many days."""

    changes: int = whole_number(
        3, label="Changes", unit="changes", at_least=2, at_most=50,
        help="So many changes between good and not good make an incident; one bad run between good ones is two.",
    )  # fmt: skip
    days: int = whole_number(
        14, label="Within", unit="days", at_least=1, at_most=366,
        help="Within how many days the changes must come, and how long a calm closes the incident.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding from so many changes within the days on, until the days are over after the last change."""
    spell = _spell(facts, params)
    if spell is None or now >= _calm_at(spell, params):
        return None
    return _finding(facts, params, spell)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """The moment at which the job has kept calm for long enough."""
    spell = _spell(facts, params)
    if spell is None or now >= _calm_at(spell, params):
        return None
    return _calm_at(spell, params)


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return NOT_ACTIVE
    changes = changes_of(facts.history)
    if not changes:
        return f"The last {count_words(len(facts.history), 'run')} ended alike."
    return f"It has kept calm: the last change between good and not good was on {_words(facts, changes[-1].ended_at)}."


def changes_of(history: Sequence[RunPoint]) -> list[RunPoint]:
    """The runs that turned from good to not good or back, oldest first."""
    telling = [point for point in history if point.outcome in _TELLING]
    return [after for before, after in pairwise(telling) if before.good != after.good]


def _spell(facts: JobFacts, params: Params) -> list[RunPoint] | None:
    """The newest spell of changes (no calm of ``days`` between two), if it ever had so many within ``days``."""
    changes = changes_of(facts.history) if facts.active else []
    if len(changes) < params.changes:
        return None
    span, begin = timedelta(days=params.days), 0
    for place, (before, after) in enumerate(pairwise(changes), start=1):
        if after.ended_at - before.ended_at >= span:
            begin = place
    spell = changes[begin:]
    firsts = zip(spell, spell[params.changes - 1 :], strict=False)
    return spell if any(last.ended_at - first.ended_at < span for first, last in firsts) else None


def _calm_at(spell: Sequence[RunPoint], params: Params) -> datetime:
    return spell[-1].ended_at + timedelta(days=params.days)


def _finding(facts: JobFacts, params: Params, spell: Sequence[RunPoint]) -> Finding:
    last = spell[-1]
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, params, spell),
        since=spell[0].ended_at,
        occurrence=last.ended_at.isoformat(),
        repeats=len(spell),
        evidence={
            "changes": [{"at": point.ended_at.isoformat(), "good": point.good} for point in spell],
            "days": params.days,
            "calm_at": _calm_at(spell, params).isoformat(),
        },
        lines=tuple(dict.fromkeys(point.error for point in reversed(spell) if point.error)),
    )


def _summary(facts: JobFacts, params: Params, spell: Sequence[RunPoint]) -> str:
    turns = count_words(len(spell), "change")
    newest = f"on {_words(facts, spell[-1].ended_at)} to {'good' if spell[-1].good else 'not good'}"
    return (
        f"The backups come and go: {turns} between good and not good since {_words(facts, spell[0].ended_at)}, "
        f"the last {newest}; it closes after {count_words(params.days, 'day')} of calm."
    )


def _words(facts: JobFacts, moment: datetime) -> str:
    return moment_words(moment, facts.zone)
