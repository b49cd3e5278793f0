"""Support at 15 % of the backup lines: composed after them, verified against them, and never a chain."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.days import month_of
from billing.finalising import finalise
from billing.invoicing import draft_run, redraft
from billing.leaking import find_leaks
from billing.models import Invoice, Plan
from billing.params import BadParams
from billing.plans import PlanDraft, draft_of, make_plan, new_version
from billing.refusals import Refused
from billing.reviewing import compare_with_last_month, unbilled
from billing.snapshots import frozen
from billing.subscribing import change_plan
from billing.verifying import _base_differences, verify
from msp.estate.models import Machine, Selection
from tests.billing.months import (
    ACTOR,
    BEGAN,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    lines_of,
    nights,
    october,
    only_invoice,
)
from tests.world import World, make_job

pytestmark = pytest.mark.django_db


def support(month: Month, code: str = "support", **values: Any) -> Plan:
    """15 % of the lines of the plan "tiered"."""
    share: dict[str, Any] = {"percent": "15", "plans": [{"code": "tiered"}]}
    return month.plan(code, **({"name": "Support", "price": "percentage", "price_params": share} | values))


def drafted(month: Month) -> Invoice:
    return only_invoice(draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER))


def test_support_is_a_share_of_the_backup_lines(month: Month, world: World) -> None:
    plan, payer = month.plan(), month.bill_to("Acme Dental Ltd", tax_rate=Decimal("0.19"))
    agreement = month.agreement(payer)
    month.measure(world.job, october(250 * GB))
    # the percentage is agreed first: the order of subscriptions does not matter
    month.subscribe(world.client, support(month), agreement)
    month.subscribe(world.client, plan, agreement)
    final = finalise(world.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    sizes, share = lines_of(final)
    # 100 x 0.10 + 150 x 0.08 = 22.00; 15 % of it 3.30; tax 19 % of 25.30 = 4.807
    assert (sizes.kind, sizes.amount, share.kind, share.amount) == ("usage", Decimal(22), "percentage", Decimal("3.30"))
    assert (share.quantity, share.unit, final.tax, final.total) == (
        Decimal(15), "%", Decimal("4.81"), Decimal("30.11"),
    )  # fmt: skip
    assert share.description == "Acme Dental: Support, 15 % of tiered, October 2026"
    assert verify(world.tenant, final.uid).differences == ()
    assert unbilled(world.tenant, final.run) == ()


def test_a_line_that_is_not_that_of_the_document_does_not_verify(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Acme Dental Ltd"))
    month.measure(world.job, october(250 * GB))
    month.subscribe(world.client, month.plan(), agreement)
    month.subscribe(world.client, support(month), agreement)
    final = finalise(world.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    snapshot = frozen(final)
    assert list(_base_differences(snapshot)) == []
    snapshot["lines"][0]["amount"] = "21.00"
    (difference,) = _base_differences(snapshot)
    assert difference == "Line 2 is taken of a line of 22.00, but 21.00 is on the document."


def test_only_the_named_plans_of_the_same_client_count(month: Month, world: World) -> None:
    payer = month.bill_to("Holding Ltd")
    agreement = month.agreement(payer)
    plan, other = month.plan(), month.plan("flat", price="flat", price_params={"fee": "100"})
    mail = make_job(world.tenant, world.server, world.client, "mail")
    bakery = make_job(world.tenant, world.server, world.resold_client, "oven")
    for job in (world.job, mail, bakery):
        month.measure(job, october(50 * GB))
    month.subscribe(world.client, plan, agreement)
    month.subscribe(mail.selection, other, agreement)
    month.subscribe(world.resold_client, plan, agreement)
    month.subscribe(world.client, support(month), agreement)
    lines = lines_of(drafted(month))
    # Acme: 5.00 and a flat 100.00 for mail; the bakery 5.00, on the same document; 15 % of Acme's 5.00
    assert [(line.kind, line.amount) for line in lines] == [
        ("usage", Decimal(5)), ("usage", Decimal(100)), ("usage", Decimal(5)), ("percentage", Decimal("0.75")),
    ]  # fmt: skip


def test_a_percentage_that_begins_mid_month_takes_its_days_of_the_line(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Acme Dental Ltd"))
    month.measure(world.job, october(310 * GB))
    month.subscribe(world.client, month.plan(price="per_unit", price_params={"unit_price": "0.10"}), agreement)
    month.subscribe(world.client, support(month, minimum=Decimal(1)), agreement, starts_on=date(2026, 10, 16))
    _, share = lines_of(drafted(month))
    assert share.amount == Decimal("2.40")  # 15 % of 31.00 x 16/31
    assert share.description == "Acme Dental: Support, 15 % of tiered, 2026-10-16 to 2026-10-31"


def test_without_a_line_to_take_it_of_nothing_is_charged(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Acme Dental Ltd"))
    month.plan()
    month.subscribe(world.client, support(month, minimum=Decimal(20)), agreement)
    month.measure(world.job, october(10 * GB))
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    assert not Invoice.objects.of(month.tenant).filter(run=run).exists()
    # and what is protected on no plan of sizes is still told, and no percentage is its price
    assert [each.selection for each in unbilled(month.tenant, run)] == ["backup01: files"]
    (leak,) = find_leaks(month.tenant, period=month_of(2026, 10), flagged={}, now=NOVEMBER)
    assert (leak.kind, leak.amount) == ("unplanned", None)


def test_a_change_of_the_base_is_a_change_of_the_share_and_a_second_run_writes_nothing(
    month: Month, world: World
) -> None:
    agreement = month.agreement(month.bill_to("Acme Dental Ltd"))
    month.subscribe(world.client, month.plan(), agreement)
    month.subscribe(world.client, support(month), agreement)
    month.measure(world.job, nights(date(2026, 9, 1), date(2026, 9, 30), 50 * GB) | october(100 * GB))
    draft_run(month.tenant, month.seller, first_day=date(2026, 9, 1), actor=ACTOR, now=NOVEMBER)
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    changes = {each.unit: (each.before, each.now, each.reason) for each in compare_with_last_month(month.tenant, run)}
    assert changes == {
        "GB": (Decimal(5), Decimal(10), "grew"),
        "%": (Decimal("0.75"), Decimal("1.50"), "grew"),
    }
    written = redraft(month.tenant, run, now=NOVEMBER.replace(hour=9))
    assert written.cut_off == run.cut_off


def test_a_chain_or_nothing_to_take_it_of_is_refused_when_the_plan_is_made(month: Month) -> None:
    month.plan()
    support(month)
    month.plan("usd", currency="USD")
    for code, sentence in (
        ("support", "the plan support is a percentage itself"),
        ("nothing", "there is no plan nothing"),
        ("extra", "a plan cannot be a percentage of itself"),
        ("usd", "the plan usd is in USD, this one in EUR"),
    ):
        share = {"percent": "10", "plans": [{"code": "tiered"}, {"code": code}]}
        with pytest.raises(BadParams, match=f"plans: {sentence}"):
            support(month, "extra", price_params=share)
    month.plan("other")
    share = {"percent": "1", "plans": [{"code": "other"}]}
    other = draft_of(Plan.objects.of(month.tenant).get(code="support"), price_params=share)
    with pytest.raises(BadParams, match="the plan support is a percentage of this one"):
        new_version(month.tenant, code="tiered", draft=other, actor=ACTOR, now=NOVEMBER)


def test_a_percentage_stands_beside_the_sizes_once_and_for_no_single_selection(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Acme Dental Ltd"))
    plan, share = month.plan(), support(month)
    month.subscribe(world.client, plan, agreement)
    first = month.subscribe(world.client, share, agreement)
    with pytest.raises(Refused, match="is on plan Support"):
        month.subscribe(world.client, share, agreement, starts_on=date(2026, 5, 1))
    with pytest.raises(Refused, match="put a client or a reseller on it, not one selection"):
        month.subscribe(world.job.selection, share, agreement)
    with pytest.raises(Refused, match="stand side by side"):
        change_plan(first, tenant=world.tenant, plan=plan, on=date(2026, 10, 16), actor=ACTOR, now=NOVEMBER)
    second = month.subscribe(world.client, support(month, "care", name="Care"), agreement)
    with pytest.raises(Refused, match="is on plan Support"):
        change_plan(second, tenant=world.tenant, plan=share, on=date(2026, 10, 16), actor=ACTOR, now=NOVEMBER)


def test_a_resellers_percentage_is_taken_of_its_own_line(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Harbour IT Ltd"))
    month.measure(make_job(world.tenant, world.server, world.resold_client, "oven"), october(100 * GB))
    month.subscribe(world.reseller, month.plan(), agreement)
    month.subscribe(world.reseller, support(month), agreement)
    assert [line.amount for line in lines_of(drafted(month))] == [Decimal(10), Decimal("1.50")]


# ---- the other new terms, through a whole month -------------------------------------------------------------------


def test_machines_and_allowances_are_counted_from_what_is_covered(month: Month, world: World) -> None:
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="srv1", registered_at=BEGAN)
    mail, db = (make_job(world.tenant, world.server, world.client, name) for name in ("mail", "db"))
    for job in (world.job, mail):
        Selection.objects.of(world.tenant).filter(pk=job.selection_id).update(machine=machine)
    month.measure(world.job, october(200 * GB))
    month.measure(mail, october(100 * GB))
    month.measure(db, october(62 * GB, first=16))
    plan = month.plan(
        price="machine_and_size", price_params={"fee": "31", "unit_price": "0.10"}, allowance_each=Decimal(31),
        quantity_rounding="up", quantity_places=0,
    )  # fmt: skip
    month.on_plan(world.client, plan)
    final = finalise(world.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    (line,) = lines_of(final)
    # 300 + 62 x 16/31 = 332 GB; machines: srv1 31 days and db by itself 16: 47/31 x 31 = 47.00
    # included 31 for each of (31 + 31 + 16)/31 selections = 78 GB; 254 x 0.10 = 25.40; together 72.40
    assert (line.quantity, line.amount) == (Decimal(332), Decimal("72.40"))
    assert verify(world.tenant, final.uid).differences == ()


def test_cumulative_unique_counts_things_whole_for_an_allowance(month: Month, world: World) -> None:
    mail = make_job(world.tenant, world.server, world.client, "mail")
    month.measure(world.job, october(100 * GB))
    month.measure(mail, october(100 * GB, first=16))
    terms: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}}
    month.on_plan(world.client, month.plan(meter="cumulative_unique", allowance_each=Decimal(30), **terms))
    (line,) = lines_of(drafted(month))
    assert line.amount == Decimal("14.00")  # 200 - 2 x 30 = 140


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"maximum": Decimal(5), "minimum": Decimal(6)}, "maximum"),
        ({"maximum": Decimal("0.00001")}, "maximum"),
        ({"minimum": Decimal("1e15")}, "minimum"),
        ({"allowance_each": Decimal("0.0000001")}, "allowance_each"),
        ({"allowance_per": "client"}, "allowance_per"),
        ({"quantity_rounding": "even"}, "quantity_rounding"),
    ],
)
def test_terms_that_cannot_be_kept_are_refused(month: Month, changes: dict[str, Any], field: str) -> None:
    terms: dict[str, Any] = {"name": "x", "currency": "EUR", "price": "flat", "price_params": {"fee": "1"}} | changes
    with pytest.raises(BadParams) as refused:
        make_plan(month.tenant, code="x", draft=PlanDraft(**terms), actor=ACTOR, now=NOVEMBER)
    assert refused.value.field == field
