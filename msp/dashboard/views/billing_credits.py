"""Credit notes of a final invoice, line by line; and a draft shown as a proforma, which nobody can pay."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from decimal import Decimal

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from billing.crediting import CreditedLine, credit, creditable_lines
from billing.models import Invoice
from billing.queries import InvoicePage
from billing.refusals import Refused as BillingRefused
from billing.second_person import NeedsSecondPerson
from msp.dashboard import money
from msp.dashboard.permits import INVOICES, MONEY, needs
from msp.dashboard.scope import Refused, StaffRequest
from msp.dashboard.typing_in import free_text
from msp.dashboard.views.billing_approvals import ask_second_person

NUMBER = re.compile(r"[0-9]{1,14}(\.[0-9]{1,6})?")


@needs(MONEY)
def credit_invoice(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The lines with what is left of each; posted, the note is numbered and final."""
    page = money.page_of_invoice(request.scope, uid)
    invoice: Invoice = Invoice.objects.of(request.scope.tenant).get(uid=uid)
    if invoice.kind != "regular" or invoice.state != "final":
        raise Refused("Only a final invoice can be credited.")
    if request.method != "POST":
        return _show(request, page, invoice)
    reason = free_text(request.POST, "reason", most=2000)
    lines: tuple[CreditedLine, ...] = ()
    try:
        lines = _typed_lines(request, invoice)
        note = credit(request.scope.tenant, uid, lines=lines, reason=reason, actor=request.scope.actor, now=request.now)
    except NeedsSecondPerson as needed:
        return redirect("invoice", ask_second_person(request, uid, needed, action="credit", reason=reason, lines=lines))
    except BillingRefused as refusal:
        return _show(request, page, invoice, problem=refusal.reason, reason=reason)
    messages.success(request, f"Credit note {note.number} is final.")
    return redirect("invoice", note.uid)


@needs(INVOICES)
def show_proforma(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """A draft as a document without a number, to be printed; it asks for no payment."""
    page = money.page_of_invoice(request.scope, uid)
    if page.row.state != "draft":
        raise Refused(f"{page.row.number} is {page.row.state}: a proforma is made of a draft.")
    context = {"page": page, "last_day": page.row.last_day - timedelta(days=1)}
    return render(request, "billing/proforma.html", context)


def _typed_lines(request: StaffRequest, invoice: Invoice) -> tuple[CreditedLine, ...]:
    """The lines of which something was typed. Raises BillingRefused."""
    if request.POST.get("what") == "all":
        return ()
    wanted = []
    for line in creditable_lines(invoice):
        amount = _number(request, f"amount-{line.uid}", line.position)
        quantity = _number(request, f"quantity-{line.uid}", line.position)
        if amount is not None or quantity is not None:
            wanted.append(CreditedLine(line_uid=line.uid, amount=amount, quantity=quantity))
    if not wanted:
        raise BillingRefused("Type an amount or a quantity beside at least one line, or credit all that is left.")
    return tuple(wanted)


def _number(request: StaffRequest, name: str, position: int) -> Decimal | None:
    text = request.POST.get(name, "").strip()
    if text and not NUMBER.fullmatch(text):
        raise BillingRefused(f"Line {position}: write a number such as 12.50, without a sign.")
    return Decimal(text) if text else None


def _show(
    request: StaffRequest, page: InvoicePage, invoice: Invoice, *, problem: str = "", reason: str = ""
) -> HttpResponse:
    rows = [
        {
            "line": line,
            "amount": request.POST.get(f"amount-{line.uid}", "")[:40],
            "quantity": request.POST.get(f"quantity-{line.uid}", "")[:40],
        }
        for line in creditable_lines(invoice)
    ]
    context = {"page": page, "row": page.row, "rows": rows, "problem": problem, "typed_reason": reason}
    return render(request, "billing/credit.html", context, status=422 if problem else 200)
