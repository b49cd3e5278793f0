"""Writes incidents: the *decide* step. Answers of rules become changes, each with an event that says why, and tickets.

Called by evaluating (answers), by the sweep (a hold, silence or snooze that ends) and by people's actions. The
caller holds the state rows of the subjects; here incidents are locked by fingerprint, then tickets, then lanes.
A fixed number of statements, however many incidents.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from alerts import ticketing
from alerts.deciding import REOPEN_WITHIN, Change, IncidentValues, decide, ended_windows
from alerts.facts import Checked, Facts, Subject, fingerprint
from alerts.models import Route, Silence
from alerts.routing import IncidentFacts, NoRoute, Routed, RouteValues, route
from alerts.telling import Hold, SilenceWindow, Telling, next_check_after, when_to_remind, when_to_tell

Subjects = Mapping[Subject, Facts]

#: An open incident is looked at again after this long, whatever else.
HEARTBEAT = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Whose an incident is: what routes and silences look at."""

    client_id: int | None = None
    reseller_id: int | None = None
    server_id: int | None = None
    selection_id: int | None = None
    job_id: int | None = None
    zone: str = "UTC"
    observed: bool = False


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An incident with its row's own values; ``incident_id`` of the values is None while it is not written yet."""

    values: IncidentValues
    place: Place
    ticket_id: int | None = None
    last_seq: int = 0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An incident as it is to be written: its events in words, and what follows for people."""

    stored: Stored
    changes: tuple[Change, ...]
    routed: Routed | NoRoute
    tell_after: datetime | None
    untold_reason: str
    check_after: datetime | None
    tell_now: bool
    remind_now: bool


def write_answers(tenant_id: int, checked: Sequence[Checked], *, subjects: Subjects, now: datetime) -> None:
    """Open, see again, change, close and reopen incidents as these answers of rules require."""
    known = lock_incidents(tenant_id, {one.fingerprint for one in checked}, now=now)
    changes = decide(checked, [stored.values for stored in known.values()], now=now)
    by_fingerprint: dict[str, list[Change]] = {}
    for change in changes:
        by_fingerprint.setdefault(change.fingerprint, []).append(change)
    touched = [
        (put_in_place(known.get(key), made[-1].after, subjects=subjects), tuple(made))
        for key, made in by_fingerprint.items()
    ]
    write_touched(tenant_id, touched, now=now)


def put_in_place(stored: Stored | None, values: IncidentValues, *, subjects: Subjects) -> Stored:
    """The incident where its subject is now: what has moved to another client is no more business of the former one."""
    place = place_of(subjects[values.subject])
    return Stored(values=values, place=place) if stored is None else replace(stored, place=place)


def look_again(tenant_id: int, incident_ids: Collection[int], *, now: datetime) -> None:
    """Decide anew about telling and reminding, and end acknowledgements and snoozes that have run out."""
    touched = [
        (stored, ended_windows(stored.values, now=now)) for stored in lock_by_id(tenant_id, incident_ids).values()
    ]
    write_touched(tenant_id, touched, now=now)


def write_touched(
    tenant_id: int, touched: Sequence[tuple[Stored, tuple[Change, ...]]], *, now: datetime, actor: str = ""
) -> None:
    """Write these incidents, their events, and what follows for their tickets; ``actor`` is the person who acted."""
    if not touched:
        return
    routes, silences = load_routes(tenant_id), load_silences(tenant_id, now=now)
    planned = [
        plan(
            stored, changes, routes=routes, silences=silences_over(stored.place, silences, tenant_id=tenant_id), now=now
        )
        for stored, changes in touched
    ]
    written = write_incidents(tenant_id, planned, now=now)
    write_events(tenant_id, written, now=now, actor=actor)
    ticketing.follow(tenant_id, [ticket_step(one) for one in written], now=now)


# --- reading -----------------------------------------------------------------------------------------------------

COLUMNS = """
    incident.id, incident.kind, incident.subject_kind, incident.subject_id, incident.severity, incident.summary,
    incident.since, incident.opened_at, incident.last_seen_at, incident.occurrence, incident.state, incident.deadline,
    incident.repeat_every, incident.sticky, incident.evidence, incident.lines, incident.seen_count,
    incident.reopened_count, incident.acknowledged_at, incident.acknowledged_until, incident.snoozed_until,
    incident.told_at, incident.last_told_at, incident.closed_at, incident.close_reason, incident.closed_by_hand,
    incident.client_id, client.reseller_id, incident.server_id, incident.selection_id, incident.job_id,
    coalesce(nullif(client.timezone, ''), 'UTC'), coalesce(NOT client.tickets_enabled, false),
    incident.ticket_id, incident.last_seq
FROM alerts_incident incident LEFT JOIN estate_client client ON client.id = incident.client_id
"""


def lock_incidents(tenant_id: int, fingerprints: Collection[str], *, now: datetime) -> dict[str, Stored]:
    """The open incident of each fingerprint, or the newest one closed a short while ago; locked in this order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} WHERE incident.tenant_id = %s AND incident.fingerprint = ANY(%s) "
            "AND (incident.state = 'open' OR incident.closed_at > %s) "
            "ORDER BY incident.fingerprint, incident.state DESC, incident.closed_at DESC FOR UPDATE OF incident",
            [tenant_id, sorted(fingerprints), now - REOPEN_WITHIN],
        )
        found: dict[str, Stored] = {}
        for row in cursor.fetchall():
            stored = read_row(row)
            found.setdefault(stored.values.fingerprint, stored)
        return found


def lock_by_id(tenant_id: int, incident_ids: Collection[int]) -> dict[int, Stored]:
    """Open incidents by id, locked in order of fingerprint."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} WHERE incident.tenant_id = %s AND incident.id = ANY(%s) "
            "AND incident.state = 'open' ORDER BY incident.fingerprint FOR UPDATE OF incident",
            [tenant_id, sorted(incident_ids)],
        )
        return {row[0]: read_row(row) for row in cursor.fetchall()}


def read_row(row: Sequence[Any]) -> Stored:
    place = Place(
        client_id=row[26],
        reseller_id=row[27],
        server_id=row[28],
        selection_id=row[29],
        job_id=row[30],
        zone=row[31],
        observed=row[32],
    )
    values = IncidentValues(
        incident_id=row[0],
        kind=row[1],
        subject=Subject(row[2], row[3]),
        severity=row[4],
        summary=row[5],
        since=row[6],
        opened_at=row[7],
        last_seen_at=row[8],
        occurrence=row[9],
        state=row[10],
        deadline=row[11],
        repeat_every=row[12],
        sticky=row[13],
        evidence=read_json(row[14]),
        lines=tuple(read_json(row[15])),
        seen_count=row[16],
        reopened_count=row[17],
        acknowledged_at=row[18],
        acknowledged_until=row[19],
        snoozed_until=row[20],
        told_at=row[21],
        last_told_at=row[22],
        closed_at=row[23],
        close_reason=row[24],
        closed_by_hand=row[25],
        observed=place.observed,
    )
    return Stored(values=values, place=place, ticket_id=row[33], last_seq=row[34])


def read_json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


def place_of(facts: Facts) -> Place:
    """Whose a new incident is, from the facts of its subject."""
    named = ("client_id", "reseller_id", "server_id", "selection_id", "job_id")
    told = {name: getattr(facts, name) for name in named if hasattr(facts, name)}
    return Place(zone=facts.zone, observed=facts.observed, **told)


def load_routes(tenant_id: int) -> tuple[RouteValues, ...]:
    """The tenant's routes; a destination that is switched off takes nothing, so the next matching route does."""
    rows = Route.objects.of(tenant_id).select_related("destination").order_by("position")
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
        )
        for row in rows
    )


def load_silences(tenant_id: int, *, now: datetime) -> tuple[Silence, ...]:
    """Windows that are open or still to come."""
    return tuple(Silence.objects.of(tenant_id).filter(ends_at__gt=now).order_by("starts_at", "id"))


def silences_over(place: Place, silences: Iterable[Silence], *, tenant_id: int) -> tuple[SilenceWindow, ...]:
    scopes = {
        ("tenant", tenant_id),
        ("client", place.client_id),
        ("server", place.server_id),
        ("selection", place.selection_id),
        ("job", place.job_id),
    }
    return tuple(
        SilenceWindow(starts_at=one.starts_at, ends_at=one.ends_at, reason=one.reason or one.kind)
        for one in silences
        if (one.scope_kind, one.scope_id) in scopes
    )


# --- planning ----------------------------------------------------------------------------------------------------


def plan(
    stored: Stored,
    changes: tuple[Change, ...],
    *,
    routes: tuple[RouteValues, ...],
    silences: tuple[SilenceWindow, ...],
    now: datetime,
) -> Planned:
    """What is to be written of one incident and who hears of it when."""
    values = replace(changes[-1].after, observed=stored.place.observed) if changes else stored.values
    if any(change.kind == "reopened" for change in changes):
        stored = replace(stored, ticket_id=None)
    stored = replace(stored, values=values)
    routed = route(facts_for_route(stored), routes)
    hold = Hold(minutes=routed.hold_minutes) if isinstance(routed, Routed) else Hold()
    repeat_every = routed.repeat_every if isinstance(routed, Routed) else None
    telling = when_to_tell(values, hold, now, silences=silences, zone=stored.place.zone)
    reminding = when_to_remind(values, repeat_every, now, silences=silences, zone=stored.place.zone)
    is_due = telling.at is not None and telling.at <= now
    next_check = next_check_after(values, hold, now, repeat_every=repeat_every, silences=silences)
    return Planned(
        stored=stored,
        changes=changes,
        routed=routed,
        tell_after=None if is_due and isinstance(routed, NoRoute) and routed.on_purpose else telling.at,
        untold_reason=untold_words(telling, routed) if is_due else telling.because,
        check_after=min(next_check or now + HEARTBEAT, now + HEARTBEAT) if values.state == "open" else None,
        tell_now=is_due and isinstance(routed, Routed) and stored.ticket_id is None,
        remind_now=reminding.at is not None and reminding.at <= now and stored.ticket_id is not None,
    )


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
    )


# --- writing -----------------------------------------------------------------------------------------------------

VALUE_TYPES = """
    kind text, subject_kind text, subject_id bigint, fingerprint text, client_id bigint, server_id bigint,
    selection_id bigint, job_id bigint, severity text, state text, summary text, evidence jsonb, lines jsonb,
    occurrence text, deadline timestamptz, repeat_seconds double precision, sticky boolean, since timestamptz,
    opened_at timestamptz, last_seen_at timestamptz, seen_count int, reopened_count int, acknowledged_at timestamptz,
    acknowledged_until timestamptz, snoozed_until timestamptz, silenced_until timestamptz, tell_after timestamptz,
    untold_reason text, told_at timestamptz, last_told_at timestamptz, closed_at timestamptz, close_reason text,
    closed_by_hand boolean, ticket_id bigint, last_seq int, check_after timestamptz
"""
VALUE_NAMES = tuple(part.split()[0] for part in VALUE_TYPES.split(","))
STORED_NAMES = tuple("repeat_every" if name == "repeat_seconds" else name for name in VALUE_NAMES)
READ_NAMES = ", ".join(
    "make_interval(secs => new.repeat_seconds)" if name == "repeat_seconds" else f"new.{name}" for name in VALUE_NAMES
)


def write_incidents(tenant_id: int, planned: Sequence[Planned], *, now: datetime) -> list[Planned]:
    """Insert the new and update the known ones (two statements); answers them with their ids."""
    new = [one for one in planned if one.stored.values.incident_id is None]
    known = [one for one in planned if one.stored.values.incident_id is not None]
    ids = insert_incidents(tenant_id, new)
    update_incidents(tenant_id, known)
    return [*(with_id(one, ids[one.stored.values.fingerprint]) for one in new), *known]


def with_id(planned: Planned, incident_id: int) -> Planned:
    values = replace(planned.stored.values, incident_id=incident_id)
    return replace(planned, stored=replace(planned.stored, values=values))


def insert_incidents(tenant_id: int, planned: Sequence[Planned]) -> dict[str, int]:
    if not planned:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO alerts_incident (tenant_id, acknowledged_by, acknowledged_note, {', '.join(STORED_NAMES)}) "  # noqa: S608
            f"SELECT %s, '', '', {READ_NAMES} FROM jsonb_to_recordset(%s::jsonb) AS new({VALUE_TYPES}) "
            "RETURNING fingerprint, id",
            [tenant_id, orjson.dumps([incident_row(one) for one in planned]).decode()],
        )
        return dict(cursor.fetchall())


def update_incidents(tenant_id: int, planned: Sequence[Planned]) -> None:
    if not planned:
        return
    kept = {"kind", "subject_kind", "subject_id", "fingerprint"}
    changed = [(stored, read) for stored, read in zip(STORED_NAMES, READ_NAMES.split(", "), strict=True)]
    changes = ", ".join(f"{stored} = {read}" for stored, read in changed if stored not in kept)
    rows = [{"id": one.stored.values.incident_id, **incident_row(one)} for one in planned]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE alerts_incident incident SET {changes}, "  # noqa: S608
            "acknowledged_by = CASE WHEN new.acknowledged_at IS NULL THEN '' ELSE incident.acknowledged_by END, "
            "acknowledged_note = CASE WHEN new.acknowledged_at IS NULL THEN '' ELSE incident.acknowledged_note END "
            f"FROM jsonb_to_recordset(%s::jsonb) AS new(id bigint, {VALUE_TYPES}) "
            "WHERE incident.tenant_id = %s AND incident.id = new.id",
            [orjson.dumps(rows).decode(), tenant_id],
        )


def incident_row(planned: Planned) -> dict[str, Any]:
    stored, values = planned.stored, planned.stored.values
    silenced = planned.tell_after if planned.untold_reason.startswith("It is silenced") else None
    return {
        "kind": values.kind,
        "subject_kind": values.subject.kind,
        "subject_id": values.subject.id,
        "fingerprint": fingerprint(values.kind, values.subject),
        "client_id": stored.place.client_id,
        "server_id": stored.place.server_id,
        "selection_id": stored.place.selection_id,
        "job_id": stored.place.job_id,
        "severity": values.severity,
        "state": values.state,
        "summary": values.summary,
        "evidence": dict(values.evidence),
        "lines": list(values.lines),
        "occurrence": values.occurrence[:200],
        "deadline": values.deadline,
        "repeat_seconds": None if values.repeat_every is None else values.repeat_every.total_seconds(),
        "sticky": values.sticky,
        "since": values.since,
        "opened_at": values.opened_at,
        "last_seen_at": values.last_seen_at,
        "seen_count": values.seen_count,
        "reopened_count": values.reopened_count,
        "acknowledged_at": values.acknowledged_at,
        "acknowledged_until": values.acknowledged_until,
        "snoozed_until": values.snoozed_until,
        "silenced_until": silenced,
        "tell_after": planned.tell_after,
        "untold_reason": planned.untold_reason,
        "told_at": values.told_at,
        "last_told_at": values.last_told_at,
        "closed_at": values.closed_at,
        "close_reason": values.close_reason,
        "closed_by_hand": values.closed_by_hand,
        "ticket_id": stored.ticket_id,
        "last_seq": stored.last_seq + len(planned.changes),
        "check_after": planned.check_after,
    }


def write_events(tenant_id: int, planned: Sequence[Planned], *, now: datetime, actor: str) -> None:
    """One row a change, numbered on from the incident's last."""
    rows = [
        {
            "incident_id": one.stored.values.incident_id,
            "seq": one.stored.last_seq + number,
            "kind": change.kind,
            "text": change.reason,
        }
        for one in planned
        for number, change in enumerate(one.changes, start=1)
    ]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_incidentevent (tenant_id, incident_id, seq, at, kind, text, actor) "
            "SELECT %s, incident_id, seq, %s, kind, text, %s FROM jsonb_to_recordset(%s::jsonb) "
            "AS event(incident_id bigint, seq int, kind text, text text)",
            [tenant_id, now, actor, orjson.dumps(rows).decode()],
        )


def recheck_tellings(tenant_id: int, *, now: datetime) -> None:
    """After a change of routes, silences or destinations: every open incident is decided anew by the next sweep.

    Locks them in order of fingerprint, as the line does: an update in any other order could deadlock with it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH locked AS MATERIALIZED (SELECT id FROM alerts_incident WHERE tenant_id = %(tenant)s "
            "AND state = 'open' ORDER BY fingerprint FOR NO KEY UPDATE) UPDATE alerts_incident incident "
            "SET check_after = %(now)s FROM locked WHERE incident.id = locked.id",
            {"tenant": tenant_id, "now": now},
        )
