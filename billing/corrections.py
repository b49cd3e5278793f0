"""Corrections that came after a period was billed: the period recomputed, minus what was billed.

A final document never changes in silence. What later logs, replays or approvals would have made of it is listed here,
for a person to void and replace the document, or to leave it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

from billing.composing import compose_again
from billing.documents import Document
from billing.models import Invoice
from billing.snapshots import frozen
from msp.tenants.models import Tenant


@dataclass(frozen=True)
class ChangedDay:
    """A day of a selection, in bytes, as billed and as known now; None where nothing was or is charged."""

    selection: str
    day: date
    billed: int | None
    known: int | None


@dataclass(frozen=True)
class Correction:
    """One final document that would be another today. ``difference``: what is known now minus what was billed, net."""

    invoice_uid: UUID
    number: str
    bill_to: str
    first_day: date
    currency: str
    billed: Decimal
    recomputed: Decimal
    difference: Decimal
    days: tuple[ChangedDay, ...]
    held: tuple[str, ...]


def late_corrections(tenant: Tenant, *, since: date, now: datetime) -> tuple[Correction, ...]:
    """Final documents of periods from ``since`` on that differ from what is known now, the largest difference first."""
    finals = Invoice.objects.of(tenant).filter(state="final", kind="regular", first_day__gte=since)
    finals = finals.select_related("run", "bill_to").order_by("run_id", "pk")
    found: list[Correction] = []
    for _, group in groupby(finals, key=lambda invoice: invoice.run_id):
        invoices = list(group)
        documents = compose_again(invoices[0].run, invoices, cut_off=now)
        found += [_correction(invoice, documents.get((invoice.bill_to_id, invoice.currency))) for invoice in invoices]
    changed = [each for each in found if each.difference or each.days or each.held]
    return tuple(sorted(changed, key=lambda each: (-abs(each.difference), each.number)))


def _correction(invoice: Invoice, document: Document | None) -> Correction:
    recomputed = sum((line.amount for line in document.lines), Decimal(0)) if document else Decimal(0)
    lines = frozen(invoice)["lines"]
    billed = sum((Decimal(line["amount"]) for line in lines if line.get("kind") != "delta"), Decimal(0))
    return Correction(
        invoice_uid=invoice.uid,
        number=invoice.number,
        bill_to=str(invoice.bill_to),
        first_day=invoice.first_day,
        currency=invoice.currency,
        billed=billed,
        recomputed=recomputed,
        difference=recomputed - billed,
        days=tuple(_changed_days(invoice, document)),
        held=tuple(each.sentence for each in document.held) if document else (),
    )


def _changed_days(invoice: Invoice, document: Document | None) -> Iterable[ChangedDay]:
    own = [line for line in frozen(invoice)["lines"] if line.get("kind") != "delta"]
    billed = _figures(selection for line in own for selection in line["evidence"])
    lines = document.lines if document else ()
    known = _figures(selection for line in lines for selection in line.evidence)
    for name, day in sorted(billed.keys() | known.keys()):
        was, now = billed.get((name, day)), known.get((name, day))
        if was != now:
            yield ChangedDay(name, date.fromisoformat(day), was, now)


def _figures(evidence: Iterable[dict[str, Any]]) -> dict[tuple[str, str], int | None]:
    return {(selection["name"], day["day"]): day["quantity"] for selection in evidence for day in selection["days"]}
