"""Writes down what the other system has confirmed of a ticket, and whether anything is left to tell.

Incidents, ticket and lane are written in one transaction, locked in this order as everywhere. A worker whose claim was
lost meanwhile writes nothing: whoever has it looks for himself. ``told_at`` of incidents is set here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Case, F, When

from alerts import failing
from alerts.errands import Errand, tickets_of
from alerts.looking import first_look_after
from alerts.models import Destination, Incident, Ticket
from integrations.tickets.contract import Created
from msp.outbox import lanes


def confirm_created(errand: Errand, created: Created, *, outcome: str, now: datetime) -> None:
    """Store the id there; what the first message told is told. Anything newer leaves the lane out of step."""
    first_look = first_look_after(errand.ticket)
    confirm(
        errand,
        action="create",
        outcome=outcome,
        detail=created.external_id,
        told_seq=errand.last_seq if outcome == "done" else attempted_seq(errand.ticket),
        now=now,
        external_id=created.external_id,
        external_url=created.url or "",
        confirmed_state="open",
        created_there_at=now,
        check_after=None if first_look is None else now + first_look,
        thread={**errand.ticket.thread, "sequence": "0"},
    )


def attempted_seq(ticket: Ticket) -> int:
    """How far the creation told that was attempted last; at least the first update."""
    return int(ticket.thread.get("attempted", "1"))


def confirm_told(errand: Errand, *, action: str, now: datetime, **values: Any) -> None:
    confirm(
        errand,
        action=action,
        outcome="done",
        detail=errand.ticket.external_id,
        told_seq=errand.last_seq,
        now=now,
        **values,
    )


def confirm(
    errand: Errand, *, action: str, outcome: str, detail: str, told_seq: int, now: datetime, **values: Any
) -> None:
    """Write what the other system has confirmed: incidents, ticket and lane, locked in this order as everywhere.

    If the claim is lost by now, nothing is written: whoever has it looks for himself.
    """
    with transaction.atomic():
        set_told(errand, told_seq=told_seq, now=now)
        tickets_of(errand).update(told_seq=told_seq, confirmed_at=now, **values)
        lanes.note_attempt(errand.claim, action=action, outcome=outcome, detail=detail, now=now)
        if not finish(errand, told_seq=told_seq, now=now):
            transaction.set_rollback(True)
    if errand.destination.paused_at is not None:
        failing.go_on(errand.destination, now=now)


def finish(errand: Errand, *, told_seq: int, now: datetime) -> bool:
    """Settle as done when all is told; else come back at once for the rest. False when the claim is lost."""
    destination = Destination.objects.of(errand.claim.tenant_id).filter(pk=errand.destination.pk)
    going_on = Case(When(paused_at__isnull=False, then=F("failing_since")))
    destination.update(last_delivered_at=now, failures=0, failing_since=going_on)
    current = tickets_of(errand).values("last_seq", "wanted_state", "confirmed_state").get()
    if current["last_seq"] > told_seq or current["wanted_state"] != current["confirmed_state"]:
        return lanes.settle_again(errand.claim, now=now)
    return lanes.settle_done(errand.claim, now=now)


def set_told(errand: Errand, *, told_seq: int, now: datetime) -> None:
    told = {incident_id for seq, incident_id in errand.incidents if seq <= told_seq}
    mark_told(errand.claim.tenant_id, errand.ticket.pk, told, now=now)


def mark_told(tenant_id: int, ticket_id: int, incident_ids: Collection[int], *, now: datetime) -> None:
    """Note that these incidents were told, in the caller's transaction; locks them in order of fingerprint.

    Only those still on this ticket: one that is back belongs to another round, of which nobody has heard yet.
    """
    rows = Incident.objects.of(tenant_id).filter(pk__in=incident_ids, ticket=ticket_id)
    locked = list(rows.order_by("fingerprint").select_for_update(no_key=True).values_list("pk", flat=True))
    incidents = Incident.objects.of(tenant_id).filter(pk__in=locked)
    incidents.filter(told_at__isnull=True).update(told_at=now)
    incidents.update(last_told_at=now)
    incidents.filter(state="open").update(check_after=now)
