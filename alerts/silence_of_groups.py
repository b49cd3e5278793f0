"""When a group of jobs is silent: something was due of several of them, and nothing was heard of any.

Server, volume, site and channel are judged alike, before their jobs: so one that is down is one incident and not two
hundred. Pure. A deadline counts only if it passed after the newest log of any job of the group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from alerts.facts import Finding, Severity, Subject, Unheard, Waiting
from alerts.group_facts import Due
from alerts.params import whole_number
from alerts.patience import ask_again_at, waiting_for
from alerts.wording import count_words, moment_words

#: While a group is silent it is looked at again so often: a log may have come in at the very moment of the last look.
RECHECK = timedelta(minutes=15)


class Group(Protocol):
    """What groups and channels have in common."""

    @property
    def subject(self) -> Subject: ...
    @property
    def zone(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def active(self) -> bool: ...
    @property
    def registered_at(self) -> datetime | None: ...
    @property
    def heard_at(self) -> datetime | None: ...
    @property
    def jobs(self) -> int: ...
    @property
    def due(self) -> tuple[Due, ...]: ...
    @property
    def unheard(self) -> Unheard | None: ...
    @property
    def awaiting_since(self) -> datetime | None: ...
    @property
    def resumed_at(self) -> datetime | None: ...


def least_jobs(default: int = 2) -> int:
    """The parameter: of how many jobs something must have been due."""
    number: int = whole_number(
        default, label="Jobs", unit="jobs", at_least=1, at_most=1000,
        help="Of so many jobs a backup must have been due, and nothing heard of any; 1 counts a single job, too.",
    )  # fmt: skip
    return number


def least_share(default: int = 10) -> int:
    """The parameter: of which share of all its jobs."""
    share: int = whole_number(
        default, label="Share of the jobs", unit="percent", at_least=0, at_most=100,
        help="And of so large a share of all its jobs, so that a few dead jobs of many are not taken for the whole.",
    )  # fmt: skip
    return share


@dataclass(frozen=True)
class Silent:
    """``deadline`` is when it counts as silent; ``since`` the newest log before.

    ``jobs`` is of how many jobs backups had to be due; ``because`` says what else was expected where it is not that.
    """

    deadline: datetime
    since: datetime
    jobs: int = 0
    because: str = ""


def find_silence(facts: Group, *, jobs: int, share: int, servers: int = 1) -> Silent | None:
    """When the group is or will be silent if nothing is heard; None if not enough of it is ever due.

    ``servers``: the due jobs must be of so many servers at least.
    """
    since = facts.heard_at or facts.registered_at
    if not facts.active or since is None:
        return None
    enough = max(jobs, -(-facts.jobs * share // 100))
    deadline = moment_of(facts.due, enough=enough, servers=servers)
    return None if deadline is None else Silent(deadline=deadline, since=since, jobs=enough)


def moment_of(due: Sequence[Due], *, enough: int, servers: int) -> datetime | None:
    """The deadline at which so many jobs of so many servers are due."""
    if len(due) < enough:
        return None
    seen: set[int] = set()
    for number, one in enumerate(due, start=1):
        seen.add(one.server_id)
        if number >= enough and len(seen) >= servers:
            return one.at
    return None


def judge(
    kind: str, facts: Group, silent: Silent | None, *, severity: Severity, what: str, now: datetime
) -> Finding | Waiting | None:
    """The answer of a rule. ``what`` names the group for a person: "The server backup01"."""
    if silent is None or now < silent.deadline:
        return None
    waiting = waiting_for(kind, facts, deadline=silent.deadline, now=now)
    if waiting is not None:
        return waiting
    return Finding(
        kind=kind,
        subject=facts.subject,
        severity=severity,
        summary=f"{what} is silent since {moment_words(silent.since, facts.zone)}: of {count_words(facts.jobs, 'job')} "
        f"nothing was heard, though {expected_words(facts, silent)}.",
        since=silent.since,
        occurrence=silent.since.isoformat(),
        deadline=silent.deadline,
        evidence={
            "silent_since": silent.since.isoformat(),
            "jobs": facts.jobs,
            "jobs_due": silent.jobs,
            "flagged_from": silent.deadline.isoformat(),
        },
    )


def expected_words(facts: Group, silent: Silent) -> str:
    """What should have been heard."""
    if silent.because:
        return silent.because
    were = "a backup of 1 of them was" if silent.jobs == 1 else f"backups of {silent.jobs:,} of them were"
    return f"{were} due by {moment_words(silent.deadline, facts.zone)}"


def earliest(*found: Silent | None) -> Silent | None:
    """Of several reasons to call a group silent the one that holds first."""
    return min((one for one in found if one is not None), key=lambda one: one.deadline, default=None)


def look_after(facts: Group, silent: Silent | None, now: datetime) -> datetime | None:
    """When to ask again: at the deadline, and from then on every few minutes."""
    if silent is None:
        return None
    return ask_again_at(facts, deadline=silent.deadline, now=now) or now + RECHECK


def heard_words(facts: Group, what: str) -> str:
    """For an incident that closes."""
    if not facts.active:
        return f"{what} is no longer active."
    if facts.heard_at is None:
        return f"Nothing is due of {what[0].lower()}{what[1:]} any more."
    return f"{what} was heard again: the newest log came in on {moment_words(facts.heard_at, facts.zone)}."
