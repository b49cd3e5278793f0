"""What was sent: the runs of a day added up, all of them named, nothing carried, and provable years later."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.days import Period
from billing.figures import read_ledger
from billing.finalising import finalise
from billing.invoicing import decide, draft_run
from billing.ledger import enter_usage
from billing.models import InvoiceRun
from billing.queries import usage_days
from billing.snapshots import frozen
from billing.verifying import _selection_differences, verify
from msp.backups.models import BackupJob, JobSelectionSpan
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, measurement, only_invoice
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
WEEKLY = "0 2 * * 1"


def drafted(month: Month) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)


def sent(world: World, day: int, *sizes: int, job: BackupJob | None = None) -> None:
    """A run for each size, from one o'clock on, an hour apart."""
    for hour, size in enumerate(sizes, start=1):
        at = datetime(2026, 10, day, hour, tzinfo=UTC)
        found = measurement(job or world.job, at, 100 * GB, transferred_bytes=size)
        enter_usage(world.tenant.pk, [found], now=NOVEMBER)


def test_a_day_is_the_sum_of_its_runs_and_names_them_all(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="transferred", meter="peak_day", **PER_GB))
    for day in range(1, 32):
        sent(world, day, 1 * GB, 2 * GB, 4 * GB)
    sent(world, 7, 1 * GB, 2 * GB, 4 * GB, 3 * GB)
    invoice = only_invoice(drafted(month))
    (line,) = lines_of(invoice)
    # the 7th sent 1 + 2 + 4 + 3 = 10 GB, at 0.10
    assert (invoice.held, line.quantity, line.amount) == ([], Decimal(10), Decimal("1.00"))
    proven = line.evidence[0]["days"][6]
    assert [run["quantity"] for run in proven["runs"]] == [1 * GB, 2 * GB, 4 * GB, 3 * GB]
    assert len({run["source"] for run in proven["runs"]}) == 4
    assert (proven["quantity"], proven["source"]) == (10 * GB, proven["runs"][-1]["source"])
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(world.tenant, final.uid).differences == ()


def test_nothing_that_was_sent_is_carried_to_another_day(month: Month, world: World) -> None:
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(schedule=WEEKLY, timezone="UTC")
    month.on_plan(world.client, month.plan(metric="transferred", carry_days=3, starts_with="agreed", **PER_GB))
    for day in (5, 12, 26):
        sent(world, day, 31 * GB)
    invoice = only_invoice(drafted(month))
    # Mondays are the 5th, 12th, 19th and 26th: only the 19th is unknown, and no day after it
    assert invoice.held == ["backup01: files: no measurement on 2026-10-19."]
    states = {day["day"]: (day["state"], day["quantity"]) for day in lines_of(invoice)[0].evidence[0]["days"]}
    assert states["2026-10-18"] == states["2026-10-20"] == ("not_due", 0)
    left = decide(world.tenant, invoice.uid, decision="carry_missing", actor=ACTOR, reason="nothing sent", now=NOVEMBER)
    # 3 x 31 GB on 31 days is 3 GB a day, at 0.10
    assert (left.held, left.net) == ([], Decimal("0.30"))
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(world.tenant, final.uid).differences == ()


def test_another_job_of_the_selection_is_not_added(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="transferred", meter="peak_day", **PER_GB))
    other = make_job(world.tenant, world.server, world.client, "offsite", role="copy")
    BackupJob.objects.of(world.tenant).filter(pk=other.pk).update(selection_id=world.job.selection_id)
    JobSelectionSpan.objects.of(world.tenant).filter(job=other).update(selection_id=world.job.selection_id)
    other.refresh_from_db()
    for day in range(1, 32):
        sent(world, day, 1 * GB, 1 * GB)
        sent(world, day, 50 * GB, job=other)
    assert lines_of(only_invoice(drafted(month)))[0].quantity == Decimal(2)


def test_a_document_from_before_the_sum_is_verified_as_it_was_billed(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="transferred", meter="last_day", **PER_GB))
    for day in range(1, 32):
        sent(world, day, 1 * GB, 2 * GB)
    final = finalise(world.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=NOVEMBER)
    selection = copy.deepcopy(frozen(final)["lines"][0]["evidence"][0])
    period = Period(first_day=OCTOBER, last_day=date(2026, 11, 1))
    ledger = read_ledger(
        world.tenant.pk, {world.job.selection_id: world.job.selection}, {"transferred"}, period=period, cut_off=NOVEMBER
    )
    for day in selection["days"]:
        del day["runs"]
        day["quantity"] = 2 * GB
    assert list(_selection_differences(selection, ledger)) == []
    selection["days"][0]["quantity"] = 3 * GB
    assert len(list(_selection_differences(selection, ledger))) == 1


def test_the_usage_of_a_month_is_summed_too(world: World) -> None:
    sent(world, 7, 1 * GB, 2 * GB)
    told = usage_days(
        world.tenant, world.client.pk, first_day=OCTOBER, last_day=date(2026, 11, 1), metric="transferred"
    )
    assert [(each.day, each.quantity) for each in told] == [(date(2026, 10, 7), 3 * GB)]


def test_the_number_of_statements_does_not_grow_with_the_runs(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="transferred", **PER_GB))

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            period = Period(first_day=OCTOBER, last_day=date(2026, 11, 1))
            selections = {world.job.selection_id: world.job.selection}
            read_ledger(world.tenant.pk, selections, {"transferred"}, period=period, cut_off=NOVEMBER)
        return len(queries)

    sent(world, 1, 1)
    before = statements()
    for day in range(2, 20):
        sent(world, day, 1, 2, 3)
    assert statements() == before
