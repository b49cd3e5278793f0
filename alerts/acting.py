"""What people do to incidents: acknowledge, snooze, assign, accept or close by hand, and take it back; and to settings.

Called by the dashboard and the API, for one incident or for several. Every action locks its incidents, writes an event
with its reason and an audit entry for each, and lets telling and tickets follow, in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from alerts.deciding import Change, ChangeKind, IncidentValues
from alerts.incident_rows import Stored, lock_by_id
from alerts.incidents import recheck_tellings, write_touched
from alerts.marking import mark_all_due
from alerts.models import Incident
from msp.tenants import audit
from msp.tenants.models import Membership, Tenant


class CannotAct(Exception):
    """An action that makes no sense on this incident; the text is a sentence for the person."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """What a person does: how the incident changes, what is noted besides, and the words for event and audit."""

    kind: ChangeKind
    actor: str
    now: datetime
    words: str
    change: Callable[[IncidentValues], IncidentValues] = lambda values: values
    noted: Mapping[str, Any] = field(default_factory=dict)

    def applied_to(self, stored: Stored) -> tuple[Stored, tuple[Change, ...]]:
        """The locked incident with the one event that comes of it."""
        after = self.change(stored.values)
        return stored, (Change(kind=self.kind, reason=self.words, before=stored.values, after=after),)


def acknowledging(*, actor: str, note: str = "", until: datetime | None = None, now: datetime) -> Action:
    """Someone has it in hand: nobody else is told, until the problem ends or ``until``."""
    if until is not None and until <= now:
        raise CannotAct("The acknowledgement would end in the past: choose a later time, or none.")
    return Action(
        kind="acknowledged",
        change=lambda values: replace(values, acknowledged_at=now, acknowledged_until=until),
        noted={"acknowledged_by": actor[:200], "acknowledged_note": note},
        words=words("Acknowledged", actor=actor, note=note, until=until),
        actor=actor,
        now=now,
    )


def unacknowledging(*, actor: str, now: datetime) -> Action:
    """Whoever would be told without it is told again."""
    return Action(
        kind="unacknowledged",
        change=lambda values: replace(values, acknowledged_at=None, acknowledged_until=None),
        words=words("Acknowledgement taken back", actor=actor),
        actor=actor,
        now=now,
    )


def snoozing(*, actor: str, until: datetime, note: str = "", now: datetime) -> Action:
    """Nobody is told before ``until``; then it speaks up again if it is still there."""
    if until <= now:
        raise CannotAct("The snooze would end in the past: choose a later time.")
    return Action(
        kind="snoozed",
        change=lambda values: replace(values, snoozed_until=until),
        words=words("Snoozed", actor=actor, note=note, until=until),
        actor=actor,
        now=now,
    )


def assigning(member: Membership, *, actor: str, now: datetime) -> Action:
    """One person of the tenant has it; others still see it, and nothing is told less. The caller has found the member
    within the tenant.
    """
    if member.role == "reseller":
        raise CannotAct("Incidents are assigned to people of your own company, not to a reseller's.")
    name = str(member.user)
    done = "Taken" if member.user.email == actor else f"Assigned to {name}"
    return Action(
        kind="assigned",
        noted={"assigned_to_id": member.user_id, "assigned_at": now},
        words=words(done, actor=actor),
        actor=actor,
        now=now,
    )


def unassigning(*, actor: str, now: datetime) -> Action:
    """Nobody in particular has it any more."""
    return Action(
        kind="unassigned",
        noted={"assigned_to_id": None, "assigned_at": None},
        words=words("Assignment taken back", actor=actor),
        actor=actor,
        now=now,
    )


def closing(*, actor: str, reason: str, done: str = "Closed", now: datetime) -> Action:
    """Close with a reason; only a new occurrence opens it again. An incident that never closes by itself is accepted
    by the very same act.
    """
    if not reason.strip():
        raise CannotAct("Say why you close it: the reason is kept with the incident.")
    text = words(done, actor=actor, note=reason)
    return Action(kind="closed", change=lambda values: closed(values, text, now=now), words=text, actor=actor, now=now)


def accepting(*, actor: str, reason: str, now: datetime) -> Action:
    """A person looked at what no rule may close by itself, and says why it is fine."""
    if not reason.strip():
        raise CannotAct("Say why you accept it: the reason is kept with the incident.")
    return closing(actor=actor, reason=reason, done="Accepted", now=now)


def closed(values: IncidentValues, text: str, *, now: datetime) -> IncidentValues:
    """What people had said about it ends with it."""
    return replace(
        values,
        state="closed",
        closed_at=now,
        close_reason=text,
        closed_by_hand=True,
        acknowledged_at=None,
        acknowledged_until=None,
        snoozed_until=None,
        calm_since=None,
        escalate_at=None,
        clear_proposed_at=None,
        clear_reason="",
    )


def acknowledge(
    tenant: Tenant, incident_uid: UUID, *, actor: str, note: str = "", until: datetime | None = None, now: datetime
) -> None:
    act(tenant, incident_uid, acknowledging(actor=actor, note=note, until=until, now=now))


def unacknowledge(tenant: Tenant, incident_uid: UUID, *, actor: str, now: datetime) -> None:
    act(tenant, incident_uid, unacknowledging(actor=actor, now=now))


def snooze(tenant: Tenant, incident_uid: UUID, *, actor: str, until: datetime, note: str = "", now: datetime) -> None:
    act(tenant, incident_uid, snoozing(actor=actor, until=until, note=note, now=now))


def close_by_hand(tenant: Tenant, incident_uid: UUID, *, actor: str, reason: str, now: datetime) -> None:
    act(tenant, incident_uid, closing(actor=actor, reason=reason, now=now))


def accept(tenant: Tenant, incident_uid: UUID, *, actor: str, reason: str, now: datetime) -> None:
    """Close what waits for a person. Raises CannotAct for one that closes by itself."""
    if not Incident.objects.of(tenant).get(uid=incident_uid).sticky:
        raise CannotAct("This incident closes by itself when the problem ends; it needs nobody to accept it.")
    act(tenant, incident_uid, accepting(actor=actor, reason=reason, now=now))


def assign(tenant: Tenant, incident_uid: UUID, *, person: UUID | str, actor: str, now: datetime) -> None:
    """Give it to a member of the tenant, named by uid or mail address. Raises CannotAct for anybody else."""
    act(tenant, incident_uid, assigning(find_member(tenant, person), actor=actor, now=now))


def unassign(tenant: Tenant, incident_uid: UUID, *, actor: str, now: datetime) -> None:
    act(tenant, incident_uid, unassigning(actor=actor, now=now))


def find_member(tenant: Tenant, person: UUID | str) -> Membership:
    """By uid or mail address. Raises CannotAct for somebody who does not belong to the tenant."""
    rows = Membership.objects.of(tenant).select_related("user").filter(user__is_active=True)
    named = {"user__uid": person} if isinstance(person, UUID) else {"user__email": person.strip().lower()}
    member: Membership | None = rows.filter(**named).first()
    if member is None:
        raise CannotAct("This person does not belong to your company: choose one of its members.")
    return member


def act(tenant: Tenant, incident_uid: UUID, action: Action) -> None:
    """Do it to one open incident. Raises Incident.DoesNotExist, CannotAct."""
    Incident.objects.of(tenant).only("id").get(uid=incident_uid)
    if not act_on_several(tenant, [incident_uid], action):
        raise CannotAct("The incident is closed already.")


def act_on_several(tenant: Tenant, incident_uids: Collection[UUID], action: Action) -> int:
    """Do it to those that are open, each with its own event and audit entry; answers how many that were.

    The caller has made sure that they are within reach. As many statements for one as for many.
    """
    with transaction.atomic():
        ids = Incident.objects.of(tenant).filter(uid__in=list(incident_uids)).values_list("id", flat=True)
        locked = lock_by_id(tenant.pk, list(ids))
        touched = [action.applied_to(stored) for stored in locked.values()]
        write_touched(tenant.pk, touched, now=action.now, actor=action.actor)
        if action.noted:
            Incident.objects.of(tenant).filter(pk__in=list(locked)).update(**action.noted)
        audit.record_several(
            tenant,
            {incident_id: stored.values.summary for incident_id, stored in locked.items()},
            actor=action.actor,
            action=f"incident {action.kind}",
            subject_kind="incident",
            reason=action.words,
            now=action.now,
        )
    return len(locked)


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
