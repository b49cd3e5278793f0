"""Drafts the invoices of a month, and on request makes final what nothing holds.

``manage.py invoice_run --tenant northwind --month 2026-10 [--finalise] [--workers 4]``. Started again it goes on where
it was. Workers are processes of this command, each with a share of the payers; the first one tells the result.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from billing.finalising import finalise_many
from billing.invoicing import draft_run
from billing.models import Invoice, InvoiceRun, Seller
from billing.money import money_text
from billing.refusals import Refused
from billing.reviewing import unbilled
from billing.sharing import Share
from msp.garbage import collect_seldom
from msp.tenants.models import Tenant

ACTOR = "command invoice_run"
MOST_WORKERS = 32


class Command(BaseCommand):
    help = "Draft the invoices of a month for every seller of a tenant; --finalise numbers those that nothing holds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--month", required=True, help="the month, such as 2026-10")
        parser.add_argument("--seller", help="legal name of one seller; all of them without it")
        parser.add_argument("--finalise", action="store_true", help="make final every draft that nothing holds")
        parser.add_argument("--workers", type=int, default=1, help="processes that share the work, 1 to 32")
        parser.add_argument("--share", help="used between the workers: step, share, of how many, the moment")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["workers"] <= MOST_WORKERS:
            raise CommandError(f"--workers takes 1 to {MOST_WORKERS} processes.")
        collect_seldom()
        tenant, month = find_tenant(options["tenant"]), read_month(options["month"])
        sellers = find_sellers(tenant, options["seller"])
        if options["share"]:
            self.take_share(tenant, sellers[0], month, *options["share"].split(","))
            return
        now = datetime.now(UTC)
        for seller in sellers:
            run = self.draft(tenant, seller, month, workers=options["workers"], now=now)
            if options["finalise"]:
                self.finalise(tenant, seller, run, workers=options["workers"], now=now)
            self.tell(tenant, run)

    def take_share(self, tenant: Tenant, seller: Seller, month: date, step: str, index: str, of: str, at: str) -> None:
        share, now = Share(int(index), int(of)), datetime.fromisoformat(at)
        if step == "draft":
            draft_run(tenant, seller, first_day=month, actor=ACTOR, now=now, share=share)
        else:
            run = InvoiceRun.objects.of(tenant).get(seller=seller, first_day=month)
            self.finalise_share(tenant, run, share, now=now)

    def draft(self, tenant: Tenant, seller: Seller, month: date, *, workers: int, now: datetime) -> InvoiceRun:
        with beside(workers, lambda share: share_command(tenant, seller, month, "draft", share, now=now)) as first:
            try:
                return draft_run(tenant, seller, first_day=month, actor=ACTOR, now=now, share=first)
            except Refused as refused:
                raise CommandError(refused.reason) from refused

    def finalise(self, tenant: Tenant, seller: Seller, run: InvoiceRun, *, workers: int, now: datetime) -> None:
        month = run.first_day
        with beside(workers, lambda share: share_command(tenant, seller, month, "finalise", share, now=now)) as first:
            self.finalise_share(tenant, run, first, now=now)

    def finalise_share(self, tenant: Tenant, run: InvoiceRun, share: Share, *, now: datetime) -> None:
        living = Invoice.objects.of(tenant).filter(run=run, held=[]).exclude(state="void")
        rows = list(living.order_by("bill_to__legal_name", "pk").values_list("uid", "state"))
        uids = [uid for uid, state in share.of_all(rows) if state == "draft"]
        _, refused = finalise_many(tenant, uids, actor=ACTOR, now=now)
        for sentence in refused:
            self.stderr.write(sentence)

    def tell(self, tenant: Tenant, run: InvoiceRun) -> None:
        invoices = Invoice.objects.of(tenant).filter(run=run).exclude(state="void").select_related("bill_to")
        for invoice in invoices.defer("snapshot").order_by("bill_to__legal_name", "pk"):
            self.stdout.write(
                f"{invoice.number or 'draft'}  {invoice.bill_to}  {money_text(invoice.total, invoice.currency)}"
            )
            for sentence in invoice.held:
                self.stdout.write(f"    held: {sentence}")
        for each in unbilled(tenant, run):
            self.stdout.write(f"billed by nobody: {each.client}, {each.selection}: measured on {each.days} days")


def share_command(tenant: Tenant, seller: Seller, month: date, step: str, share: Share, *, now: datetime) -> list[str]:
    """What starts a worker for one share of a step."""
    told = f"{step},{share.index},{share.of},{now.isoformat()}"
    names = ["--tenant", tenant.slug, "--seller", seller.legal_name, "--month", f"{month:%Y-%m}"]
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), "invoice_run", *names, "--share", told]


@contextmanager
def beside(workers: int, command: Callable[[Share], list[str]]) -> Iterator[Share]:
    """Runs all shares but the first as processes while the caller does that one.

    Raises CommandError if one of them failed; what it did stays, and started again the command does the rest.
    """
    commands = [command(Share(index, workers)) for index in range(1, workers)]
    processes = [subprocess.Popen(each) for each in commands]  # noqa: S603 - this command itself, no shell
    try:
        yield Share(0, workers)
        failed = [process for process in processes if process.wait()]
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if failed:
        raise CommandError(f"{len(failed)} of {workers} workers failed, as told above: start it again.")


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
