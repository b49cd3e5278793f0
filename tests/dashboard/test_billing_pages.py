"""The pages of money, for every role: what they show, what they refuse, and that every cent can be computed again."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Agreement, BillTo, Invoice, InvoiceLine, Plan, Seller, Subscription
from billing.size_contract import size_contract
from msp.dashboard.views.billing_invoices import safe_cell
from msp.tenants.models import AuditEntry
from tests.billing.months import GB
from tests.dashboard.books import Books, keep_books, last_month
from tests.dashboard.scene import browser_of
from tests.world import World, make_client, make_job, make_person

XSS = '<script>alert("x")</script>'


@pytest.fixture
def books(world: World) -> Books:
    return keep_books(world)


@pytest.fixture
def cashier(books: Books) -> Browser:
    """The browser of somebody with the billing role."""
    return browser_of(books.world.billing)


def pages_of(books: Books) -> dict[str, str]:
    line = InvoiceLine.objects.of(books.world.tenant).get(invoice=books.acme)
    return {
        "invoices": reverse("invoices"),
        "invoice": reverse("invoice", args=[books.acme.uid]),
        "line": reverse("invoice-line", args=[books.acme.uid, line.uid]),
        "annex": reverse("invoice-annex", args=[books.acme.uid]),
        "pdf": reverse("invoice-pdf", args=[books.acme.uid]),
        "runs": reverse("invoice-runs"),
        "run": reverse("invoice-run", args=[books.run.uid]),
        "plans": reverse("plans"),
        "plan-new": reverse("plan-new"),
        "plan-version": reverse("plan-version", args=[books.plan.uid]),
        "subscriptions": reverse("subscriptions"),
        "subscription-new": reverse("subscription-new"),
        "subscription-change": reverse("subscription-change", args=[books.subscription.uid]),
        "subscription-end": reverse("subscription-end", args=[books.subscription.uid]),
        "parties": reverse("parties"),
        "seller-new": reverse("seller-new"),
        "seller": reverse("seller", args=[books.seller.uid]),
        "stripe": reverse("seller-stripe", args=[books.seller.uid]),
        "seller-mail": reverse("seller-mail", args=[books.seller.uid]),
        "tax-rates": reverse("seller-tax-rates", args=[books.seller.uid]),
        "bill-to-new": reverse("bill-to-new"),
        "bill-to": reverse("bill-to", args=[books.acme.bill_to.uid]),
        "portal-link-new": reverse("portal-link-new", args=[books.acme.bill_to.uid]),
        "agreement-new": reverse("agreement-new"),
        "size-contract": reverse("size-contract", args=["1"]),
        "usage-files": reverse("usage-files"),
        "agreement": reverse("agreement", args=[books.agreement.uid]),
        "leakage": reverse("leakage"),
        "forecast": reverse("forecast"),
        "corrections": reverse("corrections"),
        "line-change": reverse("line-change", args=[books.acme.uid, line.uid]),
        "invoice-change": reverse("invoice-change", args=[books.acme.uid]),
        "measuring": reverse("measuring"),
        "approvals": reverse("approvals"),
        "adjustments": reverse("adjustments"),
        "payments": reverse("payments"),
        "exports": reverse("exports"),
        "psa": reverse("psa"),
        "export-settings": reverse("export-settings", args=[books.seller.uid, "xero"]),
    }


def actions_of(books: Books) -> list[str]:
    invoice, run = [books.acme.uid], [books.run.uid]
    return [
        reverse("invoice-finalise", args=invoice), reverse("invoice-decide", args=invoice),
        reverse("invoice-void", args=invoice), reverse("invoice-run-start"), reverse("invoice-run-redraft", args=run),
        reverse("invoice-run-finalise", args=run), reverse("plan-preview"),
    ]  # fmt: skip


def text_of(response: object) -> str:
    """The page's words, without markup and with single spaces."""
    page = response.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


# ---- who may see what --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "billing"])
def test_money_people_see_every_page(books: Books, role: str) -> None:
    browser = browser_of(getattr(books.world, role))
    assert {name: browser.get(address).status_code for name, address in pages_of(books).items()} == dict.fromkeys(
        pages_of(books), 200
    )


@pytest.mark.parametrize("role", ["technician", "reader"])
def test_others_see_no_prices(books: Books, role: str) -> None:
    person = books.world.technician if role == "technician" else make_person(
        books.world.tenant, "reader@northwind.example", role="reader"
    )  # fmt: skip
    browser = browser_of(person)
    for name, address in pages_of(books).items():
        response = browser.get(address)
        assert response.status_code == 403, name
        assert "Your role does not see prices." in response.content.decode()
    assert reverse("invoices") not in browser.get("/clients/").content.decode()


def test_a_foreign_tenant_finds_none_of_it(books: Books) -> None:
    browser = browser_of(books.world.stranger)
    mine = ("invoices", "runs", "plans", "plan-new", "subscriptions", "subscription-new", "parties", "seller-new",
            "bill-to-new", "agreement-new", "exports", "size-contract", "usage-files", "leakage",
            "corrections", "measuring", "forecast", "approvals", "adjustments", "payments", "psa")  # fmt: skip
    for name, address in pages_of(books).items():
        response = browser.get(address)
        assert response.status_code == (200 if name in mine else 404), name
        assert "Acme" not in response.content.decode(), name


def test_a_foreign_tenant_cannot_act_on_it(books: Books) -> None:
    browser = browser_of(books.world.stranger)
    for address in actions_of(books):
        if str(books.acme.uid) in address or str(books.run.uid) in address:
            assert browser.post(address, {"reason": "mine now"}).status_code == 404, address
    assert books.fresh(books.acme).state == "draft"


def test_a_resellers_staff_sees_invoices_of_its_own_seller_alone(books: Books) -> None:
    books.seller.reseller = books.world.reseller
    books.seller.save()
    other = Seller.objects.of(books.world.tenant).create(legal_name="Wholesale of Northwind")
    Invoice.objects.of(books.world.tenant).filter(pk=books.acme.pk).update(seller=other)
    browser = browser_of(books.world.reseller_staff)
    assert browser.get(reverse("invoice", args=[books.bakery.uid])).status_code == 200
    assert browser.get(reverse("invoice", args=[books.acme.uid])).status_code == 404
    assert browser.get(reverse("invoice-annex", args=[books.acme.uid])).status_code == 404
    listed = browser.get(reverse("invoices")).content.decode()
    assert "Bay Bakery" in listed
    assert "Acme" not in listed


@pytest.mark.parametrize("name", ["runs", "run", "plans", "subscriptions", "parties", "seller"])
def test_a_resellers_staff_finds_no_other_page_of_money(books: Books, name: str) -> None:
    assert browser_of(books.world.reseller_staff).get(pages_of(books)[name]).status_code == 404


def test_a_resellers_staff_changes_no_invoice(books: Books) -> None:
    books.seller.reseller = books.world.reseller
    books.seller.save()
    browser = browser_of(books.world.reseller_staff)
    assert browser.post(reverse("invoice-finalise", args=[books.bakery.uid])).status_code == 404
    assert books.fresh(books.bakery).state == "draft"


def test_changes_are_posted_with_a_token(books: Books) -> None:
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(books.world.billing, backend="django.contrib.auth.backends.ModelBackend")
    for address in actions_of(books):
        assert strict.get(address).status_code == 405, address
        assert strict.post(address).status_code == 403, address


def test_only_an_owner_changes_stripe(books: Books) -> None:
    address = reverse("seller-stripe", args=[books.seller.uid])
    assert browser_of(books.world.billing).post(address, {"api_key": "sk_test_1"}).status_code == 403
    owner = browser_of(books.world.owner)
    assert owner.post(address, {"api_key": "sk_test_secret", "collection": "send_invoice"}).status_code == 302
    assert Seller.objects.of(books.world.tenant).get(pk=books.seller.pk).stripe["api_key"] == "sk_test_secret"
    assert "sk_test_secret" not in owner.get(address).content.decode()
    told = AuditEntry.objects.of(books.world.tenant).latest("pk")
    assert told.after == {"stripe": "set"}
    assert owner.post(address, {"api_key": "nonsense"}).status_code == 422


# ---- a month ------------------------------------------------------------------------------------------------------


def test_every_cent_can_be_computed_from_the_page(books: Books, cashier: Browser) -> None:
    page = text_of(cashier.get(reverse("invoice", args=[books.acme.uid])))
    assert "100 GB x 0.1 EUR" in page
    assert "150 GB x 0.08 EUR" in page
    assert "Bands added up" in page
    # by hand: 100 x 0.10 + 150 x 0.08 = 22.00; 19 % of it is 4.18
    for amount in ("22.00 EUR", "4.18 EUR", "26.18 EUR"):
        assert amount in page
    assert "Tax 19 % of 22.00 EUR" in page
    assert "250,000,000,000" in page
    assert "250 GB" in page


def test_a_day_leads_to_its_run_and_log(books: Books, cashier: Browser) -> None:
    page = cashier.get(reverse("invoice", args=[books.acme.uid])).content.decode()
    (address,) = set(re.findall(r'href="(/runs/[0-9-]+/[0-9a-f-]+/)"', page)[:1])
    assert cashier.get(address).status_code == 200


def test_a_month_is_drafted_looked_at_and_made_final(books: Books, cashier: Browser) -> None:
    started = cashier.post(
        reverse("invoice-run-start"), {"seller": str(books.seller.uid), "month": books.first_day.isoformat()}
    )
    assert started.status_code == 302
    review = text_of(cashier.get(reverse("invoice-run", args=[books.run.uid])))
    assert "new this month" in review
    assert "30.18 EUR" in review  # 26.18 for Acme and 40 x 0.10 for the bakery, which pays no tax
    assert cashier.post(reverse("invoice-run-finalise", args=[books.run.uid])).status_code == 302
    numbers = {invoice.number for invoice in Invoice.objects.of(books.world.tenant).filter(state="final")}
    assert len(numbers) == 2
    final = cashier.get(f"{reverse('invoice', args=[books.acme.uid])}?verify=1").content.decode()
    assert "Recomputed to the cent." in final


def test_what_does_not_verify_is_told(books: Books, cashier: Browser) -> None:
    cashier.post(reverse("invoice-finalise", args=[books.acme.uid]))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE billing_invoice DISABLE TRIGGER USER")
        cursor.execute("UPDATE billing_invoice SET total = total + 0.01 WHERE id = %s", [books.acme.pk])
        cursor.execute("ALTER TABLE billing_invoice ENABLE TRIGGER USER")
    page = text_of(cashier.get(f"{reverse('invoice', args=[books.acme.uid])}?verify=1"))
    assert "It does not agree" in page


def test_a_month_that_is_not_over_is_refused_in_a_sentence(books: Books, cashier: Browser) -> None:
    this_month = last_month()[1].isoformat()
    response = cashier.post(reverse("invoice-run-start"), {"seller": str(books.seller.uid), "month": this_month})
    assert response.status_code == 422
    assert "Month cannot be" in text_of(response)


def test_missing_days_are_held_and_decided_with_a_reason(world: World) -> None:
    books = keep_books(world, missing=2)
    cashier = browser_of(world.billing)
    address = reverse("invoice", args=[books.acme.uid])
    review = text_of(cashier.get(reverse("invoice-run", args=[books.run.uid])))
    assert "no measurement on" in review
    refused = cashier.post(reverse("invoice-finalise", args=[books.acme.uid]))
    assert refused.status_code == 409
    assert "This draft is held" in text_of(refused)
    page = cashier.get(address).content.decode()
    assert "Leave the missing days out" in page
    assert "Accept the figures as measured" not in page
    without_reason = cashier.post(reverse("invoice-decide", args=[books.acme.uid]), {"decision": "carry_missing"})
    assert without_reason.status_code == 409
    decided = {"decision": "carry_missing", "reason": f"The client agreed {XSS}"}
    assert cashier.post(reverse("invoice-decide", args=[books.acme.uid]), decided).status_code == 302
    after = cashier.get(address).content.decode()
    assert XSS not in after
    assert "Charge the last figure known" in after
    assert books.fresh(books.acme).held == []
    assert cashier.post(reverse("invoice-finalise", args=[books.acme.uid])).status_code == 302


def test_a_final_invoice_is_voided_and_replaced_with_a_reason(books: Books, cashier: Browser) -> None:
    cashier.post(reverse("invoice-finalise", args=[books.acme.uid]))
    address = reverse("invoice-void", args=[books.acme.uid])
    assert cashier.post(address, {"reason": "  "}).status_code == 409
    response = cashier.post(address, {"reason": "wrong address"})
    assert response.status_code == 302
    replacement = Invoice.objects.of(books.world.tenant).get(replaces=books.acme)
    assert response["Location"] == reverse("invoice", args=[replacement.uid])
    assert "wrong address" in text_of(cashier.get(reverse("invoice", args=[books.acme.uid])))


def test_what_is_on_no_plan_is_named(books: Books, cashier: Browser) -> None:
    forgotten = make_client(books.world.tenant, f"Forgotten {XSS}")
    job = make_job(books.world.tenant, books.world.server, forgotten, "disk")
    books.month.measure(job, {books.first_day: 7 * GB})
    books.draft_again()
    type(books.run).objects.of(books.world.tenant).filter(pk=books.run.pk).update(cut_off="2100-01-01T00:00:00Z")
    page = cashier.get(reverse("invoice-run", args=[books.run.uid])).content.decode()
    assert "Forgotten &lt;script&gt;" in page
    assert XSS not in page


# ---- CSV ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1"])
def test_no_cell_can_be_run_as_a_formula(text: str) -> None:
    assert safe_cell(text).startswith("'")


def test_plain_cells_stay_as_they_are() -> None:
    assert [safe_cell(text) for text in ("Acme", "2026-10-01", "250000000000", "")] == [
        "Acme", "2026-10-01", "250000000000", "",
    ]  # fmt: skip


def test_the_annex_has_every_day(books: Books, cashier: Browser) -> None:
    type(books.world.client).objects.of(books.world.tenant).filter(pk=books.world.client.pk).update(
        name="=cmd|' /C'!A0"
    )
    books.draft_again()
    response = cashier.get(reverse("invoice-annex", args=[books.acme.uid]))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(response.content.decode().lstrip("\ufeff"))))
    days = (date.fromisoformat(books.acme.last_day.isoformat()) - books.first_day).days
    assert len(rows) == 1 + days
    assert {row[7] for row in rows[1:]} == {"250000000000"}
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert "'=cmd" in rows[1][2]


# ---- plans --------------------------------------------------------------------------------------------------------

PLAN = {
    "do": "save", "code": "gold", "name": "Gold", "currency": "EUR", "metric": "protected", "meter": "daily_average",
    "unit": "GB", "price": "tiered", "allowance": "", "minimum": "", "quantity_places": "3", "carry_days": "3",
    "pool": "subscription", "starts_with": "first_good", "tiers-rows": "2", "tiers-1-up_to": "100",
    "tiers-1-unit_price": "0.05", "tiers-2-unit_price": "0.04", "preview_size": "121",
}  # fmt: skip


def test_a_plan_is_made_and_previewed_by_the_real_pricing(books: Books, cashier: Browser) -> None:
    shown = text_of(cashier.post(reverse("plan-preview"), PLAN))
    assert "5.84 EUR" in shown  # the tiered case of docs/billing-arithmetic.md
    assert cashier.post(reverse("plan-new"), PLAN).status_code == 302
    plan = Plan.objects.of(books.world.tenant).get(code="gold")
    assert plan.price_params["tiers"][0]["unit_price"] == "0.05"
    address = reverse("plan-version", args=[plan.uid])
    form = cashier.get(address).content.decode()
    assert 'value="0.04"' in form
    assert cashier.post(address, PLAN | {"tiers-2-unit_price": "0.03"}).status_code == 302
    assert Plan.objects.of(books.world.tenant).filter(code="gold").count() == 2


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"tiers-1-unit_price": "-1"}, "cannot be negative"),
        ({"tiers-1-unit_price": "٠.٠٥"}, "must be a number such as 0.05"),
        ({"tiers-1-unit_price": "1e9"}, "must be a number such as 0.05"),
        ({"tiers-1-unit_price": "9" * 400}, "must be a number such as 0.05"),
        ({"tiers-1-unit_price": ""}, "This is required."),
        ({"tiers-2-up_to": "50"}, "the last band must be open"),
        ({"tiers-rows": "²"}, None),
        ({"carry_days": "9999"}, "at most 366"),
        ({"quantity_places": "１"}, "must be a whole number in plain digits"),
        ({"currency": "XXX"}, "cannot be"),
        ({"name": ""}, "is missing"),
        ({"name": "x" * 500}, "too long"),
        ({"name": "a\x00b"}, "cannot be shown"),
        ({"code": "tiered"}, "There is a plan tiered already"),
        ({"price": "nonsense"}, "cannot be"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_at_its_field(
    books: Books, cashier: Browser, typed: dict[str, str], sentence: str | None
) -> None:
    response = cashier.post(reverse("plan-new"), PLAN | {"code": "other"} | typed)
    if sentence is None:
        assert response.status_code == 302
        return
    assert response.status_code == 422
    page = response.content.decode()
    assert sentence.casefold() in page.casefold()
    assert 'value="121"' in page
    if "name" not in typed:
        assert 'value="Gold"' in page
    assert not Plan.objects.of(books.world.tenant).filter(code="other").exists()


def test_bands_are_added_and_dropped(books: Books, cashier: Browser) -> None:
    added = cashier.post(reverse("plan-new"), PLAN | {"do": "add:tiers"}).content.decode()
    assert 'name="tiers-3-unit_price"' in added
    dropped = cashier.post(reverse("plan-new"), PLAN | {"do": "drop:tiers:1"}).content.decode()
    assert 'name="tiers-2-unit_price"' not in dropped
    assert 'name="tiers-1-unit_price" value="0.04"' in dropped


@pytest.mark.parametrize("price", ["per_unit", "tiered", "volume", "block", "flat"])
def test_each_price_brings_its_own_inputs(books: Books, cashier: Browser, price: str) -> None:
    page = cashier.post(reverse("plan-new"), PLAN | {"do": "reshape", "price": price}).content.decode()
    named = {"per_unit": "unit_price", "tiered": "tiers-1-up_to", "volume": "tiers-1-up_to", "block": "block_size",
             "flat": "fee"}  # fmt: skip
    assert f'name="{named[price]}"' in page


# ---- subscriptions and parties -----------------------------------------------------------------------------------


def test_a_subscription_is_started_changed_and_ended(books: Books, cashier: Browser) -> None:
    fresh = make_client(books.world.tenant, "Fresh Ltd")
    typed = {
        "who": f"client:{fresh.uid}", "plan": str(books.plan.uid), "agreement": str(books.agreement.uid),
        "starts_on": "2026-06-01", "ends_on": "",
    }  # fmt: skip
    assert cashier.post(reverse("subscription-new"), typed).status_code == 302
    again = cashier.post(reverse("subscription-new"), typed)
    assert again.status_code == 422
    assert "Fresh Ltd is on plan" in text_of(again)
    made = Subscription.objects.of(books.world.tenant).get(client=fresh)
    same = cashier.post(
        reverse("subscription-change", args=[made.uid]), {"plan": str(books.plan.uid), "on": "2026-07-01"}
    )
    assert "on this version of this plan already" in text_of(same)
    other = books.month.plan("other")
    change = {"plan": str(other.uid), "on": "2026-07-01"}
    assert cashier.post(reverse("subscription-change", args=[made.uid]), change).status_code == 302
    moved = Subscription.objects.of(books.world.tenant).get(client=fresh, plan=other)
    wrong = cashier.post(reverse("subscription-end", args=[moved.uid]), {"on": "31.12.2026"})
    assert wrong.status_code == 422
    assert 'value="31.12.2026"' in wrong.content.decode()
    assert cashier.post(reverse("subscription-end", args=[moved.uid]), {"on": "2026-12-31"}).status_code == 302


def test_what_belongs_to_another_tenant_cannot_be_chosen(books: Books, cashier: Browser) -> None:
    typed = {
        "who": f"client:{make_client(books.world.other, 'Abroad').uid}", "plan": str(books.plan.uid),
        "agreement": str(books.agreement.uid), "starts_on": "2026-06-01",
    }  # fmt: skip
    assert cashier.post(reverse("subscription-new"), typed).status_code == 422


def test_sellers_payers_and_agreements_are_stored_with_an_audit_entry(books: Books, cashier: Browser) -> None:
    tenant = books.world.tenant
    seller = {"legal_name": f"Second {XSS}", "number_format": "{year}-{number:05d}", "country": "DE"}
    assert cashier.post(reverse("seller-new"), seller).status_code == 302
    payer = {"legal_name": "Payer", "currency": "EUR", "tax_percent": "7.5", "terms_days": "30"}
    assert cashier.post(reverse("bill-to-new"), payer).status_code == 302
    made = BillTo.objects.of(tenant).get(legal_name="Payer")
    assert made.tax_rate == Decimal("0.075")
    signed = {
        "number": "A-2", "seller": str(books.seller.uid), "bill_to": str(made.uid), "starts_on": "2026-01-01",
        "notice_days": "",
    }  # fmt: skip
    assert cashier.post(reverse("agreement-new"), signed).status_code == 302
    assert Agreement.objects.of(tenant).get(number="A-2").notice_days == 30
    listed = cashier.get(reverse("parties")).content.decode()
    assert XSS not in listed
    assert "Second &lt;script&gt;" in listed
    told = AuditEntry.objects.of(tenant).filter(actor="billing@northwind.example")
    assert {"seller added", "bill-to added", "agreement added"} <= set(told.values_list("action", flat=True))


@pytest.mark.parametrize(
    ("page", "typed", "sentence"),
    [
        (
            "seller-new",
            {"legal_name": "Northwind MSP GmbH", "number_format": "{year}-{number}"},
            "of this name already",
        ),
        ("seller-new", {"legal_name": "X", "number_format": "{number.__class__}"}, "must hold {number}"),
        ("seller-new", {"legal_name": "X", "number_format": "INV"}, "must hold {number}"),
        ("bill-to-new", {"legal_name": "X", "currency": "EUR", "tax_percent": "100"}, "less than 100 %"),
        ("bill-to-new", {"legal_name": "X", "currency": "EUR", "tax_percent": "-1"}, "at least 0"),
        ("bill-to-new", {"legal_name": "X", "currency": "EUR", "terms_days": "99999999999999999999"}, "whole number"),
        ("agreement-new", {"number": "B", "starts_on": "2026-02-30"}, "there is no day"),
    ],
)
def test_parties_that_cannot_be_are_refused(
    books: Books, cashier: Browser, page: str, typed: dict[str, str], sentence: str
) -> None:
    typed = {"seller": str(books.seller.uid), "bill_to": str(books.acme.bill_to.uid)} | typed
    typed = typed if page == "agreement-new" else {k: v for k, v in typed.items() if k != "seller"}
    response = cashier.post(reverse(page), typed)
    assert response.status_code == 422
    assert sentence in text_of(response)


# ---- hostile names and long lists ---------------------------------------------------------------------------------


def test_names_are_text_on_every_page(books: Books, cashier: Browser) -> None:
    tenant = books.world.tenant
    BillTo.objects.of(tenant).filter(pk=books.acme.bill_to_id).update(legal_name=XSS, address=XSS, tax_note=XSS)
    Seller.objects.of(tenant).filter(pk=books.seller.pk).update(legal_name=XSS, bank=XSS)
    type(books.world.client).objects.of(tenant).filter(pk=books.world.client.pk).update(name=XSS)
    books.draft_again()
    for name, address in pages_of(books).items():
        if name not in ("annex", "pdf", "stripe"):
            assert XSS not in cashier.get(address).content.decode(), name


def queries_of(browser: Browser, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize("name", ["invoices", "runs", "run", "plans", "subscriptions", "parties", "subscription-new"])
def test_longer_lists_need_no_more_queries(books: Books, cashier: Browser, name: str) -> None:
    address = pages_of(books)[name]
    queries_of(cashier, address)
    before = queries_of(cashier, address)
    for place in range(4):
        client = make_client(books.world.tenant, f"Further {place}")
        books.month.on_plan(client, books.plan)
        books.month.plan(f"plan-{place}")
        job = make_job(books.world.tenant, books.world.server, client, f"disk {place}")
        books.month.measure(job, {books.first_day: GB})
        Seller.objects.of(books.world.tenant).create(legal_name=f"Seller {place}")
    books.draft_again()
    assert queries_of(cashier, address) == before


# ---- the size contract -------------------------------------------------------------------------------------------


def test_an_agreement_and_its_invoices_lead_to_the_size_contract(books: Books, cashier: Browser) -> None:
    address = reverse("size-contract", args=["1"])
    for page in ("agreement", "parties", "invoice", "line"):
        assert address in cashier.get(pages_of(books)[page]).content.decode(), page
    shown = cashier.get(address)
    assert "Largest protected size" in text_of(shown)
    assert "<h2>Overlap</h2>" in shown.content.decode()
    assert size_contract("1").sha256 in shown.content.decode()
    assert cashier.get(reverse("size-contract", args=["9"])).status_code == 404


def test_an_agreement_cannot_name_a_version_that_nobody_wrote(books: Books, cashier: Browser) -> None:
    typed = {"number": "B-1", "seller": str(books.seller.uid), "bill_to": str(books.acme.bill_to.uid),
             "starts_on": "2026-01-01", "size_contract": "9"}  # fmt: skip
    assert cashier.post(reverse("agreement-new"), typed).status_code == 422
    assert cashier.post(reverse("agreement-new"), typed | {"size_contract": "1"}).status_code == 302
    assert Agreement.objects.of(books.world.tenant).get(number="B-1").size_contract == "1"


# ---- tax ---------------------------------------------------------------------------------------------------------


def bill_to_typed(**values: str) -> dict[str, str]:
    return {"legal_name": "Payer AG", "currency": "EUR", "terms_days": "14", "country": "de"} | values


def test_a_payers_tax_profile_is_stored_and_shown(cashier: Browser, books: Books) -> None:
    typed = bill_to_typed(tax_category="AE", tax_id="FR 40 303 265 045", country="fr", language="fr")
    assert cashier.post(reverse("bill-to-new"), typed).status_code == 302
    stored = BillTo.objects.of(books.world.tenant).get(legal_name="Payer AG")
    assert (stored.tax_category, stored.country, stored.language) == ("AE", "FR", "fr")
    assert "Reverse charge (AE)" in text_of(cashier.get(reverse("parties")))


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"tax_category": "S"}, "Standard tax needs a rate"),
        ({"tax_category": "K"}, "needs the payer&#x27;s VAT number"),
        ({"tax_category": "E", "tax_percent": "19"}, "Exempt has no tax rate"),
        ({"tax_id": "DE136695977"}, "is not a VAT number of DE"),
        ({"country": "XX"}, "XX is not a country"),
    ],
)
def test_a_tax_profile_that_cannot_be_right_is_refused(cashier: Browser, typed: dict[str, str], sentence: str) -> None:
    response = cashier.post(reverse("bill-to-new"), bill_to_typed(**typed))
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not BillTo.unwalled.filter(legal_name="Payer AG").exists()


def test_rates_are_entered_put_right_and_shown(cashier: Browser, books: Books) -> None:
    address = reverse("seller-tax-rates", args=[books.seller.uid])
    typed = {"country": "at", "tax_class": "reduced", "percent": "10", "starts_on": "2020-01-01"}
    assert cashier.post(address, typed).status_code == 302
    assert cashier.post(address, typed | {"percent": "13"}).status_code == 302
    shown = text_of(cashier.get(address))
    assert "AT reduced 13 % 1 January 2020" in shown
    assert AuditEntry.objects.of(books.world.tenant).filter(action="tax rate changed").count() == 1


@pytest.mark.parametrize("percent", ["0", "100", "19.0001"])
def test_a_rate_that_is_none_is_refused(cashier: Browser, books: Books, percent: str) -> None:
    typed = {"country": "DE", "tax_class": "standard", "percent": percent, "starts_on": "2020-01-01"}
    response = cashier.post(reverse("seller-tax-rates", args=[books.seller.uid]), typed)
    assert response.status_code == 422
    assert "A tax rate" in response.content.decode()


def test_an_invoice_shows_every_rate(cashier: Browser, books: Books) -> None:
    taxes = [
        {"category": "S", "rate": "0.19", "net": "12.00", "tax": "2.28"},
        {"category": "AE", "rate": "0", "net": "10.00", "tax": "0.00"},
    ]
    Invoice.objects.of(books.world.tenant).filter(pk=books.acme.pk).update(taxes=taxes)
    shown = text_of(cashier.get(reverse("invoice", args=[books.acme.uid])))
    assert "Tax 19 % of 12.00 EUR , rounded once 2.28 EUR" in shown
    assert "Reverse charge (AE) of 10.00 EUR , rounded once 0.00 EUR" in shown
