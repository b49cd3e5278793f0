"""Takes over a mail about a ticket that was found good: its number there, its words, its status, its command.

Called by ``alerts.mail_answers`` in the transaction of the mail's event. Incidents are locked first, then the ticket,
as by ``alerts.their_side``, which does the comparing. A mail that is older than what we did since tells no status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.acting import Action, CannotAct, act_on_several
from alerts.incident_rows import lock_by_id
from alerts.mail_commands import BadCommand, is_command, read_command
from alerts.models import Incident, Ticket
from alerts.their_side import News, compare, lock_ticket, take_remarks, write_news
from integrations.tickets import Remark, Standing
from integrations.tickets.mail_systems import Told
from msp.tenants.models import Tenant

AUTOMATIC = " (automatic answer)"


@dataclass(frozen=True, kw_only=True)
class Mailed:
    """A mail of somebody who may answer. ``id`` is its Message-ID; ``author`` and ``text`` are for people to read.

    ``no_commands`` says why it may give none, "" where it may.
    """

    id: str
    author: str
    sender: str
    text: str
    written_at: datetime | None
    arrived_at: datetime
    told: Told
    automatic: bool
    may_tell_status: bool
    no_commands: str


def take_mail(tenant_id: int, ticket_id: int, mailed: Mailed, *, now: datetime) -> None:
    """In the caller's transaction; nothing is sent because of it but what a person's command brings about."""
    ids = Incident.objects.of(tenant_id).filter(ticket=ticket_id, state="open").values_list("id", flat=True)
    incidents = [one for one in lock_by_id(tenant_id, list(ids)).values() if one.ticket_id == ticket_id]
    ticket = lock_ticket(tenant_id, ticket_id)
    news = news_of(ticket, mailed, now=now)
    command = follow(mailed, ticket, news, now=now)
    if news.values:
        Ticket.objects.of(tenant_id).filter(pk=ticket_id).update(**news.values)
    write_news(ticket, incidents, news, now=now)
    if command is not None:
        uids = Incident.objects.of(tenant_id).filter(pk__in=[one.values.incident_id for one in incidents])
        act_on_several(Tenant.objects.get(pk=tenant_id), list(uids.values_list("uid", flat=True)), command)


def news_of(ticket: Ticket, mailed: Mailed, *, now: datetime) -> News:
    """Remark, status and number, as far as each is new."""
    remark = Remark(mailed.id, mailed.author, mailed.text, at=min(mailed.written_at or mailed.arrived_at, now))
    standing = standing_of(ticket, mailed, remark)
    if standing is None:
        news = News()
        take_remarks(ticket, [remark], news, now=now)
    else:
        news = compare(ticket, standing, now=now)
        news.values["looked_at"] = now
    if mailed.told.number and not ticket.their_number:
        news.values["their_number"] = mailed.told.number[:100]
        news.tell("ticket_status", f"{ticket.destination.name}: the ticket has the number {mailed.told.number} there.")
    return news


def standing_of(ticket: Ticket, mailed: Mailed, remark: Remark) -> Standing | None:
    """How the ticket stands by the words of its system; None where the mail does not tell, or may not."""
    told = mailed.told
    is_stale = ticket.confirmed_at is not None and ticket.confirmed_at >= mailed.arrived_at
    is_open_here = ticket.wanted_state == "open" and ticket.confirmed_state != "none"
    if not mailed.may_tell_status or not is_open_here or is_stale or not (told.status or told.closed is not None):
        return None
    return Standing(
        external_id=ticket.external_id,
        status=told.status or ticket.their_status,
        closed=ticket.confirmed_state == "closed" if told.closed is None else told.closed,
        assignee=ticket.their_assignee,
        remarks=(remark,),
    )


def follow(mailed: Mailed, ticket: Ticket, news: News, *, now: datetime) -> Action | None:
    """What its first line asks for; that it is not followed is told in the history."""
    if mailed.automatic or not is_command(mailed.text):
        return None
    try:
        if mailed.no_commands:
            raise BadCommand(mailed.no_commands)
        return read_command(mailed.text, actor=f"{mailed.sender} by mail", now=now)
    except (BadCommand, CannotAct) as reason:
        news.tell(
            "ticket_message", f"{ticket.destination.name}: the command of {mailed.sender} was not followed. {reason}"
        )
        return None
