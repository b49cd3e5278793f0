"""From the rules' answers to changes of incidents: a pure decision with its reason in words.

Evaluating hands over what was checked and the incidents known of those fingerprints (open ones, and the newest closed
one), and writes the changes. Deciding twice on the same answers changes nothing. Only what was checked can close; what
cannot be checked, or waits for unread logs, stays as it is. When people are told is the matter of ``alerts.telling``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from alerts.facts import SEVERITIES, Checked, Finding, Severity, Subject, fingerprint

#: A closed incident whose finding returns within this time is the same incident again.
REOPEN_WITHIN = timedelta(days=1)

ChangeKind = Literal[
    "opened", "seen_again", "severity", "updated", "closed", "reopened", "ack_ended", "snooze_ended",
    "acknowledged", "unacknowledged", "snoozed",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class IncidentValues:
    """An incident as stored. ``occurrence``, ``deadline`` and ``repeat_every`` are those of the finding last written.

    ``acknowledged_until`` None with ``acknowledged_at`` set lasts as long as the problem. ``closed_by_hand`` tells
    that a person closed it: then only a new occurrence reopens it. ``last_told_at`` is the newest confirmed telling
    or reminder.
    """

    kind: str
    subject: Subject
    severity: Severity
    summary: str
    since: datetime
    opened_at: datetime
    last_seen_at: datetime
    occurrence: str
    incident_id: int | None = None
    state: Literal["open", "closed"] = "open"
    deadline: datetime | None = None
    repeat_every: timedelta | None = None
    sticky: bool = False
    observed: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    seen_count: int = 1
    reopened_count: int = 0
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None
    snoozed_until: datetime | None = None
    told_at: datetime | None = None
    last_told_at: datetime | None = None
    closed_at: datetime | None = None
    close_reason: str = ""
    closed_by_hand: bool = False

    @property
    def fingerprint(self) -> str:
        """Identity within the tenant."""
        return fingerprint(self.kind, self.subject)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One event of one incident. ``before`` is None for a new incident; ``after`` holds every value as it is then."""

    kind: ChangeKind
    reason: str
    before: IncidentValues | None
    after: IncidentValues

    @property
    def fingerprint(self) -> str:
        """Identity of the incident that changes."""
        return self.after.fingerprint


def decide(
    checked: Iterable[Checked],
    incidents: Iterable[IncidentValues],
    *,
    now: datetime,
    reopen_within: timedelta = REOPEN_WITHIN,
) -> tuple[Change, ...]:
    """The changes that follow, in order of fingerprint; several of one incident build on each other."""
    known = _newest_by_fingerprint(incidents)
    changes: list[Change] = []
    for one in _worst_by_fingerprint(checked):
        incident = known.get(one.fingerprint)
        changes.extend(_decide_one(one, incident, now=now, reopen_within=reopen_within))
    return tuple(changes)


def ended_windows(incident: IncidentValues, *, now: datetime) -> tuple[Change, ...]:
    """An acknowledgement or snooze that has run out while the problem is still there says so, once."""
    changes: list[Change] = []
    if incident.state != "open":
        return ()
    if incident.acknowledged_until is not None and incident.acknowledged_until <= now:
        after = replace(incident, acknowledged_at=None, acknowledged_until=None)
        reason = "The acknowledgement has run out and the problem is still there."
        changes.append(Change(kind="ack_ended", reason=reason, before=incident, after=after))
        incident = after
    if incident.snoozed_until is not None and incident.snoozed_until <= now:
        after = replace(incident, snoozed_until=None)
        reason = "The snooze has run out and the problem is still there."
        changes.append(Change(kind="snooze_ended", reason=reason, before=incident, after=after))
    return tuple(changes)


def apply_changes(incidents: Iterable[IncidentValues], changes: Iterable[Change]) -> tuple[IncidentValues, ...]:
    """The incidents after the changes, by fingerprint: what writing them to the database comes to."""
    values = _newest_by_fingerprint(incidents) | {change.fingerprint: change.after for change in changes}
    return tuple(values[key] for key in sorted(values))


def _decide_one(
    one: Checked, incident: IncidentValues | None, *, now: datetime, reopen_within: timedelta
) -> tuple[Change, ...]:
    if isinstance(one.answer, Finding):
        return _decide_finding(one.answer, incident, now=now, reopen_within=reopen_within)
    if incident is None or incident.state != "open":
        return ()
    if one.answer is None and not incident.sticky:
        return (_close(incident, reason=one.closing_words, now=now),)
    return ended_windows(incident, now=now)


def _decide_finding(
    finding: Finding, incident: IncidentValues | None, *, now: datetime, reopen_within: timedelta
) -> tuple[Change, ...]:
    if incident is not None and incident.state == "open":
        ended = ended_windows(incident, now=now)
        return (*ended, *_see_again(finding, ended[-1].after if ended else incident, now=now))
    if incident is None or not _is_recent(incident, now=now, reopen_within=reopen_within):
        return (_open(finding, now=now),)
    if incident.closed_by_hand and finding.occurrence == incident.occurrence:
        return ()
    return (_reopen(finding, incident, now=now),)


def _is_recent(incident: IncidentValues, *, now: datetime, reopen_within: timedelta) -> bool:
    return incident.closed_at is not None and now - incident.closed_at <= reopen_within


def _open(finding: Finding, *, now: datetime) -> Change:
    after = IncidentValues(
        kind=finding.kind,
        subject=finding.subject,
        opened_at=now,
        seen_count=finding.repeats or 1,
        **_told_by(finding, now=now),
    )
    return Change(kind="opened", reason=finding.summary, before=None, after=after)


def _reopen(finding: Finding, incident: IncidentValues, *, now: datetime) -> Change:
    """The hold begins anew, and what people had said about the earlier round ended with it."""
    after = replace(
        incident,
        state="open",
        opened_at=now,
        reopened_count=incident.reopened_count + 1,
        seen_count=finding.repeats or 1,
        told_at=None,
        last_told_at=None,
        closed_at=None,
        close_reason="",
        closed_by_hand=False,
        **_told_by(finding, now=now),
    )
    return Change(kind="reopened", reason=f"It is back: {finding.summary}", before=incident, after=after)


def _see_again(finding: Finding, incident: IncidentValues, *, now: datetime) -> tuple[Change, ...]:
    """At most one event: a changed severity outranks a repeat, a repeat outranks changed words."""
    repeated = finding.occurrence != incident.occurrence
    counted = finding.repeats or incident.seen_count + 1
    told = _told_by(finding, now=now if repeated else incident.last_seen_at)
    if finding.since_first_seen:
        told["since"] = incident.since
    after = replace(incident, seen_count=counted if repeated else incident.seen_count, **told)
    if after == incident:
        return ()
    if finding.severity != incident.severity:
        reason = f"Severity changed from {incident.severity} to {finding.severity}: {finding.summary}"
        return (Change(kind="severity", reason=reason, before=incident, after=after),)
    kind: ChangeKind = "seen_again" if repeated else "updated"
    return (Change(kind=kind, reason=finding.summary, before=incident, after=after),)


def _told_by(finding: Finding, *, now: datetime) -> dict[str, Any]:
    """The values of an incident that follow its finding."""
    return {
        "severity": finding.severity,
        "summary": finding.summary,
        "since": finding.since,
        "last_seen_at": now,
        "occurrence": finding.occurrence,
        "deadline": finding.deadline,
        "repeat_every": finding.repeat_every,
        "sticky": finding.sticky,
        "evidence": finding.evidence,
        "lines": finding.lines,
    }


def _close(incident: IncidentValues, *, reason: str, now: datetime) -> Change:
    """Acknowledgement and snooze end with their problem."""
    after = replace(
        incident,
        state="closed",
        closed_at=now,
        close_reason=reason,
        acknowledged_at=None,
        acknowledged_until=None,
        snoozed_until=None,
    )
    return Change(kind="closed", reason=reason, before=incident, after=after)


def _newest_by_fingerprint(incidents: Iterable[IncidentValues]) -> dict[str, IncidentValues]:
    """An open incident before a closed one, the one closed last before those closed earlier."""
    by_age = sorted(incidents, key=lambda one: (one.state == "open", one.closed_at or one.opened_at))
    return {one.fingerprint: one for one in by_age}


def _worst_by_fingerprint(checked: Iterable[Checked]) -> list[Checked]:
    """One answer a fingerprint, should two come: a finding before any other, the worse before the milder."""
    by_badness = sorted(checked, key=_badness)
    return [one for _, one in sorted({one.fingerprint: one for one in by_badness}.items())]


def _badness(one: Checked) -> int:
    if isinstance(one.answer, Finding):
        return 2 + SEVERITIES.index(one.answer.severity)
    return 0 if one.answer is None else 1
