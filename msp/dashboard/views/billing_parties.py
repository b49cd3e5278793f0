"""Sellers, bill-tos and the agreements between them."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from babel import Locale
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from billing.callback_addresses import address_of
from billing.exact import number_text
from billing.models import Agreement, BillTo, Seller
from billing.money import CURRENCIES
from billing.numbering import check_number_format
from billing.portal import links_of
from billing.reconciling import latest_of
from billing.refusals import Refused as BillingRefused
from billing.size_contract import NEWEST, VERSIONS
from billing.taxes import CATEGORY_WORDS, TAX_CATEGORIES
from billing.taxing import check_profile
from billing.vat_numbers import check_tax_number
from integrations.configuration import BadConfig, config_from_json, config_to_json, describe
from integrations.payments import stripe
from msp.dashboard import money
from msp.dashboard.changes.recording import store
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field, fields_of_config
from msp.dashboard.permits import MONEY, OWN, needs
from msp.dashboard.scope import StaffRequest, found
from msp.tenants.models import Reseller, Tenant

LANGUAGES = (("", "English"), ("de", "German"), ("fr", "French"), ("es", "Spanish"))
TAX_ID_HELP = "A VAT number with its country (DE123456788) is checked; else the number of the tax office."
CATEGORIES = (
    ("", "By the rate: standard, or zero rated without one"),
    *((code, f"{CATEGORY_WORDS[code]} ({code})") for code in TAX_CATEGORIES),
)
#: The countries whose names babel knows, without its areas that are none.
NO_COUNTRIES = {"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"}
COUNTRIES = {code for code in map(str, Locale("en").territories) if len(code) == 2} - NO_COUNTRIES
CRUMBS = "Sellers and payers"
MOST_DAYS = 3660
MOST_LATE = 10**12


@needs(MONEY)
def list_parties(request: StaffRequest) -> HttpResponse:
    """All three lists."""
    tenant = request.scope.tenant
    context = {
        "sellers": Seller.objects.of(tenant).select_related("reseller").order_by("legal_name"),
        "bill_tos": BillTo.objects.of(tenant).order_by("legal_name"),
        "agreements": Agreement.objects.of(tenant).select_related("seller", "bill_to").order_by("number"),
    }
    return render(request, "billing/parties.html", context)


@needs(MONEY)
def edit_seller(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """A new seller, or one that is there."""
    tenant = request.scope.tenant
    seller = _found(Seller, request, uid, "seller") or Seller(tenant=tenant)
    fields = _seller_fields(request, seller)

    def apply(values: dict[str, Any]) -> str:
        check_format(values["number_format"])
        values["country"], values["tax_id"] = checked_country(values["country"]), checked_number(values["tax_id"])
        values["credit_number_format"] = values["credit_number_format"] or Seller().credit_number_format
        check_format(values["credit_number_format"], field="credit_number_format")
        if values["credit_number_format"] == values["number_format"]:
            raise BadField("credit_number_format", "Credit notes need numbers that differ from those of invoices.")
        for name in ("grace_days", "late_days", "late_most"):
            values[name] = getattr(seller, name) if values[name] is None else values[name]
        if round(values["late_most"], 4) != values["late_most"] or values["late_most"] >= MOST_LATE:
            raise BadField("late_most", "This must be an amount with at most 4 decimals.")
        if values["second_person_above"] != seller.second_person_above and not request.scope.may_configure:
            raise BadField("second_person_above", "Only an owner may change when a second person is needed.")
        reseller = values.pop("reseller")
        values["reseller"] = Reseller.objects.of(tenant).get(uid=reseller) if reseller else None
        store(request, seller, _texts(values), kind="seller", unique=_taken("legal_name", "seller"))
        return reverse("parties")

    title = seller.legal_name or "New seller"
    more = {"seller": seller if seller.pk else None, "stripe_set": bool(seller.stripe), "mail_set": bool(seller.mail)}
    page = _page(title, template="billing/seller.html", more=more)
    return edit(request, page, fields, apply=apply, done="The seller is stored.")


@needs(MONEY, to_change=OWN)
def edit_stripe(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The Stripe account of a seller; keys are never shown again. Only an owner changes it."""
    seller: Seller = found(_found(Seller, request, uid, "seller"), "seller")
    stored = seller.stripe or {}
    fields = fields_of_config(stripe.Config, stored)
    if stored:
        fields = (*fields, Field("remove", "Collect without Stripe from now on", kind="switch"))

    def apply(values: dict[str, Any]) -> str:
        config = None if values.pop("remove", False) else checked_config(stripe.Config, values, stored)
        store(request, seller, {"stripe": config}, kind="seller", secret=("stripe",))
        return reverse("seller", args=[seller.uid])

    lead = "A final invoice is made there with our number and amounts, and finalised only if its total is ours."
    more = {
        "callback_address": address_of(seller, base_url=settings.BACKLEDGER.base_url) if stored else "",
        "seller": seller,
        "comparison": latest_of(seller.tenant_id).get(seller.pk),
    }
    page = _page(f"Stripe account of {seller}", lead=lead, template="billing/seller_stripe.html", more=more)
    return edit(request, page, fields, apply=apply, done="The Stripe settings are stored.")


@needs(MONEY)
def edit_bill_to(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """A new payer, or one that is there."""
    bill_to = _found(BillTo, request, uid, "payer") or BillTo(tenant=request.scope.tenant)
    fields = _bill_to_fields(bill_to, currency=bill_to.currency if bill_to.pk else request.scope.tenant.currency)

    def apply(values: dict[str, Any]) -> str:
        percent = values.pop("tax_percent") or Decimal(0)
        if percent >= 100:
            raise BadField("tax_percent", "A tax rate is less than 100 %.")
        values["tax_rate"] = percent / 100
        values["country"], values["tax_id"] = checked_country(values["country"]), checked_number(values["tax_id"])
        values["tax_category"] = values["tax_category"] or ""
        check_tax(values, tenant=request.scope.tenant)
        values["terms_days"] = 14 if values["terms_days"] is None else values["terms_days"]
        store(request, bill_to, _texts(values), kind="bill-to", unique=_taken("legal_name", "payer"))
        return reverse("parties")

    stored = bill_to if bill_to.pk else None
    more = {"bill_to": stored, "portal_links": links_of(request.scope.tenant, stored) if stored else ()}
    lead = "Who pays; it may pay for several clients."
    page = _page(bill_to.legal_name or "New payer", lead=lead, template="billing/bill_to.html", more=more)
    return edit(request, page, fields, apply=apply, done="The payer is stored.")


@needs(MONEY)
def edit_agreement(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """A new agreement, or the end of one that is there: its two sides and its beginning stay as signed."""
    agreement = _found(Agreement, request, uid, "agreement")
    if agreement is None:
        fields, page = _agreement_fields(request), _page("New agreement", lead="What a payer signed with a seller.")
    else:
        fields = _agreement_terms(agreement)
        lead = f"{agreement.seller} with {agreement.bill_to}."
        more = {"agreement": agreement}
        page = _page(f"Agreement {agreement.number}", lead=lead, template="billing/agreement.html", more=more)

    def apply(values: dict[str, Any]) -> str:
        starts_on = values.get("starts_on") or (agreement.starts_on if agreement else None)
        if values["ends_on"] and starts_on and values["ends_on"] <= starts_on:
            raise BadField("ends_on", "An agreement ends after it begins.")
        values["notice_days"] = 30 if values["notice_days"] is None else values["notice_days"]
        if agreement is None:
            values["seller"] = _chosen(Seller, request, values["seller"])
            values["bill_to"] = _chosen(BillTo, request, values["bill_to"])
            values["size_contract"] = values["size_contract"] or NEWEST
        row = agreement or Agreement(tenant=request.scope.tenant)
        store(request, row, _texts(values), kind="agreement", unique=_taken("number", "agreement"))
        return reverse("parties")

    return edit(request, page, fields, apply=apply, done="The agreement is stored.")


def check_format(text: str, *, field: str = "number_format") -> None:
    """Raises BadField for a number format that makes no numbers."""
    try:
        check_number_format(text)
    except BillingRefused as refusal:
        raise BadField(field, refusal.reason) from refusal


def checked_number(text: str | None) -> str:
    """A tax number as it is kept. Raises BadField for a VAT number with wrong form or check digits."""
    try:
        return check_tax_number(text or "")
    except BillingRefused as refusal:
        raise BadField("tax_id", refusal.reason) from refusal


def checked_country(text: str | None) -> str:
    """Two capital letters, or none. Raises BadField."""
    country = (text or "").upper()
    if country and country not in COUNTRIES:
        raise BadField("country", f"{country} is not a country of ISO 3166; write its two letters, such as DE.")
    return country


def check_tax(values: dict[str, Any], *, tenant: Tenant) -> None:
    """Raises BadField for a tax profile that cannot be right."""
    names = ("country", "tax_id", "tax_category", "tax_rate")
    profile = BillTo(tenant=tenant, **{name: values[name] for name in names})
    try:
        check_profile(profile, tenant=tenant)
    except BillingRefused as refusal:
        raise BadField("tax_category", refusal.reason) from refusal


def checked_config(config_class: type[Any], values: dict[str, Any], stored: dict[str, Any]) -> dict[str, object]:
    """The configuration as it is stored; an empty secret keeps the stored one. Raises BadConfig."""
    settings = describe(config_class)
    secret = {item.name for item in settings if item.secret}
    known = {item.name for item in settings}
    kept = {name: stored[name] for name in secret if name in stored}
    given = {name: value for name, value in values.items() if name in known and value not in (None, "")}
    try:
        return config_to_json(config_from_json(config_class, kept | given))
    except (TypeError, AttributeError) as error:
        raise BadConfig("", "These settings do not fit together: look at each of them again.") from error


def _seller_fields(request: StaffRequest, seller: Seller) -> tuple[Field, ...]:
    resellers = Reseller.objects.of(request.scope.tenant).order_by("name")
    owners = (("", f"{request.scope.tenant.name} itself"), *((str(row.uid), row.name) for row in resellers))
    return (
        Field("legal_name", "Legal name", value=seller.legal_name, required=True, maximum=200),
        Field("address", "Address", kind="long", value=seller.address, maximum=1000),
        Field("country", "Country", value=seller.country, maximum=2, help="Two letters, such as DE."),
        Field("tax_id", "Tax number", value=seller.tax_id, maximum=40, help=TAX_ID_HELP),
        Field("bank", "Bank details", kind="long", value=seller.bank, maximum=1000, help="Printed below the total."),
        Field("email", "Email", value=seller.email, maximum=200),
        Field("note", "Note on every document", kind="long", value=seller.note, maximum=2000,
              help="Printed at the end, such as the register and the managing directors."),
        Field("number_format", "Invoice numbers", value=seller.number_format, required=True, maximum=60,
              help="{number:05d} counts without gaps; {year} begins again each year. Such as {year}-{number:05d}."),
        Field("credit_number_format", "Credit notes' numbers", value=seller.credit_number_format, maximum=60,
              help="A series of its own, such as CN-{year}-{number:05d}."),
        Field("grace_days", "Days of grace", kind="number", value=str(seller.grace_days), minimum=0, maximum=60,
              unit="days", help="A month is drafted at once, but made final only so many days after its end."),
        Field("late_days", "Correct months back", kind="number", value=str(seller.late_days), minimum=0, maximum=366,
              unit="days", help="Late logs of months that began so many days before are put right on the next one."),
        Field("late_most", "Corrections billed unasked", kind="decimal", minimum=0, value=number_text(seller.late_most),
              help="Up to this amount, either way, for each corrected invoice; what is more waits for a person."),
        Field("second_person_above", "Second person above", kind="decimal", minimum=0,
              value="" if seller.second_person_above is None else format(seller.second_person_above.normalize(), "f"),
              help="Finalising, voiding and crediting more than this needs another person's approval; empty: never."),
        Field("reseller", "Belongs to", kind="choice", choices=owners,
              value=str(seller.reseller.uid) if seller.reseller else "",
              help="A reseller's people see the invoices of its own sellers."),
    )  # fmt: skip


def _bill_to_fields(bill_to: BillTo, *, currency: str) -> tuple[Field, ...]:
    currencies = tuple((code, code) for code in sorted(CURRENCIES))
    return (
        Field("legal_name", "Legal name", value=bill_to.legal_name, required=True, maximum=200),
        Field("address", "Address", kind="long", value=bill_to.address, maximum=1000),
        Field("country", "Country", value=bill_to.country, maximum=2, help="Two letters, such as DE."),
        Field("tax_id", "Tax number", value=bill_to.tax_id, maximum=40, help=TAX_ID_HELP),
        Field("tax_category", "Tax category", kind="choice", choices=CATEGORIES, value=bill_to.tax_category,
              help="Any but standard holds for all that this payer is charged, and has no rate."),
        Field("tax_percent", "Own tax rate", kind="decimal", minimum=0, unit="%",
              value=format((Decimal(bill_to.tax_rate) * 100).normalize(), "f"),
              help="0: the seller's rates in the payer's country, by the tax class of each plan."),
        Field("tax_note", "Note on tax", value=bill_to.tax_note, maximum=200,
              help="Why there is none, as printed: reverse charge, the recipient owes the tax."),
        Field("language", "Language of documents", kind="choice", choices=LANGUAGES, value=bill_to.language),
        Field("currency", "Currency", kind="choice", choices=currencies, value=currency, required=True),
        Field("terms_days", "Pays within", kind="number", minimum=0, maximum=365, unit="days",
              value=str(bill_to.terms_days)),
        Field("order_number", "Their order number", value=bill_to.order_number, maximum=80),
        Field("customer_number", "Customer number", value=bill_to.customer_number, maximum=20,
              help="Theirs in your books; in DATEV the account of the debtor."),
        Field("email", "Email", value=bill_to.email, maximum=200),
    )  # fmt: skip


def _agreement_fields(request: StaffRequest) -> tuple[Field, ...]:
    payers = money.bill_to_choices(request.scope)
    payer = Field(
        "bill_to", "Payer", kind="choice", choices=payers, value=payers[0][0] if payers else "", required=True
    )
    start = Field("starts_on", "Begins on", kind="date", required=True)
    number = Field("number", "Number", required=True, maximum=60)
    versions = tuple((version, f"version {version}") for version in VERSIONS)
    contract = Field(
        "size_contract", "Size contract", kind="choice", choices=versions, value=NEWEST,
        help="How sizes are counted; printed on each invoice, and it stays as signed.",
    )  # fmt: skip
    return (number, money.seller_field(request.scope), payer, start, contract, *_ending())


def _agreement_terms(agreement: Agreement) -> tuple[Field, ...]:
    ends_on = agreement.ends_on.isoformat() if agreement.ends_on else ""
    return _ending(ends_on=ends_on, notice=str(agreement.notice_days), digest=agreement.document_hash)


def _ending(*, ends_on: str = "", notice: str = "30", digest: str = "") -> tuple[Field, ...]:
    return (
        Field(
            "ends_on", "Ends on", kind="date", value=ends_on, help="The first day that is not covered; empty: no end."
        ),
        Field("notice_days", "Notice", kind="number", minimum=0, maximum=MOST_DAYS, unit="days", value=notice),
        Field("document_hash", "SHA-256 of the signed document", value=digest, maximum=64),
    )


def _texts(values: dict[str, Any]) -> dict[str, Any]:
    """Empty inputs of text columns are empty texts."""
    nullable = ("ends_on", "second_person_above", "reseller", "stripe")
    return {name: "" if value is None and name not in nullable else value for name, value in values.items()}


def _page(title: str, **values: Any) -> FormPage:
    return FormPage(title=title, back=reverse("parties"), crumbs=((CRUMBS, reverse("parties")),), **values)


def _taken(field: str, what: str) -> tuple[str, str]:
    return field, f"There is another {what} of this name already."


def _found(model: Any, request: StaffRequest, uid: uuid.UUID | None, what: str) -> Any:
    return None if uid is None else found(model.objects.of(request.scope.tenant).filter(uid=uid).first(), what)


def _chosen(model: Any, request: StaffRequest, uid: str) -> Any:
    return model.objects.of(request.scope.tenant).get(uid=uid)
