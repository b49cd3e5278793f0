"""Documents of drafts as their stored lines say, without composing; each proved by the hash that it was composed with.

Only plain usage is read so: the places of its numbers follow from the plan and the currency. What does not come to the
same hash is left out, and composed by whoever asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from billing.adjusting import DocumentKey
from billing.documents import Document, document_of
from billing.lines import ComposedLine
from billing.models import Invoice, InvoiceLine
from billing.money import round_money
from billing.plans import terms_of
from billing.pricing.rate import places_of


def stored_documents(tenant_id: int, drafts: Sequence[Invoice]) -> dict[DocumentKey, Document]:
    """Those of these drafts that nothing is held about, by bill-to and currency; one query."""
    wanted = {draft.pk: draft for draft in drafts if not draft.held}
    rows = InvoiceLine.objects.of(tenant_id).filter(invoice_id__in=wanted).select_related("subscription__plan")
    lines: dict[int, list[InvoiceLine]] = defaultdict(list)
    for row in rows.order_by("invoice_id", "position") if wanted else ():
        lines[row.invoice_id].append(row)
    documents = {}
    for invoice_id, of_draft in lines.items():
        draft = wanted[invoice_id]
        composed = tuple(_line(row, draft.currency) for row in of_draft if row.kind == "usage")
        if len(composed) == len(of_draft):
            document = document_of(draft.bill_to, draft.currency, composed, ())
            if document.content_hash == draft.draft_hash:
                documents[document.key] = document
    return documents


def _line(row: InvoiceLine, currency: str) -> ComposedLine:
    subscription: Any = row.subscription
    places = Decimal(1).scaleb(-places_of(terms_of(subscription.plan)))
    return ComposedLine(
        subscription_id=row.subscription_id,
        client_id=row.client_id,
        kind=row.kind,
        description=row.description,
        quantity=row.quantity.quantize(places),
        unit=row.unit,
        amount=round_money(row.amount, currency),
        tax_category=row.tax_category,
        tax_rate=row.tax_rate.normalize(),
        working=row.working,
        evidence=row.evidence,
    )
