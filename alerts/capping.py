"""A destination's limit of new tickets within an hour: beyond it the rest share one ticket, so that nothing is lost.

Called by ``alerts.ticketing`` before it opens tickets, in the same transaction. Workers that open tickets of the same
destination take turns by an advisory lock, so that two of them do not each use up the limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import connection

from alerts.facts import SEVERITIES, Severity
from alerts.routing import SHARED, Routed

PERIOD = timedelta(hours=1)

Group = tuple[int, str]


def shared_groups(tenant_id: int, asked: Iterable[tuple[Routed, Severity]], *, now: datetime) -> frozenset[Group]:
    """Those of the groups asked for that have no open ticket and for which no new one may be opened within the hour.

    The worst get the tickets that are left. Costs nothing where no destination has a limit.
    """
    worst: dict[Group, int] = {}
    limits: dict[int, int] = {}
    for routed, severity in asked:
        if routed.tickets_per_hour is not None:
            group = (routed.destination_id, routed.group_key)
            worst[group] = max(worst.get(group, 0), SEVERITIES.index(severity))
            limits[routed.destination_id] = routed.tickets_per_hour
    if not limits:
        return frozenset()
    opened = _opened_lately(tenant_id, limits, now=now)
    missing = worst.keys() - _open_groups(tenant_id, limits)
    beyond: set[Group] = set()
    for destination_id, limit in limits.items():
        new = sorted((group for group in missing if group[0] == destination_id), key=lambda one: (-worst[one], one[1]))
        beyond.update(new[max(0, limit - opened.get(destination_id, 0)) :])
    return frozenset(beyond)


def _opened_lately(tenant_id: int, destinations: Iterable[int], *, now: datetime) -> Mapping[int, int]:
    """How many tickets were opened within the hour, by destination; each is locked until the transaction ends."""
    ids = sorted(destinations)
    with connection.cursor() as cursor:
        for destination_id in ids:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('tickets an hour', %s))", [destination_id])
        cursor.execute(
            "SELECT destination_id, count(*) FROM alerts_ticket WHERE tenant_id = %s AND destination_id = ANY(%s) "
            "AND opened_at > %s AND group_key <> %s GROUP BY destination_id",
            [tenant_id, ids, now - PERIOD, SHARED],
        )
        return dict(cursor.fetchall())


def _open_groups(tenant_id: int, destinations: Iterable[int]) -> frozenset[Group]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT destination_id, group_key FROM alerts_ticket WHERE tenant_id = %s AND destination_id = ANY(%s) "
            "AND wanted_state = 'open'",
            [tenant_id, sorted(destinations)],
        )
        return frozenset((row[0], row[1]) for row in cursor.fetchall())
