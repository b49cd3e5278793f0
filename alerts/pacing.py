"""Keeps our calls within a destination's budget, which the MSP's other tools share: a token bucket for each.

The bucket is one time a destination: when the calls already made will have used up their share. A call may be made
while that lies at most ``BURST`` calls ahead; who comes too early is told when to come back, and the tickets that wait
for the same destination are given one such time each, so that nobody asks in vain.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from alerts.models import Destination
from integrations.tickets import GATEWAYS

BURST = 10
#: Requests of one action; reading before and after a closing counts.
COSTS = {"create": 1, "find": 1, "comment": 1, "close": 3, "reopen": 2, "look": 2, "push": 3}

TAKE = """
UPDATE alerts_destination
SET next_call_at = greatest(coalesce(next_call_at, %(now)s), %(now)s) + %(cost)s
WHERE tenant_id = %(tenant)s AND id = %(destination)s AND coalesce(next_call_at, %(now)s) <= %(ahead)s
RETURNING id
"""

# Each waiting ticket of the destination gets the next free moment of the bucket, in the order in which they wait.
QUEUE = """
WITH waiting AS (
    SELECT lane.id FROM outbox_lane lane JOIN alerts_ticket ticket ON ticket.id = lane.object_id
    WHERE lane.tenant_id = %(tenant)s AND lane.kind = 'ticket' AND ticket.destination_id = %(destination)s
      AND lane.claim_token IS NULL AND NOT lane.stuck AND lane.next_attempt_at <= %(now)s
    ORDER BY lane.next_attempt_at, lane.id FOR NO KEY UPDATE OF lane SKIP LOCKED
), numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM waiting)
UPDATE outbox_lane lane SET next_attempt_at = %(begin)s::timestamptz + numbered.place * %(each)s::interval
FROM numbered WHERE lane.id = numbered.id
"""


def interval_of(destination: Destination) -> timedelta:
    """The time between two calls of its share."""
    return timedelta(minutes=1) / (destination.calls_per_minute or GATEWAYS[destination.gateway].CALLS_PER_MINUTE)


def take(destination: Destination, action: str, *, now: datetime) -> timedelta | None:
    """Take what an action costs from the budget; None when it may be made, else how long to wait."""
    interval, cost = interval_of(destination), COSTS[action]
    values: dict[str, Any] = {
        "now": now,
        "cost": interval * cost,
        "ahead": now + interval * BURST,
        "tenant": destination.tenant_id,
        "destination": destination.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(TAKE, values)
        if cursor.fetchone():
            return None
    current = (
        Destination.objects.of(destination.tenant_id).values_list("next_call_at", flat=True).get(pk=destination.pk)
    )
    return max(interval, (current or now) - now - interval * (BURST - 1))


def queue_waiting(destination: Destination, *, after: timedelta, now: datetime) -> None:
    """Spread the tickets that are due along the budget; those that are claimed or wait for a retry stay as they are."""
    values: dict[str, Any] = {
        "now": now,
        "begin": now + after,
        "each": interval_of(destination),
        "tenant": destination.tenant_id,
        "destination": destination.pk,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(QUEUE, values)
