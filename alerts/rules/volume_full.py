"""Volume nearly full: too little of a volume is free, or it fills within days as it has filled so far.

The trend is the median of all slopes between two readings of the last weeks: one large restore or one cleaning does
not bend it. It needs readings of at least a week. A volume whose capacity nobody tells, or that was not read for
long, cannot be checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median

from alerts.facts import Answer, CannotCheck, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import GroupFacts
from alerts.params import check_limits, whole_number
from alerts.wording import count_words, moment_words, size_words

KIND = "volume_full"
LABEL = "Volume nearly full"
SUBJECT: SubjectKind = "volume"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False

#: A trend needs readings of so many days, and looks at no more than these.
LEAST_READINGS = 7
MOST_READINGS = 60
#: A reading older than this tells nothing of today.
STALE = timedelta(days=7)
_DAY = 86400


@dataclass(frozen=True)
class Params:
    """How much must be free, and for how long it must last."""

    percent: int = whole_number(
        10, label="Free at least", unit="percent", at_least=0, at_most=99,
        help="So much of the volume must be free; 0 looks at the trend alone.",
    )  # fmt: skip
    critical_percent: int = whole_number(
        3, label="Critical under", unit="percent", at_least=0, at_most=99,
        help="With less than this free it is critical; 0 keeps it a warning.",
    )  # fmt: skip
    days: int = whole_number(
        14, label="Full within", unit="days", at_least=0, at_most=366,
        help="A volume that fills within so many days as it has filled so far is flagged; 0 looks at no trend.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class Fill:
    """How full a volume is, none of it missing. ``bytes_a_day`` is its trend, None without readings of a week."""

    used: int
    capacity: int
    at: datetime
    bytes_a_day: int | None

    @property
    def free(self) -> int:
        return max(0, self.capacity - self.used)

    def days_left(self) -> int | None:
        """Whole days until it is full by the trend; None where it does not grow, or no trend is known."""
        if self.bytes_a_day is None or self.bytes_a_day <= 0:
            return None
        return self.free // self.bytes_a_day

    def full_on(self) -> datetime | None:
        """When it is full by the trend; None also beyond a hundred years."""
        left = self.days_left()
        return None if left is None or left > 36500 else self.at + timedelta(days=left)

    def is_under(self, percent: int) -> bool:
        return self.free * 100 < self.capacity * percent


def read_fill(facts: GroupFacts) -> Fill | None:
    """How full the volume is now and its trend; None where size or capacity are not told."""
    if not facts.capacity_bytes or facts.used_bytes is None or facts.measured_at is None:
        return None
    return Fill(
        used=facts.used_bytes, capacity=facts.capacity_bytes, at=facts.measured_at, bytes_a_day=trend_of(facts.fill)
    )


def trend_of(fill: Sequence[tuple[datetime, int]]) -> int | None:
    """Bytes a day by which it grows (Theil and Sen: the median of the slopes); None under readings of a week."""
    rows = fill[-MOST_READINGS:]
    if len(rows) < LEAST_READINGS or rows[-1][0] - rows[0][0] < timedelta(days=LEAST_READINGS - 1):
        return None
    slopes = [
        (late_used - early_used) * _DAY / (late - early).total_seconds()
        for (early, early_used), (late, late_used) in combinations(rows, 2)
        if late > early
    ]
    return int(median(slopes)) if slopes else None


def check(facts: GroupFacts, params: Params, now: datetime) -> Answer:
    """A finding while too little is free, or it fills within the days set."""
    if not facts.active:
        return None
    fill = read_fill(facts)
    if fill is None:
        reason = "Nobody tells the capacity of this volume and how much of it is used."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if now - fill.at > STALE:
        reason = f"How full it is was last told on {moment_words(fill.at, facts.zone)}."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if params.percent and fill.is_under(params.percent):
        return _finding(facts, params, fill, since=_under_since(facts, params, fill), cause="level")
    left = fill.days_left()
    if params.days and left is not None and left < params.days:
        return _finding(facts, params, fill, since=fill.at, cause="trend")
    return None


def check_after(facts: GroupFacts, params: Params, now: datetime) -> datetime | None:
    """When the newest reading is too old to tell anything; a further one changes the answer sooner."""
    if not facts.active or facts.measured_at is None:
        return None
    stale = facts.measured_at + STALE
    return stale if now < stale else None


def closing_words(facts: GroupFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    fill = read_fill(facts)
    if not facts.active or fill is None:
        return "The volume is no longer in use."
    left = fill.days_left()
    words = f"{_level_words(fill)} on {moment_words(fill.at, facts.zone)}"
    if left is None:
        return f"{words}, and it does not grow."
    return f"{words}, enough for {count_words(left, 'day')} as it has filled so far."


def _under_since(facts: GroupFacts, params: Params, fill: Fill) -> datetime:
    """The first of the newest readings in a row that left too little, by the capacity of today."""
    since = fill.at
    for at, used in reversed(facts.fill):
        if (fill.capacity - used) * 100 >= fill.capacity * params.percent:
            break
        since = min(since, at)
    return since


def _finding(facts: GroupFacts, params: Params, fill: Fill, *, since: datetime, cause: str) -> Finding:
    critical = params.critical_percent > 0 and fill.is_under(params.critical_percent)
    full_on = fill.full_on()
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="critical" if critical else SEVERITY,
        summary=_summary(facts, params, fill, cause=cause),
        since=since,
        since_first_seen=cause == "trend",
        occurrence=f"level {since.isoformat()}" if cause == "level" else _trend_occurrence(full_on),
        deadline=since,
        evidence={
            "used_bytes": fill.used,
            "capacity_bytes": fill.capacity,
            "measured_at": fill.at.isoformat(),
            "bytes_a_day": fill.bytes_a_day,
            "days_left": fill.days_left(),
            "full_on": full_on.date().isoformat() if full_on else None,
            "readings": len(facts.fill),
            "because": cause,
        },
    )


def _trend_occurrence(full_on: datetime | None) -> str:
    """The month in which it is full: an estimate that moves by a day is no new happening."""
    return f"trend {full_on:%Y-%m}" if full_on else "trend"


def _level_words(fill: Fill) -> str:
    percent = fill.free * 100 // fill.capacity
    return f"{size_words(fill.used)} of {size_words(fill.capacity)} are used, {percent} % are free"


def _summary(facts: GroupFacts, params: Params, fill: Fill, *, cause: str) -> str:
    words = f"{_level_words(fill)} on {moment_words(fill.at, facts.zone)}"
    if cause == "level":
        words += f"; at least {params.percent} % must be"
    full_on, left = fill.full_on(), fill.days_left()
    if full_on is None or left is None:
        return f"{words}. It has not grown lately."
    growth = size_words(fill.bytes_a_day or 0)
    day = moment_words(full_on, facts.zone).rsplit(" ", 2)[0]
    return f"{words}. It grows by {growth} a day and is full about {day}, in {count_words(left, 'day')}."
