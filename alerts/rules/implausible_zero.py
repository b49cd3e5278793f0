"""Implausible zero: the newest good run selected nothing, or took no time, though earlier ones say otherwise.

It speaks after one such run, where "no data sent" counts days: a share that is not mounted leaves an empty folder, and
the backup of it succeeds. Zeros in a row are one happening that repeats; they are compared with what came before
them. A size of zero is sticky: only a person closes it, and nothing is the usual size from there on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.clocks import NOT_ACTIVE
from alerts.facts import Answer, CannotCheck, Finding, JobFacts, RunPoint, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, duration_words, moment_words, size_words
from alerts.zeros import Zeros, zeros_at_end

KIND = "implausible_zero"
LABEL = "Implausible zero"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """How much history it takes."""

    samples: int = whole_number(
        3, label="Learn from", unit="runs", at_least=1, at_most=28,
        help="So many good runs before the first zero must be known, and most of them must have had data.",
    )  # fmt: skip
    usual_minutes: int = whole_number(
        5, label="No time at all", unit="minutes", at_least=0, at_most=1440,
        help="A run of no seconds is flagged where runs usually take this long; 0 looks at no duration.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding from the newest good run against those before it; figures that nobody told cannot be checked."""
    if not facts.active:
        return None
    good = [point for point in facts.history if point.good]
    if not any(_size(point) is not None or _seconds(point) is not None for point in good):
        reason = "No good run of this job has told a protected size or how long it took."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    sizes = zeros_at_end(good, _size)
    if sizes is not None and sizes.samples >= params.samples and sizes.usual > 0:
        return None if _is_accepted(facts, sizes) else _finding(facts, sizes, words=_size_words(sizes), sticky=True)
    times = zeros_at_end(good, _seconds) if params.usual_minutes else None
    if times is not None and times.samples >= params.samples and times.usual >= 60 * params.usual_minutes:
        return _finding(facts, times, words=_time_words(times), sticky=False)
    return None


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return NOT_ACTIVE
    newest = next((point for point in reversed(facts.history) if point.good and _size(point) is not None), None)
    if newest is None or newest.protected_bytes is None:
        return "The newest good run took its time again."
    moment = moment_words(newest.ended_at, facts.zone)
    if newest.protected_bytes == 0:
        return f"The run of {moment} selected nothing, which is accepted or as usual."
    return f"The run of {moment} selected {size_words(newest.protected_bytes)}."


def _size(point: RunPoint) -> int | None:
    return point.protected_bytes


def _seconds(point: RunPoint) -> int | None:
    return point.duration_seconds


def _is_accepted(facts: JobFacts, zeros: Zeros) -> bool:
    return facts.size_accepted_at is not None and facts.size_accepted_at >= zeros.runs[0].ended_at


def _finding(facts: JobFacts, zeros: Zeros, *, words: str, sticky: bool) -> Finding:
    first, last = zeros.runs[0].ended_at, zeros.runs[-1].ended_at
    begin = f"The good run of {moment_words(last, facts.zone)}"
    if len(zeros.runs) > 1:
        begin = f"{count_words(len(zeros.runs), 'good run')} in a row since {moment_words(first, facts.zone)}"
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=f"{begin} {words} over {count_words(zeros.samples, 'run')} before.",
        since=first,
        occurrence=last.isoformat(),
        repeats=len(zeros.runs),
        sticky=sticky,
        evidence={
            "zero_runs": len(zeros.runs),
            "first_zero_at": first.isoformat(),
            "last_zero_at": last.isoformat(),
            "usual": zeros.usual,
            "samples": zeros.samples,
        },
    )


def _size_words(zeros: Zeros) -> str:
    return f"selected 0 bytes, against {size_words(zeros.usual)} as usual"


def _time_words(zeros: Zeros) -> str:
    return f"took no time at all, against {duration_words(timedelta(seconds=zeros.usual))} as usual"
