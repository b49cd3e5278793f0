"""One-off charges and credits: entered by a person, withdrawn with a reason, never changed.

Each lands on exactly one document (``billing.adjusting`` binds it). What a final document holds cannot be withdrawn: a
credit takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from billing.exact import number_text
from billing.models import Agreement, Invoice
from billing.models_adjusting import ONE_OFF_KINDS, OneOff
from billing.money import currency_of, money_text, round_money
from billing.params import BadParams
from billing.periods import local_day
from billing.refusals import NotFound, Refused
from msp.estate.models import Client
from msp.tenants import audit
from msp.tenants.models import Tenant

#: Digits before the point that are kept of an amount or a quantity.
MOST_DIGITS = 12
UNIT_PRICE_PLACES, QUANTITY_PLACES = 4, 6


@dataclass(frozen=True, kw_only=True)
class OneOffDraft:
    """What a person enters: an ``amount``, or a ``quantity`` of a ``unit`` with its ``unit_price``.

    ``currency`` empty: the payer's. ``tax_rate`` is a share, None: the payer's. ``month`` is a first day, None: the
    next invoice.
    """

    kind: str
    description: str
    amount: Decimal | None = None
    quantity: Decimal | None = None
    unit: str = "each"
    unit_price: Decimal | None = None
    currency: str = ""
    tax_rate: Decimal | None = None
    month: date | None = None


@transaction.atomic
def enter_one_off(
    tenant: Tenant, agreement: Agreement, *, draft: OneOffDraft, actor: str, now: datetime, client: Client | None = None
) -> OneOff:
    """Store a charge or credit. Raises BadParams naming the field, NotFound for what belongs to another tenant."""
    for thing in (agreement, *([client] if client else [])):
        if thing.tenant_id != tenant.pk:
            raise NotFound(f"There is no such {type(thing).__name__.lower()}.")
    currency = agreement.bill_to.currency
    _refuse_words(draft, currency=currency, payer=str(agreement.bill_to))
    quantity, unit_price = _priced(draft, currency=currency)
    refuse_early(draft.month, tenant, field="month")
    made: OneOff = OneOff.objects.of(tenant).create(
        agreement=agreement,
        client=client,
        kind=draft.kind,
        description=draft.description.strip(),
        quantity=quantity,
        unit=draft.unit.strip() or "each",
        unit_price=unit_price,
        currency=currency,
        tax_rate=draft.tax_rate,
        month=draft.month,
        created_at=now,
        created_by=actor,
    )
    _audit(tenant, made, action=f"{draft.kind}.entered", actor=actor, now=now)
    return made


@transaction.atomic
def withdraw(tenant: Tenant, uid: UUID, *, actor: str, reason: str, now: datetime) -> OneOff:
    """Take back what no final document holds; a draft loses it when it is drafted again. Raises NotFound or Refused."""
    if not reason.strip():
        raise BadParams("reason", "withdrawing a charge or credit needs a reason")
    found = OneOff.objects.of(tenant).select_for_update(of=("self",)).filter(uid=uid).first()
    if found is None:
        raise NotFound("There is no such charge or credit.")
    one_off: OneOff = found
    if one_off.withdrawn_at is not None:
        raise Refused(f"{one_off} was withdrawn already.")
    holder = Invoice.objects.of(tenant).filter(pk=one_off.invoice_id).first() if one_off.invoice_id else None
    if holder is not None and holder.state == "final":
        raise Refused(f"{one_off} stands on invoice {holder.number}, which is final: enter a credit instead.")
    one_off.withdrawn_at, one_off.withdrawn_by, one_off.withdraw_reason = now, actor, reason.strip()
    one_off.invoice = None
    one_off.save(update_fields=["withdrawn_at", "withdrawn_by", "withdraw_reason", "invoice"])
    _audit(tenant, one_off, action=f"{one_off.kind}.withdrawn", actor=actor, now=now, reason=reason)
    return one_off


def refuse_early(day: date | None, tenant: Tenant, *, field: str) -> None:
    """Raises BadParams for a day before the month in which the tenant began here."""
    began = local_day(tenant.created_at, zone=tenant.timezone).replace(day=1)
    if day is not None and day < began:
        raise BadParams(field, f"{day} lies before {tenant.name} began here, in {began:%B %Y}")


def refuse_finer(amount: Decimal, currency: str, *, field: str) -> None:
    """Raises BadParams for an amount that is not positive, too large, or finer than the currency."""
    if amount <= 0:
        raise BadParams(field, "this must be more than 0; to give money back, enter a credit")
    if not amount.is_finite() or amount.adjusted() >= MOST_DIGITS:
        raise BadParams(field, f"this must have at most {MOST_DIGITS} digits before the point")
    if round_money(amount, currency) != amount:
        places = currency_of(currency).decimals
        raise BadParams(field, f"{number_text(amount)} is finer than {currency}, which has {places} decimals")


def _refuse_words(draft: OneOffDraft, *, currency: str, payer: str) -> None:
    if draft.kind not in ONE_OFF_KINDS:
        raise BadParams("kind", f"this must be one of: {', '.join(ONE_OFF_KINDS)}")
    if not draft.description.strip() or len(draft.description.strip()) > 200:
        raise BadParams("description", "say in 1 to 200 characters what it is for; the payer reads it")
    if len(draft.unit.strip()) > 8:
        raise BadParams("unit", "a unit has at most 8 characters, such as each or hour")
    if draft.currency and draft.currency != currency:
        raise BadParams("currency", f"{payer} pays in {currency}, not in {draft.currency}")
    if draft.tax_rate is not None and not 0 <= draft.tax_rate < 1:
        raise BadParams("tax_rate", "a tax rate is 0 or more and less than 100 %")
    if draft.tax_rate is not None and draft.tax_rate != round(draft.tax_rate, 5):
        raise BadParams("tax_rate", "a tax rate has at most 3 decimals in percent")
    if draft.month is not None and draft.month.day != 1:
        raise BadParams("month", f"a month is named by its first day, which {draft.month} is not")


def _priced(draft: OneOffDraft, *, currency: str) -> tuple[Decimal, Decimal]:
    """Quantity and unit price; an amount is one of it."""
    if (draft.amount is None) == (draft.unit_price is None):
        raise BadParams("amount", "enter either an amount, or a quantity and the price of one")
    if draft.amount is not None:
        if draft.quantity is not None:
            raise BadParams("quantity", "a quantity goes with the price of one, not with an amount")
        refuse_finer(draft.amount, currency, field="amount")
        return Decimal(1), draft.amount
    if draft.quantity is None or draft.unit_price is None:
        raise BadParams("quantity", "say how many are charged at this price")
    _refuse_places(draft.quantity, "quantity", QUANTITY_PLACES)
    _refuse_places(draft.unit_price, "unit_price", UNIT_PRICE_PLACES)
    if not round_money(draft.quantity * draft.unit_price, currency):
        raise BadParams("unit_price", f"that comes to {money_text(0, currency)}: there is nothing to charge")
    return draft.quantity, draft.unit_price


def _refuse_places(value: Decimal, field: str, places: int) -> None:
    if value <= 0 or not value.is_finite():
        raise BadParams(field, "this must be more than 0; to give money back, enter a credit")
    if value.adjusted() >= MOST_DIGITS // 2 or round(value, places) != value:
        raise BadParams(field, f"this must have at most {MOST_DIGITS // 2} digits before the point and {places} after")


def _audit(tenant: Tenant, one_off: OneOff, *, action: str, actor: str, now: datetime, reason: str = "") -> None:
    after: dict[str, Any] = {
        "amount": f"{number_text(one_off.quantity)} x {number_text(one_off.unit_price)} {one_off.currency}",
        "bill_to": str(one_off.agreement.bill_to),
        "month": one_off.month.isoformat() if one_off.month else "next invoice",
    }
    audit.record(
        tenant,
        actor=actor,
        action=action,
        subject_kind="one-off",
        subject_id=one_off.pk,
        subject=one_off.description,
        after=after,
        reason=reason,
        now=now,
    )
