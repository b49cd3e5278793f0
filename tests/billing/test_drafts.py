"""Drafting is repeatable: a second run writes nothing, a broken-off one goes on, and neither grows with the fleet."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing import drafts, invoicing
from billing.invoicing import draft_run, redraft
from billing.models import Invoice, InvoiceLine, InvoiceRun, Plan
from billing.refusals import NotFound
from billing.subscribing import end
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, invoices_of, lines_of, october, only_invoice
from tests.world import World, make_client, make_job

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
LATER = NOVEMBER + timedelta(hours=1)


def drafted(month: Month, now: datetime = NOVEMBER) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=now)


def fleet(month: Month, world: World, names: str) -> Plan:
    """A client for each letter, with 100 GB all month, on one plan."""
    plan = Plan.objects.of(month.tenant).first() or month.plan(**PER_GB)
    for name in names:
        client = make_client(world.tenant, f"Client {name}")
        month.on_plan(client, plan)
        month.measure(make_job(world.tenant, world.server, client, name), october(100 * GB))
    return plan


def writes(queries: CaptureQueriesContext) -> list[str]:
    verbs = ("INSERT", "UPDATE", "DELETE")
    return [query["sql"] for query in queries.captured_queries if query["sql"].lstrip().upper().startswith(verbs)]


def content(run: InvoiceRun) -> list[Any]:
    return [(each.uid, each.draft_hash, [line.uid for line in lines_of(each)]) for each in invoices_of(run)]


def test_a_second_run_writes_nothing(month: Month, world: World) -> None:
    fleet(month, world, "abc")
    run = drafted(month)
    before = content(run)
    with CaptureQueriesContext(connection) as queries:
        again = drafted(month, LATER)
    assert writes(queries) == []
    assert (again.pk, again.cut_off) == (run.pk, NOVEMBER)
    assert content(run) == before


def test_only_what_changed_is_written_again(month: Month, world: World) -> None:
    month.on_plan(world.client, fleet(month, world, "ab"))
    month.measure(world.job, october(100 * GB))
    run = drafted(month)
    kept = {invoice.bill_to.legal_name: [line.uid for line in lines_of(invoice)] for invoice in invoices_of(run)}
    month.measure(world.job, {date(2026, 10, 9): 131 * GB}, known=LATER)
    redraft(world.tenant, run, now=LATER)
    now = {invoice.bill_to.legal_name: [line.uid for line in lines_of(invoice)] for invoice in invoices_of(run)}
    assert [name for name in now if now[name] != kept[name]] == ["Acme Dental"]
    run.refresh_from_db()
    assert run.cut_off == LATER


def test_the_number_of_queries_does_not_grow_with_the_fleet(month: Month, world: World) -> None:
    def queries_of_a_fresh_run() -> int:
        InvoiceLine.objects.of(world.tenant).delete()
        Invoice.objects.of(world.tenant).delete()
        InvoiceRun.objects.of(world.tenant).delete()
        with CaptureQueriesContext(connection) as queries:
            drafted(month)
        return len(queries)

    fleet(month, world, "ab")
    few = queries_of_a_fresh_run()
    fleet(month, world, "cdefghij")
    assert queries_of_a_fresh_run() == few
    assert Invoice.objects.of(world.tenant).count() == 10


def test_a_run_that_broke_off_is_simply_started_again(month: Month, world: World) -> None:
    fleet(month, world, "abcd")
    original, calls = drafts.store_drafts, 0

    def dies_in_the_second_chunk(*args: Any, **values: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionResetError
        return original(*args, **values)

    with mock.patch.object(invoicing, "CHUNK", 2):
        dying = mock.patch.object(invoicing, "store_drafts", dies_in_the_second_chunk)
        with dying, pytest.raises(ConnectionResetError):
            drafted(month)
        assert Invoice.objects.of(world.tenant).count() == 2
        kept = set(Invoice.objects.of(world.tenant).values_list("uid", flat=True))
        run = drafted(month, LATER)
    assert kept < {invoice.uid for invoice in invoices_of(run)}
    assert [invoice.net for invoice in invoices_of(run)] == [Decimal("10.00")] * 4


def test_a_draft_goes_when_nothing_leads_to_it_any_more(month: Month, world: World) -> None:
    subscription = month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    run = drafted(month)
    assert only_invoice(run).net == Decimal("10.00")
    end(subscription, tenant=world.tenant, on=OCTOBER, actor=ACTOR, now=LATER)
    drafted(month, LATER)
    assert invoices_of(run) == []


def test_a_holding_pays_for_two_clients_on_one_invoice(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    agreement = month.agreement(month.bill_to("Holding AG"))
    month.subscribe(world.client, plan, agreement)
    month.subscribe(world.resold_client, plan, agreement)
    month.measure(world.job, october(100 * GB))
    month.measure(make_job(world.tenant, world.server, world.resold_client, "b"), october(50 * GB))
    invoice = only_invoice(drafted(month))
    assert [str(line.client) for line in lines_of(invoice)] == ["Acme Dental", "Bay Bakery"]
    assert invoice.net == Decimal("15.00")


def test_the_other_tenant_has_no_part_in_it(month: Month, world: World) -> None:
    fleet(month, world, "a")
    drafted(month)
    assert not Invoice.objects.of(world.other).exists()
    with pytest.raises(NotFound):
        draft_run(world.other, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
