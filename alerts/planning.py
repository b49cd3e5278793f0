"""What is to be written of an incident and who hears of it when: route, hold, silence, cause.

Called by ``alerts.incidents`` for every incident that is touched, with everything that one decision looks at loaded
once a batch (``load_surroundings``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from alerts import ticketing
from alerts.causes import RECHECK, Cause, Causes, load_causes
from alerts.deciding import Change, IncidentValues, Life
from alerts.facts import Severity
from alerts.incident_rows import Place, Planned, Stored
from alerts.models import Route, Silence
from alerts.quiet_hours import QuietHours, quiet_windows
from alerts.recurring import Recurrence, windows_of
from alerts.routing import IncidentFacts, NoRoute, Routed, RouteValues, route
from alerts.telling import Hold, SilenceWindow, Telling, next_check_after, when_to_remind, when_to_tell

#: An open incident is looked at again after this long, whatever else.
HEARTBEAT = timedelta(days=1)


#: What a silence covers: its kind of scope and the id there.
Scope = tuple[str, int | None]


@dataclass(frozen=True)
class Surroundings:
    """What decides who hears of an incident, loaded once a batch."""

    routes: tuple[RouteValues, ...]
    silences: Mapping[Scope, Sequence[SilenceWindow]]
    causes: Causes
    life: Life


def load_surroundings(tenant_id: int, *, life: Life, now: datetime) -> Surroundings:
    return Surroundings(
        load_routes(tenant_id), load_silences(tenant_id, now=now), load_causes(tenant_id, life.grace, now=now), life
    )


def load_routes(tenant_id: int) -> tuple[RouteValues, ...]:
    """The tenant's routes; a destination that is switched off takes nothing, so the next matching route does."""
    rows = Route.objects.of(tenant_id).select_related("destination", "tenant").order_by("position")
    return tuple(
        RouteValues(
            route_id=row.pk,
            position=row.position,
            name=row.name,
            enabled=row.enabled and (row.destination is None or row.destination.enabled),
            kinds=frozenset(row.kinds),
            severity_at_least=row.severity_at_least,
            client_ids=frozenset(row.client_ids),
            reseller_ids=frozenset(row.reseller_ids),
            server_ids=frozenset(row.server_ids),
            destination_id=row.destination_id,
            grouping=row.grouping,
            hold_minutes=row.hold_minutes,
            repeat_every=timedelta(hours=row.repeat_hours) if row.repeat_hours else None,
            quiet=quiet_hours_of(row),
            tickets_per_hour=row.destination.tickets_per_hour if row.destination else None,
            language=row.language,
        )
        for row in rows
    )


def quiet_hours_of(row: Route) -> QuietHours | None:
    """The route's quiet hours in the tenant's zone; None when it has none."""
    if row.quiet_from is None and not row.quiet_weekends:
        return None
    return QuietHours(
        zone=row.tenant.timezone,
        begins=row.quiet_from,
        ends=row.quiet_until,
        weekends=row.quiet_weekends,
        unless=cast(Severity, row.quiet_unless) if row.quiet_unless else None,
    )


def load_silences(tenant_id: int, *, now: datetime) -> dict[Scope, list[SilenceWindow]]:
    """The windows that are open or still to come, by what they cover; a schedule is worked out once a batch."""
    windows: dict[Scope, list[SilenceWindow]] = {}
    for one in Silence.objects.of(tenant_id).filter(ends_at__gt=now).order_by("starts_at", "id"):
        windows.setdefault((one.scope_kind, one.scope_id), []).extend(windows_of(recurrence_of(one), now=now))
    return windows


def silences_over(
    place: Place, silences: Mapping[Scope, Sequence[SilenceWindow]], *, tenant_id: int
) -> list[SilenceWindow]:
    """The windows of the silences that cover this place, from now on, earliest first."""
    scopes: tuple[Scope, ...] = (
        ("tenant", tenant_id),
        ("client", place.client_id),
        ("site", place.site_id),
        ("server", place.server_id),
        ("volume", place.volume_id),
        ("selection", place.selection_id),
        ("job", place.job_id),
    )
    covering = [window for scope in scopes for window in silences.get(scope, ())]
    return sorted(covering, key=lambda window: window.starts_at)


def recurrence_of(silence: Silence) -> Recurrence:
    """The stored silence as ``alerts.recurring`` reads it."""
    return Recurrence(
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        schedule=silence.schedule,
        minutes=silence.minutes or 0,
        zone=silence.timezone or "UTC",
        reason=silence.reason or silence.kind,
    )


def plan(
    stored: Stored, changes: tuple[Change, ...], around: Surroundings, *, tenant_id: int, now: datetime
) -> Planned:
    """What is to be written of one incident and who hears of it when."""
    values = replace(changes[-1].after, observed=stored.place.observed) if changes else stored.values
    if any(change.kind == "reopened" for change in changes):
        stored = replace(stored, ticket_id=None, cause_id=None)
    silences = silences_over(stored.place, around.silences, tenant_id=tenant_id)
    cause = around.causes.covering(values, stored.place, now=now)
    changes = (*changes, *surrounding_changes(stored, values, cause, silences, around, now=now))
    stored = replace(
        stored,
        values=values,
        cause_id=cause.incident_id if cause else None,
        silenced_until=silenced_until(silences, now),
    )
    return plan_telling(stored, changes, around, cause=cause, silences=silences, now=now)


def plan_telling(
    stored: Stored,
    changes: tuple[Change, ...],
    around: Surroundings,
    *,
    cause: Cause | None,
    silences: Sequence[SilenceWindow],
    now: datetime,
) -> Planned:
    """When people hear of it, and when time alone changes something."""
    values, zone = stored.values, stored.place.zone
    routed = route(facts_for_route(stored), around.routes)
    hold = hold_of(values, routed)
    repeat_every = routed.repeat_every if isinstance(routed, Routed) else None
    silences = (*silences, *quiet_windows_of(values, routed, now=now))
    telling = when_to_tell(values, hold, now, silences=silences, zone=zone)
    if cause is not None and telling.at is not None:
        telling = kept_under(cause, around.causes, telling, zone=zone)
    reminding = when_to_remind(values, repeat_every, now, silences=silences, zone=zone)
    is_due = telling.at is not None and telling.at <= now
    check = next_check_after(values, hold, now, repeat_every=repeat_every, silences=silences, calm=around.life.calm)
    latest = now + (RECHECK if cause is not None else HEARTBEAT)
    if cause is not None and telling.at is not None and telling.at > now:
        latest = min(latest, telling.at)
    return Planned(
        stored=stored,
        changes=changes,
        routed=routed,
        tell_after=None if is_due and isinstance(routed, NoRoute) and routed.on_purpose else telling.at,
        untold_reason=untold_words(telling, routed) if is_due else telling.because,
        check_after=min(check or latest, latest) if values.state == "open" else None,
        tell_now=is_due and isinstance(routed, Routed) and stored.ticket_id is None,
        remind_now=reminding.at is not None and reminding.at <= now and stored.ticket_id is not None,
    )


def quiet_windows_of(values: IncidentValues, routed: Routed | NoRoute, *, now: datetime) -> tuple[SilenceWindow, ...]:
    """The quiet hours of its route, as far as its severity has to keep to them."""
    if isinstance(routed, NoRoute) or routed.quiet is None or not routed.quiet.holds_for(values.severity):
        return ()
    return quiet_windows(routed.quiet, now=now)


def hold_of(values: IncidentValues, routed: Routed | NoRoute) -> Hold:
    """The setting of the rule or its own hold goes before that of the route."""
    if values.hold_minutes is not None:
        return Hold(minutes=values.hold_minutes)
    return Hold(minutes=routed.hold_minutes) if isinstance(routed, Routed) else Hold()


def kept_under(cause: Cause, causes: Causes, telling: Telling, *, zone: str) -> Telling:
    """While the cause lasts no moment can be named; afterwards the end of the grace."""
    words = causes.words(cause, zone=zone)
    if cause.closed_at is None or telling.at is None:
        return Telling(at=None, because=words)
    return Telling(at=max(telling.at, cause.closed_at + causes.grace), because=words)


def surrounding_changes(
    stored: Stored,
    values: IncidentValues,
    cause: Cause | None,
    silences: Iterable[SilenceWindow],
    around: Surroundings,
    *,
    now: datetime,
) -> Iterator[Change]:
    """What its surroundings did to it since it was last looked at: a cause that covers it or no longer does, the end of
    a silence. Each is said once.
    """
    if values.state != "open":
        return
    if cause is not None and cause.incident_id != stored.cause_id:
        reason = around.causes.words(cause, zone=stored.place.zone)
        yield Change(kind="kept_under", reason=reason, before=values, after=values)
    elif cause is None and stored.cause_id is not None:
        reason = "Its cause has ended, and the problem is still there."
        yield Change(kind="speaks_up", reason=reason, before=values, after=values)
    over = stored.silenced_until is not None and stored.silenced_until <= now
    if over and silenced_until(silences, now) is None:
        reason = "The silence has ended, and the problem is still there."
        yield Change(kind="silence_ended", reason=reason, before=values, after=values)


def silenced_until(silences: Iterable[SilenceWindow], now: datetime) -> datetime | None:
    """The end of the silence that covers this moment; of several the last."""
    return max((one.ends_at for one in silences if one.covers(now) and one.ends_at is not None), default=None)


def untold_words(telling: Telling, routed: Routed | NoRoute) -> str:
    """Why nobody has heard of an incident that is to be told now."""
    return routed.reason if isinstance(routed, NoRoute) else f"{telling.because} A ticket is on its way."


def facts_for_route(stored: Stored) -> IncidentFacts:
    return IncidentFacts(
        kind=stored.values.kind,
        subject=stored.values.subject,
        severity=stored.values.severity,
        client_id=stored.place.client_id,
        reseller_id=stored.place.reseller_id,
        server_id=stored.place.server_id,
        opened_on=stored.values.opened_at.astimezone(ZoneInfo(stored.place.zone)).date(),
    )


def ticket_step(planned: Planned) -> ticketing.Step:
    """What an incident asks of tickets: to be told, to leave, to be mentioned again, or nothing."""
    stored, kinds = planned.stored, {change.kind for change in planned.changes}
    values = stored.values
    return ticketing.Step(
        incident_id=values.incident_id or 0,
        ticket_id=stored.ticket_id,
        client_id=stored.place.client_id,
        severity=values.severity,
        summary=values.summary,
        close_reason=values.close_reason,
        routed=planned.routed if planned.tell_now and isinstance(planned.routed, Routed) else None,
        closed=values.state == "closed" and "closed" in kinds,
        worse="severity" in kinds and values.state == "open",
        remind=planned.remind_now,
        persists="ack_ended" in kinds and values.state == "open" and values.calm_since is None,
    )
