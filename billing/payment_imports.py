"""Takes a file of payments in: each recorded once, and settled where reference and exact amount leave no doubt.

The rest waits for a person; nothing is left out. One transaction under the seller's row, a fixed number of statements
for the payments however many there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from billing.models import Invoice, Payment, PaymentAllocation, Seller
from billing.owing import owed_of
from billing.paying import check_entry
from billing.payment_files import CsvColumns, read_payments
from billing.refusals import NotFound
from msp.tenants import audit
from msp.tenants.models import Tenant


@dataclass(frozen=True, kw_only=True)
class Imported:
    """``new`` were recorded, of them ``matched`` settle invoices and the rest waits; ``known`` were there already."""

    new: int
    known: int
    matched: int
    passed_over: int

    @property
    def waiting(self) -> int:
        return self.new - self.matched


@dataclass
class _Open:
    """An invoice that is still open, as this import goes on."""

    invoice: Invoice
    amount: Decimal


@transaction.atomic
def import_payments(
    tenant: Tenant, seller: Seller, content: bytes, *, columns: CsvColumns, name: str, actor: str, now: datetime
) -> Imported:
    """Read a file and take what is new. Raises Refused, and then nothing was taken."""
    if seller.tenant_id != tenant.pk:
        raise NotFound("There is no such seller.")
    read = read_payments(content, columns=columns)
    for entry in read.entries:
        check_entry(entry)
    Seller.objects.of(tenant).select_for_update().get(pk=seller.pk)
    ids = [entry.source_id for entry in read.entries]
    known = Payment.objects.of(tenant).filter(seller=seller, source_id__in=ids)
    there = set(known.values_list("source_id", flat=True))
    fresh = [
        Payment(seller=seller, recorded_by=actor, recorded_at=now, **vars(entry))
        for entry in read.entries
        if entry.source_id not in there
    ]
    Payment.objects.of(tenant).bulk_create(fresh)
    matched = _match(tenant, seller, fresh, actor=actor, now=now)
    done = Imported(new=len(fresh), known=len(there), matched=matched, passed_over=read.passed_over)
    _audit(tenant, seller, done, name=name, actor=actor, now=now)
    return done


def _match(tenant: Tenant, seller: Seller, payments: Sequence[Payment], *, actor: str, now: datetime) -> int:
    """Settle what is told exactly; answers how many payments did."""
    is_open = _open_by_number(tenant, seller, payments)
    rows: list[PaymentAllocation] = []
    matched = []
    for payment in payments:
        named = _named(payment, is_open)
        if not named or sum((each.amount for each in named), Decimal(0)) != payment.amount:
            continue
        rows += [
            PaymentAllocation(
                payment=payment, invoice=each.invoice, amount=each.amount, allocated_by=actor, allocated_at=now
            )
            for each in named
        ]
        payment.bill_to_id = named[0].invoice.bill_to_id
        matched.append(payment)
        for each in named:
            each.amount = Decimal(0)
    PaymentAllocation.objects.of(tenant).bulk_create(rows)
    Payment.objects.of(tenant).bulk_update(matched, ["bill_to"])
    return len(matched)


def _open_by_number(tenant: Tenant, seller: Seller, payments: Sequence[Payment]) -> dict[str, _Open]:
    """The seller's open invoices that a reference names, locked, by number in capitals."""
    texts = "\n".join(payment.reference.upper() for payment in payments)
    finals = Invoice.objects.of(tenant).filter(seller=seller, state="final", kind="regular")
    named = [pk for pk, number in finals.values_list("pk", "number") if number.upper() in texts]
    locked = list(finals.filter(pk__in=named).defer("snapshot").select_for_update().order_by("pk"))
    owed = owed_of(tenant, [invoice.pk for invoice in locked])
    return {
        invoice.number.upper(): _Open(invoice, owed[invoice.pk].open) for invoice in locked if owed[invoice.pk].open > 0
    }


def _named(payment: Payment, is_open: Mapping[str, _Open]) -> list[_Open]:
    """The open invoices that the reference names as words of their own, all of one payer and in the same currency."""
    text = payment.reference.upper()
    named = [
        each
        for number, each in is_open.items()
        if each.amount > 0
        and each.invoice.currency == payment.currency
        and re.search(rf"(?<![0-9A-Z]){re.escape(number)}(?![0-9A-Z])", text)
    ]
    payers = {each.invoice.bill_to_id for each in named}
    return named if len(payers) == 1 else []


def _audit(tenant: Tenant, seller: Seller, done: Imported, *, name: str, actor: str, now: datetime) -> None:
    audit.record(
        tenant,
        actor=actor,
        action="payments.imported",
        subject_kind="seller",
        subject_id=seller.pk,
        subject=name[:200],
        after=dict(vars(done)),
        now=now,
    )
