"""Quota overrun: the protected (or stored) size of a client nears or passes its agreed ceiling.

Protected is the figure that is billed, each selection once. It is checked with every backup that comes in; each warning
step and the ceiling itself are told once, and people are reminded at this rule's own interval. A ceiling may be
reached: only more than it is over. What follows a long overrun is told beforehand; ``alerts.quota_actions`` does it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from alerts.facts import Answer, CannotCheck, ClientFacts, Finding, Severity, SubjectKind, Tells
from alerts.params import BadParams, check_limits, choice, whole_number
from alerts.wording import count_words, moment_words, size_words

KIND = "quota_overrun"
LABEL = "Quota overrun"
SUBJECT: SubjectKind = "client"
ENABLED = True
SEVERITY: Severity = "warning"
HOLD_MINUTES: int | None = None
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """Which size counts, from which shares of the quota on, how often to remind, and what follows a long overrun."""

    metric: str = choice(
        "protected", options=(("protected", "protected size"), ("stored", "stored size")), label="Size",
        help="Which size is held against the quota: that at the source, or what it takes where it is kept.",
    )  # fmt: skip
    warn_percent: int = whole_number(
        90, label="Warn at", unit="percent", at_least=1, at_most=100,
        help="Share of the quota from which on there is a warning.",
    )  # fmt: skip
    second_warn_percent: int = whole_number(
        95, label="Warn again at", unit="percent", at_least=0, at_most=100,
        help="Share of the quota at which people are warned again; 0 for no such step.",
    )  # fmt: skip
    third_warn_percent: int = whole_number(
        0, label="Warn a third time at", unit="percent", at_least=0, at_most=100,
        help="Share of the quota at which people are warned a third time; 0 for no such step.",
    )  # fmt: skip
    over_percent: int = whole_number(
        100, label="Over at more than", unit="percent", at_least=100, at_most=1000,
        help="Share of the quota above which it is critical. 100 is the quota itself; more allows an overrun.",
    )  # fmt: skip
    repeat_days: int = whole_number(
        7, label="Remind every", unit="days", at_least=0, at_most=366,
        help="How often people are reminded while it lasts; 0 never.",
    )  # fmt: skip
    action: str = choice(
        "nothing",
        options=(("nothing", "nothing"), ("propose", "propose to suspend"), ("suspend", "suspend the client")),
        label="After a long overrun",
        help="What follows if it stays over. Suspending ends billing and watching; it is told beforehand.",
    )  # fmt: skip
    action_after_days: int = whole_number(
        14, label="A long overrun is", unit="days", at_least=1, at_most=366,
        help="How long it has to be over without a break before that follows.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)

    def check_together(self, chosen: Collection[str]) -> None:
        """Raises BadParams where the steps that people chose do not rise: the later one would never be told."""
        steps = [(name, value) for name, value in self._steps() if value and name in chosen]
        for (_, lower), (name, higher) in pairwise(steps):
            if higher <= lower:
                raise BadParams(name, f"The steps of the warning must rise: {higher} percent comes after {lower}.")

    def step(self, size: int, quota: int) -> int:
        """The highest step that is reached, 0 for none. A step that does not rise above those before it is none."""
        reached = highest = 0
        for _, step in self._steps():
            if step > highest:
                highest = step
                reached = step if size * 100 >= quota * step else reached
        return reached

    def _steps(self) -> list[tuple[str, int]]:
        names = ("warn_percent", "second_warn_percent", "third_warn_percent")
        return [(name, getattr(self, name)) for name in names]


@dataclass(frozen=True)
class _Measured:
    """What is compared, none of it missing."""

    size: int
    quota: int
    at: datetime
    metric: str

    def is_over(self, params: Params) -> bool:
        return self.size * 100 > self.quota * params.over_percent


def check(facts: ClientFacts, params: Params, now: datetime) -> Answer:
    """A finding from the newest measured size; nothing measured cannot be checked, no quota has nothing to check."""
    if not facts.active or facts.quota_bytes is None:
        return None
    measured = _measured(facts, params, quota=facts.quota_bytes)
    if measured is None:
        reason = f"No {params.metric} size was ever measured for this client."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if measured.is_over(params) or params.step(measured.size, measured.quota):
        return _finding(facts, params, measured, now=now)
    return None


def check_after(facts: ClientFacts, params: Params, now: datetime) -> datetime | None:
    """The moment at which the overrun is a long one; else only a further measurement changes this answer."""
    if not facts.active or facts.quota_bytes is None:
        return None
    measured = _measured(facts, params, quota=facts.quota_bytes)
    if measured is None or not measured.is_over(params):
        return None
    due = _action_at(facts, params)
    return due if due is not None and now < due else None


def closing_words(facts: ClientFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return "The client is no longer active."
    measured = None if facts.quota_bytes is None else _measured(facts, params, quota=facts.quota_bytes)
    if measured is None:
        return "No quota is agreed for this client any more."
    sizes = f"{size_words(measured.size)} of {size_words(measured.quota)}"
    return f"The {measured.metric} size is back at {sizes}, under {params.warn_percent} % of the quota."


def _measured(facts: ClientFacts, params: Params, *, quota: int) -> _Measured | None:
    stored = params.metric == "stored"
    size, at = (facts.stored_bytes, facts.stored_at) if stored else (facts.protected_bytes, facts.measured_at)
    return None if size is None or at is None else _Measured(size=size, quota=quota, at=at, metric=params.metric)


def _action_at(facts: ClientFacts, params: Params) -> datetime | None:
    """When the overrun is a long one; None if nothing follows, or before it is known since when it lasts."""
    if params.action == "nothing" or facts.over_since is None:
        return None
    return facts.over_since + timedelta(days=params.action_after_days)


def _finding(facts: ClientFacts, params: Params, measured: _Measured, *, now: datetime) -> Finding:
    over = measured.is_over(params)
    action_at = _action_at(facts, params) if over else None
    due = action_at is not None and action_at <= now
    step = "over" if over else f"{params.step(measured.size, measured.quota)} percent"
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity="critical" if over else SEVERITY,
        summary=_summary(facts, params, measured)
        + _action_words(params, zone=facts.zone, over=over, action_at=action_at, due=due),
        since=measured.at,
        since_first_seen=True,
        occurrence=f"{measured.metric} {step}{', action due' if due else ''}",
        deadline=measured.at,
        repeat_every=timedelta(days=params.repeat_days),
        evidence={
            f"{measured.metric}_bytes": measured.size,
            "quota_bytes": measured.quota,
            "measured_at": measured.at.isoformat(),
            "step": step,
            "over": over,
            "over_since": facts.over_since.isoformat() if over and facts.over_since else None,
            "action": params.action if due else "nothing",
            "action_at": action_at.isoformat() if action_at else None,
            "selections": _largest_first(facts),
        },
    )


def _summary(facts: ClientFacts, params: Params, measured: _Measured) -> str:
    sizes = f"{size_words(measured.size)} {measured.metric} of {size_words(measured.quota)} agreed"
    share = f" ({measured.size * 100 // measured.quota} %)" if measured.quota else ""
    if measured.is_over(params):
        limit = "over the quota" if params.over_percent == 100 else f"over {params.over_percent} % of the quota"
    else:
        limit = f"at or above the warning level of {params.step(measured.size, measured.quota)} %"
    return f"{sizes}{share}, {limit}; measured on {moment_words(measured.at, facts.zone)}."


def _action_words(params: Params, *, zone: str, over: bool, action_at: datetime | None, due: bool) -> str:
    """What follows a long overrun, from its first day on: the first telling may be the only one before it happens."""
    if not over or params.action == "nothing":
        return ""
    days = count_words(params.action_after_days, "day")
    follows = "the client is suspended" if params.action == "suspend" else "it is proposed to suspend the client"
    if due:
        return f" It has been over for {days}: {follows}."
    if action_at is None:
        return f" If it stays over for {days}, {follows}."
    return f" If it is still over on {moment_words(action_at, zone)}, {follows}."


def _largest_first(facts: ClientFacts) -> list[dict[str, object]]:
    measured = sorted(facts.selections, key=lambda one: (-(one.protected_bytes or 0), one.selection_id))
    return [
        {"selection_id": one.selection_id, "selection": one.selection, "protected_bytes": one.protected_bytes}
        for one in measured
    ]
