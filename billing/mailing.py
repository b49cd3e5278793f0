"""Mails final documents to their payers through the seller's own mail server, with the PDF and the e-invoice in it.

Asked for by a person, for one document or a whole month; delivered by the worker, tried again while the server is away.
A repeat has the same Message-ID. What a server refuses for good is kept with the reason and shown at the document.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from billing.document_pdf import draw_document, with_einvoice
from billing.einvoicing import NotPossible, einvoice
from billing.following import what_followed
from billing.models import DocumentMail, Invoice, InvoiceRun
from billing.money import money_text
from billing.queries import invoice_page
from billing.refusals import NotFound, Refused
from billing.snapshots import frozen
from integrations import mailing
from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets.contract import Call
from integrations.tickets.email import Attachment, Mail
from msp.outbox import lanes
from msp.outbox.lanes import Claim
from msp.tenants import audit
from msp.tenants.models import Tenant

LANE = "document"
NO_SERVER = "{} has no mail server: set one at the seller."
NO_ADDRESS = "{} has no email address: set one at the payer, or type one."


def ask(tenant: Tenant, invoice_uid: UUID, *, actor: str, now: datetime, recipient: str = "") -> DocumentMail:
    """Have a final document mailed, to its payer or to ``recipient``. Raises NotFound or Refused."""
    with transaction.atomic():
        rows = Invoice.objects.of(tenant).select_related("seller", "bill_to").defer("snapshot")
        invoice = rows.select_for_update(of=("self",)).filter(uid=invoice_uid).first()
        if invoice is None:
            raise NotFound("There is no such invoice.")
        problem = _problem(invoice, recipient)
        if problem:
            raise Refused(problem)
        if DocumentMail.objects.of(tenant).filter(invoice=invoice, state="waiting").exists():
            raise Refused(f"{invoice.number} is on its way already.")
        (row,) = _enter(tenant, [invoice], actor=actor, now=now, recipient=recipient)
    return row


def ask_all(tenant: Tenant, run: InvoiceRun, *, actor: str, now: datetime) -> tuple[int, tuple[str, ...]]:
    """Have every final document of a month mailed that never was; answers how many, and a sentence for each that
    cannot be. A second call finds nothing to do.
    """
    with transaction.atomic():
        InvoiceRun.objects.of(tenant).select_for_update().get(pk=run.pk)
        gone = DocumentMail.objects.of(tenant).filter(invoice__run=run, state__in=("waiting", "sent"))
        rows = (
            Invoice.objects.of(tenant)
            .filter(run=run, state="final", kind="regular")
            .select_related("seller", "bill_to")
        )
        waiting = list(rows.exclude(pk__in=gone.values("invoice_id")).defer("snapshot").order_by("pk"))
        problems = {invoice.pk: _problem(invoice, "") for invoice in waiting}
        good = [invoice for invoice in waiting if not problems[invoice.pk]]
        _enter(tenant, good, actor=actor, now=now)
    return len(good), tuple(dict.fromkeys(problem for problem in problems.values() if problem))


def mails_of(tenant: Tenant, invoice_uid: UUID) -> tuple[DocumentMail, ...]:
    """Of one document, the newest first; one query."""
    return tuple(DocumentMail.objects.of(tenant).filter(invoice__uid=invoice_uid).order_by("-pk")[:50])


def deliver_document(claim: Claim, *, now: datetime, allow_private: bool | None = None) -> None:
    """Send the mail of one claimed lane and settle it; never raises for what the mail server does."""
    rows = DocumentMail.objects.of(claim.tenant_id).select_related("tenant", "invoice__seller", "invoice__bill_to")
    row = rows.filter(pk=claim.object_id, state="waiting").first()
    if row is None:
        lanes.settle_done(claim, now=now)
        return
    if allow_private is None:
        allow_private = settings.BACKLEDGER.allow_private_destinations
    name = f"invoice-{row.uid.hex}"
    call = Call(now, lanes.CALL_DEADLINE.total_seconds(), idempotency_key=name, allow_private=allow_private)
    try:
        message_id = _send(row, name=name, call=call)
    except (BadConfig, PermanentFailure, Refused) as failure:
        _settle(claim, row, state="failed", problem=str(getattr(failure, "reason", failure)), now=now)
    except (OutcomeUnknown, TemporaryFailure) as failure:
        unknown = isinstance(failure, OutcomeUnknown)
        outcome = "unknown" if unknown else "temporary"
        lanes.note_attempt(claim, action="mail", outcome=outcome, detail=failure.reason, now=now)
        retry_after = None if unknown else getattr(failure, "retry_after", None)
        lanes.settle_later(claim, now=now, reason=failure.reason, retry_after=retry_after, unknown=unknown)
    else:
        _settle(claim, row, state="sent", message_id=message_id, now=now)


def letter_of(invoice: Invoice, recipient: str, *, name: str) -> Mail:
    """The mail of a final document: what it is, what it comes to, and its files."""
    page = invoice_page(invoice.tenant, invoice.uid)
    pdf = draw_document(page, after=what_followed(invoice.tenant, invoice.uid))
    with suppress(NotPossible):  # then the payer gets the plain PDF; what is lacking is said on the document's page
        pdf = with_einvoice(pdf, einvoice(frozen(invoice), syntax="cii"))
    kind = "Credit note" if invoice.kind == "credit" else "Invoice"
    seller = page.seller["legal_name"]
    told = [
        f"{kind} {invoice.number} of {seller} for {invoice.first_day:%B %Y}: "
        f"{money_text(invoice.total, invoice.currency)}.",
        f"Please pay by {invoice.due_on:%Y-%m-%d}." if invoice.kind == "regular" and invoice.total > 0 else "",
        "The document is attached; programs that read Factur-X or ZUGFeRD find its figures in it.",
    ]
    paragraphs = [text for text in told if text]
    file_name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{invoice.number}.pdf")
    return Mail(
        name=name,
        recipients=(recipient,),
        subject=f"{kind} {invoice.number} of {seller}",
        text="\n\n".join([*paragraphs, seller]) + "\n",
        html="".join(f"<p>{html.escape(text)}</p>" for text in [*paragraphs, seller]),
        attachments=(Attachment(file_name, "application/pdf", pdf),),
    )


def _problem(invoice: Invoice, recipient: str) -> str:
    """Why it cannot be mailed, as a sentence; "" if it can."""
    if invoice.state != "final":
        return f"Only a final document is mailed; this one is {invoice.state}."
    if not invoice.seller.mail:
        return NO_SERVER.format(invoice.seller)
    address = recipient or invoice.bill_to.email
    if not address:
        return NO_ADDRESS.format(invoice.bill_to)
    try:
        validate_email(address)
    except ValidationError:
        return f"{address[:100]!r} is not an email address."
    return ""


def _enter(
    tenant: Tenant, invoices: Sequence[Invoice], *, actor: str, now: datetime, recipient: str = ""
) -> list[DocumentMail]:
    """Rows, lanes and audit entries, a statement each."""
    rows: list[DocumentMail] = DocumentMail.objects.of(tenant).bulk_create(
        DocumentMail(invoice=invoice, recipient=recipient or invoice.bill_to.email, asked_by=actor[:200], asked_at=now)
        for invoice in invoices
    )
    lanes.mark(tenant.pk, LANE, [row.pk for row in rows], now=now)
    audit.record_several(
        tenant,
        {invoice.pk: invoice.number for invoice in invoices},
        actor=actor,
        action="invoice.mailed",
        subject_kind="invoice",
        reason=recipient,
        now=now,
    )
    return rows


def _send(row: DocumentMail, *, name: str, call: Call) -> str:
    if row.invoice.state != "final":
        raise Refused(f"{row.invoice.number} is {row.invoice.state} by now: it was not mailed.")
    if not row.invoice.seller.mail:
        raise Refused(NO_SERVER.format(row.invoice.seller))
    config = config_from_json(mailing.Config, row.invoice.seller.mail)
    return mailing.send(config, letter_of(row.invoice, row.recipient, name=name), call=call)


def _settle(
    claim: Claim, row: DocumentMail, *, state: str, now: datetime, message_id: str = "", problem: str = ""
) -> None:
    """What happened stands at the document; a person who mends it asks again, which is another row."""
    with transaction.atomic():
        outcome = "done" if state == "sent" else "permanent"
        lanes.note_attempt(claim, action="mail", outcome=outcome, detail=message_id or problem, now=now)
        if not lanes.settle_done(claim, now=now):
            return
        sent_at = now if state == "sent" else None
        DocumentMail.objects.of(claim.tenant_id).filter(pk=row.pk).update(
            state=state, sent_at=sent_at, message_id=message_id, problem=problem
        )
