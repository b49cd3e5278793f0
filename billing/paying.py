"""Records payments of a seller and allocates them to its invoices: whole, in part, several; taken off again if wrong.

The same payment from the same source is recorded once. Never more is allocated than a payment holds or an invoice is
open for. Locks: the payment, then the invoice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from billing.models import Invoice, Payment, PaymentAllocation, Seller
from billing.models_payments import METHODS
from billing.money import UnknownCurrency, money_text, round_money
from billing.owing import owed_of
from billing.refusals import NotFound, Refused
from msp.tenants import audit
from msp.tenants.models import Tenant

LONGEST_REFERENCE = 1000
LARGEST = Decimal(10) ** 13


@dataclass(frozen=True, kw_only=True)
class PaymentEntry:
    """A payment as it is told; ``amount`` negative is money paid back. ``source_id`` is unique within the seller."""

    amount: Decimal
    currency: str
    received_on: date
    source: str
    source_id: str
    method: str = "transfer"
    reference: str = ""
    payer: str = ""


def record_payment(
    tenant: Tenant, seller: Seller, entry: PaymentEntry, *, actor: str, now: datetime
) -> tuple[Payment, bool]:
    """The payment, and whether it is new; a known one is answered as it stands. Raises Refused."""
    if seller.tenant_id != tenant.pk:
        raise NotFound("There is no such seller.")
    check_entry(entry)
    values = vars(entry) | {"recorded_by": actor, "recorded_at": now}
    key = {"seller": seller, "source_id": values.pop("source_id")}
    with transaction.atomic():
        payment, is_new = Payment.objects.of(tenant).get_or_create(**key, defaults=values)
        if not is_new and (payment.amount, payment.currency) != (entry.amount, entry.currency):
            known = money_text(payment.amount, payment.currency)
            raise Refused(f"A payment of {known} with this id is recorded already; this one says another amount.")
        if is_new:
            _audit(payment, action="payment.recorded", actor=actor, now=now)
    return payment, is_new


def check_entry(entry: PaymentEntry) -> None:
    """Raises Refused with a sentence for what cannot be a payment."""
    if entry.method not in METHODS:
        raise Refused(f"There is no method {entry.method!r}; choose one of {', '.join(METHODS)}.")
    if not entry.amount or abs(entry.amount) >= LARGEST:
        raise Refused("The amount of a payment is a number other than 0, with at most 13 digits.")
    if not entry.source_id or len(entry.source_id) > 200:
        raise Refused("The id of a payment at its source has 1 to 200 characters.")
    if len(entry.reference) > LONGEST_REFERENCE or len(entry.payer) > 200:
        raise Refused(f"A reference has at most {LONGEST_REFERENCE:,} characters, a payer's name 200.")
    try:
        whole = round_money(entry.amount, entry.currency) == entry.amount
    except UnknownCurrency as unknown:
        raise Refused(f"{unknown}.") from unknown
    if not whole:
        raise Refused(f"{entry.amount} {entry.currency} is not a whole number of the smallest unit of the currency.")


@transaction.atomic
def allocate(
    tenant: Tenant, payment_uid: UUID, invoice_uid: UUID, *, amount: Decimal | None = None, actor: str, now: datetime
) -> PaymentAllocation:
    """Settle an invoice by (a part of) a payment; without an amount as much as both allow. Raises NotFound, Refused."""
    payment = _locked_payment(tenant, payment_uid)
    invoice = _locked_invoice(tenant, invoice_uid)
    _refuse_unlike(payment, invoice)
    left, is_open = left_of(payment), owed_of(tenant, [invoice.pk])[invoice.pk].open
    wanted = _wanted(payment, amount, left=left, is_open=is_open)
    if round_money(wanted, payment.currency) != wanted:
        raise Refused(f"{wanted} {payment.currency} is not a whole number of the smallest unit of the currency.")
    row: PaymentAllocation = PaymentAllocation.objects.of(tenant).create(
        payment=payment, invoice=invoice, amount=wanted, allocated_by=actor, allocated_at=now
    )
    Payment.objects.of(tenant).filter(pk=payment.pk, bill_to=None).update(bill_to=invoice.bill_to_id)
    _audit(payment, action="payment.allocated", actor=actor, now=now, invoice=invoice.number, amount=wanted)
    return row


@transaction.atomic
def take_off(tenant: Tenant, payment_uid: UUID, invoice_uid: UUID, *, actor: str, now: datetime) -> Decimal:
    """Take what a payment settles of an invoice off again; it is free for another. Raises NotFound or Refused."""
    payment = _locked_payment(tenant, payment_uid)
    invoice = _locked_invoice(tenant, invoice_uid)
    rows = PaymentAllocation.objects.of(tenant).filter(payment=payment, invoice=invoice)
    settled = rows.aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
    if not settled:
        raise Refused(f"This payment settles nothing of {invoice.number}.")
    PaymentAllocation.objects.of(tenant).create(
        payment=payment, invoice=invoice, amount=-settled, allocated_by=actor, allocated_at=now
    )
    _audit(payment, action="payment.taken_off", actor=actor, now=now, invoice=invoice.number, amount=-settled)
    return Decimal(settled)


@transaction.atomic
def withdraw(tenant: Tenant, payment_uid: UUID, *, reason: str, actor: str, now: datetime) -> Payment:
    """Say that a payment was entered by mistake; it must settle nothing any more. Raises NotFound or Refused."""
    payment = _locked_payment(tenant, payment_uid)
    if not reason.strip():
        raise Refused("Withdrawing a payment needs a reason.")
    if left_of(payment) != payment.amount:
        raise Refused("This payment settles invoices: take it off them first.")
    payment.withdrawn_by, payment.withdrawn_at, payment.withdrawn_reason = actor, now, reason.strip()[:2000]
    payment.save(update_fields=["withdrawn_by", "withdrawn_at", "withdrawn_reason"])
    _audit(payment, action="payment.withdrawn", actor=actor, now=now, reason=reason)
    return payment


@transaction.atomic
def record_stripe_payment(
    invoice: Invoice, *, external_id: str, amount: Decimal, received_on: date, now: datetime
) -> Payment:
    """What Stripe collected for an invoice, once however often it is told, allocated as far as the invoice is open."""
    entry = PaymentEntry(
        amount=amount,
        currency=invoice.currency,
        received_on=received_on,
        method="stripe",
        source="stripe",
        source_id=f"stripe:{external_id}",
        reference=invoice.number,
        payer=str(invoice.bill_to)[:200],
    )
    payment, is_new = record_payment(invoice.tenant, invoice.seller, entry, actor="stripe", now=now)
    owed = owed_of(invoice.tenant_id, [invoice.pk]).get(invoice.pk)
    if is_new and owed is not None and owed.open > 0 and amount > 0:
        allocate(invoice.tenant, payment.uid, invoice.uid, actor="stripe", now=now)
    return payment


def left_of(payment: Payment) -> Decimal:
    """What of a payment settles nothing yet; one query."""
    rows = PaymentAllocation.objects.of(payment.tenant_id).filter(payment=payment)
    return Decimal(payment.amount - (rows.aggregate(sum=Sum("amount"))["sum"] or 0))


def _wanted(payment: Payment, amount: Decimal | None, *, left: Decimal, is_open: Decimal) -> Decimal:
    """The amount to allocate; a payment back settles what was paid too much."""
    sign = 1 if payment.amount > 0 else -1
    free, needed = left * sign, is_open * sign
    if amount is None:
        amount = min(free, needed)
    if amount <= 0:
        raise Refused("There is nothing to settle: the payment is used up, or nothing is open.")
    if amount > free:
        raise Refused(f"Only {money_text(free, payment.currency)} of this payment is left.")
    if amount > needed:
        raise Refused(f"Only {money_text(max(needed, Decimal(0)), payment.currency)} of the invoice is open.")
    return amount * sign


def _refuse_unlike(payment: Payment, invoice: Invoice) -> None:
    if payment.withdrawn_at:
        raise Refused("This payment was withdrawn.")
    if invoice.kind != "regular" or invoice.state != "final":
        raise Refused("Only a final invoice can be settled by a payment.")
    if payment.seller_id != invoice.seller_id:
        raise Refused("This payment was received by another seller.")
    if payment.currency != invoice.currency:
        raise Refused(f"This payment is in {payment.currency}, the invoice in {invoice.currency}.")


def _locked_payment(tenant: Tenant, uid: UUID) -> Payment:
    payment = Payment.objects.of(tenant).select_for_update().filter(uid=uid).first()
    if payment is None:
        raise NotFound("There is no such payment.")
    found: Payment = payment
    return found


def _locked_invoice(tenant: Tenant, uid: UUID) -> Invoice:
    invoice = Invoice.objects.of(tenant).defer("snapshot").select_for_update().filter(uid=uid).first()
    if invoice is None:
        raise NotFound("There is no such invoice.")
    found: Invoice = invoice
    return found


def _audit(payment: Payment, *, action: str, actor: str, now: datetime, reason: str = "", **more: Any) -> None:
    after = {"amount": str(payment.amount), "currency": payment.currency, "source": payment.source}
    audit.record(
        payment.tenant_id,
        actor=actor,
        action=action,
        subject_kind="payment",
        subject_id=payment.pk,
        subject=payment.reference[:200],
        after=after | {f"allocated_{name}" if name == "amount" else name: str(value) for name, value in more.items()},
        reason=reason,
        now=now,
    )
