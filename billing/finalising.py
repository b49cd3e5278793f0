"""Makes a draft final: numbered without gaps, frozen, hashed; or voids a final document and drafts its replacement.

A draft that is held, or that no longer says what the ledger says, is refused with a sentence. Locks: the invoice, then,
last and shortest, its number series. Rendering and delivery happen elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from billing.adjusting import DocumentKey, bind, read_adjustments
from billing.composing import compose_again, period_of
from billing.coverage import subscriptions_of
from billing.deltas import read_deltas
from billing.documents import Document
from billing.fingerprints import fingerprints_of
from billing.hashing import hash_of_plain
from billing.invoicing import compose_one, locked_invoice, store_replacement
from billing.models import Collection, Invoice, InvoiceLine, InvoiceRun
from billing.numbering import check_number_format, take_number
from billing.owing import owed_of
from billing.periods import local_day, refuse_early, refuse_unfinished
from billing.refusals import Refused
from billing.second_person import require_second_person
from billing.snapshots import snapshot_of
from billing.stored import stored_documents
from msp.outbox import lanes
from msp.tenants import audit
from msp.tenants.models import Tenant

#: Drafts composed and made final in one transaction.
TOGETHER = 25


def finalise(
    tenant: Tenant, invoice_uid: UUID, *, actor: str, now: datetime, early_reason: str = "", approved_by: str = ""
) -> Invoice:
    """Number and freeze a draft; its Stripe lane is marked in the same transaction. Raises NotFound or Refused.

    ``early_reason``: why the seller's days of grace are not waited for; kept in the audit trail. ``approved_by`` is
    the second person, without whom nothing above the seller's limit is done (NeedsSecondPerson).
    """
    with transaction.atomic():
        invoice = locked_invoice(tenant, invoice_uid)
        _refuse_unfit(invoice, now=now, early_reason=early_reason.strip())
        document = _checked(invoice, compose_one(invoice, cut_off=now, lock=True))
        _require_second(invoice, document.total, actor=actor, approved_by=approved_by)
        invoice.approved_by = approved_by
        rows = _rows_of(tenant.pk, [invoice])[invoice.pk]
        _finish(tenant, invoice, document, rows=rows, actor=actor, now=now, reason=early_reason)
    _close_run(invoice)
    return invoice


def finalise_many(
    tenant: Tenant, invoice_uids: Sequence[UUID], *, actor: str, now: datetime
) -> tuple[tuple[Invoice, ...], tuple[str, ...]]:
    """Make several drafts of a run final; answers them, and a sentence for each that was refused.

    Composed together, a chunk at a time, each chunk in a transaction: what is broken off goes on with the next call.
    """
    done: list[Invoice] = []
    refused: list[str] = []
    for start in range(0, len(invoice_uids), TOGETHER):
        _finalise_chunk(tenant, invoice_uids[start : start + TOGETHER], done, refused, actor=actor, now=now)
    if done:
        _close_run(done[0])
    return tuple(done), tuple(refused)


@transaction.atomic
def _finalise_chunk(
    tenant: Tenant, uids: Sequence[UUID], done: list[Invoice], refused: list[str], *, actor: str, now: datetime
) -> None:
    """All that needs no number before the first is taken: until the end nobody else gets one of this series."""
    ready: list[tuple[Invoice, Document]] = []
    for invoice, outcome in _composed_together(_locked_drafts(tenant, uids), now=now):
        try:
            _refuse_unfit(invoice, now=now, early_reason="")
            document = _checked(invoice, outcome)
            _require_second(invoice, document.total, actor=actor, approved_by="")
        except Refused as refusal:
            refused.append(f"{invoice.bill_to}: {refusal.reason}")
        else:
            ready.append((invoice, document))
    rows = _rows_of(tenant.pk, [invoice for invoice, _ in ready])
    for invoice, document in ready:
        try:
            _finish(tenant, invoice, document, rows=rows[invoice.pk], actor=actor, now=now)
        except Refused as refusal:
            refused.append(f"{invoice.bill_to}: {refusal.reason}")
        else:
            # what is read again if somebody looks: of a whole month it would be gigabytes
            invoice.__dict__.pop("snapshot")
            done.append(invoice)


def _locked_drafts(tenant: Tenant, invoice_uids: Sequence[UUID]) -> list[Invoice]:
    """In the order of their ids, as everybody locks them."""
    rows = Invoice.objects.of(tenant).filter(uid__in=invoice_uids).select_related("run", "seller", "bill_to")
    return list(rows.select_for_update(of=("self",)).order_by("pk"))


def _composed_together(invoices: Sequence[Invoice], *, now: datetime) -> Iterable[tuple[Invoice, Document | None]]:
    by_run: dict[int, list[Invoice]] = {}
    for invoice in invoices:
        by_run.setdefault(invoice.run_id, []).append(invoice)
    for group in by_run.values():
        drafts = [invoice for invoice in group if invoice.state == "draft"]
        documents = _composed_drafts(group[0].run, drafts, now=now) if drafts else {}
        for invoice in group:
            yield invoice, documents.get((invoice.bill_to_id, invoice.currency))


def _composed_drafts(run: InvoiceRun, drafts: Sequence[Invoice], *, now: datetime) -> dict[DocumentKey, Document]:
    """As ``compose_one`` composes each, with the corrections of earlier months; what is as it was is not composed."""
    living = {(draft.bill_to_id, draft.currency): draft for draft in drafts}
    payers = {draft.bill_to_id for draft in drafts}
    deltas = read_deltas(run, living, bill_to_ids=payers, cut_off=now, lock=True)
    adjustments = read_adjustments(run, living, bill_to_ids=payers, cut_off=now, lock=True)
    inputs = fingerprints_of(
        run.tenant_id,
        subscriptions_of(run.tenant_id, seller_id=run.seller_id, bill_to_ids=sorted(payers), period=period_of(run)),
        period=period_of(run),
        cut_off=now,
        living=drafts,
        adjustments=adjustments.with_deltas(deltas),
    )
    documents = stored_documents(
        run.tenant_id, [draft for draft in drafts if draft.inputs and draft.inputs == inputs.get(draft.bill_to_id)]
    )
    others = [draft for key, draft in living.items() if key not in documents]
    return documents | (compose_again(run, others, cut_off=now, lock=True, deltas=deltas) if others else {})


@transaction.atomic
def void_and_replace(
    tenant: Tenant, invoice_uid: UUID, *, actor: str, reason: str, now: datetime, approved_by: str = ""
) -> Invoice | None:
    """Cancel a final invoice, for a reason, and draft another for the same period, which names it.

    Answers the new draft, None if nothing is charged any more. The voided document and its number stay. Raises NotFound
    or Refused.
    """
    if not reason.strip():
        raise Refused("Voiding an invoice needs a reason.")
    invoice = locked_invoice(tenant, invoice_uid, with_run=True)
    if invoice.state != "final":
        raise Refused(f"Only a final invoice can be voided; this one is {invoice.state}.")
    _refuse_followed(invoice)
    _require_second(invoice, invoice.total, actor=actor, approved_by=approved_by)
    if approved_by:
        reason = f"{reason.strip()} (asked for by {actor}, approved by {approved_by})"
    invoice.state, invoice.voided_at, invoice.void_reason = "void", now, reason
    invoice.save(update_fields=["state", "voided_at", "void_reason"])
    _uncollect(invoice, now=now)
    _audit(tenant, invoice, action="invoice.voided", actor=actor, now=now, reason=reason)
    return store_replacement(invoice, now=now)


def _require_second(invoice: Invoice, amount: Decimal, *, actor: str, approved_by: str) -> None:
    require_second_person(invoice.seller, amount, currency=invoice.currency, actor=actor, approved_by=approved_by)


def _refuse_followed(invoice: Invoice) -> None:
    if invoice.kind != "regular":
        raise Refused("A credit note is not voided; write an invoice for what it took back too much.")
    notes = Invoice.objects.of(invoice.tenant_id).filter(credits=invoice).order_by("pk")
    numbers = ", ".join(notes.values_list("number", flat=True))
    if numbers:
        raise Refused(f"{invoice.number} is credited by {numbers}: credit the rest of it, rather than void it.")
    if owed_of(invoice.tenant_id, [invoice.pk])[invoice.pk].paid:
        raise Refused(f"{invoice.number} is settled by payments: take them off, or write a credit note.")


def _refuse_unfit(invoice: Invoice, *, now: datetime, early_reason: str) -> None:
    if invoice.state != "draft":
        raise Refused(f"Invoice {invoice.number} is {invoice.state} already.")
    refuse_unfinished(period_of(invoice.run), zone=invoice.run.timezone, now=now)
    if not early_reason:
        refuse_early(period_of(invoice.run), grace_days=invoice.seller.grace_days, zone=invoice.run.timezone, now=now)
    check_number_format(invoice.seller.number_format)


def _finish(
    tenant: Tenant,
    invoice: Invoice,
    document: Document,
    *,
    rows: Sequence[InvoiceLine],
    actor: str,
    now: datetime,
    reason: str = "",
) -> None:
    today = local_day(now, zone=invoice.run.timezone)
    invoice.issued_on, invoice.due_on = today, today + timedelta(days=invoice.bill_to.terms_days)
    invoice.number = take_number(invoice.seller, issued_on=today)
    bind(invoice.run, {document.key: document})
    _freeze(invoice, document, rows=rows, actor=actor, now=now)
    _collect(invoice, now=now)
    _audit(tenant, invoice, action="invoice.finalised", actor=actor, now=now, reason=reason)


def _checked(invoice: Invoice, document: Document | None) -> Document:
    """The draft composed anew; refused unless it still says the same."""
    if document is not None and document.held:
        raise Refused("This draft is held: " + " ".join(held.sentence for held in document.held))
    if document is None or not document.lines:
        raise Refused("There is nothing on this draft to invoice.")
    if document.content_hash != invoice.draft_hash:
        raise Refused(
            "This draft is out of date: measurements, plans or links changed since "
            f"{invoice.run.cut_off:%Y-%m-%d %H:%M} UTC. Draft the month again and review it."
        )
    return document


def _rows_of(tenant_id: int, invoices: Sequence[Invoice]) -> dict[int, list[InvoiceLine]]:
    """The stored lines of each, in order, without what their documents hold already; one query."""
    lines = InvoiceLine.objects.of(tenant_id).filter(invoice__in=invoices).defer("working", "evidence")
    rows: dict[int, list[InvoiceLine]] = {invoice.pk: [] for invoice in invoices}
    for line in lines.select_related("subscription__agreement", "client").order_by("invoice_id", "position"):
        rows[line.invoice_id].append(line)
    return rows


def _freeze(invoice: Invoice, document: Document, *, rows: Sequence[InvoiceLine], actor: str, now: datetime) -> None:
    """What a numbered document says from now on."""
    invoice.state, invoice.finalised_at, invoice.finalised_by = "final", now, actor
    invoice.snapshot = snapshot_of(invoice, document, rows=rows, cut_off=invoice.run.cut_off)
    invoice.content_hash = hash_of_plain(invoice.snapshot)
    invoice.save()


def _collect(invoice: Invoice, *, now: datetime) -> None:
    if not invoice.seller.stripe:
        return
    collection = Collection.objects.of(invoice.tenant_id).create(invoice=invoice, service="stripe", updated_at=now)
    lanes.mark(invoice.tenant_id, "stripe", [collection.pk], now=now)


def _uncollect(invoice: Invoice, *, now: datetime) -> None:
    collections = Collection.objects.of(invoice.tenant_id).filter(invoice=invoice)
    collections.update(wanted_state="void", updated_at=now)
    lanes.mark(invoice.tenant_id, "stripe", [each.pk for each in collections], now=now)


def _close_run(invoice: Invoice) -> None:
    """A run is final once it has no draft left; another draft opens it again."""
    drafts = Invoice.objects.of(invoice.tenant_id).filter(run_id=invoice.run_id, state="draft")
    if not drafts.exists():
        InvoiceRun.objects.of(invoice.tenant_id).filter(pk=invoice.run_id).update(state="final")


def _audit(tenant: Tenant, invoice: Invoice, *, action: str, actor: str, now: datetime, reason: str = "") -> None:
    audit.record(
        tenant,
        actor=actor,
        action=action,
        subject_kind="invoice",
        subject_id=invoice.pk,
        subject=invoice.number,
        after={"total": str(invoice.total), "currency": invoice.currency, "content_hash": invoice.content_hash},
        reason=reason,
        now=now,
    )
