"""When an incident is told to people: hold, deadline, repeats, silences, acknowledgement, snooze, reminders.

An incident opens at once, but by default nobody is told before its deadline, its third repeat, or 60 minutes without a
good run; a hold of 0 tells at once. Silences, snoozes and acknowledgements push that moment. Evaluating stores the
moment, ticketing acts on it. Pure: every function answers with a moment, and None where no moment can be named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.deciding import IncidentValues
from alerts.wording import moment_words


@dataclass(frozen=True, kw_only=True)
class Hold:
    """How long to wait before the first telling: ``minutes`` 0 not at all; ``repeats`` 0 is never cut short by them."""

    minutes: int = 60
    repeats: int = 3


@dataclass(frozen=True, kw_only=True)
class SilenceWindow:
    """A window in which incidents open but nobody is told; the end is outside. ``ends_at`` None has no end yet.

    ``what`` says in words what keeps them quiet; empty for a silence.
    """

    starts_at: datetime
    ends_at: datetime | None
    reason: str = ""
    what: str = ""

    def covers(self, moment: datetime) -> bool:
        """Whether the moment is within the window."""
        return self.starts_at <= moment and (self.ends_at is None or moment < self.ends_at)


@dataclass(frozen=True, kw_only=True)
class Telling:
    """``at`` None: no moment can be named. ``because`` is a sentence for the incident's page."""

    at: datetime | None
    because: str


def when_to_tell(
    incident: IncidentValues, hold: Hold, now: datetime, *, silences: Iterable[SilenceWindow] = (), zone: str = "UTC"
) -> Telling:
    """When to tell an incident for the first time; a moment not later than ``now`` means: now."""
    if incident.state != "open":
        return Telling(at=None, because="The incident is closed.")
    if incident.told_at is not None:
        return Telling(at=None, because=f"People were told on {moment_words(incident.told_at, zone)}.")
    if incident.observed:
        return Telling(at=None, because="It is only observed: nobody is told until it is enabled.")
    if incident.tells == "report":
        return Telling(at=None, because="Its rule stands in lists and reports and opens no ticket.")
    if incident.calm_since is not None:
        return Telling(at=None, because="The problem is gone for now; it is watched because it came back too often.")
    earliest, because = _end_of_hold(incident, hold)
    return _push(incident, Telling(at=earliest, because=because), now=now, silences=tuple(silences), zone=zone)


def when_to_remind(
    incident: IncidentValues,
    repeat_every: timedelta | None,
    now: datetime,
    *,
    silences: Iterable[SilenceWindow] = (),
    zone: str = "UTC",
) -> Telling:
    """When to remind people of an incident they were told of. The rule's own interval goes before the route's."""
    interval = repeat_every if incident.repeat_every is None else incident.repeat_every
    last = incident.last_told_at or incident.told_at
    if incident.state != "open" or last is None or incident.observed or incident.calm_since is not None:
        return Telling(at=None, because="There is nothing to remind of.")
    if not interval:
        return Telling(at=None, because="Reminders are switched off.")
    reminder = Telling(at=last + interval, because="The reminder interval has passed.")
    return _push(incident, reminder, now=now, silences=tuple(silences), zone=zone)


def next_check_after(
    incident: IncidentValues,
    hold: Hold,
    now: datetime,
    *,
    repeat_every: timedelta | None = None,
    silences: Iterable[SilenceWindow] = (),
    calm: timedelta = timedelta(days=1),
) -> datetime | None:
    """The earliest moment later than now at which time alone changes something for this incident."""
    if incident.state != "open":
        return None
    windows = tuple(silences)
    moments = [
        when_to_tell(incident, hold, now, silences=windows).at,
        when_to_remind(incident, repeat_every, now, silences=windows).at,
        incident.acknowledged_until,
        incident.snoozed_until,
        incident.escalate_at,
        None if incident.calm_since is None else incident.calm_since + calm,
        *(window.ends_at for window in windows if window.covers(now)),
    ]
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def _end_of_hold(incident: IncidentValues, hold: Hold) -> tuple[datetime, str]:
    """The earliest of hold, deadline and Nth repeat, never before the incident was opened."""
    if not hold.minutes:
        return incident.opened_at, "This kind of incident is told at once."
    candidates = [
        (incident.opened_at + timedelta(minutes=hold.minutes), f"No good run came within {hold.minutes} minutes.")
    ]
    if incident.deadline is not None:
        candidates.append((max(incident.opened_at, incident.deadline), "The deadline has passed."))
    if hold.repeats and incident.seen_count >= hold.repeats:
        candidates.append((max(incident.opened_at, incident.last_seen_at), f"It happened {incident.seen_count} times."))
    return min(candidates)


def _push(
    incident: IncidentValues, telling: Telling, *, now: datetime, silences: tuple[SilenceWindow, ...], zone: str
) -> Telling:
    """Move a moment past everything that asks for quiet, until nothing covers it any more."""
    while telling.at is not None:
        pushed = _push_once(incident, max(telling.at, now), silences=silences, zone=zone)
        if pushed is None:
            return telling
        telling = pushed
    return telling


def _push_once(
    incident: IncidentValues, moment: datetime, *, silences: tuple[SilenceWindow, ...], zone: str
) -> Telling | None:
    """What keeps the moment quiet and until when; None if nothing does."""
    if incident.acknowledged_at is not None:
        if incident.acknowledged_until is None:
            return Telling(at=None, because="It is acknowledged until the problem ends.")
        if moment < incident.acknowledged_until:
            return _until(incident.acknowledged_until, "It is acknowledged", zone=zone)
    if incident.snoozed_until is not None and moment < incident.snoozed_until:
        return _until(incident.snoozed_until, "It is snoozed", zone=zone)
    for window in silences:
        if window.covers(moment):
            what = window.what or f"It is silenced ({window.reason or 'maintenance'})"
            return _until(window.ends_at, what, zone=zone)
    return None


def _until(end: datetime | None, what: str, *, zone: str) -> Telling:
    words = "without an end" if end is None else f"until {moment_words(end, zone)}"
    return Telling(at=end, because=f"{what} {words}.")
