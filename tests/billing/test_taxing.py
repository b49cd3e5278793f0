"""Which tax a line bears: the payer's category, the plan's class, the seller's rates, and what is refused or held."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from billing.finalising import finalise
from billing.invoicing import draft_run
from billing.models import BillTo, Invoice
from billing.models_taxes import TaxRate
from billing.refusals import Refused
from billing.taxing import check_profile
from billing.vat_numbers import check_tax_number, is_vat_number
from billing.verifying import verify
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, october, only_invoice
from tests.world import World, make_client, make_job

FLAT = {"price": "flat", "price_params": {"fee": "10.05"}}


def give_rate(
    month: Month, rate: str, *, country: str = "DE", tax_class: str = "standard", since: str = "2000-01-01"
) -> None:
    TaxRate.objects.of(month.tenant).create(
        seller=month.seller, country=country, tax_class=tax_class, rate=rate, starts_on=date.fromisoformat(since)
    )


def charge(month: Month, world: World, *classes: str, **bill_to: str) -> Invoice:
    """October's document of a payer with one flat plan of 10.05 of each tax class."""
    payer = month.bill_to("Payer AG", **{"country": "DE"} | bill_to)
    agreement = month.agreement(payer)
    for place, tax_class in enumerate(classes):
        client = make_client(world.tenant, f"Client {place}")
        month.measure(make_job(world.tenant, world.server, client, f"job-{place}"), october(GB))
        month.subscribe(client, month.plan(f"flat-{place}", tax_class=tax_class, **FLAT), agreement)
    return only_invoice(draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER))


def told(invoice: Invoice) -> list[tuple[str, Decimal]]:
    return [(line.tax_category, line.tax_rate.normalize()) for line in lines_of(invoice)]


@pytest.mark.django_db
def test_one_document_bears_the_rate_of_each_plans_class(month: Month, world: World) -> None:
    give_rate(month, "0.19")
    give_rate(month, "0.07", tax_class="reduced")
    invoice = charge(month, world, "standard", "reduced", "exempt", "standard")
    assert told(invoice) == [
        ("S", Decimal("0.19")), ("S", Decimal("0.07")), ("E", Decimal(0)), ("S", Decimal("0.19"))
    ]  # fmt: skip
    assert [(each["category"], each["rate"], each["net"], each["tax"]) for each in invoice.taxes] == [
        ("E", "0", "10.05", "0.00"), ("S", "0.19", "20.10", "3.82"), ("S", "0.07", "10.05", "0.70")
    ]  # fmt: skip
    assert (invoice.net, invoice.tax, invoice.total) == (Decimal("40.20"), Decimal("4.52"), Decimal("44.72"))
    final = finalise(month.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(month.tenant, final.uid).holds


@pytest.mark.django_db
def test_a_rate_counts_from_its_day_on_for_months_that_end_then(month: Month, world: World) -> None:
    give_rate(month, "0.19")
    give_rate(month, "0.21", since="2026-10-31")
    give_rate(month, "0.25", since="2026-11-01")
    assert told(charge(month, world, "standard")) == [("S", Decimal("0.21"))]


@pytest.mark.django_db
def test_the_payers_own_rate_stands_before_the_sellers_standard_rate_alone(month: Month, world: World) -> None:
    give_rate(month, "0.19")
    give_rate(month, "0.07", tax_class="reduced")
    invoice = charge(month, world, "standard", "reduced", tax_rate="0.16")
    assert told(invoice) == [("S", Decimal("0.16")), ("S", Decimal("0.07"))]


@pytest.mark.django_db
@pytest.mark.parametrize("category", ["Z", "E", "G", "O"])
def test_a_payers_category_holds_for_every_class(month: Month, world: World, category: str) -> None:
    give_rate(month, "0.19")
    invoice = charge(month, world, "standard", "reduced", tax_category=category)
    assert told(invoice) == [(category, Decimal(0))] * 2
    assert invoice.tax == 0
    assert invoice.held == []


@pytest.mark.django_db
def test_reverse_charge_is_held_until_both_numbers_are_there(month: Month, world: World) -> None:
    invoice = charge(month, world, "standard", tax_category="AE", country="FR", tax_id="FR40303265045")
    assert invoice.held == ["Reverse charge needs the VAT numbers of both sides: Northwind MSP GmbH has none."]
    with pytest.raises(Refused, match="This draft is held: Reverse charge needs"):
        finalise(month.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)
    month.seller.tax_id = "DE136695976"
    month.seller.save()
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    assert told(only_invoice(run)) == [("AE", Decimal(0))]
    assert finalise(month.tenant, only_invoice(run).uid, actor=ACTOR, now=NOVEMBER).tax == 0


@pytest.mark.django_db
def test_a_missing_rate_is_held_and_not_taken_as_none(month: Month, world: World) -> None:
    give_rate(month, "0.19")
    assert charge(month, world, "reduced").held == [
        "Payer AG: Northwind MSP GmbH has no reduced tax rate for DE; enter it."
    ]


@pytest.mark.django_db
def test_where_nothing_is_said_of_tax_there_is_none(month: Month, world: World) -> None:
    assert told(charge(month, world, "standard")) == [("Z", Decimal(0))]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("profile", "sentence"),
    [
        ({"tax_category": "S"}, "Standard tax needs a rate"),
        ({"tax_category": "AE"}, "Reverse charge needs the payer's VAT number"),
        ({"tax_category": "K", "tax_id": "12/345/678"}, "Supply within the EU needs the payer's VAT number"),
        ({"tax_category": "E", "tax_rate": Decimal("0.19")}, "Exempt has no tax rate"),
        ({"tax_category": "AE", "tax_rate": Decimal("0.19")}, "Reverse charge has no tax rate"),
    ],
)
def test_a_profile_that_cannot_be_right_is_refused(month: Month, profile: dict[str, object], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        check_profile(BillTo(legal_name="X", country="DE", **profile), tenant=month.tenant)


@pytest.mark.django_db
def test_standard_without_an_own_rate_is_good_once_the_seller_has_one(month: Month) -> None:
    give_rate(month, "0.19")
    check_profile(BillTo(legal_name="X", country="de", tax_category="S"), tenant=month.tenant)


@pytest.mark.parametrize(
    "number", ["DE136695976", "de 136.695.976", "FR40303265045", "EL094259216", "GB980780684", "CHE-100.155.212 MWST"]
)
def test_good_vat_numbers(number: str) -> None:
    assert is_vat_number(number)
    assert check_tax_number(f" {number} ") == number


@pytest.mark.parametrize("number", ["DE136695977", "DE1366", "FR00000000000", "CHE-100.155.213", "AT12345678"])
def test_vat_numbers_with_wrong_digits_are_refused(number: str) -> None:
    with pytest.raises(Refused, match="is not a VAT number of"):
        check_tax_number(number)


@pytest.mark.parametrize("number", ["", "12/345/67890", "22-1234567", "US 12-3456789"])
def test_numbers_of_tax_offices_are_kept_as_they_are(number: str) -> None:
    assert check_tax_number(number) == number
    assert not is_vat_number(number)
