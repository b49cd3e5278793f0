"""Every meter with every metric of bytes: drafted, finalised, verified against the ledger, compared with itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.comparing import compare_line
from billing.finalising import finalise
from billing.invoicing import decide, draft_run
from billing.ledger import enter_usage
from billing.metering import METERS
from billing.metrics import COUNTS, METRICS
from billing.verifying import verify
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, measurement, only_invoice
from tests.world import World, make_job

pytestmark = pytest.mark.django_db


def nightly_and_noon(month: Month, world: World) -> None:
    """Two jobs, each with a run at 2:00 and one at 12:00; sizes rise and fall; on the 20th and 21st nothing ran."""
    other = make_job(world.tenant, world.server, world.client, "mail")
    entered = []
    for place, job in enumerate((world.job, other)):
        for day in range(31):
            for hour in (2, 12):
                at = datetime(2026, 10, 1, hour, tzinfo=UTC) + timedelta(days=day)
                size = (100 + (day * 13 + hour * 5 + place * 7) % 41) * GB
                values: dict[str, Any] = {"stored_bytes": size // 2, "transferred_bytes": size // 10}
                if day not in (19, 20):
                    entered.append(measurement(job, at, size, **values))
    enter_usage(month.tenant.pk, entered, now=NOVEMBER)


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in COUNTS and name != "restorable_latest"])
@pytest.mark.parametrize(
    ("meter", "pool"),
    [*((name, "subscription") for name in METERS), ("daily_average", "selection"), ("daily_maxima", "selection")],
)
def test_a_month_is_final_verified_and_the_same_by_its_own_meter(
    month: Month, world: World, meter: str, metric: str, pool: str
) -> None:
    unit = "each" if METERS[meter].TAKES == "things" else "GB"
    terms: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "carry_days": 3}
    month.on_plan(world.client, month.plan(meter=meter, metric=metric, unit=unit, pool=pool, **terms))
    nightly_and_noon(month, world)
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    draft = only_invoice(run)
    if draft.held:  # what was sent on the 20th and 21st is not known: it does not stand from the day before
        assert metric == "transferred"
        decide(month.tenant, draft.uid, decision="carry_missing", actor=ACTOR, reason="agreed", now=NOVEMBER)
    final = finalise(month.tenant, draft.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(month.tenant, final.uid).differences == ()
    (line,) = lines_of(final)
    assert line.amount > 0
    (own,) = [each for each in compare_line(month.tenant, line.uid).meters if each.is_used]
    assert (own.amount, own.difference) == (line.amount, Decimal(0))
