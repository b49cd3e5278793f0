"""What people do to incidents: acknowledge, snooze, close by hand, and take that back; and to settings, after a change.

Called by the dashboard and the API. Every action locks its incident, writes an event with its reason and an audit
entry, and lets telling and tickets follow, in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from alerts.deciding import Change, ChangeKind, IncidentValues
from alerts.incident_rows import lock_by_id
from alerts.incidents import recheck_tellings, write_touched
from alerts.marking import mark_all_due
from alerts.models import Incident
from msp.tenants import audit
from msp.tenants.models import Tenant


class CannotAct(Exception):
    """An action that makes no sense on this incident; the text is a sentence for the person."""


def acknowledge(
    tenant: Tenant, incident_uid: UUID, *, actor: str, note: str = "", until: datetime | None = None, now: datetime
) -> None:
    """Someone has it in hand: nobody else is told, until the problem ends or ``until``."""
    if until is not None and until <= now:
        raise CannotAct("The acknowledgement would end in the past: choose a later time, or none.")
    act(
        tenant,
        incident_uid,
        kind="acknowledged",
        change=lambda values: replace(values, acknowledged_at=now, acknowledged_until=until),
        words=words("Acknowledged", actor=actor, note=note, until=until),
        actor=actor,
        now=now,
    )
    Incident.objects.of(tenant).filter(uid=incident_uid, acknowledged_at=now).update(
        acknowledged_by=actor[:200], acknowledged_note=note
    )


def unacknowledge(tenant: Tenant, incident_uid: UUID, *, actor: str, now: datetime) -> None:
    act(
        tenant,
        incident_uid,
        kind="unacknowledged",
        change=lambda values: replace(values, acknowledged_at=None, acknowledged_until=None),
        words=words("Acknowledgement taken back", actor=actor),
        actor=actor,
        now=now,
    )


def snooze(tenant: Tenant, incident_uid: UUID, *, actor: str, until: datetime, note: str = "", now: datetime) -> None:
    """Nobody is told before ``until``; then it speaks up again if it is still there."""
    if until <= now:
        raise CannotAct("The snooze would end in the past: choose a later time.")
    act(
        tenant,
        incident_uid,
        kind="snoozed",
        change=lambda values: replace(values, snoozed_until=until),
        words=words("Snoozed", actor=actor, note=note, until=until),
        actor=actor,
        now=now,
    )


def close_by_hand(tenant: Tenant, incident_uid: UUID, *, actor: str, reason: str, now: datetime) -> None:
    """Close with a reason; only a new occurrence opens it again."""
    if not reason.strip():
        raise CannotAct("Say why you close it: the reason is kept with the incident.")
    text = words("Closed", actor=actor, note=reason)
    act(
        tenant,
        incident_uid,
        kind="closed",
        change=lambda values: replace(
            values,
            state="closed",
            closed_at=now,
            close_reason=text,
            closed_by_hand=True,
            acknowledged_at=None,
            acknowledged_until=None,
            snoozed_until=None,
        ),
        words=text,
        actor=actor,
        now=now,
    )


def act(
    tenant: Tenant,
    incident_uid: UUID,
    *,
    kind: ChangeKind,
    change: Callable[[IncidentValues], IncidentValues],
    words: str,
    actor: str,
    now: datetime,
) -> None:
    """Lock the incident, change it, write the event and the audit entry. Raises Incident.DoesNotExist, CannotAct."""
    with transaction.atomic():
        incident = Incident.objects.of(tenant).only("id", "summary").get(uid=incident_uid)
        locked = lock_by_id(tenant.pk, [incident.pk]).get(incident.pk)
        if locked is None:
            raise CannotAct("The incident is closed already.")
        made = Change(kind=kind, reason=words, before=locked.values, after=change(locked.values))
        write_touched(tenant.pk, [(locked, (made,))], now=now, actor=actor)
        audit.record(
            tenant,
            actor=actor,
            action=f"incident {kind}",
            subject_kind="incident",
            subject_id=incident.pk,
            subject=incident.summary,
            reason=words,
            now=now,
        )


def words(done: str, *, actor: str, note: str = "", until: datetime | None = None) -> str:
    end = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return f"{done} by {actor}{end}{f': {note.strip()}' if note.strip() else '.'}"


def settings_changed(tenant: Tenant, *, now: datetime) -> None:
    """After a change of rules, schedules, time zones, policies or states: evaluate everything and tellings anew.

    Locks the clocks in job order, as the line does: an update in any other order could deadlock with it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH locked AS MATERIALIZED (SELECT state.job_id FROM backups_jobstate state JOIN backups_backupjob job "
            "ON job.id = state.job_id WHERE state.tenant_id = %(tenant)s AND job.state IN ('active', 'proposed') "
            "ORDER BY state.job_id FOR NO KEY UPDATE OF state) UPDATE backups_jobstate state "
            "SET check_after = %(now)s FROM locked WHERE state.job_id = locked.job_id",
            {"tenant": tenant.pk, "now": now},
        )
    mark_all_due(tenant.pk, now=now)
    recheck_tellings(tenant.pk, now=now)
