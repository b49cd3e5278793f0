"""The tax rates of a seller: of each country and class, each from a day on; a rate for the same day is put right."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from billing.models import Seller
from billing.models_taxes import TaxRate
from billing.taxes import RATED_CLASSES
from msp.dashboard.changes.recording import store
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.views.billing_parties import CRUMBS, checked_country


@needs(MONEY)
def edit_rates(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """All rates of a seller, and a form for a further one."""
    tenant = request.scope.tenant
    seller: Seller = found(Seller.objects.of(tenant).filter(uid=uid).first(), "seller")
    rates = TaxRate.objects.of(tenant).filter(seller=seller)

    def apply(values: dict[str, Any]) -> str:
        percent = values.pop("percent")
        if not Decimal(0) < percent < 100:
            raise BadField("percent", "A tax rate is more than 0 and less than 100 %; what bears none has a category.")
        if percent != round(percent, 3):
            raise BadField("percent", "A tax rate has at most three decimals.")
        values["country"] = checked_country(values["country"])
        row = rates.filter(**values).first() or TaxRate(tenant=tenant, seller=seller)
        store(request, row, values | {"seller": seller, "rate": percent / 100}, kind="tax rate")
        return reverse("seller-tax-rates", args=[seller.uid])

    page = FormPage(
        title=f"Tax rates of {seller}",
        lead="A payer without an own rate is charged by its country and the tax class of each plan. A rate counts for "
        "every month that ends on its day or later; what is final stays as it is.",
        back=reverse("seller", args=[seller.uid]),
        submit="Add the rate",
        crumbs=((CRUMBS, reverse("parties")), (str(seller), reverse("seller", args=[seller.uid]))),
        template="billing/tax_rates.html",
        more={"rates": rates.order_by("country", "tax_class", "-starts_on")},
    )
    return edit(request, page, _fields(seller), apply=apply, done="The rate is stored.")


def _fields(seller: Seller) -> tuple[Field, ...]:
    classes = tuple((each, each) for each in RATED_CLASSES)
    return (
        Field("country", "Country", value=seller.country, maximum=2, required=True, help="Two letters, such as DE."),
        Field("tax_class", "Tax class", kind="choice", choices=classes, value="standard", required=True),
        Field("percent", "Rate", kind="decimal", minimum=0, unit="%", required=True),
        Field("starts_on", "Counts from", kind="date", value="2000-01-01", required=True,
              help="The same country, class and day again puts the rate right."),
    )  # fmt: skip
