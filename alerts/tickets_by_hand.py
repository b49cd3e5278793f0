"""What a person does to a ticket whose delivery stands still: says whether it exists there, or has it tried again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from alerts.confirming import attempted_seq, mark_told
from alerts.models import Ticket, TicketUpdate
from integrations.configuration import config_from_json
from integrations.errors import PermanentFailure
from integrations.tickets import GATEWAYS
from msp.outbox import lanes
from msp.tenants import audit
from msp.tenants.models import Tenant


def answer_unknown(
    tenant: Tenant, ticket_uid: str, *, exists: bool, external_id: str, actor: str, now: datetime
) -> None:
    """A person says whether a ticket of unknown outcome exists there; delivery goes on from that."""
    ticket: Ticket = Ticket.objects.of(tenant).select_related("destination").get(uid=ticket_uid)
    with transaction.atomic():
        thread = {name: value for name, value in ticket.thread.items() if name != "closing"}
        values: dict[str, Any] = {"create_attempted_at": None, "thread": thread}
        if exists and ticket.confirmed_state == "none":
            told_seq = attempted_seq(ticket)
            values |= {
                "external_id": external_id or presumed_id(ticket),
                "confirmed_state": "open",
                "created_there_at": ticket.create_attempted_at,
                "told_seq": told_seq,
            }
            mark_told(tenant.pk, ticket.pk, incidents_until(ticket, told_seq), now=now)
        elif exists:
            values |= {"confirmed_state": ticket.wanted_state, "told_seq": F("last_seq")}
            mark_told(tenant.pk, ticket.pk, incidents_until(ticket, ticket.last_seq), now=now)
        Ticket.objects.of(tenant).filter(pk=ticket.pk).update(**values)
        free_ticket_lane(tenant, ticket.pk, now=now)
        audit.record(
            tenant,
            actor=actor,
            action="ticket looked up by hand",
            subject_kind="ticket",
            subject_id=ticket.pk,
            subject=ticket.reference,
            after={"exists": exists, "external_id": external_id},
            now=now,
        )


def incidents_until(ticket: Ticket, seq: int) -> set[int]:
    """The incidents that a ticket's updates up to this number speak of."""
    updates = TicketUpdate.objects.of(ticket.tenant_id).filter(ticket=ticket.pk, seq__lte=seq)
    return set(updates.exclude(incident_id=None).values_list("incident_id", flat=True))


def presumed_id(ticket: Ticket) -> str:
    """Where the id follows from our reference, as with mails. Raises PermanentFailure where a person must give it."""
    gateway = GATEWAYS[ticket.destination.gateway]
    found = gateway.presumed_id(config_from_json(gateway.Config, ticket.destination.config), ticket.reference)
    if not found:
        raise PermanentFailure("Give the ticket's id in the other system.")
    return found


def free_ticket_lane(tenant: Tenant, ticket_id: int, *, now: datetime) -> int:
    """Let a ticket's stuck lane try again; answers 0 when it is not stuck."""
    ids: Sequence[int] = lanes.stuck_lane_ids(tenant.pk, "ticket", ticket_id)
    return lanes.free(tenant.pk, ids, now=now)
