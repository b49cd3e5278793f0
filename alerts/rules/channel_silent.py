"""Channel silent: a mailbox, pull source or folder brings nothing any more, though it should.

Either it cannot be asked (an expired password, told in the system's own words), or jobs of several servers were due
whose logs come by it, or a day has passed on which something came each week, and nothing came at all. While it lasts,
the jobs behind it are not heard, not missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alerts.facts import Answer, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import ChannelFacts
from alerts.params import check_limits, whole_number
from alerts.silence_of_groups import (
    Silent,
    earliest,
    find_silence,
    heard_words,
    judge,
    least_jobs,
    least_share,
    look_after,
)
from alerts.wording import count_words, moment_words

KIND = "channel_silent"
LABEL = "Channel silent"
SUBJECT: SubjectKind = "channel"
ENABLED = True
SEVERITY: Severity = "critical"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = True

NAMES = {
    "mailbox": "The mailbox",
    "pull": "The pull source",
    "mail": "The mail listener",
    "folder": "The folder",
    "format": "The format",
}


#: What is usual of a weekday is told by so many of them before.
_WEEKS = 4
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Params:
    """How long it may fail, and how much behind it must be due."""

    failing_minutes: int = whole_number(
        60, label="Failing for", unit="minutes", at_least=5, at_most=10080,
        help="How long a mailbox or pull source may fail to answer before somebody is told.",
    )  # fmt: skip
    jobs: int = least_jobs(3)
    share_percent: int = least_share(20)
    usual_logs: int = whole_number(
        3, label="Logs on a usual day", unit="logs", at_least=0, at_most=10000,
        help="A whole day without any is silence if so many came on each of the last four such weekdays; 0: never.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: ChannelFacts, params: Params, now: datetime) -> Answer:
    """A finding while it cannot be asked, or once enough jobs of several servers were due by it."""
    failing_at = _failing_at(facts, params)
    if failing_at is not None and now >= failing_at:
        return _failing(facts, deadline=failing_at)
    return judge(KIND, facts, _silence(facts, params), severity=SEVERITY, what=_name(facts), now=now)


def check_after(facts: ChannelFacts, params: Params, now: datetime) -> datetime | None:
    """The end of the patience with its failures, or the deadline at which enough jobs are due."""
    moments = [look_after(facts, _silence(facts, params), now), _failing_at(facts, params)]
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def closing_words(facts: ChannelFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if facts.active and facts.failing_since is None and not facts.due:
        return f"{_name(facts)} answers again."
    return heard_words(facts, _name(facts))


def _failing_at(facts: ChannelFacts, params: Params) -> datetime | None:
    if not facts.active or facts.failing_since is None:
        return None
    return facts.failing_since + timedelta(minutes=params.failing_minutes)


def _silence(facts: ChannelFacts, params: Params) -> Silent | None:
    """A format is no way by which logs come: it is silent only where whole days are missing."""
    if len({one.server_id for one in facts.due}) < 2:
        return None  # one server that is down would look the same
    by_jobs = find_silence(facts, jobs=params.jobs, share=params.share_percent, servers=2)
    return earliest(_by_days(facts, params), None if facts.kind == "format" else by_jobs)


def _by_days(facts: ChannelFacts, params: Params) -> Silent | None:
    """The first whole day after the newest log on which something was to come, by its own norm: a mailbox that is quiet
    on weekends is not silent on a Sunday.
    """
    if not facts.active or not params.usual_logs or facts.heard_at is None:
        return None
    heard_on = facts.heard_at.astimezone(ZoneInfo(facts.zone)).date()
    for day in (heard_on + timedelta(days=step) for step in range(1, 8)):
        usual = _usual(facts, day)
        if usual >= params.usual_logs:
            deadline = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(facts.zone)).astimezone(UTC)
            weekday = _DAY_NAMES[day.weekday()]
            because = f"at least {count_words(usual, 'log')} came by it on each {weekday} of the last four weeks"
            return Silent(deadline=deadline, since=facts.heard_at, because=because)
    return None


def _usual(facts: ChannelFacts, day: date) -> int:
    """What came at least on each such weekday before."""
    return min(facts.days.get((day - timedelta(weeks=week)).isoformat(), 0) for week in range(1, _WEEKS + 1))


def _failing(facts: ChannelFacts, *, deadline: datetime) -> Finding:
    since = facts.failing_since or deadline
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=f"{_name(facts)} cannot be read since {moment_words(since, facts.zone)}: "
        f"{facts.error.rstrip('.') or 'no reason was given'}.",
        since=since,
        occurrence=since.isoformat(),
        deadline=deadline,
        evidence={"failing_since": since.isoformat(), "error": facts.error, "jobs": facts.jobs},
        lines=(facts.error,) if facts.error else (),
    )


def _name(facts: ChannelFacts) -> str:
    return f"{NAMES[facts.kind]} {facts.name}".rstrip()
