"""What the page and the API of charges and discounts show, as dataclasses; each list is one query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.models_adjusting import Discount, OneOff
from billing.money import round_money
from msp.tenants.models import Tenant


@dataclass(frozen=True)
class OneOffRow:
    """A charge or credit. ``amount`` is net and negative for a credit; ``state``: waiting, draft, final or withdrawn.

    Invoice and number are empty while no document has it; ``tax_rate`` None is the payer's.
    """

    uid: UUID
    kind: str
    description: str
    agreement: str
    agreement_uid: UUID
    bill_to: str
    client: str
    client_uid: UUID | None
    quantity: Decimal
    unit: str
    unit_price: Decimal
    amount: Decimal
    currency: str
    tax_rate: Decimal | None
    month: date | None
    state: str
    invoice: UUID | None
    number: str
    created_at: datetime
    created_by: str
    withdraw_reason: str


@dataclass(frozen=True)
class DiscountRow:
    """A discount; ``off`` says in words what it is taken of."""

    uid: UUID
    name: str
    agreement: str
    agreement_uid: UUID
    bill_to: str
    off: str
    client_uid: UUID | None
    subscription_uid: UUID | None
    percent: Decimal | None
    amount: Decimal | None
    currency: str
    position: int
    starts_on: date
    ends_on: date | None
    created_at: datetime
    created_by: str


def one_off_rows(tenant: Tenant, *, waiting_only: bool = False, client_id: int | None = None) -> tuple[OneOffRow, ...]:
    """Charges and credits, the newest first; ``waiting_only``: those that no final document has and nobody withdrew."""
    rows = OneOff.objects.of(tenant).select_related("agreement__bill_to", "client", "invoice").order_by("-pk")
    if client_id is not None:
        rows = rows.filter(client_id=client_id)
    if waiting_only:
        rows = rows.filter(withdrawn_at__isnull=True).exclude(invoice__state="final")
    return tuple(one_off_row(row) for row in rows.defer("invoice__snapshot"))


def one_off_row(row: OneOff) -> OneOffRow:
    """The same for a row read with agreement, bill-to, client and invoice."""
    amount = round_money(row.quantity * row.unit_price, row.currency)
    invoice, client = row.invoice, row.client
    return OneOffRow(
        uid=row.uid,
        kind=row.kind,
        description=row.description,
        agreement=row.agreement.number,
        agreement_uid=row.agreement.uid,
        bill_to=str(row.agreement.bill_to),
        client=client.name if client else "",
        client_uid=client.uid if client else None,
        quantity=row.quantity,
        unit=row.unit,
        unit_price=row.unit_price,
        amount=amount if row.kind == "charge" else -amount,
        currency=row.currency,
        tax_rate=row.tax_rate,
        month=row.month,
        state="withdrawn" if row.withdrawn_at else invoice.state if invoice else "waiting",
        invoice=invoice.uid if invoice else None,
        number=invoice.number if invoice else "",
        created_at=row.created_at,
        created_by=row.created_by,
        withdraw_reason=row.withdraw_reason,
    )


def discount_rows(tenant: Tenant, *, running_on: date | None = None) -> tuple[DiscountRow, ...]:
    """Discounts by agreement, in the order in which they are taken; all, or those that have not ended on a day."""
    rows = discounts_read(tenant).order_by("agreement__number", "position", "pk")
    found = [discount_row(row) for row in rows]
    return tuple(row for row in found if running_on is None or row.ends_on is None or row.ends_on > running_on)


def discounts_read(tenant: Tenant) -> Any:
    """The rows with all that ``discount_row`` shows."""
    return Discount.objects.of(tenant).select_related(
        "agreement__bill_to", "client", "subscription__client", "subscription__reseller", "subscription__selection",
        "subscription__plan",
    )  # fmt: skip


def discount_row(row: Discount) -> DiscountRow:
    """The same for a row that ``discounts_read`` read."""
    return DiscountRow(
        uid=row.uid,
        name=row.name,
        agreement=row.agreement.number,
        agreement_uid=row.agreement.uid,
        bill_to=str(row.agreement.bill_to),
        off=_off(row),
        client_uid=row.client.uid if row.client else None,
        subscription_uid=row.subscription.uid if row.subscription else None,
        percent=row.percent,
        amount=row.amount,
        currency=row.agreement.bill_to.currency,
        position=row.position,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def _off(row: Discount) -> str:
    if row.subscription is not None:
        return f"{subscription_words(row.subscription)}"
    return f"all lines of {row.client}" if row.client else f"all lines of agreement {row.agreement.number}"


def subscription_words(subscription: Any) -> str:
    """Who it is for and on which plan."""
    who = subscription.selection or subscription.client or subscription.reseller
    return f"{who} on {subscription.plan.name}"
