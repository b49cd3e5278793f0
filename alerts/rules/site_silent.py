"""Site silent: jobs of at least two servers of one place were due, and nothing was heard of any server there.

A line or a power supply that is down: the incidents of its servers and of their jobs are kept under this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Answer, Severity, SubjectKind, Tells
from alerts.group_facts import GroupFacts
from alerts.params import check_limits
from alerts.silence_of_groups import Silent, find_silence, heard_words, judge, least_jobs, least_share, look_after

KIND = "site_silent"
LABEL = "Site silent"
SUBJECT: SubjectKind = "site"
ENABLED = True
SEVERITY: Severity = "critical"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = True


@dataclass(frozen=True)
class Params:
    """How much of it must be due."""

    jobs: int = least_jobs()
    share_percent: int = least_share()

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
    return find_silence(facts, jobs=params.jobs, share=params.share_percent, servers=2)


def _name(facts: GroupFacts) -> str:
    return f"The site {facts.name}"
