"""A month of two clients on a tiered plan, measured night by night by runs with logs, for the pages of money."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from billing.invoicing import draft_run
from billing.ledger import enter_usage
from billing.models import Agreement, Invoice, InvoiceRun, Plan, Seller, Subscription
from msp.backups.models import BackupJob
from tests.billing.months import ACTOR, GB, Month, measurement
from tests.dashboard import scene
from tests.world import World, make_job

#: 0.10 a GB up to 100 GB, 0.08 for what is above up to 500 GB, 0.05 beyond: see ``tests.billing.months.TIERS``.
ACME_GB, BAKERY_GB = 250, 40


@dataclass
class Books:
    """``first_day`` begins the last month that is over; the invoices are drafts."""

    world: World
    month: Month
    first_day: date
    seller: Seller
    plan: Plan
    agreement: Agreement
    subscription: Subscription
    run: InvoiceRun
    acme: Invoice
    bakery: Invoice

    def fresh(self, invoice: Invoice) -> Invoice:
        found: Invoice = Invoice.objects.of(self.world.tenant).get(pk=invoice.pk)
        return found

    def draft_again(self) -> None:
        self.run = draft_run(
            self.world.tenant, self.seller, first_day=self.first_day, actor=ACTOR, now=datetime.now(UTC)
        )


def last_month() -> tuple[date, date]:
    """First day of the last month that is over in UTC, and first day of this one."""
    this = scene.now().date().replace(day=1)
    return (this - timedelta(days=1)).replace(day=1), this


def keep_books(world: World, *, missing: int = 0) -> Books:
    """Acme holds 250 GB and the bakery 40 GB on every day of last month; on ``missing`` last days Acme has none."""
    first_day, end = last_month()
    seller = Seller.objects.of(world.tenant).create(
        legal_name="Northwind MSP GmbH", country="DE", address="Hafenstr. 1\n20457 Hamburg", bank="DE00 1234"
    )
    month = Month(tenant=world.tenant, seller=seller)
    plan = month.plan(carry_days=0)
    payer = month.bill_to("Acme Dental Ltd", tax_rate="0.19", address="Main St 5")
    agreement = month.agreement(payer)
    subscription = month.subscribe(world.client, plan, agreement)
    month.on_plan(world.resold_client, plan)
    measure_by_runs(world.job, first_day, end - timedelta(days=missing), ACME_GB * GB)
    bakery_job = make_job(world.tenant, world.server, world.resold_client, "oven")
    measure_by_runs(bakery_job, first_day, end, BAKERY_GB * GB)
    run = draft_run(world.tenant, seller, first_day=first_day, actor=ACTOR, now=datetime.now(UTC))
    invoices: dict[int, Invoice] = {row.bill_to_id: row for row in Invoice.objects.of(world.tenant).filter(run=run)}
    acme = invoices.pop(payer.pk)
    (bakery,) = invoices.values()
    return Books(world, month, first_day, seller, plan, agreement, subscription, run, acme, bakery)


def measure_by_runs(job: BackupJob, first_day: date, end: date, size: int, **values: Any) -> None:
    """A run with a log at noon UTC of each day from the first to the one before ``end``."""
    receipt = scene.make_receipt(job.tenant, at=scene.now())
    for offset in range((end - first_day).days):
        day = first_day + timedelta(days=offset)
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        key = str(uuid.uuid4())
        run = scene.make_run(job, at=at, protected_bytes=size, receipt_id=receipt.pk)
        type(run).objects.of(job.tenant).filter(pk=run.pk, filed_month=run.filed_month).update(run_key=key)
        enter_usage(job.tenant_id, [measurement(job, at, size, run_key=key, **values)], now=at + timedelta(hours=1))
