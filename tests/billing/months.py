"""What billing tests need of a month: sellers, plans, subscriptions and the measurements of many nights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.ledger import enter_usage
from billing.models import Agreement, BillTo, Invoice, InvoiceLine, InvoiceRun, Plan, Seller, Subscription
from billing.plans import PlanDraft, make_plan
from billing.subscribing import subscribe
from msp.backups.models import BackupJob
from msp.backups.runs import Measurement
from msp.estate.models import Client, Selection
from msp.tenants.models import Reseller, Tenant

GB = 10**9
OCTOBER = date(2026, 10, 1)
#: Shortly after October 2026 is over in any zone.
NOVEMBER = datetime(2026, 11, 2, 8, tzinfo=UTC)
YEAR = date(2026, 1, 1)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ACTOR = "billing@northwind.example"
#: 0.10 a GB up to 100 GB, 0.08 for what is above up to 500 GB, 0.05 beyond.
TIERS: Mapping[str, Any] = {
    "tiers": [
        {"unit_price": "0.10", "up_to": "100"},
        {"unit_price": "0.08", "up_to": "500"},
        {"unit_price": "0.05"},
    ]
}


@dataclass
class Month:
    """A tenant with a seller; builds the rest."""

    tenant: Tenant
    seller: Seller

    def bill_to(self, name: str, **values: Any) -> BillTo:
        bill_to: BillTo = BillTo.objects.of(self.tenant).create(legal_name=name, **values)
        return bill_to

    def agreement(self, bill_to: BillTo, **values: Any) -> Agreement:
        values = {"starts_on": YEAR, "number": f"A-{bill_to.pk}-{len(values)}", "seller": self.seller} | values
        agreement: Agreement = Agreement.objects.of(self.tenant).create(bill_to=bill_to, **values)
        return agreement

    def plan(self, code: str = "tiered", **values: Any) -> Plan:
        terms: dict[str, Any] = {"name": "Backup", "currency": "EUR", "price": "tiered", "price_params": TIERS} | values
        return make_plan(self.tenant, code=code, draft=PlanDraft(**terms), actor=ACTOR, now=BEGAN)

    def subscribe(
        self, subject: Client | Selection | Reseller, plan: Plan, agreement: Agreement, **values: Any
    ) -> Subscription:
        values = {"starts_on": YEAR} | values
        return subscribe(subject, tenant=self.tenant, plan=plan, agreement=agreement, actor=ACTOR, now=BEGAN, **values)

    def on_plan(self, client: Client, plan: Plan, **bill_to: Any) -> Subscription:
        """A client with a bill-to of its own name, on a plan for the whole year."""
        payer = self.bill_to(str(client), **{"currency": plan.currency} | bill_to)
        return self.subscribe(client, plan, self.agreement(payer))

    def measure(
        self, job: BackupJob, sizes: Mapping[date, int], *, known: datetime | None = None, **values: Any
    ) -> None:
        """A run of the job at noon UTC of each day that found so many bytes, known an hour later by default."""
        for day, size in sizes.items():
            at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            enter_usage(self.tenant.pk, [measurement(job, at, size, **values)], now=known or at + timedelta(hours=1))


def measurement(job: BackupJob, at: datetime, size: int | None, **values: Any) -> Measurement:
    """What one run of a job at a moment says."""
    defaults: dict[str, Any] = {
        "job_id": job.pk,
        "selection_id": job.selection_id,
        "client_id": job.selection.client_id,
        "run_key": f"run-{at:%Y%m%dT%H%M%S}",
        "filed_month": at.date().replace(day=1),
        "measured_at": at,
        "basis": "logical-once",
        "protected_bytes": size,
        "stored_bytes": None,
        "transferred_bytes": None,
    }
    return Measurement(**defaults | values)


def days(first: date, last: date) -> list[date]:
    """Both included."""
    return [first + timedelta(days=place) for place in range((last - first).days + 1)]


def nights(first: date, last: date, size: int) -> dict[date, int]:
    """The same size on each day, both included."""
    return dict.fromkeys(days(first, last), size)


def october(size: int, *, first: int = 1, last: int = 31) -> dict[date, int]:
    """The same size on each of these days of October 2026."""
    return nights(date(2026, 10, first), date(2026, 10, last), size)


def invoices_of(run: InvoiceRun) -> list[Invoice]:
    return list(Invoice.objects.of(run.tenant_id).filter(run=run).order_by("pk"))


def only_invoice(run: InvoiceRun) -> Invoice:
    (invoice,) = invoices_of(run)
    return invoice


def lines_of(invoice: Invoice) -> list[InvoiceLine]:
    return list(InvoiceLine.objects.of(invoice.tenant_id).filter(invoice=invoice).order_by("position"))


def money(text: str) -> Decimal:
    return Decimal(text)
