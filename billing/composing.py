"""Composes the documents of a run as known at a moment, for what is about to be stored and for what was billed before.

Nothing here writes. Bill-tos are taken in chunks, each of a fixed number of queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from billing.adjusting import DocumentKey, read_adjustments
from billing.coverage import subscriptions_of
from billing.days import Period
from billing.delta_lines import Delta
from billing.documents import Document, compose_documents
from billing.drafts import decisions_of
from billing.models import Invoice, InvoiceRun, Subscription

#: Bill-tos composed at once.
CHUNK = 200


def period_of(run: InvoiceRun) -> Period:
    """The days of a run."""
    return Period(first_day=run.first_day, last_day=run.last_day)


def compose_again(
    run: InvoiceRun,
    invoices: Sequence[Invoice],
    *,
    cut_off: datetime,
    lock: bool = False,
    deltas: Mapping[DocumentKey, Sequence[Delta]] | None = None,
) -> dict[DocumentKey, Document]:
    """These invoices of a run as known at ``cut_off``, with the decisions made about each, by bill-to and currency.

    ``deltas`` are corrections of earlier months that are to stand on them; without them none do.
    """
    decisions = {(each.bill_to_id, each.currency): decisions_of(each) for each in invoices}
    period, bill_to_ids = period_of(run), sorted({bill_to_id for bill_to_id, _ in decisions})
    known = {(each.bill_to_id, each.currency): each for each in invoices}
    adjustments = read_adjustments(run, known, bill_to_ids=bill_to_ids, cut_off=cut_off, lock=lock)
    adjustments = adjustments.with_deltas(deltas or {})
    documents: dict[DocumentKey, Document] = {}
    running = subscriptions_of(run.tenant_id, seller_id=run.seller_id, bill_to_ids=bill_to_ids, period=period)
    for chunk in (*chunks_of(running, most=CHUNK), []):
        payers = {each.agreement.bill_to_id for each in chunk} or set(bill_to_ids) - {key[0] for key in documents}
        theirs = adjustments.of(payers)
        if chunk or theirs.alone:
            documents |= compose_documents(
                run.tenant_id, chunk, period=period, cut_off=cut_off, decisions=decisions, adjustments=theirs
            )
    return documents


def chunks_of(subscriptions: Sequence[Subscription], *, most: int) -> Iterable[list[Subscription]]:
    """Whole bill-tos together, at most ``most`` of them at once; the subscriptions come ordered by bill-to."""
    chunk: list[Subscription] = []
    seen: set[int] = set()
    for each in subscriptions:
        if each.agreement.bill_to_id not in seen and len(seen) == most:
            yield chunk
            chunk, seen = [], set()
        seen.add(each.agreement.bill_to_id)
        chunk.append(each)
    if chunk:
        yield chunk
