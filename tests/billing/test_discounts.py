"""Discounts: percent or amount, in their order, dated, never below zero, with a working that names its lines."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.discounting import DiscountDraft, end_discount, give_discount
from billing.finalising import finalise
from billing.invoicing import draft_run, redraft
from billing.models import Agreement, Invoice, InvoiceLine, Subscription
from billing.models_adjusting import Discount
from billing.params import BadParams
from billing.refusals import NotFound
from billing.reviewing import compare_with_last_month
from billing.snapshots import frozen
from billing.verifying import _base_differences, verify
from tests.billing.months import (
    ACTOR,
    BEGAN,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    lines_of,
    money,
    nights,
    only_invoice,
)
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


def acme(month: Month, world: World, size: int = 100, **payer: Any) -> Subscription:
    """Acme Dental: 100 GB in October at 0.10 = 10.00."""
    month.measure(world.job, nights(OCTOBER, date(2026, 11, 30), size * GB))
    return month.on_plan(world.client, month.plan(**PER_GB), **payer)


def give(month: Month, agreement: Agreement, **values: Any) -> Discount:
    on = {name: values.pop(name) for name in ("client", "subscription") if name in values}
    terms: dict[str, Any] = {"name": "Loyalty", "starts_on": date(2026, 1, 1), **values}
    draft = DiscountDraft(**terms)
    return give_discount(month.tenant, agreement, draft=draft, actor=ACTOR, now=BEGAN, **on)


def drafted(month: Month) -> Invoice:
    return only_invoice(draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER))


def amounts(lines: list[InvoiceLine]) -> list[tuple[str, Decimal]]:
    return [(line.kind, line.amount) for line in lines]


def test_several_in_their_order_each_off_what_is_left(month: Month, world: World) -> None:
    subscription = acme(month, world, tax_rate=Decimal("0.19"))
    give(month, subscription.agreement, percent=money("10"), position=2, client=world.client)
    give(month, subscription.agreement, amount=money("3.33"), position=1, subscription=subscription, name="Start")
    final = finalise(month.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    usage, first, second = lines_of(final)
    # 10.00 - 3.33 = 6.67; 10 % of it 0.667, half up 0.67; net 6.00
    assert amounts([usage, first, second]) == [
        ("usage", money("10.00")), ("discount", money("-3.33")), ("discount", money("-0.67")),
    ]  # fmt: skip
    assert (first.description, second.description) == (
        "Acme Dental: Start, October 2026",
        "Acme Dental: Loyalty, 10 %, October 2026",
    )
    assert (final.net, final.tax, first.tax_rate) == (money("6.00"), money("1.14"), Decimal("0.19"))
    assert second.working["steps"][0]["label"].endswith("less earlier discounts")
    assert verify(month.tenant, final.uid).differences == ()


def test_an_amount_takes_no_more_than_there_is(month: Month, world: World) -> None:
    subscription = acme(month, world)
    give(month, subscription.agreement, amount=money("25"))
    give(month, subscription.agreement, percent=money("50"))
    final = finalise(month.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    assert amounts(lines_of(final)) == [("usage", money("10.00")), ("discount", money("-10.00"))]
    assert final.total == 0
    assert verify(month.tenant, final.uid).differences == ()


def test_a_discount_that_begins_mid_month_is_off_these_days(month: Month, world: World) -> None:
    subscription = acme(month, world)
    give(month, subscription.agreement, percent=money("20"), starts_on=date(2026, 10, 22), ends_on=date(2026, 11, 1))
    usage, discount = lines_of(drafted(month))
    # 10 of 31 days: 10.00 x 10/31 x 20 % = 0.645, half up 0.65
    assert discount.amount == money("-0.65")
    assert discount.description == "agreement A-1-3: Loyalty, 20 %, 2026-10-22 to 2026-10-31".replace(
        "A-1-3", subscription.agreement.number
    )
    assert usage.amount == money("10.00")


def test_an_amount_for_part_of_a_month_is_prorated(month: Month, world: World) -> None:
    give(month, acme(month, world).agreement, amount=money("3.10"), ends_on=date(2026, 10, 11))
    # 3.10 x 10/31 = 1.00
    assert lines_of(drafted(month))[1].amount == money("-1.00")


def test_it_stands_after_what_it_belongs_to(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Holding AG"))
    plan = month.plan(**PER_GB)
    bakery = make_job(world.tenant, world.server, world.resold_client, "oven")
    acme_dental = month.subscribe(world.client, plan, agreement)
    month.subscribe(world.resold_client, plan, agreement)
    for job in (world.job, bakery):
        month.measure(job, nights(OCTOBER, date(2026, 10, 31), 100 * GB))
    give(month, agreement, percent=money("10"), name="All")
    give(month, agreement, percent=money("50"), name="One", subscription=acme_dental)
    final = finalise(month.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    # all: 10 % of 20.00 = 2.00, 1.00 of it on each line; one: 50 % of 9.00
    assert amounts(lines_of(final)) == [
        ("usage", money("10.00")), ("discount", money("-4.50")),
        ("usage", money("10.00")), ("discount", money("-2.00")),
    ]  # fmt: skip
    assert verify(month.tenant, final.uid).differences == ()


def test_a_percentage_line_is_discounted_too(month: Month, world: World) -> None:
    subscription = acme(month, world)
    share = {"percent": "15", "plans": [{"code": "per-gb"}]}
    support = month.plan("support", name="Support", price="percentage", price_params=share)
    month.subscribe(world.client, support, subscription.agreement)
    give(month, subscription.agreement, percent=money("10"))
    final = finalise(month.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    # 10.00 + 15 % of it, before any discount, 1.50; 10 % of 11.50
    assert amounts(lines_of(final)) == [
        ("usage", money("10.00")), ("percentage", money("1.50")), ("discount", money("-1.15")),
    ]  # fmt: skip
    assert verify(month.tenant, final.uid).differences == ()


def test_a_discount_off_another_line_than_the_documents_does_not_verify(month: Month, world: World) -> None:
    give(month, acme(month, world).agreement, percent=money("10"))
    final = finalise(month.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    snapshot = frozen(final)
    assert list(_base_differences(snapshot)) == []
    snapshot["lines"][1]["working"]["lines"][0]["taken"] = "11.00"
    assert list(_base_differences(snapshot)) == [
        "Line 2 takes off 1.00, but 11.00 of the lines it names.",
        "Discounts take 1.00 more off a line than it comes to.",
    ]


def test_ended_on_its_first_day_it_never_was(month: Month, world: World) -> None:
    discount = give(month, acme(month, world).agreement, percent=money("10"))
    invoice = drafted(month)
    end_discount(month.tenant, discount.uid, on=discount.starts_on, actor=ACTOR, now=NOVEMBER)
    redraft(month.tenant, invoice.run, now=NOVEMBER)
    assert amounts(lines_of(only_invoice(invoice.run))) == [("usage", money("10.00"))]
    with pytest.raises(BadParams, match="ended on 2026-01-01 already"):
        end_discount(month.tenant, discount.uid, on=date(2026, 12, 1), actor=ACTOR, now=NOVEMBER)


def test_the_review_calls_it_a_discount(month: Month, world: World) -> None:
    give(month, acme(month, world).agreement, percent=money("10"))
    changes = {each.reason: each for each in compare_with_last_month(month.tenant, drafted(month).run)}
    assert changes["discount"].now == money("-1.00")


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"percent": money("100.5")}, "percent", "at most 100 %"),
        ({"percent": money("0")}, "percent", "more than 0 %"),
        ({"percent": money("1.00001")}, "percent", "at most 4 decimals"),
        ({}, "percent", "either a percentage or an amount"),
        ({"percent": money("1"), "amount": money("1")}, "percent", "either a percentage or an amount"),
        ({"amount": money("1.001")}, "amount", "finer than EUR"),
        ({"amount": money("1"), "currency": "CHF"}, "currency", "pays in EUR, not in CHF"),
        ({"percent": money("1"), "starts_on": date(2025, 1, 1)}, "starts_on", "before Northwind MSP began here"),
        ({"percent": money("1"), "ends_on": date(2026, 1, 1)}, "ends_on", "ends after it begins"),
        ({"percent": money("1"), "position": 0}, "position", "from 1 to 1000"),
        ({"percent": money("1"), "name": " "}, "name", "the payer reads it"),
    ],
)
def test_what_cannot_be_is_refused(month: Month, values: dict[str, Any], field: str, sentence: str) -> None:
    agreement = month.agreement(month.bill_to("Cove Clinic"))
    with pytest.raises(BadParams) as refusal:
        give(month, agreement, **values)
    assert (refusal.value.field, sentence in refusal.value.reason) == (field, True)
    assert not Discount.objects.of(month.tenant).exists()


def test_another_tenants_discount_is_not_there(month: Month, world: World) -> None:
    discount = give(month, month.agreement(month.bill_to("Cove Clinic")), percent=money("10"))
    with pytest.raises(NotFound):
        end_discount(world.other, discount.uid, on=date(2026, 2, 1), actor=ACTOR, now=NOVEMBER)
