"""What the pages and the API show of payments: the list, one with what it settles, and the invoices it could settle.

Each function makes a fixed number of queries and answers frozen dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Sum

from billing.models import Invoice, Payment, PaymentAllocation
from billing.owing import owed_of
from billing.refusals import NotFound
from msp.tenants.models import Tenant


@dataclass(frozen=True, kw_only=True)
class PaymentRow:
    """One payment; ``left`` settles nothing yet and waits for a person."""

    uid: UUID
    seller: str
    bill_to: str
    amount: Decimal
    left: Decimal
    currency: str
    received_on: date
    method: str
    reference: str
    payer: str
    source: str
    recorded_by: str
    recorded_at: datetime
    withdrawn: str


@dataclass(frozen=True, kw_only=True)
class Settled:
    """So much of an invoice is settled by a payment, all allocations between the two added up."""

    payment_uid: UUID
    invoice_uid: UUID
    number: str
    amount: Decimal
    currency: str
    received_on: date
    method: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An open invoice that a payment could settle."""

    uid: UUID
    number: str
    bill_to: str
    due_on: date
    open: Decimal
    exact: bool


@dataclass(frozen=True, kw_only=True)
class PaymentPage:
    """A payment with what it settles and, as long as something is left of it, what it could settle."""

    row: PaymentRow
    settles: tuple[Settled, ...]
    candidates: tuple[Candidate, ...]


def payment_rows(tenant: Tenant, *, waiting: bool = False, limit: int = 200) -> tuple[PaymentRow, ...]:
    """The newest first; ``waiting`` only those of which something settles nothing yet; two queries."""
    rows = Payment.objects.of(tenant).select_related("seller", "bill_to").order_by("-received_on", "-pk")
    if waiting:
        rows = rows.filter(pk__in=_waiting(tenant))
    payments = list(rows[:limit])
    used = _used(tenant, [payment.pk for payment in payments])
    return tuple(_row(payment, used.get(payment.pk, Decimal(0))) for payment in payments)


def payment_page(tenant: Tenant, uid: UUID) -> PaymentPage:
    """One payment. Raises NotFound."""
    payment = Payment.objects.of(tenant).select_related("seller", "bill_to").filter(uid=uid).first()
    if payment is None:
        raise NotFound("There is no such payment.")
    row = _row(payment, _used(tenant, [payment.pk]).get(payment.pk, Decimal(0)))
    settles = settled_between(tenant, payment_id=payment.pk)
    candidates = _candidates(tenant, payment, row.left) if row.left and not row.withdrawn else ()
    return PaymentPage(row=row, settles=settles, candidates=candidates)


def settled_between(
    tenant: Tenant, *, payment_id: int | None = None, invoice_id: int | None = None
) -> tuple[Settled, ...]:
    """What one payment settles, or what settles one invoice, by day; one query."""
    rows = PaymentAllocation.objects.of(tenant)
    rows = rows.filter(payment_id=payment_id) if payment_id else rows.filter(invoice_id=invoice_id)
    named = ("payment__uid", "invoice__uid", "invoice__number", "payment__currency", "payment__received_on")
    sums = rows.order_by().values(*named, "payment__method").annotate(sum=Sum("amount")).exclude(sum=0)
    return tuple(
        Settled(
            payment_uid=each["payment__uid"],
            invoice_uid=each["invoice__uid"],
            number=each["invoice__number"],
            amount=each["sum"],
            currency=each["payment__currency"],
            received_on=each["payment__received_on"],
            method=each["payment__method"],
        )
        for each in sums.order_by("payment__received_on", "invoice__number")
    )


def _waiting(tenant: Tenant) -> list[int]:
    sums = PaymentAllocation.objects.of(tenant).order_by().values("payment_id").annotate(sum=Sum("amount"))
    used = {each["payment_id"]: each["sum"] for each in sums}
    amounts = Payment.objects.of(tenant).filter(withdrawn_at=None).values_list("pk", "amount")
    return [pk for pk, amount in amounts if used.get(pk, Decimal(0)) != amount]


def _used(tenant: Tenant, ids: list[int]) -> dict[int, Decimal]:
    rows = PaymentAllocation.objects.of(tenant).filter(payment_id__in=ids).order_by()
    return {each["payment_id"]: each["sum"] for each in rows.values("payment_id").annotate(sum=Sum("amount"))}


def _candidates(tenant: Tenant, payment: Payment, left: Decimal) -> tuple[Candidate, ...]:
    """Open invoices of the seller in this currency, those of the exact amount first; of money back those overpaid."""
    finals = Invoice.objects.of(tenant).filter(
        seller=payment.seller_id, currency=payment.currency, state="final", kind="regular"
    )
    finals = finals.defer("snapshot", "decisions").select_related("bill_to")
    invoices = list(finals.filter(bill_to=payment.bill_to_id) if payment.bill_to_id else finals)
    owed = owed_of(tenant, [invoice.pk for invoice in invoices])
    shown = [
        Candidate(
            uid=invoice.uid,
            number=invoice.number,
            bill_to=str(invoice.bill_to),
            due_on=invoice.due_on,
            open=owed[invoice.pk].open,
            exact=owed[invoice.pk].open == left,
        )
        for invoice in invoices
        if owed[invoice.pk].open * left > 0
    ]
    return tuple(sorted(shown, key=lambda each: (not each.exact, each.due_on, each.number))[:200])


def _row(payment: Payment, used: Decimal) -> PaymentRow:
    withdrawn = f"{payment.withdrawn_by}: {payment.withdrawn_reason}" if payment.withdrawn_at else ""
    return PaymentRow(
        uid=payment.uid,
        seller=str(payment.seller),
        bill_to=str(payment.bill_to or ""),
        amount=payment.amount,
        left=Decimal(0) if withdrawn else payment.amount - used,
        currency=payment.currency,
        received_on=payment.received_on,
        method=payment.method,
        reference=payment.reference,
        payer=payment.payer,
        source=payment.source,
        recorded_by=payment.recorded_by,
        recorded_at=payment.recorded_at,
        withdrawn=withdrawn,
    )
