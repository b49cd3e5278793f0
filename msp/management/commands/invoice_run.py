"""Drafts the invoices of a month, and on request makes final what nothing holds.

``manage.py invoice_run --tenant northwind --month 2026-10 [--finalise]``. Started again it goes on where it was.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.finalising import finalise_many
from billing.invoicing import draft_run
from billing.models import Invoice, InvoiceRun, Seller
from billing.money import money_text
from billing.refusals import Refused
from billing.reviewing import unbilled
from msp.tenants.models import Tenant

ACTOR = "command invoice_run"


class Command(BaseCommand):
    help = "Draft the invoices of a month for every seller of a tenant; --finalise numbers those that nothing holds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--month", required=True, help="the month, such as 2026-10")
        parser.add_argument("--seller", help="legal name of one seller; all of them without it")
        parser.add_argument("--finalise", action="store_true", help="make final every draft that nothing holds")

    def handle(self, *args: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        tenant = find_tenant(options["tenant"])
        for seller in find_sellers(tenant, options["seller"]):
            try:
                run = draft_run(tenant, seller, first_day=read_month(options["month"]), actor=ACTOR, now=now)
            except Refused as refused:
                raise CommandError(refused.reason) from refused
            if options["finalise"]:
                self.finalise_all(tenant, run, now=now)
            self.tell(tenant, run)

    def finalise_all(self, tenant: Tenant, run: InvoiceRun, *, now: datetime) -> None:
        drafts = Invoice.objects.of(tenant).filter(run=run, state="draft", held=[])
        uids = list(drafts.order_by("bill_to__legal_name", "pk").values_list("uid", flat=True))
        _, refused = finalise_many(tenant, uids, actor=ACTOR, now=now)
        for sentence in refused:
            self.stderr.write(sentence)

    def tell(self, tenant: Tenant, run: InvoiceRun) -> None:
        invoices = Invoice.objects.of(tenant).filter(run=run).exclude(state="void").select_related("bill_to")
        for invoice in invoices.order_by("bill_to__legal_name", "pk"):
            self.stdout.write(
                f"{invoice.number or 'draft'}  {invoice.bill_to}  {money_text(invoice.total, invoice.currency)}"
            )
            for sentence in invoice.held:
                self.stdout.write(f"    held: {sentence}")
        for each in unbilled(tenant, run):
            self.stdout.write(f"billed by nobody: {each.client}, {each.selection}: measured on {each.days} days")


def find_tenant(slug: str) -> Tenant:
    """Raises CommandError."""
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {slug}.")
    return tenant


def find_sellers(tenant: Tenant, name: str | None) -> list[Seller]:
    """Raises CommandError if there is none."""
    sellers = Seller.objects.of(tenant).order_by("legal_name")
    found = list(sellers.filter(legal_name=name) if name else sellers)
    if not found:
        raise CommandError(f"There is no seller {name}." if name else f"{tenant} has no seller yet: add one first.")
    return found


def read_month(text: str) -> date:
    """Raises CommandError."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise CommandError(f"{text!r} is not a month; write it as 2026-10.") from error
