"""Keeps what was sent and received about each ticket, for people to read and for a while.

Called by delivery, by looking, by the address for callbacks and by the reading of mails, each after its calls.
Of looks that brought no news only the last is kept, of a ticket only its latest calls. What comes here has lost its
secrets (``integrations.recording``); nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction

from alerts.models import Destination, Ticket, TicketCall
from integrations.recording import MOST_ADDRESS, Exchange, Recorder, clean, shown_headers, shown_text
from msp.tenants.models import Tenant

LOOK, CALLBACK, MAIL = "look", "callback", "mail"
#: Calls of one ticket that are kept; the oldest go first.
MOST_OF_A_TICKET = 200
CHUNK = 2_000
_LONGEST_METHOD = 10
_MOST_MILLISECONDS = 2**31 - 1


def keep_sent(ticket: Ticket, record: Recorder, *, action: str, now: datetime) -> None:
    """What delivery sent in this attempt; nothing was sent: no statement."""
    rows = [_row(ticket.pk, exchange, action=action, now=now) for exchange in record.exchanges()]
    if rows:
        with transaction.atomic():
            TicketCall.objects.of(ticket.tenant_id).bulk_create(rows)
            forget_oldest(ticket)


def keep_look(ticket: Ticket, record: Recorder, *, changed: bool, now: datetime) -> None:
    """What a look sent; it takes the place of the looks before it that brought no news either."""
    rows = [_row(ticket.pk, exchange, action=LOOK, changed=changed, now=now) for exchange in record.exchanges()]
    if rows:
        with transaction.atomic():
            TicketCall.objects.of(ticket.tenant_id).filter(ticket=ticket.pk, action=LOOK, changed=False).delete()
            TicketCall.objects.of(ticket.tenant_id).bulk_create(rows)
            forget_oldest(ticket)


def keep_callback(
    destination: Destination,
    verdicts: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: tuple[str, ...],
    now: datetime,
) -> None:
    """A callback that was proven, with each ticket of ours that it names; ``verdicts`` by the ticket's id there."""
    tickets = list(
        Ticket.objects.of(destination.tenant_id).filter(destination=destination.pk, external_id__in=list(verdicts))
    )
    rows = [
        TicketCall(
            ticket_id=ticket.pk,
            at=now,
            tried_at=now,
            direction="received",
            action=CALLBACK,
            method="POST",
            request_headers=shown_headers(headers, secrets),
            request=shown_text(body, headers, secrets, size=len(body)),
            verdict=verdicts[ticket.external_id],
        )
        for ticket in tickets
    ]
    TicketCall.objects.of(destination.tenant_id).bulk_create(rows)
    for ticket in tickets:
        forget_oldest(ticket)


def keep_mail(
    ticket: Ticket, *, sender: str, subject: str, text: str, verdict: str, secrets: tuple[str, ...], now: datetime
) -> None:
    """A mail that came in about a ticket, as it was read, in the caller's transaction."""
    mail = f"From: {sender}\nSubject: {subject}\n\n{text}".encode("utf-8", "replace")
    TicketCall.objects.of(ticket.tenant_id).create(
        ticket_id=ticket.pk,
        at=now,
        tried_at=now,
        direction="received",
        action=MAIL,
        method="MAIL",
        request=shown_text(mail.replace(b"\0", b""), {}, secrets, size=len(mail)),
        verdict=clean(verdict, most=MOST_ADDRESS),
    )
    forget_oldest(ticket)


def forget_oldest(ticket: Ticket) -> None:
    """Beyond the latest calls of a ticket nothing is kept."""
    rows = TicketCall.objects.of(ticket.tenant_id).filter(ticket=ticket.pk)
    for last in rows.order_by("-id").values_list("pk", flat=True)[MOST_OF_A_TICKET : MOST_OF_A_TICKET + 1]:
        rows.filter(pk__lte=last).delete()


def forget_old(*, days: int, now: datetime) -> int:
    """Delete what is older than so many days, in chunks; answers how many."""
    before = now - timedelta(days=days)
    return sum(_forget_before(tenant, before) for tenant in Tenant.objects.order_by("pk"))


def _forget_before(tenant: Tenant, before: datetime) -> int:
    gone = 0
    while ids := list(TicketCall.objects.of(tenant).filter(at__lt=before).values_list("pk", flat=True)[:CHUNK]):
        gone += TicketCall.objects.of(tenant).filter(pk__in=ids).delete()[0]
    return gone


def _row(ticket_id: int, exchange: Exchange, *, action: str, now: datetime, changed: bool = True) -> TicketCall:
    return TicketCall(
        ticket_id=ticket_id,
        at=now + timedelta(milliseconds=exchange.after_ms),
        tried_at=now,
        direction="sent",
        action=action,
        method=exchange.method[:_LONGEST_METHOD],
        address=exchange.address,
        request_headers=dict(exchange.request_headers),
        request=exchange.request,
        status=exchange.status,
        answer_headers=dict(exchange.answer_headers),
        answer=exchange.answer,
        verdict=exchange.failure,
        took_ms=min(exchange.took_ms, _MOST_MILLISECONDS),
        changed=changed,
    )
