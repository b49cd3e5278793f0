"""Lanes: mark what is out of step, claim what is due, settle what was done.

Whoever changes what an outside object should be marks its lane in the same transaction. Delivery claims due lanes (a
token and a lease each, one statement), makes its calls outside any transaction, and settles with the token: a settle
whose token is gone changes nothing, since another claim has taken over. An expired lease counts as *outcome unknown*.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet

from msp.outbox.models import Lane, LaneAttempt

#: A call's total deadline is well under the lease, so that a live worker never loses its claim.
CALL_DEADLINE = timedelta(seconds=25)
LEASE = timedelta(seconds=120)

FIRST_RETRY = timedelta(seconds=20)
LONGEST_RETRY = timedelta(minutes=30)


@dataclass(frozen=True)
class Claim:
    """The right to deliver one lane until ``lease_until``. ``wanted`` is what settling as done will confirm.

    ``unknown`` says that an earlier call may have worked: look before repeating. ``attempts`` counts failures in a row.
    """

    tenant_id: int
    lane_id: int
    kind: str
    object_id: int
    wanted: int
    token: uuid.UUID
    attempts: int
    unknown: bool


MARK = """
INSERT INTO outbox_lane (uid, tenant_id, kind, object_id, wanted, confirmed, next_attempt_at, attempts, unknown, stuck,
                         last_error, updated_at)
SELECT gen_random_uuid(), %(tenant)s, %(kind)s, id, 1, 0, %(now)s, 0, false, false, '', %(now)s
FROM unnest(%(ids)s::bigint[]) AS id ORDER BY id
ON CONFLICT (tenant_id, kind, object_id) DO UPDATE SET
    wanted = outbox_lane.wanted + 1,
    next_attempt_at = coalesce(outbox_lane.next_attempt_at, excluded.next_attempt_at),
    updated_at = excluded.updated_at
"""


def mark(tenant_id: int, kind: str, object_ids: Collection[int], *, now: datetime) -> None:
    """Say that these objects are out of step, in the caller's transaction; one statement, rows locked in id order.

    A lane that waits for a retry keeps its time: new changes must not hammer a system that asked for patience.
    """
    if object_ids:
        with connection.cursor() as cursor:
            cursor.execute(MARK, {"tenant": tenant_id, "kind": kind, "ids": sorted(set(object_ids)), "now": now})


# MATERIALIZED has the choice made once. As a plain subquery the planner may make it again for each row, and claim more.
CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM outbox_lane
    WHERE kind = %(kind)s AND next_attempt_at <= %(now)s AND NOT stuck AND wanted > confirmed
      AND (%(tenant)s::bigint IS NULL OR tenant_id = %(tenant)s)
    ORDER BY next_attempt_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE outbox_lane AS lane SET
    claim_token = gen_random_uuid(),
    lease_until = %(lease_end)s,
    next_attempt_at = %(lease_end)s,
    unknown = lane.unknown OR lane.claim_token IS NOT NULL,
    updated_at = %(now)s
FROM due
WHERE lane.id = due.id
RETURNING lane.tenant_id, lane.id, lane.kind, lane.object_id, lane.wanted, lane.claim_token, lane.attempts, lane.unknown
"""


def claim(kind: str, *, now: datetime, limit: int, tenant_id: int | None = None) -> tuple[Claim, ...]:
    """Take up to ``limit`` due lanes of every tenant (or of one), in a transaction to be committed before calling.

    A lane whose earlier claim was never settled comes back with ``unknown`` set: that worker died or hung in the call.
    """
    scope: dict[str, Any] = {"kind": kind, "tenant": tenant_id, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, scope | {"now": now, "lease_end": now + LEASE})
        return tuple(Claim(*row) for row in cursor.fetchall())


def next_due(kinds: Iterable[str]) -> datetime | None:
    """When the next lane of these kinds, of any tenant, falls due; None if nothing is out of step."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT next_attempt_at FROM outbox_lane WHERE kind = ANY(%s) AND next_attempt_at IS NOT NULL "
            "AND NOT stuck AND wanted > confirmed ORDER BY next_attempt_at LIMIT 1",
            [list(kinds)],
        )
        row = cursor.fetchone()
        return None if row is None else row[0]


def extend(claimed: Claim, *, now: datetime) -> bool:
    """Renew the lease before a further call of the same claim; False when the claim is lost."""
    lanes = Lane.objects.of(claimed.tenant_id).filter(pk=claimed.lane_id, claim_token=claimed.token)
    return bool(lanes.update(lease_until=now + LEASE, next_attempt_at=now + LEASE, updated_at=now))


def settle_done(claimed: Claim, *, now: datetime) -> bool:
    """Confirm what was wanted when the lane was claimed; False when the claim is lost. More may be wanted by now."""
    return _settle(
        claimed,
        now=now,
        changes="confirmed = greatest(confirmed, %(wanted)s), attempts = 0, unknown = false, last_error = '', "
        "next_attempt_at = CASE WHEN wanted > %(wanted)s THEN %(now)s END",
        values={"wanted": claimed.wanted},
    )


def settle_again(claimed: Claim, *, now: datetime) -> bool:
    """The call worked and more remains to be said: due again at once, with a clean record."""
    return _settle(
        claimed, now=now, changes="attempts = 0, unknown = false, last_error = '', next_attempt_at = %(now)s", values={}
    )


def settle_later(
    claimed: Claim, *, now: datetime, reason: str, retry_after: float | None = None, unknown: bool = False
) -> bool:
    """Try again after ``retry_after`` seconds or a growing wait. ``unknown``: the call may have worked."""
    wait = retry_wait(claimed.attempts) if retry_after is None else timedelta(seconds=max(1.0, retry_after))
    return _settle(
        claimed,
        now=now,
        changes="attempts = attempts + 1, next_attempt_at = %(at)s, last_error = %(reason)s, unknown = %(unknown)s",
        values={"at": now + wait, "reason": reason, "unknown": unknown},
    )


def settle_wait(claimed: Claim, *, now: datetime, until: datetime) -> bool:
    """Nothing was tried: give the claim back until then. That an earlier call may have worked stays known."""
    return _settle(
        claimed,
        now=now,
        changes="next_attempt_at = %(at)s, unknown = %(unknown)s",
        values={"at": until, "unknown": claimed.unknown},
    )


def settle_stuck(claimed: Claim, *, now: datetime, reason: str, unknown: bool = False) -> bool:
    """Stop: only a person can help. The lane stays out of step and is shown until ``free``."""
    return _settle(
        claimed,
        now=now,
        changes="attempts = attempts + 1, stuck = true, next_attempt_at = NULL, last_error = %(reason)s, "
        "unknown = %(unknown)s",
        values={"reason": reason, "unknown": unknown},
    )


def stop(tenant_id: int, kind: str, object_id: int, *, action: str, reason: str, now: datetime) -> None:
    """What was confirmed turned out to have failed: out of step again, and only a person can help. In the caller's
    transaction. A claim of this moment is settled as ever; the lane stays stopped.
    """
    rows = Lane.objects.of(tenant_id).filter(kind=kind, object_id=object_id)
    for lane_id in rows.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True):
        changes = {"stuck": True, "next_attempt_at": None, "last_error": reason, "updated_at": now}
        Lane.objects.of(tenant_id).filter(pk=lane_id).update(wanted=F("wanted") + 1, **changes)
        LaneAttempt.objects.of(tenant_id).create(
            lane_id=lane_id, at=now, action=action, outcome="permanent", detail=reason[:2000]
        )


def put_off(tenant_id: int, kind: str, object_ids: QuerySet[Any], *, now: datetime) -> None:
    """Let due lanes of these objects wait for the first retry's time; those that are claimed or wait stay as they are.

    Always the first, however often it failed: one object that alone is refused must not hold up the others for long.
    """
    due = Lane.objects.of(tenant_id).filter(kind=kind, object_id__in=object_ids, claim_token__isnull=True, stuck=False)
    locked = due.filter(next_attempt_at__lte=now).order_by("pk").select_for_update(skip_locked=True, no_key=True)
    with transaction.atomic():
        ids = list(locked.values_list("pk", flat=True))
        Lane.objects.of(tenant_id).filter(pk__in=ids).update(next_attempt_at=now + FIRST_RETRY, updated_at=now)


def free(tenant_id: int, lane_ids: Iterable[int], *, now: datetime) -> int:
    """Let stuck lanes try again now, on a person's word; answers how many."""
    lanes = Lane.objects.of(tenant_id).filter(pk__in=list(lane_ids), wanted__gt=0)
    return lanes.filter(claim_token__isnull=True).update(
        stuck=False, unknown=False, attempts=0, next_attempt_at=now, updated_at=now
    )


def stuck_lane_ids(tenant_id: int, kind: str, object_id: int) -> list[int]:
    lanes = Lane.objects.of(tenant_id).filter(kind=kind, object_id=object_id, stuck=True)
    return list(lanes.values_list("pk", flat=True))


def retry_wait(attempts: int) -> timedelta:
    """20 s, doubled with each failure in a row, at most half an hour."""
    return min(FIRST_RETRY * (1 << min(attempts, 12)), LONGEST_RETRY)


def note_attempt(claimed: Claim, *, action: str, outcome: str, detail: str, now: datetime) -> None:
    """Keep what was called and what came of it; ``detail`` must hold no secret."""
    LaneAttempt.objects.of(claimed.tenant_id).create(
        lane_id=claimed.lane_id, at=now, action=action, outcome=outcome, detail=detail[:2000]
    )


def _settle(claimed: Claim, *, now: datetime, changes: str, values: dict[str, Any]) -> bool:
    """``changes`` is one of the texts above, never anything from outside."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE outbox_lane SET {changes}, claim_token = NULL, lease_until = NULL, updated_at = %(now)s "  # noqa: S608
            "WHERE tenant_id = %(tenant)s AND id = %(lane)s AND claim_token = %(token)s",
            {
                **values,
                "now": now,
                "tenant": claimed.tenant_id,
                "lane": claimed.lane_id,
                "token": claimed.token,
            },
        )
        return bool(cursor.rowcount == 1)
