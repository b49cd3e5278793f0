"""Looks at our open tickets in the other system: on a schedule, and at once when that system calls.

Closings are decided by how things stand when we look, never by an event: a callback that is lost costs minutes, one
that is forged or repeated costs a look. Each look is one claim by the ticket's clock, calls outside any transaction,
and the answer taken over by ``alerts.their_side``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from alerts import pacing
from alerts.models import Ticket
from alerts.their_side import take_over
from alerts.ticket_calls import keep_look
from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure
from integrations.tickets import GATEWAYS
from integrations.tickets.contract import Call, Thread
from msp.outbox import lanes

log = logging.getLogger(__name__)

#: Between two looks at a ticket; longer where the system calls by itself.
EVERY = timedelta(minutes=15)
EVERY_WITH_CALLBACKS = timedelta(hours=1)
#: After a look that failed, and while a destination is paused.
AFTER_FAILURE = timedelta(minutes=30)
SOON = timedelta(minutes=1)

CLAIM = """
UPDATE alerts_ticket SET check_after = %(later)s WHERE id = ANY(ARRAY(
    SELECT id FROM alerts_ticket WHERE check_after <= %(now)s ORDER BY check_after LIMIT 1 FOR UPDATE SKIP LOCKED))
RETURNING tenant_id, id
"""


def look_due(*, now: Callable[[], datetime], is_time_up: Callable[[], bool] = lambda: False) -> int:
    """Look at the tickets whose time has come, until none is left or the time is up; answers how many."""
    done = 0
    while not is_time_up():
        moment = now()
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, {"now": moment, "later": moment + AFTER_FAILURE})
            row = cursor.fetchone()
        if row is None:
            break
        look_safely(*row, now=moment)
        done += 1
    return done


def look_safely(tenant_id: int, ticket_id: int, *, now: datetime) -> None:
    """A look that meets an error of ours is logged and tried again later; it stops no other."""
    try:
        look_at(tenant_id, ticket_id, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("ticket %s of tenant %s could not be looked at", ticket_id, tenant_id)


def look_at(tenant_id: int, ticket_id: int, *, now: datetime, allow_private: bool | None = None) -> None:
    """Fetch one ticket and take over what changed there; sets when to look again."""
    ticket: Ticket = Ticket.objects.of(tenant_id).select_related("destination").get(pk=ticket_id)
    claimed = now + AFTER_FAILURE
    Ticket.objects.of(tenant_id).filter(pk=ticket_id).update(check_after=claimed)
    after = first_look_after(ticket)
    if after is None or ticket.wanted_state != "open" or ticket.confirmed_state == "none":
        set_clock(ticket, claimed=claimed, check=None)
        return
    if ticket.destination.paused_at is not None or not ticket.destination.enabled or ticket.destination.dry_run:
        return
    wait = pacing.take(ticket.destination, "look", now=now)
    if wait is not None:
        set_clock(ticket, claimed=claimed, check=now + wait)
        return
    gateway, call = GATEWAYS[ticket.destination.gateway], look_call(now, allow_private=allow_private)
    try:
        standing = gateway.read(
            config_from_json(gateway.Config, ticket.destination.config),
            Thread(ticket.reference, ticket.external_id, ticket.thread),
            call=call,
        )
    except (DeliveryFailure, BadConfig) as failure:
        reason = call.record.without_secrets(failure.reason)
        log.info("ticket %s of tenant %s could not be read: %s", ticket_id, tenant_id, reason)
        keep_look(ticket, call.record, changed=False, now=now)
        return
    news = take_over(tenant_id, ticket_id, standing, confirmed_at=ticket.confirmed_at, now=now)
    keep_look(ticket, call.record, changed=news is not None and news.is_any, now=now)
    set_clock(ticket, claimed=claimed, check=now + (SOON if news is None else after))


def first_look_after(ticket: Ticket) -> timedelta | None:
    """How long after its creation a ticket is looked at; None where the system cannot be asked."""
    gateway = GATEWAYS[ticket.destination.gateway]
    try:
        abilities = gateway.abilities(config_from_json(gateway.Config, ticket.destination.config))
    except BadConfig:
        return None
    if "read" not in abilities:
        return None
    return EVERY_WITH_CALLBACKS if "callbacks" in abilities else EVERY


def look_call(now: datetime, *, allow_private: bool | None = None) -> Call:
    allowed: bool = settings.BACKLEDGER.allow_private_destinations if allow_private is None else allow_private
    return Call(now=now, deadline_seconds=lanes.CALL_DEADLINE.total_seconds(), allow_private=allowed)


def set_clock(ticket: Ticket, *, claimed: datetime, check: datetime | None) -> None:
    """Unless the clock is no more the one that the look was claimed by: then a callback came in between and counts."""
    rows: Any = Ticket.objects.of(ticket.tenant_id).filter(pk=ticket.pk, check_after=claimed)
    rows.update(check_after=check)


def look_soon(
    tenant_id: int,
    destination_id: int,
    external_ids: set[str],
    *,
    now: datetime,
    unless_within: timedelta | None = None,
) -> int:
    """After a callback these tickets are due, unless they were looked at just now. Answers how many are ours."""
    rows: Any = Ticket.objects.of(tenant_id).filter(
        destination=destination_id, external_id__in=external_ids, wanted_state="open"
    )
    if unless_within is not None:
        rows = rows.exclude(looked_at__gt=now - unless_within)
    return int(rows.update(check_after=now))
