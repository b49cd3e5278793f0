"""Which months that were billed would be another today, and by how much: read for the draft that corrects them.

Every final document of the payers that began within the seller's days back and was composed from something else than
there is now is composed as known now, and compared line by line; one-offs and corrections on it have nothing to do
with that. Its row is locked while the correction is stored, and corrections on other living documents count, so that
no two documents bill the same one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.db.models import F, QuerySet

from billing.adjusting import DocumentKey, read_adjustments
from billing.composing import compose_again, period_of
from billing.coverage import subscriptions_of
from billing.delta_lines import Delta, DeltaPart
from billing.documents import Document
from billing.fingerprints import fingerprints_of, same_month
from billing.models import Invoice, InvoiceLine, InvoiceRun
from billing.money import round_money
from billing.snapshots import frozen
from billing.taxes import category_for

#: Lines that a month recomputed has anew; what is charged once or corrects another month is not.
RECOMPUTED = ("usage", "percentage", "discount")
Tax = tuple[str, Decimal]
LineKey = tuple[str, str]


@dataclass
class _Sums:
    recomputed: Decimal = Decimal(0)
    billed: Decimal = Decimal(0)


def read_deltas(
    run: InvoiceRun,
    living: Mapping[DocumentKey, Invoice],
    *,
    bill_to_ids: Collection[int],
    cut_off: datetime,
    lock: bool,
) -> dict[DocumentKey, list[Delta]]:
    """The corrections that belong on the documents of a run, as known at ``cut_off``, by bill-to and currency.

    ``living`` are the documents that are there: what they bill themselves does not count as billed. A fixed number of
    queries for each earlier month.
    """
    finals = _billed(run).filter(bill_to_id__in=bill_to_ids).order_by("run_id", "pk")
    finals = finals.select_for_update(of=("self",)) if lock else finals
    invoices = list(finals.select_related("run", "bill_to").defer("snapshot"))
    if not invoices:
        return {}
    lines = _lines_of(run, [invoice.pk for invoice in invoices])
    made = _made_already(run, {invoice.pk for invoice in living.values()}, bill_to_ids)
    found: dict[DocumentKey, list[Delta]] = defaultdict(list)
    for _, group in groupby(invoices, key=lambda invoice: invoice.run_id):
        month = _touched(list(group), made, cut_off=cut_off)
        documents = compose_again(month[0].run, month, cut_off=cut_off) if month else {}
        for invoice in month:
            key = (invoice.bill_to_id, invoice.currency)
            delta = _delta(invoice, documents.get(key), lines[invoice.pk], made, most=run.seller.late_most)
            if delta is not None:
                found[key].append(delta)
    return {key: sorted(deltas, key=lambda each: each.first_day) for key, deltas in found.items()}


def _touched(
    month: list[Invoice], made: Mapping[tuple[int, str, str, Tax], Decimal], *, cut_off: datetime
) -> list[Invoice]:
    """Those that were composed from something else than there is now, or that were corrected before."""
    run, known = month[0].run, {(each.bill_to_id, each.currency): each for each in month}
    corrected, about = {key[:3] for key in made}, f"{run.first_day:%Y-%m}"
    payers, period = sorted({key[0] for key in known}), period_of(run)
    inputs = fingerprints_of(
        run.tenant_id,
        subscriptions_of(run.tenant_id, seller_id=run.seller_id, bill_to_ids=payers, period=period),
        period=period,
        cut_off=cut_off,
        living=month,
        adjustments=read_adjustments(run, known, bill_to_ids=payers, cut_off=cut_off, lock=False),
    )
    return [
        invoice
        for key, invoice in known.items()
        if (*key, about) in corrected or not same_month(invoice.inputs, inputs.get(invoice.bill_to_id, ""))
    ]


def payers_billed_lately(run: InvoiceRun) -> set[int]:
    """Bill-tos with a document that this run may correct, subscribed or not; one query."""
    return set(_billed(run).order_by().values_list("bill_to_id", flat=True).distinct())


def _billed(run: InvoiceRun) -> QuerySet[Any]:
    rows: QuerySet[Any] = Invoice.objects.of(run.tenant_id).filter(
        seller_id=run.seller_id,
        kind="regular",
        state="final",
        first_day__gte=run.first_day - timedelta(days=run.seller.late_days),
        first_day__lt=run.first_day,
    )
    return rows


def _lines_of(run: InvoiceRun, invoice_ids: Sequence[int]) -> dict[int, list[Any]]:
    """The billed lines that are recomputed, without their workings; one query."""
    rows = InvoiceLine.objects.of(run.tenant_id).filter(invoice_id__in=invoice_ids, kind__in=RECOMPUTED)
    lines: dict[int, list[Any]] = defaultdict(list)
    for row in rows.annotate(about=F("working__about")).defer("working", "evidence").order_by("pk"):
        lines[row.invoice_id].append(row)
    return lines


def _made_already(
    run: InvoiceRun, own: Collection[int], bill_to_ids: Collection[int]
) -> dict[tuple[int, str, str, Tax], Decimal]:
    """What living documents bill as corrections, by bill-to, currency, month and tax; one query."""
    rows = InvoiceLine.objects.of(run.tenant_id).filter(
        kind="delta", invoice__seller_id=run.seller_id, invoice__bill_to_id__in=bill_to_ids
    )
    rows = rows.exclude(invoice__state="void").exclude(invoice_id__in=list(own)).select_related("invoice")
    made: dict[tuple[int, str, str, Tax], Decimal] = defaultdict(Decimal)
    for row in rows.annotate(about=F("working__about")).defer("working", "evidence", "invoice__snapshot"):
        tax = (row.tax_category, row.tax_rate.normalize())
        made[row.invoice.bill_to_id, row.invoice.currency, row.about, tax] += row.amount
    return made


def _delta(
    invoice: Invoice,
    document: Document | None,
    lines: Sequence[Any],
    made: Mapping[tuple[int, str, str, Tax], Decimal],
    *,
    most: Decimal,
) -> Delta | None:
    sums = _sums(invoice, document, lines)
    about = f"{invoice.first_day:%Y-%m}"
    of_month = {
        key[3]: amount for key, amount in made.items() if key[:3] == (invoice.bill_to_id, invoice.currency, about)
    }
    parts = tuple(
        DeltaPart(
            tax_category=tax[0],
            tax_rate=tax[1],
            recomputed=round_money(sums.get(tax, _Sums()).recomputed, invoice.currency),
            billed=round_money(sums.get(tax, _Sums()).billed, invoice.currency),
            corrected=round_money(of_month.get(tax, Decimal(0)), invoice.currency),
            credited=Decimal(0),
        )
        for tax in sorted({*sums, *of_month})
    )
    if not any(part.amount for part in parts):
        return None
    return Delta(
        bill_to=invoice.bill_to,
        invoice_uid=str(invoice.uid),
        number=invoice.number,
        first_day=invoice.first_day,
        last_day=invoice.last_day,
        currency=invoice.currency,
        parts=parts,
        evidence=tuple(_changed(invoice, document)),
        most=most,
        held=tuple(each.sentence for each in document.held) if document else (),
    )


def _sums(invoice: Invoice, document: Document | None, lines: Sequence[Any]) -> dict[Tax, _Sums]:
    """Both sums by tax: a line keeps the tax it was billed with, whatever the payer's is now."""
    sums: dict[Tax, _Sums] = defaultdict(_Sums)
    taxes: dict[LineKey, Tax] = {}
    for row in lines:
        tax = tax_of(invoice, row)
        taxes[_key(row.kind, row.subscription_id, row.about)] = tax
        sums[tax].billed += row.amount
    for line in document.lines if document else ():
        if line.kind in RECOMPUTED:
            known = taxes.get(_key(line.kind, line.subscription_id, line.working.get("about")))
            sums[known or (line.tax_category, line.tax_rate.normalize())].recomputed += line.amount
    return sums


def tax_of(invoice: Invoice, row: Any) -> Tax:
    """The tax that a line was billed with; the first documents had one rate for all lines, and none on these."""
    if not invoice.taxes:
        return category_for(invoice.tax_rate), invoice.tax_rate.normalize()
    return row.tax_category, row.tax_rate.normalize()


def _key(kind: str, subscription_id: int | None, about: str | None) -> LineKey:
    return ("discount", about or "") if kind == "discount" else ("subscription", str(subscription_id))


def _changed(invoice: Invoice, document: Document | None) -> Iterable[dict[str, Any]]:
    """The selections with the days that are charged by another figure than was billed, as known now."""
    lines = (line for line in frozen(invoice)["lines"] if line.get("kind") != "delta")
    billed = _days_by_selection(line["evidence"] for line in lines)
    known = _days_by_selection(line.evidence for line in (document.lines if document else ()))
    for key in sorted(billed.keys() | known.keys()):
        selection = (known.get(key) or billed[key])[0]
        was, now = (billed[key][1] if key in billed else {}), (known[key][1] if key in known else {})
        changed = [
            _changed_day(day, was.get(day), now.get(day))
            for day in sorted(was.keys() | now.keys())
            if _quantity(was.get(day)) != _quantity(now.get(day))
        ]
        if changed:
            yield {**selection, "days": changed}


def _changed_day(day: str, was: dict[str, Any] | None, now: dict[str, Any] | None) -> dict[str, Any]:
    billed = _quantity(was)
    told = "not charged before" if billed is None else f"billed by {billed} before"
    if now is None:
        return {"day": day, "state": "not_billable", "quantity": None, "note": f"Not charged any more; {told}"}
    return {**now, "note": "; ".join(part for part in (now["note"], told) if part)}


def _quantity(day: dict[str, Any] | None) -> int | None:
    return None if day is None else day["quantity"]


def _days_by_selection(
    evidence: Iterable[Sequence[dict[str, Any]]],
) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, dict[str, Any]]]]:
    found: dict[tuple[str, str], tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {}
    for selections in evidence:
        for selection in selections:
            key = (selection["selection"], selection["metric"])
            days = found.setdefault(key, (selection, {}))[1]
            days |= {
                day["day"]: day for day in selection["days"] if day["quantity"] is not None or day["day"] not in days
            }
    return found
