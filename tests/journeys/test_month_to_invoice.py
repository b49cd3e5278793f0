"""Thirty-one nights of real logs to final invoices, through the line; each log delivered twice, in a shuffled order."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.finalising import finalise
from billing.invoicing import draft_run
from billing.models import Invoice, UsageEntry
from billing.verifying import verify
from billing.working import recompute
from msp import pipeline
from msp.backups.models import JobRun
from msp.ingest.storing import Incoming, store
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, invoices_of, lines_of
from tests.world import World, make_server

pytestmark = [pytest.mark.journey, pytest.mark.django_db]


@pytest.fixture
def month(world: World) -> Month:
    from billing.models import Seller

    seller = Seller.objects.of(world.tenant).create(legal_name="Northwind MSP Ltd")
    return Month(world.tenant, seller)


def night(day: int, size: int) -> bytes:
    """A restic log of the night of this day of October, ending at 01:30 UTC."""
    return json.dumps(
        {
            "message_type": "summary", "files_new": 1, "files_changed": 0, "files_unmodified": 10, "dirs_new": 0,
            "dirs_changed": 0, "dirs_unmodified": 3, "data_added": 1000, "total_files_processed": 11,
            "total_bytes_processed": size, "total_duration": 60.0, "snapshot_id": f"{day:08x}",
        }
    ).encode()  # fmt: skip


def deliveries(server: Any, sizes: dict[int, int]) -> list[Incoming]:
    return [
        Incoming(
            door="http",
            delivery_id=f"{server.pk}:{day}",
            content=night(day, size),
            received_at=datetime(2026, 10, day, 1, 30, tzinfo=UTC),
            server_id=server.pk,
            meta={"exit_code": 0, "job": "files"},
        )
        for day, size in sizes.items()
    ]


def test_a_month_of_logs_becomes_invoices_that_can_be_recomputed_to_the_cent(month: Month, world: World) -> None:
    second, _ = make_server(world.tenant, "backup02", client=world.resold_client)
    plan = month.plan()
    month.on_plan(world.client, plan, tax_rate=Decimal("0.19"))
    month.on_plan(world.resold_client, plan)
    sent = deliveries(world.server, {day: (80 if day <= 10 else 150) * GB for day in range(1, 32)})
    sent += deliveries(second, dict.fromkeys(range(1, 32), 400 * GB))
    twice = sent + sent
    random.Random(3).shuffle(twice)
    for start in range(0, len(twice), 9):
        store(world.tenant.pk, twice[start : start + 9], now=NOVEMBER - timedelta(days=1))
        pipeline.process_waiting(now=lambda: NOVEMBER - timedelta(days=1))
    assert JobRun.objects.of(world.tenant).count() == 62
    protected = UsageEntry.objects.of(world.tenant).filter(metric="protected")
    assert protected.count() == 62

    run = draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    for draft in invoices_of(run):
        assert draft.held == []
        finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER)
    acme, bay = Invoice.objects.of(world.tenant).order_by("number")
    # Acme: (10 x 80 + 21 x 150) / 31 = 127.419 GB: 100 x 0.10 + 27.419 x 0.08 = 12.19; tax 2.32; total 14.51
    assert (acme.number, acme.net, acme.tax, acme.total) == (
        "2026-00001", Decimal("12.19"), Decimal("2.32"), Decimal("14.51"),
    )  # fmt: skip
    # Bay: 400 GB: 100 x 0.10 + 300 x 0.08 = 34.00
    assert (bay.number, bay.total) == ("2026-00002", Decimal("34.00"))
    for invoice in (acme, bay):
        (line,) = lines_of(invoice)
        assert recompute(line.working) == line.amount
        assert verify(world.tenant, invoice.uid).differences == ()
        (selection,) = line.evidence
        assert [one["day"] for one in selection["days"]] == [str(date(2026, 10, day)) for day in range(1, 32)]
        assert {one["state"] for one in selection["days"]} == {"measured"}
