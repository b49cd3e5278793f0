"""Sends a ticket again because a person asks for it.

What is stuck or waits for its next attempt is tried now. Of a ticket that was told everything the last words are said
once more, as a message in the same ticket. Never a second ticket, and never a word after the closing: a message would
open it again. The ticket and its lane are locked while that is decided.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from django.db import transaction

from alerts.acting import CannotAct
from alerts.models import Destination, Ticket, TicketUpdate
from msp.outbox import lanes
from msp.outbox.models import Lane
from msp.tenants import audit
from msp.tenants.models import Tenant

#: What sending again means for a ticket: free a stuck one, try a waiting one now, say the last words once more.
Way = Literal["free", "hurry", "repeat"]

AUDITED: dict[Way, str] = {
    "free": "ticket sent again",
    "hurry": "ticket tried at once",
    "repeat": "last words of a ticket repeated",
}
#: Messages about an incident that still stands are repeated as a reminder of it.
_STANDING = frozenset({"opened", "joined", "reminder", "persists"})


class NotNow(CannotAct):
    """It cannot be sent again; the sentence says why and what to do."""


def send_again(
    tenant: Tenant, ticket_id: int, *, seen_seq: int | None, actor: str, actor_id: int | None = None, now: datetime
) -> Way:
    """Do it and write it into the audit; answers what was done. Raises NotNow.

    ``seen_seq`` is the last update that the person has seen told and wants repeated; None: nothing is repeated.
    """
    with transaction.atomic():
        ticket: Ticket = Ticket.objects.of(tenant).select_for_update(of=("self",), no_key=True).get(pk=ticket_id)
        lane: Lane | None = Lane.objects.of(tenant).select_for_update(no_key=True).filter(
            kind="ticket", object_id=ticket_id
        ).first()  # fmt: skip
        destination: Destination = Destination.objects.of(tenant).get(pk=ticket.destination_id)
        if lane is None:
            raise NotNow("Nothing was ever to be sent of this ticket.")
        refuse_unready(destination, lane, now=now)
        way = choose_way(ticket, lane, seen_seq=seen_seq, now=now)
        if way == "free":
            lanes.free(tenant.pk, [lane.pk], now=now)
        elif way == "hurry":
            hurry(destination, lane, now=now)
        else:
            repeat(ticket, now=now)
        audit.record(
            tenant,
            actor=actor,
            actor_id=actor_id,
            action=AUDITED[way],
            subject_kind="ticket",
            subject_id=ticket.pk,
            subject=ticket.subject,
            now=now,
        )
    return way


def refuse_unready(destination: Destination, lane: Lane, *, now: datetime) -> None:
    """Raises NotNow while nothing can be sent, or is being sent already."""
    if not destination.enabled:
        raise NotNow(f"{destination.name} is switched off: switch it on first.")
    if destination.dry_run:
        raise NotNow(f"{destination.name} is tried without sending: let it send first.")
    if destination.paused_at is not None and destination.failing_since is None:
        raise NotNow(f"{destination.name} is paused by a person: end the pause first.")
    if lane.claim_token is not None and lane.lease_until is not None and lane.lease_until > now:
        raise NotNow("The ticket is being sent at this moment: look again in a minute.")


def choose_way(ticket: Ticket, lane: Lane, *, seen_seq: int | None, now: datetime) -> Way:
    """What sending again means for this ticket. Raises NotNow where it means nothing."""
    if lane.stuck and lane.unknown:
        raise NotNow("The last call may have worked: look there, and say on the ticket's page whether it did.")
    if lane.stuck:
        return "free"
    if lane.wanted > lane.confirmed:
        if lane.next_attempt_at is not None and lane.next_attempt_at <= now:
            raise NotNow("The ticket is tried within seconds by itself: look again in a minute.")
        return "hurry"
    if ticket.wanted_state != "open" or ticket.confirmed_state != "open":
        raise NotNow("The ticket is closed there: a message would open it again.")
    if seen_seq is None:
        raise NotNow("Everything was told already: confirm that the last words are to be repeated.")
    if seen_seq != ticket.last_seq:
        raise NotNow("Something else was told meanwhile: look at the ticket again first.")
    return "repeat"


def hurry(destination: Destination, lane: Lane, *, now: datetime) -> None:
    """Try a waiting lane now. That an earlier call may have worked stays known: it is looked up before it is repeated.
    A destination that paused itself is tried with this ticket.
    """
    Lane.objects.of(lane.tenant_id).filter(pk=lane.pk).update(next_attempt_at=now, updated_at=now)
    failing = Destination.objects.of(lane.tenant_id).filter(pk=destination.pk, failing_since__isnull=False)
    failing.update(probe_after=now)


def repeat(ticket: Ticket, *, now: datetime) -> None:
    """Say the last words once more: a further update, which delivery tells like any other."""
    last = TicketUpdate.objects.of(ticket.tenant_id).filter(ticket=ticket.pk, seq__lte=ticket.told_seq)
    told: TicketUpdate | None = last.order_by("-seq").first()
    if told is None:
        raise NotNow("Nothing was told yet that could be repeated.")
    TicketUpdate.objects.of(ticket.tenant_id).create(
        ticket=ticket,
        seq=ticket.last_seq + 1,
        at=now,
        kind="reminder" if told.kind in _STANDING else told.kind,
        incident_id=told.incident_id,
        text=told.text,
    )
    Ticket.objects.of(ticket.tenant_id).filter(pk=ticket.pk).update(last_seq=ticket.last_seq + 1)
    lanes.mark(ticket.tenant_id, "ticket", [ticket.pk], now=now)
