"""Which one-offs and discounts belong on the documents of a run, and which document has taken which one-off.

A one-off is free until a draft of its payer takes it, and belongs to that document from then on; a void or deleted one
lets it go. Whoever stores a document reads its one-offs locked, so that two runs never take the same one. A fixed
number of queries, however many documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from billing.delta_lines import Delta
from billing.models import BillTo, Invoice, InvoiceRun
from billing.models_adjusting import Discount, OneOff

DocumentKey = tuple[int, str]


@dataclass(frozen=True)
class Adjustments:
    """The one-offs of each document, and the discounts of each agreement by its id."""

    one_offs: Mapping[DocumentKey, Sequence[OneOff]]
    discounts: Mapping[int, Sequence[Discount]]
    deltas: Mapping[DocumentKey, Sequence[Delta]]

    def of(self, bill_to_ids: Collection[int]) -> Adjustments:
        """Those of some bill-tos; discounts stay, as subscriptions choose among them."""
        one_offs = {key: each for key, each in self.one_offs.items() if key[0] in bill_to_ids}
        deltas = {key: each for key, each in self.deltas.items() if key[0] in bill_to_ids}
        return Adjustments(one_offs, self.discounts, deltas)

    def without(self, bill_to_ids: Collection[int]) -> Adjustments:
        """Those of all others."""
        return self.of({key[0] for key in (*self.one_offs, *self.deltas)}.difference(bill_to_ids))

    def with_deltas(self, deltas: Mapping[DocumentKey, Sequence[Delta]]) -> Adjustments:
        """The same with corrections of earlier months."""
        return replace(self, deltas=deltas)

    @property
    def alone(self) -> tuple[DocumentKey, ...]:
        """The documents that there is something for, whatever is subscribed."""
        return tuple(dict.fromkeys((*self.one_offs, *self.deltas)))

    def bill_to_of(self, key: DocumentKey) -> BillTo:
        """Who pays one of these."""
        if key in self.one_offs:
            found: BillTo = self.one_offs[key][0].agreement.bill_to
            return found
        return self.deltas[key][0].bill_to


NO_ADJUSTMENTS = Adjustments({}, {}, {})


def read_adjustments(
    run: InvoiceRun,
    known: Mapping[DocumentKey, Invoice],
    *,
    bill_to_ids: Collection[int],
    cut_off: datetime,
    lock: bool,
) -> Adjustments:
    """What belongs on the documents of these bill-tos as known at ``cut_off``; two queries.

    ``known`` are the documents that are there: a final one keeps what it has, any other takes what is free as well.
    """
    due = _due(run, cut_off=cut_off).filter(agreement__bill_to_id__in=bill_to_ids).order_by("pk")
    due = due.select_for_update(of=("self",)) if lock else due
    one_offs: dict[DocumentKey, list[OneOff]] = defaultdict(list)
    for each in due.select_related("agreement__bill_to"):
        key = (each.agreement.bill_to_id, each.currency)
        if _belongs(each, known.get(key)):
            one_offs[key].append(each)
    return Adjustments(dict(one_offs), _discounts(run, bill_to_ids, cut_off=cut_off), {})


def payers_due(run: InvoiceRun, *, cut_off: datetime) -> set[int]:
    """Bill-tos that have a one-off for this run, subscribed or not; one query."""
    rows = _due(run, cut_off=cut_off).filter(Q(invoice__isnull=True) | Q(invoice__run=run, invoice__state="draft"))
    return set(rows.order_by().values_list("agreement__bill_to_id", flat=True).distinct())


def bind(run: InvoiceRun, documents: Mapping[DocumentKey, Any]) -> None:
    """Give the drafts of a run the one-offs that stand on them; at most three statements, none if there are none."""
    wanted = {uid: key for key, document in documents.items() for uid in _one_offs_on(document)}
    if not wanted:
        return
    drafts = Invoice.objects.of(run.tenant_id).filter(run=run, state="draft", kind="regular")
    drafts = drafts.filter(bill_to_id__in={key[0] for key in wanted.values()})
    ids = {
        (bill_to_id, currency): pk for pk, bill_to_id, currency in drafts.values_list("pk", "bill_to_id", "currency")
    }
    rows = OneOff.objects.of(run.tenant_id).filter(uid__in=list(wanted), invoice__isnull=True).order_by("pk")
    taken = [row for row in rows if wanted[str(row.uid)] in ids]
    for row in taken:
        row.invoice_id = ids[wanted[str(row.uid)]]
    if taken:
        OneOff.objects.of(run.tenant_id).bulk_update(taken, ["invoice"])


def free(invoice: Invoice) -> None:
    """Let go what a voided document had."""
    OneOff.objects.of(invoice.tenant_id).filter(invoice=invoice).update(invoice=None)


def _due(run: InvoiceRun, *, cut_off: datetime) -> QuerySet[Any]:
    rows: QuerySet[Any] = OneOff.objects.of(run.tenant_id).filter(
        Q(month__isnull=True) | Q(month__lte=run.first_day),
        Q(withdrawn_at__isnull=True) | Q(withdrawn_at__gt=cut_off),
        agreement__seller_id=run.seller_id,
        created_at__lte=cut_off,
    )
    return rows


def _belongs(one_off: OneOff, invoice: Invoice | None) -> bool:
    if one_off.invoice_id is not None:
        return invoice is not None and one_off.invoice_id == invoice.pk
    return invoice is None or invoice.state != "final"


def _one_offs_on(document: Any) -> list[str]:
    return [line.working["about"] for line in document.lines if line.kind in ("charge", "credit")]


def _discounts(run: InvoiceRun, bill_to_ids: Collection[int], *, cut_off: datetime) -> dict[int, list[Discount]]:
    rows = Discount.objects.of(run.tenant_id).filter(
        Q(ends_on__isnull=True) | Q(ends_on__gt=run.first_day),
        agreement__seller_id=run.seller_id,
        agreement__bill_to_id__in=bill_to_ids,
        starts_on__lt=run.last_day,
        created_at__lte=cut_off,
    )
    found: dict[int, list[Discount]] = defaultdict(list)
    for each in rows.select_related("agreement").order_by("position", "pk"):
        found[each.agreement_id].append(each)
    return found
