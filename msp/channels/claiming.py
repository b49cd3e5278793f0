"""Claims polled rows that are due, and settles them: one statement each, so that two workers never ask one twice.

A claim is a token with a lease and moves ``check_after`` to the lease's end: a worker that dies is made up for. How far
a row was read (``progress``) is written only with the token, after what was read is stored; a settle whose token is
gone changes nothing. Failures wait longer each time. Works for every ``Polled`` table, across tenants.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F

from msp.channels.models import Polled

LEASE = timedelta(seconds=180)
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=4)
LONGEST_ERROR = 1000  # characters

# MATERIALIZED has the choice made once, whatever plan the database would rather take. A table's name is no value.
CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM {table} WHERE state = 'active' AND check_after <= %(now)s
      AND (%(tenant)s::bigint IS NULL OR tenant_id = %(tenant)s)
    ORDER BY check_after LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE {table} AS polled
SET claim_token = gen_random_uuid(), lease_until = %(lease_end)s, check_after = %(lease_end)s
FROM due WHERE polled.id = due.id
RETURNING polled.tenant_id, polled.id, polled.claim_token, polled.every_minutes, polled.failures
"""


@dataclass(frozen=True)
class Claim:
    """The right to ask one row of ``model`` until its lease ends. ``failures`` counts those in a row before."""

    model: type[Polled]
    tenant_id: int
    row_id: int
    token: uuid.UUID
    every_minutes: int
    failures: int


def claim(model: type[Polled], *, now: datetime, limit: int, tenant_id: int | None = None) -> tuple[Claim, ...]:
    """Take up to ``limit`` due rows of every tenant (or of one), longest due first; committed before asking."""
    values: dict[str, Any] = {"now": now, "lease_end": now + LEASE, "limit": limit, "tenant": tenant_id}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM.format(table=model._meta.db_table), values)
        return tuple(Claim(model, *row) for row in cursor.fetchall())


def load(claimed: Claim) -> Polled | None:
    """The claimed row, None if the claim is lost (or the row)."""
    row: Polled | None = _held(claimed).first()
    return row


def progress(claimed: Claim, *, now: datetime, **values: Any) -> bool:
    """Write down how far the row was read and renew the lease; False when the claim is lost: then stop.

    ``values`` are columns of the row. To be called when everything up to there is stored, never before.
    """
    return bool(_held(claimed).update(lease_until=now + LEASE, check_after=now + LEASE, **values))


def settle_done(claimed: Claim, *, now: datetime, more: bool = False, **values: Any) -> bool:
    """Asked with success: due again after its interval, or at once if there is ``more`` to read."""
    wait = timedelta(0) if more else timedelta(minutes=claimed.every_minutes)
    return _settle(claimed, check_after=now + wait, last_success_at=now, last_error="", failures=0, **values)


def settle_failed(
    claimed: Claim, *, now: datetime, reason: str, retry_after: float | None = None, **values: Any
) -> bool:
    """Asked in vain: ``reason`` is shown; due again after ``retry_after`` seconds, else a growing wait."""
    wait = retry_wait(claimed.failures) if retry_after is None else timedelta(seconds=max(1.0, retry_after))
    error = reason[:LONGEST_ERROR]
    return _settle(claimed, check_after=now + wait, last_error=error, failures=F("failures") + 1, **values)


def retry_wait(failures: int) -> timedelta:
    """1, 2, 4 ... minutes, at most four hours."""
    doubled: int = 2 ** min(failures, 12)
    return min(LONGEST_RETRY, FIRST_RETRY * doubled)


def _held(claimed: Claim) -> Any:
    return claimed.model.objects.of(claimed.tenant_id).filter(pk=claimed.row_id, claim_token=claimed.token)


def _settle(claimed: Claim, **values: Any) -> bool:
    return bool(_held(claimed).update(claim_token=None, lease_until=None, **values))
