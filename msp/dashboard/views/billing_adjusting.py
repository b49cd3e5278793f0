"""Charges and discounts: what is charged or credited once, and what comes off an agreement's lines."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from billing import charging, discounting
from billing.adjusting_queries import discount_rows, one_off_rows, subscription_words
from billing.models import Agreement, Subscription
from billing.models_adjusting import Discount, OneOff
from msp.dashboard import money
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import free_text
from msp.estate.models import Client

#: Rows of what is over that the page shows.
SHOWN = 200
#: Months ahead that a charge can be entered for.
MONTHS_AHEAD = 12


@needs(MONEY)
def list_adjustments(request: StaffRequest) -> HttpResponse:
    """What waits or runs first, then what was."""
    tenant, today = request.scope.tenant, money.today_of(request.scope, now=request.now)
    text = free_text(request.GET, "text", most=100)
    folded = text.casefold()
    one_offs = [
        row
        for row in one_off_rows(tenant)
        if folded in f"{row.description} {row.client} {row.bill_to} {row.agreement} {row.number}".casefold()
    ]
    discounts = [
        row
        for row in discount_rows(tenant)
        if folded in f"{row.name} {row.off} {row.bill_to} {row.agreement}".casefold()
    ]
    context = {
        "waiting": [row for row in one_offs if row.state in ("waiting", "draft")],
        "past": [row for row in one_offs if row.state not in ("waiting", "draft")][:SHOWN],
        "discounts": discounts,
        "text": text,
        "today": today,
    }
    return render(request, "billing/adjustments.html", context)


@needs(MONEY)
def new_charge(request: StaffRequest) -> HttpResponse:
    """Enter a charge or a credit."""
    tenant = request.scope.tenant

    def apply(values: dict[str, Any]) -> str:
        charging.enter_one_off(
            tenant,
            _agreement(request, values["agreement"]),
            client=Client.objects.of(tenant).get(uid=values["client"]) if values["client"] else None,
            draft=charging.OneOffDraft(
                kind=values["kind"],
                description=values["description"],
                amount=values["amount"],
                quantity=values["quantity"],
                unit=values["unit"] or "each",
                unit_price=values["unit_price"],
                tax_rate=_share(values["tax_percent"]),
                month=date.fromisoformat(values["month"]) if values["month"] else None,
            ),
            actor=request.scope.actor,
            now=request.now,
        )
        return reverse("adjustments")

    lead = "It lands once: on the payer's first invoice that is drafted for its month or a later one."
    page = _page("New charge or credit", submit="Enter", lead=lead)
    return edit(request, page, _charge_fields(request), apply=apply, done="It stands on the next draft.")


@needs(MONEY)
def withdraw_charge(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Take back what no final invoice has."""
    tenant = request.scope.tenant
    row: OneOff = found(
        OneOff.objects.of(tenant).select_related("agreement__bill_to").filter(uid=uid).first(), "charge"
    )
    fields = (
        Field("reason", "Reason", kind="long", required=True, maximum=2000, help="Kept with it, with your name."),
    )

    def apply(values: dict[str, Any]) -> str:
        charging.withdraw(tenant, uid, actor=request.scope.actor, reason=values["reason"], now=request.now)
        return reverse("adjustments")

    lead = f"{row.agreement.bill_to}. A draft that has it loses it when it is drafted again."
    page = _page(f"Withdraw {row.description}", submit="Withdraw", lead=lead)
    return edit(request, page, fields, apply=apply, done="It is withdrawn.")


@needs(MONEY)
def new_discount(request: StaffRequest) -> HttpResponse:
    """Give a discount."""
    tenant = request.scope.tenant

    def apply(values: dict[str, Any]) -> str:
        agreement, on = _subject(request, values["on"])
        discounting.give_discount(
            tenant,
            agreement or _agreement(request, values["agreement"]),
            draft=discounting.DiscountDraft(
                name=values["name"],
                percent=values["percent"],
                amount=values["amount"],
                starts_on=values["starts_on"],
                ends_on=values["ends_on"],
                position=values["position"],
            ),
            actor=request.scope.actor,
            now=request.now,
            **on,
        )
        return reverse("adjustments")

    lead = "A line of its own after what it is taken of, never below zero. One-off charges are not discounted."
    page = _page("New discount", submit="Give the discount", lead=lead)
    return edit(request, page, _discount_fields(request), apply=apply, done="The discount is given.")


@needs(MONEY)
def end_discount(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """End it on a day."""
    tenant, today = request.scope.tenant, money.today_of(request.scope, now=request.now)
    row: Discount = found(Discount.objects.of(tenant).filter(uid=uid).first(), "discount")
    help = f"The first day without it; {row.starts_on}, its first day: as if it had never been given."
    fields = (Field("on", "Ends on", kind="date", value=today.isoformat(), required=True, help=help),)

    def apply(values: dict[str, Any]) -> str:
        discounting.end_discount(tenant, uid, on=values["on"], actor=request.scope.actor, now=request.now)
        return reverse("adjustments")

    return edit(
        request, _page(f"End {row.name}", submit="End it"), fields, apply=apply, done="The discount ends on that day."
    )


def _charge_fields(request: StaffRequest) -> tuple[Field, ...]:
    clients = Client.objects.of(request.scope.tenant).exclude(state="deleted").order_by("name")
    return (
        Field("kind", "What", kind="choice", value="charge", required=True,
              choices=(("charge", "Charge"), ("credit", "Credit"))),
        _agreement_field(request, required=True),
        Field("client", "For client", kind="choice", value=request.GET.get("client", ""),
              choices=(("", "no particular one"), *((str(row.uid), row.name) for row in clients))),
        Field("description", "Description", required=True, maximum=200, help="The payer reads it on the invoice."),
        Field("amount", "Amount", kind="decimal", help="Net, in the payer's currency; or a quantity and a price."),
        Field("quantity", "Quantity", kind="decimal"),
        Field("unit", "Unit", maximum=8, placeholder="each", help="Such as hour."),
        Field("unit_price", "Price of one", kind="decimal", help="Up to 4 decimals; the line is rounded once."),
        Field("tax_percent", "Tax", kind="decimal", unit="%", help="Empty: the payer's rate."),
        Field("month", "On the invoice of", kind="choice", choices=_months(request),
              help="Or of the first later month that is drafted."),
    )  # fmt: skip


def _discount_fields(request: StaffRequest) -> tuple[Field, ...]:
    today = money.today_of(request.scope, now=request.now)
    return (
        Field("name", "Name", required=True, maximum=120, help="The payer reads it on the invoice."),
        Field("on", "Off", kind="choice", choices=_discounted(request), value=request.GET.get("on", "")),
        _agreement_field(request, required=False),
        Field("percent", "Percent", kind="decimal", unit="%", help="Or an amount."),
        Field("amount", "Amount a month", kind="decimal", help="Net; prorated by day where it runs for part of one."),
        Field("starts_on", "From", kind="date", value=today.replace(day=1).isoformat(), required=True),
        Field("ends_on", "To", kind="date", help="The first day without it; empty: no end."),
        Field("position", "Order", kind="number", minimum=1, maximum=discounting.MOST_POSITION,
              help="The lower is taken off first, the next of what is left; empty: after those that are there."),
    )  # fmt: skip


def _agreement_field(request: StaffRequest, *, required: bool) -> Field:
    choices = money.agreement_choices(request.scope)
    first = choices[0][0] if choices else ""
    help = "Who invoices whom." if required else "For a whole agreement or a client; a subscription has its own."
    return Field("agreement", "Agreement", kind="choice", choices=choices, required=True, value=first, help=help)


def _discounted(request: StaffRequest) -> tuple[tuple[str, str], ...]:
    """The whole agreement, a client, or a subscription that has not ended."""
    tenant, today = request.scope.tenant, money.today_of(request.scope, now=request.now)
    clients = Client.objects.of(tenant).exclude(state="deleted").order_by("name")
    running = Subscription.objects.of(tenant).exclude(ends_on__lte=today).order_by("pk")
    running = running.select_related("plan", "client", "reseller", "selection")
    return (
        ("", "All lines of the agreement"),
        *((f"client:{row.uid}", f"Lines of {row.name}") for row in clients),
        *((f"subscription:{row.uid}", f"Only {subscription_words(row)}") for row in running),
    )


def _subject(request: StaffRequest, chosen: str | None) -> tuple[Agreement | None, dict[str, Any]]:
    """What the discount is on; of a subscription its own agreement."""
    if not chosen:
        return None, {}
    kind, uid = chosen.split(":")
    if kind == "client":
        return None, {"client": Client.objects.of(request.scope.tenant).get(uid=uid)}
    rows = Subscription.objects.of(request.scope.tenant).select_related("agreement__bill_to")
    subscription: Subscription = rows.get(uid=uid)
    return subscription.agreement, {"subscription": subscription}


def _agreement(request: StaffRequest, uid: str) -> Agreement:
    row: Agreement = Agreement.objects.of(request.scope.tenant).select_related("bill_to").get(uid=uid)
    return row


def _months(request: StaffRequest) -> tuple[tuple[str, str], ...]:
    """The next invoice, or a month: the one before this one and those ahead."""
    day = money.today_of(request.scope, now=request.now).replace(day=1)
    number = day.year * 12 + day.month - 1
    months = [date(each // 12, each % 12 + 1, 1) for each in range(number - 1, number + MONTHS_AHEAD)]
    return (("", "the next invoice"), *((month.isoformat(), f"{month:%B %Y}") for month in months))


def _share(percent: Decimal | None) -> Decimal | None:
    if percent is not None and percent >= 100:
        raise BadField("tax_percent", "A tax rate is less than 100 %.")
    return None if percent is None else percent / 100


def _page(title: str, **values: Any) -> FormPage:
    back = reverse("adjustments")
    return FormPage(title=title, back=back, crumbs=(("Charges and discounts", back),), **values)
