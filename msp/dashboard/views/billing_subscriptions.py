"""Subscriptions: who is on which plan from when; started, moved to another plan, ended."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from billing import subscribing
from billing.models import Agreement, Plan, Subscription
from billing.queries import subscription_rows
from msp.dashboard import money
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import free_text
from msp.estate.models import Client, Selection
from msp.tenants.models import Reseller

KINDS: dict[str, Any] = {"client": Client, "selection": Selection, "reseller": Reseller}


@needs(MONEY)
def list_subscriptions(request: StaffRequest) -> HttpResponse:
    """Running ones first."""
    text = free_text(request.GET, "text", most=100)
    rows = subscription_rows(request.scope.tenant)
    folded = text.casefold()
    shown = [row for row in rows if folded in f"{row.who} {row.plan} {row.bill_to} {row.agreement}".casefold()]
    today = money.today_of(request.scope, now=request.now)
    context = {"rows": shown, "text": text, "today": today}
    return render(request, "billing/subscriptions.html", context)


@needs(MONEY)
def new_subscription(request: StaffRequest) -> HttpResponse:
    """Put a client, one selection or a reseller on a plan."""
    tenant = request.scope.tenant
    today = money.today_of(request.scope, now=request.now)
    fields = (
        Field("who", "Who is charged for", kind="choice", choices=_subjects(request), required=True,
              value=request.GET.get("who", "")),
        _plan_field(request),
        _agreement_field(request),
        Field("starts_on", "From", kind="date", value=today.replace(day=1).isoformat(), required=True),
        Field("ends_on", "To", kind="date", help="The first day that is not charged; empty: no end."),
    )  # fmt: skip

    def apply(values: dict[str, Any]) -> str:
        kind, uid = values["who"].split(":")
        subscribing.subscribe(
            KINDS[kind].objects.of(tenant).get(uid=uid),
            tenant=tenant,
            plan=Plan.objects.of(tenant).get(uid=values["plan"]),
            agreement=Agreement.objects.of(tenant).select_related("bill_to").get(uid=values["agreement"]),
            starts_on=values["starts_on"],
            ends_on=values["ends_on"],
            actor=request.scope.actor,
            now=request.now,
        )
        return reverse("subscriptions")

    page = _page("New subscription", submit="Start")
    return edit(request, page, fields, apply=apply, done="The subscription is started.")


@needs(MONEY)
def change_subscription(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Move it to another plan on a day."""
    subscription = _find(request, uid)
    fields = (_plan_field(request), Field("on", "From", kind="date", value=_next_month(request), required=True))

    def apply(values: dict[str, Any]) -> str:
        plan: Plan = Plan.objects.of(request.scope.tenant).get(uid=values["plan"])
        if plan.pk == subscription.plan_id:
            raise BadField("plan", "It is on this version of this plan already.")
        subscribing.change_plan(
            subscription,
            tenant=request.scope.tenant,
            plan=plan,
            on=values["on"],
            actor=request.scope.actor,
            now=request.now,
        )
        return reverse("subscriptions")

    lead = f"Now on {subscription.plan} since {subscription.starts_on}; charged by it to the day before."
    page = _page(f"Another plan for {_who(subscription)}", submit="Change the plan", lead=lead)
    return edit(request, page, fields, apply=apply, done="The plan changes on that day.")


@needs(MONEY)
def end_subscription(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """End it on a day."""
    subscription = _find(request, uid)
    help = "The first day that is not charged."
    fields = (Field("on", "Ends on", kind="date", value=_next_month(request), required=True, help=help),)

    def apply(values: dict[str, Any]) -> str:
        subscribing.end(
            subscription,
            tenant=request.scope.tenant,
            on=values["on"],
            actor=request.scope.actor,
            now=request.now,
        )
        return reverse("subscriptions")

    lead = f"{subscription.plan}, since {subscription.starts_on}."
    page = _page(f"End the subscription of {_who(subscription)}", submit="End it", lead=lead)
    return edit(request, page, fields, apply=apply, done="The subscription ends on that day.")


def _find(request: StaffRequest, uid: uuid.UUID) -> Subscription:
    rows = Subscription.objects.of(request.scope.tenant).filter(uid=uid)
    rows = rows.select_related("plan", "client", "selection", "reseller")
    row: Subscription = found(rows.first(), "subscription")
    return row


def _who(subscription: Subscription) -> str:
    return str(subscription.selection or subscription.client or subscription.reseller)


def _subjects(request: StaffRequest) -> tuple[tuple[str, str], ...]:
    """Clients, their selections, resellers; three queries."""
    tenant = request.scope.tenant
    clients = Client.objects.of(tenant).exclude(state="deleted").order_by("name")
    selections = Selection.objects.of(tenant).exclude(state="retired").select_related("client")
    return (
        *((f"client:{row.uid}", f"{row.name} (all its selections)") for row in clients),
        *((f"reseller:{row.uid}", f"{row.name} (wholesale)") for row in Reseller.objects.of(tenant).order_by("name")),
        *((f"selection:{row.uid}", f"{row.client}: {row.name}") for row in selections.order_by("client__name", "name")),
    )


def _plan_field(request: StaffRequest) -> Field:
    choices = money.plan_choices(request.scope)
    return Field("plan", "Plan", kind="choice", choices=choices, required=True, value=choices[0][0] if choices else "")


def _agreement_field(request: StaffRequest) -> Field:
    choices = money.agreement_choices(request.scope)
    help = "Who invoices whom; add one under Sellers and payers."
    first = choices[0][0] if choices else ""
    return Field("agreement", "Agreement", kind="choice", choices=choices, required=True, value=first, help=help)


def _next_month(request: StaffRequest) -> str:
    today = money.today_of(request.scope, now=request.now)
    return date(today.year + today.month // 12, today.month % 12 + 1, 1).isoformat()


def _page(title: str, **values: Any) -> FormPage:
    back = reverse("subscriptions")
    return FormPage(title=title, back=back, crumbs=(("Subscriptions", back),), **values)
