"""Writes incidents: the *decide* step. Answers of rules become changes, each with an event that says why, and tickets.

Called by evaluating (answers), by the sweep (a hold, silence or snooze that ends) and by people's actions. The
caller holds the state rows of the subjects; here incidents are locked by fingerprint, then tickets, then lanes.
A fixed number of statements, however many incidents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.db import connection

from alerts import ticketing
from alerts.deciding import Change, IncidentValues, Life, decide, passed_time
from alerts.facts import Checked, Facts, Subject
from alerts.incident_rows import Place, Stored, lock_by_id, lock_incidents, write_events, write_incidents
from alerts.life_loading import load_life
from alerts.planning import load_surroundings, plan, ticket_step

Subjects = Mapping[Subject, Facts]


def write_answers(tenant_id: int, checked: Sequence[Checked], *, subjects: Subjects, now: datetime) -> None:
    """Open, see again, change, close and reopen incidents as these answers of rules require."""
    life = load_life(tenant_id)
    known = lock_incidents(tenant_id, {one.subject for one in checked}, closed_after=now - life.reopen_within)
    changes = decide(checked, [stored.values for stored in known.values()], now=now, life=life)
    by_fingerprint: dict[str, list[Change]] = {}
    for change in changes:
        by_fingerprint.setdefault(change.fingerprint, []).append(change)
    touched = [
        (put_in_place(known.get(key), made[-1].after, subjects=subjects), tuple(made))
        for key, made in by_fingerprint.items()
    ]
    write_touched(tenant_id, touched, life=life, now=now)


def put_in_place(stored: Stored | None, values: IncidentValues, *, subjects: Subjects) -> Stored:
    """The incident where its subject is now: what has moved to another client is no more business of the former one."""
    place = place_of(subjects[values.subject])
    return Stored(values=values, place=place) if stored is None else replace(stored, place=place)


def look_again(tenant_id: int, incident_ids: Collection[int], *, now: datetime) -> None:
    """Decide anew about telling and reminding, and do what time alone does: ends of snoozes, age, calm."""
    if not incident_ids:
        return
    life = load_life(tenant_id)
    touched = [
        (stored, passed_time(stored.values, now=now, life=life))
        for stored in lock_by_id(tenant_id, incident_ids).values()
    ]
    write_touched(tenant_id, touched, life=life, now=now)


def write_touched(
    tenant_id: int,
    touched: Sequence[tuple[Stored, tuple[Change, ...]]],
    *,
    now: datetime,
    actor: str = "",
    life: Life | None = None,
) -> None:
    """Write these incidents, their events, and what follows for their tickets; ``actor`` is the person who acted."""
    if not touched:
        return
    around = load_surroundings(tenant_id, life=life or load_life(tenant_id), now=now)
    planned = [plan(stored, changes, around, tenant_id=tenant_id, now=now) for stored, changes in touched]
    written = write_incidents(tenant_id, planned, now=now)
    write_events(tenant_id, written, now=now, actor=actor)
    ticketing.follow(tenant_id, [ticket_step(one) for one in written], now=now)


def place_of(facts: Facts) -> Place:
    """Whose a new incident is, from the facts of its subject."""
    named = ("client_id", "reseller_id", "server_id", "selection_id", "job_id", "volume_id", "site_id")
    told = {name: getattr(facts, name) for name in named if hasattr(facts, name)}
    return Place(zone=facts.zone, observed=facts.observed, **told)


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
