"""What followed a final document: credit notes, payments and what is open; or the invoice that a note takes back.

Reads only, in a fixed number of queries; called by the pages and the API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from billing.models import Invoice
from billing.owing import Owed, owed_of
from billing.payment_queries import Settled, settled_between
from billing.refusals import NotFound
from msp.tenants.models import Tenant


@dataclass(frozen=True, kw_only=True)
class NoteRow:
    """A credit note of an invoice; ``total`` is negative."""

    uid: UUID
    number: str
    issued_on: date
    total: Decimal
    reason: str


@dataclass(frozen=True, kw_only=True)
class Followed:
    """``credits`` is the number of the invoice that this note takes back, "" unless it is one."""

    credits: str
    credits_uid: UUID | None
    reason: str
    notes: tuple[NoteRow, ...]
    credited: Decimal
    payments: tuple[Settled, ...]
    owed: Owed | None


def what_followed(tenant: Tenant, uid: UUID) -> Followed:
    """Of one document; four queries. Raises NotFound."""
    rows = Invoice.objects.of(tenant).defer("snapshot", "decisions")
    invoice = rows.select_related("credits").filter(uid=uid).first()
    if invoice is None:
        raise NotFound("There is no such invoice.")
    notes = rows.filter(credits=invoice, state="final").order_by("pk")
    shown = tuple(
        NoteRow(
            uid=note.uid,
            number=note.number,
            issued_on=note.issued_on,
            total=note.total,
            reason=note.credit_reason,
        )
        for note in notes
    )
    return Followed(
        credits=invoice.credits.number if invoice.credits else "",
        credits_uid=invoice.credits.uid if invoice.credits else None,
        reason=invoice.credit_reason,
        notes=shown,
        credited=sum((note.total for note in shown), Decimal(0)),
        payments=settled_between(tenant, invoice_id=invoice.pk),
        owed=owed_of(tenant, [invoice.pk]).get(invoice.pk),
    )
