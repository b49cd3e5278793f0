"""Slow: backups take far longer, or move data far slower, than they used to; or the time they have does not suffice.

Three questions: is the duration or the speed far from its own history, so many runs in a row (a run that merely had
more to send is not slow); does the run end within its window, where one is set; can so slow a line ever keep up with
what changes in a day. Each is asked only where the product tells the figures it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.baselines import Limits, Reading, Series, Shift, cannot_be_far, read_series, readings_of, usual_of
from alerts.facts import Answer, CannotCheck, Finding, JobFacts, RunPoint, Severity, SubjectKind, Tells
from alerts.params import check_limits, whole_number, yes_no
from alerts.patience import waiting_for
from alerts.wording import count_words, duration_words, moment_words, size_words
from msp.backups.schedule import BadSchedule, Every, Schedule, expected_after, parse_schedule

KIND = "slow"
LABEL = "Slow"
SUBJECT: SubjectKind = "job"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "report"
SYMPTOM = False
CAUSE = False
#: A run may begin a little before its scheduled start: two clocks rarely agree.
_EARLY = timedelta(minutes=5)
#: Speeds of shorter runs say more about their start than about the line.
_SHORTEST = 60
_SETTLED = 14
#: While logs are still being read, this often is asked whether they are.
_RECHECK = timedelta(minutes=1)
#: Where the scheduled start of a run is looked for, in this order; a schedule of each minute has many in a window.
_LOOK_BACK = (timedelta(hours=1), timedelta(hours=25))
_WEEK = timedelta(days=7)
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Params:
    """What is slow, and the window in which a run has to end."""

    factor_percent: int = whole_number(
        200, label="Longer than", unit="percent", at_least=110, at_most=10_000,
        help="So long beside the longest usual duration is slow; 200 is twice as long, or half as fast.",
    )  # fmt: skip
    minutes: int = whole_number(
        30, label="At least", unit="minutes", at_least=1, at_most=10_080,
        help="A run that takes less than so much longer is never slow.",
    )  # fmt: skip
    runs: int = whole_number(
        2, label="In a row", unit="runs", at_least=1, at_most=30,
        help="So many slow runs in a row make an incident.",
    )  # fmt: skip
    samples: int = whole_number(
        7, label="Learn from", unit="runs", at_least=2, at_most=28,
        help="So many runs make the usual duration before any is judged.",
    )  # fmt: skip
    window_hours: int = whole_number(
        0, label="Window", unit="hours", at_least=0, at_most=168,
        help="So long after its scheduled start a run has to have ended; 0 sets no window.",
    )  # fmt: skip
    keeps_up: bool = yes_no(
        True, label="Keeps up with changes",
        help="Whether a line that takes more than 24 hours for what changes in a day is flagged.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: JobFacts, params: Params, now: datetime) -> Answer:
    """The first that holds: outside its window, slower than it was, too slow for what changes."""
    if not facts.active:
        return None
    ended = [point for point in facts.history if point.duration_seconds is not None and _counts(point)]
    if not ended and not (params.window_hours and facts.running_since):
        reason = f"{facts.job or 'This job'} does not tell how long its backups take."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if params.window_hours:
        late = _check_window(facts, params, ended, now=now)
        if late is not None:
            return late
    return _check_speed(facts, params, ended) or (_check_keeping_up(facts, params) if params.keeps_up else None)


def check_after(facts: JobFacts, params: Params, now: datetime) -> datetime | None:
    """The end of the window of a run that is still running, and of our patience after it."""
    if not facts.active or not params.window_hours or facts.running_since is None:
        return None
    end = _window_end(facts, params, facts.running_since)
    if now < end:
        return end
    waiting = waiting_for(KIND, facts, deadline=end, now=now)
    return None if waiting is None else min(waiting.until, now + _RECHECK)


def closing_words(facts: JobFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The job is no longer active."
    newest = next((point for point in reversed(facts.history) if point.duration_seconds is not None), None)
    if newest is None or newest.duration_seconds is None:
        return "Nothing is known to be slow."
    took = _seconds_words(newest.duration_seconds)
    return f"The run of {moment_words(newest.ended_at, facts.zone)} took {took}, which is not slow."


def _counts(point: RunPoint) -> bool:
    """A run that broke off tells nothing of how long one takes."""
    return point.good or point.outcome in ("success", "warning")


# --- its own history


def _check_speed(facts: JobFacts, params: Params, ended: Sequence[RunPoint]) -> Finding | None:
    if not ended or (ended[-1].duration_seconds or 0) < params.minutes * 60:
        return None
    longer = _shift(ended, _duration, _longer(params), facts=facts)
    if longer is not None and longer.away >= params.runs and not _had_more_to_send(ended, params, since=longer.left.at):
        return _speed_finding(facts, longer, _DURATION)
    slower = _shift(ended, _speed, _slower(params), facts=facts) if ended[-1].transferred_bytes else None
    if slower is not None and slower.away >= params.runs and _had_as_much_to_send(ended):
        return _speed_finding(facts, slower, _SPEED)
    return None


def _longer(params: Params) -> Limits:
    return Limits(
        grow_percent=params.factor_percent - 100, floor=params.minutes * 60, samples=params.samples, settle=_SETTLED
    )


def _slower(params: Params) -> Limits:
    return Limits(shrink_percent=100 - 10_000 // params.factor_percent, samples=params.samples, settle=_SETTLED)


def _had_as_much_to_send(ended: Sequence[RunPoint]) -> bool:
    """Whether the newest run sent no less than usual: little data never moves fast."""
    sent = [point.transferred_bytes or 0 for point in ended if _speed(point) is not None]
    return (ended[-1].transferred_bytes or 0) >= usual_of(sent[:-1] or sent).lower


def _had_more_to_send(ended: Sequence[RunPoint], params: Params, *, since: datetime) -> bool:
    """Whether the newest run was as fast as those before the slow ones, and took longer only because there was more."""
    speeds = [speed for point in ended if point.ended_at < since and (speed := _speed(point)) is not None]
    newest = _speed(ended[-1])
    return newest is not None and len(speeds) >= params.samples and newest >= usual_of(speeds).lower


def _shift(
    ended: Sequence[RunPoint], figure: Callable[[RunPoint], int | None], limits: Limits, *, facts: JobFacts
) -> Shift | None:
    values = [value for point in ended if (value := figure(point)) is not None]
    if len(values) <= limits.samples or cannot_be_far(values, limits):
        return None
    series: Series = read_series(readings_of(ended, figure, zone=facts.zone), limits)
    return series.shift


def _duration(point: RunPoint) -> int | None:
    return point.duration_seconds


def _speed(point: RunPoint) -> int | None:
    """Bytes a second; None for a run that is too short to tell, or sent nothing."""
    sent, seconds = point.transferred_bytes, point.duration_seconds
    return sent // seconds if sent and seconds and seconds >= _SHORTEST else None


def _speed_finding(facts: JobFacts, shift: Shift, figure: _Figure) -> Finding:
    newest: Reading = shift.newest
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=(
            f"The backup {figure.verb} {figure.words(newest.value)}, {shift.share_words()}: "
            f"{shift.usual.words(figure.words)}; "
            f"so in {count_words(shift.away, 'run')} since {moment_words(shift.left.at, facts.zone)}."
        ),
        since=shift.left.at,
        occurrence=f"slow {shift.left.at.isoformat()}",
        repeats=shift.away,
        evidence={
            "newest": newest.value,
            "unit": figure.unit,
            "usual_from": shift.usual.lower,
            "usual_to": shift.usual.upper,
            "usual_runs": shift.usual.samples,
            "runs": shift.away,
        },
    )


def _seconds_words(seconds: int) -> str:
    return duration_words(timedelta(seconds=seconds)) if seconds >= _SHORTEST else count_words(seconds, "second")


def _speed_words(speed: int) -> str:
    return f"{size_words(speed)} a second"


@dataclass(frozen=True)
class _Figure:
    """How a figure is told: "takes 2 hours", "moves 8.0 MB a second"."""

    verb: str
    unit: str
    words: Callable[[int], str]


_DURATION = _Figure("takes", "seconds", _seconds_words)
_SPEED = _Figure("moves", "bytes a second", _speed_words)


# --- its window


def _check_window(facts: JobFacts, params: Params, ended: Sequence[RunPoint], *, now: datetime) -> Answer:
    if facts.running_since is not None:
        return _check_running(facts, params, ended, started=facts.running_since, now=now)
    newest = ended[-1] if ended else None
    if newest is None or newest.started_at is None:
        return None
    end = _window_end(facts, params, newest.started_at)
    if newest.ended_at <= end:
        return None
    return _window_finding(facts, params, started=newest.started_at, end=end, ends=newest.ended_at, running=False)


def _check_running(
    facts: JobFacts, params: Params, ended: Sequence[RunPoint], *, started: datetime, now: datetime
) -> Answer:
    """At its usual duration it will end too late; or it has not ended although its window has."""
    end = _window_end(facts, params, started)
    durations = sorted(point.duration_seconds or 0 for point in ended)
    if len(durations) >= params.samples:
        ends = started + timedelta(seconds=durations[(len(durations) - 1) // 2])
        if ends > end:
            return _window_finding(facts, params, started=started, end=end, ends=ends, running=True)
    if now < end:
        return None
    waiting = waiting_for(KIND, facts, deadline=end, now=now)
    return waiting or _window_finding(facts, params, started=started, end=end, ends=None, running=True)


def _window_end(facts: JobFacts, params: Params, started: datetime) -> datetime:
    """The window counts from the scheduled start that the run belongs to, else from its own."""
    window = timedelta(hours=params.window_hours)
    schedule = _schedule(facts.schedule)
    if schedule is None or isinstance(schedule, Every):
        return started + window
    latest = started + _EARLY
    for back in (*(back for back in _LOOK_BACK if back < window), window):
        begun = expected_after(schedule, latest - back, facts.zone)
        if begun <= latest:
            return _last_start(schedule, begun, latest=latest, zone=facts.zone) + window
    return started + window


def _last_start(schedule: Schedule, start: datetime, *, latest: datetime, zone: str) -> datetime:
    while (later := expected_after(schedule, start, zone)) <= latest:
        start = later
    return start


def _schedule(text: str) -> Schedule | None:
    try:
        return parse_schedule(text) if text else None
    except BadSchedule:
        return None


def _window_finding(
    facts: JobFacts, params: Params, *, started: datetime, end: datetime, ends: datetime | None, running: bool
) -> Finding:
    began, window = moment_words(started, facts.zone), count_words(params.window_hours, "hour")
    closes = f"its window of {window} ends on {moment_words(end, facts.zone)}"
    if not running:
        words = f"The run that began on {began} ended on {moment_words(ends or end, facts.zone)}; {closes}."
    elif ends is not None:
        words = f"The run that began on {began} will end about {moment_words(ends, facts.zone)} if it takes as long as "
        words += f"usual; {closes}."
    else:
        words = f"The run that began on {began} is still running; {closes}."
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=words,
        since=started if running and ends is not None else end,
        occurrence=f"window {started.isoformat()}",
        evidence={
            "started_at": started.isoformat(),
            "window_ends_at": end.isoformat(),
            "ends_at": ends.isoformat() if ends else None,
            "running": running,
        },
    )


# --- what changes in a day


def _check_keeping_up(facts: JobFacts, params: Params) -> Finding | None:
    """The week's changes against what the line moves while it runs; a good run has coped with all that had changed."""
    if not facts.history or facts.history[-1].changed_bytes is None:
        return None
    told = [point for point in facts.history if point.changed_bytes is not None and point.duration_seconds]
    told = [point for point in told if point.transferred_bytes is not None]
    week = [point for point in told if point.ended_at > told[-1].ended_at - _WEEK] if told else []
    if len(week) < params.samples or week[-1].ended_at - week[0].ended_at < timedelta(days=2):
        return None
    per_second = sorted(_handled(point) // (point.duration_seconds or 1) for point in week)[(len(week) - 1) // 2]
    per_day = _changed_in(week) * _DAY_SECONDS // int((week[-1].ended_at - week[0].ended_at).total_seconds())
    if not per_second or per_day <= per_second * _DAY_SECONDS:
        return None
    return _keeping_up_finding(facts, newest=week[-1], per_day=per_day, per_second=per_second)


def _handled(point: RunPoint) -> int:
    sent, changed = point.transferred_bytes or 0, point.changed_bytes or 0
    return max(sent, changed) if point.good else min(sent, changed)


def _changed_in(points: Sequence[RunPoint]) -> int:
    """What changed after the first of these runs. A run that was not good leaves its changes to the next, which tells
    them again: they count once, and those left over from before the first not at all.
    """
    first, later = points[0], zip(points[1:], [*points[2:], None], strict=True)
    told = sum(point.changed_bytes or 0 for point, after in later if point.good or after is None)
    return max(0, told - (0 if first.good else first.changed_bytes or 0))


def _keeping_up_finding(facts: JobFacts, *, newest: RunPoint, per_day: int, per_second: int) -> Finding:
    hours = per_day // per_second // 3600
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=(
            f"{size_words(per_day)} change in a day, and the backup moves {_speed_words(per_second)}: a day's changes "
            f"take {count_words(hours, 'hour')}, so it falls further behind every day."
        ),
        since=newest.ended_at,
        since_first_seen=True,
        occurrence="falls behind",
        evidence={"changed_a_day_bytes": per_day, "bytes_a_second": per_second, "hours_for_a_day": hours},
    )
