"""The snapshot of a final document: everything it shows and rests on, independent of any setting from then on.

Written once, by finalising, and hashed; pages, PDF, Stripe and ``verify`` read a final document from here alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from billing.documents import Document
from billing.hashing import plain
from billing.lines import ComposedLine
from billing.models import BillTo, Invoice, InvoiceLine, Seller, Subscription
from billing.refusals import Refused
from billing.taxes import taxes_record

SNAPSHOT_VERSION = 2


def snapshot_of(
    invoice: Invoice, document: Document, *, rows: Sequence[InvoiceLine], cut_off: datetime
) -> dict[str, Any]:
    """The snapshot of a numbered invoice; ``rows`` are its stored lines in order, with subscription and agreement."""
    content = {
        "snapshot_version": SNAPSHOT_VERSION,
        "uid": invoice.uid,
        "kind": invoice.kind,
        "number": invoice.number,
        "replaces": invoice.replaces.number if invoice.replaces else "",
        "seller": _seller(invoice.seller),
        "bill_to": _bill_to(invoice.bill_to),
        "first_day": invoice.first_day,
        "last_day": invoice.last_day,
        "timezone": invoice.run.timezone,
        "cut_off": cut_off,
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "currency": invoice.currency,
        "lines": [],
        "net": document.net,
        "tax_rate": document.tax_rate,
        "taxes": taxes_record(document.taxes),
        "tax": document.tax,
        "total": document.total,
        "decisions": invoice.decisions,
        "draft_hash": document.content_hash,
    }
    if invoice.approved_by:
        content["approval"] = {"asked_by": invoice.finalised_by, "approved_by": invoice.approved_by}
    snapshot: dict[str, Any] = plain(content)
    snapshot["lines"] = [_line(row, line) for row, line in zip(rows, document.lines, strict=True)]
    return snapshot


def frozen(invoice: Invoice) -> dict[str, Any]:
    """The snapshot of a final or void document. Raises Refused for a draft, which has none yet."""
    if invoice.snapshot is None:
        raise Refused("A draft is not final: it can still be rebuilt.")
    snapshot: dict[str, Any] = invoice.snapshot
    return snapshot


def _line(row: InvoiceLine, line: ComposedLine) -> dict[str, Any]:
    """Working and evidence are in JSON's own types ever since they were composed, and most of a document."""
    subscription: Subscription | None = row.subscription
    told = {
        "uid": row.uid,
        "position": row.position,
        "kind": line.kind,
        "description": line.description,
        "client": row.client.name if row.client else "",
        "client_uid": row.client.uid if row.client else "",
        "subscription": subscription.uid if subscription else "",
        "layer": subscription.layer if subscription else "",
        "agreement": subscription.agreement.number if subscription else "",
        "size_contract": subscription.agreement.size_contract if subscription else "",
        "quantity": line.quantity,
        "unit": line.unit,
        "amount": line.amount,
        "tax_category": line.tax_category,
        "tax_rate": line.tax_rate,
    }
    return {**plain(told), "working": line.working, "evidence": line.evidence}


def _seller(seller: Seller) -> dict[str, Any]:
    names = ("uid", "legal_name", "address", "country", "tax_id", "bank", "email", "note")
    return {name: getattr(seller, name) for name in names}


def _bill_to(bill_to: BillTo) -> dict[str, Any]:
    names = ("uid", "legal_name", "address", "country", "tax_id", "tax_note", "order_number", "email", "terms_days")
    return {name: getattr(bill_to, name) for name in names}
