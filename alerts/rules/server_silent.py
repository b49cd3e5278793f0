"""Server silent: backups of several of its jobs were due, and not one log of any of them came in.

It is found before the jobs are called missed: their incidents are kept under this one, and open no tickets. A server
with a single job is as silent as that job, and has no incident of its own unless the setting says so. A server that
is to be heard every few hours whatever is due is silent after so many.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Answer, Severity, SubjectKind, Tells
from alerts.group_facts import GroupFacts
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
from alerts.wording import count_words

KIND = "server_silent"
LABEL = "Server silent"
SUBJECT: SubjectKind = "server"
ENABLED = True
SEVERITY: Severity = "critical"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = True
CAUSE = True


@dataclass(frozen=True)
class Params:
    """How much of it must be due."""

    jobs: int = least_jobs()
    share_percent: int = least_share()
    hours: int = whole_number(
        0, label="Silent for", unit="hours", at_least=0, at_most=8784,
        help="Silent after so long without any log, even if no backup was due; 0 goes by what is due alone.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: GroupFacts, params: Params, now: datetime) -> Answer:
    """A finding once enough jobs were due since the newest log of any; Waiting while older logs are unread."""
    return judge(KIND, facts, _silence(facts, params), severity=SEVERITY, what=_name(facts), now=now)


def check_after(facts: GroupFacts, params: Params, now: datetime) -> datetime | None:
    """The deadline at which enough jobs are due."""
    return look_after(facts, _silence(facts, params), now)


def closing_words(facts: GroupFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    return heard_words(facts, _name(facts))


def _silence(facts: GroupFacts, params: Params) -> Silent | None:
    return earliest(find_silence(facts, jobs=params.jobs, share=params.share_percent), _by_hours(facts, params))


def _by_hours(facts: GroupFacts, params: Params) -> Silent | None:
    """A server that never had a job or a log owes none."""
    if not facts.active or not params.hours or not facts.jobs or facts.heard_at is None:
        return None
    because = f"it is to be heard at least every {count_words(params.hours, 'hour')}"
    return Silent(deadline=facts.heard_at + timedelta(hours=params.hours), since=facts.heard_at, because=because)


def _name(facts: GroupFacts) -> str:
    return f"The server {facts.name}"
