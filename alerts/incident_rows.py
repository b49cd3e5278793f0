"""The rows of incidents: read and locked, inserted and updated as sets, with the events that say why.

Called by ``alerts.incidents`` alone, which decides what is written. Incidents are locked in order of fingerprint.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from alerts.deciding import Change, IncidentValues
from alerts.facts import Subject, changed, fingerprint
from alerts.routing import NoRoute, Routed


@dataclass(frozen=True, kw_only=True)
class Place:
    """Whose an incident is: what routes and silences look at."""

    client_id: int | None = None
    reseller_id: int | None = None
    server_id: int | None = None
    selection_id: int | None = None
    job_id: int | None = None
    volume_id: int | None = None
    site_id: int | None = None
    zone: str = "UTC"
    observed: bool = False


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An incident with its row's own values; ``incident_id`` of the values is None while it is not written yet.

    ``cause_id`` is the incident it is kept under, ``silenced_until`` the end of the silence it was last seen in.
    """

    values: IncidentValues
    place: Place
    ticket_id: int | None = None
    last_seq: int = 0
    cause_id: int | None = None
    silenced_until: datetime | None = None


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


COLUMNS = """
    incident.id, incident.kind, incident.subject_kind, incident.subject_id, incident.severity, incident.summary,
    incident.since, incident.opened_at, incident.last_seen_at, incident.occurrence, incident.state, incident.deadline,
    incident.repeat_every, incident.sticky, incident.evidence, incident.lines, incident.seen_count,
    incident.reopened_count, incident.acknowledged_at, incident.acknowledged_until, incident.snoozed_until,
    incident.told_at, incident.last_told_at, incident.closed_at, incident.close_reason, incident.closed_by_hand,
    incident.client_id, client.reseller_id, incident.server_id, incident.selection_id, incident.job_id,
    coalesce(nullif(client.timezone, ''), tenant.timezone),
    NOT tenant.tickets_enabled OR coalesce(NOT client.tickets_enabled, false) OR coalesce(job.observed, false),
    incident.ticket_id, incident.last_seq, incident.volume_id, incident.site_id, incident.cause_id,
    incident.silenced_until, incident.tells, incident.hold_minutes, incident.calm_since, incident.escalate_every,
    incident.escalate_at, incident.escalated, incident.clear_proposed_at, incident.clear_reason
FROM alerts_incident incident
JOIN tenants_tenant tenant ON tenant.id = incident.tenant_id
LEFT JOIN estate_client client ON client.id = incident.client_id
LEFT JOIN backups_backupjob job ON job.id = incident.job_id
"""


def lock_incidents(tenant_id: int, subjects: Collection[Subject], *, closed_after: datetime) -> dict[str, Stored]:
    """By fingerprint, of these subjects: the open incident, or the newest one closed after that moment; locked in order
    of fingerprint.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} JOIN unnest(%s::text[], %s::bigint[]) AS wanted(kind, id) "
            "ON incident.subject_kind = wanted.kind AND incident.subject_id = wanted.id "
            "WHERE incident.tenant_id = %s AND (incident.state = 'open' OR incident.closed_at > %s) "
            "ORDER BY incident.fingerprint, incident.state DESC, incident.closed_at DESC FOR UPDATE OF incident",
            [[one.kind for one in subjects], [one.id for one in subjects], tenant_id, closed_after],
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
        volume_id=row[35],
        site_id=row[36],
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
        tells=row[39],
        hold_minutes=row[40],
        calm_since=row[41],
        escalate_every=row[42],
        escalate_at=row[43],
        escalated=row[44] or None,
        clear_proposed_at=row[45],
        clear_reason=row[46],
    )
    return Stored(
        values=values, place=place, ticket_id=row[33], last_seq=row[34], cause_id=row[37], silenced_until=row[38]
    )


def read_json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


VALUE_TYPES = """
    kind text, subject_kind text, subject_id bigint, fingerprint text, client_id bigint, server_id bigint,
    selection_id bigint, job_id bigint, severity text, state text, summary text, evidence jsonb, lines jsonb,
    occurrence text, deadline timestamptz, repeat_seconds double precision, sticky boolean, since timestamptz,
    opened_at timestamptz, last_seen_at timestamptz, seen_count int, reopened_count int, acknowledged_at timestamptz,
    acknowledged_until timestamptz, snoozed_until timestamptz, silenced_until timestamptz, tell_after timestamptz,
    untold_reason text, told_at timestamptz, last_told_at timestamptz, closed_at timestamptz, close_reason text,
    closed_by_hand boolean, ticket_id bigint, last_seq int, check_after timestamptz, volume_id bigint, site_id bigint,
    cause_id bigint, tells text, hold_minutes int, calm_since timestamptz, escalate_seconds double precision,
    escalate_at timestamptz, escalated text, clear_proposed_at timestamptz, clear_reason text
"""
#: Stored as intervals, given as seconds.
INTERVALS = {"repeat_seconds": "repeat_every", "escalate_seconds": "escalate_every"}
VALUE_NAMES = tuple(part.split()[0] for part in VALUE_TYPES.split(","))
STORED_NAMES = tuple(INTERVALS.get(name, name) for name in VALUE_NAMES)
READ_NAMES = ", ".join(
    f"make_interval(secs => new.{name})" if name in INTERVALS else f"new.{name}" for name in VALUE_NAMES
)


def write_incidents(tenant_id: int, planned: Sequence[Planned], *, now: datetime) -> list[Planned]:
    """Insert the new and update the known ones (two statements); answers them with their ids."""
    new = [one for one in planned if one.stored.values.incident_id is None]
    known = [one for one in planned if one.stored.values.incident_id is not None]
    ids = insert_incidents(tenant_id, new)
    update_incidents(tenant_id, known)
    return [*(with_id(one, ids[one.stored.values.fingerprint]) for one in new), *known]


def with_id(planned: Planned, incident_id: int) -> Planned:
    values = changed(planned.stored.values, incident_id=incident_id)
    return changed(planned, stored=changed(planned.stored, values=values))


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
        "repeat_seconds": seconds_of(values.repeat_every),
        "sticky": values.sticky,
        "since": values.since,
        "opened_at": values.opened_at,
        "last_seen_at": values.last_seen_at,
        "seen_count": values.seen_count,
        "reopened_count": values.reopened_count,
        "acknowledged_at": values.acknowledged_at,
        "acknowledged_until": values.acknowledged_until,
        "snoozed_until": values.snoozed_until,
        "silenced_until": stored.silenced_until,
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
        "volume_id": stored.place.volume_id,
        "site_id": stored.place.site_id,
        "cause_id": stored.cause_id,
        "tells": values.tells,
        "hold_minutes": values.hold_minutes,
        "calm_since": values.calm_since,
        "escalate_seconds": seconds_of(values.escalate_every),
        "escalate_at": values.escalate_at,
        "escalated": values.escalated or "",
        "clear_proposed_at": values.clear_proposed_at,
        "clear_reason": values.clear_reason,
    }


def seconds_of(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


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
