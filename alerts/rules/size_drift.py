"""Size drift: what the product reports as protected differs from what we measured of the same selection.

The measurement comes from an inventory of the selection's files (docs/selection-meter.md). A figure that lies between
hard links counted once and each time does not differ. One odd night is no finding: so many measurements in a row must
differ, each by the share and by the bytes, and all of them into the same direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Answer, CannotCheck, Finding, JobFacts, Severity, SizePair, SubjectKind, Tells
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, moment_words, size_words

KIND = "size_drift"
LABEL = "Size drift"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False
_MB = 10**6


@dataclass(frozen=True)
class Params:
    """From which difference on, and how often in a row."""

    percent: int = whole_number(
        10, label="Difference", unit="percent", at_least=1, at_most=1000,
        help="Share of the measured size by which the reported one differs.",
    )  # fmt: skip
    floor_megabytes: int = whole_number(
        1000, label="At least", unit="megabytes", at_least=0, at_most=1_000_000_000,
        help="Smaller differences are never flagged, whatever their share; a megabyte is 1,000,000 bytes.",
    )  # fmt: skip
    measurements: int = whole_number(
        2, label="In a row", unit="measurements", at_least=1, at_most=10,
        help="So many measurements in a row must differ into the same direction.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """A finding from the newest pairs of a reported and a measured size; without both nothing can be compared."""
    if not facts.active:
        return None
    if not facts.sizes:
        reason = "There is no measurement of the selection beside a size that this job reported."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    row = _drifting(facts.sizes, params)
    return _finding(facts, row) if len(row) >= params.measurements else None


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further measurement changes this answer."""
    return None


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    if not facts.sizes:
        return "There is nothing left to compare."
    newest = facts.sizes[0]
    return (
        f"The product reports {size_words(newest.reported_bytes)}, and {_measured_words(newest)} was measured on "
        f"{moment_words(newest.measured_at, facts.zone)}: that is within what this rule allows."
    )


def _drifting(sizes: Sequence[SizePair], params: Params) -> list[SizePair]:
    """The newest pairs that differ enough, as long as they differ into the direction of the newest."""
    row: list[SizePair] = []
    for pair in sizes:
        gap = pair.gap
        base = pair.once_bytes if gap < 0 else pair.each_bytes
        enough = abs(gap) * 100 >= base * params.percent and abs(gap) >= params.floor_megabytes * _MB
        if not gap or not enough or (row and (gap > 0) != (row[0].gap > 0)):
            break
        row.append(pair)
    return row


def _finding(facts: JobFacts, row: Sequence[SizePair]) -> Finding:
    newest, first = row[0], row[-1]
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=_summary(facts, row),
        since=first.measured_at,
        occurrence=newest.measured_at.isoformat(),
        repeats=len(row),
        evidence={
            "reported_bytes": newest.reported_bytes,
            "measured_once_bytes": newest.once_bytes,
            "measured_each_bytes": newest.each_bytes,
            "difference_bytes": newest.gap,
            "measurements_in_row": len(row),
            "measured_at": newest.measured_at.isoformat(),
        },
    )


def _summary(facts: JobFacts, row: Sequence[SizePair]) -> str:
    newest = row[0]
    base = newest.once_bytes if newest.gap < 0 else newest.each_bytes
    share = f" ({abs(newest.gap) * 100 // base} %)" if base else ""
    than = "less" if newest.gap < 0 else "more"
    times = count_words(len(row), "measurement")
    likely = "it may leave something out" if newest.gap < 0 else "it may count what is not selected"
    return (
        f"The product reports {size_words(newest.reported_bytes)} protected, {size_words(abs(newest.gap))}{share} "
        f"{than} than the {_measured_words(newest)} that was measured: {likely}. It is so in {times} "
        f"since {moment_words(row[-1].measured_at, facts.zone)}."
    )


def _measured_words(pair: SizePair) -> str:
    if pair.once_bytes == pair.each_bytes:
        return size_words(pair.once_bytes)
    return f"{size_words(pair.once_bytes)} to {size_words(pair.each_bytes)} (hard links once or each)"
