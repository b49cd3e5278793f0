"""Links to the client portal, on the page of a payer: made for somebody, shown once, ended."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from billing import portal
from billing.models import Agreement, BillTo, Seller
from billing.refusals import NotFound
from msp.dashboard.form_pages import REFUSALS, FormPage, show, show_refused
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.typing_in import read_typed


@needs(MONEY)
def make(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Make a link for one person; the page that answers shows it."""
    bill_to = _bill_to(request, uid)
    sellers = _sellers(request, bill_to)
    fields = _fields(bill_to, sellers)
    back = reverse("bill-to", args=[uid])
    lead = "Whoever has it sees this payer's final invoices and how each amount is reached, without a login."
    crumbs = (("Sellers and payers", reverse("parties")), (bill_to.legal_name, back))
    page = FormPage(title="New portal link", back=back, submit="Make the link", lead=lead, crumbs=crumbs)
    if request.method != "POST":
        return show(request, page, fields)
    try:
        values = read_typed(fields, request.POST)
        fresh = portal.make_link(
            request.scope.tenant,
            next(row for row in sellers if str(row.uid) == values["seller"]),
            bill_to,
            email=values["email"],
            days=values["days"],
            actor=request.scope.actor,
            now=request.now,
        )
    except (BadField, *REFUSALS) as refusal:
        return show_refused(request, page, fields, refusal)
    address = settings.BACKLEDGER.base_url.rstrip("/") + reverse("portal-enter", args=[fresh.key])
    return render(request, "billing/portal_link.html", {"link": fresh.row, "address": address, "back": back})


@action(MONEY)
def end(request: StaffRequest, uid: uuid.UUID, link_uid: uuid.UUID) -> HttpResponse:
    """It opens nothing from now on, also where it is open."""
    bill_to = _bill_to(request, uid)
    try:
        link = portal.end_link(request.scope.tenant, link_uid, actor=request.scope.actor, now=request.now)
    except NotFound as missing:
        raise Refused(missing.reason, status=404) from missing
    messages.success(request, f"The link for {link.email} is ended.")
    return redirect("bill-to", bill_to.uid)


def _bill_to(request: StaffRequest, uid: uuid.UUID) -> BillTo:
    row: BillTo = found(BillTo.objects.of(request.scope.tenant).filter(uid=uid).first(), "payer")
    return row


def _sellers(request: StaffRequest, bill_to: BillTo) -> list[Seller]:
    """Those that it has an agreement with, by name."""
    agreed = Agreement.objects.of(request.scope.tenant).filter(bill_to=bill_to).values_list("seller_id", flat=True)
    return list(Seller.objects.of(request.scope.tenant).filter(pk__in=agreed).order_by("legal_name"))


def _fields(bill_to: BillTo, sellers: list[Seller]) -> tuple[Field, ...]:
    if not sellers:
        raise Refused(f"{bill_to} has no agreement with a seller yet: there is nothing to see.", status=409)
    choices = tuple((str(row.uid), str(row)) for row in sellers)
    return (
        Field("email", "For", value=bill_to.email, required=True, maximum=254, help="Who gets it: an email address."),
        Field("seller", "Invoices of", kind="choice", choices=choices, value=choices[0][0], required=True),
        Field("days", "Good for", kind="number", minimum=1, maximum=portal.MOST_DAYS, unit="days", value="365",
              required=True),
    )  # fmt: skip
