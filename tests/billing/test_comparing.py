"""What other meters would have billed: by hand for one month, whichever meter the plan has, in a few queries."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.comparing import ComparedMeter, compare_document, compare_line
from billing.finalising import finalise
from billing.invoicing import decide, draft_run
from billing.ledger import enter_usage
from billing.metering import METERS
from billing.models import Invoice, InvoiceLine
from billing.refusals import NotFound
from msp.estate.models import Machine, Selection, SelectionClientSpan
from tests.billing.months import ACTOR, BEGAN, GB, NOVEMBER, OCTOBER, Month, measurement, october, only_invoice
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}}


def by_meter(month: Month, line: InvoiceLine) -> dict[str, ComparedMeter]:
    return {each.meter: each for each in compare_line(month.tenant, line.uid).meters}


def drafted(month: Month) -> Invoice:
    return only_invoice(draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER))


def line_of(month: Month) -> InvoiceLine:
    line: InvoiceLine = InvoiceLine.objects.of(month.tenant).get(invoice=drafted(month))
    return line


def shop(month: Month, world: World) -> None:
    """Files: 100 GB at noon, on the 9th 900, and 120 at 1:00 each day. Mail: 62 GB until the 15th, then removed."""
    mail = make_job(world.tenant, world.server, world.client, "mail")
    month.measure(world.job, october(100 * GB) | {date(2026, 10, 9): 900 * GB})
    for place in range(31):
        at = datetime(2026, 10, 1, 1, tzinfo=UTC) + timedelta(days=place)
        enter_usage(month.tenant.pk, [measurement(world.job, at, 120 * GB)], now=at)
    month.measure(mail, october(62 * GB, last=15))
    SelectionClientSpan.objects.of(month.tenant).filter(selection=mail.selection).update(until=date(2026, 10, 16))


#: 30 x 100 + 900 = 3,900 for files and 15 x 62 = 930 for mail: 4,830 / 31 = 155.806..; with the largest of each day
#: 30 x 120 + 900 + 930 = 5,430 / 31 = 175.161..; peak 962 on the 9th; rank 30 of 31: 16 x 100, 14 x 162, 962;
#: last day 100; cumulative 100 + 62; 46 selection-days / 31 = 1.484.
EXPECTED = {
    "daily_average": ("155.806", "15.58"),
    "daily_maxima": ("175.161", "17.52"),
    "peak_day": ("962.000", "96.20"),
    "percentile_95": ("162.000", "16.20"),
    "last_day": ("100.000", "10.00"),
    "cumulative_unique": ("162.000", "16.20"),
    "count": ("1.484", None),
}


@pytest.mark.parametrize("used", ["daily_average", "daily_maxima", "percentile_95", "cumulative_unique"])
def test_every_meter_on_the_same_days_whichever_the_plan_has(month: Month, world: World, used: str) -> None:
    month.on_plan(world.client, month.plan(meter=used, **PER_GB))
    shop(month, world)
    line = line_of(month)
    shown = by_meter(month, line)
    assert {name: (str(each.quantity), each.amount and str(each.amount)) for name, each in shown.items()} == EXPECTED
    assert [name for name, each in shown.items() if each.is_used] == [used]
    assert (shown[used].amount, shown[used].difference) == (line.amount, Decimal("0.00"))
    assert shown["peak_day"].difference == Decimal("96.20") - line.amount
    assert (shown["count"].unit, shown["count"].difference) == ("each", None)


def test_a_final_line_is_compared_as_it_was_known_then(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    shop(month, world)
    final = finalise(world.tenant, drafted(month).uid, actor=ACTOR, now=NOVEMBER)
    late = datetime(2026, 10, 20, 20, tzinfo=UTC)
    enter_usage(month.tenant.pk, [measurement(world.job, late, 5000 * GB)], now=NOVEMBER + timedelta(days=1))
    shown = by_meter(month, InvoiceLine.objects.of(month.tenant).get(invoice=final))
    assert str(shown["daily_maxima"].quantity) == "175.161"


@pytest.mark.parametrize(("decision", "average"), [("exclude_missing", "100.000"), ("carry_missing", "106.452")])
def test_missing_days_stay_as_they_were_decided(month: Month, world: World, decision: str, average: str) -> None:
    """Nothing from the 22nd on: left out, or carried by the last figure, which is the largest too."""
    month.on_plan(world.client, month.plan(meter="peak_day", carry_days=0, **PER_GB))
    month.measure(world.job, october(100 * GB, last=20) | {date(2026, 10, 20): 80 * GB, date(2026, 10, 21): 120 * GB})
    draft = drafted(month)
    decide(month.tenant, draft.uid, decision=decision, actor=ACTOR, reason="agreed", now=NOVEMBER)
    line = InvoiceLine.objects.of(month.tenant).get(invoice=draft)
    # 19 x 100 + 80 + 120 = 2,100 on 21 days; with 10 more of 120: 3,300 / 31 = 106.4516
    assert str(by_meter(month, line)["daily_average"].quantity) == average


def test_a_plan_of_things_is_compared_with_sizes_it_has_no_price_for(month: Month, world: World) -> None:
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="srv1", registered_at=BEGAN)
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(machine=machine)
    terms: dict[str, Any] = {"unit": "each", "price": "per_unit", "price_params": {"unit_price": "9"}}
    month.on_plan(world.client, month.plan(meter="count", meter_params={"things": "machines"}, **terms))
    month.measure(world.job, october(100 * GB))
    shown = by_meter(month, line_of(month))
    assert (shown["count"].amount, shown["count"].is_used) == (Decimal("9.00"), True)
    assert (str(shown["peak_day"].quantity), shown["peak_day"].unit, shown["peak_day"].amount) == (
        "100.000",
        "GB",
        None,
    )


def test_a_plan_of_a_number_is_not_counted_once_more(month: Month, world: World) -> None:
    terms: dict[str, Any] = {"unit": "each", "price": "per_unit", "price_params": {"unit_price": "9"}}
    month.on_plan(world.client, month.plan(metric="components", **terms))
    month.measure(world.job, october(100 * GB))
    draft = Invoice.objects.of(month.tenant).filter(pk=drafted(month).pk).get()
    for line in InvoiceLine.objects.of(month.tenant).filter(invoice=draft):
        assert "count" not in by_meter(month, line)


def test_a_document_is_added_up_by_each_meter(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Holding Ltd"))
    plan = month.plan(**PER_GB)
    month.subscribe(world.client, plan, agreement)
    month.subscribe(world.resold_client, plan, agreement)
    share: dict[str, Any] = {"percent": "10", "plans": [{"code": "tiered"}]}
    month.subscribe(world.client, month.plan("support", price="percentage", price_params=share), agreement)
    shop(month, world)
    month.measure(make_job(world.tenant, world.server, world.resold_client, "oven"), october(50 * GB))
    document = compare_document(month.tenant, drafted(month).uid)
    totals = {each.meter: each for each in document.totals}
    # 15.58 and 5.00 and 10 % of 15.58; by the peak 96.20 in place of 15.58, and the percentage stays as it was billed
    assert document.net == Decimal("22.14")
    assert (totals["peak_day"].amount, totals["peak_day"].difference) == (Decimal("102.76"), Decimal("80.62"))
    assert totals["daily_average"].is_used
    assert set(totals) == set(METERS) - {"count"}
    assert [bool(line.meters) for line in document.lines] == [True, True, False]


def test_the_number_of_queries_does_not_grow_with_the_lines(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Holding Ltd"))
    plan = month.plan(**PER_GB)
    month.subscribe(world.client, plan, agreement)
    month.measure(world.job, october(100 * GB))

    def queries() -> int:
        draft = drafted(month)
        with CaptureQueriesContext(connection) as captured:
            compare_document(month.tenant, draft.uid)
        return len(captured)

    one = queries()
    month.subscribe(world.resold_client, plan, agreement)
    for place in range(5):
        month.measure(make_job(world.tenant, world.server, world.resold_client, f"oven {place}"), october(50 * GB))
    assert queries() == one


def test_nobody_elses_lines_are_compared(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    line = line_of(month)
    for uid in (line.uid, uuid4()):
        with pytest.raises(NotFound):
            compare_line(world.other, uid)
    with pytest.raises(NotFound):
        compare_document(world.other, line.invoice.uid)
