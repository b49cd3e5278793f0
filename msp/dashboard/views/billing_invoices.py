"""Invoices: the list, one as a document with the working of every line, and what a person does to it."""

from __future__ import annotations

import csv
import io
import re
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from billing import finalising, invoicing, verifying
from billing.comparing import compare_line
from billing.document_pdf import draw_document, with_einvoice
from billing.einvoicing import SYNTAXES, Syntax, einvoice
from billing.explaining import ExplainedLine
from billing.following import what_followed
from billing.mailing import mails_of
from billing.models import Invoice
from billing.queries import InvoicePage, invoice_rows
from billing.refusals import Refused as BillingRefused
from billing.second_person import NeedsSecondPerson
from billing.snapshots import frozen
from msp.dashboard import money
from msp.dashboard.money_format import in_unit
from msp.dashboard.permits import INVOICES, MONEY, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import free_text
from msp.dashboard.views.billing_approvals import ask_second_person
from msp.dashboard.views.billing_comparing import bars
from msp.tenants.models import Tenant

LIST_LIMIT = 200
STATES = (("", "All"), ("draft", "Drafts"), ("final", "Final"), ("void", "Void"))
#: A cell that begins so would be run as a formula by a spreadsheet.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
SYNTAX_NAMES: dict[str, Syntax] = {each: each for each in SYNTAXES}
CSV_HEAD = (
    "line", "description", "client", "selection", "metric", "day", "state", "bytes", "quantity", "basis",
    "measured on", "job", "run", "receipt", "note",
)  # fmt: skip


@needs(INVOICES)
def list_invoices(request: StaffRequest) -> HttpResponse:
    """Documents by state, the newest month first."""
    state = request.GET.get("state", "")
    state = state if state in dict(STATES) else ""
    rows = invoice_rows(
        request.scope.tenant,
        states=[state] if state else (),
        reseller_id=money.reseller_of(request.scope),
        limit=LIST_LIMIT,
    )
    context = {"rows": rows, "state": state, "states": STATES, "limit": LIST_LIMIT}
    return render(request, "billing/invoices.html", context)


@needs(INVOICES)
def show_invoice(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The document; with ``?verify=1`` also whether it still comes to the same."""
    return _show(request, money.page_of_invoice(request.scope, uid))


@needs(INVOICES)
def show_line(request: StaffRequest, uid: uuid.UUID, line_uid: uuid.UUID) -> HttpResponse:
    """The working of one line, as a page or, for htmx, alone."""
    page = money.page_of_invoice(request.scope, uid)
    line = found(next((each for each in page.lines if each.uid == line_uid), None), "line")
    context: dict[str, Any] = {"page": page, "line": line, "may_correct": MONEY.holds(request.scope)}
    if request.htmx:
        return render(request, "billing/working.html", context)
    compared = bars(compare_line(request.scope.tenant, line_uid).meters)
    return render(request, "billing/line.html", context | {"bars": compared, "own_page": True})


@needs(INVOICES)
def download_annex(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Every day of every line as CSV; no cell can be run as a formula."""
    return annex_file(money.page_of_invoice(request.scope, uid))


def annex_file(page: InvoicePage) -> HttpResponse:
    """The annex of a document that may be seen."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(CSV_HEAD)
    writer.writerows([safe_cell(cell) for cell in row] for row in annex_rows(page.lines))
    response = HttpResponse(f"\ufeff{written.getvalue()}", content_type="text/csv; charset=utf-8")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{page.row.number or 'draft'}-{page.row.first_day:%Y-%m}-days").strip("-.")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


@needs(INVOICES)
def download_pdf(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The document as a PDF; a draft as a proforma."""
    return pdf_file(request.scope.tenant, money.page_of_invoice(request.scope, uid))


def pdf_file(tenant: Tenant, page: InvoicePage) -> HttpResponse:
    """The PDF of a document that may be seen."""
    content = draw_document(page, after=what_followed(tenant, page.row.uid))
    return _as_pdf(content, f"{page.row.number or f'proforma-{page.row.first_day:%Y-%m}'}.pdf")


def hybrid_file(tenant: Tenant, page: InvoicePage) -> HttpResponse:
    """The PDF of a final document with its e-invoice in it. Raises Refused with what it lacks."""
    xml = einvoice(frozen(Invoice.objects.of(tenant).get(uid=page.row.uid)), syntax="cii")
    content = draw_document(page, after=what_followed(tenant, page.row.uid))
    return _as_pdf(with_einvoice(content, xml), f"{page.row.number}-factur-x.pdf")


def _as_pdf(content: bytes, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type="application/pdf", headers={"X-Content-Type-Options": "nosniff"})
    response["Content-Disposition"] = f'attachment; filename="{re.sub(r"[^A-Za-z0-9._-]+", "-", name)}"'
    return response


@needs(INVOICES)
def download_hybrid(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Factur-X: the PDF with the e-invoice in it; what it lacks for that is said on its page."""
    page = money.page_of_invoice(request.scope, uid)
    try:
        return hybrid_file(request.scope.tenant, page)
    except BillingRefused as refusal:
        return _show(request, page, problem=refusal.reason)


@needs(INVOICES)
def download_einvoice(request: StaffRequest, uid: uuid.UUID, syntax: str) -> HttpResponse:
    """The final document as XML after EN 16931; what it lacks for that is said on its page."""
    page = money.page_of_invoice(request.scope, uid)
    try:
        return einvoice_file(request.scope.tenant, uid, syntax=found(SYNTAX_NAMES.get(syntax), "syntax"))
    except BillingRefused as refusal:
        return _show(request, page, problem=refusal.reason)


def einvoice_file(tenant: Tenant, uid: uuid.UUID, *, syntax: Syntax) -> HttpResponse:
    """The XML of a final document that may be seen. Raises Refused with what it lacks."""
    invoice = Invoice.objects.of(tenant).get(uid=uid)
    xml = einvoice(frozen(invoice), syntax=syntax)
    response = HttpResponse(xml, content_type="application/xml")
    name = re.sub(r"[^A-Za-z0-9._-]", "-", f"{invoice.number}-{syntax}.xml")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@action(MONEY)
def finalise(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Number and freeze a draft; an owner may say why the seller's days of grace are not waited for."""
    early = free_text(request.POST, "early_reason", most=2000)

    def make_final(values: dict[str, Any]) -> str:
        if early and not request.scope.may_configure:
            raise BillingRefused("Only an owner may make a month final before its days of grace are over.")
        try:
            invoice = finalising.finalise(request.scope.tenant, uid, early_reason=early, **values)
        except NeedsSecondPerson as needed:
            return ask_second_person(request, uid, needed, action="finalise", reason=early)
        messages.success(request, f"Invoice {invoice.number} is final.")
        return str(uid)

    return _act(request, uid, make_final)


@action(MONEY)
def decide(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Settle what is held, with a reason."""
    reason = free_text(request.POST, "reason", most=2000)

    def settle(values: dict[str, Any]) -> str:
        if not reason:
            raise BillingRefused("Say why: the reason is kept with the invoice.")
        invoicing.decide(
            request.scope.tenant, uid, decision=request.POST.get("decision", "")[:40], reason=reason, **values
        )
        messages.success(request, "Decided; the draft is composed anew.")
        return str(uid)

    return _act(request, uid, settle, typed_reason=reason)


@action(MONEY)
def void(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Cancel a final invoice and draft its replacement."""
    reason = free_text(request.POST, "reason", most=2000)

    def cancel(values: dict[str, Any]) -> str:
        try:
            draft = finalising.void_and_replace(request.scope.tenant, uid, reason=reason, **values)
        except NeedsSecondPerson as needed:
            return ask_second_person(request, uid, needed, action="void", reason=reason)
        after = "its replacement is drafted." if draft else "nothing is charged any more."
        messages.success(request, f"The invoice is void; {after}")
        return str(draft.uid if draft else uid)

    return _act(request, uid, cancel, typed_reason=reason)


def _act(
    request: StaffRequest, uid: uuid.UUID, change: Callable[[dict[str, Any]], str], *, typed_reason: str = ""
) -> HttpResponse:
    """Do it to a document within reach and show where that leads; a refusal is shown on the document."""
    page = money.page_of_invoice(request.scope, uid)
    try:
        return redirect("invoice", change({"actor": request.scope.actor, "now": request.now}))
    except BillingRefused as refusal:
        return _show(request, page, problem=refusal.reason, typed_reason=typed_reason)


def _show(request: StaffRequest, page: InvoicePage, *, problem: str = "", typed_reason: str = "") -> HttpResponse:
    may_change = MONEY.holds(request.scope)
    verified = None
    if request.GET.get("verify") and page.row.state != "draft":
        verified = verifying.verify(request.scope.tenant, page.row.uid)
    context = {
        "page": page,
        "last_day": page.row.last_day - timedelta(days=1),
        "lines": money.shown_lines(page),
        "may_change": may_change,
        "may_correct": may_change,
        "decisions": money.decisions_open(request.scope, page.row.uid) if may_change and page.held else (),
        "verified": verified,
        "problem": problem,
        "typed_reason": typed_reason,
        "after": what_followed(request.scope.tenant, page.row.uid),
        "mails": mails_of(request.scope.tenant, page.row.uid) if page.row.state != "draft" else (),
        "payment_key": uuid.uuid4(),
        "grace_until": money.grace_until(request.scope, page.row.uid, now=request.now),
        "may_be_early": request.scope.may_configure,
    }
    return render(request, "billing/invoice.html", context, status=409 if problem else 200)


def annex_rows(lines: Iterable[ExplainedLine]) -> Iterable[list[str]]:
    """One row a line, selection and day."""
    for place, line in enumerate(lines, start=1):
        for selection in line.selections:
            for day in selection.days:
                yield [
                    str(place), line.description, selection.client_name, selection.name, selection.metric,
                    day.day.isoformat(), day.state, "" if day.quantity is None else str(day.quantity),
                    "" if day.quantity is None else in_unit(day.quantity, line.unit), day.basis,
                    day.measured_on.isoformat() if day.measured_on else "", day.job_name, day.run_key, day.receipt,
                    day.note,
                ]  # fmt: skip


def safe_cell(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would run it."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text
