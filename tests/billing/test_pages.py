"""From an amount down to the raw receipt, and what people look at before finalising and after."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.explaining import explain_line
from billing.finalising import finalise, void_and_replace
from billing.invoicing import draft_run
from billing.ledger import enter_usage
from billing.models import InvoiceRun, Seller
from billing.queries import find_run, invoice_page, invoice_rows, plan_rows, run_rows, subscription_rows, usage_days
from billing.refusals import NotFound
from billing.reviewing import compare_with_last_month, unbilled
from billing.subscribing import change_plan
from integrations.logs.joblog import JobLog
from msp.backups.recording import record_runs
from msp.backups.runs import AssignedRun
from msp.ingest.models import Receipt
from tests.billing.months import (
    ACTOR,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    invoices_of,
    lines_of,
    nights,
    october,
    only_invoice,
)
from tests.world import World, make_client, make_job

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
SEPTEMBER = date(2026, 9, 1)


def drafted(month: Month, first_day: date = OCTOBER, **values: Any) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=first_day, actor=ACTOR, now=NOVEMBER, **values)


def recorded_night(world: World, day: date, size: int) -> Receipt:
    """A receipt, its run as recording makes it, and its usage."""
    at = datetime(day.year, day.month, day.day, 22, tzinfo=UTC)
    receipt: Receipt = Receipt.objects.of(world.tenant).create(
        door="http",
        delivery_id=f"night-{day}",
        digest=f"{day:%Y%m%d}" * 8,
        body_id=1,
        body_day=day,
        body_length=10,
        state="done",
        received_at=at,
    )
    log = JobLog(
        product="restic",
        operation="backup",
        outcome="success",
        run_id=f"snap-{day:%d}",
        host="srv1",
        ended_at=at,
        protected_bytes=size,
        basis="logical-each",
    )
    run = AssignedRun(
        job_id=world.job.pk,
        selection_id=world.job.selection_id,
        client_id=world.client.pk,
        receipt_id=receipt.pk,
        place=0,
        delivery_key=f"http/{receipt.delivery_id}",
        received_at=at,
        log=log,
    )
    measurements = record_runs(world.tenant.pk, [run], now=at).measurements
    enter_usage(world.tenant.pk, measurements, now=at)
    return receipt


def test_a_line_leads_from_its_amount_to_the_receipt_of_each_night(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    receipts = [recorded_night(world, date(2026, 10, day), 100 * GB) for day in range(1, 32)]
    invoice = finalise(world.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=NOVEMBER)
    (line,) = lines_of(invoice)
    told = explain_line(world.tenant, line.uid)
    assert (told.number, told.amount, told.quantity, told.plan["code"]) == (
        "2026-00001", Decimal("10.00"), Decimal(100), "per-gb",
    )  # fmt: skip
    assert told.steps[-1].sentence.endswith("= 10.00 EUR")
    assert [day.charged for day in told.days] == [100 * GB] * 31
    (selection,) = told.selections
    assert (selection.client_name, selection.metric) == ("Acme Dental", "protected")
    night = selection.days[6]
    assert (night.day, night.state, night.quantity, night.basis) == (
        date(2026, 10, 7), "measured", 100 * GB, "logical-each",
    )  # fmt: skip
    assert (night.job_name, night.run_month, night.receipt) == ("files", OCTOBER, str(receipts[6].uid))
    assert night.run
    assert night.facts == "restic backup: success, ended 2026-10-07 22:00:00 UTC, on srv1"
    with pytest.raises(NotFound):
        explain_line(world.other, line.uid)


def test_a_run_read_again_as_unfit_takes_its_figure_back(month: Month, world: World) -> None:
    receipt = recorded_night(world, date(2026, 10, 7), 100 * GB)
    removed = record_runs(world.tenant.pk, [], now=NOVEMBER, replacing=[receipt.pk])
    enter_usage(world.tenant.pk, removed.measurements, now=NOVEMBER)
    assert usage_days(world.tenant, world.client.pk, first_day=OCTOBER, last_day=date(2026, 11, 1)) == ()


def test_last_month_is_compared_by_money_with_a_reason(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    dearer = month.plan("dear", price="per_unit", price_params={"unit_price": "0.20"})
    whole = nights(SEPTEMBER, date(2026, 10, 31), 100 * GB)
    sizes: dict[str, dict[date, int]] = {
        "same": whole,
        "grew": whole | october(400 * GB),
        "dearer": whole,
        "new": october(50 * GB),
        "gone": nights(SEPTEMBER, date(2026, 9, 30), 70 * GB),
        "gap": {day: size for day, size in whole.items() if not date(2026, 10, 10) <= day <= date(2026, 10, 20)},
    }
    for name, measured in sizes.items():
        client = make_client(world.tenant, name)
        ends = {"ends_on": OCTOBER} if name == "gone" else {"starts_on": OCTOBER} if name == "new" else {}
        subscription = month.subscribe(client, plan, month.agreement(month.bill_to(name)), **ends)
        month.measure(make_job(world.tenant, world.server, client, name), measured)
        if name == "dearer":
            change_plan(subscription, tenant=world.tenant, plan=dearer, on=OCTOBER, actor=ACTOR, now=NOVEMBER)
    drafted(month, SEPTEMBER)
    run = drafted(month)
    with CaptureQueriesContext(connection) as queries:
        changes = compare_with_last_month(world.tenant, run)
    assert len(queries) == 2
    assert [(each.who, each.reason, each.difference) for each in changes] == [
        ("grew", "grew", Decimal(30)),
        ("dearer", "price", Decimal(10)),
        ("gone", "gone", Decimal(-7)),
        ("new", "new", Decimal(5)),
        ("gap", "gap", Decimal(0)),
        ("same", "same", Decimal(0)),
    ]


def test_what_is_protected_and_on_nobodys_plan_is_shown(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Acme"))
    month.subscribe(world.job.selection, month.plan(**PER_GB), agreement)
    forgotten = make_job(world.tenant, world.server, world.client, "forgotten")
    trial = make_client(world.tenant, "Trial Ltd", state="trial")
    month.measure(world.job, october(100 * GB))
    month.measure(forgotten, october(10 * GB, first=3, last=5))
    month.measure(make_job(world.tenant, world.server, trial, "t"), october(GB))
    (found,) = unbilled(world.tenant, drafted(month))
    assert (found.client, found.selection, found.days, found.largest_bytes) == (
        "Acme Dental", "backup01: forgotten", 3, 10 * GB,
    )  # fmt: skip


def test_the_pages_show_documents_as_they_were(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB), address="Old Street 1")
    month.measure(world.job, october(100 * GB))
    run = drafted(month)
    draft = invoice_page(world.tenant, only_invoice(run).uid)
    assert (draft.row.state, draft.bill_to["address"], draft.row.total) == ("draft", "Old Street 1", Decimal("10.00"))
    invoice = finalise(world.tenant, only_invoice(run).uid, actor=ACTOR, now=NOVEMBER)
    invoice.bill_to.address = "New Street 2"
    invoice.bill_to.save()
    final = invoice_page(world.tenant, invoice.uid)
    assert (final.row.number, final.bill_to["address"]) == ("2026-00001", "Old Street 1")
    assert (final.lines[0].amount, final.held, final.pay_url) == (Decimal("10.00"), (), "")
    void_and_replace(world.tenant, invoice.uid, actor=ACTOR, reason="moved", now=NOVEMBER)
    assert (invoice_page(world.tenant, invoice.uid).replaced_by, len(invoice_rows(world.tenant))) == ("draft", 2)
    assert [row.state for row in invoice_rows(world.tenant, states=["void"])] == ["void"]
    assert invoice_rows(world.tenant, first_day=SEPTEMBER) == ()
    (shown,) = run_rows(world.tenant)
    assert (shown.uid, shown.drafts, shown.finals, shown.held) == (run.uid, 1, 0, 0)
    assert find_run(world.tenant, run.uid).pk == run.pk


def test_strangers_and_resellers_see_only_theirs(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    own = Seller.objects.of(world.tenant).create(legal_name="Harbour IT Ltd", reseller=world.reseller)
    theirs = Month(world.tenant, own)
    theirs.on_plan(world.resold_client, theirs.plan("retail", price="flat", price_params={"fee": "7"}))
    month.measure(make_job(world.tenant, world.server, world.resold_client, "b"), october(GB))
    mine, resold = only_invoice(drafted(month)), only_invoice(drafted(theirs))
    seen = invoice_rows(world.tenant, reseller_id=world.reseller.pk)
    assert [row.uid for row in seen] == [resold.uid]
    assert [row.seller for row in run_rows(world.tenant, reseller_id=world.reseller.pk)] == ["Harbour IT Ltd"]
    with pytest.raises(NotFound):
        invoice_page(world.tenant, mine.uid, reseller_id=world.reseller.pk)
    for act in (lambda: invoice_page(world.other, mine.uid), lambda: find_run(world.other, mine.run.uid)):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(NotFound):
        explain_line(world.tenant, uuid4())
    assert (invoice_rows(world.other), run_rows(world.other), plan_rows(world.other)) == ((), (), ())
    assert [row.who for row in subscription_rows(world.tenant, reseller_id=world.reseller.pk)] == ["Bay Bakery"]


def test_usage_by_day_is_the_latest_figure_of_the_measuring_job(month: Month, world: World) -> None:
    month.measure(world.job, october(100 * GB, last=3))
    month.measure(world.job, {date(2026, 10, 2): 90 * GB}, known=NOVEMBER)
    shown = usage_days(world.tenant, world.client.pk, first_day=OCTOBER, last_day=date(2026, 11, 1))
    assert [(each.day.day, each.quantity // GB) for each in shown] == [(1, 100), (2, 90), (3, 100)]
    assert usage_days(world.other, world.client.pk, first_day=OCTOBER, last_day=date(2026, 11, 1)) == ()


def test_plans_and_subscriptions_are_listed(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    subscription = month.on_plan(world.client, plan)
    dearer = month.plan("dear", price="per_unit", price_params={"unit_price": "0.20"})
    change_plan(subscription, tenant=world.tenant, plan=dearer, on=OCTOBER, actor=ACTOR, now=NOVEMBER)
    rows = subscription_rows(world.tenant, client_id=world.client.pk)
    assert [(row.plan, row.ends_on) for row in rows] == [
        ("Backup (version 1)", None), ("Backup (version 1)", OCTOBER),
    ]  # fmt: skip
    assert [(row.code, row.subscribers, row.is_latest) for row in plan_rows(world.tenant)] == [
        ("dear", 1, True), ("per-gb", 0, True),
    ]  # fmt: skip


def test_a_month_with_a_change_of_plan_has_a_line_of_each(month: Month, world: World) -> None:
    subscription = month.on_plan(world.client, month.plan(**PER_GB))
    dearer = month.plan("dear", price="per_unit", price_params={"unit_price": "0.20"})
    change_plan(subscription, tenant=world.tenant, plan=dearer, on=date(2026, 10, 22), actor=ACTOR, now=NOVEMBER)
    month.measure(world.job, october(310 * GB))
    invoice = invoices_of(drafted(month))[0]
    # 21 of 31 days of 31.00 and 10 of 31 days of 62.00
    assert [line.amount for line in lines_of(invoice)] == [Decimal("21.00"), Decimal("20.00")]
