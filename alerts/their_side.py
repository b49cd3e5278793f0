"""Takes over what people did to a ticket in the other system: its state, who has it, what they wrote.

Called by ``alerts.looking`` with the ticket as it was just fetched, never with the body of a callback. A ticket closed
there says that somebody has it in hand: its incidents are acknowledged for the time that the destination sets, and
speak up after it if their problem is still there. Our own echo changes nothing, as nothing differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from alerts.acting import acknowledging
from alerts.deciding import Change, ChangeKind
from alerts.incident_rows import Stored, lock_by_id
from alerts.incidents import write_touched
from alerts.models import Destination, Incident, Ticket, TicketRemark
from alerts.words.cards import one_line
from integrations.tickets import Remark, Standing
from msp.outbox.models import Lane

MOST_REMARKS = 50
LONGEST_REMARK = 4000
CLOSED_THERE = "The ticket was closed there."


@dataclass
class News:
    """What is new on a ticket: sentences for its incidents' histories, and its own changed columns."""

    told: list[tuple[ChangeKind, str]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    closed_there: bool = False

    @property
    def is_any(self) -> bool:
        return bool(self.told or self.values)

    def tell(self, kind: ChangeKind, words: str) -> None:
        self.told.append((kind, words))


def take_over(
    tenant_id: int, ticket_id: int, standing: Standing | None, *, confirmed_at: datetime | None, now: datetime
) -> News | None:
    """Bring our side in line with a ticket as it stands there; None: it is gone. ``confirmed_at`` is the ticket's own,
    read before it was asked for.

    Answers what was new; None when the answer may be older than what we did since, so that it has to be asked again.
    Locks the incidents, then the ticket.
    """
    with transaction.atomic():
        ids = Incident.objects.of(tenant_id).filter(ticket=ticket_id, state="open").values_list("id", flat=True)
        incidents = [one for one in lock_by_id(tenant_id, list(ids)).values() if one.ticket_id == ticket_id]
        ticket = lock_ticket(tenant_id, ticket_id)
        if is_ours_newer(ticket, confirmed_at=confirmed_at):
            return None
        if ticket.wanted_state != "open" or ticket.confirmed_state == "none" or is_anothers(ticket, standing):
            Ticket.objects.of(tenant_id).filter(pk=ticket_id).update(looked_at=now)
            return News()
        news = compare(ticket, standing, now=now)
        Ticket.objects.of(tenant_id).filter(pk=ticket_id).update(looked_at=now, **news.values)
        write_news(ticket, incidents, news, now=now)
    return news


def lock_ticket(tenant_id: int, ticket_id: int) -> Ticket:
    rows = Ticket.objects.of(tenant_id).select_related("destination").select_for_update(of=("self",), no_key=True)
    ticket: Ticket = rows.get(pk=ticket_id)
    return ticket


def is_ours_newer(ticket: Ticket, *, confirmed_at: datetime | None) -> bool:
    """Whether we changed the ticket there since it was asked for, or are about it now. Times cannot tell: a change
    bears the time at which its delivery began.
    """
    if ticket.confirmed_at != confirmed_at:
        return True
    claimed = Lane.objects.of(ticket.tenant_id).filter(kind="ticket", object_id=ticket.pk, claim_token__isnull=False)
    return bool(claimed.exists())


def is_anothers(ticket: Ticket, standing: Standing | None) -> bool:
    """A ticket that bears another reference than ours is not ours, whatever its id."""
    return standing is not None and standing.reference not in ("", ticket.reference)


def compare(ticket: Ticket, standing: Standing | None, *, now: datetime) -> News:
    """What differs from when we last looked, and from what we confirmed."""
    news, desk = News(), ticket.destination.name
    if standing is None:
        compare_gone(ticket, news, now=now)
        return news
    if standing.external_id != ticket.external_id:
        news.values |= {"external_id": standing.external_id[:200], "external_url": (standing.url or "")[:500]}
        news.tell("ticket_status", f"{desk}: the ticket was merged into {standing.external_id}.")
    status, assignee = one_line(standing.status, length=100), one_line(standing.assignee, length=200)
    if status != ticket.their_status:
        news.values["their_status"] = status
        if ticket.their_status:
            news.tell("ticket_status", f"{desk}: the ticket is now {status}.")
    if assignee != ticket.their_assignee:
        news.values["their_assignee"] = assignee
        news.tell("ticket_person", f"{desk}: {assignee or 'nobody'} has the ticket.")
    take_remarks(ticket, standing.remarks, news, now=now)
    compare_closing(ticket, standing, news)
    return news


def compare_gone(ticket: Ticket, news: News, *, now: datetime) -> None:
    if ticket.gone_at is None:
        news.values |= {"gone_at": now, "confirmed_state": "closed", "their_status": "deleted"}
        news.tell("ticket_status", f"{ticket.destination.name}: the ticket was deleted.")
        news.closed_there = True


def compare_closing(ticket: Ticket, standing: Standing, news: News) -> None:
    if standing.closed and ticket.confirmed_state == "open":
        news.values["confirmed_state"] = "closed"
        news.closed_there = True
    elif not standing.closed and ticket.confirmed_state == "closed":
        news.values |= {"confirmed_state": "open", "gone_at": None}
        news.tell("ticket_status", f"{ticket.destination.name}: the ticket was opened again.")


def take_remarks(ticket: Ticket, remarks: Sequence[Remark], news: News, *, now: datetime) -> None:
    """Keep what people wrote since, each message once; what we wrote ourselves is known here."""
    theirs = {one.id[:200]: one for one in remarks if not one.ours and one.text.strip()}
    known = TicketRemark.objects.of(ticket.tenant_id).filter(ticket=ticket.pk, external_id__in=list(theirs))
    for external_id in known.values_list("external_id", flat=True):
        theirs.pop(external_id, None)
    rows = [
        TicketRemark(
            ticket=ticket,
            external_id=external_id,
            author=one_line(one.author, length=200),
            text=one.text.replace("\0", "")[:LONGEST_REMARK],
            written_at=one.at,
            read_at=now,
        )
        for external_id, one in list(theirs.items())[-MOST_REMARKS:]
    ]
    TicketRemark.objects.of(ticket.tenant_id).bulk_create(rows, ignore_conflicts=True)
    for row in rows:
        who = f"{row.author} wrote in {ticket.destination.name}" if row.author else ticket.destination.name
        news.tell("ticket_message", f"{who}: {one_line(row.text, length=500)}")


def write_news(ticket: Ticket, incidents: Sequence[Stored], news: News, *, now: datetime) -> None:
    """An event each in the history of every incident of the ticket; a closing there acknowledges them."""
    actor = ticket.destination.name
    until = acknowledged_until(ticket.destination, now=now)
    taken = acknowledging(actor=actor, note=CLOSED_THERE, until=until, now=now)
    touched, quiet = [], []
    for stored in incidents:
        changes: list[Change] = []
        if news.closed_there and not is_in_hand(stored, until=until):
            changes.extend(taken.applied_to(stored)[1])
            quiet.append(stored.values.incident_id)
        values = changes[-1].after if changes else stored.values
        changes.extend(Change(kind=kind, reason=words, before=values, after=values) for kind, words in news.told)
        if changes:
            touched.append((stored, tuple(changes)))
    write_touched(ticket.tenant_id, touched, now=now, actor=actor)
    rows = Incident.objects.of(ticket.tenant_id).filter(pk__in=quiet)
    rows.update(acknowledged_by=actor[:200], acknowledged_note=CLOSED_THERE)


def is_in_hand(stored: Stored, *, until: datetime | None) -> bool:
    """Somebody has said here already that it is in hand, for at least as long."""
    values = stored.values
    if values.acknowledged_at is None:
        return False
    return values.acknowledged_until is None or (until is not None and values.acknowledged_until >= until)


def acknowledged_until(destination: Destination, *, now: datetime) -> datetime | None:
    """When incidents speak up again that a person took for done; None where the destination leaves that to people."""
    if destination.on_persist == "nothing":
        return None
    return now + timedelta(hours=destination.persist_hours)
