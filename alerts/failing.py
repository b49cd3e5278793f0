"""Destinations that keep failing: counted, paused by themselves, tried with one ticket at a time, let go on.

While a destination is paused by itself its tickets wait instead of knocking at a system that does not answer, people
are told by mail (``alerts.falling_back``) and an incident is open (``alerts.rules.destination_failing``). The first
ticket that gets through ends the pause; of what waited only what is still true is told.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from alerts import falling_back
from alerts.evaluating import mark_due
from alerts.models import Destination, Ticket

#: So many failures in a row, over so long a time, without one success between them.
FAILURES = 5
FAILING = timedelta(minutes=15)
#: A ticket is tried so often while the pause lasts.
PROBE_EVERY = timedelta(minutes=5)

COUNT = """
UPDATE alerts_destination SET failures = failures + 1, failing_since = coalesce(failing_since, %(now)s)
WHERE tenant_id = %(tenant)s AND id = %(destination)s AND paused_at IS NULL
RETURNING failures, failing_since
"""

# What was refused since then seems to be no fault of the single ticket: it waits with the others and is tried again.
FREE = """
WITH refused AS (
    SELECT lane.id FROM outbox_lane lane JOIN alerts_ticket ticket ON ticket.id = lane.object_id
    WHERE lane.tenant_id = %(tenant)s AND lane.kind = 'ticket' AND ticket.destination_id = %(destination)s
      AND lane.stuck AND NOT lane.unknown AND lane.claim_token IS NULL AND lane.updated_at >= %(since)s
    ORDER BY lane.id FOR NO KEY UPDATE OF lane SKIP LOCKED
)
UPDATE outbox_lane lane SET stuck = false, next_attempt_at = %(at)s FROM refused WHERE lane.id = refused.id
"""

HURRY = """
WITH waiting AS (
    SELECT lane.id FROM outbox_lane lane JOIN alerts_ticket ticket ON ticket.id = lane.object_id
    WHERE lane.tenant_id = %(tenant)s AND lane.kind = 'ticket' AND ticket.destination_id = %(destination)s
      AND NOT lane.stuck AND lane.claim_token IS NULL AND lane.next_attempt_at > %(now)s
    ORDER BY lane.id FOR NO KEY UPDATE OF lane SKIP LOCKED
)
UPDATE outbox_lane lane SET next_attempt_at = %(now)s FROM waiting WHERE lane.id = waiting.id
"""


def is_paused_by_itself(destination: Destination) -> bool:
    """Whether failures paused it, and not a person."""
    return destination.paused_at is not None and destination.failing_since is not None


def note_failure(destination: Destination, *, reason: str, now: datetime) -> None:
    """Count a call that failed; too many of them pause the destination."""
    values = _values(destination, now=now)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(COUNT, values)
            row = cursor.fetchone()
        if row is not None and row[0] >= FAILURES and now - row[1] >= FAILING:
            pause(destination, reason=reason, since=row[1], now=now)


def pause(destination: Destination, *, reason: str, since: datetime, now: datetime) -> None:
    """Hold its tickets back, in the caller's transaction, and have people told otherwise."""
    rows = Destination.objects.of(destination.tenant_id).filter(pk=destination.pk)
    rows.update(paused_at=now, pause_reason=f"It keeps failing: {reason}"[:2000], probe_after=now + PROBE_EVERY)
    with connection.cursor() as cursor:
        cursor.execute(FREE, {**_values(destination, now=now), "since": since, "at": now + PROBE_EVERY})
    falling_back.look(destination.tenant_id, destination.pk, now=now)
    mark_due(destination.tenant_id, "destination", [destination.pk], now=now)


def note_refusal(tenant_id: int, ticket_id: int, *, now: datetime) -> None:
    """One ticket needs a person: the others go on, but people hear of it. In the caller's transaction."""
    ids = list(Ticket.objects.of(tenant_id).filter(pk=ticket_id).values_list("destination_id", flat=True))
    for destination_id in ids:
        falling_back.look(tenant_id, destination_id, now=now)
    mark_due(tenant_id, "destination", ids, now=now)


def take_probe(destination: Destination, *, now: datetime) -> bool:
    """Whether this ticket is the one by which a destination that paused itself is tried."""
    if not destination.enabled or not is_paused_by_itself(destination):
        return False
    rows = Destination.objects.of(destination.tenant_id).filter(
        pk=destination.pk, failing_since__isnull=False, paused_at__isnull=False, probe_after__lte=now
    )
    return bool(rows.update(probe_after=now + PROBE_EVERY))


def go_on(destination: Destination, *, now: datetime) -> bool:
    """A call worked: end the pause that failures brought about and deliver what waits. False if there was none."""
    rows = Destination.objects.of(destination.tenant_id).filter(pk=destination.pk, failing_since__isnull=False)
    with transaction.atomic():
        if not rows.filter(paused_at__isnull=False).update(
            paused_at=None, pause_reason="", probe_after=None, failing_since=None, failures=0
        ):
            return False
        hurry(destination, now=now)
        falling_back.look(destination.tenant_id, destination.pk, now=now)
        mark_due(destination.tenant_id, "destination", [destination.pk], now=now)
    return True


def try_again(destination: Destination, *, now: datetime) -> None:
    """Its settings were changed: what it refused and what waits is tried anew, in the caller's transaction."""
    Destination.objects.of(destination.tenant_id).filter(pk=destination.pk).update(probe_after=now)
    with connection.cursor() as cursor:
        cursor.execute(FREE, {**_values(destination, now=now), "since": destination.created_at, "at": now})
    hurry(destination, now=now)
    mark_due(destination.tenant_id, "destination", [destination.pk], now=now)


def hurry(destination: Destination, *, now: datetime) -> None:
    """Have its waiting tickets delivered at once."""
    with connection.cursor() as cursor:
        cursor.execute(HURRY, _values(destination, now=now))


def _values(destination: Destination, *, now: datetime) -> dict[str, Any]:
    return {"tenant": destination.tenant_id, "destination": destination.pk, "now": now}
