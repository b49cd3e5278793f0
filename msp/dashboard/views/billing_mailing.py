"""Documents by mail: one, a whole month, and the mail server of a seller."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from billing.mailing import ask, ask_all
from billing.models import Seller
from billing.refusals import NotFound
from billing.refusals import Refused as BillingRefused
from integrations import mailing
from msp.dashboard import money
from msp.dashboard.changes.recording import store
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field, fields_of_config
from msp.dashboard.permits import MONEY, OWN, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.typing_in import free_text
from msp.dashboard.views.billing_parties import checked_config
from msp.tasks import wake_delivery


@action(MONEY)
def send(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Mail a final document, to its payer or to the address that was typed."""
    recipient = free_text(request.POST, "recipient", most=254).strip()
    try:
        row = ask(request.scope.tenant, uid, actor=request.scope.actor, now=request.now, recipient=recipient)
    except NotFound as missing:
        raise Refused(missing.reason, status=404) from missing
    except BillingRefused as refusal:
        raise Refused(refusal.reason, status=409) from refusal
    wake_delivery()
    messages.success(request, f"On its way to {row.recipient}.")
    return redirect("invoice", uid)


@action(MONEY)
def send_month(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Mail every final document of a month that was not mailed yet."""
    run = money.run_of(request.scope, uid)
    count, problems = ask_all(request.scope.tenant, run, actor=request.scope.actor, now=request.now)
    if count:
        wake_delivery()
    if problems:
        raise Refused(f"{count} on their way. {' '.join(problems)}", status=409)
    messages.success(request, f"{count} on their way." if count else "All of them were mailed already.")
    return redirect("invoice-run", uid)


@needs(MONEY, to_change=OWN)
def edit_server(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The mail server of a seller; the password is never shown again. Only an owner changes it."""
    seller: Seller = found(Seller.objects.of(request.scope.tenant).filter(uid=uid).first(), "seller")
    stored = seller.mail or {}
    fields = fields_of_config(mailing.Config, stored)
    if stored:
        fields = (*fields, Field("remove", "Mail no documents from now on", kind="switch"))

    def apply(values: dict[str, Any]) -> str:
        config = None if values.pop("remove", False) else checked_config(mailing.Config, values, stored)
        store(request, seller, {"mail": config}, kind="seller", secret=("mail",))
        return reverse("seller", args=[seller.uid])

    page = FormPage(
        title=f"Mail server of {seller}",
        lead="Invoices and credit notes go out by it, from the seller's own address.",
        back=reverse("seller", args=[seller.uid]),
        crumbs=(("Sellers and payers", reverse("parties")), (str(seller), reverse("seller", args=[seller.uid]))),
    )
    return edit(request, page, fields, apply=apply, done="The mail server is stored.")
