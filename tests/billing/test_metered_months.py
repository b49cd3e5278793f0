"""Months metered by largest figures, percentile, cumulative unique and count: drafted, finalised and verified."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.finalising import finalise
from billing.invoicing import draft_run
from billing.ledger import enter_usage
from billing.models import InvoiceLine
from billing.params import BadParams
from billing.verifying import _working_differences, verify
from msp.backups.models import BackupJob
from msp.estate.models import Machine, Selection, SelectionClientSpan
from tests.billing.months import (
    ACTOR,
    BEGAN,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    lines_of,
    measurement,
    october,
    only_invoice,
)
from tests.world import World, make_client, make_job

pytestmark = pytest.mark.django_db
EACH: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}}


def twice_a_day(month: Month, job: BackupJob, *, early: int, late: int) -> None:
    """A run at 2 and one at 22 o'clock UTC of each day of October."""
    for place in range(31):
        for hour, size in ((2, early), (22, late)):
            at = datetime(2026, 10, 1, hour, tzinfo=UTC) + timedelta(days=place)
            enter_usage(month.tenant.pk, [measurement(job, at, size)], now=at + timedelta(hours=1))


def made_final(month: Month, world: World) -> InvoiceLine:
    """October's only line, after its document was finalised and verified."""
    run = draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    draft = only_invoice(run)
    assert draft.held == []
    final = finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(world.tenant, final.uid).differences == ()
    (line,) = lines_of(final)
    return line


def test_the_largest_run_of_each_day_is_billed_and_proven(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(meter="daily_maxima", **EACH))
    twice_a_day(month, world.job, early=90 * GB, late=60 * GB)
    line = made_final(month, world)
    assert (line.quantity, line.amount) == (Decimal(90), Decimal("9.00"))
    first = line.evidence[0]["days"][0]
    assert (first["quantity"], first["run_key"]) == (90 * GB, "run-20261001T020000")
    assert "average of daily maxima of protected size" in line.description


def test_a_forged_largest_figure_does_not_verify(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(meter="daily_maxima", **EACH))
    twice_a_day(month, world.job, early=90 * GB, late=60 * GB)
    line = made_final(month, world)
    # a larger figure of the same day, known before the cut-off, that the document does not rest on
    at = datetime(2026, 10, 4, 12, tzinfo=UTC)
    enter_usage(world.tenant.pk, [measurement(world.job, at, 95 * GB)], now=at)
    (difference,) = verify(world.tenant, line.invoice.uid).differences
    assert "on 2026-10-04: billed by 90000000000 bytes of run:" in difference


def test_other_plans_of_the_same_run_still_take_the_last_figure(month: Month, world: World) -> None:
    twice_a_day(month, world.job, early=90 * GB, late=60 * GB)
    other = make_job(world.tenant, world.server, world.resold_client, "oven")
    month.measure(other, october(7 * GB))
    month.on_plan(world.resold_client, month.plan("maxima", meter="daily_maxima", **EACH))
    subscription = month.on_plan(world.client, month.plan(**EACH))
    draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    line = InvoiceLine.objects.of(world.tenant).get(subscription=subscription)
    assert line.quantity == 60


def test_a_percentile_leaves_one_large_day_of_a_month_out(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(meter="percentile_95", **EACH))
    month.measure(world.job, october(100 * GB) | {date(2026, 10, 9): 900 * GB, date(2026, 10, 20): 140 * GB})
    # 31 days: rank 30 of 29 x 100, 140, 900
    assert made_final(month, world).quantity == 140


def test_cumulative_unique_charges_what_was_removed_whole(month: Month, world: World) -> None:
    mail = make_job(world.tenant, world.server, world.client, "mail")
    month.on_plan(world.client, month.plan(meter="cumulative_unique", **EACH))
    month.measure(world.job, october(100 * GB))
    month.measure(mail, october(40 * GB, last=10))
    SelectionClientSpan.objects.of(world.tenant).filter(selection=mail.selection).update(until=date(2026, 10, 11))
    assert made_final(month, world).quantity == 140


def test_cumulative_unique_is_prorated_by_the_subscription_and_not_by_what_is_left(month: Month, world: World) -> None:
    plan, payer = month.plan(meter="cumulative_unique", **EACH), month.bill_to("Acme Dental Ltd")
    month.subscribe(world.client, plan, month.agreement(payer), starts_on=date(2026, 10, 17))
    month.measure(world.job, october(310 * GB, last=20))
    SelectionClientSpan.objects.of(world.tenant).filter(selection=world.job.selection).update(until=date(2026, 10, 21))
    line = made_final(month, world)
    # billable on 17 to 20 October, but the subscription runs for 15 of 31 days: 310 x 0.10 x 15 / 31 = 15.00
    assert (line.working["billable_days"], line.quantity, line.amount) == (4, Decimal(310), Decimal("15.00"))


def three_things(month: Month, world: World) -> None:
    """Files and mail on one machine, mail from the 16th on; a database on no machine until the 10th."""
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="srv1", registered_at=BEGAN)
    mail, db = (make_job(world.tenant, world.server, world.client, name) for name in ("mail", "db"))
    for job in (world.job, mail):
        Selection.objects.of(world.tenant).filter(pk=job.selection_id).update(machine=machine)
    month.measure(world.job, october(100 * GB))
    month.measure(mail, october(40 * GB, first=16))
    month.measure(db, october(5 * GB, last=10))
    SelectionClientSpan.objects.of(world.tenant).filter(selection=db.selection).update(until=date(2026, 10, 11))


@pytest.mark.parametrize(
    "settings,quantity,amount",
    [
        ({"things": "machines", "days": "peak"}, "2", "20.00"),
        ({"things": "machines", "days": "last"}, "1", "10.00"),
        ({"things": "machines"}, "1.323", "13.23"),  # 41 machine-days / 31
        ({}, "1.839", "18.39"),  # 57 selection-days / 31
    ],
)
def test_machines_and_selections_are_counted(
    month: Month, world: World, settings: dict[str, str], quantity: str, amount: str
) -> None:
    terms: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "10"}, "unit": "each"}
    month.on_plan(world.client, month.plan(meter="count", meter_params=settings, **terms))
    three_things(month, world)
    line = made_final(month, world)
    assert (line.quantity, line.unit, line.amount) == (Decimal(quantity), "each", Decimal(amount))
    assert f"count of {settings.get('things', 'selections')}" in line.description


def test_a_count_that_is_not_proven_does_not_verify(month: Month, world: World) -> None:
    terms: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "10"}, "unit": "each"}
    month.on_plan(world.client, month.plan(meter="count", **terms))
    three_things(month, world)
    line = made_final(month, world)
    forged = {"lines": [{"position": 1, "working": line.working, "evidence": line.evidence}]}
    assert list(_working_differences(forged)) == []
    database = next(each for each in line.evidence if each["name"].endswith("db"))
    database["days"][3] |= {"quantity": None, "state": "not_billable"}
    (difference,) = _working_differences(forged)
    assert "db is charged 1 on 2026-10-04, but 0 is proven" in difference


def test_a_resellers_clients_reach_its_tiers_together(month: Month, world: World) -> None:
    second = make_client(world.tenant, "Cove Clinic", reseller=world.reseller)
    month.subscribe(world.reseller, month.plan(), month.agreement(month.bill_to("Harbour IT Ltd")))
    for client in (world.resold_client, second):
        month.measure(make_job(world.tenant, world.server, client, f"of {client}"), october(80 * GB))
    line = made_final(month, world)
    # 160 GB in one pool: 100 x 0.10 + 60 x 0.08; each client alone would pay 8.00
    assert (line.quantity, line.amount) == (Decimal(160), Decimal("14.80"))


@pytest.mark.parametrize(
    "terms,sentence",
    [
        ({"meter": "count"}, "unit: the meter counts things: choose the unit each"),
        ({"unit": "each"}, "unit: sizes are billed in a unit of bytes"),
        ({"meter": "count", "unit": "each", "pool": "selection"}, "pool: things are counted together"),
        ({"meter": "count", "unit": "each", "meter_params": {"things": "x"}}, "things: this must be one of"),
    ],
)
def test_plans_that_cannot_be_metered_are_refused(month: Month, terms: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadParams, match=sentence):
        month.plan(**(EACH | terms))
