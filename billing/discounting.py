"""Discounts: agreed from a day on, ended on another; what they take off is reckoned by ``billing.discount_lines``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from billing.charging import refuse_early, refuse_finer
from billing.exact import number_text
from billing.models import Agreement, Subscription
from billing.models_adjusting import Discount
from billing.params import BadParams
from billing.refusals import NotFound
from msp.estate.models import Client
from msp.tenants import audit
from msp.tenants.models import Tenant

PERCENT_PLACES = 4
MOST_POSITION = 1000


@dataclass(frozen=True, kw_only=True)
class DiscountDraft:
    """What a person enters: a ``percent`` or an ``amount`` a month. ``position`` None: after all that are there."""

    name: str
    starts_on: date
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: str = ""
    ends_on: date | None = None
    position: int | None = None


@transaction.atomic
def give_discount(
    tenant: Tenant,
    agreement: Agreement,
    *,
    draft: DiscountDraft,
    actor: str,
    now: datetime,
    client: Client | None = None,
    subscription: Subscription | None = None,
) -> Discount:
    """A discount on the whole agreement, on one client's lines or on one subscription's. Raises BadParams, NotFound."""
    for thing in (agreement, client, subscription):
        if thing is not None and thing.tenant_id != tenant.pk:
            raise NotFound(f"There is no such {type(thing).__name__.lower()}.")
    if client is not None and subscription is not None:
        raise BadParams("subscription", "a discount is for a client or for a subscription, not for both")
    if subscription is not None and subscription.agreement_id != agreement.pk:
        raise BadParams("subscription", f"this subscription is not under agreement {agreement.number}")
    _refuse_terms(tenant, agreement, draft)
    Agreement.objects.of(tenant).select_for_update().get(pk=agreement.pk)
    made: Discount = Discount.objects.of(tenant).create(
        agreement=agreement,
        client=client,
        subscription=subscription,
        name=draft.name.strip(),
        percent=draft.percent,
        amount=draft.amount,
        position=draft.position if draft.position is not None else _next_position(agreement),
        starts_on=draft.starts_on,
        ends_on=draft.ends_on,
        created_at=now,
        created_by=actor,
    )
    _audit(tenant, made, action="discount.given", actor=actor, now=now)
    return made


@transaction.atomic
def end_discount(tenant: Tenant, uid: UUID, *, on: date, actor: str, now: datetime) -> Discount:
    """``on`` is the first day without it; its first day: as if it had never been given. Raises BadParams, NotFound."""
    rows = Discount.objects.of(tenant).select_for_update(of=("self",)).filter(uid=uid)
    found = rows.select_related("agreement__bill_to").first()
    if found is None:
        raise NotFound("There is no such discount.")
    discount: Discount = found
    if on < discount.starts_on:
        raise BadParams("on", f"the discount began on {discount.starts_on}; it can end on that day or later")
    if discount.ends_on is not None and on > discount.ends_on:
        raise BadParams("on", f"the discount ended on {discount.ends_on} already; give another one instead")
    discount.ends_on = on
    discount.save(update_fields=["ends_on"])
    _audit(tenant, discount, action="discount.ended", actor=actor, now=now)
    return discount


def _refuse_terms(tenant: Tenant, agreement: Agreement, draft: DiscountDraft) -> None:
    if not draft.name.strip() or len(draft.name.strip()) > 120:
        raise BadParams("name", "name it in 1 to 120 characters; the payer reads it")
    if (draft.percent is None) == (draft.amount is None):
        raise BadParams("percent", "a discount is either a percentage or an amount")
    if draft.percent is not None:
        _refuse_percent(draft.percent)
    if draft.amount is not None:
        refuse_finer(draft.amount, agreement.bill_to.currency, field="amount")
    if draft.currency and draft.currency != agreement.bill_to.currency:
        payer, theirs = agreement.bill_to, agreement.bill_to.currency
        raise BadParams("currency", f"{payer} pays in {theirs}, not in {draft.currency}")
    if draft.position is not None and not 1 <= draft.position <= MOST_POSITION:
        raise BadParams("position", f"the order is a number from 1 to {MOST_POSITION}")
    refuse_early(draft.starts_on, tenant, field="starts_on")
    if draft.ends_on is not None and draft.ends_on <= draft.starts_on:
        raise BadParams("ends_on", "a discount ends after it begins")


def _refuse_percent(percent: Decimal) -> None:
    if not percent.is_finite() or percent <= 0:
        raise BadParams("percent", "a discount is more than 0 %")
    if percent > 100:
        raise BadParams("percent", "a discount is at most 100 %: more would be money back, which a credit is for")
    if round(percent, PERCENT_PLACES) != percent:
        raise BadParams("percent", f"a percentage has at most {PERCENT_PLACES} decimals")


def _next_position(agreement: Agreement) -> int:
    known = Discount.objects.of(agreement.tenant_id).filter(agreement=agreement)
    return int(known.aggregate(last=Max("position"))["last"] or 0) + 1


def _audit(tenant: Tenant, discount: Discount, *, action: str, actor: str, now: datetime) -> None:
    worth = f"{number_text(discount.percent)} %" if discount.percent is not None else None
    after: dict[str, Any] = {
        "worth": worth or f"{number_text(discount.amount or 0)} {discount.agreement.bill_to.currency}",
        "agreement": discount.agreement.number,
        "starts_on": discount.starts_on.isoformat(),
        "ends_on": discount.ends_on.isoformat() if discount.ends_on else None,
        "position": discount.position,
    }
    audit.record(
        tenant,
        actor=actor,
        action=action,
        subject_kind="discount",
        subject_id=discount.pk,
        subject=discount.name,
        after=after,
        now=now,
    )
