"""Whose day it was: month ends and clock changes in the tenant's zone, moves of clients and selections, resellers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.invoicing import draft_run
from billing.ledger import enter_usage
from billing.models import InvoiceRun
from billing.refusals import Refused
from msp.estate.models import ClientResellerSpan, ClientStateSpan, SelectionClientSpan
from msp.tenants.models import Reseller
from tests.billing.months import (
    ACTOR,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    days,
    invoices_of,
    lines_of,
    measurement,
    nights,
    october,
    only_invoice,
)
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


def drafted(month: Month, first_day: date = OCTOBER, now: datetime = NOVEMBER) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=first_day, actor=ACTOR, now=now)


def in_zone(month: Month, zone: str) -> None:
    month.tenant.timezone = zone
    month.tenant.save()


def test_a_month_is_over_at_midnight_of_the_tenants_zone(month: Month, world: World) -> None:
    in_zone(month, "Europe/Berlin")
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    # Berlin is at UTC+1 again since 25 October: the month is over at 23:00 UTC
    with pytest.raises(Refused, match=r"October 2026 is not over in Europe/Berlin before 2026-11-01 00:00"):
        drafted(month, now=datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC))
    assert not InvoiceRun.objects.of(month.tenant).exists()
    run = drafted(month, now=datetime(2026, 10, 31, 23, 0, 0, tzinfo=UTC))
    assert (run.timezone, only_invoice(run).net) == ("Europe/Berlin", Decimal("10.00"))


def test_the_zone_is_frozen_with_the_run(month: Month, world: World) -> None:
    in_zone(month, "Europe/Berlin")
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    run = drafted(month)
    in_zone(month, "America/New_York")
    assert drafted(month).pk == run.pk
    assert drafted(month).timezone == "Europe/Berlin"


def test_a_period_begins_on_the_first(month: Month) -> None:
    with pytest.raises(Refused, match="2026-10-02 is not the first day"):
        drafted(month, date(2026, 10, 2))


@pytest.mark.parametrize(
    "zone, first, number, now",
    [
        ("Europe/Berlin", date(2026, 3, 1), 31, datetime(2026, 4, 2, tzinfo=UTC)),  # 29 March has 23 hours
        ("Europe/Berlin", date(2026, 10, 1), 31, NOVEMBER),  # 25 October has 25 hours
        ("Australia/Lord_Howe", date(2026, 10, 1), 31, NOVEMBER),  # half an hour
        ("UTC", date(2028, 2, 1), 29, datetime(2028, 3, 2, tzinfo=UTC)),
        ("UTC", date(2027, 2, 1), 28, datetime(2027, 3, 2, tzinfo=UTC)),
    ],
)
def test_each_calendar_day_counts_once(
    month: Month, world: World, zone: str, first: date, number: int, now: datetime
) -> None:
    in_zone(month, zone)
    month.on_plan(world.client, month.plan(**PER_GB))
    last = first.replace(day=number)
    month.measure(world.job, nights(first, last, 100 * GB))
    invoice = only_invoice(drafted(month, first, now))
    (line,) = lines_of(invoice)
    assert [day["state"] for day in line.evidence[0]["days"]] == ["measured"] * number
    # the average of equal days is that size, whatever the month's length
    assert (invoice.held, line.quantity, line.amount) == ([], Decimal(100), Decimal("10.00"))


def test_the_last_second_of_a_month_belongs_to_it(month: Month, world: World) -> None:
    in_zone(month, "Europe/Berlin")
    month.on_plan(world.client, month.plan(meter="last_day", **PER_GB))
    month.measure(world.job, october(100 * GB, last=30))
    last, next_month = datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)
    for at, size in ((last, 110 * GB), (next_month, 120 * GB)):
        enter_usage(month.tenant.pk, [measurement(world.job, at, size)], now=NOVEMBER)
    invoice = only_invoice(drafted(month))
    assert invoice.net == Decimal("11.00")


def test_of_several_runs_a_day_the_last_counts(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(meter="peak_day", **PER_GB))
    month.measure(world.job, october(100 * GB))
    for hour, size in ((6, 190), (20, 105), (20, 104)):
        at = datetime(2026, 10, 7, hour, tzinfo=UTC)
        key = {"run_key": f"{hour}-{size}"}
        enter_usage(month.tenant.pk, [measurement(world.job, at, size * GB, **key)], now=NOVEMBER)
    # 20:00 beats 06:00 and noon; of the two at 20:00 the key "20-105" comes after "20-104"
    assert only_invoice(drafted(month)).net == Decimal("10.50")


def move_selection(month: Month, selection_id: int, *, to: object, on: date) -> None:
    spans = SelectionClientSpan.objects.of(month.tenant)
    spans.filter(selection_id=selection_id).update(until=on)
    spans.create(selection_id=selection_id, client=to, since=on)


def test_a_selection_that_moves_is_paid_by_each_client_for_its_own_days(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    month.on_plan(world.client, plan)
    month.on_plan(world.resold_client, plan)
    move_selection(month, world.job.selection_id, to=world.resold_client, on=date(2026, 10, 11))
    month.measure(world.job, october(310 * GB))
    acme, bay = invoices_of(drafted(month))
    # 310 GB x 0.10 = 31.00 for a whole month: 10 of 31 days are 10.00, 21 of 31 are 21.00
    assert (acme.net, bay.net, acme.held + bay.held) == (Decimal("10.00"), Decimal("21.00"), [])
    assert lines_of(acme)[0].description.endswith("2026-10-01 to 2026-10-10")
    assert lines_of(bay)[0].description.endswith("2026-10-11 to 2026-10-31")


def test_wholesale_and_retail_come_from_the_same_usage(month: Month, world: World) -> None:
    retail = month.plan(**PER_GB)
    wholesale = month.plan(code="wholesale", name="Wholesale", price="per_unit", price_params={"unit_price": "0.04"})
    month.on_plan(world.resold_client, retail)
    harbour = month.agreement(month.bill_to("Harbour IT Ltd"))
    month.subscribe(world.reseller, wholesale, harbour)
    jobs = [make_job(world.tenant, world.server, world.resold_client, name) for name in ("a", "b")]
    month.measure(jobs[0], october(100 * GB))
    month.measure(jobs[1], october(50 * GB, first=1, last=31))
    sold, bought = (lines_of(invoice)[0] for invoice in invoices_of(drafted(month)))
    assert (sold.quantity, sold.amount) == (Decimal(150), Decimal("15.00"))
    assert (bought.quantity, bought.amount) == (Decimal(150), Decimal("6.00"))
    assert [one["name"] for one in bought.evidence] == ["Bay Bakery: backup01: a", "Bay Bakery: backup01: b"]

    def proven(line: Any) -> list[Any]:
        return [[day["source"] for day in selection["days"]] for selection in line.evidence]

    assert proven(sold) == proven(bought)


def test_a_client_that_changes_its_reseller_is_each_ones_for_its_days(month: Month, world: World) -> None:
    other = Reseller.objects.of(world.tenant).create(name="Pier IT", code="pier", created_at=NOVEMBER)
    spans = ClientResellerSpan.objects.of(world.tenant)
    spans.filter(client=world.resold_client).update(until=date(2026, 10, 21))
    spans.create(client=world.resold_client, reseller=other, since=date(2026, 10, 21))
    plan = month.plan(**PER_GB)
    for reseller in (world.reseller, other):
        month.subscribe(reseller, plan, month.agreement(month.bill_to(f"{reseller} Ltd")))
    job = make_job(world.tenant, world.server, world.resold_client, "a")
    month.measure(job, october(310 * GB))
    harbour, pier = invoices_of(drafted(month))
    # 31.00 a month: 20 days and 11 days of it
    assert (harbour.net, pier.net) == (Decimal("20.00"), Decimal("11.00"))


def test_trial_and_suspension_are_not_billed(month: Month, world: World) -> None:
    spans = ClientStateSpan.objects.of(world.tenant)
    spans.filter(client=world.client).update(state="trial", until=date(2026, 10, 11))
    spans.create(client=world.client, state="active", since=date(2026, 10, 11), until=date(2026, 10, 21))
    spans.create(client=world.client, state="suspended", since=date(2026, 10, 21))
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(310 * GB))
    # 10 of 31 days of 31.00
    assert only_invoice(drafted(month)).net == Decimal("10.00")


def test_a_subscription_that_begins_or_changes_within_the_month_is_prorated(month: Month, world: World) -> None:
    flat = month.plan(code="flat", price="flat", price_params={"fee": "31.00"})
    agreement = month.agreement(month.bill_to("Acme Dental"))
    month.subscribe(world.client, flat, agreement, starts_on=date(2026, 10, 22))
    month.measure(world.job, october(100 * GB))
    assert only_invoice(drafted(month)).net == Decimal("10.00")


def test_a_selection_with_its_own_subscription_leaves_the_pool(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Acme Dental"))
    month.subscribe(world.client, month.plan(**PER_GB), agreement)
    archive = make_job(world.tenant, world.server, world.client, "archive")
    cheap = month.plan(code="cheap", price="per_unit", price_params={"unit_price": "0.01"})
    month.subscribe(archive.selection, cheap, agreement)
    month.measure(world.job, october(100 * GB))
    month.measure(archive, october(1000 * GB))
    invoice = only_invoice(drafted(month))
    # 100 x 0.10 and 1000 x 0.01, nothing twice
    assert [(line.quantity, line.amount) for line in lines_of(invoice)] == [
        (Decimal(100), Decimal("10.00")), (Decimal(1000), Decimal("10.00")),
    ]  # fmt: skip


@pytest.mark.parametrize("pool, quantity", [("subscription", 250), ("selection", 300)])
def test_peaks_of_a_pool_and_of_each_selection_differ(month: Month, world: World, pool: str, quantity: int) -> None:
    month.on_plan(world.client, month.plan(meter="peak_day", pool=pool, **PER_GB))
    second = make_job(world.tenant, world.server, world.client, "second")
    # the first peaks at 150 on the 5th, the second at 150 on the 6th: together never above 250
    month.measure(world.job, october(100 * GB) | {date(2026, 10, 5): 150 * GB})
    month.measure(second, october(100 * GB) | {date(2026, 10, 6): 150 * GB})
    invoice = only_invoice(drafted(month))
    assert (invoice.held, lines_of(invoice)[0].quantity) == ([], Decimal(quantity))


@pytest.mark.parametrize(
    "currency, price, net, tax, total",
    [
        # 100.5 GB x 3 = 301.5: half up to whole yen 302; tax 30.2 = 30
        ("JPY", "3", "302", "30", "332"),
        # 100.5 x 0.0123 = 1.23615 = 1.236; tax 0.1236 = 0.124
        ("KWD", "0.0123", "1.236", "0.124", "1.360"),
        # 100.5 x 0.10 = 10.05; tax 1.005 half up = 1.01
        ("EUR", "0.10", "10.05", "1.01", "11.06"),
    ],
)
def test_currencies_with_none_two_and_three_decimals(
    month: Month, world: World, currency: str, price: str, net: str, tax: str, total: str
) -> None:
    plan = month.plan(code="unit", currency=currency, price="per_unit", price_params={"unit_price": price})
    month.on_plan(world.client, plan, tax_rate=Decimal("0.10"))
    half = days(OCTOBER, date(2026, 10, 31))
    month.measure(world.job, dict.fromkeys(half, 100 * GB + GB // 2))
    invoice = only_invoice(drafted(month))
    assert (invoice.net, invoice.tax, invoice.total) == (Decimal(net), Decimal(tax), Decimal(total))


@pytest.mark.parametrize("starts_with", ["first_good", "agreed"])
def test_a_month_before_the_tenant_began_is_not_charged(month: Month, world: World, starts_with: str) -> None:
    """Northwind and its client began here in January 2026; the contract is a year older."""
    agreement = month.agreement(month.bill_to("Acme Dental Ltd"), starts_on=date(2025, 1, 1))
    month.subscribe(world.client, month.plan(starts_with=starts_with, **PER_GB), agreement, starts_on=date(2025, 1, 1))
    month.measure(world.job, october(100 * GB))
    assert invoices_of(drafted(month, date(2025, 12, 1))) == []
    assert only_invoice(drafted(month)).net == Decimal("10.00")
