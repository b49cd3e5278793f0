"""Loads what the rule about destinations reads: whether one keeps failing, and how many tickets it has not taken."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from alerts.group_facts import DestinationFacts
from alerts.selection_loading import rows_of

DESTINATIONS = """
SELECT destination.id, destination.name, tenant.name, tenant.timezone,
       destination.enabled AND tenant.state = 'active', NOT tenant.tickets_enabled, destination.failing_since,
       CASE WHEN destination.failing_since IS NOT NULL THEN destination.paused_at END,
       held.waiting, held.refused, held.refused_since, coalesce(held.error, ''), destination.pause_reason
FROM alerts_destination destination
JOIN tenants_tenant tenant ON tenant.id = destination.tenant_id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE NOT lane.stuck) AS waiting, count(*) FILTER (WHERE lane.stuck) AS refused,
           min(lane.updated_at) FILTER (WHERE lane.stuck) AS refused_since,
           (array_agg(lane.last_error ORDER BY lane.updated_at DESC) FILTER (WHERE lane.stuck))[1] AS error
    FROM alerts_ticket ticket
    JOIN outbox_lane lane ON lane.tenant_id = ticket.tenant_id AND lane.kind = 'ticket' AND lane.object_id = ticket.id
    WHERE ticket.tenant_id = destination.tenant_id AND ticket.destination_id = destination.id
      AND lane.wanted > lane.confirmed AND ticket.wanted_state = 'open'
) AS held
WHERE destination.tenant_id = %(tenant)s AND destination.id = ANY(%(ids)s)
ORDER BY destination.id
"""


def load_destination_facts(tenant_id: int, ids: Collection[int], now: datetime) -> tuple[DestinationFacts, ...]:
    """In one statement; none for those that are gone."""
    return tuple(
        DestinationFacts(
            tenant_id=tenant_id, destination_id=row[0], name=row[1], tenant=row[2], zone=row[3], active=row[4],
            observed=row[5], failing_since=row[6], paused_at=row[7], waiting=row[8], refused=row[9],
            refused_since=row[10], error=row[12] if row[7] else row[11],
        )
        for row in rows_of(DESTINATIONS, {"tenant": tenant_id, "ids": sorted(ids)})
    )  # fmt: skip
