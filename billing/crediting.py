"""Credit notes: documents that take back lines of a final invoice, whole or in part, numbered in a series of their own.

Amounts are stored negative, so documents of a payer add up to what is owed. A credit note is final from the beginning:
one transaction locks the invoice, writes the lines, takes the next number, freezes and hashes. Locks: invoice, series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from billing.documents import Document
from billing.hashing import hash_of, plain
from billing.invoicing import locked_invoice
from billing.lines import ComposedLine
from billing.models import Invoice, InvoiceLine
from billing.money import currency_of, money_text, round_money
from billing.numbering import take_number
from billing.periods import local_day
from billing.refusals import Refused
from billing.second_person import require_second_person
from billing.snapshots import frozen, snapshot_of
from billing.taxes import tax_totals, taxes_record
from billing.working import Ref, Steps, Term
from msp.tenants import audit
from msp.tenants.models import Tenant

LONGEST_REASON = 2000


@dataclass(frozen=True, kw_only=True)
class CreditedLine:
    """How much of a line is taken back, without a sign: an amount, or a quantity of it; neither: all that is left."""

    line_uid: UUID
    amount: Decimal | None = None
    quantity: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class CreditableLine:
    """A line of a final invoice and what earlier credit notes left of it; ``left`` has the sign of the line."""

    uid: UUID
    position: int
    description: str
    quantity: Decimal
    unit: str
    amount: Decimal
    left: Decimal


def creditable_lines(invoice: Invoice) -> tuple[CreditableLine, ...]:
    """The lines of an invoice in order with what is left of each; two queries."""
    rows = InvoiceLine.objects.of(invoice.tenant_id).filter(invoice=invoice).order_by("position")
    credited = _credited(invoice)
    return tuple(
        CreditableLine(
            uid=row.uid,
            position=row.position,
            description=row.description,
            quantity=row.quantity,
            unit=row.unit,
            amount=row.amount,
            left=row.amount + credited.get(row.pk, Decimal(0)),
        )
        for row in rows
    )


@transaction.atomic
def credit(
    tenant: Tenant,
    invoice_uid: UUID,
    *,
    lines: Sequence[CreditedLine] = (),
    reason: str,
    actor: str,
    now: datetime,
    approved_by: str = "",
) -> Invoice:
    """Take back these lines of a final invoice, or without any all that is left. Raises NotFound or Refused.

    ``approved_by`` is the second person, without whom nothing above the seller's limit is done (NeedsSecondPerson).
    """
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise Refused(f"A credit note needs a reason of at most {LONGEST_REASON:,} characters.")
    invoice = locked_invoice(tenant, invoice_uid)
    _refuse_unfit(invoice)
    rows, composed = _compose(invoice, lines)
    document = _document(invoice, composed)
    if document.total >= 0:
        raise Refused("A credit note takes something back: these lines come to nothing, or to a charge.")
    limits: dict[str, str] = {"currency": invoice.currency, "actor": actor, "approved_by": approved_by}
    require_second_person(invoice.seller, document.total, **limits)
    names = (actor, approved_by)
    note = _store(invoice, document, rows, reason=reason, names=names, now=now)
    _audit(tenant, note, invoice, actor=actor, reason=reason, now=now)
    return note


def _refuse_unfit(invoice: Invoice) -> None:
    if invoice.kind != "regular":
        raise Refused("A credit note is not credited; write an invoice for what it took back too much.")
    if invoice.state != "final":
        raise Refused(f"Only a final invoice can be credited; this one is {invoice.state}.")


def _credited(invoice: Invoice) -> dict[int, Decimal]:
    """What credit notes took back so far, by the line's id; negative for a charge."""
    notes = InvoiceLine.objects.of(invoice.tenant_id).filter(invoice__credits=invoice, invoice__state="final")
    sums = notes.order_by().values("credits").annotate(taken=Sum("amount"))
    return {each["credits"]: each["taken"] for each in sums}


def _compose(invoice: Invoice, wanted: Sequence[CreditedLine]) -> tuple[list[InvoiceLine], list[ComposedLine]]:
    """The credited rows and their credit lines, in the order of the invoice."""
    asked = {each.line_uid: each for each in wanted}
    if len(asked) != len(wanted):
        raise Refused("A line is named twice; credit it once, with the sum.")
    credited = _credited(invoice)
    rows = list(InvoiceLine.objects.of(invoice.tenant_id).filter(invoice=invoice).order_by("position"))
    if asked.keys() - {row.uid for row in rows}:
        raise Refused("A line that is to be credited is not on this invoice.")
    left = {row.pk: row.amount + credited.get(row.pk, Decimal(0)) for row in rows}
    chosen = [row for row in rows if row.uid in asked] if asked else [row for row in rows if left[row.pk]]
    if not chosen:
        raise Refused(f"Nothing is left of {invoice.number} to credit.")
    return chosen, [
        _line(invoice, row, asked.get(row.uid, CreditedLine(line_uid=row.uid)), left=left[row.pk]) for row in chosen
    ]


def _line(invoice: Invoice, row: InvoiceLine, wanted: CreditedLine, *, left: Decimal) -> ComposedLine:
    steps = Steps()
    quantity, unit = _steps(steps, row, wanted, left=left, currency=invoice.currency)
    amount = round_money(steps.value("credited"), invoice.currency)
    _refuse_amount(row, amount, left=left, currency=invoice.currency)
    return ComposedLine(
        subscription_id=row.subscription_id,
        client_id=row.client_id,
        kind="credit",
        description=f"Credit on line {row.position} of {invoice.number}: {row.description}"[:300],
        quantity=quantity,
        unit=unit,
        amount=amount,
        tax_category=row.tax_category,
        tax_rate=row.tax_rate,
        working={"steps": steps.written(), "days": [], "total": format(amount, "f"), "plan": row.working["plan"]},
        evidence=[],
    )


def _steps(
    steps: Steps, row: InvoiceLine, wanted: CreditedLine, *, left: Decimal, currency: str
) -> tuple[Decimal, str]:
    """Writes how the credited amount is reached, last the step "credited"; answers the line's quantity and unit."""
    sign = 1 if row.amount >= 0 else -1
    if wanted.quantity is None:
        taken = abs(left) if wanted.amount is None else _whole(wanted.amount, currency)
        label = "All that is left of it" if wanted.amount is None else "Taken back of it"
        steps.add("credited", "multiply", Term(taken, currency), Term(-sign), label=label, unit=currency)
        return Decimal(-1), ""
    if wanted.amount is not None:
        raise Refused(f"Line {row.position}: give an amount or a quantity, not both.")
    if not 0 < wanted.quantity <= row.quantity:
        raise Refused(f"Line {row.position} has {row.quantity.normalize():f} {row.unit}; credit more than 0 of it.")
    parts, whole = Term(wanted.quantity, row.unit), Term(row.quantity, row.unit)
    steps.add("share", "divide", parts, whole, label="Share of the line")
    steps.add("part", "multiply", Ref("share"), Term(row.amount, currency), label="Part of its amount", unit=currency)
    decimals = Term(currency_of(currency).decimals)
    steps.add("rounded", "round_half_up", Ref("part"), decimals, label="Rounded once", unit=currency)
    steps.add("credited", "multiply", Ref("rounded"), Term(-1), label="Taken back", unit=currency)
    return -wanted.quantity, row.unit


def _whole(amount: Decimal, currency: str) -> Decimal:
    if amount <= 0:
        raise Refused("An amount to credit is more than 0; it is written without a sign.")
    if round_money(amount, currency) != amount:
        raise Refused(f"{money_text(amount, currency)} is not a whole number of the smallest unit of {currency}.")
    return amount


def _refuse_amount(row: InvoiceLine, amount: Decimal, *, left: Decimal, currency: str) -> None:
    if not amount:
        raise Refused(f"Line {row.position}: what is to be credited comes to nothing.")
    if abs(amount) > abs(left) or (left > 0) == (amount > 0):
        raise Refused(
            f"Line {row.position}: {money_text(abs(amount), currency)} is more than the "
            f"{money_text(abs(left), currency)} that is left of it."
        )


def _document(invoice: Invoice, lines: Sequence[ComposedLine]) -> Document:
    currency = invoice.currency
    taxes = tax_totals(lines, currency=currency)
    net = round_money(sum((each.amount for each in lines), Decimal(0)), currency)
    tax = sum((each.tax for each in taxes), Decimal(0))
    return Document(
        bill_to=invoice.bill_to,
        currency=currency,
        lines=tuple(lines),
        held=(),
        net=net,
        tax=tax,
        total=net + tax,
        tax_rate=invoice.tax_rate,
        taxes=taxes,
        content_hash=hash_of([vars(each) for each in lines]),
    )


def _store(
    invoice: Invoice,
    document: Document,
    rows: Sequence[InvoiceLine],
    *,
    reason: str,
    names: tuple[str, str],
    now: datetime,
) -> Invoice:
    """Rows first, the number last, so that the series is locked for as short as can be."""
    note = _begin(invoice, document, reason=reason, now=now)
    lines = [
        InvoiceLine(invoice=note, position=place, credits=row, **vars(line))
        for place, (row, line) in enumerate(zip(rows, document.lines, strict=True), start=1)
    ]
    InvoiceLine.objects.of(note.tenant_id).bulk_create(lines)
    note.issued_on = note.due_on = local_day(now, zone=invoice.run.timezone)
    note.state, note.finalised_at = "final", now
    note.finalised_by, note.approved_by = names
    note.number = take_number(invoice.seller, issued_on=note.issued_on, kind="credit")
    note.snapshot = _snapshot(note, invoice, document, rows)
    note.content_hash = hash_of(note.snapshot)
    note.save()
    return note


def _begin(invoice: Invoice, document: Document, *, reason: str, now: datetime) -> Invoice:
    note: Invoice = Invoice.objects.of(invoice.tenant_id).create(
        run=invoice.run,
        seller=invoice.seller,
        bill_to=invoice.bill_to,
        currency=invoice.currency,
        kind="credit",
        credits=invoice,
        credit_reason=reason,
        first_day=invoice.first_day,
        last_day=invoice.last_day,
        net=document.net,
        tax=document.tax,
        total=document.total,
        tax_rate=document.tax_rate,
        taxes=taxes_record(document.taxes),
        draft_hash=document.content_hash,
        created_at=now,
    )
    return note


def _snapshot(note: Invoice, invoice: Invoice, document: Document, rows: Sequence[InvoiceLine]) -> Mapping[str, object]:
    """As of any final document, but with the parties of the invoice, which it names with its reason."""
    stored = InvoiceLine.objects.of(note.tenant_id).filter(invoice=note)
    related = list(stored.select_related("subscription__agreement", "client").order_by("position"))
    known = frozen(invoice)
    snapshot = snapshot_of(note, document, rows=related, cut_off=invoice.run.cut_off)
    for line, row in zip(snapshot["lines"], rows, strict=True):
        line["credits"] = str(row.uid)
    named = {"number": invoice.number, "uid": invoice.uid, "issued_on": invoice.issued_on}
    parties = {"seller": known["seller"], "bill_to": known["bill_to"]}
    content: dict[str, object] = plain({**snapshot, **parties, "credits": named, "reason": note.credit_reason})
    return content


def _audit(tenant: Tenant, note: Invoice, invoice: Invoice, *, actor: str, reason: str, now: datetime) -> None:
    audit.record(
        tenant,
        actor=actor,
        action="invoice.credited",
        subject_kind="invoice",
        subject_id=note.pk,
        subject=note.number,
        after={
            "credits": invoice.number,
            "total": str(note.total),
            "currency": note.currency,
            "content_hash": note.content_hash,
        },
        reason=reason,
        now=now,
    )
