"""Pushes quantities to agreement lines in PSA systems: asked for by a person, delivered by the worker.

Delivery looks at the line before it writes: what stands there already is not written again, so neither a repeat nor a
lost answer changes a quantity twice. Pushes to one agreement go one after the other, in the order they were asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from billing.days import Period
from billing.models_psa import PsaPush
from billing.psa_difference import Desks, PsaRow, planned_rows, refuse_day
from billing.refusals import Refused
from integrations.agreements import Place
from integrations.agreements.desk import Desk
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets.contract import Call
from msp.outbox import lanes
from msp.outbox.lanes import Claim
from msp.tenants import audit
from msp.tenants.models import Tenant

LANE = "psa"
#: What was sent may still be under way in a system that was slow: only then is the line looked at again.
UNDER_WAY = timedelta(minutes=1)
#: How long a push waits for an earlier one to the same agreement.
BEHIND = timedelta(seconds=5)


def ask_push(
    tenant: Tenant,
    desk: Desk,
    desks: Desks,
    *,
    period: Period,
    effective_on: date,
    keys: Collection[tuple[UUID, str]] | None,
    actor: str,
    now: datetime,
) -> tuple[int, tuple[str, ...]]:
    """Have the quantities of these clients' plans (None: all that are mapped) pushed; answers how many are on their
    way, and a sentence for each asked for that is not. Raises Refused when nothing can be pushed at all.
    """
    refuse_day(period, effective_on)
    if desk.problem:
        raise Refused(desk.problem)
    rows = planned_rows(tenant, desk, desks, period=period, effective_on=effective_on)
    asked = [row for row in rows if (row.kind != "unmapped" if keys is None else row.key in keys)]
    good = [row for row in asked if row.kind == "unread"]
    problems = [f"{row.client.name}, {row.plan}: {row.problem}" for row in asked if row.kind != "unread"]
    try:
        _enter(tenant, desk, good, period=period, effective_on=effective_on, actor=actor, now=now)
    except IntegrityError:
        raise Refused("Somebody else is pushing to these lines at this moment: look again.") from None
    return len(good), tuple(problems)


def pushes_of(tenant: Tenant, destination_id: int, *, most: int = 100) -> tuple[PsaPush, ...]:
    """What was pushed to a destination, the newest first; one query."""
    rows = PsaPush.objects.of(tenant).filter(destination_id=destination_id).select_related("client")
    return tuple(rows.order_by("-pk")[:most])


def deliver_push(claim: Claim, *, now: datetime, desks: Desks, allow_private: bool | None = None) -> None:
    """Push one claimed quantity and settle it; never raises for what the other system does."""
    row = PsaPush.objects.of(claim.tenant_id).filter(pk=claim.object_id, state="waiting").first()
    if row is None:
        lanes.settle_done(claim, now=now)
        return
    desk = desks.desk_of(claim.tenant_id, row.destination_id)
    if desk is None or desk.problem:
        problem = desk.problem if desk else "The destination is gone, or keeps no agreements any more."
        _settle(claim, row, state="failed", problem=problem, now=now)
        return
    wait = BEHIND if _is_behind(row) else desks.wait_for_call(claim.tenant_id, row.destination_id, now=now)
    if wait is not None:
        lanes.settle_wait(claim, now=now, until=now + wait)
        return
    if allow_private is None:
        allow_private = settings.BACKLEDGER.allow_private_destinations
    call = Call(now, lanes.CALL_DEADLINE.total_seconds(), f"psa-{row.uid.hex}", allow_private=allow_private)
    try:
        written = _push(row, desk, call=call)
    except PermanentFailure as failure:
        _settle(claim, row, state="failed", problem=failure.reason, now=now)
    except TemporaryFailure as failure:
        lanes.note_attempt(claim, action="push", outcome="temporary", detail=failure.reason, now=now)
        again = failure.retry_after
        lanes.settle_later(claim, now=now, reason=failure.reason, retry_after=again, unknown=claim.unknown)
    except OutcomeUnknown as failure:
        lanes.note_attempt(claim, action="push", outcome="unknown", detail=failure.reason, now=now)
        seconds = UNDER_WAY.total_seconds()
        lanes.settle_later(claim, now=now, reason=failure.reason, retry_after=seconds, unknown=True)
    else:
        _settle(claim, row, state="done" if written or row.before is not None else "same", now=now)


def _push(row: PsaPush, desk: Desk, *, call: Call) -> bool:
    """Look, then write unless it stands there; whether it was written. What was found is kept before it is changed."""
    place = Place(row.company, row.agreement_id, row.line_id)
    line = desk.look(place, on=row.effective_on, call=call)
    if line.over:
        raise PermanentFailure(f"{line.over} Choose another line.")
    if line.holds(row.quantity, on=row.effective_on):
        return False
    if row.before is None:
        PsaPush.objects.of(row.tenant_id).filter(pk=row.pk).update(before=line.quantity)
    desk.write(line, Decimal(row.quantity), on=row.effective_on, call=call)
    return True


def _is_behind(row: PsaPush) -> bool:
    """Whether an earlier push to the same agreement is still on its way: some systems take an agreement as a whole."""
    waiting = PsaPush.objects.of(row.tenant_id).filter(destination_id=row.destination_id, state="waiting")
    return waiting.filter(agreement_id=row.agreement_id, pk__lt=row.pk).exists()


@transaction.atomic
def _enter(
    tenant: Tenant,
    desk: Desk,
    rows: Collection[PsaRow],
    *,
    period: Period,
    effective_on: date,
    actor: str,
    now: datetime,
) -> None:
    """Rows, lanes and an audit entry each."""
    made = PsaPush.objects.of(tenant).bulk_create(
        PsaPush(
            destination_id=desk.id, client=row.client, plan_code=row.plan_code, company=row.company,
            agreement_id=row.chosen.agreement_id, line_id=row.chosen.line_id, name=row.chosen.name,
            first_day=period.first_day, quantity=row.quantity, unit=row.stated.unit, effective_on=effective_on,
            asked_by=actor[:200], asked_at=now,
        )
        for row in rows if row.chosen is not None and row.stated is not None and row.quantity is not None
    )  # fmt: skip
    lanes.mark(tenant.pk, LANE, [push.pk for push in made], now=now)
    for push in made:
        told = {
            "destination": desk.name, "line": push.name, "quantity": f"{push.quantity:f}", "unit": push.unit,
            "month": f"{push.first_day:%Y-%m}", "effective_on": push.effective_on.isoformat(),
        }  # fmt: skip
        audit.record(
            tenant, actor=actor, action="psa.pushed", subject_kind="client", subject_id=push.client_id,
            subject=push.client.name, after=told, now=now,
        )  # fmt: skip


def _settle(claim: Claim, row: PsaPush, *, state: str, now: datetime, problem: str = "") -> None:
    """What became of it stands in its row; a person who mends what was wrong pushes again, which is another row."""
    with transaction.atomic():
        outcome = "permanent" if state == "failed" else "found" if state == "same" else "done"
        lanes.note_attempt(claim, action="push", outcome=outcome, detail=problem, now=now)
        if lanes.settle_done(claim, now=now):
            changes = {"state": state, "problem": problem, "settled_at": now}
            PsaPush.objects.of(claim.tenant_id).filter(pk=row.pk).update(**changes)
