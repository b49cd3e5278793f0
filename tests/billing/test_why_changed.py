"""Why a line changed: each reason's part, reckoned by hand, and that parts always add up to the difference."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.finalising import finalise
from billing.invoicing import draft_run, redraft_one
from billing.models import Invoice
from billing.refusals import NotFound
from billing.subscribing import change_plan
from billing.why_changed import DocumentChange, LineChange, why_document_changed, why_line_changed
from billing.wrong_days import correct_day
from tests.billing.months import (
    ACTOR,
    BEGAN,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    days,
    invoices_of,
    lines_of,
    nights,
    october,
    only_invoice,
)
from tests.world import World, make_client, make_job

pytestmark = pytest.mark.django_db
SEPTEMBER = date(2026, 9, 1)
PER_GB: Mapping[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


def september(size: int, *, first: int = 1) -> dict[date, int]:
    return nights(date(2026, 9, first), date(2026, 9, 30), size)


def october_invoice(month: Month) -> Invoice:
    draft_run(month.tenant, month.seller, first_day=SEPTEMBER, actor=ACTOR, now=NOVEMBER)
    return only_invoice(draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER))


def change_of(month: Month, invoice: Invoice | None = None) -> LineChange:
    (line,) = lines_of(invoice or october_invoice(month))
    return why_line_changed(month.tenant, line.uid)


def parts_of(change: LineChange) -> dict[str, str]:
    assert sum((part.amount for part in change.parts), Decimal(0)) == change.difference
    return {part.kind: str(part.amount) for part in change.parts}


def test_growth_is_told_with_the_day_of_its_largest_step(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, september(250 * GB) | october(250 * GB, last=11) | october(312 * GB, first=12))
    change = change_of(month)
    # 20 of 31 days have 62 GB more: 40 GB on average at 0.10
    assert (change.before, change.now, parts_of(change)) == (Decimal(25), Decimal(29), {"size": "4.00"})
    assert change.words == (
        "+4.00 EUR: backup01: files grew by 40 GB on average (250 GB to 290 GB), "
        "the largest step on 12 October (+62 GB) (+4.00)"
    )
    twelfth = change.days[11]
    assert (twelfth.before_day, twelfth.day) == (date(2026, 9, 12), date(2026, 10, 12))
    assert (twelfth.before, twelfth.now, twelfth.difference) == (250 * GB, 312 * GB, 62 * GB)
    assert (change.days[30].before_day, change.days[30].difference) == (None, None)
    assert change.steps_before[-1].endswith("= 25.00 EUR")


def test_days_come_before_sizes(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, september(100 * GB, first=16) | october(130 * GB))
    change = change_of(month)
    # 15 of 30 days are half of 10.00; a whole month at 100 GB is 5.00 more; then 30 GB more at 0.10
    assert (change.before, parts_of(change)) == (Decimal(5), {"days": "5.00", "size": "3.00"})
    assert "16 more days charged (31 instead of 15)" in change.words


def test_selections_that_came_and_went_are_named(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    old, new = (make_job(world.tenant, world.server, world.client, name) for name in ("old", "new"))
    month.measure(world.job, september(100 * GB) | october(100 * GB))
    month.measure(old, september(50 * GB))
    type(old.selection).objects.of(world.tenant).filter(pk=old.selection_id).update(state="retired")
    month.measure(new, october(80 * GB))
    change = change_of(month)
    assert parts_of(change).get("joined") == "8.00"
    joined = next(part for part in change.parts if part.kind == "joined")
    assert joined.subject == "backup01: new"
    assert sum((part.amount for part in change.parts), Decimal(0)) == change.difference


def test_another_plan_comes_last_and_is_named(month: Month, world: World) -> None:
    subscription = month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, september(100 * GB) | october(120 * GB))
    dearer = month.plan("dearer", price="per_unit", price_params={"unit_price": "0.15"})
    change_plan(subscription, plan=dearer, on=OCTOBER, tenant=world.tenant, actor=ACTOR, now=BEGAN)
    change = change_of(month)
    # 20 GB more at the old 0.10, then 120 GB at 0.05 more
    assert parts_of(change) == {"size": "2.00", "price": "6.00"}
    assert [part.kind for part in change.parts] == ["size", "price"]


def test_carried_days_and_corrected_ones_are_told_apart_from_growth(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    sizes = october(100 * GB, last=10) | {date(2026, 10, 11): 131 * GB} | october(100 * GB, first=14)
    month.measure(world.job, september(100 * GB) | sizes)
    invoice = october_invoice(month)
    # the 11th has 31 GB more, carried on the 12th and 13th: 0.10 a day
    assert parts_of(change_of(month, invoice)) == {"size": "0.10", "gap": "0.20"}
    correct_day(
        world.tenant, world.job.selection, metric="protected", day=date(2026, 10, 20), quantity=193 * GB,
        source=f"run:{world.job.pk}:run-20261020T120000", actor=ACTOR, reason="typed wrong", now=NOVEMBER,
    )  # fmt: skip
    again = redraft_one(world.tenant, invoice.uid, now=NOVEMBER)
    assert again is not None
    change = change_of(month, again)
    assert parts_of(change) == {"size": "0.10", "gap": "0.20", "correction": "0.30"}
    assert "20 October corrected by a person" in change.words


def test_a_first_month_and_an_unchanged_one(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB) | nights(date(2026, 11, 1), date(2026, 11, 30), 100 * GB))
    assert parts_of(change_of(month)) == {"new": "10.0000"}
    december = NOVEMBER + timedelta(days=31)
    run = draft_run(month.tenant, month.seller, first_day=date(2026, 11, 1), actor=ACTOR, now=december)
    change = change_of(month, only_invoice(run))
    assert (change.difference, len(change.parts)) == (Decimal(0), 0)
    assert change.words == "Nothing changed in the amount."


def test_a_document_adds_its_lines_and_those_that_went(month: Month, world: World) -> None:
    subscription = month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, september(100 * GB) | october(100 * GB))
    extra = make_job(world.tenant, world.server, world.client, "extra")
    month.measure(extra, september(40 * GB) | october(70 * GB))
    month.subscribe(extra.selection, month.plan("apart", price="flat", price_params={"fee": "9"}),
                    subscription.agreement, starts_on=OCTOBER)  # fmt: skip
    draft = october_invoice(month)
    finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER)
    change = why_document_changed(world.tenant, draft.uid)
    assert (change.before, change.now) == (Decimal(14), Decimal(19))
    assert _sum(change) == change.difference == Decimal(5)
    assert {part.kind for line in change.lines for part in line.parts} == {"new", "left"}
    with pytest.raises(NotFound):
        why_document_changed(world.other, draft.uid)
    with pytest.raises(NotFound):
        why_line_changed(world.other, lines_of(draft)[0].uid)


def _sum(change: DocumentChange) -> Decimal:
    return sum((part.amount for line in change.lines for part in line.parts), Decimal(0))


def test_more_lines_need_no_more_queries(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    subscription = month.on_plan(world.client, plan)
    month.measure(world.job, september(100 * GB) | october(110 * GB))

    def queries() -> int:
        draft = october_invoice(month)
        with CaptureQueriesContext(connection) as captured:
            why_document_changed(world.tenant, draft.uid)
        return len(captured)

    before = queries()
    for place in range(3):
        job = make_job(world.tenant, world.server, make_client(world.tenant, f"C{place}"), f"disk{place}")
        month.measure(job, september(10 * GB) | october(20 * GB))
        month.subscribe(job.selection.client, plan, subscription.agreement)
    assert queries() == before
    assert len(invoices_of(draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER))) == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_parts_add_up_whatever_happened(month: Month, world: World, data: st.DataObject) -> None:
    with transaction.atomic():
        change = _anything_happened(month, world, data)
        transaction.set_rollback(True)
    assert _sum(change) == change.difference
    assert "other" not in {part.kind for line in change.lines for part in line.parts}


def _anything_happened(month: Month, world: World, data: st.DataObject) -> DocumentChange:
    meter = data.draw(st.sampled_from(["daily_average", "peak_day", "last_day", "percentile_95"]))
    plan = month.plan("any", meter=meter, minimum=Decimal(data.draw(st.integers(0, 20))), carry_days=40)
    month.on_plan(world.client, plan)
    for place in range(data.draw(st.integers(1, 3))):
        job = make_job(world.tenant, world.server, world.client, f"any {place}")
        measured = data.draw(st.sets(st.sampled_from(days(SEPTEMBER, date(2026, 10, 31))), min_size=1, max_size=12))
        month.measure(job, {day: data.draw(st.integers(1, 900)) * GB + 1 for day in sorted(measured)})
    draft_run(month.tenant, month.seller, first_day=SEPTEMBER, actor=ACTOR, now=NOVEMBER)
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    return why_document_changed(world.tenant, only_invoice(run).uid)
