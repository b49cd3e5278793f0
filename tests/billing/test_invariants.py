"""What never changes a total: the order and the batches in which figures came, and the zone of the days after them."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from billing import invoicing
from billing.invoicing import draft_run
from billing.ledger import enter_usage
from billing.models import Invoice, InvoiceLine, InvoiceRun
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, measurement, october, only_invoice
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}}


def drafted(month: Month) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)


@pytest.mark.parametrize("meter", ["daily_average", "daily_maxima", "percentile_95", "last_day", "cumulative_unique"])
def test_order_and_batches_of_the_figures_never_change_a_line(month: Month, world: World, meter: str) -> None:
    plan = month.plan(meter=meter, **PER_GB)
    other = make_job(world.tenant, world.server, world.resold_client, "oven")
    for client in (world.client, world.resold_client):
        month.on_plan(client, plan)
    moments = [datetime(2026, 10, 1, hour, tzinfo=UTC) + timedelta(days=day) for day in range(31) for hour in (2, 14)]
    sizes = {at: (at.day * 7 + at.hour * 11) % 97 * GB for at in moments}
    for at, size in sizes.items():  # one by one, in order
        enter_usage(month.tenant.pk, [measurement(world.job, at, size)], now=NOVEMBER)
    shuffled = [measurement(other, at, size) for at, size in sizes.items()]
    random.Random(6).shuffle(shuffled)
    for place in range(0, len(shuffled), 9):  # in batches, in any order
        enter_usage(month.tenant.pk, shuffled[place : place + 9], now=NOVEMBER)
    drafted(month)
    first, second = InvoiceLine.objects.of(month.tenant).order_by("client_id")
    assert (first.quantity, first.amount) == (second.quantity, second.amount)
    charged = [[day["charged"] for day in line.working["days"]] for line in (first, second)]
    assert charged[0] == charged[1]
    assert first.amount > 0


def test_batches_of_documents_never_change_them(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    month.on_plan(world.client, plan)
    month.on_plan(world.resold_client, plan)
    month.measure(world.job, october(100 * GB))
    month.measure(make_job(world.tenant, world.server, world.resold_client, "oven"), october(33 * GB))
    hashes = []
    for size in (1, 200):
        InvoiceLine.objects.of(month.tenant).delete()
        Invoice.objects.of(month.tenant).delete()
        with mock.patch.object(invoicing, "CHUNK", size):
            drafted(month)
        hashes.append(sorted(Invoice.objects.of(month.tenant).values_list("bill_to_id", "draft_hash", "net")))
    assert hashes[0] == hashes[1]
    assert sum(net for _, _, net in hashes[0]) == Decimal("13.30")


def test_a_tenant_that_changes_its_zone_within_the_month_keeps_the_days_of_its_figures(
    month: Month, world: World
) -> None:
    """Runs at 23:30 UTC: in Berlin that is the next day, after the move to UTC it is the same day."""
    month.on_plan(world.client, month.plan(carry_days=0, **PER_GB))
    month.tenant.timezone = "Europe/Berlin"
    month.tenant.save()
    for day in range(31):
        if day == 16:
            month.tenant.timezone = "UTC"
            month.tenant.save()
        at = datetime(2026, 9, 30, 23, 30, tzinfo=UTC) + timedelta(days=day)
        size = 100 * GB if day < 16 else 131 * GB
        enter_usage(month.tenant.pk, [measurement(world.job, at, size)], now=at + timedelta(hours=1))
    at = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    enter_usage(month.tenant.pk, [measurement(world.job, at, 131 * GB)], now=NOVEMBER)
    run = drafted(month)
    draft = only_invoice(run)
    (line,) = lines_of(draft)
    days = {day["day"]: (day["state"], day["quantity"]) for day in line.evidence[0]["days"]}
    # 1 to 15 October by the Berlin days, the 16th by both (the later run counts), 17 to 31 by the days of UTC
    assert (run.timezone, draft.held) == ("UTC", [])
    assert days["2026-10-15"] == ("measured", 100 * GB)
    assert days["2026-10-16"] == ("measured", 131 * GB)
    assert {state for state, _ in days.values()} == {"measured"}
    # 15 x 100 + 16 x 131 = 1,500 + 2,096 = 3,596; / 31 = 116
    assert (line.quantity, line.amount) == (Decimal(116), Decimal("11.60"))
    assert days[date(2026, 10, 31).isoformat()] == ("measured", 131 * GB)
