"""Tells people by mail of tickets that a destination does not take: because it keeps failing, or refused them.

One lane a destination. While tickets are held back it comes again every half hour and mails what is new since the last
mail; once none is held back any more it says so and ends. The tickets themselves stay where they are: what is still
true once the destination works again becomes a ticket there. A mail whose outcome is unknown is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from alerts.models import Destination, MorningReport, Ticket
from alerts.standing_in import Held, Words, again_mail, held_mail
from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import email
from integrations.tickets.contract import Call
from msp.outbox import lanes
from msp.outbox.lanes import Claim

LANE = "fallback"
#: A refused ticket is mailed after so long: a person who is at it may free it before.
PATIENCE = timedelta(minutes=5)
EVERY = timedelta(minutes=30)

HELD = """
SELECT ticket.id, ticket.subject, ticket.uid, ticket.severity, ticket.opened_at, ticket.last_seq,
       ticket.last_seq > ticket.mailed_seq, lane.stuck, lane.last_error, lane.updated_at
FROM alerts_ticket ticket
JOIN alerts_destination destination ON destination.id = ticket.destination_id
JOIN outbox_lane lane ON lane.tenant_id = ticket.tenant_id AND lane.kind = 'ticket' AND lane.object_id = ticket.id
WHERE ticket.tenant_id = %(tenant)s AND ticket.destination_id = %(destination)s AND ticket.wanted_state = 'open'
  AND ticket.last_seq > ticket.told_seq AND lane.wanted > lane.confirmed
  AND (lane.stuck OR destination.paused_at IS NOT NULL AND destination.failing_since IS NOT NULL)
ORDER BY ticket.opened_at, ticket.id
"""


@dataclass(frozen=True)
class Way:
    """By whose server a mail goes, and to whom."""

    config: email.Config
    recipients: tuple[str, ...]
    name: str


def look(tenant_id: int, destination_id: int, *, now: datetime) -> None:
    """Have the destination's tickets looked through, in the caller's transaction."""
    lanes.mark(tenant_id, LANE, [destination_id], now=now)


def deliver_fallback(claim: Claim, *, now: datetime, allow_private: bool | None = None) -> None:
    """Mail what is held back, or that nothing is any more; settles the claim and raises for nothing that a server does.

    ``allow_private`` None leaves it to the settings.
    """
    destination = Destination.objects.of(claim.tenant_id).filter(pk=claim.object_id).select_related("tenant").first()
    if destination is None:
        lanes.settle_done(claim, now=now)
        return
    held = load_held(destination)
    fresh = [one for one in held if one.is_new]
    mailed = Ticket.objects.of(claim.tenant_id).filter(destination=destination, mailed_seq__gt=0)
    if not fresh and (held or not mailed.exists()):
        wait_or_end(claim, held, now=now)
        return
    ready_at = ready(destination, fresh)
    if held and ready_at > now:
        lanes.settle_wait(claim, now=now, until=ready_at)
        return
    if send_safely(claim, destination, held, fresh, now=now, allow_private=allow_private):
        note_mailed(destination, held, fresh)
        wait_or_end(claim, held, now=now)


def load_held(destination: Destination) -> tuple[Held, ...]:
    """The tickets whose problem is open and that the destination does not take at present, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, {"tenant": destination.tenant_id, "destination": destination.pk})
        return tuple(Held(*row) for row in cursor.fetchall())


def wait_or_end(claim: Claim, held: Sequence[Held], *, now: datetime) -> None:
    """Come again while anything is held back."""
    if held:
        lanes.settle_wait(claim, now=now, until=now + EVERY)
    else:
        lanes.settle_done(claim, now=now)


def ready(destination: Destination, fresh: Sequence[Held]) -> datetime:
    """When to mail: at once what a pause holds back, after the patience what was refused."""
    moments = [one.held_since + PATIENCE if one.stuck else one.held_since for one in fresh]
    return min(moments, default=destination.created_at)


def note_mailed(destination: Destination, held: Sequence[Held], fresh: Sequence[Held]) -> None:
    """Remember how far each was told; once nothing is held back, nothing was."""
    tickets = Ticket.objects.of(destination.tenant_id).filter(destination=destination)
    if not held:
        tickets.filter(mailed_seq__gt=0).update(mailed_seq=0)
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE alerts_ticket ticket SET mailed_seq = told.seq FROM unnest(%s::bigint[], %s::int[]) "
            "AS told(id, seq) WHERE ticket.tenant_id = %s AND ticket.id = told.id",
            [[one.ticket_id for one in fresh], [one.last_seq for one in fresh], destination.tenant_id],
        )


def send_safely(
    claim: Claim,
    destination: Destination,
    held: Sequence[Held],
    fresh: Sequence[Held],
    *,
    now: datetime,
    allow_private: bool | None,
) -> bool:
    """Whether the mail was taken, or there is nobody to take it; else the claim is settled."""
    try:
        way = find_way(destination)
        if way is None:
            detail = "There is no mailbox to tell it to: add a destination of the kind e-mail."
            lanes.note_attempt(claim, action="mail", outcome="permanent", detail=detail, now=now)
            return True
        text = words_of(destination, held, fresh)
        allowed = settings.BACKLEDGER.allow_private_destinations if allow_private is None else allow_private
        call = Call(now, lanes.CALL_DEADLINE.total_seconds(), idempotency_key=str(claim.token), allow_private=allowed)
        name = f"fallback-{destination.uid.hex[:16]}-{now:%Y%m%dT%H%M%S%f}"
        email.send_mail(way.config, email.Mail(name, way.recipients, *text), call=call)
    except (BadConfig, PermanentFailure, TemporaryFailure, OutcomeUnknown) as failure:
        reason = str(getattr(failure, "reason", failure))
        lanes.note_attempt(claim, action="mail", outcome="temporary", detail=reason, now=now)
        lanes.settle_later(claim, now=now, reason=reason)
        return False
    lanes.note_attempt(claim, action="mail", outcome="done", detail=f"Mailed by {way.name}.", now=now)
    return True


def words_of(destination: Destination, held: Sequence[Held], fresh: Sequence[Held]) -> Words:
    """What the mail says now."""
    base_url = settings.BACKLEDGER.base_url
    if not held:
        return again_mail(destination.name, base_url=base_url)
    return held_mail(
        destination.name,
        since=destination.failing_since,
        reason=destination.pause_reason,
        held=held,
        fresh=fresh,
        zone=destination.tenant.timezone,
        base_url=base_url,
    )


def find_way(destination: Destination) -> Way | None:
    """The mailbox chosen for it; else whom the first morning report reaches; else any mailbox that works.

    Raises BadConfig for one that cannot work.
    """
    usable = Destination.objects.of(destination.tenant_id).filter(
        gateway="email", enabled=True, dry_run=False, paused_at__isnull=True
    )
    usable = usable.exclude(pk=destination.pk)
    chosen = usable.filter(pk=destination.fallback_id).first()
    if chosen is None:
        reports = MorningReport.objects.of(destination.tenant_id).filter(enabled=True, destination__in=usable)
        report = reports.select_related("destination").order_by("pk").first()
        if report is not None and report.destination is not None:
            return way_by(report.destination, tuple(report.recipients))
        chosen = usable.order_by("pk").first()
    return None if chosen is None else way_by(chosen, ())


def way_by(row: Destination, recipients: tuple[str, ...]) -> Way:
    config = config_from_json(email.Config, row.config)
    return Way(config, recipients or tuple(config.recipients), row.name)
