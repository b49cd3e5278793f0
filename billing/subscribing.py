"""Puts clients, selections and resellers on plans from a day on, moves them to another plan, and ends it.

Two subscriptions for the same thing never share a day of the same layer, whoever the seller is: the client, selection
or reseller is locked while that is checked. Periods are half open: ``ends_on`` is the first day that is not charged.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from billing.models import Agreement, Plan, Subscription
from billing.percentages import PERCENTAGE, is_percentage
from billing.refusals import NotFound, Refused
from msp.estate.models import Client, Selection
from msp.tenants import audit
from msp.tenants.models import Reseller, Tenant


@transaction.atomic
def subscribe(
    subject: Client | Selection | Reseller,
    *,
    tenant: Tenant,
    plan: Plan,
    agreement: Agreement,
    starts_on: date,
    actor: str,
    now: datetime,
    ends_on: date | None = None,
) -> Subscription:
    """Charge a client (all its selections), one selection (both retail) or a reseller (wholesale) by a plan.

    Raises Refused with a sentence, NotFound for what belongs to another tenant.
    """
    _refuse_strangers(tenant, subject, plan, agreement)
    _refuse_dates(agreement, starts_on=starts_on, ends_on=ends_on)
    _refuse_currency(plan, agreement)
    _refuse_share_of_one(plan, subject)
    who = _who(subject)
    _lock(tenant, subject)
    _refuse_overlap(tenant, who, plan, starts_on=starts_on, ends_on=ends_on)
    made: Subscription = Subscription.objects.of(tenant).create(
        agreement=agreement, plan=plan, starts_on=starts_on, ends_on=ends_on, **who
    )
    _audit(tenant, made, action="subscription.started", actor=actor, now=now)
    return made


@transaction.atomic
def change_plan(
    subscription: Subscription, *, tenant: Tenant, plan: Plan, on: date, actor: str, now: datetime
) -> Subscription:
    """Move to another plan (or version) on a day: the old one is charged to the day before. Raises Refused."""
    locked = _locked(tenant, subscription)
    if not _runs_on(locked, on) or on == locked.starts_on:
        raise Refused(f"The plan can change on a day after {locked.starts_on} on which the subscription runs.")
    _refuse_strangers(tenant, plan)
    _refuse_currency(plan, locked.agreement)
    _refuse_other_sort(locked.plan, plan)
    ends_on = locked.ends_on
    _end(locked, on=on)
    who = {name: getattr(locked, name) for name in ("layer", "client", "reseller", "selection")}
    _refuse_overlap(tenant, who, plan, starts_on=on, ends_on=ends_on)
    made: Subscription = Subscription.objects.of(tenant).create(
        agreement=locked.agreement, plan=plan, starts_on=on, ends_on=ends_on, **who
    )
    _audit(tenant, made, action="subscription.plan_changed", actor=actor, now=now, before=locked)
    return made


@transaction.atomic
def end(subscription: Subscription, *, tenant: Tenant, on: date, actor: str, now: datetime) -> Subscription:
    """End a subscription: ``on`` is the first day that is not charged. Raises Refused."""
    locked = _locked(tenant, subscription)
    if on <= locked.starts_on:
        raise Refused(f"The subscription began on {locked.starts_on}; it can end on a later day.")
    if locked.ends_on is not None and on > locked.ends_on:
        raise Refused(f"The subscription ended on {locked.ends_on} already; start another one instead.")
    _end(locked, on=on)
    _audit(tenant, locked, action="subscription.ended", actor=actor, now=now)
    return locked


def _who(subject: Client | Selection | Reseller) -> dict[str, Any]:
    if isinstance(subject, Reseller):
        return {"layer": "wholesale", "client": None, "reseller": subject, "selection": None}
    if isinstance(subject, Selection):
        return {"layer": "retail", "client": subject.client, "reseller": None, "selection": subject}
    return {"layer": "retail", "client": subject, "reseller": None, "selection": None}


def _refuse_strangers(tenant: Tenant, *things: Any) -> None:
    for thing in things:
        if thing.tenant_id != tenant.pk:
            raise NotFound(f"There is no such {type(thing).__name__.lower()}.")


def _refuse_dates(agreement: Agreement, *, starts_on: date, ends_on: date | None) -> None:
    if ends_on is not None and ends_on <= starts_on:
        raise Refused(f"A subscription ends after it begins, not on {ends_on}.")
    if starts_on < agreement.starts_on:
        raise Refused(f"Agreement {agreement.number} begins on {agreement.starts_on}, after {starts_on}.")
    if agreement.ends_on is not None and starts_on >= agreement.ends_on:
        raise Refused(f"Agreement {agreement.number} ended on {agreement.ends_on}.")


def _refuse_currency(plan: Plan, agreement: Agreement) -> None:
    bill_to = agreement.bill_to
    if plan.currency != bill_to.currency:
        raise Refused(f"Plan {plan} is in {plan.currency}, but {bill_to} pays in {bill_to.currency}.")


def _refuse_share_of_one(plan: Plan, subject: Client | Selection | Reseller) -> None:
    if is_percentage(plan) and isinstance(subject, Selection):
        raise Refused(f"Plan {plan} is a percentage of lines: put a client or a reseller on it, not one selection.")


def _refuse_other_sort(old: Plan, new: Plan) -> None:
    """A percentage stands beside the plan of the sizes, so moving from one to the other would leave a gap."""
    if is_percentage(old) != is_percentage(new):
        raise Refused("A plan of sizes and a percentage of lines stand side by side: end this one, begin the other.")


def _refuse_overlap(tenant: Tenant, who: dict[str, Any], plan: Plan, *, starts_on: date, ends_on: date | None) -> None:
    """Sizes are charged once; a percentage may stand beside them, each such plan once."""
    others = Subscription.objects.of(tenant).filter(Q(ends_on__isnull=True) | Q(ends_on__gt=starts_on), **_same(who))
    others = others.filter(plan__code=plan.code) if is_percentage(plan) else others.exclude(plan__price=PERCENTAGE)
    if ends_on is not None:
        others = others.filter(starts_on__lt=ends_on)
    other = others.select_related("plan").order_by("starts_on").first()
    if other is not None:
        until = f"to {other.ends_on}" if other.ends_on else "with no end"
        name = who["selection"] or who["client"] or who["reseller"]
        raise Refused(f"{name} is on plan {other.plan} from {other.starts_on} {until}; end or change that one instead.")


def _same(who: dict[str, Any]) -> dict[str, Any]:
    """A selection is the same thing whoever owned it when; else the same client or reseller."""
    if who["selection"] is not None:
        return {"layer": who["layer"], "selection": who["selection"]}
    return {name: value for name, value in who.items() if value is not None} | {"selection__isnull": True}


def _lock(tenant: Tenant, subject: Any) -> None:
    type(subject).objects.of(tenant).select_for_update().get(pk=subject.pk)


def _locked(tenant: Tenant, subscription: Subscription) -> Subscription:
    rows = Subscription.objects.of(tenant).select_for_update(of=("self",)).filter(pk=subscription.pk)
    found = rows.select_related("plan", "agreement__bill_to", "client", "reseller", "selection").first()
    if found is None:
        raise NotFound("There is no such subscription.")
    locked: Subscription = found
    return locked


def _runs_on(subscription: Subscription, day: date) -> bool:
    return subscription.starts_on <= day and (subscription.ends_on is None or day < subscription.ends_on)


def _end(subscription: Subscription, *, on: date) -> None:
    subscription.ends_on = on
    subscription.save(update_fields=["ends_on"])


def _audit(
    tenant: Tenant,
    subscription: Subscription,
    *,
    action: str,
    actor: str,
    now: datetime,
    before: Subscription | None = None,
) -> None:
    audit.record(
        tenant,
        actor=actor,
        action=action,
        subject_kind="subscription",
        subject_id=subscription.pk,
        subject=str(subscription.selection or subscription.client or subscription.reseller),
        before=_told(before) if before else None,
        after=_told(subscription),
        now=now,
    )


def _told(subscription: Subscription) -> dict[str, Any]:
    return {
        "plan": str(subscription.plan),
        "starts_on": subscription.starts_on.isoformat(),
        "ends_on": subscription.ends_on.isoformat() if subscription.ends_on else None,
    }
