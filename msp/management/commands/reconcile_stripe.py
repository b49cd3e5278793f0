"""Compares the books with Stripe now and prints every difference: ``manage.py reconcile_stripe --tenant northwind``."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.reconciling import DAYS, reconcile
from msp.management.commands.invoice_run import find_sellers, find_tenant


class Command(BaseCommand):
    help = "Compare final invoices with Stripe; exits with 1 where they differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--seller", help="legal name of one seller; all with Stripe without it")
        parser.add_argument("--days", type=int, default=DAYS, help="how far back")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        if options["days"] < 1:
            raise CommandError("Compare at least one day.")
        sellers = [seller for seller in find_sellers(tenant, options["seller"]) if seller.stripe]
        if not sellers:
            raise CommandError("No seller there collects through Stripe.")
        wrong = False
        for seller in sellers:
            made = reconcile(seller, now=datetime.now(UTC), days=options["days"])
            wrong |= bool(made.differences or made.failure)
            told = made.failure or f"{made.compared} invoices there, {len(made.differences)} differences"
            self.stdout.write(f"{seller}: {told}")
            for each in made.differences:
                self.stdout.write(f"    {each['sentence']}")
        if wrong:
            raise SystemExit(1)
