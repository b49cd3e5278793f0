"""Machines and components, counted from runs with their names: once each, corrected by further entries, billed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from billing.counting import count_again
from billing.explaining import explain_line
from billing.finalising import finalise
from billing.invoicing import draft_run
from billing.ledger import enter_usage
from billing.models import InvoiceRun, UsageEntry, UsageNames
from billing.plans import PlanDraft, make_plan
from billing.verifying import verify
from integrations.logs.joblog import Component, JobLog
from msp.backups.models import BackupJob
from msp.backups.recording import record_runs
from msp.backups.runs import AssignedRun
from msp.estate.models import Machine, MachineIdentity, Selection
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, days, lines_of, measurement, only_invoice
from tests.billing.test_usage_imports import enter
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
EACH: dict[str, Any] = {"unit": "each", "price": "per_unit", "price_params": {"unit_price": "3.00"}}
ANNA, BERTA = (
    Component("mailbox", "anna@acme.example", "success"),
    Component("mailbox", "berta@acme.example", "warning"),
)


def drafted(month: Month) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)


def on_machine(world: World, name: str, *jobs: BackupJob) -> Machine:
    machine: Machine = Machine.objects.of(world.tenant).create(client=world.client, name=name)
    ids = [job.selection_id for job in jobs]
    Selection.objects.of(world.tenant).filter(pk__in=ids).update(machine=machine)
    return machine


def protect(job: BackupJob, *on: date, **values: Any) -> None:
    """A backup on each of these days."""
    for day in on:
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        found = replace(measurement(job, at, 100 * GB), protects=True, **values)
        enter_usage(job.tenant_id, [found], now=NOVEMBER)


def october_days(first: int = 1, last: int = 31) -> list[date]:
    return days(date(2026, 10, first), date(2026, 10, last))


def run_of(
    world: World, *components: Component, day: int = 5, operation: Any = "backup", host: str = ""
) -> AssignedRun:
    at = datetime(2026, 10, day, 2, tzinfo=UTC)
    log = JobLog(
        product="dropsuite", operation=operation, outcome="success", started_at=at, ended_at=at, host=host,
        components=components,
    )  # fmt: skip
    return AssignedRun(
        job_id=world.job.pk, selection_id=world.job.selection_id, client_id=world.client.pk, receipt_id=1, place=0,
        delivery_key="d", received_at=at, log=log,
    )  # fmt: skip


def record(world: World, *runs: AssignedRun) -> None:
    recorded = record_runs(world.tenant.pk, runs, now=NOVEMBER)
    enter_usage(world.tenant.pk, recorded.measurements, now=NOVEMBER)


def counted(world: World, metric: str) -> list[tuple[int, int | None, list[str]]]:
    """(revision, quantity, names) of each entry."""
    rows = UsageEntry.objects.of(world.tenant).filter(metric=metric).order_by("source", "revision")
    names = {(row.source, row.revision): row.names for row in UsageNames.objects.of(world.tenant).filter(metric=metric)}
    return [
        (row.revision, row.quantity, [name for _, name in names.get((row.source, row.revision), [])]) for row in rows
    ]


# ---- components --------------------------------------------------------------------------------------------------


def test_components_that_were_copied_count_with_their_names(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="components", meter="last_day", **EACH))
    parts = (
        ANNA, BERTA, Component("mailbox", "carl@acme.example", "failure"), Component("disk", "sda", "success"),
        Component("vss-writer", "System Writer", "success"), Component("database", "erp", "success"),
    )  # fmt: skip
    record(world, *(run_of(world, *parts, day=day) for day in range(1, 32)))
    invoice = only_invoice(drafted(month))
    (line,) = lines_of(invoice)
    # two mailboxes and a database at 3.00
    assert (invoice.held, line.quantity, line.unit, line.amount) == ([], Decimal(3), "each", Decimal("9.00"))
    assert "last day of components" in line.description
    proven = explain_line(world.tenant, line.uid).selections[0].days[30]
    assert proven.names == ("erp", "anna@acme.example", "berta@acme.example")
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(world.tenant, final.uid).differences == ()


def test_a_run_that_is_read_again_is_corrected_by_a_further_entry(month: Month, world: World) -> None:
    month.plan(metric="components", **EACH)
    record(world, run_of(world, ANNA, BERTA))
    record(world, run_of(world, ANNA, BERTA))
    record(world, run_of(world, ANNA))
    carl = Component("mailbox", "carl@acme.example", "success")
    record(world, run_of(world, carl))
    record(world, run_of(world, Component("disk", "sda", "success")))
    assert counted(world, "components") == [
        (0, 2, ["anna@acme.example", "berta@acme.example"]), (1, 1, ["anna@acme.example"]),
        (2, 1, ["carl@acme.example"]), (3, None, []),
    ]  # fmt: skip


def test_nothing_is_counted_for_a_tenant_without_such_a_plan(month: Month, world: World) -> None:
    month.plan(code="size", price="per_unit", price_params={"unit_price": "1"})
    record(world, run_of(world, ANNA, host="srv1"))
    assert counted(world, "components") == counted(world, "machines") == []
    month.plan(metric="machines", **EACH)
    record(world, run_of(world, ANNA, host="srv1", day=6))
    assert (counted(world, "components"), counted(world, "machines")) == ([], [(0, 1, ["srv1"])])


# ---- machines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meter", ["daily_average", "peak_day", "last_day"])
def test_a_machine_counts_once_whatever_lies_on_it(month: Month, world: World, meter: str) -> None:
    month.on_plan(world.client, month.plan(metric="machines", meter=meter, **EACH))
    mail, other = (make_job(world.tenant, world.server, world.client, name) for name in ("mail", "other"))
    server = on_machine(world, "srv1", world.job, mail)
    on_machine(world, "srv2", other)
    for job in (world.job, mail, other):
        protect(job, *october_days(last=15))
    Machine.objects.of(world.tenant).filter(pk=server.pk).update(name="srv1-new")
    for job in (world.job, mail, other):
        protect(job, *october_days(first=16))
    invoice = only_invoice(drafted(month))
    (line,) = lines_of(invoice)
    assert (invoice.held, line.quantity, line.amount) == ([], Decimal(2), Decimal("6.00"))
    names = {day["day"]: day["names"] for day in line.evidence[0]["days"]}
    assert (names["2026-10-15"], names["2026-10-16"]) == (["srv1"], ["srv1-new"])
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(world.tenant, final.uid).differences == ()


def test_a_machine_that_comes_within_the_month_counts_from_then_on(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="machines", **EACH))
    fresh = make_job(world.tenant, world.server, world.client, "fresh")
    on_machine(world, "srv1", world.job)
    on_machine(world, "srv2", fresh)
    protect(world.job, *october_days())
    protect(fresh, *october_days(first=22))
    # 31 and 10 machine-days of 31: 41 / 31 = 1.323, at 3.00
    (line,) = lines_of(only_invoice(drafted(month)))
    assert (line.quantity, line.amount) == (Decimal("1.323"), Decimal("3.97"))


def test_where_a_selection_lies_on_nothing_the_host_tells_the_machine(month: Month, world: World) -> None:
    month.plan(metric="machines", **EACH)
    machine: Machine = Machine.objects.of(world.tenant).create(client=world.client, name="Front desk")
    identities = MachineIdentity.objects.of(world.tenant)
    identities.create(machine=machine, kind="hostname", value="fd-01", since=date(2026, 1, 1))
    record(world, run_of(world, host="fd-01", day=1), run_of(world, host="FD-02", day=2), run_of(world, day=3))
    assert counted(world, "machines") == [(0, 1, ["Front desk"]), (0, 1, ["FD-02"])]
    keys = {row.names[0][0] for row in UsageNames.objects.of(world.tenant)}
    assert keys == {f"machine:{machine.uid}", "host:fd-02"}


def test_what_is_no_copy_protects_no_machine(month: Month, world: World) -> None:
    month.plan(metric="machines", **EACH)
    record(world, run_of(world, host="srv1", operation="inventory", day=1))
    failed = run_of(world, host="srv1", day=2)
    record(world, replace(failed, log=replace(failed.log, outcome="failure")))
    assert counted(world, "machines") == []


def test_numbers_that_a_person_gave_are_not_made_one(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="machines", **EACH))
    head = "client,selection,day,metric,count\n"
    enter(world, "Acme Dental,backup01: files,2026-10-01,machines,5", head=head)
    invoice = only_invoice(drafted(month))
    assert (invoice.held, invoice.net) == ([], Decimal("15.00"))
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(world.tenant, final.uid).differences == ()


# ---- the runs that were there before the plan ----------------------------------------------------------------------


def test_the_first_plan_counts_the_runs_of_its_month_and_the_one_before(
    month: Month, world: World, django_capture_on_commit_callbacks: Any
) -> None:
    record(world, run_of(world, ANNA, day=5), run_of(world, ANNA, BERTA, day=6))
    assert counted(world, "components") == []
    terms = {"name": "Backup", "currency": "EUR", "metric": "components", **EACH}
    with django_capture_on_commit_callbacks(execute=True):
        make_plan(month.tenant, code="count", draft=PlanDraft(**terms), actor=ACTOR, now=NOVEMBER)
    assert [(quantity, names) for _, quantity, names in counted(world, "components")] == [
        (1, ["anna@acme.example"]), (2, ["anna@acme.example", "berta@acme.example"]),
    ]  # fmt: skip
    assert count_again(world.tenant.pk, since=OCTOBER, now=NOVEMBER + timedelta(days=1)) == 0


def test_the_command_counts_an_older_month(month: Month, world: World) -> None:
    month.plan(metric="components", **EACH)
    recorded = record_runs(world.tenant.pk, [run_of(world, ANNA)], now=NOVEMBER)
    assert recorded.measurements
    out = StringIO()
    call_command("count_usage", "--tenant", world.tenant.slug, "--month", "2026-10", stdout=out)
    assert out.getvalue() == "1 entries written.\n"
    call_command("count_usage", "--tenant", world.tenant.slug, "--month", "2026-10", stdout=out)
    assert out.getvalue().endswith("0 entries written.\n")
