"""Size anomaly: the protected size left its own history, or far more changed in one night than ever before.

It reads the figure that is billed, of measurable runs only. A share that vanished from the selection makes it shrink,
data that somebody encrypts makes it grow or change all at once. Slow growth moves the usual size along and is never
flagged. Sticky: only a person closes it, and the size of that moment is the usual one from there on. A fall to nothing
is left to "implausible zero": the answer is as if those runs had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.baselines import Limits, Reading, Series, Shift, Usual, cannot_be_far, read_series, readings_of, usual_of
from alerts.facts import Answer, CannotCheck, Finding, JobFacts, RunPoint, Severity, SubjectKind, Tells
from alerts.params import BadParams, check_limits, whole_number
from alerts.wording import count_words, moment_words, size_words
from alerts.zeros import without_falls

KIND = "size_anomaly"
LABEL = "Size anomaly"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False
_MB = 10**6
#: A run whose log names a full copy that old is taken for that full copy.
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class Params:
    """From which change on, and how much history it takes."""

    shrink_percent: int = whole_number(
        30, label="Shrunk by", unit="percent", at_least=0, at_most=100,
        help="So much less than the least usual size is flagged; 0 ignores a size that shrinks.",
    )  # fmt: skip
    grow_percent: int = whole_number(
        100, label="Grown by", unit="percent", at_least=0, at_most=100_000,
        help="So much more than the greatest usual size is flagged; 0 ignores a size that grows.",
    )  # fmt: skip
    floor_megabytes: int = whole_number(
        100, label="At least", unit="megabytes", at_least=0, at_most=1_000_000_000,
        help="Smaller changes are never flagged, whatever their share; a megabyte is 1,000,000 bytes.",
    )  # fmt: skip
    samples: int = whole_number(
        7, label="Learn from", unit="runs", at_least=2, at_most=28,
        help="So many measured runs make the usual size before any is judged.",
    )  # fmt: skip
    settle_runs: int = whole_number(
        14, label="New size after", unit="runs", at_least=0, at_most=40,
        help="So many runs in a row at a new size make it the usual one; 0 leaves that to a person.",
    )  # fmt: skip
    change_factor: int = whole_number(
        10, label="Changed data", unit="times", at_least=0, at_most=1000,
        help="So many times the most that usually changes from run to run is flagged; 0 ignores changed data.",
    )  # fmt: skip
    change_percent: int = whole_number(
        30, label="Changed share", unit="percent", at_least=1, at_most=100,
        help="Changed data is only flagged from this share of the protected size on.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)

    def check_together(self, chosen: Collection[str]) -> None:
        """Raises BadParams where nothing could ever be flagged."""
        if self.settle_runs == 1 and "settle_runs" in chosen:
            reason = "A size that is usual after 1 run is never flagged: set 2 or more, or 0 to leave it to a person."
            raise BadParams("settle_runs", reason)


@dataclass(frozen=True)
class _Surge:
    """One run that changed far more than usual; ``verb`` says which figure it is."""

    usual: Usual
    point: RunPoint
    amount: int
    verb: str


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding from the newest measured run against those before it; too few of them cannot be checked."""
    if not facts.active:
        return None
    facts = _without_falls(facts)
    sizes = [point.protected_bytes for point in facts.history if point.protected_bytes is not None]
    if not sizes:
        reason = f"{facts.job or 'This job'} reports no protected size."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if len(sizes) < params.samples and facts.size_accepted_at is None:
        told = f"{count_words(len(sizes), 'run')} of {params.samples} that it takes to know the usual size"
        return CannotCheck(kind=KIND, subject=facts.subject, reason=f"A size is known of {told}.")
    if not cannot_be_far(sizes, _limits(params)):
        shift = _read(facts, params).shift
        if shift is not None:
            return _shift_finding(facts, shift)
    surge = _surge(facts, params, protected=sizes[-1])
    return None if surge is None else _surge_finding(facts, surge, protected=sizes[-1])


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an incident of this rule may be cleared."""
    if not facts.active:
        return "The job is no longer active."
    history = _without_falls(facts).history
    newest = next((point for point in reversed(history) if point.protected_bytes is not None), None)
    if newest is None or newest.protected_bytes is None:
        return "There is no measured run left to compare."
    size, moment = size_words(newest.protected_bytes), moment_words(newest.ended_at, facts.zone)
    return f"The run of {moment} measured {size}, which is as usual."


def _without_falls(facts: JobFacts) -> JobFacts:
    """The facts without what "implausible zero" judges; the same where no run was empty."""
    if all(point.protected_bytes != 0 for point in facts.history):
        return facts
    return replace(facts, history=without_falls(facts.history))


def _limits(params: Params) -> Limits:
    return Limits(
        shrink_percent=params.shrink_percent,
        grow_percent=params.grow_percent,
        floor=params.floor_megabytes * _MB,
        samples=params.samples,
        settle=params.settle_runs,
    )


def _read(facts: JobFacts, params: Params) -> Series:
    readings = readings_of(facts.history, lambda point: point.protected_bytes, zone=facts.zone)
    return read_series(readings, _limits(params), accepted_at=facts.size_accepted_at)


# --- much changed at once


def _surge(facts: JobFacts, params: Params, *, protected: int) -> _Surge | None:
    """The newest run, if it changed many times what the runs before did; None where no such figure is told."""
    if not params.change_factor or len(facts.history) <= params.samples:
        return None
    newest, earlier = facts.history[-1], facts.history[:-1]
    if facts.size_accepted_at is not None and newest.ended_at <= facts.size_accepted_at:
        return None
    if newest.changed_bytes is not None:
        return _surge_of(newest, earlier, params, protected=protected, figure=_changed, verb="changed")
    if _is_full(newest, facts):
        return None  # a full copy sends everything, whatever changed
    return _surge_of(newest, earlier, params, protected=protected, figure=_transferred, verb="was transferred")


def _surge_of(
    newest: RunPoint,
    earlier: Sequence[RunPoint],
    params: Params,
    *,
    protected: int,
    figure: Callable[[RunPoint], int | None],
    verb: str,
) -> _Surge | None:
    """A run that brought half as much before, such as the full copy of last month, makes it no surprise."""
    amount = figure(newest)
    if not amount or amount * 100 < protected * params.change_percent or amount < params.floor_megabytes * _MB:
        return None
    before = [value for point in earlier if (value := figure(point)) is not None]
    if len(before) < params.samples or max(before) * 2 >= amount:
        return None
    usual = usual_of(before)
    if amount < usual.upper * params.change_factor:
        return None
    return _Surge(usual=usual, point=newest, amount=amount, verb=verb)


def _changed(point: RunPoint) -> int | None:
    return point.changed_bytes


def _transferred(point: RunPoint) -> int | None:
    return point.transferred_bytes


def _is_full(point: RunPoint, facts: JobFacts) -> bool:
    if facts.last_full_at is None:
        return False
    started = point.started_at or point.ended_at - timedelta(seconds=point.duration_seconds or 0)
    return started - _CLOCKS_DIFFER <= facts.last_full_at <= point.ended_at + _CLOCKS_DIFFER


# --- the findings


def _shift_finding(facts: JobFacts, shift: Shift) -> Finding:
    direction = "grew" if shift.grew else "shrank"
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_shift_summary(facts, shift),
        since=shift.left.at,
        occurrence=f"{direction} {shift.first.at.isoformat()}",
        repeats=shift.times,
        sticky=True,
        evidence={
            "size_bytes": shift.newest.value,
            "measured_at": shift.newest.at.isoformat(),
            "usual_from_bytes": shift.usual.lower,
            "usual_to_bytes": shift.usual.upper,
            "usual_runs": shift.usual.samples,
            "percent": shift.percent,
            "runs_at_this_size": shift.times,
        },
    )


def _shift_summary(facts: JobFacts, shift: Shift) -> str:
    newest: Reading = shift.newest
    likely = "more was selected, or data multiplied" if shift.grew else "something may have left the selection"
    since = "" if shift.times == 1 else f" It is so in {shift.times} runs since {_at(shift.first.at, facts)}."
    return (
        f"The protected size is {size_words(newest.value)}, {shift.share_words()}: {shift.usual.words(size_words)}; "
        f"measured on {_at(newest.at, facts)}, {likely}.{since}"
    )


def _surge_finding(facts: JobFacts, surge: _Surge, *, protected: int) -> Finding:
    point = surge.point
    share = f" of {size_words(protected)} protected" if protected else ""
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=(
            f"{size_words(surge.amount)}{share} {surge.verb} in the run of {_at(point.ended_at, facts)}, "
            f"{surge.usual.words(size_words)}: data was moved, or somebody encrypts it."
        ),
        since=point.started_at or point.ended_at,
        occurrence=f"changed {point.ended_at.isoformat()}",
        sticky=True,
        evidence={
            "amount_bytes": surge.amount,
            "figure": "changed_bytes" if surge.verb == "changed" else "transferred_bytes",
            "protected_bytes": protected,
            "ended_at": point.ended_at.isoformat(),
            "usual_from_bytes": surge.usual.lower,
            "usual_to_bytes": surge.usual.upper,
            "usual_runs": surge.usual.samples,
        },
    )


def _at(moment: datetime, facts: JobFacts) -> str:
    return moment_words(moment, facts.zone)
