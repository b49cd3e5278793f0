"""Payments: the list, a bank's file taken in, one matched by a person, and one entered by hand on an invoice."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from billing.models import Invoice, Seller
from billing.models_payments import METHODS
from billing.paying import PaymentEntry, allocate, record_payment, take_off, withdraw
from billing.payment_files import DATE_FORMATS, MOST_BYTES, CsvColumns
from billing.payment_imports import import_payments
from billing.payment_queries import payment_page, payment_rows
from billing.refusals import NotFound
from billing.refusals import Refused as BillingRefused
from msp.dashboard import money
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.typing_in import free_text, read_one, read_typed

ROWS_SHOWN = 200
COLUMNS = ("date", "amount", "reference", "payer", "currency", "id")
BY_HAND = (
    Field("amount", "Amount", kind="decimal", required=True),
    Field("received_on", "Received on", kind="date", required=True),
    Field("method", "Method", kind="choice", choices=tuple((each, each) for each in METHODS if each != "stripe"),
          required=True),
    Field("reference", "Reference", maximum=200),
    Field("key", "Key", required=True, maximum=60),
)  # fmt: skip


@needs(MONEY)
def list_payments(request: StaffRequest) -> HttpResponse:
    """The newest first, those that wait for a person by themselves with ``?waiting=1``."""
    return _list(request)


@action(MONEY)
def upload(request: StaffRequest) -> HttpResponse:
    """Take a bank's file in: each payment once, those that leave no doubt settled."""
    sent = request.FILES.get("file")
    if sent is None:
        return _list(request, problem="Choose the bank's file: camt.053 (XML) or CSV.")
    if (sent.size or 0) > MOST_BYTES:
        return _list(request, problem=f"The file has {sent.size:,} bytes; at most {MOST_BYTES:,} are read.")
    try:
        seller = _seller(request)
        done = import_payments(
            request.scope.tenant,
            seller,
            sent.read(),
            columns=_columns(request),
            name=sent.name or "",
            actor=request.scope.actor,
            now=request.now,
        )
    except BillingRefused as refusal:
        return _list(request, problem=refusal.reason)
    messages.success(
        request,
        f"{done.new} new payments, {done.known} known already; {done.matched} settle invoices, {done.waiting} wait "
        f"for you. {done.passed_over} other entries are no payments received.",
    )
    return redirect("payments")


@needs(MONEY)
def show_payment(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """What it settles, and what it could settle."""
    return _show(request, uid)


@action(MONEY)
def settle(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Allocate it to an invoice, take it off one, or withdraw it."""
    who: dict[str, Any] = {"actor": request.scope.actor, "now": request.now}
    tenant, do = request.scope.tenant, request.POST.get("do", "")

    def change() -> None:
        if do == "withdraw":
            withdraw(tenant, uid, reason=free_text(request.POST, "reason", most=2000), **who)
        elif do == "take_off":
            take_off(tenant, uid, _uid(request.POST.get("invoice", "")), **who)
        else:
            amount = read_one(Field("amount", "Amount", kind="decimal"), request.POST)
            allocate(tenant, uid, _uid(request.POST.get("invoice", "")), amount=amount, **who)

    return _changed(request, change, lambda problem: _show(request, uid, problem=problem), "payment", uid)


@action(MONEY)
def pay_invoice(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """A payment entered by hand for this invoice; sent twice it is recorded once."""
    page = money.page_of_invoice(request.scope, uid)
    invoice: Invoice = Invoice.objects.of(request.scope.tenant).select_related("seller", "bill_to").get(uid=uid)

    def record() -> None:
        typed = read_typed(BY_HAND, request.POST)
        entry = PaymentEntry(
            amount=typed["amount"],
            currency=invoice.currency,
            received_on=typed["received_on"],
            method=typed["method"],
            source="hand",
            source_id=f"hand:{typed['key']}",
            reference=typed["reference"] or invoice.number,
            payer=str(invoice.bill_to),
        )
        pay_by_hand(request, invoice, entry)

    def refused(problem: str) -> HttpResponse:
        raise Refused(f"{page.row.number}: {problem}")

    return _changed(request, record, refused, "invoice", uid)


def pay_by_hand(request: StaffRequest, invoice: Invoice, entry: PaymentEntry) -> None:
    """Record and allocate as much as is open; the rest stays with the payer as paid too much."""
    who: dict[str, Any] = {"actor": request.scope.actor, "now": request.now}
    if invoice.state != "final" or invoice.kind != "regular":
        raise BillingRefused("Only a final invoice can be settled by a payment.")
    payment, is_new = record_payment(request.scope.tenant, invoice.seller, entry, **who)
    if is_new:
        try:
            allocate(request.scope.tenant, payment.uid, invoice.uid, **who)
        except BillingRefused:
            messages.success(request, "Recorded. Nothing of this invoice is open, so the payment waits for you.")
            return
        messages.success(request, "The payment is recorded.")


def _changed(
    request: StaffRequest,
    change: Callable[[], None],
    refused: Callable[[str], HttpResponse],
    name: str,
    uid: uuid.UUID,
) -> HttpResponse:
    try:
        change()
    except NotFound as missing:
        raise Refused(missing.reason, status=404) from missing
    except (BillingRefused, BadField) as refusal:
        return refused(refusal.reason)
    return redirect(name, uid)


def _columns(request: StaffRequest) -> CsvColumns:
    named = {name: free_text(request.POST, f"column-{name}", most=80) for name in COLUMNS}
    dates, decimal = request.POST.get("dates", "iso"), request.POST.get("decimal", ".")
    if dates not in DATE_FORMATS or decimal not in (".", ","):
        raise BillingRefused("Choose how days and decimals are written.")
    currency = free_text(request.POST, "currency", most=3) or request.scope.tenant.currency
    return CsvColumns(**named, dates=dates, decimal=decimal, default_currency=currency)


def _seller(request: StaffRequest) -> Seller:
    sellers = Seller.objects.of(request.scope.tenant)
    seller: Seller = found(sellers.filter(uid=_uid(request.POST.get("seller", ""))).first(), "seller")
    return seller


def _uid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise BillingRefused("Choose one from the list.") from None


def _list(request: StaffRequest, *, problem: str = "") -> HttpResponse:
    waiting = request.GET.get("waiting") == "1"
    context = {
        "rows": payment_rows(request.scope.tenant, waiting=waiting, limit=ROWS_SHOWN),
        "waiting": waiting,
        "sellers": money.seller_choices(request.scope),
        "columns": COLUMNS,
        "dates": (("iso", "2026-10-31"), ("dmy", "31.10.2026"), ("mdy", "10/31/2026")),
        "currency": request.scope.tenant.currency,
        "problem": problem,
    }
    return render(request, "billing/payments.html", context, status=422 if problem else 200)


def _show(request: StaffRequest, uid: uuid.UUID, *, problem: str = "") -> HttpResponse:
    try:
        page = payment_page(request.scope.tenant, uid)
    except NotFound as missing:
        raise Refused("There is no such payment, or it is not yours to see.", status=404) from missing
    context = {"page": page, "row": page.row, "problem": problem}
    return render(request, "billing/payment.html", context, status=409 if problem else 200)
