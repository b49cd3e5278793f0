"""The running month: what is certain, what it comes to by the last figures, and if sizes go on growing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.forecasting import Forecast, ForecastLine, forecast
from tests.api.conftest import Caller
from tests.billing.months import GB, TIERS, Month, days, nights
from tests.dashboard.scene import browser_of
from tests.world import World, make_client, make_job, make_key

pytestmark = pytest.mark.django_db
PER_GB: Mapping[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
#: The morning of 11 October: ten days of 31 are over.
ELEVENTH = datetime(2026, 10, 11, 8, tzinfo=UTC)
SEPTEMBER = date(2026, 9, 1)


def growing(first: date, last: date, *, start: int, by: int) -> dict[date, int]:
    return {day: (start + by * place) * GB for place, day in enumerate(days(first, last))}


def only(told: Forecast) -> ForecastLine:
    (line,) = told.lines
    return line


def test_floor_and_ceiling_of_a_steady_size(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, nights(SEPTEMBER, date(2026, 10, 10), 310 * GB))
    told = forecast(world.tenant, now=ELEVENTH)
    assert (told.days, told.days_over) == (31, 10)
    line = only(told)
    # 310 GB at 0.10 are 31.00 a month: 10 of 31 days are 10.00
    assert (line.floor, line.steady, line.growing) == (Decimal(10), Decimal(31), Decimal(31))
    (total,) = told.totals
    assert (total.layer, total.currency, total.floor, total.steady) == ("retail", "EUR", Decimal(10), Decimal(31))
    assert line.notices == ()


def test_growth_goes_on_as_in_the_last_thirty_days(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, growing(SEPTEMBER, date(2026, 10, 10), start=61, by=1))
    line = only(forecast(world.tenant, now=ELEVENTH))
    # the first ten days hold 91 to 100 GB, the last figure; then 21 days of 100, or 101 to 121
    assert line.floor == Decimal("3.08")  # 95.5 GB x 0.10 x 10/31
    assert line.steady == Decimal("9.85")  # (955 + 2100) / 31 = 98.548 GB
    assert line.growing == Decimal("10.60")  # (955 + 2331) / 31 = 106 GB


def test_a_tier_is_told_before_it_is_passed(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan("bands", price="tiered", price_params=TIERS, allowance=Decimal(10)))
    month.measure(world.job, growing(SEPTEMBER, date(2026, 10, 10), start=61, by=1))
    (notice,) = only(forecast(world.tenant, now=ELEVENTH)).notices
    # 100 GB, 1 GB more a day; the first band ends at 100 GB above the 10 GB that are included
    assert (notice.boundary, notice.unit, notice.day) == (Decimal(110), "GB", date(2026, 10, 21))
    assert notice.sentence == (
        "Passes 110 GB about 21 October, growing as in the last 30 days: what is above costs 0.08 EUR a GB."
    )


def test_an_allowance_is_told_before_it_is_passed(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(allowance=Decimal(120), **PER_GB))
    month.measure(world.job, growing(SEPTEMBER, date(2026, 10, 10), start=61, by=1))
    line = only(forecast(world.tenant, now=ELEVENTH))
    assert [(each.boundary, each.day) for each in line.notices] == [(Decimal(120), date(2026, 10, 31))]
    assert "what is above is charged" in line.notices[0].sentence


def test_what_shrinks_is_taken_as_steady_and_missing_days_by_the_last_figure(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(carry_days=0, **PER_GB))
    month.measure(world.job, growing(SEPTEMBER, date(2026, 10, 5), start=345, by=-1))
    line = only(forecast(world.tenant, now=ELEVENTH))
    # 315, 314, 313, 312, 311 GB, then 311 on each of the 26 days left: 9651 / 31
    assert line.steady == line.growing == Decimal("31.13")


def test_a_client_alone_and_nobody_elses(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    month.on_plan(world.client, plan)
    month.measure(world.job, nights(SEPTEMBER, date(2026, 10, 10), 100 * GB))
    other = make_client(world.tenant, "Second")
    month.on_plan(other, plan)
    assert [line.who for line in forecast(world.tenant, now=ELEVENTH, client_id=other.pk).lines] == ["Second"]
    assert forecast(world.other, now=ELEVENTH).lines == ()
    first_of_month = datetime(2026, 10, 1, 8, tzinfo=UTC)
    assert forecast(world.tenant, now=first_of_month).totals[0].floor == 0


def test_more_clients_need_no_more_queries(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    month.on_plan(world.client, plan)
    month.measure(world.job, nights(date(2026, 10, 1), date(2026, 10, 10), 100 * GB))

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            forecast(world.tenant, now=ELEVENTH)
        return len(captured)

    before = queries()
    for place in range(3):
        client = make_client(world.tenant, f"C{place}")
        month.on_plan(client, plan)
        job = make_job(world.tenant, world.server, client, f"disk{place}")
        month.measure(job, nights(date(2026, 10, 1), date(2026, 10, 10), 100 * GB))
    assert queries() == before
    assert len(forecast(world.tenant, now=ELEVENTH + timedelta(days=1)).lines) == 4


def test_the_page_and_the_api_show_it(world: World, month: Month) -> None:
    """By the clock, as both read it: the figures are those of the function at that moment."""
    month.on_plan(world.client, month.plan(**PER_GB))
    today = datetime.now(UTC).date()
    month.measure(world.job, nights(today - timedelta(days=40), today - timedelta(days=1), 310 * GB))
    page = browser_of(world.billing).get(reverse("forecast"))
    assert page.status_code == 200
    assert str(world.client) in page.content.decode()
    assert "31.00" in page.content.decode()
    told = Caller(make_key(world.tenant, "biller", scopes=["billing"])).get("/forecast").json()
    assert [line["steady"] for line in told["lines"]] == ["31.0000"]
    assert browser_of(world.technician).get(reverse("forecast")).status_code == 403
    resold = Caller(make_key(world.tenant, "resold", scopes=["billing"], reseller=world.reseller))
    assert resold.get("/forecast").status_code == 404
    elsewhere = make_client(world.other, "Elsewhere")
    assert (
        Caller(make_key(world.tenant, "third", scopes=["billing"])).get(f"/forecast?client={elsewhere.uid}").status_code
        == 404
    )
    assert browser_of(world.stranger).get(reverse("forecast")).content.decode().count(str(world.client)) == 0
