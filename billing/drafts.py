"""Stores composed documents as drafts: only what changed is written, and a final document is never touched.

Called within a transaction that holds the invoice run. However many drafts there are, the statements are as many.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from billing.adjusting import DocumentKey
from billing.documents import Document
from billing.lines import Decisions
from billing.models import Invoice, InvoiceLine, InvoiceRun
from billing.taxes import taxes_record

CONTENT = ("net", "tax", "total", "tax_rate", "taxes", "held", "draft_hash", "inputs")
ACCEPTS = {"exclude_missing": "exclude", "carry_missing": "carry"}


def living_invoices(run: InvoiceRun, *, bill_to_ids: Collection[int]) -> dict[DocumentKey, Invoice]:
    """The drafts and final documents of these bill-tos in the run's period, locked in the order of their ids."""
    rows = Invoice.objects.of(run.tenant_id).filter(
        seller_id=run.seller_id, bill_to_id__in=bill_to_ids, first_day=run.first_day, kind="regular"
    )
    rows = rows.exclude(state="void").select_for_update().order_by("pk")
    return {(invoice.bill_to_id, invoice.currency): invoice for invoice in rows}


def decisions_of(invoice: Invoice) -> Decisions:
    """What persons decided about this invoice; of two words on missing days the later one counts."""
    keys = {key for decision in invoice.decisions for key in decision["keys"]}
    words = [ACCEPTS[made["decision"]] for made in invoice.decisions if made["decision"] in ACCEPTS]
    last: Any = words[-1] if words else None
    left_out = {key for made in invoice.decisions if made["decision"] == "leave_corrections" for key in made["keys"]}
    return Decisions(keys=frozenset(keys), accept_missing=last, left_out=frozenset(left_out))


def store_drafts(
    run: InvoiceRun,
    documents: Mapping[DocumentKey, Document],
    living: Mapping[DocumentKey, Invoice],
    *,
    now: datetime,
    inputs: Mapping[int, str] | None = None,
) -> bool:
    """Make the drafts say what the documents say; answers whether anything had to be written.

    ``inputs``: of each bill-to the fingerprint of what its documents were composed from, where it was read.
    """
    inputs = inputs or {}
    drafts = {key: invoice for key, invoice in living.items() if invoice.state == "draft"}
    gone = [invoice.pk for key, invoice in drafts.items() if key not in documents and not invoice.decisions]
    emptied = [invoice for key, invoice in drafts.items() if key not in documents and _has_content(invoice)]
    fresh = [
        _new(run, document, inputs.get(key[0], ""), now=now) for key, document in documents.items() if key not in living
    ]
    changed = [
        _filled(drafts[key], document, inputs.get(key[0], ""))
        for key, document in documents.items()
        if key in drafts and drafts[key].draft_hash != document.content_hash
    ]
    changed += [_empty(invoice) for invoice in emptied if invoice.pk not in gone]
    _keep_inputs(run.tenant_id, (drafts[key] for key in documents if key in drafts), inputs)
    if not (gone or fresh or changed):
        return False
    _write(run.tenant_id, gone=gone, fresh=fresh, changed=changed, documents=documents)
    return True


def _keep_inputs(tenant_id: int, drafts: Iterable[Invoice], inputs: Mapping[int, str]) -> None:
    """Of drafts that say the same as before, though from something else."""
    other = [draft for draft in drafts if draft.bill_to_id in inputs and draft.inputs != inputs[draft.bill_to_id]]
    for draft in other:
        draft.inputs = inputs[draft.bill_to_id]
    if other:
        Invoice.objects.of(tenant_id).bulk_update(other, ["inputs"])


def _write(
    tenant_id: int,
    *,
    gone: Sequence[int],
    fresh: Sequence[Invoice],
    changed: Sequence[Invoice],
    documents: Mapping[DocumentKey, Document],
) -> None:
    invoices, lines = Invoice.objects.of(tenant_id), InvoiceLine.objects.of(tenant_id)
    rewritten = [*gone, *(invoice.pk for invoice in changed)]
    if rewritten:
        lines.filter(invoice_id__in=rewritten).delete()
    if gone:
        invoices.filter(pk__in=gone).delete()
    if changed:
        invoices.bulk_update(changed, CONTENT)
    invoices.bulk_create(fresh)
    _copy_lines(
        tenant_id,
        (
            line
            for invoice in (*fresh, *changed)
            for line in _lines(invoice, documents.get((invoice.bill_to_id, invoice.currency)))
        ),
    )


def _copy_lines(tenant_id: int, lines: Iterable[InvoiceLine]) -> None:
    """By COPY: workings and evidence are most of what a run writes; quoting them costs as much again."""
    fields = [field for field in InvoiceLine._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(str(field.column) for field in fields)
    with connection.cursor() as cursor, cursor.copy(f"COPY billing_invoiceline ({columns}) FROM STDIN") as copy:
        for line in lines:
            line.tenant_id = tenant_id
            values = (getattr(line, field.attname) for field in fields)
            copy.write_row(
                [orjson.dumps(value).decode() if isinstance(value, dict | list) else value for value in values]
            )


def _new(run: InvoiceRun, document: Document, inputs: str, *, now: datetime) -> Invoice:
    invoice = Invoice(
        run=run,
        seller_id=run.seller_id,
        bill_to=document.bill_to,
        currency=document.currency,
        first_day=run.first_day,
        last_day=run.last_day,
        created_at=now,
    )
    return _filled(invoice, document, inputs)


def _filled(invoice: Invoice, document: Document, inputs: str) -> Invoice:
    invoice.net, invoice.tax, invoice.total = document.net, document.tax, document.total
    invoice.tax_rate, invoice.taxes = document.tax_rate, taxes_record(document.taxes)
    invoice.held = [held.sentence for held in document.held]
    invoice.draft_hash, invoice.inputs = document.content_hash, inputs
    return invoice


def _has_content(invoice: Invoice) -> bool:
    return bool(invoice.draft_hash)


def _empty(invoice: Invoice) -> Invoice:
    """A draft that somebody decided about stays, with nothing on it, so that the decision is not forgotten."""
    invoice.net = invoice.tax = invoice.total = 0
    invoice.taxes, invoice.held, invoice.draft_hash, invoice.inputs = [], [], "", ""
    return invoice


def _lines(invoice: Invoice, document: Document | None) -> list[InvoiceLine]:
    if document is None:
        return []
    return [
        InvoiceLine(invoice=invoice, position=position, **vars(line))
        for position, line in enumerate(document.lines, start=1)
    ]
