"""The slow, obvious model: looks at every quarter of an hour at everything that has arrived, and says what is wrong.

No clocks, no states, no folding, no incidents kept between two looks but whether one is open. Each rule is a few lines
over the list of all runs. The property test compares it with what the product did on the same history.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msp.backups.schedule import expected_after, parse_schedule

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

#: True: it is wrong; False: it is right; None: nobody can tell at this moment, and all stays as it is.
Verdict = bool | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A backup as it happened; ``arrives_at`` is when its log is stored."""

    ended_at: datetime
    arrives_at: datetime
    outcome: str
    started_at: datetime | None = None
    protected_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A job as it is set up, with the defaults of the rules."""

    registered_at: datetime
    schedule: str = ""
    zone: str = "UTC"
    tolerance: timedelta = timedelta(hours=26)
    grace: timedelta = HOUR


@dataclass(frozen=True)
class Look:
    """What is known at one moment: every run whose log was read by then, in order of their ends."""

    setup: Setup
    runs: Sequence[Run]
    now: datetime
    resumed_at: datetime | None

    def good(self) -> list[Run]:
        return [run for run in self.runs if run.outcome == "success"]

    def since_good(self) -> list[Run]:
        last = max((run.ended_at for run in self.good()), default=None)
        return [run for run in self.runs if last is None or run.ended_at > last]

    def usual(self) -> timedelta:
        """How long the longest runs take; of ten or more without the longest one."""
        whole = [run for run in self.runs if run.outcome in ("success", "warning")]
        lasted = sorted(run.ended_at - run.started_at for run in whole if run.started_at)
        return lasted[-2 if len(lasted) >= 10 else -1] if lasted else timedelta()

    def judge(self, deadline: datetime) -> Verdict:
        """After an interruption of ours, what came due in it waits for the logs that waited outside."""
        if self.now < deadline:
            return False
        if self.resumed_at is None:
            return True
        caught_up = self.resumed_at + HOUR
        return None if deadline <= caught_up and self.now < caught_up else True


def no_recent_backup(look: Look) -> Verdict:
    """Too long since the newest good run; a job that never had one is the matter of the next rule."""
    setup, good = look.setup, look.good()
    if not good:
        return False
    last = max(run.ended_at for run in good)
    if setup.schedule:
        early = timedelta() if setup.schedule.startswith("every") else 5 * MINUTE
        deadline = expected_after(parse_schedule(setup.schedule), last + early, setup.zone) + setup.grace
        deadline += timedelta() if setup.schedule.startswith("every") else look.usual()
    else:
        deadline = last + setup.tolerance + setup.grace
    return look.judge(deadline)


def never_backed_up(look: Look) -> Verdict:
    """Three days after the registration, or after the first start that the schedule expects, not one good run."""
    setup, begin = look.setup, look.setup.registered_at
    if look.good():
        return False
    if setup.schedule:
        begin = expected_after(parse_schedule(setup.schedule), begin, setup.zone)
    return look.judge(begin + timedelta(days=3))


def errors(look: Look) -> Verdict:
    since = look.since_good()
    failures = sum(1 for run in since if run.outcome in ("failure", "missed"))
    warnings = sum(1 for run in since if run.outcome == "warning")
    return failures >= 1 or warnings >= 3


def no_data_sent(look: Look) -> Verdict:
    """Two good runs without data, and the last data is a week old."""
    told = [run for run in look.runs if run.protected_bytes is not None]
    if not told:
        return None
    data = [run.ended_at for run in told if run.protected_bytes and run.outcome in ("success", "warning")]
    last = max(data, default=look.setup.registered_at)
    if sum(run.ended_at > last for run in look.good()) < 2:
        return False
    return look.judge(last + timedelta(days=7))


def did_not_start(look: Look) -> Verdict:
    """By the schedule that was set: nothing heard of a start within an hour and the time that runs usually take."""
    setup = look.setup
    if not setup.schedule:
        return False
    schedule, is_interval = parse_schedule(setup.schedule), setup.schedule.startswith("every")
    starts = [run.started_at or run.ended_at for run in look.runs]
    ends = [run.ended_at for run in look.runs]
    latest = max(starts + ends, default=setup.registered_at)
    if is_interval:
        start = max(expected_after(schedule, max(starts, default=setup.registered_at), setup.zone), latest)
    else:
        start = expected_after(schedule, latest + (5 * MINUTE if starts else timedelta()), setup.zone)
    return look.judge(start + HOUR + (look.usual() if starts else 12 * HOUR))


def unstable(look: Look) -> Verdict:
    """Three changes between good and not good within two weeks, and no two calm weeks since."""
    telling = [run for run in look.runs if run.outcome in ("success", "warning", "failure")]
    changes = [
        after.ended_at
        for before, after in itertools.pairwise(telling)
        if (before.outcome == "success") != (after.outcome == "success")
    ]
    return len(changes) >= 3 and changes[-1] - changes[-3] < timedelta(days=14)


def implausible_zero(look: Look) -> Verdict:
    """The newest good run that tells its size selected nothing, where three or more before it had something."""
    sizes = [run.protected_bytes for run in look.good() if run.protected_bytes is not None]
    before = list(sizes)
    while before and before[-1] == 0:
        before.pop()
    if not sizes:
        return None if not look.good() else False
    return len(before) < len(sizes) and len(before) >= 3 and sorted(before)[(len(before) - 1) // 2] > 0


RULES: dict[str, Callable[[Look], Verdict]] = {
    "no_recent_backup": no_recent_backup,
    "never_backed_up": never_backed_up,
    "did_not_start": did_not_start,
    "errors": errors,
    "no_data_sent": no_data_sent,
    "unstable": unstable,
    "implausible_zero": implausible_zero,
}


@dataclass(frozen=True)
class Change:
    """An incident of this kind opened (or came back) or closed at this look."""

    at: datetime
    kind: str
    opened: bool


class Incident:
    """Open or not; one that came back three times within a day each closes only after a day of calm."""

    def __init__(self, *, sticky: bool = False) -> None:
        self.is_open, self.returns, self.sticky = False, 0, sticky
        self.closed_at: datetime | None = None
        self.calm_since: datetime | None = None

    def hear(self, verdict: Verdict, now: datetime) -> bool | None:
        """True: it opened. False: it closed. None: neither."""
        if not self.is_open:
            return self.open(now) if verdict else None
        if self.sticky:
            return None  # only a person closes it
        if self.calm_since is not None and now >= self.calm_since + timedelta(days=1) and not verdict:
            return self.close(now)
        if verdict is None:
            return None
        if verdict:
            self.returns += self.calm_since is not None
            self.calm_since = None
            return None
        if self.returns >= 3:
            self.calm_since = self.calm_since or now
            return None
        return self.close(now)

    def open(self, now: datetime) -> bool:
        again = self.closed_at is not None and now - self.closed_at <= timedelta(days=1)
        self.returns = self.returns + 1 if again else 0
        self.is_open = True
        return True

    def close(self, now: datetime) -> bool:
        self.is_open, self.closed_at, self.calm_since = False, now, None
        return False


def play(setup: Setup, runs: Sequence[Run], looks: Sequence[tuple[datetime, datetime | None]]) -> list[Change]:
    """Look at each of these moments (with the newest end of an interruption of ours) and note what changed."""
    changes: list[Change] = []
    incidents = {kind: Incident(sticky=kind == "implausible_zero") for kind in RULES}
    for now, resumed_at in looks:
        known = sorted((run for run in runs if run.arrives_at <= now), key=lambda run: run.ended_at)
        look = Look(setup, known, now, resumed_at)
        for kind, rule in RULES.items():
            opened = incidents[kind].hear(rule(look), now)
            if opened is not None:
                changes.append(Change(now, kind, opened))
    return changes
