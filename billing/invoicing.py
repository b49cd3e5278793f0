"""The invoice run of a month: draft, draft again, and record what a person decides about what is held.

A draft can be rebuilt as often as wanted: if what it was composed from did not change, it is not composed again, and
what says the same is not written. Bill-tos are taken in chunks, each in a transaction of its own, so that memory
stays small and a run that was broken off is simply started again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Greatest

from billing.adjusting import Adjustments, DocumentKey, bind, free, payers_due, read_adjustments
from billing.composing import chunks_of, compose_again, period_of
from billing.coverage import subscriptions_of
from billing.days import Period
from billing.deltas import payers_billed_lately, read_deltas
from billing.documents import Document, compose_documents
from billing.drafts import decisions_of, living_invoices, store_drafts
from billing.fingerprints import fingerprints_of, same_month
from billing.models import BillTo, Invoice, InvoiceLine, InvoiceRun, Seller, Subscription
from billing.periods import month_from, refuse_unfinished
from billing.refusals import NotFound, Refused
from billing.sharing import WHOLE, Share, hold_run
from msp.tenants import audit
from msp.tenants.models import Tenant

#: Bill-tos composed at once: what is in memory; more of them save few statements.
CHUNK = 50
#: Which held things each decision settles, by the first word of their keys.
DECISIONS = {
    "exclude_missing": ("missing", "never", "nothing"),
    "carry_missing": ("missing", "never", "nothing"),
    "accept_figures": ("figure",),
    "refuse_basis": ("basis",),
    "accept_corrections": ("delta",),
    "leave_corrections": ("delta",),
}


def draft_run(
    tenant: Tenant, seller: Seller, *, first_day: date, actor: str, now: datetime, share: Share = WHOLE
) -> InvoiceRun:
    """Draft, or draft again, all invoices of a seller's month as known now, or a share of them.

    Raises Refused until the month is over.
    """
    if seller.tenant_id != tenant.pk:
        raise NotFound("There is no such seller.")
    period = month_from(first_day)
    known = InvoiceRun.objects.of(tenant).filter(seller=seller, first_day=period.first_day).first()
    refuse_unfinished(period, zone=known.timezone if known else tenant.timezone, now=now)
    run = known or _begin(tenant, seller, period=period, actor=actor, now=now)
    return redraft(tenant, run, now=now, share=share)


def redraft(tenant: Tenant, run: InvoiceRun, *, now: datetime, share: Share = WHOLE) -> InvoiceRun:
    """Rebuild the drafts of a run as known now; ``cut_off`` moves only if something changed.

    Several processes may each take a ``share`` at the same time; the first one also drops what nobody is charged.
    """
    period = period_of(run)
    running = subscriptions_of(tenant.pk, seller_id=run.seller_id, period=period)
    payers = {each.agreement.bill_to_id for each in running}
    for chunk in share.of_all(list(chunks_of(running, most=CHUNK))):
        _redraft_chunk(tenant, run, chunk, bill_to_ids={each.agreement.bill_to_id for each in chunk}, now=now)
    if share.is_first:
        others = sorted((payers_due(run, cut_off=now) | payers_billed_lately(run)) - payers)
        for place in range(0, len(others), CHUNK):
            _redraft_chunk(tenant, run, [], bill_to_ids=set(others[place : place + CHUNK]), now=now)
        _drop_orphans(tenant, run, payers | set(others))
    run.refresh_from_db()
    return run


@transaction.atomic
def redraft_one(tenant: Tenant, invoice_uid: UUID, *, now: datetime) -> Invoice | None:
    """Rebuild one draft as known now; None if nothing is charged any more. Raises NotFound or Refused."""
    invoice = locked_invoice(tenant, invoice_uid, with_run=True)
    if invoice.state != "draft":
        raise Refused(f"Only a draft can be drafted again; invoice {invoice.number} is {invoice.state}.")
    document = compose_one(invoice, cut_off=now, lock=True)
    documents = {} if document is None else {document.key: document}
    if store_drafts(invoice.run, documents, {(invoice.bill_to_id, invoice.currency): invoice}, now=now):
        InvoiceRun.objects.of(tenant).filter(pk=invoice.run_id).update(cut_off=now)
    bind(invoice.run, documents)
    found: Invoice | None = Invoice.objects.of(tenant).filter(pk=invoice.pk).first()
    return found


def compose_one(invoice: Invoice, *, cut_off: datetime, lock: bool = False) -> Document | None:
    """What this invoice says if composed as known at ``cut_off``, with the decisions made about it. Writes nothing.

    ``lock``: within a transaction that stores it, so that nobody withdraws or takes its one-offs meanwhile.
    """
    key = (invoice.bill_to_id, invoice.currency)
    deltas = {}
    if invoice.state != "final":
        living = {key: invoice} if invoice.state == "draft" else {}
        deltas = read_deltas(invoice.run, living, bill_to_ids=[invoice.bill_to_id], cut_off=cut_off, lock=lock)
    return compose_again(invoice.run, [invoice], cut_off=cut_off, lock=lock, deltas=deltas).get(key)


@transaction.atomic
def decide(tenant: Tenant, invoice_uid: UUID, *, decision: str, actor: str, reason: str, now: datetime) -> Invoice:
    """Record what a person decided about the held things of a draft, and draft it so. Raises NotFound or Refused.

    ``decision`` is one of DECISIONS. It holds for the things held now and for no later ones.
    """
    if decision not in DECISIONS:
        raise Refused(f"There is no decision {decision!r}; choose one of {', '.join(DECISIONS)}.")
    invoice = locked_invoice(tenant, invoice_uid, with_run=True)
    if invoice.state != "draft":
        raise Refused(f"Invoice {invoice.number} is {invoice.state}: nothing about it is open.")
    document = compose_one(invoice, cut_off=invoice.run.cut_off)
    made = _decision(document, decision, actor=actor, reason=reason, now=now)
    invoice.decisions = [*invoice.decisions, made]
    invoice.save(update_fields=["decisions"])
    _audit(tenant, invoice, made, now=now)
    _store_again(invoice, now=now)
    invoice.refresh_from_db()
    return invoice


def locked_invoice(tenant: Tenant, invoice_uid: UUID, *, with_run: bool = False) -> Invoice:
    """An invoice of this tenant, locked, by whoever is about to change it; its run first if asked. Raises NotFound."""
    invoices = Invoice.objects.of(tenant)
    found = invoices.filter(uid=invoice_uid).only("pk", "run_id").first()
    if found is None:
        raise NotFound("There is no such invoice.")
    if with_run:
        hold_run(found.run_id, alone=True)
    locked: Invoice = (
        invoices.select_related("run", "seller", "bill_to").select_for_update(of=("self",)).get(pk=found.pk)
    )
    return locked


def store_replacement(invoice: Invoice, *, now: datetime) -> Invoice | None:
    """A new draft for the period of a voided invoice, with the decisions made about it; None if nothing is charged."""
    hold_run(invoice.run_id, alone=True)
    run = InvoiceRun.objects.of(invoice.tenant_id).get(pk=invoice.run_id)
    free(invoice)
    document = compose_one(invoice, cut_off=now, lock=True)
    if document is None:
        return None
    living = living_invoices(run, bill_to_ids=[invoice.bill_to_id])
    store_drafts(run, {document.key: document}, living, now=now)
    bind(run, {document.key: document})
    InvoiceRun.objects.of(invoice.tenant_id).filter(pk=run.pk).update(cut_off=now, state="draft")
    drafts = Invoice.objects.of(invoice.tenant_id).filter(run=run, bill_to=invoice.bill_to, state="draft")
    drafts.filter(currency=invoice.currency).update(replaces=invoice, decisions=invoice.decisions)
    return drafts.filter(currency=invoice.currency).first()


def _begin(tenant: Tenant, seller: Seller, *, period: Period, actor: str, now: datetime) -> InvoiceRun:
    run, _ = InvoiceRun.objects.of(tenant).get_or_create(
        seller=seller,
        first_day=period.first_day,
        defaults={
            "last_day": period.last_day,
            "timezone": tenant.timezone,
            "cut_off": now,
            "started_by": actor,
            "started_at": now,
        },
    )
    found: InvoiceRun = run
    return found


@transaction.atomic
def _redraft_chunk(
    tenant: Tenant,
    run: InvoiceRun,
    subscriptions: Sequence[Subscription],
    *,
    bill_to_ids: Collection[int],
    now: datetime,
) -> None:
    hold_run(run.pk, alone=False)
    _hold_payers(tenant, bill_to_ids)
    locked = InvoiceRun.objects.of(tenant).get(pk=run.pk)
    living = living_invoices(locked, bill_to_ids=bill_to_ids)
    deltas = read_deltas(locked, living, bill_to_ids=bill_to_ids, cut_off=now, lock=True)
    adjustments = read_adjustments(locked, living, bill_to_ids=bill_to_ids, cut_off=now, lock=True).with_deltas(deltas)
    period = period_of(locked)
    inputs = fingerprints_of(
        tenant.pk, subscriptions, period=period, cut_off=now, living=living.values(), adjustments=adjustments
    )
    settled = _settled(living, inputs)
    living = {key: invoice for key, invoice in living.items() if key[0] not in settled}
    documents = _compose_rest(tenant, subscriptions, settled, living, adjustments, period=period, cut_off=now)
    stored = store_drafts(locked, documents, living, now=now, inputs=inputs)
    bind(locked, documents)
    if stored:
        # the last thing, as other shares wait for this row until the transaction ends; none takes the moment back
        moment = Greatest("cut_off", Value(now))
        InvoiceRun.objects.of(tenant).filter(pk=run.pk).update(cut_off=moment, state="draft")


def _hold_payers(tenant: Tenant, bill_to_ids: Collection[int]) -> None:
    """Until the transaction ends: nobody else drafts these payers' documents, not even where there is none yet."""
    rows = BillTo.objects.of(tenant).filter(pk__in=bill_to_ids).select_for_update(no_key=True).order_by("pk")
    list(rows.values_list("pk", flat=True))


def _compose_rest(
    tenant: Tenant,
    subscriptions: Sequence[Subscription],
    settled: Collection[int],
    living: Mapping[DocumentKey, Invoice],
    adjustments: Adjustments,
    *,
    period: Period,
    cut_off: datetime,
) -> dict[DocumentKey, Document]:
    rest = [each for each in subscriptions if each.agreement.bill_to_id not in settled]
    theirs = adjustments.without(settled)
    if not (rest or theirs.alone):
        return {}
    decisions = {key: decisions_of(invoice) for key, invoice in living.items()}
    return compose_documents(tenant.pk, rest, period=period, cut_off=cut_off, decisions=decisions, adjustments=theirs)


def _settled(living: Mapping[DocumentKey, Invoice], inputs: Mapping[int, str]) -> set[int]:
    """The bill-tos whose documents were composed from just what is there now: composing would change nothing."""
    same: dict[int, bool] = {}
    for (bill_to_id, _), invoice in living.items():
        now = inputs.get(bill_to_id, "")
        is_same = same_month(invoice.inputs, now) if invoice.state == "final" else invoice.inputs == now != ""
        same[bill_to_id] = is_same and same.get(bill_to_id, True)
    return {bill_to_id for bill_to_id, is_same in same.items() if is_same}


@transaction.atomic
def _drop_orphans(tenant: Tenant, run: InvoiceRun, bill_to_ids: Iterable[int]) -> None:
    """Drafts of bill-tos that no subscription leads to any more."""
    drafts = Invoice.objects.of(tenant).filter(run=run, state="draft").exclude(bill_to_id__in=list(bill_to_ids))
    orphans = list(drafts.values_list("pk", flat=True))
    if orphans:
        InvoiceLine.objects.of(tenant).filter(invoice_id__in=orphans).delete()
        drafts.filter(pk__in=orphans).delete()


def _store_again(invoice: Invoice, *, now: datetime) -> None:
    document = compose_one(invoice, cut_off=invoice.run.cut_off, lock=True)
    documents = {} if document is None else {document.key: document}
    store_drafts(invoice.run, documents, {(invoice.bill_to_id, invoice.currency): invoice}, now=now)
    bind(invoice.run, documents)


def _decision(document: Document | None, decision: str, *, actor: str, reason: str, now: datetime) -> dict[str, Any]:
    held = document.held if document else ()
    about = [each for each in held if each.keys[0].split(":")[0] in DECISIONS[decision]]
    if not about:
        raise Refused("Nothing is held on this invoice that this decision would settle.")
    return {
        "decision": decision,
        "actor": actor,
        "at": now.isoformat(),
        "reason": reason,
        "sentences": [each.sentence for each in about],
        "keys": sorted({key for each in about for key in each.keys}),
    }


def _audit(tenant: Tenant, invoice: Invoice, made: dict[str, Any], *, now: datetime) -> None:
    audit.record(
        tenant,
        actor=made["actor"],
        action="invoice.decided",
        subject_kind="invoice",
        subject_id=invoice.pk,
        subject=f"{invoice.bill_to} {invoice.first_day:%Y-%m}",
        after={"decision": made["decision"], "about": made["sentences"]},
        reason=made["reason"],
        now=now,
    )
