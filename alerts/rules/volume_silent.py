"""Volume silent: backups of several jobs whose accounts lie on this volume were due, and nothing was heard of any.

Found before its jobs are called missed. Where the whole server is silent, the volume lies under the server's incident.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Answer, Severity, SubjectKind, Tells
from alerts.group_facts import GroupFacts
from alerts.params import check_limits
from alerts.silence_of_groups import Silent, find_silence, heard_words, judge, least_jobs, least_share, look_after

KIND = "volume_silent"
LABEL = "Volume silent"
SUBJECT: SubjectKind = "volume"
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
    return find_silence(facts, jobs=params.jobs, share=params.share_percent)


def _name(facts: GroupFacts) -> str:
    return f"The volume {facts.name}"
