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

from alerts.facts import SEVERITIES, Checked, Finding, Severity, Subject, Tells, fingerprint
from alerts.wording import count_words, duration_words

ChangeKind = Literal[
    "opened", "seen_again", "severity", "updated", "closed", "reopened", "ack_ended", "snooze_ended",
    "acknowledged", "unacknowledged", "snoozed", "assigned", "unassigned",
    "calming", "clear_proposed", "clear_withdrawn", "kept_under", "speaks_up", "silence_ended",
    "ticket_status", "ticket_person", "ticket_message",
]  # fmt: skip


@dataclass(frozen=True)
class Life:
    """How a tenant's incidents live.

    A closed incident whose finding returns within ``reopen_within`` is the same incident again. One that was reopened
    ``flaps`` times (0 never) stays open until the problem has been gone for ``calm``. Symptoms are quiet for ``grace``
    after their cause has ended.
    """

    reopen_within: timedelta = timedelta(days=1)
    flaps: int = 3
    calm: timedelta = timedelta(days=1)
    grace: timedelta = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class IncidentValues:
    """An incident as stored. ``occurrence``, ``deadline`` and ``repeat_every`` are those of the finding last written.

    ``acknowledged_until`` None with ``acknowledged_at`` set lasts as long as the problem. ``closed_by_hand`` tells
    that a person closed it: then only a new occurrence reopens it. ``last_told_at`` is the newest confirmed telling
    or reminder. ``escalated`` is the severity that age alone brought it to, ``escalate_at`` the next step.
    ``calm_since``: the problem is gone for now, but it has come back too often. ``clear_proposed_at``: the rule of a
    sticky incident finds nothing any more, and a person decides.
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
    tells: Tells = "ticket"
    hold_minutes: int | None = None
    escalate_every: timedelta | None = None
    escalate_at: datetime | None = None
    escalated: Severity | None = None
    calm_since: datetime | None = None
    clear_proposed_at: datetime | None = None
    clear_reason: str = ""

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
    checked: Iterable[Checked], incidents: Iterable[IncidentValues], *, now: datetime, life: Life | None = None
) -> tuple[Change, ...]:
    """The changes that follow, in order of fingerprint; several of one incident build on each other."""
    known, life = _newest_by_fingerprint(incidents), life or Life()
    # Most answers are clean and about nothing known: they are put aside before anything is made of them.
    open_subjects = {(one.kind, one.subject) for one in known.values() if one.state == "open"}
    news = [one for one in checked if isinstance(one.answer, Finding) or (one.kind, one.subject) in open_subjects]
    changes: list[Change] = []
    for one in _worst_by_fingerprint(news):
        changes.extend(_decide_one(one, known.get(one.fingerprint), now=now, life=life))
    return tuple(changes)


def passed_time(incident: IncidentValues, *, now: datetime, life: Life | None = None) -> tuple[Change, ...]:
    """What time alone does to an open incident: an acknowledgement or snooze runs out (and says so, once), age raises
    its severity, and one that came back too often closes when it has been calm for long enough.
    """
    if incident.state != "open":
        return ()
    life = life or Life()
    if incident.calm_since is not None and now >= incident.calm_since + life.calm:
        reason = f"It has not come back for {duration_words(life.calm)}."
        return (_close(incident, reason=reason, now=now),)
    ended = _end_quiet(incident, now, still=_still(incident))
    return (*ended, *_grow_older(ended[-1].after if ended else incident, now))


def _still(incident: IncidentValues) -> str:
    """How the problem stands, for the words of an acknowledgement or snooze that runs out."""
    if incident.clear_proposed_at is not None:
        return "it still waits for a person to accept it"
    return "the problem is still there" if incident.calm_since is None else "the problem is gone for now"


def _end_quiet(incident: IncidentValues, now: datetime, *, still: str) -> tuple[Change, ...]:
    """The acknowledgement and the snooze, as far as they have run out."""
    changes: list[Change] = []
    if incident.acknowledged_until is not None and incident.acknowledged_until <= now:
        after = replace(incident, acknowledged_at=None, acknowledged_until=None)
        reason = f"The acknowledgement has run out and {still}."
        changes.append(Change(kind="ack_ended", reason=reason, before=incident, after=after))
        incident = after
    if incident.snoozed_until is not None and incident.snoozed_until <= now:
        after = replace(incident, snoozed_until=None)
        reason = f"The snooze has run out and {still}."
        changes.append(Change(kind="snooze_ended", reason=reason, before=incident, after=after))
    return tuple(changes)


def _grow_older(incident: IncidentValues, now: datetime) -> tuple[Change, ...]:
    """One step of severity for each such time that it is open; not while the problem is gone for now."""
    if incident.escalate_at is None or incident.escalate_every is None or incident.escalate_at > now:
        return ()
    if incident.severity == SEVERITIES[-1] or incident.calm_since is not None:
        return ()
    steps = 1 + (now - incident.escalate_at) // incident.escalate_every
    severity = SEVERITIES[min(SEVERITIES.index(incident.severity) + steps, len(SEVERITIES) - 1)]
    following = incident.escalate_at + steps * incident.escalate_every
    after = replace(
        incident,
        severity=severity,
        escalated=severity,
        escalate_at=None if severity == SEVERITIES[-1] else following,
    )
    age = duration_words(now - incident.opened_at)
    reason = f"It has been open for {age}: severity raised from {incident.severity} to {severity}."
    return (Change(kind="severity", reason=reason, before=incident, after=after),)


def apply_changes(incidents: Iterable[IncidentValues], changes: Iterable[Change]) -> tuple[IncidentValues, ...]:
    """The incidents after the changes, by fingerprint: what writing them to the database comes to."""
    values = _newest_by_fingerprint(incidents) | {change.fingerprint: change.after for change in changes}
    return tuple(values[key] for key in sorted(values))


def _decide_one(one: Checked, incident: IncidentValues | None, *, now: datetime, life: Life) -> tuple[Change, ...]:
    if isinstance(one.answer, Finding):
        return _decide_finding(one, one.answer, incident, now=now, life=life)
    if incident is None or incident.state != "open":
        return ()
    # First that it is gone: then nothing says that it is still there, and no age raises what is over.
    cleared = () if one.answer is not None else _decide_clean(one, incident, now=now, life=life)
    return (*cleared, *passed_time(cleared[-1].after if cleared else incident, now=now, life=life))


def _decide_clean(one: Checked, incident: IncidentValues, *, now: datetime, life: Life) -> tuple[Change, ...]:
    """Nothing is found any more: a sticky incident asks a person, one that came back too often waits, others close."""
    if incident.sticky:
        if incident.clear_proposed_at is not None:
            return ()
        after = replace(incident, clear_proposed_at=now, clear_reason=one.closing_words)
        reason = f"It could be closed, and waits for a person to accept it: {one.closing_words}"
        return (Change(kind="clear_proposed", reason=reason, before=incident, after=after),)
    if life.flaps and incident.reopened_count >= life.flaps:
        if incident.calm_since is not None:
            return ()
        reason = (
            f"{one.closing_words} It came back {count_words(incident.reopened_count, 'time')}: it closes after "
            f"{duration_words(life.calm)} without it."
        )
        after = replace(incident, calm_since=now)
        return (Change(kind="calming", reason=reason, before=incident, after=after),)
    return (_close(incident, reason=one.closing_words, now=now),)


def _decide_finding(
    one: Checked, finding: Finding, incident: IncidentValues | None, *, now: datetime, life: Life
) -> tuple[Change, ...]:
    if incident is not None and incident.state == "open":
        ended = _end_quiet(incident, now, still="the problem is still there")
        changes = (*ended, *_see_again(one, finding, ended[-1].after if ended else incident, now=now))
        return (*changes, *_grow_older(changes[-1].after if changes else incident, now))
    if incident is None or not _is_recent(incident, now=now, reopen_within=life.reopen_within):
        return (_open(one, finding, now=now),)
    if incident.closed_by_hand and finding.occurrence == incident.occurrence:
        return ()
    return (_reopen(one, finding, incident, now=now),)


def _is_recent(incident: IncidentValues, *, now: datetime, reopen_within: timedelta) -> bool:
    return incident.closed_at is not None and now - incident.closed_at <= reopen_within


def _open(one: Checked, finding: Finding, *, now: datetime) -> Change:
    after = IncidentValues(
        kind=finding.kind,
        subject=finding.subject,
        opened_at=now,
        seen_count=finding.repeats or 1,
        escalate_at=_after(now, one.escalate_every),
        **_told_by(one, finding, now=now),
    )
    return Change(kind="opened", reason=finding.summary, before=None, after=after)


def _after(moment: datetime, duration: timedelta | None) -> datetime | None:
    return None if duration is None else moment + duration


def _reopen(one: Checked, finding: Finding, incident: IncidentValues, *, now: datetime) -> Change:
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
        escalated=None,
        escalate_at=_after(now, one.escalate_every),
        calm_since=None,
        clear_proposed_at=None,
        clear_reason="",
        **_told_by(one, finding, now=now),
    )
    return Change(kind="reopened", reason=f"It is back: {finding.summary}", before=incident, after=after)


def _see_again(one: Checked, finding: Finding, incident: IncidentValues, *, now: datetime) -> tuple[Change, ...]:
    """At most one event: a changed severity outranks a return, a return a repeat, a repeat changed words."""
    repeated = finding.occurrence != incident.occurrence
    counted = finding.repeats or incident.seen_count + 1
    told = _told_by(one, finding, now=now if repeated else incident.last_seen_at)
    told["severity"] = max(finding.severity, incident.escalated or finding.severity, key=SEVERITIES.index)
    if finding.since_first_seen:
        told["since"] = incident.since
    if one.escalate_every != incident.escalate_every:
        told["escalate_at"] = _after(incident.opened_at, one.escalate_every)
    back = incident.calm_since is not None or incident.clear_proposed_at is not None
    after = replace(
        incident,
        seen_count=counted if repeated else incident.seen_count,
        reopened_count=incident.reopened_count + (incident.calm_since is not None),
        calm_since=None,
        clear_proposed_at=None,
        clear_reason="",
        **told,
    )
    if after == incident:
        return ()
    kind: ChangeKind = "seen_again" if repeated else "updated"
    reason = finding.summary
    if back:
        kind, reason = "clear_withdrawn", f"It is back: {finding.summary}"
    if after.severity != incident.severity:
        kind = "severity"
        reason = f"Severity changed from {incident.severity} to {after.severity}: {finding.summary}"
    return (Change(kind=kind, reason=reason, before=incident, after=after),)


def _told_by(one: Checked, finding: Finding, *, now: datetime) -> dict[str, Any]:
    """The values of an incident that follow its finding and the settings of its rule."""
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
        "tells": one.tells,
        "hold_minutes": one.hold_minutes,
        "escalate_every": one.escalate_every,
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
        calm_since=None,
        escalate_at=None,
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
