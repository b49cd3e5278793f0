"""Channel unreadable: logs still come, but most of the newest cannot be read, where nearly all could before.

A vendor changed its mails, or something else is sent here now. While it lasts, the jobs behind it are not heard, not
missed; the logs wait in the inbox and are read again once the cause is mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Answer, CannotCheck, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import ChannelFacts
from alerts.params import check_limits, whole_number
from alerts.rules.channel_silent import NAMES
from alerts.wording import moment_words

KIND = "channel_unreadable"
LABEL = "Channel unreadable"
SUBJECT: SubjectKind = "channel"
ENABLED = True
SEVERITY: Severity = "critical"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = True

#: Before the newest logs there must be so many others that say what is usual, and at most so many percent unreadable.
_USUAL, _USUAL_UNREADABLE = 10, 5


@dataclass(frozen=True)
class Params:
    """How many of the newest logs must be unreadable."""

    newest: int = whole_number(
        6, label="Newest logs", unit="logs", at_least=3, at_most=20, help="So many of the newest logs are looked at."
    )
    unreadable: int = whole_number(
        3, label="Unreadable", unit="logs", at_least=2, at_most=20,
        help="So many of them, and at least half, must be unreadable.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: ChannelFacts, params: Params, now: datetime) -> Answer:
    """A finding from the newest logs against those before them."""
    if not facts.active:
        return None
    first = next((number for number, (_, readable) in enumerate(facts.recent) if not readable), None)
    if first is None:
        return None
    newest = facts.recent[-params.newest :]
    bad = [at for at, readable in newest if not readable]
    if len(bad) < params.unreadable or 2 * len(bad) < len(newest):
        return None
    usual = _usual(facts, params)
    if len(usual) < _USUAL:
        reason = f"Only {len(usual)} earlier logs say what is usual here."
        return CannotCheck(kind=KIND, subject=facts.subject, reason=reason)
    if sum(not readable for readable in usual) * 100 > _USUAL_UNREADABLE * len(usual):
        return CannotCheck(kind=KIND, subject=facts.subject, reason="Unreadable logs were usual here before, too.")
    return _finding(facts, bad)


def check_after(facts: ChannelFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further log changes this answer."""
    return None


def closing_words(facts: ChannelFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule closes."""
    if not facts.active:
        return f"{NAMES[facts.kind]} {facts.name} is no longer active."
    return f"The newest logs of {NAMES[facts.kind].lower()} {facts.name} can be read again."


def _usual(facts: ChannelFacts, params: Params) -> list[bool]:
    """Those before the row of trouble: what came before the newest ones, without the unreadable ones at its end."""
    earlier = [readable for _, readable in facts.recent[: -params.newest]]
    while earlier and not earlier[-1]:
        earlier.pop()
    return earlier


def _finding(facts: ChannelFacts, bad: list[datetime]) -> Finding:
    since = _since(facts)
    name = f"{NAMES[facts.kind].lower()} {facts.name}".rstrip()
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=f"Logs of {name} cannot be read since {moment_words(since, facts.zone)}: {len(bad)} of the newest, "
        "where nearly all could be read before. They wait in the inbox.",
        since=since,
        occurrence=since.isoformat(),
        evidence={"unreadable_since": since.isoformat(), "unreadable": len(bad), "jobs": facts.jobs},
    )


def _since(facts: ChannelFacts) -> datetime:
    """The first unreadable one after the last log that came before it and could be read, two in a row at least."""
    since = next(at for at, readable in reversed(facts.recent) if not readable)
    readable_before = 0
    for at, readable in reversed(facts.recent):
        if not readable:
            since, readable_before = at, 0
        else:
            readable_before += 1
            if readable_before == 2:
                break
    return since
