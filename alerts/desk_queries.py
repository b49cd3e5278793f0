"""What pages show of a ticket's other side: how it stands there, who has it, what people wrote.

Internal words of the MSP's own people may stand in a ticket: only those who see the whole tenant are shown them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.models import Ticket, TicketRemark
from msp.estate.queries import Reach

MOST_REMARKS = 50


@dataclass(frozen=True)
class RemarkRow:
    """One message of a person there."""

    author: str
    text: str
    written_at: datetime | None
    read_at: datetime


@dataclass(frozen=True)
class TheirSide:
    """A ticket as it was when we last looked; ``looked_at`` None: it was never looked at, or cannot be. ``number``: the
    one it has there, where its id is none.
    """

    number: str
    status: str
    assignee: str
    looked_at: datetime | None
    next_look_at: datetime | None
    gone_at: datetime | None
    remarks: tuple[RemarkRow, ...]


def read_their_side(reach: Reach, ticket_id: int) -> TheirSide:
    """Of a ticket that was found within reach; messages newest first."""
    ticket: Ticket = Ticket.objects.of(reach.tenant_id).get(pk=ticket_id)
    rows = TicketRemark.objects.of(reach.tenant_id).filter(ticket=ticket_id).order_by("-id")[:MOST_REMARKS]
    return TheirSide(
        number=ticket.their_number,
        status=ticket.their_status,
        assignee=ticket.their_assignee,
        looked_at=ticket.looked_at,
        next_look_at=ticket.check_after,
        gone_at=ticket.gone_at,
        remarks=tuple(RemarkRow(one.author, one.text, one.written_at, one.read_at) for one in rows)
        if reach.whole_tenant
        else (),
    )
